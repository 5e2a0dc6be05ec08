from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from conftest import load, points
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from annarchy_tb import Logger, figure_style

mpl.use("agg")

import matplotlib.pyplot as plt


def test_a_figure_is_logged_as_drawn(logger: Logger) -> None:
    """The pixels are those of matplotlib's renderer."""
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
    """After add_figure, pyplot no longer knows the figure."""
    figure, other = plt.figure(), plt.figure()
    logger.add_figure("figure", figure)
    assert plt.get_fignums() == [other.number]
    plt.close(other)


def test_close_false_leaves_the_figure_as_it_was(logger: Logger) -> None:
    """The figure stays open, current, and on its own canvas, even a foreign one."""
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
    """The error is matplotlib's; nothing is written or left open."""
    figure = plt.figure(FigureClass=Unable)
    with pytest.raises(RuntimeError, match="can't draw"):
        logger.add_figure("figure", figure)
    assert not plt.get_fignums()
    logger.add_scalar("figure", 1)  # the tag is still free
    assert len(points(logger.run_dir, "figure")) == 1


def test_a_refused_call_leaves_the_figure_open(logger: Logger) -> None:
    """It is neither drawn nor closed, so that a corrected call can log it."""
    figure = plt.figure()
    with pytest.raises(ValueError, match="time="):
        logger.add_figure("figure", figure, 0.5)
    with pytest.raises(ValueError, match="empty"):
        logger.add_figure("", figure)
    with pytest.raises(ValueError, match="empty"):
        logger.add_open_figures("")
    logger.add_figure("figure", figure)
    assert not plt.get_fignums()


def test_a_figure_without_pyplot_will_do(logger: Logger) -> None:
    """Figures made without pyplot are logged the same way."""
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
    """Users who pass axes are told to pass their figure."""
    figure, axes = plt.subplots()
    with pytest.raises(TypeError, match=r"pass its \.figure"):
        logger.add_figure("a", axes)
    plt.close(figure)


def test_without_matplotlib_the_error_says_what_to_install(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error gives the pip command for the missing package."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        logger.add_figure("a", None)


def test_the_style_holds_inside_its_block_only() -> None:
    """Figures made inside are as wide as a card; others are unchanged."""
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
    """The error gives the command."""
    code = """
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


def test_the_figures_of_a_block_are_logged_and_closed(logger: Logger) -> None:
    """This holds only for figures opened inside; the current one is restored."""
    kept, current = plt.figure(), plt.figure()
    plt.figure(kept.number)
    with logger.figures("Activity", 3):
        plt.figure(figsize=(1, 1))
        plt.plot([1, 2, 3])
        plt.figure("weights", figsize=(1, 1))
    assert plt.get_fignums() == [kept.number, current.number]
    assert plt.gcf() is kept
    tags = {point.tag: point.step for point in load(logger.run_dir)}
    assert tags == {"Activity/1": 3, "Activity/weights": 3}
    plt.close("all")


def test_a_single_figure_of_a_block_has_the_tag_itself(logger: Logger) -> None:
    """No figure is open before or afterwards."""
    with logger.figures("Activity", 0):
        figure = plt.figure(figsize=(1, 1), dpi=20)
        plt.plot([1, 2, 3])
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        wanted = np.array(canvas.buffer_rgba())
    [point] = points(logger.run_dir, "Activity")
    assert (point.pixels == wanted).all()
    assert plt.get_fignums() == []


def test_a_block_that_raises_logs_no_figure_that_is_half_drawn(logger: Logger) -> None:
    """They are closed, and the exception propagates."""
    with pytest.raises(ZeroDivisionError), logger.figures("Activity", 0):
        plt.figure()
        raise ZeroDivisionError
    assert load(logger.run_dir) == []
    assert plt.get_fignums() == []


def test_a_block_without_figures_logs_none(logger: Logger) -> None:
    """It does not need matplotlib, either."""
    with logger.figures("Activity", 0):
        pass
    assert load(logger.run_dir) == []


def test_a_bad_step_is_refused_before_the_block(logger: Logger) -> None:
    """It is not refused only after the work is done."""
    with (
        pytest.raises(ValueError, match=r"figures\('Activity'\): step must be a whole"),
        logger.figures("Activity", 0.5),
    ):
        raise AssertionError


def test_open_figures_are_logged_and_closed(logger: Logger) -> None:
    """It does not matter who opened them; equal labels get different tags."""
    for _ in range(2):
        plt.figure(figsize=(1, 1)).set_label("twin")
    logger.add_open_figures("Activity", 5)
    assert plt.get_fignums() == []
    tags = {point.tag: point.step for point in load(logger.run_dir)}
    assert tags == {"Activity/1": 5, "Activity/2": 5}
    logger.add_open_figures("Activity", 6)
    assert len(load(logger.run_dir)) == 2


def test_a_closed_logger_closes_no_open_figures(logdir: Path) -> None:
    """Figures that can't be logged are not thrown away."""
    with Logger(logdir, "run") as logger:
        pass
    plt.figure()
    with pytest.raises(ValueError, match="closed"):
        logger.add_open_figures("Activity")
    assert len(plt.get_fignums()) == 1
    plt.close("all")


def test_what_is_drawn_in_the_style_has_its_sizes() -> None:
    """This includes titles and lines, whose sizes are set when they are drawn."""
    with figure_style():
        figure, axes = plt.subplots()
        [line] = axes.plot([1, 2, 3])
        title = axes.set_title("title")
    assert (title.get_fontsize(), line.get_linewidth()) == (9, 1.2)
    plt.close(figure)


def test_a_tag_of_another_kind_closes_no_figure(logger: Logger) -> None:
    """The call is refused before anything is done."""
    logger.add_scalar("Activity", 1.0)
    plt.figure()
    with pytest.raises(ValueError, match="already holds"):
        logger.add_open_figures("Activity")
    with pytest.raises(ValueError, match="already holds"), logger.figures("Activity"):
        raise AssertionError
    assert len(plt.get_fignums()) == 1
    plt.close("all")
