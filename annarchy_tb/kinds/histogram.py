"""Histograms: values counted in buckets, and read back."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import is_opaque, unmasked, widened
from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.messages import describe
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import Value, fields
from annarchy_tb.tfevents.records import DOUBLE, Parts, nested, value
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import HISTOGRAM
from annarchy_tb.tfevents.values import OnDemand, on_demand

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

BUCKETS = 64
PARTS = np.arange(1, BUCKETS + 1) / BUCKETS
BLOCK = 10_000  # values at a time: they stay in the cache, and BLAS uses no threads
MOMENTS = struct.Struct("<" + "Bd" * 5)  # fields 1 to 5, each after its key

# -- logging ---------------------------------------------------------------------------


def add_histogram(
    self: Logger,
    tag: str,
    hist: object,
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log the distribution of values, in 64 buckets of equal width.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    hist : array-like
        Numbers in any shape and nesting: an array, ragged lists (such as the weights of
        a sparse projection), object arrays, a single number, or a dict, whose values
        are used; or quantities. NaN and infinity are dropped with a warning. If no
        values remain, nothing is written.
    """
    with Entry(self._run, "add_histogram", tag, HISTOGRAM, step, time) as entry:
        buckets, dropped = count(as_values(entry.plain(hist, name="hist")))
        if dropped:
            entry.warn("finite", "NaN and infinity are dropped")
        if buckets is None:
            entry.warn("empty", "there are no finite values, so nothing is written")
            entry.write_nothing()
        else:
            entry.write(encode(tag, buckets))


def encode(tag: str, buckets: Buckets) -> Parts:
    """Encode buckets as TensorFlow's ``HistogramProto``."""
    moments = MOMENTS.pack(
        *(9, buckets.min, 17, buckets.max, 25, buckets.num, 33, buckets.sum),
        *(41, buckets.sum_squares),
    )
    return value(
        tag,
        *nested(
            HISTOGRAM.field,
            moments,
            *nested(6, buckets.limits.astype("<f8", copy=False).tobytes()),
            *nested(7, buckets.counts.astype("<f8", copy=False).tobytes()),
        ),
    )


class Buckets(NamedTuple):
    """A histogram in the form of TensorFlow's ``HistogramProto``.

    `limits` (K,) are the right edges of the buckets, `counts` (K,) the numbers of
    values in them, both float64. The first bucket begins at `min`, the last one ends at
    `max`.
    """

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    limits: NDArray[np.float64]
    counts: NDArray[np.float64]


def as_values(hist: object) -> NDArray[Any]:
    """Return all numbers in any nesting as one array of shape ``(N,)``.

    Takes arrays, lists of any depth (ragged too), object arrays, iterables, a single
    number, and the values of a mapping.

    Raises
    ------
    TypeError
        If it contains anything other than numbers.
    """
    if isinstance(hist, Mapping):
        hist = list(hist.values())
    if hasattr(hist, "toarray"):
        raise TypeError(f"hist must hold numbers, got {describe(hist)}; pass its .data")
    if hasattr(hist, "post_ranks"):
        raise TypeError(f"hist must hold numbers, got {describe(hist)}; pass its .w")
    if is_opaque(hist):
        raise TypeError(f"hist must hold numbers, got {describe(hist)}")
    items: Iterable[object]
    try:
        array = np.asarray(unmasked(hist))
    except ValueError:  # ragged
        items = list(hist)  # type: ignore[call-overload]
    else:
        if array.dtype.kind in "biuf":
            return widened(array).ravel()
        if array.dtype.kind != "O":
            raise TypeError(f"hist must hold numbers, got {describe(hist)}")
        if array.ndim:
            items = array.ravel()
        elif isinstance(hist, Iterable):
            items = list(hist)
        else:
            return np.array([_number(array.item())])
    parts = [as_values(item) for item in items]
    return np.concatenate(parts) if parts else np.empty(0)


def _number(item: Any) -> float:
    try:
        return float(item)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"hist must hold numbers, got {describe(item)}") from None


