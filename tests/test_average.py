from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal

from annarchy_tb import Logger, SummaryWriter, find_runs
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading import Averages
from annarchy_tb.reading.average import average, curve


def a_run(logdir: Path, points: dict[int, float], **params: Any) -> None:
    with Logger(logdir, on_nan="ignore") as logger:
        logger.add_parameters(params)
        for step, value in points.items():
            logger.add_scalar("Rate", value, step)


@pytest.fixture
def repeated(tmp_path: Path) -> Path:
    """Return runs of other lengths and steps, with two values of tau."""
    a_run(tmp_path, {0: 0.0, 10: 10.0}, tau=5, seed=1)
    a_run(tmp_path, {0: 2.0, 5: 7.0, 20: 4.0}, tau=5.0, seed=2)
    a_run(tmp_path, {1: 1.0, 2: 4.0}, tau=1.5, seed=1)
    return tmp_path


def test_curves_are_averaged_for_each_value(repeated: Path) -> None:
    """Places are those of all runs; a run does not count outside of its range."""
    averages = find_runs(repeated).mean("Rate", by="tau")
    assert [one.value for one in averages] == [1.5, 5]
    single, double = averages
    assert single.places.tolist() == [1, 2]
    assert single.mean.tolist() == [1, 4]
    assert np.isnan(single.std).all()
    assert single.runs.tolist() == [1, 1]
    assert double.places.tolist() == [0, 5, 10, 20]
    assert double.mean.tolist() == [1, 6, 8, 4]
    assert_allclose(double.std[:3], np.sqrt([2, 2, 8]))
    assert np.isnan(double.std[3])
    assert double.runs.tolist() == [2, 2, 2, 1]
    assert double.runs.dtype == np.int64


def test_all_runs_are_averaged_without_a_parameter(repeated: Path) -> None:
    """There is one average, with the value None."""
    [one] = find_runs(repeated).mean("Rate")
    assert one.value is None
    assert one.places.tolist() == [0, 1, 2, 5, 10, 20]
    assert one.runs.tolist() == [2, 3, 3, 2, 2, 1]


def test_a_value_may_hold_until_the_next(repeated: Path) -> None:
    """Of the kind previous, a run has the value of the point before."""
    [one] = find_runs(repeated).where("tau == 5").mean("Rate", kind="previous")
    assert one.mean.tolist() == [1, 3.5, 8.5, 4]
    assert one.runs.tolist() == [2, 2, 2, 1]


def plainly(
    curves: list[tuple[list[float], list[float]]], places: np.ndarray, kind: str
) -> np.ndarray:
    """Return the values of all curves at all places, one by one."""
    found = np.full((len(curves), len(places)), np.nan)
    for row, (own, values) in enumerate(curves):
        for column, place in enumerate(places):
            if own[0] <= place <= own[-1]:
                before = max(i for i, its in enumerate(own) if its <= place)
                found[row, column] = values[before]
                if kind == "linear" and own[before] != place:
                    part = (place - own[before]) / (own[before + 1] - own[before])
                    step = values[before + 1] - values[before]
                    found[row, column] += part * step
    return found


def a_curve() -> st.SearchStrategy[tuple[list[float], list[float]]]:
    number = st.floats(-1e6, 1e6)
    points = st.dictionaries(st.integers(-50, 50), number | st.just(np.nan), min_size=1)
    return points.map(
        lambda its: ([float(at) for at in sorted(its)], [its[at] for at in sorted(its)])
    )


