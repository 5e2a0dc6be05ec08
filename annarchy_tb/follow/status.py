"""The status of followers: what they follow, and how far they are behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import time as now
from typing import NamedTuple

from annarchy_tb.follow.link import reason
from annarchy_tb.follow.state import State, folders
from annarchy_tb.reading.news import Restart, news
from annarchy_tb.run.atomic import exclusive
from annarchy_tb.run.paths import sizes


class Status(NamedTuple):
    """How far a run is at a place.

    Attributes
    ----------
    state : State
    is_followed : bool
        Whether a follower runs.
    points : int or None
        How many points and values were not pushed yet; None if that is unknown.
    size : int or None
        How many bytes they have in the files of the run.
    seconds : float or None
        How long ago the first of them was logged.
    error : str or None
        What is wrong.
    """

    state: State
    is_followed: bool
    points: int | None
    size: int | None
    seconds: float | None
    error: str | None


def statuses(logdir: Path) -> Iterator[Status]:
    """Yield the status of each run below a directory at each place."""
    for folder in folders(logdir):
        try:
            state = State.read(folder)
        except (OSError, ValueError) as error:
            state = State(folder, run=folder.name, target=folder.parent.name)
            yield Status(state, False, None, None, None, reason(error))
            continue
        with exclusive(folder, 0.0) as alone:
            followed = not alone
        try:
            behind = _behind(state)
        except (OSError, ValueError, LookupError, TypeError) as error:
            gone = not Path(state.run).is_dir()
            why = None if type(error) is LookupError else reason(error)
            said = "the run is gone" if gone else state.error or why
            yield Status(state, followed, None, None, None, said)
            continue
        yield Status(state, followed, *behind, state.error)


def _behind(state: State) -> tuple[int, int, float | None]:
    """Return how many points and bytes were not pushed, and the age of the first."""
    run = Path(state.run)
    if "files" not in (state.position or {"files": {}}):
        raise LookupError  # it is one of the target's own
    if not run.is_dir():
        raise FileNotFoundError(state.run)
    points, first = 0, None
    read = dict((state.position or {}).get("files", {}))
    for one in news(run, state.position):
        if isinstance(one, Restart):
            read = {}
            continue
        walls = [its.wall_times.min() for its in one.points.values()]
        walls += [value.wall_time for value in one.values]
        points += sum(len(its.steps) for its in one.points.values()) + len(one.values)
        first = min([*walls, *([] if first is None else [first])])
    there = sizes(run) if points else {}
    size = sum(max(0, end - read.get(name, 0)) for name, end in there.items())
    return points, size, None if first is None else max(0.0, now() - float(first))
