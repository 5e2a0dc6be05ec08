"""The course of a run: when it began, when it was written to last, how long it took."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from annarchy_tb.run.info import RUNNING, RunInfo, date
from annarchy_tb.run.paths import last_change
from annarchy_tb.tfevents.names import second

MAX_SECOND = 253_000_000_000  # the year 9987


class Course(NamedTuple):
    """What is known about the course of a run; None for what is not.

    Attributes
    ----------
    status : str
        As `annarchy_tb.Run.status`.
    began : datetime or None
        As `annarchy_tb.Run.started`.
    written : datetime or None
        As `annarchy_tb.Run.last_written`. It is not looked up if the run has ended.
    duration : timedelta or None
        As `annarchy_tb.Run.duration`.
    """

    status: str
    began: datetime | None
    written: datetime | None
    duration: timedelta | None


def course(run: Path, info: RunInfo) -> Course:
    """Return the course of a run, by its record and its files.

    Raises
    ------
    OSError
        If it was deleted meanwhile.
    """
    status, begun, ended = info.state(), began(run, info), date(info.ended)
    written = None if ended is not None else last_written(run, begun)
    end = ended or (datetime.now(timezone.utc) if status == RUNNING else written)
    if begun is None or end is None:
        return Course(status, begun, written, None)
    return Course(status, begun, written, max(end - begun, timedelta(0)))


def began(run: Path, info: RunInfo) -> datetime | None:
    """Return the start of a run from its record, or from the name of its first file."""
    begun = info.begun()
    if begun is None:
        for name in sorted(os.listdir(run)):
            number = second(name)
            if number is not None and number < MAX_SECOND:
                return datetime.fromtimestamp(number, timezone.utc)
    return begun


def last_written(run: Path, begun: datetime | None) -> datetime | None:
    """Return when the files of a run changed last; its start if it has none."""
    seconds = last_change(run)
    if seconds is None:
        return begun
    return datetime.fromtimestamp(min(max(seconds, 0.0), MAX_SECOND), timezone.utc)


def age(written: datetime | None) -> timedelta | None:
    """Return the time since a date, which another clock may have set."""
    if written is None:
        return None
    return max(datetime.now(timezone.utc) - written, timedelta(0))
