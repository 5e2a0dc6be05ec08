"""The ledger: the kind of each tag in a directory, and its last step and time."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any

from annarchy_tb.inputs.clock import MIN_STEP
from annarchy_tb.inputs.messages import where
from annarchy_tb.run.kept import Kept

NEVER = MIN_STEP - 1  # the last step of a tag without steps

History = Iterable[tuple[str, str, int]]  # tag, kind, step


class TagState:
    """State of one tag, or of several tags always logged together.

    Attributes
    ----------
    kind : str
        Their kind, ``""`` while unknown.
    last : int
        Their last step.
    time : float
        Their last simulated time.
    number : int
        The number of tags that share this state.
    phase : int
        The number of the current phase, if they were logged in it, else 0.
    moved : int
        What that phase adds to their steps; the last step is that before adding.
    """

    __slots__ = ("kind", "last", "moved", "number", "phase", "time")
    kind: str
    last: int
    number: int
    time: float
    phase: int
    moved: int

    def __init__(
        self, kind: str = "", last: int = NEVER, time: float = -math.inf
    ) -> None:
        self.kind = kind
        self.last = last
        self.time = time
        self.number = self.phase = self.moved = 0


class Group:
    """Tags that are logged together.

    There are fewer states than tags: tags that were only ever logged together share
    one, so that a single look places them all.

    Attributes
    ----------
    states : list of TagState
        Their states.
    single : TagState or None
        Their state, if they all share it.
    make : callable
        What makes their records, as `EventRecords.make`; None before the first one.
    """

    __slots__ = ("make", "single", "states")
    states: list[TagState]
    single: TagState | None
    make: Any

    def __init__(self, states: list[TagState]) -> None:
        self.states = states
        self.single = states[0] if len(states) == 1 else None
        self.make = None


class Ledger:
    """The tags of one directory.

    Parameters
    ----------
    history
        Called when the first tag is checked or entered, and again only if it raised:
        yields tag, kind and step of all earlier data in the directory. The kind is
        ``""`` for data of another run that this one continues.

    Attributes
    ----------
    groups : Kept of Group
        The results of `enter` by their tags; cleared when a group is split. States
        outlive them.
    """

    groups: Kept[Group]
    _states: dict[str, TagState]
    _history: Callable[[], History] | None  # None once it has been read
    _earlier: frozenset[str]
    _untouched: set[str]  # those of them that were not entered since
    _inherited: frozenset[str]  # begun where this ledger came from, not entered since
    _locks: dict[int, threading.RLock]  # of reading the history, by process

    def __init__(self, history: Callable[[], History] = tuple) -> None:
        self.groups = Kept()
        self._states = {}
        self._history = history
        self._earlier = frozenset()
        self._untouched = set()
        self._inherited = frozenset()
        self._locks = {}

    def check(self, method: str, tag: str, kind: str) -> None:
        """Raise ValueError if the tag holds another kind of data."""
        self.read()
        state = self._states.get(tag)
        if state is not None and state.kind and kind and state.kind != kind:
            raise ValueError(
                f"{where(method, tag)}: the tag already holds data of kind "
                f"{state.kind!r}, and TensorBoard shows one kind per tag; use another "
                f"tag for data of kind {kind!r}"
            )

    def furthest(self, tags: Iterable[str]) -> tuple[int, float]:
        """Return the largest last step and time of some tags, without entering them."""
        self.read()
        states = [self._states[tag] for tag in tags if tag in self._states]
        if len(states) == 1:
            return states[0].last, states[0].time
        return furthest(states) if states else (NEVER, -math.inf)

    def enter(self, tags: tuple[str, ...], kind: str) -> Group:
        """Return the group of tags that are logged together, entering new ones.

        The tags must have been checked.
        """
        group = self.groups.found.get(tags)
        if group is None:
            group = Group(self._gather(tags))
            for state in group.states:
                state.kind = state.kind or kind
            self._untouched.difference_update(tags)
            self._inherited = self._inherited.difference(tags)
            self.groups.add(tags, group, len(tags))
        return group

    def note(self, tag: str, kind: str, step: int) -> None:
        """Enter the kind and step of data without checks."""
        [state] = self._gather((tag,))
        state.kind = state.kind or kind
        state.last = max(state.last, step - state.moved)

    def _gather(self, tags: tuple[str, ...]) -> list[TagState]:
        """Return the states of exactly these tags, splitting them from all others."""
        self.read()
        known = [self._states[tag] for tag in tags if tag in self._states]
        if len(known) == len(tags) and all(state.number == 1 for state in known):
            return known
        new = TagState()
        members: dict[TagState, list[str]] = {}
        for tag in tags:
            members.setdefault(self._states.get(tag, new), []).append(tag)
        found = []
        for state, its in members.items():
            if state.number > len(its):
                state.number -= len(its)
                state = copy(state)
                state.number = 0
                self.groups.clear()
            if not state.number:
                state.number = len(its)
                self._states.update(dict.fromkeys(its, state))
            found.append(state)
        return found

    def read(self) -> None:
        """Enter the tags of earlier data; other threads wait until all are there."""
        if self._history is None:
            return
        # A forked process makes its own lock: a thread that it does not have may hold
        # the one that it inherited.
        with self._locks.setdefault(os.getpid(), threading.RLock()):
            history = self._history
            if history is None:
                return
            found: dict[str, TagState] = {}
            for tag, kind, step in history():
                state = found.setdefault(tag, TagState())
                state.number = 1
                state.kind = state.kind or kind
                state.last = max(state.last, step)
            self._earlier = frozenset(tag for tag in found if found[tag].kind)
            self._untouched.update(self._earlier)
            for tag, state in found.items():
                # A signal handler may have read it too, and logged.
                self._states.setdefault(tag, state)
            self._history = None

    def state(self, tag: str) -> TagState | None:
        """Return the state of a tag, None if it has none."""
        self.read()
        return self._states.get(tag)

    def items(self) -> list[tuple[str, TagState]]:
        """Return the tags that are known by now, and their states."""
        return list(self._states.items())

    def states(self) -> list[TagState]:
        """Return all states that are known by now."""
        return list(dict.fromkeys(self._states.values()))

    def has_begun(self, tag: str) -> bool:
        """Return whether a tag was entered here, and not in the history."""
        state = self._states.get(tag)
        return state is not None and state.kind != "" and tag not in self._earlier

    def is_history(self, tags: Iterable[str]) -> bool:
        """Return whether one of these tags has earlier data, but none entered since."""
        return not self._untouched.isdisjoint(tags)

    def holds(self, tags: tuple[str, ...], kind: str, phase: int) -> bool:
        """Return whether all these tags hold data of a kind that was entered here.

        If there is a phase, it was entered there, and all are moved alike.
        """
        known = [self._states[tag] for tag in tags if tag in self._states]
        return (
            len(known) == len(tags)
            and all(state.kind == kind and state.phase == phase for state in known)
            and len({state.moved for state in known}) == 1
            and not self.is_history(tags)
            and not self.is_inherited(tags)
        )

    def is_new(self, tags: Iterable[str]) -> bool:
        """Return whether none of these tags has data in this run."""
        return not any(tag in self._states and self._states[tag].kind for tag in tags)

    def inherit(self) -> None:
        """Take note that the ledger is now that of another process, or of a copy.

        All tags are looked up again.
        """
        self.groups.clear()
        self._inherited = frozenset(
            tag
            for tag, state in self._states.items()
            if state.kind and tag not in self._untouched
        )

    def is_inherited(self, tags: Iterable[str]) -> bool:
        """Return whether others began one of them, and it was not entered since."""
        return not self._inherited.isdisjoint(tags)

    def __contains__(self, tag: str) -> bool:
        self.read()
        return tag in self._states

    def __getstate__(self) -> dict[str, Any]:
        # Templates and locks can't be pickled.
        return {**self.__dict__, "groups": Kept(), "_locks": {}}


def furthest(states: Sequence[TagState]) -> tuple[int, float]:
    """Return the largest last step and time of some states."""
    return max([state.last for state in states]), max([state.time for state in states])
