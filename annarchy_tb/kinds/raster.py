"""Rasters: spikes drawn as an image, and kept."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import is_whole
from annarchy_tb.inputs.clock import Clock, Time, in_time_unit, in_unit
from annarchy_tb.inputs.groups import Groups, as_groups
from annarchy_tb.inputs.limits import limit
from annarchy_tb.inputs.messages import warn
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.inputs.spikes import Spikes, collect
from annarchy_tb.inputs.units import plain
from annarchy_tb.kinds import image, inline, originals, spike_plot
from annarchy_tb.kinds.levels import Pixels, Remark
from annarchy_tb.kinds.spike_plot import TimeAxis
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.records import as_read
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import IMAGE

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

MOST = 10_000  # columns, on request
MOST_INTERVALS = 100  # of groups, that are kept for pages


def add_raster(
    self: Logger,
    tag: str,
    spikes: object,
    step: SupportsFloat | None = None,
    *,
    start: SupportsFloat | None = None,
    duration: SupportsFloat | None = None,
    bins: SupportsIndex | None = None,
    groups: Mapping[str, Any] | None = None,
    time: Time | None = None,
) -> None:
    """Log spikes as a raster plot with its axes, and keep the spikes.

    Time runs to the right, and the neuron of the lowest rank is at the bottom. Below is
    the rate of the population over time; its peak is written beside it, in Hz if the
    unit of time is known. The image has the size of TensorBoard's smallest card, 320 by
    200 pixels. The pixels with the most spikes are the darkest, and each halving is
    lighter, down to half of the ink: every spike is visible.

    The spikes themselves are kept, too, in the types in which they are given (of an
    array, as steps and ranks), and `Run.spikes` reads them back.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    spikes : dict, tuple, list or array-like
        A dict from each neuron's rank to the steps of its spikes, like ANNarchy's
        ``monitor.get("spike")``, or to their times, like Brian2's
        ``M.spike_trains()``; a tuple ``(times, ranks)``, both of shape ``(K,)``, like
        ``monitor.raster_plot()``, or Brian2's ``(M.t, M.i)``; NEST's events, a dict
        with ``"times"`` in ms (or steps) and ``"senders"``; a list of spike trains, one
        for each neuron from rank 0 on, like those of Elephant, or of a segment of Neo;
        or an array of shape ``(T, N)``, bool or 0 and 1, of N neurons in T steps. Times
        with units are converted to the Logger's `time_unit`, and those without are in
        it. In a dict, a tuple or events, the axis goes from the lowest rank to the
        highest one.
    start : float or quantity, optional
        The time at the left edge, in the unit of the spikes' times: steps for the
        dict and the array. By default 0. ANNarchy's steps continue from trial to
        trial: use ``start=trial * 1000, duration=1000``. If the spikes' times have
        units, it is in the Logger's `time_unit`, or has a unit, too.
    duration : float or quantity, optional
        The time from the left edge to the right one, in the unit of the spikes' times,
        or with a unit if they have one. By default the axis ends at the last spike or,
        for an array, after all its steps. Spikes outside are not drawn, with a warning.
    bins : int, optional
        The number of columns, from 1 to 10,000. By default at most 266, for which there
        is room; times that are whole numbers are then steps, and each column holds the
        same whole number of them. TensorBoard shows all of more columns only at actual
        size.
    groups : dict, optional
        Groups of neurons by their names, such as ``{"E": 160, "I": 40}``: their sizes,
        from rank 0 on; or ranges, slices or arrays of ranks, or masks (bool arrays).
        Each has a colour, and a rate of its own.
    """
    with Entry(self._run, "add_raster", tag, IMAGE, step, time) as entry:
        clock = self._run.clock
        found = collect(spikes, clock.unit)
        left = _limit("start", start, found, clock.unit)
        span = _limit("duration", duration, found, clock.unit)
        made = raster(found, clock, left, span, bins, groups)
        kept = dict(zip(("times", "ranks"), found.given, strict=True))
        its = originals.recording(tag, recordings.SPIKES, kept, made.said())
        image.write(entry, tag, made.pixels, made.remarks, its)


class Raster(NamedTuple):
    """A raster as it is drawn.

    Attributes
    ----------
    pixels
        Shape ``(200, W, 3)``, uint8, see `spike_plot.draw`.
    remarks
        A warning if spikes are not drawn.
    axis, groups
        The time axis, and the groups of neurons, if there are any.
    first, neurons
        The lowest rank of the other axis, and the number of neurons from it on.
    """

    pixels: Pixels
    remarks: list[Remark]
    axis: TimeAxis
    groups: Groups | None
    first: int
    neurons: int

    def said(self) -> dict[str, Any]:
        """Return what pages need to draw it again, as JSON."""
        axis, groups = self.axis, self.groups
        said: dict[str, Any] = {
            "start": axis.left,
            "duration": axis.span,
            "scale": axis.scale,
            "unit": axis.unit,
            "first": self.first,
            "neurons": self.neurons,
        }
        if groups is not None and len(groups.starts) <= MOST_INTERVALS:
            columns = groups.numbers, groups.starts, groups.ends
            said["groups"] = {
                "names": [as_read(name) for name in groups.names],
                "sizes": groups.sizes,
                "intervals": np.stack(columns, axis=1).tolist(),
            }
        return said


def raster(
    found: Spikes,
    clock: Clock,
    start: float | None = None,
    duration: float | None = None,
    bins: SupportsIndex | None = None,
    groups: object = None,
) -> Raster:
    """Draw spikes with their axes.

    If the times, `start` and `duration` are whole numbers, they are steps: the axis
    ends after the step of the last spike, and each column holds the same number of
    steps, except the last one. Each row holds the same number of neurons, except the
    top one. A spike at the very end is in the last column.

    Parameters
    ----------
    found
        The spikes.
    clock
        The unit of times, and the length of a step, if it is known.
    start
        The time at the left edge; None for 0.
    duration
        The time from the left edge to the right one; None for up to the last spike, or
        the last step of an array.
    bins
        The number of columns, from 1 to 10,000; None for as many as there is room for.
    groups
        Groups of neurons by name, see `as_groups`; None if there are none.

    Raises
    ------
    TypeError, ValueError
        If a time is before 0 and before `start`, or another argument is invalid.
    """
    left = 0.0 if start is None else start
    check_duration(duration)
    number = None if bins is None else as_count("bins", bins, MOST)
    low = found.times.min(initial=math.inf)
    if low < min(left, 0.0):
        raise ValueError(
            f"spikes must be at 0 or later, got {low:g}; "
            f"start={low:g} begins the axis there"
        )
    named = None
    if groups is not None:
        known = found.neurons if found.duration is not None else None  # of an array
        named = as_groups(groups, known)
        found = _with(found, named)
    axis = _axis(found, clock, left, duration, number)
    pixels, outside = spike_plot.draw(found, axis, named)
    remarks: list[Remark] = []
    if outside:
        message = (
            f"{outside} of {len(found.times)} spikes are outside the time axis, "
            f"{left:g} to {left + axis.span:g}, and not drawn; start= and duration= "
            f"set the axis"
        )
        remarks.append(("outside", message))
    return Raster(pixels, remarks, axis, named, found.first, found.neurons)


def check_duration(duration: float | None) -> None:
    """Raise ValueError if there is no time axis of that length."""
    if duration is not None and duration <= 0:
        raise ValueError(f"duration must be more than 0, got {duration:g}")


def _with(found: Spikes, groups: Groups) -> Spikes:
    """Return the spikes of neurons that include all of the groups."""
    first, end = int(groups.starts[0]), int(groups.ends.max())
    if found.neurons:
        first, end = min(first, found.first), max(end, found.first + found.neurons)
    return found._replace(first=first, neurons=end - first)


def _axis(
    found: Spikes, clock: Clock, left: float, span: float | None, bins: int | None
) -> TimeAxis:
    """Return the time axis: its length, its columns, and its unit."""
    whole = left % 1 == 0 and is_whole(found.times)
    if span is None:
        # A step has length 1, a time has none.
        end = found.times.max(initial=-math.inf) + whole
        span = (end if found.duration is None else found.duration) - left
        span = span if span > 0 else 1.0  # nothing to draw
    if bins is None and whole and span % 1 == 0:
        width = float(math.ceil(span / spike_plot.PLOT))
        columns = math.ceil(span / width)
    else:
        columns = spike_plot.PLOT if bins is None else bins
        width = max(span / columns, sys.float_info.min)
    scale, unit = 1.0, clock.unit
    if found.unit == "step":
        scale, unit = (1.0, "steps") if clock.dt is None else (clock.dt, clock.unit)
    seconds = None
    if unit != "steps":
        seconds = scale * in_unit(unit, "s")
    return TimeAxis(left, span, width, columns, scale, unit, seconds)


def _limit(name: str, given: object, spikes: Spikes, unit: str) -> float | None:
    """Return a limit of the time axis as a float, in the unit of the spikes' times."""
    if given is not None and spikes.unit == unit:
        given = in_time_unit(given, unit, name)
    return limit(name, None if given is None else plain(given, name))


