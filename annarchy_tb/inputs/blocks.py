"""Large arrays some values at a time, so that no memory is needed for copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 16_384  # values at a time: they stay in the cache


def blocks(
    array: NDArray[Any],
    dtype: np.dtype[Any] | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> Iterator[NDArray[Any]]:
    """Yield all values of an array of any layout, in any order.

    Use each block before the next one: its memory may be used again.

    Parameters
    ----------
    array
        Any shape.
    dtype
        The type to which the values are converted, by default their own.
    mask
        The same shape: values to leave out.

    Yields
    ------
    array, shape ``(K,)``
        At most `BLOCK` values, in native byte order.
    """
    target = (array.dtype if dtype is None else dtype).newbyteorder("=")
    if mask is None and array.size <= BLOCK:
        yield array.astype(target, copy=False).ravel()
        return
    arrays, dtypes = [array], [target]
    if mask is not None:
        arrays.append(mask)
        dtypes.append(mask.dtype)
    with np.nditer(
        arrays,
        ["external_loop", "buffered", "zerosize_ok"],
        [["readonly"]] * len(arrays),
        dtypes,
        casting="unsafe",
        buffersize=BLOCK,
    ) as iterator:
        for block in iterator:
            found: Any = block
            yield found if mask is None else found[0][~found[1]]
