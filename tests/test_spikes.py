from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from conftest import points
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import GROUND, INK, cells, peak, plot, says, tints

from annarchy_tb import Logger, Run
from annarchy_tb.inputs.clock import Clock
from annarchy_tb.inputs.spikes import collect
from annarchy_tb.kinds import canvas, spike_plot
from annarchy_tb.kinds.raster import raster

RNG = np.random.default_rng(0)
MS = Clock("ms", None)


def logged(logger: Logger, tag: str = "spikes") -> np.ndarray:
    """Return the pixels of the last raster of a tag."""
    return points(logger.run_dir, tag)[-1].pixels


def drawn(spikes: object, **limits: Any) -> np.ndarray:
    """Return the picture of a raster; assert that no spike is left out."""
    pixels, remarks, *_ = raster(collect(spikes, "ms"), MS, **limits)
    assert remarks == []
    return pixels


def test_time_runs_to_the_right_and_neuron_0_is_at_the_bottom(logger: Logger) -> None:
    """A neuron's spikes are ticks of several pixels in its row."""
    logger.add_raster("spikes", {0: [0], 1: [], 2: [3, 4]}, 7)
    [point] = points(logger.run_dir, "spikes")
    assert point.step == 7
    assert point.pixels.shape == (200, 320, 3)
    wanted = [[1, 0, 0, 0, 0], [0] * 5, [0, 0, 0, 1, 1]]
    assert cells(point.pixels, 3, 5).tolist() == wanted


@pytest.mark.parametrize(
    ("spikes", "rows", "columns"),
    [
        ({0: [], 9: [999]}, 10, 250),  # 4 steps a column
        ({0: [], 399: [999]}, 134, 250),  # 3 neurons a row
        ({0: [], 9999: [59_999]}, 148, 266),
        (([0.5, 7.25, 99.5], [0, 2, 1]), 3, 266),
        ({0: [0]}, 1, 1),
    ],
)
def test_the_image_fits_a_card(spikes: Any, rows: int, columns: int) -> None:
    """It has 320 x 200 pixels, and ticks are whole pixels."""
    pixels = drawn(spikes)
    assert pixels.shape == (200, 320, 3)
    cells(pixels, rows, columns)


