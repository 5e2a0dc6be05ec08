"""Conversion of array-likes to NumPy arrays of real numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.units import is_quantity, plain


def numbers(name: str, given: object, half: bool = False) -> NDArray[Any]:
    """Convert `given` to an array of type bool, integer, float32 or float64.

    Masked values become NaN, other floats float64, and objects are converted to floats.
    Floats of 16 bits are kept if `half` is true. In lists, quantities are not looked
    for: see `plain`.

    Raises
    ------
    TypeError
        If it does not consist of real numbers, or they have a unit, or its rows differ
        in length.
    """
    # The text of the error is made only where there is one: it may take long.
    if hasattr(given, "toarray"):
        raise _not_numbers(name, given, "; pass its .toarray()")
    if hasattr(given, "post_ranks"):  # one of ANNarchy's
        raise _not_numbers(name, given, "; add_matrix takes projections")
    if is_opaque(given):
        raise _not_numbers(name, given)
    if is_quantity(given):
        given = plain(given, name)
    try:
        array = np.asarray(unmasked(given))
        if array.dtype.kind == "O" and array.ndim and not _has_text(array):
            array = array.astype(np.float64)
    except (TypeError, OverflowError):
        raise _not_numbers(name, given) from None
    except ValueError:
        hint = ", whose rows differ in length; add_matrix takes the rows of sparse"
        raise _not_numbers(name, given, f"{hint} projections") from None
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise _not_numbers(name, given)
    return array if half and array.dtype.name == "float16" else widened(array)


def _not_numbers(name: str, given: object, hint: str = "") -> TypeError:
    return TypeError(f"{name} must be an array of numbers, got {describe(given)}{hint}")


def as_column(name: str, given: object, letter: str = "K") -> NDArray[Any]:
    """Return `given` as numbers of shape ``(K,)``; `letter` is for the error.

    Raises
    ------
    TypeError, ValueError
        If it is not made of real numbers, or has another shape.
    """
    array = numbers(name, plain(given, name))
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape ({letter},), got {array.shape}")
    return array


def as_ranks(name: str, given: object, end: int) -> NDArray[np.int64]:
    """Return `given` as whole numbers from 0 to below `end`, of shape ``(K,)``.

    Raises
    ------
    TypeError, ValueError
        If they are not.
    """
    array = as_column(name, given)
    low, high = array.min(initial=0), array.max(initial=0)
    whole = array.dtype.kind != "f" or (array == np.floor(array)).all()
    if not (low >= 0 and high < end and whole):
        raise ValueError(f"{name} must be whole numbers from 0, got {low}..{high}")
    return array.astype(np.int64, copy=False)


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """Convert floats of half or extended precision to float64, nothing else."""
    if array.dtype.kind != "f" or array.dtype.name in ("float32", "float64"):
        return array
    with np.errstate(over="ignore"):  # infinite, if too large for a double
        return array.astype(np.float64)


def unmasked(given: object) -> object:
    """Replace the masked values of a masked array by NaN; return the rest unchanged."""
    # While another thread imports the module, its class is missing.
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    if masked is not None and isinstance(given, masked):
        if not np.any(given.mask):
            return given.data
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