@given(
    st.lists(a_curve(), min_size=1, max_size=6), st.sampled_from(["linear", "previous"])
)
def test_the_mean_is_that_of_numpy(
    curves: list[tuple[list[float], list[float]]], kind: str
) -> None:
    """Mean, deviation and number are those of a plain table of all runs."""
    found = average(1, [(np.array(x), np.array(y)) for x, y in curves], kind)
    assert_array_equal(found.places, sorted({at for own, _ in curves for at in own}))
    table = plainly(curves, found.places, kind)
    assert_array_equal(found.runs, np.isfinite(table).sum(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns of NaN
        assert_allclose(found.mean, np.nanmean(table, axis=0), rtol=1e-9, atol=1e-6)
        std = np.nanstd(table, axis=0, ddof=1)
    assert_allclose(found.std, std, rtol=1e-6, atol=1e-3)


@given(
    arrays.arrays(np.int64, st.integers(1, 30), elements=st.integers(-9, 9)),
    st.randoms(use_true_random=False),
)
def test_the_last_point_of_a_place_counts(steps: np.ndarray, random: Any) -> None:
    """Places are in order, in whatever order the points were written."""
    values = np.array([random.random() for _ in steps])
    nothing = np.full(len(steps), np.nan)
    places, its = curve(Scalars(steps, values, nothing, nothing), "step", None)
    last = dict(zip(steps.tolist(), values.tolist(), strict=True))
    assert places.tolist() == sorted(last)
    assert its.tolist() == [last[at] for at in sorted(last)]


def test_equal_runs_deviate_by_nothing() -> None:
    """Not even by a rounding error."""
    one = (np.arange(3.0), np.array([0.1, 1e17, -0.3]))
    found = average(None, [one] * 7, "linear")
    assert_array_equal(found.mean, one[1])
    assert_array_equal(found.std, 0)


def test_very_many_places_become_a_grid() -> None:
    """Beyond 10,000 places there are 1000, evenly from the first to the last."""
    steps = np.arange(10_000.0)
    assert len(average(1, [(steps, steps)], "linear").places) == 10_000
    steps = np.append(steps, 20_000)
    found = average(1, [(steps, steps)], "linear")
    assert len(found.places) == 1000
    assert_allclose(found.places, np.linspace(0, 20_000, 1000))
    assert_allclose(found.mean, found.places)


def test_nan_does_not_count(tmp_path: Path) -> None:
    """Neither do infinities, nor what lies between these and their neighbours."""
    a_run(tmp_path, {0: 1.0, 10: np.nan, 20: 1.0, 30: 1.0}, seed=1)
    a_run(tmp_path, {0: 3.0, 5: 3.0, 30: 3.0}, seed=2)
    a_run(tmp_path, {0: 5.0, 30: np.inf}, seed=3)
    with pytest.warns(UserWarning, match="2 of 3 runs have values that are NaN"):
        [one] = find_runs(tmp_path).mean("Rate")
    assert one.places.tolist() == [0, 5, 10, 20, 30]
    assert one.runs.tolist() == [3, 1, 1, 2, 2]
    assert one.mean.tolist() == [3, 3, 3, 2, 2]


def test_a_place_where_no_run_counts_has_no_mean(tmp_path: Path) -> None:
    """It is NaN, and the number says 0."""
    a_run(tmp_path, {0: 1.0, 1: np.nan})
    with pytest.warns(UserWarning, match="1 of 1 runs have values"):
        [one] = find_runs(tmp_path).mean("Rate")
    assert one.runs.tolist() == [1, 0]
    assert_array_equal(one.mean, [1, np.nan])


def test_runs_that_lack_something_are_left_out(repeated: Path) -> None:
    """One warning counts them, at the caller's line."""
    a_run(repeated, {}, tau=5)
    a_run(repeated, {0: 1.0})
    with pytest.warns(UserWarning, match="left out") as caught:
        averages = find_runs(repeated).mean("Rate", by="tau")
    assert [one.runs.max() for one in averages] == [1, 2]
    [warning] = caught
    assert warning.filename == __file__
    assert str(warning.message) == (
        "mean('Rate'): 2 of 5 runs are left out: no 'tau' (1), no points of 'Rate' (1)"
    )


def test_values_of_any_type_group(tmp_path: Path) -> None:
    """Numbers come first, then texts, then None; True is not 1."""
    for value in ("x", None, 1, True, 1.0):
        a_run(tmp_path, {0: 1.0}, p=value)
    runs = find_runs(tmp_path)
    averages = runs.mean("Rate", by="p")
    assert [(repr(one.value), int(one.runs[0])) for one in averages] == [
        *(("1.0", 2), ("True", 1), ("'x'", 1), ("None", 1))
    ]
    assert [one.value for one in runs.mean("Rate", by="status")] == ["finished"]


def test_places_may_be_times(tmp_path: Path) -> None:
    """Simulated ones, or seconds since the start of each run."""
    for seed in (1, 2):
        with Logger(tmp_path, time_unit="ms") as logger:
            logger.add_parameters({"seed": seed})
            for step in range(3):
                logger.add_scalar("Rate", seed * step, step, time=step * 10.0 * seed)
            logger.add_scalar("Count", 1.0)
    runs = find_runs(tmp_path)
    averages = runs.mean("Rate", axis="time")
    [one] = averages
    assert averages.axis_unit == "ms"
    assert one.places.tolist() == [0, 10, 20, 40]
    assert one.mean.tolist() == [0, 1, 2, 4]
    averages = runs.mean("Rate", axis="wall_time", by="seed")
    assert averages.axis_unit == "s"
    assert all((one.places >= 0).all() for one in averages)
    assert all((one.places < 600).all() for one in averages)
    with pytest.raises(KeyError, match=r"no simulated times \(2\)"):
        runs.mean("Count", axis="time")


def test_times_of_several_units_are_refused(tmp_path: Path) -> None:
    """They are never averaged in silence; steps can be."""
    for unit in ("ms", "s"):
        with Logger(tmp_path, time_unit=unit) as logger:
            logger.add_scalar("Rate", 1.0, time=1.0)
    runs = find_runs(tmp_path)
    with pytest.raises(ValueError, match="the runs have times in 'ms' and 's'"):
        runs.mean("Rate", axis="time")
    assert len(runs.mean("Rate")) == 1


def test_units_are_kept(tmp_path: Path, pyplot: Any) -> None:
    """Those of values and parameters are in the labels; different ones are refused."""
    pint = pytest.importorskip("pint", reason="needs annarchy-tb[test]")
    quantity = pint.UnitRegistry().Quantity
    for unit in ("millivolt", "volt"):
        with Logger(tmp_path / unit) as logger:
            logger.add_parameters({"tau": quantity(10.0, "ms")})
            logger.add_scalar("v", quantity(1.0, unit))
    averages = find_runs(tmp_path / "volt").mean("v", by="tau")
    assert (averages.by, averages.unit, averages.axis_unit) == ("tau [ms]", "V", None)
    axes = averages.plot()
    assert axes.get_ylabel() == "v [V]"
    assert axes.get_legend().get_texts()[0].get_text() == "tau [ms] = 10 (1 run)"
    with pytest.raises(ValueError, match="the runs have values in 'V' and 'mV'"):
        find_runs(tmp_path).mean("v")


def test_curves_of_a_plot_are_averaged(tmp_path: Path) -> None:
    """By their names; without one, the error lists them."""
    for seed in (1, 3):
        with Logger(tmp_path) as logger:
            logger.add_scalars("plot", {"E": seed, "I": -seed}, 0)
    runs = find_runs(tmp_path)
    [one] = runs.mean("plot", curve="I")
    assert (one.mean.tolist(), one.runs.tolist()) == ([-2.0], [2])
    with pytest.raises(KeyError, match="several curves: pass curve='E' or curve='I'"):
        runs.mean("plot")


def test_series_and_runs_of_other_writers_are_averaged(tmp_path: Path) -> None:
    """Series have types of their own, such as bools."""
    with Logger(tmp_path / "ours") as logger:
        logger.add_series("Rate", np.array([True, False]))
    with SummaryWriter(tmp_path / "theirs") as writer:
        writer.add_scalar("Rate", 3.0, 0)
    [one] = find_runs(tmp_path).mean("Rate")
    assert (one.mean.tolist(), one.runs.tolist()) == ([2.0, 0.0], [2, 1])
    [one] = find_runs(tmp_path).mean("Rate", axis="wall_time")
    assert one.runs.max() >= 1


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("Rat",), KeyError, r"mean\('Rat'\): no run has such a curve: .*'Rate'"),
        (("Rate", "taau"), ValueError, "mean: no run has 'taau'; did you mean tau"),
        (("Rate", "tau", "steps"), ValueError, "axis must be one of 'step', 'time', "),
        (("Rate", "tau", "step", "cubic"), ValueError, "kind must be one of 'linear'"),
        (("Rate", None, "step", "linear", "E"), KeyError, "no run has such a curve"),
        ((5,), TypeError, "mean: tag must be a str, got 5"),
        (("Rate", 5), TypeError, "mean: the name must be a str, got 5"),
    ],
)
def test_what_cannot_be_averaged_is_an_error(
    repeated: Path, arguments: Any, error: type[Exception], said: str
) -> None:
    """It says what there is."""
    with pytest.raises(error, match=said):
        find_runs(repeated).mean(*arguments)


