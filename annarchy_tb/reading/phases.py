"""The phases of a run, as its event files tell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import NamedTuple

from annarchy_tb.tfevents.scan import Block


class Phase(NamedTuple):
    """A phase of a run, see `annarchy_tb.Logger.phase`.

    Attributes
    ----------
    number : int
        Its number in the run.
    name : str
        Its name.
    began, ended : datetime or None
        When it began and ended, in UTC; None if it has not ended, or is the phase of a
        process that was killed.
    time : float
        The simulated time of the run at its own time 0, in the unit of the run; 0 if
        its times did not begin again.
    """

    number: int
    name: str
    began: datetime
    ended: datetime | None
    time: float


def phases(blocks: Iterable[Block]) -> list[Phase]:
    """Return the phases in event files, by their numbers."""
    files = {block.path: block.phases for block in blocks}
    found: dict[tuple[int, str], Phase] = {}
    for spans in files.values():
        for span in spans:
            ended = None if span.ended != span.ended else _date(span.ended)
            one = Phase(
                span.number, span.name, _date(span.began), ended, span.moved.time
            )
            earlier = found.setdefault((span.number, span.name), one)
            found[span.number, span.name] = earlier._replace(
                began=min(earlier.began, one.began),
                ended=earlier.ended or one.ended,
                time=earlier.time or one.time,
            )
    return sorted(found.values(), key=lambda phase: phase.number)


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
