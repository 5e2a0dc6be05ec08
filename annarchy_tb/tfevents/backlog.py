"""What a full disk did not take: kept in memory, in order, up to a bound."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from annarchy_tb.inputs.messages import warn

LIMIT = 64 << 20  # bytes


class Writable(Protocol):
    """What records are written to: see `EventFile`."""

    path: Path

    def write_on(self, record: bytes, done: int) -> int: ...

    def resume(self, nothing_waits: bool) -> None: ...


class Backlog:
    """The records that the files of one run could not write yet.

    It holds the only lock of this package, for whatever takes more than one
    ``os.write``: making a file, and writing on after the disk was full. A thread may
    come back to it while it holds it, from a signal handler that logs.

    Parameters
    ----------
    limit
        The most bytes to keep. Beyond it the oldest records are dropped, and counted.

    Attributes
    ----------
    dropped : int
        How many records were dropped.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self.forget()

    def forget(self) -> None:
        """Start anew: what a forked process inherits is its parent's to write."""
        self._lock = threading.RLock()
        self._draining = False
        self._size = 0
        self.dropped = 0
        # The file, the record, and how many of its bytes are written already.
        self._waiting: deque[tuple[Writable, bytes, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __reduce__(self) -> tuple[type[Backlog], tuple[int]]:
        return Backlog, (self._limit,)

    def add(self, file: Writable, record: bytes, done: int) -> None:
        """Write a record, of which `done` bytes are written, behind all that waits.

        What the disk does not take is kept.

        Raises
        ------
        OSError
            If nothing waits, and the system refuses the record for another reason than
            a full disk. It is not kept then.
        """
        with self._lock:
            waited, dropped = len(self._waiting), self.dropped
            if not waited:
                done = file.write_on(record, done)
            if waited or done < len(record):
                self._keep(file, record, done)
                self.drain()
            file.resume(not self._waiting)
            waits = not waited and self._waiting
            drops = not dropped and self.dropped
        # Without the lock, for somebody may log what they are warned of.
        if waits:
            warn(
                f"the disk does not take {file.path}: what is logged waits in memory, "
                f"up to {self._limit >> 20} MiB, until there is room"
            )
        if drops:
            warn(
                f"the disk is still full, and more than {self._limit >> 20} MiB wait: "
                f"the oldest records are dropped"
            )

    def drain(self) -> None:
        """Write what waits, in order, until the system refuses."""
        with self._lock, contextlib.suppress(OSError):
            if self._draining:  # come back to by a signal handler
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
            finally:
                self._draining = False

    def _keep(self, file: Writable, record: bytes, done: int) -> None:
        if done and not self._draining:  # the rest of it has to follow at once
            self._waiting.appendleft((file, record, done))
        else:
            self._waiting.append((file, record, done))
        self._size += len(record)
        while self._size > self._limit and len(self._waiting) > 1:
            oldest = 1 if self._draining or self._waiting[0][2] else 0
            self._size -= len(self._waiting[oldest][1])
            del self._waiting[oldest]
            self.dropped += 1
