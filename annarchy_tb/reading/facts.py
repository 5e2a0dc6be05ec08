"""What is known about a run without its event files, under the names users write."""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from annarchy_tb.inputs.messages import describe, short
from annarchy_tb.kinds.parameters import unit_in
from annarchy_tb.reading import course, wording
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo

RUN, PARAMS, METRICS = KINDS = ("run", "params", "metrics")
FIELDS = ("name", "status", "started", "duration", "age")
WHAT = {RUN: "a field of each run", PARAMS: "a parameter", METRICS: "a result"}

NEAR = 5  # names that an error suggests
LIKENESS = 0.7  # of these, as difflib measures it
MOST = 10_000  # names that are compared for it
SHOWN = 20  # names that an error lists if none is near


class Missing:
    """The value of what a run does not have."""


MISSING = Missing()


class Name(NamedTuple):
    """A name of a parameter, a result or a field; its kind may be left open."""

    kind: str | None
    name: str

    @classmethod
    def of(cls, text: object) -> Name:
        """Return the name in a text such as ``tau``, ``params.tau`` or ``run.age``."""
        if not isinstance(text, str):
            raise TypeError(f"the name must be a str, got {describe(text)}")
        kind, dot, rest = text.partition(".")
        return cls(kind, rest) if dot and kind in KINDS else cls(None, text)

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}" if self.kind else self.name


class Facts:
    """The fields, parameters and results of a run.

    Parameters
    ----------
    logdir
        The directory below which the run has its name.
    run
        The run.
    info
        Its record.
    """

    def __init__(self, logdir: Path, run: Run, info: RunInfo) -> None:
        self.logdir = logdir
        self.run = run
        self.info = info

    def names(self, kind: str | None) -> Mapping[str, Any]:
        """Return all names of a kind; the values of fields are left out."""
        if kind == RUN:
            return dict.fromkeys(FIELDS)
        return (self.info.params if kind == PARAMS else self.info.metrics) or {}

    def key(self, name: Name) -> str | None:
        """Return the full name of what is named, None if the run does not have it.

        The unit of a parameter may be left out.
        """
        its = self.names(name.kind)
        if name.name in its:
            return name.name
        if name.kind == PARAMS and (unit := unit_in(name.name, its)) is not None:
            return f"{name.name} [{unit}]"
        if not name.name.isascii():  # Python normalises names in expressions
            for other in its:
                if unicodedata.normalize("NFKC", other) == name.name:
                    return other
        return None

    def value(self, name: Name) -> Any:
        """Return the value of what is named, or `MISSING`; None in place of NaN.

        A duration or an age is in seconds.
        """
        its = self.given(name)
        return None if isinstance(its, float) and math.isnan(its) else its

    def given(self, name: Name) -> Any:
        """Return the value of what is named as it is, or `MISSING`."""
        key = self.key(name)
        if key is None:
            return MISSING
        return self._field(key) if name.kind == RUN else self.names(name.kind)[key]

    def number(self, name: Name) -> float | None:
        """Return the value of what is named if it is a finite number, else None."""
        its = self.value(name)
        finite = isinstance(its, int) or (isinstance(its, float) and math.isfinite(its))
        return its if finite else None

    def began(self) -> float | None:
        """Return the start of the run in seconds since 1970; None if not known."""
        found = self.value(Name(RUN, "started"))
        return found.timestamp() if isinstance(found, datetime) else None

    def _field(self, field: str) -> Any:
        path = self.run.path
        try:
            if field == "name":
                found: Any = wording.name(path, self.logdir)
            elif field == "status":
                found = self.info.state()
            elif field == "started":
                found = course.began(path, self.info)
            elif field == "duration":
                found = course.course(path, self.info).duration
            else:
                begun = course.began(path, self.info)
                found = course.age(course.last_written(path, begun))
        except OSError:  # deleted meanwhile
            return MISSING
        if field in ("duration", "age") and found is not None:
            return found.total_seconds()
        return MISSING if found is None else found


def is_none(value: Any) -> bool:
    """Return whether a value is missing, None or NaN."""
    return value is MISSING or value is None


def order(value: Any) -> tuple[int, float, str]:
    """Return a key by which values of any type are sorted: numbers before texts."""
    if isinstance(value, datetime):
        value = value.timestamp()
    if isinstance(value, (int, float)):
        return 0, value, ""
    return (2 if is_none(value) else 1), 0, str(value)


def resolve(
    name: Name, every: Sequence[Facts], written: Callable[[Name], str] = str
) -> Name:
    """Return a name with its kind, which must be the same in all runs.

    Parameters
    ----------
    name
        The name.
    every
        All runs. If there are none, any name will do.
    written
        How errors write a name.

    Raises
    ------
    ValueError
        If no run has it, or it may mean different things.
    """
    kinds = [Name(name.kind, name.name)] if name.kind else _of_all_kinds(name.name)
    keys = {
        one: {key for facts in every if (key := facts.key(one)) is not None}
        for one in kinds
    }
    there = [one for one in kinds if keys[one]]
    if not there and every:
        raise ValueError(
            f"no run has {_quoted(name, written)}; {_near(name, every, written)}"
        )
    if len(there) > 1:
        means = " and ".join(WHAT[str(one.kind)] for one in there)
        choose = " or ".join(map(written, there))
        raise ValueError(f"{short(name.name)} is {means}; write {choose}")
    if not there:
        return Name(name.kind or PARAMS, name.name)
    [one] = there
    with_units = sorted(keys[one] - {name.name})
    if len(with_units) > 1:
        choose = " or ".join(written(Name(PARAMS, key)) for key in with_units)
        raise ValueError(
            f"{short(name.name)} has several units in these runs; write {choose}"
        )
    return one


def _of_all_kinds(name: str) -> list[Name]:
    return [Name(kind, name) for kind in KINDS]


def _quoted(name: Name, written: Callable[[Name], str]) -> str:
    return short(name.name) if name.kind is None else written(name)


def _near(name: Name, every: Sequence[Facts], written: Callable[[Name], str]) -> str:
    """Return a hint with the names that are like one that no run has."""
    kinds = [kind for kind in KINDS if name.kind in (None, kind)]
    known = dict.fromkeys(
        Name(kind, its)
        for kind in kinds
        for facts in every
        for its in facts.names(kind)
    )
    forms: dict[str, Name] = {}  # also without the group and the unit
    for one in islice(known, MOST):
        plain = one.name.partition(" [")[0].lower()
        for form in (one.name, plain, plain.rpartition("/")[2]):
            forms.setdefault(form, one)
    like = difflib.get_close_matches(name.name, forms, NEAR, LIKENESS) or (
        difflib.get_close_matches(name.name.lower(), forms, NEAR, LIKENESS)
    )
    if like:
        near = dict.fromkeys(_hint(forms[form], written) for form in like)
        return f"did you mean {' or '.join(near)}?"
    shown = [_hint(one, written) for one in islice(known, SHOWN)]
    more = ", ..." if len(known) > SHOWN else ""
    return f"there is {', '.join(shown) or 'none'}{more}"


def _hint(name: Name, written: Callable[[Name], str]) -> str:
    return name.name if name.name.isidentifier() else written(name)
