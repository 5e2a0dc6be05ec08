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
    # Differences must neither overflow nor be lost: both can happen to doubles.
    with np.errstate(over="ignore"):
        span = np.float64(high) - np.float64(low)
    factor = 0.25 if np.isinf(span) else 2.0**200 if span < 1e-290 else 1.0
    scale = BUCKETS / (high * factor - low * factor) if high > low else 0.0

    counts = np.zeros(BUCKETS + 1, np.float64)
    total = squares = 0.0
    with np.errstate(over="ignore"):
        for start in range(0, len(values), BLOCK):
            block = values[start : start + BLOCK].astype(np.float64, copy=False)
            total += float(block.sum())
            squares += float(block.dot(block))
            index = ((block * factor - low * factor) * scale).astype(np.intp)
            counts += np.bincount(index, minlength=BUCKETS + 1)
    if high > low:
        counts[-2] += counts[-1]  # the maximum belongs to the last bucket
        counts = counts[:-1]
        part = np.arange(1, BUCKETS + 1) / BUCKETS
        limits = low * (1 - part) + high * part
        limits[-1] = high
        keep = counts > 0
        keep[:-1] |= keep[1:]  # of empty buckets, the one before a filled one
        counts, limits = counts[keep], limits[keep]
    else:
        margin = 0.005 * abs(low)
        low, high = low - margin, high + margin
        counts, limits = counts[:1], np.array([high])
    return Buckets(low, high, len(values), total, squares, limits, counts)
