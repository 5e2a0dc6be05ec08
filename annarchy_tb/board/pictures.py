"""Rasters and matrices as JSON: not their pictures, but what these were drawn from."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.board.packed import typed
from annarchy_tb.inputs.arrays import is_whole
from annarchy_tb.inputs.clock import FEMTOSECONDS, in_unit
from annarchy_tb.inputs.groups import Groups
from annarchy_tb.kinds import matrix_plot, originals
from annarchy_tb.kinds.originals import Original
from annarchy_tb.reading.cache import cache
from annarchy_tb.reading.run import Run
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.scan import Block, Scan

MOST_SPIKES = 20_000  # that are drawn one by one
COLUMNS, ROWS = 240, 100  # of the cells in which more spikes are counted
BARS = 60  # values of the rate over time
STOPS = 33  # colours that a scale is given by


class Limits(NamedTuple):
    """A part of a raster: times from `start` to `end`, and `neurons` from `first` on.

    If times are `whole` numbers, they are steps.
    """

    start: float
    end: float
    first: int
    neurons: int
    whole: bool


class Card(NamedTuple):
    """The kind of a card, and what makes one of its frames."""

    name: str
    frame: Callable[[Original], dict[str, Any]]


class Kept(NamedTuple):
    """What the pictures of a tag were drawn from, and the card that shows it.

    There is one for each picture; None where nothing was kept, or something else.
    """

    card: Card
    found: list[Original | None]


def kept(run: Run, tag: str, number: int) -> Kept | None:
    """Return what the pictures of a tag were drawn from; None if nothing was kept.

    There are `number` pictures that can be read.
    """
    found = originals.find(_blocks(run), tag, cache.index(run.path))
    kinds = [its.kind for its in found if its.blocks and its.kind in CARDS]
    if not kinds or len(found) != number:
        return None
    those = [its if its.blocks and its.kind == kinds[-1] else None for its in found]
    return Kept(CARDS[kinds[-1]], those)


def _blocks(run: Run) -> Iterable[Block]:
    contents = cache.contents(run.path)
    if contents is None:
        return Scan().files(event_files(run.path))
    return (its.block for its in contents.blocks)


def tags(run: Run) -> list[str]:
    """Return the tags of rasters and matrices."""
    blocks = cache.index(run.path).all()
    found = {tag: None for its in blocks if its.kind in CARDS for tag in its.tags}
    return list(found)


def lasts(run: Run) -> dict[str, tuple[int, int]]:
    """Return the step and the number of the last raster or matrix of each tag."""
    found = {}
    for tag in tags(run):
        with contextlib.suppress(KeyError):  # its picture was not written
            steps = run.images(tag).steps
            found[tag] = (int(steps[-1]), len(steps) - 1)
    return found


# -- rasters ---------------------------------------------------------------------------


class Spikes(NamedTuple):
    """The spikes of a raster, and how they are drawn.

    Attributes
    ----------
    times, ranks
        Shape ``(K,)``.
    limits
        The axes.
    groups
        Groups of neurons, None if there are none.
    unit, scale
        The unit of the time axis, and how much of it a unit of times is.
    """

    times: NDArray[np.float64]
    ranks: NDArray[np.int64]
    limits: Limits
    groups: Groups | None
    unit: str
    scale: float

    @classmethod
    def of(cls, its: Original) -> Spikes:
        """Read the spikes of a raster.

        Raises
        ------
        ValueError, OSError
            If they can't be read.
        """
        arrays, head = its.arrays(), its.head
        times = np.asarray(arrays["times"], np.float64)
        ranks = np.asarray(arrays["ranks"], np.int64)
        limits, unit = _limits(head, times, ranks), str(head.get("unit", ""))
        scale = float(head.get("scale", 1.0))
        return cls(times, ranks, limits, _groups(head), unit, scale)

    def whole(self) -> dict[str, Any]:
        """Return the raster as it is drawn."""
        return {
            "unit": self.unit,
            "scale": self.scale,
            "limits": self.limits[:4],
            "groups": list(self.groups.names) if self.groups else [],
            **self.drawn(self.limits),
        }

    def part(self, start: float, end: float, first: int, last: int) -> dict[str, Any]:
        """Return what is drawn of a part of a raster, whose spikes are sorted by time.

        Parameters
        ----------
        start, end
            The times of the part.
        first, last
            Its neurons.
        """
        if self.limits.whole:
            start, end = math.floor(start), math.ceil(end)
        begin, stop = (
            int(np.searchsorted(self.times, start, "left")),
            int(np.searchsorted(self.times, end, "right")),
        )
        here = self._replace(times=self.times[begin:stop], ranks=self.ranks[begin:stop])
        limits = Limits(start, end, first, last - first + 1, self.limits.whole)
        return {**here.drawn(limits), "outside": 0, "rows": limits.neurons}

    def sorted(self) -> Spikes:
        """Return the spikes in the order of their times, and small."""
        times, ranks = self.times, self.ranks
        if ranks.max(initial=0) < 2**31 and ranks.min(initial=0) >= -(2**31):
            ranks = ranks.astype(np.int32)
        if (times[1:] < times[:-1]).any():
            order = np.argsort(times, kind="stable")
            times, ranks = times[order], ranks[order]
        return self._replace(times=times, ranks=ranks)

    def drawn(self, limits: Limits) -> dict[str, Any]:
        """Return the spikes between limits, and the rates of all neurons there."""
        every = limits._replace(first=self.limits.first, neurons=self.limits.neurons)
        return {
            **raster_part(self.times, self.ranks, limits, COLUMNS, ROWS, self.groups),
            "rates": rates(
                self.times, self.ranks, every, self.scale, self.unit, self.groups
            ),
        }


def raster(its: Original) -> dict[str, Any]:
    """Return a raster as it is drawn.

    Raises
    ------
    ValueError, OSError
        If it can't be read.
    """
    return Spikes.of(its).whole()


def _limits(
    head: Mapping[str, Any], times: NDArray[np.float64], ranks: NDArray[np.int64]
) -> Limits:
    """Return the axes of a raster; those of its spikes, if its head has none."""
    whole = is_whole(times)
    if "duration" in head:
        start, duration = float(head["start"]), float(head["duration"])
        neurons = max(1, int(head["neurons"]))
        return Limits(start, start + duration, int(head["first"]), neurons, whole)
    if not len(times):
        return Limits(0.0, 1.0, 0, 1, False)
    low, high, first = float(times.min()), float(times.max()), int(ranks.min())
    high = high if low < high else low + 1.0
    return Limits(low, high, first, int(ranks.max()) - first + 1, whole)


def _groups(head: Mapping[str, Any]) -> Groups | None:
    said = head.get("groups")
    if not said:
        return None
    number, starts, ends = np.array(said["intervals"], np.int64).reshape(-1, 3).T
    return Groups(tuple(said["names"]), tuple(said["sizes"]), starts, ends, number)


def raster_part(
    times: NDArray[np.float64],
    ranks: NDArray[np.int64],
    limits: Limits,
    columns: int,
    rows: int,
    groups: Groups | None = None,
) -> dict[str, Any]:
    """Return the spikes of a part of a raster.

    Parameters
    ----------
    times, ranks
        The spikes, shape ``(K,)``.
    limits
        The part.
    columns, rows
        The most cells in which many spikes are counted.
    groups
        Groups of neurons, which have colours of their own.

    Returns
    -------
    dict
        With the ``number`` of spikes in the part, how many are ``outside``, and the
        spikes themselves as ``points``, up to 20,000; of more, their numbers in
        ``cells``. With groups, both say ``of`` which group a spike, or most of a cell,
        is.
    """
    inside = (times >= limits.start) & (times <= limits.end)
    inside &= (ranks >= limits.first) & (ranks < limits.first + limits.neurons)
    number = int(np.count_nonzero(inside))
    said: dict[str, Any] = {"number": number, "outside": len(inside) - number}
    if number <= MOST_SPIKES:
        times, ranks = times[inside], ranks[inside]
        points = {"x": typed(times, "f8"), "y": typed(ranks, _whole(ranks))}
        if groups is not None:
            points["of"] = typed(groups.of(ranks), "i4")
        return {**said, "points": points}
    width = _width(limits, columns)
    share = math.ceil(limits.neurons / rows)
    tall = math.ceil(limits.neurons / share)
    wide = _number(limits, width)
    place = _columns(times, limits, width, wide)
    place += (ranks - limits.first) // share * wide
    kinds = 1 if groups is None else len(groups.names) + 1
    if groups is not None:
        place += groups.of(ranks) * (tall * wide)
    size = kinds * tall * wide
    place[~inside] = size  # quicker than leaving them out
    counts = np.bincount(place, minlength=size + 1)[:-1].reshape(kinds, -1)
    cells = {
        "x": [limits.start, width, limits.start + wide * width],
        "y": [limits.first, share, limits.first + limits.neurons],
        "shape": [tall, wide],
        "z": typed(counts.sum(axis=0), "i4"),
    }
    if groups is not None:
        cells["of"] = typed(counts.argmax(axis=0), "i1")
    return {**said, "cells": cells}


def _width(limits: Limits, columns: int) -> float:
    """Return the width of so many columns; each has the same number of steps."""
    width = (limits.end - limits.start) / columns
    return float(math.ceil(width)) if limits.whole else max(width, sys.float_info.min)


def _number(limits: Limits, width: float) -> int:
    """Return how many columns of a width there are."""
    return max(1, math.ceil(round((limits.end - limits.start) / width, 6)))


def _ends(
    times: NDArray[np.float64], limits: Limits, width: float, wide: int
) -> NDArray[np.intp] | None:
    """Return how many times there are up to the end of each column, if sorted."""
    if not (times[1:] >= times[:-1]).all():
        return None
    edges = limits.start + np.arange(1, wide) * width
    return np.append(np.searchsorted(times, edges), len(times))


def _columns(
    times: NDArray[np.float64], limits: Limits, width: float, wide: int
) -> NDArray[np.intp]:
    """Return the column of each time; sorted ones are found together, and faster."""
    ends = _ends(times, limits, width, wide)
    if ends is not None:
        return np.repeat(np.arange(wide), np.diff(ends, prepend=0))
    with np.errstate(invalid="ignore", over="ignore"):  # of those that are outside
        return np.minimum(((times - limits.start) / width).astype(np.intp), wide - 1)


def _whole(ranks: NDArray[np.int64]) -> str:
    return "i4" if ranks.max(initial=0) < 2**31 else "f8"


def rates(
    times: NDArray[np.float64],
    ranks: NDArray[np.int64],
    limits: Limits,
    scale: float,
    unit: str,
    groups: Groups | None = None,
) -> dict[str, Any]:
    """Return the number of spikes of a neuron over time: in Hz, if the unit is known.

    There is a curve for each group, or one of all neurons. A unit of times is `scale`
    of the `unit`.
    """
    inside = (times >= limits.start) & (times <= limits.end)
    if not inside.all():
        times, ranks = times[inside], ranks[inside]
    width = _width(limits, BARS)
    wide = _number(limits, width)
    sizes = (limits.neurons,) if groups is None else groups.sizes
    ends = _ends(times, limits, width, wide) if groups is None else None
    if ends is not None:
        counts = np.diff(ends, prepend=0)[np.newaxis]
    else:
        place = _columns(times, limits, width, wide)
        if groups is not None:
            place += groups.of(ranks) * wide
        counts = np.bincount(place, minlength=(len(sizes) + 1) * wide)
        counts = counts.reshape(-1, wide)
    starts = limits.start + np.arange(wide) * width
    lengths = np.minimum(starts + width, limits.end) - starts
    known = scale * in_unit(unit, "s") if unit in FEMTOSECONDS else 0.0
    lengths = np.maximum(lengths * (known or 1.0), sys.float_info.min)
    return {
        "unit": "Hz" if known else f"/{unit.removesuffix('s')}" if unit else "",
        "x": [limits.start, width],
        "y": [typed(counts[k] / size / lengths, "f4") for k, size in enumerate(sizes)],
    }


# -- matrices --------------------------------------------------------------------------


def matrix(its: Original) -> dict[str, Any]:
    """Return a matrix as it is drawn: its cells, and what colours mean.

    Raises
    ------
    ValueError, OSError
        If it can't be read.
    """
    head, cells = its.head, its.arrays()["cells"]
    height, width = (int(size) for size in head["shape"])
    low, high = float(head["low"]), float(head["high"])
    try:
        scale = matrix_plot.scale_for(np.array([]), low, high, head.get("cmap"))
    except (ImportError, ValueError, TypeError):  # no such map here
        scale = matrix_plot.scale_for(np.array([]), low, high, None)
    places = np.linspace(0, len(scale.table) - 1, STOPS).round().astype(int)
    single = cells.dtype.itemsize <= 2 or cells.dtype == np.float32
    return {
        "cells": {
            "x": [0, math.ceil(width / cells.shape[1]), width],
            "y": [0, math.ceil(height / cells.shape[0]), height],
            "shape": list(cells.shape),
            "z": typed(cells, "f4" if single else "f8"),
        },
        "low": low,
        "high": high,
        "split": scale.split,
        "colours": [_hex(colour) for colour in scale.table[places].tolist()],
        "nothing": _hex(scale.nothing),
    }


def _hex(colour: tuple[int, ...]) -> str:
    return "#" + "".join(f"{level:02x}" for level in colour)


# By the kinds of blocks.
CARDS = {
    recordings.SPIKES: Card("raster", raster),
    recordings.MATRIX: Card("matrix", matrix),
}
