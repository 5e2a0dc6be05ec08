"""Drawing a long series by few of its points, so that no peak is missed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]

SIZE = 1 << 18  # points at a time


class Drawn(NamedTuple):
    """The points of one column that are drawn, and what is odd about the others.

    Attributes
    ----------
    rows : array of intp
        The rows of the points to draw, in order.
    odd : int or None
        The first row whose value is not finite.
    low, high : float
        The least and the greatest finite value, if there is one; else infinity and its
        opposite.
    """

    rows: Rows
    odd: int | None
    low: float
    high: float


def choose(table: NDArray[Any], most: int) -> list[Drawn]:
    """Choose the points to draw of each column.

    They are the first, the last, and the least and the greatest finite value of each of
    equal parts; and the first NaN of each part that has one.

    Parameters
    ----------
    table
        Shape ``(N, K)``, with N at least 1, of a real type.
    most
        The most points to draw of each column, from 2.

    Returns
    -------
    list of Drawn
        One for each column.
    """
    number = len(table)
    if number <= most:
        found = _choose(table, 1)
        every = np.arange(number)
        return [drawn._replace(rows=every) for drawn in found]
    found = _choose(table, (most - 2) // 2)
    if any(len(drawn.rows) > most for drawn in found):
        found = _choose(table, (most - 2) // 3)  # parts with a NaN have three points
    return found


def _choose(table: NDArray[Any], parts: int) -> list[Drawn]:
    """Choose the points of each column, from so many parts."""
    number, columns = table.shape
    size = -(-number // max(parts, 1))
    whole = number // size
    shape = (columns, -(-number // size))
    low, high, nan, odd = (np.empty(shape, np.intp) for _ in range(4))
    if columns == 1:
        cut = table[: whole * size, 0].reshape(whole, size)
        some = max(1, SIZE // size)  # of some layouts, NumPy makes copies
        for at in range(0, whole, some):
            extremes = _extremes(cut[at : at + some])
            for found, part in zip((low, high, nan, odd), extremes, strict=True):
                found[0, at : min(at + some, whole)] = part
        begin = whole
    else:
        begin = 0
    for at in range(begin, shape[1]):
        part = np.ascontiguousarray(table[at * size : (at + 1) * size].T)
        low[:, at], high[:, at], nan[:, at], odd[:, at] = _extremes(part)
    starts = np.arange(shape[1]) * size
    for found in (low, high, nan, odd):
        found += np.where(found < 0, 0, starts)
    ends = [0, number - 1]
    return [
        _drawn(table[:, k], ends, low[k], high[k], nan[k], odd[k], parts > 0)
        for k in range(columns)
    ]


def _drawn(
    column: NDArray[Any],
    ends: list[int],
    low: Rows,
    high: Rows,
    nan: Rows,
    odd: Rows,
    inner: bool,
) -> Drawn:
    # (np.unique would import numpy.ma, which a signal handler may interrupt.)
    rows = np.sort(np.concatenate([ends, low, high, nan] if inner else [ends]))
    rows = rows[np.flatnonzero(np.diff(rows, prepend=-2))]
    lowest, highest = column[low[low >= 0]], column[high[high >= 0]]
    return Drawn(
        rows[rows >= 0],
        next(iter(odd[odd >= 0].tolist()), None),
        float(lowest.astype(np.float64).min(initial=np.inf)),
        float(highest.astype(np.float64).max(initial=-np.inf)),
    )


def _extremes(parts: NDArray[Any]) -> tuple[Rows, Rows, Rows, Rows]:
    """Return places in each of several parts, -1 where there is none.

    They are those of the least and of the greatest finite value, of the first NaN, and
    of the first value that is not finite.
    """
    low, high = parts.argmin(axis=1), parts.argmax(axis=1)
    nan, odd = np.full(len(parts), -1), np.full(len(parts), -1)
    if parts.dtype.kind == "f":
        every = np.arange(len(parts))
        lowest, highest = parts[every, low], parts[every, high]
        for at in np.flatnonzero(~(np.isfinite(lowest) & np.isfinite(highest))):
            part = parts[at]
            finite = np.isfinite(part)
            odd[at] = finite.argmin()
            if np.isnan(lowest[at]):
                nan[at] = low[at]  # NumPy finds the first NaN
            if finite.any():
                low[at] = np.where(finite, part, np.inf).argmin()
                high[at] = np.where(finite, part, -np.inf).argmax()
            else:
                low[at] = high[at] = -1
    return low, high, nan, odd
