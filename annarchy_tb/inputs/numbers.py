"""Conversion of numbers, and dicts of numbers, to Python floats."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from annarchy_tb.inputs.arrays import one
from annarchy_tb.inputs.foreign import because
from annarchy_tb.inputs.messages import describe, shape_of
from annarchy_tb.inputs.units import plain

LARGEST = (2 - 2**-24) * 2.0**127  # from this on, single precision is infinite

# Types whose float() is exact and gives no warning: what a fast path takes as it is.
PLAIN = frozenset(
    {float, int, bool, np.bool_, *np.sctypeDict.values()}
    - {
        *(np.complex64, np.complex128, np.clongdouble, np.str_, np.bytes_, np.void),
        *(np.object_, np.datetime64, np.timedelta64),
    }
)

Warn = Callable[[str, str], None]  # takes a subject, warned of once, and a message


def as_number(value: Any, warn: Warn) -> float:
    """Return a value as a float; warn if it exceeds single precision.

    Raises
    ------
    TypeError
        If it is not one number, or has a unit.
    """
    value = plain(value)
    try:
        given = one(value)
        if isinstance(given, (str, bytes, bytearray, memoryview)):
            raise TypeError
        found = float(given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        many = isinstance(value, list | tuple) or shape_of(value)
        raise TypeError(
            f"value must be one number, got {describe(value)}"
            + ("; log its mean, or use add_histogram" if many else because(error))
        ) from None
    if abs(found) >= LARGEST and math.isfinite(found):
        warn_range(warn, found)
    return found


def plain_float(value: Any) -> float:
    """Return a number of a plain type as a float; leave all others to `as_number`.

    Raises
    ------
    TypeError
        If the type is not a plain one.
    """
    if type(value) in PLAIN:
        return float(value)
    raise TypeError


def warn_range(warn: Warn, beyond: float) -> None:
    """Warn that a finite number exceeds single precision."""
    warn("range", f"{beyond:g} is beyond single precision and shown as infinity")


def as_names(values: object) -> tuple[str, ...]:
    """Return the names in a dict of numbers.

    Raises
    ------
    TypeError
        If it is not a mapping, or a name is not a str.
    """
    if not isinstance(values, Mapping):
        raise TypeError(
            f"a dict of numbers by their names is needed, got {describe(values)}"
        )
    for name in values:
        if not isinstance(name, str):
            raise TypeError(f"the names must be str, got {describe(name)}")
    return tuple(values)


def as_count(
    name: str,
    given: Any,
    most: int | None = None,
    what: str = "whole number",
    least: int = 1,
) -> int:
    """Return a whole number of at least `least` as an int, from any type except bool.

    Parameters
    ----------
    name
        The name of the argument.
    given
        The number.
    most
        The largest number allowed.
    what
        What it is, for the error.

    Raises
    ------
    TypeError, ValueError
        If it is not such a number.
    """
    bounds = f"from {least}" if most is None else f"from {least} to {most}"
    message = f"{name} must be a {what} {bounds}, got "
    try:
        plain = one(given)
        if not isinstance(plain, Real):
            raise TypeError
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(message + describe(given) + because(error)) from None
    number: Any = plain
    inside = least <= number < math.inf and (most is None or number <= most)
    if isinstance(number, bool) or not inside or number != int(number):
        raise ValueError(message + describe(given))
    return int(number)


def as_text(name: str, given: object) -> str:
    """Return a str; raise TypeError for anything else."""
    if not isinstance(given, str):
        raise TypeError(f"{name} must be a str, got {describe(given)}")
    return given
