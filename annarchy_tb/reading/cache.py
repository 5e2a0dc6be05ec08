"""What was read from event files and recordings, kept for the next question.

Reading tag by tag takes one pass over the files. The least recently used directory is
forgotten first. A file that has grown is read on; if one was cut, replaced or removed,
its directory is read again.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from annarchy_tb.kinds.scalar import Sorted
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.recordings import Index, Stored
from annarchy_tb.tfevents.scan import Block, Damage, Scan

LIMIT = 256 << 20  # bytes, of this process

State = tuple[int, int, int]  # of a file: device, inode and size


class Contents(NamedTuple):
    """The contents of the event files of a directory.

    Attributes
    ----------
    blocks : list of Sorted
        Their records, in order.
    damage : list of Damage
        Where files are damaged or incomplete.
    """

    blocks: list[Sorted]
    damage: list[Damage]


class _Directory:
    """A directory as far as it has been read, which takes about `size` bytes."""

    size: int
    _blocks: list[Sorted]
    _files: dict[Path, State]
    _scan: Scan
    _recordings: dict[Path, State]
    _index: Index | None

    def __init__(self) -> None:
        self._forget()
        self._recordings, self._index = {}, None

    def _forget(self) -> None:
        self.size, self._blocks = 0, []
        self._files = {}
        self._scan = Scan()

    def read(self, files: dict[Path, State]) -> Contents:
        """Read what is new in the event files of the directory."""
        if not _continues(self._files, files):
            self._forget()
        for path, state in files.items():
            if self._files.get(path) != state:
                # What was incomplete is looked at again.
                damage = self._scan.damage
                damage[:] = [
                    one for one in damage if one.path != path or self._scan.passed(one)
                ]
                for block in self._scan.files([path]):
                    if block.columns or block.others:
                        self._blocks.append(Sorted(block))
                        self.size += _size(block)
        self._files = files
        return Contents(list(self._blocks), list(self._scan.damage))

    def index(self, directory: Path) -> Index:
        """Return the recordings of the directory."""
        there = _states(recordings.files(directory))
        if self._index is None or there != self._recordings:
            self._recordings, self._index = there, Index(directory)
        return self._index


def _continues(before: dict[Path, State], now: dict[Path, State]) -> bool:
    """Return whether files have only grown, or been added after all others."""
    if list(now)[: len(before)] != list(before):
        return False
    return all(
        state[:2] == now[path][:2] and state[2] <= now[path][2]
        for path, state in before.items()
    )


def _states(paths: Iterable[Path]) -> dict[Path, State]:
    found = {}
    for path in paths:
        try:
            its = path.stat()
        except FileNotFoundError:  # moved away by a resume meanwhile
            continue
        found[path] = (its.st_dev, its.st_ino, its.st_size)
    return found


def _size(block: Block) -> int:
    """Return about how many bytes the contents of a block take."""
    arrays = sum(
        array.nbytes
        for columns in block.columns
        for array in (*columns[1:5], *columns.values, *columns.values)
    )
    others = sum(
        200 + sum(100 + len(value.raw) for value in event.values)
        for _, event in block.others
    )
    return arrays + others


class Cache:
    """The directories that were read last, and blocks of several tags."""

    _lock: threading.RLock
    _directories: OrderedDict[Path, _Directory]
    _arrays: OrderedDict[tuple[Path, int, State], dict[str, Any]]
    _taken: int  # bytes, about

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget everything, also in a forked process."""
        self._lock = threading.RLock()
        self._directories = OrderedDict()
        self._arrays = OrderedDict()
        self._taken = 0

    def contents(self, directory: Path) -> Contents | None:
        """Return the contents of a directory; None if they are too large to be kept."""
        files = _states(event_files(directory))
        if sum(size for *_, size in files.values()) > LIMIT // 2:
            return None
        with self._lock:
            found = self._directories.pop(directory, None) or _Directory()
            self._taken -= found.size
            try:
                contents = found.read(files)
            finally:
                self._directories[directory] = found
                self._taken += found.size
            self._shrink()
            return contents

    def index(self, directory: Path) -> Index:
        """Return the recordings of a directory."""
        with self._lock:
            found = self._directories.get(directory)
            return Index(directory) if found is None else found.index(directory)

    def arrays(self, stored: Stored) -> dict[str, Any]:
        """Return the arrays of a block, as `Stored.arrays`.

        Those of several tags are kept, and must not be changed.
        """
        if len(stored.tags) < 2:
            return stored.arrays()
        [state] = _states([stored.path]).values() or [(0, 0, 0)]
        key = (stored.path, stored.offset, state)
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
            found = self._arrays[key] = stored.arrays()
            self._taken += _bytes(found)
            self._shrink()
            return found

    def _shrink(self) -> None:
        """Forget what was not used for the longest time, down to the limit."""
        while self._taken > LIMIT and self._arrays:
            self._taken -= _bytes(self._arrays.popitem(last=False)[1])
        while self._taken > LIMIT and self._directories:
            self._taken -= self._directories.popitem(last=False)[1].size


def _bytes(arrays: dict[str, Any]) -> int:
    return sum(array.nbytes for array in arrays.values())


cache = Cache()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=cache.forget)
