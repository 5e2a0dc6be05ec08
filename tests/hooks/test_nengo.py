"""The hook for Nengo, with Nengo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load, points, scalars
from sampled import check_phases, run_script, times

from annarchy_tb import Logger, Run
from annarchy_tb.hooks import image, matrix
from annarchy_tb.hooks import nengo as hook

nengo = pytest.importorskip("nengo", reason="needs nengo; make hooks runs it")


@pytest.fixture
def model() -> Any:
    """Return a model: a ramp in two dimensions drives an ensemble."""
    with nengo.Network(seed=1) as model:
        model.ramp = nengo.Node(lambda t: [t, -2 * t])
        model.ensemble = nengo.Ensemble(30, 2)
        nengo.Connection(model.ramp, model.ensemble)
        model.probe = nengo.Probe(model.ensemble, synapse=0.01)
        model.first = nengo.Probe(model.ensemble[0], sample_every=0.004)
    return model


def simulate(model: Any, *durations: float) -> Any:
    """Run a model, and return its simulator."""
    with nengo.Simulator(model, progress_bar=False) as sim:
        for duration in durations:
            sim.run(duration)
    return sim


def test_each_dimension_is_a_curve(model: Any, logger: Logger) -> None:
    """Two dimensions are logged as the curves 0 and 1, one dimension as a scalar."""
    with model:
        sources = {"ramp": model.ramp, "first": model.ramp[0]}
        hook.sample(logger, sources, every=0.005)
    simulate(model, 0.012, 0.011)
    steps = [5, 10, 15, 20]
    t = np.array(steps) / 1000
    for tag, run, wanted in (
        ("first", logger.run_dir, t),
        ("ramp", logger.run_dir / "0", t),
        ("ramp", logger.run_dir / "1", -2 * t),
    ):
        found = scalars(run, tag)
        assert [step for step, _ in found] == steps
        assert [value for _, value in found] == pytest.approx(wanted)
    assert times(logger, "first") == pytest.approx(t)


def test_progress_is_told_in_seconds(
    model: Any, logger: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end is a time in seconds, of each Simulator of the model."""
    with model:
        with pytest.raises(ValueError, match="after the current time, 0 s, got 0"):
            hook.sample(logger, {"ramp": model.ramp}, until=0)
        hook.sample(logger, {"ramp": model.ramp}, every=0.01, until=0.1, show="ramp")
    simulate(model, 0.02, 0.02)
    logger.close()
    err = capsys.readouterr().err
    assert err.startswith("40% 0.0400/0.1 s [")
    assert err.endswith(" s/s, ramp 0 0.04 1 -0.08]\n")


def test_a_sample_is_what_a_probe_sees(model: Any, logger: Logger) -> None:
    """Ensembles and neurons are filtered by a synapse, like those of a Probe."""
    with model:
        hook.sample(logger, {"ensemble": model.ensemble}, 0.001, synapse=0.01)
        hook.sample(logger, {"spikes": model.ensemble.neurons[:3]}, 0.001)
    sim = simulate(model, 0.02)
    for dimension in range(2):
        found = scalars(logger.run_dir / str(dimension), "ensemble")
        values = np.array([value for _, value in found])
        assert values == pytest.approx(sim.data[model.probe][:, dimension], abs=1e-6)
    assert len(points(logger.run_dir / "2", "spikes")) == 20


def seeded(logger: Logger | None, optimize: bool = False) -> dict[str, bytes]:
    """Return all that a model with random numbers of all kinds computes."""
    processes = nengo.processes
    with nengo.Network(seed=3) as model:
        noise = nengo.Node(processes.WhiteNoise(), size_out=2)
        first = nengo.Ensemble(30, 2)
        second = nengo.Ensemble(20, 2, noise=processes.WhiteNoise())
        nengo.Connection(noise, second, synapse=0.02)
        nengo.Connection(first, second, function=lambda x: x**2)
        if logger is not None:
            sources = {"x": first, "spikes": first.neurons, "1": lambda: 1.0}
            hook.sample(logger, sources, 0.002, synapse=nengo.Alpha(0.03))
            hook.sample(logger, {"y": second[0], "noise": noise}, synapse=0.01)
        third = nengo.Ensemble(20, 1)
        learnt = nengo.Connection(second[0], third, learning_rule_type=nengo.PES())
        nengo.Connection(third, learnt.learning_rule)
        with nengo.Network() as inner:
            inner.noise = nengo.Node(processes.FilteredNoise(), size_out=1)
            inner.ensemble = nengo.Ensemble(20, 1)
            nengo.Connection(inner.noise, inner.ensemble)
            if logger is not None:
                hook.sample(logger, {"inner": inner.ensemble, "outer": first})
        ensembles = [first, second, third, inner.ensemble]
        probed = [*ensembles, noise, inner.noise, first.neurons, second.neurons]
        probes = [nengo.Probe(one, synapse=0.01) for one in probed]
    with nengo.Simulator(model, progress_bar=False, optimize=optimize) as sim:
        sim.run(0.1)
    found = {f"bias {n}": sim.data[ens].bias for n, ens in enumerate(ensembles)}
    found |= {f"{n} {probe}": sim.data[probe] for n, probe in enumerate(probes)}
    found["weights"] = sim.data[learnt].weights
    return {name.partition(" at 0x")[0]: data.tobytes() for name, data in found.items()}


