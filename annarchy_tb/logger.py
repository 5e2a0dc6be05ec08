"""The Logger: the start and end of a run, and all methods that log to it."""

from __future__ import annotations

import copy
import logging
import os
import warnings
import weakref
from datetime import datetime
from pathlib import Path
from time import time as now
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np

from annarchy_tb import phases, progress, windows
from annarchy_tb.inputs.clock import TIME_UNIT, Ask, Clock, as_clock, whole_step
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, naming, warn
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.kinds import (
    audio,
    figure,
    histogram,
    html,
    image,
    matrix,
    parameters,
    raster,
    scalar,
    series,
    text,
)
from annarchy_tb.run import names
from annarchy_tb.run.directory import RunDirectory
from annarchy_tb.run.ledger import Group, TagState
from annarchy_tb.run.paths import (
    as_path,
    check_directory,
    claim,
    directory_of_runs,
    inside,
    sizes,
)
from annarchy_tb.run.state import Curve, OnNan, RunState, check_on_nan
from annarchy_tb.tfevents.event_file import EventFile
from annarchy_tb.tfevents.templates import ScalarRecords

if TYPE_CHECKING:
    from typing_extensions import Self

    from annarchy_tb.reading.last import Last
    from annarchy_tb.run.info_file import InfoFile
    from annarchy_tb.run.modes import Mode
    from annarchy_tb.run.opening import Opening
    from annarchy_tb.writer import SummaryWriter


# Attributes that `Logger._look_up` sets: a copy has its own.
_LOOKED_UP = frozenset(
    {
        "_clock",
        "_not_finite",
        "_file",
        "_groups",
        "_scalar_records",
        "_plot_records",
        "_writer",
        "_last",
    }
)

_loggers: set[weakref.ref[Logger]] = set()  # made by this process
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loggers.clear)


