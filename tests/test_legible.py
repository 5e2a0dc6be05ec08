"""What pictures say is read by a program, as a person would read it."""

from __future__ import annotations

from typing import Any

import numpy as np
import ocr
import pytest
from conftest import points

from annarchy_tb import Logger

pytestmark = ocr.needs_tesseract

RNG = np.random.default_rng(0)


def noise(neurons: int, spikes: int, start: float, end: float) -> Any:
    """Return (times, ranks) of spikes at random, of the first and last neuron too."""
    ranks = RNG.integers(0, neurons, spikes)
    ranks[:2] = 0, neurons - 1
    return RNG.uniform(start, end, spikes), ranks


def raster(logger: Logger, spikes: object, **how: Any) -> dict[str, list[str]]:
    """Return what is read in the picture of a raster."""
    logger.add_raster("spikes", spikes, **how)
    return ocr.raster(points(logger.run_dir, "spikes")[-1].pixels)


def matrix(logger: Logger, weights: object, **how: Any) -> dict[str, list[str]]:
    """Return what is read in the picture of a matrix."""
    logger.add_matrix("weights", weights, **how)
    return ocr.matrix(points(logger.run_dir, "weights")[-1].pixels)


def test_a_raster_says_its_time_and_its_ranks(logger: Logger) -> None:
    """Ticks are round, the last one has the unit, and both ends of the ranks are there.

    White noise has no other landmark.
    """
    found = raster(logger, noise(200, 3000, 0, 1000), duration=1000)
    assert found["ranks"] == ["199", "0"]
    assert found["time"][:4] == ["0", "200", "400", "600"]
    assert found["time"][-1] == "1000 ms"
    assert found["rate"][0].endswith("Hz")
    assert found["groups"] == []


def test_times_may_be_negative_and_ranks_begin_anywhere(logger: Logger) -> None:
    """The axes say so."""
    times, ranks = noise(50, 1000, -200, 500)
    found = raster(logger, (times, ranks + 81), start=-200, duration=700)
    assert found["ranks"] == ["130", "81"]
    assert found["time"] == ["-200", "0", "200", "400 ms"]


def test_late_trials_have_ticks_that_differ(logger: Logger) -> None:
    """No digit is left out that tells them apart."""
    times, ranks = noise(20, 300, 0, 1000)
    found = raster(logger, (times + 4_000_000, ranks), start=4_000_000, duration=1000)
    assert found["time"] == ["4000000", "4000500", "4001000 ms"]


def test_the_unit_is_that_of_the_logger(logdir: Any) -> None:
    """Seconds have decimals."""
    with Logger(logdir, "run", time_unit="s") as logger:
        found = raster(logger, noise(5, 200, 0, 1), duration=1)
        assert ocr.numbers(found["time"][:4]) == [0, 0.2, 0.4, 0.6]
        assert found["time"][-1].replace(" ", "") == "1.0s"
        assert found["ranks"] == ["4", "0"]


def test_steps_are_steps_unless_their_length_is_known(logdir: Any) -> None:
    """With dt, they are times, and the rate is in Hz."""
    spikes = np.zeros((200, 30), bool)
    spikes[50:54] = True
    with Logger(logdir, "steps") as logger:
        found = raster(logger, spikes)
        assert found["time"] == ["0", "50", "100", "150", "200 steps"]
        assert found["rate"][0].startswith("1")
        assert found["rate"][-1].endswith("step")
    with Logger(logdir, "ms", dt=0.5) as logger:
        found = raster(logger, spikes)
        assert found["time"] == ["0", "20", "40", "60", "80", "100 ms"]
        assert " ".join(found["rate"]) == "2000 Hz"


@pytest.mark.parametrize(("spikes", "peak"), [(60, "15 Hz"), (600, "150 Hz")])
def test_the_peak_of_the_rate_is_in_hz(logger: Logger, spikes: int, peak: str) -> None:
    """It is the number of spikes of a neuron in a second, in the highest bar."""
    ranks = np.arange(spikes) % 200
    ranks[-1] = 199
    found = raster(logger, (np.full(spikes, 105.0), ranks), duration=1000, bins=100)
    assert found["rate"] == [peak]  # of 200 neurons, in a bar of two bins: 20 ms


def test_groups_are_named(logger: Logger) -> None:
    """The names stand above the spikes, each beside its colour."""
    groups = {"Exc": 160, "Inh": 30, "VIP": 10}
    found = raster(logger, noise(200, 2000, 0, 500), groups=groups, duration=500)
    assert found["groups"] == ["Exc", "Inh", "VIP"]
    assert found["ranks"] == ["199", "0"]


def test_a_raster_without_spikes_says_its_axes(logger: Logger) -> None:
    """Silence is seen to be silence."""
    found = raster(logger, {0: [], 99: []}, duration=400)
    assert found["ranks"] == ["99", "0"]
    assert found["time"][-1].startswith("400")
    assert found["rate"] == []


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.0, 0.4),
        (0.0, 4.0),
        (0.25, 1.75),
        (-32.0, 0.9),
        (-37.5, -0.012),
        (1e-5, 2e-4),
        (-1.2e-7, 3.4e-5),
        (2.0, 1e6),
        (-65.0004, -65.0001),
        (-4.5e9, 6e12),
    ],
)
def test_the_bar_says_its_ends(logger: Logger, low: float, high: float) -> None:
    """Whether signed or not, small or large; and 0 if both signs are there."""
    weights = RNG.uniform(low, high, (20, 30))
    weights[0, :2] = low, high
    found = matrix(logger, weights)
    wanted = [high, 0.0, low] if low < 0 < high else [high, low]
    assert ocr.numbers(found["bar"]) == pytest.approx(wanted, rel=1e-9)
    assert ocr.numbers(found["rows"]) == [0, 19]
    assert ocr.numbers(found["columns"]) == [0, 29]


def test_weights_times_ten_are_read_as_such(logger: Logger) -> None:
    """The colours are the same, the numbers are not."""
    weights = RNG.uniform(0.02, 0.4, (20, 30))
    weights[0, :2] = 0.02, 0.4
    one, other = (matrix(logger, weights * factor)["bar"] for factor in (1, 10))
    assert ocr.numbers(one) == [0.4, 0.02]
    assert ocr.numbers(other) == [4, 0.2]


def test_a_large_matrix_says_its_last_row_and_column(logger: Logger) -> None:
    """They are its own, not those of the pixels."""
    found = matrix(logger, RNG.normal(size=(400, 3000)))
    assert ocr.numbers(found["rows"]) == [0, 399]
    assert ocr.numbers(found["columns"]) == [0, 2999]


def test_a_given_range_is_what_the_bar_says(logger: Logger) -> None:
    """It is not that of the data."""
    found = matrix(logger, RNG.random((5, 8)), vmin=-2, vmax=25)
    assert ocr.numbers(found["bar"]) == [25, 0, -2]
    found = matrix(logger, RNG.random((5, 8)), vmin=-2, vmax=25, cmap="viridis")
    assert ocr.numbers(found["bar"]) == [25, -2]


def test_a_constant_has_one_number(logger: Logger) -> None:
    """There is no range to show; and without any number, there is no bar."""
    assert ocr.numbers(matrix(logger, np.full((5, 5), 0.25))["bar"]) == [0.25]
    found = matrix(logger, np.full((5, 5), np.nan))
    assert found["bar"] == []
    assert ocr.numbers(found["rows"]) == ocr.numbers(found["columns"]) == [0, 4]
