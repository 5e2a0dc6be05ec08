"""A sheet of spiking neurons looks at noise: every kind of data, and a small sweep.

8 x 8 leaky integrate-and-fire neurons see white noise, each through its own small
window with a dark surround, and 16 more neurons inhibit all of them. The excitability
of each neuron drifts until it fires at the target rate. The average of the noise that
made a neuron fire shows where the neuron looks.

    python tour.py
    tensorboard --logdir runs/tour

It needs NumPy and matplotlib, and about ten seconds for its four runs.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from annarchy_tb import Logger, figure_style

SIDE = 8
NEURONS, INHIBITORY = SIDE * SIDE, 16
TRIAL, FRAME = 500, 20  # ms; the solver's step is 1 ms
TAU = 20.0  # ms
REST, THRESHOLD, RESET = -65.0, -50.0, -65.0  # mV


def windows() -> np.ndarray:
    """Return the window through which each neuron sees the noise, (64, 64)."""
    places = np.stack(np.mgrid[:SIDE, :SIDE], axis=-1).reshape(-1, 2)
    squares = ((places[:, np.newaxis] - places) ** 2).sum(axis=-1)
    seen = np.exp(-squares / 1.5) - 0.35 * np.exp(-squares / 6)
    return seen / np.linalg.norm(seen, axis=1, keepdims=True)


class Sheet:
    """The neurons, and their state from trial to trial."""

    def __init__(self, seed: int, inhibition: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.inhibition = inhibition
        self.windows = windows()
        self.drive = self.rng.uniform(8.0, 16.0, NEURONS)  # mV
        self.v = np.full(NEURONS, REST)
        self.u = np.full(INHIBITORY, REST)
        self.seen = np.zeros((NEURONS, NEURONS))  # the noise at spikes, summed
        self.spikes_seen = np.zeros(NEURONS)

    def simulate(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run a trial; return spikes, (500, 64) and (500, 16), and v, (500, 64)."""
        spikes = np.zeros((TRIAL, NEURONS), bool)
        inhibitory = np.zeros((TRIAL, INHIBITORY), bool)
        potential = np.zeros((TRIAL, NEURONS))
        noise = self.rng.normal(size=(TRIAL // FRAME, NEURONS))
        seen = 10.0 * noise @ self.windows.T
        excited, inhibited = 0.0, 0.0
        for t in range(TRIAL):
            drive = self.drive + seen[t // FRAME] - self.inhibition * inhibited
            self.v += (REST - self.v + drive) / TAU + self.rng.normal(0, 0.5, NEURONS)
            self.u += (REST - self.u + 400.0 * excited) / TAU
            spikes[t], inhibitory[t] = self.v > THRESHOLD, self.u > THRESHOLD
            potential[t] = np.where(spikes[t], 20.0, self.v)
            self.v[spikes[t]], self.u[inhibitory[t]] = RESET, RESET
            excited += -excited / 5 + spikes[t].mean()
            inhibited += -inhibited / 10 + inhibitory[t].sum()
        counts = spikes.reshape(-1, FRAME, NEURONS).sum(axis=1)
        self.seen += counts.T @ noise
        self.spikes_seen += counts.sum(axis=0)
        return spikes, inhibitory, potential

    def fields(self) -> np.ndarray:
        """Return the average input that made each neuron fire, (64, 8, 8)."""
        mean = self.seen / np.maximum(self.spikes_seen, 1)[:, np.newaxis]
        return mean.reshape(NEURONS, SIDE, SIDE)

    def clarity(self) -> float:
        """Return how well the fields match the true windows, from -1 to 1."""
        fields = self.fields().reshape(NEURONS, -1)
        pairs = zip(fields, self.windows, strict=True)
        return float(np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs]))


def draw_drives(sheet: Sheet, rates: np.ndarray, target: float) -> plt.Figure:
    """Return a figure of each neuron's rate against its drive."""
    with figure_style():
        figure, axes = plt.subplots()
        axes.scatter(sheet.drive, rates, s=8)
        axes.axhline(target, color="grey", linewidth=1)
        axes.set(xlabel="drive (mV)", ylabel="rate (Hz)", title="each neuron's balance")
    return figure


def run(logdir: Path, trials: int, target: float, inhibition: float) -> None:
    """Simulate and log one run."""
    sheet = Sheet(seed=1, inhibition=inhibition)
    # [parameters]
    name = f"{target:g}Hz-{inhibition:g}"
    with Logger(logdir, name, mode="w", dt=1.0) as logger:
        logger.add_parameters({"target": target, "inhibition": inhibition, "seed": 1})
        # [/parameters]
        # [text]
        logger.add_text(
            "About",
            "64 neurons see white noise through windows of their own; "
            "*Sheet/fields* shows where each of them looks.",
        )
        # [/text]
        # [layout]
        logger.writer.add_custom_scalars(
            {"Overview": {"rates": ["Multiline", ["Rate/mean", "Rate/away"]]}}
        )
        # [/layout]
        for trial in range(trials):
            spikes, inhibitory, potential = sheet.simulate()
            rates = spikes.mean(axis=0) * 1000.0  # Hz
            # [scalar]
            logger.add_scalar("Rate/mean [Hz]", rates.mean(), trial)
            # [/scalar]
            # [scalars]
            groups = {
                "excitatory": rates.mean(),
                "inhibitory": inhibitory.mean() * 1000.0,
            }
            logger.add_scalars("Rate/groups [Hz]", groups, trial)
            # [/scalars]
            # [log]
            logger.log(
                {
                    "Rate/away from target [Hz]": np.abs(rates - target).mean(),
                    "Rate/silent neurons": np.sum(rates == 0),
                },
                trial,
            )
            # [/log]
            # [time]
            now = trial * TRIAL  # in ms
            logger.add_scalar("Time/drive (mV)", sheet.drive.mean(), time=now)
            # [/time]
            # [histogram]
            logger.add_histogram("Sheet/drive (mV)", sheet.drive, trial)
            # [/histogram]
            if trial % 5 == 4:
                # [raster]
                both = np.hstack([spikes, inhibitory])  # (500, 80), bool
                sizes = {"excitatory": NEURONS, "inhibitory": INHIBITORY}
                logger.add_raster("Sheet/spikes", both, trial, groups=sizes)
                # [/raster]
                # [matrix]
                logger.add_matrix("Sheet/weights", sheet.seen, trial)
                # [/matrix]
                # [image]
                picture = rates.reshape(SIDE, SIDE)
                logger.add_image("Sheet/rate", picture, trial, equalize=True)
                # [/image]
                # [images]
                fields = sheet.fields()  # (64, 8, 8)
                logger.add_images("Sheet/fields", fields, trial, equalize=True)
                # [/images]
                # [figure]
                figure = draw_drives(sheet, rates, target)
                logger.add_figure("Sheet/balance", figure, trial)
                # [/figure]
                # [audio]
                clicks = np.repeat(0.9 * spikes[:, 27], 8)  # 8 samples per ms
                logger.add_audio("Sheet/neuron 27", clicks, trial, rate=8000)
                # [/audio]
            sheet.drive += 0.03 * (target - rates)
        # [series]
        times = trial * TRIAL + np.arange(TRIAL)  # ms
        logger.add_series("Time/potential (mV)", potential[:, 27], times=times)
        # [/series]
        # [metrics]
        logger.add_metrics(
            {
                "Final/clarity": sheet.clarity(),
                "Final/away from target [Hz]": np.abs(rates - target).mean(),
            }
        )
        # [/metrics]


def main() -> None:
    """Run the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logdir", default="runs/tour", type=Path)
    parser.add_argument("--trials", type=int, default=40)
    arguments = parser.parse_args()
    settings = list(product((5.0, 20.0), (0.5, 2.0)))
    for target, inhibition in tqdm(settings, desc="runs"):
        run(arguments.logdir, arguments.trials, target, inhibition)
    print(f"Look at it with: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
