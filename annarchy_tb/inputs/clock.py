"""Whole steps, and simulated time drawn as wall time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import as_column, one
from annarchy_tb.inputs.foreign import because
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.numbers import PLAIN
from annarchy_tb.inputs.units import plain, separate, shown

MIN_STEP, MAX_STEP = -(2**63), 2**63 - 1
DRAWN = 1e300  # up to this, a time in any unit is a finite number of seconds
_FAR = "{} must be less than 2**63 steps of dt"
TOLERANCE = 1e-6  # largest distance of a step from a whole number

# Seconds on TensorBoard's time axis for one unit of simulated time. Neighbouring wall
# times are 2.4e-7 s apart (doubles, in seconds since 1970), so units shorter than a
# microsecond are drawn as if they were seconds.
TIME_UNIT = "ms"  # of a new run, by default
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

# The true lengths of the units in femtoseconds: whole numbers, for exact ratios.
FEMTOSECONDS = {
    "d": 86400 * 10**15,
    "h": 3600 * 10**15,
    "min": 60 * 10**15,
    "s": 10**15,
    "ms": 10**12,
    "us": 10**9,
    "ns": 10**6,
    "ps": 10**3,
    "fs": 1,
}


def in_unit(unit: str, other: str) -> float:
    """Return the length of one `unit` of time in the `other` unit.

    A simulator's times are multiplied by it, however the two units are drawn: 1 ps is
    1e-9 ms.
    """
    return FEMTOSECONDS[unit] / FEMTOSECONDS[other]


def in_time_unit(given: Any, unit: str, name: str = "time") -> Any:
    """Return simulated times without their unit; return what has none as it is.

    Parameters
    ----------
    given
        A time, or many, as users give them.
    unit
        The unit to convert them to, one of `TIME_UNITS`.
    name
        The name of the argument, for the error.

    Raises
    ------
    TypeError
        If they are quantities other than times.
    """
    number, its = separate(given, name=name)
    if its is None or its == unit:
        return number
    for other in (unit, "s"):  # packages have few names of long units in common
        with contextlib.suppress(TypeError):
            number, _ = separate(given, other, name)
            if other != unit:
                number = np.asarray(number) / (FEMTOSECONDS[unit] / FEMTOSECONDS["s"])
            return number
    raise TypeError(
        f"{name} must be a time: in {unit}, or in a unit that converts to it, got "
        f"{shown(given)}"
    )


def whole_step(step: object) -> int:
    """Return `step` as an int, if it is within 1e-6 of a whole number.

    Raises
    ------
    TypeError
        If `step` is not a number, or a bool.
    ValueError
        If it is not finite, not whole, or does not fit into 64 bits.
    """
    if type(step) not in PLAIN:
        step = _without_unit("step", step)
    try:
        number = one(step)
    except (ValueError, RuntimeError):  # several elements
        raise TypeError(f"step must be one number, got {describe(step)}") from None
    except TypeError as error:
        raise _no_step(step, because(error)) from None
    try:
        if isinstance(number, bool):
            raise TypeError
        whole = round(number)
        distance = abs(number - whole)
    except TypeError:
        raise _no_step(step) from None
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


def _without_unit(name: str, given: object) -> Any:
    try:
        return plain(given, name)
    except TypeError as error:
        raise TypeError(f"{error}; pass simulated time as time=") from None


def _no_step(given: object, reason: str = "") -> TypeError:
    return TypeError(f"step must be a whole number, got {describe(given)}{reason}")


def whole_steps(steps: ArrayLike) -> NDArray[np.int64]:
    """Return `steps` of shape ``(N,)`` as whole numbers, with `whole_step`'s checks."""
    steps = _without_unit("steps", steps)
    if isinstance(steps, np.ndarray) and steps.dtype.kind == "O":
        # As floats, large ones would be rounded.
        steps = [whole_step(step) for step in np.ravel(steps)]
    column = _column("steps", steps)
    if column.dtype.kind != "f":
        if len(column) and int(column.max()) > MAX_STEP:
            raise ValueError(f"steps must fit into 64 bits, got {column.max()}")
        return column.astype(np.int64, copy=False)
    whole = np.rint(column)
    for bad in np.flatnonzero(
        (np.abs(column - whole) > TOLERANCE) | (np.abs(whole) >= 2.0**63)
    ):
        whole_step(column[bad])  # raises the right error
    result: NDArray[np.int64] = whole.astype(np.int64)
    return result


