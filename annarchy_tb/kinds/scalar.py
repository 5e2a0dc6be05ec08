"""Scalars: single numbers, several curves on one plot, and several tags in one record.

The methods keep templates of known tags, which makes them fast. Calls with anything new
or unusual (a tag, a warning, an error) go through an Entry, as those of all other kinds
do.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from time import time as now
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.clock import MAX_STEP, Time
from annarchy_tb.inputs.messages import naming
from annarchy_tb.inputs.numbers import as_names, plain_float
from annarchy_tb.inputs.optional import optional
from annarchy_tb.inputs.tags import check_tag
from annarchy_tb.measures import Measure, is_measure, taken
from annarchy_tb.run.entry import Entry
from annarchy_tb.run.ledger import furthest
from annarchy_tb.run.state import Curve, Times
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import NO_BLOCK, Value
from annarchy_tb.tfevents.phases import Segment, later
from annarchy_tb.tfevents.scan import Block, number
from annarchy_tb.tfevents.schema import REPEATED, SCALAR
from annarchy_tb.tfevents.templates import EventRecords, ScalarRecords

if TYPE_CHECKING:
    from pandas import DataFrame

    from annarchy_tb.logger import Logger

# What messages of `log` name, with a label in place of the tags. As a variable of the
# context it costs nothing to those who call `log` itself.
_caller: ContextVar[tuple[str, str | None]] = ContextVar(
    "caller", default=("log", None)
)

# -- logging ---------------------------------------------------------------------------


def add_scalar(
    self: Logger,
    tag: str,
    value: SupportsFloat,
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log one number.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    value : float
        A number, or anything that holds exactly one: a NumPy scalar, an array or tensor
        of one element, a bool, a Decimal, a quantity; not a text. TensorBoard shows it
        in single precision; `Run` reads the double back. NaN and infinity are kept.
    """
    if time is None and self._clock is not None:
        time = self._clock()
    try:
        state, template = self._scalar_records[tag]
        number = value if type(value) is float else plain_float(value)
        if number - number and tag not in self._not_finite:
            raise ValueError  # it is the first one, to be warned of
        if time is None and type(step) is int and state.last < step <= MAX_STEP:
            at = step
            data = template.make(number, now(), at)
        else:
            at, wall_time, times = self._run.next(state.last, state.time, step, time)
            data = template.make(number, wall_time, at, times)
    except Exception:
        _add_scalar_checked(self, tag, value, step, time)
        return
    state.last = at
    if time is not None:
        state.time = times[0]  # type: ignore[index]
    self._file.append(data)


def _add_scalar_checked(
    self: Logger,
    tag: str,
    value: object,
    step: SupportsFloat | None,
    time: Time | None,
) -> None:
    with Entry(self._run, "add_scalar", tag, SCALAR, step, time) as entry:
        entry.write_numbers([entry.number(value, tag)])
    if tag not in self._scalar_records:
        [state] = entry.states
        self._scalar_records[tag] = state, ScalarRecords(tag, state.moved)


