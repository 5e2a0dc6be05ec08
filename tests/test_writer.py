from __future__ import annotations

import inspect
import json
import math
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
import tensorboardX.writer
from conftest import load, points, scalars
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_file_loader import (
    LegacyEventFileLoader,
)
from tensorboard.compat.proto.config_pb2 import RunMetadata
from tensorboard.compat.proto.event_pb2 import Event as TensorBoardEvent
from tensorboard.compat.proto.summary_pb2 import Summary as TensorBoardSummary
from tensorboard.plugins.hparams import summary_v2
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.graph_pb2 import GraphDef
from tensorboardX.proto.node_def_pb2 import NodeDef
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from annarchy_tb import Logger, Run, SummaryWriter
from annarchy_tb import writer as writer_module
from annarchy_tb.kinds import parameters as hparams
from annarchy_tb.tfevents.event_file import event_files


def events(run: Path) -> list[Event]:
    """Return all parsed events of a run except the file versions."""
    found = []
    for path in event_files(run):
        loaded = LegacyEventFileLoader(str(path)).Load()
        found += [Event.FromString(event.SerializeToString()) for event in loaded]
    return [event for event in found if not event.file_version]


def test_the_seam_of_tensorboardx_is_where_it_was() -> None:
    """This package relies on three facts of tensorboardX; this test tells which fail.

    Every add_* calls `_get_file_writer`, and so does the constructor; `FileWriter`
    passes all its events to `event_writer.add_event`; and only add_scalars and
    add_hparams create further file writers.
    """
    source = inspect.getsource(tensorboardX.writer.SummaryWriter)
    assert "self._get_file_writer()" in inspect.getsource(
        tensorboardX.writer.SummaryWriter.__init__
    )
    own_writers = {
        name
        for name, method in inspect.getmembers(
            tensorboardX.writer.SummaryWriter, inspect.isfunction
        )
        if any(
            call in inspect.getsource(method)
            for call in (" FileWriter(", "with SummaryWriter(logdir=")
        )
    }
    assert own_writers == {"_get_file_writer", "add_scalars", "add_hparams"}
    for name, method in inspect.getmembers(
        tensorboardX.writer.FileWriter, inspect.isfunction
    ):
        if name.startswith("add_") and name != "add_event":
            assert "self.add_event(" in inspect.getsource(method), name
    assert "self.event_writer.add_event(event)" in inspect.getsource(
        tensorboardX.writer.FileWriter.add_event
    )
    assert "event_writer" not in source