class Logger:
    """A run of a simulation, logged to TensorBoard's event files.

    Parameters
    ----------
    logdir : str or path, optional
        The directory of all runs, to be passed to ``tensorboard --logdir``. It is
        created if it does not exist. The default is the environment variable
        ``ANNARCHY_TB_LOGDIR`` or, if that is not set or empty, ``runs/``.
    experiment : str, optional
        The name of this run, a directory below `logdir`. The default name is
        ``<month><day>_<time>_<host>``; such a run always gets a new directory.
    mode : {"x", "a", "w"}, default "x"
        What to do if the run `experiment` exists: ``"x"`` raises FileExistsError if it
        has data (more than its table and parameters), or is being written. ``"a"``
        appends to it, and automatic steps continue from the last one; other processes
        may be writing it. ``"w"`` starts it over: the event files, recordings,
        curves and checkpoints of this package are removed, and your own files (see
        `path`) are kept; a Logger of this process that is still open on it is closed
        first, with a warning. If the run does not exist, all three start it.
    resume : bool, str or path, default False
        Instead of ``mode=``, resume the run `experiment` from its last checkpoint (see
        `save_checkpoint`). Data logged since the checkpoint is cut off, and kept in
        ``<run>/checkpoints``; without a checkpoint, this is all of the run's data. If
        the run does not exist, it is started. Restart a running TensorBoard
        afterwards: until then, it still shows the data cut off.

        The directory of another run, such as ``"runs/trial1"``: begin this run from
        the last checkpoint of that one, with its state, its step and the last steps of
        its tags, but none of its points. Once this run has a checkpoint of its own, it
        is resumed from that.
    dt : float or quantity, optional
        The solver's time step in `time_unit`, or with a unit, such as ``0.1 * ms``. If
        it is given, a step that is left out is computed from ``time=``, as the nearest
        whole number of solver steps. A run that exists has its own.
    time_unit : {"ms", "s", "us", "min", "h", "d", "ns", "ps", "fs"}, optional
        The unit of ``time=`` and of `dt`: "ms" for a new run, that of the run if it
        exists.
    clock : callable, optional
        A function that returns the simulated time, such as ``lambda: net.time``, for
        calls without ``time=``. Exceptions raised by it propagate, and nothing is
        written then. It is not asked for `add_series`, `add_parameters`, `add_metrics`
        and `writer`, and not sent to other processes.
    origin : datetime or numpy.datetime64, optional
        The date at time 0, for models that have dates: TensorBoard's WALL axis then
        shows them, and ``time=`` may be a date, too. Dates have a time zone like it, or
        none like it (they are then in UTC). A run that exists has its own. Not with
        units below a microsecond.
    on_nan : {"warn", "raise", "ignore"}, default "warn"
        What to do about the first NaN or infinity of each tag of numbers: give one
        warning, raise a FloatingPointError once the whole call is written, or do
        nothing. In each case ``run.json`` names the tag and its step.
    enabled : bool, default True
        With False, the Logger takes the same calls and writes nothing, because another
        process does: ``Logger(..., enabled=comm.rank == 0)`` on all ranks of MPI. It
        makes no directory and no file, and opens none; `run_dir` is None, `path`
        raises, `last` is empty, and `track` shows no bar. Each call checks its
        arguments, raises the same errors about them, and gives no warnings; what the
        run already holds is not looked at. `load_checkpoint` returns that of the run,
        and hooks read their sources.
    source : bool, default False
        Keep in the run's ``source`` directory what the commit in ``run.json`` does not
        say: ``changes.patch``, how tracked files differed from it (the output of
        ``git diff``), and ``packages.txt``, the versions of all installed packages.
        Both are as they were when this process first made a Logger with it. The patch
        takes at most half a second and 5 MiB; ``run.json`` says if it is not complete.

    Raises
    ------
    FileExistsError
        If the run has data, or is being written, and neither ``mode=`` nor ``resume=``
        says what to do about it. Of several processes that start the same run at once,
        one gets it.
    OSError
        If the run's directory or its event file can't be created; the error names it.
        Also if the last checkpoint belongs to another user (PermissionError), or the
        run's ``checkpoints`` is a link (NotADirectoryError).
    RuntimeError
        If the run to resume or to start over is still being written by a process of
        this host. Processes of other hosts can't be detected: a run that reads
        ``running`` on one of them can be resumed, but not started over.
    TypeError, ValueError
        If an argument is invalid, `time_unit`, `dt` or `origin` is not that of the run,
        or the run to begin from has no checkpoint.

    Notes
    -----
    With ``mode="a"`` and ``resume=``, nothing in the run changes before the first value
    is logged.

    These arguments have the same meaning in `log` and all ``add_*`` methods.

    tag : str
        The name of the plot, used unchanged. ``"Group/Name"`` is shown in the section
        *Group*. A tag holds one kind of data.
    step : int, optional
        The position on the horizontal axis, for example the trial: a whole number of 64
        bits, or a float within 1e-6 of one. If left out, it is one more than the tag's
        last step, starting at 0. The steps of a tag should increase: if one does not, a
        warning is given, and TensorBoard hides the tag's earlier points from that step
        on.
    time : float or quantity, optional
        Simulated time in `time_unit`, or with a unit. TensorBoard's RELATIVE axis then
        shows simulated time (and its WALL axis simulated dates). Units shorter than a
        microsecond are drawn as if they were seconds.

    Quantities of Brian2, pint, astropy, unyt and OpenMM are taken wherever numbers are.
    Values are logged in the unit of the tag's first quantity, which its description
    says; later ones are converted to it, and numbers without a unit count as in it.

    Invalid arguments raise TypeError or ValueError, and calls on a closed Logger raise
    ValueError. Nothing is then written, and earlier data is unaffected.

    When one of these methods returns, the data has been handed to the operating system,
    and reaches the file however the process ends. Data logged after the last `flush`
    may be lost in a power failure. While the disk is full, records wait in memory and
    the simulation continues, with warnings; they are lost if the process is killed, and
    above 64 MiB per run the oldest are dropped. Deleted files of the run are detected
    by `flush` and `close`.

    Threads may share a Logger if each logs different tags, and so may processes. A
    forked process may keep using the Logger it inherited: it writes to a separate event
    file, warns once if it logs a tag that was begun before the fork, and only the
    process that made the Logger sets the status of the run.
    """

    _logdir: Path
    _run: RunState
    _opening: Opening
    _info: InfoFile
    _process: int | None  # the one that made the Logger; it sets the final status
    _has_parameters: bool
    _loaded: bool  # a checkpoint
    _last: Last | None
    _writer: SummaryWriter | None

    # References for the fastest methods.
    _file: EventFile
    _groups: dict[tuple[str, ...], Group]
    _scalar_records: dict[str, tuple[TagState, ScalarRecords]]
    _plot_records: dict[tuple[str, tuple[str, ...]], list[Curve]]
    _clock: Ask | None
    _not_finite: set[str]

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        experiment: str | None = None,
        *,
        mode: Mode | None = None,
        resume: bool | str | os.PathLike[str] = False,
        dt: SupportsFloat | None = None,
        time_unit: str | None = None,
        clock: Ask | None = None,
        origin: datetime | np.datetime64 | None = None,
        on_nan: OnNan = "warn",
        enabled: bool = True,
        source: bool = False,
    ) -> None:
        # Slow to import, and not needed before there is a run.
        with importing:
            from annarchy_tb.run.modes import as_wanted
            from annarchy_tb.run.opening import Opening

        with naming("Logger", None):
            asked = Clock(TIME_UNIT if time_unit is None else time_unit, dt, origin)
            ask = as_clock(clock)
            check_on_nan(on_nan)
            date = None if asked.origin is None else asked.origin.isoformat()
            wanted = as_wanted(experiment, mode, resume, time_unit, dt, date, source)
            _check_enabled(enabled)
            self._logdir = directory_of_runs(logdir)
            check_directory("logdir", self._logdir)
            if experiment is not None:
                path = inside(self._logdir, experiment)
                check_directory("experiment", path)
            elif enabled:
                path = claim(self._logdir, names.default_run())
            else:
                path = self._logdir
            if enabled:
                place = RunDirectory
                if mode == "w":
                    _close_own(path)
                self._opening = Opening(path, wanted, parameters.table_record)
            else:
                with importing:
                    from annarchy_tb.run import elsewhere

                place, named = elsewhere.Directory, experiment is not None
                self._opening = elsewhere.Opening(path, wanted, named)
        self._info = self._opening.info
        try:
            its = self._info.info
            begun = None if its.origin is None else datetime.fromisoformat(its.origin)
            own = Clock(its.time_unit or TIME_UNIT, its.dt, begun)
            directory = place(path, self._opening)
            self._run = RunState(
                directory,
                own,
                self._opening.started,
                ask,
                on_nan,
                name=os.path.relpath(path, self._logdir),
            )
            if self._opening.begun:
                directory.file.open()
        except BaseException:
            self._info.release()  # no Logger writes the run
            raise
        if on_nan != "raise":
            self._run.not_finite.update(its.not_finite or ())
        self._run.units.update(its.tag_units())
        self._has_parameters = self._loaded = False
        self._process = os.getpid()
        self._look_up()
        if enabled:
            _loggers.add(weakref.ref(self, _loggers.discard))
            logging.getLogger("annarchy_tb").info("logging to %s", path)

    def _look_up(self) -> None:
        """Set the references for the fastest methods."""
        self._file = self._run.directory.file
        self._groups = self._run.directory.ledger.groups.found
        self._scalar_records = self._run.scalar_records
        self._plot_records = self._run.plot_records.found
        self._clock = self._run.ask
        self._not_finite = self._run.not_finite
        self._run.note = self._info.enter_not_finite
        self._run.share_units = self._info.enter_units
        self._writer = None
        self._last = None

    @property
    def enabled(self) -> bool:
        """Whether the Logger writes the run, and not another process."""
        return self._run.directory.writes

    # `Any` is for None, here and below: type checkers would ask everybody for a check
    # that only scripts with disabled Loggers need.
    @property
    def run_dir(self) -> Path | Any:
        """The absolute path of this run's directory; None if the Logger is disabled."""
        return self._run.directory.path if self.enabled else None

    @property
    def logdir(self) -> Path:
        """The absolute path of the directory of all runs."""
        return self._logdir

    @property
    def experiment(self) -> str | Any:
        """The name of this run: its directory, relative to `logdir`.

        It is None if the Logger is disabled and was given no name.
        """
        path = self._run.directory.path
        if path == self._logdir:
            return None
        return path.relative_to(self._logdir).as_posix()

    @property
    def closed(self) -> bool:
        """Whether the Logger is closed."""
        return self._file.closed

    @property
    def time_unit(self) -> str:
        """The unit of ``time=``, as given."""
        return self._run.clock.unit

    def __repr__(self) -> str:
        place = self.run_dir if self.enabled else "disabled"
        return f"<Logger {place}{' (closed)' if self.closed else ''}>"

    # -- logging -----------------------------------------------------------------------

    add_scalar, add_scalars, log = scalar.add_scalar, scalar.add_scalars, scalar.log
    add_series = series.add_series
    add_histogram = histogram.add_histogram
    add_image, add_images = image.add_image, image.add_images
    add_figure, figures = figure.add_figure, figure.figures
    add_open_figures = figure.add_open_figures
    add_raster = raster.add_raster
    add_matrix = matrix.add_matrix
    add_audio = audio.add_audio
    add_text, describe = text.add_text, text.describe
    add_html = html.add_html
    add_parameters = parameters.add_parameters
    add_metrics = parameters.add_metrics

    window = windows.window
    track = progress.track
    phase = phases.phase

    @property
    def last(self) -> Last:
        """The last value of each tag of numbers, such as ``logger.last["Accuracy"]``.

        The values are read from the run's files on demand, as they were logged, and
        cost nothing while logging; see `annarchy_tb.reading.Last`. There are none if
        the Logger is disabled.
        """
        with importing:
            from annarchy_tb.reading.last import Empty, Last

        if self._last is None:
            directory = self._run.directory
            self._last = Last(directory) if self.enabled else Empty(directory)
        return self._last

    @property
    def writer(self) -> SummaryWriter:
        """tensorboardX's full SummaryWriter on this run's file, for all other kinds.

        It takes torch's arguments, too: see :class:`annarchy_tb.SummaryWriter`.

        ``logger.writer.add_mesh(...)``, ``add_pr_curve``, ``add_embedding``,
        ``add_custom_scalars`` and so on, as in https://tensorboardx.readthedocs.io.
        Closing it leaves the Logger open. If the Logger is disabled, it is made with
        ``write_to_disk=False``.
        """
        self._run.check_open()
        if self._writer is None:
            with importing:
                from annarchy_tb.writer import LoggerWriter

            def add_hparams(*arguments: Any) -> None:
                parameters.add_hparams(self, *arguments)

            self._writer = LoggerWriter(self._run, add_hparams)
        return self._writer

    # -- files, checkpoints ------------------------------------------------------------

    def path(self, name: str | os.PathLike[str]) -> Path:
        """Return a path inside the run's directory, for one of your own files.

        Parameters
        ----------
        name : str or path
            A relative path, such as ``"net.npz"`` or ``"weights/trial3.npy"``. Missing
            directories are created.

        Raises
        ------
        TypeError, ValueError
            If it is not a path, leads out of the run, or has a name reserved for the
            run itself.
        RuntimeError
            If the Logger is disabled: ask for ``logger.enabled`` first.
        """
        with naming("path", None):
            relative = Path(os.path.normpath(as_path("name", name)))
        first = relative.parts[0] if relative.parts else ""
        if relative.is_absolute() or first in ("", ".."):
            raise ValueError(f"path: name must be inside the run, got {describe(name)}")
        if names.is_reserved(relative.parts):
            raise ValueError(f"path: this name is reserved: {describe(name)}")
        if not self.enabled:
            raise RuntimeError(
                "path: a disabled Logger has no directory; write your file where the "
                "Logger is enabled: if logger.enabled: net.save(logger.path('net.npz'))"
            )
        path = self.run_dir / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def save_checkpoint(
        self, state: object, step: SupportsFloat, *, keep: SupportsIndex = 2
    ) -> None:
        """Save the state of the simulation, to resume from if the run is interrupted.

        The checkpoint includes the progress of the run:
        ``Logger(experiment=..., resume=True)`` takes the event files back to this
        point. When the call returns, everything is on the disk itself; if the process
        dies earlier, the previous checkpoint remains valid. A disabled Logger checks
        only, also that the state can be pickled.

        Parameters
        ----------
        state : object
            Any object that can be pickled, except the Logger itself. A network that
            saves itself can write to `path`: ``net.save(str(logger.path("net.npz")))``.
        step : int
            The position in the simulation, for example the trial; `load_checkpoint`
            returns it.
        keep : int, default 2
            How many checkpoints to keep, including this one; older ones are removed.

        Raises
        ------
        NotADirectoryError
            If ``checkpoints`` is a link, which may lead to files of others.
        OSError
            If it can't be written, or records still wait, as for room on a full disk.
        RuntimeError
            In a forked process, or if this Logger is a copy.
        TypeError
            If the state can't be pickled.
        Exception
            Any other exception that pickling it raises, such as your own.
        """
        with importing:
            from annarchy_tb.run import checkpoints

        self._run.check_open()
        if os.getpid() != self._process:
            raise RuntimeError(
                "save_checkpoint: only the process that made the Logger may save it"
            )
        with naming("save_checkpoint", None):
            whole, number = whole_step(step), as_count("keep", keep)
        if self.enabled:
            self._save_checkpoint(state, whole, number)
        else:
            checkpoints.check(state)
        self._info.update(checkpoint=whole, **self._run.phases.said)

    def _save_checkpoint(self, state: object, step: int, keep: int) -> None:
        with importing:
            from annarchy_tb.run import checkpoints

        self._run.directory.flush()
        self._opening.begin()
        self._info.settle()
        info, said = self._info.read(), self._run.phases.said
        checkpoint = checkpoints.Checkpoint(
            step,
            sizes(self.run_dir),
            info.params,
            info.metrics or {},
            info.not_finite,
            info.units,
            said.get("phases", info.phases),
        )
        checkpoints.save(self.run_dir, checkpoint, state, keep)

    def load_checkpoint(self, default: Any = None) -> Any:
        """Return the state and the step of the last checkpoint.

        A run that began from another one, and has no checkpoint yet, begins with that
        of the other run. A disabled Logger returns the same, from the directory of the
        run; if the run is started (``mode="x"`` or ``"w"``), not before both have saved
        a checkpoint.

        Parameters
        ----------
        default : object, optional
            The value to return if there is no checkpoint.

        Returns
        -------
        state, step
            The arguments of the last `save_checkpoint`; or `default`.

        Raises
        ------
        NotADirectoryError
            If ``checkpoints`` is a link.
        PermissionError
            If the checkpoint belongs to another user.

        Notes
        -----
        Unpickling can run arbitrary code from the file. Only the run's own
        ``checkpoints`` are read, and no file of another user, other than root. Resume
        only runs whose directories nobody else could write to.
        """
        with importing:
            from annarchy_tb.run import checkpoints

        self._run.check_open()
        path = self._opening.checkpointed()
        found = None if path is None else checkpoints.load(path)
        if found is None:
            return default
        self._loaded = True
        return found

    # -- the end ---------------------------------------------------------------------

    def flush(self) -> None:
        """Wait until everything logged is on the disk itself.

        This protects against power failures only: the data was already handed to the
        operating system when it was logged.

        Raises
        ------
        OSError
            If records wait, as for room on a full disk, or the files were deleted.
        """
        self._run.check_open()
        self._run.directory.flush()

    def close(self) -> None:
        """Close the run as finished. A second call does nothing.

        Raises
        ------
        OSError
            If records could not be written, for example because the disk is full; the
            error gives their number.
        """
        self._close(None)

    def __enter__(self) -> Self:
        self._run.check_open()
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        __: TracebackType | None,
    ) -> None:
        code = error.code if isinstance(error, SystemExit) else error
        left = code is None or (isinstance(code, int) and code == 0)
        self._close(None if left else error)

    def __getstate__(self) -> dict[str, object]:
        # In another process, or as a copy, it continues the same run with a separate
        # file, and leaves the status to the process that made the Logger.
        kept = {k: v for k, v in self.__dict__.items() if k not in _LOOKED_UP}
        return {**kept, "_process": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._look_up()

    def __copy__(self) -> Logger:
        return copy.deepcopy(self)

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None and not file.closed:
            self._run.close().warn()
            if os.getpid() == self._process and self.enabled:
                self._info.release()
                warnings.warn(
                    f"unclosed <Logger {self.run_dir}>; write 'with Logger() as "
                    f"logger:' or call logger.close()",
                    ResourceWarning,
                    source=self,
                    stacklevel=1,
                )

    def _close(self, error: BaseException | None) -> None:
        if self._file.closed:
            return
        # The end of a forked process is not the end of the run, nor is that of a Logger
        # that has written nothing.
        own = os.getpid() == self._process
        failed: Exception | None = None
        with self._run.warned.anyway():
            for window in list(self._run.pending):
                try:
                    window.flush()
                except Exception as problem:  # still log the others
                    failed = failed or problem
            self._run.phases.end()
            self._close_files(own, error or failed)
        if failed is not None and error is None:
            raise failed

    def _has_begun(self, error: BaseException | None) -> bool:
        """Return whether the run has changed, and so gets a new final status.

        A resumed run that ends well is finished, also if nothing was left to log.
        """
        opening = self._opening
        self._run.directory.backlog.drain()  # what waits may begin it
        if opening.kind == "resume" and error is None and self._loaded:
            opening.begin()
        return opening.has_begun()

    def _close_files(self, own: bool, error: BaseException | None) -> None:
        begun = False
        try:
            begun = own and self._has_begun(error)
            if begun:
                self._info.ending(error, **self._run.phases.said)
                self._write_end(error)
        finally:
            try:
                closed = self._run.close()
                if begun:
                    self._info.end(closed.lost, closed.lost_blocks)
            finally:  # also after Ctrl-C: the run may be opened again
                if own:
                    self._info.release()
            closed.warn()
        closed.report(self.run_dir, error)

    def _write_end(self, error: BaseException | None) -> None:
        """Write the final status and table of the run to its event file."""
        if self._opening.joins:
            return
        if parameters.START_TAG in self._run.directory.ledger:
            status = parameters.SUCCESS if error is None else parameters.FAILURE
            self._run.append(parameters.end_value(status, now()))
        parameters.write_table(self)


def _check_enabled(enabled: object) -> None:
    """Raise TypeError for what is not a bool, such as the rank itself."""
    if not isinstance(enabled, (bool, np.bool_)):
        raise TypeError(
            f"enabled must be a bool, such as comm.rank == 0, got {describe(enabled)}"
        )


def _close_own(path: Path) -> None:
    """Close the Loggers of this process that are open on a run to be started over.

    There is one warning, and nothing happens if the run can't be started over.
    """
    with importing:
        from annarchy_tb.run.info import RunInfo
        from annarchy_tb.run.modes import check_start_over

    place = os.path.realpath(path)
    made = [logger for ref in list(_loggers) if (logger := ref()) is not None]
    mine = [
        logger
        for logger in made
        if not logger.closed and os.path.realpath(logger.run_dir) == place
    ]
    if not mine:
        return
    check_start_over(path, RunInfo.read(path), by_others=True)
    warn(
        f"Logger: another Logger was still open on {path}, and is closed: the run "
        f"starts over. Write 'with Logger(...) as logger:' or call logger.close()"
    )
    for logger in mine:
        logger.close()


# Methods from other modules belong to the Logger, also for pickle and introspection.
for _name, _method in list(vars(Logger).items()):
    if isinstance(_method, FunctionType):
        _method.__module__ = __name__
        _method.__qualname__ = f"Logger.{_name}"
