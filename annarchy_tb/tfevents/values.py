"""The values of one tag that are no numbers: all at once, or one at a time."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, overload

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from annarchy_tb.inputs.messages import warn
from annarchy_tb.tfevents.parsing import Event, Value, parse
from annarchy_tb.tfevents.records import HEAD, TAIL, UINT32, UINT64, mask
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import Kind

Content = TypeVar("Content")
Other = TypeVar("Other")


class Rows(NamedTuple):
    """Something of each value of a tag, with its step and times."""

    steps: NDArray[np.int64]
    found: list[Any]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]


class OnDemand(Sequence[Content]):
    """Values in event files, each read when it is asked for, and not kept.

    Asking for one raises ValueError if its file has changed, or is damaged there.

    Parameters
    ----------
    paths
        The files.
    places
        Shape ``(N, 4)``: where each value is: the number of its file, the place of its
        record in it, its number in the event, and its number among the contents of
        that value.
    decode
        Yields the contents of a value.
    """

    _paths: list[Path]
    _places: NDArray[np.int64]
    _decode: Callable[[Value], Iterable[Content]]

    def __init__(
        self,
        paths: list[Path],
        places: NDArray[np.int64],
        decode: Callable[[Value], Iterable[Content]],
    ) -> None:
        self._paths = paths
        self._places = places
        self._decode = decode

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Content: ...

    @overload
    def __getitem__(self, at: slice) -> OnDemand[Content]: ...

    def __getitem__(self, at: int | slice) -> Content | OnDemand[Content]:
        """Read a value; a slice is not read yet."""
        if isinstance(at, slice):
            return OnDemand(self._paths, self._places[at], self._decode)
        [found] = self._read(self._places[[at]])
        return found

    def read_by(self, decode: Callable[[Value], Iterable[Other]]) -> OnDemand[Other]:
        """Return the same values in another form; `decode` yields as many contents."""
        return OnDemand(self._paths, self._places, decode)

    def __iter__(self) -> Iterator[Content]:
        return self._read(self._places)

    def __reversed__(self) -> Iterator[Content]:
        return self._read(self._places[::-1])

    def __repr__(self) -> str:
        return f"<{len(self)} values, read when they are asked for>"

    def _read(self, places: NDArray[np.int64]) -> Iterator[Content]:
        """Read values; those of one file in a row without opening it again."""
        stream: BinaryIO | None = None
        opened = -1
        try:
            for row in places:
                file, offset, number, content = row.tolist()
                if file != opened:
                    if stream is not None:
                        stream.close()
                    stream, opened = self._paths[file].open("rb"), file
                assert stream is not None
                value = _event(stream, offset).values[number]
                yield list(self._decode(value))[content]
        finally:
            if stream is not None:
                stream.close()


def _event(stream: BinaryIO, offset: int) -> Event:
    """Read one event."""
    stream.seek(offset)
    size = UINT64.unpack(stream.read(HEAD)[:8].ljust(8, b"\xff"))[0]
    event, tail = b"", b""
    if size < 1 << 40:
        event, tail = stream.read(size), stream.read(TAIL)
    if tail != UINT32.pack(mask(crc32c(event))):
        raise ValueError(f"{stream.name} has changed, or is damaged at byte {offset}")
    return parse(event)


def rows(
    blocks: Iterable[Block],
    kind: Kind,
    tag: str,
    decode: Callable[[Value], Iterable[Any]],
) -> Rows:
    """Return the decoded contents of a tag's values.

    Warn of values that can't be decoded; the others are returned.
    """
    rows, _, _ = _collect(blocks, kind, tag, decode)
    return rows


def on_demand(
    blocks: Iterable[Block],
    kind: Kind,
    tag: str,
    look: Callable[[Value], Iterable[Any]],
    decode: Callable[[Value], Iterable[Content]],
) -> tuple[Rows, OnDemand[Content]]:
    """Return what `look` yields for the contents of a tag's values, and the contents.

    Warn of values at which `look` raises; the others are returned.
    """
    rows, paths, places = _collect(blocks, kind, tag, look)
    return rows, OnDemand(paths, places, decode)


def _collect(
    blocks: Iterable[Block],
    kind: Kind,
    tag: str,
    look: Callable[[Value], Iterable[Any]],
) -> tuple[Rows, list[Path], NDArray[np.int64]]:
    steps, places = array("q"), array("q")
    times, walls = array("d"), array("d")
    found: list[Any] = []
    paths: list[Path] = []
    gone: list[tuple[int, int]] = []  # from which step on, of how many of the first
    bad: list[str] = []
    for block in blocks:
        if not paths or paths[-1] != block.path:
            paths.append(block.path)
        for offset, event in block.others:
            if event.restarts:
                gone.append((event.step, len(steps)))
            later = block.phases.time(offset)
            for number, value in enumerate(event.values):
                if value.tag != tag or value.kind != kind.name:
                    continue
                try:
                    contents = list(look(value))
                except Exception as error:  # whatever its library raises
                    bad.append(f"at step {event.step}: {error}")
                    continue
                for content in range(len(contents)):
                    steps.append(event.step)
                    times.append(event.time + later)
                    walls.append(event.wall_time)
                    places.extend((len(paths) - 1, offset, number, content))
                found += contents
    warn_of_bad(tag, bad)
    rows = Rows(
        np.array(steps, np.int64),
        found,
        np.array(times, np.float64),
        np.array(walls, np.float64),
    )
    where = np.array(places, np.int64).reshape(-1, 4)
    left = np.ones(len(found), np.bool_)
    for step, number in gone:
        left[:number] &= rows.steps[:number] < step
    if not left.all():
        found = [one for one, stays in zip(found, left, strict=True) if stays]
        rows = Rows(rows.steps[left], found, rows.times[left], rows.wall_times[left])
        where = where[left]
    return rows, paths, where


def warn_of_bad(tag: str, bad: list[str]) -> None:
    """Warn of values of a tag that can't be decoded, if there are any."""
    if bad:
        warn(
            f"{len(bad)} values of the tag {tag!r} can't be decoded, the first {bad[0]}"
        )
