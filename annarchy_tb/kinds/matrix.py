"""Weight matrices to pixels: one colour a synapse, black where there is none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.messages import describe
from annarchy_tb.kinds import colours

if TYPE_CHECKING:
    from annarchy_tb.kinds.image import Pixels, Remark

SIDE = 350  # pixels: a card of the IMAGES tab shows as many columns (TensorBoard 2.21)

RULE = (
    "matrix must have shape (H, W), or be a sparse matrix, a projection, "
    "(weights, pre_ranks) or (pre, post, weights)"
)


class Synapses(NamedTuple):
    """The entries of a sparse matrix: `rows`, `columns` and `values`, (K,) each."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[Any]
    shape: tuple[int, int]


def collect(matrix: Any) -> NDArray[Any] | Synapses:
    """Bring all forms that matrices come in to two: dense with NaN, or sparse.

    Parameters
    ----------
    matrix
        An array of shape ``(H, W)``; a projection of ANNarchy; an object with
        ``tocsr()``, as the matrices and arrays of scipy.sparse have; a tuple
        ``(weights, pre_ranks)`` of lists, one a row; or a tuple ``(pre, post,
        weights)`` of three arrays of shape ``(K,)``.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or has no rows or no columns.
    """
    found: NDArray[Any] | Synapses
    if hasattr(matrix, "post_ranks"):
        found = _from_projection(matrix)
    elif hasattr(matrix, "tocsr"):
        found = _from_sparse(matrix)
    elif isinstance(matrix, tuple) and len(matrix) == 2:
        found = _from_lists(*matrix)
    elif isinstance(matrix, tuple) and len(matrix) == 3:
        found = _from_triple(*matrix)
    else:
        found = _from_array(matrix)
    if 0 in found.shape:
        raise ValueError(f"{RULE}, got one without entries, {found.shape}")
    return found


def _from_array(matrix: object) -> NDArray[Any]:
    try:
        array = numbers("matrix", matrix)
    except TypeError:
        hint = ""
        if _are_lists(matrix):
            hint = "; pass (proj.w, proj.pre_ranks), or proj"
        elif hasattr(matrix, "i") and hasattr(matrix, "j"):
            hint = "; pass (S.i, S.j, S.w)"
        raise TypeError(f"{RULE}, got {describe(matrix)}{hint}") from None
    if array.ndim != 2:
        hints = (
            "where all weights are one number, pass proj instead of proj.w",
            "reshape it, as in w.reshape(10, 10)",
            "add_images takes several at once",
        )
        hint = hints[min(array.ndim, 2)]
        raise ValueError(f"{RULE}, got {describe(matrix)}; {hint}")
    return array


def _from_sparse(matrix: Any) -> Synapses:
    if len(matrix.shape) != 2:
        raise ValueError(f"{RULE}, got {describe(matrix)}")
    rows = matrix.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()  # the user's stays as it is
        rows.sum_duplicates()
    found = rows.tocoo()
    values = numbers("the values of matrix", found.data)
    height, width = found.shape
    return Synapses(found.row, found.col, values, (int(height), int(width)))


def _from_projection(projection: Any) -> Synapses:
    # Much faster than its connectivity_matrix(), and much smaller.
    found = _from_lists(projection.w, projection.pre_ranks)
    rows = _indices("post_ranks", np.asarray(projection.post_ranks))[found.rows]
    height, width = (
        int(getattr(side, "population", side).size)  # of a view, the whole
        for side in (projection.post, projection.pre)
    )
    return found._replace(rows=rows, shape=(height, width))


def _from_lists(weights: Any, ranks: Any) -> Synapses:
    if not _are_lists(ranks):
        raise TypeError(
            f"pre_ranks must be lists, one a row, got {describe(ranks)}; "
            f"pass (proj.w, proj.pre_ranks)"
        )
    lengths = [len(row) for row in ranks]
    columns = _indices("pre_ranks", _joined(ranks))
    if np.isscalar(weights):  # the weight of all synapses
        values = np.full(len(columns), numbers("weights", weights))
    elif _are_lists(weights) and [len(row) for row in weights] == lengths:
        values = numbers("weights", _joined(weights))
    else:
        raise ValueError(
            "weights must be one number, or lists of the lengths of pre_ranks, "
            f"got {describe(weights)}; pass (proj.w, proj.pre_ranks)"
        )
    rows = np.repeat(np.arange(len(lengths)), lengths)
    width = int(columns.max(initial=-1)) + 1
    return Synapses(rows, columns, values, (len(lengths), width))


def _from_triple(pre: object, post: object, weights: object) -> Synapses:
    columns = _indices("pre", numbers("pre", pre))
    rows = _indices("post", numbers("post", post))
    values = numbers("weights", weights)
    if values.ndim == 0:
        values = np.full(len(rows), values)
    if not columns.shape == rows.shape == values.shape:
        came = ", ".join(str(array.shape) for array in (columns, rows, values))
        raise ValueError(
            f"pre, post and weights must have the same shape (K,), got {came}"
        )
    shape = (int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1)
    return Synapses(rows, columns, values, shape)


def _are_lists(given: object) -> bool:
    """Return whether something is ragged lists, or an array of them."""
    if isinstance(given, np.ndarray):
        given = list(given) if given.ndim and given.dtype.kind == "O" else None
    return isinstance(given, list | tuple) and all(
        isinstance(row, list | tuple | np.ndarray) for row in given
    )


def _joined(rows: Any) -> NDArray[Any]:
    return np.concatenate([*(np.asarray(row) for row in rows), np.empty(0)])


def _indices(name: str, given: NDArray[Any]) -> NDArray[np.int64]:
    array = numbers(name, given)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (K,), got {array.shape}")
    low, high = array.min(initial=0), array.max(initial=0)
    if not (low >= 0 and high < 2**31 and (array == np.floor(array)).all()):
        raise ValueError(
            f"{name} must be ranks, whole numbers from 0, got {low}..{high}"
        )
    return array.astype(np.int64, copy=False)


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
