"""The loop: all runs that are followed, in turn, until they end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic, process_time, sleep
from typing import Any, NamedTuple

from annarchy_tb.follow.followed import LEAST, MOST, Followed
from annarchy_tb.follow.link import Link, Outlet, Say, reason
from annarchy_tb.follow.places import place
from annarchy_tb.follow.target import Options, Target
from annarchy_tb.follow.watch import Seen, record
from annarchy_tb.inputs.messages import describe
from annarchy_tb.reading import wording
from annarchy_tb.reading.find import directories
from annarchy_tb.reading.run import Run
from annarchy_tb.run import sessions
from annarchy_tb.run.info import RunInfo
from annarchy_tb.run.paths import absolute, directory_of_runs

IDLE, GIVE_UP = 3600.0, 600.0  # seconds
SHARE = 300  # at most one part in so many of the time is spent on looking for changes

To = str | tuple[type[Target], str]


class Pushed(NamedTuple):
    """How far a run was followed to a place.

    Attributes
    ----------
    run : Path
        The directory of the run.
    target : str
        The place, without passwords.
    status : str or None
        How the run ended, if all of it was pushed; else None.
    pushed, thinned, refused : int
        How many points were pushed, left out for being too many, and left out because
        the place does not take them; since the run was begun there.
    error : str or None
        What is wrong, if anything.
    """

    run: Path
    target: str
    status: str | None
    pushed: int
    thinned: int
    refused: int
    error: str | None


class Loop:
    """Runs that are followed to places, in one thread.

    Parameters
    ----------
    roots
        Directories of runs, or runs.
    to
        The places.
    once
        Whether only what is there now is pushed.
    rate, idle
        See `follow`.
    job
        Only runs of this job are followed, if it is given.
    say
        Tells the user something in a line.

    Attributes
    ----------
    outlets : list of Outlet
        The places.
    """

    outlets: list[Outlet]
    _roots: list[Path]
    _once: bool
    _rate: float | None
    _idle: float
    _job: str | None
    _say: Say
    _followed: dict[Path, Followed]
    _past: dict[Path, tuple[list[Pushed], Seen | None]]  # runs that are done
    _others: dict[Path, Seen | None]  # runs of other jobs
    _next_scan: float

    def __init__(
        self,
        roots: Sequence[Path],
        to: Sequence[To],
        *,
        once: bool = False,
        rate: float | None = None,
        idle: float = IDLE,
        job: str | None = None,
        say: Say,
    ) -> None:
        places = {its.shown: its for its in map(place, to)}
        self.outlets = [Outlet(its, say) for its in places.values()]
        self._roots, self._once, self._rate = list(roots), once, rate
        self._idle, self._job, self._say = idle, job, say
        self._followed, self._past, self._others = {}, {}, {}
        self._next_scan = 0.0
        self._check()

    def _check(self) -> None:
        """Find out now which places can't be used; raise if there is no other."""
        errors: list[Exception] = []
        for outlet in self.outlets:
            try:
                outlet.place.target(outlet.place.place, Options())
            except OSError:
                pass  # temporary
            except Exception as error:
                outlet.broken = True
                errors.append(error)
                if len(errors) == len(self.outlets):
                    raise
                outlet.say(reason(error))

    @property
    def links(self) -> Iterator[Link]:
        """The links of all runs that are followed now."""
        return (link for its in self._followed.values() for link in its.links)

    @property
    def found(self) -> int:
        """The number of runs found so far."""
        return len(self._followed) + len(self._past)

    def round(self) -> bool:
        """Give each run its turn; return whether anything was pushed."""
        if monotonic() >= self._next_scan:
            self._scan()
        pushed = False
        for path, its in list(self._followed.items()):
            pushed |= its.turn()
            if its.is_done:
                self._past[path] = (_results(its), its.record)
                del self._followed[path]
        return pushed

    def is_done(self) -> bool:
        """Return whether there is nothing left to do."""
        if self._once:
            return all(its.is_caught_up for its in self._followed.values())
        return not self._followed and (bool(self._past) or self._job is not None)

    @property
    def looked(self) -> float:
        """The seconds of the processor that were not spent on pushing."""
        return process_time() - sum(its.spent for its in self.outlets)

    def has_ended(self) -> bool:
        """Return whether all runs have ended, pushed or not."""
        return self._once or all(its.status for its in self._followed.values())

    def results(self) -> list[Pushed]:
        """Return how far all runs are."""
        past = [one for results, _ in self._past.values() for one in results]
        return past + [one for its in self._followed.values() for one in _results(its)]

    def close(self) -> None:
        """Let go of all targets and locks; what is not pushed yet may be later."""
        for link in list(self.links):
            link.finish()

    def hurry(self) -> None:
        """Look at everything at the next round."""
        self._next_scan = 0.0
        for its in self._followed.values():
            its.hurry()

    def _scan(self) -> None:
        start = process_time()
        for root in self._roots:
            for path in directories(root):
                if path not in self._followed:
                    self._take_up(root, path)
        spent = process_time() - start
        self._next_scan = monotonic() + max(MOST, SHARE * spent)

    def _take_up(self, root: Path, path: Path) -> None:
        seen = record(path)  # changes whenever a Logger opens the run
        if path in self._past and self._past[path][1] == seen:
            return
        if self._job is not None:
            if path in self._others and self._others[path] == seen:
                return
            if not _is_of(self._job, RunInfo.read(path)):
                self._others[path] = seen
                return
        try:
            run = Run(path)
        except OSError:  # gone again
            return
        name = wording.name(path, root) if path != root else path.name
        self._past.pop(path, None)
        self._followed[path] = Followed(run, name, self.outlets, self._rate, self._idle)


