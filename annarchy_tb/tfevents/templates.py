"""Templates of scalar records: everything that is constant for a tag, encoded once.

An event of scalars is laid out so that the variable part follows the constant one
(offsets from the first value of a record)::

    record header, tags and field keys of the event, up to the first value
     +0  float   the value           (more values, each preceded by its own tag)
     +4  byte    9, the key of the wall time
     +5  double  the wall time, in seconds since 1970
    +13  byte    16, the key of the step
    +14  varint  the step, 1 to 10 bytes, seven bits per byte, lowest first
         uint32  masked CRC-32C of the event

The checksum of the constant part is known, and is extended over the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any, SupportsFloat

from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c

from annarchy_tb.tfevents.records import (
    FIXED32,
    FLOAT,
    UINT32,
    Parts,
    bytes_field,
    header,
    value,
    varint,
)
from annarchy_tb.tfevents.schema import SCALAR

KEY = varint(SCALAR.field << 3 | FIXED32)

pack_uint32 = UINT32.pack

# The first and the last of 128 steps, what to subtract from a step, and the rest below.
Layout = tuple[int, int, int, bytes, Callable[..., bytes], bytes, int]


def scalar_value(tag: str, number: float) -> Parts:
    """Encode one number, in single precision."""
    return value(tag, KEY, FLOAT.pack(number))


def pieces(tags: Sequence[str]) -> list[bytes]:
    """Return the bytes that precede each value of an event."""
    values = [b"".join(scalar_value(tag, 0.0)) for tag in tags]
    body = b"".join(values)
    key = bytes_field(5, body)[: -len(body)]
    return [key + values[0][:-4], *(value[:-4] for value in values[1:])]


def _lay_out(parts: Sequence[bytes], step: int) -> Layout:
    """Return what is constant for the 128 steps whose varints share all but one byte.

    These are the first and the last of the steps, the number to subtract from a step to
    get its first byte, the other bytes, the function that packs all that follows the
    constant part, that part, and its checksum.
    """
    first = step & ~127
    rest = varint((first & 0xFFFFFFFFFFFFFFFF) >> 7) if first else b""
    values = "".join(f"{len(piece)}sf" for piece in parts[1:])
    tail = struct.Struct(f"<f{values}BdBB{len(rest)}s")
    head = header(len(parts[0]) + tail.size) + parts[0]
    less = first - 128 if rest else first
    return first, first + 127, less, rest, tail.pack, head, crc32c(parts[0])


class ScalarRecords:
    """The records of one tag, from ``(value, wall time, step)``."""

    __slots__ = ("_layout", "_pieces")
    _layout: Layout
    _pieces: list[bytes]

    def __init__(self, tag: str) -> None:
        self._pieces = pieces([tag])
        self._layout = _lay_out(self._pieces, 0)

    def make(self, value: SupportsFloat, wall_time: float, step: int) -> bytes:
        """Return a record."""
        # The layout is read and replaced as a whole, so that two threads that log the
        # same tag at once still write whole records.
        first, last, less, rest, pack, head, crc = self._layout
        if not first <= step <= last:
            self._layout = _lay_out(self._pieces, step)
            first, last, less, rest, pack, head, crc = self._layout
        tail = pack(value, 9, wall_time, 16, step - less, rest)
        crc = crc32c_extend(crc, tail)
        # records.mask(crc), inline: the call would cost a twentieth of add_scalar
        crc = ((crc * 0x100000001 >> 15) + 0xA282EAD8) & 0xFFFFFFFF
        return head + tail + pack_uint32(crc)


class EventRecords:
    """The records of several tags in one event, from ``(values, wall time, step)``."""

    __slots__ = ("_arguments", "_layout", "_pieces")
    _arguments: list[Any]
    _layout: Layout
    _pieces: list[bytes]

    def __init__(self, tags: Sequence[str]) -> None:
        self._pieces = pieces(tags)
        self._layout = _lay_out(self._pieces, 0)
        # What is packed: the values, and the pieces between them.
        self._arguments = [0.0] * (2 * len(tags) - 1)
        self._arguments[1::2] = self._pieces[1:]

    def make(
        self, values: Collection[SupportsFloat], wall_time: float, step: int
    ) -> bytes:
        """Return a record."""
        first, last, less, rest, pack, head, crc = self._layout
        if not first <= step <= last:
            self._layout = _lay_out(self._pieces, step)
            first, last, less, rest, pack, head, crc = self._layout
        arguments = self._arguments.copy()
        arguments[::2] = values
        tail = pack(*arguments, 9, wall_time, 16, step - less, rest)
        crc = crc32c_extend(crc, tail)
        crc = ((crc * 0x100000001 >> 15) + 0xA282EAD8) & 0xFFFFFFFF
        return head + tail + pack_uint32(crc)
