"""What is read back is what was logged: doubles, steps and times, bit for bit."""

from __future__ import annotations

import copy
import math
import multiprocessing
import struct
import tempfile
import time
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import load, scalars, tables
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main

doubles = st.floats(allow_subnormal=True) | st.sampled_from(
    [
        0.0,
        -0.0,
        5e-324,
        1e39,
        -1e308,
        math.inf,
        -math.inf,
        0.1,
        268435456.0,
        2.0**60 + 1,
    ]
)
steps = st.integers(-(2**63), 2**63 - 1)
simulated = st.floats(-1e12, 1e12) | st.sampled_from([-0.0, 5e-324, 1e-300, 1e300])


def bits(numbers: Any) -> list[bytes]:
    """Return numbers as the bytes of doubles."""
    return [struct.pack("<d", number) for number in numbers]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of steps, times, and 1e39
@given(
    st.lists(st.tuples(doubles, steps, st.none() | simulated), min_size=1, max_size=40)
)
def test_numbers_steps_and_times_come_back_in_their_bits(said: list[Any]) -> None:
    """By add_scalar, add_scalars and log alike."""
    with tempfile.TemporaryDirectory() as directory:
        before = time.time()
        with Logger(directory, "run") as logger:
            for value, step, when in said:
                logger.add_scalar("one", value, step, time=when)
                logger.add_scalars("plot", {"curve": value}, step, time=when)
                logger.log({"a": value, "b": -value}, step, time=when)
            last = logger.last.read()
        run = Run(logger.run_dir)
        values = [value for value, *_ in said]
        times = [math.nan if when is None else when for *_, when in said]
        for sign, points in (
            (1, run.scalars("one")),
            (1, run.curves("plot")["curve"]),
            (1, run.scalars("a")),
            (-1, run.scalars("b")),
        ):
            assert bits(points.values) == bits(
                value if sign > 0 else -value for value in values
            )
            assert points.steps.tolist() == [step for _, step, _ in said]
            assert bits(points.times) == bits(times)
            assert (points.wall_times >= before).all()
            assert (points.wall_times <= time.time()).all()
        assert bits([last["one"], last["plot"]["curve"]]) == bits(values[-1:] * 2)


def test_a_drift_of_a_large_energy_is_read_back(logger: Logger) -> None:
    """TensorBoard shows single precision, in which it is a flat line."""
    energies = [-4.86e6 + step * 1e-3 for step in range(100)]
    for step, energy in enumerate(energies):
        logger.add_scalar("Energy (eV)", energy, step)
    assert Run(logger.run_dir).scalars("Energy (eV)").values.tolist() == energies
    assert len({value for _, value in scalars(logger.run_dir, "Energy (eV)")}) == 1


def test_what_is_beyond_single_precision_is_read_back(logger: Logger) -> None:
    """It is shown as infinity, and is not."""
    with pytest.warns(UserWarning, match="beyond single precision"):
        logger.add_scalar("a", 1e39)
    logger.add_metrics({"m": 1 / 3})
    with logger.window("w") as window:
        window.add(1)
        window.add(2, weight=2)
    assert logger.last.read() == {"a": 1e39, "m": 1 / 3, "w": 5 / 3}
    assert scalars(logger.run_dir, "a") == [(0, math.inf)]


def test_tensorboard_passes_over_what_it_does_not_know(logger: Logger) -> None:
    """Its accumulator has the same points, with and without times."""
    for step in range(50):
        logger.add_scalar("plain", step / 3, step)
        logger.add_scalar("timed", step / 3, step, time=step * 0.1)
        logger.log({"x": step / 7, "y": -step / 7}, step, time=step * 0.1)
    accumulator = EventAccumulator(str(logger.run_dir), size_guidance={"tensors": 0})
    accumulator.Reload()
    for tag, sign, part in (("plain", 1, 3), ("timed", 1, 3), ("y", -1, 7)):
        found = [(e.step, e.value) for e in accumulator.Scalars(tag)]
        wanted = [(s, float(np.float32(sign * s / part))) for s in range(50)]
        assert found == wanted


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("add_image", [[0.5]]),
        ("add_histogram", [1.0, 2.0]),
        ("add_text", "text"),
        ("add_html", "<p>text"),
        ("add_audio", [0.5]),
        ("add_matrix", [[0.5]]),
    ],
)
def test_every_kind_has_its_times(method: str, data: Any, logger: Logger) -> None:
    """The simulated time as it was given, and the real one."""
    before = time.time()
    getattr(logger, method)("tag", data, 0, time=np.float32(2.5))
    getattr(logger, method)("tag", data, 1)
    found = Run(logger.run_dir).data("tag")
    np.testing.assert_equal(found.times, [2.5, np.nan])
    assert ((found.wall_times >= before) & (found.wall_times <= time.time())).all()
    begun = logger._run.started
    assert load(logger.run_dir)[0].time == begun + 0.0025  # what TensorBoard draws


