"""Windows: several values that become one point."""

from __future__ import annotations

import math
import multiprocessing
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load, points, scalars
from hypothesis import given
from hypothesis import strategies as st

from annarchy_tb import Logger, Run, windows
from annarchy_tb.windows import Window


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        ("mean", [2.0, 5.0]),
        ("last", [3.0, 6.0]),
        ("min", [1.0, 4.0]),
        ("max", [3.0, 6.0]),
        ("sum", [6.0, 15.0]),
        (np.median, [2.0, 5.0]),
    ],
)
def test_every_so_many_values_are_one_point(
    logger: Logger, reduce: Any, expected: list[float]
) -> None:
    """Its step is that of the last value."""
    window = logger.window("Rate", every=3, reduce=reduce)
    for step, value in enumerate(
        [1, 3, 2, 4, 5, 6] if reduce != "last" else range(1, 7)
    ):
        window.add(value, step=step)
    assert scalars(logger.run_dir, "Rate") == [(2, expected[0]), (5, expected[1])]


def test_a_mean_is_weighted(logger: Logger) -> None:
    """A batch is weighted by its size."""
    with logger.window("Accuracy") as window:
        window.add(0.5, weight=30)
        window.add(1.0, weight=10)
    assert scalars(logger.run_dir, "Accuracy") == [(0, 0.625)]


def test_a_block_is_one_point_also_if_it_raises(logger: Logger) -> None:
    """The values before the error are logged, and the error propagates."""
    with pytest.raises(ZeroDivisionError), logger.window("Rate") as window:
        window.add(1.0, step=3)
        window.add(2.0, step=4)
        raise ZeroDivisionError
    assert scalars(logger.run_dir, "Rate") == [(4, 1.5)]


def test_an_empty_block_is_no_point(logger: Logger) -> None:
    """Without values, nothing is logged."""
    with logger.window("Rate") as window:
        pass
    assert len(window) == 0
    assert load(logger.run_dir) == []


def test_blocks_follow_each_other(logger: Logger) -> None:
    """One window serves all epochs, and steps continue automatically."""
    window = logger.window("Rate", every=2)
    for epoch in range(2):
        with window:
            for value in range(3):
                window.add(value + epoch)
    expected = [(0, 0.5), (1, 2.0), (2, 1.5), (3, 3.0)]
    assert scalars(logger.run_dir, "Rate") == expected


def test_what_is_left_is_logged_at_the_end(logdir: Path) -> None:
    """Closing the Logger logs all remaining values, even after an error."""
    with pytest.raises(KeyError), Logger(logdir, "run") as logger:
        window = logger.window("Rate", every=10)
        for value in range(14):
            window.add(value, step=value)
        assert len(window) == 4
        raise KeyError
    assert scalars(logger.run_dir, "Rate") == [(9, 4.5), (13, 11.5)]


def test_a_window_that_fails_at_the_end_does_not_keep_the_run_open(
    logdir: Path,
) -> None:
    """The run is closed, and the error reaches the user."""

    def broken(values: list[float]) -> float:
        raise OverflowError

    logger = Logger(logdir, "run")
    logger.window("Rate", reduce=broken).add(1.0)
    with pytest.raises(OverflowError):
        logger.close()
    with pytest.raises(ValueError, match="closed"):
        logger.add_scalar("Rate", 1.0)


def test_several_tags_are_one_event(logger: Logger) -> None:
    """A point of a window of several tags is a single record with all of them."""
    window = logger.window(("Rate", "Error"), every=2)
    window.add({"Rate": 1.0, "Error": 4.0}, step=0)
    window.add({"Error": 2.0, "Rate": 2.0}, step=7)
    rate, error = load(logger.run_dir)
    assert (rate.tag, float(rate.array), rate.step) == ("Rate", 1.5, 7)
    assert (error.tag, float(error.array), error.step) == ("Error", 3.0, 7)
    assert rate.time == error.time


