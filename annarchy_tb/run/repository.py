"""Questions to git about the code of a run, for which no other program is run.

The settings of a repository name programs: filters, diff programs, hooks, ways to get
what is missing. A repository may come from anybody, as in an archive, and nobody
expects these to run because a simulation starts.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import IO, NamedTuple

PATIENCE = 0.5  # seconds for a question
LARGEST = 5 << 20  # bytes of an answer

# Of git's variables, those that do not say which repository to look at.
_SETTINGS = (
    *("GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES"),
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
)
# git must neither lock the repository, nor fetch from another one.
_SAFE = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # for those that do not know the line above
}
# Nor may it start a daemon or a hook there, or show its answer page by page.
_OPTIONS = ["--no-optional-locks", "--no-pager"]
_OPTIONS += ["-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}"]
_USERS = (b"system", b"global", b"command")  # settings that no repository makes


class UnansweredError(Exception):
    """git is too late, or can't answer without running other programs."""


class Answer(NamedTuple):
    """What git said.

    Attributes
    ----------
    output : bytes
        Its output.
    cut : str or None
        Why this is not all, if it is not.
    """

    output: bytes
    cut: str | None


class State(NamedTuple):
    """What the code is.

    Attributes
    ----------
    commit : str or None
        The commit; None before the first one.
    dirty : bool or None
        Whether tracked files differ from it, None if that is not known.
    why : str or None
        Why that is not known.
    """

    commit: str | None
    dirty: bool | None
    why: str | None = None


