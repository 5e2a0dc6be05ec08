"""Tables of scalar records: whole time series, thousands of points at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from annarchy_tb.tfevents.checksums import changes
from annarchy_tb.tfevents.records import DOUBLE, header, mask
from annarchy_tb.tfevents.templates import REAL_KEY, TIME_KEY, pieces

WALL_TIME_KEY, STEP_KEY = 9, 16
ROWS, BLOCK = 16384, 1 << 20  # the most records, and bytes, made at a time

# From these steps on, a varint takes 1, 2, ... 10 bytes.
WIDER = np.array([0, *(1 << bits for bits in range(7, 64, 7))], np.uint64)


def record_blocks(
    tags: Sequence[str],
    values: NDArray[Any],
    wall_times: NDArray[np.float64],
    steps: NDArray[np.int64],
    times: NDArray[np.float64] | None = None,
    real: float = 0.0,
) -> Iterator[memoryview]:
    """Yield the records of whole time series, some thousands at a time.

    They are, byte for byte, those of the same points made one by one.

    Parameters
    ----------
    tags
        The K tags.
    values
        Shape ``(N, K)``, any real type.
    wall_times
        Shape ``(N,)``, or ``(1,)`` for one that holds for all.
    steps
        Shape ``(N,)``.
    times, real
        The simulated times as they were given, shape ``(N,)``, and the real time.
    """
    if not len(steps):
        return
    constant = pieces(tags)
    bits = steps.view(np.uint64)  # as protobuf encodes them: negative ones are large
    if np.all(bits[1:] >= bits[:-1]):
        starts = np.unique(np.searchsorted(bits, WIDER))
        starts = starts[starts < len(bits)]
        widths = _varint_widths(bits[starts])
    else:
        widths = _varint_widths(bits)
        starts = np.flatnonzero(np.diff(widths, prepend=0))
        if len(starts) > 100 + len(steps) // 1000:
            yield from _mixed(constant, values, wall_times, bits, widths, times, real)
            return
        widths = widths[starts]
    for start, end, width in zip(starts, [*starts[1:], len(bits)], widths, strict=True):
        rows = _Rows(constant, int(width), end - start, times is not None, real)
        for at in range(start, end, rows.number):
            part = slice(at, min(at + rows.number, end))
            drawn = wall_times if len(wall_times) == 1 else wall_times[part]
            given = None if times is None else times[part]
            yield rows.fill(values[part], drawn, bits[part], given).data


def _mixed(
    pieces: Sequence[bytes],
    values: NDArray[Any],
    wall_times: NDArray[np.float64],
    bits: NDArray[np.uint64],
    widths: NDArray[np.intp],
    times: NDArray[np.float64] | None,
    real: float,
) -> Iterator[memoryview]:
    """Yield the records of steps whose widths change all the time."""
    kinds = {
        int(width): _Rows(pieces, int(width), len(bits), times is not None, real)
        for width in np.unique(widths)
    }
    longest = max(rows.length for rows in kinds.values())
    number = min(rows.number for rows in kinds.values())
    for at in range(0, len(bits), number):
        part = slice(at, at + number)
        table = np.empty((len(bits[part]), longest), np.uint8)
        lengths = np.empty(len(table), np.intp)
        for width, rows in kinds.items():
            chosen = np.flatnonzero(widths[part] == width)
            drawn = wall_times if len(wall_times) == 1 else wall_times[part][chosen]
            given = None if times is None else times[part][chosen]
            filled = rows.fill(values[part][chosen], drawn, bits[part][chosen], given)
            table[chosen, : rows.length] = filled.reshape(len(chosen), rows.length)
            lengths[chosen] = rows.length
        yield table[np.arange(longest) < lengths[:, np.newaxis]].data


def _varint_widths(bits: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the bytes that each step takes, from 1 to 10."""
    return np.searchsorted(WIDER, bits, side="right")


class _Rows:
    """A table of records that all have the same length, a record a row.

    What is constant is written once, and only what changes is filled in again.
    """

    def __init__(
        self, pieces: Sequence[bytes], width: int, most: int, timed: bool, real: float
    ) -> None:
        values = b"".join(piece + bytes(4) for piece in pieces[1:])
        tail = (
            bytes(4)
            + values
            + bytes([WALL_TIME_KEY, *bytes(8), STEP_KEY])
            + bytes(width)
        )
        end = TIME_KEY + bytes(8) + REAL_KEY + DOUBLE.pack(real) if timed else b""
        tail += end
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
        self._step = self.length - 4 - len(end) - width
        self._time = self._step + width + len(TIME_KEY)
        # The tables for it are made once, but that takes as long as some thousand rows.
        self._at_once = len(pieces) == 1 or (len(pieces) <= 16 and most >= 8192)
        sizes = [len(piece) for piece in pieces]
        self._places = [
            len(head) + 4 * i + sum(sizes[1 : i + 1]) for i in range(len(pieces))
        ]

    def _column(self, number: int, place: int, dtype: str) -> NDArray[Any]:
        """Return the field at one place of the first rows."""
        return np.ndarray(number, dtype, self._table, place, (self.length,))

    def fill(
        self,
        values: NDArray[Any],
        wall_times: NDArray[np.float64],
        bits: NDArray[np.uint64],
        times: NDArray[np.float64] | None,
    ) -> NDArray[np.uint8]:
        """Return the records of these points; they hold until the next call."""
        number = len(bits)
        if number > self._ready:
            self._table[self._ready : number] = self._row
            self._ready = number
        with np.errstate(over="ignore"):  # beyond single precision is infinity
            for i, place in enumerate(self._places):
                self._column(number, place, "<f4")[:] = values[:, i]
        self._column(number, self._step - 9, "<f8")[:] = wall_times
        if times is not None:
            self._column(number, self._time, "<f8")[:] = times
        for i in range(self._width):
            seven = (bits >> np.uint64(7 * i)).astype(np.uint8)
            if i < self._width - 1:
                seven |= np.uint8(128)
            self._table[:number, self._step + i] = seven
        if self._at_once:
            crcs = self._checksums_at_once(number, len(wall_times) == 1)
        else:
            crcs = self._checksums_by_row(number)
        self._column(number, self.length - 4, "<u4")[:] = mask(crcs.astype(np.uint64))
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
        """Return the checksums of all rows, by lookup.

        That of a row is that of a row in which all that changes is zero, XOR what each
        two bytes of the row change about it.
        """
        end = self.length - 4
        time = self._step - 10  # where the key of the wall time stands
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