class Everything:
    """Calls of every add_* of tensorboardX, with a fixed wall time if it takes one."""

    def __init__(self, writer: tensorboardX.SummaryWriter, directory: Path) -> None:
        self.writer = writer
        self.directory = directory
        self.rng = np.random.default_rng(0)

    def add_scalar(self) -> None:
        self.writer.add_scalar("scalar", 1.5, 3, 1.0, "name", "description")

    def add_scalars(self) -> None:
        self.writer.add_scalars("scalars", {"a": 1.5, "b": 2.5}, 3, 1.0)

    def add_hparams(self) -> None:
        self.writer.add_hparams({"a": 1, "b": True}, {"metric": 0.5}, "trial", 3)

    def add_histogram(self) -> None:
        values = self.rng.normal(size=100)
        self.writer.add_histogram("histogram", values, 1, walltime=1.0)

    def add_histogram_raw(self) -> None:
        self.writer.add_histogram_raw("raw", 0, 1, 2, 3, 4, [1.0], [2.0], 1, 1.0)

    def add_image(self) -> None:
        self.writer.add_image("image", self.rng.random((3, 4, 5)), 1, 1.0)

    def add_images(self) -> None:
        self.writer.add_images("images", self.rng.random((2, 3, 4, 5)), 1, 1.0)

    def add_image_with_boxes(self) -> None:
        boxes = np.array([[1, 1, 9, 9]])
        image = self.rng.random((3, 20, 20))
        self.writer.add_image_with_boxes("boxes", image, boxes, 1, 1.0)

    def add_figure(self) -> None:
        figure = Figure(figsize=(1, 1), dpi=20)
        self.writer.add_figure("figure", figure, 1, walltime=1.0)

    def add_video(self) -> None:
        video = self.rng.integers(0, 256, (1, 3, 3, 16, 16), np.uint8)
        self.writer.add_video("video", video, 1, walltime=1.0)

    def add_audio(self) -> None:
        self.writer.add_audio("audio", self.rng.random((100, 1)), 1, 8000, 1.0)

    def add_text(self) -> None:
        self.writer.add_text("text", "text", 1, 1.0)

    def add_pr_curve(self) -> None:
        labels, predictions = self.rng.integers(0, 2, 50), self.rng.random(50)
        self.writer.add_pr_curve("curve", labels, predictions, 1, walltime=1.0)

    def add_pr_curve_raw(self) -> None:
        counts = [np.arange(5.0)] * 6
        self.writer.add_pr_curve_raw("raw curve", *counts, 1, 5, walltime=1.0)

    def add_mesh(self) -> None:
        vertices = self.rng.random((1, 5, 3))
        self.writer.add_mesh("mesh", vertices, global_step=1, walltime=1.0)

    def add_custom_scalars(self) -> None:
        self.writer.add_custom_scalars({"group": {"chart": ["Multiline", ["scalar"]]}})

    def add_custom_scalars_multilinechart(self) -> None:
        self.writer.add_custom_scalars_multilinechart(["a", "b"])

    def add_custom_scalars_marginchart(self) -> None:
        self.writer.add_custom_scalars_marginchart(["a", "b", "c"])

    def add_embedding(self) -> None:
        vectors = self.rng.random((4, 3))
        self.writer.add_embedding(vectors, ["a", "b", "c", "d"], global_step=1)

    def add_onnx_graph(self) -> None:
        import onnx

        node = onnx.helper.make_node("Relu", ["x"], ["y"])
        ends = [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])
            for name in "xy"
        ]
        graph = onnx.helper.make_graph([node], "graph", ends[:1], ends[1:])
        path = self.directory / "graph.onnx"
        onnx.save(onnx.helper.make_model(graph), str(path))
        self.writer.add_onnx_graph(str(path))

    def add_openvino_graph(self) -> None:
        path = self.directory / "graph.xml"
        path.write_text(
            '<net><layers><layer id="0" name="a" type="b"><data shape="1"/></layer>'
            "</layers><edges></edges></net>"
        )
        self.writer.add_openvino_graph(str(path))

    def add_graph(self) -> None:
        # torch makes these two messages from a model; here they are made by hand.
        graph, stats = GraphDef(node=[NodeDef(name="a", op="b")]), RunMetadata()
        self.writer._get_file_writer().add_graph((graph, stats), 1.0)


EVERYTHING = sorted(name for name in vars(Everything) if name.startswith("add_"))
NEEDS = {"add_audio": "soundfile", "add_onnx_graph": "onnx", "add_video": "moviepy"}


def at_hand(method: str) -> bool:
    """Return whether the package that tensorboardX needs for a method is installed."""
    return method not in NEEDS or find_spec(NEEDS[method]) is not None


def test_everything_is_everything() -> None:
    """No public add_* of tensorboardX is left out of the comparison."""
    assert (
        sorted(
            name for name in dir(tensorboardX.SummaryWriter) if name.startswith("add_")
        )
        == EVERYTHING
    )


@pytest.mark.parametrize("method", EVERYTHING)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_writes_what_tensorboardx_writes(tmp_path: Path, method: str) -> None:
    """The same call gives the same events in every run that it creates."""
    if not at_hand(method):
        pytest.skip(f"tensorboardX needs {NEEDS[method]} for it")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with tensorboardX.SummaryWriter(str(theirs)) as writer:
        getattr(Everything(writer, tmp_path), method)()
    with SummaryWriter(ours) as writer:
        getattr(Everything(writer, tmp_path), method)()

    runs = {path.parent for path in theirs.rglob("*tfevents*")}
    for run in runs:
        # <run>/<tag>/<key> of tensorboardX is <run>/<key> here
        name = run.name if method == "add_scalars" else str(run.relative_to(theirs))
        here = ours if run == theirs else ours / name
        found, wanted = events(here), events(run)
        if method == "add_audio":  # tensorboardX multiplies by 32768, we by 32767
            samples = map(take_samples, (found, wanted))
            np.testing.assert_allclose(*samples, atol=2)
        if method == "add_hparams" and run != theirs:
            wanted = [e for e in wanted if "_hparams_/experiment" not in str(e)]
            found, wanted = (sorted(map(essence, es)) for es in (found, wanted))
        for one, other in zip(found, wanted, strict=True):
            if not isinstance(one, str) and one.wall_time != 1.0:
                one.wall_time = other.wall_time
            assert one == other
    others = {p.relative_to(theirs) for p in theirs.rglob("*.tsv")}
    assert others == {p.relative_to(ours) for p in ours.rglob("*.tsv")}
    for path in others:
        assert (ours / path).read_bytes() == (theirs / path).read_bytes()


