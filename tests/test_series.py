from __future__ import annotations

import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load, points, scalars
from hypothesis import given
from hypothesis import strategies as st

from annarchy_tb import Logger
from annarchy_tb.inputs.clock import MAX_STEP


def test_steps_count_on(logger: Logger) -> None:
    """A series continues from the tag's last step, and later points from the series."""
    logger.add_scalar("a", 0.0, 9)
    logger.add_series("a", [1.0, 2.0, 3.0])
    logger.add_scalar("a", 4.0)
    logger.add_series("b", np.arange(300))
    assert scalars(logger.run_dir, "a") == [(9, 0), (10, 1), (11, 2), (12, 3), (13, 4)]
    assert scalars(logger.run_dir, "b") == [(i, i) for i in range(300)]


def test_steps_count_on_in_a_reused_run(logdir: Path) -> None:
    """Steps of an earlier Logger count for series, too."""
    for _ in range(2):
        with Logger(logdir, "run", mode="a") as logger:
            logger.add_series("a", [1, 2])
            logger.add_series(["b", "c"], [[1, 2], [3, 4]])
    assert [step for step, _ in scalars(logdir / "run", "a")] == [0, 1, 2, 3]
    assert [step for step, _ in scalars(logdir / "run", "c")] == [0, 1, 2, 3]


def test_given_steps_are_kept(logger: Logger) -> None:
    """Floats within 1e-6 of whole numbers are accepted."""
    logger.add_series("a", [1, 2], [5, 7])
    logger.add_series("a", [3, 4], [8.0, 9.9999999])
    logger.add_series("a", [5], np.array([2**63 - 1], np.uint64))
    found = [step for step, _ in scalars(logger.run_dir, "a")]
    assert found == [5, 7, 8, 10, 2**63 - 1]


def test_several_columns_are_several_tags(logger: Logger) -> None:
    """An (N, K) array is one event per row, with K tags."""
    values = np.arange(12).reshape(4, 3)
    logger.add_series(["a", "b", "c"], values, [1, 2, 3, 4])
    logger.log({"a": 20, "b": 21})
    logger.add_scalar("c", 22)
    for column, tag in enumerate("abc"):
        wanted = [(i + 1, float(values[i, column])) for i in range(4)]
        assert scalars(logger.run_dir, tag) == [*wanted, (5, 20.0 + column)]


def test_times_are_drawn_from_the_start(logdir: Path) -> None:
    """Simulated times become wall times and, with dt=, steps as well."""
    with Logger(logdir, "run", dt=0.5) as logger:
        logger.add_series("a", [1, 2, 3], times=[0.0, 100.0, 250.5])
        logger.add_series("b", [1, 2], [7, 8], times=[1.0, 2.0])
    found = points(logdir / "run", "a")
    assert [point.step for point in found] == [0, 200, 501]
    past = [point.time - logger._run.started for point in found]
    assert past == pytest.approx([0, 0.1, 0.2505], abs=1e-6)
    assert [point.step for point in points(logdir / "run", "b")] == [7, 8]


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "longdouble", "i1", "u8", "?", "O"]
)
def test_any_real_type_is_a_series(logger: Logger, dtype: str) -> None:
    """Values of every type come back as in single precision."""
    values = np.array([0, 1, 1], dtype)
    logger.add_series("a", values)
    assert scalars(logger.run_dir, "a") == [(0, 0), (1, 1), (2, 1)]


def test_lists_and_decimals_are_series_too(logger: Logger) -> None:
    """Everything that NumPy makes an array of numbers is accepted."""
    logger.add_series("a", [decimal.Decimal(1), 2])
    assert scalars(logger.run_dir, "a") == [(0, 1), (1, 2)]


@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_nan_and_infinity_are_kept(logger: Logger) -> None:
    """A gap in a recording stays a gap."""
    logger.add_series("a", [1.0, np.nan, np.inf])
    np.testing.assert_equal(
        [value for _, value in scalars(logger.run_dir, "a")], [1, np.nan, np.inf]
    )


def test_what_single_precision_cannot_hold_is_told(logger: Logger) -> None:
    """There is one warning per tag, and TensorBoard gets infinity."""
    with pytest.warns(UserWarning, match=r"add_series\('a'\): 1e\+300 is beyond"):
        logger.add_series("a", [1.0, 1e300])
    assert scalars(logger.run_dir, "a") == [(0, 1), (1, np.inf)]


@pytest.mark.parametrize(
    "values", [[], np.zeros(0), np.zeros((0, 2)), np.zeros((3, 0))]
)
def test_an_empty_series_is_fine(logger: Logger, values: Any) -> None:
    """Nothing is written, and the tags remain free."""
    shape = np.shape(values)
    tags: Any = "a" if len(shape) == 1 else ["a", "b"][: shape[1]]
    logger.add_series(tags, values)
    logger.add_text("a", "text")


