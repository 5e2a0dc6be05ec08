"""Phases: what begins again at step or time 0 goes on behind what the run has."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import died, in_child, interrupt, load, scalars
from hypothesis import given, settings
from hypothesis import strategies as st

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading.news import News
from annarchy_tb.tfevents.phases import Spans, end_mark, mark

pytestmark = pytest.mark.filterwarnings("error")


def steps(logger: Logger, tag: str) -> list[int]:
    return [step for step, _ in scalars(logger.run_dir, tag)]


def increases(numbers: Any) -> bool:
    return bool((np.diff(numbers) > 0).all())


# -- what moves ------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("dt", [1.0, 0.1])
def test_times_go_on_by_whole_dt(logdir: Path, dt: float, first: int) -> None:
    """No step comes twice, and none is left out between phases that begin with it."""
    with Logger(logdir, "run", dt=dt) as logger:
        for name in "abc":
            with logger.phase(name):
                for step in range(first, 100):
                    logger.add_scalar("v", step, time=step * dt)
    points = Run(logger.run_dir).scalars("v")
    assert points.steps.tolist() == list(range(first, 300 - 2 * first))
    np.testing.assert_allclose(points.times, points.steps * dt)
    for name in "abc":
        its = points.phase(name)
        assert its.steps.tolist() == list(range(first, 100))
        assert its.times.tolist() == [step * dt for step in range(first, 100)]
        assert its.values.tolist() == list(range(first, 100))


def test_times_between_steps_are_rounded_up(logdir: Path) -> None:
    """The next phase begins at a whole dt, which is not before the latest time."""
    with Logger(logdir, "run", dt=0.1) as logger:
        for _ in range(2):
            with logger.phase("x"):
                logger.add_scalar("v", 0.0, time=0.0)
                logger.add_scalar("v", 1.0, time=9.93)
    assert Run(logger.run_dir).scalars("v").times.tolist() == [0.0, 9.93, 10.0, 19.93]
    assert steps(logger, "v") == [0, 99, 100, 199]


def test_times_go_on_without_dt(logger: Logger) -> None:
    """They move by the latest time, and steps given with them by the last step."""
    for _ in range(3):
        with logger.phase("x"):
            for step in range(10):
                logger.add_scalar("each", 1.0, step, time=0.25 * step)
                if not step % 5:
                    logger.add_scalar("few", 1.0, step, time=0.25 * step)
            logger.add_scalar("counted", 1.0, time=0.0)
    run = Run(logger.run_dir)
    assert increases(run.scalars("each").steps)
    at = dict(zip(*run.scalars("each")[:3:2], strict=True))
    few = run.scalars("few")
    assert [at[step] for step in few.steps] == few.times.tolist()
    assert run.scalars("each").times.tolist()[10:12] == [2.25, 2.5]
    assert steps(logger, "counted") == [0, 1, 2]


def test_steps_go_on_without_times(logger: Logger) -> None:
    """Tags logged together move alike, and all others by their own last steps."""
    for _ in range(2):
        with logger.phase("x"):
            for step in range(20):
                logger.log({"a": 1.0, "b": 2.0}, step)
                if step % 10 == 0:
                    logger.add_scalar("few", 1.0, step)
            logger.add_scalar("a", 1.0, 20)
            logger.add_scalar("once", 1.0)
    assert steps(logger, "b") == list(range(20)) + list(range(21, 41))
    assert steps(logger, "a")[-2:] == [40, 41]
    assert steps(logger, "few") == [0, 10, 11, 21]
    assert steps(logger, "once") == [0, 1]


def test_what_goes_on_does_not_move(logdir: Path) -> None:
    """Steps and times that continue are as they were given."""
    with Logger(logdir, "run", dt=1.0) as logger:
        for k in range(3):
            with logger.phase(f"trial {k}"):
                for step in range(10 * k, 10 * k + 10):
                    logger.add_scalar("v", 1.0, time=float(step))
                    logger.add_scalar("w", 1.0, step)
                    logger.add_scalar("trial", 1.0, step - 10 * k, time=float(step))
    run = Run(logger.run_dir)
    for tag in ("v", "w"):
        assert run.scalars(tag).steps.tolist() == list(range(30))
        assert run.scalars(tag).phase("trial 1").steps.tolist() == list(range(10, 20))
    assert run.scalars("trial").steps.tolist() == list(range(30))
    assert run.scalars("trial").phase("trial 2").steps.tolist() == list(range(10))
    assert [phase.time for phase in run.phases] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dt", [None, 1.0])
def test_a_trial_number_goes_on_beside_times_that_begin_again(
    logdir: Path, dt: float | None
) -> None:
    """A step that is not that of the time moves by its own last one, if at all."""
    with Logger(logdir, "run", dt=dt) as logger:
        for trial in range(3):
            with logger.phase(f"trial {trial}"):
                for epoch in range(5):
                    time = 20.0 * epoch
                    logger.add_scalar("v", 1.0, time=time)
                    logger.add_scalar("epoch", 1.0, epoch, time=time)
                logger.add_scalar("trial", 1.0, trial, time=100.0)
    assert steps(logger, "trial") == [0, 1, 2]
    found = Run(logger.run_dir).scalars("epoch")
    assert found.phase("trial 2").steps.tolist() == [0, 1, 2, 3, 4]
    if dt is not None:
        assert found.steps.tolist() == list(range(15))


def test_a_late_tag_of_a_phase_moves_with_its_time(logdir: Path) -> None:
    """Also if its own first time is not before the latest one."""
    with Logger(logdir, "run", dt=1.0) as logger:
        with logger.phase("short"):
            for step in range(10):
                logger.add_scalar("v", 1.0, time=float(step))
        with logger.phase("long"):
            for step in range(30):
                logger.add_scalar("v", 1.0, time=float(step))
                if step == 25:
                    logger.add_scalar("late", 1.0, time=float(step))
    assert steps(logger, "late") == [35]
    assert steps(logger, "v") == list(range(40))


def test_negative_times_begin_again_behind_the_latest(logdir: Path) -> None:
    """A phase from -200 ms begins where the last one ended."""
    with Logger(logdir, "run", dt=1.0) as logger:
        for name in "ab":
            with logger.phase(name):
                for step in range(-200, 100):
                    logger.add_scalar("v", 1.0, time=float(step))
    points = Run(logger.run_dir).scalars("v")
    assert points.steps.tolist() == list(range(-200, 400))
    assert points.phase("b").times[0] == -200.0


def test_every_kind_follows(logdir: Path) -> None:
    """Images, histograms, texts, sounds, rasters, series, curves, windows, figures."""
    import matplotlib.pyplot as plt

    with Logger(logdir, "run", dt=1.0) as logger:
        for name in "ab":
            with logger.phase(name):
                for step in range(3):
                    when: dict[str, Any] = {"time": float(step)}
                    logger.add_image("image", np.eye(4), **when)
                    logger.add_figure("figure", plt.figure(), **when)
                    logger.add_matrix("matrix", np.eye(4), **when)
                    logger.add_histogram("histogram", [1.0, 2.0], **when)
                    logger.add_text("text", name, **when)
                    logger.add_raster("raster", {0: [1, 2]}, **when)
                    logger.add_audio("sound", np.zeros(100), **when)
                    logger.add_scalars("plot", {"E": 1.0, "I": step}, **when)
                logger.add_series("series", np.arange(3.0), times=np.arange(3.0))
                window = logger.window("window")
                window.add(1.0, time=1.0)
    run = Run(logger.run_dir)
    for tag in ("image", "figure", "matrix", "histogram", "text", "raster", "sound"):
        assert run.data(tag).steps.tolist() == [0, 1, 2, 3, 4, 5], tag
        assert run.data(tag).times.tolist() == [0, 1, 2, 3, 4, 5], tag
    for kept in (run.spikes("raster"), run.matrices("matrix")):
        assert kept.steps.tolist() == kept.times.tolist() == [0, 1, 2, 3, 4, 5]
    for curve in run.curves("plot").values():
        assert curve.steps.tolist() == [0, 1, 2, 3, 4, 5]
        assert curve.phase("b").steps.tolist() == [0, 1, 2]
    series = run.scalars("series")
    assert series.steps.tolist() == series.times.tolist() == [0, 1, 2, 3, 4, 5]
    assert series.phase("b").times.tolist() == [0, 1, 2]
    assert run.scalars("window").times.tolist() == [1, 4]
    shown = [point.step for point in load(logger.run_dir) if point.tag == "image"]
    assert shown == [0, 1, 2, 3, 4, 5]


def test_a_clock_follows(logdir: Path) -> None:
    """As times that are given."""
    now = [0.0]
    with Logger(logdir, "run", clock=lambda: now[0], dt=1.0) as logger:
        for name in "ab":
            with logger.phase(name):
                for now[0] in np.arange(5.0).tolist():
                    logger.add_scalar("v", 1.0)
                    logger.log({"a": 1.0, "b": 1.0})
    for tag in "vab":
        assert steps(logger, tag) == list(range(10))


def test_long_series_are_whole_in_each_phase(logdir: Path) -> None:
    """Several blocks of one call belong to its phase, with their exact times."""
    times = np.cumsum(np.random.default_rng(1).uniform(0.1, 1.0, 300_000))
    values = np.arange(300_000.0)
    with Logger(logdir, "run") as logger:
        for name in "ab":
            with logger.phase(name):
                logger.add_series(
                    "v", values, np.arange(300_000), times=times, shown=400
                )
    points = Run(logger.run_dir).scalars("v")
    assert increases(points.steps)
    for name in "ab":
        its = points.phase(name)
        assert np.array_equal(its.times, times)
        assert np.array_equal(its.values, values)
        assert np.array_equal(its.steps, np.arange(300_000))


def test_windows_end_with_their_phase(logger: Logger) -> None:
    """What one holds is logged before the next phase begins, and before one ends."""
    window = logger.window("mean")
    window.add(1.0, step=0)
    with logger.phase("a"):
        window.add(3.0, step=0)
        assert scalars(logger.run_dir, "mean") == [(0, 1.0)]
    window.add(5.0, step=9)
    window.flush()
    assert scalars(logger.run_dir, "mean") == [(0, 1.0), (1, 3.0), (9, 5.0)]


def test_steps_after_a_phase_are_those_of_the_run(logger: Logger) -> None:
    """Left out, they count on from the last point."""
    for _ in range(2):
        with logger.phase("x"):
            logger.add_scalar("v", 1.0, 0)
            logger.add_scalar("v", 1.0, 1)
    logger.add_scalar("v", 1.0)
    logger.log({"v": 1.0, "w": 1.0})
    assert steps(logger, "v") == [0, 1, 2, 3, 4, 5]


def test_tags_in_any_company_stay_in_order(logger: Logger) -> None:
    """A tag logged alone and together with others has one sequence of steps."""
    for _ in range(3):
        with logger.phase("x"):
            for step in range(5):
                logger.add_scalar("a", 1.0, 3 * step)
                logger.log({"a": 1.0, "b": 1.0}, 3 * step + 1)
                logger.log({"c": 1.0, "b": 1.0}, 3 * step + 2)
    for tag in "abc":
        assert increases(steps(logger, tag))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "c"), ("c",)]),
                st.integers(1, 300),
                st.sampled_from(["step", "time", "none", "plot"]),
            ),
            max_size=12,
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([None, 1.0, 0.5]),
)
def test_each_phase_reads_back_as_it_was_given(
    tmp_path_factory: pytest.TempPathFactory,
    phases: list[list[tuple[tuple[str, ...], int, str]]],
    dt: float | None,
) -> None:
    """Steps of the run increase, and those of a phase are the ones of the calls."""
    given_: dict[tuple[int, str, str], list[tuple[int | None, float]]] = {}
    with Logger(tmp_path_factory.mktemp("runs"), "run", dt=dt) as logger:
        for number, calls in enumerate(phases, 1):
            at = 0
            with logger.phase("x"):
                for tags, more, how in calls:
                    plot = how == "plot"
                    when: dict[str, Any] = {}
                    if how in ("step", "plot"):
                        when["step"] = at
                    if how == "time":
                        when["time"] = float(at)
                        if dt is None:
                            when["step"] = at
                    if plot:
                        logger.add_scalars("plot", dict.fromkeys(tags, 1.0), **when)
                    elif how == "step":
                        logger.log(dict.fromkeys([f"s{t}" for t in tags], 1.0), **when)
                    else:
                        logger.log(dict.fromkeys([how + t for t in tags], 1.0), **when)
                    step = when.get("step")
                    if how == "time" and dt is not None:
                        step = round(at / dt)
                    for tag in tags:
                        name = "plot" if plot else ("s" if how == "step" else how) + tag
                        curve = tag if plot else ""
                        point = (step, when.get("time", np.nan))
                        given_.setdefault((number, name, curve), []).append(point)
                    at += more
    run = Run(logger.run_dir)
    for _, _, points in run.points():
        assert increases(points.steps)
    for (number, name, curve), expected in given_.items():
        points = run.curves(name)[curve] if curve else run.scalars(name)
        its = points.phase(number)
        found = list(zip(its.steps.tolist(), its.times.tolist(), strict=True))
        for (step, time), (a, b) in zip(found, expected, strict=True):
            assert a is None or a == step
            assert time == b or (np.isnan(time) and np.isnan(b))


# -- what is refused, and warned of ----------------------------------------------------


def test_a_phase_within_a_phase_is_refused(logger: Logger) -> None:
    """And the outer one goes on."""
    with logger.phase("outer"):
        logger.add_scalar("v", 1.0, 5)
        inner = logger.phase("inner")
        with pytest.raises(RuntimeError, match=r"^phase: 'inner' .* 'outer'; end"):
            inner.__enter__()
        logger.add_scalar("v", 1.0, 6)
    assert [phase.name for phase in Run(logger.run_dir).phases] == ["outer"]


@pytest.mark.parametrize("name", ["", None, 3, b"x"])
def test_a_name_must_be_a_text(logger: Logger, name: Any) -> None:
    """The error names the method and what came."""
    with pytest.raises((TypeError, ValueError), match=r"^phase: name must"):
        logger.phase(name)


def test_a_closed_logger_has_no_phases(logger: Logger) -> None:
    """A block made before can't begin either, and one that goes on ends quietly."""
    block = logger.phase("late")
    with logger.phase("early"):
        logger.add_scalar("v", 1.0)
        logger.close()
    with pytest.raises(ValueError, match="Logger is closed"):
        logger.phase("x")
    with pytest.raises(ValueError, match="Logger is closed"), block:
        pass
    [phase] = Run(logger.run_dir).phases
    assert phase.ended is not None