def take_samples(found: list[Event]) -> np.ndarray:
    """Return the samples of sounds, taking them out of the events."""
    samples = []
    for event in found:
        [value] = event.summary.value
        wav = value.audio.encoded_audio_string
        samples.append(np.frombuffer(wav[44:], np.int16))
        value.audio.encoded_audio_string = wav[:44]
    return np.array(samples)


def essence(event: Event) -> str:
    """Return the parts of an hparams event that must be equal: times can't be."""
    event.wall_time = 0
    for value in event.summary.value:
        content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
        content.session_start_info.start_time_secs = 0
        content.session_end_info.end_time_secs = 0
        start = {k: str(v) for k, v in content.session_start_info.hparams.items()}
        value.metadata.plugin_data.content = b""
        return f"{event} {sorted(start.items())} {content.session_end_info.status}"
    return str(event)


def test_default_directories_never_clash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a logdir, each writer creates a new run below ./runs."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="-a") as one, SummaryWriter(comment="-a") as two:
        assert one.logdir != two.logdir
        assert Path(one.logdir).parent == tmp_path / "runs"
        assert one.logdir.endswith("-a")


def test_two_writers_in_one_directory_lose_nothing(tmp_path: Path) -> None:
    """The later one never truncates the earlier one, even within a second."""
    for value in range(3):
        with SummaryWriter(log_dir=tmp_path / "run") as writer:
            writer.add_scalar("a", value, value)
    assert scalars(tmp_path / "run", "a") == [(0, 0), (1, 1), (2, 2)]


def test_after_close_it_goes_on_in_a_new_file(tmp_path: Path) -> None:
    """As in tensorboardX, a closed writer reopens, and no data are lost."""
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("a", 0, 0)
    writer.close()
    writer.add_scalar("a", 1, 1)
    writer.close()
    writer.close()
    assert len(event_files(tmp_path)) == 2
    assert scalars(tmp_path, "a") == [(0, 0), (1, 1)]


def test_add_scalars_makes_one_run_a_key(tmp_path: Path) -> None:
    """Two plots with the same keys share their runs, and no values stay in memory."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalars("loss", {"train": step, "test": -step}, step)
            writer.add_scalars("error", {"train": step, "test": -step}, step)
        assert not writer.scalar_dict
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {
        "train",
        "test",
    }
    assert scalars(tmp_path / "test", "error") == [(0, 0), (1, -1), (2, -2)]


def test_the_curves_are_exported_as_tensorboardx_does(tmp_path: Path) -> None:
    """The paths, times, steps and values are the same, read back from the files."""
    found = []
    for kind in (SummaryWriter, tensorboardX.SummaryWriter):
        path = tmp_path / "scalars.json"
        with kind(str(tmp_path / kind.__module__.split(".")[0])) as writer:
            writer.add_scalar("alone", 1, 1)
            for step in range(3):
                values = {"train": step / 2, "test": -step}
                writer.add_scalars("loss", values, step, walltime=1e9 + step)
            writer.export_scalars_to_json(str(path))
        curves = json.loads(path.read_text())
        found.append({tuple(key.split("/")[-2:]): curves[key] for key in curves})
    assert found[0] == found[1]
    assert found[0]["loss", "train"] == [
        [1e9, 0, 0],
        [1e9 + 1, 1, 0.5],
        [1e9 + 2, 2, 1],
    ]
    with SummaryWriter(write_to_disk=False) as writer:
        writer.export_scalars_to_json(str(path))
    assert json.loads(path.read_text()) == {}


def test_add_hparams_may_be_repeated(tmp_path: Path) -> None:
    """The first set belongs to the run itself; later and named ones are sub-runs."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", 1, 7)
        for value in (1, np.float32(2), [3]):
            writer.add_hparams({"a": value}, {"loss": 0.5})
        writer.add_hparams({"a": None}, {"loss": 0.5}, name="named", global_step=3)
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {
        "hparams",
        "hparams_1",
        "named",
    }
    assert scalars(tmp_path, "loss") == [(7, 1), (8, 0.5)]
    assert scalars(tmp_path / "named", "loss") == [(3, 0.5)]
    for run in (tmp_path, tmp_path / "hparams", tmp_path / "hparams_1"):
        assert len(points(run, hparams.START_TAG)) == 1
        assert len(points(run, hparams.END_TAG)) == 1
        assert not points(run, "_hparams_/experiment")


