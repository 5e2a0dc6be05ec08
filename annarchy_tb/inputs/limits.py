"""The ends of a scale of colours, as users give them: matplotlib's vmin and vmax."""

from __future__ import annotations

from collections.abc import Callable

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.messages import describe

LARGEST = 1e300  # so that no difference overflows


def limits(
    vmin: object, vmax: object, plain: Callable[..., object] | None = None
) -> tuple[float | None, float | None]:
    """Return both ends as floats, None if they are not given.

    Parameters
    ----------
    vmin, vmax
        As given by the user.
    plain
        Called with an end and its name; returns it without its unit.

    Raises
    ------
    TypeError, ValueError
        If one is not a finite number, or `vmin` is not less than `vmax`.
    """
    if plain is not None:
        vmin = None if vmin is None else plain(vmin, name="vmin")
        vmax = None if vmax is None else plain(vmax, name="vmax")
    low, high = limit("vmin", vmin), limit("vmax", vmax)
    if low is not None and high is not None and low >= high:
        raise ValueError(f"vmin must be less than vmax, got {low:g} and {high:g}")
    return low, high


def limit(name: str, given: object) -> float | None:
    """Return one finite number as a float, or None.

    Raises
    ------
    TypeError, ValueError
        If it is anything else.
    """
    if given is None:
        return None
    number = numbers(name, given)
    if number.size != 1 or not abs(number.item()) < LARGEST:
        raise ValueError(f"{name} must be one finite number, got {describe(given)}")
    return float(number.item())
