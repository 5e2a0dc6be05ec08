"""tensorboardX's full SummaryWriter, on our event files, with torch's arguments too.

All events from tensorboardX's ``add_*`` methods pass through the file writer that
``SummaryWriter._get_file_writer()`` returns, and through its ``event_writer``. Here,
that method returns a file writer whose ``event_writer`` writes to an event file of this
package: no queue, no thread, no buffer. Two methods bypass it, ``add_scalars`` and
``add_hparams``, and are reimplemented.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import time as now
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import tensorboardX.writer as tbx
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.summary import scalar
from tensorboardX.x2num import make_np

from annarchy_tb.inputs.clock import Clock
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, naming, warn
from annarchy_tb.inputs.numbers import as_text
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds import audio, parameters
from annarchy_tb.run import names
from annarchy_tb.run.directory import RunDirectory
from annarchy_tb.run.entry import Entry
from annarchy_tb.run.paths import absolute, claim, directory_of_runs
from annarchy_tb.run.state import RunState
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.parsing import Value, parse
from annarchy_tb.tfevents.schema import HPARAMS, SCALAR, kind_named

if TYPE_CHECKING:
    from typing_extensions import Self

METHOD = "logger.writer"
# The types of tensors that TensorBoard's own reader knows.
TENSORS = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
ITSELF = "."  # as the name of a row: that of the run itself

# Takes parameters, metrics and a step for the run of a Logger.
AddHparams = Callable[
    [Mapping[str, parameters.Parameter], Mapping[str, Any], int | None], None
]


class _EventWriter:
    """tensorboardX's event writer: writes protobuf events into a run directory."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def curve(self, key: str) -> _EventWriter:
        return _EventWriter(self._directory.curve(key))

    def get_logdir(self) -> str:
        return str(self._directory.path)

    def add_event(self, event: Any) -> None:
        """Write an event: a message of tensorboardX, TensorBoard or TensorFlow."""
        data = event.SerializeToString()
        found = parse(data)
        if self._takes(found.values):
            for value in found.values:
                self._directory.ledger.note(value.tag, value.kind, found.step)
            self._directory.file.append(records.record(data))

    def _takes(self, values: list[Value]) -> bool:
        """Return whether to write these values."""
        return True

    def flush(self) -> None:
        self._directory.file.flush()

    def close(self) -> None:
        closed = self._directory.close()
        closed.warn()
        closed.report(self._directory.path)


class _LoggedEventWriter(_EventWriter):
    """The event writer of a Logger's run.

    It refuses a value if its tag holds another kind of data, and closing it leaves the
    Logger's files open. Parameters are passed to the Logger, which also writes the
    status of the run.
    """

    def __init__(
        self, directory: RunDirectory, logged: RunState, add_hparams: AddHparams
    ) -> None:
        super().__init__(directory)
        self._logged = logged
        self._add_hparams = add_hparams

    def curve(self, key: str) -> _EventWriter:
        directory = self._directory.curve(key)
        return _LoggedEventWriter(directory, self._logged, self._add_hparams)

    def _takes(self, values: list[Value]) -> bool:
        if values and all(value.kind == HPARAMS for value in values):
            for value in values:
                if value.tag == parameters.START_TAG:
                    self._add_hparams(parameters.decode(value), {}, None)
            return False
        for value in values:
            place = (self._directory, (value.tag,))
            kind = kind_named(value.kind)
            Entry(
                self._logged, METHOD, value.tag, kind, places=[place], clocked=False
            ).write_nothing()
        return True

    def close(self) -> None:
        """Leave the files open: the Logger closes them."""


