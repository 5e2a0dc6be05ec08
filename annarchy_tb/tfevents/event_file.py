"""Append-only event files: one ``os.write`` per record, and no threads."""

from __future__ import annotations

import errno
import itertools
import os
import weakref
from collections.abc import Callable
from os import write
from pathlib import Path
from time import sleep
from time import time as now

from annarchy_tb.tfevents import names, records
from annarchy_tb.tfevents.backlog import Backlog

APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
_NONE = -1  # no descriptor
STREAMS = 2  # the last descriptor of a standard stream
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SPOILT = frozenset({errno.EIO, errno.EFBIG, errno.ESTALE})

_count = itertools.count()  # of event files made by this process
_files: weakref.WeakSet[EventFile] = weakref.WeakSet()


def event_files(directory: Path) -> list[Path]:
    """Return the event files of a directory in the order they were written."""
    with os.scandir(directory) as entries:
        found = [e.path for e in entries if "tfevents" in e.name and _is_file(e)]
    return [Path(path) for path in sorted(found)]


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself, or to where we may not look
        return False


def _whole(data: bytes, end: int) -> int:
    """Return the end of the last whole record among the first `end` bytes."""
    at = 0
    while at + records.HEAD <= end:
        size = records.UINT64.unpack_from(data, at)[0]
        behind = at + int(size) + records.HEAD + records.TAIL
        if behind > end:
            break
        at = behind
    return at


def opened(path: Path, flags: int = 0) -> int:
    """Open a file to append to, and return its descriptor.

    It is none of the standard streams: where those are closed, C code that writes to
    one of them would write into the file.
    """
    low = []
    try:
        descriptor = os.open(path, APPEND | flags, 0o666)
        while descriptor <= STREAMS:
            low.append(descriptor)
            descriptor = os.dup(descriptor)
    finally:
        for one in low:
            os.close(one)
    return descriptor


def counted() -> int:
    """Return the number of the next event file of this process."""
    return next(_count)


