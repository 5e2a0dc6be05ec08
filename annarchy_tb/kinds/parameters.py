"""Parameters to the summaries of TensorBoard's HPARAMS tab.

The records go into the run's own file, so that a run is one row and no sub-run is
needed. There is no ``_hparams_/experiment`` record: where it differs between runs it
hides the columns of the others, and without it TensorBoard shows the union of all.

The field numbers are those of ``plugin_data.proto`` and ``api.proto`` in
https://github.com/tensorflow/tensorboard, ``tensorboard/plugins/hparams``, and of
protobuf's ``struct.proto``.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator, Mapping

import numpy as np

from annarchy_tb.inputs.messages import describe
from annarchy_tb.tfevents.records import (
    Parts,
    bytes_field,
    double_field,
    plugin,
    text_field,
    value,
    varint_field,
)

START_TAG = "_hparams_/session_start_info"
END_TAG = "_hparams_/session_end_info"
SUCCESS, FAILURE = 1, 2

Parameter = bool | int | float | str | None


def flatten(params: object) -> dict[str, Parameter]:
    """Return parameters as plain Python values under flat names.

    A dict inside a dict is flattened with ``/``. NumPy scalars become Python's. What
    is neither number, bool, str nor None becomes a short text.

    Raises
    ------
    TypeError
        If `params` is no mapping.
    ValueError
        If two parameters get the same name.
    """
    if not isinstance(params, Mapping):
        raise TypeError(f"params must be a dict, got {describe(params)}")
    flat: dict[str, Parameter] = {}
    for name, leaf in _leaves(params):
        if name in flat:
            raise ValueError(f"params must have distinct names, got {name!r} twice")
        flat[name] = _plain(leaf)
    return flat


def _leaves(params: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    for name, given in params.items():
        if isinstance(given, Mapping) and given:
            for inner, leaf in _leaves(given):
                yield f"{name}/{inner}", leaf
        else:
            yield str(name), given


def _plain(given: object) -> Parameter:
    if isinstance(given, (np.float16, np.float32)):
        return float(str(given))  # 0.1, not 0.10000000149011612
    if getattr(given, "shape", None) == () and hasattr(given, "item"):
        given = given.item()
    if isinstance(given, enum.Enum) and isinstance(given, (int, float, str)):
        given = given.value
    if given is None or isinstance(given, bool):
        return given
    if isinstance(given, int):
        return int(given) if abs(given) < 2**1023 else f"{given:#x}"
    if isinstance(given, (float, np.floating)):
        return float(given)
    return str.__str__(given) if isinstance(given, str) else _text(given)


def _text(given: object) -> str:
    """Return a short text for what is neither a number nor a text."""
    if isinstance(given, (list, tuple, set, frozenset)):
        items = [str(_plain(item)) for item in given]
        if isinstance(given, list):
            return f"[{', '.join(items)}]"
        if isinstance(given, tuple):
            return f"({', '.join(items)})"
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(given, np.ndarray):
        return np.array2string(given, separator=", ", threshold=100)
    if callable(given) and hasattr(given, "__name__"):
        return str(given.__name__)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(given))


def start_value(
    params: Mapping[str, Parameter], start: float, group: str | None = None
) -> Parts:
    """Return the summary value that gives the run its row and its parameters.

    What is None or not finite is left out: one such value would turn the column of
    every run into text, or break its interval. Runs of one group share a row.
    """
    message = double_field(5, start) + (text_field(4, group) if group else b"")
    for name, parameter in params.items():
        if isinstance(parameter, bool):
            encoded = varint_field(4, parameter)
        elif isinstance(parameter, str):
            encoded = text_field(3, parameter)
        elif parameter is not None and math.isfinite(parameter):
            encoded = double_field(2, parameter)
        else:
            continue
        message += bytes_field(1, text_field(1, name) + bytes_field(2, encoded))
    return _hparams_value(START_TAG, bytes_field(3, message))


def end_value(status: int, end: float) -> Parts:
    """Return the summary value that says how the run ended."""
    message = varint_field(1, status) + double_field(2, end)
    return _hparams_value(END_TAG, bytes_field(4, message))


def _hparams_value(tag: str, content: bytes) -> Parts:
    return value(tag, bytes_field(9, plugin("hparams", content)))
