from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from conftest import points
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from annarchy_tb import Logger
from annarchy_tb.inputs.spikes import collect
from annarchy_tb.kinds.raster import HEIGHT, WIDTH, raster

RNG = np.random.default_rng(0)


def logged(logger: Logger, tag: str = "spikes") -> np.ndarray:
    """Return the pixels of the last raster of a tag."""
    return points(logger.run_dir, tag)[-1].pixels


def drawn(spikes: object, **limits: Any) -> np.ndarray:
    """Return a raster; assert that no spike is left out."""
    pixels, remarks = raster(collect(spikes, "ms"), **limits)
    assert remarks == []
    return pixels[..., 0]


def cells(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the level of each tick, one pixel per tick, neuron 0 first."""
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    assert pixels.shape == (rows * height, columns * width)
    return pixels[height - 1 :: height, ::width][::-1]


def test_time_runs_to_the_right_and_neuron_0_is_at_the_bottom(logger: Logger) -> None:
    """A neuron's spikes are ticks of several pixels in its row; the rest is black."""
    logger.add_raster("spikes", {0: [0], 1: [], 2: [3, 4]}, 7)
    [point] = points(logger.run_dir, "spikes")
    assert point.step == 7
    wanted = [[255, 0, 0, 0, 0], [0] * 5, [0, 0, 0, 255, 255]]
    assert cells(point.pixels, 3, 5).tolist() == wanted


@pytest.mark.parametrize(
    ("spikes", "rows", "columns"),
    [
        ({9: [999]}, 10, 250),  # 4 steps a column
        ({399: [999]}, 200, 250),  # 2 neurons a row
        ({9999: [59_999]}, 200, 320),
        (([0.5, 7.25, 99.5], [0, 2, 1]), 3, 320),
        ({0: [0]}, 1, 1),
    ],
)
def test_the_image_fits_a_card(spikes: Any, rows: int, columns: int) -> None:
    """It fills 320 x 200 pixels as far as whole ticks allow, and is never larger."""
    pixels = drawn(spikes)
    assert HEIGHT / 2 < pixels.shape[0] <= HEIGHT
    assert WIDTH / 2 < pixels.shape[1] <= WIDTH
    cells(pixels, rows, columns)


def test_neighbours_are_told_apart() -> None:
    """There is a gap above each thick tick, so that neighbours don't merge."""
    pixels = drawn({0: [0], 1: [0]})
    assert pixels.shape == (200, 320)
    column = pixels[:, 0].reshape(2, 100)
    assert (column[:, :25] == 0).all()
    assert (column[:, 25:] == 255).all()


def test_a_single_spike_among_nothing_is_white() -> None:
    """One spike of 10,000 neurons in 60,000 steps is one white pixel."""
    spikes = {rank: [30_000] if rank == 5000 else [] for rank in range(10_000)}
    pixels = drawn(spikes, duration=60_000)
    assert pixels.shape == (200, 320)
    assert np.argwhere(pixels).tolist() == [[99, 159]]
    assert pixels.max() == 255


def test_brightness_is_density() -> None:
    """Each halving darkens by the same amount, and one spike is half of white."""
    times = np.repeat(np.arange(6), [1, 1000, 500, 250, 125, 0])
    levels = cells(drawn((times, np.zeros(len(times), int)), duration=6), 1, 6)[0]
    assert levels.tolist() == pytest.approx([128, 255, 212.5, 170, 128, 0], abs=1)


@pytest.mark.parametrize(
    "nothing",
    [{}, {0: [], 5: []}, ([], []), (np.empty(0), np.empty(0)), np.zeros((9, 3), bool)],
)
def test_no_spikes_are_black(logger: Logger, nothing: object) -> None:
    """Silence is not an error, even without neurons."""
    logger.add_raster("spikes", nothing)
    assert (logged(logger) == 0).all()
    assert logged(logger).size


def test_an_array_says_how_long_it_is() -> None:
    """Silent neurons and silent steps at its end are included."""
    spikes = np.zeros((20, 4), bool)
    spikes[5, 1] = True
    found = cells(drawn(spikes), 4, 20)
    assert np.argwhere(found).tolist() == [[1, 5]]


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f4", "O"])
def test_zeros_and_ones_of_any_type_are_spikes(dtype: str) -> None:
    """An array need not be bool."""
    spikes = np.array([[0, 1], [1, 0]], dtype)
    assert cells(drawn(spikes), 2, 2).tolist() == [[0, 255], [255, 0]]


def test_a_window_of_the_time_can_be_drawn(logger: Logger) -> None:
    """The steps of a trial that began late are drawn from its start on."""
    logger.add_raster("spikes", {0: [1000], 1: [1003]}, start=1000, duration=4)
    assert cells(logged(logger), 2, 4).tolist() == [[255, 0, 0, 0], [0, 0, 0, 255]]


def test_times_may_begin_before_0() -> None:
    """An example is a window around a stimulus, given by start."""
    found = cells(drawn(([-2.0, 1.0], [0, 0]), start=-2, duration=4), 1, 4)
    assert found.tolist() == [[255, 0, 0, 255]]


def test_spikes_outside_are_told_once(logger: Logger) -> None:
    """Spikes before the start or after the duration are counted in a warning."""
    with pytest.warns(UserWarning, match=r"add_raster\('spikes'\): 2 of 3 .*10 to 15"):
        logger.add_raster("spikes", {0: [9, 12, 16]}, start=10, duration=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.add_raster("spikes", {0: [12, 16]}, start=10, duration=5)
    assert cells(logged(logger), 1, 5).tolist() == [[0, 0, 255, 0, 0]]


def test_a_spike_at_the_very_end_is_drawn() -> None:
    """It is in the last column, since times are often rounded."""
    assert cells(drawn(([0.0, 10.0], [0, 0]), duration=10.0), 1, 10)[0, 9] == 255
    assert drawn(([0.0, 9.7], [0, 0]))[-1, -1] == 255


def test_bins_are_the_columns() -> None:
    """There may be any number of them, even more than a card shows."""
    spikes = ([0.0, 0.4, 0.6, 1.0], [0, 0, 0, 0])
    assert cells(drawn(spikes, bins=2), 1, 2).tolist() == [[255, 255]]
    assert drawn(spikes, bins=1000).shape == (200, 1000)


class Quantity(np.ndarray):
    """An array with a unit, as Brian2's are."""

    def __float__(self) -> float:
        raise TypeError("it has a unit")


def test_arrays_with_a_unit_are_plain_numbers() -> None:
    """Brian2's times are in seconds, whatever their unit."""
    times = np.array([0.1, 0.25]).view(Quantity)
    limit = np.array(0.3).view(Quantity)
    found = drawn((times, np.array([0, 1], np.int32)), duration=limit)
    assert (found == drawn(([0.1, 0.25], [0, 1]), duration=0.3)).all()
    by_rank = {0: times[:1], 1: times[1:]}  # as SpikeMonitor.spike_trains() is
    assert (found == drawn(by_rank, duration=limit)).all()


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (([1.0, 2.0], [0]), "must have the same length, got 2 and 1"),
        (([1.0], [-1]), "ranks must be whole numbers from 0, got -1"),
        (([1.0], [0.5]), "ranks must be whole numbers"),
        (([1.0], [np.nan]), "ranks must be whole numbers from 0, got nan"),
        (([1.0], ["a"]), "ranks must be an array of numbers"),
        (([np.nan, 1.0], [0, 1]), "times must be finite"),
        (([np.inf], [0]), "times must be finite"),
        (([-5.0, 1.0], [0, 1]), "at 0 or later, got -5; start=-5 begins"),
        (([[1.0]], [[0]]), r"times must have shape \(K,\), got \(1, 1\)"),
        ((1.0, 2, 3), r"must be \(times, ranks\), got tuple of length 3"),
        (
            {"spike": {0: [1]}},
            r"got \['spike'\]; pass an item of the dict: spikes\['spike'\]",
        ),
        ({-1: [1]}, "keys of spikes must be whole numbers from 0, got -1"),
        ({0: [-1]}, "must be at 0 or later"),
        ({0: 3}, r"steps of neuron 0 must be a list of numbers, got 3 \(int\)"),
        ({0: [1, [2]]}, "steps of neuron 0 must be a list of numbers, got list"),
        ({0: [None]}, "steps of spikes must be finite"),
        ({0: ["a"]}, "steps of spikes must be an array of numbers"),
        (np.full((2, 2), 0.5), "numbers other than 0 and 1"),
        (np.array([[np.nan, 1.0]]), "numbers other than 0 and 1"),
        (np.array([[0, 2]]), "numbers other than 0 and 1"),
        (np.zeros(5, bool), r"\(times, ranks\), or a bool array of shape \(T, N\)"),
        ([1.0, 2.0], "got list of length 2"),
        ([[1.0], [2, 3]], "got list of length 2"),
        (None, "got None"),
    ],
)
def test_what_are_no_spikes_is_refused(
    logger: Logger, spikes: object, message: str
) -> None:
    """The error names the method, the tag, the rule and what came."""
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        logger.add_raster("Sheet", spikes)
    assert str(caught.value).startswith("add_raster('Sheet'): ")
    assert points(logger.run_dir, "Sheet") == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"duration": 0}, "duration must be more than 0, got 0"),
        ({"duration": np.inf}, "duration must be one finite number"),
        ({"duration": [1, 2]}, "duration must be one finite number"),
        ({"start": np.nan}, "start must be one finite number"),
        ({"start": "1"}, "start must be an array of numbers"),
        ({"bins": 0}, "bins must be a whole number from 1 to 10000, got 0"),
        ({"bins": 10_001}, "bins must be"),
        ({"bins": 2.5}, "bins must be"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    logger: Logger, limits: dict[str, Any], message: str
) -> None:
    """The error names the limit."""
    with pytest.raises((TypeError, ValueError), match=rf"\('a'\): {message}"):
        logger.add_raster("a", {0: [1]}, **limits)