def test_steps_that_go_back_inside_are_warned_of(logger: Logger) -> None:
    """Only the first call for a tag in a phase decides what begins again."""
    for name in "ab":
        with logger.phase(name):
            logger.add_scalar("v", 1.0, 0)
            logger.add_scalar("v", 1.0, 5)
            with (
                pytest.warns(UserWarning, match="after step 5")
                if name == "a"
                else warnings.catch_warnings()
            ):
                logger.add_scalar("v", 1.0, 3)


@pytest.mark.parametrize("how", ["steps", "times"])
def test_the_warning_about_steps_names_phases(logdir: Path, how: str) -> None:
    """It teaches what to write where a simulation begins again."""
    warned = pytest.warns(UserWarning, match=r"with logger\.phase\(")
    with Logger(logdir, "run", dt=1.0) as logger, warned:
        for step in (0, 1, 0, 1):
            when = {"step": step} if how == "steps" else {"time": float(step)}
            logger.add_scalar("v", 1.0, **when)


def test_a_refused_call_moves_nothing(logger: Logger) -> None:
    """The next one decides what begins again."""
    logger.add_scalar("v", 1.0, 9)
    with logger.phase("x"):
        with pytest.raises(TypeError):
            logger.add_scalar("v", "text", 0)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="step"):
            logger.add_scalar("v", 1.0, 0.5)
        logger.add_scalar("v", 1.0, 10)
    assert steps(logger, "v") == [9, 10]
    assert Run(logger.run_dir).scalars("v").phase("x").steps.tolist() == [10]


