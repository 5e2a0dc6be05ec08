"""The hook for SimPy, with SimPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import points, scalars
from sampled import run_script, times

from annarchy_tb import Logger, Run, measures
from annarchy_tb.hooks import image, matrix, raster
from annarchy_tb.hooks import simpy as hook

simpy = pytest.importorskip("simpy", reason="needs simpy; make hooks runs it")


def counter(env):
    """Return a process that counts to 10, once every 2 time units, and its count."""
    count = [0]

    def process():
        for _ in range(10):
            yield env.timeout(2)
            count[0] += 1

    env.process(process())
    return count


def test_samples_have_the_environments_time(logdir: Path) -> None:
    """Each sample has its number as step, the time env.now, and the current values."""
    env = simpy.Environment()
    count = counter(env)
    with Logger(logdir, time_unit="min") as logger:
        hook.sample(logger, env, {"count": lambda: count[0]}, every=5)
        env.run(until=20)
    assert scalars(logger.run_dir, "count") == [(0, 0), (1, 2), (2, 4), (3, 7)]
    assert times(logger, "count") == [0, 300, 600, 900]


def test_sources_and_intervals_may_have_units(logdir: Path) -> None:
    """Quantities are logged in their unit, by what they hold."""
    u = pytest.importorskip("pint").UnitRegistry()
    env = simpy.Environment()
    count = counter(env)
    with Logger(logdir, "run", time_unit="min") as logger:
        sources = {
            "one": lambda: count[0] * u.m,
            "curves": lambda: {"a": count[0] * u.m, "b": 50 * u.cm},
            "many": lambda: np.arange(5) * u.m,
        }
        hook.sample(logger, env, sources, every=300 * u.s)
        env.run(until=20)
        with pytest.raises(TypeError, match="every must be a positive number, in the"):
            hook.sample(logger, env, sources, every=300 * u.m)
    assert scalars(logger.run_dir, "one") == [(0, 0), (1, 2), (2, 4), (3, 7)]
    assert scalars(logger.run_dir / "b", "curves")[0] == (0, 0.5)
    assert len(points(logger.run_dir, "many")) == 4
    units = Run(logger.run_dir).info["units"]
    assert units == {"one": "m", "curves": "m", "many": "m"}


def test_several_runs_go_on(logdir: Path) -> None:
    """A run in parts has the same samples as one run, and errors do not add up."""
    env = simpy.Environment()
    counter(env)
    with Logger(logdir, time_unit="s") as logger:
        hook.sample(logger, env, {"now": lambda: env.now}, every=0.1)
        for until in (0.35, 1, 15):
            env.run(until=until)
    found = scalars(logger.run_dir, "now")
    assert [step for step, _ in found] == list(range(150))
    assert times(logger, "now") == pytest.approx(np.arange(150) / 10, abs=2e-5)


def test_steps_are_the_solvers_with_dt(logdir: Path) -> None:
    """With a dt, the Logger computes steps from the time."""
    env = simpy.Environment()
    with Logger(logdir, dt=0.5, time_unit="s") as logger:
        counter(env)
        hook.sample(logger, env, {"now": lambda: env.now}, every=3)
        env.run(until=7)
    assert scalars(logger.run_dir, "now") == [(0, 0), (6, 3), (12, 6)]


def test_what_samples_keeps_nothing_alive(logger: Logger) -> None:
    """env.run() without an end returns at the last event, and may be called again."""
    env = simpy.Environment()
    count = counter(env)
    hook.sample(logger, env, {"a": lambda: env.now}, every=3)
    hook.sample(logger, env, {"b": lambda: env.now}, every=7)
    env.run()
    assert scalars(logger.run_dir, "a")[-1] == (6, 18)
    assert scalars(logger.run_dir, "b")[-1] == (2, 14)
    assert (count, env.now) == ([10], 20)
    count = counter(env)
    env.run()
    assert scalars(logger.run_dir, "a")[-1] == (13, 39)
    assert (count, env.now) == ([10], 40)


def shop(*loggers: Logger, realtime: bool = False) -> tuple[list[Any], float]:
    """Return the log of a shop with random customers, two clerks, and who gives up."""
    env = simpy.Environment()
    if realtime:
        env = simpy.RealtimeEnvironment(factor=1e-5, strict=False)
    random = np.random.default_rng(7)
    clerks = simpy.Resource(env, 2)
    log: list[Any] = []

    def customer(number):
        with clerks.request() as turn:
            found = yield turn | env.timeout(random.exponential(4.0))
            log.append((number, env.now, turn in found))
            if turn in found:
                yield env.timeout(random.exponential(3.0))
                log.append((number, env.now, "served"))

    def customers():
        for number in range(40):
            env.process(customer(number))
            yield env.timeout(float(random.integers(3)))

    env.process(customers())
    for number, logger in enumerate(loggers):
        sources = {f"queue {number}": lambda: len(clerks.queue)}
        hook.sample(logger, env, sources, every=1 + number)
    env.run(until=10)
    env.run(until=env.process(customer(-1)))
    env.run()
    return log, env.now


@pytest.mark.parametrize("realtime", [False, True])
def test_an_environment_is_that_without_samples(logdir: Path, realtime: bool) -> None:
    """All events have the same times and order, and the end is the same."""
    with Logger(logdir, "a") as first, Logger(logdir, "b") as second:
        assert shop(first, second, realtime=realtime) == shop(realtime=realtime)
    assert scalars(first.run_dir, "queue 0")[10][0] == 10
    assert len(scalars(second.run_dir, "queue 1")) > 10


def test_an_environment_with_nothing_to_do_is_sampled_once(logger: Logger) -> None:
    """A sampling process that is alone ends after its first sample."""
    env = simpy.Environment(initial_time=4)
    hook.sample(logger, env, {"a": lambda: 1})
    env.run()
    assert scalars(logger.run_dir, "a") == [(0, 1)]
    assert env.now == 4


def test_each_kind_of_value_is_logged_as_what_it_is(logger: Logger) -> None:
    """Numbers share an event; dicts are curves, figures images, the rest histograms."""
    from matplotlib.figure import Figure

    env = simpy.Environment()
    counter(env)
    sources = {
        "int": lambda: 3,
        "scalar": lambda: np.float32(2.5),
        "0-d": lambda: np.array(7),
        "one": lambda: np.array([[8.0]]),
        "curves": lambda: {"x": env.now, "y": np.int64(-1)},
        "figure": lambda: Figure(figsize=(1, 1)),
        "array": lambda: np.arange(6).reshape(2, 3),
        "ragged": lambda: [[1], [2, 3]],
        "empty first": lambda: [4.0] * int(env.now),
        "lists by rank": lambda: {0: [1, 2], 1: [3]},
    }
    with pytest.warns(UserWarning, match=r"'empty first'\): there are no finite"):
        hook.sample(logger, env, sources, every=1)
        env.run(until=2)
    run = logger.run_dir
    for tag, value in (("int", 3), ("scalar", 2.5), ("0-d", 7), ("one", 8)):
        assert scalars(run, tag) == [(0, value), (1, value)]
    assert len({p.time for t in ("int", "one") for p in points(run, t)}) == 2
    assert scalars(run / "x", "curves") == [(0, 0), (1, 1)]
    assert scalars(run / "y", "curves") == [(0, -1), (1, -1)]
    assert [p.pixels.shape for p in points(run, "figure")] == [(100, 100, 4)] * 2
    for tag, number in (("array", 6), ("ragged", 3), ("lists by rank", 3)):
        assert [p.array[:, 2].sum() for p in points(run, tag)] == [number, number]
    assert [p.array[:, 2].sum() for p in points(run, "empty first")] == [1]


def test_a_source_that_raises_reaches_the_user(logger: Logger) -> None:
    """Its error propagates out of run(); only the sample concerned is not logged."""
    env = simpy.Environment()
    counter(env)
    sources = {"a": lambda: env.now, "b": lambda: 1 / (2 - env.now)}
    hook.sample(logger, env, sources)
    with pytest.raises(ZeroDivisionError):
        env.run()
    assert scalars(logger.run_dir, "a") == [(0, 0), (1, 1)]
    assert scalars(logger.run_dir, "b") == [(0, 0.5), (1, 1)]


@pytest.mark.parametrize("value", [None, "text"])
def test_what_is_no_number_is_refused(logger: Logger, value: object) -> None:
    """The error names a source whose value can't be drawn."""
    env = simpy.Environment()
    hook.sample(logger, env, {"a": lambda: value})
    with pytest.raises(
        TypeError, match=r"sample\('a'\): the source must return a number"
    ):
        env.run()


