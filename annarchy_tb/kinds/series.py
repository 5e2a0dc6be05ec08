"""Recorded time series: kept whole in a recording, and drawn by few of their points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from time import time as now
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.clock import MAX_STEP, whole_steps
from annarchy_tb.inputs.numbers import LARGEST, as_count, warn_range
from annarchy_tb.inputs.tags import check_tag
from annarchy_tb.inputs.units import separate
from annarchy_tb.kinds.extremes import Drawn, choose
from annarchy_tb.run.entry import Entry, Place
from annarchy_tb.run.order import goes_back, time_goes_back
from annarchy_tb.run.state import RunState
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.drawn import Points, drawn_records
from annarchy_tb.tfevents.recorder import RecordingFile, next_number
from annarchy_tb.tfevents.records import as_read
from annarchy_tb.tfevents.schema import SCALAR
from annarchy_tb.tfevents.templates import scalar_value

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

SHOWN = 1000  # points of a tag that TensorBoard shows, by default
FEWEST = 2  # the first and the last


def add_series(
    self: Logger,
    tag: str | list[str] | tuple[str, ...],
    values: ArrayLike,
    steps: ArrayLike | None = None,
    *,
    times: ArrayLike | None = None,
    shown: SupportsIndex = SHOWN,
) -> None:
    """Log a whole recorded time series: many points in one call.

    All values are kept in their type, for `Run.scalars`. TensorBoard would show a
    random sample of many points, and so miss most of the spikes of a voltage. So at
    most ``shown`` points are drawn: the first, the last, and the least and the greatest
    finite value of each of equal parts, at their own steps and times; and the first NaN
    of each part. Of two spikes in one part, one is drawn.

    Parameters
    ----------
    tag : str, or list of K str
        See `Logger`; with a list, one tag for each column of `values`.
    values : array-like
        Shape ``(N,)``, or ``(N, K)`` for K tags, of any real type, or a quantity; each
        column is converted to the unit of its tag. NaN and infinity are
        kept. N may be 0. Kept as they are: bool, int8 to int64, uint8 to uint64,
        float16, float32 and float64. All other types become float64, except those that
        hold less: bfloat16 and floats of 8 bits become float32, int4 becomes int8.
    steps : array-like, optional
        Shape ``(N,)``: whole numbers. If left out, they are computed from `times` if
        the Logger has a `dt`; otherwise they continue from the last step.
    times : array-like, optional
        Shape ``(N,)``: simulated times in the Logger's `time_unit`, or with units, or
        dates if it has an `origin`. If left out, all points have the time of the call.
    shown : int, default 1000
        The most points of each tag to draw for this call, from 2. Of all points drawn
        for a tag, TensorBoard shows a random 1000, and ``annarchy-tb view`` shows
        10,000. Both take ``--samples_per_plugin scalars=...``.

    Notes
    -----
    The values go into a file beside the event file: keep both if you copy a run.
    """
    method, run = "add_series", self._run
    run.check_open()
    single = not isinstance(tag, (list, tuple))
    tags: tuple[str, ...] = (tag,) if single else tuple(tag)  # type: ignore[assignment]
    for one in tags:
        check_tag(method, one)
    label = tags[0] if single else str(tags)
    place = (run.directory, tags)
    with Entry(run, method, label, SCALAR, places=[place], clocked=False) as entry:
        if len(set(tags)) < len(tags):
            raise ValueError("the tags must be distinct")
        most = as_count("shown", shown, least=FEWEST)
        whole = None if steps is None else whole_steps(steps)
        given = None if times is None else run.clock.times(times)
        if whole is None and given is not None:
            whole = run.clock.steps(given)
        table = _plain_table(entry, run, values, tags, single)
        _check_number("times", given, len(table))
        _check_number("steps", whole, len(table))
        if not table.size:
            return
        _check_drawn(run, given)
        first_time = last_time = None
        if given is not None:
            first_time, last_time = given[0].item(), given[-1].item()
        counted = steps is None and whole is not None
        dt = run.clock.dt if counted else None
        at = entry.begin(None if whole is None else int(whole[0]), first_time, dt)
        [by] = entry.moved
        end = at + len(table) - 1 if whole is None else int(whole.max())
        if end + by > MAX_STEP:
            raise ValueError("steps must fit into 64 bits")
        _check_order(entry, whole, given, dt)
        series = _Series(tags, table, whole, at, given, now(), by, entry.phase)
        chosen = choose(table, most)
        odd = _check_values(entry, run, series, chosen)
        _check_crowd(entry, run, tags, chosen)
        blocks = series.blocks()
        drawn = b"".join(_drawn_events(entry, run, series, blocks, chosen))
    written = _write(run.directory.recordings, series, blocks)
    entry.write_blocks(chain(written, [drawn]), series.step(-1) - by, last_time)
    for one, part in zip(tags, chosen, strict=True):
        run.drawn[one] = run.drawn.get(one, 0) + len(part.rows)
    if odd:
        tag, row = next(iter(odd.items()))
        number = float(table[row, tags.index(tag)])
        time = None if given is None else float(given[row])
        its = {tag: series.step(row) for tag, row in odd.items()}
        run.watch(method, its, number, time)


def _plain_table(
    entry: Entry, run: RunState, values: Any, tags: tuple[str, ...], single: bool
) -> NDArray[Any]:
    """Return the values as a table of numbers, each column in the unit of its tag."""
    columns = None if single else len(tags)
    if not tags or separate(values, name="values")[0] is values:  # without units
        return as_table(values, columns)
    groups: dict[str | None, list[int]] = {}
    for k, tag in enumerate(tags):
        groups.setdefault(run.unit(tag), []).append(k)
    tables = [
        as_table(entry.plain(values, *(tags[k] for k in its), name="values"), columns)
        for its in groups.values()
    ]
    if len(tables) == 1:
        return tables[0]
    table = np.empty(tables[0].shape, np.result_type(*tables))
    for its, found in zip(groups.values(), tables, strict=True):
        table[:, its] = found[:, its]
    return table


class Block(NamedTuple):
    """Rows of a series that are kept together, by the number of their block."""

    number: int
    part: int
    rows: slice


class _Series:
    """The points of one call.

    Parameters
    ----------
    tags, table
        The K tags, and their values, of shape ``(N, K)``.
    steps, first
        The steps, of shape ``(N,)``; or None, if they count from the first one.
    times
        The simulated times as they were given, of shape ``(N,)``.
    real
        The time of the call, in seconds since 1970.
    by, phase
        What is added to the steps, and what is known of the phase, see `Entry`.
    """

    def __init__(
        self,
        tags: tuple[str, ...],
        table: NDArray[Any],
        steps: NDArray[np.int64] | None,
        first: int,
        times: NDArray[np.float64] | None,
        real: float,
        by: int,
        phase: dict[str, Any] | None,
    ) -> None:
        self.tags = tags
        self.table = table
        self.steps: range | NDArray[np.int64]
        if steps is None:
            self.steps = range(first + by, first + by + len(table))
        else:
            self.steps = steps + by if by else steps
        self.phase = phase
        self.times = times
        self.real = real

    def step(self, row: int) -> int:
        return int(self.steps[row])

    def blocks(self) -> list[Block]:
        """Divide the series into blocks of about a MiB."""
        width = 8 * (isinstance(self.steps, np.ndarray) + (self.times is not None))
        width += self.table.itemsize * self.table.shape[1]
        rows = max(1, recordings.SIZE // width)
        return [
            Block(next_number(), part, slice(at, min(at + rows, len(self.table))))
            for part, at in enumerate(range(0, len(self.table), rows))
        ]

    def encode(self, block: Block, call: int, parts: int) -> recordings.Parts:
        """Return the record of a block, one of the `parts` of its call, in parts."""
        part = self.table[block.rows]
        head: dict[str, Any] = {
            "kind": recordings.SERIES,
            "block": block.number,
            "call": call,
            "part": block.part,
            "parts": parts,
            "tags": [as_read(tag) for tag in self.tags],
            "points": len(part),
            "last_step": self.step(block.rows.stop - 1),
            "wall_time": self.real,
        }
        if self.phase is not None:
            head["phase"] = self.phase
        arrays: dict[str, NDArray[Any]] = {"values": part}
        for name, column in (("steps", self.steps), ("times", self.times)):
            if column is not None:
                ramp = recordings.ramp(column, block.rows)
                if ramp is None:
                    arrays[name] = column[block.rows]  # type: ignore[assignment]
                else:
                    head[name] = {
                        "start": ramp.start,
                        "stride": ramp.stride,
                        "first": ramp.first,
                    }
        return recordings.encode(head, arrays)


def _write(
    file: RecordingFile, series: _Series, blocks: Sequence[Block]
) -> Iterator[bytes]:
    """Write the recording; yield nothing: it comes before the events drawn from it."""
    for block in blocks:
        file.append_parts(series.encode(block, blocks[0].number, len(blocks)))
    yield from ()


def _drawn_events(
    entry: Entry,
    run: RunState,
    series: _Series,
    blocks: Sequence[Block],
    chosen: Sequence[Drawn],
) -> Iterator[bytes]:
    """Yield the records of the points that are drawn."""
    if len(chosen[0].rows) == len(series.table):  # all of them: a row is an event
        groups = [(series.tags, series.table, chosen[0].rows)]
    else:
        groups = [
            ((tag,), series.table[:, k : k + 1], drawn.rows)
            for k, (tag, drawn) in enumerate(zip(series.tags, chosen, strict=True))
        ]
    describes = entry.describes()
    for tags, table, rows in groups:
        points = _points(run, entry.zero, series, blocks, table, rows)
        if describes:  # they go into the first event
            yield _described(entry, (run.directory, tags), points, series.real)
            points = Points(*(_without_first(column) for column in points))
        yield from drawn_records(tags, points, series.real)


def _points(
    run: RunState,
    zero: float,
    series: _Series,
    blocks: Sequence[Block],
    table: NDArray[Any],
    rows: NDArray[np.intp],
) -> Points:
    """Return the points that are drawn from these rows."""
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        values = table[rows].astype(np.float64)
    times = None if series.times is None else series.times[rows]
    walls: NDArray[np.float64] | float = series.real
    if times is not None:
        walls = run.clock.wall_times(times, zero)
    if isinstance(series.steps, range):
        steps = series.steps.start + rows.astype(np.int64)
    else:
        steps = series.steps[rows]
    numbers_ = np.array([block.number for block in blocks])
    return Points(values, walls, steps, times, numbers_[rows // blocks[0].rows.stop])


def _described(entry: Entry, place: Place, points: Points, real: float) -> bytes:
    """Return the record of the first point, with the descriptions of its tags."""
    values, drawn, times = points.values[0].tolist(), points.wall_times, points.times
    wall = float(drawn[0]) if isinstance(drawn, np.ndarray) else drawn
    return entry.event(
        place,
        map(scalar_value, place[1], values),
        wall,
        int(points.steps[0]),
        values,
        None if times is None else (float(times[0]), real),
        int(points.blocks[0]),
    )


def _without_first(column: Any) -> Any:
    return column[1:] if isinstance(column, np.ndarray) else column


# -- checks ----------------------------------------------------------------------------


def _check_number(name: str, given: NDArray[Any] | None, number: int) -> None:
    if given is not None and len(given) != number:
        raise ValueError(
            f"{name} must have the length of values, {number}, got {len(given)}"
        )


def _check_drawn(run: RunState, times: NDArray[np.float64] | None) -> None:
    """Raise ValueError if a time is too large to be drawn."""
    if times is not None:
        for extreme in (times.min(), times.max()):
            run.clock.wall_time(extreme.item(), run.zero)


def _check_order(
    entry: Entry,
    steps: NDArray[np.int64] | None,
    times: NDArray[np.float64] | None,
    dt: float | None,
) -> None:
    """Add a warning about steps or times that go back within the series."""
    back = np.empty(0, np.bool_) if steps is None else steps[1:] <= steps[:-1]
    if steps is not None and back.any():
        at = int(back.argmax())
        last, step = steps[at : at + 2].tolist()
        reset = times is not None and bool(times[at + 1] < times[at])
        entry.warn(*goes_back(step, last, reset, dt))
    elif times is not None and (times[1:] < times[:-1]).any():
        entry.warn(*time_goes_back())


def _check_values(
    entry: Entry, run: RunState, series: _Series, chosen: Sequence[Drawn]
) -> dict[str, int]:
    """Add warnings about values; return the rows of the first that is not finite."""
    low, high = min(drawn.low for drawn in chosen), max(drawn.high for drawn in chosen)
    for beyond in (high, low):
        if LARGEST <= abs(beyond) < np.inf:
            warn_range(entry.warn, beyond)
            break
    odd = {
        tag: drawn.odd
        for tag, drawn in zip(series.tags, chosen, strict=True)
        if drawn.odd is not None
    }
    for tag, row in odd.items():
        if tag not in run.not_finite:
            value = series.table[row, series.tags.index(tag)]
            entry.warn_not_finite(tag, float(value))
    return odd


def _check_crowd(
    entry: Entry, run: RunState, tags: Sequence[str], chosen: Sequence[Drawn]
) -> None:
    """Add a warning if TensorBoard will not show all points drawn for a tag."""
    for tag, drawn in zip(tags, chosen, strict=True):
        total = run.drawn.get(tag, 0) + len(drawn.rows)
        if total > SHOWN:
            entry.warn(
                "crowd",
                f"{total} points of this tag are drawn, of which TensorBoard shows "
                f"{SHOWN} at random. Log the series in one call, or pass a smaller "
                f"shown=; or look with room for all that will come, as in "
                f"annarchy-tb view --samples_per_plugin scalars={10 * total}",
                tag,
            )


def as_table(values: ArrayLike, columns: int | None) -> NDArray[Any]:
    """Return values of shape ``(N,)``, or ``(N, columns)``, as a table of numbers.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If they have another shape.
    """
    array = numbers("values", values, half=True)
    if columns is None and array.ndim == 1:
        return array[:, np.newaxis]
    if columns is None or array.ndim != 2 or array.shape[1] != columns:
        wanted = "(N,) for one tag" if columns is None else f"(N, {columns})"
        place = ", ".join(":" + "0" * (array.ndim - 1))
        hint = f"; select one column, as in values[{place}], or pass a list of tags"
        if columns is not None and array.ndim == 2 and len(array) == columns:
            hint = "; transpose them: values.T"
        raise ValueError(
            f"values must have shape {wanted}, got {array.shape}"
            + (hint if array.ndim > 1 and (columns is None or ".T" in hint) else "")
        )
    return array
