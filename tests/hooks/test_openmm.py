"""The hook for OpenMM, with OpenMM."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import points, scalars
from sampled import check_phases, descriptions, killed_and_resumed, run_script, times

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main
from annarchy_tb.hooks import matrix
from annarchy_tb.hooks import openmm as hook

openmm = pytest.importorskip("openmm", reason="needs openmm; make hooks runs it")

from openmm import app, unit  # noqa: E402


def molecules(integrator: Any, mover: bool = True) -> Any:
    """Return a simulation of 27 diatomic molecules, one bond a constraint, in a box."""
    system, topology = openmm.System(), app.Topology()
    chain = topology.addChain()
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(0.7)
    positions = []
    for cell in np.ndindex(3, 3, 3):
        residue = topology.addResidue("N2", chain)
        for atom in range(2):
            system.addParticle(14.0)
            force.addParticle(0.0, 0.33, 0.3)
            topology.addAtom(f"N{atom}", app.Element.getBySymbol("N"), residue)
            positions.append(np.array(cell) * 0.5 + [0.11 * atom, 0, 0])
        first = len(positions) - 2
        system.addConstraint(first, first + 1, 0.11)
        force.addException(first, first + 1, 0.0, 0.33, 0.0)
    system.addForce(force)
    if mover:
        system.addForce(openmm.CMMotionRemover())
    box = 1.5 * np.eye(3)
    system.setDefaultPeriodicBoxVectors(*box)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(positions)
    simulation.context.setVelocitiesToTemperature(100, 1)
    return simulation


def test_a_trajectory_of_energies_survives_a_kill(logdir: Path) -> None:
    """Recorded by the simulation, logged in parts, resumed, and read back equal."""
    simulation = molecules(verlet())
    energies = np.empty((60, 2))
    for row in energies:
        simulation.step(2)
        state = simulation.context.getState(getEnergy=True)
        potential, kinetic = state.getPotentialEnergy(), state.getKineticEnergy()
        row[:] = [
            e.value_in_unit(unit.kilojoule_per_mole) for e in (potential, kinetic)
        ]
    ps = np.arange(1, 61) * 0.004

    def part(rows: slice) -> Any:
        tags = ["Epot", "Ekin"]
        return lambda logger: logger.add_series(tags, energies[rows], times=ps[rows])

    cuts = (slice(0, 20), slice(20, 40), slice(40, 60))
    run = killed_and_resumed(logdir, [part(rows) for rows in cuts])
    for k, tag in enumerate(("Epot", "Ekin")):
        found = run.scalars(tag)
        assert found.values.tobytes() == energies[:, k].tobytes()
        assert found.times.tobytes() == ps.tobytes()
        assert found.steps.tolist() == list(range(60))


def test_a_simulation_that_blows_up_says_so(logdir: Path) -> None:
    """Its time step is 0.2 ps; ls names the step, and on_nan="raise" ends it there."""
    sources = {"T": "temperature", "K": "kineticEnergy"}
    with Logger(logdir, "warn", time_unit="ps") as logger:
        simulation = molecules(openmm.VerletIntegrator(0.2))
        simulation.reporters.append(hook.sample(logger, sources, every=5))
        with pytest.warns(UserWarning, match="the value is (nan|inf)") as given:
            simulation.step(100)
        assert len(given) == 2, [str(w.message) for w in given]
    energies = Run(logger.run_dir).scalars("K")
    first = int(energies.steps[~np.isfinite(energies.values)][0])
    assert 5 < first < 100
    assert Run(logger.run_dir).info["not_finite"] == {"T": first, "K": first}
    said = CliRunner().invoke(main, ["ls", str(logdir)]).output
    assert f"T at {first}, 1 more" in said

    simulation = molecules(openmm.VerletIntegrator(0.2))
    with (
        pytest.raises(
            FloatingPointError, match=rf"sample\('T'\).* at step {first}, time"
        ),
        Logger(logdir, "raise", time_unit="ps", on_nan="raise") as logger,
    ):
        simulation.reporters.append(hook.sample(logger, sources, every=5))
        simulation.step(100)
    assert simulation.currentStep == first
    assert Run(logger.run_dir).status == "failed"
    assert Run(logger.run_dir).scalars("K").steps[-1] == first  # it is written


def verlet() -> Any:
    """Return an integrator with a step of 2 fs."""
    return openmm.VerletIntegrator(0.002)


@pytest.mark.parametrize(
    "integrator",
    [verlet, lambda: openmm.LangevinMiddleIntegrator(100, 1, 0.002)],
    ids=["without computeSystemTemperature", "with"],
)
@pytest.mark.parametrize("mover", [True, False])
def test_a_simulation_is_that_without_samples(
    integrator: Any, mover: bool, logdir: Path
) -> None:
    """Positions and velocities are the same, bit for bit."""

    def computed(logger: Logger | None = None) -> bytes:
        made = integrator()
        if hasattr(made, "setRandomNumberSeed"):
            made.setRandomNumberSeed(3)
        simulation = molecules(made, mover)
        if logger is not None:
            sources = {name: name for name in hook.UNITS}
            simulation.reporters.append(hook.sample(logger, sources, every=7))
            forces = {"forces": lambda state: state.getForces(asNumpy=True)._value}
            simulation.reporters.append(hook.sample(logger, forces, every=5))
        simulation.step(33)
        simulation.step(8)
        state = simulation.context.getState(getPositions=True, getVelocities=True)
        arrays = state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True)
        return b"".join(np.asarray(array._value).tobytes() for array in arrays)

    with Logger(logdir, time_unit="ps") as logger:
        assert computed(logger) == computed()
    assert len(points(logger.run_dir, "forces")) == 8


@pytest.mark.parametrize(
    "integrator",
    [verlet, lambda: openmm.LangevinMiddleIntegrator(100, 1, 0.002)],
    ids=["without computeSystemTemperature", "with"],
)
@pytest.mark.parametrize("mover", [True, False])
def test_the_quantities_are_those_of_statedatareporter(
    integrator: Any, mover: bool, logdir: Path
) -> None:
    """Both reporters have the same numbers, in the units that the plots show."""
    simulation = molecules(integrator(), mover)
    names = hook.UNITS
    reported = io.StringIO()
    quantities = dict.fromkeys(names, True)
    theirs = app.StateDataReporter(reported, 5, step=True, time=True, **quantities)
    with Logger(logdir, time_unit="ps") as logger:
        simulation.reporters.append(theirs)
        simulation.reporters.append(hook.sample(logger, {n: n for n in names}, every=5))
        simulation.step(12)
        simulation.step(8)
    table = np.loadtxt(io.StringIO(reported.getvalue()), delimiter=",", comments="#")
    steps, ps, *columns = table.T
    assert steps.tolist() == [5, 10, 15, 20]
    for name, column in zip(names, columns, strict=True):
        found = scalars(logger.run_dir, name)
        assert [step for step, _ in found] == steps.tolist()
        assert [value for _, value in found] == pytest.approx(column, rel=1e-6), name
        assert descriptions(logger, name) == [f"in {hook.UNITS[name]}", "", "", ""]
    assert times(logger, "volume") == pytest.approx(ps, abs=1e-5)
    assert ps[-1] == pytest.approx(0.04)


def test_progress_is_told_in_ps(
    logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end is a time in ps, or with a unit; the bar ends where the context is."""
    simulation = molecules(openmm.VerletIntegrator(0.002))
    with Logger(logdir, "run", time_unit="ns") as logger:
        reporter = hook.sample(logger, {"V": "volume"}, 3, until=200 * unit.femtosecond)
        simulation.reporters.append(reporter)
        simulation.step(10)
        simulation.step(40)
    assert capsys.readouterr().err.startswith("50% 0.1000/0.2 ps [")
    with Logger(logdir, "late", time_unit="ps") as logger:
        simulation.reporters = [hook.sample(logger, {"V": "volume"}, until=0.05)]
        with pytest.raises(ValueError, match="after the current time, 0.1 ps, got 0.0"):
            simulation.step(10)


