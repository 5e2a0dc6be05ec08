"""Target: one run, pushed to one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, NamedTuple

from annarchy_tb.follow.state import State
from annarchy_tb.follow.thinning import Thinning
from annarchy_tb.reading.news import News, Position, Restart
from annarchy_tb.reading.news import news as news_of
from annarchy_tb.reading.run import Run
from annarchy_tb.tfevents.scan import TORN, Damage

SLICE = 1.0  # seconds that one run takes before the others have their turn


class UnreadableError(Exception):
    """The files of a run can't be read: a fault of the run, not of the target."""


class LostError(Exception):
    """What was pushed of a run is gone from the place: all of it is pushed again.

    `Target.begin` raises it, and is then called again as if for the first time.
    """


def _say_nothing(message: str) -> None:
    """Tell nobody."""


class Options(NamedTuple):
    """What all targets share.

    Attributes
    ----------
    name : str
        The name of the run: its path below the directory that is followed.
    rate : float or None
        The most points a second; None for all. `Target.take` sees to it.
    say : callable
        Tells the user something, in one line: the run and the target are added.
    """

    name: str = ""
    rate: float | None = None
    say: Callable[[str], None] = _say_nothing


class Target:
    """One run, pushed to one place. It is made anew for each run and each place.

    An OSError (such as ConnectionError, TimeoutError, or that of a full disk) is
    temporary: this object is closed, and after a pause another one tries again. All
    other exceptions end the following of this run at this place.

    All runs and places are served in turn, so no method may wait without end: give the
    client of the place a timeout, of a minute for example.

    Parameters
    ----------
    place : str
        The place, which is everything after ``mlflow:``.
    options : Options
        What all targets share.

    Attributes
    ----------
    place : str
    options : Options
    refused : int
        How many points and values this object has left out because the place does not
        take them. It is moved to the state whenever that is saved.
    torn : sequence of Damage
        Where files ended within a record when they were read last.
    holds : bool
        Whether it holds something back for now: `take` is then called again, even if
        nothing has changed.

    Raises
    ------
    ImportError
        If its package is not installed; the error says how to install it.
    ValueError
        If it can't use this place.
    """

    place: str
    options: Options
    refused: int = 0
    torn: Sequence[Damage] = ()
    holds: bool = False
    _thinning: Thinning | None = None
    _told: frozenset[Damage] = frozenset()

    def __init__(self, place: str, options: Options) -> None:
        self.place = place
        self.options = options

    @classmethod
    def resolved(cls, place: str) -> str:
        """Return the place in full, so that it is the same from any directory.

        By this name, the follower finds the state again: a relative path becomes an
        absolute one, for example.
        """
        return place

    def begin(
        self, run: Run, kept: dict[str, Any], previous: dict[str, Any] | None
    ) -> None:
        """Begin a run at the place, or continue it.

        This may be called again with the same *kept* if the follower was killed before
        it was stored: then it must find what it made the first time.

        Parameters
        ----------
        run : Run
            The run.
        kept : dict
            What the target remembers of the run, such as ids, as valid JSON: at first
            empty. It may be changed here, in `push` and in `end`; it is stored together
            with the position when they return.
        previous : dict or None
            What it remembered of an earlier run at the place, whose points a resume has
            withdrawn, and in whose stead this one begins; else None.
        """
        raise NotImplementedError

    def push(self, news: News) -> None:
        """Push points and values; return when the place has accepted them.

        They may come again if the follower is killed before it stores the position.
        """
        raise NotImplementedError

    def end(self, run: Run, status: str) -> None:
        """Push what is known now that the run has ended, such as its results.

        Parameters
        ----------
        run : Run
            The run.
        status : {"finished", "failed", "killed", "killed?", "unknown"}
            How it ended; ``"killed?"`` if it has just not been written to for long.
        """

    def close(self) -> None:
        """Let go of files and connections. The run may continue."""

    def take(self, run: Run, state: State) -> bool:
        """Push what is new in a run, and save the state after each part of it.

        Returns
        -------
        bool
            Whether there was anything: then there may be more.
        """
        start, found = monotonic(), False
        if self._thinning is None and self.options.rate is not None:
            self._thinning = Thinning(self.options.rate)
        damage: list[Damage] = []
        for news in _news(run, state.position, damage):
            if isinstance(news, Restart):
                state.start_over(news.position)
                return True
            left_out = 0
            if self._thinning is not None:
                news, left_out = self._thinning.thin(news)
            self.push(news)
            state.position = news.position
            state.pushed += sum(len(its.steps) for its in news.points.values())
            state.thinned += left_out
            self.save(state)
            found = True
            if monotonic() - start > SLICE:
                break
        self._tell(damage, state)
        return found

    def _tell(self, damage: list[Damage], state: State) -> None:
        """Tell of places in the files of the run that can't be read."""
        self.torn = [its for its in damage if its.reason.startswith(TORN)]
        new = set(damage) - self._told - set(self.torn)
        for path, place, why in sorted(new):
            self.options.say(f"{path.name}, byte {place}: {why}")
        state.damaged += len(new)
        self._told |= new

    def save(self, state: State) -> None:
        """Save a state, with what was refused meanwhile."""
        state.refused += self.refused
        self.refused = 0
        state.save()


def _news(
    run: Run, position: Position | None, damage: list[Damage]
) -> Iterator[News | Restart]:
    """Yield the news of a run; raise UnreadableError if its files can't be read."""
    news = news_of(run.path, position, damage)
    while True:
        try:
            one = next(news, None)
        except OSError as error:
            raise UnreadableError(str(error)) from error
        if one is None:
            return
        yield one