def _places(to: Any) -> list[To]:
    """Return one place, or several, as a list."""
    if isinstance(to, str):
        return [to]
    if isinstance(to, tuple) and len(to) == 2 and isinstance(to[0], type):
        return [to]
    return list(to)


def _is_of(job: str, info: RunInfo) -> bool:
    return any(its.get("job") == job for its in sessions.found(info))


def _results(followed: Followed) -> list[Pushed]:
    found = []
    for link in followed.links:
        state, shown = link.state, link.outlet.place.shown
        error = link.failure or link.state.error or link.outlet.error
        status = None if link.failure else state.ended
        numbers = (state.pushed, state.thinned, state.refused)
        found.append(Pushed(link.run.path, shown, status, *numbers, error))
    return found


def rounds(
    loop: Loop, give_up: float, goes_on: Callable[[], bool] = lambda: False
) -> Iterator[float]:
    """Go round until all is done, or a place has taken nothing for too long.

    Parameters
    ----------
    loop
        The loop.
    give_up
        For how many seconds a place may take nothing after all runs have ended.
    goes_on
        Whether runs may still begin.

    Yields
    ------
    float
        How many seconds to wait before the next round.
    """
    waiting, last = 0.0, monotonic()
    while True:
        start = loop.looked
        more = goes_on()  # what was written before is found in this round
        if loop.round():
            waiting, last = 0.0, monotonic()
            yield 0.0
            continue
        if not more and loop.is_done():
            return
        if more or not loop.has_ended():
            last = monotonic()
        elif monotonic() > last + give_up:
            return
        waiting = min(max(LEAST, 2 * waiting), MOST)
        yield max(waiting, SHARE * (loop.looked - start))


def follow(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    to: To | Sequence[To] = (),
    *,
    once: bool = False,
    rate: float | None = None,
    idle: float = IDLE,
    give_up: float = GIVE_UP,
) -> list[Pushed]:
    """Push what runs log to other places until the runs end.

    It reads the files of the runs, so nothing of it happens in their processes. How far
    it is, is kept beside each run: stopped at any time, and called again, it goes on.

    Parameters
    ----------
    runs : path, or sequence of paths, optional
        Runs, and directories of runs; new runs below these are followed as well. The
        default is ``$ANNARCHY_TB_LOGDIR``, else ``runs``.
    to : str, (type, str), or sequence of these
        Where to: ``"jsonl:DIR"``, ``"csv:DIR"``, ``"mlflow:URI"``,
        ``"wandb:PROJECT"``, ``"mirror:URL"``, or your own class of
        `annarchy_tb.follow.Target` with its place, as in ``"mylab.Chat:room"`` or
        ``(Chat, "room")``.
    once : bool
        Whether to return when all is pushed that there is now. By default, this returns
        when all runs have ended, and waits for the first one.
    rate : float, optional
        The most points a second of a run; of more, the extremes are pushed.
    idle : float
        Seconds without a change after which a run has ended whose process can't be
        seen, such as one on another host: it ends as ``"killed?"``.
    give_up : float
        Seconds for which a place may take nothing after the runs have ended.

    Returns
    -------
    list of Pushed
        How far each run was pushed to each place.

    Raises
    ------
    FileNotFoundError
        If there is no such directory.
    ValueError
        If there is no such target, or it can't use its place.
    ImportError
        If its package is not installed.
    """
    paths = [runs] if runs is None or isinstance(runs, (str, os.PathLike)) else runs
    roots = [directory_of_runs(None) if its is None else absolute(its) for its in paths]
    places = _places(to)
    if not places:
        raise ValueError(f"follow: to must name a target, got {describe(to)}")
    for root in roots:
        if not root.is_dir():
            raise FileNotFoundError(f"there is no directory {root}")
    say = logging.getLogger("annarchy_tb").info
    loop = Loop(roots, places, once=once, rate=rate, idle=idle, say=say)
    try:
        for pause in rounds(loop, give_up):
            sleep(pause)
        return loop.results()
    finally:
        loop.close()
