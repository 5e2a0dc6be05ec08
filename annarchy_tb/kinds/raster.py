"""Spikes to a raster: time runs to the right, neuron 0 is at the bottom."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.messages import describe

if TYPE_CHECKING:
    from annarchy_tb.kinds.image import Pixels, Remark

# The narrowest card of the TIME SERIES tab is 326 x 215 pixels, that of IMAGES 350 wide
# (TensorBoard 2.21). Of what is larger, they leave out whole rows and columns.
WIDTH, HEIGHT = 320, 200
MOST = 10_000  # columns that somebody may want
LARGEST = 1e300  # of a limit, so that no difference overflows
GAP = 4  # of so many pixels of a row, one stays black: neighbours are told apart
DIMMEST = 0.5  # of white: a single spike, however many there are elsewhere
RANGE = 8  # a pixel with an eighth of the most spikes, or less, is the dimmest


class Spikes(NamedTuple):
    """When which neuron fired, one entry a spike.

    `times` (K,) float64 and `ranks` (K,) int64, in any order; how many `neurons` there
    are; and the `duration` where it is known, in the unit of the times.
    """

    times: NDArray[np.float64]
    ranks: NDArray[np.int64]
    neurons: int
    duration: float | None


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
    if bins is not None and (
        not isinstance(bins, Integral)
        or isinstance(bins, bool)
        or not 1 <= bins <= MOST
    ):
        raise ValueError(f"bins must be a whole number, 1 to {MOST}, got {bins!r}")
    found = _collect(spikes)
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


def _collect(spikes: object) -> Spikes:
    """Bring all forms that spikes come in to one."""
    if isinstance(spikes, Mapping):
        return _from_dict(spikes)
    if isinstance(spikes, tuple):
        if len(spikes) != 2:
            raise TypeError(f"spikes must be (times, ranks), got {describe(spikes)}")
        return _from_pair(*spikes)
    return _from_array(spikes)


def _from_dict(spikes: Mapping[Any, Any]) -> Spikes:
    if any(isinstance(key, str) for key in spikes):
        names = list(spikes)
        key = "spike" if "spike" in names else names[0]
        raise TypeError(
            f"the keys of spikes must be ranks of neurons, got {names}; "
            f"pass what is in it: spikes[{key!r}]"
        )
    keys = _ranks("the keys of spikes", list(spikes))
    steps = [_flat(key, given) for key, given in spikes.items()]
    times = _times("the steps of spikes", np.concatenate([*steps, np.empty(0)]))
    ranks = np.repeat(keys, [len(given) for given in steps])
    return Spikes(times, ranks, int(keys.max(initial=-1)) + 1, None)


def _flat(key: object, given: object) -> NDArray[Any]:
    try:
        steps = np.asarray(given)
        if steps.ndim == 1:
            return steps
    except ValueError:  # ragged
        pass
    raise TypeError(
        f"the steps of neuron {key} must be a list of numbers, got {describe(given)}"
    )


def _from_pair(first: object, second: object) -> Spikes:
    times, ranks = _times("times", first), _ranks("ranks", second)
    if len(times) != len(ranks):
        raise ValueError(
            f"times and ranks must be equally many, got {len(times)} and {len(ranks)}"
        )
    return Spikes(times, ranks, int(ranks.max(initial=-1)) + 1, None)


def _from_array(spikes: object) -> Spikes:
    rule = (
        "spikes must be {rank: [steps]}, as of monitor.get('spike'), a tuple "
        "(times, ranks), or a bool array of shape (T, N)"
    )
    try:
        array = numbers("spikes", spikes)
    except TypeError:
        array = np.empty(0)
    if array.ndim != 2:
        raise TypeError(f"{rule}, got {describe(spikes)}")
    if array.dtype != np.bool_:
        fired = array != 0
        if not (array[fired] == 1).all():
            raise ValueError(
                f"{rule}, got {describe(spikes)} with other numbers than 0 and 1"
            )
        array = fired
    steps, neurons = array.shape
    times, ranks = np.divmod(np.flatnonzero(array), max(neurons, 1))
    return Spikes(times.astype(np.float64), ranks, neurons, steps)


def _times(name: str, given: object) -> NDArray[np.float64]:
    array = numbers(name, given)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (K,), got {array.shape}")
    times = array.astype(np.float64, copy=False)
    if len(times) and not (math.isfinite(times.min()) and math.isfinite(times.max())):
        raise ValueError(f"{name} must be finite")
    return times


def _ranks(name: str, given: object) -> NDArray[np.int64]:
    array = numbers(name, given)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (K,), got {array.shape}")
    if len(array):
        low, high = array.min(), array.max()
        if not (low >= 0 and high < 2**62):
            came = low if not low >= 0 else high
            raise ValueError(f"{name} must be 0 or more, got {came}")
    with np.errstate(invalid="ignore"):
        ranks = array.astype(np.int64, copy=False)
    if array.dtype.kind == "f" and not (ranks == array).all():
        raise ValueError(f"{name} must be whole numbers, got {describe(given)}")
    return ranks


def _limit(name: str, given: object) -> float:
    number = numbers(name, given)
    if number.size != 1 or not abs(number.item()) < LARGEST:
        raise ValueError(f"{name} must be one finite number, got {describe(given)}")
    return float(number.item())
