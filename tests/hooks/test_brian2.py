"""The hook for Brian2, with Brian2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import points, scalars
from pictures import peak, says, tints
from sampled import check_phases, descriptions, killed_and_resumed, run_script, times

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.hooks import brian2 as hook
from annarchy_tb.hooks import image, matrix, raster
from annarchy_tb.kinds import canvas

# Brian2's own
pytestmark = pytest.mark.filterwarnings("ignore:.* deprecated:DeprecationWarning")

b2 = pytest.importorskip("brian2", reason="needs brian2; make hooks runs it")

from brian2 import Hz, ms, mV, second, volt  # noqa: E402


@pytest.fixture(autouse=True)
def _numpy() -> Iterator[None]:
    """Compile nothing, and start with a new time step."""
    b2.prefs.codegen.target = "numpy"
    b2.start_scope()
    b2.defaultclock.dt = 0.1 * ms
    yield
    b2.device.reinit()
    b2.device.activate()


def group(initial: Any = -70 * mV) -> Any:
    """Return three neurons whose potential falls by 1 mV per ms."""
    neurons = b2.NeuronGroup(3, "dv/dt = -1*mV/ms : volt\nx : 1", method="euler")
    neurons.v = initial
    return neurons


def test_several_runs_go_on(logger: Logger) -> None:
    """Each sample has the step of defaultclock, the time, and the value in mV."""
    neurons = group()
    mean = hook.sample(logger, {"v": lambda: np.mean(neurons.v)}, every=2 * ms)
    network = b2.Network(neurons, mean)
    network.run(5 * ms)
    network.run(3 * ms)
    found = scalars(logger.run_dir, "v")
    assert [step for step, _ in found] == [0, 20, 40, 60]
    assert [value for _, value in found] == pytest.approx([-70, -72, -74, -76])
    assert times(logger, "v") == [0, 0.002, 0.004, 0.006]
    assert descriptions(logger, "v") == ["in mV", "", "", ""]


def test_progress_is_told_in_seconds(
    logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end is a time, which is checked when the network begins to run."""
    neurons = group()
    with Logger(logdir, "run") as logger:
        one = hook.sample(logger, {"v": neurons.v}, 2 * ms, until=20 * ms)
        network = b2.Network(neurons, one)
        network.run(5 * ms)
        network.run(5 * ms)
    assert capsys.readouterr().err.startswith("50% 0.01000/0.02 s [")
    with Logger(logdir, "late") as logger:
        late = hook.sample(logger, {"x": neurons.x}, until=10 * ms)
        network.add(late)
        with pytest.raises(Exception, match="preparing an object") as raised:
            network.run(5 * ms)
        assert "after the current time, 0.01 s" in str(raised.value.__cause__)
        with pytest.raises(TypeError, match="until must be a time with a unit"):
            hook.sample(logger, {"x": neurons.x}, until=10)


def test_the_magic_network_finds_it(logger: Logger) -> None:
    """Kept in a variable, it runs with run(), by default every 10 ms."""
    neurons = group()
    sampling = hook.sample(logger, {"v": neurons.v, "x": (neurons, "x")})
    b2.run(21 * ms)
    assert sampling.active
    for tag in "vx":
        found = points(logger.run_dir, tag)
        assert [point.step for point in found] == [0, 100, 200]
    left = [p.array[:, 0].min() for p in points(logger.run_dir, "v")]
    assert left == pytest.approx([-70, -80, -90], rel=0.01)
    assert descriptions(logger, "x") == [""] * 3


