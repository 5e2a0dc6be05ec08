"""The state of an open run, shared by all code that logs to it."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Mapping
from time import time as now
from typing import Any, Literal, NamedTuple, Protocol, SupportsFloat, get_args

from annarchy_tb.inputs.clock import (
    DRAWN,
    MAX_STEP,
    MIN_STEP,
    Ask,
    Clock,
    Time,
    whole_step,
)
from annarchy_tb.inputs.messages import where
from annarchy_tb.run.directory import Closed, RunDirectory
from annarchy_tb.run.kept import Kept
from annarchy_tb.run.ledger import TagState
from annarchy_tb.run.order import follow
from annarchy_tb.run.phases import Phases
from annarchy_tb.run.warned import Warned
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.event_file import EventFile
from annarchy_tb.tfevents.templates import ScalarRecords

OnNan = Literal["warn", "raise", "ignore"]

# The simulated time of a call, as it was given, and the real time; None without time=.
Times = tuple[float, float] | None


def check_on_nan(on_nan: object) -> None:
    """Raise ValueError for what is no choice about numbers that are not finite."""
    if on_nan not in get_args(OnNan):
        allowed = ", ".join(map(repr, get_args(OnNan)))
        raise ValueError(f"on_nan must be one of {allowed}, got {on_nan!r}")


class Flushable(Protocol):
    """An object that holds values until it logs a point for them."""

    def flush(self) -> None:
        """Log a point for the values held."""


class Curve(NamedTuple):
    """The file, state and record template of one curve of a plot."""

    file: EventFile
    state: TagState
    records: ScalarRecords


class RunState:
    """An open run: its files, its clock, and the warnings given.

    Parameters
    ----------
    directory
        Its directory.
    clock
        Its simulated time.
    started
        The first start of the run in seconds since 1970: simulated time 0.
    ask, on_nan
        The attributes.
    name
        Its name in TensorBoard; by default, that of its directory.

    Attributes
    ----------
    name : str
        The name of the run in TensorBoard.
    zero : float
        The wall time at which time 0 is drawn, that of the current phase.
    phases : Phases
        The phases of the run.
    warned : Warned
        The warnings given so far.
    units : dict of str to str
        The units of tags: those of their first quantities.
    share_units : callable or None
        What takes units of tags for other processes, and returns those of all tags.
    ask : callable or None
        The user's clock: what gives the simulated time of calls without ``time=``.
    on_nan : {"warn", "raise", "ignore"}
        What to do about numbers that are not finite.
    note : callable or None
        What takes tags that were not finite, with their steps.
    not_finite : set of str
        The tags that had one; nothing more is to be said about these.
    pending : dict
        The windows that hold values, in the order of their first values.
    ending : list of callable
        What is called once the run is closed.
    scalar_records : dict
        The templates of tags. They are added when the first record is written, and
        removed when the run is closed.
    plot_records : Kept of list of Curve
        Those of plots, by tag and keys.
    """

    directory: RunDirectory
    name: str
    clock: Clock
    started: float
    zero: float
    phases: Phases
    warned: Warned
    units: dict[str, str]
    pending: dict[Flushable, None]
    ending: list[Callable[[], None]]
    ask: Ask | None
    on_nan: OnNan
    not_finite: set[str]
    drawn: dict[str, int]
    note: Callable[[dict[str, int]], None] | None
    share_units: Callable[[Mapping[str, str]], dict[str, str]] | None
    scalar_records: dict[str, tuple[TagState, ScalarRecords]]
    plot_records: Kept[list[Curve]]

    def __init__(
        self,
        directory: RunDirectory,
        clock: Clock,
        started: float,
        ask: Ask | None = None,
        on_nan: OnNan = "warn",
        name: str | None = None,
    ) -> None:
        self.directory = directory
        self.name = directory.path.name if name is None else name
        self.clock = clock
        self.started = started
        self.zero = started if clock.zero is None else clock.zero
        self.warned = Warned(quiet=not directory.writes)
        self.units = {}
        self.on_nan = on_nan
        self.not_finite = set()
        self.drawn = {}
        self.phases = Phases(self)
        directory.mark = self.phases.snapshot
        self._begin()
        self.ask = ask

    def watch(
        self,
        method: str,
        steps: Mapping[str, int],
        number: float,
        time: float | None,
    ) -> None:
        """Note that numbers which are not finite were written.

        Parameters
        ----------
        method
            The method that was called.
        steps
            The step of the first such number of each tag.
        number, time
            The first of all, and its simulated time.

        Raises
        ------
        FloatingPointError
            If the Logger was asked to.
        """
        if self.note is not None:
            self.note(dict(steps))
        if self.on_nan != "raise":
            self.not_finite.update(steps)
            return
        tag, step = next(iter(steps.items()))
        when = "" if time is None else f", time {time:g}"
        raise FloatingPointError(
            f"{where(method, tag)}: the value is {number:g} at step {step}{when}"
        )

    def unit(self, tag: str) -> str | None:
        """Return the unit of a tag, which another process may have set."""
        opening = self.directory.opening
        begun = opening is not None and opening.begun
        if tag not in self.units and begun and self.share_units is not None:
            self._take_units(self.share_units({}))
        return self.units.get(tag)

    def _take_units(self, there: Mapping[str, str]) -> None:
        for tag, unit in there.items():
            self.units.setdefault(tag, unit)

    def enter_units(self, found: Mapping[str, str]) -> None:
        """Set the units of tags that have none, before their first values are written.

        Raises
        ------
        ValueError
            If another process has just set another one.
        """
        if self.directory.opening is not None:
            with contextlib.suppress(OSError):  # the file will meet it, too
                self.directory.opening.begin()
        if self.share_units is not None:
            there = self.share_units(found)
            for tag, unit in found.items():
                if there.get(tag, unit) != unit:
                    self._take_units(there)
                    raise ValueError(
                        f"another process has just logged {tag!r} in {there[tag]}, and "
                        f"this would be in {unit}; log it again"
                    )
        self.units.update(found)

    def _begin(self) -> None:
        """Start without windows and templates."""
        self.pending = {}
        self.ending = []
        self.ask = None
        self.note = self.share_units = None
        self.scalar_records, self.plot_records = {}, Kept()
        _runs.add(self)

    def check_open(self) -> None:
        """Raise ValueError if the run is closed."""
        if self.directory.file.closed:
            raise ValueError(f"Logger is closed: {self.directory.path}")

    def when(
        self, step: SupportsFloat | None, time: Time | None
    ) -> tuple[int | None, float, Times]:
        """Return a step, None if it is to be counted, the wall time, and the times.

        The wall time is the one that TensorBoard draws.

        Raises
        ------
        TypeError, ValueError
            If the step is not a whole number, or the time not a finite one.
        """
        if time is None:
            if step is None or (type(step) is int and MIN_STEP <= step <= MAX_STEP):
                return step, now(), None
            return whole_step(step), now(), None
        clock = self.clock
        if type(time) is not float:
            time = clock.time(time)
        if type(step) is int and MIN_STEP <= step <= MAX_STEP:
            whole: int | None = step
        else:
            whole = clock.step(time) if step is None else whole_step(step)
        if -DRAWN < time < DRAWN:
            return whole, self.zero + time * clock.seconds, (time, now())
        return whole, clock.wall_time(time, self.zero), (time, now())

    def next(
        self,
        last: int,
        last_time: float,
        step: SupportsFloat | None,
        time: Time | None,
    ) -> tuple[int, float, Times]:
        """Return step, wall time and times of a point that comes after the last one.

        Raises
        ------
        TypeError, ValueError
            If it does not come after it, or as `when` does.
        """
        whole, wall_time, times = self.when(step, time)
        given = None if times is None else times[0]
        at, problem = follow(last, last_time, whole, given)
        if problem is not None:
            raise ValueError(problem)
        return at, wall_time, times

    def append(self, value: records.Parts) -> None:
        """Write a value about the run itself, not one of the simulation."""
        self.directory.file.append(records.summary([value], now()))

    def close(self) -> Closed:
        """Close all files; return the damage, for the caller to warn of."""
        try:
            return self.directory.close()
        finally:
            self.scalar_records.clear()
            self.directory.ledger.groups.clear()
            self.plot_records.clear()
            while self.ending:
                self.ending.pop()()

    def inherit(self) -> None:
        """Take note that this is now the state in another process, or of a copy.

        The next call for each tag is checked: its records go to another file.
        """
        self.scalar_records.clear()
        self.plot_records.clear()
        self.phases.inherit()
        for directory in self.directory.all():
            directory.ledger.inherit()

    def __getstate__(self) -> dict[str, Any]:
        own = (
            "ask",
            "ending",
            "note",
            "share_units",
            "pending",
            "scalar_records",
            "plot_records",
        )
        return {k: v for k, v in self.__dict__.items() if k not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()
        self.inherit()


_runs: weakref.WeakSet[RunState] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for run in list(_runs):
        run.inherit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
