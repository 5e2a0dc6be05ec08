"""The source of a run: the changes of its code, and the packages that it ran with.

What can't be found out, or not be written, is left out with the reason.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from annarchy_tb.run import provenance, repository
from annarchy_tb.run.atomic import remove_leftovers, replacing
from annarchy_tb.run.names import SOURCE
from annarchy_tb.run.repository import UnansweredError
from annarchy_tb.run.strangers import check_no_link

_WRITTEN = re.compile(r"changes(-\d+)?\.patch|packages(-\d+)?\.txt")

# Lines in front of the first hunk of a file that say what happened to it.
_HEAD = (b"index", b"old", b"new", b"deleted", b"rename", b"copy", b"Binary")


class Source(NamedTuple):
    """What can be said about the source of the running process.

    Attributes
    ----------
    commit : str or None
        The commit that the changes are relative to.
    patch : bytes
        The changes.
    why : str or None
        Why they are not complete, if they are not.
    packages : bytes
        Names and versions of the installed packages, one a line.
    """

    commit: str | None
    patch: bytes
    why: str | None
    packages: bytes


def collect() -> Source:
    """Return the source of this process, as it was when this was first called."""
    return _collect(provenance.launch().script)


@lru_cache(maxsize=2)
def _collect(_: str | None) -> Source:
    late = repository.deadline()  # for both
    packages = "".join(f"{name}=={version}\n" for name, version in installed())
    commit, patch, why = _changes(late)
    return Source(commit, patch, why, packages.encode("utf-8", "backslashreplace"))


def _changes(late: float) -> tuple[str | None, bytes, str | None]:
    """Return a commit, the changes since then, and why they are not complete."""
    try:
        found = provenance.code()
        if found is None:
            return None, b"", "there is no git repository"
        place, state = found
        commit = state.commit
        if commit is None or state.why:
            return commit, b"", state.why or "there is no commit yet"
        answer = repository.changes(place, commit, late)
    except UnansweredError as error:
        return commit, b"", str(error)
    except (OSError, subprocess.SubprocessError):
        return None, b"", "git failed"
    patch = answer.output
    if answer.cut:
        patch = patch[: patch.rfind(b"\n") + 1]
    return commit, patch, answer.cut


def installed() -> list[tuple[str, str]]:
    """Return the names and versions of the packages that can be imported."""
    found: dict[str, tuple[str, str]] = {}
    for one in metadata.distributions():
        with contextlib.suppress(Exception):  # damaged metadata
            name, version = one.metadata["Name"], one.version
            if name and version:  # of two, the first is imported
                found.setdefault(name.lower(), (str(name), str(version)))
    return [found[name] for name in sorted(found)]


def keep(run: Path, number: int) -> dict[str, Any]:
    """Write the source of this process into a run.

    Parameters
    ----------
    run
        The run's directory.
    number
        The number of the session: later ones do not replace the files of the first.

    Returns
    -------
    dict
        What ``run.json`` says about it.
    """
    its = collect()
    suffix = "" if number == 1 else f"-{number}"
    files = {"changes": f"changes{suffix}.patch", "packages": f"packages{suffix}.txt"}
    said: dict[str, Any] = {"commit": its.commit, "changes": None, "packages": None}
    why = its.why
    try:
        folder = run / SOURCE
        check_no_link(folder)
        folder.mkdir(exist_ok=True)
        for name, content in (("packages", its.packages), ("changes", its.patch)):
            if not content:
                (folder / files[name]).unlink(missing_ok=True)  # of one that was killed
            else:
                with replacing(folder / files[name]) as stream:
                    stream.write(content)
                said[name] = f"{SOURCE}/{files[name]}"
    except OSError as error:
        why = error.strerror or str(error)
    return {**said, "complete": why is None, "why": why}


def clear(run: Path) -> None:
    """Remove the source of a run, but no files of the user's."""
    folder = run / SOURCE
    if folder.is_symlink() or not folder.is_dir():
        return
    remove_leftovers(folder)
    for name in os.listdir(folder):
        if _WRITTEN.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


# -- reading ---------------------------------------------------------------------------


def kept_packages(run: Path, said: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the versions of the packages in the source of a run, if it has them."""
    lines = _read(run, (said or {}).get("packages")).decode("utf-8", "replace")
    pairs = (line.partition("==") for line in lines.splitlines())
    return {name: version for name, _, version in pairs if version}


def kept_changes(run: Path, said: Mapping[str, Any] | None) -> dict[str, list[bytes]]:
    """Return the lines that differ in each file, from the source of a run."""
    found: dict[str, list[bytes]] = {}
    lines: list[bytes] = []
    inside = False  # a hunk, where any line may follow
    for line in _read(run, (said or {}).get("changes")).split(b"\n"):
        if line.startswith(b"diff --git "):
            name = line.removeprefix(b"diff --git ").decode("utf-8", "replace")
            found[_file(name)] = lines = []
            inside = False
        elif line.startswith(b"@@"):
            inside = True
        elif line.startswith((b"+", b"-") if inside else _HEAD):
            lines.append(line)
    return found


def _file(names: str) -> str:
    """Return the file that ``a/file b/file`` names, as a patch has it."""
    half = names[: len(names) // 2]
    same = names == f"{half} b{half[1:]}"
    return half.removeprefix("a/") if same else names


def _read(run: Path, name: object) -> bytes:
    """Return the contents of a file that ``run.json`` names, which may be anybody's."""
    folder, _, its = str(name).partition("/")
    if folder != SOURCE or not _WRITTEN.fullmatch(its):
        return b""
    try:
        check_no_link(run / SOURCE)
        flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(run / SOURCE / its, os.O_RDONLY | flags)
    except OSError:
        return b""
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return stream.read(repository.LARGEST)
