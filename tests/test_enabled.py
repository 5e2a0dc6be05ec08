"""A Logger that is disabled refuses what an enabled one refuses, and writes nothing."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import in_child, open_descriptors, scalars, without_rights
from test_refusals import CALLS as REFUSED
from test_refusals import MESSAGES, WITHOUT_STEP
from test_warnings import CALLS as WARNING

from annarchy_tb import Logger, Run, SummaryWriter
from annarchy_tb.hooks.sampling import Sampler, checked, function

mpl.use("agg")

Call = Callable[[Logger], Any]


@pytest.fixture
def disabled(logdir: Path) -> Any:
    """Return an open Logger that is disabled."""
    with Logger(logdir, "run", enabled=False) as logger:
        yield logger


def everything(directory: Path) -> set[str]:
    """Return the paths of all there is in a directory."""
    return {str(path) for path in directory.rglob("*")}


def outcome(call: Call, logger: Logger) -> Any:
    """Return what a call returns, or its error."""
    try:
        return call(logger)
    except Exception as error:
        return type(error), str(error)


def figure() -> Any:
    return plt.figure(figsize=(0.2, 0.2))


def keeping_a_figure(logger: Logger) -> int:
    kept = figure()
    logger.add_figure("figure", kept, close=False)
    number = len(plt.get_fignums())
    plt.close(kept)
    return number


def in_figures(logger: Logger) -> None:
    with logger.figures("figures"):
        figure()


def of_open_figures(logger: Logger) -> None:
    figure()
    logger.add_open_figures("open figures")


def in_window(logger: Logger) -> list[int]:
    held = []
    with logger.window("window", every=2) as window:
        for value in range(3):
            window.add(value)
            held.append(len(window))
    return [*held, len(window)]


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("my own")


# Calls of each public method in turn: right ones, and wrong ones of all sorts.
ALIKE: dict[str, list[Call]] = {
    "add_scalar": [
        lambda logger: logger.add_scalar("scalar", 1),
        lambda logger: logger.add_scalar("scalar", 2),
        lambda logger: logger.add_scalar("scalar", np.float32(2), 7, time=3.0),
        lambda logger: logger.add_scalar("scalar", "2"),  # type: ignore[arg-type]
        lambda logger: logger.add_scalar("scalar", 2, 0.5),
        lambda logger: logger.add_scalar("scalar", 2, 2**63 - 1),
        lambda logger: logger.add_scalar("scalar", 2),  # there is no later step
        lambda logger: logger.add_scalar("scalar", 2, time=np.nan),
        lambda logger: logger.add_scalar(5, 2),  # type: ignore[arg-type]
    ],
    "add_scalars": [
        lambda logger: logger.add_scalars("plot", {"a": 1, "b": 2}),
        lambda logger: logger.add_scalars("plot", {"a": 1, "b": 2}, 5),
        lambda logger: logger.add_scalars("plot", {"a": 1, "b": None}),  # type: ignore
        lambda logger: logger.add_scalars("plot", {5: 1}),  # type: ignore[dict-item]
        lambda logger: logger.add_scalars("plot", [1]),  # type: ignore[arg-type]
        lambda logger: logger.add_scalars("plot", {"": 1}),
        lambda logger: logger.add_scalars("plot", {"../c": 1, "run.json": 2}),
    ],
    "log": [
        lambda logger: logger.log({"x": 1, "y": 2}),
        lambda logger: logger.log({"x": 1, "y": 2}, time=1.0),
        lambda logger: logger.log({"x": 1, "y": "2"}),  # type: ignore[dict-item]
        lambda logger: logger.log({"plot": 1, "scalar": 2}),
        lambda logger: logger.log({}),
        lambda logger: logger.log("x"),  # type: ignore[arg-type]
    ],
    "add_series": [
        lambda logger: logger.add_series("series", np.arange(3000)),
        lambda logger: logger.add_series(["k", "l"], np.ones((3, 2)), times=[1, 2, 3]),
        lambda logger: logger.add_series("series", np.ones((3, 2))),
        lambda logger: logger.add_series("series", [1.0, 2.0], [1]),
        lambda logger: logger.add_series("series", [1.0], shown=1),
        lambda logger: logger.add_series(["k", "k"], np.ones((3, 2))),
    ],
    "add_histogram": [
        lambda logger: logger.add_histogram("histogram", [[1, 2], [3]]),
        lambda logger: logger.add_histogram("histogram", []),
        lambda logger: logger.add_histogram("histogram", "many"),
        lambda logger: logger.add_histogram("scalar", [1]),
    ],
    "add_image": [
        lambda logger: logger.add_image("image", np.eye(3)),
        lambda logger: logger.add_image("image", np.eye(3), equalize=True),
        lambda logger: logger.add_image("image", [1.0]),
        lambda logger: logger.add_image("scalar", np.eye(3)),
    ],
    "add_images": [
        lambda logger: logger.add_images("images", np.ones((3, 2, 2))),
        lambda logger: logger.add_images("images", np.eye(3)),
    ],
    "add_figure": [
        lambda logger: logger.add_figure("figure", figure()),
        lambda logger: logger.add_figure("figure", 5),  # type: ignore[arg-type]
        keeping_a_figure,
    ],
    "figures": [in_figures, lambda logger: logger.figures("").__enter__()],
    "add_open_figures": [
        of_open_figures,
        lambda logger: logger.add_open_figures("open figures", "3"),  # type: ignore
    ],
    "add_raster": [
        lambda logger: logger.add_raster("raster", {0: [1, 2], 1: [3]}),
        lambda logger: logger.add_raster("raster", {0: [1]}, bins=0),
        lambda logger: logger.add_raster("raster", {0: ["a"]}),
    ],
    "add_matrix": [
        lambda logger: logger.add_matrix("matrix", np.eye(3)),
        lambda logger: logger.add_matrix("matrix", np.eye(3), vmin=1, vmax=0),
        lambda logger: logger.add_matrix("matrix", "w"),
    ],
    "add_audio": [
        lambda logger: logger.add_audio("audio", np.zeros(9)),
        lambda logger: logger.add_audio("audio", np.zeros((9, 9, 9))),
        lambda logger: logger.add_audio("audio", np.zeros(9), rate=0),
    ],
    "add_text": [
        lambda logger: logger.add_text("text", "a"),
        lambda logger: logger.add_text("text", 5),  # type: ignore[arg-type]
        lambda logger: logger.add_text("text", "a", time="soon"),  # type: ignore
    ],
    "add_html": [
        lambda logger: logger.add_html("html", "<p>a"),
        lambda logger: logger.add_html("html", 5),  # type: ignore[arg-type]
        lambda logger: logger.add_html("text", "<p>a"),
    ],
    "describe": [
        lambda logger: logger.describe("described", "in mV"),
        lambda logger: logger.add_scalar("described", 1.0),
        lambda logger: logger.describe("described", "in mV"),
        lambda logger: logger.describe("described", "in V"),
        lambda logger: logger.describe("scalar", "in mV"),
        lambda logger: logger.describe("new", 5),  # type: ignore[arg-type]
    ],
    "add_parameters": [
        lambda logger: logger.add_parameters([1]),  # type: ignore[arg-type]
        lambda logger: logger.add_parameters({"a": 1}, {"image": 1}),
        lambda logger: logger.add_parameters({"a": 1}, group=""),
        lambda logger: logger.add_parameters({"a": 1, "b": {"c": None}}, {"m": 2}),
        lambda logger: logger.add_parameters({"a": 1}),
    ],
    "add_metrics": [
        lambda logger: logger.add_metrics({"m": 3.0}),
        lambda logger: logger.add_metrics({"m": "3"}),  # type: ignore[dict-item]
        lambda logger: logger.add_metrics({"image": 1}),
    ],
    "window": [
        in_window,
        lambda logger: logger.window("window", every=0),
        lambda logger: logger.window("image"),
        lambda logger: logger.window("window", reduce="most"),  # type: ignore[arg-type]
        lambda logger: logger.window("window").add("a"),  # type: ignore[arg-type]
        lambda logger: logger.window("window").add(1, weight=-1),
    ],
    "track": [
        lambda logger: list(logger.track(range(3), show="scalar")),
        lambda logger: logger.track(5),  # type: ignore[call-overload]
        lambda logger: logger.track([], show=5),  # type: ignore[call-overload]
        lambda logger: logger.track([], show=[""]),
    ],
    "path": [  # a right one is in a test of its own
        lambda logger: logger.path(5),  # type: ignore[arg-type]
        lambda logger: logger.path("../out"),
        lambda logger: logger.path("run.json"),
    ],
    "save_checkpoint": [
        lambda logger: logger.save_checkpoint([1], 3),
        lambda logger: logger.save_checkpoint([1], 3.5),
        lambda logger: logger.save_checkpoint([1], 3, keep=0),
        lambda logger: logger.save_checkpoint(Unpicklable(), 3),
        lambda logger: logger.save_checkpoint(sys.stdout, 3),
    ],
    "load_checkpoint": [lambda logger: logger.load_checkpoint()],
    "flush": [lambda logger: logger.flush()],
    "close": [lambda logger: logger.close(), lambda logger: logger.close()],
}
# The same for attributes; those that differ are tested below.
ALIKE["phase"] = [
    lambda logger: in_a_phase(logger, "one", 0),
    lambda logger: in_a_phase(logger, "two", 0),
    lambda logger: in_a_phase(logger, "two", 2**63 - 1),
    lambda logger: logger.phase(""),
    lambda logger: logger.phase(5),  # type: ignore[arg-type]
    lambda logger: nested(logger),
]


def in_a_phase(logger: Logger, name: str, step: int) -> None:
    with logger.phase(name):
        logger.add_scalar("phases", 1.0, step)
        logger.add_scalar("phases", 1.0)


def nested(logger: Logger) -> None:
    with logger.phase("outer"), logger.phase("inner"):
        pass


ATTRIBUTES = {"closed", "experiment", "logdir", "time_unit"}
DIFFERENT = {"enabled", "last", "run_dir", "writer"}


def test_each_public_name_is_here() -> None:
    """A new method or attribute must be listed here, too."""
    members = inspect.getmembers(Logger)
    methods = {n for n, member in members if inspect.isfunction(member)}
    attributes = {n for n, member in members if isinstance(member, property)}
    assert {n for n in methods if not n.startswith("_")} == ALIKE.keys()
    assert {n for n in attributes if not n.startswith("_")} == ATTRIBUTES | DIFFERENT


def test_each_method_does_and_refuses_the_same(logdir: Path) -> None:
    """Results and errors of an enabled Logger and a disabled one are equal, in turn.

    So are those of calls after the end.
    """
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        with (
            Logger(logdir, "run") as enabled,
            Logger(logdir, "run", enabled=False) as disabled,
        ):
            for _ in ("open", "closed"):
                for method, calls in ALIKE.items():
                    for number, call in enumerate(calls):
                        here = f"{method}, call {number}"
                        found = outcome(call, disabled)
                        assert found == outcome(call, enabled), here
                for name in ATTRIBUTES:
                    assert getattr(enabled, name) == getattr(disabled, name)
    assert Run(logdir / "run").scalars("described").values.tolist() == [1.0]
    plt.close("all")


@pytest.mark.parametrize(
    ("method", "how"), [(method, how) for method in REFUSED for how in MESSAGES]
)
def test_what_is_refused_is_refused_likewise(
    method: str, how: str, tmp_path: Path
) -> None:
    """The step, the tag, its kind, and whether the Logger is closed: one message."""
    numbers = ("add_scalar", "log", "add_series", "add_metrics", "window")
    taken = "text" if method in numbers else "number"
    tag = {"taken tag": taken, "bad tag": ""}.get(how, "new")
    step = 0.5 if how == "bad step" and method not in WITHOUT_STEP else None
    said = []
    figure()
    for enabled in (True, False):
        with Logger(tmp_path, "run", enabled=enabled, mode="w") as logger:
            logger.add_text("text", "a", 0)
            logger.add_scalar("number", 1.0, 0)
            if how == "closed":
                logger.close()
            said.append(outcome(lambda its: REFUSED[method](its, tag, step), logger))
    assert said[0] == said[1]
    assert said[0] is not None or (method, how) == ("add_scalars", "taken tag")
    plt.close("all")


@pytest.mark.parametrize("method", sorted(WARNING.keys() - {"close"}))
def test_nothing_is_warned_of(method: str, disabled: Logger) -> None:
    """The process that writes the run warns, and not each of many."""
    prepare, call = WARNING[method]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare(disabled)
        call(disabled)


def test_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No method opens, makes or removes anything, nor looks at what the run holds.

    The exception is `load_checkpoint`, which is for that.
    """
    monkeypatch.chdir(tmp_path)
    with Logger(experiment="run") as logger:
        logger.add_scalars("plot", {"a": 1.0})
    paths, before = everything(tmp_path), open_descriptors()
    events = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")
    events += ("os.listdir", "os.scandir")

    def work() -> None:
        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in events and "runs" in str(arguments[:2]):
                os.write(2, f"{event} {arguments}\n".encode())
                os._exit(2)

        warnings.simplefilter("ignore")
        sys.addaudithook(hook)
        for name in (None, "run", "new"):
            with Logger(experiment=name, enabled=False) as logger:
                for method in ALIKE.keys() - {"load_checkpoint", "close"}:
                    for call in ALIKE[method]:
                        outcome(call, logger)
            assert logger.closed
        assert open_descriptors() <= before

    assert in_child(work) == 0
    assert everything(tmp_path) == paths


