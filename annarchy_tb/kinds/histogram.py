"""Histograms: values counted in buckets, and read back."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import number_type, wide_type
from annarchy_tb.inputs.blocks import BLOCK, blocks
from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.foreign import (
    as_array,
    because,
    filled,
    is_nest,
    is_opaque,
    mask_of,
    plain_types,
)
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
        are used; or quantities. NaN, infinity and masked values are dropped with a
        warning. If no values remain, nothing is written.
    """
    with Entry(self._run, "add_histogram", tag, HISTOGRAM, step, time) as entry:
        buckets, remarks = count(as_values(entry.plain(hist, name="hist")))
        for subject, message in remarks:
            entry.warn(subject, message)
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


class Values(NamedTuple):
    """Numbers of any shape and real type, and which of them are masked, if any are."""

    array: NDArray[Any]
    mask: NDArray[np.bool_] | None = None


def as_values(hist: object) -> list[Values]:
    """Return all numbers in any nesting; small arrays are joined, large ones kept.

    Takes arrays, lists of any depth (ragged too), object arrays, iterables, a single
    number, and the values of a mapping.

    Raises
    ------
    TypeError
        If it contains anything other than numbers.
    """
    try:
        return list(_joined(_values(hist)))
    except RecursionError:
        raise _not_numbers(hist) from None


def _values(hist: Any) -> Iterator[Values]:
    if isinstance(hist, Mapping):
        hist = list(hist.values())
    nested = is_nest(hist)
    if not nested:
        _check(hist)
    items: Iterable[object]
    try:
        if nested and not _is_array(hist):
            items = hist
        else:
            found: Any = hist if nested else as_array(hist)
            array, mask = np.asarray(found), mask_of(found)
            if number_type(array.dtype) is not None:
                yield Values(array, mask)
                return
            if array.dtype.kind != "O":
                raise TypeError
            if array.ndim:
                items = filled(found).ravel()
            elif isinstance(found, Iterable):
                items = list(found)
            else:
                yield Values(np.array(float(array.item())))
                return
    except ValueError:  # ragged
        items = hist
    except (TypeError, OverflowError) as error:
        raise _not_numbers(hist, because(error)) from None
    for item in items:
        yield from _values(item)


def _check(hist: object) -> None:
    """Raise TypeError for an object whose numbers are elsewhere."""
    if hasattr(hist, "toarray"):
        raise _not_numbers(hist, "; pass its .data")
    if hasattr(hist, "post_ranks"):
        raise _not_numbers(hist, "; pass its .w")
    if is_opaque(hist):
        raise _not_numbers(hist)


def _is_array(nest: Any) -> bool:
    """Return whether NumPy makes an array of a list, without a copy of a large one."""
    kinds = plain_types(nest)
    return bool(kinds) and not (np.ndarray in kinds and any(map(_is_large, nest)))


def _is_large(item: object) -> bool:
    return type(item) is not np.ndarray or item.size > BLOCK


def _joined(given: Iterable[Values]) -> Iterator[Values]:
    """Join small arrays, so that not each of them takes the time of a call."""
    small: list[Values] = []
    size = 0
    for values in given:
        if values.array.size > BLOCK:
            yield values
            continue
        small.append(values)
        size += values.array.size
        if size > BLOCK:
            yield _join(small)
            small, size = [], 0
    if small:
        yield _join(small)


def _join(small: list[Values]) -> Values:
    if len(small) == 1:
        return small[0]
    arrays = [
        array.ravel().astype(number_type(array.dtype), copy=False) for array, _ in small
    ]
    masks = None
    if any(mask is not None for _, mask in small):
        masks = np.concatenate(
            [
                np.zeros(array.size, np.bool_) if mask is None else mask.ravel()
                for array, mask in small
            ]
        )
    return Values(np.concatenate(arrays), masks)


def _not_numbers(hist: object, hint: str = "") -> TypeError:
    return TypeError(f"hist must hold numbers, got {describe(hist)}{hint}")


