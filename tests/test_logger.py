from __future__ import annotations

import ctypes
import decimal
import logging
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load, points, scalars
from hypothesis import given
from hypothesis import strategies as st

import annarchy_tb
from annarchy_tb import Logger
from annarchy_tb.inputs.clock import MAX_STEP, MIN_STEP, in_unit

# -- importing ---------------------------------------------------------------------


def test_importing_and_logging_stay_light() -> None:
    """Neither the import nor logging a scalar loads heavy modules."""
    code = """
import sys
from annarchy_tb import Logger
heavy = {"matplotlib", "tensorboard", "tensorboardX", "google.protobuf", "torch", "PIL"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import tempfile
with tempfile.TemporaryDirectory() as logdir, Logger(logdir) as logger:
    logger.add_scalar("a", 1)
    logger.add_histogram("b", [1])
    logger.add_text("c", "d")
    logger.add_parameters({"e": 1})
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
    logger.add_image("f", [[1.0]])
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_face_has_five_names() -> None:
    """All public names are present, including the lazy ones, and no others."""
    names = ["Logger", "Run", "SummaryWriter", "figure_style", "find_runs"]
    assert annarchy_tb.__all__ == names
    assert set(annarchy_tb.__all__) <= set(dir(annarchy_tb))
    assert annarchy_tb.SummaryWriter.__name__ == "SummaryWriter"
    with pytest.raises(AttributeError, match="nothing"):
        annarchy_tb.nothing  # noqa: B018


@pytest.mark.parametrize("experiment", [None, "trial1", "group/trial1", Path("trial1")])
def test_a_logger_knows_its_place(
    experiment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory of all runs and the name of this one, also as a copy."""
    monkeypatch.chdir(tmp_path)
    with Logger("runs/", experiment) as logger:
        monkeypatch.chdir("/")
        for one in (logger, pickle.loads(pickle.dumps(logger))):
            assert one.logdir == tmp_path / "runs"
            assert one.logdir / one.experiment == logger.run_dir
            assert experiment is None or one.experiment == str(experiment)


# -- tags and values ---------------------------------------------------------------


@pytest.mark.parametrize(
    "tag",
    ["Firing rate [Hz]", "Group/Name", "/slash", "膜電位 😀", "x" * 10_000, "a\nb"],
)
def test_tags_are_kept_as_given(logger: Logger, tag: str) -> None:
    """No character is replaced, whatever the kind of data."""
    logger.add_scalar(tag, 1)
    assert scalars(logger.run_dir, tag) == [(0, 1)]


CALLS: dict[str, Any] = {
    "add_scalar": 1,
    "add_scalars": {"a": 1},
    "add_image": [[1.0]],
    "add_images": [[[1.0]]],
    "add_histogram": [1],
    "add_text": "text",
}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize(
    ("tag", "error", "message"),
    [
        ("", ValueError, "tag must not be empty"),
        (None, TypeError, "tag must be a str and come first, got None"),
        (3.5, TypeError, r"got 3.5 \(float\)"),
        ([1, 2], TypeError, "got list of length 2"),
        (np.zeros(3), TypeError, r"got ndarray of shape \(3,\)"),
        ("\ud800", ValueError, "valid Unicode"),
    ],
)
def test_what_is_no_tag_is_refused(
    logger: Logger, method: str, tag: object, error: type[Exception], message: str
) -> None:
    """A tag must be a text that is not empty."""
    with pytest.raises(error, match=rf"^{method}.*{message}"):
        getattr(logger, method)(tag, CALLS[method])
    assert not load(logger.run_dir)
    assert len(list(logger.run_dir.iterdir())) == 2  # with run.json


@pytest.mark.parametrize("first", CALLS)
@pytest.mark.parametrize("second", CALLS)
def test_a_tag_holds_one_kind_of_data(logger: Logger, first: str, second: str) -> None:
    """TensorBoard shows only the first kind, so a second is an error."""
    same = {"add_image": "images", "add_images": "images"}
    getattr(logger, first)("tag", CALLS[first])
    if "add_scalars" in (first, second) or same.get(first, first) == same.get(
        second, second
    ):
        getattr(logger, second)("tag", CALLS[second])  # curves are runs of their own
    else:
        with pytest.raises(ValueError, match=rf"^{second}\('tag'\): .*one kind per"):
            getattr(logger, second)("tag", CALLS[second])


