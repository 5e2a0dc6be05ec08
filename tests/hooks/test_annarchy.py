"""The hook for ANNarchy, with ANNarchy: a network of version 5, and the global one.

Version 4 has only the global network; tests that need more are skipped there.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load, points, scalars
from sampled import check_phases, run_script, script, times

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.hooks import annarchy as hook

ann = pytest.importorskip("ANNarchy", reason="needs ANNarchy; make hooks runs it")

FIVE = int(importlib.metadata.version("ANNarchy").split(".")[0]) >= 5
pytestmark = pytest.mark.timeout(600)  # compiles networks
needs_5 = pytest.mark.skipif(not FIVE, reason="ANNarchy 4 has no networks of this kind")

COUNTER = {"parameters": "speed = 1.0 : population", "equations": "r = r + speed"}


class Global:
    """The global network, with the attributes of a Network; its r counts steps."""

    def __init__(self) -> None:
        """Create it."""
        ann.setup(dt=0.1)
        self.pop = ann.Population(3, ann.Neuron(**COUNTER))
        self.proj = ann.Projection(self.pop, self.pop, "exc")
        self.proj.connect_all_to_all(0.25)
        ann.compile(silent=True)
        self.net = None
        self.simulate, self.reset = ann.simulate, ann.reset
        self.clear_all_callbacks = ann.clear_all_callbacks


if FIVE:

    class Counter(ann.Network):
        """A network of version 5 that counts steps, at a given speed."""

        def __init__(self, speed: float = 1.0) -> None:
            """Create it."""
            self.pop = self.create(3, ann.Neuron(**COUNTER))
            self.pop.speed = speed
            self.proj = self.connect(self.pop, self.pop, "exc")
            self.proj.all_to_all(0.25)

        @property
        def net(self) -> Any:
            """The sources passed to the hook."""
            return self


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Change to a directory where ANNarchy may compile."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("annarchy"))
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
def counter(here: None) -> Any:
    """Return a compiled network of version 5."""
    if not FIVE:
        pytest.skip("ANNarchy 4 has the global network only")
    made = Counter(dt=0.1)
    made.compile(silent=True)
    return made


@pytest.fixture(scope="module")
def top(here: None) -> Global:
    """Return the global network, compiled."""
    return Global()


@pytest.fixture(scope="module", params=["counter", "top"])
def compiled(request: pytest.FixtureRequest) -> Any:
    """Return a compiled network, the global one or not."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def network(compiled: Any) -> Iterator[Any]:
    """Return a network at its first step, without callbacks."""
    compiled.reset()
    compiled.clear_all_callbacks()
    yield compiled
    compiled.clear_all_callbacks()


def test_several_simulations_go_on(network: Any, logger: Logger) -> None:
    """Steps, times and values are those of the network, with one sample in each 0.5 ms.

    ANNarchy itself would also call back at step 13, where a simulate() starts.
    """
    sources = {"r": lambda: network.pop.r.mean()}
    hook.sample(logger, network.net, sources, every=0.5)
    network.simulate(1.3)
    network.simulate(0.8)
    steps = [0, 5, 10, 18]
    assert scalars(logger.run_dir, "r") == [(step, step) for step in steps]
    assert times(logger, "r") == pytest.approx(np.array(steps) * 1e-4)


