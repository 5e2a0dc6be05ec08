"""Append-only event files: one ``os.write`` per record, and no threads."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import weakref
from collections.abc import Callable
from os import write
from pathlib import Path
from time import sleep
from time import time as now

from annarchy_tb.tfevents import names, records, tears
from annarchy_tb.tfevents.backlog import Backlog, Rest
from annarchy_tb.tfevents.descriptors import copied, opened

APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
_NONE = -1  # no descriptor

# Nothing was written, and the file is as it was: it is written again later.
_UNTOUCHED = frozenset(
    number
    for name in (
        *("ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS"),
        *("EKEYEXPIRED", "EKEYREVOKED", "EKEYREJECTED", "ENOKEY"),
    )
    if (number := getattr(errno, name, None)) is not None
)
# No waiting helps. After all other errors, the file ends where it is.
_HOPELESS = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
        *(errno.EINVAL, errno.EFAULT, errno.EFBIG),
        None,  # not of the system
    }
)
# What waits even in a run in which nothing was written yet.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE})
# Some file systems only let a new file be appended to.
_NO_REOPENING = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})

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
            return path, opened(path, APPEND | os.O_CREAT | os.O_EXCL)
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
    If the system refuses it for now, the record stays in this process until it does
    not.

    Threads may append concurrently: records do not interleave. If one is written in
    part, others may follow that part; they are then written again, to the next file.

    Other code that closes descriptors may close this one, too. An error of the next
    write shows that, unless the number belongs to another file by then: only `flush`
    and `close` detect this, because looking costs as much as a write.
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
    _begun: bool  # this session has written, so it waits for what is refused
    _next: bytes  # what the next file starts with
    _asked: bool  # what it starts with is known
    _start: bytes  # the unwritten rest of the first records
    _first_size: int  # of the first records
    _descriptor: int  # of the file, while it is open
    _identity: tuple[int, int] | None  # its device and inode, if it stays open
    _fd: int  # the descriptor, while `append` may write directly
    _written: dict[int, Path]  # the files of all its values
    _torn: dict[Path, tuple[bytes, int | None]]  # see `_rescue`

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
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Set the state of this process having written nothing yet."""
        self._begun = self._first is None
        self._next = b""
        self._written, self._torn = {}, {}
        self._set_out()

    def _set_out(self) -> None:
        """Set the state of having no file yet."""
        self.path = self.directory
        self._asked = False
        self._start = b""
        self._first_size = 0
        self._identity = None
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
            If the system refuses the record for good: its directory is gone, for
            example, or no file may be as large as the record.
        """
        fd = self._fd
        try:
            written = write(fd, record)
        except OSError:
            self._refused(fd)
            written = 0
        if written != len(record):
            self._append_slowly(fd, bytes(record), written)

    def _refused(self, fd: int) -> None:
        """Send all threads to the checked path after a write was refused."""
        if fd == self._fd != _NONE:
            # Let a thread with a partly written record go first.
            self._fd = _NONE
            sleep(0.001)

    def open(self) -> None:
        """Create the file now; raise if that fails."""
        with self.backlog.lock:
            self._begin()
            self.resume(True)

    def ensure(self) -> None:
        """Create the file if there is none yet, unless the system refuses it for now.

        Raises
        ------
        OSError
            If it refuses it for good.
        """
        if self.path == self.directory:
            try:
                self.create()
            except OSError as error:
                if self._is_final(error):
                    raise

    def create(self) -> None:
        """Create the file if there is none yet; raise if that fails."""
        with self.backlog.lock:
            self._begin()

    def flush(self) -> None:
        """Write the waiting records, and wait until the file is on the disk."""
        self.look_again()
        self.backlog.drain()
        with self.backlog.lock:
            if self.path == self.directory:
                return
            self._check_descriptor()
            if self._descriptor != _NONE:
                descriptor = copied(self._descriptor)
            else:
                descriptor = self._reopen_to_sync()
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _reopen_to_sync(self) -> int:
        try:
            return self._reopen(APPEND)
        except OSError as error:
            if error.errno not in _NO_REOPENING:
                raise
        return self._reopen(os.O_RDONLY)

    def _reopen(self, flags: int) -> int:
        """Open the file that exists, wherever it is now; return its descriptor."""
        try:
            return opened(self.path, flags)
        except FileNotFoundError:
            self._locate()
            return opened(self.path, flags)

    def _locate(self) -> None:
        """Follow the directory, if it was moved."""
        before = self.directory
        self.directory = before if self.find is None else self.find()
        if self.directory != before:
            self.path = self.directory / self.path.relative_to(before)
            self._torn = {
                self.directory / path.name: tear for path, tear in self._torn.items()
            }

    def look_again(self) -> None:
        """Rescue what was written to torn files while they were given up."""
        if self._torn:
            with self.backlog.lock:
                self._rescue()

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

    def _append_slowly(self, fd: int, record: bytes, done: int) -> None:
        if self.closed:
            raise ValueError(f"event file is closed: {self.path}")
        self._fd = _NONE  # send other threads here, until all is written
        self.backlog.add(Rest(self, record, done, self._written.get(fd, self.path)))

    def resume(self, nothing_waits: bool) -> None:
        """Let `append` write directly again, if no records are waiting."""
        if self._stays is None and self._may_stay is not None and self.is_open:
            self._stays = self._may_stay(self)
        if not self._stays:
            self._release()
        if nothing_waits and self._descriptor != _NONE:
            self._written[self._descriptor] = self.path
            self._fd = self._descriptor
        else:
            self._fd = _NONE

    def write_on(self, rest: Rest) -> None:
        """Write the rest of records, or less of it if the system refuses it for now.

        Raises
        ------
        OSError
            If it refuses it for good.
        """
        try:
            while rest:
                self._begin()
                if rest.path.name != self.path.name:  # it was begun in an earlier file
                    rest.done, rest.path = rest.whole, self.path
                if rest.done == rest.whole:
                    written = self._write(rest, len(rest.record))
                    rest.done += written
                else:
                    self._complete(rest)
        except OSError as error:
            self.backlog.why = error
            if self._is_final(error):
                self.leave(rest)
                raise
        except BaseException:  # Ctrl-C: an unknown part of the record is in the file
            if rest.path == self.path and self._end_of(rest.record[rest.whole :]):
                rest.done = len(rest.record)  # all of it
            else:
                self.leave(rest)
            raise

    def _complete(self, rest: Rest) -> None:
        """Write on where a record was cut off, or leave the file if that is torn."""
        whole, done = rest.whole, rest.done
        at = self._end_of(rest.record[whole:done])
        if at is not None:
            written = self._write(rest, whole + tears.size(rest.record, whole))
            if not written or self._holds(at, rest.record[done : done + written]):
                rest.done += written
                return
        self.leave(rest)

    def _write(self, rest: Rest, end: int) -> int:
        """Write the rest up to a byte; return how many were written."""
        try:
            return os.write(self._descriptor, rest.record[rest.done : end])
        except OSError as error:
            if error.errno == errno.EBADF:
                self._release()  # the next attempt opens it again
                raise
            if error.errno in _UNTOUCHED:
                raise
            if self._is_new(rest.done - rest.whole):
                if error.errno != errno.EFBIG:
                    raise
                number = tears.size(rest.record, rest.whole)
                raise OSError(
                    error.errno,
                    f"{error.strerror}: no file takes a record of {number} bytes",
                    str(self.path),
                ) from error
            self.leave(rest)
        return 0

    def _is_final(self, error: OSError) -> bool:
        """Return whether no waiting helps."""
        if not self._begun:
            return error.errno not in _FULL
        return error.errno in _HOPELESS

    def _begin(self) -> None:
        """Open the file, creating it if necessary, and complete its first records."""
        self._check_descriptor()
        if self._descriptor == _NONE and self.path != self.directory:
            try:
                self._hold(self._reopen(APPEND))
            except OSError as error:
                if error.errno not in _NO_REOPENING:
                    raise
                self._may_stay = None  # it could not be opened again either
                self.give_up()
        if self.path == self.directory:
            if self._first is not None and not self._asked:
                self._next += self._first()
                self._asked = True
            self._begun = True
            if self.path == self.directory:  # a signal handler may have created it
                self._locate()
                self._take(*self._create())
        while self._start:
            written = os.write(self._descriptor, self._start)
            self._start = self._start[written:]

    def _take(self, path: Path, descriptor: int) -> None:
        """Continue in a file that was just created.

        A signal handler may have created another one meanwhile: the later name counts.
        """
        first, self._next = self._next, b""
        if self.path != self.directory and self.path > path:
            os.close(descriptor)
            self._start += first
            return
        self._release()
        self.path = path
        self._hold(descriptor)
        self._start = self._version() + first
        self._first_size = len(self._start)

    def _hold(self, descriptor: int) -> None:
        self._descriptor, self._identity = descriptor, None
        if self._stays is not False:  # else it is closed at once
            with contextlib.suppress(OSError):
                there = os.fstat(descriptor)
                self._identity = (there.st_dev, there.st_ino)

    def _check_descriptor(self) -> None:
        """Forget the descriptor if other code has closed it."""
        if self._descriptor == _NONE or self._identity is None:
            return
        try:
            there = os.fstat(self._descriptor)
        except OSError as error:
            if error.errno != errno.EBADF:
                return
            now_of = "it is opened again"
        else:
            if (there.st_dev, there.st_ino) == self._identity:
                return
            now_of = "what was logged since may have gone to another file"
            with contextlib.suppress(OSError):
                now_of += f", {os.readlink(f'/proc/self/fd/{self._descriptor}')}"
        self._descriptor = self._fd = _NONE
        self.backlog.remark(
            f"other code has closed the descriptor of {self.path}: {now_of}"
        )

    def _create(self) -> tuple[Path, int]:
        """Create the file, and return it with its descriptor."""
        return create(self.directory)

    def _version(self) -> bytes:
        """Return the record that the file begins with."""
        return records.file_version(now())

    def _is_new(self, part: int) -> bool:
        """Return whether the file holds no more than its first records and a part."""
        try:
            there = os.fstat(self._descriptor).st_size
        except OSError:
            return False
        return there - part <= self._first_size

    def _end_of(self, part: bytes) -> int | None:
        """Return the end of the file, None if it does not end with this part."""
        part = part[-4096:]
        try:
            with self.path.open("rb") as stream:
                end = stream.seek(-len(part), os.SEEK_END) + len(part)
                return end if stream.read() == part else None
        except OSError:
            return None

    def _holds(self, at: int, part: bytes) -> bool:
        """Return whether the file has these bytes there."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(at)
                return stream.read(len(part)) == part
        except OSError:
            return False

    def give_up(self) -> None:
        """Give up this file: the next record goes to a new one, from its first byte."""
        self._release()
        self._set_out()

    def leave(self, rest: Rest) -> None:
        """Give up this file, which may hold a part of a record; rescue what follows."""
        path, part = self.path, rest.record[rest.whole : rest.done]
        self.give_up()
        rest.done -= len(part)
        if path != self.directory:
            self._torn[path] = (part, None)
            self._rescue()

    def _rescue(self) -> None:
        """Write whole records behind a tear again, also those that came meanwhile.

        A thread may have been writing to the file while it was given up.
        """
        for path, (part, end) in list(self._torn.items()):
            try:
                if end is None:
                    found = tears.behind(path, part)
                else:
                    found = tears.after(path, end)
            except OSError:
                continue  # it may be readable later
            if found is None:
                del self._torn[path]
            else:
                self._torn[path] = (part, found[1])
                self.backlog.rescue(self, found[0])

    def _release(self) -> None:
        self._check_descriptor()
        descriptor, self._descriptor = self._descriptor, _NONE
        self._fd = _NONE
        if descriptor != _NONE:
            try:
                os.close(descriptor)
            except OSError as error:
                if error.errno != errno.EBADF:  # other code has just closed it
                    raise

    # -- other processes ---------------------------------------------------------------

    def __getstate__(self) -> dict[str, object]:
        kept = ("directory", "backlog", "_may_stay", "_first", "find", "closed")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._begin_anew()

    def after_fork(self) -> None:
        """Have no file yet, in a forked process."""
        self._release()
        self._begin_anew()
        self.backlog.forget()

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self._release()


def _after_fork_in_child() -> None:
    for file in list(_files):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