# -- one rule for every call -----------------------------------------------------------

REFUSED = [np.complex128(1 + 2j), np.array("3.5"), "3.5", b"3", None, [1.0, 2.0], 1j]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_the_first_call_refuses_the_second_refuses(
    value: Any, logger: Logger
) -> None:
    """Known tags take exactly what new ones take, without a warning."""
    for method, known in (
        (lambda v: logger.add_scalar("a", v), 1),
        (lambda v: logger.add_scalars("b", {"x": v}), 1),
        (lambda v: logger.log({"c": v, "d": 1.0}), 1),
    ):
        for _ in range(2):
            with pytest.raises(TypeError, match="value must be one number"):
                method(value)
            method(known)


class Odd:
    """Something that has a float, and nothing else."""

    def __float__(self) -> float:
        return 2.5


TAKEN = [
    *(True, 3, np.float32(0.1), np.float16(0.1), np.int8(-3), np.uint64(2**63)),
    *(np.bool_(True), np.array(0.1), np.array([0.1]), np.longdouble(0.5), Odd()),
    *(np.ma.masked, np.ma.array(1.5), np.float64("nan")),
]


@pytest.mark.parametrize("value", TAKEN, ids=lambda value: type(value).__name__)
@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_what_the_first_call_takes_the_second_takes(value: Any, logger: Logger) -> None:
    """The same number, whichever way it goes, and without a warning."""
    for _ in range(3):
        logger.add_scalar("a", value)
        logger.add_scalars("b", {"x": value})
        logger.log({"c": value, "d": 1.0})
    run = Run(logger.run_dir)
    for points in (run.scalars("a"), run.curves("b")["x"], run.scalars("c")):
        assert len(set(bits(points.values))) == 1
        assert len(points.values) == 3


def test_files_without_doubles_read_as_before(tmp_path: Path) -> None:
    """Those of earlier versions and of other writers, in single precision."""
    from annarchy_tb import SummaryWriter

    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("a", 0.1, 3, walltime=5.0)
    steps, values, times, wall_times = Run(tmp_path / "run").scalars("a")
    assert (steps.tolist(), values.tolist()) == ([3], [float(np.float32(0.1))])
    assert np.isnan(times).all()
    assert wall_times.tolist() == [5.0]


# -- clocks and units ------------------------------------------------------------------


def test_a_clock_gives_the_time_to_calls_without_one(logdir: Path) -> None:
    """To all kinds and to windows; a time that is given wins."""
    now = [0.0]
    with Logger(logdir, "run", dt=0.5, clock=lambda: now[0]) as logger:
        with logger.window("window") as window:
            for moment in (1.5, 2.5):
                now[0] = moment
                logger.add_scalar("a", 1.0)
                logger.add_scalars("plot", {"x": 1.0})
                logger.log({"b": 1.0, "c": 2.0})
                logger.add_image("image", [[0.5]])
                logger.add_text("text", "a")
                window.add(1.0)
            now[0] = 9.0
        logger.add_scalar("a", 1.0, time=4.0)
    run = Run(logdir / "run")
    assert run.scalars("a").times.tolist() == [1.5, 2.5, 4.0]
    assert run.scalars("a").steps.tolist() == [3, 5, 8]
    for points in (run.curves("plot")["x"], run.scalars("c")):
        assert points.times.tolist() == [1.5, 2.5]
    assert run.images("image").times.tolist() == [1.5, 2.5]
    assert run.text("text").times.tolist() == [1.5, 2.5]
    assert run.scalars("window").times.tolist() == [2.5]