def test_write_to_disk_false_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No method creates a file, not even those that have files of their own."""
    monkeypatch.chdir(tmp_path)
    for logdir in (None, tmp_path / "run"):
        with SummaryWriter(logdir, write_to_disk=False) as writer:
            writer.add_scalar("a", 1, 1)
            writer.add_scalars("a", {"b": 1}, 1)
            writer.add_hparams({"a": 1}, {"b": 1})
            writer.add_embedding(np.eye(3))
            writer._get_file_writer().add_openvino_graph(None)
            writer.flush()
    assert not list(tmp_path.iterdir())


def test_purge_step_starts_a_session(tmp_path: Path) -> None:
    """As in tensorboardX, the file gives the step from which points are dropped."""
    with SummaryWriter(tmp_path, purge_step=5) as writer:
        writer.add_scalar("a", 1, 5)
    [session, _] = events(tmp_path)
    assert (session.step, session.session_log.status) == (5, 1)


def test_use_metadata_holds_for_all_methods(tmp_path: Path) -> None:
    """tensorboardX's context manager sets the step and the wall time."""
    with (
        SummaryWriter(tmp_path) as writer,
        writer.use_metadata(global_step=9, walltime=5),
    ):
        writer.add_scalar("a", 1)
    [point] = load(tmp_path)
    assert (point.step, point.time) == (9, 5)


# -- as torch's ------------------------------------------------------------------------


def hparams_summaries(params: dict[str, Any]) -> list[Any]:
    """Return what torch writes for parameters, in TensorBoard's classes."""
    end = HParamsPluginData()
    end.session_end_info.status = hparams.SUCCESS
    metadata = {"plugin_name": "hparams", "content": end.SerializeToString()}
    ended = {"tag": hparams.END_TAG, "metadata": {"plugin_data": metadata}}
    return [
        summary_v2.hparams_config_pb([summary_v2.HParam(name) for name in params], []),
        summary_v2.hparams_pb(params),
        TensorBoardSummary(value=[ended]),
    ]


def test_messages_of_other_packages_are_taken(tmp_path: Path) -> None:
    """torch's Summary and Event have another class, and the same bytes."""
    point = TensorBoardSummary(value=[{"tag": "a", "simple_value": 1.5}])
    with SummaryWriter(tmp_path / "run") as writer:
        writer.file_writer.add_summary(point, 3)
        writer.file_writer.add_event(TensorBoardEvent(summary=point), 4)
        for summary in hparams_summaries({"a": 1.0, "b": "x"}):
            writer.file_writer.add_summary(summary)
    assert scalars(tmp_path / "run", "a") == [(3, 1.5), (4, 1.5)]
    assert Run(tmp_path / "run").params == {"a": 1.0, "b": "x"}
    assert len(points(tmp_path / "run", hparams.END_TAG)) == 1


