"""A small picture with text: light ground, dark ink, numbers that stay legible.

Everything is drawn for TensorBoard's smallest card: that of the TIME SERIES tab is 326
x 215 pixels, that of IMAGES 350 wide (TensorBoard 2.21). Of larger pictures they leave
out whole rows and columns, and with them the text.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.importing import importing

WIDTH, HEIGHT = 320, 200  # pixels of a picture
LINE = 12  # pixels from one line of text to the next
APART = 1  # pixels between letters: in small type, points and signs get lost without
DIGITS = slice(2, 10)  # the rows of a line that digits take

Colour = tuple[int, int, int]
Pixels = NDArray[np.uint8]

GROUND: Colour = (255, 255, 255)
INK: Colour = (32, 32, 32)
AXIS: Colour = (120, 125, 138)  # no mixture of ink and ground


def blank(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """Return an empty picture of shape ``(height, width, 3)``."""
    return np.full((height, width, 3), GROUND, np.uint8)


@lru_cache(1024)
def mask(text: str) -> Pixels:
    """Return how much ink each pixel of a line of text gets, shape ``(LINE, W)``."""
    with importing:  # Pillow imports more when it is used
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.load_default(size=10)
        wide = [round(font.getlength(letter)) + APART for letter in text]
        places = [0, *itertools.accumulate(wide)]
        line = Image.new("L", (max(places[-1] - APART, 1), LINE))
        for letter, x in zip(text, places, strict=False):
            ImageDraw.Draw(line).text((x, 0), letter, fill=255, font=font)
        return np.asarray(line)


def width(text: str) -> int:
    """Return the width of a line of text, in pixels."""
    return int(mask(text).shape[1])


def write(
    pixels: Pixels, text: str, x: int, y: int, colour: Colour = INK, align: float = 0.0
) -> None:
    """Write a line of text; what is outside of the picture is cut off.

    Parameters
    ----------
    pixels
        The picture.
    text
        The text.
    x, y
        Its place: ``y`` is the top of the line, ``x`` its left end; or with `align` 0.5
        its middle, with 1 its right end.
    colour
        The colour of the ink.
    align
        Which part of the line is at ``x``.
    """
    ink = mask(text)
    left = round(x - align * ink.shape[1])
    top, first = max(y, 0), max(left, 0)
    bottom, last = max(y + LINE, 0), max(left + ink.shape[1], 0)
    part = pixels[top:bottom, first:last]
    ink = ink[top - y :, first - left :][: part.shape[0], : part.shape[1]]
    amount = ink[..., np.newaxis] / 255
    part[:] = part * (1 - amount) + np.array(colour) * amount + 0.5


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers from `low` to `high`, with at most so many intervals.

    They are multiples of 1, 2 or 5 times a power of ten.
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / max(most, 1)))
    for factor in (1, 2, 5, 10, 20):
        stride = factor * power
        first, last = math.ceil(low / stride - 1e-9), math.floor(high / stride + 1e-9)
        if last - first <= most:
            break
    found = dict.fromkeys(number * stride for number in range(first, last + 1))
    return list(found) or [low]


def labels(ticks: list[float]) -> list[str]:
    """Return the numbers as short texts, all with the same number of decimals."""
    if len(ticks) < 2:
        return [number(tick, 12) for tick in ticks]
    most = max(map(abs, ticks))
    stride = min(b - a for a, b in itertools.pairwise(ticks))
    finest = math.floor(math.log10(stride) + 1e-9)
    digits = math.floor(math.log10(most) + 1e-9) - finest + 1  # that tell them apart
    if most < 1e-3 or most >= (1e6 if digits <= 3 else 1e9):
        return [number(tick, max(digits, 3)) for tick in ticks]
    return [f"{tick:.{max(-finest, 0)}f}" for tick in ticks]


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many digits, as short as possible."""
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    if 1 <= abs(value) < 99_999:
        return f"{float(text):.0f}"
    head, _, power = text.partition("e")
    return f"{head}e{int(power)}"


def fitting(value: float, room: int, digits: int = 3) -> str:
    """Return a number with so many digits, or fewer if it would be wider than that."""
    texts = [number(value, some) for some in range(digits, 0, -1)]
    return next((text for text in texts if width(text) <= room), texts[-1])
