"""Arrays to pixels: shapes, ranges, equalizing and mosaics."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import numbers

Pixels = NDArray[np.uint8]
Scope = Literal["", "all", "each"]
Remark = tuple[str, str]  # what it is about, and what to tell the user

GAP = 1  # pixels between the images of a mosaic
GREY = 192  # the gaps: light, for what is behind the things in images is mostly dark

ONE = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
SEVERAL = "(N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4)"


def as_image(img: ArrayLike) -> NDArray[Any]:
    """Return `img` as an array of shape ``(H, W, C)`` with C = 1, 3 or 4."""
    array = numbers("img", img)
    full = array[..., np.newaxis] if array.ndim == 2 else array
    if full.ndim != 3 or full.shape[2] not in (1, 3, 4) or 0 in full.shape:
        raise ValueError(
            f"img must have shape {ONE}, got {array.shape}"
            + ("; add_scalar takes a single number" if array.ndim == 0 else "")
            + ("; reshape it, as in pop.r.reshape(10, 10)" if array.ndim == 1 else "")
            + ("; add_images takes several at once" if array.ndim > 2 else "")
        )
    return full


def as_images(img: ArrayLike) -> NDArray[Any]:
    """Return `img` as an array of shape ``(N, H, W, C)`` with C = 1, 3 or 4."""
    array = numbers("img", img)
    full = array[..., np.newaxis] if array.ndim == 3 else array
    if full.ndim != 4 or full.shape[3] not in (1, 3, 4) or 0 in full.shape:
        raise ValueError(
            f"img must have shape {SEVERAL}, got {array.shape}"
            + ("; add_image takes a single one" if array.ndim == 2 else "")
            + ("; reshape it, as in w.reshape(-1, 8, 8)" if array.ndim == 4 else "")
        )
    return full


def to_pixels(array: NDArray[Any], equalize: Scope = "") -> tuple[Pixels, list[Remark]]:
    """Turn numbers into grey or colour levels from 0 to 255.

    Floats are levels from 0 to 1, integers from 0 to 255, and booleans black or white.
    What lies outside is clipped; NaN and infinity become black.

    Parameters
    ----------
    array
        Shape ``(..., H, W, C)``; it is not changed.
    equalize
        Rescale what is finite to the full range of levels: ``"all"`` by the minimum and
        the maximum of the whole array, ``"each"`` image by its own. A constant image
        becomes black. Of four channels the last, alpha, stays as it is.

    Returns
    -------
    pixels
        The same shape, uint8.
    remarks
        What the user should know about values that could not be drawn as they are.
    """
    if equalize and array.shape[-1] == 4:
        colours, remarks = to_pixels(array[..., :3], equalize)
        alpha, more = to_pixels(array[..., 3:])
        return np.concatenate([colours, alpha], axis=-1), remarks + more
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255), []
    if array.dtype == np.uint8 and not equalize:
        return array, []

    remarks = []
    top = 1.0 if array.dtype.kind == "f" else 255.0
    levels = array if array.dtype.kind == "f" else array.astype(np.float64)
    axes = (-3, -2, -1) if equalize == "each" else None
    each: dict[str, Any] = {"axis": axes, "keepdims": axes is not None}
    low, high = levels.min(**each), levels.max(**each)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        remarks.append(("finite", "NaN or infinite values are drawn black"))
        finite = np.isfinite(levels)
        low = levels.min(initial=np.inf, where=finite, **each)
        high = levels.max(initial=-np.inf, where=finite, **each)
        low, high = (np.where(low <= high, limit, 0) for limit in (low, high))
        levels = np.where(finite, levels, low if equalize else 0)

    if equalize:
        with np.errstate(over="ignore"):
            span = high - low
        if not np.isfinite(span).all():  # the widest range that there is
            levels, low, span = levels / 4, low / 4, high / 4 - low / 4
        levels = (levels - low) / np.where(span > 0, span, 1)
        top = 1.0
    elif low < 0 or high > top:
        allowed = "0..1, the range of floats" if top == 1.0 else "0..255"
        remarks.append(
            (
                "range",
                f"values from {low:g} to {high:g} are clipped to {allowed}; "
                f"equalize=True rescales them",
            )
        )
        levels = np.clip(levels, 0, top)
    return (levels * (255 / top) + 0.5).astype(np.uint8), remarks


def mosaic(pixels: Pixels) -> Pixels:
    """Lay images side by side, row by row, with grey gaps of one pixel between them.

    Parameters
    ----------
    pixels
        Shape ``(N, H, W, C)``.

    Returns
    -------
    Pixels
        One image, about as many rows as columns: ``ceil(sqrt(N))`` columns.
    """
    number, height, width, channels = pixels.shape
    columns = math.ceil(math.sqrt(number))
    rows = math.ceil(number / columns)
    cells = np.full(
        (rows * columns, height + GAP, width + GAP, channels), GREY, np.uint8
    )
    cells[:number, :height, :width] = pixels
    grid = cells.reshape(rows, columns, height + GAP, width + GAP, channels)
    sheet = grid.transpose(0, 2, 1, 3, 4).reshape(
        rows * (height + GAP), columns * (width + GAP), channels
    )
    return sheet[:-GAP, :-GAP]
