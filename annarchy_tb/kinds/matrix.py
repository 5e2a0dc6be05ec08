"""Matrices: weights drawn as an image, a colour for each synapse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.synapses import Synapses, collect
from annarchy_tb.kinds import colours, image
from annarchy_tb.kinds.image import Pixels, Remark
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents.schema import IMAGE

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

SIDE = 350  # pixels: a card of the IMAGES tab shows as many columns (TensorBoard 2.21)


def add_matrix(
    self: Logger,
    tag: str,
    matrix: object,
    step: SupportsFloat | None = None,
    *,
    time: SupportsFloat | None = None,
) -> None:
    """Log a matrix of weights as an image in colours.

    Row 0 is at the top and column 0 at the left: in ANNarchy, a row is a neuron
    that receives, a column one that sends. The colours are evenly spaced to the
    eye. They go from the smallest value to the largest, dark violet over red and
    orange to light yellow; or, if there are both negative and positive values, from
    light blue over dark grey, which is 0, to light red, the same range on both
    sides. NaN, and synapses that do not exist, are black. The image has no scale:
    `add_histogram` of the same weights shows their range, which may be another one
    at each step.

    A side longer than 350 is drawn in fewer pixels, at most 350: each then shows,
    of the values it stands for, the one farthest from 0, so that single synapses
    are seen. (IMAGES shows that many; TIME SERIES makes pictures 215 pixels high,
    and leaves out rows and columns of taller ones, unless they are at actual size.)

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    matrix : array-like or object
        An array of shape ``(H, W)``, masked or not, of any real type; a projection
        of ANNarchy itself; a matrix or an array of scipy.sparse; a tuple
        ``(weights, pre_ranks)`` of lists, one for each row, with the columns of its
        synapses, as ``(proj.w, proj.pre_ranks)``; or a tuple ``(pre, post,
        weights)`` of arrays of shape ``(K,)``, as Brian2's ``(S.i, S.j, S.w)``: the
        row is ``post``, the column ``pre``; of several synapses between the same
        two neurons, the one farthest from 0 is drawn. In both tuples, one number
        stands for equal weights. Nothing is made dense, so it may be large.
    """
    with Entry(self._run, "add_matrix", tag, IMAGE, step, time) as entry:
        pixels, remarks = draw(collect(matrix))
        image.write(entry, tag, pixels, remarks)


def draw(matrix: NDArray[Any] | Synapses) -> tuple[Pixels, list[Remark]]:
    """Draw a matrix, a pixel an entry: row 0 at the top, column 0 at the left.

    Where one side is longer than 350, a pixel stands for several entries in a row (or
    column), and shows the one that is farthest from 0: no synapse is lost.

    If some of what is drawn is negative and some positive, the colours diverge from 0,
    which is dark grey, and are the same on both sides; else they go from the smallest
    value to the largest, or, if there is one value only, from 0 to it.

    Returns
    -------
    pixels
        Shape ``(H, W, 3)`` with H, W <= 350, uint8. NaN, and what is not stored in a
        sparse matrix, is black.
    remarks
        What the user should know about values that could not be drawn as they are.
    """
    cells = _cells(matrix)
    finite = cells[np.isfinite(cells)]
    remarks: list[Remark] = []
    if np.isinf(cells).any():
        message = "infinite values have the colour of the largest or smallest other"
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
    """Return what the pixels show: of several entries, the one farthest from 0."""
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
    low, high = (
        pick.reduceat(
            pick.reduceat(matrix, np.arange(0, height, tall), axis=0),
            np.arange(0, width, wide),
            axis=1,
        ).astype(np.float64)
        for pick in (np.fmin, np.fmax)
    )
    return np.where(high >= -low, high, low)
