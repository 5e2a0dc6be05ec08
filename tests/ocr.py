"""Reading of the text in pictures of spikes and matrices, by Tesseract."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annarchy_tb.kinds import canvas, matrix_plot, spike_plot

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="needs tesseract; CI installs it"
)

APART = 8  # blank columns between two texts; words of one text are closer


def read(pieces: list[np.ndarray]) -> list[str]:
    """Return the text of each piece of a picture, read at twice its size."""
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for number, piece in enumerate(pieces):
            padded = np.pad(piece, ((10, 10), (10, 10), (0, 0)), constant_values=255)
            image = Image.fromarray(padded).convert("L")
            size = 2 * image.width, 2 * image.height
            paths.append(str(Path(directory, f"{number}.png")))
            image.resize(size, Image.Resampling.LANCZOS).save(paths[-1], dpi=(144, 144))
        listed = Path(directory, "list.txt")
        listed.write_text("\n".join(paths) + "\n")
        done = subprocess.run(
            ["tesseract", str(listed), "-", "--psm", "7"],  # a line of text each
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            text=True,
        )
    found = done.stdout.split("\f")[: len(pieces)]
    return [" ".join(text.split()) for text in found]


def lines(part: np.ndarray) -> list[np.ndarray]:
    """Return the texts in a part of a picture, from the top, and from the left."""
    dark = part.min(axis=-1) < 200
    return [
        part[rows, columns]
        for rows in _runs(dark.any(axis=1), 1)
        for columns in _runs(dark[rows].any(axis=0), APART)
    ]


def _runs(there: np.ndarray, gap: int) -> list[slice]:
    """Return the runs of True, less than so many False apart."""
    places = np.flatnonzero(there)
    if not len(places):
        return []
    parts = np.split(places, np.flatnonzero(np.diff(places) > gap) + 1)
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def raster(pixels: np.ndarray) -> dict[str, list[str]]:
    """Return the texts of a raster: of its ``ranks``, ``rate``, ``time`` and groups.

    The ranks come with the highest one first.
    """
    axis = (pixels == canvas.AXIS).all(axis=-1)
    left = spike_plot.LEFT
    bottom, foot = np.flatnonzero(axis[:, left : left + 30].all(axis=1))
    head = pixels[: canvas.LINE - 1, left:].copy()
    for x in range(head.shape[1] - 6):
        square = head[3:9, x : x + 6]
        if (square == square[0, 0]).all():
            square[:] = 255
    parts = {
        "ranks": pixels[:bottom, : left - 1],
        "rate": pixels[bottom + 1 : foot - 1, : left - 1],
        "time": pixels[foot + spike_plot.TICK + 1 :],
        "groups": head if (head != 255).any() else pixels[:0],
    }
    return _read(parts)


def matrix(pixels: np.ndarray) -> dict[str, list[str]]:
    """Return the texts of a matrix: of its ``rows``, ``columns`` and its ``bar``."""
    axis = (pixels == canvas.AXIS).all(axis=-1)
    top = matrix_plot.TOP
    sides = np.flatnonzero(axis[top : top + 8].all(axis=0))
    left, right = sides[:2]
    below = top + int(axis[top:, left].argmin())
    bar = sides[-1] if len(sides) > 2 else pixels.shape[1] - 1
    parts = {
        "rows": pixels[:, :left],
        "columns": pixels[below:, left : right + 2],
        "bar": pixels[:, bar + 1 :],
    }
    return _read(parts)


def _read(parts: dict[str, np.ndarray]) -> dict[str, list[str]]:
    pieces = {name: lines(part) for name, part in parts.items()}
    texts = iter(read([piece for its in pieces.values() for piece in its]))
    return {name: [next(texts) for _ in its] for name, its in pieces.items()}


def numbers(texts: list[str]) -> list[float]:
    """Return texts as numbers, whose letters can't be meant."""
    alike = str.maketrans("lI|OoS", "111005", " ")
    return [float(text.translate(alike)) for text in texts]
