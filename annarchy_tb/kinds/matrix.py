"""Matrices: weights drawn as an image, with a colour for each synapse."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsFloat

from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.limits import limits
from annarchy_tb.inputs.synapses import collect
from annarchy_tb.kinds import image
from annarchy_tb.kinds.levels import Remark
from annarchy_tb.kinds.matrix_plot import draw
from annarchy_tb.run.entry import Entry
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
        pixels, infinite = draw(found, low, high, cmap)
        remarks: list[Remark] = []
        if infinite:
            message = "infinite values are drawn as the ends of the colour bar"
            remarks.append(("finite", message))
        image.write(entry, tag, pixels, remarks)