def test_what_has_no_time_does_not_ask_the_clock(logdir: Path) -> None:
    """Series, parameters, results and the SummaryWriter."""

    def never() -> float:
        raise AssertionError("asked")

    with Logger(logdir, "run", clock=never) as logger:
        logger.add_series("series", [1.0, 2.0])
        logger.add_parameters({"a": 1}, {"m": 1.0})
        logger.add_metrics({"n": 1.0})
        logger.writer.add_scalar("w", 1.0, 0)
        with pytest.raises(AssertionError, match="asked"):
            logger.add_scalar("a", 1.0)
        logger.add_scalar("a", 1.0, time=0.0)
        with pytest.raises(AssertionError, match="asked"):
            logger.add_scalar("a", 1.0)
    assert len(Run(logdir / "run").scalars("a").steps) == 1


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (math.nan, ValueError, r"add_scalar\('a'\): time must be finite"),
        ("1.0", TypeError, r"add_scalar\('a'\): time must be a number"),
        (None, TypeError, "clock must give the simulated time"),
    ],
)
def test_a_clock_that_gives_no_time_stops_the_call(
    given: Any, error: type[Exception], message: str, logdir: Path
) -> None:
    """Nothing is written, for new tags and known ones."""
    times = [given, 0.0, given]
    with Logger(logdir, "run", clock=lambda: times.pop()) as logger:
        with pytest.raises(error, match=message):
            logger.add_scalar("a", 1.0)
        logger.add_scalar("a", 1.0)
        with pytest.raises(error, match=message):
            logger.add_scalar("a", 1.0)
    assert len(Run(logdir / "run").scalars("a").steps) == 1


def test_a_clock_is_callable(logdir: Path) -> None:
    """Another one makes no run."""
    with pytest.raises(TypeError, match="Logger: clock must be a callable"):
        Logger(logdir, "run", clock=3.0)  # type: ignore[arg-type]
    assert not logdir.exists()


def test_a_clock_stays_with_its_process(logdir: Path) -> None:
    """A copy of the Logger has none."""
    with Logger(logdir, "run", clock=lambda: 1.0) as logger:
        copied = copy.copy(logger)
        copied.add_scalar("copy", 1.0)
        copied.close()
        logger.add_scalar("own", 1.0)
    run = Run(logdir / "run")
    assert np.isnan(run.scalars("copy").times).all()
    assert run.scalars("own").times.tolist() == [1.0]


@pytest.mark.parametrize("how", [{"mode": "a"}, {"resume": True}])
def test_a_run_keeps_its_unit_and_its_step(how: dict[str, Any], logdir: Path) -> None:
    """They may be left out, and no others are taken; the run stays as it was."""
    with Logger(logdir, "run", time_unit="s", dt=0.1) as logger:
        logger.save_checkpoint({}, 0)
    before = (logdir / "run" / "run.json").read_bytes()
    files = sorted((logdir / "run").rglob("*"))
    for wrong in ({"time_unit": "ms"}, {"dt": 0.2}):
        [name] = wrong
        with pytest.raises(ValueError, match=f"Logger: {name} must be that of the run"):
            Logger(logdir, "run", **how, **wrong)  # type: ignore[arg-type]
    assert (logdir / "run" / "run.json").read_bytes() == before
    assert sorted((logdir / "run").rglob("*")) == files
    for its in ({}, {"time_unit": "s", "dt": np.float64(0.1)}):
        with Logger(logdir, "run", **how, **its) as logger:  # type: ignore[arg-type]
            assert logger.time_unit == "s"
            logger.add_scalar("a", 1.0, time=2.0 + len(its))
    assert Run(logdir / "run").time_unit == "s"
    assert Run(logdir / "run").info["dt"] == 0.1
    assert 40 in Run(logdir / "run").scalars("a").steps


# -- dates -----------------------------------------------------------------------------

NOON = datetime(2001, 5, 1, 12)


