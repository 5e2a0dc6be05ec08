"""Faults of system calls, injected by a library that is loaded before libc."""

from __future__ import annotations

import atexit
import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CLASSES = ("write", "sync", "change", "lock")
EFFECTS = {
    **{"short": -1, "kill": -2, "torn": -3, "after": -4, "interrupt": -5, "slow": -6},
    **{name: getattr(errno, name) for name in ("EIO", "ENOSPC", "EDQUOT", "EINTR")},
    **{name: getattr(errno, name) for name in ("EFBIG", "ENOLCK")},
}
_removed: dict[str, str] = {}
SOURCE = Path(__file__).with_name("shim.c")


def preload() -> None:
    """Start this program again with the library, if that is possible here.

    Otherwise `missing` says why it is not.
    """
    if missing() and sys.platform == "linux" and shutil.which("cc"):
        library = Path(tempfile.mkdtemp(prefix="chaos-")) / "shim.so"
        flags = ["-O1", "-shared", "-fPIC", "-Wall", "-Werror"]
        command = ["cc", *flags, "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        os.environ["LD_PRELOAD"] = str(library)
        os.execv(sys.executable, sys.orig_argv)
    if not missing():
        folder = Path(without_preload()["LD_PRELOAD"]).parent
        atexit.register(shutil.rmtree, folder)


def without_preload() -> dict[str, str]:
    """Keep the library away from programs that this one starts; return what adds it."""
    if "LD_PRELOAD" in os.environ:
        _removed["LD_PRELOAD"] = os.environ.pop("LD_PRELOAD")
    return _removed


def missing() -> str | None:
    """Return why no faults can be injected; None if they can."""
    if hasattr(ctypes.CDLL(None), "chaos_arm"):
        return None
    return "faults are injected on Linux only, with a C compiler (cc)"


def arm(directory: Path, faults: Sequence[Mapping[str, Any]]) -> None:
    """Have the faults happen in this process, to files below a directory."""
    rows = [
        number
        for fault in faults
        for number in (
            CLASSES.index(fault["on"]),
            fault["at"],
            fault["number"],
            EFFECTS[fault["effect"]],
        )
    ]
    if rows:
        library = ctypes.CDLL(None)
        array = (ctypes.c_int * len(rows))(*rows)
        library.chaos_arm(os.fsencode(directory), array, len(rows) // 4)


def met() -> int:
    """Return the number of faults that this process has met."""
    return 0 if missing() else int(ctypes.CDLL(None).chaos_met())