def test_parameters_from_other_packages_are_those_of_the_logger(logdir: Path) -> None:
    """In a Logger, they may come again, and the Logger writes the status."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        for _ in range(2):
            for summary in hparams_summaries({"a": 1.0}):
                logger.writer.file_writer.add_summary(summary)
        with pytest.raises(ValueError, match=r"got a=2.0 \(the run has 1.0\)"):
            logger.writer.file_writer.add_summary(hparams_summaries({"a": 2.0})[1])
        raise ZeroDivisionError
    run = Run(logdir / "run")
    assert (run.params, run.status) == ({"a": 1.0}, "failed")
    tags = [p.tag for p in load(logdir / "run")]
    assert tags == [hparams.START_TAG, hparams.END_TAG]


@pytest.mark.parametrize(
    "arguments",
    [
        {"new_style": True},
        {"double_precision": True},
        {"new_style": True, "double_precision": True},
        {"display_name": True},
        {"display_name": False, "summary_description": True},
    ],
)
def test_torchs_styles_of_scalars_are_shown(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    """Doubles are kept for Run, and no tensor of doubles is written."""
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("a", 0.1, 3, 5.0, **arguments)
    [point] = load(tmp_path / "run")
    assert (point.step, point.time, point.plugin) == (3, 5.0, "scalars")
    assert point.array.dtype == np.float32
    double = True in (
        arguments.get("double_precision"),
        arguments.get("summary_description"),
    )
    [value] = Run(tmp_path / "run").scalars("a").values
    assert (value == 0.1) == double
    assert np.float32(value) == np.float32(0.1)


@pytest.mark.filterwarnings(
    "ignore:Setting the dtype:DeprecationWarning"
)  # TensorBoard
@pytest.mark.parametrize("dtype", [*writer_module.TENSORS, ">f8"])
def test_tensors_keep_their_type(dtype: str, tmp_path: Path) -> None:
    """Of any shape, and also without elements."""
    arrays = [np.arange(6).reshape(2, 3).astype(dtype), np.zeros(0, dtype)]
    with SummaryWriter(tmp_path / "run") as writer:
        for step, array in enumerate(arrays):
            writer.add_tensor("a b", array, step, 5.0)
    for point, array in zip(load(tmp_path / "run"), arrays, strict=True):
        assert (point.tag, point.plugin, point.time) == ("a b", "tensor", 5.0)
        assert point.array.dtype.name == array.dtype.name
        np.testing.assert_array_equal(point.array, array)


@pytest.mark.parametrize(
    "given", ["x", ["x"], [object()], None, np.arange(3, dtype=np.uint64)]
)
def test_a_tensor_holds_numbers(given: Any, tmp_path: Path) -> None:
    """Anything else is refused, and nothing is written."""
    message = r"add_tensor\('a'\): tensor must hold numbers"
    with (
        SummaryWriter(tmp_path / "run") as writer,
        pytest.raises(TypeError, match=message),
    ):
        writer.add_tensor("a", given)
    assert load(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("shape", "stored"),
    [
        ((50,), (50, 1)),
        ((50, 1), (50, 1)),
        ((50, 2), (50, 2)),
        ((1, 50), (50, 1)),
        ((2, 50), (50, 2)),
    ],
)
def test_sounds_of_both_packages_are_taken(
    shape: tuple[int, ...], stored: tuple[int, int], tmp_path: Path
) -> None:
    """tensorboardX has the channels last, torch first; neither needs soundfile."""
    sound = np.linspace(-1, 1, math.prod(shape)).reshape(shape)
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_audio("a", sound, 3, 8000, 5.0)
        with pytest.warns(UserWarning, match=r"add_audio\('a'\): samples outside"):
            writer.add_audio("a", sound * 2, 4, 8000)
        with pytest.raises(
            ValueError, match=r"add_audio\('a'\): sound must have shape"
        ):
            writer.add_audio("a", np.zeros((2, 3, 4)))
    sounds = Run(tmp_path / "run").audio("a")
    assert sounds.rates == [8000, 8000]
    assert [each.shape for each in sounds.sounds] == [stored, stored]
    turned = sound.T if shape[0] < 3 else sound.reshape(stored)
    np.testing.assert_allclose(sounds.sounds[0] / 32767, turned, atol=1e-4)


def test_a_list_of_images_needs_no_torch(tmp_path: Path) -> None:
    """A format for several images is refused, instead of nothing written."""
    images = [np.zeros((3, 4, 5)), np.ones((3, 4, 5))]
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_images("a", images, 1, dataformats="CHW")
        with pytest.raises(ValueError, match=r"add_images\('a'\): dataformats must be"):
            writer.add_images("a", images, 1)
    [point] = load(tmp_path / "run")
    assert point.pixels.shape == (4, 10, 3)


def test_the_directory_is_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be relative, and data stay there if the working directory changes."""
    monkeypatch.chdir(tmp_path)
    given = ["runs/a", Path("runs/b"), tmp_path / "runs" / "c"]
    for number, logdir in enumerate(given):
        with SummaryWriter(logdir) as writer:
            monkeypatch.chdir("/")
            assert (writer.logdir, writer.log_dir) == (logdir, str(logdir))
            assert writer.get_logdir() == str(logdir)
            writer.add_scalar("a", 1, 1)
            writer.add_scalars("b", {"x": 1}, 1)
            writer.add_embedding(np.eye(3), global_step=1)
            writer.close()
            writer.add_scalar("a", 1, 2)
            monkeypatch.chdir(tmp_path)
        run = tmp_path / "runs" / "abc"[number]
        assert scalars(run, "a") == [(1, 1), (2, 1)]
        assert scalars(run / "x", "b") == [(1, 1)]
        assert (run / "projector_config.pbtxt").exists()
    with SummaryWriter(write_to_disk=False, log_dir="runs/d") as writer:
        assert writer.get_logdir() == "runs/d"


