"""Entries: the common path of all calls that log data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, SupportsFloat

from annarchy_tb.inputs.clock import MAX_STEP, Time
from annarchy_tb.inputs.messages import naming, raise_named
from annarchy_tb.inputs.numbers import as_number
from annarchy_tb.inputs.tags import check_tag, is_shown
from annarchy_tb.inputs.units import said, separate, shown
from annarchy_tb.run.directory import RunDirectory
from annarchy_tb.run.ledger import TagState
from annarchy_tb.run.order import follow, goes_back_in_history, inherited
from annarchy_tb.run.phases import Plan
from annarchy_tb.run.state import RunState, Times
from annarchy_tb.run.warned import RUN_NAME, Remark
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.records import Parts, as_read
from annarchy_tb.tfevents.schema import BLOBS, REPEATED, Kind
from annarchy_tb.tfevents.templates import scalar_value

NOT_SHOWN = (
    "a quote, a backslash or a control character: TensorBoard's default loader can't "
    "show its images and sounds (HTTP error 400). Take another name, or start "
    "TensorBoard with --load_fast=false"
)

# A directory, and tags that share an event.
Place = tuple[RunDirectory, tuple[str, ...]]

# The number of the first block of a recording, and the records of all, in parts.
Recording = tuple[int, Iterable[Sequence[Any]]]


class Entry:
    """A call that logs data of one kind.

    The constructor checks everything except the data: that the run is open, the tag,
    its kind, the step and the time. In the ``with`` block, errors are prefixed with the
    method and the tag, and `warn` collects warnings. `write` gives the warnings, enters
    the tag in the ledger, and writes the record. Nothing changes before that::

        with Entry(self._run, "add_text", tag, TEXT, step, time) as entry:
            entry.write(encode(tag, as_text("text", text)))

    Parameters
    ----------
    run
        The run.
    method, tag
        The method and tag named in errors and warnings; the tag is None for several.
    kind
        The kind of data.
    step, time
        As given by the user.
    places
        The places to write to, one event for each. The default is `tag` in the
        directory of the run.
    apart
        Continue automatic steps from the last step at each place, not from the largest
        of them.
    clocked
        Ask the user's clock, if there is one, where `time` is None.

    Raises
    ------
    TypeError, ValueError
        If one of these is invalid, or the run is closed.

    Attributes
    ----------
    states : list of TagState
        The states of the tags, place by place; set by writing.
    """

    __slots__ = (
        *("_apart", "_dt", "_kind", "_method", "_places", "_plan", "_remarks", "_run"),
        *("_step", "_tag", "_time", "_times", "_units", "_wall_time", "states"),
    )
    states: list[TagState]
    _run: RunState
    _method: str
    _tag: str | None
    _kind: Kind
    _places: Sequence[Place]
    _apart: bool
    _step: int | None
    _wall_time: float
    _times: Times
    _time: float | None  # that the order is checked by
    _plan: Plan | None  # what moves, in a phase
    _dt: float | None  # what the step was counted by, if it was
    _remarks: list[Remark]
    _units: dict[str, str | None]  # of tags whose first values are in this call

    def __init__(
        self,
        run: RunState,
        method: str,
        tag: str | None,
        kind: Kind,
        step: SupportsFloat | None = None,
        time: Time | None = None,
        *,
        places: Sequence[Place] | None = None,
        apart: bool = False,
        clocked: bool = True,
    ) -> None:
        run.check_open()
        if places is None:
            places = [(run.directory, (tag,))]  # type: ignore[list-item]
        for directory, tags in places:
            for one in tags:
                check_tag(method, one)
                directory.ledger.check(method, one, kind.name)
        if time is None and clocked and run.ask is not None:
            time = run.ask()
        try:
            self._step, self._wall_time, self._times = run.when(step, time)
        except Exception as error:
            raise_named(method, tag, error)
            raise
        self._dt = None if step is not None or self._step is None else run.clock.dt
        self._run = run
        self._method = method
        self._tag = tag
        self._kind = kind
        self._places = places
        self._apart = apart
        self._time = None if self._times is None else self._times[0]
        self._plan = None
        self._remarks = []
        self._units = {}
        self.states = []
        if kind.data_class == BLOBS:
            self._check_shown()
        if any(directory.ledger.is_inherited(tags) for directory, tags in places):
            self.warn(*inherited())

    def __enter__(self) -> Entry:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            raise_named(self._method, self._tag, error)

    def warn(self, subject: str, message: str, tag: str | None = None) -> None:
        """Add a warning for `write` to give, once per tag and subject."""
        tags = [tag] if tag else [tag for _, tags in self._places for tag in tags]
        about = tuple(dict.fromkeys(tags))
        self._remarks.append(Remark(self._method, about, subject, message))

    def _check_shown(self) -> None:
        """Add a warning if TensorBoard's default loader can't show blobs here."""
        odd = [tag for _, tags in self._places for tag in tags if not is_shown(tag)]
        if not is_shown(self._run.name):
            self.warn(RUN_NAME, f"the run's name has {NOT_SHOWN}")
        if odd:
            self.warn("name", f"the tag has {NOT_SHOWN}", odd[0])

    def plain(self, given: Any, *tags: str, name: str = "value") -> Any:
        """Return what is to be logged without its unit.

        Quantities are converted to the unit of their tags, which the first one sets. A
        number without a unit counts as in that unit.

        Parameters
        ----------
        given
            Quantities, or anything else, which is returned as it is.
        tags
            The tags that they belong to, if it is not the one of the call; they all
            have the same unit.
        name
            The name of the argument, for errors.

        Raises
        ------
        TypeError
            If they can't be converted, or the tags have values without a unit.
        """
        own = tags or self._own_tags()
        known = self._known(own, self._unit)
        number, unit = separate(given, known, name)
        if unit is not None and known is None:
            known = self._known(own, self._run.unit)
            if known is not None:  # by another process
                number, unit = separate(given, known, name)
        if unit is None:
            if known is None:
                self.note_plain(own)
            return number
        for tag in own:
            if self._unit(tag) is not None:
                continue
            if tag in self._units or not self._is_new(tag):
                raise TypeError(
                    f"the earlier values of {tag!r} have no unit, so {name} must be a "
                    f"number, got {shown(given)}; divide it by their unit"
                )
            self._units[tag] = unit
        return number

    def note_plain(self, tags: Iterable[str]) -> None:
        """Note that tags have values without a unit, also if none is written yet."""
        for tag in tags:
            self._units.setdefault(tag, None)

    @staticmethod
    def _known(tags: Iterable[str], unit: Callable[[str], str | None]) -> str | None:
        """Return the first unit of some tags."""
        for tag in tags:
            if (known := unit(tag)) is not None:
                return known
        return None

    def _own_tags(self) -> tuple[str, ...]:
        return () if self._tag is None else (self._tag,)

    def _unit(self, tag: str) -> str | None:
        return self._units.get(tag) or self._run.units.get(tag)

    def _is_new(self, tag: str) -> bool:
        return all(
            directory.ledger.is_new((tag,)) for directory in self._run.directory.all()
        )

    def number(self, value: object, *tags: str, name: str | None = None) -> float:
        """Return a value as a float; messages name it `name`, by default the tag.

        A quantity is converted to the unit of `tags`, as by `plain`; without tags, it
        is refused.
        """
        name = name or (tags[0] if tags else None)
        with naming(self._method, name or self._tag):
            return as_number(
                self.plain(value, *tags) if tags else value,
                lambda about, said: self.warn(about, said, name),
            )

    def numbers(self, values: Mapping[str, object]) -> list[float]:
        """Return the values of a dict, one for each place, as floats."""
        prefix = "" if self._tag is None else f"{self._tag}: "
        return [
            self.number(value, *tags, name=prefix + name)
            for (name, value), (_, tags) in zip(
                values.items(), self._places, strict=True
            )
        ]

    def event(
        self,
        place: Place,
        values: Iterable[Parts],
        wall_time: float,
        step: int,
        numbers: Sequence[float] = (),
        times: Times = None,
        block: int | None = None,
    ) -> bytes:
        """Return the record of one event, with the descriptions of new tags."""
        if self._run.directory.descriptions or self._run.units or self._units:
            values = [
                records.described(self._kind, value, text) if text else value
                for text, value in zip(self._texts(place), values, strict=True)
            ]
        times = times or self._times
        return records.summary(values, wall_time, step, numbers, times, block)

    def describes(self) -> bool:
        """Return whether the next event includes descriptions."""
        return any(text for place in self._places for text in self._texts(place))

    def _texts(self, place: Place) -> list[str]:
        """Return the descriptions of new tags, and ``""`` for other tags."""
        (directory, tags), texts = place, self._run.directory.descriptions
        return [
            ""
            if directory.ledger.has_begun(tag)
            else said(texts.get(tag, ""), self._unit(tag))
            for tag in tags
        ]

    def write(
        self,
        *values: Parts,
        numbers: Sequence[float] = (),
        recording: Recording | None = None,
        repeated: bool = False,
    ) -> None:
        """Write a value for each tag of each place; of scalars, the numbers too.

        If they are drawn from a recording, it is written first. If they are
        `repeated`, they are drawn only, and not read back.
        """
        made, begin = [], 0
        block, blocks = recording or (REPEATED if repeated else None, ())
        steps = self._steps()
        wall_time = self._wall_time
        if self._plan is not None and self._time is not None:
            wall_time = self._run.phases.wall_time(self._time, self._plan)
        for place, step, by in zip(self._places, steps, self.moved, strict=True):
            its = slice(begin, begin + len(place[1]))
            record = self.event(
                place, values[its], wall_time, step + by, numbers[its], block=block
            )
            made.append((place, step, by, record))
            begin = its.stop
        if self._remarks:
            self._run.warned.give(self._remarks)
        self.enter_units()
        if recording is not None:
            self._run.directory.recordings.ensure()
        if made:
            self._begin()
        for place, step, by, record in made:
            self._enter(place, step, self._time, by)
            for parts in blocks:
                place[0].recordings.append_parts(parts)
            place[0].file.append(record)

    def _begin(self) -> None:
        """Begin the session: if it is refused, no tag is entered."""
        opening = self._run.directory.opening
        if opening is not None and not opening.begun:
            with contextlib.suppress(OSError):  # the file tries again
                opening.begin()

    def write_numbers(self, numbers: Sequence[float], watched: bool = True) -> None:
        """Write a number for each tag of each place, as scalars.

        If `watched`, one that is not finite is warned of, and noted once it is written.
        """
        tags = [tag for _, its in self._places for tag in its]
        odd = {tag: n for tag, n in zip(tags, numbers, strict=True) if n - n}
        if watched:
            for tag in odd:
                if tag not in self._run.not_finite:
                    self.warn_not_finite(tag, odd[tag])
        self.write(*map(scalar_value, tags, numbers), numbers=numbers)
        if watched and odd:
            time = None if self._times is None else self._times[0]
            first = self.states[0]
            steps = dict.fromkeys(odd, first.last + first.moved)
            self._run.watch(self._method, steps, next(iter(odd.values())), time)

    def write_repeated(self, numbers: Sequence[float]) -> None:
        """Write a number for each tag of each place, to be drawn only."""
        tags = [tag for _, its in self._places for tag in its]
        values = map(scalar_value, tags, numbers)
        self.write(*values, numbers=numbers, repeated=True)

    def warn_not_finite(self, tag: str, number: float) -> None:
        """Add a warning about a number, unless the Logger is to do otherwise."""
        if self._run.on_nan == "warn":
            self.warn(
                "not finite", f"the value is {number:g}, the first of this tag", tag
            )

    def check_order(self) -> None:
        """Give the warnings about the order now, before what can't be undone."""
        self._steps()
        self.write_nothing()

    def write_nothing(self) -> None:
        """Give the warnings, without writing."""
        self._run.warned.give(self._remarks)

    def begin(
        self, step: int | None, time: float | None, dt: float | None = None
    ) -> int:
        """Return the first of several steps; add a warning if it goes back.

        Parameters
        ----------
        step
            The first step; None for an automatic one.
        time
            The first simulated time, if there is one.
        dt
            What the steps were counted by from simulated time, if they were.
        """
        self._step, self._time, self._dt = step, time, dt
        return self._steps()[0]

    @property
    def moved(self) -> list[int]:
        """What the phase adds to the step at each place, once that is known."""
        return [0] * len(self._places) if self._plan is None else self._plan.steps

    @property
    def phase(self) -> dict[str, Any] | None:
        """What a recording says about the phase of its points, if there is one."""
        phase, plan = self._run.phases.current, self._plan
        if phase is None or plan is None:
            return None
        its = {"phase": phase.number, "name": as_read(phase.name)}
        return {**its, "steps": plan.steps[0], "time": plan.moved.time}

    @property
    def zero(self) -> float:
        """The wall time at which time 0 is drawn."""
        return (
            self._run.phases.wall_time(0.0, self._plan)
            if self._plan
            else self._run.zero
        )

    def enter_units(self) -> None:
        """Set the units of the tags of which this call has the first values."""
        found = {tag: unit for tag, unit in self._units.items() if unit is not None}
        if found:
            self._run.enter_units(found)

    def write_blocks(
        self, blocks: Iterable[bytes | memoryview], last: int, time: float | None
    ) -> None:
        """Write complete records of a recording, made elsewhere, up to the step `last`.

        `time` is the last simulated time, if there is one.
        """
        self._run.warned.give(self._remarks)
        self.enter_units()
        [place] = self._places
        place[0].recordings.ensure()
        self._enter(place, last, time, self.moved[0])
        for block in blocks:
            place[0].file.append(block)

    def _steps(self) -> list[int]:
        """Return the step at each place; add warnings about those that go back."""
        phases, places = self._run.phases, self._places
        if phases.current is None:
            ends = [directory.ledger.furthest(tags) for directory, tags in places]
        else:
            self._plan = phases.plan(
                phases.current, places, self._step, self._time, self._apart
            )
            ends = phases.ends(phases.current, self._plan, places)
        if len(ends) > 1 and not self._apart:
            lasts, times = zip(*ends, strict=True)
            ends = [(max(lasts), max(times))] * len(ends)
        return [
            self._follow(place, *end, by)
            for place, end, by in zip(places, ends, self.moved, strict=True)
        ]

    def _follow(self, place: Place, last: int, last_time: float, by: int) -> int:
        try:
            step, problem = follow(last, last_time, self._step, self._time, self._dt)
            if step + by > MAX_STEP:
                raise ValueError(
                    f"step must fit into 64 bits, got {step} in a phase that adds {by}"
                )
        except ValueError as error:
            raise_named(self._method, self._tag, error)
            raise
        directory, tags = place
        if problem is not None and not directory.ledger.is_new(tags):
            if problem[0] == "order" and directory.ledger.is_history(tags):
                problem = goes_back_in_history(step, last, self._dt)
            self.warn(*problem)
        return step

    def _enter(self, place: Place, step: int, time: float | None, by: int) -> None:
        directory, tags = place
        states = directory.ledger.enter(tags, self._kind.name).states
        phases, plan = self._run.phases, self._plan
        if phases.current is not None and plan is not None:
            phases.enter(phases.current, plan, directory, tags, states, by)
        for state in states:
            state.last, state.moved, state.phase = step, by, phases.here
            if time is not None:
                state.time = time
            self.states.append(state)
