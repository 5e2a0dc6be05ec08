"""Warnings point at the user's line, whichever method raises them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from annarchy_tb import Logger

mpl.use("agg")


def figure() -> Figure:
    """Return a small figure that pyplot does not know."""
    return Figure((0.2, 0.2))


def in_figures(logger: Logger) -> None:
    import matplotlib.pyplot as plt

    with logger.figures("t", 0):
        plt.figure(figsize=(0.2, 0.2))


def in_open_figures(logger: Logger) -> None:
    import matplotlib.pyplot as plt

    plt.figure(figsize=(0.2, 0.2))
    logger.add_open_figures("t", 0)


def in_window(logger: Logger) -> None:
    window = logger.window("t")
    window.add(1.0, step=0)
    window.flush()


def lost(logger: Logger) -> None:
    for path in logger.run_dir.glob("events*"):
        path.unlink()
    logger.close()


# For each method, a preparation and a call that warns.
CALLS: dict[str, tuple[Callable[[Logger], object], Callable[[Logger], object]]] = {
    "add_scalar": (
        lambda logger: logger.add_scalar("t", 1.0, 5),
        lambda logger: logger.add_scalar("t", 1.0, 0),
    ),
    "add_scalars": (
        lambda logger: logger.add_scalars("t", {"a": 1.0}, 5),
        lambda logger: logger.add_scalars("t", {"a": 1.0}, 0),
    ),
    "log": (
        lambda logger: logger.log({"t": 1.0, "u": 1.0}, 5),
        lambda logger: logger.log({"t": 1.0, "u": 1.0}, 0),
    ),
    "add_series": (
        lambda logger: None,
        lambda logger: logger.add_series("t", [1.0, 2.0], [1, 0]),
    ),
    "add_histogram": (
        lambda logger: None,
        lambda logger: logger.add_histogram("t", [1.0, np.nan]),
    ),
    "add_image": (
        lambda logger: None,
        lambda logger: logger.add_image("t", [[2.0]]),
    ),
    "add_images": (
        lambda logger: None,
        lambda logger: logger.add_images("t", [[[2.0]]]),
    ),
    "add_figure": (
        lambda logger: logger.add_figure("t", figure(), 5),
        lambda logger: logger.add_figure("t", figure(), 0),
    ),
    "figures": (lambda logger: logger.add_figure("t", figure(), 5), in_figures),
    "add_open_figures": (
        lambda logger: logger.add_figure("t", figure(), 5),
        in_open_figures,
    ),
    "add_raster": (
        lambda logger: None,
        lambda logger: logger.add_raster("t", {0: [1, 9]}, duration=5),
    ),
    "add_matrix": (
        lambda logger: None,
        lambda logger: logger.add_matrix("t", [[1.0, np.inf]]),
    ),
    "add_text": (
        lambda logger: logger.add_text("t", "a", 5),
        lambda logger: logger.add_text("t", "a", 0),
    ),
    "add_html": (
        lambda logger: None,
        lambda logger: logger.add_html("t", "<script>1</script>"),
    ),
    "add_audio": (
        lambda logger: None,
        lambda logger: logger.add_audio("t", [2.0]),
    ),
    "add_parameters": (
        lambda logger: None,
        lambda logger: logger.add_parameters({}, {"t": 1e39}),
    ),
    "add_metrics": (
        lambda logger: None,
        lambda logger: logger.add_metrics({"t": 1e39}),
    ),
    "window": (lambda logger: logger.add_scalar("t", 1.0, 5), in_window),
    "close": (lambda logger: None, lost),
}

# Methods that never warn: they succeed or raise.
SILENT = {
    *("describe", "flush", "load_checkpoint", "path", "phase", "save_checkpoint"),
    "track",
}


def test_each_public_method_is_here() -> None:
    """A new method must be listed here, too."""
    methods = {
        name
        for name, member in inspect.getmembers(Logger, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods == CALLS.keys() | SILENT


@pytest.mark.parametrize("method", CALLS)
def test_a_warning_points_at_the_users_line(method: str, tmp_path: Path) -> None:
    """Its file is this one, and its line is within the call."""
    first, call = CALLS[method]
    logger = Logger(tmp_path, "run")
    first(logger)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(logger)
    logger.close()
    assert caught
    for warning in caught:
        assert warning.filename == __file__
        lines, start = inspect.getsourcelines(call)
        assert start <= warning.lineno < start + len(lines)


def image(logger: Logger, tag: str) -> None:
    logger.add_image(tag, np.eye(2))


def sound(logger: Logger, tag: str) -> None:
    logger.add_audio(tag, np.zeros(9))


def raster(logger: Logger, tag: str) -> None:
    logger.add_raster(tag, {0: [1.0]})


@pytest.mark.parametrize("log", [image, sound, raster])
@pytest.mark.parametrize("odd", ['a "b"', "a\\b", "a\nb", "a\x1b]0;b"])
def test_names_that_hide_images_are_warned_of(
    logdir: Path, log: Callable[[Logger, str], None], odd: str
) -> None:
    """Once a tag, and once for the name of the run, also if it is in a directory."""
    with Logger(logdir, "plain") as logger:
        with pytest.warns(
            UserWarning, match="the tag has a quote.*error 400"
        ) as caught:
            log(logger, odd)
            log(logger, odd)
        log(logger, "plain: \u202e, \x7f")  # these are shown
        logger.add_scalar(f"number {odd}", 1.0)
        assert [warning.filename for warning in caught] == [__file__]
    for name in (odd, f"{odd}/run"):
        with Logger(logdir / "below", name) as logger:
            logger.add_scalar("number", 1.0)
            with pytest.warns(
                UserWarning, match="the run's name has a quote"
            ) as caught:
                log(logger, "a")
                log(logger, "b")
            assert len(caught) == 1