def test_the_point_has_the_time_of_its_last_value(logdir: Path) -> None:
    """Simulated time goes with it, and counts the step where there is a dt."""
    with Logger(logdir, "run", dt=0.5) as logger, logger.window("Rate") as window:
        window.add(1.0, time=100.0)
        window.add(3.0, time=200.0)
    [point] = points(logger.run_dir, "Rate")
    assert point.step == 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("much",), r"window.add\('Rate'\): value must be one number, got 'much'"),
        (([1.0, 2.0],), "value must be one number, got list of length 2"),
        ((1.0, -1.0), "weight must be 0 or more, got -1.0"),
        ((1.0, math.nan), "weight must be 0 or more"),
        ((1.0, 1.0, 0.5), "step must be a whole number"),
        ((1.0, 1.0, 0, math.inf), "time must be finite"),
    ],
)
def test_what_is_refused_does_not_count(
    logger: Logger, arguments: tuple[Any, ...], message: str
) -> None:
    """The error names the call and the tag, and the other values are logged."""
    with logger.window("Rate") as window:
        window.add(1.0)
        with pytest.raises((TypeError, ValueError), match=message):
            window.add(*arguments)
        window.add(2.0)
    assert scalars(logger.run_dir, "Rate") == [(0, 1.5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "tag must not be empty"),
        ((7,), "tag must be a str or several, got 7"),
        ((("a", "a"),), "the tags must be distinct"),
        (("Rate", 0), "every must be a whole number from 1, got 0"),
        (("Rate", True), "every must be a whole number from 1, got True"),
        (("Rate", 2, ["mean"]), "reduce must be one of"),
        (("Rate", 2, "average"), "reduce must be one of 'mean', 'sum', 'last'"),
    ],
)
def test_a_window_that_can_not_be_is_refused(
    logger: Logger, arguments: tuple[Any, ...], message: str
) -> None:
    """It is refused at once, not at its first point."""
    with pytest.raises((TypeError, ValueError), match=message):
        logger.window(*arguments)


def test_only_a_mean_has_weights(logger: Logger) -> None:
    """A weight that would be ignored is refused."""
    with pytest.raises(ValueError, match="only a mean has weights"):
        logger.window("Rate", reduce="max").add(1.0, weight=2.0)


def test_each_tag_needs_a_value(logger: Logger) -> None:
    """A window of several tags takes one value for each."""
    window = logger.window(["Rate", "Error"])
    with pytest.raises(
        ValueError, match="each of 'Rate', 'Error' is needed, got 'Rate'"
    ):
        window.add({"Rate": 1.0})


