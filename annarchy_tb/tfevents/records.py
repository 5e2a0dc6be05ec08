"""Byte layout of TensorBoard's event files; no file is opened here.

A file is a sequence of records, and a record holds one serialized ``Event``
(both little endian)::

    uint64  length of the event
    uint32  masked CRC-32C of those 8 bytes
    bytes   the event
    uint32  masked CRC-32C of the event

An event is a protocol buffer, encoded here by hand because that is much faster than
building message objects. The numbers in this module are the field
numbers of TensorFlow's ``event.proto``, ``summary.proto``, ``tensor.proto`` and
``histogram.proto`` (https://github.com/tensorflow/tensorboard,
``tensorboard/compat/proto``). Fields may come in any order; here the order is summary,
wall time, step, so that the constant bytes of a tag come first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c

from annarchy_tb.tfevents.schema import (
    BLOCK,
    DOUBLES,
    METADATA,
    REAL_TIME,
    TAG,
    TIME,
    Kind,
)

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types

UINT32 = struct.Struct("<I")
UINT64 = struct.Struct("<Q")
DOUBLE = struct.Struct("<d")
FLOAT = struct.Struct("<f")

HEAD, TAIL = 12, 4  # bytes of a record before and behind its event


SINGLE = [bytes([number]) for number in range(128)]  # varints of a single byte

Parts = tuple[bytes, ...]  # to be joined

# -- protobuf --------------------------------------------------------------------


def varint(number: int) -> bytes:
    """Encode an integer; a negative one takes ten bytes, as protobuf's int64 does."""
    if 0 <= number < 128:
        return SINGLE[number]
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint_field(field: int, number: int) -> bytes:
    return varint(field << 3 | VARINT) + varint(number)


def double_field(field: int, number: float) -> bytes:
    return varint(field << 3 | FIXED64) + DOUBLE.pack(number)


def nested(field: int, *parts: bytes) -> Parts:
    """Return a field of all `parts`, not yet joined, so that pixels are copied once."""
    key = varint(field << 3 | BYTES) + varint(sum(map(len, parts)))
    return (key, *parts)


def bytes_field(field: int, *parts: bytes) -> bytes:
    return b"".join(nested(field, *parts))


def text_field(field: int, text: str) -> bytes:
    return bytes_field(field, text.encode("utf-8", "backslashreplace"))


def as_read(text: str) -> str:
    """Return a text, such as a tag, as readers of the event file see it."""
    return text.encode("utf-8", "backslashreplace").decode()


# -- records ---------------------------------------------------------------------


def mask(crc: Any) -> Any:
    """Mask a checksum: an int, or an array of uint64."""
    return ((crc * 0x100000001 >> 15) + 0xA282EAD8) & 0xFFFFFFFF


def header(length: int) -> bytes:
    size = UINT64.pack(length)
    return size + UINT32.pack(mask(crc32c(size)))


def record(*parts: bytes) -> bytes:
    """Frame one serialized event, given in parts."""
    crc = 0
    for part in parts:
        crc = crc32c_extend(crc, part)
    return b"".join((header(sum(map(len, parts))), *parts, UINT32.pack(mask(crc))))


def file_version(wall_time: float) -> bytes:
    """Return the record that every event file begins with."""
    return record(double_field(1, wall_time) + text_field(3, "brain.Event:2"))


def summary(
    values: Iterable[Parts],
    wall_time: float,
    step: int = 0,
    numbers: Sequence[float] = (),
    times: tuple[float, float] | None = None,
    block: int | None = None,
) -> bytes:
    """Return the record of one event with `values`, each made by an ``encode``.

    Parameters
    ----------
    values, wall_time, step
        What TensorBoard reads.
    numbers
        The numbers of its values, as doubles.
    times
        The simulated time as it was given, and the real time in seconds since 1970.
    block
        The number of the block that it is drawn from.
    """
    parts = nested(5, *chain.from_iterable(values))
    end = double_field(1, wall_time) + varint_field(2, step)
    if numbers:
        end = doubles_field(numbers) + end
    if times is not None:
        end += double_field(TIME, times[0]) + double_field(REAL_TIME, times[1])
    if block is not None:
        end += varint(BLOCK << 3 | FIXED32) + UINT32.pack(block)
    return record(*parts, end)


def doubles_key(number: int) -> bytes:
    """Return the bytes that precede the doubles of so many numbers."""
    return varint(DOUBLES << 3 | BYTES) + varint(8 * number)


def doubles_field(numbers: Sequence[float]) -> bytes:
    """Return the field of an event that keeps its numbers as doubles."""
    return doubles_key(len(numbers)) + struct.pack(f"<{len(numbers)}d", *numbers)


def value(tag: str, *parts: bytes) -> Parts:
    """A ``Summary.Value``, as a field of the summary."""
    return nested(1, text_field(TAG, tag), *parts)


def described(kind: Kind, value: Parts, text: str) -> Parts:
    """Return a value with a text that TensorBoard shows above its plot.

    The data server reads the text only from complete metadata, which name the plugin
    and the class of data. They precede the tag because a number must come last. (A text
    has metadata of its own; readers merge the two.)
    """
    return nested(1, metadata(kind, text), *value[1:])


def metadata(kind: Kind, text: str = "") -> bytes:
    """Return the metadata of a value, with a description.

    A kind that is stored as a tensor needs them in each value: the plugin says what the
    tensor is, and both loaders pass over a tensor without the class of its data.
    """
    description = text_field(3, text) if text else b""
    data_class = varint_field(4, kind.data_class)
    return bytes_field(METADATA, plugin(kind.plugin) + description + data_class)


def plugin(name: str, content: bytes = b"") -> bytes:
    """The metadata that hand a value to one of TensorBoard's plugins."""
    return bytes_field(1, text_field(1, name) + bytes_field(2, content))
