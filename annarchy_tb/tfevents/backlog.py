"""Records that the system refused for now, kept in memory and in order."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from annarchy_tb.inputs.messages import warn_anyway
from annarchy_tb.tfevents import tears

LIMIT = 64 << 20  # bytes


class Writable(Protocol):
    """A file that takes records: see `EventFile`."""

    path: Path
    yields: bool  # its records are dropped if there is no room, not the oldest ones

    def write_on(self, rest: Rest) -> None: ...

    def resume(self, nothing_waits: bool) -> None: ...

    def leave(self, rest: Rest) -> None: ...


class Rest:
    """Whole records, of which a part may be written already.

    Attributes
    ----------
    file : EventFile
        The file that they go to.
    record : bytes
        The records.
    done : int
        How many of their bytes are written.
    path : Path
        The file that these bytes are in: it may have been given up since.
    """

    __slots__ = ("done", "file", "path", "record")

    def __init__(self, file: Writable, record: bytes, done: int, path: Path) -> None:
        self.file = file
        self.record = record
        self.done = done
        self.path = path

    def __len__(self) -> int:
        """Return the number of bytes that are not written yet."""
        return len(self.record) - self.done

    @property
    def whole(self) -> int:
        """The end of the last record that is written as a whole."""
        return tears.whole(self.record, self.done)


class Backlog:
    """Records that the files of one run could not write yet.

    Its lock covers everything that takes more than one ``os.write``: creating a file,
    and completing records after the disk was full. The lock is reentrant, since a
    signal handler may log while its thread holds it. No other lock guards event files;
    run.json and sweeps have file locks: see `run.atomic`.

    Parameters
    ----------
    limit
        The most bytes to keep. Above it, the oldest records are dropped and counted.

    Attributes
    ----------
    lock : threading.RLock
        The lock.
    why : OSError
        The last error for which a record waits, or was dropped.
    dropped : int
        Number of records dropped, other than blocks.
    dropped_blocks : int
        Number of blocks of recordings dropped.
    """

    lock: threading.RLock
    why: OSError
    dropped: int
    dropped_blocks: int
    _limit: int
    _draining: bool
    _writing: Rest | None  # the one of the waiting records that is being written
    _size: int  # of the waiting records, in bytes
    _blocks: int  # how many of them are blocks of recordings
    _waiting: deque[Rest]
    _remarks: list[str]  # warnings to be given without the lock

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self.forget()

    def forget(self) -> None:
        """Drop all records: those that a fork inherits are written by its parent."""
        self.lock = threading.RLock()
        self.why = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._draining, self._writing = False, None
        self._size = self._blocks = 0
        self.dropped = self.dropped_blocks = 0
        self._waiting = deque()
        self._remarks = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __reduce__(self) -> tuple[type[Backlog], tuple[int]]:
        return Backlog, (self._limit,)

    def add(self, rest: Rest) -> None:
        """Write the rest of records, after the waiting ones.

        Whatever the system refuses for now is kept.

        Raises
        ------
        OSError
            If no records are waiting and the system refuses these for good. They are
            then not kept.
        """
        file = rest.file
        with self.lock:
            waited = bool(self._waiting) or self._draining
            if not waited:
                file.write_on(rest)
            if rest:
                self._keep(rest)
            if self._waiting:
                self.drain()
            if self._waiting and not waited:
                self.remark(
                    f"the disk refuses writes to {file.path} ({self.why.strerror}): "
                    f"up to {self._limit >> 20} MiB of records are kept in memory "
                    f"until it takes them"
                )
            file.resume(not self._waiting)
        self.speak()

    def rescue(self, file: Writable, records: list[bytes]) -> None:
        """Keep records of earlier calls, to be written before all others."""
        with self.lock:
            for record in reversed(records):
                self._enter(Rest(file, record, 0, file.path), True)

    def remark(self, message: str) -> None:
        """Have a warning given as soon as the lock is released."""
        self._remarks.append(message)

    def remarks(self) -> list[str]:
        """Return the warnings to be given, once."""
        found, self._remarks = self._remarks, []
        return found

    def speak(self) -> None:
        """Give the warnings; without the lock, for whoever handles them may log."""
        if self._remarks:
            for message in self.remarks():
                warn_anyway(message)

    def lost(self) -> tuple[int, int]:
        """Return how many records, and how many blocks, were dropped or still wait."""
        blocks = sum(rest.file.yields for rest in self._waiting)
        records = len(self._waiting) - blocks
        return self.dropped + records, self.dropped_blocks + blocks

    def drain(self) -> None:
        """Write the waiting records in order, until the system refuses one for now."""
        with self.lock:
            if self._draining:  # called again by a signal handler
                return
            self._draining = True
            try:
                while self._waiting and self._write_first():
                    pass
            finally:
                self._draining, self._writing = False, None

    def _write_first(self) -> bool:
        """Write the first waiting record; return whether that is settled.

        It waits until then, so that Ctrl-C does not lose it.
        """
        rest = self._writing = self._waiting[0]
        try:
            rest.file.write_on(rest)
        except OSError as error:
            self.why = error
            if not self.dropped:
                self.remark(f"a record that was waiting is dropped: {error}")
            self._drop(rest)
        else:
            if rest:
                return False
        self._waiting.remove(rest)  # records to be rescued may be before it
        self._size -= len(rest.record)
        self._blocks -= rest.file.yields
        return True

    def _keep(self, rest: Rest) -> None:
        if rest.file.yields and self._size + len(rest.record) > self._limit:
            if not self.dropped_blocks:
                self.remark(
                    f"the disk refuses writes to {rest.file.path} "
                    f"({self.why.strerror}), and there is no room in memory: of "
                    f"recordings, only what is drawn is kept"
                )
            self._drop(rest)
            if rest.done:
                rest.file.leave(rest)
            return
        # The rest of a record must be written next.
        self._enter(rest, rest.done > 0 and not self._draining)

    def _enter(self, rest: Rest, first: bool) -> None:
        if first:
            self._waiting.appendleft(rest)
        else:
            self._waiting.append(rest)
        self._size += len(rest.record)
        self._blocks += rest.file.yields
        while self._size > self._limit and len(self._waiting) > 1:
            place = self._oldest()
            if place is None:
                return
            gone = self._waiting[place]
            del self._waiting[place]
            self._size -= len(gone.record)
            self._blocks -= gone.file.yields
            if not gone.file.yields and not self.dropped:
                self.remark(
                    f"more than {self._limit >> 20} MiB are waiting for the disk "
                    f"({self.why.strerror}): the oldest records are dropped"
                )
            self._drop(gone)

    def _drop(self, rest: Rest) -> None:
        if rest.file.yields:
            self.dropped_blocks += 1
        else:
            self.dropped += 1

    def _oldest(self) -> int | None:
        """Return the place of the oldest block or, without one, of the oldest record.

        Those that are written in part don't count: their files would be torn. Nor does
        the one that is being written.
        """
        for blocks in (True, False) if self._blocks else (False,):
            for place, rest in enumerate(self._waiting):
                free = not rest.done and rest is not self._writing
                if free and (rest.file.yields or not blocks):
                    return place
        return None