def test_the_mean_is_that_of_numpy(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum of values times weights over the sum of weights."""
    found: list[float] = []

    def keep(_: Logger, method: str, tag: str, values: Any, *when: Any) -> None:
        found.append(values["Rate"])

    # The event file holds single precision only.
    monkeypatch.setattr(windows, "log_for", keep)

    @given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.0, 1e3)), min_size=1))
    def check(pairs: list[tuple[float, float]]) -> None:
        with logger.window("Rate") as window:
            for value, weight in pairs:
                window.add(value, weight)
        values, weights = np.array(pairs).T
        total = weights.sum()
        expected = (values * weights).sum() / total if total else math.nan
        tolerance = 1e-9 * (np.abs(values) * weights).sum() / total if total else 0
        assert found[-1] == pytest.approx(expected, abs=tolerance, nan_ok=True)

    check()


@pytest.mark.parametrize("reduce", ["min", "max", "sum", "last", "mean"])
@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_nan_stays_nan(logger: Logger, reduce: Any) -> None:
    """An average that hides a NaN would hide an error."""
    with logger.window("Rate", reduce=reduce) as window:
        for value in (1.0, math.nan) if reduce == "last" else (1.0, math.nan, 2.0):
            window.add(value)
    [(_, value)] = scalars(logger.run_dir, "Rate")
    assert math.isnan(value)


def test_a_forked_process_does_not_log_what_its_parent_holds(logdir: Path) -> None:
    """The parent logs its values, the child its own, and none appears twice."""

    def work(logger: Logger) -> None:
        with logger.window("Child") as window:
            window.add(7.0)
        logger.close()

    with Logger(logdir, "run") as logger:
        window = logger.window("Parent", every=2)
        window.add(1.0)
        child = multiprocessing.get_context("fork").Process(target=work, args=(logger,))
        child.start()
        child.join()
        window.add(3.0)
    assert scalars(logger.run_dir, "Parent") == [(0, 2.0)]
    assert scalars(logger.run_dir, "Child") == [(0, 7.0)]


def test_a_window_of_the_parent_takes_the_values_of_a_child(logdir: Path) -> None:
    """A forked process that keeps using a window logs all values it added itself."""

    def work(logger: Logger, window: Window) -> None:
        for value in (10.0, 20.0, 30.0):
            window.add(value)
        logger.close()

    with Logger(logdir, "run") as logger:
        window = logger.window("Rate", every=3)
        window.add(1.0)
        process = multiprocessing.get_context("fork").Process(
            target=work, args=(logger, window)
        )
        process.start()
        process.join()
        window.add(2.0)
    values = {value for _, value in scalars(logger.run_dir, "Rate")}
    assert values == {20.0, 1.5}


def test_a_window_of_a_closed_logger_takes_nothing(logger: Logger) -> None:
    """It raises, as every method of a closed Logger does."""
    window = logger.window("Rate")
    logger.close()
    with pytest.raises(ValueError, match="Logger is closed"):
        window.add(1.0)
    assert len(window) == 0


def test_one_window_that_fails_at_the_end_stops_no_other(logdir: Path) -> None:
    """The others are logged in order of creation; the run has failed."""

    def broken(values: list[float]) -> float:
        raise OverflowError("too much")

    logger = Logger(logdir, "run")
    for tag in ("a", "b"):
        logger.window(tag).add(1.0)
    logger.window("broken", reduce=broken).add(1.0)
    for tag in ("c", "d"):
        logger.window(tag).add(1.0)
    with pytest.raises(OverflowError, match="too much"):
        logger.close()
    assert [point.tag for point in load(logger.run_dir)] == ["a", "b", "c", "d"]
    assert Run(logger.run_dir).status == "failed"


def test_the_error_of_the_user_goes_before_that_of_a_window(logdir: Path) -> None:
    """The first error is the one raised."""

    def broken(values: list[float]) -> float:
        raise OverflowError

    with pytest.raises(KeyError), Logger(logdir, "run") as logger:
        logger.window("broken", reduce=broken).add(1.0)
        raise KeyError


def test_a_tag_of_another_kind_is_refused_at_once(logger: Logger) -> None:
    """It is refused before there are values that it can't take."""
    logger.add_histogram("Rate", [1.0, 2.0])
    with pytest.raises(ValueError, match=r"window\('Rate'\): the tag already holds"):
        logger.window("Rate")


def test_a_warning_names_the_window(logger: Logger) -> None:
    """It names the call that the user made, and its tag."""
    logger.add_scalar("Rate", 1.0, 10)
    with (
        pytest.warns(UserWarning, match=r"window.add\('Rate'\): step 3 comes after"),
        logger.window("Rate") as window,
    ):
        window.add(1.0, step=3)


def test_a_step_that_does_not_fit_is_refused_with_its_value(logdir: Path) -> None:
    """This includes steps computed from time; the values before it are logged."""
    with Logger(logdir, "run", dt=0.1) as logger:
        window = logger.window("Rate", every=2)
        window.add(1.0)
        with pytest.raises(ValueError, match="time must be less than"):
            window.add(2.0, time=1e300)
    assert scalars(logger.run_dir, "Rate") == [(0, 1.0)]


def test_a_number_of_numpy_will_do(logger: Logger) -> None:
    """An index of any integer type gives the number of values per point."""
    window = logger.window("Rate", every=np.int64(2))  # type: ignore[arg-type]
    window.add(1.0)
    window.add(2.0)
    assert scalars(logger.run_dir, "Rate") == [(0, 1.5)]


def test_a_window_keeps_its_values_if_its_point_is_refused(logger: Logger) -> None:
    """A warning that is an error refuses the point; it is logged at the next try."""
    logger.add_scalar("Rate", 9.0, 10)
    window = logger.window("Rate")
    window.add(1.0, step=3)
    window.add(2.0, step=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="step 3 comes after step 10"):
            window.flush()
    assert len(window) == 2
    window.add(3.0, step=11)
    window.flush()
    assert scalars(logger.run_dir, "Rate") == [(10, 9.0), (11, 2.0)]


@pytest.mark.parametrize("reduce", ["mean", "last", max])
def test_a_value_whose_point_is_refused_does_not_count(
    reduce: Any, logger: Logger
) -> None:
    """The values before it do, and the next one completes the point."""
    logger.add_scalar("Rate", 9.0, 10)
    window = logger.window("Rate", every=2, reduce=reduce)
    window.add(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="step 3 comes after step 10"):
            window.add(5.0, step=3)
    assert len(window) == 1
    window.add(3.0)
    expected = 2.0 if reduce == "mean" else 3.0
    assert scalars(logger.run_dir, "Rate") == [(10, 9.0), (11, expected)]
