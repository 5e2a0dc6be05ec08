"""The hook for ASE, with ASE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import points, scalars
from sampled import run_script, times

from annarchy_tb import Logger, Run
from annarchy_tb.hooks import ase as hook
from annarchy_tb.hooks import image, matrix

ase = pytest.importorskip("ase", reason="needs ase; make hooks runs it")

from ase import units  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.calculators.emt import EMT  # noqa: E402
from ase.md.langevin import Langevin  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402
from ase.optimize import BFGS  # noqa: E402


@pytest.fixture
def atoms() -> Any:
    """Return 8 atoms of copper, each slightly displaced."""
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    atoms.calc = EMT()
    return atoms


def test_dynamics_is_sampled_with_its_time(atoms: Any, logdir: Path) -> None:
    """Each sample has nsteps, the time in fs, and the current values of the atoms."""
    dyn = VelocityVerlet(atoms, 2.5 * units.fs)
    energies = []
    dyn.attach(lambda: energies.append(atoms.get_potential_energy()), 3)
    with Logger(logdir, time_unit="fs") as logger:
        sources = {"Epot": atoms.get_potential_energy, "v": atoms.get_velocities}
        hook.sample(logger, dyn, sources, every=3)
        dyn.run(7)
        dyn.run(5)
    found = scalars(logger.run_dir, "Epot")
    assert [step for step, _ in found] == [0, 3, 6, 9, 12]
    assert [value for _, value in found] == pytest.approx(energies)
    assert times(logger, "Epot") == [0, 7.5, 15, 22.5, 30]  # a fs is drawn as a second
    assert [p.array[:, 2].sum() for p in points(logger.run_dir, "v")] == [24] * 5


def test_the_drift_of_a_large_energy_is_read_back(logdir: Path) -> None:
    """108 atoms, NVE: some meV of -4.86e6 eV, as an all-electron code gives."""
    atoms = bulk("Cu", cubic=True) * (3, 3, 3)
    atoms.calc = EMT()
    atoms.set_velocities(np.random.default_rng(1).normal(0, 0.03, (108, 3)))
    dyn = VelocityVerlet(atoms, 5 * units.fs)
    energies: list[float] = []

    def total() -> float:
        energies.append(-4.86e6 + float(atoms.get_total_energy()))
        return energies[-1]

    with Logger(logdir, time_unit="fs") as logger:
        hook.sample(logger, dyn, {"E": total}, every=10)
        dyn.run(100)
    found = Run(logger.run_dir).scalars("E")
    assert found.values.tobytes() == np.array(energies).tobytes()
    assert found.times.tolist() == pytest.approx(np.arange(0, 501, 50).tolist())
    assert 0.001 < np.ptp(found.values) < 0.2
    drawn = {value for _, value in scalars(logger.run_dir, "E")}
    assert len(drawn) <= 2  # in single precision, a flat line or one step


def test_the_time_is_in_the_loggers_unit(atoms: Any, logdir: Path) -> None:
    """A Logger in ps draws a ps as a second."""
    dyn = VelocityVerlet(atoms, 5 * units.fs)
    with Logger(logdir, time_unit="ps") as logger:
        hook.sample(logger, dyn, {"Epot": atoms.get_potential_energy}, every=2)
        dyn.run(4)
    assert times(logger, "Epot") == [0, 0.01, 0.02]


def test_a_unit_that_draws_nothing_apart_is_warned_of(
    atoms: Any, logger: Logger
) -> None:
    """The warning is given once, at the user's line, and says what to write."""
    dyn = VelocityVerlet(atoms, 5 * units.fs)
    with pytest.warns(UserWarning, match=r'Logger\(time_unit="fs"\)') as caught:
        hook.sample(logger, dyn, {"Epot": atoms.get_potential_energy})
        dyn.run(2)
    [warning] = caught
    assert warning.filename == __file__


def test_an_optimizer_has_steps_only(atoms: Any, logger: Logger) -> None:
    """Its forces decrease, in real time; and it needs no unit of time."""
    optimizer = BFGS(atoms, logfile=None)

    def largest() -> float:
        return float(np.linalg.norm(atoms.get_forces(), axis=1).max())

    hook.sample(logger, optimizer, {"fmax": largest})
    optimizer.run(fmax=0.05)
    found = scalars(logger.run_dir, "fmax")
    assert [step for step, _ in found] == list(range(optimizer.nsteps + 1))
    assert found[0][1] > 0.5 > 0.05 > found[-1][1]
    assert all(0 <= time < 60 for time in times(logger, "fmax"))


@pytest.mark.parametrize("thermostat", [True, False])
def test_an_optimization_or_dynamics_is_that_without_samples(
    logdir: Path, thermostat: bool
) -> None:
    """Positions are the same, bit for bit."""

    def computed(logger: Logger | None = None) -> bytes:
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.rattle(0.1, seed=1)
        atoms.calc = EMT()
        dyn = BFGS(atoms, logfile=None)
        if thermostat:
            random = np.random.default_rng(2)
            settings = {"temperature_K": 300, "friction": 0.01 / units.fs}
            dyn = Langevin(atoms, 5 * units.fs, **settings, rng=random, fixcm=False)
        if logger is not None:
            sources = {"E": atoms.get_total_energy, "F": atoms.get_forces}
            hook.sample(logger, dyn, sources, every=3)
        dyn.run(steps=20)
        return bytes(atoms.get_positions().tobytes() + atoms.get_momenta().tobytes())

    with Logger(logdir, time_unit="fs") as logger:
        assert computed(logger) == computed()
    assert len(scalars(logger.run_dir, "E")) > 3