def count(values: NDArray[Any]) -> tuple[Buckets | None, int]:
    """Count values into at most 64 buckets of equal width.

    The buckets reach from the minimum to the maximum. Adjacent empty buckets are merged
    into one. A constant c fills one bucket, from half a percent below to half a percent
    above it. The counts are exact, except that a value within rounding error of an edge
    may be counted on either side.

    Parameters
    ----------
    values
        Shape ``(N,)``, any real type.

    Returns
    -------
    buckets
        None if there is no finite value.
    dropped
        The number of values that are NaN or infinite, and not counted.
    """
    number = len(values)
    if not number:
        return None, 0
    low, high = _limits(values)
    if not (math.isfinite(low) and math.isfinite(high)):
        values = values[np.isfinite(values)]
        if not len(values):
            return None, number
        low, high = _limits(values)
    dropped = number - len(values)
    if low == high:
        return _constant(low, len(values)), dropped

    # Neither the span, nor its inverse, nor a square may overflow or underflow.
    is_single = values.dtype == np.float32
    if not (is_single and high - low > 1e-30 and max(-low, high) < 1e18):
        values = values.astype(np.float64, copy=False)
    factor = 1.0
    if high / 4 - low / 4 > 1e307:
        factor = 0.25
    elif high - low < 1e-290:
        factor = 2.0**200
    scaled = values if factor == 1.0 else values * factor
    left, scale = low * factor, BUCKETS / (high * factor - low * factor)

    counts = np.zeros(BUCKETS + 1, np.intp)
    total = squares = 0.0
    # Only sums of huge numbers can overflow, and errstate takes time.
    huge = max(-low, high) > 1e15
    with np.errstate(over="ignore", invalid="ignore") if huge else nullcontext():
        for start in range(0, len(values), BLOCK):
            index = ((scaled[start : start + BLOCK] - left) * scale).astype(np.intp)
            counts += np.bincount(index, minlength=BUCKETS + 1)
            block = values[start : start + BLOCK]
            total += float(np.add.reduce(block))
            squares += float(block.dot(block))
    counts[-2] += counts[-1]  # the maximum belongs to the last bucket
    limits = low * (1 - PARTS) + high * PARTS
    filled = counts[:-1] > 0
    filled[:-1] |= filled[1:]  # keep the last of adjacent empty buckets
    limits, kept = limits[filled], counts[:-1][filled].astype(np.float64)
    return Buckets(low, high, len(values), total, squares, limits, kept), dropped


def _limits(values: NDArray[Any]) -> tuple[float, float]:
    # Of a few thousand values, ndarray.min itself takes longer than its work.
    return float(np.minimum.reduce(values)), float(np.maximum.reduce(values))


def _constant(value: float, number: int) -> Buckets:
    margin = min(0.005 * abs(value), sys.float_info.max - abs(value))
    limits, counts = np.array([value + margin]), np.array([float(number)])
    total, squares = value * number, value * value * number
    return Buckets(
        value - margin, value + margin, number, total, squares, limits, counts
    )


# -- reading back ----------------------------------------------------------------------


class Histograms(NamedTuple):
    """The histograms of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    histograms : sequence of N arrays, shape ``(K, 3)``, float64
        One row per bucket: its left edge, its right edge, and the number of values.
        Each is read from the files when it is asked for, and not kept.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    histograms: OnDemand[NDArray[np.float64]]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]


def read(blocks: Iterable[Block], tag: str) -> Histograms:
    """Return the histograms of a tag; there may be none."""
    rows, histograms = on_demand(blocks, HISTOGRAM, tag, _look, decode)
    return Histograms(rows.steps, histograms, rows.times, rows.wall_times)


def _look(value: Value) -> Iterator[None]:
    """Decode the histogram in a value, to see whether that works."""
    yield from (None for _ in decode(value))


def decode(value: Value) -> Iterator[NDArray[np.float64]]:
    """Yield the histogram in a value."""
    yield _buckets(value)


def _buckets(value: Value) -> NDArray[np.float64]:
    """Return left edge, right edge and count of each bucket, as TensorBoard does."""
    if value.field != HISTOGRAM.field:
        return tensors.array(value).astype(np.float64).reshape(-1, 3)
    parts: dict[int, bytes] = {}
    for number, raw in fields(value.raw):
        if isinstance(raw, bytes):
            parts[number] = parts.get(number, b"") + raw
    least, most = (DOUBLE.unpack(parts.get(n, bytes(8))[-8:])[0] for n in (1, 2))
    limits = np.frombuffer(parts.get(6, b""), "<f8")
    counts = np.frombuffer(parts.get(7, b""), "<f8")
    filled = np.flatnonzero(counts > 0)
    if not len(filled):
        return np.zeros((0, 3))
    first, last = filled[0], filled[-1]
    inner = limits[first:last]  # the outermost limits may be as large as a double can
    return np.column_stack([[least, *inner], [*inner, most], counts[first : last + 1]])
