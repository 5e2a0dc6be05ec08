"""What users call a number, as a float that single precision can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from annarchy_tb.inputs.arrays import unmasked
from annarchy_tb.inputs.messages import describe, where

LARGEST = (2 - 2**-24) * 2.0**127  # from here on, single precision has only infinity

# Takes the method, the tag, what it is about, and the message.
Warn = Callable[[str, str, str, str], None]


def as_numbers(
    warn: Warn, method: str, tag: str | None, values: object
) -> dict[str, float]:
    """Return the numbers of a mapping as Python's floats.

    Raises
    ------
    TypeError
        If it is no mapping of names to numbers.
    """
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{where(method, tag)}: a dict of numbers by "
            f"their names is needed, got {describe(values)}"
        )
    found = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise TypeError(
                f"{where(method, tag)}: the names must be str, got {describe(key)}"
            )
        name = key if tag is None else f"{tag}: {key}"
        found[key] = as_number(warn, method, name, value)
    return found


def as_number(warn: Warn, method: str, tag: object, value: object) -> float:
    """Return a value as a float; warn if it becomes infinite.

    Raises
    ------
    TypeError
        If it is not one number.
    """
    try:
        plain = unmasked(value)
        item = getattr(plain, "item", None)
        plain = item() if callable(item) else plain
        if isinstance(plain, (str, bytes, bytearray, memoryview)):
            raise TypeError
        found = float(plain)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        many = isinstance(value, list | tuple) or getattr(value, "shape", ()) != ()
        raise TypeError(
            f"{where(method, tag)}: value must be one number, got {describe(value)}"
            + ("; take its mean, say, or use add_histogram" if many else "")
        ) from None
    if abs(found) >= LARGEST and math.isfinite(found):
        warn_range(warn, method, str(tag), found)
        found = math.copysign(math.inf, found)
    return found


def warn_range(warn: Warn, method: str, tag: str, beyond: float) -> None:
    """Warn that single precision can't hold a finite number."""
    message = f"{beyond:g} is beyond single precision and shown as infinity"
    warn(method, tag, "range", message)
