"""The file ``run.json``, as the Loggers of a run keep it together."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from time import time as now
from typing import Any

from annarchy_tb.inputs.messages import warn
from annarchy_tb.run import provenance
from annarchy_tb.run.atomic import exclusive, replacing
from annarchy_tb.run.info import (
    FAILED,
    FINISHED,
    RUNNING,
    RunInfo,
    as_json,
    date,
    iso,
    open_sessions,
)
from annarchy_tb.run.names import RUN_JSON
from annarchy_tb.run.paths import first_time

PATIENCE = 5.0  # seconds to wait for others; then it is written all the same
LONGEST = 2000  # characters of an error's message

Change = tuple[dict[str, Any], dict[str, Any]]  # more metrics, and changed fields


class InfoFile:
    """The ``run.json`` of one run, as one Logger keeps it.

    The file holds the state: each change is read, made and written back while all
    others are locked out, so that threads, forked processes and copies of the Logger
    can add theirs. A Logger that opens the run later takes the record over; from an
    earlier one, only metrics are still accepted, and parameters if there are none.

    Parameters
    ----------
    run
        The run's directory.

    Attributes
    ----------
    info : RunInfo
        The record as it was last written.
    started : float
        When the run first began, in seconds since 1970.
    """

    info: RunInfo
    started: float
    _run: Path
    _session: str
    _waiting: list[Change]  # to be written
    _busy: tuple[int, int] | None  # the process and the thread that writes
    _failed: bool  # the last write; a warning was given
    _end: dict[str, Any]  # how the run ends, once that is known

    def __init__(self, run: Path) -> None:
        self.info = RunInfo()
        self.started = 0.0
        self._run = run
        self._session = os.urandom(8).hex()
        self._waiting = []
        self._busy = None
        self._failed = False
        self._end = {}

    def begin(self, resume: bool) -> bool:
        """Write that the run is running, in this process; return whether it existed.

        Raises
        ------
        RuntimeError
            If it is to be resumed, and a process still writes it.
        """
        with exclusive(self._run, PATIENCE):
            before = RunInfo.read(self._run)
            existed = before != RunInfo()
            if resume and before.is_open():
                raise RuntimeError(
                    f"the run {self._run} can't be resumed: process {before.pid} of "
                    f"this host is still writing it; close its Logger or end it first"
                )
            begun = before.begun() or date(iso(first_time(self._run)))
            self.started = begun.timestamp() if begun else now()
            open_sessions.add(self._session)
            self.info = RunInfo(
                status=RUNNING,
                started=iso(self.started),
                experiment=self._run.name,
                params=before.params,
                metrics=before.metrics or {},
                restarts=before.restarts or 0,
                checkpoint=before.checkpoint,
                group=before.group,
                trial=before.trial,
                session=self._session,
                others=before.others,
                **provenance.origin(),
            )
            self._write()
            return existed

    def update(self, more: Mapping[str, Any] | None = None, /, **changes: Any) -> None:
        """Change fields, and add `more` metrics."""
        self.enter_later(more, **changes)
        here = (os.getpid(), threading.get_ident())
        if self._busy == here:  # a signal handler that interrupted just this
            self._write_waiting()
            return
        with exclusive(self._run, PATIENCE):
            self._busy = here
            try:
                number, written = 0, False
                while number != len(self._waiting):  # a signal handler added some
                    number = len(self._waiting)
                    written = self._write_waiting()
                if written:
                    del self._waiting[:number]
            finally:
                self._busy = None

    def enter_later(
        self, more: Mapping[str, Any] | None = None, /, **changes: Any
    ) -> None:
        """Do the same at the next `update`."""
        self._waiting.append((dict(more or {}), changes))

    def _write_waiting(self) -> bool:
        there = self.read()
        own = there.session == self._session
        for more, changes in list(self._waiting):
            if not own:
                changes = {"params": there.params or changes.get("params")}
            there = there.changed(more, changes)
        self.info = there
        return self._write()

    def ending(self, error: BaseException | None) -> None:
        """Note how the run ends; `end` writes it, once the event files are closed."""
        self._end = {
            "status": FINISHED if error is None else FAILED,
            "ended": iso(now()),
            "error": None if error is None else describe_error(error),
            "versions": provenance.versions(),
        }

    def end(self, lost: int) -> None:
        """Write how the run ended, and how many of its records were lost."""
        self.release()
        if lost:
            self._end["lost_records"] = lost
        self.update(**self._end)

    def release(self) -> None:
        """Mark the Logger as gone, closed or not."""
        open_sessions.discard(self._session)

    def has_params(self, params: Mapping[str, Any]) -> bool:
        """Return whether these are the parameters of the run."""
        return bool(as_json(self.info.params) == as_json(params))

    def current(self) -> RunInfo:
        """Return the record, with what is known of the end."""
        return self.read().changed({}, self._end)

    def read(self) -> RunInfo:
        """Return the record, with what other processes entered."""
        there = RunInfo.read(self._run)
        return self.info if there == RunInfo() else there

    def _write(self) -> bool:
        said = as_json(self.info.as_dict())
        text = json.dumps(said, indent=2, ensure_ascii=False)
        try:
            with replacing(self._run / RUN_JSON) as stream:
                # A lone surrogate is escaped as JSON does it.
                stream.write(text.encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:  # a full disk, which stops no simulation
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
        "where": provenance.raised_at(error.__traceback__),
    }
