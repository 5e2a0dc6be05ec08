"""The recordings file beside an event file, written by this process only."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annarchy_tb.tfevents import names, recordings
from annarchy_tb.tfevents.descriptors import opened
from annarchy_tb.tfevents.event_file import APPEND, EventFile, counted

# Of blocks, in all files of this process. A later process may have the same number (in
# containers it often does), so they begin anywhere.
_numbers = itertools.count(int.from_bytes(os.urandom(4), "little"))


class RecordingFile(EventFile):
    """The recordings beside an event file, with one system call for each block.

    A full disk never makes a block push other records out of memory: it is dropped if
    there is no room. Everything else is as in `EventFile`.

    Parameters
    ----------
    events
        The event file, which is created first: the two names belong together.
    """

    yields = True
    _events: EventFile
    _beside: Path  # the event file when this one was created

    def __init__(self, events: EventFile) -> None:
        self._events = events
        self._beside = events.path
        super().__init__(events.directory, events.backlog, find=events.find)

    def append_parts(self, parts: Sequence[Any]) -> None:
        """Write a record given in parts, bytes and arrays, without copying them.

        Raises
        ------
        ValueError, OSError
            As `append`.
        """
        if self.is_open and self._beside.name != self._events.path.name:
            with self.backlog.lock:
                self.give_up()  # the event file was given up, too
        fd = self._fd
        if fd < 0 or not hasattr(os, "writev"):
            self.append(b"".join(parts))
            return
        try:
            written = os.writev(fd, parts)
        except OSError:
            self._refused(fd)
            written = 0
        if written != sum(memoryview(part).nbytes for part in parts):
            self._append_slowly(fd, b"".join(parts), written)

    def _create(self) -> tuple[Path, int]:
        self._events.create()
        self._beside = self._events.path
        name = names.recording(self._beside.name)
        while True:
            path = self.directory / name
            try:
                return path, opened(path, APPEND | os.O_CREAT | os.O_EXCL)
            except FileExistsError:  # given up, with half a record at its end
                name = names.recording(self._beside.name, counted())

    def _version(self) -> bytes:
        return recordings.version()

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_events": self._events}

    def __setstate__(self, state: dict[str, object]) -> None:
        self._beside = state["directory"]  # type: ignore[assignment]
        super().__setstate__(state)


def next_number() -> int:
    """Return the number of the next block: no other of this process has it."""
    return next(_numbers) % 2**32
