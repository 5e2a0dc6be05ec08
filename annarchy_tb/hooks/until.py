"""The progress of a simulation towards a time: a bar, or lines in the log of a job."""

from __future__ import annotations

import logging
import math
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from annarchy_tb.hooks.sampling import METHOD, when_closed
from annarchy_tb.inputs.clock import in_time_unit
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, naming
from annarchy_tb.logger import Logger
from annarchy_tb.progress import as_tags, bar_class, last_values

if TYPE_CHECKING:
    from annarchy_tb.reading.last import Last

STEPS = "steps"  # the unit where there is no simulated time

# As tqdm formats it.
LINE = "{percentage:.0f}% {done} [{elapsed}<{remaining}, {speed}{postfix}]"
BAR = "{percentage:3.0f}%|{bar}| {done} [{elapsed}<{remaining}, {speed}{postfix}]"


def _as_end(until: Any, unit: str) -> float:
    what = "a number of steps" if unit == STEPS else f"a time in {unit}"
    try:
        if isinstance(until, (str, bytes)):
            raise TypeError
        if unit != STEPS:
            with naming(METHOD, None):
                until = in_time_unit(until, unit, "until")
        number = float(until)
    except (TypeError, ValueError):
        raise TypeError(
            f"{METHOD}: until must be {what}, got {describe(until)}"
        ) from None
    if not math.isfinite(number):
        raise ValueError(f"{METHOD}: until must be finite, got {describe(until)}")
    return number


class Progress:
    """A callable that is told the current time, and shows it now and then.

    On a terminal and in notebooks it draws tqdm's bar. Elsewhere it writes a line of
    text to stderr at most once a minute, and one at the end. Whatever goes wrong with
    that ends the bar, never the simulation.

    Parameters
    ----------
    logger
        The bar ends when it is closed.
    until, unit
        The last time, and its unit.
    show
        Tags whose last values are shown.
    """

    _until: float
    _unit: str
    _show: tuple[str, ...]
    _logger: Logger
    _now: Callable[[], Any] | None
    _start: float
    _due: float  # when to draw next, in real time
    _drawn: _Bar | _Lines | None
    _process: int

    def __init__(
        self, logger: Logger, until: float, unit: str, show: tuple[str, ...]
    ) -> None:
        self._until = until
        self._unit = unit
        self._show = show
        self._logger = logger
        self._now = None
        self._start = 0.0
        self._due = -math.inf
        self._drawn = None
        self._process = os.getpid()

    @classmethod
    def made(
        cls,
        logger: Logger,
        until: Any,
        show: str | Sequence[str],
        unit: str,
        now: Callable[[], Any] | None = None,
    ) -> Progress | None:
        """Return what shows the progress of a simulation; None without `until`.

        Parameters
        ----------
        logger
            The Logger.
        until, show
            As given by the user.
        unit
            The unit of time in which `until` and all times are; or `STEPS`.
        now
            Returns the current time; None if it is not known yet, see `begin`.

        Raises
        ------
        TypeError, ValueError
            If `until` is no finite number or time, or not after the current time; if
            `show` is not tags, or given without `until`.
        """
        tags = as_tags(METHOD, show)
        if until is None:
            if tags:
                raise ValueError(f"{METHOD}: show= needs until=, the end of the bar")
            return None
        bar = cls(logger, _as_end(until, unit), unit, tags)
        if now is not None:
            bar.begin(now)
        return bar

    def begin(self, now: Callable[[], Any]) -> None:
        """Set the beginning of the bar; later calls change nothing.

        Parameters
        ----------
        now
            Returns the current time.

        Raises
        ------
        ValueError
            If the end is not after it.
        """
        if self._now is not None:
            return
        start = self._number(now())
        if self._until <= start:
            raise ValueError(
                f"{METHOD}: until must be after the current time, {start:.10g} "
                f"{self._unit}, got {self._until:.10g}"
            )
        self._now, self._start = now, start

    def __call__(self, at: Any) -> None:
        """Take note of the current time."""
        try:
            if type(at) is not float:
                at = self._number(at)
            if at >= self._until or monotonic() >= self._due:
                self._draw(at)
        except Exception as error:
            self._give_up(error)

    def _number(self, at: Any) -> float:
        return float(at if self._unit == STEPS else in_time_unit(at, self._unit))

    def _draw(self, at: float) -> None:
        if self._due == math.inf:
            return
        # A forked process has no bar.
        if os.getpid() != self._process or not self._logger.enabled:
            self._due = math.inf
            return
        done = min(at, self._until) - self._start
        if self._drawn is None:
            self._drawn = self._begin_to_draw(done)
            this = weakref.ref(self)  # a Logger must not keep the simulator alive
            when_closed(self._logger, lambda: _end_of(this()))
        elif at < self._until:
            self._drawn.draw(done)
        self._due = monotonic() + self._drawn.every
        if at >= self._until:
            self.end()

    def _begin_to_draw(self, done: float) -> _Bar | _Lines:
        with importing:
            from tqdm.auto import tqdm

        terminal = sys.stderr is not None and sys.stderr.isatty()
        notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
        kind = _Bar if terminal or notebook else _Lines
        meter = _Meter(self._start, self._until, self._unit)
        return kind(meter, done, self._logger.last, self._show)

    def end(self) -> None:
        """Draw the bar for the last time, where the simulation is now."""
        if os.getpid() != self._process or not self._logger.enabled:
            return
        drawn, self._drawn, self._due = self._drawn, None, math.inf
        if drawn is None or self._now is None:
            return
        try:
            drawn.end(min(self._number(self._now()), self._until) - self._start)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._drawn, self._due = None, math.inf
        logging.getLogger("annarchy_tb").warning("the progress bar ended: %r", error)


