"""The curves of repetitions, read and averaged for each value of a parameter."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from annarchy_tb.inputs.messages import describe, naming, short, warn
from annarchy_tb.inputs.numbers import as_text
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading import average
from annarchy_tb.reading.average import TIME, WALL_TIME, Averages, Curve
from annarchy_tb.reading.facts import MISSING, SHOWN, Facts, Name, order, resolve
from annarchy_tb.reading.run import Run
from annarchy_tb.tfevents.schema import SCALAR


def mean(
    every: Sequence[Facts],
    tag: str,
    by: str | None,
    axis: str,
    kind: str,
    curve: str | None,
) -> Averages:
    """Return the means of a curve; see `annarchy_tb.reading.Runs.mean`."""
    with naming("mean", None):
        as_text("tag", tag)
        for name, given, allowed in (
            ("axis", axis, average.AXES),
            ("kind", kind, average.KINDS),
        ):
            if given not in allowed:
                one_of = ", ".join(map(repr, allowed))
                raise ValueError(
                    f"{name} must be one of {one_of}, got {describe(given)}"
                )
        known = None if by is None else resolve(Name.of(by), every)
    left_out: Counter[str] = Counter()
    found: dict[tuple[bool, Any], list[Curve]] = {}
    units: dict[str, set[str]] = {"values": set(), "times": set()}
    not_finite = 0
    for facts in every:
        value = None if known is None else facts.value(known)
        if value is MISSING:
            left_out[f"no {short(by)}"] += 1
            continue
        points = _points(facts.run, tag, curve)
        if points is None:
            left_out[f"no points of {short(tag)}"] += 1
            continue
        its = average.curve(points, axis, facts.began())
        if not len(its[0]):
            left_out["no simulated times" if axis == TIME else "no points"] += 1
            continue
        not_finite += bool(np.isnan(its[1]).any())
        if (unit := facts.info.tag_units().get(tag)) is not None:
            units["values"].add(unit)
        if axis == TIME and facts.info.time_unit is not None:
            units["times"].add(facts.info.time_unit)
        key = value if isinstance(value, (int, float, str)) else _hashable(value)
        found.setdefault((isinstance(value, bool), key), []).append(its)
    if not found:
        raise KeyError(_why_none(every, tag, curve, left_out))
    for what, several in units.items():
        if len(several) > 1:
            shown = " and ".join(map(repr, sorted(several)))
            hint = ", or axis='step'" if what == "times" else ""
            raise ValueError(
                f"mean({short(tag)}): the runs have {what} in {shown}; choose those of "
                f"one unit{hint}"
            )
    if left_out:
        whys = ", ".join(f"{why} ({count})" for why, count in left_out.most_common())
        warn(
            f"mean({short(tag)}): {left_out.total()} of {len(every)} runs are left "
            f"out: {whys}"
        )
    if not_finite:
        warn(
            f"mean({short(tag)}): {not_finite} of {len(every)} runs have values that "
            f"are NaN or infinite, and do not count there: see 'runs' of each average"
        )
    averages = [
        average.average(value, curves, kind)
        for (_, value), curves in sorted(found.items(), key=lambda it: order(it[0][1]))
    ]
    unit, time_unit = (next(iter(its), None) for its in units.values())
    axis_unit = "s" if axis == WALL_TIME else time_unit
    by = None if known is None else _full(known, every)
    return Averages(averages, tag, by, axis, kind, unit, axis_unit)


def _full(name: Name, every: Sequence[Facts]) -> str:
    """Return a name with its unit, if that is the same in all runs that have it."""
    keys = {key for facts in every if (key := facts.key(name)) is not None}
    return keys.pop() if len(keys) == 1 else name.name


def _hashable(value: Any) -> Any:
    return None if value is None else str(value)


def _points(run: Run, tag: str, curve: str | None) -> Scalars | None:
    """Return the points of a curve of a run, None if it has none."""
    try:
        if curve is None:
            return run.all_scalars(tag).get(tag)
        return run.curves(tag).get(curve)
    except (KeyError, OSError):  # or it was deleted meanwhile
        return None


def _why_none(
    every: Sequence[Facts], tag: str, curve: str | None, left_out: Counter[str]
) -> str:
    """Return why there is nothing to average."""
    said = f"mean({short(tag)}): "
    if not every:
        return f"{said}there are no runs"
    curves: dict[str, None] = {}
    tags: dict[str, None] = {}
    for facts in every:
        with contextlib.suppress(KeyError, OSError):  # or it was deleted meanwhile
            kinds = facts.run.tags()
            tags |= dict.fromkeys(its for its in kinds if kinds[its] == SCALAR.name)
            curves |= dict.fromkeys(facts.run.curves(tag))
    if curves:
        names = " or ".join(f"curve={name!r}" for name in islice(curves, SHOWN))
        return f"{said}this is a plot of several curves: pass {names}"
    whys = ", ".join(f"{why} ({count})" for why, count in left_out.most_common())
    shown = ", ".join(map(repr, islice(tags, SHOWN)))
    more = ", ..." if len(tags) > SHOWN else ""
    return f"{said}no run has such a curve: {whys}; there is {shown or 'none'}{more}"
