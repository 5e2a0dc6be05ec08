"""Groups of neurons: what users mean by their sizes, ranges or ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import as_ranks, numbers
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.numbers import as_count

LIMIT = 2**62  # of ranks
FEW = 16  # intervals: up to this many, comparing is faster than searching


class Groups(NamedTuple):
    """Named groups, as intervals of ranks that do not overlap.

    `names` and `sizes` of G groups; interval k holds the ranks from ``starts[k]`` to
    below ``ends[k]`` of the group ``numbers[k]``, and `starts` increase.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    numbers: NDArray[np.intp]

    def of(self, ranks: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the number of the group of each rank, and G for those in none."""
        outside = len(self.names)
        if len(self.starts) > FEW:
            place = np.searchsorted(self.starts, ranks, side="right") - 1
            inside = (place >= 0) & (ranks < self.ends[place])
            return np.where(inside, self.numbers[place], outside)
        found = np.full(len(ranks), outside, np.intp)
        for start, end, number in zip(
            self.starts, self.ends, self.numbers, strict=True
        ):
            found[(ranks >= start) & (ranks < end)] = number
        return found


def as_groups(given: object, neurons: int | None) -> Groups:
    """Convert groups of neurons.

    Parameters
    ----------
    given
        A dict of names: to sizes (whole numbers, from rank 0 on, in the order of the
        dict), or to ranges, slices or arrays of ranks, or masks of all neurons.
    neurons
        The number of neurons, if it is known.

    Raises
    ------
    TypeError, ValueError
        If it is no such dict, or a group is empty, overlaps another, or has ranks that
        do not exist.
    """
    if not isinstance(given, Mapping) or not given:
        raise TypeError(
            f"groups must be a dict of sizes, ranges or ranks by name, such as "
            f"{{'E': 160, 'I': 40}}, got {describe(given)}"
        )
    starts, ends, numbers, sizes = [], [], [], []
    end = 0  # of the groups that are given by their sizes
    for number, (name, its) in enumerate(given.items()):
        if not isinstance(name, str):
            raise TypeError(f"the names of groups must be str, got {describe(name)}")
        if isinstance(its, range | slice) or hasattr(its, "__len__"):
            begin, behind = _intervals(name, its, neurons)
        else:
            size = as_count(f"the size of group {name!r}", its, LIMIT)
            begin, behind = np.array([end]), np.array([end + size])
            end += size
        if neurons is not None and behind[-1] > neurons:
            raise ValueError(
                f"group {name!r} has ranks up to {behind[-1] - 1}, but there are "
                f"{neurons} neurons"
            )
        starts.append(begin)
        ends.append(behind)
        numbers.append(np.full(len(begin), number))
        sizes.append(int((behind - begin).sum()))
    first, last, whose = map(np.concatenate, (starts, ends, numbers))
    order = np.argsort(first, kind="stable")
    first, last, whose = first[order], last[order], whose[order]
    over = np.flatnonzero(first[1:] < last[:-1])
    if len(over):
        names = list(given)
        one, other = (names[whose[over[0] + i]] for i in (0, 1))
        raise ValueError(
            f"groups must not overlap, but {one!r} and {other!r} both have rank "
            f"{first[over[0] + 1]}"
        )
    return Groups(tuple(given), tuple(sizes), first, last, whose)


def _intervals(
    name: str, given: Any, neurons: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the starts and ends of a group's intervals of ranks."""
    if isinstance(given, slice):
        if given.stop is None and neurons is None:
            raise ValueError(f"group {name!r}: a slice needs an end, got {given}")
        stop = given.stop if neurons is None else neurons
        given = range(*given.indices(stop))
    if isinstance(given, range) and given.step == 1:
        if not given or given.start < 0:
            raise ValueError(f"group {name!r} must have ranks from 0, got {given}")
        return np.array([given.start]), np.array([given.stop])
    its = numbers(f"group {name!r}", given)
    if its.dtype == np.bool_:  # a mask
        its = np.flatnonzero(its)
    ranks = np.sort(as_ranks(f"group {name!r}", its, LIMIT))
    if not len(ranks):
        raise ValueError(f"group {name!r} must have at least one neuron, got none")
    twice = ranks[1:] == ranks[:-1]
    if twice.any():
        raise ValueError(f"group {name!r} has rank {ranks[1:][twice][0]} twice")
    cuts = np.flatnonzero(np.diff(ranks) != 1) + 1
    begins = ranks[np.concatenate([[0], cuts])]
    behind = ranks[np.concatenate([cuts - 1, [len(ranks) - 1]])] + 1
    return begins.astype(np.int64), behind.astype(np.int64)