def test_measures_are_sources(logger: Logger) -> None:
    """What is not known yet is left out of the sample, and stops nothing."""
    env = simpy.Environment()
    counter(env)
    times = iter([0.0, 1.0, 0.5, 2.0])
    sources = {
        "Speed": measures.speed(lambda: next(times)),
        "Memory (MiB)": measures.memory,
        "now": lambda: env.now,
    }
    hook.sample(logger, env, sources)
    env.run(until=4)
    assert [step for step, _ in scalars(logger.run_dir, "Speed")] == [1, 3]
    found = scalars(logger.run_dir, "Memory (MiB)")
    assert [step for step, _ in found] == [0, 1, 2, 3]
    assert all(value > 10 for _, value in found)
    assert scalars(logger.run_dir, "now") == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_sampling_ends_with_the_logger(logdir: Path) -> None:
    """Once the Logger is closed, the environment continues without samples."""
    env = simpy.Environment()
    count = counter(env)
    with Logger(logdir) as logger:
        hook.sample(logger, env, {"a": lambda: env.now})
        env.run(until=3)
    env.run()
    assert count == [10]
    assert len(scalars(logger.run_dir, "a")) == 3
    assert "step" not in vars(env)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sources": 3}, TypeError, "sources must be a dict"),
        ({"sources": {}}, ValueError, "no sources"),
        ({"sources": {1: lambda: 1}}, TypeError, "tag must be a str"),
        ({"sources": {"": lambda: 1}}, ValueError, "tag must not be empty"),
        ({"sources": {"a": 0.5}}, TypeError, r"sample\('a'\): .*callable.*got 0.5"),
        ({"sources": {"a": lambda x: x}}, TypeError, "callable without arguments"),
        ({"every": 0}, ValueError, "every must be a positive number"),
        ({"every": "1"}, TypeError, "every must be a positive number.*got '1'"),
        ({"every": None}, TypeError, "every must be a positive number.*got None"),
        ({"env": 1}, TypeError, "env must be an Environment of SimPy, got 1"),
        ({"logger": "runs"}, TypeError, "a Logger must come first, got 'runs'"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    logger: Logger, arguments: dict, error: type[Exception], message: str
) -> None:
    """The error points at the user's line, and says what is allowed and was given."""
    good = {"logger": logger, "env": simpy.Environment(), "sources": {"a": lambda: 1}}
    with pytest.raises(error, match=message):
        hook.sample(**{**good, **arguments})


