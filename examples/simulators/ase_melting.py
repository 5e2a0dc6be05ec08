"""A cluster of gold atoms is heated until it melts, below the melting point of gold.

55 atoms form an icosahedron, with most of them at the surface, where they are weakly
bound: such a small cluster melts hundreds of kelvins below the 1337 K of bulk gold. A
thermostat heats it from 200 K to 1400 K within 6 ps. (This is fast, and the forces are
simple: the example shows the process of melting, but not the right temperature.)

    pip install ase
    python ase_melting.py
    tensorboard --logdir runs

What to look at: SCALARS, where *Temperature (K)* follows the thermostat, and
*Lindemann* shows how much the distances between the atoms fluctuate: the closer to 0.1,
the closer to a liquid. HISTOGRAMS show the distances themselves: the shells of the
icosahedron blur. A ps is drawn as a second.
"""

from __future__ import annotations

import argparse

import numpy as np
from ase import units
from ase.calculators.emt import EMT
from ase.cluster import Icosahedron
from ase.md.langevin import Langevin
from ase.optimize import BFGS

from annarchy_tb import Logger
from annarchy_tb.hooks import ase as hook

COLD, HOT = 200.0, 1400.0  # K
STEP = 6.0  # fs


class Lindemann:
    """The fluctuation of the distances between atoms, slowly forgetting the past."""

    def __init__(self, atoms: object) -> None:
        """Start from the current distances."""
        self.atoms = atoms
        self.mean = self.distances()
        self.square = self.mean**2

    def distances(self) -> np.ndarray:
        """Return the distances of all pairs in angstrom."""
        all_pairs = self.atoms.get_all_distances()
        return all_pairs[np.triu_indices(len(all_pairs), 1)]

    def __call__(self) -> float:
        """Return the fluctuation relative to the distance, averaged over all pairs."""
        now = self.distances()
        self.mean += 0.1 * (now - self.mean)
        self.square += 0.1 * (now**2 - self.square)
        variance = np.maximum(self.square - self.mean**2, 0)
        return float(np.mean(np.sqrt(variance) / self.mean))


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)

    atoms = Icosahedron("Au", 3)
    atoms.calc = EMT()
    with Logger(arguments.logdir, time_unit="ps") as logger:
        logger.add_parameters({"atoms": len(atoms), "seed": arguments.seed})

        relax = BFGS(atoms, logfile=None)
        start = {"Relaxation/energy (eV)": atoms.get_potential_energy}
        hook.sample(logger, relax, start)
        relax.run(fmax=0.05)

        dyn = Langevin(
            atoms,
            STEP * units.fs,
            temperature_K=COLD,
            friction=0.01 / units.fs,
            fixcm=False,
            rng=rng,
        )

        def heat() -> float:
            """Set the thermostat according to the time, and return its temperature."""
            wanted = COLD + (HOT - COLD) * dyn.nsteps / arguments.steps
            dyn.set_temperature(temperature_K=wanted)
            return wanted

        lindemann = Lindemann(atoms)
        sources = {
            "Thermostat (K)": heat,
            "Temperature (K)": atoms.get_temperature,
            "Potential energy (eV)": atoms.get_potential_energy,
            "Lindemann": lindemann,
        }
        hook.sample(logger, dyn, sources, every=10)
        hook.sample(logger, dyn, {"Distances": lindemann.distances}, every=200)
        dyn.run(arguments.steps)

    print(f"Logged to {logger.run_dir}")
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
