"""Updates of the file ``run.json``, shared by all Loggers of a run."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from time import time as now
from typing import Any, NamedTuple

from annarchy_tb.inputs.messages import warn_anyway
from annarchy_tb.run import provenance, sessions
from annarchy_tb.run.atomic import exclusive, replacing
from annarchy_tb.run.folder import Folder
from annarchy_tb.run.info import (
    FAILED,
    FINISHED,
    RUNNING,
    RunInfo,
    as_json,
    iso,
    open_sessions,
)
from annarchy_tb.run.names import RUN_JSON
from annarchy_tb.tfevents.descriptors import opened

# Seconds to wait for others, each of which may wait for a slow disk. The file is never
# written without the lock: that would undo the changes of others.
PATIENCE = 300.0
SHORT_PATIENCE = 1.0  # while the simulation logs; a later update writes the change
LONGEST = 2000  # characters of an error's message
LONG = ("error", "versions")  # the long ones of the final fields
ROOM = 3 * LONGEST + 4096  # bytes for the end of a run, besides its sessions


class Change(NamedTuple):
    """A change of ``run.json``.

    Attributes
    ----------
    metrics : dict
        More metrics.
    changes : dict
        Changed fields.
    not_finite, units : dict
        More tags that were not finite, with their steps, and units of tags. What the
        file says of a tag stays.
    """

    metrics: dict[str, Any]
    changes: dict[str, Any]
    not_finite: dict[str, int]
    units: dict[str, str]


class InfoFile:
    """The ``run.json`` of one run, as updated by one Logger.

    The state is in the file: for each change, the file is locked, read and written
    again, so that threads, forked processes and copies of the Logger can make their
    own. The record belongs to the Logger whose session it names; from others, only
    metrics are accepted, the end of their session, and parameters if there are none.

    Parameters
    ----------
    folder
        The run's directory.

    Attributes
    ----------
    info : RunInfo
        The record as last written, or as it will be.
    session : str
        Identifies this Logger.
    """

    info: RunInfo
    session: str
    _folder: Folder
    _waiting: list[Change]  # not written yet
    _noted: float  # when tags that were not finite were written last
    _busy: tuple[int, int] | None  # the process and thread that is writing
    _failed: bool  # the last write failed, and a warning was given
    _end: dict[str, Any]  # the final fields, once they are known

    def __init__(self, folder: Folder) -> None:
        self.info = RunInfo()
        self.session = os.urandom(8).hex()
        self._folder = folder
        self._waiting = []
        self._noted = 0.0
        self._busy = None
        self._failed = False
        self._end = {}

    @property
    def _run(self) -> Path:
        return self._folder.find()

    def begin(self, info: RunInfo) -> None:
        """Write the record of a run that begins; the caller has locked the run.

        Raises
        ------
        OSError
            If that fails.
        """
        _write(self._run, info)
        self.info = info

    def update(self, more: Mapping[str, Any] | None = None, /, **changes: Any) -> None:
        """Change fields, add `more` metrics, and write the file.

        If that fails, there is a warning, and the next update tries again.
        """
        self.enter_later(more, **changes)
        if not self._update(PATIENCE):
            self._warn("another process, or a call in progress, is changing it")

    def _update(self, patience: float) -> bool:
        """Write the file; return False if others keep it locked."""
        here = (os.getpid(), threading.get_ident())
        if self._busy == here:  # in a signal handler that interrupted this method
            self._write_waiting()
            return True
        with exclusive(self._run, patience) as alone:
            if not alone:
                return False
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
        return True

    def enter_later(
        self, more: Mapping[str, Any] | None = None, /, **changes: Any
    ) -> None:
        """Change fields and add `more` metrics at the next `update`."""
        self._waiting.append(Change(dict(more or {}), changes, {}, {}))

    def enter_not_finite(self, found: Mapping[str, int]) -> None:
        """Add tags that were not finite, with their steps; at most once a second."""
        self._waiting.append(Change({}, {}, dict(found), {}))
        if now() - self._noted > 1:
            self._noted = now()
            self._update(SHORT_PATIENCE)

    def enter_units(self, found: Mapping[str, str]) -> dict[str, str]:
        """Add the units of tags; return those of all tags, also from other Loggers."""
        if not found:
            return self.read().tag_units()
        self._waiting.append(Change({}, {}, {}, dict(found)))
        self.update()
        return self.info.tag_units()

    def settle(self) -> None:
        """Write the changes that wait for the next `update`, if there are any."""
        if self._waiting:
            self.update()

    def _write_waiting(self) -> bool:
        there = self.read()
        if there.started != self.info.started and self.info.started is not None:
            warn_anyway(f"the run {self._run} was started over by another Logger")
            return True
        own = there.session == self.session
        for more, changes, found, units in list(self._waiting):
            if not own:
                changes = {
                    name: value
                    for name, value in changes.items()
                    if name == "checkpoint"
                    or (name in ("params", "group") and there.params is None)
                }
            if found:
                earlier = there.not_finite or {}  # their steps and their order stay
                changes = {**changes, "not_finite": {**earlier, **found, **earlier}}
            if units:
                changes = {**changes, "units": {**units, **(there.units or {})}}
            there = there.changed(more, changes)
        if self._end:
            sessions.end(there, self.session, self._end)
        self.info = there
        return self._write()

    def ending(self, error: BaseException | None, **more: Any) -> None:
        """Set the final status; `end` writes it after the event files are closed.

        More fields may be written with it.
        """
        self._end = {
            **more,
            "status": FINISHED if error is None else FAILED,
            "ended": iso(now()),
            "error": None if error is None else describe_error(error),
            "versions": provenance.versions(),
        }

    def end(self, lost: int, lost_blocks: int) -> None:
        """Write the final status, and the number of records and blocks lost."""
        self.release()
        if lost:
            self._end["lost_records"] = lost
        if lost_blocks:
            self._end["lost_blocks"] = lost_blocks
        self.update(**self._end)

    def release(self) -> None:
        """Mark the Logger as gone, closed or not."""
        open_sessions.discard(self.session)

    def current(self) -> RunInfo:
        """Return the record, including the final status if it is known."""
        return self.read().changed({}, self._end)

    def read(self) -> RunInfo:
        """Return the record, including changes by other processes."""
        there = RunInfo.read(self._run)
        return self.info if there == RunInfo() else there

    def _write(self) -> bool:
        try:
            _write(self._run, self.info)
        except OSError as error:  # a full disk, for example, must not stop a simulation
            if self._end and _amend(self._run, self.info, self._end):
                return True
            self._warn(str(error))
            return False
        self._failed = False
        return True

    def _warn(self, why: str) -> None:
        # At the end, the event file that is gone is warned of.
        if not self._failed and (not self._end or self._run.exists()):
            self._failed = True
            warn_anyway(f"{self._run / RUN_JSON} can't be written: {why}")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_waiting": [], "_busy": None}


def _write(run: Path, info: RunInfo) -> None:
    text = _as_text(info.as_dict())
    if info.status == RUNNING:
        # Whitespace, so that the end of the run has room on a full disk: see `_amend`.
        text += b" " * (len(_as_text({"": info.sessions})) + ROOM) + b"\n"
    with replacing(run / RUN_JSON) as stream:
        stream.write(text)


def _as_text(fields: Mapping[str, Any]) -> bytes:
    text = json.dumps(as_json(fields), indent=2, ensure_ascii=False)
    # Lone surrogates are escaped in JSON's form.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _amend(run: Path, info: RunInfo, end: Mapping[str, Any]) -> bool:
    """Enter the end of a run into the room that its record has; return whether it fits.

    Nothing is overwritten but whitespace and one byte, so a reader finds the earlier
    record or the new one, whenever this is interrupted: the fields that changed are
    written behind the object, and join it when its last brace becomes a comma. Of two
    fields with the same name, the later one counts.

    Parameters
    ----------
    run
        The run's directory.
    info
        The whole record.
    end
        The fields to be written if there is no room for all that changed.
    """
    try:
        with open(run / RUN_JSON, "r+b", buffering=0, opener=opened) as stream:
            data = stream.read()
            there, close = _parse(data)
            new = as_json(info.as_dict())
            old = {**dict.fromkeys(there), **new}
            changed = {k: v for k, v in old.items() if there.get(k, ...) != v}
            essential = {name: changed[name] for name in end if name in changed}
            brief = {k: v for k, v in essential.items() if k not in LONG}
            for fields in (changed, essential, brief):
                text = _as_text(fields).removeprefix(b"{")
                if len(text) <= len(data) - close:
                    text = text.ljust(len(data) - close)
                    break
            else:
                return False
            stream.seek(close)
            if stream.write(text) < len(text):
                return False
            os.fsync(stream.fileno())
            stream.seek(close - 1)
            stream.write(b",")
            os.fsync(stream.fileno())
    except (OSError, ValueError):
        return False
    return True


def _parse(data: bytes) -> tuple[dict[str, Any], int]:
    """Return the object in a record, and its end in bytes."""
    text = data.decode("utf-8", "surrogateescape")
    found, close = json.JSONDecoder().raw_decode(text)
    return found, len(text[:close].encode("utf-8", "surrogateescape"))


def add_note(run: Path, text: str) -> None:
    """Add a note to the record of a run, with its date and user, and nothing else.

    Raises
    ------
    FileNotFoundError
        If the run has no record.
    TimeoutError
        If another process does not finish its own change of it.
    """
    with exclusive(run, PATIENCE) as alone:
        if not alone:
            raise TimeoutError(
                f"{run / RUN_JSON} can't be written: another process is changing it"
            )
        info = RunInfo.read(run)
        if info == RunInfo():
            raise FileNotFoundError(f"{run} has no {RUN_JSON} to add a note to")
        note = {"text": text, "date": iso(now()), "user": provenance.user()}
        info.notes = [*(info.notes or []), note]
        _write(run, info)


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return the type, message and place of an error; this never raises."""
    try:
        message = str(error)
    except BaseException:
        message = "an error that can't be shown"
    return {
        "type": type(error).__qualname__,
        "message": message[:LONGEST],
        "where": provenance.raised_at(error.__traceback__),
    }
