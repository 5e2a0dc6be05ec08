"""Colour maps for numbers, evenly spaced to the eye.

Those of our own are computed in OKLab, where equal distances look equal and L is
lightness: https://bottosson.github.io/posts/oklab/ (Bjorn Ottosson, public domain).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe

Table = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

NOTHING = (224, 224, 224)  # light grey: a colour that no number has in our own maps
MAGENTA = (255, 0, 255)  # far from all colours of the maps that have light grey
ALIKE = 24  # levels: colours that differ less in each channel are easily confused
DARKEST, LIGHTEST = 0.4, 0.93  # the lightness of the ends of the sequential map


@cache
def sequential() -> Table:
    """Return 256 colours from light yellow through orange and red to dark violet.

    Shape ``(256, 3)``, uint8. They lie on a helix: lightness and hue change evenly, and
    the chroma is constant. On a light ground, more is darker.
    """
    part = np.linspace(1, 0, 256)
    hue = np.radians(300 + 165 * part)
    lightness = DARKEST + (LIGHTEST - DARKEST) * part
    return _srgb(lightness, 0.15 * np.cos(hue), 0.15 * np.sin(hue))


@cache
def diverging() -> Table:
    """Return 255 colours from dark blue through white (at 127) to dark red.

    Shape ``(255, 3)``, uint8. The two arms are straight and equally light.
    """
    part = (np.arange(255) - 127) / 127
    hue = np.radians(np.where(part < 0, 262, 27))
    lightness = 1 - 0.55 * abs(part)
    chroma = 0.18 * abs(part)
    return _srgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue))


def named(cmap: object) -> Table:
    """Return 256 colours of matplotlib's colour map of that name.

    Raises
    ------
    TypeError, ValueError
        If there is none.
    """
    with importing:
        import matplotlib

    if not isinstance(cmap, str):
        raise TypeError(f"cmap must be a name, such as 'viridis', got {describe(cmap)}")
    try:
        colours = matplotlib.colormaps[cmap](np.linspace(0, 1, 256))
    except KeyError:
        raise ValueError(
            f"cmap must be the name of a colour map of matplotlib, such as 'viridis', "
            f"'gray' or 'coolwarm', got {cmap!r}"
        ) from None
    table: Table = (colours[:, :3] * 255 + 0.5).astype(np.uint8)
    return table


def nothing(table: Table) -> tuple[str, tuple[int, int, int]]:
    """Return the name and the levels of a colour that no number has in a map."""
    if (abs(table.astype(np.int16) - NOTHING).max(axis=1) < ALIKE).any():
        return "magenta", MAGENTA
    return "light grey", NOTHING


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
