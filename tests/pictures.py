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
