"""The hook for Mesa, with Mesa."""

from __future__ import annotations

import copy
import gc
import pickle
from pathlib import Path
from typing import Any

import pytest
from conftest import load, points, scalars
from sampled import run_script, times

from annarchy_tb import Logger, Run, find_runs, measures
from annarchy_tb.hooks import image, matrix
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


class Timeless(mesa.Model):
    """A model that has steps, but no time."""

    time = None


def run(model: Any, steps: int) -> None:
    """Make some steps."""
    for _ in range(steps):
        model.step()


def test_measures_are_sources(logger: Logger) -> None:
    """They take no model."""
    model = Growth()
    sources = {"m": measures.memory, "n": "number"}
    hook.sample(logger, model, sources)
    run(model, 2)
    assert [step for step, _ in scalars(logger.run_dir, "m")] == [0, 1, 2]


def test_progress_is_told_in_time_or_steps(
    logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end is a time of the model, or a step if it has no time."""
    model = Growth()
    model.time = 3.0
    with Logger(logdir, "time", time_unit="d") as logger:
        with pytest.raises(ValueError, match="after the current time, 3 d, got 2"):
            hook.sample(logger, model, until=2)
        hook.sample(logger, model, until=9, show="number")
        run(model, 3)
    err = capsys.readouterr().err
    assert err.endswith(" d/s, number 4]\n")
    model = Timeless()
    with Logger(logdir, "steps") as logger:
        hook.sample(logger, model, {"a": lambda _: 1}, until=10)
        run(model, 4)
    assert capsys.readouterr().err.startswith("40% 4/10 steps [")


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
        ({"model": 1}, TypeError, "model must be a mesa.Model, got 1"),
        ({"model": mesa.Model(), "sources": None}, ValueError, "has no DataCollector"),
        (
            {"sources": {"a": "size"}},
            ValueError,
            "no reporter 'size'; it has 'nu",
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


class Animal(mesa.Agent):
    """An agent that ages; a Wolf has an energy, too."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.age = self.random.random()
        self.name = f"animal {self.unique_id}"


class Wolf(Animal):
    """An agent with an energy."""

    energy = 2.0


class Zoo(mesa.Model):
    """A model with all kinds of reporters; some give values that can't be drawn."""

    def __init__(
        self, number: int = 3, last: int = 10**6, logdir: str = "", fails: bool = False
    ) -> None:
        super().__init__(seed=number)
        self.last, self.fails = last, fails
        Animal.create_agents(self, number)
        Wolf.create_agents(self, 2)
        reporters = {
            "steps": "steps",
            "age": lambda m: m.agents.agg("age", max),
            "winner": lambda m: None,
            "late": lambda m: m.steps if m.steps > 1 else None,
            "phase": lambda m: "night",
            "sometimes": lambda m: m.steps if m.steps != 2 else "none",
            "names": lambda m: m.agents.get("name"),
        }
        of_agents = {"age": "age", "energy": "energy", "name": "name"}
        self.datacollector = mesa.DataCollector(
            reporters, of_agents, {Wolf: {"energy": "energy"}}
        )
        if logdir:
            self.logger = Logger(logdir)
            hook.sample(self.logger, self, {"steps": "steps"}, close=True)

    def step(self) -> None:
        """Let all agents age, and end at the last step."""
        for agent in self.agents.shuffle():
            agent.age += self.random.random() + self.rng.random()
        self.datacollector.collect(self)
        self.running = self.steps < self.last
        if self.fails:
            raise RuntimeError("the zoo is closed")


def test_what_cannot_be_drawn_is_left_out(logger: Logger) -> None:
    """None and texts cost one warning a tag, and no step of the model."""
    model = Zoo()
    with pytest.warns(UserWarning, match="can't be drawn are left out: ") as caught:
        hook.sample(logger, model)
        run(model, 3)
    tags = {str(warning.message).split("'")[1] for warning in caught}
    assert tags == {"winner", "late", "phase", "sometimes", "names", "name"}
    assert len(caught) == len(tags)
    assert {warning.filename for warning in caught} == {__file__}
    assert scalars(logger.run_dir, "steps") == [(1, 1), (2, 2), (3, 3)]
    assert scalars(logger.run_dir, "late") == [(2, 2), (3, 3)]
    assert scalars(logger.run_dir, "sometimes") == [(1, 1), (3, 3)]
    assert model.steps == 3


def test_agent_reporters_are_histograms(logger: Logger) -> None:
    """They count the agents that have a value, under a tag that is free."""
    model = Zoo()
    hook.sample(logger, model, {tag: tag for tag in ("energy", "Agents/age")})
    hook.sample(logger, model, {"wolves": "Wolf/energy"}, every=2)
    run(model, 3)
    for tag, number, steps in (
        ("energy", 2, [1, 2, 3]),
        ("Agents/age", 5, [1, 2, 3]),
        ("wolves", 2, [1, 3]),
    ):
        found = points(logger.run_dir, tag)
        assert [point.step for point in found] == steps
        assert [p.array[:, 2].sum() for p in found] == [number] * len(steps)
    table = model.datacollector.get_agent_vars_dataframe()
    assert len(table) == 15


def test_a_model_without_a_data_collector(logger: Logger) -> None:
    """Callables are sampled at once, and after each step."""
    model = mesa.Model()
    hook.sample(logger, model, {"steps": lambda m: m.steps})
    hook.sample(logger, model, {"twice": lambda m: 2 * m.steps}, every=2)
    run(model, 4)
    assert scalars(logger.run_dir, "steps") == [(n, n) for n in range(5)]
    assert scalars(logger.run_dir, "twice") == [(0, 0), (2, 4), (4, 8)]
    copied = copy.deepcopy(model)
    run(copied, 1)
    pickle.loads(pickle.dumps(copied)).step()
    assert scalars(logger.run_dir, "steps")[-1] == (4, 4)


@pytest.mark.filterwarnings("ignore:.* left out")
def test_a_model_is_that_without_samples(logger: Logger, logdir: Path) -> None:
    """Its random numbers and its own table are the same, and so is a method's name."""
    ours, theirs = Zoo(), Zoo()
    hook.sample(logger, ours)
    with Logger(logdir, "second") as second:
        hook.sample(second, ours, {"agents": lambda m: len(m.agents)}, close=True)
        run(ours, 3)
    run(ours, 3)
    run(theirs, 6)
    for table in ("get_model_vars_dataframe", "get_agent_vars_dataframe"):
        found, wanted = (getattr(m.datacollector, table)() for m in (ours, theirs))
        assert found.equals(wanted)
    assert ours.random.getstate() == theirs.random.getstate()
    assert ours.rng.random() == theirs.rng.random()
    logger.close()
    assert "collect" not in vars(ours.datacollector)
    assert ours.step == ours._wrapped_step


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("last", [3, 10**6])
def test_batches_finish_their_runs(logdir: Path, processes: int, last: int) -> None:
    """A model that stops, or is stopped by max_steps, closes its Logger."""
    mesa.batch_run(
        Zoo,
        {"number": [2, 3, 4], "last": [last], "logdir": [str(logdir)]},
        **{"number_processes": processes, "max_steps": 5, "display_progress": False},
    )
    runs = find_runs(logdir)
    assert [found.status for found in runs] == ["finished"] * 3
    wanted = list(range(1, min(last, 6) + 1))
    assert [r.scalars("steps").steps.tolist() for r in runs] == [wanted] * 3


def test_a_model_that_is_gone_or_fails_closes_its_logger(logdir: Path) -> None:
    """A model that nobody needs is finished, and one that raises failed."""
    # Mesa 3.3 keeps models with agents until Python exits.
    model = mesa.Model()
    hook.sample(Logger(logdir, "gone"), model, {"1": lambda m: 1}, close=True)
    run(model, 2)
    assert Run(logdir / "gone").status == "running"
    del model
    gc.collect()
    assert Run(logdir / "gone").status == "finished"
    model = Zoo(logdir=str(logdir / "failed"), fails=True)
    with pytest.raises(RuntimeError, match="the zoo is closed"):
        run(model, 2)
    assert [found.status for found in find_runs(logdir / "failed")] == ["failed"]


def test_the_script_runs(tmp_path: Path) -> None:
    """In the example, equal agents who trade at random become unequal."""
    run = run_script("mesa_wealth.py", tmp_path)
    gini = run.scalars("Gini").values
    assert gini[0] == 0
    assert gini[-1] > 0.4


def test_pictures_are_sampled(logger: Logger) -> None:
    """A reporter by its name, or a callable that takes the model; None is left out."""
    model = Growth()
    grid = {"grid": lambda it: [[len(it.agents) / 4]] if it.steps != 2 else None}
    model.datacollector = mesa.DataCollector({**grid, "number": lambda it: it.steps})
    sources = {
        "Grid": image("grid", vmin=0, vmax=1),
        "Matrix": matrix(lambda model: [[model.steps]]),
        "number": "number",
    }
    hook.sample(logger, model, sources)
    with pytest.warns(UserWarning, match=r"sample\('Grid'\): .*left out: .*got None"):
        run(model, 3)
    found = points(logger.run_dir, "Grid")
    assert [(p.step, p.pixels.item()) for p in found] == [(1, 128), (3, 255)]
    assert [p.step for p in points(logger.run_dir, "Matrix")] == [1, 2, 3]
    with pytest.raises(ValueError, match="the data collector has no reporter 'none'"):
        hook.sample(logger, model, {"a": image("none")})
