"""Spiking neurons in ANNarchy learn the patterns they see, and form a map of them.

A retina of 8 x 8 Poisson neurons sees eight bars, one after the other. It excites a
sheet of 20 x 20 Izhikevich neurons. These excite their neighbours on the sheet, and,
through 100 inhibitory neurons, inhibit slower ones. The weights from the retina start
at random and learn from the timing of spikes. As neighbours fire together, they learn
to prefer the same bar, and the sheet splits into patches. (E. M. Izhikevich, "Simple
model of spiking neurons", IEEE Transactions on Neural Networks 14, 2003.)

It needs ``pip install ANNarchy`` in an activated virtual environment, g++ and cmake:
the network is compiled, into ./annarchy, which takes half a minute the first time.

    python izhikevich.py
    tensorboard --logdir runs --samples_per_plugin images=100

(Without the option, TensorBoard shows ten steps of each image, picked at random.)

What to look at: IMAGES, where step 0 is before learning: noise becomes receptive fields
and patches, and the raster a staircase; SCALARS, where the selectivity increases;
HISTOGRAMS, where most weights from the retina shrink and some grow.
"""

from __future__ import annotations

import argparse
import sys

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from annarchy_tb import Logger
from annarchy_tb.hooks import annarchy

SIDE = 8  # of the retina
BARS = np.zeros((8, SIDE, SIDE))
for i in range(4):
    BARS[i, 2 * i : 2 * i + 2, :] = 1.0
    BARS[4 + i, :, 2 * i : 2 * i + 2] = 1.0
SHOWN, REST = 100.0, 50.0  # ms with a bar, then without
NOISE_RATE, BAR_RATE = 4.0, 84.0  # of the retina's neurons, in Hz
STRONGEST = 8.0  # the largest weight
LEARNING_RATE = 0.05


