"""The hook for Mesa, with Mesa."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from conftest import load, points, scalars
from sampled import run_script, times

from annarchy_tb import Logger
from annarchy_tb.hooks import mesa as hook

mesa = pytest.importorskip("mesa", reason="needs mesa; make hooks runs it")


class Growth(mesa.Model):
    """A model with one more agent each step; may collect before the first step."""

    def __init__(self, at_start: bool = True) -> None:
        super().__init__(seed=1)
        self.datacollector = mesa.DataCollector(
            {
                "number": lambda model: len(model.agents),
                "ids": lambda model: [agent.unique_id for agent in model.agents],
            }
        )
        mesa.Agent(self)
        if at_start:
            self.datacollector.collect(self)

    def step(self) -> None:
        """Make an agent."""
        mesa.Agent(self)
        self.datacollector.collect(self)


def run(model: Any, steps: int) -> None:
    """Make some steps."""
    for _ in range(steps):
        model.step()


def test_all_that_is_collected_is_logged(logger: Logger) -> None:
    """Each model reporter has its own tag, starting with the model's initial values."""
    model = Growth()
    hook.sample(logger, model)
    run(model, 2)
    run(model, 1)
    assert scalars(logger.run_dir, "number") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert model.datacollector.model_vars["number"] == [1, 2, 3, 4]
    # With one agent, the list has one number, but is still a list.
    found = points(logger.run_dir, "ids")
    assert [point.array[:, 2].sum() for point in found] == [1, 2, 3, 4]


def test_a_copy_collects_its_own_data(logger: Logger) -> None:
    """A copied model does not log, nor write into the data of the original."""
    model = Growth(at_start=False)
    hook.sample(logger, model)
    hook.sample(logger, model, {"again": "number"})
    run(model, 1)
    copied = copy.deepcopy(model)
    run(copied, 1)
    assert model.datacollector.model_vars["number"] == [2]
    assert copied.datacollector.model_vars["number"] == [2, 3]
    assert scalars(logger.run_dir, "number") == [(1, 2)]
    assert scalars(logger.run_dir, "again") == [(1, 2)]


def test_named_reporters_and_callables(logger: Logger) -> None:
    """Sources are names of reporters, or callables that take the model."""
    model = Growth(at_start=False)
    sources = {"Agents/number": "number", "twice": lambda m: 2 * len(m.agents)}
    hook.sample(logger, model, sources, every=2)
    run(model, 5)
    assert scalars(logger.run_dir, "Agents/number") == [(1, 2), (3, 4), (5, 6)]
    assert scalars(logger.run_dir, "twice") == [(1, 4), (3, 8), (5, 12)]
    assert {p.tag for p in load(logger.run_dir)} == {*sources}


def test_the_time_of_a_model_is_used(logdir: Path) -> None:
    """If the model has a time, as in later versions of Mesa, it is drawn."""
    model = Growth()
    with Logger(logdir, time_unit="d") as logger:
        model.time = 0.0
        hook.sample(logger, model)
        for _ in range(2):
            model.time += 0.5
            model.step()
    assert times(logger, "number") == [0, 43200, 86400]


def test_a_source_that_raises_reaches_the_user(logger: Logger) -> None:
    """Its error propagates out of step(), and earlier data remains."""
    model = Growth(at_start=False)
    hook.sample(logger, model, {"a": lambda m: 1 / (3 - m.steps)})
    with pytest.raises(ZeroDivisionError):
        run(model, 5)
    assert scalars(logger.run_dir, "a") == [(1, 0.5), (2, 1)]


def test_a_model_outlives_its_logger(logdir: Path) -> None:
    """A model may be sampled by several Loggers in succession."""
    model = Growth()
    for name in "ab":
        with Logger(logdir, name) as logger:
            hook.sample(logger, model, {"number": "number"})
            run(model, 2)
    assert scalars(logdir / "a", "number") == [(0, 1), (1, 2), (2, 3)]
    assert scalars(logdir / "b", "number") == [(3, 4), (4, 5)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": mesa.Model()}, TypeError, "must have a DataCollector"),
        (
            {"sources": {"a": "size"}},
            ValueError,
            "no model reporter 'size'; it has 'nu",
        ),
        ({"sources": {"a": lambda: 1}}, TypeError, "a callable that takes the model"),
        ({"every": 0.5}, ValueError, "every must be a whole number"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    logger: Logger, arguments: dict, error: type[Exception], message: str
) -> None:
    """The error points at the user's line, and says what is allowed and was given."""
    good = {"logger": logger, "model": Growth(), "sources": {"a": "number"}}
    with pytest.raises(error, match=message):
        hook.sample(**{**good, **arguments})


def test_the_script_runs(tmp_path: Path) -> None:
    """In the example, equal agents who trade at random become unequal."""
    run = run_script("mesa_wealth.py", tmp_path)
    gini = run.scalars("Gini").values
    assert gini[0] == 0
    assert gini[-1] > 0.4