@pytest.mark.parametrize(
    ("args", "kwargs", "run"),
    [
        ((), {"run_name": "trial"}, "trial"),
        ((), {"run_name": "trial", "hparam_domain_discrete": {"a": [1]}}, "trial"),
        (({"a": [1, 2]}, "trial", 3), {}, "trial"),
        ((None, "trial"), {}, "trial"),
        (({},), {"run_name": "trial"}, "trial"),
        (("trial", 3), {}, "trial"),
        ((None, 3), {}, ""),
        ((), {"run_name": "."}, ""),
        (({"a": [1]},), {}, ""),
        ((".",), {}, ""),
    ],
)
@pytest.mark.parametrize("logged", [True, False])
def test_rows_are_named_as_in_either_package(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    run: str,
    logged: bool,
    tmp_path: Path,
) -> None:
    """The arguments of both are taken, and "." is the run itself."""
    where = tmp_path / "run"
    with Logger(tmp_path, "run") if logged else SummaryWriter(where) as one:
        writer = one.writer if logged else one
        writer.add_hparams({"a": 1}, {"m": 2}, *args, **kwargs)
    step = 3 if 3 in args else 0
    assert scalars(where / run, "m") == [(step, 2)]
    assert Run(where / run).params == {"a": 1}
    assert not [path for path in where.iterdir() if path.is_dir() and not run]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((3,), {}, "name must be a str, got 3"),
        ((), {"run_name": 3}, "name must be a str"),
        ((), {"hparam_domain_discrete": [1]}, "hparam_domain_discrete must be a dict"),
        ((), {"title": "x"}, "unexpected keyword argument 'title'"),
        ((1, 2, 3, 4), {}, "positional arguments"),
    ],
)
def test_other_arguments_of_rows_are_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """The error names the method, and no directory is left."""
    with (
        SummaryWriter(tmp_path) as writer,
        pytest.raises(TypeError, match=f"^add_hparams: .*{message}"),
    ):
        writer.add_hparams({"a": 1}, {"m": 2}, *args, **kwargs)
    assert [path.name for path in tmp_path.iterdir()] == [event_files(tmp_path)[0].name]


def test_a_refused_row_leaves_no_sub_run(tmp_path: Path) -> None:
    """Neither a named one nor a numbered one, and existing ones keep their files."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"a": 1}, {"m": 1})
        writer.add_hparams({"a": 1}, {"m": 1}, "old")
        for name in (None, "new", "old"):
            with pytest.raises(TypeError, match=r"add_hparams\('m'\)"):
                writer.add_hparams({"a": 2}, {"m": "x"}, name)
        writer.add_hparams({"a": 2}, {"m": 1})
    found = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert found == {"old", "hparams"}
    assert Run(tmp_path / "old").params == {"a": 1}


@pytest.mark.parametrize("name", [None, "trial"])
def test_a_warning_that_is_an_error_leaves_no_row(
    name: str | None, tmp_path: Path
) -> None:
    """Warnings come before the first record."""
    with SummaryWriter(tmp_path) as writer:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="beyond single precision"):
                writer.add_hparams({"a": 1}, {"m": 1e39}, name)
        assert load(tmp_path) == []
    assert not (tmp_path / "trial").exists()


def test_refused_curves_are_not_half_written(tmp_path: Path) -> None:
    """If one value can't be written, the others are not."""
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(NotImplementedError):
            writer.add_scalars("a", {"x": 1, "y": object()}, 1)
        writer.add_scalars("a", {"x": 2}, 2)
    assert scalars(tmp_path / "x", "a") == [(2, 2)]