def test_progress_is_told_in_fs(
    atoms: Any, logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end is a time in fs, or a step of an optimizer, which has no time."""
    dyn = VelocityVerlet(atoms, 2.5 * units.fs)
    dyn.run(2)
    with Logger(logdir, "md", time_unit="ps") as logger:
        with pytest.raises(ValueError, match="after the current time, 5 fs, got 5"):
            hook.sample(logger, dyn, {"a": lambda: 1}, until=5)
        hook.sample(logger, dyn, {"a": lambda: 1}, every=3, until=25)
        dyn.run(4)
    assert capsys.readouterr().err.startswith("50% 15.00/25 fs [")
    steps = BFGS(atoms, logfile=None)
    with Logger(logdir, "opt") as logger:
        hook.sample(logger, steps, {"a": lambda: 1}, until=4)
        steps.run(fmax=0.0, steps=8)
    assert capsys.readouterr().err.startswith("100% 4/4 steps [")


def test_a_source_that_raises_reaches_the_user(atoms: Any, logdir: Path) -> None:
    """Its error propagates out of run(), and earlier data remains."""
    dyn = VelocityVerlet(atoms, units.fs)
    with Logger(logdir, time_unit="fs") as logger:
        hook.sample(logger, dyn, {"a": lambda: 1 / (2 - dyn.nsteps)})
        with pytest.raises(ZeroDivisionError):
            dyn.run(5)
    assert scalars(logger.run_dir, "a") == [(0, 0.5), (1, 1)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dyn": 1}, TypeError, "dyn must be a dynamics or an optimizer"),
        ({"sources": {"E": -3.0}}, TypeError, r"sample\('E'\).*got -3.0"),
        ({"every": 2.5}, ValueError, "every must be a whole number of steps"),
        ({"every": 0}, ValueError, "every must be a whole number of steps"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    atoms: Any, logger: Logger, arguments: dict, error: type[Exception], message: str
) -> None:
    """The error points at the user's line, and says what is allowed and was given."""
    good = {"logger": logger, "dyn": BFGS(atoms), "sources": {"a": lambda: 1}}
    with pytest.raises(error, match=message):
        hook.sample(**{**good, **arguments})


def test_the_script_runs(tmp_path: Path) -> None:
    """The thermostat of the example holds its temperature."""
    run = run_script("ase_melting.py", tmp_path)
    assert len(run.scalars("Temperature (K)").steps) > 50


def test_pictures_are_sampled(atoms: Any, logdir: Path) -> None:
    """Distances as a matrix, and velocities as an image with a fixed range."""
    dyn = VelocityVerlet(atoms, 2.5 * units.fs)
    with Logger(logdir, time_unit="fs") as logger:
        sources = {
            "Distances": matrix(atoms.get_all_distances, vmin=0, cmap="viridis"),
            "Velocities": image(lambda: abs(atoms.get_velocities()), vmin=0, vmax=0.1),
            "Epot": atoms.get_potential_energy,
        }
        hook.sample(logger, dyn, sources, every=3)
        dyn.run(7)
    found = points(logger.run_dir, "Velocities")
    assert [point.step for point in found] == [0, 3, 6]
    assert (found[0].pixels == 0).all()
    wanted = abs(atoms.get_velocities())
    assert found[2].pixels.shape == wanted.shape
    assert found[1].pixels.max() > 0
    assert [p.step for p in points(logger.run_dir, "Distances")] == [0, 3, 6]
    assert times(logger, "Distances") == [0, 7.5, 15]


def test_phases_show_a_relaxation_and_the_dynamics_after_it(
    atoms: Any, logdir: Path
) -> None:
    """Both count from step 0; the relaxation has no time."""
    with Logger(logdir, "run", time_unit="fs") as logger:
        sources = {"Epot": atoms.get_potential_energy}
        relaxation = BFGS(atoms, logfile=None)
        dynamics = VelocityVerlet(atoms, 2.5 * units.fs)
        again = VelocityVerlet(atoms, 2.5 * units.fs)
        for name, dyn in (("relax", relaxation), ("heat", dynamics), ("NVE", again)):
            hook.sample(logger, dyn, sources)
            with logger.phase(name):
                dyn.run(steps=5) if dyn is not relaxation else dyn.run(1e-9, 5)
    shown = [step for step, _ in scalars(logger.run_dir, "Epot")]
    assert shown == list(range(18))
    found = Run(logger.run_dir).scalars("Epot")
    for name in ("relax", "heat", "NVE"):
        assert found.phase(name).steps.tolist() == [0, 1, 2, 3, 4, 5]
    time = found.phase("NVE").times
    assert time.tolist() == pytest.approx([0.0, 2.5, 5.0, 7.5, 10.0, 12.5])
    assert found.times[12:].tolist() == pytest.approx(time + 12.5)
