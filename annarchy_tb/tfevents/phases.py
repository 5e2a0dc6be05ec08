"""Phases of a run: the records that begin, move and end them, and reading these.

Within a phase, what begins again at step or time 0 is written behind what the run has.
An event of its own, without values, says so in a field that TensorBoard passes over, as
JSON, before the first value that it is about::

    {"phase": 2, "name": "NVT",     of the phase: its number in the run, and its name
     "time": 100.0, "by": 1000,     simulated times are later by this, and steps that
                                    are counted with them
     "steps": {"Energy": 1000}}     the steps of these tags are larger by these
    {"phase": 2, "end": true}

A record adds to the earlier ones of its file. The phase goes on until its end, that of
the file, or the beginning of another one.
"""

from __future__ import annotations

import contextlib
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.records import as_read
from annarchy_tb.tfevents.schema import PHASE


class Moved(NamedTuple):
    """By how much the times of a phase are later, and steps counted with them larger.

    Both are 0 as long as nothing has begun again.
    """

    time: float = 0.0
    by: int = 0


NOT_MOVED = Moved()


def mark(
    number: int,
    name: str,
    wall_time: float,
    moved: Moved = NOT_MOVED,
    steps: Mapping[str, int] | None = None,
) -> bytes:
    """Return the record that a phase begins, or that more of it is moved."""
    head: dict[str, Any] = {"phase": number, "name": as_read(name)}
    if moved != NOT_MOVED:
        head |= moved._asdict()
    if steps:
        head["steps"] = {as_read(tag): by for tag, by in steps.items()}
    return _record(head, wall_time)


def end_mark(number: int, wall_time: float) -> bytes:
    """Return the record that a phase ends."""
    return _record({"phase": number, "end": True}, wall_time)


def _record(head: Mapping[str, Any], wall_time: float) -> bytes:
    with importing:
        import json  # slow to import

    field = records.bytes_field(PHASE, json.dumps(head).encode())
    return records.record(records.double_field(1, wall_time), field)


_BEFORE = len(records.double_field(1, 0.0))
_KEY = records.varint(PHASE << 3 | records.BYTES)


def marks(data: bytes, starts: Sequence[int]) -> Iterator[int]:
    """Yield the starts of those records that begin, move or end a phase."""
    at = data.find(_KEY)
    while at >= 0:
        start = at - _BEFORE - records.HEAD
        place = bisect_right(starts, start) - 1
        if place >= 0 and starts[place] == start:
            yield start
        at = data.find(_KEY, at + 1)


class Segment(NamedTuple):
    """Consecutive points of a tag that belong to a phase.

    Attributes
    ----------
    start, stop : int
        The first of them, and the one behind the last.
    number, name
        Of the phase.
    steps, time : int, float
        By how much their steps are larger, and their times later, than those given.
    """

    start: int
    stop: int
    number: int
    name: str
    steps: int
    time: float

    def at(self, place: int) -> Segment:
        """Return the segment where its points stand behind others."""
        return self._replace(start=self.start + place, stop=self.stop + place)