def test_a_seeded_model_is_that_without_samples(logger: Logger, logdir: Path) -> None:
    """Biases, noise, spikes and learnt weights are the same, bit for bit."""
    assert seeded(logger) == seeded(None)
    found = Run(logger.run_dir).curves("x")
    assert len(found["0"].steps) == 50
    # The optimizer's sums depend on where arrays are in memory, with and without.
    with Logger(logdir, "optimized") as second:
        optimized, without = seeded(second, optimize=True), seeded(None, optimize=True)
    biases = [name for name in without if name.startswith("bias")]
    assert [optimized[name] for name in biases] == [without[name] for name in biases]


def test_synapses_of_all_forms(model: Any, logger: Logger) -> None:
    """A time constant, a Synapse, and one with a seed filter like those of a Probe."""
    with model:
        for tag, synapse in {
            "number": 0.01,
            "lowpass": nengo.Lowpass(0.01),
            "seeded": nengo.Lowpass(0.01, seed=5),
        }.items():
            hook.sample(logger, {tag: model.ensemble[0]}, 0.001, synapse=synapse)
    sim = simulate(model, 0.02)
    for tag in ("number", "lowpass", "seeded"):
        values = [value for _, value in scalars(logger.run_dir, tag)]
        assert values == pytest.approx(sim.data[model.probe][:, 0], abs=1e-6)


def test_callables_are_sampled_too(model: Any, logger: Logger) -> None:
    """They need no input, and are called only at each sample."""
    calls = []
    with model:
        sources = {"calls": lambda: calls.append(1) or len(calls), "x": lambda: [1, 2]}
        hook.sample(logger, sources, every=0.0101)
    simulate(model, 0.03)
    assert scalars(logger.run_dir, "calls") == [(10, 1), (20, 2), (30, 3)]
    assert len(points(logger.run_dir, "x")) == 3


def test_recordings_are_logged_whole(model: Any, logdir: Path) -> None:
    """Each probe has its own steps and times, and cleared probes continue."""
    with Logger(logdir, time_unit="s") as logger:
        probes = {"position": model.probe, "first": model.first}
        with nengo.Simulator(model, progress_bar=False) as sim:
            sim.run(0.012)
            hook.log_probes(logger, sim, probes)
            data = sim.data[model.probe].copy()
            sim.clear_probes()
            sim.run(0.008)
            hook.log_probes(logger, sim, probes)
            data = np.concatenate([data, sim.data[model.probe]])
    for dimension in range(2):
        found = scalars(logger.run_dir, f"position/{dimension}")
        assert [step for step, _ in found] == list(range(1, 21))
        assert [value for _, value in found] == pytest.approx(data[:, dimension])
    assert [step for step, _ in scalars(logger.run_dir, "first")] == [4, 8, 12, 16, 20]
    assert times(logger, "first") == [0.004, 0.008, 0.012, 0.016, 0.02]
    assert {p.tag for p in load(logger.run_dir)} == {
        *("position/0", "position/1", "first")
    }


def test_a_recording_without_points_is_none(model: Any, logger: Logger) -> None:
    """A probe may be cleared, or not have taken its first sample."""
    sim = simulate(model, 0.003)
    hook.log_probes(logger, sim, {"first": model.first})
    assert load(logger.run_dir) == []


def test_many_dimensions_are_a_histogram(model: Any, logger: Logger) -> None:
    """TensorBoard would show one curve for each of 30 neurons as 30 runs."""
    with model:
        hook.sample(logger, {"rates": model.ensemble.neurons}, every=0.005)
    simulate(model, 0.011)
    assert [p.array[:, 2].sum() for p in points(logger.run_dir, "rates")] == [30, 30]


