"""The run's own record, ``run.json``: what it is, where it comes from, how it ended."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from time import time as now
from typing import Any

from annarchy_tb.inputs.messages import warn
from annarchy_tb.run import provenance
from annarchy_tb.run.atomic import exclusive, replacing
from annarchy_tb.run.directory import first_time
from annarchy_tb.run.names import RUN_JSON

RUNNING, FINISHED, FAILED, KILLED, UNKNOWN = STATUSES = (
    *("running", "finished", "failed"),
    "killed",  # as a reader finds it
    "unknown",  # without a record
)
PATIENCE = 5.0  # seconds to wait for others; then it is written all the same
LONGEST = 2000  # characters of an error's message

_open: set[str] = set()  # the sessions that this process has not closed


def iso(seconds: float) -> str:
    """Return seconds since 1970 as a date and time in ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def as_json(given: Any) -> Any:
    """Return what valid JSON can hold: NaN and infinity become None."""
    if isinstance(given, float):
        return given if math.isfinite(given) else None
    if isinstance(given, Mapping):
        return {str(name): as_json(value) for name, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [as_json(value) for value in given]
    return given


TYPES: dict[str, type] = {
    **dict.fromkeys(("status", "started", "ended", "host", "session"), str),
    **dict.fromkeys(("process", "error", "versions", "git", "slurm"), dict),
    **dict.fromkeys(("params", "metrics", "trial"), dict),
    **dict.fromkeys(("pid", "restarts", "checkpoint"), int),
}


def read(run: Path) -> dict[str, Any]:
    """Return the record of a run; it is empty where there is none.

    What is not of the type it must be is left out, for somebody may have changed it.
    """
    try:
        text = (run / RUN_JSON).read_text(encoding="utf-8", errors="replace")
        info = json.loads(text, parse_constant=lambda _: None)
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(info, dict):
        return {}
    return {
        name: value
        for name, value in info.items()
        if value is None or isinstance(value, TYPES.get(name, object))
    }


def date(text: object) -> datetime | None:
    """Return a date that `iso` gave, or None."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def status(info: Mapping[str, Any]) -> str:
    """Return how a run stands, ``"killed"`` if its process is gone without a word.

    That can be told on the host of the process; elsewhere the run reads
    ``"running"``.
    """
    said = info.get("status")
    if said == RUNNING and is_alive(info) is False:
        return KILLED
    return said if said in STATUSES else UNKNOWN


def is_alive(info: Mapping[str, Any]) -> bool | None:
    """Return whether the Logger that wrote the record is open, None if unknown."""
    if info.get("status") != RUNNING:
        return False
    alive = provenance.is_alive(info)
    if alive and info.get("pid") == os.getpid():
        return info.get("session") in _open
    return alive


class RunInfo:
    """The record of one run, as one Logger keeps it.

    The file holds the state: each change is read, made and written back while all
    others are kept out, so that threads, forked processes and copies of the Logger can
    enter their share. A Logger that opens the run later takes the record over; of the
    earlier one, only parameters and metrics are entered from then on.

    Parameters
    ----------
    run
        The run's directory.

    Attributes
    ----------
    info : dict
        The record as it was read or written last.
    started : float
        When the run first began, in seconds since 1970.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._session = os.urandom(8).hex()
        self._failed = False
        self._waiting: list[dict[str, Any]] = []  # changes that are not in the file yet
        self._busy: tuple[int, int] | None = None  # the process and thread that write
        self._ending: dict[str, Any] = {}
        self.info: dict[str, Any] = {}
        self.started = 0.0

    def begin(self, resume: bool) -> bool:
        """Write that the run goes on, in this process; return whether it is there.

        Raises
        ------
        RuntimeError
            If it is to be resumed, and somebody still writes it.
        """
        with exclusive(self._run, PATIENCE):
            before = read(self._run)
            if resume and is_alive(before):
                raise RuntimeError(
                    f"the run {self._run} can't be resumed: process {before['pid']} of "
                    f"this host is still writing it; close its Logger or end it first"
                )
            begun = date(before.get("started")) or date(iso(first_time(self._run)))
            self.started = begun.timestamp() if begun else now()
            _open.add(self._session)
            self.info = {
                "status": RUNNING,
                "started": iso(self.started),
                "ended": None,
                "error": None,
                "experiment": self._run.name,
                **provenance.origin(),
                "params": before.get("params"),
                "metrics": before.get("metrics") or {},
                "restarts": before.get("restarts") or 0,
                "checkpoint": before.get("checkpoint"),
                "group": before.get("group"),
                "trial": before.get("trial"),
                "session": self._session,
            }
            self._write()
            return bool(before)

    def update(self, more: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """Enter changes, and `more` metrics beside those that are there."""
        self.later(more, **changes)
        here = (os.getpid(), threading.get_ident())
        if self._busy == here:  # a signal handler that interrupted just this
            self._write_waiting()
            return
        with exclusive(self._run, PATIENCE):
            self._busy = here
            try:
                number, written = 0, False
                while number != len(self._waiting):  # a signal handler added to them
                    number = len(self._waiting)
                    written = self._write_waiting()
                if written:
                    del self._waiting[:number]
            finally:
                self._busy = None

    def later(self, more: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """Do the same at the next `update`."""
        self._waiting.append({**changes, "more": dict(more or {})})

    def _write_waiting(self) -> bool:
        there = self.read()
        own = there.get("session") == self._session
        for changes in list(self._waiting):
            changes = dict(changes)
            metrics = {**(there.get("metrics") or {}), **changes.pop("more")}
            if not own:
                changes = {"params": there.get("params") or changes.get("params")}
            there = {**there, "metrics": metrics, **changes}
        self.info = there
        return self._write()

    def ending(self, error: BaseException | None) -> None:
        """Know how the run ends; `end` writes it, when the event files are closed."""
        self._ending = {
            "status": FINISHED if error is None else FAILED,
            "ended": iso(now()),
            "error": None if error is None else describe_error(error),
            "versions": provenance.versions(),
        }

    def end(self, lost: int) -> None:
        """Write how the run ended, and how many records of it were lost."""
        self.forget()
        if lost:
            self._ending["lost_records"] = lost
        self.update(**self._ending)

    def forget(self) -> None:
        """Know that the Logger is gone, with or without a close."""
        _open.discard(self._session)

    def has_params(self, params: Mapping[str, Any]) -> bool:
        """Return whether these are the parameters of the run."""
        return bool(as_json(self.info["params"]) == as_json(params))

    def table(self) -> str:
        """Return the record as a Markdown table."""
        return _table({**self.read(), **self._ending})

    def read(self) -> dict[str, Any]:
        """Return the record, with what other processes entered."""
        return read(self._run) or self.info

    def _write(self) -> bool:
        text = json.dumps(as_json(self.info), indent=2, ensure_ascii=False)
        try:
            with replacing(self._run / RUN_JSON) as stream:
                # A lone surrogate is escaped as JSON does it.
                stream.write(text.encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:  # a full disk does not stop add_*
            if not self._failed and self._run.exists():
                self._failed = True
                warn(f"{self._run / RUN_JSON} can't be written: {error}")
            return False
        self._failed = False
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_waiting": [], "_busy": None}


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return the type, the message and the place of an error, whatever it is."""
    try:
        message = str(error)
    except BaseException:
        message = "an error that can't be shown"
    return {
        "type": type(error).__qualname__,
        "message": message[:LONGEST],
        "where": provenance.where(error.__traceback__),
    }


def _table(info: Mapping[str, Any]) -> str:
    """Return the record as a Markdown table: first what differs most between runs."""
    error, git, slurm = (info.get(name) or {} for name in ("error", "git", "slurm"))
    rows: list[tuple[str, Any]] = [("status", info.get("status"))]
    if error:
        rows += [("error", f"{error.get('type')}: {error.get('message')}")]
        rows += [("where", error.get("where"))]
    rows += [(name, _readable(info.get(name))) for name in ("started", "ended")]
    rows += [("restarts", info.get("restarts") or None)]
    lines = [f"| run | {_cell(info.get('experiment'))} |", "|---|---|", *_lines(rows)]
    for kind in ("params", "metrics"):
        for name, value in (info.get(kind) or {}).items():
            lines.append(f"| {kind}: **{_cell(name)}** | {_cell(value)} |")
    rows = [
        (name, info.get(name)) for name in ("host", "pid", "user", "command", "cwd")
    ]
    if git.get("commit"):
        changed = " (modified)" if git.get("dirty") else ""
        rows += [("git", f"{str(git['commit'])[:12]}{changed}")]
    rows += [(f"SLURM {name}", value) for name, value in slurm.items()]
    rows += [("python", info.get("python")), *(info.get("versions") or {}).items()]
    return "\n".join([*lines, *_lines(rows)])


def _lines(rows: list[tuple[str, Any]]) -> list[str]:
    return [f"| {_cell(n)} | {_cell(v)} |" for n, v in rows if v is not None]


def _readable(moment: object) -> str | None:
    """Return a date of `iso` as people write it."""
    found = date(moment)
    return found.strftime("%Y-%m-%d %H:%M:%S UTC") if found else None


def _cell(value: Any) -> str:
    """Return a text that stays within its cell, and is shown as it is."""
    text = str(value)
    text = text if len(text) <= 300 else f"{text[:297]}..."
    for special in "\\`*_{}[]<>|#~":
        text = text.replace(special, f"\\{special}" if special not in "<>" else special)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(text.split())
