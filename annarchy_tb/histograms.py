"""Values to buckets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.messages import describe

BUCKETS = 64
BLOCK = 65536  # values at a time, so that the work stays in the processor's cache


class Buckets(NamedTuple):
    """A histogram as TensorFlow's ``HistogramProto`` has it.

    `limits` (K,) are the right edges, `counts` (K,) the values below each, both
    float64. The first bucket begins at `min`, the last one ends at `max`.
    """

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    limits: NDArray[np.float64]
    counts: NDArray[np.float64]


def flatten(hist: object) -> NDArray[Any]:
    """Return all numbers of any nesting as one array of shape ``(N,)``.

    Takes arrays, lists of any depth (ragged too), object arrays, iterables, a single
    number, and of a mapping its values.

    Raises
    ------
    TypeError
        If there is something in it that is no number.
    """
    if isinstance(hist, Mapping):
        hist = list(hist.values())
    items: Iterable[object]
    try:
        array = np.asarray(hist)
    except ValueError:  # ragged
        items = list(hist)  # type: ignore[call-overload]
    else:
        if array.dtype.kind in "biuf":
            return array.ravel()
        if array.dtype.kind != "O":
            raise TypeError(f"hist must hold numbers, got {describe(hist)}")
        if array.ndim:
            items = array.ravel()
        elif isinstance(hist, Iterable):
            items = list(hist)
        else:
            return np.array([_number(array.item())])
    parts = [flatten(item) for item in items]
    return np.concatenate(parts) if parts else np.empty(0)


def _number(item: Any) -> float:
    try:
        return float(item)
    except (TypeError, ValueError):
        raise TypeError(f"hist must hold numbers, got {describe(item)}") from None


def finite(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values that are neither NaN nor infinite."""
    if values.dtype.kind != "f":
        return values
    good = np.isfinite(values)
    return values if good.all() else values[good]


def count(values: NDArray[Any]) -> Buckets:
    """Count finite values into at most 64 buckets of equal width.

    The buckets reach from the minimum to the maximum. Each inner run of empty buckets
    is merged into one. A constant c fills one bucket of half a percent to each side.
    The counts are exact; a value within rounding of an edge may fall to either side.

    Parameters
    ----------
    values
        Shape ``(N,)`` with N > 0, any real dtype.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        margin = 0.005 * abs(low)
        total, squares = low * len(values), low * low * len(values)
        right, counts = np.array([high + margin]), np.array([float(len(values))])
        return Buckets(
            low - margin, high + margin, len(values), total, squares, right, counts
        )

    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    # Neither the span nor its inverse may leave the range of the numbers' type.
    if values.dtype == np.float32 and not 1e-30 < high - low < 1e30:
        values = values.astype(np.float64)
    factor = (
        0.25 if high / 4 - low / 4 > 1e307 else 2.0**200 if high - low < 1e-290 else 1
    )
    scaled = values if factor == 1 else values * factor
    left, scale = low * factor, BUCKETS / (high * factor - low * factor)

    counts = np.zeros(BUCKETS + 1)
    total = squares = 0.0
    with np.errstate(over="ignore"):  # the squares of doubles may be infinite
        for start in range(0, len(values), BLOCK):
            index = ((scaled[start : start + BLOCK] - left) * scale).astype(np.intp)
            counts += np.bincount(index, minlength=BUCKETS + 1)
            block = values[start : start + BLOCK].astype(np.float64, copy=False)
            total += float(block.sum())
            squares += float(block.dot(block))
    counts[-2] += counts[-1]  # the maximum belongs to the last bucket
    counts = counts[:-1]
    part = np.arange(1, BUCKETS + 1) / BUCKETS
    limits = low * (1 - part) + high * part
    keep = counts > 0
    keep[:-1] |= keep[1:]  # of a run of empty buckets, the one before a filled one
    return Buckets(low, high, len(values), total, squares, limits[keep], counts[keep])
