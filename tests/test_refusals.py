"""A call that is refused does nothing: no work, no warning, nothing spent or closed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import load, points, scalars

import annarchy_tb
from annarchy_tb import Logger

mpl.use("agg")

PACKAGE = Path(annarchy_tb.__file__).parent

# The modules that a call may enter before it is refused.
CHECKS = {"entry.py", "tags.py", "ledger.py", "state.py", "clock.py", "messages.py"}
CHECKS |= {"order.py", "directory.py", "names.py", "event_file.py", "scan.py"}
CHECKS |= {"backlog.py", "history.py", "recordings.py", "recorder.py", "folder.py"}
# What turns a step, and a list of steps, into numbers.
ONE = {"one", "as_numpy"}
ARRAY = {"as_column", "numbers", "is_opaque", "unnested", "is_nest", "plain_types"}
ARRAY |= {"_levels", "wide_type", "number_type"}
ARRAY |= {
    "plain",
    "separate",
    "_first",
    "_items",
    "<genexpr>",
    "__missing__",
    "is_quantity",
}
# The functions of other modules that it may call: itself, and some for its arguments.
OWN: dict[str, set[str]] = {
    "add_scalar": {"_add_scalar_checked"},
    "add_scalars": {
        *("_add_scalars_checked", "as_names", "__init__"),
        *("ignores_case", "limits", "_path"),  # where its curves are
    },
    "log": {"log_for", "_log_checked", "as_names", "is_measure"},
    "add_metrics": {"_metrics", "as_names"},
    "add_series": {"as_count", *ARRAY},
    "window": {"__init__", "_entry"},
}

MESSAGES = {
    "bad step": "whole number",
    "taken tag": "already holds",
    "closed": "is closed",
    "bad tag": "tag must",
}

# Calls with data that must not be looked at, with a tag and a step.
Call = Callable[[Logger, str, Any], object]
CALLS: dict[str, Call] = {
    "add_scalar": lambda logger, tag, step: logger.add_scalar(tag, [1, 2], step),
    "add_scalars": lambda logger, tag, step: logger.add_scalars(tag, {"a": "1"}, step),
    "log": lambda logger, tag, step: logger.log({tag: "1"}, step),
    "add_series": lambda logger, tag, step: logger.add_series(
        tag, "none", None if step is None else [step]
    ),
    "add_histogram": lambda logger, tag, step: logger.add_histogram(tag, "none", step),
    "add_image": lambda logger, tag, step: logger.add_image(tag, [[5.0]], step),
    "add_images": lambda logger, tag, step: logger.add_images(tag, [[[5.0]]], step),
    "add_figure": lambda logger, tag, step: logger.add_figure(tag, plt.gcf(), step),
    "figures": lambda logger, tag, step: logger.figures(tag, step).__enter__(),
    "add_open_figures": lambda logger, tag, step: logger.add_open_figures(tag, step),
    "add_raster": lambda logger, tag, step: logger.add_raster(tag, "none", step),
    "add_matrix": lambda logger, tag, step: logger.add_matrix(tag, "none", step),
    "add_audio": lambda logger, tag, step: logger.add_audio(tag, [5.0], step),
    "add_text": lambda logger, tag, step: logger.add_text(tag, 5, step),  # type: ignore
    "add_html": lambda logger, tag, step: logger.add_html(tag, 5, step),  # type: ignore
    "add_metrics": lambda logger, tag, step: logger.add_metrics({tag: "1"}),
    "window": lambda logger, tag, step: logger.window(tag, every=0),
}
WITHOUT_STEP = ("add_metrics", "window")  # a window's values have them


@pytest.mark.parametrize(
    ("method", "how"),
    [
        (method, how)
        for method in CALLS
        for how in ("bad step", "taken tag", "bad tag", "closed")
        if not (how == "bad step" and method in WITHOUT_STEP)
        if not (how == "taken tag" and method == "add_scalars")  # curves have one kind
    ],
)
def test_a_refused_call_does_nothing(method: str, how: str, logger: Logger) -> None:
    """No data is looked at, no warning is given, no figure is closed."""
    numbers = ("add_scalar", "log", "add_series", "add_metrics", "window")
    logger.add_text("text", "a", 0)
    logger.add_scalar("number", 1.0, 0)
    before = [(point.tag, point.step) for point in load(logger.run_dir)]
    if how == "closed":
        logger.close()
    taken = "text" if method in numbers else "number"
    tag = {"taken tag": taken, "bad tag": ""}.get(how, "new")
    figure, seen = plt.figure(), set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        own = event == "call" and path.is_relative_to(PACKAGE)
        if own and path.name not in CHECKS:
            seen.add(frame.f_code.co_name)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sys.setprofile(profile)
        try:
            with pytest.raises((TypeError, ValueError), match=MESSAGES[how]):
                CALLS[method](logger, tag, 0.5 if how == "bad step" else None)
        finally:
            sys.setprofile(None)
    try:
        assert seen - {"<listcomp>", "<genexpr>", "<dictcomp>"} <= {
            method,
            *ONE,
            *OWN.get(method, ()),
        }
        assert plt.get_fignums() == [figure.number]
        assert [(point.tag, point.step) for point in load(logger.run_dir)][
            : len(before)
        ] == before
    finally:
        plt.close(figure)


def test_each_method_that_logs_is_here() -> None:
    """A new kind is tried, too."""
    methods = {name for name in vars(Logger) if name.startswith("add_")}
    assert methods - {"add_parameters"} <= CALLS.keys()  # which has no tag


# -- warnings --------------------------------------------------------------------------

# Calls that warn about their data.
WARNING: dict[str, Call] = {
    "add_scalar": lambda logger, tag, step: logger.add_scalar(tag, 1e39, step),
    "add_scalars": lambda logger, tag, step: logger.add_scalars(tag, {"a": 1e39}, step),
    "log": lambda logger, tag, step: logger.log({tag: 1e39, "b": 2.0}, step),
    "add_series": lambda logger, tag, step: logger.add_series(tag, [1e39], [step]),
    "add_histogram": lambda logger, tag, step: logger.add_histogram(
        tag, [1.0, np.nan], step
    ),
    "add_image": lambda logger, tag, step: logger.add_image(tag, [[5.0]], step),
    "add_images": lambda logger, tag, step: logger.add_images(tag, [[[5.0]]], step),
    "add_raster": lambda logger, tag, step: logger.add_raster(
        tag, {0: [1, 9]}, step, duration=5
    ),
    "add_matrix": lambda logger, tag, step: logger.add_matrix(tag, [[np.inf]], step),
    "add_audio": lambda logger, tag, step: logger.add_audio(tag, [5.0], step),
    "add_html": lambda logger, tag, step: logger.add_html(tag, "<script>1", step),
}


@pytest.mark.parametrize("method", WARNING)
def test_a_refused_call_spends_no_warning(method: str, logger: Logger) -> None:
    """The next call, which is right, warns."""
    call = WARNING[method]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="whole number"):
            call(logger, "tag", 0.5)
    with pytest.warns(UserWarning, match="tag"):
        call(logger, "tag", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(logger, "tag", 1)  # once a tag


@pytest.mark.parametrize("method", WARNING)
def test_a_warning_that_is_an_error_refuses_the_call(
    method: str, logger: Logger
) -> None:
    """Nothing is written, the tag is free, and the next call warns again."""
    call = WARNING[method]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(UserWarning, match="tag"):
                call(logger, "tag", 7)
    assert load(logger.run_dir) == []
    with pytest.warns(UserWarning, match="tag"):
        call(logger, "tag", 0)  # before step 7, which was not entered


def test_a_step_that_goes_back_is_refused_where_warnings_are_errors(
    logger: Logger,
) -> None:
    """The point is not written, and the last step is still that of the tag."""
    for step in (0, 5):
        logger.add_scalar("a", step, step)
        logger.log({"b": step, "c": step}, step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(UserWarning, match="step 3 comes after step 5"):
                logger.add_scalar("a", 3, 3)
            with pytest.raises(UserWarning, match="step 3 comes after step 5"):
                logger.log({"b": 3, "c": 3}, 3)
    logger.add_scalar("a", 6)
    assert scalars(logger.run_dir, "a") == [(0, 0), (5, 5), (6, 6)]
    assert scalars(logger.run_dir, "b") == [(0, 0), (5, 5)]


# -- data ------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [[], [np.nan], np.nan])
def test_the_arguments_are_checked_whatever_the_data_are(
    data: Any, logger: Logger
) -> None:
    """Also where nothing would be written."""
    logger.add_text("text", "a")
    with pytest.raises(ValueError, match="step must be a whole number"):
        logger.add_histogram("h", data, 0.5)
    with pytest.raises(TypeError, match="time must be a number"):
        logger.add_histogram("h", data, time="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="already holds"):
        logger.add_histogram("text", data)
    with pytest.raises(ValueError, match="already holds"):
        logger.add_series("text", [])
    with pytest.raises(ValueError, match="times must have the length"):
        logger.add_series("new", [], times=[1.0])
    with pytest.raises(ValueError, match="already holds"):
        logger.log({"text": 1.0})


def test_an_array_is_not_shown_unless_it_is_refused(logger: Logger) -> None:
    """The text of an error may take long, and is made for an error only."""

    class Quiet(list[float]):
        def __repr__(self) -> str:
            raise AssertionError("shown")

        def __len__(self) -> int:
            return super().__len__()

    logger.add_series("a", Quiet([1.0, 2.0]))
    logger.add_image("b", Quiet([[1.0]]))  # type: ignore[list-item]
    assert scalars(logger.run_dir, "a") == [(0, 1), (1, 2)]


@pytest.mark.parametrize("method", ["add_audio", "add_text", "add_html", "add_image"])
def test_every_kind_can_be_described(method: str, logger: Logger) -> None:
    """The description is in its first event."""
    data: dict[str, Any] = {
        "add_audio": [0.5, 0.25],
        "add_text": "a",
        "add_html": "<p>a",
        "add_image": [[1.0]],
    }
    logger.describe("tag", "in mV")
    for step in range(2):
        getattr(logger, method)("tag", data[method], step)
    first, second = points(logger.run_dir, "tag")
    assert first.proto.metadata.summary_description == "in mV"
    assert [first.step, second.step] == [0, 1]


def test_tags_that_are_logged_together_are_named_and_warned_of(logger: Logger) -> None:
    """Each group of tags once, and not once a run."""
    for tags in ("ab", "cd"):
        logger.log(dict.fromkeys(tags, 1.0), 5)
        with pytest.warns(UserWarning, match=rf"log\('{', '.join(tags)}'\): step 3 "):
            logger.log(dict.fromkeys(tags, 1.0), 3)


def test_figures_stay_open_if_a_warning_refuses_them(logger: Logger) -> None:
    """None of them is drawn, logged or closed."""
    logger.add_image("g/2", [[1.0]], 5)
    logger.add_image("one", [[1.0]], 5)
    before = len(load(logger.run_dir))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            plt.figure()
        with pytest.raises(UserWarning, match=r"add_open_figures\('g/2'\): step 3"):
            logger.add_open_figures("g", 3)
        with pytest.raises(UserWarning, match=r"add_figure\('one'\): step 3"):
            logger.add_figure("one", plt.gcf(), 3)
    assert len(plt.get_fignums()) == 2
    assert len(load(logger.run_dir)) == before
    plt.close("all")


def test_a_described_series_beyond_single_precision_warns_as_others_do(
    logger: Logger,
) -> None:
    """NumPy's own warning stays inside."""
    logger.describe("s", "in mV")
    with pytest.warns(UserWarning, match="beyond single precision") as caught:
        logger.add_series("s", [1e39, 2.0])
    assert len(caught) == 1