def test_steps_beyond_64_bits_are_refused(logger: Logger) -> None:
    """Those of the files count, and nothing is written."""
    logger.add_scalar("v", 1.0, 2**62)
    with logger.phase("x"):
        logger.add_scalar("v", 1.0, 0)
        logger.add_scalar("v", 1.0, 2**61)
        with pytest.raises(ValueError, match="64 bits"):
            logger.add_scalar("v", 1.0, 2**63 - 1)
        with pytest.raises(ValueError, match="64 bits"):
            logger.add_series("v", [1.0, 2.0], [2**62, 2**63 - 1])
    assert steps(logger, "v") == [2**62, 2**62 + 1, 2**62 + 1 + 2**61]


def test_phases_of_one_name_are_told_apart_by_number(logger: Logger) -> None:
    """The error says the numbers; an unknown name says those that there are."""
    for _ in range(2):
        with logger.phase("trial"):
            logger.add_scalar("v", 1.0, 0)
    points = Run(logger.run_dir).scalars("v")
    with pytest.raises(ValueError, match="by its number: 1, 2"):
        points.phase("trial")
    assert points.phase(2).steps.tolist() == [0]
    with pytest.raises(KeyError, match="there are 'trial'"):
        points.phase("other")


# -- files, processes, resume ----------------------------------------------------------