def test_runs_that_vanish_stop_nothing(repeated: Path) -> None:
    """They are left out, and counted."""
    runs = find_runs(repeated)
    shutil.rmtree(runs[0].path)
    with pytest.warns(UserWarning, match="1 of 3 runs are left out: no points"):
        [one] = runs.mean("Rate")
    assert one.runs.max() == 2
    with pytest.warns(UserWarning, match=r"1 of 3 runs can't be decided.*no tau \(1\)"):
        assert len(runs.where("tau == 5")) == 2
    for run in runs[1:]:
        shutil.rmtree(run.path)
    with pytest.raises(KeyError, match="no run has such a curve"):
        runs.mean("Rate")
    with pytest.raises(KeyError, match="there are no runs"):
        runs[:0].mean("Rate")


def test_averages_are_pickled(repeated: Path) -> None:
    """They come back whole, as Runs do."""
    runs = find_runs(repeated)
    averages = runs.mean("Rate", by="tau")
    again = pickle.loads(pickle.dumps(averages))
    assert type(again) is Averages
    assert (again.tag, again.by, again.axis, again.kind) == (
        "Rate",
        "tau",
        "step",
        "linear",
    )
    for one, other in zip(averages, again, strict=True):
        for its, others in zip(one, other, strict=True):
            assert_array_equal(its, others)
    assert pickle.loads(pickle.dumps(runs)).logdir == runs.logdir