def test_a_row_may_be_completed(tmp_path: Path) -> None:
    """The same parameters again add metrics; others are written with a warning."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"a": 1, "b": None}, {}, run_name=".")
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"a": 1, "b": None}, {"m": 2}, run_name=".")
        assert len(points(tmp_path, hparams.START_TAG)) == 1
        with pytest.warns(UserWarning, match=r"got a=2 \(the run has 1.0\)"):
            writer.add_hparams({"a": 2}, {"m": 3}, run_name=".")
    assert scalars(tmp_path, "m") == [(0, 2), (1, 3)]
    assert len(points(tmp_path, hparams.START_TAG)) == 2
    assert Run(tmp_path).params == {"a": 1}


def test_a_loggers_row_may_be_completed(logger: Logger) -> None:
    """By the writer, with the same parameters; others are refused."""
    logger.add_parameters({"a": 1})
    logger.writer.add_hparams({"a": 1}, {"m": 2}, run_name=".")
    with pytest.raises(ValueError, match=r"got a=2 \(the run has 1\)"):
        logger.writer.add_hparams({"a": 2}, {"m": 3}, run_name=".")
    assert scalars(logger.run_dir, "m") == [(0, 2)]
    assert len(points(logger.run_dir, hparams.START_TAG)) == 1


def test_a_video_needs_moviepy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is an error that tells what to install, and nothing written."""
    monkeypatch.setitem(sys.modules, "moviepy", None)
    with (
        SummaryWriter(tmp_path) as writer,
        pytest.raises(ImportError, match=r"pip install 'annarchy-tb\[media\]'"),
    ):
        writer.add_video("a", np.zeros((1, 3, 3, 16, 16), np.uint8), 1)
    assert load(tmp_path) == []


# -- inside a Logger ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_loggers_writer_shares_its_file(logger: Logger) -> None:
    """All methods of tensorboardX write to the run's one file, in order."""
    logger.add_scalar("a", 1)
    for method in EVERYTHING:
        if method not in ("add_hparams", "add_scalars") and at_hand(method):
            getattr(Everything(logger.writer, logger.run_dir), method)()
    logger.add_scalar("b", 1)
    assert len(event_files(logger.run_dir)) == 1
    tags = [point.tag for point in load(logger.run_dir)]
    assert (tags[0], tags[-1]) == ("a", "b")
    assert logger.writer is logger.writer
    assert isinstance(logger.writer, tensorboardX.SummaryWriter)


def test_steps_and_kinds_are_those_of_the_logger(logger: Logger) -> None:
    """Points of the writer count for the Logger, and the other way round."""
    logger.writer.add_scalar("a", 1, 5)
    logger.add_scalar("a", 1)
    logger.writer.add_scalars("b", {"x": 1}, 7)
    logger.add_scalars("b", {"x": 1})
    assert [step for step, _ in scalars(logger.run_dir, "a")] == [5, 6]
    assert [step for step, _ in scalars(logger.run_dir / "x", "b")] == [7, 8]
    with pytest.raises(ValueError, match=r"add_image\('a'\): .*'scalar'"):
        logger.add_image("a", [[1.0]])
    with pytest.raises(ValueError, match=r"logger.writer\('a'\): .*'scalar'"):
        logger.writer.add_image("a", np.zeros((1, 2, 2)))
    assert len(load(logger.run_dir)) == 2


