"""Images: arrays drawn as pixels, rescaled or as a mosaic, and read back."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.limits import limits
from annarchy_tb.kinds import colours, inline, png
from annarchy_tb.kinds.levels import Levels, Pixels, Remark, Scope, parts
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
    vmin: SupportsFloat | None = None,
    vmax: SupportsFloat | None = None,
    cmap: str | None = None,
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
        values outside this range are clipped, and NaN, infinity and masked values are
        drawn black. The array is not changed. Images of Pillow are stored as they look,
        in grey or colour, with their transparency; those of the modes I, I;16 and F are
        arrays of numbers.
    equalize : bool, default False
        Rescale the image so that its minimum is black and its maximum white. A constant
        image is black. The range may differ from step to step: for fields that change
        over time, use ``vmin`` and ``vmax`` instead.
    vmin, vmax : float or quantity, optional
        For images of one channel: the values that are drawn black and white, at all
        steps, so that each value always has the same colour. Values beyond them are
        clipped. If only one of them is given, the other end is 0, or else 1 for floats
        and bool, and 255 for integers.
    cmap : str, optional
        For images of one channel: the name of a colour map of matplotlib, such as
        ``"viridis"``, in place of black to white. NaN, infinity and masked values are
        then drawn light grey, or magenta if the map has light grey for numbers.

    Raises
    ------
    ValueError
        If ``vmin`` is not less than ``vmax``, there is no such colour map, or ``img``
        or ``equalize`` does not go with them.
    """
    with Entry(self._run, "add_image", tag, IMAGE, step, time) as entry:
        array = as_image(entry.plain(img, name="img"))
        scope: Scope = "all" if equalize else ""
        _write_levels(entry, tag, array[np.newaxis], scope, vmin, vmax, cmap)


