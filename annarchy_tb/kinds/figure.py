"""Matplotlib figures to pixels. The only module that touches matplotlib."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from annarchy_tb.inputs.messages import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from annarchy_tb.kinds.image import Pixels


# A card of TensorBoard is about 358 x 215 CSS pixels inside. Twice as many are sharp on
# any screen: TensorBoard shrinks without smoothing, and by two that does no harm.
STYLE: dict[Any, Any] = {
    "figure.figsize": (3.6, 2.16),  # inches, so that a point is 1.4 CSS pixels
    "figure.dpi": 200,
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "image.interpolation": "nearest",
}


def figure_style() -> AbstractContextManager[None]:
    """Return a context in which new figures read well on TensorBoard's cards.

    They are as wide as a card (3.6 x 2.16 inches, 720 x 432 pixels), with small type
    that does not overlap. Make and draw the figure inside: matplotlib reads the sizes
    of titles, lines, legends and colour bars when they are drawn. Behind the block, its
    settings are what they were.

    Returns
    -------
    context manager
        ``matplotlib.rc_context`` with these settings; a decorator, too.

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> with figure_style():
    ...     figure, axes = plt.subplots()
    ...     lines = axes.plot([1, 2, 3])
    >>> figure.get_size_inches() * figure.dpi
    array([720., 432.])
    >>> plt.close(figure)
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise _missing("figure_style") from None
    return mpl.rc_context(STYLE)


def _missing(method: str) -> ImportError:
    return ImportError(f"{method} needs matplotlib: pip install matplotlib")


def check(figure: object) -> None:
    """Raise if `figure` is not one of matplotlib's."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise _missing("add_figure") from None
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


@contextmanager
def opened(
    before: Collection[object] | None = None,
) -> Iterator[Callable[[], list[Figure]]]:
    """Close pyplot's figures that were not open before, whatever happens in the block.

    Gives a function that returns them. What was current is so again afterwards.

    Parameters
    ----------
    before
        The managers of figures that stay; by default all that are open now.
    """
    kept = set(_managers() if before is None else before)
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    current = helpers.Gcf.get_active() if helpers else None

    def found() -> list[Figure]:
        return [m.canvas.figure for m in _managers() if m not in kept]

    try:
        yield found
    finally:
        for figure in found():
            close(figure)
        if helpers and current in _managers():
            helpers.Gcf.set_active(current)


def _managers() -> list[Any]:
    """Return what pyplot has of each of its figures, in the order of their numbers."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")  # pyplot imports it
    found = helpers.Gcf.get_all_fig_managers() if helpers else []
    return sorted(found, key=lambda manager: manager.num)


def named(tag: str, found: Sequence[Figure]) -> list[tuple[str, Figure]]:
    """Return figures with tags of their own: `tag` itself, if there is only one."""
    if len(found) == 1:
        return [(tag, found[0])]
    labels = [str(f.get_label()) or str(n) for n, f in enumerate(found, 1)]
    if len(set(labels)) < len(labels):
        labels = [str(n) for n in range(1, len(found) + 1)]
    return [(f"{tag}/{label}", f) for label, f in zip(labels, found, strict=True)]


def close(figure: object) -> None:
    """Close a figure, if it is one of pyplot's."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and isinstance(figure, pyplot.Figure):
        pyplot.close(figure)
