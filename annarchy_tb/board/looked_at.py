"""What is being looked at, kept for the next step of a zoom."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.board.packed import Curve, packed
from annarchy_tb.kinds.extremes import choose
from annarchy_tb.reading.run import Run

LIMIT = 512 << 20  # bytes, about
MOST = 2000  # points of a part


class Line(NamedTuple):
    """The points of a curve over one axis.

    Attributes
    ----------
    x : array, shape ``(N,)``, int64 or float64
        Steps, or simulated times.
    y : array, shape ``(N,)``
    rises : bool
        Whether `x` never falls.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    rises: bool

    @property
    def nbytes(self) -> int:
        """How many bytes they take."""
        return int(self.x.nbytes + self.y.nbytes)

    def part(self, low: float, high: float) -> dict[str, Any]:
        """Return what is drawn of the points from `low` to `high`, as JSON.

        With them comes the point on each side, so that lines go to the edge.
        """
        rows: Any
        if self.rises:
            begin, end = self._places(low, high)
            number = end - begin
            rows = slice(max(0, begin - 1), min(len(self.x), end + 1))
        else:
            rows = np.flatnonzero((self.x >= low) & (self.x <= high))
            number = len(rows)
        x, y = self.x[rows], self.y[rows]
        if len(y):
            [drawn] = choose(y[:, np.newaxis], MOST)
            x, y = x[drawn.rows], y[drawn.rows]
        return {"x": packed(x), "y": packed(y), "number": number}

    def _places(self, low: float, high: float) -> tuple[int, int]:
        x = self.x
        if x.dtype.kind == "i":  # else all of them would be converted
            most = float(2**62)
            low, high = (min(max(one, -most), most) for one in (low, high))
            low, high = math.ceil(low), math.floor(high)
        begin = np.searchsorted(x, x.dtype.type(low), "left")
        end = np.searchsorted(x, x.dtype.type(high), "right")
        return int(begin), max(int(begin), int(end))


def line(run: Run, tag: str, curve: str, timed: bool) -> Line:
    """Return a curve of a run over simulated time, or over steps.

    Raises
    ------
    KeyError
        If the run has no such curve.
    """
    points = (run.curves(tag)[curve] if curve else run.scalars(tag)).numeric()
    x = points.times if timed else points.steps
    return Line(x, points.values, bool((x[1:] >= x[:-1]).all()))


def places(curve: Curve) -> dict[str, Any]:
    """Return a curve with its steps and, if it has them, its simulated times."""
    its = curve.as_json(timed=False)
    if curve.timed:
        its["times"] = packed(curve.table[:, 1])
        if curve.means is not None:
            its["means"]["times"] = packed(curve.means[:, 1])
    return its


class Looked:
    """A bounded number of bytes of what was asked for last, and is still valid.

    The version of what is kept is that of its run; there is one version at a time.
    """

    _kept: OrderedDict[Any, tuple[str, int, Any]]
    _taken: int

    def __init__(self) -> None:
        self._kept = OrderedDict()
        self._taken = 0

    def get(self, key: Any, version: str, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return what is kept under a key; if it is not of this version, make it.

        Parameters
        ----------
        key, version
            What it is, and its state.
        make
            Returns it, and how many bytes it takes.
        """
        found = self._kept.pop(key, None)
        if found is not None and found[0] != version:
            self._taken -= found[1]
            found = None
        if found is None:
            made, size = make()
            found = (version, size, made)
            self._taken += found[1]
        self._kept[key] = found
        while self._taken > LIMIT and self._kept:
            self._taken -= self._kept.popitem(last=False)[1][1]
        return found[2]
