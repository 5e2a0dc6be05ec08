"""What tables say of runs: names, dates, durations, values, and what differs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from annarchy_tb.reading.course import age
from annarchy_tb.run.info import RunInfo
from annarchy_tb.run.info import date as parsed


def name(run: Path, logdir: Path) -> str:
    """Return the name of a run below a directory; if it is not below, its own name."""
    path, above = os.fspath(run), os.path.join(logdir, "")
    return path[len(above) :] if path.startswith(above) else run.name


def date(moment: datetime | str | None) -> str:
    """Return a date in the zone of the reader: ``2026-11-20 14:11:22+01:00``.

    A text that is no date stays as it is.
    """
    its = parsed(moment) if isinstance(moment, str) else moment
    if its is None:
        return str(moment or "")
    return its.astimezone().isoformat(" ", "seconds")


def since(moment: datetime | None) -> str:
    """Return how long ago something was, roughly: ``3 min``."""
    its = age(moment)
    if its is None:
        return ""
    left = its.total_seconds()
    for most, unit, number in ((60, "s", 1), (3600, "min", 60), (172_800, "h", 3600)):
        if left < most:
            return f"{left // number:.0f} {unit}"
    return f"{left // 86_400:.0f} d"


def duration(its: timedelta | None) -> str:
    """Return a duration: ``5.2 s``, ``1:02:03`` or ``21 d 1:02:03``."""
    if its is None:
        return ""
    if its.total_seconds() < 60:
        return f"{its.total_seconds():.1f} s"
    whole = timedelta(seconds=round(its.total_seconds()))
    days = f"{whole.days} d " if whole.days else ""
    return f"{days}{timedelta(seconds=whole.seconds)}"


def plain(value: Any, digits: int = 6) -> str:
    """Return a value of run.json as a short text."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={plain(its, digits)}" for name, its in value.items())
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value)


def lost(info: RunInfo) -> str:
    """Return what a run has lost: ``5 records, 1 blocks``."""
    numbers = {"records": info.lost_records, "blocks": info.lost_blocks}
    return ", ".join(f"{number} {what}" for what, number in numbers.items() if number)


def not_finite(info: RunInfo) -> str:
    """Return the first tag that was not finite, and how many others there are."""
    found = list((info.not_finite or {}).items())
    if not found:
        return ""
    [(tag, step), *others] = found
    more = f", {len(others)} more" if others else ""
    return f"{tag} at {step}{more}"


def differing(every: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of values that are not the same in all; of one, all names."""
    first: dict[str, Any] = {}
    times: dict[str, int] = {}
    differ = set()
    for values in every:
        for name, value in values.items():
            if first.setdefault(name, value) != value:
                differ.add(name)
            times[name] = times.get(name, 0) + 1
    return [
        name
        for name in first
        if name in differ or times[name] < len(every) or len(every) == 1
    ]
