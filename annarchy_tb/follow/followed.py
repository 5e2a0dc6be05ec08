"""Followed: one run, whether it has changed and ended, and its links to all places."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from time import time as now

from annarchy_tb.follow.link import Link, Outlet
from annarchy_tb.follow.watch import Seen, Watch
from annarchy_tb.reading.run import Run
from annarchy_tb.run import sessions
from annarchy_tb.run.info import RUNNING, UNKNOWN, RunInfo

LEAST, MOST = 0.2, 1.0  # seconds between two looks at a run
ALIVE = (0.5, 10.0)  # seconds between two looks whether its process is alive

SILENT = "killed?"  # a status: it has not been written to for long


class Followed:
    """A run that is followed.

    Parameters
    ----------
    run, name
        The run, and its name below the directory that is followed.
    outlets
        Where it is pushed.
    rate
        The most points a second.
    idle
        After how many seconds without a change a run has ended if nothing else tells.

    Attributes
    ----------
    run : Run
    name : str
    links : list of Link
    status : str or None
        How it has ended, as far as that is known; None if it goes on.
    """

    run: Run
    name: str
    links: list[Link]
    status: str | None
    _watch: Watch
    _info: RunInfo
    _record: Seen | None
    _idle: float
    _pause: float
    _due: float
    _changed: float
    _alive_due: float

    def __init__(
        self,
        run: Run,
        name: str,
        outlets: Sequence[Outlet],
        rate: float | None,
        idle: float,
    ) -> None:
        self.run, self.name = run, name
        self.links = [Link(run, name, outlet, rate) for outlet in outlets]
        self.status = None
        self._watch = Watch(run.path)
        self._info, self._record = RunInfo(), None
        self._idle, self._pause = idle, LEAST
        self._due = self._alive_due = 0.0
        self._changed = monotonic()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do at any place."""
        return all(link.is_done for link in self.links)

    @property
    def is_caught_up(self) -> bool:
        """Whether all places have all that the run had at the last look."""
        return all(link.is_done or link.is_caught_up for link in self.links)

    @property
    def record(self) -> Seen | None:
        """What ``run.json`` was like at the last look; None if there is none."""
        return self._record

    def turn(self) -> bool:
        """Push what is new to all places; return whether there was anything."""
        when = monotonic()
        if when < self._due and self.is_caught_up:
            return False
        try:
            changed = self._watch.changed()
        except OSError:
            if not self.run.path.is_dir():
                self._is_gone()
            return False
        if changed:
            self._changed, self._pause = when, LEAST
            for link in self.links:
                link.is_caught_up = False
        else:
            self._pause = min(2 * self._pause, MOST)
        self._due = when + self._pause
        if changed or when >= self._alive_due:
            self.status = self._ended(changed)
            low, high = ALIVE
            quiet = when - self._changed
            self._alive_due = when + min(max(low, quiet / 5), high)
        found = False
        for link in self.links:
            if link.is_due() and (self.status or not link.is_caught_up):
                found |= link.turn(self.status, self.like())
        return found

    def hurry(self) -> None:
        """Look at the run at the next turn, and whether its process is alive."""
        self._due = self._alive_due = 0.0

    def like(self) -> list[object]:
        """Return what the run is like, to see later whether it has continued."""
        info = self._info
        session = [info.session, info.session_count, info.ended]
        return [*session, len(info.notes or ()), self._watch.size]

    def _is_gone(self) -> None:
        for link in self.links:
            if not link.is_done:
                link.failure = "the run is gone"
                link.say("the run is gone")
                link.finish()

    def _ended(self, changed: bool) -> str | None:
        """Return how the run has ended, None if it goes on."""
        if changed and self._record != self._watch.record:
            self._record = self._watch.record
            self._info = RunInfo.read(self.run.path)
        state = self._info.state()
        if state in (RUNNING, UNKNOWN):
            if state == RUNNING and self._info.is_open():
                return None
            last = self._watch.last_change
            record = self._watch.record
            last = max(last or 0.0, record[1] / 1e9 if record else 0.0)
            if now() - last < self._idle:
                return None
            return SILENT if state == RUNNING else UNKNOWN
        return None if sessions.writer(self._info)[0] else state
