"""What a full disk did not take: kept in memory, in order, up to a bound."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING

from annarchy_tb.messages import warn

if TYPE_CHECKING:
    from annarchy_tb.events import EventFile

LIMIT = 64 << 20  # bytes


class Backlog:
    """The records that the files of one run could not write yet.

    Parameters
    ----------
    limit
        The most bytes to keep. Beyond it the oldest records are dropped, and counted.

    Attributes
    ----------
    lock
        Held while a file does more than one ``os.write``. It is the only lock of this
        package, and nobody meets it while the disk takes all.
    dropped : int
        How many records were dropped.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self.forget()

    def forget(self) -> None:
        """Start anew: what a forked process inherits is its parent's to write."""
        self.lock = threading.Lock()
        self.dropped = 0
        self._size = 0
        # The file, the record, and how many of its bytes are written already.
        self._waiting: deque[tuple[EventFile, bytes, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __reduce__(self) -> tuple[type[Backlog], tuple[int]]:
        return Backlog, (self._limit,)

    def add(self, file: EventFile, record: bytes, done: int) -> None:
        """Write a record behind all that waits, or keep it too.

        Raises
        ------
        OSError
            If nothing waits, and the system refuses the record for another reason than
            a full disk. It is not kept then.
        """
        first = not self._waiting
        if first:
            done = file.write_on(record, done)
            if done == len(record):
                return
        if done:  # the rest of it has to follow at once
            self._waiting.appendleft((file, record, done))
        else:
            self._waiting.append((file, record, done))
        self._size += len(record)
        self.drain()
        if self._size > self._limit:
            self._drop()
        if first and self._waiting:
            warn(
                f"the disk does not take {file.path}: what is logged waits in memory, "
                f"up to {self._limit >> 20} MiB, until there is room"
            )

    def drain(self) -> None:
        """Write what waits, in order, until the system refuses."""
        with contextlib.suppress(OSError):
            while self._waiting:
                file, record, done = self._waiting[0]
                done = file.write_on(record, done)
                if done < len(record):
                    self._waiting[0] = (file, record, done)
                    return
                self._waiting.popleft()
                self._size -= len(record)

    def _drop(self) -> None:
        if not self.dropped:
            warn(
                f"the disk is still full, and more than {self._limit >> 20} MiB wait: "
                f"the oldest records are dropped"
            )
        while self._size > self._limit and len(self._waiting) > 1:
            oldest = 1 if self._waiting[0][2] else 0  # what is half written has to stay
            self._size -= len(self._waiting[oldest][1])
            del self._waiting[oldest]
            self.dropped += 1