def test_progress_is_told_in_ms(
    network: Any, logger: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end is a time in ms, and the bar ends where the network is."""
    network.simulate(2.0)
    with pytest.raises(ValueError, match="after the current time, 2 ms, got 2"):
        hook.sample(logger, network.net, {"r": lambda: 1}, until=2.0)
    hook.sample(logger, network.net, {"r": lambda: 1}, every=1.0, until=12.0, show="r")
    network.simulate(5.0)
    logger.close()
    assert capsys.readouterr().err.startswith("50% 7.00/12 ms [")


def test_every_is_rounded_to_steps(network: Any, logger: Logger) -> None:
    """0.3 ms are three steps of 0.1 ms, and times shorter than a step are one step."""
    hook.sample(logger, network.net, {"three": lambda: 0}, every=0.3)
    hook.sample(logger, network.net, {"one": lambda: 0}, every=0.01)
    hook.sample(logger, network.net, {"default": lambda: 0})
    network.simulate(0.9)
    assert [step for step, _ in scalars(logger.run_dir, "three")] == [0, 3, 6]
    assert [step for step, _ in scalars(logger.run_dir, "one")] == list(range(9))
    network.simulate(25.0)
    found = [step for step, _ in scalars(logger.run_dir, "default")]
    assert found == [0, 109, 209]


def test_every_may_be_longer_than_a_simulation(network: Any, logger: Logger) -> None:
    """Trials of 1 ms are sampled every 2 ms if asked to, also after a reset."""
    hook.sample(logger, network.net, {"r": lambda: network.pop.r[0]}, every=2.0)
    for _ in range(5):
        network.simulate(1.0)
    assert scalars(logger.run_dir, "r") == [(0, 0), (20, 20), (40, 40)]
    network.reset()
    with pytest.warns(UserWarning, match="step 0 comes after step 40"):
        network.simulate(1.0)
    assert scalars(logger.run_dir, "r")[-1] == (0, 0)


def test_variables_are_read_at_each_sample(network: Any, logger: Logger) -> None:
    """A pair reads a variable of the simulator, of populations and projections."""
    sources = {"r": (network.pop, "r"), "w": (network.proj, "w")}
    hook.sample(logger, network.net, sources, every=0.5)
    network.simulate(1.0)
    edges = [p.array[[0, -1], [0, 1]].mean() for p in points(logger.run_dir, "r")]
    assert edges == pytest.approx([0, 5])
    # ANNarchy returns one number if all weights are the same.
    assert scalars(logger.run_dir, "w") == [(0, 0.25), (5, 0.25)]


def test_a_source_that_raises_reaches_the_user(network: Any, logger: Logger) -> None:
    """Its error propagates out of simulate(), and earlier data remains."""
    left = iter([1.0, 2.0])
    sources = {"a": lambda: 1 / next(left, 0)}
    hook.sample(logger, network.net, sources, every=0.1)
    with pytest.raises(ZeroDivisionError):
        network.simulate(1.0)
    assert scalars(logger.run_dir, "a") == [(0, 1), (1, 0.5)]


def test_one_logger_after_the_other(network: Any, logdir: Path) -> None:
    """Sampling ends with its Logger, and the network continues."""
    for name in "ab":
        with Logger(logdir, name) as logger:
            hook.sample(logger, network.net, {"r": lambda: network.pop.r[0]}, 0.5)
            network.simulate(1.0)
    assert scalars(logdir / "a", "r") == [(0, 0), (5, 5)]
    assert scalars(logdir / "b", "r") == [(10, 10), (15, 15)]


def test_a_network_lets_a_closed_logger_go(network: Any, logdir: Path) -> None:
    """With one Logger per trial, its callback goes with it, and nothing else does."""
    kept = ann.every(
        period=0.5, **({} if network.net is None else {"network": network})
    )
    kept(lambda _: None)
    loggers = []
    for _ in range(3):
        with Logger(logdir) as logger:
            hook.sample(logger, network.net, {"r": lambda: 0.0}, every=0.5)
            network.simulate(1.0)
        loggers.append(weakref.ref(logger))
    network.simulate(1.0)
    del logger
    gc.collect()
    assert [known() for known in loggers] == [None] * 3
    net = ann.magic_network() if FIVE and network.net is None else network.net
    assert hook._callbacks(net) == [kept]
    assert "simulate" not in vars(network) or network.net is None


DURATIONS = [1.2, 0.3, 0.7, 1.0, 1.25, 0.05, 2, 1.7]


def computed(
    network: Any, sampled: Path | None = None, times: int = 1
) -> tuple[list[int], bytes]:
    """Return the length of some simulations in steps, and what they computed."""
    network.reset()
    logger = None if sampled is None else Logger(sampled, dt=0.1)
    for tag in "abc"[:times] if logger else "":
        hook.sample(logger, network.net, {tag: (network.pop, "r")}, every=0.2)
    steps, values = [], []
    for duration in DURATIONS:
        before = ann.get_current_step() if network.net is None else network.current_step
        network.simulate(duration)
        after = ann.get_current_step() if network.net is None else network.current_step
        steps.append(after - before)
        values.append(np.array(network.pop.r))
    if logger is not None:
        logger.close()
        assert len(points(logger.run_dir, "a")) > 30
    return steps, np.array(values).tobytes()


def test_simulations_are_those_without_samples(counter: Any, logdir: Path) -> None:
    """Each duration has the same number of steps and results, bit for bit.

    With callbacks, ANNarchy rounds down: 1.2 / 0.1 to 11 steps. A callback of the user
    makes it do so with and without samples.
    """
    counter.clear_all_callbacks()
    without = computed(counter)
    assert without[0] == [12, 3, 7, 10, 13, 1, 20, 17]
    assert computed(counter, logdir) == without
    assert computed(counter, logdir, times=3) == without
    assert computed(counter) == without
    counter.disable_callbacks()
    logger = Logger(logdir, dt=0.1)
    hook.sample(logger, counter, {"r": lambda: 0})
    assert computed(counter) == without
    counter.enable_callbacks()
    counter.simulate(duration=1.2, measure_time=False)  # by name
    logger.close()
    ann.every(network=counter, period=1.0)(lambda _: None)
    with_their_own = computed(counter)
    assert with_their_own[0] == [11, 2, 6, 10, 12, 0, 20, 17]
    counter.reset()
    assert computed(counter, logdir) == with_their_own
    counter.clear_all_callbacks()


def test_the_global_network_is_rounded_down(top: Global, logdir: Path) -> None:
    """As the page says; but not once the Logger is closed."""
    top.clear_all_callbacks()
    before = computed(top)
    assert before[0] == [12, 3, 7, 10, 13, 1, 20, 17]
    assert computed(top, logdir)[0] == [11, 2, 6, 10, 12, 0, 20, 17]
    assert computed(top) == before


def test_bad_arguments_are_refused_at_once(network: Any, logger: Logger) -> None:
    """The error points at the user's line, and says what is allowed and was given."""
    for arguments, error, message in (
        ({"sources": {"a": 1.0}}, TypeError, r"lambda: pop.r.mean\(\), or a pair"),
        ({"sources": {"a": lambda n: n}}, TypeError, "callable without arguments"),
        ({"sources": {"a": (network.pop, "v")}}, ValueError, "no 'v'; it has 'speed'"),
        ({"every": 0.0}, ValueError, "every must be a positive number of ms"),
        ({"net": 3}, TypeError, "net must be a Network of ANNarchy 5, or None"),
    ):
        good = {"logger": logger, "net": network.net, "sources": {"a": lambda: 1}}
        with pytest.raises(error, match=message):
            hook.sample(**{**good, **arguments})
    network.simulate(1.0)
    assert load(logger.run_dir) == []


def simulation(net: Any, logdir: str, experiment: str) -> list[int]:
    """Simulate one of several networks, in a separate process."""
    with Logger(logdir, experiment, dt=net.dt) as logger:
        logger.add_parameters({"speed": float(net.pop.speed)})
        sources = {"r": lambda: net.pop.r[0], "all": (net.pop, "r")}
        hook.sample(logger, net, sources, every=0.2)
        net.simulate(20.0)
    return [os.getpid(), *hook.experiments(1, logdir, "same name")]


def test_each_network_of_parallel_run_has_its_run(counter: Any, logdir: Path) -> None:
    """With several processes at once, nothing is lost and no directory is shared."""
    number = 5
    speeds = [1.0, 2.0, 3.0, 4.0, 5.0]
    jobs = hook.experiments(number, logdir)
    found = counter.parallel_run(
        simulation,
        number=number,
        max_processes=3,
        speed=speeds,
        logdir=str(logdir),
        experiment=jobs,
    )
    assert len({pid for pid, _ in found}) > 1
    assert len({claimed for _, claimed in found}) == number
    finished = sorted(run.path for run in find_runs(logdir, status="finished"))
    assert finished == [logdir / job for job in jobs]
    for job, speed in zip(jobs, speeds, strict=True):
        run = Run(logdir / job)
        assert run.params == {"speed": speed}
        assert len(list(run.path.glob("*tfevents*"))) == 1
        wanted = [(step, speed * step) for step in range(0, 200, 2)]
        assert scalars(run.path, "r") == wanted
        assert len(points(run.path, "all")) == 100


def test_the_runs_of_jobs_are_nobody_elses(tmp_path: Path) -> None:
    """Each call returns names below a new directory, which sort like the jobs."""
    first = hook.experiments(11, tmp_path)
    assert len({*first, *hook.experiments(11, tmp_path)}) == 22
    assert first == sorted(first)
    assert first[-1].endswith("/net10")
    assert hook.experiments(2, tmp_path, "pulse") == ["pulse/net0", "pulse/net1"]
    assert hook.experiments(1, tmp_path, "pulse") == ["pulse_1/net0"]
    for number, name in ((0, None), (2, "a/b"), (2, ".."), (2, "")):
        with pytest.raises(ValueError, match="experiments: "):
            hook.experiments(number, tmp_path, name)


@needs_5
def test_the_script_runs(tmp_path: Path) -> None:
    """The neurons of the example fire, and some synapses win; also in parallel."""
    run = run_script("annarchy_stdp.py", tmp_path, "--seconds", "10")
    assert 1 < run.scalars("Rate (Hz)").values.mean() < 100
    assert run.scalars("Strong").values[-1] > run.scalars("Strong").values[0]
    assert run.histograms("Weights").steps.tolist() == [0, 2000, 4000, 6000, 8000]
    script(tmp_path, "annarchy_stdp.py", "--seconds", "1", "--networks", "2")
    assert len(list((tmp_path / "runs").glob("*/net?/run.json"))) == 2


def test_phases_show_all_trials_of_a_reset_network(counter: Any, logdir: Path) -> None:
    """A scalar by the hook, and spikes logged beside it, from time 0 each."""
    counter.reset()
    with Logger(logdir, "run", dt=counter.dt) as logger:
        sources = {"r": lambda: counter.pop.r[0]}
        hook.sample(logger, counter.net, sources, every=1.0)
        for name in "abc":
            counter.reset()
            with logger.phase(name):
                counter.simulate(10.0)
                logger.add_scalar("Trial", counter.pop.r[0], time=counter.time)
    found = check_phases(logger.run_dir, "r", "abc", 10)
    assert found.phase("b").values.tolist() == found.phase("a").values.tolist()
    assert len(scalars(logger.run_dir, "Trial")) == 3