def test_a_source_that_raises_reaches_the_user(model: Any, logger: Logger) -> None:
    """Its error propagates out of run(), and earlier data remains."""
    left = iter([1.0, 2.0])
    with model:
        hook.sample(logger, {"a": lambda: 1 / next(left, 0)}, every=0.001)
    with pytest.raises(ZeroDivisionError):
        simulate(model, 0.01)
    assert scalars(logger.run_dir, "a") == [(1, 1), (2, 0.5)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sources": {"a": 1}}, TypeError, "an Ensemble, a Node, Neurons"),
        ({"sources": {"a": lambda t: t}}, TypeError, "callable without arguments"),
        ({"every": -0.1}, ValueError, "every must be a positive number of seconds"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    model: Any, logger: Logger, arguments: dict, error: type[Exception], message: str
) -> None:
    """The error points at the user's line, and the model is unchanged."""
    good = {"logger": logger, "sources": {"a": model.ensemble}}
    number = len(model.all_objects)
    with pytest.raises(error, match=message), model:
        hook.sample(**{**good, **arguments})
    assert len(model.all_objects) == number


def test_what_has_no_output_is_no_source(model: Any, logger: Logger) -> None:
    """A Node without output is refused."""
    with model:
        sink = nengo.Node(lambda t, x: None, size_in=1)
        with pytest.raises(ValueError, match=r"sample\('a'\): .* has no output"):
            hook.sample(logger, {"a": sink})


def test_only_probes_of_the_model_are_recordings(model: Any, logger: Logger) -> None:
    """log_probes names the tag of an invalid probe."""
    sim = simulate(model, 0.002)
    with pytest.raises(TypeError, match=r"log_probes\('a'\): a Probe of this sim"):
        hook.log_probes(logger, sim, {"a": model.ensemble})
    with pytest.raises(TypeError, match="log_probes: probes must be a dict"):
        hook.log_probes(logger, sim, model.probe)


def test_the_script_runs(tmp_path: Path) -> None:
    """The oscillator of the example oscillates."""
    run = run_script("nengo_oscillator.py", tmp_path)
    assert run.scalars("Recorded/0").values.min() < -0.5
    assert run.scalars("Recorded/0").values.max() > 0.5


def test_pictures_are_sampled(model: Any, logger: Logger) -> None:
    """Callables may read the simulator; a signal has one row, and is refused."""
    weights = np.array([[0.5, 1.0, 0.0], [0.0, 0.25, 0.5]])
    with model:
        inputs, outputs = nengo.Node([0.5, 0.5, 0.5]), nengo.Node(size_in=2)
        made = nengo.Connection(inputs, outputs, transform=weights)
        sources = {
            "Weights": matrix(lambda: sim.data[made].weights),
            "Field": image(lambda: sim.data[made].weights, vmin=0, vmax=1),
            "ramp": model.ramp,
        }
        hook.sample(logger, sources, every=0.005)
        for signal in (model.ramp, model.ensemble.neurons, model.ensemble[0]):
            with pytest.raises(TypeError, match=r"sample\('a'\): to draw a picture"):
                hook.sample(logger, {"a": image(signal)})
    with nengo.Simulator(model, progress_bar=False) as sim:
        sim.run(0.012)
    found = points(logger.run_dir, "Field")
    assert [point.step for point in found] == [5, 10]
    assert found[0].pixels.tolist() == [[128, 255, 0], [0, 64, 128]]
    assert len(points(logger.run_dir, "Weights")) == 2
    assert len(points(logger.run_dir / "0", "ramp")) == 2


def test_phases_show_all_trials_of_a_reset_simulator(
    model: Any, logger: Logger
) -> None:
    """A scalar and two curves, each from time 0."""
    with model:
        sources = {"ramp": model.ramp, "first": model.ramp[0]}
        hook.sample(logger, sources, every=0.005)
    with nengo.Simulator(model, progress_bar=False) as sim:
        for name in "abc":
            sim.reset()
            with logger.phase(name):
                sim.run(0.021)
    found = check_phases(logger.run_dir, "first", "abc", 4)
    assert found.phase("b").values.tolist() == found.phase("a").values.tolist()
    for dimension in "01":
        curve = Run(logger.run_dir).curves("ramp")[dimension]
        assert curve.steps.tolist() == found.steps.tolist()