# -- reading back ----------------------------------------------------------------------


class Rasters(NamedTuple):
    """The spikes of a tag's rasters, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    spikes : list of N pairs of arrays, shape ``(K,)``
        The times of the K spikes, and the ranks of their neurons, as they were given.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    spikes: list[tuple[NDArray[Any], NDArray[Any]]]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]

    def _repr_html_(self) -> str:
        return inline.ends(self.steps, self._drawn)

    def _drawn(self, number: int) -> str:
        times, ranks = self.spikes[number]
        if not len(times):
            return "<div>no spikes</div>"
        said = (
            f"{len(times)} spikes, times {times.min():g} to {times.max():g}, "
            f"ranks {ranks.min()} to {ranks.max()}"
        )
        return f"{inline.picture(inline.dots(times, ranks), said)}<div>{said}</div>"


def read(blocks: Iterable[Block], tag: str, index: recordings.Index) -> Rasters:
    """Return the spikes of a tag; there may be none. Warn of those that are missing."""
    found = originals.read(blocks, tag, recordings.SPIKES, index)
    if found.missing:
        warn(f"the spikes of {found.missing} rasters of {tag!r} are missing or damaged")
    spikes = [(its["times"], its["ranks"]) for its in found.arrays]
    return Rasters(found.steps, spikes, found.times, found.wall_times)
