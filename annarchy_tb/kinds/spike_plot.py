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
from annarchy_tb.kinds.canvas import (
    AXIS,
    GROUND,
    HEIGHT,
    INK,
    LINE,
    WIDTH,
    Colour,
    Pixels,
)

# The colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), which the
# colour-blind tell apart, without those that are too light on a light ground.
COLOURS: tuple[Colour, ...] = (
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
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
NUMBERS = LEFT - TICK - 1  # the width of those at the left
GUTTER = 8  # pixels between numbers, more than between words
SIZE = 1 << 18  # spikes at a time
BARE: Colour = (160, 160, 160)  # of the rate without groups
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


class _Grid(NamedTuple):
    """Rows of the raster, from the bottom: `share` neurons each, `tall` pixels high."""

    share: int
    rows: int
    tall: int


def draw(
    found: Spikes, axis: TimeAxis, groups: Groups | None = None
) -> tuple[Pixels, int]:
    """Draw spikes.

    Time runs to the right, and the neuron of the lowest rank is at the bottom. Below is
    the number of spikes over time: for each neuron and second, if the length of the
    axis is known in seconds.

    Returns
    -------
    pixels
        Shape ``(200, W, 3)``, uint8. W is 320, or more if the axis has more columns
        than fit into that.
    outside
        The number of spikes that are not on the axis, and not drawn.
    """
    head = TICK if groups is None else LINE
    foot = HEIGHT - LINE - TICK  # the time axis
    room = foot - head - STRIP[0] - TICK
    share = math.ceil(max(found.neurons, 1) / room)
    rows = math.ceil(max(found.neurons, 1) / share)
    grid = _Grid(share, rows, room // rows)
    counts = _counts(found, axis, groups, grid)
    curves, peak = rates(counts.sum(axis=1), axis, max(found.neurons, 1), groups)
    stretch = max(PLOT // axis.columns, 1)
    wide, height = axis.columns * stretch, rows * grid.tall
    pixels = canvas.blank(max(WIDTH, LEFT + wide + RIGHT))

    strip = min(STRIP[0] + room - height, STRIP[1])
    bottom = foot - strip - TICK  # of the raster
    plot = slice(LEFT, LEFT + wide)
    inked = _inked(counts, groups)[::-1]
    pixels[bottom - height : bottom, plot] = _enlarged(inked, grid.tall, stretch)
    pixels[bottom, plot] = AXIS
    pixels[bottom - height : bottom + 1, LEFT - 1] = AXIS
    _draw_ranks(pixels, found, bottom, height)
    _draw_rates(pixels[bottom + 2 : foot, plot], curves, stretch)
    _draw_peak(pixels, peak, bottom)
    pixels[bottom + 2 : foot, LEFT - 1] = AXIS
    _draw_time(pixels, axis, wide, foot)
    if groups is not None:
        _draw_names(pixels, groups)
    return pixels, len(found.times) - int(counts.sum())


def _counts(
    found: Spikes, axis: TimeAxis, groups: Groups | None, grid: _Grid
) -> NDArray[np.intp]:
    """Count the spikes on the axis in each cell, shape ``(G, rows, columns)``.

    G is 1 without groups, else the number of groups and 1 for the neurons in none.
    """
    kinds = 1 if groups is None else len(groups.names) + 1
    shape = kinds, grid.rows, axis.columns
    counts = np.zeros(math.prod(shape), np.intp)

    def rows(ranks: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the place of each neuron's first cell."""
        first: NDArray[np.intp] = (ranks - found.first) // grid.share * axis.columns
        if groups is not None:
            first += groups.of(ranks) * (grid.rows * axis.columns)
        return first

    of_neurons = None
    if found.neurons <= len(found.times):  # to look them up is faster
        of_neurons = rows(np.arange(found.first, found.first + found.neurons))
    for at in range(0, len(found.times), SIZE):
        times, ranks = found.times[at : at + SIZE], found.ranks[at : at + SIZE]
        inside = (times >= axis.left) & (times <= axis.left + axis.span)
        if not inside.all():
            times, ranks = times[inside], ranks[inside]
        place = ((times - axis.left) / axis.width).astype(np.intp)
        np.minimum(place, axis.columns - 1, out=place)
        place += rows(ranks) if of_neurons is None else of_neurons[ranks - found.first]
        counts += np.bincount(place, minlength=len(counts))
    return counts.reshape(shape)


def rates(
    counts: NDArray[np.intp], axis: TimeAxis, neurons: int, groups: Groups | None
) -> tuple[list[tuple[Colour, NDArray[np.float64]]], tuple[str, str]]:
    """Return rates as parts of their peak, column by column, and the peak in two texts.

    These are its number and its unit, empty if nobody fired.

    `counts` are the spikes in each column, shape ``(G, columns)``. Without groups, the
    rate is that of all neurons, else there is one for each group.
    """
    each = max(1, math.ceil(BARS * axis.columns / WIDTH))  # columns per value
    starts = np.arange(0, axis.columns, each)
    length = np.full(len(starts), each * axis.width)
    length[-1] = max(axis.span - starts[-1] * axis.width, sys.float_info.min)
    found = np.add.reduceat(counts, starts, axis=1) / length
    if groups is None:
        curves = [(BARE, found[0] / neurons)]
    else:
        curves = [
            (COLOURS[k % len(COLOURS)], found[k] / size)
            for k, size in enumerate(groups.sizes)
        ]
    most = max(float(curve.max()) for _, curve in curves)
    drawn = [
        (colour, np.repeat(curve / (most or 1.0), each)[: axis.columns])
        for colour, curve in curves
    ]
    if not most:
        return drawn, ("", "")
    if axis.seconds is not None:
        return drawn, (canvas.number(most / axis.seconds, 2), "Hz")
    return drawn, (canvas.number(most, 2), "/step")


def _inked(counts: NDArray[np.intp], groups: Groups | None) -> Pixels:
    """Return the colours of cells, from the ground to the ink.

    The most spikes get all of the ink, and each halving less by the same amount, down
    to half of it: the eye perceives ratios, and a single spike must be visible. The ink
    is that of the group with the most spikes in the cell.
    """
    names = () if groups is None else groups.names
    inks = np.array([*(COLOURS[k % len(COLOURS)] for k in range(len(names))), INK])
    whole = counts.sum(axis=0)
    amount = np.zeros(whole.shape)
    fired = whole > 0
    fainter = np.log(whole.max(initial=1) / whole[fired]) / math.log(RANGE)
    amount[fired] = 1 - (1 - FAINTEST) * np.minimum(fainter, 1)
    ground, ink = np.array(GROUND), inks[counts.argmax(axis=0)]
    mixed: Pixels = (ground + (ink - ground) * amount[..., np.newaxis] + 0.5).astype(
        "u1"
    )
    return mixed


def _enlarged(cells: Pixels, height: int, width: int) -> Pixels:
    """Draw each cell as a tick of `height` by `width` pixels."""
    rows, columns, _ = cells.shape
    ticks = np.full((rows, height, columns, width, 3), GROUND, np.uint8)
    ticks[:, height // GAP :] = cells[:, np.newaxis, :, np.newaxis]
    return ticks.reshape(rows * height, columns * width, 3)


def _draw_ranks(pixels: Pixels, found: Spikes, bottom: int, height: int) -> None:
    """Write the lowest rank at the bottom of the raster, the highest one at its top."""
    x = NUMBERS
    canvas.write(pixels, _rank(found.first), x, bottom - LINE + 2, align=1)
    if found.neurons > 1 and height > LINE:
        last = _rank(found.first + found.neurons - 1)
        canvas.write(pixels, last, x, max(bottom - height - 2, 0), align=1)


def _rank(rank: int) -> str:
    text = str(rank)
    return text if canvas.width(text) <= NUMBERS else canvas.fitting(rank, NUMBERS)


def _draw_peak(pixels: Pixels, peak: tuple[str, str], bottom: int) -> None:
    """Write the peak of the rate at its height, and its unit below if need be."""
    number, unit = peak
    whole = number + unit if unit.startswith("/") else f"{number} {unit}"
    lines = [whole] if canvas.width(whole) <= NUMBERS else [number, unit]
    for k, text in enumerate(lines):
        canvas.write(pixels, text, NUMBERS, bottom + 1 + k * LINE, align=1)


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


def _draw_time(pixels: Pixels, axis: TimeAxis, wide: int, y: int) -> None:
    """Draw the time axis, with its unit at the last number."""
    left, end = LEFT, pixels.shape[1] - 2
    pixels[y, left - 1 : left + wide] = AXIS
    low, high = axis.left * axis.scale, (axis.left + axis.span) * axis.scale
    # The time axis is as long as its columns, the last of which may go beyond it.
    length = axis.columns * axis.width * axis.scale
    for most in range(5, 0, -1):
        ticks = canvas.round_ticks(low, high, most)
        texts = canvas.labels(ticks)
        texts[-1] += f" {axis.unit}" if axis.unit else ""
        places = [
            min(round(left + (tick - low) / length * wide), left + wide - 1)
            for tick in ticks
        ]
        widths = [canvas.width(text) for text in texts]
        starts = [
            min(max(place - size // 2, 0), end - size)
            for place, size in zip(places, widths, strict=True)
        ]
        spaces = [
            after - (before + size)
            for before, size, after in zip(starts, widths, starts[1:], strict=False)
        ]
        if len(ticks) > 3 and spaces[-1] < GUTTER:
            texts[-2] = ""  # the unit needs its place
            spaces = spaces[:-2]
        if all(space >= GUTTER for space in spaces):
            break
    for text, place, start in zip(texts, places, starts, strict=True):
        pixels[y : y + TICK + 1, place] = AXIS
        canvas.write(pixels, text, start, y + TICK)


def _draw_names(pixels: Pixels, groups: Groups) -> None:
    """Write the names of groups above the raster, as far as there is room."""
    x = LEFT
    for k, name in enumerate(groups.names):
        colour = COLOURS[k % len(COLOURS)]
        if x + LINE + canvas.width(name) > pixels.shape[1]:
            canvas.write(pixels, "...", x, 0)
            return
        pixels[3:9, x : x + 6] = colour
        canvas.write(pixels, name, x + 10, 0, colour=colour)
        x += canvas.width(name) + LINE + 10