def test_the_unit_is_that_of_the_first_value(logger: Logger) -> None:
    """The unit remains that of the first value; a given unit is always kept."""
    neurons = group(0 * mV)
    values = iter([0.012, 3.0, 0.0001])
    sources = {
        "first": lambda: next(values) * volt,
        "given": (neurons.v, mV),
        "also": (lambda: neurons.v[0], mV),
        "named": ((neurons, "v"), mV),
        "curves": lambda: {"a": 20 * Hz, "b": 2000 * Hz},
        "plain": lambda: 5,
    }
    network = b2.Network(neurons, hook.sample(logger, sources, every=1 * ms))
    network.run(3 * ms)
    run = logger.run_dir
    values = [value for _, value in scalars(run, "first")]
    assert values == pytest.approx([12, 3000, 0.1])
    assert [value for _, value in scalars(run, "also")] == pytest.approx([0, -1, -2])
    for tag in ("given", "named"):
        assert points(run, tag)[2].array[:, 0].min() == pytest.approx(-2, rel=0.01)
        assert descriptions(logger, tag) == ["in mV", "", ""]
    assert scalars(run / "b", "curves") == [(0, 2000), (10, 2000), (20, 2000)]
    curve = points(run / "b", "curves")[0]
    assert curve.proto.metadata.summary_description == "in Hz"
    assert scalars(run, "plain") == [(0, 5), (10, 5), (20, 5)]


def noisy(logger: Logger | None = None, ms_each: tuple[float, ...] = (5, 3)) -> bytes:
    """Return what a network with noise and spikes computes."""
    b2.seed(4)
    neurons = b2.NeuronGroup(
        20,
        "dv/dt = (1.2 - v)/(5*ms) + 0.3*xi/(5*ms)**0.5 : 1",
        **{"threshold": "v > 1", "reset": "v = 0", "method": "euler"},
    )
    neurons.v = "rand()"
    synapses = b2.Synapses(neurons, neurons, on_pre="v_post += 0.05")
    synapses.connect(p=0.3)
    states = b2.StateMonitor(neurons, "v", True, dt=0.5 * ms)
    spikes = b2.SpikeMonitor(neurons)
    network = b2.Network(neurons, synapses, states, spikes)
    if logger is not None:
        sources = {"v": neurons.v, "mean": lambda: neurons.v[:].mean()}
        network.add(hook.sample(logger, sources, every=0.7 * ms))
    for duration in ms_each:
        network.run(duration * ms)
    arrays = (states.v[:], spikes.t[:], spikes.i[:], neurons.v[:], network.t)
    return b"".join(np.asarray(array).tobytes() for array in arrays)


def test_a_network_is_that_without_samples(logger: Logger) -> None:
    """Noise, spikes and times are the same, bit for bit."""
    assert noisy(logger) == noisy()
    found = [step for step, _ in scalars(logger.run_dir, "mean")]
    assert found == list(range(0, 80, 7))


def test_a_restored_network_may_be_sampled(logdir: Path) -> None:
    """Each trial restores the network, and has its own Logger; also the first one."""
    neurons = group()
    monitor = b2.StateMonitor(neurons, "v", True)
    network = b2.Network(neurons, monitor)
    network.run(1 * ms)
    network.store()
    recorded = []
    for trial in range(3):
        network.restore()
        with Logger(logdir, str(trial)) as logger:
            if trial:
                source = {"v": lambda: np.mean(neurons.v)}
                network.add(hook.sample(logger, source, every=1 * ms))
            network.run(2 * ms)
        network.store("later")
        network.restore("later")
        recorded.append(np.asarray(monitor.v).tobytes())
        if trial:
            assert [step for step, _ in scalars(logger.run_dir, "v")] == [10, 20]
    assert recorded == [recorded[0]] * 3


def test_sampling_may_begin_after_a_run(logger: Logger) -> None:
    """Brian2's own network takes a new operation for a continuation."""
    neurons = group()
    b2.run(1 * ms)
    sampling = hook.sample(logger, {"v": lambda: neurons.v[0]}, every=1 * ms)
    b2.run(2 * ms)
    del sampling
    b2.run(1 * ms)
    assert [step for step, _ in scalars(logger.run_dir, "v")] == [10, 20]
    assert float(b2.magic_network.t / ms) == pytest.approx(4)


