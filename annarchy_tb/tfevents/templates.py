"""Records of scalars, with everything constant for their tags prepared beforehand.

An event of scalars is laid out with the changing bytes after the constant ones (the
numbers are offsets from the first value of a record)::

    record header, tags and field keys of the event, up to the first value
     +0  float   the value           (further values, each after its tag)
     +4  byte    9, the key of the wall time
     +5  double  the wall time, in seconds since 1970
    +13  byte    16, the key of the step
    +14  varint  the step, 1 to 10 bytes, seven bits per byte, lowest first
         uint32  masked CRC-32C of the event

The checksum of the constant part is known, and is extended over the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, SupportsFloat

import numpy as np
from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.numbers import LARGEST
from annarchy_tb.tfevents.checksums import changes, masked
from annarchy_tb.tfevents.records import (
    UINT32,
    bytes_field,
    described,
    header,
    scalar_value,
    varint,
)

WALL_TIME_KEY, STEP_KEY = 9, 16
ROWS, BLOCK = 16384, 1 << 20  # records, and their bytes, made at a time

# The smallest steps whose varints take 1, 2, ... 10 bytes.
WIDER = np.array([0, *(1 << bits for bits in range(7, 64, 7))], np.uint64)

pack_uint32 = UINT32.pack

NO_TEXTS: Mapping[str, str] = MappingProxyType({})

Layout = tuple[int, int, int, bytes, Callable[..., bytes], bytes, int]


def _pieces(tags: Sequence[str], texts: Mapping[str, str]) -> list[bytes]:
    """Return the bytes that precede each value of an event."""
    values = []
    for tag in tags:
        value = scalar_value(tag, 0.0)
        if tag in texts:
            value = described("scalar", value, texts[tag])
        values.append(b"".join(value))
    body = b"".join(values)
    key = bytes_field(5, body)[: -len(body)]
    return [key + values[0][:-4], *(value[:-4] for value in values[1:])]


def _lay_out(pieces: Sequence[bytes], step: int) -> Layout:
    """Return the layout for the 128 steps whose varints differ in the first byte only.

    It consists of the first and the last of these steps, the number to subtract from a
    step to get that byte, the varint's other bytes, the function that packs all that
    follows the constant part, the header with the constant part, and the checksum of
    the constant part.
    """
    first = step & ~127
    rest = varint((first & 0xFFFFFFFFFFFFFFFF) >> 7) if first else b""
    values = "".join(f"{len(piece)}sf" for piece in pieces[1:])
    tail = struct.Struct(f"<f{values}BdBB{len(rest)}s")
    head = header(len(pieces[0]) + tail.size) + pieces[0]
    less = first - 128 if rest else first
    return first, first + 127, less, rest, tail.pack, head, crc32c(pieces[0])


class ScalarRecords:
    """Records of one tag, made from ``(value, wall time, step)``.

    If `texts` describe the tag, every record contains the description.
    """

    __slots__ = ("_layout", "_pieces")

    def __init__(self, tag: str, texts: Mapping[str, str] = NO_TEXTS) -> None:
        self._pieces = _pieces([tag], texts)
        self._layout = _lay_out(self._pieces, 0)

    def make(self, value: SupportsFloat, wall_time: float, step: int) -> bytes:
        # The layout is read and replaced as a whole, so that records stay valid when
        # two threads log the same tag at once.
        first, last, less, rest, pack, head, crc = self._layout
        if not first <= step <= last:
            self._layout = _lay_out(self._pieces, step)
            first, last, less, rest, pack, head, crc = self._layout
        tail = pack(value, 9, wall_time, 16, step - less, rest)
        crc = crc32c_extend(crc, tail)
        # mask(crc), without the call and with fewer operations
        crc = ((crc * 0x100000001 >> 15) + 0xA282EAD8) & 0xFFFFFFFF
        return head + tail + pack_uint32(crc)


class EventRecords:
    """Records of several tags in one event, made from ``(values, wall time, step)``.

    If `texts` describe tags, every record contains the descriptions.
    """

    __slots__ = ("_layout", "_pieces", "_template")

    def __init__(
        self, tags: Sequence[str], texts: Mapping[str, str] = NO_TEXTS
    ) -> None:
        self._pieces = _pieces(tags, texts)
        self._layout = _lay_out(self._pieces, 0)
        # The arguments of `pack`: the values, with the pieces between them.
        self._template: list[Any] = [0.0] * (2 * len(tags) - 1)
        self._template[1::2] = self._pieces[1:]

    def make(
        self, values: Collection[SupportsFloat], wall_time: float, step: int
    ) -> bytes:
        first, last, less, rest, pack, head, crc = self._layout
        if not first <= step <= last:
            self._layout = _lay_out(self._pieces, step)
            first, last, less, rest, pack, head, crc = self._layout
        arguments = self._template.copy()
        arguments[::2] = values
        tail = pack(*arguments, 9, wall_time, 16, step - less, rest)
        crc = crc32c_extend(crc, tail)
        crc = ((crc * 0x100000001 >> 15) + 0xA282EAD8) & 0xFFFFFFFF
        return head + tail + pack_uint32(crc)


# -- whole time series -----------------------------------------------------------------


def as_table(values: ArrayLike, columns: int | None) -> NDArray[Any]:
    """Convert values of shape ``(N,)`` or ``(N, columns)`` to a table of numbers.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If they have another shape.
    """
    array = numbers("values", values)
    if columns is None and array.ndim == 1:
        return array[:, np.newaxis]
    if columns is None or array.ndim != 2 or array.shape[1] != columns:
        wanted = "(N,) for one tag" if columns is None else f"(N, {columns})"
        place = ", ".join(":" + "0" * (array.ndim - 1))
        hint = f"; select one column, as in values[{place}], or pass a list of tags"
        raise ValueError(
            f"values must have shape {wanted}, got {array.shape}"
            + (hint if columns is None and array.ndim > 1 else "")
        )
    return array


def beyond_single(table: NDArray[Any]) -> float | None:
    """Return a finite number too large for single precision, if there is one."""
    if table.dtype != np.float64:
        return None
    high, low = np.fmax.reduce(table, axis=None), np.fmin.reduce(table, axis=None)
    if max(high, -low) < LARGEST:
        return None
    beyond = table[np.isfinite(table) & (np.abs(table) >= LARGEST)]
    return float(beyond[0]) if len(beyond) else None


def series(
    tags: Sequence[str],
    values: NDArray[Any],
    wall_times: NDArray[np.float64],
    steps: NDArray[np.int64],
) -> Iterator[memoryview]:
    """Yield the records of whole time series, some thousands at a time.

    They are byte for byte those of the same points made one by one.

    Parameters
    ----------
    tags
        The K tags.
    values
        Shape ``(N, K)``, any real type.
    wall_times
        Shape ``(N,)``, or ``(1,)`` if it is the same for all.
    steps
        Shape ``(N,)``.
    """
    if not len(steps):
        return
    pieces = _pieces(tags, NO_TEXTS)
    bits = steps.view(np.uint64)  # as protobuf encodes them: negative ones are large
    if np.all(bits[1:] >= bits[:-1]):
        starts = np.unique(np.searchsorted(bits, WIDER))
        starts = starts[starts < len(bits)]
        widths = _varint_widths(bits[starts])
    else:
        widths = _varint_widths(bits)
        starts = np.flatnonzero(np.diff(widths, prepend=0))
        if len(starts) > 100 + len(steps) // 1000:
            yield from _mixed(pieces, values, wall_times, bits, widths)
            return
        widths = widths[starts]
    for start, end, width in zip(starts, [*starts[1:], len(bits)], widths, strict=True):
        rows = _Rows(pieces, int(width), end - start)
        for at in range(start, end, rows.number):
            part = slice(at, min(at + rows.number, end))
            times = wall_times if len(wall_times) == 1 else wall_times[part]
            yield rows.fill(values[part], times, bits[part]).data


def _mixed(
    pieces: Sequence[bytes],
    values: NDArray[Any],
    wall_times: NDArray[np.float64],
    bits: NDArray[np.uint64],
    widths: NDArray[np.intp],
) -> Iterator[memoryview]:
    """Yield the records of steps whose varint widths change often."""
    kinds = {
        int(width): _Rows(pieces, int(width), len(bits)) for width in np.unique(widths)
    }
    longest = max(rows.length for rows in kinds.values())
    number = min(rows.number for rows in kinds.values())
    for at in range(0, len(bits), number):
        part = slice(at, at + number)
        table = np.empty((len(bits[part]), longest), np.uint8)
        lengths = np.empty(len(table), np.intp)
        for width, rows in kinds.items():
            chosen = np.flatnonzero(widths[part] == width)
            times = wall_times if len(wall_times) == 1 else wall_times[part][chosen]
            filled = rows.fill(values[part][chosen], times, bits[part][chosen])
            table[chosen, : rows.length] = filled.reshape(len(chosen), rows.length)
            lengths[chosen] = rows.length
        yield table[np.arange(longest) < lengths[:, np.newaxis]].data


def _varint_widths(bits: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the number of bytes of each step, from 1 to 10."""
    return np.searchsorted(WIDER, bits, side="right")