@pytest.mark.parametrize(
    "origin",
    [
        NOON,
        NOON.replace(tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2001-05-01T12:00"),
        datetime(1850, 1, 1),
    ],
)
def test_time_0_is_the_origin(origin: Any, logdir: Path) -> None:
    """TensorBoard's wall times are dates of the model; a date is a time, too."""
    zone = getattr(origin, "tzinfo", None)
    begun = np.datetime64(origin.replace(tzinfo=None) if zone else origin, "us").item()
    with Logger(logdir, "run", time_unit="d", dt=1.0, origin=origin) as logger:
        logger.add_scalar("a", 1.0, time=2)
        logger.add_scalar(
            "a", 1.0, time=(begun + timedelta(days=3)).replace(tzinfo=zone)
        )
        dates = [(begun + timedelta(days=d)).replace(tzinfo=zone) for d in (1, 5)]
        logger.add_series("series", [1.0, 2.0], times=dates)
        logger.add_image("image", [[1.0]], time=4.5)
        if zone is None:
            times = np.array(dates, "datetime64[s]")
            logger.add_series("more", [1.0, 2.0], times=times)
    points = Run(logdir / "run").scalars("a")
    assert points.times.tolist() == [2.0, 3.0]
    assert points.steps.tolist() == [2, 3]
    assert (abs(points.wall_times - time.time()) < 60).all()
    utc = begun.replace(tzinfo=zone or timezone.utc).timestamp()
    drawn: dict[str, list[float]] = {}
    for point in load(logdir / "run"):
        drawn.setdefault(point.tag, []).append((point.time - utc) / 86400)
    assert drawn["a"] == [2.0, 3.0]
    assert drawn["series"] == [1.0, 5.0]
    assert drawn["image"] == [4.5]
    assert drawn.get("more", [1.0, 5.0]) == [1.0, 5.0]
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1.0, time=4)
    assert load(logdir / "run")[-1].time == utc + 4 * 86400
    with pytest.raises(ValueError, match="Logger: origin must be that of the run"):
        Logger(logdir, "run", mode="a", origin=datetime(1999, 1, 1))


@pytest.mark.parametrize(
    ("settings", "given", "error", "message"),
    [
        ({}, NOON, TypeError, r"time must be a number.*Logger\(origin="),
        ({"origin": NOON}, NOON.replace(tzinfo=timezone.utc), ValueError, "both have"),
        ({"origin": NOON.replace(tzinfo=timezone.utc)}, NOON, ValueError, "both have"),
        ({"origin": NOON}, np.datetime64("NaT", "ns"), TypeError, "must be a datetime"),
        ({"origin": NOON}, "2001", TypeError, "time must be a number"),
    ],
)
def test_a_date_that_does_not_fit_is_refused(
    settings: Any, given: Any, error: type[Exception], message: str, logdir: Path
) -> None:
    """Nothing is written."""
    with (
        Logger(logdir, "run", **settings) as logger,
        pytest.raises(error, match=rf"add_scalar\('a'\): .*{message}"),
    ):
        logger.add_scalar("a", 1.0, time=given)
    assert load(logdir / "run") == []


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"origin": "2001-05-01"}, TypeError, "Logger: origin must be a datetime"),
        ({"origin": 5.0}, TypeError, "Logger: origin must be a datetime"),
        (
            {"origin": NOON, "time_unit": "ps"},
            ValueError,
            "Logger: origin must go with",
        ),
    ],
)
def test_an_origin_that_is_none_makes_no_run(
    settings: Any, error: type[Exception], message: str, logdir: Path
) -> None:
    """Neither does one that could not be drawn."""
    with pytest.raises(error, match=message):
        Logger(logdir, "run", **settings)
    assert not logdir.exists()


# -- not finite ------------------------------------------------------------------------


