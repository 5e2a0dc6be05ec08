"""The mean of a curve over repetitions, whose lengths and steps may differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading import wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

STEP, TIME, WALL_TIME = AXES = ("step", "time", "wall_time")
LINEAR, PREVIOUS = KINDS = ("linear", "previous")

MOST = 10_000  # places; beyond, there is a grid
GRID = 1000  # places of the grid

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]  # places that rise, and values


class Average(NamedTuple):
    """The mean of a curve over the runs that share the value of a parameter.

    Attributes
    ----------
    value : int, float, str, bool or None
        The value of the parameter; None for all runs together.
    places : array, shape ``(N,)``, float64
        Steps, simulated times, or seconds since the start of the run.
    mean : array, shape ``(N,)``, float64
        The mean; NaN where no run counts.
    std : array, shape ``(N,)``, float64
        The standard deviation, with ``ddof=1``; NaN where fewer than two runs count.
    runs : array, shape ``(N,)``, int64
        The number of runs that count.
    """

    value: Any
    places: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    runs: NDArray[np.int64]


class Averages(list[Average]):
    """Averages of a curve, one for each value of a parameter, in the order of these.

    Attributes
    ----------
    tag : str
        The tag of the curve.
    by : str or None
        The parameter, with its unit if it has one.
    axis : str
        What the places are: ``"step"``, ``"time"`` or ``"wall_time"``.
    kind : str
        How values between points were found: ``"linear"`` or ``"previous"``.
    unit : str or None
        The unit of the values, if the runs say it.
    axis_unit : str or None
        The unit of the places: None for steps.
    """

    def __init__(
        self,
        averages: Iterable[Average],
        tag: str,
        by: str | None,
        axis: str,
        kind: str,
        unit: str | None,
        axis_unit: str | None,
    ) -> None:
        super().__init__(averages)
        self.tag = tag
        self.by = by
        self.axis = axis
        self.kind = kind
        self.unit = unit
        self.axis_unit = axis_unit

    def to_pandas(self) -> DataFrame:
        """Return one table of all averages. It needs pandas.

        It has the columns ``value``, ``place``, ``mean``, ``std`` and ``runs``.
        """
        pd = optional("pandas", "Averages.to_pandas", "'annarchy-tb[pandas]'")
        columns = ["value", "place", "mean", "std", "runs"]
        tables = [
            pd.DataFrame(dict(zip(columns[1:], one[1:], strict=True))).assign(
                value=[one.value] * len(one.places)
            )
            for one in self
        ]
        return pd.concat(tables, ignore_index=True)[columns]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each mean as a line, with a band of one standard deviation around it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default, a new figure is made.

        Returns
        -------
        matplotlib.axes.Axes
            With labels, and a legend that says how many runs count for each line.
        """
        if ax is None:
            pyplot = optional("matplotlib.pyplot", "Averages.plot", "matplotlib")
            ax = pyplot.subplots()[1]
        steps = self.kind == PREVIOUS
        for one in self:
            [line] = ax.plot(
                one.places,
                one.mean,
                label=_plain(self._label(one)),
                drawstyle="steps-post" if steps else "default",
                marker="o" if len(one.places) == 1 else None,
            )
            ax.fill_between(
                one.places,
                one.mean - one.std,
                one.mean + one.std,
                step="post" if steps else None,
                color=line.get_color(),
                alpha=0.2,
                linewidth=0,
            )
        names = {STEP: "step", TIME: "time", WALL_TIME: "time since the start"}
        ax.set_xlabel(_plain(_with_unit(names[self.axis], self.axis_unit)))
        ax.set_ylabel(_plain(_with_unit(self.tag, self.unit)))
        ax.legend()
        return ax

    def _label(self, one: Average) -> str:
        what = "mean" if self.by is None else f"{self.by} = {wording.plain(one.value)}"
        if what.startswith("_"):  # which matplotlib leaves out of the legend
            what = f" {what}"
        least, most = int(one.runs.min()), int(one.runs.max())
        number = f"{most}" if least == most else f"{least}-{most}"
        return f"{what} ({number} run{'s' if most > 1 else ''})"


def _with_unit(name: str, unit: str | None) -> str:
    return name if unit is None else f"{name} [{unit}]"


def _plain(text: str) -> str:
    """Return a text that matplotlib shows as it is, not as a formula."""
    return text.replace("$", r"\$")


# -- the mean --------------------------------------------------------------------------


def curve(points: Scalars, axis: str, start: float | None) -> Curve:
    """Return the places and values of a run, in the order of the places.

    Of several points at a place, the one that was written last counts. Values that are
    not finite are NaN.

    Parameters
    ----------
    points
        The points of the run.
    axis
        One of `AXES`.
    start
        The start of the run, in seconds since 1970, for wall times; if it is not known,
        they begin with the first point.
    """
    its = points.numeric()
    places = {STEP: its.steps, TIME: its.times, WALL_TIME: its.wall_times}[axis].astype(
        np.float64
    )
    values = its.values.astype(np.float64)
    there = np.isfinite(places)
    places, values = places[there], values[there]
    if axis == WALL_TIME and len(places):
        places = places - (places.min() if start is None else start)
    order = np.argsort(places, kind="stable")
    places, values = places[order], values[order]
    last = np.append(places[1:] != places[:-1], np.ones(min(1, len(places)), np.bool_))
    values = np.where(np.isfinite(values), values, np.nan)
    return places[last], values[last]


def average(value: Any, curves: Sequence[Curve], kind: str) -> Average:
    """Return the average of curves, each of which has a point."""
    places = common(curves)
    shape = len(places)
    mean, squares = np.zeros(shape), np.zeros(shape)
    runs = np.zeros(shape, np.int64)
    for its in curves:
        values = at(places, its, kind)
        counts = np.isfinite(values)
        runs += counts
        # Welford's way: exact for equal values, and no run is held for the next one.
        off = np.where(counts, values - mean, 0.0)
        mean += off / np.maximum(runs, 1)
        squares += np.where(counts, off * (values - mean), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        std = np.sqrt(np.where(runs > 1, squares / (runs - 1), np.nan))
    return Average(value, places, np.where(runs > 0, mean, np.nan), std, runs)


def common(curves: Sequence[Curve]) -> NDArray[np.float64]:
    """Return all places of some curves, or an even grid if they are very many."""
    places = np.unique(np.concatenate([its for its, _ in curves]))
    if len(places) > MOST:
        return np.linspace(places[0], places[-1], GRID)
    return places


def at(places: NDArray[np.float64], curve: Curve, kind: str) -> NDArray[np.float64]:
    """Return the values of a curve at some places; NaN outside of its range."""
    own, values = curve
    if kind == LINEAR:
        return np.interp(places, own, values, left=np.nan, right=np.nan)
    before = np.searchsorted(own, places, side="right") - 1
    inside = (before >= 0) & (places <= own[-1])
    return np.where(inside, values[np.maximum(before, 0)], np.nan)
