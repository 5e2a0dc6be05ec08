from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annarchy_tb.kinds import canvas

numbers = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(numbers, st.floats(1e-9, 1e9), st.integers(1, 8))
def test_ticks_are_round_and_on_the_axis(low: float, span: float, most: int) -> None:
    """They are multiples of 1, 2 or 5 times a power of ten, and not too many."""
    high = low + span
    ticks = canvas.round_ticks(low, high, most)
    assert 1 <= len(ticks) <= most + 1
    margin = 1e-6 * span + 1e-9 * abs(low)
    assert all(low - margin <= tick <= high + margin for tick in ticks)
    if len(ticks) > 1:
        stride = ticks[1] - ticks[0]
        digit = stride / 10 ** math.floor(math.log10(stride) + 1e-3)
        if stride > 1e-9 * abs(low):
            assert min(abs(digit - one) for one in (1, 2, 5, 10)) < 1e-2


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1000, ["0", "200", "400", "600", "800", "1000"]),
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-1, 1.5, ["-1.0", "-0.5", "0.0", "0.5", "1.0", "1.5"]),
        (0, 3e-6, ["0", "1e-6", "2e-6", "3e-6"]),
        (0, 2e7, ["0", "5e6", "1e7", "1.5e7", "2e7"]),
    ],
)
def test_ticks_have_short_labels(low: float, high: float, wanted: list[str]) -> None:
    """All have the same number of decimals, and no more than they need."""
    assert canvas.labels(canvas.round_ticks(low, high, 5)) == wanted


def test_an_axis_without_length_has_one_tick() -> None:
    """An example is a single spike."""
    assert canvas.round_ticks(3.0, 3.0, 5) == [3.0]
    assert canvas.labels([3.0]) == ["3"]
    assert canvas.labels([0.0]) == ["0"]


def test_text_is_cut_off_at_the_edges() -> None:
    """Wherever it is, nothing but the picture changes, and nothing fails."""
    whole = canvas.blank(60, 40)
    canvas.write(whole, "1234", 20, 15)
    assert (whole != 255).any()
    for x in range(-40, 70, 5):
        for y in range(-15, 45, 3):
            pixels = canvas.blank(60, 40)
            canvas.write(pixels, "1234", x, y)
            moved = np.full_like(pixels, 255)
            rows = slice(max(y, 0), min(y + canvas.LINE, 40))
            columns = slice(max(x, 0), min(x + canvas.width("1234"), 60))
            from_rows = slice(rows.start - y + 15, rows.stop - y + 15)
            from_columns = slice(columns.start - x + 20, columns.stop - x + 20)
            if rows.start < rows.stop and columns.start < columns.stop:
                moved[rows, columns] = whole[from_rows, from_columns]
            assert (pixels == moved).all()


def test_numbers_are_short() -> None:
    """Three digits, and no zeros in the exponent."""
    wanted = {0.0: "0", 1.0: "1", -65.25: "-65.2", 1e-5: "1e-5", 123456.0: "1.23e5"}
    assert {value: canvas.number(value) for value in wanted} == wanted
    assert [canvas.number(v, 2) for v in (153.0, 2712.0, 0.0213)] == [
        "150",
        "2700",
        "0.021",
    ]


@given(st.floats(0, 1e12), st.floats(1e-4, 1e9), st.integers(1, 5))
def test_ticks_have_labels_of_their_own(low: float, span: float, most: int) -> None:
    """Far from 0, too: all digits are there that tell them apart."""
    if span > 1e-9 * low:
        ticks = canvas.round_ticks(low, low + span, most)
        texts = canvas.labels(ticks)
        assert len(set(texts)) == len(ticks)
        assert [float(text) for text in texts] == pytest.approx(ticks, abs=span / 100)


def test_a_number_fits_its_room() -> None:
    """It has three digits, or fewer."""
    assert canvas.fitting(-1.234e-5, 54) == "-1.23e-5"
    for value in (-1.234e-100, -1.234e250, -123456.0, 0.000123456, 1e300):
        assert canvas.width(canvas.fitting(value, 54)) <= 54
        assert float(canvas.fitting(value, 54)) == pytest.approx(value, rel=0.05)
