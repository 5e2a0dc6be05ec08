"""What a network of ANNarchy did is what its pictures show.

They need ANNarchy, a compiler and CMake, in an activated environment.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import points
from pictures import peak, plot, says, tints

from annarchy_tb import Logger
from annarchy_tb.kinds import canvas, colours, matrix_plot

pytest.importorskip("ANNarchy", reason="needs ANNarchy")

pytestmark = pytest.mark.timeout(600)  # compiles a network

EXAMPLE = Path(__file__).parents[2] / "examples" / "tensorboard" / "izhikevich.py"
MS = 300.0  # two bars, each with its rest


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return the network of the example, after two bars, and the spikes of both."""
    example = runpy.run_path(str(EXAMPLE))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("izhikevich"))
        cortex = example["Cortex"](seed=1)
    for bar in (0, 4):
        cortex.show(example["BARS"][bar])
    excited, inhibited = (
        monitor.get("spike")
        for monitor in (cortex.sheet_spikes, cortex.inhibitory_spikes)
    )
    return SimpleNamespace(
        dt=cortex.net.dt,
        learned=cortex.learned,
        pair=cortex.sheet_spikes.raster_plot(excited),
        both={**excited, **{400 + rank: its for rank, its in inhibited.items()}},
    )


def test_a_raster_of_both_populations(made: SimpleNamespace, logdir: Path) -> None:
    """Each has its colour, time is in ms, and the rate has its computed peak in Hz."""
    groups = {"sheet": 400, "inhibitory": 100}
    with Logger(logdir, "run", dt=made.dt) as logger:
        logger.add_raster("Spikes", made.both, duration=MS / made.dt, groups=groups)
    pixels = points(logger.run_dir, "Spikes")[-1].pixels
    blue, orange = tints(pixels)
    border = round(len(blue) * 0.2)  # neuron 0 is at the bottom
    assert blue[border + 1 :].sum() > 100
    assert orange[: border - 1].sum() > 50
    assert not blue[: border - 1].any()
    assert not orange[border + 1 :].any()
    for text in ("0", "499", "100", "200", "300 ms"):
        assert says(pixels, text), text
    # A column has 3 of 600 steps, and a bar of the rate 3 columns.
    rates = [
        np.bincount(np.concatenate(steps).astype(int) // 9).max() / number
        for steps, number in (
            ([its for rank, its in made.both.items() if rank < 400], 400),
            ([its for rank, its in made.both.items() if rank >= 400], 100),
        )
    ]
    assert says(pixels, f"{canvas.number(max(rates) / (9 * made.dt / 1000), 2)} Hz")


def test_a_raster_of_times(made: SimpleNamespace, logger: Logger) -> None:
    """A pair of times in ms has the rate of all its neurons."""
    times, ranks = made.pair
    logger.add_raster("Spikes", (times, ranks), duration=MS)
    pixels = points(logger.run_dir, "Spikes")[-1].pixels
    assert (plot(pixels) != 255).any(axis=-1).sum() > 100
    rate = peak(times, int(np.ptp(ranks)) + 1, 0.0, MS) * 1000
    assert says(pixels, f"{canvas.number(rate, 2)} Hz")


def test_weights_and_where_there_are_none(
    made: SimpleNamespace, logger: Logger
) -> None:
    """The bar says their range, and only what has no synapse is grey."""
    logger.add_matrix("Weights", made.learned)
    pixels = points(logger.run_dir, "Weights")[-1].pixels
    weights = made.learned.connectivity_matrix(fill=np.nan)
    ends = np.nanmin(weights), np.nanmax(weights)
    for text in ("0", "399", "63", *map(canvas.number, ends)):
        assert says(pixels, text), text
    # Each pixel is the largest of three rows.
    of_three = np.pad(weights, ((0, 2), (0, 0)), constant_values=np.nan)
    wanted = np.isnan(of_three.reshape(-1, 3, 64)).all(axis=1)
    left = canvas.width("399") + 2 * matrix_plot.SPACE
    found = pixels[matrix_plot.TOP :][: len(wanted), left : left + 64]
    assert ((found == colours.NOTHING).all(axis=-1) == wanted).all()
    assert wanted.any()
