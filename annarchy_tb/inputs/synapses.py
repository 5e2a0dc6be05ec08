"""Conversion of weight matrices from all supported forms to two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import as_ranks, numbers
from annarchy_tb.inputs.foreign import because, unnested
from annarchy_tb.inputs.messages import describe

LIMIT = 2**31  # of rows and columns

Plain = Callable[[Any], Any]

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


def collect(matrix: Any, plain: Plain = lambda given: given) -> NDArray[Any] | Synapses:
    """Convert a matrix of any supported form to a dense one with NaN, or a sparse one.

    Parameters
    ----------
    matrix
        An array of shape ``(H, W)``; a projection of ANNarchy; an object with
        ``tocsr()``, like the matrices and arrays of scipy.sparse; a tuple ``(weights,
        pre_ranks)`` of lists, one per row; or a tuple ``(pre, post, weights)`` of three
        arrays of shape ``(K,)``.
    plain
        Returns weights without their unit.

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
        weights, lists = matrix
        found = _from_lists(plain(weights), lists)
    elif isinstance(matrix, tuple) and len(matrix) == 3:
        pre, post, weights = matrix
        found = _from_triple(pre, post, plain(weights))
    else:
        found = _from_array(plain(matrix))
    if 0 in found.shape:
        raise ValueError(f"{RULE}, got an empty one, {found.shape}")
    return found


def _from_array(matrix: object) -> NDArray[Any]:
    try:
        array = numbers("matrix", matrix, half=True)
    except TypeError as error:
        hint = because(error)
        if _are_lists(matrix):
            hint = "; pass (proj.w, proj.pre_ranks), or proj"
        elif hasattr(matrix, "i") and hasattr(matrix, "j"):
            hint = "; pass (S.i, S.j, S.w)"
        raise TypeError(f"{RULE}, got {describe(matrix)}{hint}") from None
    if array.ndim != 2:
        hints = (
            "if all weights are one number, pass proj instead of proj.w",
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
        rows = rows.copy()  # don't change the user's
        rows.sum_duplicates()
    found = rows.tocoo()
    values = numbers("the values of matrix", found.data)
    height, width = found.shape
    return Synapses(found.row, found.col, values, (int(height), int(width)))


def _from_projection(projection: Any) -> Synapses:
    # Much faster than its connectivity_matrix(), and much smaller.
    found = _from_lists(projection.w, projection.pre_ranks)
    rows = as_ranks("post_ranks", projection.post_ranks, LIMIT)[found.rows]
    height, width = (
        int(getattr(side, "population", side).size)  # for views
        for side in (projection.post, projection.pre)
    )
    return found._replace(rows=rows, shape=(height, width))


def _from_lists(weights: Any, lists: Any) -> Synapses:
    if not _are_lists(lists):
        raise TypeError(
            f"pre_ranks must be lists, one per row, got {describe(lists)}; "
            f"pass (proj.w, proj.pre_ranks)"
        )
    lengths = [len(row) for row in lists]
    columns = as_ranks("pre_ranks", _joined(lists), LIMIT)
    if np.isscalar(weights):  # the weight of all synapses
        values = np.full(len(columns), numbers("weights", weights))
    elif _are_lists(weights) and [len(row) for row in weights] == lengths:
        values = numbers("weights", _joined(weights))
    else:
        raise ValueError(
            "weights must be one number, or lists as long as those of pre_ranks, "
            f"got {describe(weights)}; pass (proj.w, proj.pre_ranks)"
        )
    rows = np.repeat(np.arange(len(lengths)), lengths)
    width = int(columns.max(initial=-1)) + 1
    return Synapses(rows, columns, values, (len(lengths), width))


def _from_triple(pre: object, post: object, weights: object) -> Synapses:
    columns = as_ranks("pre", pre, LIMIT)
    rows = as_ranks("post", post, LIMIT)
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
    """Return whether an object is a sequence of lists, or an array of them."""
    if isinstance(given, np.ndarray):
        given = list(given) if given.ndim and given.dtype.kind == "O" else None
    return isinstance(given, list | tuple) and all(
        isinstance(row, list | tuple | np.ndarray) for row in given
    )


def _joined(rows: Any) -> NDArray[Any]:
    return np.concatenate([*map(np.asarray, unnested(rows)), np.empty(0)])
