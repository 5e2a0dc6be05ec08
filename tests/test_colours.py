from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from annarchy_tb.kinds import colours


def oklab(levels: np.ndarray) -> np.ndarray:
    """Convert sRGB levels to OKLab, the inverse of the module's conversion."""
    part = levels / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def distances(table: np.ndarray, apart: int = 8) -> np.ndarray:
    """Return the distances between colours a number of places apart."""
    lab = oklab(table)
    return np.linalg.norm(lab[apart:] - lab[:-apart], axis=1)


@pytest.mark.parametrize(
    ("make", "number"), [(colours.sequential, 256), (colours.diverging, 255)]
)
def test_a_map_is_made_once(make: Callable[[], np.ndarray], number: int) -> None:
    """Its colours are uint8, and the same array each time."""
    table = make()
    assert table.shape == (number, 3)
    assert table.dtype == np.uint8
    assert make() is table


def test_the_sequential_map_is_even() -> None:
    """More is darker, and equal steps are equal distances."""
    table = colours.sequential()
    lightness = oklab(table)[:, 0]
    wanted = np.linspace(colours.LIGHTEST, colours.DARKEST, 256)
    assert abs(lightness - wanted).max() < 0.005
    assert (np.diff(lightness[::4]) < 0).all()
    far = distances(table)
    assert far.max() / far.min() < 1.3


def test_the_diverging_map_is_even_and_symmetric() -> None:
    """Both arms fall equally from white."""
    table = colours.diverging()
    lab = oklab(table)
    assert table[127].tolist() == [255, 255, 255]
    assert abs(lab[128:, 0] - lab[126::-1, 0]).max() < 0.006
    assert (np.diff(lab[127::4, 0]) < 0).all()
    below, above = distances(table[:128]), distances(table[127:])
    assert max(below.max(), above.max()) / min(below.min(), above.min()) < 1.3
    assert (lab[:117, 2] < 0).all()  # blue
    assert (lab[138:, 1] > 0).all()  # red


@pytest.mark.parametrize("make", [colours.sequential, colours.diverging])
def test_the_maps_stay_within_the_screens_colours(
    make: Callable[[], np.ndarray],
) -> None:
    """No level is clipped, so the stored colours are the computed ones."""
    lab = oklab(make())
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    wanted = np.full(256, 0.15)
    if make is colours.diverging:
        wanted = 0.18 * abs(np.arange(255) - 127) / 127
    assert abs(chroma - wanted).max() < 0.006


@pytest.mark.parametrize("make", [colours.sequential, colours.diverging])
def test_missing_values_have_a_colour_of_their_own(
    make: Callable[[], np.ndarray],
) -> None:
    """Light grey differs by more than what is just seen (0.02) from all others."""
    grey = oklab(np.array([colours.NOTHING]))
    assert np.linalg.norm(oklab(make()) - grey, axis=1).min() > 0.02
