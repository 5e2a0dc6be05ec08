"""Conversion of array-likes to NumPy arrays of real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.blocks import blocks
from annarchy_tb.inputs.foreign import (
    as_numpy,
    because,
    is_opaque,
    unnested,
)
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.units import is_quantity, plain

_FLOATS = (np.float64, np.float32, np.float16)
_TEXTS = {str, bytes, np.str_, np.bytes_}


def number_type(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return NumPy's own type that holds the numbers of a type; None if none does.

    It is the type itself if that is bool, an integer, float16, float32 or float64;
    otherwise int8 (of int4), float32 (of bfloat16 and floats of 8 bits) or float64.
    """
    if dtype.kind in "biu" or dtype.type in _FLOATS:
        return dtype
    for wider in (np.int8, np.float32, np.float64):
        if np.can_cast(dtype, wider):
            return np.dtype(wider)
    return np.dtype(np.float64) if dtype.kind == "f" else None


def wide_type(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return the `number_type` for arithmetic: float64 in place of float16."""
    return np.dtype(np.float64) if dtype.type is np.float16 else number_type(dtype)


def numbers(name: str, given: object, half: bool = False) -> NDArray[Any]:
    """Convert `given` to an array of type bool, integer, float32 or float64.

    Masked values become NaN, objects are converted to floats, and other types to their
    `number_type`. Floats of 16 bits are kept if `half` is true. In lists, quantities
    are not looked for: see `plain`.

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
        array = np.asarray(unnested(given))
        if array.dtype.kind == "O" and array.ndim:
            array = as_floats(array)
    except (TypeError, OverflowError, RecursionError) as error:
        raise _not_numbers(name, given, because(error)) from error
    except ValueError:
        hint = ", whose rows differ in length; add_matrix takes the rows of sparse"
        raise _not_numbers(name, given, f"{hint} projections") from None
    dtype = number_type(array.dtype) if half else wide_type(array.dtype)
    if dtype is None:
        raise _not_numbers(name, given)
    if dtype == array.dtype:
        return array
    with np.errstate(over="ignore"):  # infinite, if too large for a double
        return array.astype(dtype, copy=False)


def _not_numbers(name: str, given: object, hint: str = "") -> TypeError:
    return TypeError(f"{name} must be an array of numbers, got {describe(given)}{hint}")


def as_floats(array: NDArray[Any]) -> NDArray[np.float64]:
    """Convert an array of objects; None becomes NaN.

    Raises
    ------
    TypeError, ValueError, OverflowError
        If one of them is not a number.
    """
    kinds = set(map(type, array.flat))
    if kinds & _TEXTS:
        raise TypeError
    if not kinds <= {float, int, bool, type(None)}:
        plain = np.fromiter(map(one, array.flat), object, array.size)
        array = plain.reshape(array.shape)
    return array.astype(np.float64)


def one(given: object) -> Any:
    """Return one number as Python's, from an array or a tensor of one element too.

    Other objects are returned unchanged.

    Raises
    ------
    TypeError
        If it is not of a real type.
    ValueError
        If there are several elements, or none.
    """
    found = as_numpy(given)
    if isinstance(found, (np.ndarray, np.generic)):
        # item() of 5 ns is 5, and float() of 1+2j is 1.
        if found.dtype.kind != "O" and number_type(found.dtype) is None:
            raise TypeError
        return found.item()
    item = getattr(found, "item", None)
    return item() if callable(item) else found


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
    if not (low >= 0 and high < end and is_whole(array)):
        raise ValueError(f"{name} must be whole numbers from 0, got {low}..{high}")
    return array.astype(np.int64, copy=False)


def is_whole(array: NDArray[Any]) -> bool:
    """Return whether all numbers are whole."""
    if array.dtype.kind != "f":
        return True
    return all(bool((block == np.floor(block)).all()) for block in blocks(array))
