"""Tensors in event files: as other writers store data that has no field of its own."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents.parsing import Value, fields
from annarchy_tb.tfevents.records import bytes_field, text_field, varint_field

DT_STRING = 7  # of TensorFlow's ``types.proto``


def of_text(text: str) -> bytes:
    """Encode a string tensor of shape ``()``, as the field `TENSOR` holds it."""
    return varint_field(1, DT_STRING) + bytes_field(2) + text_field(8, text)


def array(value: Value) -> NDArray[Any]:
    """Decode a tensor of any type."""
    with importing:
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.util.tensor_util import make_ndarray

    found: NDArray[Any] = make_ndarray(TensorProto.FromString(value.raw))
    return found


def strings(value: Value) -> list[bytes]:
    """Return the strings of a tensor, as its field ``string_val`` holds them."""
    return [raw for n, raw in fields(value.raw) if n == 8 and isinstance(raw, bytes)]