def count(values: Sequence[Values]) -> tuple[Buckets | None, list[tuple[str, str]]]:
    """Count values into at most 64 buckets of equal width.

    The buckets reach from the minimum to the maximum. Adjacent empty buckets are merged
    into one. A constant c fills one bucket, from half a percent below to half a percent
    above it. The counts are exact, except that a value within rounding error of an edge
    may be counted on either side.

    Returns
    -------
    buckets
        None if there is no finite value.
    remarks
        Warnings of values that are not counted: the subject and the text of each.
    """
    dtype = _common_type(values)
    with _quiet(any(array.itemsize > dtype.itemsize for array, _ in values)):
        its = _limits(values, dtype)
    if its.low < its.high:
        buckets: Buckets | None = _spread(values, dtype, its)
    else:
        buckets = _constant(its.low, its.number) if its.number else None
    remarks: list[tuple[str, str]] = []
    if its.masked:
        remarks.append(("masked", "masked values are dropped"))
    if its.odd:
        remarks.append(("finite", "NaN and infinity are dropped"))
    return buckets, remarks


def _quiet(overflows: bool) -> AbstractContextManager[object]:
    """Return a context without NumPy's warnings, which takes time, or nothing."""
    ignored: Any = {"over": "ignore", "invalid": "ignore"}
    return np.errstate(**ignored) if overflows else nullcontext()


def _common_type(values: Sequence[Values]) -> np.dtype[Any]:
    """Return the type to count in: float32 if all values have it, otherwise float64."""
    types = {wide_type(array.dtype) for array, _ in values}
    common = np.result_type(*types) if len(types) > 1 else next(iter(types), None)
    return np.dtype(np.float32 if common == np.float32 else np.float64)


class _Limits(NamedTuple):
    """The least and the greatest finite value, and how many values there are."""

    low: float
    high: float
    number: int  # of finite values
    odd: int  # of values that are NaN or infinite
    masked: int


def _limits(values: Sequence[Values], dtype: np.dtype[Any]) -> _Limits:
    low, high = math.inf, -math.inf
    unmasked = number = 0
    for array, mask in values:
        for block in blocks(array, dtype, mask):
            unmasked += len(block)
            # Of few values, ndarray.min itself takes longer than its work.
            least, most = _least(block), _most(block)
            if not math.isfinite(most - least):
                block = block[np.isfinite(block)]
                least, most = _least(block), _most(block)
            number += len(block)
            low, high = min(low, least), max(high, most)
    total = sum(array.size for array, _ in values)
    return _Limits(low, high, number, unmasked - number, total - unmasked)


def _least(block: NDArray[Any]) -> float:
    return float(np.minimum.reduce(block, initial=math.inf))


def _most(block: NDArray[Any]) -> float:
    return float(np.maximum.reduce(block, initial=-math.inf))


def _spread(values: Sequence[Values], dtype: np.dtype[Any], its: _Limits) -> Buckets:
    low, high = its.low, its.high
    # Neither the span, nor its inverse, nor a square may overflow or underflow.
    if not (high - low > 1e-30 and max(-low, high) < 1e18):
        dtype = np.dtype(np.float64)
    factor = 1.0
    if high / 4 - low / 4 > 1e307:
        factor = 0.25
    elif high - low < 1e-290:
        factor = 2.0**200
    left, scale = low * factor, BUCKETS / (high * factor - low * factor)

    counts = np.zeros(BUCKETS + 1, np.intp)
    total = squares = 0.0
    with _quiet(max(-low, high) > 1e15):  # sums may overflow
        for array, mask in values:
            for block in blocks(array, dtype, mask):
                if its.odd:
                    block = block[np.isfinite(block)]
                scaled = block if factor == 1.0 else block * factor
                index = ((scaled - left) * scale).astype(np.intp)
                counts += np.bincount(index, minlength=BUCKETS + 1)
                total += float(np.add.reduce(block))
                squares += float(np.einsum("i,i", block, block))  # without BLAS
    counts[-2] += counts[-1]  # the maximum belongs to the last bucket
    limits = low * (1 - PARTS) + high * PARTS
    shown = counts[:-1] > 0
    shown[:-1] |= shown[1:]  # keep the last of adjacent empty buckets
    limits, kept = limits[shown], counts[:-1][shown].astype(np.float64)
    return Buckets(low, high, its.number, total, squares, limits, kept)


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