def test_phases_are_named_and_dated(logger: Logger) -> None:
    """By Run, run.json and the command line, also those without data."""
    logger.add_scalar("v", 1.0, 0)
    for name in ("heat", "NVT <b>\n"):
        with logger.phase(name):
            pass
    with logger.phase("NPT"):
        logger.add_scalar("v", 1.0, 0)
        first, second, third = Run(logger.run_dir).phases
    assert (first.name, second.name) == ("heat", "NVT <b>\n")
    assert first.ended is not None
    assert first.began <= first.ended <= second.began
    assert third.ended is None
    assert Run(logger.run_dir).phases[2].ended is not None
    logger.close()
    info = json.loads((logger.run_dir / "run.json").read_text())
    assert info["phases"] == {"number": 3, "last": "NPT"}
    shown = CliRunner().invoke(main, ["show", str(logger.run_dir)]).output
    assert "2 NVT <b>\\n: " in shown


def killed_in_the_second(run: Path) -> None:
    with Logger(run.parent, run.name, resume=True, dt=1.0) as logger:
        state = logger.load_checkpoint(((0, 0), 0))[0]
        for k in range(state[0], 3):
            with logger.phase(f"trial {k}"):
                begin = state[1] if k == state[0] else 0
                for step in range(begin, 100):
                    time = float(step)
                    logger.add_scalar("v", step, time=time)
                    logger.log({"a": 1.0, "b": 2.0}, step)
                    if step % 10 == 0:
                        logger.add_scalars("plot", {"E": 1.0, "I": 2.0}, time=time)
                        logger.add_histogram("h", [1.0], step)
                    if step == 49:
                        logger.save_checkpoint((k, 50), 100 * k + 50)
                    if k == 1 and step == 70 and not Run(run).info["restarts"]:
                        os.kill(os.getpid(), signal.SIGKILL)