def test_averages_become_a_table(repeated: Path) -> None:
    """There is a row for each place of each average."""
    pytest.importorskip("pandas", reason="needs annarchy-tb[pandas]")
    table = find_runs(repeated).mean("Rate", by="tau").to_pandas()
    assert list(table.columns) == ["value", "place", "mean", "std", "runs"]
    assert table["value"].tolist() == [1.5] * 2 + [5] * 4
    assert table["runs"].tolist() == [1, 1, 2, 2, 2, 1]


@pytest.fixture
def pyplot() -> Iterator[Any]:
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    yield pyplot
    for number in set(pyplot.get_fignums()) - set(before):
        pyplot.close(number)


def test_averages_are_drawn(repeated: Path, pyplot: Any) -> None:
    """A line and a band for each, with labels, in a new figure or in given axes."""
    averages = find_runs(repeated).mean("Rate", by="tau")
    axes = averages.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["tau = 1.5 (1 run)", "tau = 5 (1-2 runs)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "Rate")
    _, line = axes.get_lines()
    assert_array_equal(
        line.get_xydata(), np.transpose([averages[1].places, averages[1].mean])
    )
    band = axes.collections[1].get_paths()[0].vertices
    assert_allclose(band[:, 1].max(), 8 + np.sqrt(8))
    assert averages.plot(axes) is axes
    assert len(axes.get_lines()) == 4
    axes.figure.canvas.draw()


def test_any_name_can_be_drawn(tmp_path: Path, pyplot: Any) -> None:
    """Dollars are no formulas, and a single point is seen."""
    with Logger(tmp_path, time_unit="ms") as logger:
        logger.add_parameters({"_$x$": "$\\frac"})
        logger.add_scalar("$cost{", 1.0, time=1.0)
    axes = find_runs(tmp_path).mean("$cost{", "_$x$", "time", "previous").plot()
    axes.figure.canvas.draw()
    assert axes.get_xlabel() == "time [ms]"
    assert axes.get_lines()[0].get_marker() == "o"
    assert len(axes.get_legend().get_texts()) == 1
