"""The drawing of spikes: a raster with its axes, and the rate of the population."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.groups import Groups
from annarchy_tb.inputs.spikes import Spikes
from annarchy_tb.kinds import canvas
from annarchy_tb.kinds.canvas import AXIS, GROUND, HEIGHT, INK, LINE, WIDTH, Colour
from annarchy_tb.kinds.canvas import Pixels

# The colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), which the
# colour-blind tell apart, without those that are too light on a light ground.
COLOURS: tuple[Colour, ...] = (
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermillion
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
)
GAP = 4  # one in 4 pixels of a row stays blank, to separate neighbours
FAINTEST = 0.5  # of the ink: the least that a pixel with spikes gets
RANGE = 8  # pixels with at most an eighth of the most spikes get that
STRIP = 30, 60  # the least and the greatest height of the rate, in pixels
BARS = 4  # pixels: the least width of a value of the rate
LEFT, RIGHT = 46, 8  # pixels beside the plot, for numbers
TICK = 3
PLOT = WIDTH - LEFT - RIGHT  # the width of the plot


class TimeAxis(NamedTuple):
    """The time axis, from `left` to ``left + span`` in the unit of the spikes.

    It has `columns` of the length `width`, and each is so many `pixels` wide. One unit
    of the spikes is `scale` of the axis' `unit` (such as "ms"), and takes so many
    `seconds`, if that is known.
    """

    left: float
    span: float
    width: float
    columns: int
    scale: float
    unit: str
    seconds: float | None


def draw(found: Spikes, axis: TimeAxis, groups: Groups | None) -> Pixels:
    """Draw spikes that are all on the axis.

    Time runs to the right, and the neuron of the lowest rank is at the bottom. Below is
    the number of spikes over time: for each neuron and second, if the length of the
    axis is known in seconds.

    Returns
    -------
    Pixels
        Shape ``(200, W, 3)``, uint8. W is 320, or more if the axis has more columns
        than fit into that.
    """
    ends = [_rank(found.first), _rank(found.first + max(found.neurons, 1) - 1)]
    column = np.minimum(
        ((found.times - axis.left) / axis.width).astype(np.intp), axis.columns - 1
    )
    whose = None if groups is None else groups.of(found.ranks)
    rates, peak = _rates(found, axis, column, groups, whose)
    stretch = max(PLOT // axis.columns, 1)
    wide = axis.columns * stretch
    pixels = canvas.blank(max(WIDTH, LEFT + wide + RIGHT))

    head = TICK if groups is None else LINE
    foot = HEIGHT - LINE - TICK  # the time axis
    room = foot - head - STRIP[0] - TICK
    share = math.ceil(max(found.neurons, 1) / room)  # neurons per row
    rows = math.ceil(max(found.neurons, 1) / share)
    tall = room // rows
    strip = min(STRIP[0] + room - rows * tall, STRIP[1])
    bottom = foot - strip - TICK  # of the raster
    place = (found.ranks - found.first) // share * axis.columns + column
    cells = _cells(place, whose, rows * axis.columns, groups)
    cells = cells.reshape(rows, axis.columns, 3)[::-1]
    plot = slice(LEFT, LEFT + wide)
    pixels[bottom - rows * tall : bottom, plot] = _enlarged(cells, tall, stretch)

    canvas.write(pixels, ends[0], LEFT - TICK - 1, bottom - LINE + 2, align=1)
    if found.neurons > 1:
        top = max(bottom - rows * tall - 2, 0)
        if top < bottom - 2 * LINE + 4 or rows * tall > LINE:
            canvas.write(pixels, ends[1], LEFT - TICK - 1, top, align=1)
    pixels[bottom, plot] = AXIS
    pixels[max(bottom - rows * tall, 0) : bottom + 1, LEFT - 1] = AXIS
    _draw_rates(pixels[bottom + 2 : foot, plot], rates, stretch)
    canvas.write(pixels, peak, LEFT - TICK - 1, bottom + 1, align=1)
    pixels[bottom + 2 : foot, LEFT - 1] = AXIS
    _draw_time(pixels, axis, LEFT, wide, foot)
    if groups is not None:
        _draw_names(pixels, groups, LEFT)
    return pixels


def _rank(rank: int) -> str:
    text = str(rank)
    return text if canvas.width(text) < LEFT - TICK else canvas.number(rank)


def _rates(
    found: Spikes,
    axis: TimeAxis,
    column: NDArray[np.intp],
    groups: Groups | None,
    whose: NDArray[np.intp] | None,
) -> tuple[list[tuple[Colour, NDArray[np.float64]]], str]:
    """Return rates as parts of their peak, column by column, and the peak as a text.

    Without groups it is the rate of all neurons, else that of each group.
    """
    each = max(1, math.ceil(BARS * axis.columns / WIDTH))  # columns per value
    bins = math.ceil(axis.columns / each)
    length = np.full(bins, each * axis.width)
    length[-1] = max(axis.span - (bins - 1) * each * axis.width, sys.float_info.min)
    which = column // each
    curves: list[tuple[Colour, NDArray[np.float64]]] = []
    if groups is None or whose is None:
        counts = np.bincount(which, minlength=bins)
        curves.append(((160, 160, 160), counts / length / max(found.neurons, 1)))
    else:
        number = len(groups.names)
        counts = np.bincount(whose * bins + which, minlength=(number + 1) * bins)
        for k, size in enumerate(groups.sizes):
            its = counts[k * bins : (k + 1) * bins] / length / size
            curves.append((COLOURS[k % len(COLOURS)], its))
    most = max(float(curve.max()) for _, curve in curves)
    drawn = [
        (colour, np.repeat(curve / (most or 1.0), each)[: axis.columns])
        for colour, curve in curves
    ]
    if not most:
        return drawn, ""
    if axis.seconds is not None:
        return drawn, f"{canvas.number(most / axis.seconds, 2)} Hz"
    return drawn, canvas.number(most, 2)


def _cells(
    place: NDArray[np.int64],
    whose: NDArray[np.intp] | None,
    number: int,
    groups: Groups | None,
) -> Pixels:
    """Return the colours of so many cells, which the spikes are in at these places."""
    if groups is None or whose is None:
        counts = np.bincount(place, minlength=number)
        return _inked(counts, np.broadcast_to(np.array(INK), (number, 3)))
    kinds = len(groups.names) + 1
    each = np.bincount(whose * number + place, minlength=kinds * number)
    each = each.reshape(kinds, number)
    inks = [COLOURS[k % len(COLOURS)] for k in range(kinds - 1)] + [INK]
    return _inked(each.sum(axis=0), np.array(inks)[each.argmax(axis=0)])


def _inked(counts: NDArray[np.intp], ink: NDArray[np.int64]) -> Pixels:
    """Return colours from the ground to the ink.

    The most spikes get all of the ink, and each halving less by the same amount, down
    to half of it: the eye perceives ratios, and a single spike must be visible.
    """
    amount = np.zeros(counts.shape)
    fired = counts > 0
    fainter = np.log(counts.max(initial=1) / counts[fired]) / math.log(RANGE)
    amount[fired] = 1 - (1 - FAINTEST) * np.minimum(fainter, 1)
    ground = np.array(GROUND)
    return (ground + (ink - ground) * amount[:, np.newaxis] + 0.5).astype(np.uint8)


def _enlarged(cells: Pixels, height: int, width: int) -> Pixels:
    """Draw each cell as a tick of `height` by `width` pixels."""
    rows, columns, _ = cells.shape
    ticks = np.full((rows, height, columns, width, 3), GROUND, np.uint8)
    ticks[:, height // GAP :] = cells[:, np.newaxis, :, np.newaxis]
    return ticks.reshape(rows * height, columns * width, 3)


def _draw_rates(
    part: Pixels, rates: list[tuple[Colour, NDArray[np.float64]]], stretch: int
) -> None:
    """Draw rates into a part of the picture: one filled, several as lines."""
    height = part.shape[0]
    y = np.arange(height)[:, np.newaxis]
    for colour, rate in rates:
        level = np.repeat(rate, stretch) * (height - 1)
        top = height - np.rint(level).astype(int)
        if len(rates) == 1:
            part[(y >= top) & (level > 0)] = colour
            continue
        before = np.concatenate([top[:1], top[:-1]])
        upper, lower = np.minimum(top, before), np.maximum(top, before)
        lower = np.minimum(np.maximum(lower, upper + 1), height)
        upper = np.minimum(upper, height - 1)
        part[(y >= upper) & (y < lower)] = colour


def _draw_time(pixels: Pixels, axis: TimeAxis, left: int, wide: int, y: int) -> None:
    """Draw the time axis, with its unit at the last number."""
    pixels[y, left - 1 : left + wide] = AXIS
    low, high = axis.left * axis.scale, (axis.left + axis.span) * axis.scale
    most = 5
    while True:
        ticks = canvas.round_ticks(low, high, most)
        texts = canvas.labels(ticks)
        texts[-1] += f" {axis.unit}" if axis.unit else ""
        # The time axis is as long as its columns, the last of which may go beyond it.
        length = axis.columns * axis.width * axis.scale
        places = [left + (tick - low) / length * wide for tick in ticks]
        spaces = [b - a for a, b in zip(places, places[1:], strict=False)]
        widest = max(map(canvas.width, texts))
        if most == 1 or all(space >= widest + LINE for space in spaces):
            break
        most -= 1
    for text, place in zip(texts, places, strict=True):
        x = min(max(round(place), left), left + wide - 1)
        pixels[y : y + TICK + 1, x] = AXIS
        half = canvas.width(text) / 2
        x = min(max(x, math.ceil(half)), math.floor(pixels.shape[1] - half))
        canvas.write(pixels, text, x, y + TICK, align=0.5)


def _draw_names(pixels: Pixels, groups: Groups, x: int) -> None:
    """Write the names of groups above the raster, as far as there is room."""
    for k, name in enumerate(groups.names):
        colour = COLOURS[k % len(COLOURS)]
        if x + LINE + canvas.width(name) > pixels.shape[1]:
            canvas.write(pixels, "...", x, 0)
            return
        pixels[3:9, x : x + 6] = colour
        canvas.write(pixels, name, x + 9, 0, colour=colour)
        x += canvas.width(name) + LINE + 9
