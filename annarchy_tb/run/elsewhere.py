"""A run that another process writes, such as rank 0: what a disabled Logger has of it.

All that a Logger does goes its usual way, through the same checks. Where it would reach
the disk, there are the stand-ins of this module, which keep what belongs to the process
in memory and drop the rest. Of the run itself, they read its settings of simulated time
and its last checkpoint, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from time import time as now

from annarchy_tb.inputs.clock import TIME_UNIT
from annarchy_tb.run import directory, names, opening
from annarchy_tb.run.folder import Folder
from annarchy_tb.run.info import RunInfo
from annarchy_tb.run.info_file import InfoFile
from annarchy_tb.run.ledger import History
from annarchy_tb.run.modes import (
    Wanted,
    check_settings,
    in_time_of,
    in_unit,
    parent_of,
)
from annarchy_tb.tfevents.nowhere import NoEventFile, NoRecordingFile


class Directory(directory.RunDirectory):
    """A directory of such a run: a ledger of its own, and files that drop records."""

    writes = False
    _event_file = NoEventFile
    _recording_file = NoRecordingFile

    def _list(self, path: Path) -> list[str]:
        return []

    def _find_curve(self, key: str) -> Path:
        return self.find() / names.curve(key, [])

    def _history(self) -> History:
        return ()

    def _curves_before(self) -> Iterable[str]:
        return ()


class Info(InfoFile):
    """The record of such a run, as far as this process would enter it: in memory."""

    def begin(self, info: RunInfo) -> None:
        """Take a record."""
        self.info = info

    def read(self) -> RunInfo:
        """Return the record."""
        return self.info

    def _update(self, patience: float) -> bool:
        number = len(self._waiting)
        self._write_waiting()
        del self._waiting[:number]
        return True

    def _write(self) -> bool:
        return True


class Opening(opening.Opening):
    """A session of such a run, which changes nothing.

    Parameters
    ----------
    path
        The directory of the run; that of all runs if only the other process knows its
        name.
    wanted
        How the other process opens it.
    named
        Whether this process knows its name.

    Raises
    ------
    ValueError
        If the run has other settings.
    """

    _named: bool
    _continues: bool  # a run that may have a checkpoint from before this session

    def __init__(self, path: Path, wanted: Wanted, named: bool) -> None:
        self.folder = Folder(path, followed=False)
        self.kind = "append"
        self.started = now()
        self.inherited, self._limits = None, {}
        self.begun = self.joins = True
        self._rewinds, self._named = False, named
        # A run that is started is that of the arguments: what is there may be of the
        # run before it, if this process comes first.
        self._continues = wanted.resume or wanted.mode == "a"
        before = RunInfo.read(path) if self._continues else RunInfo()
        parent = wanted.parent
        if parent is not None and parent_of(path, before) != os.path.realpath(parent):
            self._continues, before = False, RunInfo()
            wanted = in_time_of(parent, wanted)
        unit = before.time_unit or wanted.time_unit or TIME_UNIT
        self._wanted = wanted = in_unit(wanted, unit)
        check_settings(wanted, before)
        self.info = Info(self.folder)
        dt = wanted.dt if before.dt is None else float(before.dt)
        self.info.begin(
            RunInfo(
                time_unit=unit,
                dt=dt,
                origin=before.origin or wanted.origin,
                session=self.info.session,
            )
        )

    def begin(self) -> None:
        """Do nothing: it is the session of another process."""

    def has_begun(self) -> bool:
        """Return False: this process sets no status."""
        return False

    def checkpointed(self) -> Path | None:
        """Return the run whose last checkpoint is that of this one, if one may be.

        The other process may not have begun the run yet, and not yet have cleared what
        was there before.
        """
        saved = self.info.read().checkpoint is not None  # in this session
        if self._continues or (saved and self._named):
            return self._path
        return self._wanted.parent
