"""Images: arrays drawn as pixels, rescaled or as a mosaic, and read back."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.importing import importing
from annarchy_tb.kinds import png
from annarchy_tb.run.entry import Entry, Recording
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import Value, last_field
from annarchy_tb.tfevents.records import Parts, nested, value, varint_field
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import IMAGE
from annarchy_tb.tfevents.values import OnDemand, on_demand

if TYPE_CHECKING:
    from PIL.Image import Image

    from annarchy_tb.logger import Logger

Pixels = NDArray[np.uint8]
Scope = Literal["", "all", "each"]
Remark = tuple[str, str]  # the subject of a warning, and its text

GAP = 1  # pixels between the images of a mosaic
GREY = 192  # the gaps: light, because most images have a dark background

ONE = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
SEVERAL = "(N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4)"

# -- logging ---------------------------------------------------------------------------


def add_image(
    self: Logger,
    tag: str,
    img: ArrayLike,
    step: SupportsFloat | None = None,
    equalize: bool = False,
    *,
    time: Time | None = None,
) -> None:
    """Log one image.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    img : array-like
        Shape ``(H, W)`` or ``(H, W, 1)``: grey; ``(H, W, 3)``: RGB; ``(H, W, 4)``:
        RGBA. Floats from 0 to 1, integers from 0 to 255, or bool. With a warning,
        values outside this range are clipped, and NaN and infinity are drawn black. The
        array is not changed.
    equalize : bool, default False
        Rescale the image so that its minimum is black and its maximum white. A constant
        image is black.
    """
    with Entry(self._run, "add_image", tag, IMAGE, step, time) as entry:
        array = as_image(entry.plain(img, name="img"))
        pixels, remarks = to_pixels(array, "all" if equalize else "")
        write(entry, tag, pixels, remarks)


def add_images(
    self: Logger,
    tag: str,
    img: ArrayLike,
    step: SupportsFloat | None = None,
    equalize: bool = False,
    equalize_per_image: bool = False,
    *,
    time: Time | None = None,
) -> None:
    """Log several images side by side as one, such as receptive fields.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    img : array-like
        Shape ``(N, H, W)``, ``(N, H, W, 1)``, ``(N, H, W, 3)`` or ``(N, H, W, 4)``;
        values as in `add_image`. The images are laid out in ``ceil(sqrt(N))`` columns,
        with grey lines between them.
    equalize : bool, default False
        Rescale all images alike, by the minimum and maximum over all of them.
    equalize_per_image : bool, default False
        Rescale each image by its own minimum and maximum, also without ``equalize``.
    """
    with Entry(self._run, "add_images", tag, IMAGE, step, time) as entry:
        array = as_images(entry.plain(img, name="img"))
        pixels, remarks = to_pixels(
            array, "each" if equalize_per_image else "all" if equalize else ""
        )
        write(entry, tag, mosaic(pixels), remarks)


def write(
    entry: Entry,
    tag: str,
    pixels: Pixels,
    remarks: Iterable[Remark] = (),
    recording: Recording | None = None,
) -> None:
    """Write pixels of shape ``(H, W, C)`` with C = 1, 3 or 4 as an image."""
    for subject, message in remarks:
        entry.warn(subject, message)
    entry.write(encode(tag, pixels), recording=recording)


def encode(tag: str, pixels: Pixels) -> Parts:
    """Encode pixels of shape ``(H, W, C)`` with C = 1, 3 or 4."""
    height, width, channels = pixels.shape
    size = varint_field(1, height) + varint_field(2, width) + varint_field(3, channels)
    return value(tag, *nested(IMAGE.field, size, *nested(4, png.encode(pixels))))


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
    """Convert numbers to grey or colour levels from 0 to 255.

    Floats are levels from 0 to 1, integers from 0 to 255, and booleans black or white.
    Values outside this range are clipped; NaN and infinity become black.

    Parameters
    ----------
    array
        Shape ``(..., H, W, C)``; it is not changed.
    equalize
        Rescale finite values to the full range of levels: ``"all"`` by the minimum and
        maximum of the whole array, ``"each"`` image by its own. A constant image
        becomes black. The last of four channels, alpha, is not rescaled.

    Returns
    -------
    pixels
        The same shape, uint8.
    remarks
        Warnings about values that can't be drawn as they are: the subject and the text
        of each.
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
        if not np.isfinite(span).all():  # wider than the range of floats
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


# -- reading back ----------------------------------------------------------------------


class Images(NamedTuple):
    """The images of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    images : sequence of N arrays, shape ``(H, W, C)``, uint8
        C is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA). Each image is read from
        the files when it is asked for, and not kept.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    images: OnDemand[NDArray[Any]]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]


def read(blocks: Iterable[Block], tag: str) -> Images:
    """Return the images of a tag; there may be none."""
    rows, images = on_demand(blocks, IMAGE, tag, _look, decode)
    return Images(rows.steps, images, rows.times, rows.wall_times)


def decode(value: Value) -> Iterator[NDArray[Any]]:
    """Yield the images in a value: one, or those of a tensor."""
    for image in _images(value):
        plain = image.convert("RGB") if image.mode in ("P", "1", "CMYK") else image
        pixels = np.asarray(plain)
        yield pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _look(value: Value) -> Iterator[None]:
    """Read the heads of the images in a value, to see whether that works."""
    yield from (None for _ in _images(value))


def _images(value: Value) -> Iterator[Image]:
    with importing:
        import PIL.Image

        PIL.Image.preinit()  # imports its most common formats

    # A tensor holds width and height, then the images.
    single = value.field == IMAGE.field
    for data in [last_field(value.raw, 4)] if single else tensors.strings(value)[2:]:
        with PIL.Image.open(io.BytesIO(data)) as image:
            yield image
