"""A small network learns the components of its inputs, and logs every kind of data.

It sees 8 x 8 pixels with some of 16 overlapping bars, horizontal and vertical, and is
never told what a bar is. With Hebbian feed-forward weights, anti-Hebbian inhibition
between the units, and thresholds that keep every unit about equally active, each unit
becomes the detector of one bar (P. Foldiak, "Forming sparse representations by local
anti-Hebbian learning", Biological Cybernetics 64, 1990).

    python quickstart.py
    tensorboard --logdir runs

What to look at: IMAGES, where noise becomes bars; SCALARS, where the number of bars
found increases, and the error on new patterns decreases with that on learned ones;
HISTOGRAMS, where the weights split into two groups.
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from annarchy_tb import Logger, figure_style

SIDE = 8  # pixels
BARS = 2 * SIDE
UNITS = BARS
SHOWN = 100.0  # duration of a pattern, in ms


def all_bars() -> np.ndarray:
    """Return the 16 bars, (16, 64), which the network has to find."""
    bars = np.zeros((BARS, SIDE, SIDE))
    for i in range(SIDE):
        bars[i, i, :] = 1.0
        bars[SIDE + i, :, i] = 1.0
    return bars.reshape(BARS, -1)


def patterns(rng: np.random.Generator, number: int) -> np.ndarray:
    """Return images, (number, 64), that contain each bar with probability 1/8."""
    present = rng.random((number, BARS)) < 1 / SIDE
    return (present @ all_bars() > 0).astype(float)


class Network:
    """Foldiak's network, with the names of his paper: it learns q, w and t."""

    def __init__(self, rng: np.random.Generator, rates: dict[str, float]) -> None:
        self.rates = rates
        self.q = rng.random((UNITS, SIDE * SIDE))
        self.q /= np.linalg.norm(self.q, axis=1, keepdims=True)
        self.w = np.zeros((UNITS, UNITS))
        self.t = np.ones(UNITS)

    def respond(self, x: np.ndarray) -> np.ndarray:
        """Let the units settle, and return which of them fire, (16,) of 0 and 1."""
        drive = self.q @ x - self.t
        y = np.zeros(UNITS)
        for _ in range(60):
            y += 0.2 * (1 / (1 + np.exp(-10 * (drive + self.w @ y))) - y)
        return (y > 0.5).astype(float)

    def learn(self, x: np.ndarray, y: np.ndarray) -> None:
        """Change the weights after the response `y` to `x`."""
        p = 1 / SIDE
        self.w -= self.rates["inhibition"] * (np.outer(y, y) - p**2)
        np.fill_diagonal(self.w, 0.0)
        np.minimum(self.w, 0.0, out=self.w)
        self.q += self.rates["hebb"] * y[:, np.newaxis] * (x - self.q)
        self.t += self.rates["threshold"] * (y - p)

    def error(self, x: np.ndarray, y: np.ndarray) -> float:
        """Return the share of pixels that the firing units get wrong."""
        drawn = (y[:, np.newaxis] * self.q).max(axis=0) > 0.5
        return float(np.mean(drawn != (x > 0.5)))

    def preferences(self) -> np.ndarray:
        """Return how well each unit's weights match each bar, (16, 16) from 0 to 1."""
        q = self.q - self.q.mean(axis=1, keepdims=True)
        bars = all_bars() - all_bars().mean(axis=1, keepdims=True)
        norms = np.outer(np.linalg.norm(q, axis=1), np.linalg.norm(bars, axis=1))
        return np.clip(q @ bars.T / norms, 0, 1)

    def bars_found(self) -> int:
        """Return the number of bars that have their own unit."""
        return int((self.preferences().max(axis=0) > 0.8).sum())


def draw_preferences(network: Network) -> plt.Figure:
    """Return a figure of the bar that each unit prefers, sorted."""
    match = network.preferences()
    with figure_style():  # readable at the size shown in TensorBoard
        figure, axes = plt.subplots()
        picture = axes.imshow(
            match[np.argsort(match.argmax(axis=1))], vmin=0, vmax=1, cmap="viridis"
        )
        axes.set(
            xlabel="bar", ylabel="unit (sorted)", title="match of weights and bars"
        )
        figure.colorbar(picture)
    return figure


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logdir", default="runs", help="directory of all runs")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    rates = {"inhibition": 0.1, "hebb": 0.02, "threshold": 0.02}
    network = Network(rng, rates)
    unseen = patterns(rng, 100)
    clock = 0.0  # simulated time in ms

    with Logger(arguments.logdir) as logger:
        logger.add_parameters({"rates": rates, "units": UNITS, "seed": arguments.seed})
        logger.add_text(
            "About",
            "**16 units** watch **16 bars**, one network, no teacher. "
            "See *Fields/Receptive fields* under IMAGES: noise becomes bars.",
        )

        for trial in tqdm(range(arguments.trials), desc="trials"):
            errors, responses = [], []
            for x in patterns(rng, 50):
                y = network.respond(x)
                network.learn(x, y)
                errors.append(network.error(x, y))
                responses.append(y)
                clock += SHOWN
            unseen_errors = [network.error(x, network.respond(x)) for x in unseen]

            # One plot with two curves, and single numbers.
            logger.add_scalars(
                "Bars/Error",
                {"train": np.mean(errors), "test": np.mean(unseen_errors)},
                trial,
            )
            logger.add_scalar("Bars/Found", network.bars_found(), trial)
            # Several numbers in one record, drawn against simulated time.
            logger.log(
                {
                    "Network/Units firing at once": np.mean(np.sum(responses, axis=1)),
                    "Network/Mean threshold": network.t.mean(),
                },
                trial,
                time=clock,
            )
            logger.add_histogram("Network/Feed-forward weights", network.q, trial)
            logger.add_histogram("Network/Inhibition", network.w, trial)
            if trial % 12 == 0 or trial == arguments.trials - 1:
                fields = network.q.reshape(UNITS, SIDE, SIDE)
                logger.add_image("Network/Input", x.reshape(SIDE, SIDE), trial)
                logger.add_images(
                    "Fields/Receptive fields", fields, trial, equalize_per_image=True
                )
                logger.add_image("Fields/Inhibition", -network.w, trial, equalize=True)
                logger.add_figure(
                    "Fields/Preferences", draw_preferences(network), trial
                )

        logger.add_metrics(
            {
                "Final/Bars found": network.bars_found(),
                "Final/Error on unseen patterns": np.mean(unseen_errors),
            }
        )

    print(f"{network.bars_found()} of {BARS} bars have a unit of their own.")
    print(f"Logged to {logger.run_dir}")


if __name__ == "__main__":
    main()
