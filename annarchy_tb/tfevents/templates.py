"""Templates of scalar records: everything that is constant for a tag, encoded once.

An event of scalars is laid out so that the variable part follows the constant one
(offsets from the first value of a record of one tag)::

    record header, tags and field keys of the event, up to the first value
     +0  float   the value           (more values, each preceded by its own tag)
     +4  3 bytes the key of the doubles, and their length
     +7  double  the value           (more values)
    +15  byte    9, the key of the wall time
    +16  double  the wall time, in seconds since 1970
    +24  byte    16, the key of the step
    +25  varint  the step, 1 to 10 bytes, seven bits a byte and the lowest first
         2 bytes + double  the simulated time, if there is one
         2 bytes + double  the real time, in seconds since 1970, if there is a simulated
         uint32  masked CRC-32C of the event

The checksum of the constant part is known, and is extended over the rest.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c

from annarchy_tb.inputs.clock import MAX_STEP
from annarchy_tb.inputs.numbers import LARGEST
from annarchy_tb.tfevents.records import (
    BYTES,
    FIXED32,
    FIXED64,
    FLOAT,
    UINT32,
    Parts,
    doubles_key,
    header,
    value,
    varint,
)
from annarchy_tb.tfevents.schema import REAL_TIME, SCALAR, TIME

KEY = varint(SCALAR.field << 3 | FIXED32)
TIME_KEY = varint(TIME << 3 | FIXED64)
REAL_KEY = varint(REAL_TIME << 3 | FIXED64)
ONE_DOUBLE = doubles_key(1)

pack_uint32 = UINT32.pack

# The first and the last of 128 steps, what to subtract from a step, and the rest below.
Layout = tuple[int, int, int, bytes, Callable[..., bytes], bytes, int]
NO_LAYOUT: Layout = (1, 0, 0, b"", struct.pack, b"", 0)  # for no step


def scalar_value(tag: str, number: float) -> Parts:
    """Encode one number, in single precision: beyond its range, it is infinite."""
    single = number if abs(number) < LARGEST else math.copysign(math.inf, number)
    return value(tag, KEY, FLOAT.pack(number if math.isnan(number) else single))


@lru_cache(4096)
def _piece(tag: str) -> bytes:
    """Return the bytes that precede a value in the summary of an event."""
    return b"".join(scalar_value(tag, 0.0))[: -FLOAT.size]


def pieces(tags: Sequence[str]) -> list[bytes]:
    """Return the bytes that precede each value of an event."""
    found = [_piece(tag) for tag in tags]
    size = sum(map(len, found)) + FLOAT.size * len(found)
    found[0] = varint(5 << 3 | BYTES) + varint(size) + found[0]
    return found


def _lay_out(parts: Sequence[bytes], step: int, moved: int, timed: bool) -> Layout:
    """Return what is constant for the 128 steps whose varints share all but one byte.

    The steps in the records are larger by `moved`.

    These are the first and the last of the steps, the number to subtract from a step to
    get its first byte, the other bytes, the function that packs all that follows the
    constant part, that part, and its checksum.
    """
    step += moved
    if step > MAX_STEP:
        raise ValueError("steps must fit into 64 bits")
    first = step & ~127
    rest = varint((first & 0xFFFFFFFFFFFFFFFF) >> 7) if first else b""
    values = "".join(f"{len(piece)}sf" for piece in parts[1:])
    doubles = f"{len(doubles_key(len(parts)))}s{len(parts)}d"
    times = "2sd2sd" if timed else ""
    tail = struct.Struct(f"<f{values}{doubles}BdBB{len(rest)}s{times}")
    head = header(len(parts[0]) + tail.size) + parts[0]
    less = first - 128 if rest else first
    crc, first = crc32c(parts[0]), first - moved
    return first, first + 127, less - moved, rest, tail.pack, head, crc


class ScalarRecords:
    """The records of one tag, from ``(value, wall time, step)``.

    Their steps are larger by `moved`, that of the tag's state.

    Layouts are read and replaced as a whole, so that two threads that log the same tag
    at once still write whole records.
    """

    __slots__ = ("_layout", "_moved", "_pieces", "_timed")
    _layout: Layout
    _timed: Layout
    _pieces: list[bytes]
    _moved: int

    def __init__(self, tag: str, moved: int = 0) -> None:
        self._pieces = pieces([tag])
        self._moved = moved
        self._layout = self._timed = NO_LAYOUT

    def make(
        self,
        value: float,
        wall_time: float,
        step: int,
        times: tuple[float, float] | None = None,
    ) -> bytes:
        """Return a record; `times` are as in `records.summary`."""
        if times is None:
            first, last, less, rest, pack, head, crc = self._layout
            if not first <= step <= last:
                self._layout = _lay_out(self._pieces, step, self._moved, False)
                first, last, less, rest, pack, head, crc = self._layout
            tail = pack(value, ONE_DOUBLE, value, 9, wall_time, 16, step - less, rest)
        else:
            first, last, less, rest, pack, head, crc = self._timed
            if not first <= step <= last:
                self._timed = _lay_out(self._pieces, step, self._moved, True)
                first, last, less, rest, pack, head, crc = self._timed
            time, real = times
            end = (9, wall_time, 16, step - less, rest, TIME_KEY, time, REAL_KEY, real)
            tail = pack(value, ONE_DOUBLE, value, *end)
        crc = crc32c_extend(crc, tail)
        # records.mask(crc), inline: the call would cost a twentieth of add_scalar
        crc = ((crc * 0x100000001 >> 15) + 0xA282EAD8) & 0xFFFFFFFF
        return head + tail + pack_uint32(crc)


class EventRecords:
    """The records of several tags in one event, from ``(values, wall time, step)``.

    Their steps are larger by `moved`.
    """

    __slots__ = ("_arguments", "_layout", "_moved", "_pieces", "_timed")
    _arguments: list[Any]
    _layout: Layout
    _timed: Layout
    _pieces: list[bytes]
    _moved: int

    def __init__(self, tags: Sequence[str], moved: int = 0) -> None:
        self._pieces = pieces(tags)
        self._moved = moved
        self._layout = self._timed = NO_LAYOUT
        # What is packed first: the values, each followed by the piece of the next one,
        # the last by the key of their doubles.
        self._arguments = [0.0] * (2 * len(tags))
        self._arguments[1:-1:2] = self._pieces[1:]
        self._arguments[-1] = doubles_key(len(tags))

    def make(
        self,
        values: list[float],
        wall_time: float,
        step: int,
        times: tuple[float, float] | None = None,
    ) -> bytes:
        """Return a record; `times` are as in `records.summary`."""
        arguments = self._arguments.copy()
        arguments[::2] = values
        arguments += values
        if times is None:
            first, last, less, rest, pack, head, crc = self._layout
            if not first <= step <= last:
                self._layout = _lay_out(self._pieces, step, self._moved, False)
                first, last, less, rest, pack, head, crc = self._layout
            arguments += (9, wall_time, 16, step - less, rest)
            tail = pack(*arguments)
        else:
            first, last, less, rest, pack, head, crc = self._timed
            if not first <= step <= last:
                self._timed = _lay_out(self._pieces, step, self._moved, True)
                first, last, less, rest, pack, head, crc = self._timed
            arguments += (9, wall_time, 16, step - less, rest)
            tail = pack(*arguments, TIME_KEY, times[0], REAL_KEY, times[1])
        crc = crc32c_extend(crc, tail)
        crc = ((crc * 0x100000001 >> 15) + 0xA282EAD8) & 0xFFFFFFFF
        return head + tail + pack_uint32(crc)
