"""Rasters: spikes drawn as an image, with neuron 0 at the bottom."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from time import time as now
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import is_whole, numbers
from annarchy_tb.inputs.clock import Time, in_time_unit
from annarchy_tb.inputs.messages import describe, warn
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.inputs.spikes import Spikes, collect
from annarchy_tb.inputs.units import plain
from annarchy_tb.kinds import image
from annarchy_tb.kinds.levels import Pixels, Remark
from annarchy_tb.run.entry import Entry, Recording
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.parsing import NO_BLOCK
from annarchy_tb.tfevents.recorder import next_number
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import IMAGE

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

# The narrowest card of the TIME SERIES tab is 326 x 215 pixels, that of IMAGES 350 wide
# (TensorBoard 2.21). From larger images, they leave out whole rows and columns.
WIDTH, HEIGHT = 320, 200
MOST = 10_000  # columns, on request
LARGEST = 1e300  # for `start` and `duration`, so that no difference overflows
SIZE = 1 << 18  # spikes at a time
GAP = 4  # one in 4 pixels of a row stays black, to separate neighbours
DIMMEST = 0.5  # of white: the lowest level of a pixel with spikes
RANGE = 8  # pixels with at most an eighth of the most spikes are the dimmest


def add_raster(
    self: Logger,
    tag: str,
    spikes: object,
    step: SupportsFloat | None = None,
    *,
    start: SupportsFloat | None = None,
    duration: SupportsFloat | None = None,
    bins: SupportsIndex | None = None,
    time: Time | None = None,
) -> None:
    """Log spikes as a raster plot: an image, white on black.

    Time runs to the right, and neuron 0 is at the bottom. The image is at most 320
    by 200 pixels, the size of TensorBoard's smallest card; from larger images,
    TensorBoard leaves out rows and columns. The pixels with the most spikes are
    white, and each halving is darker, down to half of white: every spike is
    visible.

    The spikes themselves are kept, too, in the types in which they are given (of an
    array, as steps and ranks), and `Run.spikes` reads them back.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    spikes : dict, tuple or array-like
        A dict from each neuron's rank to the steps of its spikes, like ANNarchy's
        ``monitor.get("spike")``, or to their times, like Brian2's
        ``M.spike_trains()``; a tuple ``(times, ranks)``, both of shape ``(K,)``, like
        ``monitor.raster_plot()``, or Brian2's ``(M.t, M.i)``; or an array of shape
        ``(T, N)``, bool or 0 and 1, of N neurons in T steps. Times with units are
        converted to the Logger's `time_unit`. In a dict or tuple, the largest rank
        determines the number of neurons. Silent neurons are black, and without spikes,
        so is the whole image.
    start : float or quantity, optional
        The time at the left edge, in the unit of the spikes' times: steps for the
        dict and the array. By default 0. ANNarchy's steps continue from trial to
        trial: use ``start=trial * 1000, duration=1000``. If the spikes' times have
        units, it is in the Logger's `time_unit`, or has a unit, too.
    duration : float or quantity, optional
        The time from the left edge to the right one, in the unit of the spikes' times,
        or with a unit if they have one. By default the axis ends at the last spike or,
        for an array, after all its steps. Spikes outside are not drawn, with a warning.
    bins : int, optional
        The number of columns, from 1 to 10,000. By default at most 320; times that
        are whole numbers are then steps, and each column holds the same whole
        number of them. TensorBoard shows all of more columns only at actual size.
    """
    with Entry(self._run, "add_raster", tag, IMAGE, step, time) as entry:
        unit = self._run.clock.unit
        found = collect(spikes, unit)
        left = _limit("start", start, found, unit)
        span = _limit("duration", duration, found, unit)
        pixels, remarks = raster(found, left, span, bins)
        image.write(entry, tag, pixels, remarks, _recording(tag, found))


def _recording(tag: str, found: Spikes) -> Recording:
    """Return the blocks that keep spikes, in the types in which they were given."""
    times, ranks = found.given
    rows = max(1, recordings.SIZE // (times.itemsize + ranks.itemsize))
    starts = range(0, len(times), rows) if len(times) else [0]
    numbers = [next_number() for _ in starts]
    real = now()

    def parts() -> Iterator[recordings.Parts]:
        for index, (at, number) in enumerate(zip(starts, numbers, strict=True)):
            head = {
                "kind": recordings.SPIKES,
                "block": number,
                "call": numbers[0],
                "part": index,
                "parts": len(numbers),
                "tags": [recordings.as_read(tag)],
                "wall_time": real,
            }
            part = slice(at, at + rows)
            yield recordings.encode(head, {"times": times[part], "ranks": ranks[part]})

    return numbers[0], parts()


def raster(
    found: Spikes,
    start: float | None = None,
    duration: float | None = None,
    bins: SupportsIndex | None = None,
) -> tuple[Pixels, list[Remark]]:
    """Draw spikes as white on black.

    If the times, `start` and `duration` are whole numbers, they are steps: the axis
    ends after the step of the last spike, and each column holds the same number of
    steps, except the last one. Each row holds the same number of neurons, except the
    top one. A spike at the very end is in the last column.

    Parameters
    ----------
    found
        The spikes.
    start
        The time at the left edge; None for 0.
    duration
        The time from the left edge to the right one; None for up to the last spike, or
        the last step of an array.
    bins
        The number of columns, from 1 to 10,000; None for at most 320.

    Returns
    -------
    pixels
        Shape ``(H, W, 1)``, uint8. Few rows or columns are drawn several pixels wide: H
        is from 101 to 200, and W from 161 to 320, or `bins` if that is more.
    remarks
        A warning if spikes are not drawn.

    Raises
    ------
    TypeError, ValueError
        If a time is before 0 and before `start`, or another argument is invalid.
    """
    left, span = 0.0 if start is None else start, duration
    if span is not None and span <= 0:
        raise ValueError(f"duration must be more than 0, got {span:g}")
    number = None if bins is None else as_count("bins", bins, MOST)
    low = found.times.min(initial=math.inf)
    if low < min(left, 0.0):
        raise ValueError(
            f"spikes must be at 0 or later, got {low:g}; "
            f"start={low:g} begins the axis there"
        )
    span, width, columns = _axis(found, left, span, number)
    share = math.ceil(max(found.neurons, 1) / HEIGHT)  # neurons per row
    rows = math.ceil(max(found.neurons, 1) / share)
    counts = np.zeros(rows * columns, np.intp)
    for at in range(0, len(found.times), SIZE):
        part = slice(at, at + SIZE)
        times, ranks = _inside(found.times[part], found.ranks[part], left, left + span)
        column = ((times - left) / width).astype(np.intp)
        np.minimum(column, columns - 1, out=column)
        row = ranks if share == 1 else ranks // share
        counts += np.bincount(row * columns + column, minlength=rows * columns)
    outside = len(found.times) - int(counts.sum())
    remarks = []
    if outside:
        message = (
            f"{outside} of {len(found.times)} spikes are outside the time axis, "
            f"{left:g} to {left + span:g}, and not drawn; start= and duration= set the "
            f"axis"
        )
        remarks.append(("outside", message))
    levels = _levels(counts).reshape(rows, columns)[::-1]
    return _enlarged(levels, HEIGHT // rows, max(WIDTH // columns, 1)), remarks


def _axis(
    found: Spikes, left: float, span: float | None, bins: int | None
) -> tuple[float, float, int]:
    """Return the length of the time axis and of a column, and the number of columns."""
    whole = left % 1 == 0 and is_whole(found.times)
    if span is None:
        # A step has length 1, a time has none.
        end = found.times.max(initial=-math.inf) + whole
        span = (end if found.duration is None else found.duration) - left
        span = span if span > 0 else 1.0  # nothing to draw
    if bins is None and whole and span % 1 == 0:
        width = math.ceil(span / WIDTH)
        return span, width, math.ceil(span / width)
    columns = WIDTH if bins is None else bins
    return span, max(span / columns, sys.float_info.min), columns


def _inside(
    times: NDArray[np.float64], ranks: NDArray[np.int64], left: float, right: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the spikes from `left` to `right`."""
    inside = (times >= left) & (times <= right)
    return (times, ranks) if inside.all() else (times[inside], ranks[inside])