class Span:
    """A phase in one event file; places are those of records in it.

    Attributes
    ----------
    number, name
        Of the phase.
    begin, end : int
        The places of the record that begins it, and of what ends it; `end` is -1 while
        the phase goes on.
    began, ended : float
        When it began and ended, in seconds since 1970; NaN if it has no end.
    """

    number: int
    name: str
    begin: int
    end: int
    began: float
    ended: float
    _times: list[tuple[int, Moved]]  # from these places on
    _steps: dict[str, list[tuple[int, int]]]  # of tags, from these places on

    def __init__(self, number: int, name: str, begin: int, began: float) -> None:
        self.number, self.name = number, name
        self.begin, self.end = begin, -1
        self.began, self.ended = began, math.nan
        self._times, self._steps = [], {}

    def add(self, place: int, head: Mapping[str, Any]) -> None:
        """Take note of what a record says to be moved."""
        if "time" in head:
            moved = Moved(float(head["time"]), int(head.get("by", 0)))
            self._times.append((place, moved))
        for tag, by in head.get("steps", {}).items():
            self._steps.setdefault(tag, []).append((place, int(by)))

    @property
    def moved(self) -> Moved:
        """By how much times and steps are moved at the end."""
        return self._times[-1][1] if self._times else NOT_MOVED

    @property
    def steps(self) -> dict[str, int]:
        """By how much the steps of tags are moved at the end."""
        return {tag: moves[-1][1] for tag, moves in self._steps.items()}

    def head(self) -> dict[str, Any]:
        """Return all that is moved at the end, as a record says it."""
        head = {"phase": self.number, "name": self.name, "steps": self.steps}
        return head if self.moved == NOT_MOVED else head | self.moved._asdict()

    def time(self, place: int) -> float:
        """Return by how much the time of an event is later."""
        at = bisect_right(self._times, place, key=lambda entry: entry[0])
        return self._times[at - 1][1].time if at else 0.0

    def segments(
        self, tag: str, places: NDArray[np.intp], start: int, stop: int
    ) -> list[Segment]:
        """Return the segments of some points of a tag, all of which are in the span."""
        moves = self._steps.get(tag, [])
        changes = [place for place, _ in (*self._times, *moves)]
        inside = places[start:stop]
        cuts = {start, stop}
        cuts |= {start + int(np.searchsorted(inside, place)) for place in changes}
        edges, found = sorted(cuts), []
        for a, b in pairwise(edges):
            place = int(places[a])
            at = bisect_right(moves, place, key=lambda entry: entry[0])
            by = moves[at - 1][1] if at else 0
            found.append(Segment(a, b, self.number, self.name, by, self.time(place)))
        return found


class Spans(list[Span]):
    """The phases in one event file, as far as it has been read."""

    def read(self, place: int, text: bytes, wall_time: float) -> None:
        """Take note of a record; one that makes no sense is passed over."""
        with importing:
            import json

        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            self.add(place, json.loads(text), wall_time)

    def add(self, place: int, head: Mapping[str, Any], wall_time: float) -> None:
        """Take note of what a record says."""
        number, current = int(head["phase"]), self.last()
        if "end" in head:
            if current is not None and current.number == number:
                current.end, current.ended = place, wall_time
            return
        if current is None or current.number != number:
            if current is not None:
                current.end = place
            current = Span(number, str(head["name"]), place, wall_time)
            self.append(current)
        current.add(place, head)

    def last(self) -> Span | None:
        """Return the phase that goes on at the end."""
        return self[-1] if self and self[-1].end < 0 else None

    def time(self, place: int) -> float:
        """Return by how much the time of an event is later than was given."""
        at = bisect_right(self, place, key=lambda span: span.begin) if self else 0
        if not at or 0 <= self[at - 1].end <= place:
            return 0.0
        return self[at - 1].time(place)

    def segments(self, tag: str, places: NDArray[np.intp]) -> list[Segment]:
        """Return the segments of the points of a tag; their places are in order."""
        found: list[Segment] = []
        if not self or not len(places):
            return found
        first = bisect_right(self, int(places[0]), key=lambda span: span.begin)
        for span in self[max(0, first - 1) :]:
            if span.begin > places[-1]:
                break
            start = int(np.searchsorted(places, span.begin))
            stop = len(places)
            if span.end >= 0:
                stop = int(np.searchsorted(places, span.end))
            if start < stop:
                found += span.segments(tag, places, start, stop)
        return found


def later(
    times: NDArray[np.float64], segments: Sequence[Segment]
) -> NDArray[np.float64]:
    """Return the simulated times of points in the run, from those in their phases."""
    moved = times.copy()
    for one in segments:
        moved[one.start : one.stop] += one.time
    return moved
