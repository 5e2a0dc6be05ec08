"""Conversion of spikes from all supported forms to one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import as_column, as_ranks, numbers
from annarchy_tb.inputs.clock import in_time_unit
from annarchy_tb.inputs.foreign import because, unnested
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.units import plain, separate

LIMIT = 2**62  # of ranks
SIZE = 1 << 18  # numbers of an array at a time


class Spikes(NamedTuple):
    """Spikes, with one entry for each.

    `times` (K,) float64 and `ranks` (K,) int64, in any order; the number of `neurons`;
    and the `duration` if it is known, in the unit of the times. `given` are times and
    ranks in the types in which they were given. `timed` is whether the times had a
    unit, and are in that of the Logger now.
    """

    times: NDArray[np.float64]
    ranks: NDArray[np.int64]
    neurons: int
    duration: float | None
    given: tuple[NDArray[Any], NDArray[Any]]
    timed: bool = False


def collect(spikes: object, time_unit: str) -> Spikes:
    """Convert spikes of any supported form; times with units, to this one."""
    if isinstance(spikes, Mapping):
        return _from_dict(spikes, time_unit)
    if isinstance(spikes, tuple):
        if len(spikes) != 2:
            raise TypeError(f"spikes must be (times, ranks), got {describe(spikes)}")
        return _from_pair(*spikes, time_unit)
    return _from_array(spikes)


def _from_dict(spikes: Mapping[Any, Any], time_unit: str) -> Spikes:
    if any(isinstance(key, str) for key in spikes):
        names = list(spikes)
        key = "spike" if "spike" in names else names[0]
        raise TypeError(
            f"the keys of spikes must be ranks of neurons, got {names}; "
            f"pass an item of the dict: spikes[{key!r}]"
        )
    keys = as_ranks("the keys of spikes", list(spikes), LIMIT)
    timed = any(separate(its)[1] for its in spikes.values())
    if timed:
        spikes = {key: _timed(key, its, time_unit) for key, its in spikes.items()}
    steps = [_flat(key, given) for key, given in spikes.items()]
    given = [its for its in steps if len(its)]
    column = as_column("the steps of spikes", np.concatenate(given or [np.empty(0)]))
    times = _times("the steps of spikes", column)
    ranks = np.repeat(keys, [len(given) for given in steps])
    neurons = int(keys.max(initial=-1)) + 1
    return Spikes(times, ranks, neurons, None, (column, ranks), timed)


def _timed(key: object, given: Any, time_unit: str) -> Any:
    name = f"the times of neuron {key}"
    if separate(given, name=name)[1] is None and len(given):
        raise TypeError(f"{name} must have a unit, as others do, got {describe(given)}")
    return in_time_unit(given, time_unit, name)


def _flat(key: object, given: object) -> NDArray[Any]:
    reason = ""
    try:
        steps = np.asarray(unnested(given))
        if steps.ndim == 1:
            return steps
    except (TypeError, ValueError) as error:  # ragged
        reason = because(error)
    raise TypeError(
        f"the steps of neuron {key} must be a list of numbers, "
        f"got {describe(given)}{reason}"
    )


def _from_pair(first: object, second: object, time_unit: str) -> Spikes:
    its = as_column("times", in_time_unit(first, time_unit, "times"))
    whose = as_column("ranks", second)
    times, ranks = _times("times", its), as_ranks("ranks", whose, LIMIT)
    if len(times) != len(ranks):
        raise ValueError(
            f"times and ranks must have the same length, "
            f"got {len(times)} and {len(ranks)}"
        )
    neurons, timed = int(ranks.max(initial=-1)) + 1, separate(first)[1] is not None
    return Spikes(times, ranks, neurons, None, (its, whose), timed)


def _from_array(spikes: object) -> Spikes:
    rule = (
        "spikes must be {rank: [steps]}, as from monitor.get('spike'), a tuple "
        "(times, ranks), or a bool array of shape (T, N)"
    )
    try:
        array = numbers("spikes", plain(spikes, "spikes"), half=True)
        if array.ndim != 2:
            raise TypeError
    except TypeError as error:
        raise TypeError(f"{rule}, got {describe(spikes)}{because(error)}") from None
    steps, neurons = array.shape
    found = []
    some = max(1, SIZE // max(neurons, 1))
    for at in range(0, steps, some):
        part = array[at : at + some]
        fired = part != 0
        if not (part[fired] == 1).all():
            raise ValueError(
                f"{rule}, got {describe(spikes)} with numbers other than 0 and 1"
            )
        found.append(np.flatnonzero(fired) + at * neurons)
    places = np.concatenate([np.empty(0, np.intp), *found])
    times, ranks = np.divmod(places, max(neurons, 1))
    return Spikes(times.astype(np.float64), ranks, neurons, steps, (times, ranks))


def _times(name: str, given: object) -> NDArray[np.float64]:
    times = as_column(name, given).astype(np.float64, copy=False)
    if len(times) and not (math.isfinite(times.min()) and math.isfinite(times.max())):
        raise ValueError(f"{name} must be finite")
    return times
