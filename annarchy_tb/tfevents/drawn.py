"""Records of points that are drawn from a recording, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from annarchy_tb.tfevents.records import (
    FIXED32,
    HEAD,
    TAIL,
    doubles_key,
    header,
    mask,
    varint,
)
from annarchy_tb.tfevents.schema import BLOCK
from annarchy_tb.tfevents.templates import REAL_KEY, TIME_KEY, pieces

WALL_KEY, STEP_KEY = bytes([9]), bytes([16])
BLOCK_KEY = varint(BLOCK << 3 | FIXED32)

# From these steps on, as unsigned numbers, a varint takes 2, 3, ... 10 bytes.
WIDER = np.array([1 << bits for bits in range(7, 64, 7)], np.uint64)


class Points(NamedTuple):
    """The n points that are drawn of K tags that share an event.

    Attributes
    ----------
    values : array, shape ``(n, K)``
    wall_times : array, shape ``(n,)``, or float
    steps : array, shape ``(n,)``, int64
    times : array, shape ``(n,)``, or None
        The simulated times as they were given.
    blocks : array, shape ``(n,)``
        The numbers of their blocks.
    """

    values: NDArray[Any]
    wall_times: NDArray[np.float64] | float
    steps: NDArray[np.int64]
    times: NDArray[np.float64] | None
    blocks: NDArray[np.int64]


def drawn_records(tags: Sequence[str], points: Points, real: float) -> Iterator[bytes]:
    """Yield the records of points, several at a time.

    Parameters
    ----------
    tags
        The K tags.
    points
        The points.
    real
        The real time of the call, in seconds since 1970.
    """
    bits = points.steps.view(np.uint64)
    widths = np.searchsorted(WIDER, bits, side="right") + 1
    cuts = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist(), len(bits)]
    for begin, end in pairwise(cuts):
        if begin < end:
            its = slice(begin, end)
            yield _alike(tags, points, its, real, bits[its], int(widths[begin]))


def _alike(
    tags: Sequence[str],
    points: Points,
    rows: slice,
    real: float,
    bits: NDArray[np.uint64],
    width: int,
) -> bytes:
    """Return the records of points whose steps take the same number of bytes."""
    parts, row = pieces(tags), bytearray()
    columns: list[tuple[int, str, Any]] = []  # place, type, and content

    def add(constant: bytes, dtype: str, column: Any) -> None:
        row.extend(constant)
        columns.append((HEAD + len(row), dtype, column))
        row.extend(bytes(np.dtype(dtype).itemsize))

    values, drawn, times = points.values[rows], points.wall_times, points.times
    for k, piece in enumerate(parts):
        add(piece, "<f4", values[:, k])
    for k in range(len(parts)):
        add(b"" if k else doubles_key(len(parts)), "<f8", values[:, k])
    add(WALL_KEY, "<f8", drawn[rows] if isinstance(drawn, np.ndarray) else drawn)
    for i in range(width):
        seven = (bits >> np.uint64(7 * i)).astype(np.uint8)
        add(b"" if i else STEP_KEY, "u1", seven | 128 if i < width - 1 else seven)
    if times is not None:
        add(TIME_KEY, "<f8", times[rows])
        add(REAL_KEY, "<f8", real)
    add(BLOCK_KEY, "<u4", points.blocks[rows])

    number, size = len(bits), HEAD + len(row) + TAIL
    template = np.frombuffer(header(len(row)) + row + bytes(TAIL), np.uint8)
    table = np.tile(template, (number, 1))
    with np.errstate(all="ignore"):  # beyond single precision, signalling NaN
        for at, dtype, column in columns:
            np.ndarray(number, dtype, table, at, (size,))[:] = column
    data, crc, start = table.tobytes(), crc32c(parts[0]), HEAD + len(parts[0])
    crcs = [
        crc32c_extend(crc, data[at + start : at + size - TAIL])
        for at in range(0, len(data), size)
    ]
    masked = mask(np.array(crcs, np.uint64))
    np.ndarray(number, "<u4", table, size - TAIL, (size,))[:] = masked
    return table.tobytes()