def test_a_run_that_is_there_is_left_as_it_is(logdir: Path) -> None:
    """In all modes; and another Logger of this process stays open."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        logger.save_checkpoint("state", 1)
        before = everything(logdir)
        info = (logger.run_dir / "run.json").read_bytes()
        for mode in ({"mode": "w"}, {"mode": "a"}, {"mode": "x"}, {"resume": True}):
            with Logger(logdir, "run", enabled=False, **mode) as other:  # type: ignore
                other.add_scalar("a", 1.0)
                other.add_image("b", [[1.0]])
                other.add_metrics({"m": 1.0})
                other.save_checkpoint("other", 2)
        assert not logger.closed
        assert everything(logdir) == before
        assert (logger.run_dir / "run.json").read_bytes() == info
        logger.add_scalar("a", 2.0)
    assert scalars(logger.run_dir, "a") == [(0, 1), (1, 2)]


# -- what differs ----------------------------------------------------------------------


def test_there_is_no_directory(disabled: Logger, tmp_path: Path) -> None:
    """`run_dir` is None, and `path` says where to write the file instead."""
    assert disabled.run_dir is None
    assert disabled.enabled is False
    with pytest.raises(RuntimeError, match=r"path: .*disabled.*if logger\.enabled"):
        disabled.path("net.npz")
    assert not everything(tmp_path)


def test_it_says_that_it_is_disabled(disabled: Logger) -> None:
    """Also when it is closed."""
    assert repr(disabled) == "<Logger disabled>"
    disabled.close()
    assert repr(disabled) == "<Logger disabled (closed)>"


def test_without_a_name_it_has_none(logdir: Path) -> None:
    """The name is that which the other process chooses by the time."""
    with Logger(logdir, enabled=False) as logger:
        assert logger.experiment is None
        logger.save_checkpoint(1, 1)
        assert logger.load_checkpoint("default") == "default"
    with pytest.raises(ValueError, match="Logger is closed"):
        logger.add_scalar("a", 1)


def test_last_is_empty(logdir: Path) -> None:
    """Also if the run has values."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
    with Logger(logdir, "run", mode="a", enabled=False) as disabled:
        disabled.add_scalar("a", 1.0)
        assert dict(disabled.last) == {}
        assert repr(disabled.last) == "{}"
        with pytest.raises(KeyError, match="no number was logged"):
            disabled.last["a"]