@pytest.mark.parametrize(
    "value",
    [
        *(2, 2.0, True + 1, np.float32(2), np.float16(2), np.int64(2), np.uint8(2)),
        *(np.array(2.0), np.array([2]), np.array([[2.0]]), decimal.Decimal(2)),
    ],
)
def test_whatever_is_one_number_is_a_scalar(logger: Logger, value: Any) -> None:
    """All methods for numbers take anything float() takes, and arrays of one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.add_scalar("scalar", value)
        logger.add_scalar("scalar", value)
        logger.log({"log": value})
        logger.add_scalars("curves", {"curve": value})
        logger.add_metrics({"metric": value})
    run = logger.run_dir
    assert scalars(run, "scalar") == [(0, 2), (1, 2)]
    assert scalars(run, "log") == scalars(run, "metric") == [(0, 2)]
    assert scalars(run / "curve", "curves") == [(0, 2)]


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_booleans_are_scalars(logger: Logger, value: bool) -> None:
    """True is 1."""
    logger.add_scalar("a", value)
    assert scalars(logger.run_dir, "a") == [(0, float(value))]


@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_nan_and_infinity_are_kept(logger: Logger) -> None:
    """They are shown as the simulation gave them."""
    for value in (np.nan, np.inf, -np.inf):
        logger.add_scalar("a", value)
    found = [value for _, value in scalars(logger.run_dir, "a")]
    np.testing.assert_equal(found, [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize("value", [1e300, -1e300, 10**308, decimal.Decimal("1e200")])
def test_what_single_precision_cannot_hold_is_infinite(
    logger: Logger, value: Any
) -> None:
    """TensorBoard's scalars are single precision; one warning says so."""
    with pytest.warns(UserWarning, match="beyond single precision") as caught:
        logger.add_scalar("a", value)
        logger.add_scalar("a", value)
    assert [warning.filename for warning in caught] == [__file__]
    assert [abs(value) for _, value in scalars(logger.run_dir, "a")] == [np.inf] * 2


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (None, "None"),
        ("3", r"'3' \(str\)"),
        (b"3", "b'3'"),
        (np.zeros(3), r"ndarray of shape \(3,\) and dtype float64"),
        (np.zeros(0), r"ndarray of shape \(0,\)"),
        ([1.0], "list of length 1"),
        ({}, "dict of length 0"),
        (1j, "1j"),
        (10**400, "10+[.]{3}0+ .int"),
    ],
)
def test_what_is_no_number_is_refused(logger: Logger, value: Any, came: str) -> None:
    """The error names method, tag, rule and value, and nothing is written."""
    for tag in ("new", "old"):
        logger.add_scalar("old", 1)
        message = rf"^add_scalar\('{tag}'\): value must be one number, got {came}"
        with pytest.raises(TypeError, match=message):
            logger.add_scalar(tag, value)
    with pytest.raises(TypeError, match=r"^log\('b'\): value must"):
        logger.log({"a": 1, "b": value})
    with pytest.raises(TypeError, match=r"^add_scalars\('c: b'\): value must"):
        logger.add_scalars("c", {"a": 1, "b": value})
    with pytest.raises(TypeError, match=r"^add_metrics\('b'\): value must"):
        logger.add_metrics({"a": 1, "b": value})
    assert [point.tag for point in load(logger.run_dir)] == ["old", "old"]
    assert len(list(logger.run_dir.iterdir())) == 2  # with run.json
    logger.add_image("new", [[1.0]])  # a refused call does not take the tag


@pytest.mark.parametrize("values", [None, 1.0, [("a", 1)], "a"])
def test_several_numbers_come_as_a_dict(logger: Logger, values: Any) -> None:
    """log, add_scalars and add_metrics say that they need a dict."""
    for call in (
        lambda: logger.log(values),
        lambda: logger.add_scalars("a", values),
        lambda: logger.add_metrics(values),
    ):
        with pytest.raises(TypeError, match="dict of numbers by their names is needed"):
            call()


def test_names_of_numbers_are_texts(logger: Logger) -> None:
    """A key that is not a str is refused before anything is written."""
    with pytest.raises(TypeError, match=r"add_scalars\('a'\): the names must be str"):
        logger.add_scalars("a", {"x": 1, 2: 1})
    with pytest.raises(ValueError, match="log: tag must not be empty"):
        logger.log({"a": 1, "": 2})
    assert not load(logger.run_dir)


