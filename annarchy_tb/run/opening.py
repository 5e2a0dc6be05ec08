"""Opening a run: a new one, one to append to or to resume, or a branch of another.

A new run begins in the constructor of its Logger. A run that exists is left as it is
until the first record is written to it: if the simulation fails before, or logs other
parameters than those of the run, nothing has changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time as now
from typing import TYPE_CHECKING, Any

from annarchy_tb.inputs.clock import TIME_UNIT
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import warn
from annarchy_tb.run import provenance, sessions, source
from annarchy_tb.run.atomic import exclusive
from annarchy_tb.run.clearing import clear, has_values, is_bare
from annarchy_tb.run.folder import Folder
from annarchy_tb.run.info import RUNNING, RunInfo, date, iso, open_sessions
from annarchy_tb.run.info_file import InfoFile
from annarchy_tb.run.modes import (
    Wanted,
    check_parent,
    check_settings,
    in_time_of,
    in_unit,
    judge,
)
from annarchy_tb.run.names import CHECKPOINTS
from annarchy_tb.run.paths import directories, first_time, sizes
from annarchy_tb.run.strangers import check_no_link
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.scan import first_not_finite

if TYPE_CHECKING:
    from annarchy_tb.run.checkpoints import Progress

PATIENCE = 300.0  # seconds to wait for others that open the same run


class Opening:
    """The beginning of a session, in which a Logger and its copies write to a run.

    Parameters
    ----------
    path
        The run's directory; it is created if it is missing.
    wanted
        How to open it.
    table
        Makes the record of the run's table, which its event file starts with.

    Attributes
    ----------
    folder : Folder
        The directory of the run.
    info : InfoFile
        The record of the run.
    kind : {"new", "append", "resume", "branch"}
        The kind of the session.
    started : float
        The first start of the run in seconds since 1970.
    inherited : Progress or None
        The progress of the run from which this one began: see `checkpoints.branch`.
    begun : bool
        Whether the session has begun: the run was changed.
    joins : bool
        Whether another process keeps the record, and sets the status of the run.

    Raises
    ------
    FileExistsError, RuntimeError, ValueError
        As `modes.judge`; and ValueError if the run has other settings.
    """

    folder: Folder
    info: InfoFile
    kind: sessions.Kind
    started: float
    inherited: Progress | None
    begun: bool
    joins: bool
    _limits: dict[str, int]
    _wanted: Wanted
    _table: Callable[[RunInfo], bytes]
    _table_written: bool
    _origin: dict[str, Any]  # of the process that made the Logger
    _before: RunInfo
    _rewinds: bool  # to the checkpoint, if there is one
    _last: str | None  # the name of that checkpoint
    _there: dict[str, int]  # the sizes of the event files to be rewound
    _recorded: bool  # this object has written run.json
    _busy: set[tuple[int, int]]  # the processes and threads that are beginning
    _checked: int | None  # the process that knows that the run is still the same

    def __init__(
        self, path: Path, wanted: Wanted, table: Callable[[RunInfo], bytes]
    ) -> None:
        self.inherited = None
        self.begun = self.joins = False
        self._wanted, self._table = wanted, table
        self._table_written = self._recorded = False
        self._last, self._there, self._limits = None, {}, {}
        self._busy, self._checked = set(), None
        if not path.exists():
            check_parent(wanted)  # before anything is created
        path.mkdir(parents=True, exist_ok=True)
        self.folder = Folder(path)
        self.info = InfoFile(self.folder)
        self._origin = provenance.origin()
        if wanted.source:
            source.collect()  # as it is now, even if the session begins later
        open_sessions.add(self.info.session)
        try:
            with self._alone():
                self._open(RunInfo.read(path))
        except BaseException:
            self.info.release()  # no Logger writes the run
            raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the run; raise RuntimeError if that is not possible."""
        with exclusive(self._path, PATIENCE) as alone:
            if not alone:
                raise RuntimeError(
                    f"the run {self._path} can't be opened: another process is opening "
                    f"or changing it, and does not finish; try again, or end it"
                )
            yield

    @property
    def _path(self) -> Path:
        return self.folder.find()

    @property
    def _checkpoint(self) -> Path | None:
        return None if self._last is None else self._path / CHECKPOINTS / self._last

    @property
    def limits(self) -> dict[Path, int]:
        """Sizes up to which event files belong to the run, if they are to be cut."""
        path = self._path
        return {path / name: size for name, size in self._limits.items()}

    def _open(self, before: RunInfo) -> None:
        path = self._path
        folder = path / CHECKPOINTS
        for place in (folder, *folder.glob("cut-*")):
            check_no_link(place)
        alone = len(sessions.found(before)) == 1
        if before.starting_over and alone and before.is_open() is False:
            clear(path)  # as a Logger was about to when it was killed
        self._before = before
        self.kind = judge(path, self._wanted, before)
        self._rewinds = self.kind == "resume" or before.rewinding is True
        new = self.kind in ("new", "branch")
        begun = None if new else before.begun()
        begun = begun or date(iso(now() if new else first_time(path)))
        self.started = begun.timestamp() if begun else now()
        if self.kind == "branch" and self._wanted.parent is not None:
            self._wanted = in_time_of(self._wanted.parent, self._wanted)
        its = None if new else before.time_unit
        self._wanted = in_unit(self._wanted, its or self._wanted.time_unit or TIME_UNIT)
        if new:
            self._begin_new(before)
        else:
            self._plan(before)

    # -- a new run ---------------------------------------------------------------------

    def _begin_new(self, before: RunInfo) -> None:
        wanted = self._wanted
        dirty = self.kind == "branch" or not is_bare(self._path)
        info = RunInfo(
            status=RUNNING,
            started=iso(self.started),
            experiment=self._path.name,
            time_unit=wanted.time_unit or TIME_UNIT,
            dt=wanted.dt,
            origin=wanted.origin,
            metrics={},
            not_finite={},
            units={},
            restarts=0,
            session=self.info.session,
            starting_over=True if dirty else None,
            notes=before.notes,
            **self._origin,
        )
        self._add_session(info)
        if not dirty:
            self._keep_source(info)
        self.info.begin(info)
        if dirty:
            # Killed before the end, it is completed by whoever opens the run next.
            clear(self._path)
            if wanted.parent is not None:
                self._branch(info, wanted.parent)
            info.starting_over = None
            self._keep_source(info)
            self.info.begin(info)
        self.begun, self._checked = True, os.getpid()

    def _branch(self, info: RunInfo, parent: Path) -> None:
        """Begin from the last checkpoint of another run."""
        with importing:
            from annarchy_tb.run import checkpoints

        here = os.path.realpath(self._path)
        info.parent = os.path.relpath(os.path.realpath(parent), here)
        found = checkpoints.branch(parent, self._path)
        info.parent_step, info.units = found.step, found.units or {}
        self.inherited = checkpoints.progress_before(self._path)

    def _add_session(self, info: RunInfo) -> None:
        sessions.begin(info, self.kind, self.info.session, self._origin, iso(now()))

    def _keep_source(self, info: RunInfo) -> None:
        """Write the source of the program, if wanted, and enter it in the record."""
        if self._wanted.source:
            info.source = source.keep(self._path, info.session_count or 1)
            sessions.enter(info, self.info.session, source=info.source)

    # -- a run that exists -------------------------------------------------------------

    def _plan(self, before: RunInfo) -> None:
        """Find out how to continue, without changing anything."""
        with importing:
            from annarchy_tb.run import checkpoints

        self.inherited = checkpoints.progress_before(self._path)
        if self._rewinds:
            last = checkpoints.last(self._path)
            self._last = None if last is None else last.name
            there = self._there = sizes(self._path)
            kept: dict[str, int] = {}
            if last is not None:
                found = checkpoints.read(last)
                checkpoints.warn_if_shorter(self._path, found, there)
                kept = checkpoints.sizes_at(self._path, found)
            elif has_values(self._path):
                away = checkpoints.aside(self._path, (before.restarts or 0) + 1)
                again = f" from that of {before.parent}" if before.parent else ""
                warn(
                    f"there is no checkpoint in {self._path}: the run starts over"
                    f"{again}, and its earlier data are kept in {away}"
                )
            self._limits = {name: kept.get(name, 0) for name in there}
        self.info.info = self._continued(before)

    def _continued(self, before: RunInfo) -> RunInfo:
        """Return the record of a run that continues, now kept by this Logger.

        Raises
        ------
        ValueError
            If it has another setting of simulated time.
        """
        wanted = self._wanted
        check_settings(wanted, before)
        info = dataclasses.replace(
            before,
            status=RUNNING,
            started=iso(self.started),
            ended=None,
            error=None,
            experiment=self._path.name,
            time_unit=before.time_unit or wanted.time_unit or TIME_UNIT,
            dt=wanted.dt if before.dt is None else float(before.dt),
            origin=before.origin or wanted.origin,
            metrics=before.metrics or {},
            not_finite=before.not_finite or {},
            units=before.units or {},
            restarts=before.restarts or 0,
            session=self.info.session,
            starting_over=None,
            rewinding=True if self._rewinds else None,
            lost_records=None,
            lost_blocks=None,
            source=None,
            **self._origin,
        )
        info.job = info.job or before.job
        if self.kind == "resume":
            info.restarts = (before.restarts or 0) + 1
            info.checkpoint = info.params = None
            info.metrics, info.not_finite, info.units = {}, {}, {}
            info.phases = None
            if self._checkpoint is not None:
                with importing:
                    from annarchy_tb.run import checkpoints

                found = checkpoints.read(self._checkpoint)
                info.checkpoint, info.params = found.step, found.params
                info.metrics, info.not_finite = found.metrics, found.not_finite or {}
                info.units, info.phases = found.units or {}, found.phases
        self._add_session(info)
        return info

    def begin(self) -> None:
        """Begin the session, if this Logger or a copy of it has not yet.

        Raises
        ------
        OSError
            If the files can't be written; a later call tries again.
        RuntimeError
            If another Logger has written to a run that is to be resumed, or does not
            finish opening the run.
        """
        if self.begun:
            self._check_same_run()
            return
        here = (os.getpid(), threading.get_ident())
        if here in self._busy:  # in a signal handler
            return
        self._busy.add(here)
        try:
            with self._alone():
                if not self.begun:  # by another thread
                    self._begin()
                    self.begun, self._checked = True, os.getpid()
        finally:
            self._busy.discard(here)

    def _check_same_run(self) -> None:
        """Raise RuntimeError if the run was started over; once in each process."""
        if self._checked == os.getpid():
            return
        there = RunInfo.read(self._path)
        if there.started not in (None, self.info.info.started):
            raise self._replaced("continued", "started over")
        self._checked = os.getpid()

    def _replaced(self, wanted: str, done: str) -> RuntimeError:
        return RuntimeError(
            f"the run {self._path} can't be {wanted}: another Logger has {done} it "
            f"meanwhile"
        )

    def _begin(self) -> None:
        if not self._recorded:
            there = RunInfo.read(self._path)
            if there == RunInfo():  # run.json was deleted
                there = self._before
            if self._has_begun(there):
                return
            if there.session == self.info.session:
                self.info.info = there  # a copy was interrupted while it rewound
            else:
                self._record(there)
            self._recorded = True
        if self._rewinds and not self.joins:
            with importing:
                from annarchy_tb.run import checkpoints

            restarts = self.info.info.restarts or 0
            checkpoints.rewind(self._path, restarts, self._checkpoint, self._there)
            self.info.begin(dataclasses.replace(self.info.info, rewinding=None))

    def _record(self, there: RunInfo) -> None:
        """Write the record of the run, unless another Logger has changed the run."""
        before = self._before
        if self.kind == "resume":
            ended = sessions.identities(before)
            if sessions.writer(there, ended)[0] or there.session != before.session:
                raise self._replaced("resumed", "opened")
        elif before.started is not None and there.started != before.started:
            raise self._replaced("appended to", "started over")
        # Not one of the same process: a cell of a notebook may be run again.
        mine = (self._origin["host"], self._origin["pid"])
        same = mine == (there.host, there.pid)
        appends = self.kind == "append"
        self.joins = appends and there.is_open() is not False and not same
        info = self._continued(there)
        self._keep_source(info)
        if appends and there.status == RUNNING and not self.joins:
            # If it was killed, it may not have noted all tags: see InfoFile.
            info.not_finite = self._not_finite(there)
        if self.joins:
            info = dataclasses.replace(
                there,
                sessions=info.sessions,
                session_count=info.session_count,
            )
        self.info.begin(info)

    def _not_finite(self, there: RunInfo) -> dict[str, int]:
        """Return all tags that were not finite, with those that only the files tell."""
        places = directories(self._path)
        found = first_not_finite(
            path for place in places for path in event_files(place)
        )
        noted, results = there.not_finite or {}, there.metrics or {}
        missed = {tag: step for tag, step in found.items() if tag not in results}
        return {**noted, **missed, **noted}

    def _has_begun(self, there: RunInfo) -> bool:
        """Return whether the Logger, or a copy of it, has begun the session."""
        own = self.info.session
        if own not in sessions.identities(there):
            return False
        if there.rewinding and there.session == own:
            return False
        self.joins = there.session != own
        return True

    def has_begun(self) -> bool:
        """Return whether this Logger, or a copy of it, has changed the run."""
        self.begun = self.begun or self._has_begun(RunInfo.read(self._path))
        return self.begun

    def parameters(self) -> tuple[dict[str, Any] | None, str | None]:
        """Return the parameters and the group of the run, None if it has none."""
        planned = self._rewinds and not self.begun
        info = self.info.info if planned else self.info.read()
        return info.params, info.group

    def checkpointed(self) -> Path | None:
        """Return the run whose last checkpoint is that of this one, if one may be."""
        return self._path

    # -- event files -------------------------------------------------------------------

    def first(self) -> bytes:
        """Begin the session; return the records that the run's event file starts with.

        This is the run's table, once.
        """
        self.begin()
        if self._table_written or self.joins:
            return b""
        self._table_written = True
        return self._table(self.info.current())

    def first_of_curve(self) -> bytes:
        """Begin the session; return the records for the file of a curve: none."""
        self.begin()
        return b""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_busy": set()}
