"""Colour maps for numbers, evenly spaced to the eye.

Both maps are computed in OKLab, where equal distances look equal and L is lightness:
https://bottosson.github.io/posts/oklab/ (Bjorn Ottosson, public domain).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

NOTHING = 0  # the level of red, green and blue for missing numbers: black
DARK = 0.4  # the lightness of the darkest colour; anything darker looks black


@cache
def sequential() -> Table:
    """Return 256 colours from dark violet through red and orange to light yellow.

    Shape ``(256, 3)``, uint8. They lie on a helix: lightness and hue increase evenly,
    and the chroma is constant.
    """
    part = np.linspace(0, 1, 256)
    hue = np.radians(300 + 165 * part)
    lightness = DARK + (0.93 - DARK) * part
    return _srgb(lightness, 0.15 * np.cos(hue), 0.15 * np.sin(hue))


@cache
def diverging() -> Table:
    """Return 256 colours from light blue through dark grey (at 128) to light red.

    Shape ``(256, 3)``, uint8. The two arms are straight and equally light; the first
    two colours are the same, so that each arm has 127 steps.
    """
    part = np.maximum((np.arange(256) - 128) / 127, -1)
    hue = np.radians(np.where(part < 0, 250, 35))
    chroma = 0.13 * abs(part)
    lightness = DARK + (0.75 - DARK) * abs(part)
    return _srgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue))


def _srgb(lightness: Floats, a: Floats, b: Floats) -> Table:
    """Convert OKLab colours to sRGB levels."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        axis=-1,
    ).clip(0, 1)
    # IEC 61966-2-1
    curve = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )
    return (curve * 255 + 0.5).astype(np.uint8)
