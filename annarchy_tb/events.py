"""One append-only event file: one ``os.write`` a record, no buffer, no thread."""

from __future__ import annotations

import itertools
import os
import re
import weakref
from pathlib import Path
from time import time as now

from annarchy_tb import names, records

_APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
_NO_FILE = -1

_count = itertools.count()
_files: weakref.WeakSet[EventFile] = weakref.WeakSet()


def event_files(directory: Path) -> list[Path]:
    """Return the event files of one directory, in the order of writing."""
    with os.scandir(directory) as entries:
        found = [e.path for e in entries if "tfevents" in e.name and e.is_file()]
    return [Path(path) for path in sorted(found)]


def _create(directory: Path) -> tuple[Path, int]:
    """Create the event file that sorts behind all others of the directory.

    TensorBoard reads the files of a directory in the order of their names and never
    comes back to one, so a new name must sort last even where the clock stepped back.
    """
    found = (
        re.search(r"tfevents\.(\d+)", path.name) for path in event_files(directory)
    )
    second = max([int(now()), *(int(match[1]) + 1 for match in found if match)])
    while True:
        tail = f"{names.host()}.{os.getpid()}.{next(_count):04d}"
        path = directory / f"events.out.tfevents.{second:010d}.{tail}"
        try:
            return path, os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            second += 1


class EventFile:
    """An event file in `directory`, which this process alone writes.

    A process forked from this one goes on in a file of its own, opened at its first
    record: a child that is killed within a write would otherwise leave half a record
    in the middle of its parent's file, and everything behind that is lost to every
    reader.

    Parameters
    ----------
    directory
        An existing directory, as an absolute path.

    Attributes
    ----------
    path : Path
        The file that records go to now.

    Notes
    -----
    When `append` returns, the record is the kernel's: it survives the process, however
    that dies. It is *not* promised to survive a power failure before `flush`.

    Threads may append at once: records do not interleave.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd = _NO_FILE
        self.closed = False
        self._open()
        _files.add(self)

    def _open(self) -> None:
        self.path, fd = _create(self._directory)
        try:
            os.write(fd, records.file_version(now()))
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def append(self, record: bytes) -> None:
        """Write one record whole.

        Raises
        ------
        ValueError
            If the file is closed.
        OSError
            If the system refuses the record, or takes only a part of it.
        """
        try:
            written = os.write(self._fd, record)
        except OSError:
            if self._fd != _NO_FILE:
                raise
            if self.closed:
                raise ValueError(f"event file is closed: {self.path}") from None
            self._open()  # the first record after a fork
            written = os.write(self._fd, record)
        if written != len(record):
            raise OSError(f"only {written} of {len(record)} bytes went to {self.path}")

    def flush(self) -> None:
        """Wait until everything appended is on the disk itself."""
        if self._fd != _NO_FILE:
            os.fsync(self._fd)

    def close(self) -> None:
        self.closed = True
        self._release()

    def _release(self) -> None:
        fd, self._fd = self._fd, _NO_FILE
        if fd != _NO_FILE:
            os.close(fd)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_fd": _NO_FILE}  # a copy writes a file of its own

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        _files.add(self)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self._release()


def _after_fork_in_child() -> None:
    for file in list(_files):
        file._release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
