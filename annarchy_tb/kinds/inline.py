"""Pictures and curves inside a page of HTML: no file, no script, any background."""

from __future__ import annotations

import binascii
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.escaping import escaped
from annarchy_tb.inputs.importing import importing
from annarchy_tb.kinds import extremes

LARGEST = 640  # pixels of a picture in each direction; larger ones are reduced
SMALLEST = 160  # pixels of the page: to this width, smaller pictures are enlarged
WIDTH, HEIGHT = 180, 48  # pixels of a curve
MARGIN = 3
RASTER = 160, 320  # pixels: the greatest height, and the width
TALLEST = 8  # pixels of a spike
INK = (128, 128, 128)  # is seen on a light ground and on a dark one


def text(given: object, most: int | None = None) -> str:
    """Return any text for a page, in one line, without markup."""
    with importing:
        from html import escape

    return escape(escaped(given, most=most))


def figure(caption: str, content: str) -> str:
    """Return something with a caption, beside others."""
    style = "display:inline-block;vertical-align:top;margin:0.4em 1em 0.4em 0"
    return f'<div style="{style}"><div>{caption}</div>{content}</div>'


def ends(steps: NDArray[np.int64], drawn: Callable[[int], str]) -> str:
    """Return the first and the last of several things with their steps.

    One that can't be read says so.
    """
    number, parts = len(steps), []
    for at in sorted({0, number - 1} & {*range(number)}):
        try:
            content = drawn(at)
        except (OSError, ValueError) as error:  # the files have changed meanwhile
            content = f"<div>it can't be read: {text(error, 300)}</div>"
        parts.append(figure(f"step {steps[at]} ({at + 1} of {number})", content))
    return "".join(parts) or "<div>there are none</div>"


def picture(pixels: NDArray[Any], name: str) -> str:
    """Return pixels of shape ``(H, W, C)`` as an image of a page.

    `C` is 1, 2 (grey and alpha), 3 or 4. Large pictures are reduced, and the pixels of
    small ones are enlarged, but stay sharp.
    """
    with importing:
        import PIL.Image

    image = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((LARGEST, LARGEST))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    data = binascii.b2a_base64(stream.getvalue(), newline=False).decode()
    times = max(1, -(-SMALLEST // image.width))
    return (
        f'<img alt="{text(name)}" width="{image.width * times}" '
        f'style="image-rendering:pixelated" src="data:image/png;base64,{data}">'
    )


def dots(times: NDArray[Any], ranks: NDArray[Any]) -> NDArray[np.uint8]:
    """Draw spikes with ink on a clear ground; the lowest rank is at the bottom.

    Returns
    -------
    array
        Shape ``(H, 320, 4)``, uint8, with at most 160 rows.
    """
    first, last = int(ranks.min()), int(ranks.max())
    share = -(-(last - first + 1) // RASTER[0])  # neurons of a row
    rows = (last - first) // share + 1
    places = rows - 1 - (ranks.astype(np.int64) - first) // share
    columns = _scaled(np.asarray(times, np.float64)) * (RASTER[1] - 1)
    pixels = np.zeros((rows, RASTER[1], 4), np.uint8)
    pixels[..., :3] = INK
    pixels[places, np.nan_to_num(columns).astype(np.intp), 3] = 255
    return pixels.repeat(max(1, min(TALLEST, RASTER[0] // rows)), axis=0)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values from 0, for the least, to 1, for the greatest; equal ones at 0.5.

    Those that are not finite become NaN.
    """
    halves = np.where(np.isfinite(values), values, np.nan) / 2  # no overflow
    finite = halves[~np.isnan(halves)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    if low == high:
        return halves * 0 + 0.5
    return np.asarray((halves - low) / (high - low), np.float64)


def curve(x: NDArray[Any], y: NDArray[Any], name: str) -> str:
    """Return a curve as SVG, in the colour of the text around it.

    Of many points, the extremes are drawn. What is not finite is a gap.
    """
    rows = extremes.choose(y[:, np.newaxis], 4 * WIDTH)[0].rows
    width, height = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    right = MARGIN + width * _scaled(np.asarray(x[rows], np.float64))
    down = MARGIN + height * (1 - _scaled(np.asarray(y[rows], np.float64)))
    lines: list[list[str]] = [[]]
    for here, there in zip(right.tolist(), down.tolist(), strict=True):
        if here == here and there == there:
            lines[-1].append(f"{here:.1f} {there:.1f}")
        elif lines[-1]:
            lines.append([])
    path = "".join(f"M{'L'.join(line)}" for line in lines if len(line) > 1)
    alone = "".join(f"M{line[0]}h0" for line in lines if len(line) == 1)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{text(name)}" style="display:block" fill="none" '
        f'stroke="currentColor" stroke-linecap="round" stroke-linejoin="round">'
        f'<path d="{path}" stroke-width="1.5"/><path d="{alone}" stroke-width="4"/>'
        f"</svg>"
    )
