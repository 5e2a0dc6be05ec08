"""Scalars: single numbers, several curves on one plot, and several tags in one record.

The methods keep templates of known tags, which makes them fast. Calls with anything new
or unusual (a tag, a warning, an error) go through an Entry, as those of all other kinds
do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import time as now
from typing import TYPE_CHECKING, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.clock import MAX_STEP
from annarchy_tb.inputs.messages import naming
from annarchy_tb.inputs.numbers import as_names
from annarchy_tb.inputs.optional import optional
from annarchy_tb.inputs.tags import check_tag
from annarchy_tb.run.entry import Entry
from annarchy_tb.run.ledger import furthest
from annarchy_tb.run.state import Curve
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import Value
from annarchy_tb.tfevents.records import FLOAT
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import SCALAR
from annarchy_tb.tfevents.templates import EventRecords, ScalarRecords, scalar_value

if TYPE_CHECKING:
    from pandas import DataFrame

    from annarchy_tb.logger import Logger

# -- logging ---------------------------------------------------------------------------


def add_scalar(
    self: Logger,
    tag: str,
    value: SupportsFloat,
    step: SupportsFloat | None = None,
    *,
    time: SupportsFloat | None = None,
) -> None:
    """Log one number.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    value : float
        A number, or anything that holds exactly one: a NumPy scalar, an array or tensor
        of one element, a bool, a Decimal; not a text. It is stored in single precision,
        which is what TensorBoard shows. NaN and infinity are kept.
    """
    try:
        state, template = self._scalar_records[tag]
        if time is None and type(step) is int and state.last < step <= MAX_STEP:
            at, wall_time = step, now()
        else:
            at, wall_time = self._run.next(state.last, state.time, step, time)
        data = template.make(value, wall_time, at)
    except Exception:
        _add_scalar_checked(self, tag, value, step, time)
        return
    state.last = at
    if time is not None:
        state.time = wall_time
    self._file.append(data)


def _add_scalar_checked(
    self: Logger,
    tag: str,
    value: object,
    step: SupportsFloat | None,
    time: SupportsFloat | None,
) -> None:
    with Entry(self._run, "add_scalar", tag, SCALAR, step, time) as entry:
        entry.write(scalar_value(tag, entry.number(value)))
    if tag not in self._scalar_records:
        self._scalar_records[tag] = entry.states[0], ScalarRecords(tag)


def add_scalars(
    self: Logger,
    tag: str,
    value: Mapping[str, SupportsFloat],
    step: SupportsFloat | None = None,
    *,
    time: SupportsFloat | None = None,
) -> None:
    """Log several numbers that are drawn as curves on one plot.

    TensorBoard shows each curve as a run named ``<run>/<key>``: a key has the same name
    and colour on every plot.

    Parameters
    ----------
    tag, step, time
        See `Logger`. If the step is left out, it is one more than the largest last step
        of these curves.
    value : dict of str to float
        The value of each curve, by the curve's name.
    """
    try:
        curves = self._plot_records[tag, tuple(value)]
        last = max([curve.state.last for curve in curves])
        if time is None and type(step) is int and last < step <= MAX_STEP:
            at, wall_time = step, now()
        else:
            _, last_time = furthest([curve.state for curve in curves])
            at, wall_time = self._run.next(last, last_time, step, time)
        made = [
            curve.records.make(number, wall_time, at)
            for curve, number in zip(curves, value.values(), strict=True)
        ]
    except Exception:
        _add_scalars_checked(self, tag, value, step, time)
        return
    for curve, data in zip(curves, made, strict=True):
        curve.state.last = at
        if time is not None:
            curve.state.time = wall_time
        curve.file.append(data)


def _add_scalars_checked(
    self: Logger,
    tag: str,
    value: Mapping[str, object],
    step: SupportsFloat | None,
    time: SupportsFloat | None,
) -> None:
    method, run = "add_scalars", self._run
    run.check_open()
    check_tag(method, tag)
    with naming(method, tag):
        keys = as_names(value)
    places = [(run.directory.curve(key), (tag,)) for key in keys]
    with Entry(run, method, tag, SCALAR, step, time, places=places) as entry:
        entry.write(*(scalar_value(tag, number) for number in entry.numbers(value)))
    if (tag, keys) not in self._plot_records:
        self._plot_records[tag, keys] = [
            Curve(curve.file, state, ScalarRecords(tag))
            for (curve, _), state in zip(places, entry.states, strict=True)
        ]


def log(
    self: Logger,
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None = None,
    *,
    time: SupportsFloat | None = None,
) -> None:
    """Log several numbers, each under its own tag, in one record.

    This is smaller and faster than calling `add_scalar` for each number.

    Parameters
    ----------
    metrics : dict of str to float
        The values by their tags.
    step, time
        See `Logger`. If the step is left out, it is one more than the largest last step
        of these tags.
    """
    log_for(self, "log", None, metrics, step, time)


def log_for(
    self: Logger,
    method: str,
    label: str | None,
    metrics: Mapping[str, SupportsFloat],
    step: SupportsFloat | None,
    time: SupportsFloat | None,
) -> None:
    """Log several numbers as `log` does; messages name `method`."""
    try:
        tags = tuple(metrics)
        group = self._groups[tags]
        states = group.states
        last = states[0].last if len(states) == 1 else furthest(states)[0]
        if time is None and type(step) is int and last < step <= MAX_STEP:
            at, wall_time = step, now()
        else:
            at, wall_time = self._run.next(*furthest(states), step, time)
        data = group.records.make(metrics.values(), wall_time, at)  # type: ignore[union-attr]
    except Exception:
        _log_checked(self, method, label, metrics, step, time)
        return
    for state in states:
        state.last = at
        if time is not None:
            state.time = wall_time
    self._file.append(data)


def _log_checked(
    self: Logger,
    method: str,
    label: str | None,
    metrics: Mapping[str, object],
    step: SupportsFloat | None,
    time: SupportsFloat | None,
) -> None:
    run = self._run
    run.check_open()
    with naming(method, None):
        tags = as_names(metrics)
    places = [(run.directory, tags)] if tags else []
    with Entry(run, method, label, SCALAR, step, time, places=places) as entry:
        numbers = [entry.number(value, tag) for tag, value in metrics.items()]
        entry.write(*map(scalar_value, tags, numbers))
    if tags:
        group = self._groups[tags]
        group.records = group.records or EventRecords(tags)


# -- reading back ----------------------------------------------------------------------


class Scalars(NamedTuple):
    """The points of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    values : array, shape ``(N,)``, float64
    times : array, shape ``(N,)``, float64
        Wall times in seconds since 1970: the time of writing or, for points logged with
        ``time=``, the start of the run plus the simulated time.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]

    def to_pandas(self) -> DataFrame:
        """Return a table with the columns ``step``, ``value`` and ``wall_time``."""
        columns = {"step": self.steps, "value": self.values, "wall_time": self.times}
        pandas = optional("pandas", "Scalars.to_pandas", "'annarchy-tb[pandas]'")
        table: DataFrame = pandas.DataFrame(columns)
        return table


