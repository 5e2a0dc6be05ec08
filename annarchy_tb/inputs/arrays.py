"""Conversion of array-likes to NumPy arrays of real numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.messages import describe


def numbers(name: str, given: object) -> NDArray[Any]:
    """Convert `given` to an array of type bool, integer, float32 or float64.

    Masked values become NaN, other floats float64, and objects are converted to floats.

    Raises
    ------
    TypeError
        If it does not consist of real numbers, or its rows differ in length.
    """
    problem = f"{name} must be an array of numbers, got {describe(given)}"
    if hasattr(given, "toarray"):
        raise TypeError(f"{problem}; pass its .toarray()")
    if hasattr(given, "post_ranks"):  # one of ANNarchy's
        raise TypeError(f"{problem}; add_matrix takes projections")
    if is_opaque(given):
        raise TypeError(problem)
    try:
        array = np.asarray(unmasked(given))
        if array.dtype.kind == "O" and array.ndim and not _has_text(array):
            array = array.astype(np.float64)
    except (TypeError, OverflowError):
        raise TypeError(problem) from None
    except ValueError:
        raise TypeError(
            f"{problem}, whose rows differ in length; add_matrix takes the rows of "
            f"sparse projections"
        ) from None
    if array.dtype.kind not in "biuf":
        raise TypeError(problem)
    return widened(array)


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """Convert floats of half or extended precision to float64, nothing else."""
    if array.dtype.kind != "f" or array.dtype in (np.float32, np.float64):
        return array
    with np.errstate(over="ignore"):  # infinite, if too large for a double
        return array.astype(np.float64)


def unmasked(given: object) -> object:
    """Replace the masked values of a masked array by NaN; return the rest unchanged."""
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(given, masked.MaskedArray):
        return given.astype(np.float64).filled(np.nan)
    return given


def is_opaque(given: object) -> bool:
    """Return whether an object has items, but is neither a list nor an array.

    NumPy would never finish converting Brian2's Synapses, for example, since their
    items are Synapses again.
    """
    if isinstance(given, Sequence) or not hasattr(given, "__getitem__"):
        return False
    if any(hasattr(given, name) for name in ("__array__", "__array_interface__")):
        return False
    try:
        memoryview(given).release()  # type: ignore[arg-type]
    except TypeError:
        return True
    return False


def _has_text(array: NDArray[Any]) -> bool:
    return any(isinstance(item, (str, bytes)) for item in array.flat)