def test_a_closed_logger_and_other_kinds_refuse(logger: Logger) -> None:
    """The errors are the same as for all methods."""
    logger.add_scalar("scalar", 1.0)
    with pytest.raises(ValueError, match="scalar"):
        logger.add_raster("scalar", {0: [1]})
    logger.close()
    with pytest.raises(ValueError, match="Logger is closed"):
        logger.add_raster("spikes", {0: [1]})


trains = hnp.arrays(
    np.bool_,
    st.tuples(st.integers(1, 900), st.integers(1, 500)),
    elements=st.booleans(),
    fill=st.just(False),
)


@given(trains, st.randoms(use_true_random=False))
def test_all_forms_of_the_same_spikes_give_the_same_image(
    array: np.ndarray, random: Any
) -> None:
    """The forms are an array, a dict and a pair in any order; none is changed."""
    array[-1, -1] = True  # a pair can't tell that the last ones are silent
    steps, ranks = np.nonzero(array)
    order = list(range(len(steps)))
    random.shuffle(order)
    pair = steps[order] * 1.0, ranks[order]
    by_rank = {i: np.flatnonzero(train).tolist() for i, train in enumerate(array.T)}
    kept = array.copy(), pair[0].copy(), pair[1].copy(), str(by_rank)
    image = drawn(array)
    assert (image == drawn(pair)).all()
    assert (image == drawn(by_rank)).all()
    assert (array == kept[0]).all()
    assert (pair[0] == kept[1]).all()
    assert (pair[1] == kept[2]).all()
    assert str(by_rank) == kept[3]


