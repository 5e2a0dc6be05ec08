"""Synaptic competition: the timing of spikes decides which synapses survive.

Ten neurons receive 300 inputs that fire at random. A synapse grows if its input fires
just before the neuron, and shrinks if it fires just after. Although no synapse is
favoured, most end up at one of the two bounds, and the rate of the neurons becomes
stable. (S. Song, K. D. Miller and L. F. Abbott, "Competitive Hebbian learning through
spike-timing-dependent synaptic plasticity", Nature Neuroscience 3, 2000.)

It needs ``pip install ANNarchy`` in an activated virtual environment, g++ and cmake:
the network is compiled, into ./annarchy.

    python annarchy_stdp.py
    python annarchy_stdp.py --networks 4     # in parallel, with other input rates
    tensorboard --logdir runs

What to look at: HISTOGRAMS, where *Weights* start as one block and split in two;
SCALARS, where *Rate (Hz)* becomes stable, and *Strong* shows how many synapses have
won, over a minute of simulated time. With several networks: the weaker the inputs, the
more of their synapses win.
"""

from __future__ import annotations

import argparse

import ANNarchy as ann  # noqa: N813
import numpy as np

from annarchy_tb import Logger
from annarchy_tb.hooks import annarchy

INPUTS, NEURONS = 300, 10
STRONGEST = 0.05  # the largest weight, relative to the leak conductance

INTEGRATE_AND_FIRE = ann.Neuron(
    parameters={"tau": 20.0, "tau_exc": 5.0, "rest": -74.0, "threshold": -54.0},
    equations=[
        "tau_exc * dg_exc/dt = -g_exc",
        ann.Variable("tau * dv/dt = rest - v - g_exc * v", init=-74.0),
    ],
    spike="v > threshold",
    reset="v = -60.0",
)

# before and after remember the last spikes of the input and of the neuron.
COMPETING = ann.Synapse(
    parameters={"tau": 20.0, "up": 0.02, "down": 0.021, "strongest": STRONGEST},
    equations=[
        ann.Variable("tau * dbefore/dt = -before", method="event-driven"),
        ann.Variable("tau * dafter/dt = -after", method="event-driven"),
    ],
    pre_spike=[
        "g_target += w",
        "before += up * strongest",
        "w = clip(w - after, 0.0, strongest)",
    ],
    post_spike=[
        "after += down * strongest",
        "w = clip(w + before, 0.0, strongest)",
    ],
)


class Listeners(ann.Network):
    """The network, with the rate of its inputs in Hz."""

    def __init__(self, rate: float = 10.0) -> None:
        """Create and connect it."""
        self.inputs = self.create(ann.PoissonPopulation(INPUTS, rates=rate))
        self.neurons = self.create(NEURONS, INTEGRATE_AND_FIRE)
        self.neurons.compute_firing_rate(500.0)
        self.weights = self.connect(self.inputs, self.neurons, "exc", COMPETING)
        self.weights.all_to_all(ann.Uniform(0.0, STRONGEST, self.default_rng))
        self.rate = rate


def simulate(net: Listeners, logdir: str, experiment: str | None, seconds: int) -> str:
    """Simulate one network, and return the directory of its run."""
    with Logger(logdir, experiment, dt=net.dt) as logger:
        logger.add_parameters({"rate of the inputs (Hz)": net.rate})
        logger.describe("Strong", "synapses above nine tenths of the largest weight")
        sources = {
            "Rate (Hz)": lambda: net.neurons.r.mean(),
            "Mean weight": lambda: np.mean(net.weights.w),
            "Strong": lambda: int(np.sum(np.array(net.weights.w) > 0.9 * STRONGEST)),
        }
        annarchy.sample(logger, net, sources, every=100.0)
        annarchy.sample(logger, net, {"Weights": (net.weights, "w")}, every=2000.0)
        for _ in range(seconds):
            net.simulate(1000.0)
        logger.add_metrics({"Final/mean weight": np.mean(net.weights.w)})
    return str(logger.run_dir)


def main() -> None:
    """Run the simulation, or several in parallel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="simulated time")
    parser.add_argument("--networks", type=int, default=1)
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    net = Listeners(dt=1.0, seed=arguments.seed)
    net.compile()
    if arguments.networks == 1:
        paths = [simulate(net, arguments.logdir, None, arguments.seconds)]
    else:
        paths = net.parallel_run(
            simulate,
            number=arguments.networks,
            rate=np.linspace(10.0, 40.0, arguments.networks).tolist(),
            logdir=arguments.logdir,
            experiment=annarchy.experiments(arguments.networks, arguments.logdir),
            seconds=arguments.seconds,
        )

    for path in paths:
        print(f"Logged to {path}")
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
