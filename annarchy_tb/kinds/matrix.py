"""Matrices: weights drawn as an image, with a colour for each synapse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.synapses import Synapses, collect
from annarchy_tb.kinds import colours, image
from annarchy_tb.kinds.levels import Pixels, Remark
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents.schema import IMAGE

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

SIDE = 350  # pixels: the columns that a card of IMAGES shows (TensorBoard 2.21)


def add_matrix(
    self: Logger,
    tag: str,
    matrix: object,
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log a matrix of weights as a colour image.

    Row 0 is at the top and column 0 at the left: in ANNarchy, rows are postsynaptic
    neurons and columns presynaptic ones. The colours are evenly spaced to the eye.
    They range from the smallest value to the largest, from dark violet through red
    and orange to light yellow; or, if there are both negative and positive values,
    from light blue through dark grey, which is 0, to light red, with the same range
    on both sides. NaN and missing synapses are black. The image has no colour bar:
    `add_histogram` of the same weights shows their range, which may differ from
    step to step.

    A side longer than 350 is reduced to at most 350 pixels: each pixel then shows
    the value farthest from 0 among those it covers, so that single synapses are
    visible. (IMAGES shows all 350 pixels; TIME SERIES draws images 215 pixels high
    and leaves out rows and columns of taller ones, except at actual size.)

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    matrix : array-like or object
        An array of shape ``(H, W)``, masked or not, of any real type; an ANNarchy
        projection; a matrix or array of scipy.sparse; a tuple ``(weights,
        pre_ranks)`` of lists with one item per row, the weights and the columns of
        its synapses, such as ``(proj.w, proj.pre_ranks)``; or a tuple ``(pre, post,
        weights)`` of arrays of shape ``(K,)``, such as Brian2's ``(S.i, S.j,
        S.w)``: the row is ``post``, the column ``pre``; of several synapses between
        the same two neurons, the one farthest from 0 is drawn. In both tuples,
        equal weights can be given as one number. Sparse matrices are not converted
        to dense ones, so they may be large.
    """
    with Entry(self._run, "add_matrix", tag, IMAGE, step, time) as entry:
        found = collect(matrix, lambda its: entry.plain(its, name="weights"))
        pixels, remarks = draw(found)
        image.write(entry, tag, pixels, remarks)


def draw(matrix: NDArray[Any] | Synapses) -> tuple[Pixels, list[Remark]]:
    """Draw a matrix, one pixel per entry: row 0 at the top, column 0 at the left.

    If a side is longer than 350, each pixel covers several adjacent entries, and shows
    the one farthest from 0: no synapse is lost.

    If there are negative and positive values, the colours diverge from 0, which is dark
    grey, with the same range on both sides. Otherwise they range from the smallest
    value to the largest, or from 0 to the value if there is only one.

    Returns
    -------
    pixels
        Shape ``(H, W, 3)`` with H, W <= 350, uint8. NaN, and entries that a sparse
        matrix does not store, are black.
    remarks
        Warnings about values that can't be drawn as they are.
    """
    cells = _cells(matrix)
    finite = cells[np.isfinite(cells)]
    remarks: list[Remark] = []
    if np.isinf(cells).any():
        message = "infinite values are drawn as the largest or smallest finite one"
        remarks.append(("finite", message))
    most = float(abs(finite).max(initial=0)) or 1.0
    # From -1 to 1, so that no difference overflows.
    low = float(finite.min(initial=np.inf)) / most if len(finite) else 0.0
    high = float(finite.max(initial=-np.inf)) / most if len(finite) else 0.0
    parts = np.clip(cells / most, low, high)
    drawn = ~np.isnan(cells)
    if low < 0 < high:
        table, levels = colours.diverging(), 128 + 127 * parts[drawn]
    else:
        if low == high:
            low, high = min(low, 0.0), max(high, 0.0)
        table, levels = colours.sequential(), (parts[drawn] - low) * 255
        levels /= (high - low) or 1.0
    pixels = np.full((*cells.shape, 3), colours.NOTHING, np.uint8)
    pixels[drawn] = table[(levels + 0.5).astype(np.uint8)]
    return pixels, remarks


def _cells(matrix: NDArray[Any] | Synapses) -> NDArray[np.float64]:
    """Return the values of the pixels: of several entries, the one farthest from 0."""
    height, width = matrix.shape
    tall, wide = math.ceil(height / SIDE), math.ceil(width / SIDE)
    if isinstance(matrix, Synapses):
        shape = math.ceil(height / tall), math.ceil(width / wide)
        place = matrix.rows // tall * shape[1] + matrix.columns // wide
        low, high = np.full((2, shape[0] * shape[1]), np.nan)
        np.fmin.at(low, place, matrix.values)
        np.fmax.at(high, place, matrix.values)
        cells: NDArray[np.float64] = np.where(high >= -low, high, low)
        return cells.reshape(shape)
    if tall == wide == 1:
        return matrix.astype(np.float64)
    columns = np.arange(0, width, wide)
    rows = [_row(matrix[at : at + tall], columns) for at in range(0, height, tall)]
    return np.array(rows, np.float64)


def _row(band: NDArray[Any], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the pixels of a band of rows, one for the entries from each column on."""
    native = band.astype(band.dtype.newbyteorder("="), copy=False)
    low, high = (
        pick.reduceat(pick.reduce(native, axis=0), columns).astype(np.float64)
        for pick in (np.fmin, np.fmax)
    )
    return np.where(high >= -low, high, low)
