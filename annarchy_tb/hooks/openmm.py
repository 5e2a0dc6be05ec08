"""OpenMM: samples taken by a reporter, like a StateDataReporter.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import openmm as hook

    with Logger(time_unit="ps") as logger:
        sources = {"Temperature": "temperature", "Potential": "potentialEnergy"}
        simulation.reporters.append(hook.sample(logger, sources, every=100))
        simulation.step(10_000)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

from annarchy_tb.hooks.pictures import unwrapped
from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    checked,
    function,
    whole,
)
from annarchy_tb.hooks.until import Progress
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import where
from annarchy_tb.inputs.units import Measured
from annarchy_tb.logger import Logger

UNITS = {
    "potentialEnergy": "kJ/mol",
    "kineticEnergy": "kJ/mol",
    "totalEnergy": "kJ/mol",
    "temperature": "K",
    "volume": "nm^3",
    "density": "g/mL",
}


def sample(
    logger: Logger,
    sources: Mapping[str, Any],
    every: SupportsIndex = 100,
    *,
    until: Any = None,
    show: str | Sequence[str] = (),
) -> Reporter:
    """Return a reporter that logs while OpenMM simulates.

    Parameters
    ----------
    logger : Logger
        Preferably with ``time_unit="ps"``. Sampling ends when it is closed.
    sources : dict
        The source of each sample, by its tag: a quantity of StateDataReporter,
        "potentialEnergy", "kineticEnergy", "totalEnergy" (kJ/mol), "temperature" (K),
        "volume" (nm^3) or "density" (g/mL). The unit is shown above its plot, except in
        TIME SERIES.

        Or a callable that takes the ``openmm.State``, with positions, velocities,
        forces and energies, and returns numbers or quantities. `annarchy_tb.hooks` says
        how its values are logged.
    every : int, default 100
        The number of steps between two samples.
    until : float or Quantity, optional
        The time in ps at which the simulation will end, for a progress bar: tqdm's on a
        terminal and in notebooks, elsewhere a line of text at most once a minute. If it
        is not after the current time, the first ``simulation.step()`` raises
        ValueError.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Returns
    -------
    Reporter
        The reporter, to append to ``simulation.reporters``.

    Notes
    -----
    Samples are taken when ``simulation.currentStep`` is a multiple of `every`, as by
    OpenMM's own reporters; that is their step, and their time is that of the State.

    OpenMM fetches positions, velocities and forces only if there are callables.

    Exceptions raised by a source propagate out of ``simulation.step()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    return Reporter(logger, sources, every, until=until, show=show)


class Reporter:
    """A reporter that OpenMM calls for each sample; see `sample`."""

    def __init__(
        self,
        logger: Logger,
        sources: Mapping[str, Any],
        every: SupportsIndex = 100,
        *,
        until: Any = None,
        show: str | Sequence[str] = (),
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
        self._bar = Progress.made(logger, until, show, "ps")
        self._sampler = Sampler(logger, reads, "ps", progress=self._bar)
        plain = unwrapped(sources).values()
        names = {source for source in plain if isinstance(source, str)}
        self._needs_all = not all(isinstance(it, str) for it in plain)
        self._needs_energy = self._needs_all or not names <= {"volume", "density"}

    def describeNextReport(  # noqa: N802 -- OpenMM's name
        self, simulation: Any
    ) -> tuple[int, bool, bool, bool, bool, None]:
        """Return the steps until the next sample, and the data it needs.

        They are a tuple, which all versions of OpenMM accept; the dict of later
        versions has the same content.
        """
        if self._bar is not None:
            self._bar.begin(lambda: _time(simulation.context.getState()))
        steps = self._every - simulation.currentStep % self._every
        needs = self._needs_all
        return steps, needs, needs, needs, self._needs_energy, None

    def report(self, simulation: Any, state: Any) -> None:
        """Take a sample."""
        if self._simulation is not simulation:
            self._system = _System(simulation)
        self._simulation, self._state = simulation, state
        self._sampler(simulation.currentStep, _time(state))
        self._state = None  # it may be large

    def _read(self, tag: str, source: Any) -> Read | None:
        if not isinstance(source, str):
            if function(source, None) is None:
                return None
            return lambda: source(self._state)
        if source not in UNITS:
            raise ValueError(
                f"{where(METHOD, tag)}: there is no quantity {source!r}; use one of "
                f"{', '.join(map(repr, UNITS))}, or a callable that takes the "
                f"State"
            )
        return lambda: Measured(
            getattr(self._system, source)(self._state), UNITS[source]
        )


def _time(state: Any) -> float:
    """Return the time of a State in ps."""
    with importing:
        from openmm import unit

    time: float = state.getTime().value_in_unit(unit.picosecond)
    return time


class _System:
    """The quantities of a simulation, in the units of `UNITS`."""

    def __init__(self, simulation: Any) -> None:
        with importing:
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
        # More accurate, for integrators with constraints or Drude particles.
        if hasattr(self._integrator, "computeSystemTemperature"):
            found = self._integrator.computeSystemTemperature()
            return found.value_in_unit(self._unit.kelvin)
        return self.kineticEnergy(state) / self._per_kelvin

    def volume(self, state: Any) -> Any:
        return state.getPeriodicBoxVolume().value_in_unit(self._unit.nanometer**3)

    def density(self, state: Any) -> Any:
        volume = state.getPeriodicBoxVolume().value_in_unit(self._unit.milliliter)
        return self._mass / volume
