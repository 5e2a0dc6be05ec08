from __future__ import annotations

import decimal
import sys
import warnings
from types import FrameType
from typing import Any

import numpy as np
import pytest
from conftest import Synapses, points
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from annarchy_tb import Logger
from annarchy_tb.kinds import histogram as histograms

finite = st.floats(-1.7e308, 1.7e308)


def counted(values: np.ndarray) -> histograms.Buckets:
    """Return the buckets of finite values."""
    buckets, remarks = histograms.count([histograms.Values(values)])
    assert buckets is not None
    assert not remarks
    return buckets


def edges(buckets: histograms.Buckets) -> np.ndarray:
    """Return all edges of the buckets, including the left one."""
    return np.concatenate([[buckets.min], buckets.limits])


@given(
    hnp.arrays(np.float64, st.integers(1, 300), elements=finite)
    | hnp.arrays(
        np.float32,
        st.integers(1, 300),
        elements=st.floats(-(2.0**127), 2.0**127, width=32),
    )
    | hnp.arrays(np.int64, st.integers(1, 300))
    | hnp.arrays(np.uint64, st.integers(1, 300))
    | hnp.arrays(np.bool_, st.integers(1, 300))
)
def test_every_value_is_counted_in_its_bucket(values: np.ndarray) -> None:
    """Counts sum to the number of values, each counted between its edges.

    A value within rounding error of an edge may be counted on its other side.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        buckets = counted(values)
    assert buckets.counts.sum() == buckets.num == len(values)
    assert (np.diff(edges(buckets)) >= 0).all()
    assert len(buckets.limits) == len(buckets.counts) <= 64
    assert buckets.counts[0] > 0
    assert buckets.counts[-1] > 0
    precision = 1e-6 if values.dtype == np.float32 else 1e-14
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    slack = precision * (high / 4 - low / 4) + 4 * np.spacing(max(abs(low), abs(high)))
    for right, below in zip(buckets.limits, np.cumsum(buckets.counts), strict=True):
        assert (
            np.sum(values < right - slack) <= below <= np.sum(values <= right + slack)
        )


def test_buckets_have_equal_width() -> None:
    """A membrane potential spreads over 64 buckets between its extremes."""
    values = np.random.default_rng(0).normal(-65, 2, 100_000)
    buckets = counted(values)
    counts, _ = np.histogram(values, 64)
    full = edges(buckets)
    assert (full[0], full[-1]) == (values.min(), values.max())
    width = (values.max() - values.min()) / 64
    assert np.diff(full).min() == pytest.approx(width)
    assert buckets.counts[counts.argmax() - 5] > 0
    assert abs(buckets.counts.max() - counts.max()) <= 2
    assert buckets.sum == pytest.approx(values.sum())
    assert buckets.sum_squares == pytest.approx((values**2).sum())


def test_an_inner_run_of_empty_buckets_becomes_one() -> None:
    """It ends where the next filled one begins."""
    buckets = counted(np.array([0.0, 0.0, 32.0, 64.0]))
    assert buckets.counts.tolist() == [2, 0, 1, 0, 1]
    assert edges(buckets).tolist() == [0, 1, 32, 33, 63, 64]


@pytest.mark.parametrize("value", [3.0, -65.0, 1e300, 7])
def test_a_constant_fills_one_bucket_around_it(value: float) -> None:
    """The bucket extends half a percent to each side."""
    buckets = counted(np.array([value] * 5))
    assert buckets.counts.tolist() == [5]
    assert edges(buckets) == pytest.approx(
        [value - 0.005 * abs(value), value + 0.005 * abs(value)]
    )


def test_zeros_fill_one_bucket_of_no_width() -> None:
    """If all values are zero, the bucket is from 0 to 0."""
    assert edges(counted(np.zeros(3))).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("hist", "number"),
    [
        (np.zeros((3, 4, 5)), 60),
        ([[1.0, 2.0], [3.0], []], 3),  # proj.w of a sparse projection
        (0.5, 1),  # proj.w where it is constant
        (np.array([np.arange(3), np.arange(2)], dtype=object), 5),
        ([[1, [2, 3]], 4], 4),
        ({0: [1, 5], 3: [], 7: [2]}, 3),  # m.get("spike")
        (range(5), 5),
        ({1, 2}, 2),
        ((i for i in range(4)), 4),
        ([decimal.Decimal(1), 2], 2),
        ([True, False], 2),
        ([np.zeros((2, 2)), np.zeros((2, 3))], 10),
        (np.float32(1), 1),
    ],
)
def test_any_nesting_is_flattened(logger: Logger, hist: object, number: int) -> None:
    """Every structure that a simulator returns is counted value by value."""
    logger.add_histogram("w", hist)
    [point] = points(logger.run_dir, "w")
    assert point.array[:, 2].sum() == number
    assert point.plugin == "histograms"


def test_nan_and_infinity_are_dropped_with_one_warning(logger: Logger) -> None:
    """The finite values are shown."""
    with pytest.warns(UserWarning, match=r"add_histogram\('w'\): NaN") as caught:
        logger.add_histogram("w", [np.nan, 1.0, np.inf])
        logger.add_histogram("w", [np.nan, 1.0, np.inf])
    assert [warning.filename for warning in caught] == [__file__]
    assert [point.array[:, 2].sum() for point in points(logger.run_dir, "w")] == [1, 1]


@pytest.mark.parametrize("hist", [[], np.zeros((0, 3)), [[], []], {}])
def test_nothing_left_is_one_warning_and_no_record(
    logger: Logger, hist: object
) -> None:
    """An empty histogram gives a warning, no record, and uses no step."""
    with pytest.warns(UserWarning, match="nothing is written") as caught:
        logger.add_histogram("w", hist)
        logger.add_histogram("w", hist)
    assert len(caught) == 1
    logger.add_histogram("w", [1])
    assert [point.step for point in points(logger.run_dir, "w")] == [0]


def test_what_a_double_cannot_hold_is_dropped(logger: Logger) -> None:
    """Extended-precision values too large for a double count as infinite."""
    with pytest.warns(UserWarning, match="dropped"):
        logger.add_histogram("w", np.array(["1e400", "1"], np.longdouble))
    assert points(logger.run_dir, "w")[0].array[:, 2].sum() == 1


@pytest.mark.parametrize(
    "hist",
    [
        "text",
        [1, "text"],
        None,
        [1, None],
        1j,
        [object()],
        np.array(["a"]),
        Synapses(),
    ],
)
def test_what_is_no_number_is_refused(logger: Logger, hist: object) -> None:
    """The error names the method, the tag and what came."""
    with pytest.raises(
        TypeError, match=r"^add_histogram\('w'\): hist must hold numbers"
    ):
        logger.add_histogram("w", hist)


def test_no_threads_of_other_packages_are_woken(logger: Logger) -> None:
    """The sums are NumPy's own: BLAS would wait for its threads on a busy machine."""
    called = set()

    def profile(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call":
            called.add(function.__name__)

    values = np.random.default_rng(0).normal(size=100_000)
    sys.setprofile(profile)
    try:
        logger.add_histogram("h", values)
    finally:
        sys.setprofile(None)
    assert "reduce" in called
    assert not called & {"dot", "vdot", "inner", "matmul", "tensordot"}


def test_a_large_array_of_a_list_is_counted_with_the_others(logger: Logger) -> None:
    """Large arrays are counted in blocks, small ones are joined first."""
    large = np.arange(50_000, dtype=np.int16)[::-1]
    logger.add_histogram("h", [[1, 2], large, [[large[:3]], 5.5], large.astype("f4")])
    logger.add_histogram("half", [np.full(20_000, 0.5, np.float16), np.float32(0.25)])
    assert points(logger.run_dir, "h")[0].array[:, 2].sum() == 100_006
    assert points(logger.run_dir, "half")[0].array[:, 2].tolist() == [1, 0, 20_000]
