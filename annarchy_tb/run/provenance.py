"""The origin of a run: its process, machine, versions and code.

Failures are never fatal here: anything that can't be found out is None.
"""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from annarchy_tb.inputs.messages import is_ours

# The modules of simulators, whose versions are recorded if they are loaded.
SIMULATORS = (
    *("ANNarchy", "ase", "brian2", "mesa", "nengo", "nest", "neuron", "openmm"),
    "simpy",
)
PATIENCE = 0.5  # seconds for a git command
SLURM = {
    "job_id": "SLURM_JOB_ID",
    "array_job_id": "SLURM_ARRAY_JOB_ID",
    "array_task_id": "SLURM_ARRAY_TASK_ID",
}


def origin() -> dict[str, Any]:
    """Return everything known about this process at the start of a run."""
    facts: dict[str, Callable[[], Any]] = {
        "host": socket.gethostname,
        "pid": os.getpid,
        "process": lambda: process(os.getpid()),
        "user": user,
        "command": lambda: shlex.join(sys.orig_argv),
        "cwd": os.getcwd,
        "python": lambda: sys.version.split()[0],
        "versions": versions,
        "git": git,
        "slurm": slurm,
    }
    found: dict[str, Any] = {}
    for name, find in facts.items():
        try:
            found[name] = find()
        except Exception:  # no user name, no working directory, ...
            found[name] = None
    return found


def user() -> str | None:
    """Return the name of the user, None if there is none."""
    try:
        return getpass.getuser()
    except Exception:  # whatever the system says
        return None


def slurm() -> dict[str, str] | None:
    """Return the ids of the SLURM job that this process belongs to."""
    there = {name: os.environ.get(variable) for name, variable in SLURM.items()}
    return {name: value for name, value in there.items() if value} or None


def versions() -> dict[str, str]:
    """Return the versions of the packages that write runs and of loaded simulators."""
    found = {name: _version(name) for name in ("annarchy_tb", "numpy", "tensorboardX")}
    for name in SIMULATORS:
        if name in sys.modules:
            found[name] = _version(name)
    return {name: version for name, version in found.items() if version is not None}


@lru_cache(maxsize=64)
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # not installed by a package manager
        version = getattr(sys.modules.get(name), "__version__", None)
        return None if version is None else str(version)


# -- the code --------------------------------------------------------------------------


def git() -> dict[str, Any] | None:
    """Return the commit of the running code, and whether tracked files differ.

    The repository is that of the main script or, if that is in none (as in a notebook),
    that of the working directory.
    """
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    places = [os.path.dirname(os.path.abspath(script))] if script else []
    # Cached for up to a minute: a sweep starts many runs, but the code may be committed
    # while a notebook is open.
    minute = int(monotonic() // 60)
    for place in places:
        if found := _git(os.path.realpath(place), minute):
            return found
    return _git(os.getcwd(), minute)


@lru_cache(maxsize=8)
def _git(directory: str, _: int) -> dict[str, Any] | None:
    try:
        said = _ask_git(
            directory, "status", "--porcelain=v2", "--branch", "--untracked-files=no"
        )
        [oid] = [line.split()[-1] for line in said if line.startswith("# branch.oid")]
        dirty: bool | None = any(line[0] != "#" for line in said)
    except subprocess.TimeoutExpired:  # the repository is too large
        try:
            [oid], dirty = _ask_git(directory, "rev-parse", "HEAD"), None
        except (OSError, subprocess.SubprocessError):
            return None
    except (OSError, subprocess.SubprocessError):  # no git, or no repository
        return None
    return {"commit": None if oid == "(initial)" else oid, "dirty": dirty}


def _ask_git(directory: str, *arguments: str) -> list[str]:
    # git must neither lock the repository nor start a daemon there.
    command = ["git", "-C", directory, "-c", "core.fsmonitor=false", *arguments]
    answer = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        encoding="utf-8",
        errors="replace",
        timeout=PATIENCE,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    return answer.stdout.splitlines()


# -- the process -----------------------------------------------------------------------


def process(pid: int) -> dict[str, Any] | None:
    """Return the facts that distinguish a process from later ones of the same number.

    They are the boot of the machine, the namespace of process numbers (each container
    has one), and the start of the process in ticks since the boot. The result is None
    if there is no ``/proc``, or it does not show that process. See ``man 5 proc``.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
    state, *fields = status.rpartition(")")[2].split()
    if state in "ZX":  # it has ended, but its parent has not yet asked for its status
        return None
    return {"boot": boot, "namespace": namespace, "start": int(fields[18])}


def process_is_alive(
    host: str | None, pid: int | None, then: Mapping[str, Any] | None
) -> bool | None:
    """Return whether a process still runs, None if that is unknown.

    It is known on the host of that process only. `then` is what `process` said of it.
    """
    if (
        host != socket.gethostname()
        or pid is None
        or pid <= 0
        or os.name == "nt"  # where os.kill(pid, 0) is not just a test
    ):
        return None
    here = process(os.getpid())
    if then is not None and here is not None:
        if then.get("boot") != here["boot"]:
            return False
        if then.get("namespace") != here["namespace"]:
            return None
        now = process(pid)
        if now is not None:
            return bool(now["start"] == then.get("start"))
        if Path(f"/proc/{pid}").exists():
            return False  # a zombie
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def raised_at(traceback: TracebackType | None) -> str | None:
    """Return file, line and function of the innermost call outside of this package."""
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not is_ours(code.co_filename):
            found = f"{code.co_filename}:{traceback.tb_lineno} in {code.co_name}"
        traceback = traceback.tb_next
    return found
