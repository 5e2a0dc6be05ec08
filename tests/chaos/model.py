"""The model: what a run may and must have, after the reports of a child.

It knows the promises of the API, and nothing of how they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import calls
from .calls import Key, Rows
from .child import PARAMETERS
from .programs import Program, interrupted, operations
from .reading import BrokenError, Found

NO_ROWS = Rows(np.empty(0, np.int64), np.empty(0, np.int64))
TORN = "the file ends within"  # how the torn end of a file is described
HARMLESS = {"kill", "torn", "after", "interrupt", "slow", "EINTR"}  # raise no OSError
SYSTEM = {"OSError", "FileExistsError", "FileNotFoundError", "PermissionError"}
BEGIN = {*calls.KINDS, "checkpoint"}  # change a run that was opened

Lengths = dict[Key, int]  # how many pieces there are of each tag


class Piece:
    """The rows that one call logs to one tag.

    Attributes
    ----------
    sure : bool or None
        Whether they must be there, or must not; None if both are right. (Of a series,
        the first blocks may then be there.)
    drawn : bool
        Whether, if they are not sure to be there, any of them may be: those that are
        drawn from a series whose blocks never got room.
    group : object
        Pieces of one group are all there, or none is; None without one.
    """

    def __init__(self, name: str, rows: Rows, drawn: bool) -> None:
        self.name = name
        self.rows = rows
        self.drawn = drawn
        self.sure: bool | None = None
        self.group: object = None

    def fits(self, found: Rows, at: int) -> Iterator[int]:
        """Yield how many of the rows found from a place on may be of this piece."""
        if self.sure is not True:
            yield 0
        its = self.rows
        most = min(len(its.data), len(found.data) - at)
        if self.sure is False or not most:
            return
        steps: Any = found.steps
        there = steps[at : at + most]
        same = found.data[at : at + most] == its.data[:most]
        if its.steps is None:  # counted on from the last one
            last = steps[at - 1] if at else -1
            same &= there > np.concatenate([[last], there[:-1]])
        else:
            same &= there == its.steps[:most]
        number = most if same.all() else int(same.argmin())
        if number == len(its.data) or (number and self.sure is None):
            yield number
        if self.sure is None and self.drawn:
            number, left = at, iter(its.data)
            while number < len(steps) and found.data[number] in left:
                number += 1
            yield number - at

    def take(self, found: Rows, at: int, number: int) -> None:
        """Note that only these of the rows found are there."""
        self.sure = number > 0
        place = slice(at, at + number)
        steps: Any = found.steps
        steps = None if self.rows.steps is None else steps[place]
        self.rows = Rows(steps, found.data[place])


class Checkpoint:
    """A checkpoint, with how many pieces of each tag: at least, and at most.

    `most` is None as long as the call has not ended; `saved` tells whether the
    checkpoint is certainly there.
    """

    def __init__(
        self, number: int, least: Lengths, metrics: dict[str, set[float | None]]
    ) -> None:
        self.number = number
        self.least = least
        self.most: Lengths | None = None
        self.metrics = metrics
        self.saved = False


class Session:
    """A session of the run.

    `begun` tells whether it has changed the run, None if that is not known; `start` is
    how many pieces there were before; `cut` is the checkpoint that it resumed, if one
    was asked for; `metrics` are those that it logged; `final` is its last status.
    """

    def __init__(self, start: Lengths) -> None:
        self.start = start
        self.begun: bool | None = False
        self.cut: Checkpoint | None = None
        self.metrics: dict[str, set[float | None]] = {}
        self.final = ""


class Actor:
    """The pieces of the call of a thread or process; how many had returned before."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.before = 0


