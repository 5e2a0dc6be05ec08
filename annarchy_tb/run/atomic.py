"""Atomic replacement of files, and locks that admit one process at a time."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents.descriptors import opened
from annarchy_tb.tfevents.names import harmless


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write, which then replaces `path`.

    Readers of `path` find either the old content or all of the new, even after a crash
    or a power failure. (After a power failure, it may be the old content unless
    `sync_directory` was called.) If an exception is raised, nothing changes.
    """
    unique = f"{os.getpid()}-{os.urandom(4).hex()}"
    temporary = path.with_name(f".{harmless(path.name)}.{unique}.tmp")
    try:
        with open(temporary, "xb", opener=opened) as stream:
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
    """Lock a directory against all other threads and processes that lock it here.

    The lock ends with the process: a process forked meanwhile does not have it.

    Parameters
    ----------
    directory
        An existing directory. Nothing is written to it.
    patience
        Seconds to wait for another lock to be released.

    Yields
    ------
    bool
        False if another lock is still held: then nothing must be changed there. That is
        known at once if this thread holds it, as in a signal handler. Else True, and
        also if the file system has no locks (as on some clusters) or the directory is
        gone.
    """
    try:
        with importing:
            import fcntl

        descriptor = opened(directory, os.O_RDONLY)
    except (ImportError, OSError):
        yield True
        return
    mine = (threading.get_ident(), str(directory))
    if mine in list(_locks.values()):
        patience = -1.0
    try:
        _locks[descriptor] = mine
        yield _lock(fcntl, descriptor, time.monotonic() + patience)
    finally:
        if descriptor in _locks:  # not in a forked process
            # At once, without other calls: Ctrl-C would leave the lock. Closing alone
            # would not unlock while another process has a copy, as one that other code
            # than Python forked.
            try:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            except OSError:
                pass
            finally:
                del _locks[descriptor]
                with contextlib.suppress(OSError):  # other code may have closed it
                    os.close(descriptor)


# The threads and directories of the locks that this process has, or waits for.
_locks: dict[int, tuple[int, str]] = {}  # by descriptor


def _after_fork_in_child() -> None:
    # If this process is killed, its children must not keep its locks.
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


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


def is_open_nowhere_else(descriptor: int) -> bool:
    """Return whether no other descriptor of a file is open, in any process.

    It stays so until this one is closed: whoever opens the file waits. False if that
    can't be known, as with network file systems, whose files other hosts may have open.
    """
    try:
        with importing:
            import fcntl
            import signal

        # The system grants a lease only to the one who has the file open. It says that
        # somebody waits by SIGIO, which ends a process, unless another one is chosen.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # ignored by default
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except (ImportError, AttributeError, OSError):
        return False
    return True


def sync_directory(path: Path) -> None:
    """Wait until the file names in a directory are on the disk."""
    with contextlib.suppress(OSError):  # not every file system supports this
        descriptor = opened(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Remove temporary files of processes killed while replacing files."""
    for path in directory.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+-[0-9a-f]{8}\.tmp", path.name):
            with contextlib.suppress(OSError):
                path.unlink()