def test_a_phase_goes_on_after_kill_and_resume(logdir: Path) -> None:
    """By its name; its points are those of a run that was not killed."""
    logdir.mkdir()
    run = logdir / "run"
    assert died(lambda: killed_in_the_second(run))
    killed_in_the_second(run)
    found = Run(run)
    for tag in ("v", "a", "b"):
        points = found.scalars(tag)
        assert points.steps.tolist() == list(range(300))
        for k in range(3):
            assert points.phase(f"trial {k}").steps.tolist() == list(range(100))
    assert found.scalars("v").times.tolist() == list(range(300))
    assert found.scalars("v").phase("trial 1").times.tolist() == list(range(100))
    for curve in found.curves("plot").values():
        assert curve.steps.tolist() == list(range(0, 300, 10))
    assert increases(found.histograms("h").steps)
    assert len(found.histograms("h").steps) == 30
    assert [phase.name for phase in found.phases] == ["trial 0", "trial 1", "trial 2"]
    assert found.info["phases"]["number"] == 3


def test_a_branch_goes_on_in_the_phase_of_its_parent(logdir: Path) -> None:
    """With what the parent had moved, also if it is killed and resumed itself."""
    with Logger(logdir, "parent", dt=1.0) as logger:
        for name in ("heat", "NVT"):
            with logger.phase(name):
                for step in range(10):
                    logger.add_scalar("v", 1.0, time=float(step))
                    logger.add_scalars("plot", {"E": 1.0}, step)
                    if (name, step) == ("NVT", 5):
                        logger.save_checkpoint(None, 5)
    for begin, end in ((6, 8), (8, 10)):
        with Logger(logdir, "child", resume=logdir / "parent") as logger:
            logger.load_checkpoint()
            with logger.phase("NVT"):
                for step in range(begin, end):
                    logger.add_scalar("v", 1.0, time=float(step))
                    logger.add_scalars("plot", {"E": 1.0}, step)
                if end == 8:
                    logger.save_checkpoint(None, 7)
    run = Run(logdir / "child")
    for points in (run.scalars("v"), run.curves("plot")["E"]):
        assert points.steps.tolist() == [16, 17, 18, 19]
        assert points.phase("NVT").steps.tolist() == [6, 7, 8, 9]
    assert run.scalars("v").times.tolist() == [16.0, 17.0, 18.0, 19.0]
    assert [(phase.number, phase.name) for phase in run.phases] == [(2, "NVT")]


