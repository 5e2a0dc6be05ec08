"""What event files hold, as NumPy arrays."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.tfevents.parsing import (
    HISTOGRAM,
    IMAGE,
    SIMPLE_VALUE,
    Value,
    fields,
    last_field,
)
from annarchy_tb.tfevents.records import DOUBLE, FLOAT
from annarchy_tb.tfevents.scan import Block

if TYPE_CHECKING:
    from pandas import DataFrame


class Scalars(NamedTuple):
    """The points of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    values : array, shape ``(N,)``, float64
    times : array, shape ``(N,)``, float64
        Wall times in seconds since 1970: when a point was written, or, where it was
        logged with ``time=``, the start of the run plus the simulated time.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]

    def to_pandas(self) -> DataFrame:
        """Return a table with the columns ``step``, ``value`` and ``wall_time``."""
        columns = {"step": self.steps, "value": self.values, "wall_time": self.times}
        return imported("pandas", "Scalars.to_pandas").DataFrame(columns)


class Images(NamedTuple):
    """The images of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    images : list of N arrays, shape ``(H, W, C)``, uint8
        C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
    times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    images: list[NDArray[Any]]
    times: NDArray[np.float64]


class Histograms(NamedTuple):
    """The histograms of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    histograms : list of N arrays, shape ``(K, 3)``, float64
        A row a bucket: its left edge, its right edge, and how many values it holds.
    times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    histograms: list[NDArray[np.float64]]
    times: NDArray[np.float64]


class Texts(NamedTuple):
    """The texts of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    texts : list of N str
        The lines of a tensor of several texts are joined by line breaks.
    times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    texts: list[str]
    times: NDArray[np.float64]


# -- from blocks of records ------------------------------------------------------------


def kinds(blocks: Iterable[Block]) -> dict[str, str]:
    """Return the kind of each tag, in the order of their first appearance."""
    found: dict[str, str] = {}
    for block in blocks:
        new: list[tuple[int, str, str]] = [
            (int(columns.places[0]), tag, "scalar")
            for columns in block.columns
            for tag in columns.tags
        ]
        new += [
            (place, value.tag, value.kind)
            for place, event in block.others
            for value in event.values
        ]
        for _, tag, kind in sorted(new, key=lambda entry: entry[0]):
            found.setdefault(tag, kind)
    return found


def scalars(blocks: Iterable[Block], tags: Iterable[str]) -> dict[str, Scalars]:
    """Return the points of some tags, or of all if `tags` is empty."""
    found: dict[str, list[Scalars]] = {}
    wanted = frozenset(tags)
    for block in blocks:
        pieces = _pieces(block, wanted)
        for tag, part in sorted(pieces.items(), key=lambda item: item[1][0][0][0]):
            found.setdefault(tag, []).append(_in_order(part))
    return {tag: _joined(parts) for tag, parts in found.items()}


def images(blocks: Iterable[Block], tag: str) -> Images:
    """Return the images of a tag."""
    return Images(*_rows(blocks, "image", tag, _images))


def histograms(blocks: Iterable[Block], tag: str) -> Histograms:
    """Return the histograms of a tag."""
    return Histograms(*_rows(blocks, "histogram", tag, lambda v: [_buckets(v)]))


def texts(blocks: Iterable[Block], tag: str) -> Texts:
    """Return the texts of a tag."""
    return Texts(*_rows(blocks, "text", tag, lambda v: [_text(v)]))


def _rows(
    blocks: Iterable[Block],
    kind: str,
    tag: str,
    contents: Callable[[Value], Iterable[Any]],
) -> tuple[NDArray[np.int64], list[Any], NDArray[np.float64]]:
    rows = [
        (event.step, content, event.wall_time)
        for block in blocks
        for _, event in block.others
        for value in event.values
        if value.tag == tag and value.kind == kind
        for content in contents(value)
    ]
    steps, found, times = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(steps, np.int64), list(found), np.array(times, np.float64)


# -- scalars ---------------------------------------------------------------------------

Piece = tuple[NDArray[np.intp], Scalars]  # the places in the block, and the points


def _pieces(block: Block, wanted: frozenset[str]) -> dict[str, list[Piece]]:
    """Return the scalars of a block by tag; of all, if none is wanted."""
    found: dict[str, list[Piece]] = {}
    for columns in block.columns:
        for tag, values in zip(columns.tags, columns.values, strict=True):
            if tag in wanted or not wanted:
                points = Scalars(columns.steps, values.astype("f8"), columns.times)
                found.setdefault(tag, []).append((columns.places, points))
    single: dict[str, list[tuple[int, int, float, float]]] = {}
    for place, event in block.others:
        for value in event.values:
            if value.kind == "scalar" and (value.tag in wanted or not wanted):
                number = _number(value)
                if number is not None:
                    entry = (place, event.step, number, event.wall_time)
                    single.setdefault(value.tag, []).append(entry)
    for tag, entries in single.items():
        places, steps, numbers, times = zip(*entries, strict=True)
        points = Scalars(np.array(steps, "i8"), np.array(numbers), np.array(times))
        found.setdefault(tag, []).append((np.array(places), points))
    return found


def _in_order(pieces: list[Piece]) -> Scalars:
    if len(pieces) == 1:
        return pieces[0][1]
    order = np.argsort(np.concatenate([places for places, _ in pieces]), kind="stable")
    columns = zip(*(points for _, points in pieces), strict=True)
    return Scalars(*(np.concatenate(column)[order] for column in columns))


def _joined(parts: list[Scalars]) -> Scalars:
    if len(parts) == 1:
        return parts[0]
    return Scalars(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _number(value: Value) -> float | None:
    if value.field == SIMPLE_VALUE:
        return float(FLOAT.unpack(value.raw)[0])
    array = _array(value)
    return (
        float(array.item()) if array.size == 1 and array.dtype.kind in "biuf" else None
    )


def _array(value: Value) -> NDArray[Any]:
    """Return a tensor of any type."""
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.util.tensor_util import make_ndarray

    array: NDArray[Any] = make_ndarray(TensorProto.FromString(value.raw))
    return array


# -- all else --------------------------------------------------------------------------


def _text(value: Value) -> str:
    return "\n".join(text.decode(errors="replace") for text in _texts(value))


def _texts(value: Value) -> list[bytes]:
    """Return the strings of a tensor, as its field ``string_val`` holds them."""
    return [raw for n, raw in fields(value.raw) if n == 8 and isinstance(raw, bytes)]


def _images(value: Value) -> Iterator[NDArray[Any]]:
    from PIL import Image

    # A tensor holds width, height, then the images.
    single = value.field == IMAGE
    for data in [last_field(value.raw, 4)] if single else _texts(value)[2:]:
        with Image.open(io.BytesIO(data)) as image:
            plain = image.convert("RGB") if image.mode in ("P", "1", "CMYK") else image
            pixels = np.asarray(plain)
        yield pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _buckets(value: Value) -> NDArray[np.float64]:
    """Return left edge, right edge and count of each bucket, as TensorBoard does."""
    if value.field != HISTOGRAM:
        return _array(value).astype(np.float64).reshape(-1, 3)
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


def imported(name: str, caller: str) -> Any:
    """Return pandas or pyarrow; raise ImportError with the way to get it."""
    try:
        return import_module(name)
    except ImportError:
        raise ImportError(
            f"{caller} needs {name}: pip install 'annarchy-tb[pandas]'"
        ) from None
