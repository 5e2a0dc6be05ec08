"""Measures of what a run costs: for ``log``, and as sources of hooks.

::

    from annarchy_tb import measures

    speed = measures.speed(lambda: net.time)
    for trial in range(100):
        net.simulate(1000.0)
        logger.log({"Memory (MiB)": measures.memory, "Speed (ms/s)": speed}, trial)

A measure is a callable without arguments that returns a float, or None where it is not
known. `annarchy_tb.Logger.log` and the hooks call it, and then leave its tag out:
a measure never ends a simulation.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from annarchy_tb.inputs.clock import in_time_unit
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe

Measure = Callable[[], "float | None"]

MEBIBYTE = 1 << 20


def memory() -> float | None:
    """Return the memory of this process in MiB.

    On Linux it is what is resident now, without child processes. On other systems it is
    the largest so far, and None where that is not known either.

    Examples
    --------
    >>> from annarchy_tb import Logger, measures
    >>> with Logger("runs", "memory") as logger:
    ...     logger.log({"Memory (MiB)": measures.memory})
    ...     logger.last["Memory (MiB)"] > 1
    True
    """
    try:
        with open("/proc/self/statm", "rb") as stream:
            resident = int(stream.read().split()[1])
        return resident * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE
    except (OSError, ValueError, IndexError):
        return _largest()


def _largest() -> float | None:
    """Return the largest memory so far in MiB, where the system knows it."""
    try:
        with importing:
            import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    except (ImportError, OSError):
        return None
    return most * (1 if sys.platform == "darwin" else 1024) / MEBIBYTE


def speed(clock: Callable[[], Any]) -> Measure:
    """Return a measure of simulated time per second of real time, since its last call.

    It is not known at the first call, and if simulated time went back in between.

    Parameters
    ----------
    clock : callable
        Returns the current simulated time, such as ``lambda: net.time``, in any unit:
        ms give the speed in ms/s. A quantity counts in seconds. Exceptions that it
        raises propagate.

    Raises
    ------
    TypeError
        If it is not callable, or later if what it returns is not a number or a time.

    Examples
    --------
    >>> from annarchy_tb import measures
    >>> now = 0.0
    >>> speed = measures.speed(lambda: now)
    >>> speed()
    >>> now += 1000.0
    >>> speed() > 0
    True
    """
    if not callable(clock):
        raise TypeError(
            f"speed: clock must be a callable that returns the simulated time, such as "
            f"lambda: net.time, got {describe(clock)}"
        )
    return _Speed(clock)


class _Speed:
    """The speed of a simulation since the last call."""

    __slots__ = ("_clock", "_last", "_real")
    _clock: Callable[[], Any]
    _last: float  # simulated
    _real: float

    def __init__(self, clock: Callable[[], Any]) -> None:
        self._clock = clock
        self._last = self._real = math.nan

    def __call__(self) -> float | None:
        time = self._time()
        real = perf_counter()
        simulated, past = time - self._last, real - self._real
        self._last, self._real = time, real
        known = simulated >= 0 and past > 0 and math.isfinite(simulated)
        return simulated / past if known else None

    def _time(self) -> float:
        given = self._clock()
        try:
            if isinstance(given, (str, bytes)):
                raise TypeError
            return float(in_time_unit(given, "s"))
        except (TypeError, ValueError):
            raise TypeError(
                f"speed: clock must return a number or a time, got {describe(given)}"
            ) from None


def taken(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with what measures give; those that are not known are left out."""
    found = {}
    for tag, value in values.items():
        if not is_measure(value):
            found[tag] = value
        elif (number := value()) is not None:
            found[tag] = number
    return found


def is_measure(value: object) -> bool:
    """Return whether a value is one of the measures of this module."""
    return value is memory or type(value) is _Speed