def _column(name: str, given: object) -> NDArray[Any]:
    """Return finite numbers as an array of shape ``(N,)``."""
    array = as_column(name, given, "N")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array


def finite_time(time: object, name: str = "time") -> float:
    """Return a time as a float; raise if it is not a finite number."""
    try:
        number = one(time)
        if isinstance(number, (str, bytes)):
            raise TypeError
        number = float(number)
    except (TypeError, ValueError, RuntimeError) as error:
        came = describe(time) + because(error)
        raise TypeError(f"{name} must be a number, got {came}") from None
    except OverflowError:
        raise ValueError(f"{name} must fit a double, got {describe(time)}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {describe(time)}")
    return number


def as_dt(dt: object, unit: str) -> float:
    """Return the solver's time step in a unit of time.

    Raises
    ------
    TypeError, ValueError
        If it is not a positive number, or time.
    """
    number = finite_time(in_time_unit(dt, unit, "dt"), "dt")
    if number <= 0:
        raise ValueError(f"dt must be positive, got {describe(dt)}")
    return number


def as_date(name: str, given: object) -> datetime:
    """Return a date as a datetime: one, or a datetime64 of NumPy.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or not a date.
    """
    if isinstance(given, np.datetime64):
        given = given.astype("datetime64[us]").item()  # None if it is not a time
    if not isinstance(given, datetime):
        raise TypeError(f"{name} must be a datetime, got {describe(given)}")
    if given != given:  # pandas' NaT
        raise ValueError(f"{name} must be a date, got {describe(given)}")
    return given


def _seconds(date: datetime) -> float:
    """Return a date in seconds since 1970; without a time zone, it is in UTC."""
    known = date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)
    return known.timestamp()


def _is_date(given: object) -> bool:
    return isinstance(given, (datetime, np.datetime64))


def _each(array: Any) -> list[Any]:
    """Return the items of a list, or of an array of dates, one by one."""
    if not isinstance(array, np.ndarray):
        return list(array)
    if array.ndim != 1:
        raise ValueError(f"times must have shape (N,), got {array.shape}")
    return list(array)


Time = SupportsFloat | datetime | np.datetime64  # as users give a simulated time
Ask = Callable[[], Time]  # gives one


def as_clock(clock: object) -> Ask | None:
    """Return what asks a user's clock, None if there is none.

    Raises
    ------
    TypeError
        If it is not callable.
    """
    if clock is None:
        return None
    if not callable(clock):
        raise TypeError(
            f"clock must be a callable that gives the simulated time, such as "
            f"lambda: net.time, got {describe(clock)}"
        )

    def ask() -> Time:
        time: Time | None = clock()
        if time is None:
            raise TypeError("the Logger's clock must give the simulated time, got None")
        return time

    return ask