def test_no_numbers_write_nothing(logger: Logger) -> None:
    """An empty dict gives no error and no record."""
    logger.log({})
    logger.add_scalars("a", {})
    logger.add_metrics({})
    assert not load(logger.run_dir)


def test_log_writes_one_event(logger: Logger) -> None:
    """Several tags in one record are read as separate tags."""
    size = logger._file.path.stat().st_size
    logger.log({f"tag {i}": i for i in range(10)}, 3)
    assert [(p.tag, p.step, float(p.array)) for p in load(logger.run_dir)] == [
        (f"tag {i}", 3, i) for i in range(10)
    ]
    assert logger._file.path.stat().st_size - size < 10 * (20 + 8) + 40


# -- steps -------------------------------------------------------------------------


def test_steps_left_out_count_on_per_tag(logger: Logger) -> None:
    """A tag starts at 0 and continues from its last step, explicit or not."""
    for _ in range(3):
        logger.add_scalar("a", 1)
    logger.add_scalar("b", 1)
    logger.add_scalar("a", 1, 10)
    logger.add_scalar("a", 1)
    logger.add_scalar("c", 1, -7)
    logger.add_scalar("c", 1)
    assert [step for step, _ in scalars(logger.run_dir, "a")] == [0, 1, 2, 10, 11]
    assert scalars(logger.run_dir, "b") == [(0, 1)]
    assert [step for step, _ in scalars(logger.run_dir, "c")] == [-7, -6]


def test_several_tags_go_on_from_their_largest_step(logger: Logger) -> None:
    """log and add_scalars write one step: their tags' largest last step + 1."""
    logger.add_scalar("a", 1, 5)
    logger.log({"a": 1, "b": 1})
    assert scalars(logger.run_dir, "b") == [(6, 1)]
    logger.add_scalars("c", {"x": 1}, 8)
    logger.add_scalars("c", {"x": 1, "y": 1})
    assert scalars(logger.run_dir / "y", "c") == [(9, 1)]


WHOLE: list[tuple[Any, int]] = [
    *((5, 5), (5.0, 5), (9.999999999999966, 10), (np.int32(5), 5), (np.float64(5), 5)),
    *((np.uint64(5), 5), (np.array(5), 5), (np.array([5]), 5)),
    *((decimal.Decimal(5), 5), (2.0**62, 2**62)),
    *((MAX_STEP, MAX_STEP), (MIN_STEP, MIN_STEP)),
]


@pytest.mark.parametrize(("step", "whole"), WHOLE)
@pytest.mark.parametrize("method", CALLS)
def test_whole_steps_are_steps(
    logger: Logger, method: str, step: Any, whole: int
) -> None:
    """Anything within 1e-6 of a whole number counts as one."""
    getattr(logger, method)("tag", CALLS[method], step)
    where = logger.run_dir / "a" if method == "add_scalars" else logger.run_dir
    [point] = points(where, "tag")
    assert point.step == whole


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (
            0.5,
            ValueError,
            r"step must be a whole number, got 0.5 \(float\); pass .*time=",
        ),
        (1.00001, ValueError, "time="),
        (np.float32(0.1), ValueError, "time="),
        (np.nan, ValueError, "step must be finite"),
        (np.inf, ValueError, "step must be finite"),
        ("5", TypeError, "step must be a whole number"),
        ([5], TypeError, "step must be a whole number"),
        (np.zeros(2), TypeError, "step must be one number"),
        (True, TypeError, r"step must be a whole number, got True \(bool\)"),
        (np.bool_(True), TypeError, "step must be a whole number"),
        (np.timedelta64(5, "ns"), TypeError, "step must be a whole number"),
        (np.array("5"), TypeError, "step must be a whole number"),
        (np.int64, TypeError, r"step must be a whole number, got <.*int64'> \(type\)"),
        (2**63, ValueError, "64 bits"),
        (-(2**63) - 1, ValueError, "64 bits"),
        (1e30, ValueError, "64 bits"),
    ],
)
@pytest.mark.parametrize("method", CALLS)
def test_what_is_no_step_is_refused(
    logger: Logger, method: str, step: Any, error: type[Exception], message: str
) -> None:
    """The error suggests time=, and nothing is written or created."""
    with pytest.raises(error, match=rf"^{method}\('tag'\): .*{message}"):
        getattr(logger, method)("tag", CALLS[method], step)
    assert not load(logger.run_dir)
    assert len(list(logger.run_dir.iterdir())) == 2  # with run.json
    logger.add_text("tag", "a refused call does not take the tag")