def _end_of(progress: Progress | None) -> None:
    if progress is not None:
        progress.end()


class _Meter(NamedTuple):
    """Formats the simulated time that is done, from `start` to `until`."""

    start: float
    until: float
    unit: str

    def parts(self, done: float, rate: float | None) -> dict[str, str]:
        """Return the parts of a bar that tqdm does not have."""
        digits = 0 if self.unit == STEPS else 3
        digits -= math.floor(math.log10(self.until - self.start)) if digits else 0
        now = f"{self.start + done:.{min(max(digits, 0), 12)}f}"
        return {
            "done": f"{now}/{self.until:.10g} {self.unit}",
            "speed": f"{_short(rate)} {self.unit}/s",
        }


def _short(rate: float | None) -> str:
    if rate is None:
        return "?"
    return f"{rate:.0f}" if 1000 <= abs(rate) < 1e9 else f"{rate:.3g}"


class _Bar:
    """The bar of tqdm, which shows simulated time."""

    every = 0.5  # seconds: to read the last values takes time, too

    def __init__(
        self, meter: _Meter, done: float, last: Last, show: tuple[str, ...]
    ) -> None:
        class Bar(bar_class(last, show)):  # type: ignore[misc]
            @property
            def format_dict(self) -> dict[str, Any]:
                parts = super().format_dict
                rate = parts["rate"]
                if rate is None and parts["elapsed"]:
                    rate = (parts["n"] - parts["initial"]) / parts["elapsed"]
                return {**parts, **meter.parts(parts["n"], rate)}

        self._bar = Bar(
            total=meter.until - meter.start,
            initial=done,
            mininterval=0,
            miniters=0,
            bar_format=BAR,
        )

    def draw(self, done: float) -> None:
        self._bar.update(done - self._bar.n)

    def end(self, done: float) -> None:
        self.draw(done)
        self._bar.close()


class _Lines:
    """Lines of text, for the log of a job."""

    every = 60.0  # seconds

    def __init__(
        self, meter: _Meter, done: float, last: Last, show: tuple[str, ...]
    ) -> None:
        self._meter = meter
        self._last = last
        self._show = show
        self._first = self._latest = (monotonic(), done)

    def draw(self, done: float) -> None:
        now = monotonic()
        self._write(done, now, self._latest)
        self._latest = (now, done)

    def end(self, done: float) -> None:
        self._write(done, monotonic(), self._first)

    def _write(self, done: float, now: float, since: tuple[float, float]) -> None:
        """Write a line, with the speed since an earlier time."""
        if sys.stderr is None:  # as in a service, whose standard streams are closed
            return
        with importing:
            from tqdm import tqdm

        past = now - since[0]
        rate = (done - since[1]) / past if past else None
        parts: dict[str, Any] = dict(self._meter.parts(done, rate))
        line = tqdm.format_meter(
            done,
            self._meter.until - self._meter.start,
            now - self._first[0],
            rate=rate,
            bar_format=LINE,
            postfix=last_values(self._last, self._show) or None,
            **parts,
        )
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