class Model:
    """The state of a run.

    Parameters
    ----------
    program
        The program.

    Attributes
    ----------
    returned : int
        The number of calls that returned.
    """

    def __init__(self, program: Program) -> None:
        self.seed = program["seed"]
        self.small = program["place"] == "small"
        self.returned = 0
        self.pieces: dict[Key, list[Piece]] = {}
        self.checkpoints: list[Checkpoint] = []
        self.statuses = {"absent"}
        self.params: list[dict[str, Any]] = [{}]
        self.metrics: dict[str, set[float | None]] = {}
        self.torn = False  # files may be
        self.behind = False  # a thread may have written behind half a record
        # A cut that may have been interrupted: "open" or "log" completes it.
        self.unsettled = ""

    def begin(self, process: Program) -> None:
        """Begin a process of the program."""
        effects = {fault["effect"] for fault in process["faults"]}
        self.faulty = self.small or bool(effects - HARMLESS)
        self.interrupted = interrupted(process)
        self.torn |= self.faulty or bool(effects or process["call"])
        self.torn |= bool(process["signals"])
        self.ops = {op["id"]: op for op in operations(process)}
        threads = any(op["do"] == "thread" for op in self.ops.values())
        self.behind |= self.faulty and threads
        self.forks = {op["name"] for op in self.ops.values() if op["do"] == "fork"}
        self.half_open = False
        self.actors: dict[str, Actor] = {}
        self.waiting: dict[str, list[Piece]] = {}  # returned, by process
        self.session = Session({})

    def _lengths(self) -> Lengths:
        return {key: len(pieces) for key, pieces in self.pieces.items()}

    # -- reports -----------------------------------------------------------------------

    def report(self, line: str) -> None:
        """Take a report of the child."""
        name, letter, number, turn, said = line.split("\t", 4)
        op = self.ops[int(number)] if number.isdigit() else {"do": number}
        do = op["do"]
        actor = self.actors.setdefault(name, Actor())
        its = self.waiting.setdefault(name if name in self.forks else "", [])
        if letter == "B":
            actor.before = len(its)
            actor.pieces = []  # Ctrl-C may have come while an error was reported
            if do in BEGIN or do == "parameters":
                self._begins()
            if do in calls.KINDS:
                actor.pieces = self._called(name, op, int(turn))
        elif letter == "R":
            self.returned += 1
            if said.startswith("0 "):  # no record waits for room
                for piece in [*its[: actor.before], *actor.pieces]:
                    piece.sure = True if piece.sure is None else piece.sure
                if do in BEGIN:
                    self._has_begun()
            its += actor.pieces
        else:
            self._allow(name, do, said)
        if letter != "B":
            actor.pieces = []
        more = getattr(self, f"_{do.replace('-', '_')}", None)
        if more is not None:
            more(letter, op, said)

    def _called(self, name: str, op: Program, turn: int) -> list[Piece]:
        call = calls.call(self.seed, name, op, turn)
        pieces = []
        for key, rows in call.rows.items():
            drawn = self.faulty and op["do"] == "series"
            pieces.append(Piece(f"{call.method} ({op['id']}.{turn})", rows, drawn))
            self.pieces.setdefault(key, []).append(pieces[-1])
        return pieces

    def _allow(self, name: str, do: str, said: str) -> None:
        """Raise a failure, unless a call may raise this error."""
        kind = said.split()[0]
        late = self.interrupted and name != "main" and "is closed" in said
        # Of a Logger that was interrupted just before it was there, nobody knows.
        self.half_open |= kind == "KeyboardInterrupt" and do.startswith("open-")
        taken = self.half_open and "of this process is still writing" in said
        twice = self.interrupted and do == "parameters" and "already been" in said
        if not (
            (kind == "KeyboardInterrupt" and self.interrupted)
            or (kind in SYSTEM and self.faulty)
            or (kind == "FileExistsError" and do == "open-x")
            or late
            or taken
            or twice
        ):
            raise BrokenError("error", f"{do} of {name} raised {said}")

    # -- opening -----------------------------------------------------------------------

    def _fork(self, letter: str, op: Program, _: str) -> None:
        if letter == "B":
            self.waiting[op["name"]] = []

    def _open(self, letter: str) -> None:
        """Note a new Logger: what waited in the last one is not written."""
        if letter == "B":
            self.waiting[""] = []
            self.session = Session(self._lengths())

    def _open_a(self, letter: str, *_: Any) -> None:
        """Open a run that exists, or start it."""
        self._open(letter)
        if letter == "B":
            if "absent" in self.statuses:
                self.session.begun = None
                self.statuses |= {"killed"}
        elif letter == "R":
            self.statuses -= {"absent"}
            if self.unsettled == "open":
                self.unsettled = ""

    _open_resume = _open_a

    def _open_w(self, letter: str, *_: Any) -> None:
        self._open_x(letter)
        if letter == "B":
            self.unsettled = "open"
            self._withdraw({}, self.session.start, object(), regroup=False)
            for checkpoint in self.checkpoints:
                checkpoint.saved = False

    def _open_x(self, letter: str, *_: Any) -> None:
        self._open(letter)
        if letter == "B":
            self.statuses |= {"killed"}
            self.metrics = {name: its | {None} for name, its in self.metrics.items()}
            self.params.append({})
        elif letter == "R":
            sure = [p.name for its in self.pieces.values() for p in its if p.sure]
            if sure:
                raise BrokenError("open", f"mode 'x' opened a run that has {sure[0]}")
            self._new()

    def _new(self) -> None:
        for pieces in self.pieces.values():
            for piece in pieces:
                piece.sure = False
        self.checkpoints, self.metrics, self.params = [], {}, [{}]
        self.statuses = {"killed"}
        self.unsettled = ""
        self.session.begun = True

    def _load(self, letter: str, _: Program, said: str) -> None:
        if letter == "R":
            number = int(said.split()[1])
            start = Checkpoint(0, {}, {})
            start.most, start.saved = {}, True
            there = [start, *self.checkpoints]
            while len(there) > 1 and there[-1].number != number:
                if there.pop().saved:
                    break
            if there[-1].number != number:
                known = [one.number for one in self.checkpoints]
                raise BrokenError("checkpoint", f"{number} was loaded, of {known}")
            self.checkpoints = there[1:]
            self.session.cut = there[-1]
            self.session.cut.saved = True

    # -- the first change of a session -------------------------------------------------

    def _begins(self) -> None:
        """Note a call that begins the session."""
        session = self.session
        if session.begun is not False:
            return
        session.begun = None
        self.statuses |= {"killed"}
        if session.cut is not None:
            self.unsettled = "log"
            most = session.cut.most or {}
            self._withdraw(session.cut.least, most, None)
            self._withdraw(most, session.start, object())
            self.params += [{}, PARAMETERS]
            for name in {**self.metrics, **session.cut.metrics}:
                its = session.cut.metrics.get(name, {None})
                self.metrics[name] = self.metrics.get(name, {None}) | its

    def _has_begun(self) -> None:
        """Note that such a call has returned, and no record waits."""
        session = self.session
        if session.begun is not None:
            return
        session.begun = True
        self.statuses = {"killed"}
        self.unsettled = ""
        if session.cut is not None:
            for key, end in session.start.items():
                for piece in self.pieces[key][
                    (session.cut.most or {}).get(key, 0) : end
                ]:
                    piece.sure = False
            both = {**session.cut.metrics, **session.metrics}
            self.metrics = {
                name: session.cut.metrics.get(name, {None})
                | session.metrics.get(name, set())
                for name in both
            }

    def _withdraw(
        self, begin: Lengths, end: Lengths, group: object, regroup: bool = True
    ) -> None:
        """Have pieces that are there, or all of their groups, be there or not."""
        for key, last in end.items():
            for piece in self.pieces[key][begin.get(key, 0) : last]:
                grouped = piece.sure is None and piece.group is not None
                if piece.sure or (grouped and regroup):
                    piece.sure, piece.group = None, group

    # -- other operations --------------------------------------------------------------

    def _checkpoint(self, letter: str, op: Program, _: str) -> None:
        if letter == "B":
            least = self._lengths()
            busy = {p for actor in self.actors.values() for p in actor.pieces}
            for key, pieces in self.pieces.items():
                least[key] -= pieces[-1] in busy
                # What waits in a forked process is not in a checkpoint of its parent.
                while (
                    key[1].split("/")[0] in self.forks
                    and least[key]
                    and pieces[least[key] - 1].sure is None
                ):
                    least[key] -= 1
            metrics = {name: set(its) for name, its in self.metrics.items()}
            self.checkpoints.append(Checkpoint(op["id"], least, metrics))
        else:
            self.checkpoints[-1].most = self._lengths()
            self.checkpoints[-1].saved = letter == "R"

    def _metrics(self, letter: str, op: Program, _: str) -> None:
        [values] = calls.call(self.seed, "main", op).arguments
        for name, value in values.items():
            if letter == "B":
                for its in (self.metrics, self.session.metrics):
                    its[name] = its.get(name, {None}) | {value}
            elif letter == "R" and not self.faulty:
                self.metrics[name] = self.session.metrics[name] = {value}

    def _parameters(self, letter: str, *_: Any) -> None:
        if letter == "B":
            self.params.append(PARAMETERS)
        elif letter == "R" and not self.faulty:
            self.params = [PARAMETERS]

    def _close(self, letter: str, _: Program, said: str) -> None:
        session = self.session
        # A resume that has nothing left to do is finished, too.
        left = session.cut is not None and session.cut.number > 0
        if letter == "B":
            session.final = said
            if left and said == "finished":
                self._begins()
            if session.begun is not False:
                self.statuses |= {session.final}
        elif letter == "R" and session.begun is not False:
            if left and session.final == "finished" and not self.faulty:
                self._has_begun()
            if session.begun:
                unknown = {"killed"} if self.faulty else set()
                self.statuses = {session.final} | unknown

    # -- comparing ---------------------------------------------------------------------

    def end(self) -> None:
        """Note that all processes have ended."""
        for checkpoint in self.checkpoints:
            if checkpoint.most is None:
                checkpoint.most = self._lengths()

    def check(self, found: Found, ended: bool = True) -> None:
        """Compare a run with the model.

        Once all processes have `ended`, the model takes over what was found, where it
        allows several things.
        """
        taken: list[tuple[Piece, Rows, int, int]] = []
        for key in {**self.pieces, **found.rows}:
            rows, pieces = found.rows.get(key, NO_ROWS), self.pieces.get(key, [])
            if self.unsettled == "open":  # any of its files are still there
                _check_known(key, rows, pieces)
            else:
                taken += _match(key, rows, pieces)
        right = "" if self.behind else TORN if self.torn else None
        bad = [one for one in found.damage if right is None or right not in one]
        if bad:
            raise BrokenError("damage", "; ".join(bad))
        if ended:
            self._check_status(found.status, self.statuses)
            self.statuses = {found.status}
        elif self.session.begun:
            self._check_status(found.status, self.statuses - {"killed"} | {"running"})
        if not self.unsettled:
            self._check_settled(found, taken)
        if ended and not self.unsettled:
            for piece, *there in taken:
                piece.take(*there)
            self.params = [found.params]
            self.metrics = {name: {it} for name, it in found.metrics.items()}

    def _check_status(self, status: str, allowed: set[str]) -> None:
        if status not in allowed:
            raise BrokenError(
                "status", f"{status}, and not {' or '.join(sorted(allowed))}"
            )

    def _check_settled(self, found: Found, taken: list[tuple[Any, ...]]) -> None:
        groups: dict[object, set[bool]] = {}
        for piece, *_, number in taken:
            if piece.group is not None and piece.sure is None:
                groups.setdefault(piece.group, set()).add(number > 0)
        if any(len(both) > 1 for both in groups.values()):
            raise BrokenError("resume", "a cut was completed in part")
        if found.params not in self.params:
            raise BrokenError("parameters", f"{found.params}, not one of {self.params}")
        for name, allowed in self.metrics.items():
            if found.metrics.get(name) not in allowed:
                raise BrokenError("metrics", f"{name}: {found.metrics.get(name)}")


