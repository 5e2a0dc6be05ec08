"""Pictures of Pillow as the pixels that they show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.importing import importing

OPAQUE = ("1", "L", "P", "RGB")  # modes with transparency only beside their pixels


def is_picture(given: object) -> bool:
    """Return whether an object is an image of Pillow."""
    return any(
        kind.__name__ == "Image" and kind.__module__ == "PIL.Image"
        for kind in type(given).__mro__
    )


def as_pixels(picture: Any) -> NDArray[Any]:
    """Return what a picture shows.

    Pictures in black and white are bool, and grey ones uint8, both of shape ``(H, W)``.
    All others are uint8: RGB of shape ``(H, W, 3)`` or, if they have transparency, RGBA
    of shape ``(H, W, 4)``. The modes I, I;16 and F hold numbers, not levels, and keep
    them.
    """
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;"):
        return np.asarray(picture)
    if _has_transparency(picture):
        # Pillow converts these two in steps only.
        step = {"La": "LA", "PA": "RGBA"}.get(mode)
        return np.asarray((picture.convert(step) if step else picture).convert("RGBA"))
    if mode in ("1", "L"):
        return np.asarray(picture)
    return np.asarray(_from_lab(picture) if mode == "LAB" else picture.convert("RGB"))


def _has_transparency(picture: Any) -> bool:
    if picture.mode == "P" and picture.palette and picture.palette.mode.endswith("A"):
        return True
    beside = picture.mode in OPAQUE and "transparency" in picture.info
    return beside or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def _from_lab(picture: Any) -> Any:
    with importing:
        from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