class Cortex:
    """The network: a retina excites a sheet with lateral inhibition."""

    def __init__(self, seed: int) -> None:
        """Create, connect and compile it."""
        import ANNarchy as ann  # noqa: N813

        izhikevich = ann.Neuron(
            parameters={"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "fatigue": 0.0},
            equations=[
                # theta inhibits neurons that fired a lot, so that all get their turn.
                "4000.0 * dtheta/dt = -theta",
                "5.0 * dg_exc/dt = -g_exc",
                "5.0 * dg_inh/dt = -g_inh",
                "I = g_exc - g_inh - theta + 2.0 * Normal(0.0, 1.0)",
                # The minimum keeps Euler's method stable when inhibition is strong.
                ann.Variable(
                    "dv/dt = 0.04*v^2 + 5*v + 140 - u + I", init=-65.0, min=-90.0
                ),
                ann.Variable("du/dt = a * (b*v - u)", init=-13.0),
            ],
            spike="v >= 30",
            reset=["v = c", "u += d", "theta += fatigue"],
        )
        # x is a trace of the last spike from the retina. When a neuron on the sheet
        # fires, its weights move towards x: up at the bar, down elsewhere.
        plastic = ann.Synapse(
            parameters={"tau": 20.0, "eta": LEARNING_RATE, "wmax": STRONGEST},
            equations=[ann.Variable("tau * dx/dt = -x", method="event-driven")],
            pre_spike=["g_target += w", "x = 1.0"],
            post_spike="w = clip(w + eta * (wmax * x - w), 0.0, wmax)",
        )

        self.net = net = ann.Network(dt=0.5, seed=seed)
        retina = net.create(ann.PoissonPopulation((SIDE, SIDE), rates=NOISE_RATE))
        sheet = net.create((20, 20), izhikevich)  # the paper's regular spiking neurons
        sheet.fatigue, sheet.theta = 0.8, 16.0
        inhibitory = net.create(100, izhikevich)
        inhibitory.a, inhibitory.d = 0.1, 2.0  # the paper's fast spiking neurons

        learned = net.connect(retina, sheet, "exc", plastic)
        # The network's own generator: only that one uses the network's seed.
        initial = ann.Uniform(0.3 * STRONGEST, 0.6 * STRONGEST, net.default_rng)
        learned.fixed_probability(0.9, initial)
        # Fixed connections: those to the neighbours, and random ones.
        net.connect(sheet, sheet, "exc").gaussian(amp=8.0, sigma=0.07, limit=0.05)
        net.connect(sheet, inhibitory, "exc").fixed_probability(0.2, 2.0)
        net.connect(inhibitory, sheet, "inh").fixed_probability(0.3, 8.0)
        net.connect(inhibitory, inhibitory, "inh").fixed_probability(0.1, 1.0)

        self.sheet_spikes = net.monitor(sheet, "spike")
        self.inhibitory_spikes = net.monitor(inhibitory, "spike")
        net.compile()
        # From now on, r is the rate in Hz over one bar and its rest.
        sheet.compute_firing_rate(SHOWN + REST)
        inhibitory.compute_firing_rate(SHOWN + REST)
        self.retina, self.sheet, self.inhibitory = retina, sheet, inhibitory
        self.learned = learned

    def show(self, bar: np.ndarray) -> None:
        """Show one bar, (8, 8), then only noise."""
        self.retina.rates = np.where(bar > 0, BAR_RATE, NOISE_RATE)
        self.net.simulate(SHOWN)
        self.retina.rates = NOISE_RATE
        self.net.simulate(REST)


def selectivity(rates: np.ndarray) -> float:
    """Return the neurons' mean selectivity: 0 for none, 1 for one bar only."""
    best = rates.max(axis=0)
    others = (rates.sum(axis=0) - best) / (len(BARS) - 1)
    fired = best > 0
    return float(np.mean((best - others)[fired] / (best + others)[fired]))


def alike(preferred: np.ndarray) -> float:
    """Return the share of neighbours on the sheet that prefer the same bar."""
    steps = np.diff(preferred, axis=0).ravel(), np.diff(preferred, axis=1).ravel()
    return float(np.mean(np.concatenate(steps) == 0))


def raster(
    sheet: tuple[np.ndarray, np.ndarray],
    inhibitory: tuple[np.ndarray, np.ndarray],
    preferred: np.ndarray,
) -> Figure:
    """Return a raster of (times, ranks), with the sheet sorted by preferred bar."""
    row = np.argsort(np.argsort(preferred.ravel(), kind="stable"))
    figure = Figure(figsize=(3.6, 3.2), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="time (ms), bars in grey", ylim=(0, 500))
    for onset in np.arange(len(BARS)) * (SHOWN + REST):
        axes.axvspan(onset, onset + SHOWN, color="0.9", linewidth=0)
    axes.plot(sheet[0], row[sheet[1]], "k.", markersize=1.5)
    axes.plot(inhibitory[0], len(row) + inhibitory[1], "r.", markersize=0.8)
    names = ["sheet, by preferred bar", "inhibitory"]
    axes.set_yticks([200, 450], names, rotation=90, va="center")
    return figure


def test(cortex: Cortex, logger: Logger, trial: int) -> dict[str, float]:
    """Show each bar once without learning, log the activity, return the measures."""
    start = cortex.net.time
    for monitor in (cortex.sheet_spikes, cortex.inhibitory_spikes):
        monitor.get()  # discard the recordings from learning
    cortex.learned.disable_learning()
    rates = np.zeros((len(BARS), *cortex.sheet.geometry))
    for i, bar in enumerate(BARS):
        cortex.show(bar)
        rates[i] = cortex.sheet.r
    cortex.learned.enable_learning()
    spikes = cortex.sheet_spikes.get("spike")

    # Data from ANNarchy is logged as it is: an array in a population's geometry, the
    # ragged lists of a sparse projection, a dict of the steps of all spikes.
    logger.add_image("Sheet/Rate, last bar", cortex.sheet.r, trial, equalize=True)
    logger.add_histogram("Weights/From the retina", cortex.learned.w, trial)
    if trial % 10 == 0:
        # Each in a separate plot: time continues, and one axis would be too long.
        logger.add_histogram(f"Spikes/Steps, test {trial}", spikes, trial)

    logger.add_images("Sheet/Rate, each bar", rates, trial, equalize=True)
    fields = cortex.learned.connectivity_matrix().reshape(20, 20, SIDE, SIDE)
    some = fields[::3, ::3].reshape(-1, SIDE, SIDE)  # of every third row and column
    logger.add_images("Sheet/Receptive fields", some, trial, equalize_per_image=True)
    preferred = np.tensordot(fields, BARS, axes=([2, 3], [1, 2])).argmax(axis=2)
    colours = matplotlib.colormaps["Set1"](preferred)[..., :3]
    logger.add_image("Sheet/Preferred bar", colours, trial)

    times, ranks = cortex.sheet_spikes.raster_plot(spikes)
    inh_times, inh_ranks = cortex.inhibitory_spikes.raster_plot()
    figure = raster((times - start, ranks), (inh_times - start, inh_ranks), preferred)
    logger.add_figure("Spikes/Raster", figure, trial)

    measures = {"Selectivity": selectivity(rates), "Neighbours alike": alike(preferred)}
    logger.log(measures, trial)
    return measures


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        cortex = Cortex(arguments.seed)
    except ImportError as error:
        sys.exit(f"this example needs ANNarchy ({error}): pip install ANNarchy")
    net = cortex.net

    with Logger(arguments.logdir, dt=net.dt) as logger:
        logger.add_parameters(
            {
                "trials": arguments.trials,
                "seed": arguments.seed,
                "learning": {"rate": LEARNING_RATE, "strongest": STRONGEST},
            }
        )
        logger.add_text(
            "About",
            "**400 Izhikevich neurons** learn eight bars, neighbours the same ones: "
            "see *Sheet* under IMAGES. Step 0 is before learning.",
        )

        # During the simulation, too: the hook takes steps and times from the network.
        sheet, inhibitory = cortex.sheet, cortex.inhibitory
        sampled = {
            "Rate (Hz)": lambda: {
                "sheet": sheet.r.mean(),
                "inhibitory": inhibitory.r.mean(),
            },
            "Mean theta": lambda: sheet.theta.mean(),
        }
        annarchy.sample(logger, net, sampled, every=SHOWN)

        measures = test(cortex, logger, 0)
        for trial in tqdm(range(1, arguments.trials + 1), desc="trials"):
            for bar in net.default_rng.permutation(np.concatenate([BARS, BARS])):
                cortex.show(bar)
            measures = test(cortex, logger, trial)

        logger.add_metrics({f"Final/{name}": x for name, x in measures.items()})

    print(f"Logged to {logger.run_dir}")
    look = f"tensorboard --logdir {arguments.logdir} --samples_per_plugin images=100"
    print(f"Look at it with: {look}")


if __name__ == "__main__":
    main()