def test_a_bar_is_not_shown(
    disabled: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its loop runs, and its methods do nothing."""
    bar = disabled.track(range(3), show="a", visible=True)
    bar.set_description("trials")
    assert list(bar) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_figure_is_closed(disabled: Logger) -> None:
    """As by an enabled Logger: not if the call is refused, nor with close=False."""
    drawn = figure()
    with pytest.raises(ValueError, match="whole number"):
        disabled.add_figure("f", drawn, 0.5)
    disabled.add_figure("f", drawn, close=False)
    assert plt.get_fignums() == [drawn.number]
    disabled.add_figure("f", drawn)
    with disabled.figures("g"):
        figure()
    assert plt.get_fignums() == []


def test_the_writer_writes_nothing(disabled: Logger, tmp_path: Path) -> None:
    """It has ``write_to_disk=False``, and the tags and the end of the Logger."""
    writer = disabled.writer
    assert isinstance(writer, SummaryWriter)
    assert writer._write_to_disk is False
    disabled.add_image("image", [[1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer.add_scalar("a", 1.0, 3)
        writer.add_scalars("plot", {"a": 1.0}, 3)
        writer.add_audio("sound", np.full(9, 2.0))
        writer.add_embedding(np.eye(3), metadata=["a", "b", "c"])
        for name in (None, None, "named", "."):
            writer.add_hparams({"p": 1}, {"m": 1.0}, name)
        writer.export_scalars_to_json(str(tmp_path / "curves.json"))
    with pytest.raises(ValueError, match="already holds data of kind 'image'"):
        writer.add_scalar("image", 1.0, 3)
    with pytest.raises(ValueError, match="already holds data of kind 'scalar'"):
        disabled.add_image("a", [[1.0]])
    with pytest.raises(TypeError, match="add_hparams"):
        writer.add_hparams({"p": 1}, {"m": "1"}, "named")
    with pytest.raises(ValueError, match="params"):
        writer.add_hparams({"p": 2}, {}, ".")
    writer.flush()
    writer.close()
    assert not disabled.closed
    disabled.close()
    with pytest.raises(ValueError, match="Logger is closed"):
        writer.add_scalar("a", 1.0, 4)
    assert not everything(tmp_path)


def test_what_is_no_bool_is_refused(logdir: Path) -> None:
    """A rank in place of a comparison would disable rank 0, and no other."""
    for given in (1, 0, None, "yes"):
        with pytest.raises(TypeError, match=r"Logger: enabled must be a bool, .* == 0"):
            Logger(logdir, enabled=given)  # type: ignore[arg-type]
    with Logger(logdir, enabled=np.bool_(False)) as logger:  # type: ignore[arg-type]
        assert logger.enabled is False
    assert not logdir.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        {"dt": -1},
        {"time_unit": "year"},
        {"on_nan": "stop"},
        {"clock": 5},
        {"mode": "r"},
        {"mode": "a", "resume": True},
        {"experiment": "../out"},
        {"experiment": "file"},
        {"logdir": "http://x"},
        {"experiment": None, "mode": "a"},
        {"resume": 5},
    ],
)
def test_bad_arguments_are_refused_by_both(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    """With one message."""
    (tmp_path / "file").touch()
    said = []
    for enabled in (True, False):
        with pytest.raises((TypeError, ValueError, OSError)) as caught:
            Logger(
                **{"logdir": tmp_path, "experiment": "run", **arguments},
                enabled=enabled,
            )
        said.append((caught.type, str(caught.value)))
    assert said[0] == said[1]


def test_a_number_that_is_not_finite_raises_on_both(logdir: Path) -> None:
    """With ``on_nan="raise"``, at the same calls; otherwise nothing is said here."""
    calls: list[Call] = [
        lambda logger: logger.add_scalar("a", 1.0),
        lambda logger: logger.add_scalar("a", np.nan),
        lambda logger: logger.log({"b": 1.0, "c": np.inf}),
        lambda logger: logger.add_series("d", [1.0, np.nan]),
    ]
    with (
        Logger(logdir, "run", on_nan="raise") as enabled,
        Logger(logdir, "run", on_nan="raise", enabled=False) as disabled,
    ):
        for call in calls:
            assert outcome(call, enabled) == outcome(call, disabled)
        assert outcome(calls[1], disabled)[0] is FloatingPointError


# -- where it begins -------------------------------------------------------------------


def checkpointed(logdir: Path, name: str = "run", step: int = 7) -> None:
    """Make a run with a checkpoint."""
    with Logger(logdir, name, mode="a", dt=0.5, time_unit="s") as logger:
        logger.add_scalar("a", 1.0)
        logger.save_checkpoint({"step": step}, step)


def test_it_begins_at_the_checkpoint_of_the_run(logdir: Path) -> None:
    """All processes begin at one step, whichever is first, and also after the next."""
    checkpointed(logdir)
    with Logger(logdir, "run", resume=True, enabled=False) as first:
        assert first.load_checkpoint() == ({"step": 7}, 7)
        with Logger(logdir, "run", resume=True) as logger:
            assert logger.load_checkpoint() == ({"step": 7}, 7)
            with Logger(logdir, "run", resume=True, enabled=False) as second:
                assert second.load_checkpoint() == ({"step": 7}, 7)
                logger.save_checkpoint("later", 8)
                assert second.load_checkpoint() == ("later", 8)


def test_a_run_that_is_started_begins_without_a_checkpoint(logdir: Path) -> None:
    """What was there before is not that of this run: the other may still clear it."""
    checkpointed(logdir)
    for mode in ("w", "x"):
        with Logger(logdir, "run", mode=mode, enabled=False) as first:  # type: ignore
            assert first.load_checkpoint("default") == "default"
    with (
        Logger(logdir, "run", mode="w", enabled=False) as disabled,
        Logger(logdir, "run", mode="w") as logger,
    ):
        for each in (logger, disabled):
            each.save_checkpoint("of this run", 1)
        assert disabled.load_checkpoint() == ("of this run", 1)


def test_a_branch_begins_at_the_checkpoint_of_its_parent(logdir: Path) -> None:
    """Before and after the other process has made it; then at its own."""
    checkpointed(logdir, "parent", 7)
    checkpointed(logdir, "other", 5)
    with Logger(logdir, "branch", resume=logdir / "other"):
        pass  # an attempt that ended before its first value
    again = {"experiment": "branch", "resume": logdir / "parent"}
    with Logger(logdir, enabled=False, **again) as first:  # type: ignore[arg-type]
        assert first.load_checkpoint() == ({"step": 7}, 7)
        assert first.time_unit == "s"
    with Logger(logdir, **again) as logger:  # type: ignore[arg-type]
        with Logger(logdir, enabled=False, **again) as second:  # type: ignore[arg-type]
            assert second.load_checkpoint() == logger.load_checkpoint()
        logger.add_scalar("a", 1.0)
        logger.save_checkpoint("own", 9)
    with Logger(logdir, enabled=False, **again) as third:  # type: ignore[arg-type]
        assert third.load_checkpoint() == ("own", 9)


@pytest.mark.parametrize("how", [{"mode": "a"}, {"resume": True}])
def test_simulated_time_is_that_of_the_run(logdir: Path, how: dict[str, Any]) -> None:
    """Hooks then take samples at the same times; other settings are refused alike."""
    checkpointed(logdir)
    said = []
    for enabled in (False, True):
        with pytest.raises(ValueError, match="time_unit must be that of the run") as no:
            Logger(logdir, "run", time_unit="ms", enabled=enabled, **how)
        said.append(str(no.value))
    assert said[0] == said[1]
    with Logger(logdir, "run", enabled=False, **how) as logger:
        assert logger.time_unit == "s"
        assert logger._run.clock.dt == 0.5
    with Logger(logdir, "run", mode="w", enabled=False) as logger:
        assert logger.time_unit == "ms"  # the run is started over


# -- hooks -----------------------------------------------------------------------------


def test_sources_are_read_as_often_as_on_the_process_that_writes(logdir: Path) -> None:
    """Numbers, arrays, figures and the user's clock: a collective one hangs nobody."""
    counts = []
    for enabled in (True, False):
        read: list[str] = []

        def source(tag: str, value: Any, read: list[str] = read) -> Any:
            return lambda: (read.append(tag), value() if callable(value) else value)[1]

        with Logger(
            logdir, "run", mode="w", clock=source("clock", 1.0), enabled=enabled
        ) as logger:
            sources = {
                "number": source("number", 1.0),
                "array": source("array", [1.0, 2.0]),
                "dict": source("dict", {"a": 1.0}),
                "figure": source("figure", figure),
            }
            reads = checked(logger, sources, lambda _, its: function(its), "a function")
            sampler = Sampler(logger, reads)
            for step in range(5):
                sampler(step)
                logger.add_scalar("own", 1.0)
        sampler(6)  # after the end, no more
        counts.append(read)
    assert counts[0] == counts[1]
    assert counts[1].count("number") == 5


def test_a_source_that_is_refused_raises(disabled: Logger) -> None:
    """Wherever it gives what can't be logged."""
    sampler = Sampler(disabled, {"a": lambda: "text"})
    with pytest.raises(TypeError, match="the source must return a number"):
        sampler(0)


# -- other processes, threads and ends -------------------------------------------------


def test_copies_are_disabled_too(disabled: Logger, tmp_path: Path) -> None:
    """A pickle, a copy, a forked process and a thread write nothing either."""
    disabled.add_scalar("a", 1.0)
    before = open_descriptors()

    def log(logger: Logger) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            logger.add_scalar("a", 2.0)
            logger.add_scalars("p", {"k": 2.0})
            logger.add_series("s", np.arange(10))
        assert logger.run_dir is None
        with pytest.raises(ValueError, match="already holds"):
            logger.add_image("a", [[1.0]])

    for other in (pickle.loads(pickle.dumps(disabled)), copy.deepcopy(disabled)):
        log(other)
        with pytest.raises(RuntimeError, match="only the process that made"):
            other.save_checkpoint(1, 1)
        other.close()
    assert in_child(lambda: log(disabled)) == 0
    thread = threading.Thread(target=log, args=(disabled,))
    thread.start()
    thread.join()
    assert open_descriptors() <= before
    assert not everything(tmp_path)


def test_windows_hold_their_values_until_the_end(disabled: Logger) -> None:
    """What they hold is refused at the end as on an enabled Logger."""
    window = disabled.window("a")
    window.add(1.0)
    assert len(window) == 1
    disabled.add_image("b", [[1.0]])
    window = disabled.window("b2", reduce=lambda values: [][0])
    window.add(1.0)
    with pytest.raises(IndexError):
        disabled.close()
    assert disabled.closed


def test_one_that_is_left_open_says_nothing(logdir: Path) -> None:
    """It has nothing to lose."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger = Logger(logdir, "run", enabled=False)
        logger.add_scalar("a", 1.0)
        del logger
    assert not logdir.exists()


def test_it_needs_no_right_to_write(tmp_path: Path) -> None:
    """The directory may be read-only for all processes but one."""

    def work() -> str:
        with Logger(tmp_path / "closed" / "runs", "run", enabled=False) as logger:
            logger.add_scalar("a", 1.0)
        return "fine"

    (tmp_path / "closed").mkdir(mode=0o555)
    assert without_rights(tmp_path, work) == "fine"