def test_standalone_mode_is_refused(logger: Logger, tmp_path: Path) -> None:
    """Nothing would be logged: run() calls no Python there."""
    neurons = group()
    sampling = hook.sample(logger, {"v": lambda: neurons.v[0]}, every=1 * ms)
    b2.set_device("cpp_standalone", directory=str(tmp_path / "code"))
    try:
        with pytest.raises(RuntimeError, match="sample: with the device CPPStandalone"):
            hook.sample(logger, {"v": lambda: 1.0})
        with pytest.raises(Exception, match="preparing an object") as raised:
            b2.Network(sampling).run(1 * ms)
    finally:
        b2.set_device("runtime")
    assert "run() does not call Python" in str(raised.value.__cause__)


def test_a_given_unit_must_fit(logger: Logger) -> None:
    """A potential is no rate."""
    neurons = group()
    network = b2.Network(neurons, hook.sample(logger, {"v": (neurons.v, Hz)}))
    with pytest.raises(TypeError, match=r"sample\('v'\): the source must be in Hz"):
        network.run(1 * ms)
    network = b2.Network(hook.sample(logger, {"x": (lambda: 5.0, mV)}))
    with pytest.raises(TypeError, match=r"sample\('x'\): the source must be in mV"):
        network.run(1 * ms)


def test_a_variable_by_its_name_may_have_a_unit(logger: Logger) -> None:
    """``(G, "v", mV)`` combines both pairs."""
    neurons = group()
    sampling = hook.sample(logger, {"v": (neurons, "v", volt)}, every=1 * ms)
    b2.Network(neurons, sampling).run(0.1 * ms)
    [point] = points(logger.run_dir, "v")
    assert point.array[:, 0].min() == pytest.approx(-0.07, rel=0.01)
    assert descriptions(logger, "v") == ["in V"]


def test_a_tag_keeps_its_unit(logger: Logger) -> None:
    """Another sampling is converted to it, unless it is given another one."""
    neurons = group()
    sources = {"v": lambda: neurons.v[0]}
    network = b2.Network(neurons, hook.sample(logger, sources, every=1 * ms))
    network.run(1 * ms)
    neurons.v = 3 * volt
    network.add(hook.sample(logger, {"other": lambda: neurons.v[0]}, every=1 * ms))
    network.run(1 * ms)
    assert scalars(logger.run_dir, "v") == [(0, -70), (10, 3000)]
    assert scalars(logger.run_dir, "other") == [(10, 3)]
    last = (lambda: 3 * volt, volt)
    network = b2.Network(hook.sample(logger, {"v": last}))
    with pytest.raises(TypeError, match=r"sample\('v'\): .*in mV, .*got 3.* V"):
        network.run(0.1 * ms)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("in mV, of one", "in mV, of one"), ("one neuron", "one neuron\n\nin mV")],
)
def test_a_description_of_the_user_stays(logger: Logger, text: str, shown: str) -> None:
    """The unit is added if the description does not say it."""
    logger.describe("v", text)
    neurons = group()
    sampling = hook.sample(logger, {"v": lambda: neurons.v[0]}, every=1 * ms)
    b2.Network(neurons, sampling).run(0.1 * ms)
    assert descriptions(logger, "v") == [shown]


@pytest.mark.parametrize("source", [(), (mV,), (lambda: 1.0, 0 * mV)])
def test_a_tuple_that_is_no_source_is_refused(logger: Logger, source: Any) -> None:
    """Its error names the tag, like any other error."""
    with pytest.raises((TypeError, ValueError), match=r"sample\('v'\): the"):
        hook.sample(logger, {"v": source})


