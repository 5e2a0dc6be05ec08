"""Serialized events back to what they hold. Knows no files.

Events of any writer are read: fields may stand in any order, and what is not known is
passed over. The field numbers are those of `records`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from annarchy_tb.tfevents.records import (
    BYTES,
    DOUBLE,
    FIXED32,
    FIXED64,
    UINT32,
    VARINT,
)
from annarchy_tb.tfevents.schema import (
    BLOCK,
    DOUBLES,
    HPARAMS,
    METADATA,
    PHASE,
    REAL_TIME,
    SCALAR,
    TAG,
    TENSOR,
    TIME,
    kind_of_field,
    kind_of_plugin,
)

NO_BLOCK = -1
SESSION_LOG, SESSION_START = 7, 1  # a field of Event, and the status of a restart


def spans(message: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, start and end of each field of a protobuf message.

    The message is what stands from `at` to `end`. Start and end are those of the
    field's value; of a nested one, without its length.

    Raises
    ------
    ValueError
        If it is no protobuf message.
    """
    while at < end:
        key, at = read_varint(message, at, end)
        wire, start = key & 7, at
        if wire == VARINT:
            _, at = read_varint(message, at, end)
        elif wire == BYTES:
            size, start = read_varint(message, at, end)
            at = start + size
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise ValueError("not a protobuf message")
        if at > end:
            raise ValueError("not a protobuf message")
        yield key >> 3, wire, start, at


def read_varint(message: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the integer that stands at one place, and the place behind it."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("not a protobuf message")


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the raw value of each field of a protobuf message.

    Raises
    ------
    ValueError
        If `message` is no protobuf message.
    """
    for number, wire, start, end in spans(message, 0, len(message)):
        if wire == VARINT:
            yield number, read_varint(message, start, end)[0]
        else:
            yield number, message[start:end]


def last_field(message: bytes, number: int) -> bytes:
    """Return the last field of that number, or nothing."""
    found: Sequence[bytes] = [
        raw
        for field, raw in fields(message)
        if field == number and isinstance(raw, bytes)
    ]
    return found[-1] if found else b""


class Value(NamedTuple):
    """One value of an event.

    Its kind is ``""`` where the value does not say it (a tensor without metadata). What
    it holds is in the field `field` of ``Summary.Value``, as bytes; a number may be a
    float or a double.
    """

    tag: str
    kind: str
    field: int
    raw: bytes


class Event(NamedTuple):
    """An event: when it happened, its step, and its values.

    ``wall_time`` is in seconds since 1970, the real time where TensorBoard's is drawn
    from the simulated ``time``, which is NaN if there is none. ``block`` is the number
    of the block of recordings that it was drawn from, if it was. An event that
    ``restarts`` withdraws all earlier points from its step on (see ``SessionLog``).
    One with a ``phase`` begins, moves or ends it.
    """

    wall_time: float
    step: int
    values: list[Value]
    time: float = math.nan
    block: int = NO_BLOCK
    restarts: bool = False
    phase: bytes = b""


def parse(event: bytes) -> Event:
    """Return what a serialized event holds."""
    wall_time, step, time = 0.0, 0, math.nan
    real_time: float | None = None
    doubles, block, restarts, phase = b"", NO_BLOCK, False, b""
    values: list[Value] = []
    for field, raw in fields(event):
        if field == 1 and isinstance(raw, bytes) and len(raw) == 8:
            wall_time = DOUBLE.unpack(raw)[0]
        elif field == 2 and isinstance(raw, int):
            step = raw - (1 << 64) if raw >> 63 else raw
        elif field == 5 and isinstance(raw, bytes):
            values += (
                _value(v) for f, v in fields(raw) if f == 1 and isinstance(v, bytes)
            )
        elif field == DOUBLES and isinstance(raw, bytes):
            doubles = raw
        elif field == TIME and isinstance(raw, bytes) and len(raw) == 8:
            time = DOUBLE.unpack(raw)[0]
        elif field == REAL_TIME and isinstance(raw, bytes) and len(raw) == 8:
            real_time = DOUBLE.unpack(raw)[0]
        elif field == SESSION_LOG and isinstance(raw, bytes):
            restarts = (1, SESSION_START) in fields(raw)
        elif field == BLOCK and isinstance(raw, bytes) and len(raw) == 4:
            block = UINT32.unpack(raw)[0]
        elif field == PHASE and isinstance(raw, bytes):
            phase = raw
    if doubles and len(doubles) == 8 * sum(v.field == SCALAR.field for v in values):
        _fill_in(values, doubles)
    real = wall_time if real_time is None else real_time
    return Event(real, step, values, time, block, restarts, phase)


def _fill_in(values: list[Value], doubles: bytes) -> None:
    """Replace the numbers of an event by their doubles."""
    at = 0
    for number, value in enumerate(values):
        if value.field == SCALAR.field:
            values[number] = value._replace(raw=doubles[at : at + 8])
            at += 8


def _value(message: bytes) -> Value:
    tag = kind = ""
    holds, held, content = 0, b"", b""
    for field, raw in fields(message):
        if not isinstance(raw, bytes):
            continue
        if field == TAG:
            tag = raw.decode(errors="replace")
        elif known := kind_of_field(field):
            holds, held, kind = field, raw, known
        elif field == TENSOR and not holds:  # or it is there for TensorBoard only
            holds, held = field, raw
        elif field == METADATA and not kind:
            plugin = last_field(raw, 1)
            kind = kind_of_plugin(last_field(plugin, 1).decode(errors="replace"))
            content = last_field(plugin, 2)
    if kind == HPARAMS:  # which has its data there
        holds, held = METADATA, content
    return Value(tag, kind, holds, held)
