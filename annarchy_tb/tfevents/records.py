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
from collections.abc import Iterable
from typing import TYPE_CHECKING

from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c

if TYPE_CHECKING:
    from annarchy_tb.kinds.histogram import Buckets

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types

UINT32 = struct.Struct("<I")
UINT64 = struct.Struct("<Q")
DOUBLE = struct.Struct("<d")
FLOAT = struct.Struct("<f")
MOMENTS = struct.Struct("<" + "Bd" * 5)

HEAD, TAIL = 12, 4  # bytes of a record before and after its event
DT_STRING = 7

# The plugin that shows each kind, and the kind's data class.
PLUGINS = {
    "scalar": ("scalars", 1),
    "histogram": ("histograms", 2),
    "text": ("text", 2),
    "image": ("images", 3),
}

Parts = tuple[bytes, ...]  # to be joined

# -- protobuf --------------------------------------------------------------------


def varint(number: int) -> bytes:
    """Encode an integer; negative ones take ten bytes, as protobuf's int64 does."""
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


# -- records ---------------------------------------------------------------------


def mask(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


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


def summary(values: Iterable[Parts], wall_time: float, step: int = 0) -> bytes:
    """Return the record of one event with `values`, each made by a ``*_value``."""
    when = double_field(1, wall_time) + varint_field(2, step)
    return record(*nested(5, *(part for value in values for part in value)), when)


# -- the kinds of data -----------------------------------------------------------


def value(tag: str, *parts: bytes) -> Parts:
    """Return a ``Summary.Value`` as a field of the summary."""
    return nested(1, text_field(1, tag), *parts)


def scalar_value(tag: str, number: float) -> Parts:
    return value(tag, varint(2 << 3 | FIXED32), FLOAT.pack(number))


def image_value(tag: str, shape: tuple[int, int, int], png: bytes) -> Parts:
    height, width, channels = shape
    size = varint_field(1, height) + varint_field(2, width) + varint_field(3, channels)
    return value(tag, *nested(4, size, *nested(4, png)))


def histogram_value(tag: str, buckets: Buckets) -> Parts:
    # Fields 1 to 5, each after its key.
    moments = MOMENTS.pack(
        *(9, buckets.min, 17, buckets.max, 25, buckets.num, 33, buckets.sum),
        *(41, buckets.sum_squares),
    )
    return value(
        tag,
        *nested(
            5,
            moments,
            *nested(6, buckets.limits.astype("<f8", copy=False).tobytes()),
            *nested(7, buckets.counts.astype("<f8", copy=False).tobytes()),
        ),
    )


def text_value(tag: str, text: str) -> Parts:
    # A string tensor of shape (): TensorBoard draws a box around any other shape.
    # Every event carries its metadata, since the tag's first event may be in another
    # file (of a parent process or an earlier Logger), which may be gone.
    tensor = varint_field(1, DT_STRING) + bytes_field(2) + text_field(8, text)
    return value(tag, bytes_field(8, tensor), bytes_field(9, plugin("text")))


def described(kind: str, value: Parts, text: str) -> Parts:
    """Add a description to a value, which TensorBoard shows above its plot.

    The data server reads it only from complete metadata, with the plugin and the data
    class. They come before the tag, since a number must be last. (A text already has
    metadata; readers merge the two.)
    """
    name, data_class = PLUGINS[kind]
    metadata = plugin(name) + text_field(3, text) + varint_field(4, data_class)
    return nested(1, bytes_field(9, metadata), *value[1:])


def plugin(name: str, content: bytes = b"") -> bytes:
    """Return the metadata that assign a value to one of TensorBoard's plugins."""
    return bytes_field(1, text_field(1, name) + bytes_field(2, content))