def test_a_source_that_raises_reaches_the_user(logger: Logger) -> None:
    """Its error propagates out of run(), and earlier data remains."""
    left = iter([1.0, 2.0])
    neurons = group()
    operation = hook.sample(logger, {"a": lambda: 1 / next(left, 0)}, every=1 * ms)
    with pytest.raises(ZeroDivisionError):
        b2.Network(neurons, operation).run(5 * ms)
    assert scalars(logger.run_dir, "a") == [(0, 1), (10, 0.5)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sources": {"a": 3 * mV}}, TypeError, r"sample\('a'\): .*a variable such as"),
        ({"sources": {"a": lambda t: t}}, TypeError, "callable without arguments"),
        ({"every": 10}, TypeError, r"a time with a unit, such as 10\*ms, got 10"),
        ({"every": 10 * mV}, TypeError, r"a time with a unit, such as 10\*ms"),
        ({"every": 0 * second}, ValueError, "every must be a positive time"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    logger: Logger, arguments: dict, error: type[Exception], message: str
) -> None:
    """The error points at the user's line, and says what is allowed and was given."""
    good = {"logger": logger, "sources": {"a": lambda: 1}}
    with pytest.raises(error, match=message):
        hook.sample(**{**good, **arguments})


def test_a_variable_that_is_not_there_is_named(logger: Logger) -> None:
    """A pair with a wrong name is refused at once."""
    neurons = group()
    with pytest.raises(ValueError, match="the NeuronGroup has no 'w'"):
        hook.sample(logger, {"a": (neurons, "w")})


@pytest.mark.timeout(600)  # it compiles
def test_recordings_of_monitors_survive_a_kill(logdir: Path) -> None:
    """Potentials and spikes, logged in parts, resumed, and read back equal."""
    neurons = b2.NeuronGroup(
        5, "dv/dt = (20*mV - v)/(5*ms) : volt", threshold="v > 15*mV", reset="v = 0*mV"
    )
    neurons.v = "i * mV"
    states, spikes = b2.StateMonitor(neurons, "v", True), b2.SpikeMonitor(neurons)
    b2.run(30 * ms)
    potentials, at = np.asarray(states.v / mV).T, np.asarray(states.t / ms)
    tags = [f"v{number}" for number in range(5)]
    cut = len(at) // 2

    def part(rows: slice) -> Any:
        def log(logger: Logger) -> None:
            logger.add_series(tags, potentials[rows], times=at[rows])
            logger.add_raster("spikes", (spikes.t, spikes.i))

        return log

    run = killed_and_resumed(logdir, [part(slice(0, cut)), part(slice(cut, None))])
    assert len(spikes.t) > 5
    for number, tag in enumerate(tags):
        found = run.scalars(tag)
        assert found.values.tobytes() == potentials[:, number].tobytes()
        assert found.times.tobytes() == at.tobytes()
    for times_, ranks in run.spikes("spikes").spikes:
        assert times_.tolist() == np.asarray(spikes.t / ms).tolist()
        assert ranks.tolist() == np.asarray(spikes.i).tolist()
        assert ranks.dtype == np.asarray(spikes.i).dtype


def test_what_simulations_have_is_logged_in_its_units(logdir: Path) -> None:
    """Monitors, variables, spikes, weights and time steps, as Brian2 gives them."""
    neurons = b2.NeuronGroup(
        4, "dv/dt = (20*mV - v)/(5*ms) : volt", threshold="v > 15*mV", reset="v = 0*mV"
    )
    neurons.v = "i * mV"
    synapses = b2.Synapses(neurons, neurons, "w : siemens")
    synapses.connect("i != j")
    synapses.w = "(i + j) * nS"
    states, spikes = b2.StateMonitor(neurons, "v", True), b2.SpikeMonitor(neurons)
    clock = b2.defaultclock
    with Logger(logdir, "run", dt=clock.dt, clock=lambda: clock.t) as logger:
        logger.add_parameters({"tau": 35 * ms, "noise": {"sigma": [1 * mV, 2 * mV]}})
        b2.run(20 * ms)
        logger.add_scalar("c", 1.0, time=5 * ms)
        logger.add_scalar("c", 2.0)  # at the time of the clock
        logger.add_series("v", states.v[0], times=states.t)
        logger.add_series(["a", "b"], states.v[:2].T, times=list(states.t[:]))
        logger.add_histogram("V", neurons.v)
        logger.add_histogram("V", [neurons.v[0], neurons.v[1]], 201)
        logger.add_image("image", neurons.v[:].reshape(2, 2) / (20 * mV))
        logger.add_matrix("w", (synapses.i, synapses.j, synapses.w))
        logger.add_raster("pair", (spikes.t, spikes.i), start=5 * ms, duration=15 * ms)
        logger.add_raster("trains", spikes.spike_trains(), duration=20)
        logger.log({"I": 100 * b2.uA / b2.cm**2, "f": 20 * Hz})
        logger.add_scalar("odd", 3 * mV / ms**3)
        with pytest.raises(
            TypeError, match=r"time must be a time: in ms, .*got 1\.0 V"
        ):
            logger.add_scalar("c", 1.0, time=1 * volt)
        with pytest.raises(TypeError, match="have no unit"):
            logger.add_scalar("c", 1 * volt)
    run = Run(logger.run_dir)
    assert run.info["dt"] == 0.1
    assert run.params == {"tau [ms]": 35.0, "noise/sigma [mV]": "[1.0, 2.0]"}
    steps, values, times_, _ = run.scalars("c")
    assert (steps.tolist(), values.tolist(), times_.tolist()) == (
        [50, 200],
        [1, 2],
        [5, 20],
    )
    at = np.asarray(states.t / ms)
    for tag, its in (("v", states.v[0]), ("a", states.v[0]), ("b", states.v[1])):
        found = run.scalars(tag)
        assert found.values.tobytes() == np.asarray(its / mV).tobytes()
        assert found.times.tolist() == pytest.approx(at.tolist(), rel=1e-15)
    assert len(run.histograms("V").histograms) == 2
    for tag in ("pair", "trains"):
        [(when, ranks)] = run.spikes(tag).spikes
        assert sorted(when) == sorted(np.asarray(spikes.t / ms))
        assert len(ranks) == len(spikes.i)
    units = run.info["units"]
    assert units.pop("odd") == "m^2 kg s^-6 A^-1"
    assert units == {
        **dict.fromkeys(["v", "a", "b", "V"], "mV"),
        **{"w": "nS", "I": "m^-2 A", "f": "Hz"},
    }
    assert [r.params for r in find_runs(logdir, params={"tau": 35})]
    assert [r.params for r in find_runs(logdir, params={"tau": 0.035 * second})]

    with Logger(logdir, "run", mode="a", dt=clock.dt) as logger:
        logger.add_parameters({"tau": 35 * ms, "noise/sigma": [1 * mV, 2 * mV]})
        logger.log({"I": 1 * b2.uA / b2.cm**2, "f": 2000 * Hz})
        logger.add_scalar("odd", 3 * mV / ms**3)
        logger.add_scalar("v", 0 * mV)
    run = Run(logger.run_dir)
    assert run.scalars("I").values.tolist() == pytest.approx([1, 0.01])
    assert run.scalars("f").values.tolist() == [20, 2000]
    assert len(set(run.scalars("odd").values)) == 1


def test_the_script_runs(tmp_path: Path) -> None:
    """The network of the example is neither silent nor synchronous."""
    run = run_script("brian2_balance.py", tmp_path)
    assert 1 < run.curves("Rate")["excitatory"].values.mean() < 100


def test_pictures_are_sampled(logger: Logger) -> None:
    """Sources with units, spikes of a monitor, and synapses."""
    neurons = b2.NeuronGroup(
        4,
        "dv/dt = 10*mV/ms : volt",
        threshold="v > -60*mV",
        reset="v = -70*mV",
        method="euler",
    )
    neurons.v = [-70, -68, -66, -64] * mV
    synapses = b2.Synapses(neurons, neurons, "w : 1")
    synapses.connect(condition="i != j")
    synapses.w = "0.1 * i"
    monitor = b2.SpikeMonitor(neurons)
    field = (lambda: neurons.v[:].reshape(2, 2), mV)
    sources = {
        "Raster": raster(lambda: (monitor.t, monitor.i), duration=3 * ms),
        "Weights": matrix(lambda: (synapses.i, synapses.j, synapses.w)),
        "Field": image(field, vmin=-70, vmax=-60 * mV, cmap="gray"),
    }
    sampling = hook.sample(logger, sources, every=1 * ms)
    network = b2.Network(neurons, synapses, monitor, sampling)
    network.run(2.5 * ms)
    found = points(logger.run_dir, "Field")
    assert [point.step for point in found] == [0, 10, 20]
    assert found[0].pixels[..., 0].tolist() == [[0, 51], [102, 153]]
    assert Run(logger.run_dir).info["units"]["Field"] == "mV"
    _, spikes, *_ = Run(logger.run_dir).spikes("Raster")
    assert len(spikes[0][0]) == 0 < len(spikes[1][0]) < len(spikes[2][0])
    assert len(points(logger.run_dir, "Weights")) == 3


@pytest.mark.timeout(600)  # 4,000 neurons, and nothing is compiled
def test_the_raster_of_a_benchmark_shows_its_groups_and_its_rates(
    logger: Logger,
) -> None:
    """CUBA: 3,200 excitatory neurons and 800 inhibitory ones, firing irregularly.

    Romain Brette et al., "Simulation of networks of spiking neurons", Journal of
    Computational Neuroscience 23, 2007, benchmark 2.
    """
    b2.seed(1)
    neurons = b2.NeuronGroup(
        4000,
        """
        dv/dt = (up + down - v - 49*mV) / (20*ms) : volt (unless refractory)
        dup/dt = -up / (5*ms) : volt
        ddown/dt = -down / (10*ms) : volt
        """,
        threshold="v > -50*mV",
        reset="v = -60*mV",
        refractory=5 * ms,
        method="exact",
    )
    neurons.v = "-60*mV + 10*mV*rand()"
    excite = b2.Synapses(neurons, neurons, on_pre="up += 1.62*mV")
    excite.connect("i < 3200", p=0.02)
    inhibit = b2.Synapses(neurons, neurons, on_pre="down -= 9*mV")
    inhibit.connect("i >= 3200", p=0.02)
    spikes = b2.SpikeMonitor(neurons)
    b2.run(100 * ms)

    groups = {"E": 3200, "I": 800}
    logger.add_raster("CUBA", (spikes.t, spikes.i), groups=groups, duration=100 * ms)
    pixels = points(logger.run_dir, "CUBA")[-1].pixels
    blue, orange = tints(pixels)
    border = round(blue.shape[0] * 0.2)  # neuron 0 is at the bottom
    assert blue[border + 1 :].sum() > 500
    assert orange[: border - 1].sum() > 100
    assert not blue[: border - 1].any()
    assert not orange[border + 1 :].any()
    at, ranks = np.asarray(spikes.t / second), np.asarray(spikes.i)
    excited = ranks < 3200
    rates = peak(at[excited], 3200, 0, 0.1), peak(at[~excited], 800, 0, 0.1)
    for text in (f"{canvas.number(max(rates), 2)} Hz", "3999", "100 ms"):
        assert says(pixels, text), text


def test_phases_show_all_trials_of_store_and_restore(logdir: Path) -> None:
    """Each begins again at time 0, and the network is that of the store."""
    neurons = group(0 * mV)
    with Logger(logdir, "run", dt=b2.defaultclock.dt) as logger:
        sampling = hook.sample(logger, {"v": (lambda: neurons.v[0], mV)}, every=1 * ms)
        network = b2.Network(neurons, sampling)
        network.store()
        for name in "abc":
            network.restore()
            with logger.phase(name):
                network.run(10 * ms)
    found = check_phases(logger.run_dir, "v", "abc", 10)
    assert found.phase("c").values.tolist() == found.phase("a").values.tolist()
