"""Records refused by a full disk, kept in memory and in order, up to a limit."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from annarchy_tb.inputs.messages import warn_anyway

LIMIT = 64 << 20  # bytes


class Writable(Protocol):
    """A file that takes records: see `EventFile`."""

    path: Path
    yields: bool  # its records are dropped if there is no room, not the oldest ones

    def write_on(self, record: bytes, done: int) -> int: ...

    def resume(self, nothing_waits: bool) -> None: ...

    def give_up(self) -> None: ...


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
    dropped : int
        Number of records dropped, other than blocks.
    dropped_blocks : int
        Number of blocks of recordings dropped.
    """

    dropped: int
    dropped_blocks: int
    _limit: int
    _lock: threading.RLock
    _draining: bool
    _size: int  # of the waiting records, in bytes
    _blocks: int  # how many of them are blocks of recordings
    # The file, the record, and how many of its bytes are written already.
    _waiting: deque[tuple[Writable, bytes, int]]

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self.forget()

    def forget(self) -> None:
        """Drop all records: those that a fork inherits are written by its parent."""
        self._lock = threading.RLock()
        self._draining = False
        self._size = self._blocks = 0
        self.dropped = self.dropped_blocks = 0
        self._waiting = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __reduce__(self) -> tuple[type[Backlog], tuple[int]]:
        return Backlog, (self._limit,)

    def add(self, file: Writable, record: bytes, done: int) -> None:
        """Write a record, `done` bytes of which are written, after the waiting ones.

        Whatever a full disk refuses is kept.

        Raises
        ------
        OSError
            If no records are waiting and the system refuses this one for a reason other
            than a full disk. The record is then not kept.
        """
        with self._lock:
            waited, dropped = len(self._waiting), self.dropped
            dropped_blocks = self.dropped_blocks
            if not waited:
                done = file.write_on(record, done)
            if waited or done < len(record):
                self._keep(file, record, done)
                self.drain()
            file.resume(not self._waiting)
            waits = not waited and self._waiting
            drops = not dropped and self.dropped
            drops_blocks = not dropped_blocks and self.dropped_blocks
        # Warn without the lock: whoever handles a warning may log it.
        if waits:
            warn_anyway(
                f"the disk refuses writes to {file.path}: up to {self._limit >> 20} "
                f"MiB of records are kept in memory until there is room"
            )
        if drops_blocks:
            warn_anyway(
                f"the disk refuses writes to {file.path}, and there is no room in "
                f"memory: of recordings, only the points that are drawn are kept"
            )
        if drops:
            warn_anyway(
                f"the disk is still full, and more than {self._limit >> 20} MiB are "
                f"waiting: the oldest records are dropped"
            )

    def lost(self) -> tuple[int, int]:
        """Return how many records, and how many blocks, were dropped or still wait."""
        blocks = sum(file.yields for file, _, _ in self._waiting)
        records = len(self._waiting) - blocks
        return self.dropped + records, self.dropped_blocks + blocks

    def drain(self) -> None:
        """Write the waiting records in order, until the system refuses one."""
        with self._lock, contextlib.suppress(OSError):
            if self._draining:  # called again by a signal handler
                return
            self._draining = True
            try:
                while self._waiting:
                    file, record, done = self._waiting[0]
                    done = file.write_on(record, done)
                    if done < len(record):
                        self._waiting[0] = (file, record, done)
                        return
                    self._waiting.popleft()
                    self._size -= len(record)
                    self._blocks -= file.yields
            finally:
                self._draining = False

    def _keep(self, file: Writable, record: bytes, done: int) -> None:
        if file.yields and self._size + len(record) > self._limit:
            self.dropped_blocks += 1
            if done:
                file.give_up()
            return
        if done and not self._draining:  # its rest must be written next
            self._waiting.appendleft((file, record, done))
        else:
            self._waiting.append((file, record, done))
        self._size += len(record)
        self._blocks += file.yields
        while self._size > self._limit and len(self._waiting) > 1:
            first = 1 if self._draining or self._waiting[0][2] else 0
            place = self._first_block(first)
            its, gone, _ = self._waiting[place]
            self._size -= len(gone)
            del self._waiting[place]
            if its.yields:
                self._blocks -= 1
                self.dropped_blocks += 1
            else:
                self.dropped += 1

    def _first_block(self, first: int) -> int:
        """Return the place of the oldest block from there on, if there is one."""
        if self._blocks:
            for place, (file, *_) in enumerate(self._waiting):
                if place >= first and file.yields:
                    return place
        return first