Piece = tuple[NDArray[np.intp], Scalars]  # positions in the block, and the points


def read(blocks: Iterable[Block], tag: str) -> Scalars:
    """Return the points of a tag; there may be none."""
    found = points(blocks, (tag,))
    return found[tag] if tag in found else _joined([])


def points(blocks: Iterable[Block], tags: Iterable[str]) -> dict[str, Scalars]:
    """Return the points of these tags, or of all tags if `tags` is empty."""
    found: dict[str, list[Scalars]] = {}
    wanted = frozenset(tags)
    for block in blocks:
        pieces = _pieces(block, wanted)
        for tag, part in sorted(pieces.items(), key=lambda item: item[1][0][0][0]):
            found.setdefault(tag, []).append(_in_order(part))
    return {tag: _joined(parts) for tag, parts in found.items()}


def _pieces(block: Block, wanted: frozenset[str]) -> dict[str, list[Piece]]:
    """Return the scalars of a block by tag; of all tags if `wanted` is empty."""
    found: dict[str, list[Piece]] = {}
    for columns in block.columns:
        for tag, values in zip(columns.tags, columns.values, strict=True):
            if tag in wanted or not wanted:
                its = Scalars(columns.steps, values.astype("f8"), columns.times)
                found.setdefault(tag, []).append((columns.places, its))
    single: dict[str, list[tuple[int, int, float, float]]] = {}
    for place, event in block.others:
        for value in event.values:
            if value.kind == SCALAR.name and (value.tag in wanted or not wanted):
                number = decode(value)
                if number is not None:
                    entry = (place, event.step, number, event.wall_time)
                    single.setdefault(value.tag, []).append(entry)
    for tag, entries in single.items():
        places, steps, numbers, times = zip(*entries, strict=True)
        its = Scalars(np.array(steps, "i8"), np.array(numbers), np.array(times))
        found.setdefault(tag, []).append((np.array(places), its))
    return found


def decode(value: Value) -> float | None:
    """Return the number in a value, None if it holds none or several."""
    if value.field == SCALAR.field:
        return float(FLOAT.unpack(value.raw)[0])
    array = tensors.array(value)
    single = array.size == 1 and array.dtype.kind in "biuf"
    return float(array.item()) if single else None


def _in_order(pieces: list[Piece]) -> Scalars:
    if len(pieces) == 1:
        return pieces[0][1]
    order = np.argsort(np.concatenate([places for places, _ in pieces]), kind="stable")
    columns = zip(*(its for _, its in pieces), strict=True)
    return Scalars(*(np.concatenate(column)[order] for column in columns))


def _joined(parts: list[Scalars]) -> Scalars:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Scalars(np.empty(0, np.int64), np.empty(0), np.empty(0))
    return Scalars(*(np.concatenate(column) for column in zip(*parts, strict=True)))