def test_another_phase_after_a_resume_is_a_new_one(logdir: Path) -> None:
    """Also the same name for a second time."""
    with Logger(logdir, "run", dt=1.0) as logger, logger.phase("x"):
        for step in range(10):
            logger.add_scalar("v", 1.0, time=float(step))
        logger.save_checkpoint(None, 9)
    with Logger(logdir, "run", resume=True) as logger:
        logger.load_checkpoint()
        for name in ("x", "x", "y"):
            with logger.phase(name):
                if name == "x" and not steps(logger, "v")[10:]:
                    logger.add_scalar("v", 1.0, time=10.0)
                else:
                    logger.add_scalar("v", 1.0, time=0.0)
    run = Run(logger.run_dir)
    assert [(p.number, p.name) for p in run.phases] == [(1, "x"), (2, "x"), (3, "y")]
    assert run.scalars("v").steps.tolist() == list(range(13))
    assert run.scalars("v").phase(1).steps.tolist() == list(range(11))


def test_phases_go_on_behind_what_an_append_finds(logdir: Path) -> None:
    """Without a warning, for times and steps of the first session."""
    for _ in range(2):
        logger = Logger(logdir, "run", mode="a", dt=1.0)
        with logger, logger.phase("x"):
            for step in range(10):
                logger.add_scalar("timed", 1.0, time=float(step))
                logger.add_scalar("v", 1.0, step)
    run = Run(logger.run_dir)
    assert run.scalars("timed").times.tolist() == list(range(20))
    assert run.scalars("v").steps.tolist() == list(range(20))
    assert [phase.number for phase in run.phases] == [1, 2]