def _levels(counts: NDArray[np.intp]) -> Pixels:
    """Convert numbers of spikes to levels of grey that look evenly spaced.

    The largest number is white. Each halving is darker by the same amount, down to half
    of white: the eye perceives ratios, and a single spike must be visible.
    """
    levels = np.zeros(counts.shape)
    fired = counts > 0
    fainter = np.log(counts.max(initial=1) / counts[fired]) / math.log(RANGE)
    levels[fired] = 1 - (1 - DIMMEST) * np.minimum(fainter, 1)
    return (levels * 255 + 0.5).astype(np.uint8)


def _enlarged(levels: Pixels, height: int, width: int) -> Pixels:
    """Draw each level as a tick of `height` by `width` pixels."""
    rows, columns = levels.shape
    ticks = np.zeros((rows, height, columns, width), np.uint8)
    ticks[:, height // GAP :] = levels[:, np.newaxis, :, np.newaxis]
    return ticks.reshape(rows * height, columns * width, 1)


def _limit(name: str, given: object, spikes: Spikes, unit: str) -> float | None:
    """Return a limit of the time axis as a float, in the unit of the spikes' times."""
    if given is None:
        return None
    if spikes.timed:
        given = in_time_unit(given, unit, name)
    number = numbers(name, plain(given, name))
    if number.size != 1 or not abs(number.item()) < LARGEST:
        raise ValueError(f"{name} must be one finite number, got {describe(given)}")
    return float(number.item())


# -- reading back ----------------------------------------------------------------------


class Rasters(NamedTuple):
    """The spikes of a tag's rasters, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    spikes : list of N pairs of arrays, shape ``(K,)``
        The times of the K spikes, and the ranks of their neurons, as they were given.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    spikes: list[tuple[NDArray[Any], NDArray[Any]]]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]


def read(blocks: Iterable[Block], tag: str, index: recordings.Index) -> Rasters:
    """Return the spikes of a tag; there may be none. Warn of those that are missing."""
    steps, spikes, times, walls = [], [], [], []
    missing = 0
    for block in blocks:
        for _, event in block.others:
            its = [value.tag for value in event.values if value.kind == IMAGE.name]
            if tag not in its or event.block == NO_BLOCK:
                continue
            found = _spikes(index, index.find(block.path, event.block, tag))
            if found is None:
                missing += 1
                continue
            steps.append(event.step)
            spikes.append(found)
            times.append(event.time)
            walls.append(event.wall_time)
    if missing:
        warn(f"the spikes of {missing} rasters of {tag!r} are missing or damaged")
    return Rasters(
        np.array(steps, np.int64), spikes, np.array(times, "f8"), np.array(walls, "f8")
    )


def _spikes(
    index: recordings.Index, first: recordings.Stored | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    if first is None or first.kind != recordings.SPIKES or not index.is_whole(first):
        return None
    try:
        arrays = [stored.arrays() for stored in index.call(first)]
    except (ValueError, OSError):
        return None
    times, ranks = ([its[name] for its in arrays] for name in ("times", "ranks"))
    return np.concatenate(times), np.concatenate(ranks)