def test_neighbours_are_told_apart() -> None:
    """There is a gap above each thick tick, so that neighbours don't merge."""
    found = plot(drawn({0: [0], 1: [0]}))
    half = len(found) // 2
    for neuron in (found[:half], found[half : 2 * half]):
        assert (neuron[: half // 4] == GROUND).all()
        assert (neuron[half // 4 :] == INK).all()


def test_a_single_spike_among_nothing_is_dark() -> None:
    """One spike of 10,000 neurons in 60,000 steps is one dark pixel."""
    spikes = {rank: [30_000] if rank == 5000 else [] for rank in range(10_000)}
    found = plot(drawn(spikes, duration=60_000))
    [[row, column]] = np.argwhere((found != GROUND).any(axis=-1)).tolist()
    assert abs(row - len(found) / 2) < 2
    assert abs(column - found.shape[1] / 2) < 2
    assert (found[row, column] == INK).all()


def test_ink_is_density() -> None:
    """Each halving is lighter by the same amount, and one spike is half of the ink."""
    times = np.repeat(np.arange(6), [1, 1000, 500, 250, 125, 0])
    levels = cells(drawn((times, np.zeros(len(times), int)), duration=6), 1, 6)[0]
    assert levels.tolist() == pytest.approx([0.5, 1, 5 / 6, 4 / 6, 0.5, 0], abs=0.01)


@pytest.mark.parametrize(
    "nothing",
    [{}, {0: [], 5: []}, ([], []), (np.empty(0), np.empty(0)), np.zeros((9, 3), bool)],
)
def test_without_spikes_there_are_axes(logger: Logger, nothing: object) -> None:
    """Silence is not an error, even without neurons."""
    logger.add_raster("spikes", nothing)
    found = plot(logged(logger))
    assert found.size
    assert (found == GROUND).all()


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
    assert cells(drawn(spikes), 2, 2).tolist() == [[0, 1], [1, 0]]


def test_a_window_of_the_time_can_be_drawn(logger: Logger) -> None:
    """The steps of a trial that began late are drawn from its start on."""
    logger.add_raster("spikes", {0: [1000], 1: [1003]}, start=1000, duration=4)
    assert cells(logged(logger), 2, 4).tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_times_may_begin_before_0() -> None:
    """An example is a window around a stimulus, given by start."""
    found = cells(drawn(([-2.0, 1.0], [0, 0]), start=-2, duration=4), 1, 4)
    assert found.tolist() == [[1, 0, 0, 1]]


def test_spikes_outside_are_told_once(logger: Logger) -> None:
    """Spikes before the start or after the duration are counted in a warning."""
    with pytest.warns(UserWarning, match=r"add_raster\('spikes'\): 2 of 3 .*10 to 15"):
        logger.add_raster("spikes", {0: [9, 12, 16]}, start=10, duration=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.add_raster("spikes", {0: [12, 16]}, start=10, duration=5)
    assert cells(logged(logger), 1, 5).tolist() == [[0, 0, 1, 0, 0]]


def test_a_spike_at_the_very_end_is_drawn() -> None:
    """It is in the last column, since times are often rounded."""
    assert cells(drawn(([0.0, 10.0], [0, 0]), duration=10.0), 1, 10)[0, 9] == 1
    assert (plot(drawn(([0.0, 9.7], [0, 0])))[-1, -1] == INK).all()


def test_bins_are_the_columns() -> None:
    """There may be any number of them, even more than a card shows."""
    spikes = ([0.0, 0.4, 0.6, 1.0], [0, 0, 0, 0])
    assert cells(drawn(spikes, bins=2), 1, 2).tolist() == [[1, 1]]
    wide = drawn(spikes, bins=1000)
    assert wide.shape == (200, 1000 + spike_plot.LEFT + spike_plot.RIGHT, 3)
    assert plot(wide).shape[1] == 1000


# -- other forms of spikes -------------------------------------------------------------


@pytest.mark.parametrize(
    "trains",
    [
        [[0.5, 7.0], [], [3.25]],
        [np.array([0.5, 7.0]), np.array([]), np.array([3.25])],
        [(0.5, 7.0), (), (3.25,)],
    ],
)
def test_a_list_of_spike_trains(trains: list[Any]) -> None:
    """Each train is a neuron, from rank 0 on."""
    same = ([0.5, 7.0, 3.25], [0, 0, 2])
    assert (drawn(trains) == drawn(same)).all()


def test_trains_of_equal_length_are_no_array() -> None:
    """Rows of 0 and 1 are an array, other numbers are times."""
    assert collect([[0.5, 2.5], [1.5, 2.5]], "ms").ranks.tolist() == [0, 0, 1, 1]
    assert collect([[0, 1], [1, 0]], "ms").times.tolist() == [0, 1]


def test_the_events_of_nest(logger: Logger) -> None:
    """Their times are in ms, and their senders begin anywhere."""
    events = {
        "times": np.array([1.0, 5.5]),
        "senders": np.array([81, 100]),
        "V_m": np.zeros(2),
    }
    found = collect(events, "ms")
    assert (found.first, found.neurons, found.unit) == (81, 20, "ms")
    assert collect(events, "s").times.tolist() == pytest.approx([0.001, 0.0055])
    assert (drawn(events) == drawn(([1.0, 5.5], [81, 100]))).all()


def test_the_events_of_nest_may_be_in_steps(logger: Logger) -> None:
    """With ``time_in_steps``, there are offsets, too, and times are whole numbers."""
    events = {
        "times": np.array([10, 55]),
        "offsets": np.zeros(2),
        "senders": np.array([81, 100]),
    }
    found = collect(events, "s")
    assert (found.times.tolist(), found.unit) == ([10, 55], "step")


def test_events_as_nest_gives_them(logger: Logger) -> None:
    """Of a network that took 100 ms in steps of 0.1, with neurons from 1 on."""
    steps = RNG.integers(1, 1000, 4000)
    senders = RNG.integers(1, 1251, 4000)
    senders[:2] = 1, 1250
    events = {"senders": senders, "times": steps * 0.1}
    groups = {"E": range(1, 1001), "I": range(1001, 1251)}
    logger.add_raster("spikes", events, groups=groups, duration=100)
    pixels = logged(logger)
    blue, orange = tints(pixels)
    border = round(len(blue) * 0.2)
    assert blue[border + 1 :].sum() > 1000
    assert orange[: border - 1].sum() > 200
    assert not blue[: border - 1].any()
    assert not orange[border + 1 :].any()
    rates = [
        peak(events["times"][its], number, 0.0, 100.0) * 1000
        for its, number in ((senders <= 1000, 1000), (senders > 1000, 250))
    ]
    for text in ("1", "1250", "100 ms", f"{canvas.number(max(rates), 2)} Hz"):
        assert says(pixels, text), text


def test_trains_of_neo(logger: Logger) -> None:
    """A list, or all those of a segment; their times are in any unit, and negative."""
    neo = pytest.importorskip("neo", reason="needs neo")
    trains = [
        neo.SpikeTrain([0.1, 0.25], units="s", t_stop=1.0),
        neo.SpikeTrain([], units="s", t_stop=1.0),
        neo.SpikeTrain([-100.0, 900.0], units="ms", t_start=-200.0, t_stop=1000.0),
    ]
    segment = neo.Segment()
    segment.spiketrains.extend(trains)
    same = ([100.0, 250.0, -100.0, 900.0], [0, 0, 2, 2])
    for its in (trains, segment.spiketrains, dict(enumerate(trains))):
        logger.add_raster("spikes", its, start=-200, duration=1200)
        [times, ranks] = Run(logger.run_dir).spikes("spikes").spikes[-1]
        assert (times.tolist(), ranks.tolist()) == same
        limits = {"start": -200.0, "duration": 1200.0}
        assert (logged(logger) == drawn(same, **limits)).all()
        logger.add_raster("limits", its, start=trains[2].t_start, duration=1200)
        assert (logged(logger, "limits") == logged(logger)).all()
    with pytest.raises(ValueError, match=r"got -100; start=-100 begins the axis there"):
        logger.add_raster("spikes", trains)
    with pytest.raises(TypeError, match="neuron 1 must have a unit, as others do"):
        logger.add_raster("spikes", [trains[0], [0.5]])
    with pytest.raises(TypeError, match="a list of spike trains.*got SpikeTrain"):
        logger.add_raster("spikes", trains[0])


def test_an_array_of_trains() -> None:
    """As an array of objects, if their lengths differ."""
    trains = np.empty(2, object)
    trains[:] = [0.5, 7.0], [3.25]
    assert (drawn(trains) == drawn([[0.5, 7.0], [3.25]])).all()


def test_the_axis_begins_at_the_lowest_rank() -> None:
    """Silent neurons below it are shown only if a dict or an array has them."""
    assert cells(drawn(([0, 1], [81, 82])), 2, 2).tolist() == [[1, 0], [0, 1]]
    assert collect({0: [], 81: [1]}, "ms").first == 0
    assert collect(np.eye(3, dtype=bool)[:, 1:], "ms").first == 0


# -- groups, and the rate --------------------------------------------------------------


def colours_of(pixels: np.ndarray) -> set[tuple[int, ...]]:
    """Return the colours in the part that shows spikes."""
    found = {tuple(colour) for colour in plot(pixels).reshape(-1, 3).tolist()}
    return found - {canvas.GROUND}


def test_groups_have_colours_and_names(logger: Logger) -> None:
    """A spike has the colour of its neuron's group, and those of no group are dark."""
    spikes = {0: [0], 1: [], 2: [1], 3: [2]}
    logger.add_raster("spikes", spikes, groups={"E": 2, "I": [2]})
    first, second = spike_plot.COLOURS[:2]
    pixels = logged(logger)
    assert colours_of(pixels) == {first, second, canvas.INK}
    head = {tuple(colour) for colour in pixels[:12].reshape(-1, 3).tolist()}
    assert {first, second} <= head


def test_a_silent_group_is_normal() -> None:
    """Its neurons are on the axis, although none of them fired."""
    found = drawn(([0, 1], [0, 1]), groups={"E": 2, "I": 2})
    assert cells(found, 4, 2).shape == (4, 2)
    assert drawn(([], []), groups={"E": 2}).shape == (200, 320, 3)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"E": 2, "I": [1]}, "groups must not overlap, but 'E' and 'I'"),
        ({"E": 0}, "the size of group 'E'"),
        ({"E": 5}, "group 'E' has ranks up to 4, but there are 3 neurons"),
        ([3], "groups must be a dict"),
    ],
)
def test_groups_that_make_no_sense_are_refused(
    logger: Logger, groups: Any, message: str
) -> None:
    """The error names the argument and the group."""
    with pytest.raises((TypeError, ValueError), match=rf"\('a'\): {message}"):
        logger.add_raster("a", np.eye(3, dtype=bool), groups=groups)
    assert points(logger.run_dir, "a") == []


def strip(pixels: np.ndarray) -> np.ndarray:
    """Return the part of a picture that shows the rate."""
    axis = (pixels == canvas.AXIS).all(axis=-1)
    left = spike_plot.LEFT
    lines = np.flatnonzero(axis[:, left : left + 30].all(axis=1))
    return pixels[lines[0] + 2 : lines[1], left : left + spike_plot.PLOT]


def test_the_rate_is_highest_where_most_neurons_fire() -> None:
    """Its bars are as high as the strip there, and a half as high for half of them."""
    times = np.repeat([2.05, 7.05], [8, 4])
    found = strip(drawn((times, [*range(8), *range(4)]), duration=10.0))
    heights = (found != GROUND).any(axis=-1).sum(axis=0)
    assert heights.max() == len(found) - 1
    [first, second] = (heights[int(place * found.shape[1])] for place in (0.205, 0.705))
    assert first == heights.max()
    assert abs(second - first / 2) <= 1
    assert (heights > 0).mean() < 0.1


def test_the_peak_is_in_hz_if_the_unit_is_known() -> None:
    """It is the number of spikes for each neuron and second."""

    def peak(spikes: object, clock: Clock, columns: int = 10) -> str:
        found = collect(spikes, clock.unit)
        axis = spike_plot.TimeAxis(0.0, 10.0, 10.0 / columns, columns, 1.0, "", None)
        seconds = None
        if found.unit != "step":
            seconds = {"ms": 1e-3, "s": 1.0}[clock.unit]
        elif clock.dt is not None:
            seconds = clock.dt * 1e-3
        column = (found.times / axis.width).astype(int)
        counts = np.bincount(column, minlength=columns)[np.newaxis]
        axis = axis._replace(seconds=seconds)
        return " ".join(spike_plot.rates(counts, axis, found.neurons, None)[1])

    pair = ([2.5, 2.5, 7.5], [0, 1, 3])  # 2 spikes of 4 neurons in 1 of 10
    assert peak(pair, Clock("ms", None)) == "500 Hz"
    assert peak(pair, Clock("s", None)) == "0.5 Hz"
    array = np.zeros((10, 4), bool)
    array[2, :2] = array[7, 3] = True
    assert peak(array, Clock("ms", None)) == "0.5 /step"
    assert peak(array, Clock("ms", 0.1)) == "5000 Hz"
    assert peak(np.zeros((10, 4), bool), Clock("ms", 0.1)) == " "


class Quantity(np.ndarray):
    """An array with a unit, as Brian2's are."""

    def __float__(self) -> float:
        raise TypeError("it has a unit")


def test_arrays_with_a_unit_are_plain_numbers() -> None:
    """Those of classes that are no known quantities are taken as they are."""
    times = np.array([0.1, 0.25]).view(Quantity)
    found = drawn((times, np.array([0, 1], np.int32)), duration=0.3)
    assert (found == drawn(([0.1, 0.25], [0, 1]), duration=0.3)).all()
    by_rank = {0: times[:1], 1: times[1:]}  # as SpikeMonitor.spike_trains() is
    assert (found == drawn(by_rank, duration=0.3)).all()


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
        ({"times": [1.0], "senders": [1, 2]}, "must have the same length"),
        ({"times": [1.0]}, "'times' and 'senders', got"),
        ({-1: [1]}, "keys of spikes must be whole numbers from 0, got -1"),
        ({0: [-1]}, "must be at 0 or later"),
        ({0: 3}, r"steps of neuron 0 must be a list of numbers, got 3 \(int\)"),
        ({0: [1, [2]]}, "steps of neuron 0 must be a list of numbers, got list"),
        ({0: [None]}, "steps of spikes must be finite"),
        ({0: ["a"]}, "steps of spikes must be an array of numbers"),
        (np.full((2, 2), 0.5), "numbers other than 0 and 1"),
        (np.array([[np.nan, 1.0]]), "numbers other than 0 and 1"),
        (np.array([[0, 2]]), "numbers other than 0 and 1"),
        (np.zeros(5, bool), r"or a bool array of shape \(T, N\)"),
        ([1.0, 2.0], "got list of length 2"),
        ([[-1.0], [2, 3]], "at 0 or later, got -1"),
        ([[1.0], ["a"]], "steps of spikes must be an array of numbers"),
        (["abc", "d"], "got list of length 2"),
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
    array[-1, [0, -1]] = True  # a pair can't tell which neurons are silent
    steps, ranks = np.nonzero(array)
    order = list(range(len(steps)))
    random.shuffle(order)
    pair = steps[order] * 1.0, ranks[order]
    by_rank = {i: np.flatnonzero(train).tolist() for i, train in enumerate(array.T)}
    kept = array.copy(), pair[0].copy(), pair[1].copy(), str(by_rank)
    image = drawn(array)
    assert (image == drawn(by_rank)).all()
    assert (plot(image) == plot(drawn(pair))).all()  # whose axis is in ms
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
    """For any times and ranks, its tick has at least half of the ink."""
    times, ranks = (np.array(column) for column in zip(*spikes, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = plot(drawn((times, ranks), bins=bins))
    room = canvas.HEIGHT - 2 * spike_plot.TICK - canvas.LINE - 33
    neurons = int(ranks.max() - ranks.min()) + 1
    share = -(-neurons // room)
    rows = -(-neurons // share)
    height = found.shape[0] // rows
    bottoms = len(found) - 1 - (ranks - ranks.min()) // share * height
    end = times.max() + (times == np.floor(times)).all()
    places = times / (end or 1.0) * found.shape[1]
    ink = (GROUND - found.astype(float)).mean(axis=-1) / (GROUND - INK).mean()
    for row, place in zip(bottoms, places, strict=True):
        # The last column may hold fewer steps, so ticks may be slightly further left.
        near = slice(max(int(place * 0.5) - 2, 0), int(place) + 2)
        assert ink[row, near].max() > 0.49
    assert ((ink == 0) | (ink > 0.49)).all()


def test_any_whole_number_says_how_many_bins(logger: Logger) -> None:
    """NumPy integers are accepted; True is not."""
    logger.add_raster("raster", {0: [1]}, bins=np.int64(5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bins must be a whole number.*got True"):
        logger.add_raster("raster", {0: [1]}, bins=True)


def test_a_limit_beyond_all_times_is_refused(logger: Logger) -> None:
    """It does not overflow."""
    with pytest.raises(ValueError, match="start must be one finite number"):
        logger.add_raster("raster", {0: [1, 1e308]}, start=-1e308)