@pytest.mark.parametrize("mode", ["append", "resume", "branch"])
def test_a_phase_is_behind_the_times_of_curves_before(logdir: Path, mode: str) -> None:
    """Also if no other tag of the earlier session has any."""
    with Logger(logdir, "run", dt=1.0) as logger, logger.phase("x"):
        for step in range(10):
            logger.add_scalars("pair/of", {"E": 1.0, "I": 2.0}, time=float(step))
        logger.save_checkpoint({}, 10)
    name = "other" if mode == "branch" else "run"
    how = {"append": None, "resume": True, "branch": logger.run_dir}[mode]
    kept: dict[str, Any] = {"mode": "a"} if how is None else {"resume": how}
    again = Logger(logdir, name, dt=1.0, **kept)
    with again, again.phase("y"):
        for step in range(10):
            again.add_scalar("v", 1.0, time=float(step))
    assert Run(again.run_dir).scalars("v").times.tolist() == list(range(10, 20))


def test_a_forked_process_goes_on_in_the_phase(logdir: Path) -> None:
    """In its own file; its end of the block ends nothing."""
    with Logger(logdir, "run") as logger:
        logger.log({"mine": 1.0, "child": 1.0}, 9)
        with logger.phase("x"):
            logger.log({"mine": 1.0, "child": 1.0}, 0)

            def work() -> None:
                warnings.simplefilter("ignore")  # of the fork
                logger.add_scalar("child", 2.0, 1)
                logger._run.phases.end()
                logger.add_scalar("child", 2.0, 2)
                logger.add_scalar("new", 2.0, 0)

            assert in_child(work) == 0
            logger.add_scalar("mine", 1.0, 1)
    run = Run(logger.run_dir)
    assert run.scalars("child").steps.tolist() == [9, 10, 11, 12]
    assert run.scalars("child").phase("x").steps.tolist() == [0, 1, 2]
    assert run.scalars("mine").phase("x").steps.tolist() == [0, 1]
    assert run.scalars("new").phase("x").steps.tolist() == [0]
    [phase] = run.phases
    assert phase.ended is not None


def test_a_forked_process_may_have_phases_of_its_own(logdir: Path) -> None:
    """As a worker that has a trial each."""
    with Logger(logdir, "run") as logger, logger.phase("all"):

        def work() -> None:
            for k in range(2):
                with logger.phase(f"trial {k}"):
                    for step in range(3):
                        logger.add_scalar("child", 1.0, step)

        assert in_child(work) == 0
    points = Run(logger.run_dir).scalars("child")
    assert points.steps.tolist() == list(range(6))
    assert points.phase("trial 1").steps.tolist() == [0, 1, 2]


def log_a_point(logger: Logger) -> None:
    logger.add_scalar("copy", 1.0, 3)