@lru_cache(maxsize=8)
def state(directory: str, minute: int) -> State | None:
    """Return the commit of a directory, and whether tracked files differ from it.

    None without a repository. The answer is kept for the `minute`. Filters in the
    settings of the repository itself (not of the user) are passed over: what they would
    change counts as a difference.
    """
    late = deadline()
    why = None
    arguments = ["status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        said = _lines(directory, _quiet(directory, late, arguments), late)
        oid = next(
            line.split()[-1] for line in said if line.startswith("# branch.oid ")
        )
        dirty: bool | None = any(line and line[0] != "#" for line in said)
        dirty = dirty or _has_dirty_submodules(directory, late, minute)
    except UnansweredError as error:  # the repository is too large, for example
        oid, dirty, why = "", None, str(error)
        with contextlib.suppress(OSError, subprocess.SubprocessError, UnansweredError):
            again = deadline()
            oid = "".join(_lines(directory, ["rev-parse", "HEAD"], again))
    except (OSError, subprocess.SubprocessError, StopIteration):
        return None  # no git, or no repository
    if oid == "(initial)":
        return State(None, dirty, why)
    if not re.fullmatch("[0-9a-f]{40,64}", oid):
        return None
    return State(oid, dirty, why)


def deadline() -> float:
    """Return when to give up what begins now, as `time.monotonic` says it."""
    return monotonic() + PATIENCE


def too_late() -> str:
    """Return the reason for an answer that is cut, or missing, at the deadline."""
    return f"git took longer than {PATIENCE:g} s"


def changes(directory: str, commit: str, late: float) -> Answer:
    """Return the changes of tracked files since a commit, as a patch.

    Parameters
    ----------
    directory
        A directory of the repository.
    commit
        The commit.
    late
        When to give up: see `deadline`.

    Raises
    ------
    OSError, subprocess.CalledProcessError
        If git fails.
    UnansweredError
        If it says nothing, and why.
    """
    arguments = ["diff", "--no-ext-diff", "--no-textconv", "--no-color"]
    arguments += ["--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", commit]
    found = _ask(directory, _quiet(directory, late, arguments), late)
    if found.cut and not found.output:
        raise UnansweredError(found.cut)
    return found


def _has_dirty_submodules(directory: str, late: float, minute: int) -> bool:
    """Return whether files in a submodule differ from the commit that is there."""
    place = Path(directory).resolve()
    for top in (place, *place.parents):
        if (top / ".gitmodules").is_file():
            break
        if (top / ".git").exists():
            return False
    else:
        return False
    asked = ["config", "-z", "--file", ".gitmodules", "--get-regexp", r"\.path$"]
    try:
        answer = _ask(os.fspath(top), asked, late)
    except subprocess.CalledProcessError:
        return False  # it names none
    for one in answer.output.split(b"\0"):
        inside = top / os.fsdecode(one.partition(b"\n")[2])
        # A name that leads out of the repository is none of git's.
        if top in inside.resolve().parents and (inside / ".git").exists():
            if monotonic() > late:
                raise UnansweredError(too_late())
            found = state(os.fspath(inside), minute)
            if found and found.dirty:
                return True
    return False


def _quiet(directory: str, late: float, arguments: list[str]) -> list[str]:
    """Return the arguments of git with those that turn off the repository's filters.

    The user's own stay: without git-lfs, for example, large files would look changed.
    Submodules have settings of their own, so git must not look into them.

    Raises
    ------
    UnansweredError
        If they can't be turned off.
    """
    own = ["--ignore-submodules=dirty", *arguments[1:]]
    if not _may_have_filters(directory):
        return ["-c", "diff.relative=false", arguments[0], *own]
    asked = ["config", "-z", "--includes", "--show-scope", "--name-only"]
    try:
        found = _ask(directory, [*asked, "--get-regexp", r"^filter\."], late)
    except subprocess.CalledProcessError as error:
        if error.returncode != 1:  # 1 if there are none
            raise UnansweredError(
                "the filters of the repository are not known"
            ) from error
        found = Answer(b"", None)
    if found.cut:
        raise UnansweredError(found.cut)
    words = found.output.split(b"\0")
    filters = dict.fromkeys(
        name.partition(b".")[2].rpartition(b".")[0]
        for scope, name in zip(words[::2], words[1::2], strict=False)
        if scope not in _USERS
    )
    options = ["-c", "diff.relative=false"]
    for name in map(os.fsdecode, filters):
        if "=" in name:  # it can't be named in an option
            raise UnansweredError("a filter of the repository can't be turned off")
        for kind, value in (("clean", ""), ("process", ""), ("required", "false")):
            options += ["-c", f"filter.{name}.{kind}={value}"]
    return [*options, arguments[0], *own]


def _may_have_filters(directory: str) -> bool:
    """Return whether a repository may have filters, without the time that git takes.

    Whichever of the directories above git takes for the repository: only if each that
    might be one has plain settings, which name neither filters nor other files, the
    answer is False.
    """
    place = Path(directory).resolve()
    for above in (place, *place.parents):
        inside = above / ".git"
        if (above / "HEAD").exists() or (inside / "commondir").exists():
            return True  # a repository without a working tree, or with several
        if os.path.lexists(inside):
            try:
                text = (inside / "config").read_bytes().lower()
            except OSError:
                return True
            if any(word in text for word in (b"filter", b"include", b"worktree")):
                return True
    return False


def _lines(directory: str, arguments: list[str], late: float) -> list[str]:
    answer = _ask(directory, arguments, late)
    if answer.cut == too_late():
        raise UnansweredError(too_late())
    return answer.output.decode("utf-8", "replace").splitlines()


def _ask(directory: str, arguments: list[str], late: float) -> Answer:
    """Run git in a directory.

    Raises
    ------
    OSError
        If there is no git.
    subprocess.CalledProcessError
        If it fails.
    UnansweredError
        If it does not end.
    """
    command = ["git", "-C", directory, *_OPTIONS, *arguments]
    environment = {
        name: value
        for name, value in os.environ.items()
        # In a hook, or in git bisect, GIT_DIR names the repository of that.
        if not name.startswith("GIT_") or name.startswith(_SETTINGS)
    }
    process = subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment, **_SAFE},
        start_new_session=True,
    )
    try:
        answer = _read(process.stdout, late)
        if answer.cut:
            _end(process)
            return answer
        code = process.wait(max(late - monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        _end(process)
        raise UnansweredError(too_late()) from None
    except BaseException:
        _end(process)
        raise
    if process.stdout is not None:
        process.stdout.close()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return answer


def _read(stream: IO[bytes] | None, late: float) -> Answer:
    """Read what a process says, as far as it is not too late or too much."""
    output = bytearray()
    with selectors.DefaultSelector() as waiting:
        if stream is not None:
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            if not waiting.select(max(late - monotonic(), 0)):
                return Answer(bytes(output), too_late())
            said = os.read(waiting.get_key(stream).fd, 1 << 16)  # type: ignore[arg-type]
            output += said
            if not said:
                break
            if len(output) > LARGEST:
                more = f"there is more than {LARGEST >> 20} MiB"
                return Answer(bytes(output[:LARGEST]), more)
    return Answer(bytes(output), None)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children, without waiting for long."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    if process.stdout is not None:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
