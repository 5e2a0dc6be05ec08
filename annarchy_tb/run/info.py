"""``run.json``, the record of a run: its parameters, its origin, and how it ended."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from annarchy_tb.run import provenance
from annarchy_tb.run.names import RUN_JSON

RUNNING, FINISHED, FAILED, KILLED, UNKNOWN = STATUSES = (
    *("running", "finished", "failed"),
    "killed",  # found by readers, never written
    "unknown",  # without a record
)

LARGEST = 32 << 20  # bytes of a file that is taken for one
DEEPEST = 50  # levels of dicts and lists in it

open_sessions: set[str] = set()  # of the Loggers that this process has not closed


@dataclass
class RunInfo:
    """The contents of ``run.json``. The fields are explained in docs/format.rst.

    A field is None if the file does not have it, or has a value of another type: the
    file may have been edited. Fields unknown to this version are kept in `others`.
    """

    status: str | None = None
    started: str | None = None
    ended: str | None = None
    error: dict[str, Any] | None = None
    experiment: str | None = None
    host: str | None = None
    pid: int | None = None
    process: dict[str, Any] | None = None
    user: str | None = None
    command: str | None = None
    cwd: str | None = None
    python: str | None = None
    versions: dict[str, Any] | None = None
    git: dict[str, Any] | None = None
    source: dict[str, Any] | None = None
    slurm: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None
    job: str | None = None
    time_unit: str | None = None
    dt: float | None = None
    origin: str | None = None
    params: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    not_finite: dict[str, Any] | None = None
    units: dict[str, Any] | None = None
    restarts: int | None = None
    checkpoint: int | None = None
    parent: str | None = None
    parent_step: int | None = None
    group: str | None = None
    trial: dict[str, Any] | None = None
    phases: dict[str, Any] | None = None
    session: str | None = None
    sessions: list[Any] | None = None
    session_count: int | None = None
    starting_over: bool | None = None
    rewinding: bool | None = None
    notes: list[Any] | None = None
    lost_records: int | None = None
    lost_blocks: int | None = None
    others: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> RunInfo:
        """Return a record with these fields, in the form that `load` returns."""
        known = {name: value for name, value in said.items() if name in _TYPES}
        others = {name: value for name, value in said.items() if name not in _TYPES}
        return cls(**known, others=others)

    @classmethod
    def read(cls, run: Path) -> RunInfo:
        """Return the record of a run; an empty one if there is none."""
        return cls.of(load(run))

    def as_dict(self) -> dict[str, Any]:
        """Return all fields in the form stored in ``run.json``."""
        fields = {name: getattr(self, name) for name in _TYPES}
        for name in _RARE:
            if fields[name] is None:
                del fields[name]
        return {**fields, **self.others}

    def changed(
        self, metrics: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> RunInfo:
        """Return a record with changed fields and additional metrics."""
        both = {**(self.metrics or {}), **metrics}
        return dataclasses.replace(self, **{"metrics": both, **changes})

    def tag_units(self) -> dict[str, str]:
        """Return the units of tags, as far as they are texts."""
        found = self.units or {}
        return {tag: unit for tag, unit in found.items() if isinstance(unit, str)}

    def begun(self) -> datetime | None:
        """Return the first start of the run."""
        return date(self.started)

    def state(self) -> str:
        """Return the status, ``"killed"`` if the process ended without closing the run.

        This can only be detected on the host of the process; on other hosts, the status
        is then ``"running"``.
        """
        if self.status == RUNNING and self.is_open() is False:
            return KILLED
        return self.status if self.status in STATUSES else UNKNOWN

    def is_open(self) -> bool | None:
        """Return whether the record's Logger is still open, None if unknown."""
        if self.status != RUNNING:
            return False
        alive = provenance.process_is_alive(self.host, self.pid, self.process)
        if alive and self.pid == os.getpid():
            return self.session in open_sessions
        return alive


def _python_type(annotation: str) -> type | tuple[type, ...]:
    """Return the type in an annotation such as ``"dict[str, Any] | None"``."""
    named = annotation.partition("[")[0].partition(" ")[0]
    types: dict[str, type | tuple[type, ...]]
    types = {"str": str, "int": int, "float": (int, float), "bool": bool}
    types |= {"dict": dict, "list": list}
    return types[named]


_RARE = (
    "job",
    "phases",
    "source",
    "lost_records",
    "lost_blocks",
    "starting_over",
    "rewinding",
)  # left out if they are None
_TYPES = {
    field.name: _python_type(str(field.type))
    for field in dataclasses.fields(RunInfo)
    if field.name != "others"
}


def load(run: Path) -> dict[str, Any]:
    """Return the contents of a run's ``run.json``; an empty dict if there is none.

    It is also empty if the file can't be read. Values of the wrong type are left out.
    """
    try:
        return parse(run)
    except (OSError, ValueError):
        return {}


def parse(run: Path) -> dict[str, Any]:
    """Return the contents of a run's ``run.json``, as `load` does.

    Raises
    ------
    OSError, ValueError
        If it can't be read, or is none that a Logger writes.
    """
    # A FIFO would be waited for, and a device may have an end or not.
    descriptor = os.open(run / RUN_JSON, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, encoding="utf-8", errors="replace") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a file")
        if found.st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST >> 20} MiB")
        return parsed(stream.read())


def parsed(text: str) -> dict[str, Any]:
    """Return the contents of a ``run.json`` from its text.

    Raises
    ------
    ValueError
        If it is none that a Logger writes.
    """
    # There may be whitespace, or the beginning of an end that was not completed.
    decoder = json.JSONDecoder(parse_constant=lambda _: None)
    try:
        said, _ = decoder.raw_decode(text.lstrip())
    except RecursionError:
        said = None
    deep = text.count("{") + text.count("[") > DEEPEST  # at most; it is quick
    if not isinstance(said, dict) or (deep and not _is_flat(said)):
        raise ValueError("it is not the record of a run")
    return typed(said)


def record_of(data: bytes) -> RunInfo:
    """Return the record in a ``run.json`` that was read; an empty one if it is none."""
    try:
        return RunInfo.of(parsed(data.decode("utf-8", "replace")))
    except ValueError:
        return RunInfo()


def _is_flat(given: dict[str, Any]) -> bool:
    """Return whether no dict or list is nested deeper than `DEEPEST`."""
    inside: list[Any] = [given]
    for _ in range(DEEPEST):
        items = (one.values() if isinstance(one, dict) else one for one in inside)
        inside = [one for its in items for one in its if isinstance(one, (dict, list))]
        if not inside:
            return True
    return False


def typed(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a record without those of the wrong type."""
    return {
        name: value
        for name, value in said.items()
        if value is None or isinstance(value, _TYPES.get(name, object))
    }


def as_json(given: Any) -> Any:
    """Convert an object for valid JSON: NaN and infinity become None."""
    if isinstance(given, float):
        return given if math.isfinite(given) else None
    if isinstance(given, Mapping):
        return {str(name): as_json(value) for name, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [as_json(value) for value in given]
    return given


def iso(seconds: float) -> str:
    """Return seconds since 1970 as a date and time in ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def date(text: object) -> datetime | None:
    """Return the date in an ISO 8601 text, None if it is invalid or at an extreme."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    if not 1 < found.year < 9999:  # in another time zone, these may have no date
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