def test_a_step_cannot_be_left_out_after_the_last(logger: Logger) -> None:
    """Automatic steps do not wrap around."""
    logger.add_scalar("a", 1, MAX_STEP)
    with pytest.raises(ValueError, match="can't be left out"):
        logger.add_scalar("a", 1)


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("step", [3, 5])
def test_a_step_that_does_not_increase_warns_once(
    logger: Logger, method: str, step: int
) -> None:
    """TensorBoard hides points then, but the data are written."""
    getattr(logger, method)("tag", CALLS[method], 5)
    came = "again" if step == 5 else "after step 5"
    with pytest.warns(UserWarning, match=f"step {step} comes {came}") as caught:
        getattr(logger, method)("tag", CALLS[method], step)
        getattr(logger, method)("tag", CALLS[method], 2)
    assert [warning.filename for warning in caught] == [__file__]
    where = logger.run_dir / "a" if method == "add_scalars" else logger.run_dir
    assert [point.step for point in points(where, "tag")] == [5, step, 2]


@given(st.lists(st.none() | st.integers(0, 500), max_size=30))
def test_steps_are_what_the_rule_says(tmp_path_factory: Any, given: list[Any]) -> None:
    """Given steps are kept, and each automatic one is the previous step + 1."""
    wanted: list[int] = []
    with Logger(tmp_path_factory.mktemp("runs"), "run") as logger:
        for step in given:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                logger.add_scalar("a", 1, step)
            last = wanted[-1] if wanted else -1
            wanted.append(last + 1 if step is None else step)
    assert [step for step, _ in scalars(logger.run_dir, "a")] == wanted


# -- simulated time ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [
        ("ms", 1e-3),
        ("s", 1.0),
        ("us", 1e-6),
        ("min", 60.0),
        ("h", 3600.0),
        ("d", 86400.0),
    ]
    + [(unit, 1.0) for unit in ("ns", "ps", "fs")],
)
def test_simulated_time_is_drawn_from_the_start(
    logdir: Path, unit: str, seconds: float
) -> None:
    """Wall time is the run's start plus the time; tiny units count as seconds."""
    with Logger(logdir, "run", time_unit=unit) as logger:
        for time in (0.0, 100.0, 250.5):
            logger.add_scalar("a", 1, time=time)
    found = points(logdir / "run", "a")
    assert [point.step for point in found] == [0, 1, 2]
    past = [point.time - logger._run.started for point in found]
    assert past == pytest.approx([0, 100 * seconds, 250.5 * seconds], abs=1e-6)


def test_every_method_takes_simulated_time(logger: Logger) -> None:
    """One second of simulated time is one second on the axis, for every kind."""
    for method, value in CALLS.items():
        getattr(logger, method)(method, value, time=1000.0)
    logger.log({"log": 1}, time=1000.0)
    found = load(logger.run_dir) + load(logger.run_dir / "a")
    assert len(found) == len(CALLS) + 1
    started = logger._run.started
    assert [p.time - started for p in found] == pytest.approx(
        [1.0] * len(found), abs=1e-6
    )


def test_dt_counts_steps_from_time(logdir: Path) -> None:
    """An automatic step is the nearest solver step, rounded, not truncated."""
    with Logger(logdir, "run", dt=0.1) as logger:
        for time in (0.0, 0.1, 0.30000000000000004, 0.9999999999999966, 100.0):
            logger.add_scalar("a", 1, time=time)
        logger.add_scalar("a", 1, 5000, time=200.0)
        logger.add_scalar("a", 1)
    found = [step for step, _ in scalars(logdir / "run", "a")]
    assert found == [0, 1, 3, 10, 1000, 5000, 5001]


