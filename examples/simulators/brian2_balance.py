"""A network of spiking neurons between silence and a storm.

800 excitatory and 200 inhibitory neurons are connected at random. With excitation
alone, all of them would fire at once; balanced by inhibition, the activity is irregular
and asynchronous, as in the cortex. In the third of four phases, half of the inhibition
is removed. (N. Brunel, "Dynamics of sparsely connected networks of excitatory and
inhibitory spiking neurons", Journal of Computational Neuroscience 8, 2000.)

    pip install brian2      # with Python 3.11: pip install brian2 'numpy<2.4'
    python brian2_balance.py
    tensorboard --logdir runs

What to look at: SCALARS, where *Rate* has the curves of both populations over simulated
time (the RELATIVE axis): the storm of the third phase, and its end. HISTOGRAMS, where
*Potential* is below the threshold of 20 mV, and the *Coefficient of variation* is shown
for each phase: near 1, the spikes are as irregular as random ones.
"""

from __future__ import annotations

import argparse

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    prefs,
    seed,
)

from annarchy_tb import Logger
from annarchy_tb.hooks import brian2 as hook

EXCITATORY, INHIBITORY = 800, 200
WEIGHT = 0.25 * mV
PHASE = 250 * ms
INHIBITION = (5.0, 5.0, 2.5, 5.0)  # in each phase, relative to WEIGHT


class Rates:
    """The rates of both populations since the last call."""

    def __init__(self, spikes: SpikeMonitor) -> None:
        """Start counting."""
        self.spikes = spikes
        self.counted = np.zeros(EXCITATORY + INHIBITORY)
        self.then = 0.0

    def __call__(self) -> dict[str, float]:
        """Return the rates in Hz by their names."""
        counted = np.array(self.spikes.count, float)
        now = float(defaultclock.t[:])
        seconds = max(now - self.then, 1e-9)
        new = (counted - self.counted) / seconds
        self.counted, self.then = counted, now
        parts = np.split(new, [EXCITATORY])
        return dict(zip(("excitatory", "inhibitory"), map(np.mean, parts), strict=True))


def variation(spikes: SpikeMonitor, since: float) -> list[float]:
    """Return the irregularity of each neuron's spikes: 0 regular, 1 random."""
    found = []
    for train in spikes.spike_trains().values():
        times = np.asarray(train)
        gaps = np.diff(times[times >= since])
        if len(gaps) > 2:
            found.append(float(gaps.std() / gaps.mean()))
    return found


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    prefs.codegen.target = "numpy"  # no compilation
    seed(arguments.seed)

    neurons = NeuronGroup(
        EXCITATORY + INHIBITORY,
        "dv/dt = -v / (20*ms) : volt (unless refractory)",
        threshold="v > 20*mV",
        reset="v = 10*mV",
        refractory=2 * ms,
        method="exact",
    )
    neurons.v = "rand() * 20*mV"
    excitation = Synapses(neurons, neurons, on_pre="v_post += WEIGHT", delay=1.5 * ms)
    excitation.connect("i < EXCITATORY", p=0.1)
    inhibition = Synapses(
        neurons, neurons, "g : 1 (shared)", on_pre="v_post -= g*WEIGHT", delay=1.5 * ms
    )
    inhibition.connect("i >= EXCITATORY", p=0.1)
    outside = PoissonInput(neurons, "v", 80, 55 * Hz, WEIGHT)
    spikes = SpikeMonitor(neurons)

    with Logger(arguments.logdir) as logger:
        logger.add_parameters({"weight (mV)": WEIGHT / mV, "seed": arguments.seed})
        logger.describe("Rate", "in Hz, over the last 5 ms")
        sources = {"Rate": Rates(spikes), "Inhibition": lambda: inhibition.g[:]}
        often = hook.sample(logger, sources, every=5 * ms)
        rarely = hook.sample(logger, {"Potential": (neurons.v, mV)}, every=50 * ms)
        network = Network(neurons, excitation, inhibition, outside, spikes)
        network.add(often, rarely)
        for phase, strength in enumerate(INHIBITION):
            inhibition.g = strength
            network.run(PHASE)
            irregular = variation(spikes, phase * float(PHASE))
            logger.add_histogram("Coefficient of variation", irregular, phase)

    print(f"Logged to {logger.run_dir}")
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
