from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from conftest import points
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from annarchy_tb import Logger, figure_style

mpl.use("agg")

import matplotlib.pyplot as plt


def test_a_figure_is_logged_as_drawn(logger: Logger) -> None:
    """The pixels are those of matplotlib's own renderer."""
    figure = plt.figure(figsize=(3, 2), dpi=50)
    plt.plot([1, 2, 3])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    wanted = np.array(canvas.buffer_rgba())
    logger.add_figure("figure", figure)
    [point] = points(logger.run_dir, "figure")
    assert point.pixels.shape == (100, 150, 4)
    assert (point.pixels == wanted).all()


def test_a_figure_is_closed(logger: Logger) -> None:
    """After add_figure, pyplot knows the figure no more."""
    figure, other = plt.figure(), plt.figure()
    logger.add_figure("figure", figure)
    assert plt.get_fignums() == [other.number]
    plt.close(other)


def test_close_false_leaves_the_figure_as_it_was(logger: Logger) -> None:
    """The figure is open, current, and on its own canvas, also a foreign one."""
    figure = plt.figure()
    canvas = FigureCanvasSVG(figure)
    logger.add_figure("figure", figure, close=False)
    assert figure.canvas is canvas
    assert plt.gcf() is figure
    assert figure.stale  # its window still has to draw it
    logger.add_figure("figure", figure, 1, False)
    plt.close(figure)
    assert len(points(logger.run_dir, "figure")) == 2


class Unable(Figure):
    def draw(self, renderer: object) -> None:
        raise RuntimeError("can't draw")


def test_a_figure_that_fails_to_draw_is_closed_too(logger: Logger) -> None:
    """The error is matplotlib's, nothing is written, and nothing stays open."""
    figure = plt.figure(FigureClass=Unable)
    with pytest.raises(RuntimeError, match="can't draw"):
        logger.add_figure("figure", figure)
    assert not plt.get_fignums()
    logger.add_scalar("figure", 1)  # the tag is still free
    assert len(points(logger.run_dir, "figure")) == 1


def test_a_refused_call_closes_the_figure_too(logger: Logger) -> None:
    """A loop that catches errors does not pile up figures."""
    with pytest.raises(ValueError, match="time="):
        logger.add_figure("figure", plt.figure(), 0.5)
    with pytest.raises(ValueError, match="empty"):
        logger.add_figure("", plt.figure())
    logger.close()
    with pytest.raises(ValueError, match="Logger is closed"):
        logger.add_figure("figure", plt.figure())
    assert not plt.get_fignums()


def test_a_figure_without_pyplot_will_do(logger: Logger) -> None:
    """Figures made by hand are logged alike."""
    logger.add_figure("figure", Figure(figsize=(1, 1), dpi=10))
    assert points(logger.run_dir, "figure")[0].pixels.shape == (10, 10, 4)


@pytest.mark.parametrize("thing", [None, "figure.png", np.zeros((3, 3)), plt])
def test_what_is_no_figure_is_refused(logger: Logger, thing: object) -> None:
    """The error names the method and the tag."""
    with pytest.raises(
        TypeError, match=r"^add_figure\('a'\): figure must be a matplotlib"
    ):
        logger.add_figure("a", thing)


def test_axes_teach_the_figure(logger: Logger) -> None:
    """Who passes axes is told to pass their figure."""
    figure, axes = plt.subplots()
    with pytest.raises(TypeError, match=r"pass its \.figure"):
        logger.add_figure("a", axes)
    plt.close(figure)


def test_without_matplotlib_the_error_says_what_to_install(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is named with its pip install."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        logger.add_figure("a", None)


def test_the_style_holds_inside_its_block_only() -> None:
    """A figure made inside is as wide as a card; others are as they ever were."""
    before = dict(mpl.rcParams)
    with figure_style():
        inside = plt.figure()
        axes = inside.add_subplot()
    assert dict(mpl.rcParams) == before
    outside = plt.figure()
    assert (inside.get_size_inches() * inside.dpi).tolist() == [720, 432]
    assert not axes.spines["top"].get_visible()
    assert outside.get_size_inches().tolist() == before["figure.figsize"]
    plt.close("all")


def test_without_matplotlib_the_style_says_what_to_install() -> None:
    """The error names the command."""
    code = """
import subprocess
import sys
sys.modules["matplotlib"] = None
import annarchy_tb
try:
    annarchy_tb.figure_style()
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "figure_style needs matplotlib: pip install matplotlib\n"
