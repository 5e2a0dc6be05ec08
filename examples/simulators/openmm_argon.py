"""Liquid argon, the first liquid ever simulated with realistic forces.

125 atoms attract each other weakly and can't overlap (Lennard-Jones), in a box with
periodic boundaries. They start at rest on a cubic grid, which is unstable for argon: it
collapses, and a thermostat keeps the liquid at 94 K. (A. Rahman, "Correlations
in the motion of atoms in liquid argon", Physical Review 136, 1964: 864 atoms, and the
same density.)

    pip install openmm
    python openmm_argon.py
    tensorboard --logdir runs

What to look at: SCALARS, where the *Potential energy* falls as the grid collapses and
*Temperature* approaches 94 K, over ps of simulated time on the RELATIVE axis (a ps is
drawn as a second); HISTOGRAMS, where *Speed* has the bell shape of the Maxwell
distribution, and *Pairs* shows the distances between atoms: none below 0.3 nm, followed
by successive shells of neighbours.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import openmm
from openmm import app, unit

from annarchy_tb import Logger
from annarchy_tb.hooks import openmm as hook

SIDE = 5  # atoms along an edge of the box
BOX = 1.81  # nm, for 1.374 g/mL
TEMPERATURE = 94.0  # K
STEP = 0.005  # ps


def argon(seed: int) -> app.Simulation:
    """Return the simulation, with its atoms on a grid."""
    system, topology = openmm.System(), app.Topology()
    chain = topology.addChain()
    forces = openmm.NonbondedForce()
    forces.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    forces.setCutoffDistance(0.85)
    for _ in range(SIDE**3):
        system.addParticle(39.948)
        forces.addParticle(0.0, 0.34, 0.996)  # charge, nm, kJ/mol
        topology.addAtom(
            "Ar", app.Element.getBySymbol("Ar"), topology.addResidue("Ar", chain)
        )
    system.addForce(forces)
    system.setDefaultPeriodicBoxVectors(*(BOX * np.eye(3)))
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1.0, STEP)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("CPU")
    simulation = app.Simulation(topology, system, integrator, platform)
    grid = np.array(list(itertools.product(range(SIDE), repeat=3)))
    simulation.context.setPositions(grid * BOX / SIDE)
    return simulation


def speeds(state: openmm.State) -> np.ndarray:
    """Return the speeds of all atoms in m/s, shape (N,)."""
    velocities = state.getVelocities(asNumpy=True)
    return np.linalg.norm(velocities.value_in_unit(unit.meter / unit.second), axis=1)


def distances(state: openmm.State) -> np.ndarray:
    """Return the distances of all pairs, up to half the box, in nm."""
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    one, other = np.triu_indices(len(positions), 1)
    apart = positions[one] - positions[other]
    apart -= BOX * np.rint(apart / BOX)
    found = np.linalg.norm(apart, axis=1)
    return found[found < BOX / 2]


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    simulation = argon(arguments.seed)
    with Logger(arguments.logdir, time_unit="ps") as logger:
        logger.add_parameters({"temperature": TEMPERATURE, "seed": arguments.seed})
        logger.describe("Speed", "in m/s")
        logger.describe("Pairs", "distances between atoms, in nm")
        energies = {
            "Temperature": "temperature",
            "Potential energy": "potentialEnergy",
            "Total energy": "totalEnergy",
        }
        pictures = {"Speed": speeds, "Pairs": distances}
        simulation.reporters.append(hook.sample(logger, energies, every=20))
        simulation.reporters.append(hook.sample(logger, pictures, every=200))
        simulation.step(arguments.steps)

    print(f"Logged to {logger.run_dir}")
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
