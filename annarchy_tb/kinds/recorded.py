"""Scalars from event files and recordings, in the order in which they were written.

An event that was drawn from a recording gives the place of its block; its own point is
one of those of the block. If the block is missing, the points that were drawn are all
there is.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.messages import warn
from annarchy_tb.kinds.scalar import (
    Bad,
    ByTag,
    Column,
    Scalars,
    Sorted,
    by_tag,
    joined,
    together,
)
from annarchy_tb.tfevents.names import recording, whole
from annarchy_tb.tfevents.parsing import NO_BLOCK
from annarchy_tb.tfevents.phases import Segment
from annarchy_tb.tfevents.recordings import SERIES, Index, Stored
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.values import warn_of_bad

THREADS, FEW = 4, 16  # blocks are read at once, if there are many
EXACT = 2**53  # whole numbers up to this one are exact in float64


class Recorded:
    """Points of one tag in one block, by the order of writing.

    Attributes
    ----------
    stored : Stored or None
        The block, None if it is missing.
    drawn : list of Scalars
        The points that were drawn from it.
    values : array or None
        Its values, once they have been read.
    """

    __slots__ = ("drawn", "steps", "stored", "times", "values")
    stored: Stored | None
    drawn: list[Scalars]
    values: NDArray[Any] | None
    steps: NDArray[np.int64] | None
    times: NDArray[np.float64] | None

    def __init__(self, stored: Stored | None) -> None:
        self.stored = stored
        self.drawn = []
        self.values = self.steps = self.times = None


Part = Scalars | Recorded


def points(
    blocks: Iterable[Sorted],
    tags: Collection[str],
    index: Index,
    arrays: Callable[[Stored], dict[str, NDArray[Any]]],
) -> dict[str, Scalars]:
    """Return the points of these tags, or of all tags if `tags` is empty.

    Parameters
    ----------
    blocks
        The records of the event files.
    tags
        The tags.
    index
        The recordings.
    arrays
        Reads the arrays of a block, as `Stored.arrays`; they are not changed.
    """
    collected = _Collected(tuple(tags), index)
    bad: Bad = {}
    for one in blocks:
        its, odd = one.scalars
        collected.add(one.block, its)
        for tag, said in odd.items():
            bad.setdefault(tag, []).extend(said)
    collected.finish()
    for tag, said in bad.items():
        if not tags or tag in tags:
            warn_of_bad(tag, said)
    found: dict[str, Scalars] = {}
    _read(collected.parts, arrays)
    missing = collected.missing
    for tag, parts in collected.parts.items():
        missing |= any(isinstance(p, Recorded) and p.values is None for p in parts)
        points = _joined(tag, parts)
        if points is not None:
            found[tag] = points
    if missing:
        warn(
            "blocks of recordings are missing or damaged: of these series, only the "
            "points that were drawn are left"
        )
    return found


def block_points(stored: Stored) -> dict[str, Scalars]:
    """Read a block; return its points by their tags.

    Raises
    ------
    ValueError, OSError
        As `Stored.arrays`.
    """
    its = stored.arrays()
    table = its["values"].reshape(stored.points, -1)
    steps, times = its.get("steps"), its.get("times")
    return {
        tag: _scalars(stored, table[:, k].copy(), steps, times)
        for k, tag in enumerate(stored.tags)
    }


class _Collected:
    """The parts of each tag, in order, while the event files are read.

    `missing` tells whether blocks are missing that once were there.

    Parameters
    ----------
    wanted
        The tags to collect; all if it is empty.
    index
        The recordings of the directory.
    """

    parts: dict[str, list[Part]]
    missing: bool
    _wanted: tuple[str, ...]
    _index: Index
    _path: Path | None  # the event file being read, in parts or not
    _seen: dict[str, dict[tuple[Path, int], Recorded]]  # by tag
    _left: dict[str, deque[Stored]]  # blocks of recordings that were not added

    def __init__(self, wanted: tuple[str, ...], index: Index) -> None:
        self.parts, self.missing = {}, False
        self._wanted = wanted
        self._index = index
        self._path = None
        self._seen, self._left = {}, {}

    def add(self, block: Block, its: ByTag) -> None:
        """Add some records of an event file."""
        path = block.path.with_name(whole(block.path.name))
        if self._path != path:
            self._finish_file()
            self._path = path
        restarts = any(event.restarts for _, event in block.others)
        if not restarts:
            self._add(block.path, its)
            return
        for part, step in _segments(block):
            self._add(block.path, by_tag(part)[0])
            if step is not None:
                self._withdraw(step)

    def _withdraw(self, step: int) -> None:
        """Leave out all points from a step on that were added until now."""
        for parts in self.parts.values():
            for at, part in enumerate(parts):
                if isinstance(part, Scalars):
                    left = part.steps < step
                    parts[at] = Scalars.of([column[left] for column in part])

    def _add(self, path: Path, its: ByTag) -> None:
        wanted = self._wanted
        tags = [tag for tag in its if tag in wanted] if len(wanted) > 1 else wanted
        for tag in tags if wanted else its:
            for number, part in its.get(tag, ()):
                if number == NO_BLOCK:
                    self.parts.setdefault(tag, []).append(part)
                else:
                    self._add_drawn(tag, path, number, part)

    def _add_drawn(self, tag: str, path: Path, number: int, drawn: Scalars) -> None:
        seen = self._seen.setdefault(tag, {})
        if (path, number) not in seen:
            stored = self._index.find(path, number, tag)
            if stored is not None:
                self.missing |= not self._index.is_whole(stored)
                self._add_before(stored)
            seen[path, number] = self._add_stored(tag, stored)
        seen[path, number].drawn.append(drawn)

    def _add_before(self, stored: Stored) -> None:
        """Add the blocks before one in its file; of some of them no event was drawn."""
        name = whole(stored.path.name)
        if name not in self._left:
            self._left[name] = deque(self._index.file(name))
        left = self._left[name]
        while left and left[0].place < stored.place:
            self._add_rest([left.popleft()])

    def _add_stored(self, tag: str, stored: Stored | None) -> Recorded:
        seen, parts = self._seen.setdefault(tag, {}), self.parts.setdefault(tag, [])
        key = None if stored is None else (stored.path, stored.number)
        if key is not None and key in seen:
            return seen[key]
        recorded = Recorded(stored)
        parts.append(recorded)
        if key is not None:
            seen[key] = recorded
        return recorded

    def _finish_file(self) -> None:
        """Add the blocks beside a file from which no event was drawn."""
        if self._path is not None:
            self._add_rest(self._index.file(recording(self._path.name)))

    def _add_rest(self, blocks: Iterable[Stored]) -> None:
        for stored in blocks:
            if stored.kind == SERIES:
                self.missing |= not self._index.is_prefix(stored)
                for tag in stored.tags:
                    if tag in self._wanted or not self._wanted:
                        self._add_stored(tag, stored)

    def finish(self) -> None:
        """Add all blocks that are left."""
        self._finish_file()
        self._add_rest(self._index.all())


def _segments(block: Block) -> Iterator[tuple[Block, int | None]]:
    """Yield the parts of a block, each up to an event that restarts, and its step."""
    ends = [(place, event.step) for place, event in block.others if event.restarts]
    begin = 0
    for end, step in [*ends, (None, None)]:
        inside = [
            (place, event)
            for place, event in block.others
            if begin <= place and (end is None or place < end)
        ]
        columns = []
        for its in block.columns:
            left = its.places >= begin
            if end is not None:
                left &= its.places < end
            columns.append(its.only(left))
        yield Block(block.path, columns, inside, block.phases), step
        begin = begin if end is None else end


def _read(
    parts: dict[str, list[Part]], arrays: Callable[[Stored], dict[str, NDArray[Any]]]
) -> None:
    """Read the blocks of all parts, each once, in the order of the files."""
    wanted: dict[Stored, list[tuple[str, Recorded]]] = {}
    for tag, those in parts.items():
        for part in those:
            if isinstance(part, Recorded) and part.stored is not None:
                wanted.setdefault(part.stored, []).append((tag, part))
    room = _room(parts)
    alone: list[tuple[Stored, NDArray[Any], Recorded]] = []
    for stored, pairs in wanted.items():
        [(tag, part), *others] = pairs
        into = room.get(tag)
        if into is not None and not others and len(stored.tags) == 1:
            alone.append((stored, into[: stored.points], part))
            room[tag] = into[stored.points :]
            continue
        with contextlib.suppress(ValueError, OSError):
            its = arrays(stored)
            for tag, part in pairs:
                column = its["values"].reshape(stored.points, -1)
                part.values = column[:, stored.tags.index(tag)].copy()
                part.steps, part.times = its.get("steps"), its.get("times")
    if len(alone) < FEW:
        for one in alone:
            _read_into(*one)
        return
    # The operating system copies, and the checksums are computed, without Python.
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda one: _read_into(*one), alone))


def _read_into(stored: Stored, values: NDArray[Any], part: Recorded) -> None:
    """Read a block into the place of its values; a damaged one is left out."""
    with contextlib.suppress(ValueError, OSError):
        its = stored.arrays({"values": values})
        part.values, part.steps, part.times = values, its.get("steps"), its.get("times")


def _room(parts: dict[str, list[Part]]) -> dict[str, NDArray[Any]]:
    """Return an array for all values of each tag that has only blocks of its own.

    They are read into it, and need not be copied again.
    """
    room = {}
    for tag, its in parts.items():
        blocks = [part.stored for part in its if isinstance(part, Recorded)]
        alone = [b for b in blocks if b is not None and b.tags == [tag]]
        dtypes = {block.dtype("values") for block in alone}
        if len(alone) == len(its) and len(dtypes) == 1:
            room[tag] = np.empty(sum(b.points for b in alone), dtypes.pop())
    return room


def _joined(tag: str, parts: Sequence[Part]) -> Scalars | None:
    """Return the points of one tag; None if all are lost."""
    flat: list[Scalars] = []
    kept = True  # in their own type
    for part in parts:
        if isinstance(part, Recorded) and part.stored and part.values is not None:
            flat.append(_scalars(part.stored, part.values, part.steps, part.times))
        else:
            kept = False
            flat += part.drawn if isinstance(part, Recorded) else [part]
    if not flat:
        return None
    if not any(isinstance(part, Recorded) for part in parts):
        return joined(flat)
    values = [its.values for its in flat]
    if not kept or len({array.dtype for array in values}) > 1:
        if any(_is_rounded(array) for array in values):
            warn(
                f"tag {tag!r}: whole numbers beyond 2**53 are rounded, since not all "
                f"points have the same type"
            )
        with np.errstate(invalid="ignore"):  # of a signalling NaN
            values = [array.astype(np.float64) for array in values]

    return Scalars(
        lambda: np.concatenate([its.steps for its in flat]),
        _together(values),
        lambda: np.concatenate([its.given for its in flat]),
        lambda: np.concatenate([its.wall_times for its in flat]),
        together(flat),
    )


def _together(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Join arrays; if they are the parts of one array, in order, return that one."""
    base = arrays[0].base
    if isinstance(base, np.ndarray) and base.ndim == 1:
        at = base.ctypes.data
        for array in arrays:
            if array.base is not base or array.ctypes.data != at:
                break
            at += array.nbytes
        else:
            if at == base.ctypes.data + base.nbytes:
                return base
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _is_rounded(array: NDArray[Any]) -> bool:
    if array.dtype.kind not in "iu" or array.itemsize < 8:
        return False
    return int(array.max()) > EXACT or int(array.min()) < -EXACT


def _scalars(
    stored: Stored,
    values: NDArray[Any],
    steps: NDArray[np.int64] | None,
    times: NDArray[np.float64] | None,
) -> Scalars:
    """Return the points of a block, whose regular columns are made on demand."""
    number, wall_time = stored.points, float(stored.head.get("wall_time", 0.0))

    def made(name: str, array: NDArray[Any] | None, dtype: str) -> Column:
        ramp = stored.ramp(name)
        if array is not None:
            return array
        return ramp.maker(dtype) if ramp else lambda: np.full(number, np.nan)

    return Scalars(
        made("steps", steps, "int64"),
        values,
        made("times", times, "float64"),
        lambda: np.full(number, wall_time),
        [] if stored.phase is None else [Segment(0, number, *stored.phase)],
    )
