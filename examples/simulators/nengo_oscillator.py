"""An oscillator made of neurons, and its decline as they die.

200 spiking neurons represent a point in the plane. After a kick away from the origin,
their recurrent connections turn it around the origin, twice a second. After three
seconds, a tenth of them is switched off every half second: the circle becomes crooked,
then a short wobble, and then all movement stops. (C. Eliasmith and C. H. Anderson,
"Neural Engineering", MIT Press, 2003.)

    pip install nengo
    python nengo_oscillator.py
    tensorboard --logdir runs

What to look at: SCALARS, where *Position* has the two coordinates as curves 0 and 1,
and *Radius* shrinks with *Alive*; *Recorded/0* is the first coordinate again, logged at
the end from a Probe. HISTOGRAMS show the share of silent neurons in *Rates*.
"""

from __future__ import annotations

import argparse

import nengo
import numpy as np

from annarchy_tb import Logger
from annarchy_tb.hooks import nengo as hook

NEURONS = 200
FREQUENCY = 2.0  # Hz
TAU = 0.1  # s, of the recurrent synapses
DYING = 3.0  # s, when the first neurons die


class Health:
    """An input that switches off a tenth of the neurons every half second."""

    def __init__(self) -> None:
        """Start with all neurons alive."""
        self.alive = NEURONS

    def __call__(self, t: float) -> np.ndarray:
        """Return the current that keeps dead neurons silent, shape (NEURONS,)."""
        tenths = max(0, int((t - DYING) / 0.5) + 1) if t > DYING else 0
        self.alive = max(0, NEURONS - tenths * NEURONS // 10)
        return np.where(np.arange(NEURONS) < self.alive, 0.0, -100.0)


def oscillator(health: Health, seed: int) -> nengo.Network:
    """Return the model."""
    turn = 2 * np.pi * FREQUENCY * TAU
    with nengo.Network(seed=seed) as model:
        model.state = nengo.Ensemble(NEURONS, dimensions=2)
        nengo.Connection(
            model.state,
            model.state,
            transform=[[1.1, -turn], [turn, 1.1]],
            synapse=TAU,
        )
        kick = nengo.Node(lambda t: [3.0, 0.0] if t < 0.1 else [0.0, 0.0])
        nengo.Connection(kick, model.state)
        death = nengo.Node(health)
        nengo.Connection(death, model.state.neurons, synapse=None)
        model.probe = nengo.Probe(model.state, synapse=0.03)
    return model


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=float, default=8.0, help="s")
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    health = Health()
    model = oscillator(health, arguments.seed)
    with Logger(arguments.logdir) as logger:
        logger.add_parameters({"neurons": NEURONS, "seed": arguments.seed})
        latest = np.zeros(2)
        rates = np.zeros(NEURONS)
        with model:
            # Sampled signals can also be processed: a callable reads the Node.
            keep = nengo.Node(lambda t, x: np.copyto(latest, x), size_in=2)
            nengo.Connection(model.state, keep, synapse=0.03)
            count = nengo.Node(lambda t, x: np.copyto(rates, x), size_in=NEURONS)
            nengo.Connection(model.state.neurons, count, synapse=0.1)
            hook.sample(logger, {"Position": model.state}, every=0.01, synapse=0.03)
            sources = {
                "Radius": lambda: np.hypot(*latest),
                "Alive": lambda: health.alive,
            }
            hook.sample(logger, sources, every=0.01)
            hook.sample(logger, {"Rates (Hz)": lambda: rates}, every=0.25)
        with nengo.Simulator(model, progress_bar=False, seed=arguments.seed) as sim:
            sim.run(arguments.duration)
        hook.log_probes(logger, sim, {"Recorded": model.probe})

    print(f"Logged to {logger.run_dir}")
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
