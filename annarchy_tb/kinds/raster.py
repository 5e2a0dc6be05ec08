"""Rasters: spikes drawn as an image, time to the right and neuron 0 at the bottom."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.inputs.spikes import Spikes, collect
from annarchy_tb.kinds import image
from annarchy_tb.kinds.image import Pixels, Remark
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents.schema import IMAGE

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

# The narrowest card of the TIME SERIES tab is 326 x 215 pixels, that of IMAGES 350 wide
# (TensorBoard 2.21). Of what is larger, they leave out whole rows and columns.
WIDTH, HEIGHT = 320, 200
MOST = 10_000  # columns that somebody may want
LARGEST = 1e300  # of a limit, so that no difference overflows
GAP = 4  # of so many pixels of a row, one stays black: neighbours are told apart
DIMMEST = 0.5  # of white: a single spike, however many there are elsewhere
RANGE = 8  # a pixel with an eighth of the most spikes, or less, is the dimmest


def add_raster(
    self: Logger,
    tag: str,
    spikes: object,
    step: SupportsFloat | None = None,
    *,
    start: float | None = None,
    duration: float | None = None,
    bins: int | None = None,
    time: SupportsFloat | None = None,
) -> None:
    """Log when which neurons fired, as an image: white on black.

    Time runs to the right, and neuron 0 is at the bottom. The image is at most 320
    by 200 pixels, as many as the smallest card of TensorBoard shows; of larger
    ones, it leaves out rows and columns. Where several spikes share a pixel, the
    most are white, and each halving is darker, down to half of white: every spike
    is seen.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    spikes : dict, tuple or array-like
        A dict of the steps of its spikes for each neuron's rank, as ANNarchy's
        ``monitor.get("spike")`` is; a tuple ``(times, ranks)``, both of shape
        ``(K,)``, as ``monitor.raster_plot()`` is, or Brian2's ``(M.t, M.i)``, whose
        times are in seconds then; or an array of shape ``(T, N)``, bool or 0 and 1,
        of N neurons in T steps. The largest rank tells how many neurons there are;
        silent ones are black. Where there are no spikes, all is black.
    start : float, optional
        The time at the left edge, in the unit of the spikes' times: steps for the
        dict and the array. By default 0. ANNarchy's steps go on from trial to
        trial: ``start=trial * 1000, duration=1000``.
    duration : float, optional
        The time from the left edge to the right one. By default up to the last
        spike, and of an array all its steps. Spikes outside are not drawn, with a
        warning.
    bins : int, optional
        Into how many columns the time is divided, 1 to 10,000. By default 320 at
        most; whole numbers are taken for steps, and a column holds some whole
        number of them. With more, TensorBoard shows all only at actual size.
    """
    with Entry(self._run, "add_raster", tag, IMAGE, step, time) as entry:
        pixels, remarks = raster(spikes, start, duration, bins)
        image.write(entry, tag, pixels, remarks)


def raster(
    spikes: object,
    start: float | None = None,
    duration: float | None = None,
    bins: int | None = None,
) -> tuple[Pixels, list[Remark]]:
    """Draw spikes as white on black.

    Where the times, `start` and `duration` are whole numbers, they count steps: the
    last spike takes a step of its own, and each column holds equally many, but for the
    last one. Each row holds equally many neurons, but for the top one. A spike at the
    very end is in the last column.

    Parameters
    ----------
    spikes
        A dict of steps or times by ranks, a tuple ``(times, ranks)``, or an array of
        shape ``(T, N)`` that is bool, or 0 and 1. It is not changed.
    start
        The time at the left edge; None for 0.
    duration
        From there to the right edge; None for up to the last spike, or the last step of
        an array.
    bins
        The number of columns, 1 to 10,000; None for 320 at most.

    Returns
    -------
    pixels
        Shape ``(H, W, 1)``, uint8. Where there are few rows, or columns, each is
        several pixels wide: H is from 101 to 200, and W from 161 to 320, or `bins`.
    remarks
        What the user should know about spikes that are not drawn.

    Raises
    ------
    TypeError, ValueError
        If `spikes` is none of these, a time is before 0 and before `start`, or a limit
        is not what it must be.
    """
    left = 0.0 if start is None else _limit("start", start)
    span = None if duration is None else _limit("duration", duration)
    if span is not None and span <= 0:
        raise ValueError(f"duration must be more than 0, got {span:g}")
    if bins is not None:
        bins = as_count("bins", bins, MOST)
    found = collect(spikes)
    low = found.times.min(initial=math.inf)
    if low < min(left, 0.0):
        raise ValueError(
            f"spikes must be at 0 or later, got {low:g}; "
            f"start={low:g} begins the axis there"
        )
    span, width, columns = _axis(found, left, span, bins)
    inside, remarks = _inside(found, left, left + span)

    share = math.ceil(max(found.neurons, 1) / HEIGHT)  # neurons a row
    rows = math.ceil(max(found.neurons, 1) / share)
    column = ((inside.times - left) / width).astype(np.intp)
    np.minimum(column, columns - 1, out=column)
    row = inside.ranks if share == 1 else inside.ranks // share
    counts = np.bincount(row * columns + column, minlength=rows * columns)
    levels = _levels(counts).reshape(rows, columns)[::-1]
    return _enlarged(levels, HEIGHT // rows, max(WIDTH // columns, 1)), remarks


def _axis(
    found: Spikes, left: float, span: float | None, bins: int | None
) -> tuple[float, float, int]:
    """Return how long the time axis is, how long a column of it, and their number."""
    whole = left % 1 == 0 and bool((found.times == np.floor(found.times)).all())
    if span is None:
        # A step lasts for 1, a time is a point.
        end = found.times.max(initial=-math.inf) + whole
        span = (end if found.duration is None else found.duration) - left
        span = span if span > 0 else 1.0  # there is nothing to draw
    if bins is None and whole and span % 1 == 0:
        width = math.ceil(span / WIDTH)
        return span, width, math.ceil(span / width)
    columns = WIDTH if bins is None else bins
    return span, max(span / columns, sys.float_info.min), columns


def _inside(found: Spikes, left: float, right: float) -> tuple[Spikes, list[Remark]]:
    """Return the spikes from `left` to `right`, and a word on the others."""
    times, ranks, neurons, duration = found
    inside = (times >= left) & (times <= right)
    outside = len(times) - int(np.count_nonzero(inside))
    if not outside:
        return found, []
    remark = (
        f"{outside} of {len(times)} spikes are outside of the time axis, {left:g} to "
        f"{right:g}, and not drawn; start= and duration= set it"
    )
    kept = Spikes(times[inside], ranks[inside], neurons, duration)
    return kept, [("outside", remark)]


def _levels(counts: NDArray[np.intp]) -> Pixels:
    """Turn numbers of spikes into levels of grey, which look evenly spaced.

    The most spikes are white. Each halving makes it darker by the same amount, down to
    half of white: the eye sees ratios, and one spike must be seen.
    """
    levels = np.zeros(counts.shape)
    fired = counts > 0
    fainter = np.log(counts.max(initial=1) / counts[fired]) / math.log(RANGE)
    levels[fired] = 1 - (1 - DIMMEST) * np.minimum(fainter, 1)
    return (levels * 255 + 0.5).astype(np.uint8)


def _enlarged(levels: Pixels, height: int, width: int) -> Pixels:
    """Make each level a tick of so many pixels."""
    rows, columns = levels.shape
    ticks = np.zeros((rows, height, columns, width), np.uint8)
    ticks[:, height // GAP :] = levels[:, np.newaxis, :, np.newaxis]
    return ticks.reshape(rows * height, columns * width, 1)


def _limit(name: str, given: object) -> float:
    number = numbers(name, given)
    if number.size != 1 or not abs(number.item()) < LARGEST:
        raise ValueError(f"{name} must be one finite number, got {describe(given)}")
    return float(number.item())