def test_callables_take_the_whole_state(logdir: Path) -> None:
    """Callables get positions, velocities and forces."""
    simulation = molecules(verlet())

    def speeds(state: Any) -> Any:
        velocities = state.getVelocities(asNumpy=True).value_in_unit(
            unit.nanometer / unit.picosecond
        )
        assert state.getForces() is not None
        assert state.getPositions() is not None
        return np.linalg.norm(velocities, axis=1)

    with Logger(logdir, time_unit="ps") as logger:
        sources = {"speeds": speeds, "x": lambda s: s.getTime()._value, "T": "volume"}
        simulation.reporters.append(hook.sample(logger, sources, every=2))
        simulation.step(4)
    assert [p.array[:, 2].sum() for p in points(logger.run_dir, "speeds")] == [54, 54]
    assert [value for _, value in scalars(logger.run_dir, "x")] == pytest.approx(
        [0.004, 0.008]
    )


@pytest.mark.parametrize(
    ("sources", "needs"),
    [
        ({"a": "volume", "b": "density"}, [False, False, False, False]),
        ({"a": "volume", "b": "temperature"}, [False, False, False, True]),
        ({"a": "volume", "b": lambda state: 1}, [True, True, True, True]),
    ],
)
def test_only_what_is_needed_is_fetched(
    logdir: Path, sources: dict, needs: list[bool]
) -> None:
    """Names need energies at most, and no copies of arrays from a GPU."""
    simulation = molecules(verlet())
    with Logger(logdir, time_unit="ps") as logger:
        reporter = hook.sample(logger, sources, every=10)
        simulation.step(3)
        assert reporter.describeNextReport(simulation) == (7, *needs, None)


