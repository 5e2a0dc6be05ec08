"""Values of event-driven simulations, logged when they change, with SimPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import points, scalars
from sampled import times

from annarchy_tb import Logger, Run, find_runs, measures
from annarchy_tb.hooks import image, matrix, raster
from annarchy_tb.hooks import simpy as hook
from annarchy_tb.reading import News

simpy = pytest.importorskip("simpy", reason="needs simpy; make hooks runs it")


def changing(values: dict[float, Any], start: float = 0.0) -> tuple[Any, list[Any]]:
    """Return an environment, and a list of the value that it sets at these times."""
    env, held = simpy.Environment(start), [0]

    def process() -> Any:
        for time, value in values.items():
            yield env.timeout(time - env.now)
            held[0] = value

    env.process(process())
    return env, held


def sampled(logger: Logger, values: dict[float, Any]) -> None:
    """Log values when they change, besides a clock of events that change nothing."""
    env, held = changing(values)

    def ticks() -> Any:
        while True:
            yield env.timeout(0.25)

    env.process(ticks())
    hook.sample(logger, env, {"held": lambda: held[0]}, on="change")
    env.run(until=20)


def read(logger: Logger, tag: str = "held") -> list[tuple[int, float, float]]:
    """Return step, value and time of the points of a run."""
    found = Run(logger.run_dir).scalars(tag)
    columns = (found.steps, found.values, found.times)
    return [*zip(*(column.tolist() for column in columns), strict=True)]


def test_each_change_is_a_point(logdir: Path) -> None:
    """No maximum is missed, however short; TensorBoard draws steps, at exact times."""
    with Logger(logdir, "run", time_unit="min") as logger:
        sampled(logger, {3.0: 1, 3.125: 9, 3.13: 1, 8.0: 1, 11.0: 0})
    wanted = [(0, 0, 0), (2, 1, 3), (4, 9, 3.125), (6, 1, 3.13), (8, 0, 11)]
    assert read(logger) == wanted
    shown = [0, 0, 1, 1, 9, 9, 1, 1, 0]
    assert scalars(logger.run_dir, "held") == [*enumerate(shown)]
    drawn = [0, 180, 180, 187.5, 187.5, 187.8, 187.8, 660, 660]
    assert times(logger, "held") == pytest.approx(drawn)


def test_with_dt_the_last_value_is_drawn_one_step_before(logdir: Path) -> None:
    """That step must be free, and changes closer than dt take the steps that follow."""
    with Logger(logdir, "run", dt=0.5, time_unit="s") as logger:
        sampled(logger, {3.0: 1, 5.0: 2, 5.1: 7, 5.15: 3, 6.5: 4, 7.0: 5})
    run = read(logger)
    assert [(step, value) for step, value, _ in run] == [
        *((0, 0), (6, 1), (10, 2), (11, 7), (12, 3), (13, 4), (14, 5))
    ]
    assert [time for *_, time in run] == [0, 3, 5, 5.1, 5.15, 6.5, 7]
    assert scalars(logger.run_dir, "held") == [
        *((0, 0), (5, 0), (6, 1), (9, 1), (10, 2)),
        *((11, 7), (12, 3), (13, 4), (14, 5)),
    ]


def test_what_is_drawn_again_is_nowhere_read(logdir: Path) -> None:
    """By Run, its news, tables, the last values, and what an append continues from."""
    with Logger(logdir, "run") as logger:
        sampled(logger, {3.0: 1, 4.0: 5})
        assert logger.last["held"] == 5
    run = Run(logger.run_dir)
    assert run.all_scalars()["held"].values.tolist() == [0, 1, 5]
    [news] = [new for new in run.news() if isinstance(new, News) and new.points]
    assert news.points["held"].values.tolist() == [0, 1, 5]
    assert sum(len(its.values) for *_, its in run.points()) == 3
    assert not run.damage()
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("held", 6)
    assert [step for step, *_ in read(logger)] == [0, 2, 4, 5]
    assert find_runs(logdir)[0].scalars("held").values.tolist() == [0, 1, 5, 6]


def test_a_resume_continues_after_the_changes(logdir: Path) -> None:
    """What is drawn again is cut off with the rest, and continued from."""
    env, held = changing({1.0: 1, 2.0: 2, 11.0: 3})
    logger = Logger(logdir, "run")
    hook.sample(logger, env, {"held": lambda: held[0]}, on="change")
    env.run(until=5)
    logger.save_checkpoint({}, 5)
    env.run()
    logger.close()
    assert len(read(logger)) == 4
    env, held = changing({6.0: 4}, start=5.0)
    held[0] = 2
    with Logger(logdir, "run", resume=True) as logger:
        logger.load_checkpoint()
        hook.sample(logger, env, {"held": lambda: held[0]}, on="change")
        env.run()
    wanted = [(0, 0, 0), (2, 1, 1), (4, 2, 2), (5, 2, 5), (7, 4, 6)]
    assert read(logger) == wanted


def test_each_kind_of_value_may_change(logger: Logger) -> None:
    """Curves are steps as well; others are compared by what they hold."""
    env, held = changing({2.0: 1, 4.0: 1.0, 6.0: 2})
    waits: list[float] = [0.5]

    def more() -> Any:
        yield env.timeout(5)
        waits.append(1.5)  # the same list

    env.process(more())
    sources = {
        "curves": lambda: {"x": held[0], "y": -held[0]},
        "list": lambda: waits,
        "array": lambda: np.array([held[0], 1.0]),
        "numpy": lambda: np.float32(held[0]),
        "nan": lambda: float("nan"),
        "memory": measures.speed(lambda: 1),
    }
    with pytest.warns(UserWarning, match=r"sample\('nan'\)"):
        hook.sample(logger, env, sources, on="change")
        env.run()
    run = Run(logger.run_dir)
    curves = run.curves("curves")
    assert curves["x"].values.tolist() == [0, 1, 2]
    assert curves["y"].values.tolist() == [0, -1, -2]
    assert scalars(logger.run_dir / "x", "curves") == [*enumerate([0, 0, 1, 1, 2])]
    assert [p.array[:, 2].sum() for p in points(logger.run_dir, "list")] == [1, 2]
    assert len(points(logger.run_dir, "array")) == 3
    assert run.scalars("numpy").values.tolist() == [0, 1, 2]
    assert len(run.scalars("nan").values) == 1
    assert len(run.scalars("memory").values) == 1


def test_pictures_are_drawn_when_their_values_change(logger: Logger) -> None:
    """Not when only the axis of a raster moves."""
    env, held = changing({2.0: 0, 4.0: 7, 6.0: 7})
    sources = {
        "raster": raster(lambda: {0: np.array([held[0]])}, start=lambda: env.now),
        "image": image(lambda: np.full((2, 2), held[0], np.uint8)),
        "matrix": matrix(lambda: [[held[0], 1.0], [float("nan"), 2.0]]),
    }
    hook.sample(logger, env, sources, on="change")
    env.run()
    for tag in sources:
        assert len(points(logger.run_dir, tag)) == 2


def test_units_are_kept(logger: Logger) -> None:
    """Quantities change like numbers, in the unit of the first one."""
    u = pytest.importorskip("pint").UnitRegistry()
    env, held = changing({1.0: 1, 2.0: 2})
    hook.sample(logger, env, {"q": lambda: held[0] * u.m}, on="change")
    env.run()
    assert Run(logger.run_dir).scalars("q").values.tolist() == [0, 1, 2]
    assert [value for _, value in scalars(logger.run_dir, "q")] == [0, 0, 1, 1, 2]


def test_the_event_that_ends_the_run_counts(logger: Logger) -> None:
    """What changes at the end of the process that run() waits for is logged."""
    env, held = simpy.Environment(), [0]

    def process() -> Any:
        yield env.timeout(3)
        held[0] = 1

    hook.sample(logger, env, {"held": lambda: held[0]}, on="change")
    env.run(until=env.process(process()))
    assert [value for _, value, _ in read(logger)] == [0, 1]


def test_a_source_that_raises_reaches_the_user(logger: Logger) -> None:
    """Its error propagates out of run(); nothing of that change is logged."""
    env, held = changing({1.0: 1, 2.0: 2})
    sources = {"held": lambda: held[0], "b": lambda: 1 / (2 - held[0])}
    hook.sample(logger, env, sources, on="change")
    with pytest.raises(ZeroDivisionError):
        env.run()
    assert [value for _, value, _ in read(logger)] == [0, 1]


def test_the_environment_is_left_as_it_was(logdir: Path) -> None:
    """Events have the same times and order, and a closed Logger looks no more."""

    def ran(logger: Logger | None) -> tuple[list[float], float]:
        env = simpy.Environment()
        random = np.random.default_rng(7)
        counter, log = simpy.Resource(env), []

        def customer() -> Any:
            with counter.request() as turn:
                yield turn
                yield env.timeout(random.exponential(3.0))
                log.append(env.now)

        def customers() -> Any:
            for _ in range(40):
                env.process(customer())
                yield env.timeout(float(random.integers(4)))

        env.process(customers())
        if logger is not None:
            sources = {"Queue": lambda: len(counter.queue)}
            hook.sample(logger, env, sources, on="change")
        env.run(until=30)
        if logger is not None:
            logger.close()
            assert "step" not in vars(env)
        env.run()
        return log, env.now

    with Logger(logdir, "run") as logger:
        assert ran(logger) == ran(None)
    assert len(read(logger, "Queue")) > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on": "event"}, "on must be \"change\" or None, got 'event'"),
        ({"on": True}, 'on must be "change" or None, got True'),
        ({"on": "change", "every": 2.0}, 'every has no meaning with on="change"'),
        ({"on": "change", "every": 0}, "every must be a positive number"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    logger: Logger, arguments: dict[str, Any], message: str
) -> None:
    """The error says what is allowed."""
    env, _ = changing({})
    with pytest.raises(ValueError, match=message):
        hook.sample(logger, env, {"a": lambda: 1}, **arguments)
    assert "step" not in vars(env)
