"""Matrices: weights drawn as an image, with a colour for each synapse, and kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.limits import limits
from annarchy_tb.inputs.messages import warn
from annarchy_tb.inputs.synapses import collect
from annarchy_tb.kinds import image, inline, matrix_plot, originals
from annarchy_tb.kinds.levels import Remark
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import IMAGE

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger


def add_matrix(
    self: Logger,
    tag: str,
    matrix: object,
    step: SupportsFloat | None = None,
    *,
    vmin: SupportsFloat | None = None,
    vmax: SupportsFloat | None = None,
    cmap: str | None = None,
    time: Time | None = None,
) -> None:
    """Log a matrix of weights as a colour image with its scale.

    Row 0 is at the top and column 0 at the left: in ANNarchy, rows are postsynaptic
    neurons and columns presynaptic ones. The first and the last numbers of rows and
    columns are at the edges, and a colour bar at the right shows the numbers at its
    ends. The image has the size of TensorBoard's smallest card, 320 by 200 pixels.

    The colours are evenly spaced to the eye, from light to dark. If there are both
    negative and positive values, 0 is white, negative values are blue and positive ones
    red. Each side has a scale of its own, so that weak excitation is seen beside strong
    inhibition. NaN and missing synapses are light grey, or magenta if ``cmap`` has
    light grey for numbers.

    Of a matrix of many rows or columns, each pixel shows the value farthest from 0
    among those it covers, so that single synapses are visible.

    The values that are drawn are kept, too, and `Run.matrices` reads them back: all
    values of a matrix with at most 181 rows and about 200 columns, in their type.

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
    vmin, vmax : float, optional
        The numbers at the ends of the colour bar, as in matplotlib: values beyond them
        get the colours of the ends. By default they are the smallest and the largest
        value of this matrix: the bar says them, and they may differ from step to step.
    cmap : str, optional
        The name of a colour map of matplotlib, such as ``"viridis"``, which then goes
        evenly from ``vmin`` to ``vmax``.

    Raises
    ------
    ValueError
        If ``vmin`` is not less than ``vmax``, or there is no such colour map.
    """
    with Entry(self._run, "add_matrix", tag, IMAGE, step, time) as entry:
        found = collect(matrix, lambda its: entry.plain(its, name="weights"))
        low, high = limits(vmin, vmax, entry.plain)
        pixels, cells, scale = matrix_plot.draw(found, low, high, cmap)
        remarks: list[Remark] = []
        if np.isinf(cells).any():
            message = "infinite values are drawn as the ends of the colour bar"
            remarks.append(("finite", message))
        said = {
            "shape": list(found.shape),
            "low": scale.low,
            "high": scale.high,
            "cmap": None if cmap is None else str(cmap),
        }
        kept = originals.recording(tag, recordings.MATRIX, {"cells": cells}, said)
        image.write(entry, tag, pixels, remarks, kept)


# -- reading back ----------------------------------------------------------------------


class Matrices(NamedTuple):
    """The matrices of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    matrices : list of N arrays, shape ``(H, W)``
        The values that are drawn, each in one colour. A matrix with no more rows and
        columns than there is room for, 181 and about 200, comes back as it was given,
        in its type; a sparse one as float64, with NaN where there is no synapse. In a
        larger one, each is the value farthest from 0 of several rows and columns: in
        all places ``ceil(shape[0] / H)`` rows and ``ceil(shape[1] / W)`` columns,
        except in the last ones.
    shapes : array, shape ``(N, 2)``, int64
        The numbers of rows and columns of the matrices that were given.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    matrices: list[NDArray[Any]]
    shapes: NDArray[np.int64]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]

    def _repr_html_(self) -> str:
        return inline.ends(self.steps, self._drawn)

    def _drawn(self, number: int) -> str:
        cells = self.matrices[number].astype(np.float64)
        finite = cells[np.isfinite(cells)]
        drawn = matrix_plot.coloured(
            cells, matrix_plot.scale_for(finite, None, None, None)
        )
        height, width = self.shapes[number].tolist()
        said = f"{height} x {width}"
        if len(finite):
            said += f", {finite.min():g} to {finite.max():g}"
        return f"{inline.picture(drawn, said)}<div>{said}</div>"


def read(blocks: Iterable[Block], tag: str, index: recordings.Index) -> Matrices:
    """Return the matrices of a tag; there may be none. Warn of those missing."""
    found = originals.read(blocks, tag, recordings.MATRIX, index)
    if found.missing:
        warn(
            f"the values of {found.missing} matrices of {tag!r} are missing or damaged"
        )
    return Matrices(
        found.steps,
        [its["cells"] for its in found.arrays],
        np.array([head["shape"] for head in found.heads], np.int64).reshape(-1, 2),
        found.times,
        found.wall_times,
    )
