"""Numbers of images as grey or colour levels, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Scope = Literal["", "all", "each"]
Remark = tuple[str, str]  # the subject of a warning, and its text
Part = tuple[slice, slice]  # images, and rows of them

SIZE = 1 << 18  # values of a part: copies of it are small


def parts(shape: tuple[int, ...], share: int = 1) -> Iterator[Part]:
    """Yield the parts of images of shape ``(N, H, W, C)``: many images, or rows of few.

    Whole images are taken in multiples of `share`.
    """
    number, height, width, channels = shape
    row = width * channels * share
    images = max(1, SIZE // (row * height)) * share
    rows = height if images > share else max(1, SIZE // row)
    for image in range(0, number, images):
        for top in range(0, height, rows):
            yield slice(image, image + images), slice(top, min(top + rows, height))


class Levels:
    """How numbers become levels from 0 to 255.

    Floats are levels from 0 to 1, integers from 0 to 255, and booleans black or white.
    Values outside this range are clipped; NaN and infinity become black.

    Parameters
    ----------
    array
        Shape ``(N, H, W, C)``; it is not changed.
    equalize
        Rescale finite values to the full range of levels: ``"all"`` by the minimum and
        maximum of the whole array, ``"each"`` image by its own. A constant image
        becomes black. The last of four channels, alpha, is not rescaled.

    Attributes
    ----------
    remarks : list of tuples
        Warnings about values that can't be drawn as they are: the subject and the text
        of each.
    """

    remarks: list[Remark]
    _array: NDArray[Any]
    _alpha: Levels | None  # if it is converted in another way than the colours
    _dtype: np.dtype[Any]  # to compute in, or bool or uint8
    _low: NDArray[Any]  # of all images, or of each; so is the next one
    _span: NDArray[Any]
    _factor: float  # of the numbers, so that no difference overflows
    _finite: bool
    _clips: bool
    _rescales: bool

    def __init__(self, array: NDArray[Any], equalize: Scope = "") -> None:
        self.remarks = []
        self._alpha = None
        if equalize and array.shape[-1] == 4:
            self._alpha = Levels(array[..., 3:])
            array = array[..., :3]
        self._array = array
        self._dtype = array.dtype
        if array.dtype == np.bool_ or (array.dtype == np.uint8 and not equalize):
            return
        is_float = array.dtype.kind == "f"
        self._dtype = np.dtype(
            np.float32 if is_float and array.itemsize == 4 else np.float64
        )
        low, high, self._finite = self._limits(each=equalize == "each")
        if not self._finite:
            message = "masked, NaN or infinite values are drawn black"
            self.remarks.append(("finite", message))
        self._factor = 1.0
        self._rescales = bool(equalize)
        if self._rescales:
            with np.errstate(over="ignore"):
                span = high - low
            if not np.isfinite(span).all():
                self._factor = 0.25
                low, span = low / 4, high / 4 - low / 4
            self._low, self._span = low, np.where(span > 0, span, span.dtype.type(1))
        else:
            self._span = np.array(1.0 if is_float else 255.0, self._dtype)
            self._check_range(low.item(), high.item())
        if self._alpha is not None:
            self.remarks += self._alpha.remarks

    def _check_range(self, low: float, high: float) -> None:
        self._clips = bool(low < 0 or high > self._span)
        if self._clips:
            allowed = "0..1, the range of floats" if self._span == 1 else "0..255"
            message = (
                f"values from {low:g} to {high:g} are clipped to {allowed}; "
                f"equalize=True rescales them"
            )
            self.remarks.append(("range", message))

    def _limits(self, each: bool) -> tuple[NDArray[Any], NDArray[Any], bool]:
        """Return the least and the greatest finite value, and if there are no others.

        They are 0 if there is no finite value. The shape is ``(N, 1, 1, 1)`` if they
        are those of each image, and otherwise ``()``.
        """
        axes = (1, 2, 3) if each else None
        lows, highs = [], []
        all_finite = True
        for images, rows in parts(self._array.shape):
            part = self._array[images, rows].astype(self._dtype, copy=False)
            least, most = part.min(axes, keepdims=each), part.max(axes, keepdims=each)
            if not (np.isfinite(least) & np.isfinite(most)).all():
                all_finite = False
                finite = np.isfinite(part)
                least = part.min(axes, keepdims=each, initial=np.inf, where=finite)
                most = part.max(axes, keepdims=each, initial=-np.inf, where=finite)
            lows.append((images, least))
            highs.append((images, most))
        low, high = self._united(lows, np.minimum), self._united(highs, np.maximum)
        if not all_finite:
            low, high = (np.where(low <= high, its, 0) for its in (low, high))
        return low, high, all_finite

    def _united(self, limits: list[tuple[slice, Any]], pick: np.ufunc) -> Any:
        """Return the limits of all images, or of each, from those of their parts."""
        (_, united), *others = limits
        if not others:
            return united
        if not united.ndim:
            return pick.reduce([limit for _, limit in limits])
        worst = np.inf if pick is np.minimum else -np.inf
        united = np.full((len(self._array), 1, 1, 1), worst, united.dtype)
        for images, limit in limits:
            united[images] = pick(united[images], limit)
        return united

    def pixels(self, images: slice, rows: slice) -> Pixels:
        """Return some rows of some images."""
        part = self._array[images, rows]
        if self._dtype == np.bool_:
            pixels = part.astype(np.uint8) * np.uint8(255)
        elif self._dtype == np.uint8:
            pixels = part
        else:
            pixels = self._converted(part.astype(self._dtype, copy=False), images)
        if self._alpha is None:
            return pixels
        return np.concatenate([pixels, self._alpha.pixels(images, rows)], axis=-1)

    def _converted(self, part: NDArray[Any], images: slice) -> Pixels:
        if self._rescales:
            low = self._low[images] if self._low.ndim else self._low
            span = self._span[images] if self._span.ndim else self._span
            if not self._finite:
                part = np.where(np.isfinite(part), part, low / self._factor)
            if self._factor != 1:
                part = part * self._factor
            levels = (part - low) / span
            levels *= 255.0
        else:
            if not self._finite:
                part = np.where(np.isfinite(part), part, 0)
            levels = np.clip(part, 0, self._span) if self._clips else part
            levels = levels * (255 / self._span)
        levels += 0.5
        pixels: Pixels = levels.astype(np.uint8)
        return pixels
