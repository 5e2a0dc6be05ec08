"""Phases: what begins again at step or time 0 goes on behind what the run has.

Steps and times of the current phase are kept as they are given: by how much the files
have larger ones is added where records are made. So all rules about the order of points
hold within a phase as they do in a run without phases.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from time import time as now
from typing import TYPE_CHECKING, NamedTuple

from annarchy_tb.run.ledger import NEVER, TagState
from annarchy_tb.tfevents.phases import NOT_MOVED, Moved, end_mark, mark
from annarchy_tb.tfevents.records import as_read

if TYPE_CHECKING:
    from annarchy_tb.run.directory import RunDirectory
    from annarchy_tb.run.state import RunState

WHOLE = 1e-6  # of dt: times as close as this to a whole number of steps are one

Places = Sequence[tuple["RunDirectory", tuple[str, ...]]]


class Phase:
    """A phase that goes on.

    Attributes
    ----------
    number, name
        Its number in the run, and its name.
    process : int
        The process that began it, and ends it.
    before : float
        The latest simulated time before it.
    moved : Moved
        What is added to simulated times.
    """

    number: int
    name: str
    process: int
    before: float
    moved: Moved
    resumed: bool  # it had begun before the checkpoint
    agreed: dict[object, int]  # what is added to steps, for tags that move alike
    told: dict[RunDirectory, Moved]  # what their files say

    def __init__(self, number: int, name: str, before: float) -> None:
        self.number, self.name = number, name
        self.process = os.getpid()
        self.before = before
        self.moved = NOT_MOVED
        self.resumed = False
        self.agreed = {}
        self.told = {}


class Plan(NamedTuple):
    """What a call will move: the times, and the steps at each of its places."""

    moved: Moved
    steps: list[int]
    agreed: dict[object, int]  # see `Phase`


class Phases:
    """The phases of an open run.

    Attributes
    ----------
    current : Phase or None
        The phase that goes on.
    here : int
        Its number, 0 if there is none.
    number : int
        The number of the last one, 0 if there was none.
    name : str
        Its name.
    """

    current: Phase | None
    here: int
    number: int
    name: str
    _run: RunState
    _zero: float  # the wall time at which time 0 of the run is drawn
    _before: float  # the latest simulated time of data before, if a phase was begun
    _hooks: list[frozenset[str]]  # tags that move alike

    def __init__(self, run: RunState) -> None:
        self.current = None
        self.here = self.number = 0
        self.name = ""
        self._run = run
        self._zero = run.zero
        self._before = -math.inf
        self._hooks = []

    @property
    def said(self) -> dict[str, dict[str, object]]:
        """What ``run.json`` says: nothing, if this Logger has begun no phase."""
        said = {"number": self.number, "last": as_read(self.name)}
        return {"phases": said} if self.number else {}

    # -- beginning and end -------------------------------------------------------------

    def begin(self, name: str) -> None:
        """Begin a phase.

        Raises
        ------
        RuntimeError
            If there is one already.
        """
        current = self.current
        if current is not None and current.process == os.getpid():
            raise RuntimeError(
                f"phase: {name!r} can't begin within the phase {current.name!r}; end "
                f"that one first"
            )
        if current is not None:  # a forked process leaves that of its parent
            self._leave(current)
        directory = self._run.directory
        directory.ledger.read()
        past, first = directory.past, self.number == 0
        self.number = max(self.number, past.number)
        if first:
            self._before = directory.time_before()
        before = max([self._before, *(state.time for state in self._states())])
        kind = None if directory.opening is None else directory.opening.kind
        resumes = kind in ("resume", "branch")
        unended = past.open if first and resumes else None
        if unended is None or unended["name"] != as_read(name):
            unended = None
            self.number += 1
        self.name = name
        self._forget_templates()
        self.current = phase = Phase(self.number, name, before)
        self.here = self.number
        if unended is not None:
            phase.resumed = True
            self._move(phase, Moved(unended.get("time", 0.0), unended.get("by", 0)))
        if directory.opening is not None and directory.opening.begun:
            self._say(phase, directory)

    def end(self) -> None:
        """End the phase, if this is the process that began it."""
        if self.current is not None and self.current.process == os.getpid():
            self._leave(self.current)

    def _leave(self, phase: Phase) -> None:
        """Return to the steps and times of the run, also after Ctrl-C in between."""
        rest = iter(self._states())
        told = [one for one in phase.told if not one.file.closed]
        self.current, self.here, self._run.zero = None, 0, self._zero
        try:
            self._forget_templates()
        finally:
            try:
                _settle(rest, phase.moved.time)
            finally:
                _settle(rest, phase.moved.time)
                for directory in told:
                    directory.file.append(end_mark(phase.number, now()))

    def _states(self) -> list[TagState]:
        """Return the states of all tags, also those of curves."""
        every = self._run.directory.all()
        return [state for one in every for state in one.ledger.states()]

    def _forget_templates(self) -> None:
        """Make the next call for each tag one that is checked."""
        self._run.scalar_records.clear()
        self._run.plot_records.clear()
        for directory in self._run.directory.all():
            directory.ledger.groups.clear()

    def inherit(self) -> None:
        """Take note that records go to other files, which begin with `snapshot`."""
        if self.current is not None:
            self.current.told = {}

    def alike(self, tags: Iterable[str]) -> None:
        """Take note that these tags move alike, for they are logged by one hook."""
        if (one := frozenset(tags)) not in self._hooks:
            self._hooks.append(one)

    # -- moving ------------------------------------------------------------------------

    def plan(
        self,
        phase: Phase,
        places: Places,
        step: int | None,
        time: float | None,
        apart: bool,
    ) -> Plan:
        """Return what a call moves; nothing is moved yet.

        Parameters
        ----------
        phase
            The current phase.
        places
            Those that the call writes to.
        step, time
            As given: the step may be counted from the time, or None.
        apart
            Whether each place has a step of its own.
        """
        moved = phase.moved
        if time is not None and moved == NOT_MOVED and time < phase.before:
            states = [state for place in places for state in _states(place)]
            if {state.phase for state in states} != {phase.number}:
                moved = self._times(phase, step, time)
        groups = [[place] for place in places] if apart else [places]
        plan = Plan(moved, [], {})
        for group in groups:
            its = self._steps(phase, plan, group, step, time)
            plan.steps.extend([its] * len(group))
        return plan

    def _times(self, phase: Phase, step: int | None, time: float) -> Moved:
        """Return what to add so that a time comes behind those before the phase."""
        clock, before = self._run.clock, phase.before
        if clock.dt is not None:
            first, last = round(time / clock.dt), before / clock.dt
            by = max(math.ceil(last - WHOLE), round(last) - first + 1)
            return Moved(by * clock.dt, by)
        ends = [
            state.last + state.moved
            for state in self._states()
            if state.time > -math.inf
        ]
        return Moved(
            before - min(time, 0.0), _behind(max(ends, default=NEVER), step or 0)
        )

    def _steps(
        self,
        phase: Phase,
        plan: Plan,
        places: Places,
        step: int | None,
        time: float | None,
    ) -> int:
        """Return what to add to the steps of tags that share an event."""
        dt, by, later = self._run.clock.dt, plan.moved.by, phase.moved.time
        last, known, counted = NEVER, [], dt is not None
        for directory, tags in places:
            earlier = _resumed(phase, directory)
            for tag in tags:
                state = directory.ledger.state(tag)
                if state is not None:
                    end = state.last + state.moved
                    last = max(last, end)
                    if state.phase == phase.number:
                        known.append(state.moved)
                        continue
                    if dt is not None and state.time > -math.inf:
                        counted &= end == round((state.time + later) / dt)
                if as_read(tag) in earlier:
                    known.append(earlier[as_read(tag)])
        least = max(known, default=0)
        if len(known) == sum(len(tags) for _, tags in places) or step is None:
            return least
        if known and step + least > last:
            return least
        # Steps that are not those of the time count something else, such as trials.
        if time is None:
            follows = False
        elif dt is None:
            follows = step <= last or last == NEVER
        else:
            follows = counted and step == round(time / dt)
        if follows and step + by > last:
            return max(least, by)
        if step > last:
            return least
        return max(least, self._alike(phase, plan, places, step, last))

    def _alike(
        self, phase: Phase, plan: Plan, places: Places, step: int, last: int
    ) -> int:
        """Return what to add to steps that begin again, without times."""
        key: object = last
        its = [tag for _, tags in places for tag in tags]
        for hook in self._hooks:
            if not hook.isdisjoint(its):
                key = hook
                ledger = self._run.directory.ledger
                states = [s for tag in hook if (s := ledger.state(tag)) is not None]
                last = max([last, *(s.last + s.moved for s in states)])
                break
        by = phase.agreed.get(key)
        if by is None or step + by <= last:
            by = _behind(last, step)
        plan.agreed[key] = by
        return by

    def ends(self, phase: Phase, plan: Plan, places: Places) -> list[tuple[int, float]]:
        """Return the last step and time at each place, as the plan counts them."""
        later = plan.moved.time - phase.moved.time
        found = []
        for place, by in zip(places, plan.steps, strict=True):
            states = _states(place)
            last = max((state.last + state.moved for state in states), default=NEVER)
            time = max((state.time for state in states), default=-math.inf)
            found.append((last if last == NEVER else last - by, time - later))
        return found

    def wall_time(self, time: float, plan: Plan) -> float:
        """Return the wall time at which a time is drawn as planned."""
        seconds = self._run.clock.seconds
        return self._run.clock.wall_time(time, self._zero + plan.moved.time * seconds)

    def enter(
        self,
        phase: Phase,
        plan: Plan,
        directory: RunDirectory,
        tags: Sequence[str],
        states: Iterable[TagState],
        by: int,
    ) -> None:
        """Write the records that say what a call moves; the caller moves the states."""
        if plan.moved != phase.moved:
            self._move(phase, plan.moved)
        phase.agreed.update(plan.agreed)
        moves = [state for state in states if state.moved != by]
        if phase.number in [state.phase for state in moves]:
            self._forget_templates()
        self._say(phase, directory, dict.fromkeys(tags, by) if moves else {})

    def _move(self, phase: Phase, moved: Moved) -> None:
        """Draw all times of the phase later."""
        by = moved.time - phase.moved.time
        phase.moved = moved
        self._run.zero = self._zero + moved.time * self._run.clock.seconds
        for state in self._states():
            state.time -= by

    # -- records -----------------------------------------------------------------------

    def _say(
        self, phase: Phase, directory: RunDirectory, steps: dict[str, int] | None = None
    ) -> None:
        """Write what was not said yet to the run's file, and to that of a curve."""
        for one in dict.fromkeys((self._run.directory, directory)):
            its = steps if one is directory else None
            one.file.ensure()  # a new one begins with `snapshot`
            if its or phase.told.get(one) != phase.moved:
                data = mark(phase.number, phase.name, now(), phase.moved, its)
                phase.told[one] = phase.moved
                one.file.append(data)

    def snapshot(self, directory: RunDirectory) -> bytes:
        """Return the record of all that is moved, for a new file of a directory."""
        phase = self.current
        if phase is None:
            return b""
        phase.told[directory] = phase.moved
        steps = {
            tag: state.moved
            for tag, state in directory.ledger.items()
            if state.phase == phase.number and state.moved
        }
        return mark(phase.number, phase.name, now(), phase.moved, steps)


def _settle(states: Iterable[TagState], later: float) -> None:
    """Have states count as the run does, as far as they are not yet taken."""
    for state in states:  # no call in here, so that Ctrl-C comes between two
        state.last, state.time = state.last + state.moved, state.time + later
        state.moved = state.phase = 0


def _states(place: tuple[RunDirectory, tuple[str, ...]]) -> list[TagState]:
    directory, tags = place
    return [s for tag in tags if (s := directory.ledger.state(tag)) is not None]


def _resumed(phase: Phase, directory: RunDirectory) -> dict[str, int]:
    """Return what was added to steps in a phase that goes on from a checkpoint."""
    if not phase.resumed:
        return {}
    directory.ledger.read()
    before = directory.past.open
    if before is None or before["phase"] != phase.number:
        return {}
    steps: dict[str, int] = before["steps"]
    return steps


def _behind(last: int, step: int) -> int:
    """Return what to add to a step so that it comes behind the last one."""
    return 0 if last == NEVER else max(0, last, last - step + 1)