def test_a_description_of_the_user_stays(logdir: Path) -> None:
    """The user's description remains; the hook adds a unit that it does not say."""
    with Logger(logdir, "run", time_unit="ps") as logger:
        logger.describe("T", "of all atoms, in K")
        logger.describe("V", "of the box")
        simulation = molecules(verlet())
        sources = {"T": "temperature", "V": "volume"}
        simulation.reporters.append(hook.sample(logger, sources, every=1))
        simulation.step(1)
    assert descriptions(logger, "T") == ["of all atoms, in K"]
    assert descriptions(logger, "V") == ["of the box\n\nin nm^3"]


def test_a_source_may_give_quantities(logdir: Path) -> None:
    """They are logged in their units, one number or many."""
    energies = []

    def kinetic(state: Any) -> Any:
        energies.append(state.getKineticEnergy())
        return energies[-1]

    with Logger(logdir, "run", time_unit="ps") as logger:
        simulation = molecules(verlet())
        sources = {
            "E": kinetic,
            "positions": lambda state: state.getPositions(),
            "forces": lambda state: state.getForces(asNumpy=True),
        }
        simulation.reporters.append(hook.sample(logger, sources, every=1))
        simulation.step(2)
    found = Run(logger.run_dir).scalars("E").values
    kj = unit.kilojoule_per_mole
    assert found.tolist() == [energy.value_in_unit(kj) for energy in energies]
    assert descriptions(logger, "E") == ["in kJ/mol", ""]
    assert descriptions(logger, "positions") == ["in nm", ""]
    assert descriptions(logger, "forces") == ["in kJ/(nm mol)", ""]
    _, histograms, *_ = Run(logger.run_dir).histograms("positions")
    assert histograms[0][:, 2].sum() == 27 * 2 * 3


def test_quantities_of_openmm_are_converted(logdir: Path) -> None:
    """As values, times, time steps and parameters, also where the run is resumed."""
    ps, fs = unit.picosecond, unit.femtosecond
    with Logger(logdir, "run", time_unit="ps", dt=2 * fs) as logger:
        logger.add_parameters({"dt": 2 * fs, "cutoff": 1.5 * unit.angstrom})
        logger.add_scalar("E", 2.0 * unit.kilojoule_per_mole, time=8 * fs)
        logger.add_scalar("E", 1.0 * unit.kilocalorie_per_mole, time=1 * ps)
        logger.add_scalar("r", [1.0] * unit.angstrom, time=0.5 * ps)
        logger.add_series("x", [1, 2] * unit.nanometer, times=[1, 2] * ps)
    with Logger(logdir, "run", mode="a", dt=2 * fs) as logger:
        logger.add_scalar("E", 1.0 * unit.kilocalorie_per_mole, time=2 * ps)
        logger.add_scalar("r", 1.0 * unit.nanometer, time=2 * ps)
        with pytest.raises(TypeError, match=r"value must be in kJ/mol, .*got 1 ps"):
            logger.add_scalar("E", 1 * ps)
        with pytest.raises(TypeError, match=r"time must be a time: in ps, .*got 1 nm"):
            logger.add_scalar("E", 1.0, time=1 * unit.nanometer)
    run = Run(logger.run_dir)
    steps, values, times_, _ = run.scalars("E")
    assert values.tolist() == pytest.approx([2.0, 4.184, 4.184])
    assert times_.tolist() == pytest.approx([0.008, 1.0, 2.0])
    assert steps.tolist() == [4, 500, 1000]
    assert run.scalars("r").values.tolist() == pytest.approx([1.0, 10.0])
    assert run.scalars("x").times.tolist() == [1, 2]
    assert run.params == {"dt [fs]": 2, "cutoff [angstrom]": 1.5}
    units = {"E": "kJ/mol", "r": "angstrom", "x": "nm"}
    assert run.info["units"] == units