class _FileWriter(tbx.FileWriter):  # type: ignore[misc]
    def __init__(self, event_writer: _EventWriter) -> None:
        self.event_writer = event_writer
        self._default_metadata: dict[str, Any] = {}

    def curve(self, key: str) -> _FileWriter:
        return _FileWriter(self.event_writer.curve(key))

    def add_summary(
        self,
        summary: Any,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Write a summary: a message of tensorboardX, torch or TensorFlow."""
        if not isinstance(summary, Summary):
            summary = Summary.FromString(summary.SerializeToString())
        super().add_summary(summary, global_step, walltime)

    def reopen(self) -> None:
        """Do nothing: after a close, the SummaryWriter makes a new file writer."""


class _NoFileWriter(tbx.DummyFileWriter):  # type: ignore[misc]
    def curve(self, key: str) -> _NoFileWriter:
        return self

    def add_openvino_graph(self, graph: Any, walltime: float | None = None) -> None:
        """Write nothing, as the other methods do."""


def _taking_tensors(method: Callable[..., None]) -> Callable[..., None]:
    """Let a method of tensorboardX take tensors of a type that NumPy does not have."""

    @functools.wraps(method)
    def call(self: SummaryWriter, *args: Any, **kwargs: Any) -> None:
        named = {name: _in_numpy(given) for name, given in kwargs.items()}
        method(self, *map(_in_numpy, args), **named)

    if method.__module__ == tbx.__name__:  # whose docstrings have pictures of its docs
        call.__doc__ = (
            "As in tensorboardX (https://tensorboardx.readthedocs.io); tensors of "
            "bfloat16 are taken, too."
        )
    return call


def _on_disk(method: Callable[..., None]) -> Callable[..., None]:
    """Let a method that writes files of its own do so with ``write_to_disk`` only."""

    @functools.wraps(method)
    def call(self: SummaryWriter, *args: Any, **kwargs: Any) -> None:
        self._get_file_writer()
        if self._write_to_disk:
            method(self, *args, **kwargs)

    return call


def _in_numpy(given: Any) -> Any:
    """Return a tensor of bfloat16 in single precision, and anything else unchanged."""
    if str(getattr(given, "dtype", "")) == "torch.bfloat16":
        return given.float()
    return given


class SummaryWriter(tbx.SummaryWriter):  # type: ignore[misc]
    """A drop-in for the SummaryWriters of tensorboardX and torch that loses no data.

    All methods and arguments are those of tensorboardX
    (https://tensorboardx.readthedocs.io) and ``torch.utils.tensorboard``. When a method
    returns, the data has been handed to the operating system. Differences:

    - A second writer in a directory never truncates the file of the first.
    - `add_scalars` writes the curve ``key`` to ``<logdir>/<key>``, not to
      ``<logdir>/<tag>/<key>``: one run and one colour for all curves of that name.
    - `add_hparams` writes the first unnamed set, and one named ``"."``, to the run
      itself, and later ones to ``<logdir>/hparams``, ``<logdir>/hparams_1`` and so on.
      Named sets are written to ``<logdir>/<name>``, with unsafe characters replaced.
      NumPy values, lists and dicts are kept.
    - `add_audio` needs no other package.
    - `max_queue`, `flush_secs` and `filename_suffix` have no effect.

    Parameters
    ----------
    logdir, log_dir
        The run's directory; by default ``runs/<datetime>_<host>`` plus `comment`, or
        in ``$ANNARCHY_TB_LOGDIR`` in place of ``runs``, as for the Logger.
    comment, purge_step, write_to_disk, comet_config
        As in tensorboardX.

    Attributes
    ----------
    logdir, log_dir
        The run's directory as it was given; ``log_dir`` is a str.
    """

    file_writer: Any  # for the add_* methods; None after a close
    all_writers: Any
    logdir: str | os.PathLike[str]
    log_dir: str
    _path: Path  # absolute; only if it writes to the disk
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
        if isinstance(logdir, str):
            logdir = os.path.expanduser(logdir)
        if write_to_disk and logdir:
            self._path = absolute(logdir)
            self._path.mkdir(parents=True, exist_ok=True)
        elif write_to_disk:
            self._path = claim(directory_of_runs(None), names.default_run() + comment)
            logdir = str(self._path)
        super().__init__(
            logdir=logdir,
            comment=comment,
            purge_step=purge_step,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
            write_to_disk=write_to_disk,
            **kwargs,
        )
        self.log_dir = str(self.logdir)

    def get_logdir(self) -> str:
        """Return the run's directory as it was given."""
        return self.log_dir

    def __enter__(self) -> Self:
        return self

    def _open(self) -> tbx.FileWriter | tbx.DummyFileWriter:
        if not self._write_to_disk:
            return _NoFileWriter(self.logdir)
        self._run = _standalone(self._path)
        self._run.directory.file.open()
        writer = _FileWriter(_EventWriter(self._run.directory))
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

    add_histogram = _taking_tensors(tbx.SummaryWriter.add_histogram)
    add_image = _taking_tensors(tbx.SummaryWriter.add_image)
    add_image_with_boxes = _taking_tensors(tbx.SummaryWriter.add_image_with_boxes)
    add_embedding = _taking_tensors(_on_disk(tbx.SummaryWriter.add_embedding))
    add_pr_curve = _taking_tensors(tbx.SummaryWriter.add_pr_curve)
    add_pr_curve_raw = _taking_tensors(tbx.SummaryWriter.add_pr_curve_raw)
    add_mesh = _taking_tensors(tbx.SummaryWriter.add_mesh)

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        display_name: str | bool = "",
        summary_description: str | bool = "",
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Write one number.

        Parameters
        ----------
        tag, scalar_value, global_step, walltime
            As in tensorboardX.
        display_name, summary_description
            As in tensorboardX. If they are bools, they are ``new_style`` and
            ``double_precision``, which come fifth and sixth in torch.
        new_style
            Write a tensor, as torch does.
        double_precision
            Keep the number in double precision, too, for :class:`annarchy_tb.Run`.
            (TensorBoard's default loader does not show the double tensors of torch.)
        """
        if isinstance(display_name, bool):
            new_style, double_precision = display_name, bool(summary_description)
            display_name = summary_description = ""
        value = _in_numpy(scalar_value)
        summary = scalar(tag, value, display_name, summary_description)
        event = Event(summary=summary)
        if double_precision:
            number = float(make_np(value).squeeze())
            event.MergeFromString(records.doubles_field([number]))
        elif new_style:
            [its] = event.summary.value
            its.tensor.CopyFrom(
                TensorProto(dtype="DT_FLOAT", float_val=[its.simple_value])
            )
            its.metadata.plugin_data.plugin_name = SCALAR.plugin
        self._get_file_writer().add_event(event, global_step, walltime)
        self._get_comet_logger().log_metric(tag, display_name, value, global_step)

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
        summaries = {
            key: scalar(main_tag, _in_numpy(value))
            for key, value in tag_scalar_dict.items()
        }
        for key, summary in summaries.items():
            curve = main.curve(key)
            self.all_writers.setdefault(curve.get_logdir(), curve)
            curve.add_summary(summary, global_step, walltime)
        self._get_comet_logger().log_metrics(
            tag_scalar_dict, main_tag, step=global_step
        )

    def add_tensor(
        self,
        tag: str,
        tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Write a whole tensor, which TensorBoard keeps but does not show.

        Parameters
        ----------
        tag, global_step, walltime
            As in torch.
        tensor
            A tensor or an array of numbers. bfloat16 is stored in single precision;
            uint32 and uint64 are refused, for TensorBoard's reader does not know them.
        """
        with importing:
            from tensorboard.util.tensor_util import make_tensor_proto

        plain = _in_numpy(tensor)
        plain = plain.detach().cpu() if hasattr(plain, "detach") else plain
        array = np.asarray(plain)
        if array.dtype.name not in TENSORS:
            raise TypeError(
                f"add_tensor({tag!r}): tensor must hold numbers of a type that "
                f"TensorBoard reads ({', '.join(TENSORS)}), got {describe(array)}"
            )
        made = make_tensor_proto(
            array.astype(array.dtype.newbyteorder("="), copy=False)
        )
        metadata = SummaryMetadata()
        metadata.plugin_data.plugin_name = "tensor"
        value = Summary.Value(tag=tag, metadata=metadata)
        value.tensor.ParseFromString(made.SerializeToString())
        summary = Summary(value=[value])
        self._get_file_writer().add_summary(summary, global_step, walltime)

    @_taking_tensors
    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Write several images as one.

        Parameters
        ----------
        tag, img_tensor, global_step, walltime, dataformats
            As in tensorboardX. A list of images needs the format of one of them, CHW or
            HWC.
        """
        if isinstance(img_tensor, list):
            if dataformats.upper() not in ("CHW", "HWC"):
                raise ValueError(
                    f"add_images({tag!r}): dataformats must be 'CHW' or 'HWC' for a "
                    f"list of images, got {dataformats!r}"
                )
            img_tensor = np.stack([make_np(_in_numpy(one)) for one in img_tensor])
            dataformats = "N" + dataformats
        super().add_images(tag, img_tensor, global_step, walltime, dataformats)

    @_taking_tensors
    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: int | None = None,
        fps: float = 4,
        walltime: float | None = None,
        dataformats: str = "NTCHW",
    ) -> None:
        """Write a video, shown as an animated image.

        Parameters
        ----------
        tag, vid_tensor, global_step, fps, walltime, dataformats
            As in tensorboardX.

        Raises
        ------
        ImportError
            If moviepy is missing.
        """
        optional("moviepy", "add_video", "'annarchy-tb[media]'")
        super().add_video(tag, vid_tensor, global_step, fps, walltime, dataformats)

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: int | None = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Write a sound as WAV.

        Parameters
        ----------
        tag, global_step, sample_rate, walltime
            As in tensorboardX.
        snd_tensor
            Shape ``(T,)``, ``(T, C)`` as in tensorboardX or ``(C, T)`` as in torch,
            with at most two channels C. Floats from -1 to 1, stored in 16 bits; or
            int16, int32 or uint8, stored unchanged.
        """
        with naming("add_audio", tag):
            sound = make_np(_in_numpy(snd_tensor))
            if sound.ndim == 2 and sound.shape[0] <= 2 < sound.shape[1]:
                sound = sound.T
            samples = audio.as_samples(sound)
        if samples.dtype.kind == "f":
            if np.abs(samples).max() > 1 and self._write_to_disk:
                warn(f"add_audio({tag!r}): samples outside -1..1 are clipped")
            samples = audio.to_int16(samples)
        value = b"".join(audio.encode(tag, samples, sample_rate))
        summary = Summary.FromString(value)
        self._get_file_writer().add_summary(summary, global_step, walltime)
        self._get_comet_logger().log_audio(sound, sample_rate, tag, step=global_step)

    @overload
    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        name: str | None = None,
        global_step: int | None = None,
    ) -> None: ...

    @overload
    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None: ...

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Write one set of parameters with its metrics: one row of the HPARAMS tab.

        Parameters
        ----------
        hparam_dict
            The parameters.
        metric_dict
            The metrics, also written as scalars.
        name, run_name
            The sub-run to write to; ``"."`` is the run itself.
        hparam_domain_discrete
            Taken for torch, and not written: TensorBoard determines the values of a
            column from the runs that it shows.
        global_step
            The step of the metrics; by default, one more than the tag's last step.
        """
        with naming("add_hparams", None):
            name, step = _name_and_step(*args, **kwargs)
            params = parameters.flatten(hparam_dict)
        self._get_file_writer()
        self._write_row(params, metric_dict, name, step)
        self._get_comet_logger().log_parameters(params, step=step)

    def _write_row(
        self,
        params: Mapping[str, parameters.Parameter],
        metrics: Mapping[str, Any],
        name: str | None,
        step: int | None,
    ) -> None:
        if not self._write_to_disk:
            return
        method, directory = "add_hparams", self._run.directory
        if _is_own(name, directory):
            parameters.write_row(self._run, method, params, metrics, step)
            return
        path = directory.path
        path = path / directory.name_of(name) if name else claim(path, "hparams")
        path.mkdir(parents=True, exist_ok=True)
        run = _standalone(path)
        try:
            parameters.write_row(run, method, params, metrics, step)
        except BaseException:
            with contextlib.suppress(OSError):  # it was there, or has data
                path.rmdir()
            raise
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
        with importing:
            from annarchy_tb.reading.run import Run
            from annarchy_tb.run.info import as_json

        found = Run(self._path).points() if self._write_to_disk else ()
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

    The run's own parameters are left to the Logger, since it writes their status. The
    records of a disabled Logger go the same way, and are dropped at its end.
    """

    def __init__(self, run: RunState, add_hparams: AddHparams) -> None:
        self._run = run
        self._add_hparams = add_hparams
        super().__init__(run.directory.path, write_to_disk=run.directory.writes)

    def _open(self) -> _FileWriter:
        directory = self._run.directory
        return _FileWriter(_LoggedEventWriter(directory, self._run, self._add_hparams))

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
        directory = self._run.directory
        if _is_own(name, directory):
            self._add_hparams(params, metrics, step)
        elif not self._write_to_disk:
            parameters.check_row(directory.curve(name or "hparams"), metrics, step)
        else:
            if directory.opening is not None:
                directory.opening.begin()
            super()._write_row(params, metrics, name, step)

    def export_scalars_to_json(self, path: str) -> None:
        """Write the curves as JSON, unless the process that writes the run does."""
        if self._write_to_disk:
            super().export_scalars_to_json(path)


def _standalone(path: Path) -> RunState:
    """Return the state of a run without a Logger."""
    return RunState(RunDirectory(path), Clock("ms", None), now())


def _is_own(name: str | None, directory: RunDirectory) -> bool:
    """Return whether the row of that name is that of the run itself."""
    if not name:
        return parameters.START_TAG not in directory.ledger
    return name == ITSELF


def _name_and_step(*args: Any, **kwargs: Any) -> tuple[str | None, int | None]:
    """Return the name and the step of a row, from tensorboardX's or torch's arguments.

    Raises
    ------
    TypeError
        If they are neither.
    """
    torchs = (
        len(args) > 2
        or any(isinstance(given, Mapping) for given in args[:1])
        or any(isinstance(given, str) for given in args[1:2])
        or not kwargs.keys().isdisjoint({"hparam_domain_discrete", "run_name"})
    )
    name, step = _torchs(*args, **kwargs) if torchs else _tensorboardxs(*args, **kwargs)
    return None if name is None else as_text("name", name), step


def _tensorboardxs(
    name: str | None = None, global_step: int | None = None
) -> tuple[str | None, int | None]:
    return name, global_step


def _torchs(
    hparam_domain_discrete: Mapping[str, Any] | None = None,
    run_name: str | None = None,
    global_step: int | None = None,
) -> tuple[str | None, int | None]:
    if not isinstance(hparam_domain_discrete, Mapping | None):
        raise TypeError(
            f"hparam_domain_discrete must be a dict, got "
            f"{describe(hparam_domain_discrete)}"
        )
    return run_name, global_step
