"""The origin of a run: its process, machine, versions and code.

Failures are never fatal here: anything that can't be found out is None.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from annarchy_tb.inputs.messages import is_ours
from annarchy_tb.run import repository
from annarchy_tb.run.repository import State

T = TypeVar("T")

# The modules of simulators, whose versions are recorded if they are loaded.
SIMULATORS = (
    *("ANNarchy", "ase", "brian2", "mesa", "nengo", "nest", "neuron", "openmm"),
    "simpy",
)
# Variables that decide how many threads compute, on what, and in which order.
ENVIRONMENT = (
    *("OMP_NUM_THREADS", "OMP_SCHEDULE", "OMP_DYNAMIC"),
    *("MKL_NUM_THREADS", "MKL_CBWR", "MKL_DYNAMIC"),
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
    *("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "XLA_FLAGS", "JAX_ENABLE_X64"),
    *("OPENMM_CPU_THREADS", "OPENMM_DEFAULT_PLATFORM"),
    *("PYTHONHASHSEED", "PYTHONOPTIMIZE"),
)
# The variable with the id of what began this process in order to follow its runs.
JOB = "ANNARCHY_TB_JOB"
SLURM = {
    "job_id": "SLURM_JOB_ID",
    "array_job_id": "SLURM_ARRAY_JOB_ID",
    "array_task_id": "SLURM_ARRAY_TASK_ID",
}

# What Python is told to run in the worker processes of multiprocessing and joblib.
_WORKER = re.compile(
    r"from multiprocessing\.(spawn|forkserver) import |(.+\.)?loky\.backend\.popen_"
)


def origin() -> dict[str, Any]:
    """Return everything known about this process at the start of a run."""
    start = launch()
    return {
        "host": _found(socket.gethostname),
        "pid": os.getpid(),
        "process": _found(lambda: process(os.getpid())),
        "user": user(),
        "command": start.command,
        "cwd": start.cwd,
        "python": _found(lambda: sys.version.split()[0]),
        "versions": _found(versions),
        "git": _found(git),
        "slurm": _found(slurm),
        "environment": environment(),
        "job": os.environ.get(JOB) or None,
    }


def _found(find: Callable[[], T]) -> T | None:
    """Return the result of a function, None if it fails in any way."""
    try:
        return find()
    except Exception:
        return None


def user() -> str | None:
    """Return the name of the user, None if there is none."""
    return _found(getpass.getuser)


def slurm() -> dict[str, str] | None:
    """Return the ids of the SLURM job that this process belongs to."""
    there = {name: os.environ.get(variable) for name, variable in SLURM.items()}
    return {name: value for name, value in there.items() if value} or None


def environment() -> dict[str, str] | None:
    """Return the variables of `ENVIRONMENT` that are set, also to nothing."""
    there = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return there or None


def versions() -> dict[str, str]:
    """Return the versions of the packages that write runs and of loaded simulators."""
    names = ["annarchy_tb", "numpy", "tensorboardX"]
    names += [name for name in SIMULATORS if name in sys.modules]
    found = {name: _version(name) for name in names}
    return {name: version for name, version in found.items() if version is not None}


@lru_cache(maxsize=64)
def _version(name: str) -> str | None:
    # A module that is loaded need not be the one that is installed.
    version = _found(lambda: str(vars(sys.modules[name])["__version__"]))
    version = version or _found(lambda: metadata.version(name))
    # Damaged metadata may have no version.
    return version if version and isinstance(version, str) else None


# -- the program -----------------------------------------------------------------------


class Launch(NamedTuple):
    """How the user started a program; None for what is not known.

    Attributes
    ----------
    command : str or None
        The command line.
    cwd : str or None
        The working directory.
    script : str or None
        The path of the main script.
    """

    command: str | None
    cwd: str | None
    script: str | None


_sender: ContextVar[Launch | None] = ContextVar("sender", default=None)


@contextlib.contextmanager
def on_behalf_of(sender: Launch | None) -> Iterator[None]:
    """Have Loggers made in this context record the program that sent the work here."""
    token = _sender.set(sender)
    try:
        yield
    finally:
        _sender.reset(token)


def launch() -> Launch:
    """Return how the program that this process works for was started."""
    own = Launch(_found(_command), _found(os.getcwd), _found(_script))
    return _sender.get() or own


def _command() -> str | None:
    words = sys.orig_argv
    worker = _worker()
    if worker is not None:  # with the options of Python that its parent has
        words = [*words[:worker], *_program()]
    return shlex.join(words) or None


def _worker() -> int | None:
    """Return where the command line of a worker names its task, None of other programs.

    Workers of multiprocessing and joblib have the ``sys.argv`` of their parent.
    """
    for at, (option, task) in enumerate(itertools.pairwise(sys.orig_argv)):
        if option in ("-c", "-m") and _WORKER.match(task):
            return at
    return None


def _program() -> list[str]:
    """Return the words of a worker's command line that name the user's program."""
    first, *arguments = sys.argv
    module = getattr(getattr(sys.modules["__main__"], "__spec__", None), "name", None)
    if module and module != "__main__" and not _WORKER.match(module):
        return ["-m", module, *arguments]
    return [first, *arguments] if first else arguments


def _script() -> str | None:
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    name = getattr(getattr(main, "__spec__", None), "name", None) or ""
    if _WORKER.match(name):  # joblib does not import the user's script
        script = sys.argv[0]
    return os.path.abspath(script) if script and isinstance(script, str) else None


# -- the code --------------------------------------------------------------------------


def git() -> dict[str, Any] | None:
    """Return the commit of the running code, and whether tracked files differ."""
    found = code()
    if found is None:
        return None
    return {"commit": found[1].commit, "dirty": found[1].dirty}


def code() -> tuple[str, State] | None:
    """Return a directory of the running code, and the state of its repository.

    The repository is that of the main script or, if that is in none (as in a notebook),
    that of the working directory.
    """
    script = launch().script
    # Cached for up to a minute: a sweep starts many runs, but the code may be committed
    # while a notebook is open.
    minute = int(monotonic() // 60)
    if script is not None:
        place = os.path.dirname(os.path.realpath(script))
        found = repository.state(place, minute)
        if found:
            return place, found
    place = os.getcwd()
    found = repository.state(place, minute)
    return (place, found) if found else None


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
        state, *fields = status.rpartition(")")[2].split()
        start = int(fields[18])
    except (OSError, ValueError, IndexError):  # or a /proc that is not Linux's
        return None
    if state in "ZX":  # it has ended, but its parent has not yet asked for its status
        return None
    return {"boot": boot, "namespace": namespace, "start": start}


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