def test_progress_is_told_in_the_environments_time(
    logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end is a time in the Logger's unit."""
    env = simpy.Environment()
    counter(env)
    with Logger(logdir, time_unit="min") as logger:
        hook.sample(logger, env, {"a": lambda: 1}, until=25, show="a")
        env.run(until=10)
    assert capsys.readouterr().err.startswith("40% 10.00/25 min [")


def test_the_script_runs(tmp_path: Path) -> None:
    """The queue of the example grows with the load, as theory predicts."""
    run = run_script("simpy_queue.py", tmp_path)
    assert len(run.scalars("Queue/length").steps) > 100


def test_pictures_are_sampled(logger: Logger) -> None:
    """Spikes, weights and fields, at the steps of the numbers beside them."""
    env = simpy.Environment()
    count = counter(env)
    sources = {
        "Raster": raster(lambda: {0: [env.now], 1: []}, start=lambda: env.now - 5),
        "Weights": matrix(lambda: ([0, 1], [1, 0], count[0] + 0.5), vmin=0, vmax=10),
        "Field": image(lambda: np.full((2, 3), count[0] / 10), vmin=0, vmax=1),
        "count": lambda: count[0],
    }
    hook.sample(logger, env, sources, every=5)
    env.run(until=20)
    run = Run(logger.run_dir)
    assert scalars(run.path, "count") == [(0, 0), (1, 2), (2, 4), (3, 7)]
    levels = [point.pixels[0, 0] for point in points(run.path, "Field")]
    assert levels == [0, 51, 102, 179]
    steps, spikes, *_ = run.spikes("Raster")
    assert steps.tolist() == [0, 1, 2, 3]
    assert [its[0].tolist() for its in spikes] == [[0], [5], [10], [15]]
    assert len(points(run.path, "Weights")) == 4


def test_a_picture_that_cannot_be_drawn_reaches_the_user(logger: Logger) -> None:
    """Its error propagates out of run(), and names the hook and the tag."""
    env = simpy.Environment()
    hook.sample(logger, env, {"Field": image(lambda: None)})
    with pytest.raises(
        TypeError, match=r"^sample\('Field'\): add_image\('Field'\): img must"
    ):
        env.run()