def test_the_default_unit_is_warned_of(logger: Logger) -> None:
    """In ms, all ps are drawn in one place; the warning says what to write."""
    with pytest.warns(UserWarning, match=r'Logger\(time_unit="ps"\)') as caught:
        hook.sample(logger, {"a": "temperature"})
    assert [warning.filename for warning in caught] == [__file__]


def test_a_source_that_raises_reaches_the_user(logdir: Path) -> None:
    """Its error propagates out of step(), and earlier data remains."""
    simulation = molecules(verlet())
    left = iter([1.0, 2.0])
    with Logger(logdir, time_unit="ps") as logger:
        sources = {"a": lambda state: 1 / next(left, 0)}
        simulation.reporters.append(hook.sample(logger, sources, every=1))
        with pytest.raises(ZeroDivisionError):
            simulation.step(5)
    assert scalars(logger.run_dir, "a") == [(1, 1), (2, 0.5)]
    simulation.step(2)  # the Logger is closed, and the simulation continues


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"sources": {"a": "pressure"}},
            ValueError,
            "no quantity 'pressure'; use one of 'potential",
        ),
        ({"sources": {"a": lambda: 1}}, TypeError, "a callable that takes the State"),
        ({"every": 0.5}, ValueError, "every must be a whole number of steps"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    logdir: Path, arguments: dict, error: type[Exception], message: str
) -> None:
    """The error points at the user's line, and says what is allowed and was given."""
    with Logger(logdir, time_unit="ps") as logger:
        good = {"logger": logger, "sources": {"a": "volume"}}
        with pytest.raises(error, match=message):
            hook.sample(**{**good, **arguments})


def test_the_script_runs(tmp_path: Path) -> None:
    """The thermostat of the example brings the argon to the target temperature."""
    run = run_script("openmm_argon.py", tmp_path)
    assert run.scalars("Temperature").values[-20:].mean() == pytest.approx(94, abs=15)


def test_pictures_are_sampled(logdir: Path) -> None:
    """A callable takes the State, and its quantities have a unit."""
    simulation = molecules(verlet())
    with Logger(logdir, time_unit="ps") as logger:
        sources = {
            "Positions": matrix(
                lambda state: state.getPositions(asNumpy=True),
                vmin=0 * unit.angstrom,
                vmax=15 * unit.angstrom,
            ),
            "Epot": "potentialEnergy",
        }
        simulation.reporters.append(hook.sample(logger, sources, every=2))
        simulation.step(5)
    assert [p.step for p in points(logger.run_dir, "Positions")] == [2, 4]
    assert Run(logger.run_dir).info["units"]["Positions"] == "nm"
    assert len(scalars(logger.run_dir, "Epot")) == 2


def test_phases_show_all_of_what_counts_from_step_0(logdir: Path) -> None:
    """As for each of the stages of a protocol."""
    simulation = molecules(verlet())
    with Logger(logdir, "run", time_unit="ps") as logger:
        sources = {"Epot": "potentialEnergy"}
        simulation.reporters.append(hook.sample(logger, sources, every=5))
        for name in ("heat", "NVT", "NPT"):
            simulation.currentStep = 0
            simulation.context.setTime(0)
            with logger.phase(name):
                simulation.step(20)
    check_phases(logger.run_dir, "Epot", ("heat", "NVT", "NPT"), 4)
