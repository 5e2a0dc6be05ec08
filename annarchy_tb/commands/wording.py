"""Dates, durations and values of runs, in the words of the command line."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rich.text import Text

from annarchy_tb.reading.course import age
from annarchy_tb.run.info import FAILED, FINISHED, KILLED, RUNNING, RunInfo
from annarchy_tb.run.info import date as parsed

COLOURS = {
    RUNNING: "cyan",
    FINISHED: "green",
    FAILED: "red",
    KILLED: "magenta",
}


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


def coloured(status: str, more: str = "") -> Text:
    """Return a status in its colour, and what is said beside it."""
    return Text(f"{status}{more}", style=COLOURS.get(status, ""))