def test_time_goes_on_from_the_first_start_in_a_reused_run(logdir: Path) -> None:
    """After an append, simulated time is drawn from the run's original start."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1, time=0.0)
    first = logger._run.started
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1, time=1000.0)
    assert logger._run.started == first
    assert [p.time for p in points(logdir / "run", "a")] == pytest.approx(
        [first, first + 1]
    )


@pytest.mark.parametrize(
    ("time", "error", "message"),
    [
        (np.nan, ValueError, "time must be finite"),
        (np.inf, ValueError, "time must be finite"),
        ("1 s", TypeError, "time must be a number"),
        ([1, 2], TypeError, "time must be a number"),
        (1j, TypeError, "time must be a number"),
        (np.complex128(1), TypeError, "time must be a number"),
        (np.array(1 + 2j), TypeError, "time must be a number"),
        (np.array("5"), TypeError, "time must be a number"),
        (np.array(b"5"), TypeError, "time must be a number"),
        (np.timedelta64(5, "ns"), TypeError, "time must be a number"),
        (np.zeros(2), TypeError, "time must be a number"),
        (np.float64, TypeError, r"time must be a number, got <.*float64'> \(type\)"),
        (np.ma.masked, ValueError, "time must be finite"),
        pytest.param(10**400, ValueError, "time must fit a double", id="large"),
    ],
)
def test_what_is_no_time_is_refused(
    logger: Logger, time: Any, error: type[Exception], message: str
) -> None:
    """The error names the method and the tag."""
    with pytest.raises(error, match=rf"^add_scalar\('a'\): {message}"):
        logger.add_scalar("a", 1, time=time)
    assert not load(logger.run_dir)


@pytest.mark.parametrize(
    "time",
    [np.array([250.0]), np.array(250), np.array(250, object), np.longdouble(250)],
)
def test_arrays_of_one_number_are_times(logger: Logger, time: Any) -> None:
    """They are taken as that number, without a warning of NumPy's."""
    logger.add_scalar("a", 1, time=time)
    [point] = points(logger.run_dir, "a")
    assert point.time - logger._run.started == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("time", [1e300, -1e300, 1.0])
def test_times_beyond_the_steps_of_dt_are_refused(logdir: Path, time: float) -> None:
    """The error concerns the time that was given, not the step computed from it."""
    with Logger(logdir, "run", dt=1e-300) as logger:
        with pytest.raises(ValueError, match=r"^add_scalar\('a'\): time must be less"):
            logger.add_scalar("a", 1, time=time)
        with pytest.raises(ValueError, match=r"^add_series\('a'\): times must be less"):
            logger.add_series("a", [1], times=[time])


# -- text --------------------------------------------------------------------------


