from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from annarchy_tb.inputs.groups import as_groups


def test_sizes_count_from_rank_0() -> None:
    """The first group has the first ranks, the next one those that follow."""
    groups = as_groups({"E": 3, "I": np.int64(2)}, None)
    assert groups.names == ("E", "I")
    assert groups.sizes == (3, 2)
    assert groups.of(np.arange(7)).tolist() == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "given",
    [
        {"a": range(2, 5), "b": range(9, 11)},
        {"a": slice(2, 5), "b": [10, 9]},
        {"a": np.array([4, 2, 3]), "b": (9.0, 10.0)},
    ],
)
def test_ranges_slices_and_ranks_are_groups(given: Any) -> None:
    """Neurons outside of all groups belong to none."""
    groups = as_groups(given, None)
    assert groups.sizes == (3, 2)
    assert groups.of(np.arange(12)).tolist() == [2, 2, 0, 0, 0, 2, 2, 2, 2, 1, 1, 2]


def test_scattered_ranks_are_a_group() -> None:
    """Ranks of groups may alternate."""
    groups = as_groups({"even": range(0, 8, 2), "odd": range(1, 8, 2)}, 8)
    assert groups.of(np.arange(8)).tolist() == [0, 1] * 4


def test_a_slice_without_an_end_ends_at_the_last_neuron() -> None:
    """It needs the number of neurons."""
    assert as_groups({"a": slice(6, None)}, 8).sizes == (2,)
    with pytest.raises(ValueError, match="needs an end"):
        as_groups({"a": slice(6, None)}, None)


@pytest.mark.parametrize(
    ("given", "neurons", "error", "match"),
    [
        ({}, None, TypeError, "groups must be a dict"),
        ([1, 2], None, TypeError, "groups must be a dict"),
        ({1: 2}, None, TypeError, "names of groups must be str"),
        ({"a": 0}, None, ValueError, "the size of group 'a'"),
        ({"a": -3}, None, ValueError, "the size of group 'a'"),
        ({"a": 2.5}, None, ValueError, "the size of group 'a'"),
        ({"a": None}, None, TypeError, "the size of group 'a'"),
        ({"a": []}, None, ValueError, "'a' must have at least one neuron"),
        ({"a": range(3, 3)}, None, ValueError, "group 'a' must have ranks"),
        ({"a": range(-2, 3)}, None, ValueError, "group 'a' must have ranks from 0"),
        ({"a": [1.5]}, None, ValueError, "group 'a'"),
        ({"a": [3, 1, 3]}, None, ValueError, "group 'a' has rank 3 twice"),
        ({"a": 3, "b": [2, 3]}, None, ValueError, "'a' and 'b' both have rank 2"),
        ({"a": 3, "b": 3}, 5, ValueError, "'b' has ranks up to 5, but there are 5"),
        ({"a": [7]}, 5, ValueError, "'a' has ranks up to 7"),
    ],
)
def test_what_are_no_groups_is_refused(
    given: Any, neurons: int | None, error: type[Exception], match: str
) -> None:
    """The error names the group and the rule."""
    with pytest.raises(error, match=match):
        as_groups(given, neurons)


def test_a_mask_is_where_it_is_true() -> None:
    """Its truth values are no ranks; an array of 0 and 1 is one of ranks."""
    mask = np.array([False, True, True, False, True])
    for given in (mask, mask.tolist()):
        groups = as_groups({"a": given}, 5)
        assert groups.sizes == (3,)
        assert groups.of(np.arange(5)).tolist() == [1, 0, 0, 1, 0]
    assert as_groups({"a": np.array([0, 1])}, 5).sizes == (2,)
    with pytest.raises(ValueError, match="'a' must have at least one neuron, got none"):
        as_groups({"a": np.zeros(5, bool)}, 5)
    with pytest.raises(ValueError, match="'a' has ranks up to 4, but there are 3"):
        as_groups({"a": mask}, 3)
