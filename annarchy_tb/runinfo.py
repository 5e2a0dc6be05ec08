"""The run's own record, ``run.json``: what it is, where it comes from, how it ended."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from time import time as now
from typing import Any

from annarchy_tb import provenance
from annarchy_tb.atomic import replacing
from annarchy_tb.messages import warn
from annarchy_tb.names import RUN_JSON

RUNNING, FINISHED, FAILED, KILLED, UNKNOWN = STATUSES = (
    *("running", "finished", "failed"),
    "killed",  # as a reader finds it
    "unknown",  # without a record
)
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


def read(run: Path) -> dict[str, Any]:
    """Return the record of a run; it is empty where there is none."""
    try:
        info = json.loads((run / RUN_JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def status(info: Mapping[str, Any]) -> str:
    """Return how a run stands, ``"killed"`` if its process is gone without a word.

    That can be told on the host of the process; elsewhere the run reads
    ``"running"``.
    """
    said = info.get("status")
    if said == RUNNING and is_alive(info) is False:
        return KILLED
    return said if isinstance(said, str) else UNKNOWN


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

    The file holds the state: each change is read, made and written back at once, so
    that a Logger that was sent to another process can enter its share. A Logger that
    opens the run later takes the record over, and the earlier one leaves it alone.

    Parameters
    ----------
    run
        The run's directory.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._session = os.urandom(8).hex()
        self._failed = False
        self._changes: dict[str, Any] = {}  # that are not in the file yet
        self._metrics: dict[str, Any] = {}
        self.info: dict[str, Any] = {}

    def begin(self, started: float, **changes: Any) -> None:
        """Write that the run goes on, in this process."""
        _open.add(self._session)
        before = read(self._run)
        self.info = {
            "status": RUNNING,
            "started": iso(started),
            "ended": None,
            "error": None,
            "experiment": self._run.name,
            **provenance.origin(),
            "params": before.get("params"),
            "metrics": before.get("metrics") or {},
            "restarts": before.get("restarts") or 0,
            "checkpoint": before.get("checkpoint"),
            "session": self._session,
            **changes,
        }
        self._write()

    def update(self, metrics: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """Enter changes, and metrics beside those that are there."""
        self._changes |= changes
        self._metrics |= metrics or {}
        there = read(self._run)
        if there and there.get("session") != self._session:
            return  # another Logger has opened the run since
        self.info = {**(there or self.info), **self._changes}
        self.info["metrics"] = {**(self.info.get("metrics") or {}), **self._metrics}
        self._write()

    def end(self, changes: Mapping[str, Any]) -> None:
        """Enter what `ending` gave, and more."""
        self.forget()
        self.update(**changes)

    def forget(self) -> None:
        """Know that the Logger is gone, with or without a close."""
        _open.discard(self._session)

    def has_params(self, params: Mapping[str, Any]) -> bool:
        """Return whether these are the parameters of the run."""
        return bool(self.info["params"] == as_json(params))

    def table(self, changes: Mapping[str, Any]) -> str:
        """Return the record as a Markdown table, with changes that are to come."""
        return _table({**self.info, **changes})

    def _write(self) -> None:
        text = json.dumps(as_json(self.info), indent=2, ensure_ascii=False)
        try:
            with replacing(self._run / RUN_JSON) as stream:
                # A lone surrogate is escaped as JSON does it.
                stream.write(text.encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:  # a full disk stops no simulation
            if not self._failed and self._run.exists():
                self._failed = True
                warn(f"{self._run / RUN_JSON} can't be written: {error}")
        else:
            self._failed = False
            self._changes.clear()
            self._metrics.clear()


def ending(error: BaseException | None) -> dict[str, Any]:
    """Return what there is to say of a run at its end."""
    return {
        "status": FINISHED if error is None else FAILED,
        "ended": iso(now()),
        "error": None if error is None else _describe(error),
        "versions": provenance.versions(),
    }


def _describe(error: BaseException) -> dict[str, Any]:
    try:
        message = str(error)
    except Exception:
        message = "an error that can't be shown"
    return {
        "type": type(error).__qualname__,
        "message": message[:LONGEST],
        "where": provenance.where(error.__traceback__),
    }


def _table(info: Mapping[str, Any]) -> str:
    """Return the record as a Markdown table."""
    error, git, slurm = (info.get(name) or {} for name in ("error", "git", "slurm"))
    commit = git.get("commit") and git["commit"][:12] + (
        " (modified)" if git.get("dirty") else ""
    )
    rows: dict[str, Any] = {
        name: info.get(name) for name in ("status", "started", "ended")
    }
    if error:
        rows["error"] = f"{error['type']}: {error['message']}"
        rows["where"] = error["where"]
    rows["restarts"] = info.get("restarts") or None
    rows |= {name: info.get(name) for name in ("host", "pid", "user", "command", "cwd")}
    rows["git"] = commit
    rows |= {f"SLURM {name}": value for name, value in slurm.items()}
    rows["python"] = info.get("python")
    rows |= info.get("versions") or {}
    lines = [f"| run | {_cell(info.get('experiment'))} |", "|---|---|"]
    lines += [
        f"| {_cell(name)} | {_cell(value)} |"
        for name, value in rows.items()
        if value is not None
    ]
    for kind in ("params", "metrics"):
        for name, value in (info.get(kind) or {}).items():
            lines.append(f"| {kind}: **{_cell(name)}** | {_cell(value)} |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    """Return a text that stays within its cell, and is shown as it is."""
    text = str(value)
    text = text if len(text) <= 300 else f"{text[:297]}..."
    for special in "\\`*_{}[]<>|#~":
        text = text.replace(special, f"\\{special}" if special not in "<>" else special)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(text.split())