def test_the_first_value_that_is_not_finite_is_warned_of_and_noted(
    logdir: Path,
) -> None:
    """Once a tag, at the user's line; run.json, the table and ls say at which step."""
    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_scalar("a", 1.0, step)
            logger.log({"b": 1.0, "c": 1.0}, step)
        with pytest.warns(UserWarning, match=r"add_scalar\('a'\): the value is nan"):
            logger.add_scalar("a", math.nan, 3)
        assert Run(logger.run_dir).info["not_finite"] == {"a": 3}  # the first, at once
        with pytest.warns(UserWarning, match=r"log\('c'\): the value is -inf"):
            logger.log({"b": 2.0, "c": -math.inf}, 4)
        with pytest.warns(
            UserWarning, match=r"add_scalars\('plot'\): the value is inf"
        ):
            logger.add_scalars("plot", {"x": 1.0, "y": math.inf}, 5)
        with pytest.warns(UserWarning, match=r"add_series\('s'\): the value is nan"):
            logger.add_series("s", [1.0, 2.0, np.nan, np.nan], [0, 10, 20, 30])
        with pytest.warns(UserWarning, match=r"window.add\('w'\): the value is nan"):
            logger.window("w", every=1).add(math.nan, step=6)
        for step in range(10, 13):  # they are known
            logger.add_scalar("a", math.inf, step)
            logger.log({"b": 1.0, "c": math.nan}, step)
            logger.add_scalars("plot", {"x": math.nan, "y": 1.0}, step)
            logger.add_series("s", [np.nan], [100 + step])
        logger.add_scalar("large", 1e38, 0)
        logger.add_metrics({"m": math.nan})
    found = Run(logdir / "run").info["not_finite"]
    assert found == {"a": 3, "c": 4, "plot": 5, "s": 20, "w": 6}
    assert "| not finite: a | from step 3 |" in tables(logdir / "run")[-1]
    said = CliRunner().invoke(main, ["ls", str(logdir)]).output
    assert "not finite" in said
    assert "a at 3" in said
    with Logger(logdir, "run", mode="a") as logger:  # and stay known
        logger.add_scalar("a", math.nan, 20)
    assert Run(logdir / "run").info["not_finite"] == found


@pytest.mark.parametrize(
    "call",
    [
        lambda logger: logger.add_scalar("tag", math.nan, 7, time=2.5),
        lambda logger: logger.log({"b": 1.0, "tag": math.inf}, 7, time=2.5),
        lambda logger: logger.add_scalars("tag", {"x": math.nan}, 7, time=2.5),
        lambda logger: logger.add_series("tag", [1, np.nan], [6, 7], times=[2, 2.5]),
    ],
)
def test_a_value_that_is_not_finite_ends_the_run_if_asked_to(
    call: Any, logdir: Path
) -> None:
    """With tag, step and time, once the whole call is written; each time anew."""
    message = r"tag'\): the value is (nan|inf) at step 7, time 2.5"
    logger = Logger(logdir, "run", on_nan="raise")
    with pytest.raises(FloatingPointError, match=message), logger:
        call(logger)
    run = Run(logdir / "run")
    assert run.status == "failed"
    assert run.info["not_finite"] == {"tag": 7}
    assert sum(7 in points.steps for *_, points in run.points()) >= 1
    with Logger(logdir, "again", on_nan="raise") as logger:
        for step in (7, 8):
            with pytest.raises(FloatingPointError, match=f"step {step}"):
                logger.add_scalar("a", math.nan, step)
    assert len(Run(logdir / "again").scalars("a").steps) == 2


def test_it_may_be_passed_over(logdir: Path) -> None:
    """Without a warning; run.json still names the tag."""
    with Logger(logdir, "run", on_nan="ignore") as logger:
        logger.add_scalar("a", math.nan, 3)
        logger.add_series("s", [np.inf])
    assert Run(logdir / "run").info["not_finite"] == {"a": 3, "s": 0}
    with pytest.raises(ValueError, match="Logger: on_nan must be one of 'warn', 'rai"):
        Logger(logdir, "other", on_nan="stop")  # type: ignore[arg-type]
    assert not (logdir / "other").exists()


def test_a_resume_forgets_what_was_cut_off(logdir: Path) -> None:
    """A tag that was not finite after the checkpoint is warned of again."""
    with Logger(logdir, "run") as logger:
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("early", math.nan, 0)
        logger.save_checkpoint({}, 1)
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("late", math.nan, 2)
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("early", math.nan, 1)
        assert Run(logdir / "run").info["not_finite"] == {"early": 0}
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("late", math.nan, 5)
    assert Run(logdir / "run").info["not_finite"] == {"early": 0, "late": 5}


def test_a_child_notes_its_own(logdir: Path) -> None:
    """What a forked process found is in the record of the run."""

    def child() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logger.add_scalar("child", math.nan, 4)
        logger.close()

    with Logger(logdir, "run") as logger:
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
    assert Run(logdir / "run").info["not_finite"] == {"child": 4}