def add_scalars(
    self: Logger,
    tag: str,
    value: Mapping[str, SupportsFloat],
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log several numbers that are drawn as curves on one plot.

    TensorBoard shows each curve as a run named ``<run>/<key>``: a key has the same name
    and colour on every plot. These count as runs: if there are more than 40, from 14
    runs with two curves on, SCALARS and TEXT show none until you tick them.

    Parameters
    ----------
    tag, step, time
        See `Logger`. If the step is left out, it is one more than the largest last step
        of these curves.
    value : dict of str to float
        The value of each curve, by the curve's name.
    """
    if time is None and self._clock is not None:
        time = self._clock()
    try:
        curves = self._plot_records[tag, tuple(value)]
        numbers = [
            number if type(number) is float else plain_float(number)
            for number in value.values()
        ]
        total = sum(numbers)
        if total - total and tag not in self._not_finite:
            raise ValueError
        last = max([curve.state.last for curve in curves])
        times: Times = None
        if time is None and type(step) is int and last < step <= MAX_STEP:
            at, wall_time = step, now()
        else:
            _, last_time = furthest([curve.state for curve in curves])
            at, wall_time, times = self._run.next(last, last_time, step, time)
        made = [
            curve.records.make(number, wall_time, at, times)
            for curve, number in zip(curves, numbers, strict=True)
        ]
    except Exception:
        _add_scalars_checked(self, tag, value, step, time)
        return
    for curve, data in zip(curves, made, strict=True):
        curve.state.last = at
        if time is not None:
            curve.state.time = times[0]  # type: ignore[index]
        curve.file.append(data)


def _add_scalars_checked(
    self: Logger,
    tag: str,
    value: Mapping[str, SupportsFloat],
    step: SupportsFloat | None,
    time: Time | None,
) -> None:
    method, run = "add_scalars", self._run
    run.check_open()
    check_tag(method, tag)
    with naming(method, tag):
        keys = as_names(value)
        places = [(run.directory.curve(key), (tag,)) for key in keys]
    if (
        keys
        and (tag, keys) not in self._plot_records
        and all(
            curve.ledger.holds(tags, SCALAR.name, run.phases.here)
            for curve, tags in places
        )
        and len(
            moved := {
                curve.ledger.enter(tags, SCALAR.name).states[0].moved
                for curve, tags in places
            }
        )
        == 1
    ):
        records = ScalarRecords(tag, *moved)
        curves = [
            Curve(curve.file, curve.ledger.enter(tags, SCALAR.name).states[0], records)
            for curve, tags in places
        ]
        run.plot_records.add((tag, keys), curves, len(keys))
        add_scalars(self, tag, value, step, time=time)
        return
    with Entry(run, method, tag, SCALAR, step, time, places=places) as entry:
        entry.write_numbers(entry.numbers(value))


def log(
    self: Logger,
    metrics: Mapping[str, SupportsFloat | Measure],
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log several numbers, each under its own tag, in one record.

    This is smaller and faster than calling `add_scalar` for each number.

    Parameters
    ----------
    metrics : dict of str to float
        The values by their tags. A measure of `annarchy_tb.measures`, such as
        ``measures.memory``, is called, and left out if it is not known.
    step, time
        See `Logger`. If the step is left out, it is one more than the largest last step
        of these tags.
    """
    if time is None and self._clock is not None:
        time = self._clock()
    try:
        tags = tuple(metrics)
        group = self._groups[tags]
        single = group.single
        last = furthest(group.states)[0] if single is None else single.last
        numbers: list[Any] = [*metrics.values()]
        # One call tells that all are Python's: others give their sum another type.
        total = sum(numbers)
        if type(total) is not float:
            numbers = [plain_float(number) for number in numbers]
            total = sum(numbers)
        if total - total:
            odd = [
                t for t, number in zip(tags, numbers, strict=True) if number - number
            ]
            if not self._not_finite.issuperset(odd):
                raise ValueError
        if time is None and type(step) is int and last < step <= MAX_STEP:
            at = step
            data = group.make(numbers, now(), at)
        else:
            place = furthest(group.states)
            at, wall_time, times = self._run.next(*place, step, time)
            data = group.make(numbers, wall_time, at, times)
    except Exception:
        _log_checked(self, *_caller.get(), metrics, step, time)
        return
    if time is None and single is not None:
        single.last = at
    else:
        for state in group.states:
            state.last = at
            if time is not None:
                state.time = times[0]  # type: ignore[index]
    self._file.append(data)


def log_for(
    self: Logger,
    method: str,
    label: str | None,
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None,
    time: Time | None,
) -> None:
    """Log several numbers as `log` does, for a method that messages name."""
    token = _caller.set((method, label))
    try:
        log(self, metrics, step, time=time)
    finally:
        _caller.reset(token)


def _log_checked(
    self: Logger,
    method: str,
    label: str | None,
    metrics: Mapping[str, Any],
    step: SupportsFloat | None,
    time: Time | None,
) -> None:
    run = self._run
    run.check_open()
    with naming(method, None):
        tags = as_names(metrics)
    if any(map(is_measure, metrics.values())):
        if measured := taken(metrics):
            log(self, measured, step, time=time)
        return
    places = [(run.directory, tags)] if tags else []
    group, ledger = self._groups.get(tags), run.directory.ledger
    known = group is not None and group.make is not None
    if tags and not known and ledger.holds(tags, SCALAR.name, run.phases.here):
        group = ledger.enter(tags, SCALAR.name)
        group.make = EventRecords(tags, group.states[0].moved).make
        log(self, metrics, step, time=time)
        return
    with Entry(run, method, label, SCALAR, step, time, places=places) as entry:
        numbers = [entry.number(value, tag) for tag, value in metrics.items()]
        entry.write_numbers(numbers)


# -- reading back ----------------------------------------------------------------------


Column = NDArray[Any] | Callable[[], NDArray[Any]]  # or what makes it on demand


class Scalars(Sequence[NDArray[Any]]):
    """The points of a tag, in the order of writing.

    It can be unpacked: ``steps, values, times, wall_times = run.scalars(tag)``.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    values : array, shape ``(N,)``
        The numbers that were logged, bit for bit. Those of
        `annarchy_tb.Logger.add_series` have their own type, if all points of the tag
        share it; all others are float64. Those of `annarchy_tb.SummaryWriter` and other
        writers have single precision only.
    times : array, shape ``(N,)``, float64
        The simulated times, as they were given with ``time=`` in the time unit of the
        run; NaN for points without one. In a phase that began again at time 0, they go
        on behind those before it, as the steps do; `phase` has them as they were given.
    wall_times : array, shape ``(N,)``, float64
        The real times of the calls, in seconds since 1970.
    """

    __slots__ = ("_columns", "_given", "segments")
    _columns: list[Column]
    _given: Column | None  # times, where those of the run differ
    segments: list[Segment]  # the points that belong to phases

    def __init__(
        self,
        steps: Column,
        values: Column,
        times: Column,
        wall_times: Column,
        segments: Sequence[Segment] = (),
    ) -> None:
        self._columns = [steps, values, times, wall_times]
        self._given = None
        self.segments = list(segments)
        if any(one.time for one in segments):
            self._given = times
            self._columns[2] = self._moved

    @classmethod
    def of(
        cls, columns: Iterable[NDArray[Any]], segments: Sequence[Segment] = ()
    ) -> Scalars:
        """Return points from their four columns."""
        steps, values, times, wall_times = columns
        return cls(steps, values, times, wall_times, segments)

    def _column(self, at: int) -> NDArray[Any]:
        column = self._columns[at]
        if callable(column):
            column = self._columns[at] = column()
        return column

    def _moved(self) -> NDArray[np.float64]:
        return later(self.given, self.segments)

    @property
    def given(self) -> NDArray[np.float64]:
        """The simulated times as they were given, also within phases."""
        if callable(self._given):
            self._given = self._given()
        return self.times if self._given is None else self._given

    def cut(self, start: int, stop: int) -> Scalars:
        """Return some of the points, which share the memory."""
        its = (self.steps, self.values, self.given, self.wall_times)
        segments = [
            one._replace(
                start=max(0, one.start - start), stop=min(one.stop, stop) - start
            )
            for one in self.segments
            if one.start < stop and start < one.stop
        ]
        return Scalars.of([column[start:stop] for column in its], segments)

    def phase(self, phase: str | SupportsIndex) -> Scalars:
        """Return the points of one phase, with steps and times from its own start.

        They are as they were given to the Logger.

        Parameters
        ----------
        phase : str or int
            Its name, or its number, which `annarchy_tb.Run.phases` gives.

        Raises
        ------
        KeyError
            If there are no points of such a phase.
        ValueError
            If several phases have this name.
        """
        its = [one for one in self.segments if phase in (one.name, one.number)]
        if not its:
            there = dict.fromkeys(one.name for one in self.segments)
            raise KeyError(
                f"no points of the phase {phase!r}; "
                + (
                    f"there are {', '.join(map(repr, there))}"
                    if there
                    else "there is none"
                )
            )
        if len(numbers := {one.number for one in its}) > 1:
            raise ValueError(
                f"several phases have the name {phase!r}; choose one by its number: "
                f"{', '.join(map(str, sorted(numbers)))}"
            )
        columns = zip(
            *(
                (
                    self.steps[one.start : one.stop] - one.steps,
                    self.values[one.start : one.stop],
                    self.given[one.start : one.stop],
                    self.wall_times[one.start : one.stop],
                )
                for one in its
            ),
            strict=True,
        )
        return Scalars.of(map(np.concatenate, columns))

    @property
    def steps(self) -> NDArray[np.int64]:
        """The steps."""
        return self._column(0)

    @property
    def values(self) -> NDArray[Any]:
        """The numbers."""
        return self._column(1)

    @property
    def times(self) -> NDArray[np.float64]:
        """The simulated times."""
        return self._column(2)

    @property
    def wall_times(self) -> NDArray[np.float64]:
        """The real times."""
        return self._column(3)

    def __len__(self) -> int:
        return len(self._columns)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter([self._column(at) for at in range(len(self._columns))])

    @overload
    def __getitem__(self, at: SupportsIndex) -> NDArray[Any]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[NDArray[Any]]: ...

    def __getitem__(
        self, at: SupportsIndex | slice
    ) -> NDArray[Any] | Sequence[NDArray[Any]]:
        """Return a column: steps, values, times, wall_times."""
        if isinstance(at, slice):
            return [self._column(i) for i in range(len(self))[at]]
        return self._column(range(len(self))[at])

    def __reduce__(self) -> tuple[Any, ...]:
        its = (self.steps, self.values, self.given, self.wall_times)
        return Scalars, (*its, self.segments)

    def __repr__(self) -> str:
        names = ("steps", "values", "times", "wall_times")
        shown = ", ".join(f"{n}={c}" for n, c in zip(names, self, strict=True))
        return f"Scalars({shown})"

    def numeric(self) -> Scalars:
        """Return the same points, with 0 and 1 in place of bools."""
        values = self.values
        if values.dtype == np.bool_:
            values = values.view(np.uint8)
        times = self._columns[2] if self._given is None else self._given
        columns = (self._columns[0], values, times, self._columns[3])
        return Scalars(*columns, self.segments)

    def to_pandas(self) -> DataFrame:
        """Return a table with the columns step, value, time and wall_time."""
        columns = dict(zip(COLUMNS, self, strict=True))
        pandas = optional("pandas", "Scalars.to_pandas", "'annarchy-tb[pandas]'")
        table: DataFrame = pandas.DataFrame(columns)
        return table


COLUMNS = ("step", "value", "time", "wall_time")  # of tables

# Positions in the block of the file, the points, and the numbers of the blocks of
# recordings that they were drawn from, if they were.
Piece = tuple[NDArray[np.intp], Scalars, NDArray[np.int64] | None]


# The scalars of some records by their tags, in order, with the number of the block of
# recordings that they were drawn from, or `NO_BLOCK`.
ByTag = dict[str, list[tuple[int, Scalars]]]
Bad = dict[str, list[str]]  # what can't be decoded, by tag


def last_values(blocks: Iterable[Block]) -> dict[str, float]:
    """Return the last value of each tag in event files."""
    found = {}
    for block in blocks:
        for tag, its in by_tag(block)[0].items():
            found[tag] = float(its[-1][1].values[-1])
    return found


class Sorted:
    """A block of records, with its scalars by their tags, sorted when asked for.

    Parameters
    ----------
    block
        The records.
    """

    block: Block

    def __init__(self, block: Block) -> None:
        self.block = block

    @functools.cached_property
    def scalars(self) -> tuple[ByTag, Bad]:
        """The scalars, as `by_tag` returns them."""
        return by_tag(self.block)


def by_tag(block: Block) -> tuple[ByTag, Bad]:
    """Return the scalars of some records, in the order in which their tags appear.

    Those that can't be decoded are left out, and described.
    """
    found, bad = _pieces(block)
    by_tag: ByTag = {}
    for tag, its in sorted(found.items(), key=lambda item: item[1][0][0][0]):
        places, points, numbers = _in_order(its)
        if block.phases:
            segments = block.phases.segments(tag, places)
            points = Scalars.of(points, segments)
        if numbers is None:
            by_tag[tag] = [(NO_BLOCK, points)]
            continue
        cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        by_tag[tag] = [
            (int(numbers[a]), points.cut(a, b))
            for a, b in itertools.pairwise(cuts)
            if numbers[a] != REPEATED
        ]
    return {tag: its for tag, its in by_tag.items() if its}, bad


def _pieces(block: Block) -> tuple[dict[str, list[Piece]], Bad]:
    """Return the scalars of some records by tag, by their layouts."""
    found: dict[str, list[Piece]] = {}
    for columns in block.columns:
        for tag, values in zip(columns.tags, columns.values, strict=True):
            its = Scalars(
                columns.steps,
                values.astype("f8", copy=False),
                columns.times,
                columns.wall_times,
            )
            piece = (columns.places, its, columns.blocks)
            found.setdefault(tag, []).append(piece)
    single: dict[str, list[tuple[Any, ...]]] = {}
    bad: Bad = {}
    for place, event in block.others:
        for value in event.values:
            if value.kind == SCALAR.name:
                try:
                    number = decode(value)
                except Exception as error:  # whatever tensorboard raises
                    bad.setdefault(value.tag, []).append(
                        f"at step {event.step}: {error}"
                    )
                    continue
                if number is not None:
                    when = (event.time, event.wall_time, event.block)
                    entry = (place, event.step, number, *when)
                    single.setdefault(value.tag, []).append(entry)
    for tag, entries in single.items():
        places, steps, numbers, times, walls, blocks = map(
            np.array, zip(*entries, strict=True)
        )
        its = Scalars(steps.astype("i8"), numbers, times, walls)
        drawn = blocks if (blocks != NO_BLOCK).any() else None
        found.setdefault(tag, []).append((places, its, drawn))
    return found, bad


def decode(value: Value) -> float | None:
    """Return the number in a value, None if it holds none or several."""
    if value.field == SCALAR.field:
        return number(value)
    array = tensors.array(value)
    single = array.size == 1 and array.dtype.kind in "biuf"
    return float(array.item()) if single else None


def _in_order(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    places = np.concatenate([places for places, *_ in pieces])
    order = np.argsort(places, kind="stable")
    columns = zip(*(its for _, its, _ in pieces), strict=True)
    points = Scalars.of([np.concatenate(column)[order] for column in columns])
    if all(numbers is None for *_, numbers in pieces):
        return places[order], points, None
    every = [
        np.full(len(places), NO_BLOCK) if numbers is None else numbers
        for places, _, numbers in pieces
    ]
    return places[order], points, np.concatenate(every)[order]


def joined(parts: list[Scalars]) -> Scalars:
    """Return the points of all parts, of which there is at least one, as new arrays."""
    columns = zip(
        *((p.steps, p.values, p.given, p.wall_times) for p in parts), strict=True
    )
    return Scalars.of(map(np.concatenate, columns), together(parts))


def together(parts: Iterable[Scalars]) -> list[Segment]:
    """Return the segments of all parts, one behind the other."""
    found, behind = [], 0
    for part in parts:
        found += [one.at(behind) for one in part.segments]
        behind += len(part.values)
    return found