@pytest.mark.parametrize(("given", "warned"), [([5, 4], 4), ([3, 4], 3), ([6, 6], 6)])
def test_steps_that_do_not_increase_warn_once(
    logger: Logger, given: list[int], warned: int
) -> None:
    """This holds within the series, and against the tag's earlier steps."""
    logger.add_scalar("a", 1, 4 if given[0] > 4 else 5)
    with pytest.warns(
        UserWarning, match=rf"add_series\('a'\): step {warned} "
    ) as caught:
        logger.add_series("a", [1, 2], given)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a", [[1, 2]]), ValueError, r"shape \(N,\) for one tag, got \(1, 2\)"),
        ((["a", "b"], [1, 2]), ValueError, r"shape \(N, 2\), got \(2,\)"),
        ((["a", "b"], [[1, 2, 3]]), ValueError, r"shape \(N, 2\), got \(1, 3\)"),
        ((["a", "a"], [[1, 2]]), ValueError, "distinct"),
        (("a", [1, 2], [1]), ValueError, "must have the length of values, 2, got 1"),
        (("a", [1, 2], [1, 2.5]), ValueError, "steps? must be .*whole.*got"),
        (("a", [1, 2], [1, 1e30]), ValueError, "64 bits"),
        (("a", [1, 2], ["x", "y"]), TypeError, "steps must be an array of numbers"),
        (("a", [1, 2], [1, np.nan]), ValueError, "steps must be finite"),
        (("a", ["x"]), TypeError, "values must be an array of numbers"),
        (("a", [[1], [2, 3]]), TypeError, "values must be an array of numbers"),
        (("a", None), TypeError, "values must be an array of numbers, got None"),
        (("a", [1j]), TypeError, "values must be an array of numbers"),
        (("", [1]), ValueError, "tag must not be empty"),
        ((["a", 3], [[1, 2]]), TypeError, "tag must be a str"),
        ((3, [1]), TypeError, "tag must be a str"),
    ],
)
def test_what_is_no_series_is_refused(
    logger: Logger, arguments: Any, error: type[Exception], message: str
) -> None:
    """The error names the method and the problem; nothing is written."""
    with pytest.raises(error, match=rf"^add_series.*{message}"):
        logger.add_series(*arguments)
    assert not load(logger.run_dir)
    logger.add_text("a", "the tag is still free")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1.0], "times must have the length of values"),
        ([1.0, np.inf], "times must be finite"),
    ],
)
def test_what_are_no_times_is_refused(
    logger: Logger, times: list[float], message: str
) -> None:
    """Simulated times must be finite, and one per value."""
    with pytest.raises(ValueError, match=rf"^add_series\('a'\): {message}"):
        logger.add_series("a", [1, 2], times=times)


def test_counting_on_does_not_wrap_round(logger: Logger) -> None:
    """A series that would leave the range of steps is refused as a whole."""
    logger.add_scalar("a", 1, MAX_STEP - 1)
    with pytest.raises(ValueError, match="64 bits"):
        logger.add_series("a", [1, 2])
    logger.add_series("a", [1])
    assert [step for step, _ in scalars(logger.run_dir, "a")] == [
        MAX_STEP - 1,
        MAX_STEP,
    ]


def test_a_long_series_needs_little_memory(logger: Logger) -> None:
    """A million points take at most 32 MB beyond the input."""
    import tracemalloc

    values = np.random.default_rng(0).normal(size=1_000_000)
    tracemalloc.start()
    logger.add_series("a", values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 32e6


def test_several_tags_count_on_in_a_reused_run(logdir: Path) -> None:
    """This holds even if only some of the tags are new."""
    with Logger(logdir, "run") as logger:
        for i in range(8):
            logger.log({"a": i, "c": i})
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_series(["a", "c", "b"], np.full((2, 3), 100.0))
        logger.log({"b": 1, "a": 2})
    assert [step for step, _ in scalars(logdir / "run", "a")] == [*range(8), 8, 9, 10]
    assert [step for step, _ in scalars(logdir / "run", "b")] == [8, 9, 10]


@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_masked_values_are_gaps(logger: Logger) -> None:
    """Masked values are NaN, never the numbers under the mask."""
    logger.add_series("a", np.ma.masked_array([1.0, 999.0], [False, True]))
    np.testing.assert_equal(
        [value for _, value in scalars(logger.run_dir, "a")], [1, np.nan]
    )


calls = st.lists(
    st.tuples(
        st.sampled_from(["scalar", "log", "series", "reopen"]),
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True),
        st.none() | st.integers(0, 3),
    ),
    max_size=15,
)


@given(calls)
def test_steps_of_any_mixture_are_what_the_rule_says(
    tmp_path_factory: Any, said: list[tuple[str, list[str], int | None]]
) -> None:
    """Single points, events, tables and reopened runs agree on a tag's last step."""
    logdir = tmp_path_factory.mktemp("runs")
    last: dict[str, int] = {}
    wanted: dict[str, list[int]] = {}
    logger = Logger(logdir, "run")
    for method, tags, ahead in said:
        tags = tags[:1] if method == "scalar" else tags
        step = max((last.get(tag, -1) for tag in tags), default=-1) + 1 + (ahead or 0)
        given_step = None if ahead is None else step
        number = 1
        if method == "scalar":
            logger.add_scalar(tags[0], 1, given_step)
        elif method == "log":
            logger.log(dict.fromkeys(tags, 1), given_step)
        elif method == "series":
            number = 2
            steps = None if ahead is None else [step, step + 1]
            logger.add_series(tags, np.zeros((2, len(tags))), steps)
        else:
            logger.close()
            logger = Logger(logdir, "run", mode="a")
            continue
        for tag in tags:
            wanted.setdefault(tag, []).extend(range(step, step + number))
            last[tag] = step + number - 1
    logger.close()
    for tag, found in wanted.items():
        assert [at for at, _ in scalars(logdir / "run", tag)] == found