class Clock:
    """Conversion of simulated time to TensorBoard's wall times and steps.

    Parameters
    ----------
    time_unit
        The unit of all simulated times, one of `TIME_UNITS`.
    dt
        The solver's time step in that unit, or a quantity, if steps are computed from
        simulated time.
    origin
        The date at time 0, if times are drawn as dates of their own.

    Attributes
    ----------
    zero : float or None
        The date at time 0, in seconds since 1970; without a time zone, it is in UTC.
    """

    unit: str
    seconds: float
    dt: float | None
    origin: datetime | None
    zero: float | None

    def __init__(
        self, time_unit: str, dt: SupportsFloat | None, origin: object = None
    ) -> None:
        if time_unit not in tuple(TIME_UNITS):
            allowed = ", ".join(repr(unit) for unit in TIME_UNITS)
            raise ValueError(f"time_unit must be one of {allowed}, got {time_unit!r}")
        self.unit = time_unit
        self.seconds = TIME_UNITS[time_unit]
        self.dt = None if dt is None else as_dt(dt, time_unit)
        self.origin = None if origin is None else as_date("origin", origin)
        self.zero = None if self.origin is None else _seconds(self.origin)
        if self.origin is not None and FEMTOSECONDS[time_unit] < FEMTOSECONDS["us"]:
            raise ValueError(
                f'origin must go with a time_unit of "us" or more, got {time_unit!r}: '
                f"shorter times are drawn as seconds"
            )

    def time(self, given: object) -> float:
        """Return a simulated time, or the one of a date, as a float in `unit`.

        Raises
        ------
        TypeError, ValueError
            If it is neither, or a quantity other than a time, or a date without an
            `origin`, or with a time zone where that has none (or the other way round).
        """
        if type(given) in PLAIN:
            return finite_time(given)
        if not _is_date(given):
            return finite_time(in_time_unit(given, self.unit))
        if self.origin is None:
            raise TypeError(
                f"time must be a number, got {describe(given)}; dates need "
                f"Logger(origin=...), the date at time 0"
            )
        date = as_date("time", given)
        if (date.tzinfo is None) != (self.origin.tzinfo is None):
            raise ValueError(
                f"time and origin must both have a time zone, or neither, got "
                f"{describe(given)} and {self.origin!r}"
            )
        return (date - self.origin).total_seconds() / self.seconds

    def times(self, given: ArrayLike) -> NDArray[np.float64]:
        """Return many simulated times, or those of dates, of shape ``(N,)``."""
        given = in_time_unit(given, self.unit, "times")
        dates = getattr(getattr(given, "dtype", None), "kind", "") in ("M", "O")
        array = np.asarray(given) if dates else given
        if dates or (isinstance(array, Sequence) and array and _is_date(array[0])):
            return np.array([self.time(date) for date in _each(array)])
        return _column("times", given).astype(np.float64, copy=False)

    def wall_time(self, time: object, start: float) -> float:
        """Return the wall time at which `time` is drawn in a run started at `start`."""
        return self._finite(start + self.time(time) * self.seconds)

    def step(self, time: object) -> int | None:
        """Return the solver step nearest to `time`, if `dt` is known."""
        if self.dt is None or time is None:
            return None
        number = time if type(time) is float else self.time(time)
        steps = number / self.dt
        if not abs(steps) < 2.0**63:
            raise ValueError(f"{_FAR.format('time')}, got {describe(time)}")
        return round(steps)

    def wall_times(self, times: ArrayLike, start: float) -> NDArray[np.float64]:
        """Return the wall times of many simulated times, shape ``(N,)``."""
        past = self.times(times)
        with np.errstate(over="ignore"):
            drawn: NDArray[np.float64] = start + past * self.seconds
        if len(drawn):
            self._finite(float(np.abs(drawn).max()))
        return drawn

    def steps(self, times: ArrayLike) -> NDArray[np.int64] | None:
        """Return the solver steps nearest to `times`, if `dt` is known."""
        if self.dt is None:
            return None
        column = self.times(times)
        with np.errstate(over="ignore"):
            steps = np.rint(column / self.dt)
        far = np.abs(steps) >= 2.0**63
        if far.any():
            raise ValueError(f"{_FAR.format('times')}, got {column[far][0]:g}")
        whole: NDArray[np.int64] = steps.astype(np.int64)
        return whole

    @staticmethod
    def _finite(wall_time: float) -> float:
        if not math.isfinite(wall_time):
            raise ValueError("time is too large to be drawn")
        return wall_time
