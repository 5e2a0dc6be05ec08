"""Link: one run on its way to one place."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from time import monotonic, process_time

from annarchy_tb.follow.masking import masked
from annarchy_tb.follow.places import Place
from annarchy_tb.follow.state import State, folder
from annarchy_tb.follow.target import LostError, Options, Target, UnreadableError
from annarchy_tb.reading.run import Run
from annarchy_tb.run.atomic import exclusive, remove_leftovers

PAUSES = (1.0, 60.0)  # seconds between attempts, at first and at most
SPACING = 1.0  # seconds between two batches of a run whose points are thinned
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
HOPELESS = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
QUIET = 600.0  # seconds for which the same error is not told again

Say = Callable[[str], None]


class Outlet:
    """A place, and whether it takes anything now.

    Parameters
    ----------
    place
        The place.
    say
        Tells the user something in a line.

    Attributes
    ----------
    place : Place
    broken : bool
        Whether its targets can't be made at all.
    error : str or None
        Why it takes nothing now.
    spent : float
        Seconds of the processor that were spent on pushing there.
    """

    place: Place
    broken: bool
    error: str | None
    spent: float
    _say: Say
    _pause: float
    _until: float  # the next attempt
    _since: float  # the first failed one
    _errors: dict[str, float]  # when each was told
    _is_told: bool
    _told: set[str]

    def __init__(self, place: Place, say: Say) -> None:
        self.place, self._say = place, say
        self.broken, self.error, self.spent = False, None, 0.0
        self._pause = self._until = self._since = 0.0
        self._errors, self._is_told = {}, False
        self._told = set()

    def say(self, message: str) -> None:
        """Tell the user something about the place."""
        self._say(masked(f"{self.place.shown}: {message}"))

    def say_once(self, what: str, message: str) -> None:
        """Tell the user something, but of each kind only the first."""
        if what not in self._told:
            self._told.add(what)
            self.say(message)

    def is_ready(self, last: bool = False) -> bool:
        """Return whether it is time for another attempt; perhaps as the last one."""
        return monotonic() >= self._until + (SPACING if last else 0.0)

    def retry(self) -> None:
        """Make another attempt now."""
        self._until = 0.0

    def failed(self, error: Exception) -> None:
        """Pause after an error, each time for longer."""
        now, said = monotonic(), reason(error)
        if self.error is None:
            self._since = now
            if now > self._errors.get(said, -QUIET) + QUIET:
                self.say(f"{said}; trying again, with pauses up to 1 min")
                self._errors = {**dict(list(self._errors.items())[-10:]), said: now}
                self._is_told = True
        self.error = said
        low, high = PAUSES
        self._pause = min(max(low, 2 * self._pause), high)
        self._until = now + self._pause

    def worked(self) -> None:
        """Note that it takes what it is given."""
        if self.error is not None and self._is_told:
            self.say(f"back after {monotonic() - self._since:.0f} s")
        self.error, self._is_told = None, False
        self._pause = self._until = 0.0


def reason(error: Exception) -> str:
    """Return an error in a line, without the passwords of addresses in it."""
    said = masked(" ".join(str(error).split()))
    plain = isinstance(error, (OSError, UnreadableError)) and said
    return said if plain else f"{type(error).__name__}: {said}"


class Link:
    """One run on its way to one place.

    Parameters
    ----------
    run, name
        The run, and its name below the directory that is followed.
    outlet
        The place.
    rate
        The most points a second.

    Attributes
    ----------
    state : State
        How far it is.
    is_done : bool
        Whether nothing is left to do.
    failure : str or None
        Why the run is not followed any more, before its end.
    is_caught_up : bool
        Whether all was pushed that the run had when it was last looked at.
    """

    run: Run
    name: str
    outlet: Outlet
    state: State
    is_done: bool
    failure: str | None
    is_caught_up: bool
    _rate: float | None
    _target: Target | None
    _lock: contextlib.ExitStack | None
    _has_begun: bool  # the target at the place
    _is_last: bool
    _earliest: float

    def __init__(self, run: Run, name: str, outlet: Outlet, rate: float | None) -> None:
        self.run, self.name, self.outlet = run, name, outlet
        self.state = State(folder(run.path, outlet.place.shown))
        self.is_done = self.is_caught_up = False
        self.failure = None
        self._rate = rate
        self._target = self._lock = None
        self._has_begun = self._is_last = False
        self._earliest = 0.0

    def say(self, message: str) -> None:
        """Tell the user something about this run at this place."""
        self.outlet.say(f"{self.name}: {message}")

    def is_due(self) -> bool:
        """Return whether something can be tried now."""
        ready = self.outlet.is_ready(self._is_last) and monotonic() >= self._earliest
        return not self.is_done and ready

    def turn(self, status: str | None, like: list[object]) -> bool:
        """Push what is new; return whether there was anything.

        Parameters
        ----------
        status
            How the run has ended; None if it has not.
        like
            What the run is like: if it was like this when it ended, nothing is new.
        """
        if self.outlet.broken:  # which was told
            self.failure, self.is_done = "its targets can't be made", True
            return False
        start = process_time()
        try:
            return self._turn(status, like)
        except UnreadableError as error:
            self._earliest = monotonic() + PAUSES[1]
            self.outlet.say_once(f"unreadable {self.name}", f"{self.name}: {error}")
        except OSError as error:
            self.close_target()
            if not self.run.path.is_dir():
                self._give_up("the run is gone")
            elif error.errno in HOPELESS:
                self._give_up(reason(error))
            else:
                self.outlet.failed(error)
                self._is_last = True  # of the next attempts: it may be its own fault
                self._note(reason(error))
        except Exception as error:
            self._give_up(reason(error))
        finally:
            self.outlet.spent += process_time() - start
        return False

    def _turn(self, status: str | None, like: list[object]) -> bool:
        if self._lock is None and not self._open(status, like):
            return False
        try:
            target = self._begun()
        except LostError as error:
            if not self.state.kept:
                raise
            self.say(f"{error}: all is pushed again")
            self.close_target()
            self.state.forget()
            return True
        found = target.take(self.run, self.state)
        if not self.state.begun:
            self.say("points were withdrawn by a resume: the run begins anew there")
            self.close_target()
            return True
        if found:
            self._is_last = False
            self.outlet.worked()
        self.is_caught_up = not (found or target.holds)
        if self.is_caught_up and self._rate is not None:
            self._earliest = monotonic() + SPACING
        if found or status is None:
            return found
        for path, place, why in target.torn:
            self.say(f"{path.name}, byte {place}: {why}")
            self.state.damaged += 1
        target.end(self.run, status)
        self.state.ended, self.state.error, self.state.seen = status, None, like
        target.save(self.state)
        self.outlet.worked()
        self.finish()
        return True

    def _open(self, status: str | None, like: list[object]) -> bool:
        """Lock the state and read it; return whether there is anything to do."""
        where = self.state.folder
        self.state = State.read(where)
        if status is not None and self.state.ended and self.state.seen == like:
            self.is_done = self.is_caught_up = True
            return False
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in READ_ONLY:
                self._give_up(f"the state can't be kept in {where}: {error.strerror}")
                return False
            raise
        with contextlib.ExitStack() as stack:
            if not stack.enter_context(exclusive(where, 0.0)):
                self.outlet.say_once(
                    "locked", f"another follower pushes {self.name} there"
                )
                self.failure, self.is_done = "another follower pushes it", True
                return False
            remove_leftovers(where)
            self.state = State.read(where)
            self.state.run, self.state.target = (
                str(self.run.path),
                self.outlet.place.shown,
            )
            self._lock = stack.pop_all()
        return True

    def _begun(self) -> Target:
        """Return the target, with the run begun or continued at the place."""
        if self._target is None:
            place = self.outlet.place
            options = Options(self.name, self._rate, self.say)
            self._has_begun = False
            self._target = place.target(place.place, options)
            self._target.begin(self.run, self.state.kept, self.state.previous)
            self._has_begun = True
            self.state.begun, self.state.ended, self.state.error = True, None, None
            self._target.save(self.state)
        return self._target

    def _note(self, error: str) -> None:
        if self._lock is not None and self.state.error != error:
            self.state.error = error
            with contextlib.suppress(OSError):
                self.state.save()

    def _give_up(self, why: str) -> None:
        self.failure = why
        self.say(f"given up: {why}")
        self._note(why)
        self.finish()

    def close_target(self) -> None:
        """Let go of the target; another one may continue."""
        target, self._target = self._target, None
        if target is not None:
            try:
                target.close()
            except Exception as error:
                if self._has_begun:
                    self.outlet.say_once("close", f"{self.name}: {reason(error)}")

    def finish(self) -> None:
        """Let go of the target and of the lock."""
        self.is_done = True
        self.close_target()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()
