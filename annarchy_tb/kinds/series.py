"""Recorded time series: many scalars in one call."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from time import time as now
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.clock import MAX_STEP, whole_steps
from annarchy_tb.inputs.numbers import LARGEST, warn_range
from annarchy_tb.inputs.tags import check_tag
from annarchy_tb.run.entry import Entry
from annarchy_tb.run.order import goes_back, time_goes_back
from annarchy_tb.run.state import RunState
from annarchy_tb.tfevents.schema import SCALAR
from annarchy_tb.tfevents.table import record_blocks
from annarchy_tb.tfevents.templates import scalar_value

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger


def add_series(
    self: Logger,
    tag: str | list[str] | tuple[str, ...],
    values: ArrayLike,
    steps: ArrayLike | None = None,
    *,
    times: ArrayLike | None = None,
) -> None:
    """Log a whole recorded time series: many points in one call.

    TensorBoard shows the same as if each point were logged by `add_scalar` (or, for
    several tags, by `log`), but this is at least ten times faster. The values are kept
    in single precision only, and `Run` reads them back so.

    Parameters
    ----------
    tag : str, or list of K str
        See `Logger`; with a list, one tag for each column of `values`.
    values : array-like
        Shape ``(N,)``, or ``(N, K)`` for K tags, of any real type. NaN and infinity are
        kept. N may be 0.
    steps : array-like, optional
        Shape ``(N,)``: whole numbers. If left out, they are computed from `times` if
        the Logger has a `dt`; otherwise they continue from the last step.
    times : array-like, optional
        Shape ``(N,)``: simulated times in the Logger's `time_unit`, or dates if it has
        an `origin`. If left out, all points have the time of the call.
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
        whole, wall_times, given = _places(run, steps, times)
        table = as_table(values, None if single else len(tags))
        _check_number("steps", whole, len(table))
        _check_number("times", given, len(table))
        if not table.size:
            return
        first = None if whole is None else int(whole[0])
        at = entry.begin(first, None if given is None else float(wall_times[0]))
        if whole is None:
            if at > MAX_STEP + 1 - len(table):
                raise ValueError("steps must fit into 64 bits")
            whole = at + np.arange(len(table), dtype=np.int64)
        falls = np.flatnonzero(whole[1:] <= whole[:-1])
        if len(falls):
            last, step = whole[falls[0] : falls[0] + 2].tolist()
            entry.warn(*goes_back(step, last))
        elif (wall_times[1:] < wall_times[:-1]).any():
            entry.warn(*time_goes_back())
        beyond = beyond_single(table)
        if beyond is not None:
            warn_range(entry.warn, beyond)
        odd = first_not_finite(tags, table)
        for one, at in odd.items():
            if one not in run.not_finite:
                entry.warn_not_finite(one, float(table[at, tags.index(one)]))
    blocks: Iterable[bytes | memoryview]
    real = now()
    blocks = record_blocks(tags, table, wall_times, whole, given, real)
    if entry.describes():  # they go into the first event
        with np.errstate(over="ignore"):  # beyond single precision is infinity
            row = table[0].astype(np.float32).tolist()
        head = entry.event(
            place,
            map(scalar_value, tags, row),
            float(wall_times[0]),
            int(whole[0]),
            times=None if given is None else (float(given[0]), real),
        )
        later = wall_times if len(wall_times) == 1 else wall_times[1:]
        rest = None if given is None else given[1:]
        others = record_blocks(tags, table[1:], later, whole[1:], rest, real)
        blocks = chain([head], others)
    drawn = None if given is None else float(wall_times[-1])
    entry.write_blocks(blocks, int(whole[-1]), drawn)
    if odd:
        one, at = next(iter(odd.items()))
        number = float(table[at, tags.index(one)])
        time = None if given is None else float(given[at])
        its = {tag: int(whole[row]) for tag, row in odd.items()}
        run.watch(method, its, number, time)


def _places(
    run: RunState, steps: ArrayLike | None, times: ArrayLike | None
) -> tuple[NDArray[np.int64] | None, NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the steps, None if they are automatic, the wall times, and the times."""
    whole = None if steps is None else whole_steps(steps)
    if times is None:
        return whole, np.array([now()]), None
    given = run.clock.times(times)
    wall_times = run.clock.wall_times(given, run.zero)
    return run.clock.steps(given) if whole is None else whole, wall_times, given


def _check_number(name: str, given: NDArray[Any] | None, number: int) -> None:
    if given is not None and len(given) != number:
        raise ValueError(
            f"{name} must have the length of values, {number}, got {len(given)}"
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
    array = numbers("values", values)
    if columns is None and array.ndim == 1:
        return array[:, np.newaxis]
    if columns is None or array.ndim != 2 or array.shape[1] != columns:
        wanted = "(N,) for one tag" if columns is None else f"(N, {columns})"
        place = ", ".join(":" + "0" * (array.ndim - 1))
        hint = f"; select one column, as in values[{place}], or pass a list of tags"
        raise ValueError(
            f"values must have shape {wanted}, got {array.shape}"
            + (hint if columns is None and array.ndim > 1 else "")
        )
    return array


def beyond_single(table: NDArray[Any]) -> float | None:
    """Return a finite number too large for single precision, if there is one."""
    if table.dtype != np.float64:
        return None
    high, low = np.fmax.reduce(table, axis=None), np.fmin.reduce(table, axis=None)
    if max(high, -low) < LARGEST:
        return None
    beyond = table[np.isfinite(table) & (np.abs(table) >= LARGEST)]
    return float(beyond[0]) if len(beyond) else None


def first_not_finite(tags: tuple[str, ...], table: NDArray[Any]) -> dict[str, int]:
    """Return the row of the first number of each column that is not finite, by tag."""
    if table.dtype.kind != "f":
        return {}
    bad = ~np.isfinite(table)
    return {
        tag: int(column.argmax())
        for tag, column in zip(tags, bad.T, strict=True)
        if column.any()
    }
