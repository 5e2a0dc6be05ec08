"""Numbers of images as grey levels or colours, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.kinds import colours

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
    Values outside this range are clipped; NaN and infinity become black. With a table,
    each level becomes a colour, and NaN and infinity one that no level has.

    Parameters
    ----------
    array
        Shape ``(N, H, W, C)``; it is not changed.
    equalize
        Rescale finite values to the full range of levels: ``"all"`` by the minimum and
        maximum of the whole array, ``"each"`` image by its own. A constant image
        becomes black. The last of four channels, alpha, is not rescaled.
    vmin, vmax
        The values of levels 0 and 255. If only one is given, the other one is the end
        of the range above. Only without `equalize`.
    table
        The colours of the levels, shape ``(256, 3)``, for images of one channel.

    Raises
    ------
    ValueError
        If there is no range between `vmin` and `vmax`.

    Attributes
    ----------
    channels : int
        The number of channels of the pixels.
    remarks : list of tuples
        Warnings about values that can't be drawn as they are: the subject and the text
        of each.
    """

    channels: int
    remarks: list[Remark]
    _array: NDArray[Any]
    _alpha: Levels | None  # if it is converted in another way than the colours
    _dtype: np.dtype[Any]  # to compute in, or bool or uint8
    _low: NDArray[Any]  # of all images, or of each; so is the next one
    _span: NDArray[Any]
    _high: NDArray[Any]
    _factor: float  # of the numbers, so that no difference overflows
    _finite: bool
    _clips: bool
    _rescales: bool
    _table: colours.Table | None

    def __init__(
        self,
        array: NDArray[Any],
        equalize: Scope = "",
        vmin: float | None = None,
        vmax: float | None = None,
        table: colours.Table | None = None,
    ) -> None:
        self.remarks = []
        self.channels = array.shape[-1] if table is None else 3
        self._table = table
        self._finite = True
        self._alpha = None
        if equalize and array.shape[-1] == 4:
            self._alpha = Levels(array[..., 3:])
            array = array[..., :3]
        self._array = array
        self._dtype = array.dtype
        fixed = vmin is not None or vmax is not None
        bottom, top = _ends(array.dtype, vmin, vmax)
        direct = array.dtype == np.bool_ or (array.dtype == np.uint8 and not equalize)
        if direct and not fixed:
            return
        # In a fixed range, a value has the same level in whatever type it comes.
        single = array.dtype.kind == "f" and array.itemsize == 4 and not fixed
        self._dtype = np.dtype(np.float32 if single else np.float64)
        low, high, self._finite = self._limits(each=equalize == "each")
        if not self._finite:
            colour = "black" if table is None else colours.nothing(table)[0]
            message = f"masked, NaN or infinite values are drawn {colour}"
            self.remarks.append(("finite", message))
        self._factor = 1.0
        self._clips = False
        self._rescales = bool(equalize) or fixed
        if equalize:
            with np.errstate(over="ignore"):
                span = high - low
            if not np.isfinite(span).all():
                self._factor = 0.25
                low, span = low / 4, high / 4 - low / 4
            self._low, self._span = low, np.where(span > 0, span, span.dtype.type(1))
        else:
            self._low = np.array(bottom, self._dtype)
            self._high = np.array(top, self._dtype)
            self._span = self._high - self._low
            self._clips = bool(low < bottom or high > top)
            if (vmin is None and low < bottom) or (vmax is None and high > top):
                self._warn_of_clipping(low.item(), high.item(), fixed)
        if self._alpha is not None:
            self.remarks += self._alpha.remarks

    def _warn_of_clipping(self, low: float, high: float, fixed: bool) -> None:
        """Add a warning about values outside of a range that the user did not give."""
        allowed = f"{self._low:g}..{self._high:g}"
        if self._high == 1 and not fixed:
            allowed += ", the range of floats"
        message = (
            f"values from {low:g} to {high:g} are clipped to {allowed}; "
            f"equalize=True rescales them"
        )
        if self._array.shape[-1] == 1:
            message += " at each step, and vmin= and vmax= set one range for all steps"
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
        if self._table is not None:
            return self._coloured(part, pixels, self._table)
        if self._alpha is None:
            return pixels
        return np.concatenate([pixels, self._alpha.pixels(images, rows)], axis=-1)

    def _converted(self, part: NDArray[Any], images: slice) -> Pixels:
        low = self._low[images] if self._low.ndim else self._low
        if not self._finite:
            part = np.where(np.isfinite(part), part, low / self._factor)
        if self._clips:
            part = np.clip(part, self._low, self._high)
        if self._rescales:
            span = self._span[images] if self._span.ndim else self._span
            if self._factor != 1:
                part = part * self._factor
            levels = (part - low) / span
            levels *= 255.0
        else:
            levels = part * (255 / self._span)
        levels += 0.5
        pixels: Pixels = levels.astype(np.uint8)
        return pixels

    def _coloured(
        self, part: NDArray[Any], levels: Pixels, table: colours.Table
    ) -> Pixels:
        pixels: Pixels = table[levels[..., 0]]
        if not self._finite:
            pixels[~np.isfinite(part[..., 0])] = colours.nothing(table)[1]
        return pixels


def _ends(
    dtype: np.dtype[Any], vmin: float | None, vmax: float | None
) -> tuple[float, float]:
    """Return the ends of the range of levels; those not given are those of the type."""
    most = 255.0 if dtype.kind in "iu" else 1.0
    bottom, top = 0.0 if vmin is None else vmin, most if vmax is None else vmax
    if bottom >= top:
        here, there = (
            f"{end:g}" + (" (by default)" if given is None else "")
            for end, given in ((bottom, vmin), (top, vmax))
        )
        raise ValueError(f"vmin must be less than vmax, got {here} and {there}")
    return bottom, top