class _Rows:
    """A table of records of the same length, one per row.

    The constant bytes are written once, and only the changing ones are filled in again.
    """

    def __init__(self, pieces: Sequence[bytes], width: int, most: int) -> None:
        values = b"".join(piece + bytes(4) for piece in pieces[1:])
        tail = (
            bytes(4)
            + values
            + bytes([WALL_TIME_KEY, *bytes(8), STEP_KEY])
            + bytes(width)
        )
        head = header(len(pieces[0]) + len(tail)) + pieces[0]
        row = np.frombuffer(head + tail + bytes(4), np.uint8)
        self.length = len(row)
        self.number = max(1, min(most, ROWS, BLOCK // self.length))
        self._table = np.empty((self.number, self.length), np.uint8)
        self._ready = 0
        self._row = row
        self._width = width
        self._crc = crc32c(pieces[0])
        self._tail = len(head)
        self._step = self.length - 4 - width
        # Its lookup tables are made once, but take as long as a few thousand rows.
        self._at_once = len(pieces) == 1 or (len(pieces) <= 16 and most >= 8192)
        sizes = [len(piece) for piece in pieces]
        self._places = [
            len(head) + 4 * i + sum(sizes[1 : i + 1]) for i in range(len(pieces))
        ]

    def _column(self, number: int, place: int, dtype: str) -> NDArray[Any]:
        """Return the field at one place of the first `number` rows."""
        return np.ndarray(number, dtype, self._table, place, (self.length,))

    def fill(
        self,
        values: NDArray[Any],
        wall_times: NDArray[np.float64],
        bits: NDArray[np.uint64],
    ) -> NDArray[np.uint8]:
        """Return the records of these points, valid until the next call."""
        number = len(bits)
        if number > self._ready:
            self._table[self._ready : number] = self._row
            self._ready = number
        with np.errstate(over="ignore"):  # infinity, if too large for single precision
            for i, place in enumerate(self._places):
                self._column(number, place, "<f4")[:] = values[:, i]
        self._column(number, self._step - 9, "<f8")[:] = wall_times
        for i in range(self._width):
            seven = (bits >> np.uint64(7 * i)).astype(np.uint8)
            if i < self._width - 1:
                seven |= np.uint8(128)
            self._table[:number, self._step + i] = seven
        if self._at_once:
            crcs = self._checksums_at_once(number, len(wall_times) == 1)
        else:
            crcs = self._checksums_by_row(number)
        self._column(number, self.length - 4, "<u4")[:] = masked(crcs)
        return self._table[:number].reshape(-1)

    def _checksums_by_row(self, number: int) -> NDArray[np.uint32]:
        data = self._table[:number].tobytes()
        size, start, crc = self.length, self._tail, self._crc
        return np.array(
            [
                crc32c_extend(crc, data[at + start : at + size - 4])
                for at in range(0, number * size, size)
            ],
            np.uint32,
        )

    def _checksums_at_once(self, number: int, one_time: bool) -> NDArray[np.uint32]:
        """Return the checksums of all rows, by table lookup.

        Each is the checksum of a row with zeros for all changing bytes, XOR the changes
        due to each two bytes of the row.
        """
        end = self.length - 4
        time = self._step - 10  # the place of the wall time's key
        start = self._step if one_time else time
        pairs = [place + half for place in self._places for half in (0, 2)]
        pairs += range(start, end - 1, 2)
        base = self._row[:end].copy()
        base[time:start] = self._table[0, time:start]
        base[start:end] = 0
        crcs = np.full(
            number, crc32c_extend(self._crc, base[self._tail :].tobytes()), np.uint32
        )
        for place in pairs:
            crcs ^= changes(end - 2 - place).take(self._column(number, place, "<u2"))
        if (end - start) % 2:
            crcs ^= changes(-1).take(self._table[:number, end - 1])
        return crcs