def _check_known(key: Key, found: Rows, pieces: Sequence[Piece]) -> None:
    """Raise an error if a row was never logged."""
    logged = [piece.rows.data for piece in pieces]
    known = np.isin(found.data, calls.joined(logged))
    if not known.all():
        where = _about(key, found, int(known.argmin()))
        raise BrokenError("invented", f"nothing should be {where}")


def _match(
    key: Key, found: Rows, pieces: Sequence[Piece]
) -> Iterator[tuple[Piece, Rows, int, int]]:
    """Yield each piece, with the place and the number of its rows among those found."""
    # The rows up to which the pieces may reach; for each, where the last one began.
    reached: list[dict[int, int]] = [{0: 0}]
    for piece in pieces:
        after: dict[int, int] = {}
        for at in reached[-1]:
            for number in piece.fits(found, at):
                # If two pieces look alike, it is the earlier one that is there.
                after[at + number] = max(at, after.get(at + number, at))
        if not after:
            where = _about(key, found, max(reached[-1]))
            raise BrokenError("lost", f"{piece.name} should be {where}")
        reached.append(after)
    end = len(found.data)
    if end not in reached[-1]:
        where = _about(key, found, max(reached[-1]))
        raise BrokenError("invented", f"nothing more should be {where}")
    for piece, after in zip(reversed(pieces), reversed(reached), strict=False):
        begin = after[end]
        yield piece, found, begin, end - begin
        end = begin


def _about(key: Key, found: Rows, at: int) -> str:
    """Say which row was found at a place."""
    curve, tag, _ = key
    where = f"at row {at} of {curve and f'{curve}: '}{tag!r}"
    if found.steps is None or at >= len(found.steps):
        return f"{where}, which is its end"
    step = int(found.steps[at])
    call, turn = divmod(step // calls.STEPS, calls.REPEATS)
    return f"{where}, where step {step} is (of call {call}.{turn}, if it was given)"