def add_images(
    self: Logger,
    tag: str,
    img: ArrayLike,
    step: SupportsFloat | None = None,
    equalize: bool = False,
    equalize_per_image: bool = False,
    *,
    vmin: SupportsFloat | None = None,
    vmax: SupportsFloat | None = None,
    cmap: str | None = None,
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
    vmin, vmax, cmap
        As in `add_image`, for all images alike.

    Raises
    ------
    ValueError
        As in `add_image`.
    """
    with Entry(self._run, "add_images", tag, IMAGE, step, time) as entry:
        array = as_images(entry.plain(img, name="img"))
        scope: Scope = "each" if equalize_per_image else "all" if equalize else ""
        _write_levels(entry, tag, array, scope, vmin, vmax, cmap)


def _write_levels(
    entry: Entry,
    tag: str,
    array: NDArray[Any],
    equalize: Scope,
    vmin: object,
    vmax: object,
    cmap: object,
) -> None:
    """Write images of shape ``(N, H, W, C)`` as one."""
    given = {"vmin": vmin, "vmax": vmax, "cmap": cmap}
    name = next((name for name, its in given.items() if its is not None), "")
    if name and array.shape[-1] != 1:
        raise ValueError(
            f"{name} is for images of one channel, such as (H, W), and img has "
            f"{array.shape[-1]}, which are colours already"
        )
    check_range(equalize, vmin, vmax)
    low, high = limits(vmin, vmax, entry.plain)
    table = None if cmap is None else colours.named(cmap)
    levels = Levels(array, equalize, low, high, table)
    for subject, message in levels.remarks:
        entry.warn(subject, message)
    entry.write(encode(tag, drawn(levels, array.shape)))


def check_range(equalize: object, vmin: object, vmax: object) -> None:
    """Raise ValueError if both equalize and a fixed range are given."""
    if equalize and (vmin is not None or vmax is not None):
        name = "vmax" if vmin is None else "vmin"
        raise ValueError(
            f"{name} fixes the range at all steps, and equalize takes it from each "
            f"image: pass one or the other"
        )


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
    entry.write(encode(tag, as_picture(pixels)), recording=recording)


class Picture(NamedTuple):
    """Pixels of shape ``(H, W, C)`` with C = 1, 3 or 4, and their rows in bands."""

    shape: tuple[int, int, int]
    bands: Iterable[Pixels]


def as_picture(pixels: Pixels) -> Picture:
    """Return pixels of shape ``(H, W, C)`` as a picture of one band."""
    height, width, channels = pixels.shape
    return Picture((height, width, channels), [pixels])


def encode(tag: str, picture: Picture) -> Parts:
    """Encode a picture as TensorFlow's ``Summary.Image``."""
    height, width, channels = picture.shape
    size = varint_field(1, height) + varint_field(2, width) + varint_field(3, channels)
    parts = nested(4, *png.encode(picture.shape, picture.bands))
    return value(tag, *nested(IMAGE.field, size, *parts))


def as_image(img: ArrayLike) -> NDArray[Any]:
    """Return `img` as an array of shape ``(H, W, C)`` with C = 1, 3 or 4."""
    array = numbers("img", img, half=True)
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
    array = numbers("img", img, half=True)
    full = array[..., np.newaxis] if array.ndim == 3 else array
    if full.ndim != 4 or full.shape[3] not in (1, 3, 4) or 0 in full.shape:
        raise ValueError(
            f"img must have shape {SEVERAL}, got {array.shape}"
            + ("; add_image takes a single one" if array.ndim == 2 else "")
            + ("; reshape it, as in w.reshape(-1, 8, 8)" if array.ndim == 4 else "")
        )
    return full


def drawn(levels: Levels, shape: tuple[int, ...]) -> Picture:
    """Lay images of `shape`, ``(N, H, W, C)``, side by side, row by row.

    There are about as many rows as columns, ``ceil(sqrt(N))``, and grey gaps of one
    pixel between the images.
    """
    number, height, width, _ = shape
    channels = levels.channels
    columns = math.ceil(math.sqrt(number))
    rows = math.ceil(number / columns)
    size = rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels

    def bands() -> Iterator[Pixels]:
        for images, lines in parts((number, height, width, channels), columns):
            pixels = levels.pixels(images, lines)
            if number == 1:
                yield pixels[0]
                continue
            ends = lines.stop == height
            sheet = _sheet(pixels, columns, GAP if ends else 0)
            yield sheet[:-GAP] if ends and images.stop >= number else sheet

    return Picture(size, bands())


def _sheet(pixels: Pixels, columns: int, gap: int) -> Pixels:
    """Return images in columns, with a gap to the right, and one below each of them."""
    number, height, width, channels = pixels.shape
    rows = math.ceil(number / columns)
    cells = np.full(
        (rows * columns, height + gap, width + GAP, channels), GREY, np.uint8
    )
    cells[:number, :height, :width] = pixels
    grid = cells.reshape(rows, columns, height + gap, width + GAP, channels)
    sheet = grid.transpose(0, 2, 1, 3, 4).reshape(
        rows * (height + gap), columns * (width + GAP), channels
    )
    return sheet[:, :-GAP]


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

    def _repr_html_(self) -> str:
        return inline.ends(self.steps, self._drawn)

    def _drawn(self, number: int) -> str:
        pixels = self.images[number]
        height, width, _ = pixels.shape
        return inline.picture(pixels, f"{width} x {height} pixels")


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


def files(value: Value) -> Iterator[bytes]:
    """Yield the image files in a value, such as PNG, as they were written."""
    if value.field == IMAGE.field:
        yield last_field(value.raw, 4)
    else:  # a tensor holds width and height, then the images
        yield from tensors.strings(value)[2:]


def _images(value: Value) -> Iterator[Image]:
    with importing:
        import PIL.Image

        PIL.Image.preinit()  # imports its most common formats

    for data in files(value):
        with PIL.Image.open(io.BytesIO(data)) as image:
            yield image