@given(
    st.lists(
        st.tuples(
            st.just(0.0) | st.floats(1e-300, 1e300) | st.integers(0, 10**6),
            st.integers(0, 2**40),
        ),
        min_size=1,
        max_size=30,
    ),
    st.none() | st.integers(1, 700),
)
def test_every_spike_is_in_the_picture(
    spikes: list[tuple[float, int]], bins: int | None
) -> None:
    """For any times and ranks, its tick is at least half as bright as white."""
    times, ranks = (np.array(column) for column in zip(*spikes, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = drawn((times, ranks), bins=bins)
    share = -(-(int(ranks.max()) + 1) // HEIGHT)
    rows = -(-(int(ranks.max()) + 1) // share)
    height = pixels.shape[0] // rows
    bottoms = len(pixels) - 1 - ranks // share * height
    end = times.max() + (times == np.floor(times)).all()
    places = times / (end or 1.0) * pixels.shape[1]
    for row, place in zip(bottoms, places, strict=True):
        # The last column may hold fewer steps, so ticks may be slightly further left.
        near = slice(max(int(place * 0.5) - 2, 0), int(place) + 2)
        assert pixels[row, near].max() >= 128
    assert set(np.unique(pixels)) <= {0, *range(128, 256)}


def test_any_whole_number_says_how_many_bins(logger: Logger) -> None:
    """NumPy integers are accepted; True is not."""
    logger.add_raster("raster", {0: [1]}, bins=np.int64(5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bins must be a whole number.*got True"):
        logger.add_raster("raster", {0: [1]}, bins=True)


def test_a_limit_beyond_all_times_is_refused(logger: Logger) -> None:
    """It does not overflow."""
    with pytest.raises(ValueError, match="start must be one finite number"):
        logger.add_raster("raster", {0: [1, 1e308]}, start=-1e308)
