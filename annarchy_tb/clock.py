"""When something happened: whole steps, and simulated time drawn as wall time."""

from __future__ import annotations

import math
from typing import Any

from annarchy_tb.messages import describe

MIN_STEP, MAX_STEP = -(2**63), 2**63 - 1
TOLERANCE = 1e-6  # how far from a whole number a step may lie

# Seconds on TensorBoard's time axis for one unit of simulated time. Two neighbouring
# wall times lie 2.4e-7 s apart (a double, in seconds since 1970), so what is shorter
# than a microsecond is drawn as if it were seconds.
TIME_UNITS = {
    "d": 86400.0,
    "h": 3600.0,
    "min": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1.0,
    "ps": 1.0,
    "fs": 1.0,
}


def whole_step(step: object) -> int:
    """Return `step` as an int, if it is a whole number within 1e-6.

    Raises
    ------
    TypeError
        If `step` is no number.
    ValueError
        If it is not whole, or does not fit into 64 bits.
    """
    try:
        number: Any = step.item() if hasattr(step, "item") else step
    except (ValueError, RuntimeError):  # several elements
        raise TypeError(f"step must be one number, got {describe(step)}") from None
    try:
        whole = round(number)
        distance = abs(number - whole)
    except TypeError:
        raise TypeError(f"step must be a whole number, got {describe(step)}") from None
    except (ValueError, OverflowError):  # NaN and infinity
        raise ValueError(f"step must be finite, got {describe(step)}") from None
    if distance > TOLERANCE:
        raise ValueError(
            f"step must be a whole number, got {describe(step)}; "
            "pass simulated time as time=, and step may be left out"
        )
    if not MIN_STEP <= whole <= MAX_STEP:
        raise ValueError(f"step must fit into 64 bits, got {describe(step)}")
    return int(whole)


class Clock:
    """Simulated time, as TensorBoard's wall time and step.

    Parameters
    ----------
    time_unit
        The unit of all simulated times, one of `TIME_UNITS`.
    dt
        The solver's step in that unit, if steps are to be counted from simulated time.
    """

    def __init__(self, time_unit: str, dt: float | None) -> None:
        if time_unit not in TIME_UNITS:
            allowed = ", ".join(repr(unit) for unit in TIME_UNITS)
            raise ValueError(f"time_unit must be one of {allowed}, got {time_unit!r}")
        if dt is not None and not (dt > 0 and math.isfinite(dt)):
            raise ValueError(f"dt must be a positive number or None, got {dt!r}")
        self._seconds = TIME_UNITS[time_unit]
        self._dt = dt

    def wall_time(self, time: object, start: float) -> float:
        """Return the wall time at which `time` is drawn in a run begun at `start`."""
        return start + self._number(time) * self._seconds

    def step(self, time: object) -> int | None:
        """Return the solver step nearest to `time`, if `dt` is known."""
        if self._dt is None or time is None:
            return None
        return whole_step(round(self._number(time) / self._dt))

    @staticmethod
    def _number(time: object) -> float:
        try:
            number = float(time)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise TypeError(f"time must be a number, got {describe(time)}") from None
        if not math.isfinite(number):
            raise ValueError(f"time must be finite, got {describe(time)}")
        return number