def create(directory: Path) -> tuple[Path, int]:
    """Create an event file whose name sorts after all others in the directory.

    TensorBoard reads the files of a directory in name order and never returns to an
    earlier one, so a new name must sort last even if the clock was set back.
    """
    directory.mkdir(exist_ok=True)
    found = (names.second(path.name) for path in event_files(directory))
    second = max([int(now()), *(there + 1 for there in found if there is not None)])
    while True:
        path = directory / names.event_file(second, counted())
        try:
            return path, opened(path, os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            second += 1


class EventFile:
    """An event file in `directory`, written by this process only.

    It is created by the first record or by `open`. A process forked from this one, or
    one that unpickles this object, continues in a new file: otherwise a child killed
    during a write would leave half a record in the middle of its parent's file, and no
    reader would get past it.

    Parameters
    ----------
    directory
        An absolute path. It is created if it is missing and its parent exists.
    backlog
        Keeps the records refused by a full disk; shared by the files of a run.
    may_stay
        Called with the file when it is first open: whether it stays open. If it does
        not, it is opened and closed for each record. By default it stays open.
    first
        Called before a file is created, in every process: returns records for it to
        start with.
    find
        Returns where the directory is now. By default, it is not moved.

    Attributes
    ----------
    path : Path
        The file that records go to; the directory, as long as there is no file.

    Notes
    -----
    Once `append` has returned, the record is with the kernel and survives the process,
    however that dies. It is *not* guaranteed to survive a power failure before `flush`.
    If the disk is full, the record stays in this process until there is room.

    Threads may append concurrently: records do not interleave.
    """

    yields = False  # its records may push others out of the backlog

    path: Path
    closed: bool
    directory: Path
    backlog: Backlog
    find: Callable[[], Path] | None
    _may_stay: Callable[[EventFile], bool] | None
    _first: Callable[[], bytes] | None
    _stays: bool | None  # None until the file is first open
    _start: bytes  # the unwritten rest of the first records
    _descriptor: int  # of the file, while it is open
    _fd: int  # the same, while `append` may write directly

    def __init__(
        self,
        directory: Path,
        backlog: Backlog,
        may_stay: Callable[[EventFile], bool] | None = None,
        first: Callable[[], bytes] | None = None,
        find: Callable[[], Path] | None = None,
    ) -> None:
        self.directory = directory
        self.find = find
        self.backlog = backlog
        self._may_stay = may_stay
        self._first = first
        self.closed = False
        self._set_out()

    def _set_out(self) -> None:
        """Set the state of having no file yet."""
        self.path = self.directory
        self._start = b""
        self._descriptor = _NONE
        self._fd = _NONE
        self._stays = None if self._may_stay else True
        _files.add(self)

    def append(self, record: bytes | memoryview) -> None:
        """Write whole records.

        Raises
        ------
        ValueError
            If the file is closed.
        OSError
            If the system refuses the record for a reason other than a full disk.
        """
        fd = self._fd
        try:
            written = write(fd, record)
        except OSError as error:
            self._refused(fd, error)
            written = 0
        if written != len(record):
            self._append_slowly(bytes(record), written)

    def _refused(self, fd: int, error: OSError) -> None:
        """Raise an error of a write, unless it is that of a full or broken disk."""
        if fd == self._fd != _NONE:
            if error.errno not in _FULL | _SPOILT:
                raise error
            # Let a thread with a partly written record go first.
            self._fd = _NONE
            sleep(0.001)

    def open(self) -> None:
        """Create the file now; raise if that fails."""
        self._begin()
        self.resume(True)

    def ensure(self) -> None:
        """Create the file if there is none yet, unless the disk is full.

        Raises
        ------
        OSError
            If that fails for another reason.
        """
        if self.path == self.directory:
            try:
                self._begin()
            except OSError as error:
                if error.errno not in _FULL | _SPOILT:
                    raise

    def flush(self) -> None:
        """Write the waiting records, and wait until the file is on the disk."""
        self.backlog.drain()
        if self.path != self.directory:
            descriptor = self._open_again()
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @property
    def is_open(self) -> bool:
        """Whether the file is open now."""
        return self._descriptor != _NONE

    def is_lost(self) -> bool:
        """Return whether the file was deleted."""
        if self.path == self.directory or self.path.exists():
            return False
        self._locate()
        return not self.path.exists()

    def close(self) -> None:
        """Close the file; records still waiting for room are lost."""
        self.closed = True
        self._release()

    # -- everything beyond one os.write ------------------------------------------------

    def _append_slowly(self, record: bytes, done: int) -> None:
        if self.closed:
            raise ValueError(f"event file is closed: {self.path}")
        self._fd = _NONE  # send other threads here, until all is written
        self.backlog.add(self, record, done)

    def resume(self, nothing_waits: bool) -> None:
        """Let `append` write directly again, if no records are waiting."""
        if self._stays is None and self._may_stay is not None and self.is_open:
            self._stays = self._may_stay(self)
        if not self._stays:
            self._release()
        self._fd = self._descriptor if nothing_waits else _NONE

    def write_on(self, record: bytes, done: int) -> int:
        """Write a record from byte `done` on; return the number of bytes then written.

        It is less than the length of the record if the disk is full.
        """
        try:
            if done and not self._ends_with(record[_whole(record, done) : done]):
                self.give_up()  # another thread's record came in between
                done = _whole(record, done)
            while done < len(record):
                self._begin()
                try:
                    done += os.write(self._descriptor, record[done:])
                except OSError as error:
                    if error.errno not in _SPOILT or self._is_new():
                        raise
                    self.give_up()
                    done = _whole(record, done)
        except BaseException as error:
            if not isinstance(error, OSError) or error.errno not in _FULL | _SPOILT:
                self.give_up()  # an unknown part of the record is in the file
                raise
        return done

    def _begin(self) -> None:
        """Open the file, creating it if necessary, and complete its first records."""
        first = b""
        if self.path == self.directory and self._first is not None:
            first = self._first()
        if self._descriptor == _NONE:
            if self.path == self.directory:  # a signal handler may have created it
                self._locate()
                self._take(*self._create(), first)
            else:
                self._descriptor = self._open_again()
        while self._start:
            written = os.write(self._descriptor, self._start)
            self._start = self._start[written:]

    def _open_again(self) -> int:
        """Open the file that exists, and return its descriptor."""
        try:
            return opened(self.path)
        except FileNotFoundError:
            self._locate()
            return opened(self.path)

    def _locate(self) -> None:
        """Follow the directory, if it was moved."""
        directory = self.directory if self.find is None else self.find()
        if directory != self.directory:
            name = self.path.relative_to(self.directory)
            self.directory, self.path = directory, directory / name

    def _take(self, path: Path, descriptor: int, first: bytes) -> None:
        """Continue in a file that was just created.

        A signal handler may have created another one meanwhile: the later name counts.
        """
        if self.path != self.directory and self.path > path:
            os.close(descriptor)
            return
        if self._descriptor != _NONE:
            os.close(self._descriptor)
        self.path, self._descriptor = path, descriptor
        self._start = self._version() + first

    def _create(self) -> tuple[Path, int]:
        """Create the file, and return it with its descriptor."""
        return create(self.directory)

    def _version(self) -> bytes:
        """Return the record that the file begins with."""
        return records.file_version(now())

    def _is_new(self) -> bool:
        return os.fstat(self._descriptor).st_size <= len(self._version())

    def _ends_with(self, part: bytes) -> bool:
        part = part[-4096:]
        try:
            with self.path.open("rb") as stream:
                stream.seek(-len(part), os.SEEK_END)
                return stream.read() == part
        except OSError:
            return False

    def give_up(self) -> None:
        """Give up this file: the next record goes to a new one, from its first byte."""
        self._release()
        self._set_out()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, _NONE
        self._fd = _NONE
        if descriptor != _NONE:
            os.close(descriptor)

    # -- other processes ---------------------------------------------------------------

    def __getstate__(self) -> dict[str, object]:
        kept = ("directory", "backlog", "_may_stay", "_first", "find", "closed")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._set_out()

    def after_fork(self) -> None:
        """Have no file yet, in a forked process."""
        self._release()
        self._set_out()
        self.backlog.forget()

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self._release()


def _after_fork_in_child() -> None:
    for file in list(_files):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
