"""What pages get of a run's data: as much as they can show, in compact form."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.kinds.extremes import choose
from annarchy_tb.kinds.scalar import Scalars

MOST_POINTS = 2000  # of a curve
MOST_MEANS = 250
ALL_POINTS = 500_000  # of all curves of a page
FEWEST = 50  # points of a curve


class Curve(NamedTuple):
    """The points of a curve that are drawn, among them all extremes.

    Attributes
    ----------
    table : array, shape ``(K, 3)``, float64
        Their steps, simulated times and values.
    number : int
        How many points there were.
    means : array, shape ``(M, 3)``, float64, or None
        The same of the means of equal parts of all points, without values that are not
        finite; None if all points are in `table`.
    """

    table: NDArray[np.float64]
    number: int
    means: NDArray[np.float64] | None

    @property
    def timed(self) -> bool:
        """Whether each point has a simulated time."""
        return bool(np.isfinite(self.table[:, 1]).all())

    def thinner(self, most: int) -> Curve:
        """Return the curve with at most so many points, still with its extremes."""
        if len(self.table) <= most:
            return self
        [drawn] = choose(self.table[:, 2:], most)
        means = _means(self.table) if self.means is None else self.means
        return Curve(self.table[drawn.rows], self.number, means)

    def as_json(self, timed: bool) -> dict[str, Any]:
        """Return the curve over simulated time, or over steps."""
        x = 1 if timed else 0
        said: dict[str, Any] = {
            "x": packed(self.table[:, x]),
            "y": packed(self.table[:, 2]),
            "number": self.number,
        }
        if self.means is not None:
            its = self.means[:, [x, 2]]
            said["means"] = {"x": packed(its[:, 0]), "y": packed(its[:, 1])}
        return said


def share(curves: int) -> int:
    """Return how many points each of the curves of a page may have."""
    return max(FEWEST, ALL_POINTS // max(1, curves))


def curve(points: Scalars) -> Curve:
    """Return what is drawn of the points of a curve; there is at least one."""
    its = points.numeric()
    values = its.values
    if len(values) <= MOST_POINTS:
        return Curve(_table(its, slice(None)), len(values), None)
    [drawn] = choose(values[:, np.newaxis], MOST_POINTS)
    return Curve(_table(its, drawn.rows), len(values), _means(_table(its, slice(None))))


def _table(points: Scalars, rows: Any) -> NDArray[np.float64]:
    columns = points.steps[rows], points.times[rows], points.values[rows]
    return np.column_stack([column.astype(np.float64) for column in columns])


def _means(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of equal parts of the points."""
    parts = min(MOST_MEANS, len(table))
    starts = np.arange(parts) * len(table) // parts
    finite = np.isfinite(table[:, 2])
    weights = finite.astype(np.float64)
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(np.where(finite, table[:, 2], 0.0), starts)
        means = sums / np.add.reduceat(weights, starts)
        sizes = np.diff(starts, append=len(table))
        places = np.add.reduceat(table[:, :2], starts, axis=0) / sizes[:, np.newaxis]
    return np.column_stack([places, means])


def packed(array: ArrayLike) -> str:
    """Return numbers as little-endian float64 in base64."""
    return base64.b64encode(np.ascontiguousarray(array, "<f8").tobytes()).decode()


def typed(array: ArrayLike, dtype: str) -> list[str]:
    """Return numbers as a type, such as ``"i4"``, and its bytes in base64."""
    data = np.ascontiguousarray(array, f"<{dtype}").tobytes()
    return [dtype, base64.b64encode(data).decode()]


def spread(number: int, most: int) -> list[int]:
    """Return at most so many of the places up to a number, with the first and last."""
    if number <= most:
        return list(range(number))
    if most == 1:
        return [number - 1]
    return [at * (number - 1) // (most - 1) for at in range(most)]
