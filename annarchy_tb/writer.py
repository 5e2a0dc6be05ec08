"""tensorboardX's full SummaryWriter, on our event files.

All events from tensorboardX's ``add_*`` methods pass through the file writer that
``SummaryWriter._get_file_writer()`` returns, and through its ``event_writer``. Here,
that method returns a file writer whose ``event_writer`` writes to an event file of this
package: no queue, no thread, no buffer. Two methods bypass it, ``add_scalars`` and
``add_hparams``, and are reimplemented.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import time as now
from typing import TYPE_CHECKING, Any

import tensorboardX.writer as tbx
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from annarchy_tb.inputs.clock import Clock
from annarchy_tb.kinds import parameters
from annarchy_tb.run import names
from annarchy_tb.run.directory import RunDirectory
from annarchy_tb.run.entry import Entry
from annarchy_tb.run.paths import absolute, claim
from annarchy_tb.run.state import RunState
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.parsing import parse
from annarchy_tb.tfevents.schema import kind_named

if TYPE_CHECKING:
    from typing_extensions import Self

METHOD = "logger.writer"


class _EventWriter:
    """tensorboardX's event writer: writes protobuf events into a run directory.

    As part of a Logger, it refuses a value if its tag holds another kind of data, and
    closing it leaves the Logger's files open.
    """

    def __init__(self, directory: RunDirectory, logged: RunState | None) -> None:
        self._directory = directory
        self._logged = logged  # the run, if it has a Logger

    def get_logdir(self) -> str:
        return str(self._directory.path)

    def add_event(self, event: Event) -> None:
        data = event.SerializeToString()
        found = parse(data)
        if self._logged is not None:
            for value in found.values:
                place = (self._directory, (value.tag,))
                kind = kind_named(value.kind)
                Entry(
                    self._logged, METHOD, value.tag, kind, places=[place], clocked=False
                )
        for value in found.values:
            self._directory.ledger.note(value.tag, value.kind, found.step)
        self._directory.file.append(records.record(data))

    def flush(self) -> None:
        self._directory.file.flush()

    def close(self) -> None:
        if self._logged is None:
            closed = self._directory.close()
            closed.warn()
            closed.report(self._directory.path)


class _FileWriter(tbx.FileWriter):  # type: ignore[misc]
    def __init__(self, directory: RunDirectory, logged: RunState | None = None) -> None:
        self.event_writer = _EventWriter(directory, logged)
        self._directory = directory
        self._logged = logged
        self._default_metadata: dict[str, Any] = {}

    def curve(self, key: str) -> _FileWriter:
        return _FileWriter(self._directory.curve(key), self._logged)

    def reopen(self) -> None:
        """Do nothing: after a close, the SummaryWriter makes a new file writer."""


class _NoFileWriter(tbx.DummyFileWriter):  # type: ignore[misc]
    def add_openvino_graph(self, graph: Any, walltime: float | None = None) -> None:
        """Write nothing, as the other methods do."""


class SummaryWriter(tbx.SummaryWriter):  # type: ignore[misc]
    """A drop-in for ``tensorboardX.SummaryWriter`` that loses no data if it is killed.

    All methods and arguments are those of tensorboardX
    (https://tensorboardx.readthedocs.io). When a method returns, the data has been
    handed to the operating system. Differences:

    - A second writer in a directory never truncates the file of the first.
    - `add_scalars` writes the curve ``key`` to ``<logdir>/<key>``, not to
      ``<logdir>/<tag>/<key>``: one run and one colour for all curves of that name.
    - `add_hparams` writes the first unnamed set to the run itself, and later ones to
      ``<logdir>/hparams``, ``<logdir>/hparams_1`` and so on. Named sets are written to
      ``<logdir>/<name>``, with unsafe characters replaced. NumPy values, lists and
      dicts are kept.
    - `max_queue`, `flush_secs` and `filename_suffix` have no effect.

    Parameters
    ----------
    logdir
        The run's directory; by default ``runs/<datetime>_<host>`` plus `comment`.
    comment, purge_step, write_to_disk, log_dir, comet_config
        As in tensorboardX.
    """

    file_writer: Any  # for the add_* methods; None after a close
    all_writers: Any
    _run: RunState

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        logdir = logdir or log_dir
        if write_to_disk and logdir:
            logdir = absolute(logdir)
            logdir.mkdir(parents=True, exist_ok=True)
        elif write_to_disk:
            logdir = claim(absolute("runs"), names.default_run() + comment)
        super().__init__(
            logdir=str(logdir) if logdir else None,
            comment=comment,
            purge_step=purge_step,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
            write_to_disk=write_to_disk,
            **kwargs,
        )

    def __enter__(self) -> Self:
        return self

    def _open(self) -> tbx.FileWriter | tbx.DummyFileWriter:
        if not self._write_to_disk:
            return _NoFileWriter(self.logdir)
        self._run = _standalone(Path(self.logdir))
        self._run.directory.file.open()
        writer = _FileWriter(self._run.directory)
        if self.purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            writer.add_event(Event(step=self.purge_step, session_log=start))
        return writer

    def _get_file_writer(self) -> tbx.FileWriter | tbx.DummyFileWriter:
        """Return the file writer; make a new one after a close."""
        if self.all_writers is None:
            self.file_writer = self._open()
            self.all_writers = {self.file_writer.get_logdir(): self.file_writer}
        return self.file_writer

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Write one value to each of several curves, shown on one plot.

        Parameters
        ----------
        main_tag
            The tag of the plot.
        tag_scalar_dict
            The value of each curve, by its name.
        global_step, walltime
            As in tensorboardX.
        """
        main = self._get_file_writer()
        walltime = now() if walltime is None else walltime
        if self._write_to_disk:
            for key, value in tag_scalar_dict.items():
                curve = main.curve(key)
                self.all_writers.setdefault(curve.get_logdir(), curve)
                curve.add_summary(scalar(main_tag, value), global_step, walltime)
        self._get_comet_logger().log_metrics(
            tag_scalar_dict, main_tag, step=global_step
        )

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Write one set of parameters with its metrics: one row of the HPARAMS tab.

        Parameters
        ----------
        hparam_dict
            The parameters.
        metric_dict
            The metrics, also written as scalars.
        name
            The sub-run to write to.
        global_step
            The step of the metrics; by default, one more than the tag's last step.
        """
        self._get_file_writer()
        params = parameters.flatten(hparam_dict)
        if self._write_to_disk:
            self._write_row(params, metric_dict, name, global_step)
        self._get_comet_logger().log_parameters(params, step=global_step)

    def _write_row(
        self,
        params: Mapping[str, parameters.Parameter],
        metrics: Mapping[str, Any],
        name: str | None,
        step: int | None,
    ) -> None:
        method, directory = "add_hparams", self._run.directory
        if not name and parameters.START_TAG not in directory.ledger:
            parameters.write_row(self._run, method, params, metrics, step)
            return
        path = directory.path
        path = path / names.curve(name) if name else claim(path, "hparams")
        path.mkdir(parents=True, exist_ok=True)
        run = _standalone(path)
        try:
            parameters.write_row(run, method, params, metrics, step)
        finally:
            closed = run.close()
            closed.warn()
        closed.report(path)

    def close(self) -> None:
        """Close the files. A second call does nothing.

        Raises
        ------
        OSError
            If records could not be written; the error gives their number.
        """
        if self.all_writers is None:
            return
        writers, self.all_writers = list(self.all_writers.values()), {}
        try:
            for writer in writers:
                with contextlib.suppress(OSError):  # `close` says what is lost
                    writer.flush()
            for writer in writers:
                writer.close()
        finally:
            super().close()

    def export_scalars_to_json(self, path: str) -> None:
        """Write the curves of `add_scalars` as JSON, as the event files hold them.

        Parameters
        ----------
        path
            The file to write: ``{"<logdir>/<tag>/<key>": [[wall time, step, value]]}``.
        """
        from annarchy_tb.reading.run import Run
        from annarchy_tb.run.info import as_json

        found = Run(self.logdir).points() if self._write_to_disk else ()
        curves = {
            f"{self.logdir}/{tag}/{curve}": list(
                zip(
                    points.wall_times.tolist(),
                    points.steps.tolist(),
                    points.values.tolist(),
                    strict=True,
                )
            )
            for tag, curve, points in found
            if curve
        }
        Path(path).write_text(json.dumps(as_json(curves)))


class LoggerWriter(SummaryWriter):
    """The SummaryWriter of a Logger: the same files, and the same rules for tags.

    The run's own parameters are left to the Logger, since it writes their status.
    """

    def __init__(
        self,
        run: RunState,
        add_hparams: Callable[
            [Mapping[str, parameters.Parameter], Mapping[str, Any], int | None], None
        ],
    ) -> None:
        self._run = run
        self._add_hparams = add_hparams
        super().__init__(run.directory.path)

    def _open(self) -> _FileWriter:
        return _FileWriter(self._run.directory, self._run)

    def _get_file_writer(self) -> tbx.FileWriter | tbx.DummyFileWriter:
        self._run.check_open()
        return super()._get_file_writer()

    def _write_row(
        self,
        params: Mapping[str, parameters.Parameter],
        metrics: Mapping[str, Any],
        name: str | None,
        step: int | None,
    ) -> None:
        if not name and parameters.START_TAG not in self._run.directory.ledger:
            self._add_hparams(params, metrics, step)
        else:
            if self._run.directory.opening is not None:
                self._run.directory.opening.begin()
            super()._write_row(params, metrics, name, step)


def _standalone(path: Path) -> RunState:
    """Return the state of a run without a Logger."""
    return RunState(RunDirectory(path), Clock("ms", None), now())