def test_text_is_kept(logger: Logger) -> None:
    """A text comes back unchanged, in a tensor of shape ()."""
    logger.add_text("a", "# Über\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    [point] = points(logger.run_dir, "a")
    assert point.plugin == "text"
    assert point.array.item().decode() == "# Über\n\n| a | b |\n|---|---|\n| 1 | 2 |"


def test_text_that_is_no_unicode_is_escaped(logger: Logger) -> None:
    """A file name with undecodable bytes does not stop a simulation."""
    logger.add_text("a", "file-\udcff")
    [point] = points(logger.run_dir, "a")
    assert point.array.item() == rb"file-\udcff"


@pytest.mark.parametrize("text", [None, 3, b"bytes", ["list"]])
def test_what_is_no_text_is_refused(logger: Logger, text: Any) -> None:
    """add_text requires a str."""
    with pytest.raises(TypeError, match=r"^add_text\('a'\): text must be a str, got"):
        logger.add_text("a", text)


# -- life cycle of a Logger --------------------------------------------------------


def test_after_close_every_method_says_so(logdir: Path) -> None:
    """The error names the run; nothing is written, and a second close is allowed."""
    logger = Logger(logdir, "trial1")
    logger.add_scalar("tag", 1)
    logger.close()
    logger.close()
    written = {path: path.stat().st_size for path in logger.run_dir.rglob("*")}
    calls = [lambda m=m, v=v: getattr(logger, m)("tag", v) for m, v in CALLS.items()]
    calls += [
        lambda: logger.log({"a": 1}),
        lambda: logger.add_figure("a", None),
        lambda: logger.add_parameters({}),
        lambda: logger.add_metrics({}),
        lambda: logger.flush(),
        lambda: logger.writer,
        lambda: logger.__enter__(),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="^Logger is closed: .*runs/trial1$"):
            call()
    assert {path: path.stat().st_size for path in logger.run_dir.rglob("*")} == written
    assert repr(logger) == f"<Logger {logdir / 'trial1'} (closed)>"


def test_bad_input_leaves_the_run_whole(logger: Logger) -> None:
    """After a refused call, earlier and later data are readable."""
    logger.add_scalar("a", 1)
    for call in (
        lambda: logger.add_scalar("a", None),
        lambda: logger.add_image("b", np.zeros((2, 2, 2))),
        lambda: logger.add_histogram("c", "text"),
        lambda: logger.add_text("a", "another kind"),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    logger.add_scalar("a", 2)
    assert [(p.tag, float(p.array)) for p in load(logger.run_dir)] == [
        ("a", 1),
        ("a", 2),
    ]


def test_flush_reaches_the_disk_without_closing(logger: Logger) -> None:
    """Logging continues after a flush."""
    logger.add_scalars("a", {"x": 1})
    logger.flush()
    logger.add_scalar("a", 1)
    assert scalars(logger.run_dir, "a") == [(0, 1)]


def test_the_place_is_told_by_logging_and_not_printed(
    logdir: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The logger annarchy_tb gets one INFO record; the terminal shows nothing."""
    with caplog.at_level(logging.INFO, "annarchy_tb"), Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
    assert [record.getMessage() for record in caplog.records] == [
        f"logging to {logdir / 'run'}"
    ]
    assert capsys.readouterr() == ("", "")


# -- odd input ---------------------------------------------------------------------


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "value",
    [10**5000, Unshowable(), bytearray(b"1"), np.array("1")],
    ids=["digits", "unshowable", "bytes", "text"],
)
def test_what_cannot_be_shown_is_refused_by_name(logger: Logger, value: Any) -> None:
    """An error about an odd value concerns the value, not its repr."""
    with pytest.raises(
        TypeError, match=r"^add_scalar\('a'\): value must be one number"
    ):
        logger.add_scalar("a", value)
    with pytest.raises((TypeError, ValueError), match=r"^add_text\('a'\): step must"):
        logger.add_text("a", "text", value)


class Shaped:
    """An object whose shape is not that of an array."""

    shape = 5

    def __repr__(self) -> str:
        return "shaped"


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (np.float64, r"got <class 'numpy.float64'> \(type\)$"),
        (np.ndarray, r"got <class 'numpy.ndarray'> \(type\)$"),
        (Shaped(), r"got shaped \(Shaped\)$"),
        (Shaped, r"got <class '.*Shaped'> \(type\)$"),
    ],
)
def test_a_shape_that_is_no_tuple_is_no_shape(
    logger: Logger, value: Any, came: str
) -> None:
    """The error names the rule and the class or object, and gives no hint on arrays."""
    with pytest.raises(TypeError, match=rf"^add_scalar\('a'\): value must .*{came}"):
        logger.add_scalar("a", value)
    with pytest.raises(TypeError, match=rf"^add_image\('a'\): img must .*{came}"):
        logger.add_image("a", value)
    with pytest.raises(TypeError, match=rf"^add_text\('a'\): text must .*{came}"):
        logger.add_text("a", value)


@pytest.mark.parametrize("time", [10**400, 1e306, "5", b"5"], ids=str)
def test_times_beyond_all_dates_are_refused(logdir: Path, time: Any) -> None:
    """An infinite wall time would hide the point."""
    with Logger(logdir, "run", time_unit="d") as logger:
        with pytest.raises((TypeError, ValueError), match=r"^add_scalar\('a'\): "):
            logger.add_scalar("a", 1, time=time)
        with pytest.raises((TypeError, ValueError), match=r"^add_series\('a'\): time"):
            logger.add_series("a", [1], times=[time])


@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_masked_values_are_nan(logger: Logger) -> None:
    """A masked scalar is a gap from the first call on."""
    logger.add_scalar("a", np.ma.masked)
    assert np.isnan(scalars(logger.run_dir, "a")[0][1])


def test_masked_values_do_not_count(logger: Logger) -> None:
    """They are left out of histograms and of the range of an image."""
    masked = np.ma.masked_array([[0.0, 1.0, -9999.0]], [[0, 0, 1]])
    with pytest.warns(UserWarning, match="masked values are dropped"):
        logger.add_histogram("h", masked)
    with pytest.warns(UserWarning, match="masked, NaN or infinite values are drawn"):
        logger.add_image("i", masked, equalize=True)
    assert points(logger.run_dir, "h")[0].array[:, 2].sum() == 2
    assert points(logger.run_dir, "i")[0].pixels.tolist() == [[0, 255, 0]]


class Sparse:
    """An object that iterates to itself, as the rows of SciPy's matrices do."""

    def __iter__(self) -> Any:
        return iter([self])

    def toarray(self) -> np.ndarray:
        return np.zeros((2, 2))


@pytest.mark.parametrize("method", ["add_image", "add_histogram", "add_series"])
def test_sparse_matrices_teach_what_to_pass(logger: Logger, method: str) -> None:
    """The error names the attribute that holds the numbers."""
    with pytest.raises(TypeError, match=r"pass its \.(toarray|data)"):
        getattr(logger, method)("a", Sparse())


def test_tags_of_tensorboard_are_refused(logger: Logger) -> None:
    """A scalar tagged like an HPARAMS record would hide the row of the run."""
    with pytest.raises(ValueError, match="TensorBoard reserves this name"):
        logger.add_scalar("_hparams_/session_start_info", 1)


def test_a_kind_is_remembered_in_a_reused_run(logdir: Path) -> None:
    """If the run's files are read anyway, a conflict of kinds is detected."""
    with Logger(logdir, "run") as logger:
        logger.add_image("x", [[1.0]])
    with (
        Logger(logdir, "run", mode="a") as logger,
        pytest.raises(ValueError, match="'image'"),
    ):
        logger.add_scalar("x", 1.0)


@pytest.mark.parametrize("call", ["add_parameters", "add_metrics", "add_hparams"])
def test_results_are_written_all_or_none(logger: Logger, call: str) -> None:
    """A metric with the tag of an image is refused before anything is written."""
    logger.add_image("b", [[1.0]])
    metrics = {"a": 1, "b": 2}
    calls = {
        "add_parameters": lambda: logger.add_parameters({"p": 1}, metrics),
        "add_metrics": lambda: logger.add_metrics(metrics),
        "add_hparams": lambda: logger.writer.add_hparams({"p": 1}, metrics),
    }
    with pytest.raises(ValueError, match="one kind per tag"):
        calls[call]()
    assert [point.tag for point in load(logger.run_dir)] == ["b"]
    logger.add_parameters({"p": 1}, {"a": 1})


@pytest.mark.parametrize(
    "call",
    [
        lambda logger, time: logger.add_scalar("a", 1.0, time=time),
        lambda logger, time: logger.add_scalars("a", {"x": 1.0}, time=time),
        lambda logger, time: logger.log({"a": 1.0, "b": 2.0}, time=time),
        lambda logger, time: logger.add_image("a", [[0.5]], time=time),
        lambda logger, time: logger.add_series("a", [1.0, 2.0], times=[time, time]),
    ],
)
def test_a_time_that_goes_back_is_warned_of_once(logger: Logger, call: Any) -> None:
    """After a reset, TensorBoard draws the curve back over itself."""
    call(logger, 10.0)
    call(logger, 20.0)
    with pytest.warns(UserWarning, match=r"simulated time goes back.*reset") as caught:
        call(logger, 0.0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    call(logger, 10.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(logger, 5.0)


def test_a_series_whose_times_go_back_is_warned_of(logger: Logger) -> None:
    """This holds within one call, and between calls."""
    with pytest.warns(UserWarning, match="simulated time goes back"):
        logger.add_series("a", [1.0, 2.0, 3.0], times=[0.0, 2.0, 1.0])


def test_points_without_time_do_not_go_back_in_time(logger: Logger) -> None:
    """Simulated times are compared only with each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.add_scalar("a", 1.0, time=1e9)
        logger.add_scalar("a", 2.0)
        logger.add_scalar("a", 3.0, time=1e9)


def test_a_time_that_takes_the_step_back_is_one_warning(logdir: Path) -> None:
    """With dt, a reset makes TensorBoard hide points, and the warning says so."""
    with Logger(logdir, "run", dt=0.1) as logger:
        logger.add_scalar("a", 1.0, time=50.0)
        with pytest.warns(UserWarning, match=r"hides .* from step 100 on.*reset") as c:
            logger.add_scalar("a", 1.0, time=10.0)
        assert len(c) == 1


def at_times(logger: Logger, tag: str, times: list[float]) -> None:
    for time in times:
        logger.add_scalar(tag, 1.0, time=time)


def in_a_series(logger: Logger, tag: str, times: list[float]) -> None:
    logger.add_series(tag, [1.0] * len(times), times=times)


def in_a_log(logger: Logger, tag: str, times: list[float]) -> None:
    for time in times:
        logger.log({tag: 1.0, "other": 2.0}, time=time)


@pytest.mark.parametrize("log", [at_times, in_a_series, in_a_log])
@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([200.0, 200.2], "step 200 .*again.*: times closer than dt share a step"),
        ([200.0, 100.0], "step 100 .*comes after step 200.*: after a reset"),
    ],
)
def test_a_step_counted_from_time_is_said_to_be(
    logdir: Path, log: Any, times: list[float], said: str
) -> None:
    """Nobody is told to leave out a step that was left out."""
    with (
        Logger(logdir, "run", dt=1.0) as logger,
        pytest.warns(UserWarning, match=said) as caught,
    ):
        log(logger, "a", times)
    message = str(caught[0].message)
    assert "(counted from time by dt=1)" in message
    assert "leave step out" not in message


def test_steps_given_before_are_not_mixed_with_counted_ones(logdir: Path) -> None:
    """A counted step behind a given one is explained, also in a later session."""
    with Logger(logdir, "run", dt=1.0) as logger:
        logger.add_scalar("a", 1.0, 1000)
        with pytest.warns(UserWarning, match="step= in all calls .*or in none"):
            logger.add_scalar("a", 1.0, time=5.0)
    with (
        Logger(logdir, "run", mode="a") as logger,
        pytest.warns(UserWarning, match="Let time continue from the end"),
    ):
        logger.add_scalar("a", 1.0, time=2.0)


def test_descriptions_come_before_the_values(logger: Logger, logdir: Path) -> None:
    """A text that would not be shown is refused; repeating a text is allowed."""
    logger.describe("V", "in mV")
    logger.add_scalar("V", -70)
    logger.add_scalars("plot", {"x": 1})
    logger.describe("V", "in mV")
    for tag in ("V", "plot"):
        with pytest.raises(ValueError, match=r"describe\('\w+'\): .*before"):
            logger.describe(tag, "in V")
    with pytest.raises(TypeError, match=r"describe\('b'\): text must be a str"):
        logger.describe("b", 1)  # type: ignore[arg-type]
    logger.close()
    with pytest.raises(ValueError, match="closed"):
        logger.describe("b", "in mV")
    with Logger(logdir, "run", mode="a") as again:  # a script may be run again
        again.describe("V", "in mV")
        again.add_scalar("V", -60)
    assert scalars(logger.run_dir, "V") == [(0, -70), (1, -60)]


def test_a_refused_value_keeps_the_description(logger: Logger) -> None:
    """The description goes with the first value that is written."""
    logger.describe("V", "in mV")
    for bad in (None, [1, 2]):
        with pytest.raises(TypeError):
            logger.add_scalar("V", bad)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            logger.log({"V": bad})  # type: ignore[dict-item]
    for step in range(3):
        logger.add_scalar("V", np.full(1, step), step)
    texts = [p.proto.metadata.summary_description for p in points(logger.run_dir, "V")]
    assert texts == ["in mV", "", ""]
    assert scalars(logger.run_dir, "V") == [(0, 0), (1, 1), (2, 2)]


def test_the_unit_of_time_is_known(logdir: Path) -> None:
    """A caller can ask the Logger for its unit, and convert exactly."""
    with Logger(logdir, time_unit="ps") as logger:
        assert logger.time_unit == "ps"
        with pytest.raises(AttributeError):
            logger.time_unit = "ms"  # type: ignore[misc]
    assert in_unit("ps", "ms") == 1e-9
    assert in_unit("ps", "fs") == 1000
    assert in_unit("d", "s") == 86400
    assert [in_unit(unit, "fs") / in_unit("s", "fs") for unit in ("us", "h")] == [
        *(1e-6, 3600)
    ]


def test_a_refused_call_moves_no_time(logger: Logger) -> None:
    """The next time is compared with the last one actually logged."""
    logger.add_scalar("a", 1.0, time=1.0)
    for call in (
        logger.add_scalar,
        lambda tag, value, time: logger.log({tag: value}, time=time),
    ):
        with pytest.raises(TypeError):
            call("a", "x", time=100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.add_scalar("a", 1.0, time=2.0)


def test_what_has_a_buffer_is_an_array(logger: Logger) -> None:
    """NumPy does not know the type of ctypes arrays by name."""
    logger.add_series("a", (ctypes.c_double * 3)(1, 2, 3))
    assert scalars(logger.run_dir, "a") == [(0, 1.0), (1, 2.0), (2, 3.0)]
