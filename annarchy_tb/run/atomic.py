"""Files that are replaced whole or not at all, and by one process at a time."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from annarchy_tb.tfevents.names import harmless


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write, which then takes the place of `path`.

    Whoever reads `path`, after a crash or a power failure too, finds what was there
    before or all that was written. (After a power failure, it may be the former until
    `sync_directory`.) Where anything is raised, nothing has changed.
    """
    unique = f"{os.getpid()}-{os.urandom(4).hex()}"
    temporary = path.with_name(f".{harmless(path.name)}.{unique}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def exclusive(directory: Path, patience: float) -> Iterator[bool]:
    """Keep all others out who ask for the same directory, threads or processes.

    Parameters
    ----------
    directory
        An existing directory. Nothing is written to it.
    patience
        The seconds to wait for somebody else.

    Yields
    ------
    bool
        False if somebody else is still there. Where the file system has no locks (as
        some of clusters), or the directory is gone, True.
    """
    try:
        import fcntl

        descriptor = os.open(directory, os.O_RDONLY)
    except (ImportError, OSError):
        yield True
        return
    try:
        yield _lock(fcntl, descriptor, time.monotonic() + patience)
    finally:
        with contextlib.suppress(OSError):
            # A process forked meanwhile has the descriptor too, so that closing it
            # would not do.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _lock(fcntl: Any, descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        except OSError:
            return True


def sync_directory(path: Path) -> None:
    """Wait until the names of the files in a directory are on the disk."""
    with contextlib.suppress(OSError):  # not every file system knows this
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Remove what killed processes left of files they were replacing."""
    for path in directory.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+-[0-9a-f]{8}\.tmp", path.name):
            with contextlib.suppress(OSError):
                path.unlink()
