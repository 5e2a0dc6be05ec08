"""Reading of the pictures that are drawn of spikes and matrices."""

from __future__ import annotations

import numpy as np

from annarchy_tb.kinds import canvas, matrix_plot, spike_plot

INK, GROUND = np.array(canvas.INK), np.array(canvas.GROUND)


def plot(pixels: np.ndarray) -> np.ndarray:
    """Return the part of a picture that shows spikes, without the axes."""
    axis = (pixels == canvas.AXIS).all(axis=-1)
    left = spike_plot.LEFT
    bottom = int(np.flatnonzero(axis[:, left : left + 30].all(axis=1))[0])
    wide = int(axis[bottom, left:].argmin()) or pixels.shape[1] - left
    top = int(axis[:, left - 1].argmax())
    return pixels[top:bottom, left : left + wide]


def cells(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the part of the ink in each tick, neuron 0 first."""
    found = plot(pixels)
    height, width = found.shape[0] // rows, found.shape[1] // columns
    assert found.shape[:2] == (rows * height, columns * width)
    ticks = found[height - 1 :: height, ::width][::-1].astype(float)
    return ((GROUND - ticks) / (GROUND - INK)).mean(axis=-1).round(2)


def cells_of(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the colours of the cells in a picture of a matrix of this shape."""
    left = canvas.width(str(rows - 1)) + 2 * matrix_plot.SPACE
    room = canvas.WIDTH - left - matrix_plot.RIGHT
    side = min(room // columns, (canvas.HEIGHT - matrix_plot.TOP - 15) // rows)
    top = matrix_plot.TOP
    found = pixels[top : top + side * rows : side, left : left + side * columns : side]
    assert found.shape == (rows, columns, 3)
    return found


def says(pixels: np.ndarray, text: str) -> bool:
    """Return whether a picture has a text somewhere, in ink on a blank ground."""
    lines = canvas.blank(canvas.width(text), canvas.LINE)
    canvas.write(lines, text, 0, 0)
    written = lines[canvas.DIGITS]
    parts = np.lib.stride_tricks.sliding_window_view(
        pixels.mean(axis=-1), written.shape[:2]
    )
    return bool((parts == written.mean(axis=-1)).all(axis=(2, 3)).any())


def peak(times: np.ndarray, neurons: int, start: float, span: float) -> float:
    """Return the greatest number of spikes of a neuron and unit of time in the strip.

    It is that of any four columns, from the left, for times that are no whole numbers.
    """
    bars = np.arange(0, spike_plot.PLOT + 4, 4) * span / spike_plot.PLOT
    bars[-1] = span
    counts, edges = np.histogram(np.asarray(times) - start, bars)
    return float((counts / np.diff(edges)).max() / neurons)


def tints(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where ticks are blue, and where they are orange: the first two groups."""
    red, _, blue = np.moveaxis(plot(pixels).astype(int), -1, 0)
    return blue > red, red > blue
