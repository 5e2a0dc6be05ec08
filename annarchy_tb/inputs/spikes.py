"""Conversion of spikes from all supported forms to one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.arrays import as_column, as_ranks, numbers
from annarchy_tb.inputs.clock import in_time_unit, in_unit
from annarchy_tb.inputs.foreign import because, unnested
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.units import plain, separate

LIMIT = 2**62  # of ranks
SIZE = 1 << 18  # numbers of an array at a time
EVENTS = {"times", "senders"}  # the keys of NEST's events


class Spikes(NamedTuple):
    """Spikes, with one entry for each.

    `times` (K,) float64 and `ranks` (K,) int64, in any order; the lowest rank `first`
    and the number of `neurons` from it on; and the `duration` if it is known, in the
    unit of the times. `given` are times and ranks in the types in which they were
    given. The `unit` of the times is ``"step"`` for steps of the simulation, a unit of
    time if they had one, and that of the Logger now, and else None.
    """

    times: NDArray[np.float64]
    ranks: NDArray[np.int64]
    first: int
    neurons: int
    duration: float | None
    given: tuple[NDArray[Any], NDArray[Any]]
    unit: str | None


def collect(spikes: object, time_unit: str) -> Spikes:
    """Convert spikes of any supported form; times with units, to this one."""
    if isinstance(spikes, Mapping):
        if spikes.keys() >= EVENTS:
            return _from_events(spikes, time_unit)
        return _from_dict(spikes, time_unit)
    if isinstance(spikes, tuple):
        if len(spikes) != 2:
            raise TypeError(f"spikes must be (times, ranks), got {describe(spikes)}")
        return _from_pair(*spikes, time_unit)
    trains = _listed(spikes)
    if trains is not None and _are_trains(trains):
        return _from_dict(dict(enumerate(trains)), time_unit)
    return _from_array(spikes)


def _listed(spikes: Any) -> list[Any] | None:
    """Return a list, an array of objects, or Neo's list of trains as a list."""
    if isinstance(spikes, list):
        return spikes
    if isinstance(spikes, np.ndarray):
        return list(spikes) if spikes.dtype == object and spikes.ndim == 1 else None
    is_neo = type(spikes).__module__.partition(".")[0] == "neo"
    return list(spikes) if is_neo and isinstance(spikes, Iterable) else None


def _are_trains(spikes: list[Any]) -> bool:
    """Return whether a list has the spikes of a neuron each, not rows of an array."""
    if any(separate(its)[1] is not None for its in spikes):
        return True
    if not all(hasattr(its, "__len__") and not isinstance(its, str) for its in spikes):
        return False
    if len({len(its) for its in spikes}) > 1 or not spikes:
        return True
    try:
        rows = np.asarray(spikes)
    except (TypeError, ValueError):
        return False
    if rows.ndim != 2 or rows.dtype == np.bool_:
        return False
    is_numbers = rows.dtype.kind in "iuf"
    return not is_numbers or bool(((rows != 0) & (rows != 1)).any())


def _from_events(spikes: Mapping[Any, Any], time_unit: str) -> Spikes:
    """Convert the events of NEST's recorders, whose times are in ms, or in steps."""
    found = _from_pair(spikes["times"], spikes["senders"], time_unit)
    if found.unit is not None:
        return found
    if "offsets" in spikes:  # time_in_steps
        return found._replace(unit="step")
    times = found.times if time_unit == "ms" else found.times * in_unit("ms", time_unit)
    return found._replace(times=times, unit=time_unit)


def _from_dict(spikes: Mapping[Any, Any], time_unit: str) -> Spikes:
    if any(isinstance(key, str) for key in spikes):
        names = list(spikes)
        key = "spike" if "spike" in names else names[0]
        raise TypeError(
            f"the keys of spikes must be ranks of neurons, or 'times' and 'senders', "
            f"got {names}; pass an item of the dict: spikes[{key!r}]"
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
    whole = bool((times == np.floor(times)).all())
    unit = time_unit if timed else "step" if whole else None
    return Spikes(times, ranks, *_extent(keys), None, (column, ranks), unit)


def _extent(ranks: NDArray[np.int64]) -> tuple[int, int]:
    """Return the lowest rank, and the number of ranks up to the highest one."""
    if not len(ranks):
        return 0, 0
    first = int(ranks.min())
    return first, int(ranks.max()) - first + 1


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
    unit = None if separate(first)[1] is None else time_unit
    return Spikes(times, ranks, *_extent(ranks), None, (its, whose), unit)


def _from_array(spikes: object) -> Spikes:
    rule = (
        "spikes must be {rank: [steps]}, as from monitor.get('spike'), a tuple "
        "(times, ranks), a list of spike trains, or a bool array of shape (T, N)"
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
    given = times, ranks
    return Spikes(times.astype(float), ranks, 0, neurons, steps, given, "step")


def _times(name: str, given: object) -> NDArray[np.float64]:
    times = as_column(name, given).astype(np.float64, copy=False)
    if len(times) and not (math.isfinite(times.min()) and math.isfinite(times.max())):
        raise ValueError(f"{name} must be finite")
    return times
