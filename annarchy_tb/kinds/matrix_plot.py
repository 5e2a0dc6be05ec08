"""The drawing of a matrix: its cells in colours, and a bar that says what they mean."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.synapses import Synapses
from annarchy_tb.kinds import canvas, colours
from annarchy_tb.kinds.canvas import AXIS, HEIGHT, LINE, WIDTH, Pixels

TOP, BOTTOM = 4, LINE + 3  # pixels above and below the cells
BAR = 10  # the width of the colour bar
SPACE = 3
NUMBERS = 54  # the width of the numbers beside the bar
MOST = 7  # digits, to tell the ends apart
RIGHT = 3 * SPACE + BAR + SPACE + 1 + NUMBERS  # of the picture: the bar with them


class Scale(NamedTuple):
    """What the colours mean: `low` is the first of a table, `high` the last.

    If it is `split`, the middle of the table is 0, and each side has its own scale.
    """

    low: float
    high: float
    split: bool
    table: colours.Table
    nothing: canvas.Colour = colours.NOTHING

    def colours(self, values: NDArray[np.float64]) -> Pixels:
        """Return the colours of finite values, shape ``(..., 3)``."""
        last = len(self.table) - 1
        with np.errstate(over="ignore"):
            if self.split:
                half = last / 2
                side = np.where(values < 0, -self.low, self.high)
                level = half + half * np.clip(values / np.where(side, side, 1), -1, 1)
            else:
                # Halves, so that no difference overflows.
                span = (self.high / 2 - self.low / 2) or 1.0
                level = last * np.clip((values / 2 - self.low / 2) / span, 0, 1)
        found: Pixels = self.table[np.rint(level).astype(np.intp)]
        return found


def scale_for(
    finite: NDArray[np.float64], vmin: float | None, vmax: float | None, cmap: object
) -> Scale:
    """Return the scale of a matrix with these finite values.

    What is not given is the smallest or the largest value. With both signs, and no
    colour map of the user's, the two sides are scaled apart.
    """
    low = float(finite.min(initial=np.inf)) if vmin is None else vmin
    high = float(finite.max(initial=-np.inf)) if vmax is None else vmax
    if not len(finite):
        low = 0.0 if vmin is None else vmin
        high = max(low, 0.0) if vmax is None else vmax
        low = min(low, high)
    if low > high:  # all values are outside of what the user gave
        low, high = (vmin, vmin) if vmax is None else (vmax, vmax)  # type: ignore[assignment]
    if cmap is not None:
        table = colours.named(cmap)
        return Scale(low, high, False, table, colours.nothing(table)[1])
    if low < 0 < high:
        return Scale(low, high, True, colours.diverging())
    if high <= 0 and low < 0:  # the colours of the negative side
        return Scale(low, min(high, 0.0), False, colours.diverging()[:128])
    return Scale(low, high, False, colours.sequential())


class Drawing(NamedTuple):
    """A matrix as it is drawn.

    Attributes
    ----------
    pixels
        Shape ``(200, 320, 3)``, uint8. NaN, and entries that a sparse matrix does not
        store, have a colour that no number has.
    cells
        The values that are drawn, each in one colour. If all of the matrix is, they are
        its own, in its type; of a sparse one, in float64.
    scale
        What the colours mean.
    """

    pixels: Pixels
    cells: NDArray[Any]
    scale: Scale


def draw(
    matrix: NDArray[Any] | Synapses,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: object = None,
) -> Drawing:
    """Draw a matrix: row 0 at the top, column 0 at the left.

    Entries are squares of several pixels, as far as there is room. If there is none, a
    pixel covers several adjacent entries, and shows the one farthest from 0: no synapse
    is lost.
    """
    height, width = matrix.shape
    names = [str(0), str(height - 1)]
    left = max(map(canvas.width, names)) + 2 * SPACE
    room = HEIGHT - TOP - BOTTOM, WIDTH - left - RIGHT
    lows, highs = reduced(matrix, *room)
    cells = farthest(lows, highs)
    values = cells.astype(np.float64)
    ends = np.stack([lows, highs]).astype(np.float64)
    scale = scale_for(ends[np.isfinite(ends)], vmin, vmax, cmap)
    drawn = coloured(values, scale)
    side = min(room[0] // cells.shape[0], room[1] // cells.shape[1])
    drawn = drawn.repeat(side, axis=0).repeat(side, axis=1)
    tall, wide = drawn.shape[:2]

    pixels = canvas.blank()
    pixels[TOP - 1 : TOP + tall + 1, left - 1 : left + wide + 1] = AXIS
    pixels[TOP : TOP + tall, left : left + wide] = drawn
    below = TOP + tall + 2
    canvas.write(pixels, names[0], left - SPACE, TOP - 2, align=1)
    if height > 1 and tall > LINE + 8:
        canvas.write(pixels, names[1], left - SPACE, TOP + tall - LINE + 2, align=1)
    canvas.write(pixels, "0", left, below)
    last = str(width - 1)
    if width > 1 and wide > canvas.width(last) + LINE:
        canvas.write(pixels, last, left + wide, below, align=1)
    if not np.isnan(values).all():
        _draw_bar(pixels, scale, left + wide + 3 * SPACE)
    return Drawing(pixels, cells, scale)


def coloured(cells: NDArray[np.float64], scale: Scale) -> Pixels:
    """Return the colours of cells, shape ``(H, W, 3)``; NaN has one of its own."""
    drawn = np.full((*cells.shape, 3), scale.nothing, np.uint8)
    there = ~np.isnan(cells)
    drawn[there] = scale.colours(cells[there])
    return drawn


def _draw_bar(pixels: Pixels, scale: Scale, x: int) -> None:
    """Draw the colour bar, the largest value at its top, with its numbers."""
    bottom = HEIGHT - BOTTOM
    tall = bottom - TOP
    if scale.low == scale.high:
        tall = LINE
        levels = scale.table[[-1 if scale.high > 0 else 0]].repeat(tall, axis=0)
        levels[:] = scale.colours(np.array([scale.low]))
    else:
        places = np.rint(np.linspace(len(scale.table) - 1, 0, tall)).astype(int)
        levels = scale.table[places]
    pixels[TOP - 1 : TOP + tall + 1, x - 1 : x + BAR + 1] = AXIS
    pixels[TOP : TOP + tall, x : x + BAR] = levels[:, np.newaxis]
    numbers = {TOP: scale.high, TOP + tall - 1: scale.low}
    if scale.low == scale.high:
        numbers = {TOP + LINE // 2: scale.low}
    elif scale.split:
        numbers[TOP + tall // 2] = 0.0
    digits = 3
    while digits < MOST and len(numbers) > len(
        {canvas.number(value, digits) for value in numbers.values()}
    ):
        digits += 1
    for y, value in numbers.items():
        # Without a tick, which would look like a minus sign.
        top = min(max(y - 6, 0), HEIGHT - LINE)
        text = canvas.fitting(value, NUMBERS, digits)
        canvas.write(pixels, text, x + BAR + SPACE + 1, top)


def reduced(
    matrix: NDArray[Any] | Synapses, rows: int, columns: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a matrix with at most so many rows and columns.

    It is given by the smallest and the largest of the entries in each place, in the
    type of the matrix; of a sparse one, in float64.
    """
    height, width = matrix.shape
    tall, wide = math.ceil(height / rows), math.ceil(width / columns)
    if isinstance(matrix, Synapses):
        shape = math.ceil(height / tall), math.ceil(width / wide)
        place = matrix.rows // tall * shape[1] + matrix.columns // wide
        low, high = np.full((2, shape[0] * shape[1]), np.nan)
        np.fmin.at(low, place, matrix.values)
        np.fmax.at(high, place, matrix.values)
        return low.reshape(shape), high.reshape(shape)
    if tall == wide == 1:
        return matrix, matrix
    starts = np.arange(0, width, wide)
    bands = [_row(matrix[at : at + tall], starts) for at in range(0, height, tall)]
    low, high = np.array(bands).swapaxes(0, 1)
    return low, high


def farthest(lows: NDArray[Any], highs: NDArray[Any]) -> NDArray[Any]:
    """Return the one of each two values that is farther from 0."""
    if lows is highs:
        return lows
    return np.where(highs.astype(np.float64) >= -lows.astype(np.float64), highs, lows)


def _row(band: NDArray[Any], columns: NDArray[np.intp]) -> list[NDArray[np.float64]]:
    """Return the least and the greatest entries of a band of rows from each column."""
    native = band.astype(band.dtype.newbyteorder("="), copy=False)
    return [
        pick.reduceat(pick.reduce(native, axis=0), columns)
        for pick in (np.fmin, np.fmax)
    ]
