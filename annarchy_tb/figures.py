"""Matplotlib figures to pixels. The only module that touches matplotlib."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from annarchy_tb.messages import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from annarchy_tb.images import Pixels


def check(figure: object) -> None:
    """Raise if `figure` is not one of matplotlib's."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "add_figure needs matplotlib: pip install matplotlib"
        ) from None
    if not isinstance(figure, Figure):
        hint = "; pass its .figure" if hasattr(figure, "figure") else ""
        raise TypeError(
            f"figure must be a matplotlib Figure, got {describe(figure)}{hint}"
        )


def to_pixels(figure: Figure) -> Pixels:
    """Draw a figure once, at its own size and dpi.

    Returns
    -------
    Pixels
        Shape ``(H, W, 4)``, uint8; they hold until the figure is drawn again. The
        figure keeps the canvas that it had.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas, stale = figure.canvas, figure.stale
    try:
        # The canvas of a window is mostly an Agg canvas too. Drawn as the plain one,
        # its window does not notice.
        agg = canvas if isinstance(canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
        FigureCanvasAgg.draw(agg)  # type: ignore[no-untyped-call]
        return np.asarray(agg.buffer_rgba())  # type: ignore[no-untyped-call]
    finally:
        if figure.canvas is not canvas:
            figure.set_canvas(canvas)
        figure.stale = stale  # a window still has to draw it


def close(figure: object) -> None:
    """Close a figure, if it is one of pyplot's."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and isinstance(figure, pyplot.Figure):
        pyplot.close(figure)