def test_a_copy_in_another_process_goes_on_in_the_phase(logdir: Path) -> None:
    """Where nothing is shared but the files."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("copy", 1.0, 9)
        with logger.phase("x"):
            logger.add_scalar("copy", 1.0, 0)
            process = multiprocessing.get_context("spawn").Process(
                target=log_a_point, args=(pickle.loads(pickle.dumps(logger)),)
            )
            process.start()
            process.join()
            assert process.exitcode == 0
            process.close()
    points = Run(logger.run_dir).scalars("copy")
    assert points.phase("x").steps.tolist() == [0, 3]


def test_a_new_file_of_the_same_process_knows_the_phase(logger: Logger) -> None:
    """As after a tear: every file tells what its records need."""
    logger.add_scalar("v", 1.0, 9)
    with logger.phase("x"):
        logger.add_scalar("v", 1.0, 0)
        logger._file.give_up()
        logger.add_scalar("v", 1.0, 1)
    points = Run(logger.run_dir).scalars("v")
    assert points.steps.tolist() == [9, 10, 11]
    assert points.phase("x").steps.tolist() == [0, 1]


def test_ctrl_c_leaves_steps_in_order(logdir: Path) -> None:
    """It may come at any call: no phase is left open, and nothing goes back."""
    number, interrupted = 0, True
    while interrupted:
        with Logger(logdir, f"run{number}", dt=1.0) as logger:

            def trial(logger: Logger = logger) -> None:
                with logger.phase("x"):
                    for step in range(3):
                        logger.add_scalar("v", step, time=float(step))
                        logger.log({"a": step, "b": step}, step)

            trial()
            interrupted = interrupt(number, trial, "phases.py", "entry.py")
            assert logger._run.phases.current is None
            trial()
        run = Run(logger.run_dir)
        for tag in "vab":
            points = run.scalars(tag)
            assert increases(points.steps)
            last = points.phase(run.phases[-1].number)
            assert last.steps.tolist() == last.values.tolist() == [0, 1, 2]
        number += 1
    assert number > 30


def test_curves_alone_tell_of_the_phase(logger: Logger) -> None:
    """Also if the run itself has no data."""
    with logger.phase("x"):
        logger.add_scalars("plot", {"E": 1.0}, 0)
    assert [phase.name for phase in Run(logger.run_dir).phases] == ["x"]


def test_news_come_in_the_steps_and_times_of_the_run(logdir: Path) -> None:
    """Also if they are read on from within a phase."""
    with Logger(logdir, "run", dt=1.0) as logger:
        logger.add_scalar("v", 1.0, time=9.0)
        with logger.phase("x"):
            logger.add_scalar("v", 1.0, time=0.0)
            position = json.loads(json.dumps(Run(logger.run_dir).position))
            [*_, last] = Run(logger.run_dir).news()
            logger.add_scalar("v", 1.0, time=1.0)
            logger.add_text("text", "x", time=1.0)
            for since in (position, json.loads(json.dumps(last.position))):
                [news] = Run(logger.run_dir).news(since)
                assert isinstance(news, News)
                assert news.points["v"].times.tolist() == [11.0]
                assert news.points["v"].steps.tolist() == [11]
                assert [value.time for value in news.values] == [11.0]


def test_points_of_phases_survive_pickle_and_pandas(logdir: Path) -> None:
    """With their phases, and the times that were given."""
    with Logger(logdir, "run", dt=1.0) as logger:
        for name in "ab":
            with logger.phase(name):
                logger.add_scalar("v", 1.0, time=0.0)
                logger.add_series("flag", [True, False], times=[0.0, 1.0])
    run = Run(logger.run_dir)
    points: Scalars = pickle.loads(pickle.dumps(run.scalars("v")))
    assert points.times.tolist() == [0.0, 1.0 + 1.0]
    assert points.phase("b").times.tolist() == [0.0]
    assert run.scalars("flag").numeric().phase("b").times.tolist() == [0.0, 1.0]


def test_a_record_without_sense_is_passed_over() -> None:
    """Whatever another version, or a damaged disk, may have written."""
    spans = Spans()
    texts = [b"", b"[]", b'{"phase": "x"}', b'{"phase": 1}', b"\xff", b'{"end": true}']
    for place, text in enumerate(texts):
        spans.read(place, text, 0.0)
    assert not spans
    spans.read(7, b'{"phase": 1, "name": "x", "steps": 3}', 0.0)
    assert spans.time(8) == 0.0


def test_marks_are_events_without_values(logger: Logger) -> None:
    """TensorBoard's own reader finds nothing in them."""
    before = load(logger.run_dir)
    logger._file.append(mark(1, "x", 0.0, steps={"v": 3}))
    logger._file.append(end_mark(1, 0.0))
    assert [point.tag for point in load(logger.run_dir)] == [
        point.tag for point in before
    ]


def test_a_full_disk_delays_phases_with_their_points(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for room is written in the order of the calls."""
    from conftest import fill

    with Logger(disk, "run") as logger:
        logger.add_scalar("v", 1.0, 9)
        filled = fill(disk)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in "ab":
                with logger.phase(name):
                    for step in range(500):
                        logger.add_scalar("v", 1.0, step)
        filled.unlink()
    points = Run(logger.run_dir).scalars("v")
    assert increases(points.steps)
    for name in "ab":
        assert points.phase(name).steps.tolist() == list(range(500))