def test_closing_the_writer_leaves_the_logger_open(logger: Logger) -> None:
    """Both can continue afterwards, in the same file."""
    with logger.writer as writer:
        writer.add_scalar("a", 1, 0)
        writer.add_scalars("b", {"x": 1}, 0)
    logger.add_scalar("a", 1, 1)
    logger.add_scalars("b", {"x": 1}, 1)
    logger.writer.add_scalar("a", 1, 2)
    assert len(event_files(logger.run_dir)) == 1
    assert [step for step, _ in scalars(logger.run_dir, "a")] == [0, 1, 2]
    assert [step for step, _ in scalars(logger.run_dir / "x", "b")] == [0, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda w: w.add_scalar("a", 1, 0),
        lambda w: w.add_scalars("a", {"b": 1}, 0),
        lambda w: w.add_hparams({"a": 1}, {"b": 1}),
        lambda w: w.add_text("a", "b", 0),
    ],
)
def test_after_the_logger_closed_the_writer_raises(logdir: Path, call: Any) -> None:
    """It does not reopen a run that the Logger has closed."""
    with Logger(logdir, "run") as logger:
        writer = logger.writer
    with pytest.raises(ValueError, match="^Logger is closed: .*run$"):
        call(writer)
    writer.close()
    with pytest.raises(ValueError, match="^Logger is closed: .*run$"):
        call(writer)
    assert len(event_files(logdir / "run")) == 1


def test_hparams_through_the_writer_are_the_runs_own(logdir: Path) -> None:
    """The Logger writes the status, once, and later sets are sub-runs."""
    with Logger(logdir, "run") as logger:
        logger.writer.add_hparams({"a": 1}, {"b": 2}, global_step=4)
        with pytest.raises(RuntimeError, match="one Logger per trial"):
            logger.add_parameters({"a": 1})
        logger.writer.add_hparams({"a": 2}, {"b": 3})
    assert scalars(logdir / "run", "b") == [(4, 2)]
    for run in (logdir / "run", logdir / "run" / "hparams"):
        assert len(points(run, hparams.START_TAG)) == 1
        assert len(points(run, hparams.END_TAG)) == 1


def test_refused_metrics_leave_the_parameters_to_be_logged(logger: Logger) -> None:
    """The writer, too, writes parameters and metrics together or not at all."""
    with pytest.raises(TypeError, match=r"add_hparams\('m'\): value must"):
        logger.writer.add_hparams({"a": 1}, {"m": "x"})
    assert not load(logger.run_dir)
    logger.writer.add_hparams({"a": 1}, {"m": 1})
    assert len(points(logger.run_dir, hparams.START_TAG)) == 1


@pytest.mark.parametrize(
    ("metrics", "step", "error", "message"),
    [
        ({"m": "x"}, None, TypeError, r"add_hparams\('m'\): value must be one number"),
        ({"m": 1}, 1.5, ValueError, "add_hparams: step must be a whole number"),
        ([1], None, TypeError, "add_hparams: a dict of numbers"),
        ({"": 1}, None, ValueError, "add_hparams: tag must not be empty"),
    ],
)
def test_a_refused_row_leaves_nothing(
    metrics: Any, step: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    """Of a row that can't be written whole, no record is written."""
    with SummaryWriter(tmp_path / "run") as writer:
        with pytest.raises(error, match=message):
            writer.add_hparams({"a": 1}, metrics, global_step=step)
        assert load(tmp_path / "run") == []
        writer.add_hparams({"a": 1}, {"m": 1})
    assert len(points(tmp_path / "run", hparams.START_TAG)) == 1


@pytest.mark.parametrize("logged", [True, False])
def test_a_metric_beyond_single_precision_is_infinite(
    logged: bool, tmp_path: Path
) -> None:
    """It is written, with a warning, and the row is whole."""
    run = tmp_path / "run"
    with Logger(tmp_path, "run") if logged else SummaryWriter(run) as one:
        writer = one.writer if logged else one
        with pytest.warns(UserWarning, match=r"add_hparams\('m'\): 1e\+39 is beyond"):
            writer.add_hparams({"a": 1}, {"m": 1e39})
    assert scalars(run, "m") == [(0, math.inf)]
    assert len(points(run, hparams.START_TAG)) == 1
    assert len(points(run, hparams.END_TAG)) == 1
