"""Runs as the command line lists them: what is known of each, by the name of a column.

No event file is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from annarchy_tb.reading import wording
from annarchy_tb.reading.course import Course, age, course
from annarchy_tb.reading.facts import (
    METRICS,
    PARAMS,
    RUN,
    Facts,
    Name,
    is_none,
    order,
    resolve,
)
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo, as_json, date, iso
from annarchy_tb.terminal import escaped

KINDS = PARAMS, METRICS


class Listed(NamedTuple):
    """A run by its name below the directory, and its record, which is read once."""

    name: str
    facts: Facts
    course: Course

    @property
    def run(self) -> Run:
        return self.facts.run

    @property
    def info(self) -> RunInfo:
        return self.facts.info

    def last_sign(self) -> datetime | None:
        """Return when the run ended, or was written to last."""
        return date(self.info.ended) or self.course.written

    def values(self, kind: str) -> dict[str, Any]:
        """Return the parameters or the results."""
        return (self.info.params if kind == PARAMS else self.info.metrics) or {}

    def json(self) -> dict[str, Any]:
        """Return all that is known, for JSON."""
        status, begun, written, duration = self.course
        ended = date(self.info.ended)
        dates = {"started": begun, "ended": ended, "last_record": written}
        return {
            "run": self.name,
            "path": str(self.run.path),
            "status": status,
            **{name: when and iso(when.timestamp()) for name, when in dates.items()},
            "duration": None if duration is None else duration.total_seconds(),
            **{kind: as_json(self.values(kind)) for kind in KINDS},
            "not_finite": as_json(self.info.not_finite or {}),
            "lost_records": self.info.lost_records or 0,
            "lost_blocks": self.info.lost_blocks or 0,
        }


def _ago(when: datetime | None) -> float | None:
    its = age(when)
    return None if its is None else its.total_seconds()


class Own(NamedTuple):
    """A column that every run has: its text, and what it is sorted by."""

    text: Callable[[Listed], str]
    key: Callable[[Listed], Any] | None = None


OWN = {
    "run": Own(lambda its: its.name),
    "status": Own(lambda its: its.course.status),
    "age": Own(
        lambda its: wording.since(its.last_sign()), lambda its: _ago(its.last_sign())
    ),
    "duration": Own(
        lambda its: wording.duration(its.course.duration),
        lambda its: its.course.duration and its.course.duration.total_seconds(),
    ),
    "started": Own(
        lambda its: wording.date(its.course.began),
        lambda its: its.course.began and -its.course.began.timestamp(),
    ),
    "not finite": Own(lambda its: wording.not_finite(its.info)),
    "lost": Own(lambda its: wording.lost(its.info)),
    "host": Own(lambda its: its.info.host or ""),
    "user": Own(lambda its: its.info.user or ""),
    "group": Own(lambda its: its.info.group or ""),
}


def listed(logdir: Path, runs: Iterable[tuple[Run, RunInfo]]) -> list[Listed]:
    """Return runs with what is computed from their records, but those that are gone."""
    found = []
    for run, info in runs:
        name = wording.name(run.path, logdir)
        with contextlib.suppress(OSError):  # deleted meanwhile
            found.append(Listed(name, Facts(logdir, run, info), course(run.path, info)))
    return found


def column_of(runs: list[Listed], name: str, option: str) -> str | Name:
    """Return the name of a column in `OWN`, or that of a parameter or result.

    Raises
    ------
    click.BadParameter
        If no run has one of this name, or it is ambiguous.
    """
    if name in OWN:
        return name
    try:
        known = resolve(Name.of(name), [its.facts for its in runs])
    except ValueError as error:
        raise click.BadParameter(escaped(error), param_hint=option) from None
    if known.kind == RUN:
        return "run" if known.name == "name" else known.name
    return known


def ordered(runs: list[Listed], name: str, reverse: bool) -> list[Listed]:
    """Sort runs by a column; those without a value come last."""
    column = column_of(runs, name, "--sort")
    if isinstance(column, Name):
        keys = [(its, its.facts.value(column)) for its in runs]
    else:
        own = OWN[column]
        keys = [(its, (own.key or own.text)(its)) for its in runs]
    there = [(its, key) for its, key in keys if not is_none(key)]
    there.sort(key=lambda one: order(one[1]), reverse=reverse)
    return [its for its, _ in there] + [its for its, key in keys if is_none(key)]
