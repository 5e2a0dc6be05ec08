"""Matplotlib figures: drawn, logged as images, and closed."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import _GeneratorContextManager, contextmanager
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds import image
from annarchy_tb.kinds.levels import Pixels
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents.schema import IMAGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from annarchy_tb.logger import Logger


# TensorBoard's cards are about 358 x 215 CSS pixels inside. Twice as many are sharp on
# any screen: TensorBoard shrinks without smoothing, which is harmless by a factor of 2.
STYLE: dict[Any, Any] = {
    "figure.figsize": (3.6, 2.16),  # inches; a point is then 1.4 CSS pixels
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


def figure_style() -> _GeneratorContextManager[None]:
    """Return a context in which new figures are readable on TensorBoard's cards.

    The figures are as wide as a card (3.6 x 2.16 inches, 720 x 432 pixels), with small
    type that does not overlap. Create and draw the figure inside the block: matplotlib
    reads the sizes of titles, lines, legends and colour bars when they are drawn. After
    the block, its settings are restored.

    Returns
    -------
    context manager
        ``matplotlib.rc_context`` with these settings; it can be used as a decorator.

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
    mpl = optional("matplotlib", "figure_style", "matplotlib")
    context: _GeneratorContextManager[None] = mpl.rc_context(STYLE)
    return context


# -- logging ---------------------------------------------------------------------------


def add_figure(
    self: Logger,
    tag: str,
    figure: Figure,
    step: SupportsFloat | None = None,
    close: bool = True,
    *,
    time: Time | None = None,
) -> None:
    """Log a matplotlib figure as an image, and close it.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    figure : matplotlib.figure.Figure
        It is drawn once, at its own size and dpi; there is no need to show it.
    close : bool, default True
        Close the figure, even if drawing it fails; if the call is refused because of
        its arguments, the figure stays open. With False, the figure and its window are
        left as they were.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    with Entry(self._run, "add_figure", tag, IMAGE, step, time) as entry:
        check(figure)
    _write([(entry, tag, figure)], [figure] if close else [])


@contextmanager
def figures(
    self: Logger,
    tag: str,
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> Iterator[None]:
    """Log and close the pyplot figures that are opened in a ``with`` block.

    Figures that were open before stay open, and the current one becomes current again.
    If the block raises, its figures are closed and not logged.

    Parameters
    ----------
    tag, step, time
        See `Logger`. A single figure gets the tag itself. Several get the tags
        ``<tag>/<label>``, with the label given in ``plt.figure("label")`` or, without
        one, the figure's number, counted from 1. If two labels are equal, all figures
        get numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from annarchy_tb import Logger
    >>> with Logger("runs", "figures") as logger:
    ...     with logger.figures("Activity", 0):
    ...         _ = plt.plot([1, 2, 3])
    """
    Entry(
        self._run, "figures", tag, IMAGE, step, time, clocked=False
    )  # raise before the block runs
    before, current = _managers(), _current()
    try:
        yield
        opened = _figures(before)
        _write(_entries(self, "figures", tag, opened, step, time), opened)
    finally:
        for figure in _figures(before):
            close(figure)
        if current in _managers():
            _helpers().Gcf.set_active(current)


def add_open_figures(
    self: Logger,
    tag: str,
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log and close all figures of pyplot that are open.

    Parameters
    ----------
    tag, step, time
        See `Logger`, and `figures` for the tags of several figures. If no figure is
        open, nothing is written.
    """
    method = "add_open_figures"
    Entry(
        self._run, method, tag, IMAGE, step, time, clocked=False
    )  # raise even if none is open
    opened = _figures()
    _write(_entries(self, method, tag, opened, step, time), opened)


def _entries(
    self: Logger,
    method: str,
    tag: str,
    opened: Sequence[Figure],
    step: SupportsFloat | None,
    time: Time | None,
) -> list[tuple[Entry, str, Figure]]:
    return [
        (Entry(self._run, method, name, IMAGE, step, time), name, figure)
        for name, figure in named(tag, opened)
    ]


def _write(
    entries: Sequence[tuple[Entry, str, Figure]], closing: Iterable[Figure]
) -> None:
    for entry, _, _ in entries:
        entry.check_order()  # a warning that is an error leaves all figures open
    try:
        for entry, name, figure in entries:
            image.write(entry, name, draw(figure))
    finally:
        for figure in closing:
            close(figure)


# -- matplotlib ------------------------------------------------------------------------


def check(figure: object) -> None:
    """Raise TypeError if `figure` is not a matplotlib figure."""
    expected = optional("matplotlib.figure", "add_figure", "matplotlib").Figure
    if not isinstance(figure, expected):
        hint = "; pass its .figure" if hasattr(figure, "figure") else ""
        raise TypeError(
            f"figure must be a matplotlib Figure, got {describe(figure)}{hint}"
        )


def draw(figure: Figure) -> Pixels:
    """Draw a figure once, at its own size and dpi.

    Returns
    -------
    Pixels
        Shape ``(H, W, 4)``, uint8; they are valid until the figure is drawn again. The
        figure keeps its canvas.
    """
    with importing:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas, stale = figure.canvas, figure.stale
    try:
        # The canvas of a window is usually an Agg canvas, too. Calling Agg's own draw
        # leaves the window unaffected.
        agg = canvas if isinstance(canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
        FigureCanvasAgg.draw(agg)  # type: ignore[no-untyped-call]
        return np.asarray(agg.buffer_rgba())  # type: ignore[no-untyped-call]
    finally:
        if figure.canvas is not canvas:
            figure.set_canvas(canvas)
        figure.stale = stale  # a window still has to draw it


def _helpers() -> Any:
    """Return the module that holds pyplot's figures, None if it is not loaded."""
    return sys.modules.get("matplotlib._pylab_helpers")


def _managers() -> list[Any]:
    """Return pyplot's figure managers, in the order of their numbers."""
    found = _helpers().Gcf.get_all_fig_managers() if _helpers() else []
    return sorted(found, key=lambda manager: manager.num)


def _current() -> Any:
    return _helpers().Gcf.get_active() if _helpers() else None


def _figures(before: Collection[Any] = ()) -> list[Figure]:
    """Return pyplot's figures, except those of the managers in `before`."""
    kept = set(before)
    return [manager.canvas.figure for manager in _managers() if manager not in kept]


def named(tag: str, found: Sequence[Figure]) -> list[tuple[str, Figure]]:
    """Pair each figure with its tag: `tag` itself if there is only one."""
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
