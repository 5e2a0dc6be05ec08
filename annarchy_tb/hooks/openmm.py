"""OpenMM: samples by a reporter, which stands beside StateDataReporter.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import openmm as hook

    with Logger(time_unit="ps") as logger:
        sources = {"Temperature": "temperature", "Potential": "potentialEnergy"}
        simulation.reporters.append(hook.sample(logger, sources, every=100))
        simulation.step(10_000)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    checked,
    function,
    whole,
)
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.kinds.text import say_unit
from annarchy_tb.logger import Logger

UNITS = {
    "potentialEnergy": "kJ/mol",
    "kineticEnergy": "kJ/mol",
    "totalEnergy": "kJ/mol",
    "temperature": "K",
    "volume": "nm^3",
    "density": "g/mL",
}


def sample(logger: Logger, sources: Mapping[str, Any], every: int = 100) -> Reporter:
    """Return a reporter that logs while OpenMM simulates.

    Parameters
    ----------
    logger : Logger
        Best of ``time_unit="ps"``. Once it is closed, the sampling ends.
    sources : dict
        By its tag, a quantity that StateDataReporter knows: "potentialEnergy",
        "kineticEnergy", "totalEnergy" (kJ/mol), "temperature" (K), "volume" (nm^3),
        "density" (g/mL). The unit stands at the head of its plot.

        Or a callable that takes the ``openmm.State``, with positions, velocities,
        forces and energies, and gives plain numbers: one is a scalar, a dict of them
        several curves on one plot, a matplotlib Figure an image (it is closed), and
        anything with several values a histogram. What it gives first decides.
    every : int, default 100
        Steps between two samples.

    Returns
    -------
    Reporter
        For ``simulation.reporters``.

    Notes
    -----
    Samples are taken where ``simulation.currentStep`` is a multiple of `every`, as
    OpenMM's own reporters do; that is their step, and their time is the State's.

    Only a callable makes OpenMM fetch positions, velocities and forces.

    What a source raises comes out of ``simulation.step()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the error says which.
    """
    return Reporter(logger, sources, every)


class Reporter:
    """What OpenMM asks when it wants to report next, and calls then; see `sample`."""

    def __init__(
        self, logger: Logger, sources: Mapping[str, Any], every: int = 100
    ) -> None:
        self._simulation: Any = None
        self._state: Any = None
        reads = checked(
            logger,
            sources,
            self._read,
            'a name such as "potentialEnergy", or a callable that takes the State',
        )
        self._every = whole(every, "steps")
        self._sampler = Sampler(logger, reads, "ps")
        names = {tag: it for tag, it in sources.items() if isinstance(it, str)}
        self._needs_all = len(names) < len(sources)
        self._needs_energy = self._needs_all or not (
            set(names.values()) <= {"volume", "density"}
        )
        for tag, name in names.items():
            say_unit(logger, METHOD, tag, UNITS[name])

    def describeNextReport(  # noqa: N802 -- OpenMM's name
        self, simulation: Any
    ) -> tuple[int, bool, bool, bool, bool, None]:
        """Return the steps until the next sample, and what it needs.

        As a tuple, which OpenMM takes in all versions; the dict of its later ones says
        the same.
        """
        steps = self._every - simulation.currentStep % self._every
        needs = self._needs_all
        return steps, needs, needs, needs, self._needs_energy, None

    def report(self, simulation: Any, state: Any) -> None:
        """Take a sample."""
        from openmm import unit

        if self._simulation is not simulation:
            self._system = _System(simulation)
        self._simulation, self._state = simulation, state
        time = state.getTime().value_in_unit(unit.picosecond)
        self._sampler(simulation.currentStep, time)
        self._state = None  # it may be large

    def _read(self, tag: str, source: Any) -> Read | None:
        if not isinstance(source, str):
            if function(source, None) is None:
                return None
            return lambda: self._plain(tag, source(self._state))
        if source not in UNITS:
            raise ValueError(
                f"{where(METHOD, tag)}: there is no {source!r}; there is "
                f"{', '.join(map(repr, UNITS))}, or give a callable that takes the "
                f"State"
            )
        return lambda: getattr(self._system, source)(self._state)

    @staticmethod
    def _plain(tag: str, value: Any) -> object:
        if hasattr(value, "value_in_unit"):
            raise TypeError(
                f"{where(METHOD, tag)}: the source must give plain numbers, got "
                f"{describe(value)}; take its .value_in_unit(...)"
            )
        return value


class _System:
    """What the quantities are computed from, in the units that `UNITS` says."""

    def __init__(self, simulation: Any) -> None:
        from openmm import CMMotionRemover, unit

        system = simulation.system
        masses = [
            system.getParticleMass(i).value_in_unit(unit.dalton)
            for i in range(system.getNumParticles())
        ]
        pairs = [
            system.getConstraintParameters(i)[:2]
            for i in range(system.getNumConstraints())
        ]
        forces = [system.getForce(i) for i in range(system.getNumForces())]
        freedom = 3 * sum(mass > 0 for mass in masses)
        freedom -= sum(masses[one] > 0 or masses[other] > 0 for one, other in pairs)
        freedom -= 3 * any(isinstance(force, CMMotionRemover) for force in forces)
        gas = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(
            unit.kilojoule_per_mole / unit.kelvin
        )
        self._unit = unit
        self._per_kelvin = freedom * gas / 2
        self._mass = (sum(masses) * unit.dalton).value_in_unit(unit.gram / unit.item)
        self._integrator = simulation.context.getIntegrator()

    def potentialEnergy(self, state: Any) -> Any:  # noqa: N802
        return state.getPotentialEnergy().value_in_unit(self._unit.kilojoule_per_mole)

    def kineticEnergy(self, state: Any) -> Any:  # noqa: N802
        return state.getKineticEnergy().value_in_unit(self._unit.kilojoule_per_mole)

    def totalEnergy(self, state: Any) -> Any:  # noqa: N802
        return self.potentialEnergy(state) + self.kineticEnergy(state)

    def temperature(self, state: Any) -> Any:
        # An integrator with constraints or Drude particles knows it better.
        if hasattr(self._integrator, "computeSystemTemperature"):
            found = self._integrator.computeSystemTemperature()
            return found.value_in_unit(self._unit.kelvin)
        return self.kineticEnergy(state) / self._per_kelvin

    def volume(self, state: Any) -> Any:
        return state.getPeriodicBoxVolume().value_in_unit(self._unit.nanometer**3)

    def density(self, state: Any) -> Any:
        volume = state.getPeriodicBoxVolume().value_in_unit(self._unit.milliliter)
        return self._mass / volume
