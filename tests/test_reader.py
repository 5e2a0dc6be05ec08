from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboard.summary
import tensorboardX
from conftest import Point, load
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_tensor_proto

from annarchy_tb import Logger, Run, SummaryWriter
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.event_file import event_files

DATA = Path(__file__).parent / "data"


def equal_to_tensorboard(run: Path) -> int:
    """Compare a run's own files with TensorBoard; return the number of points."""
    shown: dict[str, list[Point]] = {}
    for point in load(run):
        shown.setdefault(point.tag, []).append(point)
    ours, number = Run(run), 0
    read: dict[str, Callable[[str], Any]] = {
        "scalars": ours.scalars,
        "histograms": ours.histograms,
        "text": ours.text,
    }
    for tag, points in shown.items():
        plugin = points[0].plugin  # given only in a tensor's first event
        if plugin not in read:
            continue
        steps, contents, simulated, times = read[plugin](tag)
        assert steps.tolist() == [point.step for point in points]
        if np.isnan(simulated).all():  # TensorBoard draws the others at those
            assert times.tolist() == [point.time for point in points]
        if plugin == "text":
            assert contents == [point.array.item().decode() for point in points]
        else:
            for content, point in zip(contents, points, strict=True):
                np.testing.assert_equal(
                    np.asarray(content, point.array.dtype), point.array
                )
        number += len(points)
    return number


# -- what was logged -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_all_kinds_come_back_as_they_were_given(logdir: Path) -> None:
    """Steps, values and times of every kind come back in the order of writing."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    with Logger(logdir, "run", time_unit="s") as logger:
        for step in (3, 1, 2):
            if step == 1:
                with pytest.warns(UserWarning, match="comes after"):
                    logger.add_scalar("scalar", step / 4, step, time=step)
            else:
                logger.add_scalar("scalar", step / 4, step, time=step)
        logger.log({"x": 1, "y": np.nan}, 5)
        with pytest.warns(UserWarning, match="50000 points of this tag are drawn"):
            steps = np.arange(50_000) * 3
            logger.add_series("series", np.arange(50_000.0), steps, shown=50_000)
        logger.add_image("image", pixels, 4)
        logger.add_image("grey", pixels[..., 0], 4)
        logger.add_histogram("histogram", [1.0, 2.0, 2.0], 6)
        logger.add_text("text", "Ein *Text* µ", 7)
        logger.add_scalars("curves", {"a": 1, "b/c": 2}, 8)
        begun = logger._run.started
    run = Run(logdir / "run")
    steps, values, times, wall_times = run.scalars("scalar")
    dtypes = [column.dtype for column in (steps, values, times, wall_times)]
    assert dtypes == [np.int64, np.float64, np.float64, np.float64]
    assert (steps.tolist(), values.tolist()) == ([3, 1, 2], [0.75, 0.25, 0.5])
    assert times.tolist() == [3, 1, 2]
    assert (abs(wall_times - time.time()) < 60).all()
    shown = [p.time for p in load(logger.run_dir) if p.tag == "scalar"]
    assert shown == [begun + 3, begun + 1, begun + 2]
    np.testing.assert_equal(run.scalars("y").values, [np.nan])
    steps, values, *_ = run.scalars("series")
    np.testing.assert_array_equal(steps, np.arange(50_000) * 3)
    np.testing.assert_array_equal(values, np.arange(50_000))
    [image], [grey] = run.images("image").images, run.images("grey").images
    np.testing.assert_array_equal(image, pixels)
    np.testing.assert_array_equal(grey, pixels[..., :1])
    assert run.images("image").steps.tolist() == [4]
    [buckets] = run.histograms("histogram").histograms
    assert buckets[:, 2].sum() == 3
    assert (buckets[0, 0], buckets[-1, 1]) == (1.0, 2.0)
    assert run.text("text").texts == ["Ein *Text* µ"]
    curves = run.curves("curves")
    assert [key.split("-")[0] for key in curves] == ["a", "b_c"]
    assert [points.values.tolist() for points in curves.values()] == [[1.0], [2.0]]
    kinds = run.tags()
    assert list(kinds) == [
        *("scalar", "x", "y", "series", "image", "grey", "histogram", "text")
    ]
    assert list(kinds.values()) == [
        *["scalar"] * 4,
        "image",
        "image",
        "histogram",
        "text",
    ]
    assert equal_to_tensorboard(logdir / "run") > 50_000


def test_one_pass_gives_several_tags(logdir: Path) -> None:
    """all_scalars returns the tags asked for, or all."""
    with Logger(logdir, "run") as logger:
        for step in range(100):
            logger.log({"a": step, "b": -step})
            logger.add_scalar("c", step)
    run = Run(logdir / "run")
    assert list(run.all_scalars()) == ["a", "b", "c"]
    assert list(run.all_scalars("c", "a", "nothing")) == ["a", "c"]
    assert run.all_scalars("b")["b"].values.tolist() == [-float(i) for i in range(100)]


@pytest.mark.parametrize(
    "method", ["scalars", "images", "histograms", "text", "curves"]
)
def test_a_tag_that_is_not_there_is_a_key_error(logdir: Path, method: str) -> None:
    """The error lists the tags that exist."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("there", 1)
    run = Run(logdir / "run")
    message = "no curves" if method == "curves" else r"'nothing' in .*run; there is"
    with pytest.raises(KeyError, match=message):
        getattr(run, method)("nothing")
    with pytest.raises(KeyError, match=r"there is 'there'"):
        run.scalars("nothing")


def test_several_files_of_a_run_are_one(logdir: Path) -> None:
    """Files of several Loggers and forked processes are read as one run."""
    for part in range(3):
        with Logger(logdir, "run", mode="a") as logger:
            for _ in range(30):
                logger.add_scalar("a", part)
                logger.add_scalars("plot", {"curve": part})
    assert len(event_files(logdir / "run")) == 3
    run = Run(logdir / "run")
    assert run.scalars("a").steps.tolist() == list(range(90))
    assert run.curves("plot")["curve"].values.tolist() == [
        *[0.0] * 30,
        *[1.0] * 30,
        *[2.0] * 30,
    ]


def test_a_path_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """The error names the missing files, and the way to find runs."""
    with pytest.raises(FileNotFoundError, match="no directory"):
        Run(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="find_runs"):
        Run(tmp_path)


# -- other writers ---------------------------------------------------------------------


@pytest.mark.parametrize("writer", [tensorboardX.SummaryWriter, SummaryWriter])
def test_a_run_of_tensorboardx_reads_as_tensorboard_reads_it(
    tmp_path: Path, writer: Any
) -> None:
    """This covers all kinds, and the curves of add_scalars under their keys."""
    with writer(str(tmp_path / "run")) as theirs:
        for step in range(200):
            theirs.add_scalar("a", step / 3, step)
            theirs.add_scalar("long name", -step, step, display_name="shown")
        for step in range(20):
            theirs.add_scalars("plot", {"train": step, "test": 2 * step}, step)
        theirs.add_histogram("h", np.random.default_rng(0).normal(size=1000), 1)
        theirs.add_image("i", np.zeros((3, 4, 5), np.uint8), 1)
        theirs.add_text("t", "text", 1)
    assert equal_to_tensorboard(tmp_path / "run") == 400 + 2
    run = Run(tmp_path / "run")
    curves = run.curves("plot")
    assert {key: points.values.sum() for key, points in curves.items()} == {
        "train": 190.0,
        "test": 380.0,
    }
    assert run.images("i").images[0].shape == (4, 5, 3)
    assert (run.info, run.params, run.metrics) == ({}, {}, {})
    assert run.status == "unknown"
    assert run.started is not None


def test_a_run_of_torch_reads_as_tensorboard_reads_it() -> None:
    """The files in tests/data were written by torch: see tests/data/torch_run.py."""
    assert equal_to_tensorboard(DATA / "torch") == 300 + 20 + 20 + 1 + 1
    run = Run(DATA / "torch")
    steps, values, _, times = run.scalars("loss")
    np.testing.assert_array_equal(steps, np.arange(300))
    np.testing.assert_array_equal(values, np.arange(300) / 8)
    np.testing.assert_array_equal(times, 1.7e9 + np.arange(300))
    np.testing.assert_array_equal(run.scalars("double").values, np.arange(20) / 3)
    assert set(run.curves("curves")) == {"train", "a/b"}
    [image] = run.images("image").images
    np.testing.assert_array_equal(image.reshape(-1), np.arange(12))
    [buckets] = run.histograms("histogram").histograms
    assert buckets[:, 2].tolist() == [25, 25, 50]
    assert run.text("text/text_summary").texts == ["Some *words*."]
    assert not run.damage()


def test_a_run_of_tensorflow_reads_as_tensorboard_reads_it(tmp_path: Path) -> None:
    """Its scalars are tensors, whose kind is given only in their first event."""
    writer = tensorboard.summary.Writer(str(tmp_path))
    for step in range(100):
        writer.add_scalar("a", step / 3, step)
        writer.add_scalar("b", step * 2, step)
    writer.flush()
    writer.close()
    assert equal_to_tensorboard(tmp_path) == 200
    assert Run(tmp_path).tags() == {"a": "scalar", "b": "scalar"}


# -- while it is written, and damaged --------------------------------------------------


def test_a_run_is_read_while_it_is_written(logger: Logger) -> None:
    """Each call returns all data so far, even if the last record is torn."""
    run = Run(logger.run_dir)
    for step in range(3):
        logger.add_scalar("a", step, step)
        assert run.scalars("a").values.tolist() == list(range(step + 1))
    assert run.status == "running"
    with logger._file.path.open("ab") as stream:
        stream.write(b"\x20\0\0")
    assert run.scalars("a").values.tolist() == [0, 1, 2]  # and no warning
    [torn] = run.damage()
    assert torn.reason == "the file ends within a record"


def test_a_damaged_place_is_told(logdir: Path) -> None:
    """A warning gives the file and the byte; the records around it are returned."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0, 0)
        before = logger._file.path.stat().st_size
        logger.add_scalar("a", 1, 1)
        logger.add_scalar("a", 2, 2)
    [path] = event_files(logdir / "run")
    data = bytearray(path.read_bytes())
    data[before + 20] ^= 1
    path.write_bytes(data)
    run = Run(logdir / "run")
    with pytest.warns(
        UserWarning, match=rf"tfevents.*damaged at byte {before}: the check"
    ):
        assert run.scalars("a").values.tolist() == [0, 2]
    assert run.damage() == [(path, before, "the checksum of a record is wrong")]


def test_a_million_scalars_take_the_memory_of_their_arrays(logdir: Path) -> None:
    """Reading holds the result, twice while joining it, and a few blocks."""
    number = 1_000_000
    with Logger(logdir, "run") as logger:
        logger.add_series("a", np.arange(number), np.arange(number))
    run = Run(logdir / "run")
    run.tags()  # imports, tables
    tracemalloc.start()
    points = run.scalars("a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(points.steps) == number
    assert peak < 2 * 24 * number + (40 << 20)


# -- what run.json says ----------------------------------------------------------------


def test_a_run_tells_its_parameters_results_and_dates(logdir: Path) -> None:
    """Values that JSON can't hold are lost: NaN is None."""
    before = datetime.now(timezone.utc)
    with Logger(logdir, "run") as logger:
        logger.add_parameters(
            {"tau": 10.0, "rule": None, "nan": np.nan, "n": np.int64(3)}
        )
        logger.add_metrics({"accuracy": 0.5})
        logger.add_metrics({"loss": np.inf})
        run = Run(logger.run_dir)
        assert run.status == "running"
        assert run.metrics == {"accuracy": 0.5, "loss": None}
        assert run.duration is not None
    assert run.status == "finished"
    assert run.params == {"tau": 10.0, "rule": None, "nan": None, "n": 3}
    assert run.started is not None
    assert before <= run.started <= run.started + run.duration
    assert "finished" in repr(run)


def test_a_run_without_a_readable_record_is_still_read(logdir: Path) -> None:
    """A corrupted run.json leaves the data readable."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
    for text in (
        "",
        "[]",
        "{",
        '{"status": 3, "started": "yesterday", "params": null}',
    ):
        (logdir / "run" / "run.json").write_text(text)
        run = Run(logdir / "run")
        assert (run.status, run.params) == ("unknown", {})
        assert run.scalars("a").values.tolist() == [1.0]
        assert run.started is not None
        assert run.duration is not None


# -- pandas ----------------------------------------------------------------------------


def test_scalars_become_a_table(logdir: Path) -> None:
    """There is one row per point, with curves beside the run's own scalars."""
    pytest.importorskip("pandas")
    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_scalar("a", step / 2)
            logger.add_scalars("plot", {"train": step, "test": -step})
    run = Run(logdir / "run")
    table = run.to_pandas()
    assert list(table.columns) == ["tag", "curve", "step", "value", "time", "wall_time"]
    assert table[["tag", "curve"]].drop_duplicates().to_numpy().tolist() == [
        ["a", ""],
        ["plot", "test"],
        ["plot", "train"],
    ]
    assert table[table.curve == "test"].value.tolist() == [0, -1, -2]
    assert run.scalars("a").to_pandas().value.tolist() == [0, 0.5, 1]
    with Logger(logdir, "empty"):
        pass
    assert len(Run(logdir / "empty").to_pandas()) == 0


def test_reading_imports_neither_tensorboard_nor_protobuf(logdir: Path) -> None:
    """This package's files are read with NumPy alone (images: Pillow)."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        logger.add_text("b", "text")
        logger.add_histogram("c", [1, 2])
    code = f"""
import sys
from annarchy_tb import Run
run = Run({str(logdir / "run")!r})
run.scalars("a"), run.text("b"), run.histograms("c"), run.tags(), run.info
heavy = {{"tensorboard", "tensorboardX", "google.protobuf", "matplotlib", "pandas"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_load_sees_what_the_reader_sees(logger: Logger) -> None:
    """TensorBoard's Python loader returns the same points, in single precision."""
    for step in range(100):
        logger.add_scalar("a", step / 7)
    shown = [(p.step, float(p.array)) for p in load(logger.run_dir)]
    steps, values, *_ = Run(logger.run_dir).scalars("a")
    singles = values.astype(np.float32).tolist()
    assert list(zip(steps.tolist(), singles, strict=True)) == shown


# -- what once went wrong --------------------------------------------------------------


def write_events(path: Path, events: list[Event]) -> Path:
    """Write TensorFlow's events to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(records.record(event.SerializeToString()) for event in events)
    path.write_bytes(records.file_version(1.0) + data)
    return path


def tensor_event(tag: str, step: int, value: float, described: bool) -> Event:
    """Return an event of TensorFlow 1's FileWriter for a summary of TensorFlow 2."""
    event = Event(step=step, wall_time=1e9 + step)
    found = event.summary.value.add(tag=tag)
    found.tensor.CopyFrom(make_tensor_proto(np.float32(value)))
    if described:
        found.metadata.plugin_data.plugin_name = "scalars"
    return event


@pytest.mark.parametrize("other", ["loss_validation", "loss" * 8, "l", "loss2"])
def test_the_kind_of_a_tag_is_learned_wherever_it_is_given(
    other: str, tmp_path: Path
) -> None:
    """In its first event only, which may be as long as those of another tag."""
    events = [
        tensor_event(tag, step, step / 2, step == 0)
        for step in range(60)
        for tag in ("loss", other)
    ]
    lengths = {len(event.SerializeToString()) for event in events}
    run = write_events(tmp_path / "run" / "events.out.tfevents.1.host", events).parent
    for tag in ("loss", other):
        assert Run(run).scalars(tag).values.tolist() == [s / 2 for s in range(60)]
    assert len(lengths) > 2
    assert equal_to_tensorboard(run) == 120


def test_a_length_beyond_the_file_is_damage(tmp_path: Path) -> None:
    """Even if its checksum is right, nothing that large is read."""
    with Logger(tmp_path, "run") as logger:
        logger.add_scalar("a", 1.0)
    [path] = logger.run_dir.glob("*tfevents*")
    end = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(records.header(2**40) + bytes(1000))
    [damage] = Run(logger.run_dir).damage()
    assert (damage.offset, damage.reason) == (end, "the file ends within a record")
    with pytest.warns(UserWarning, match=f"damaged at byte {end}"):
        assert Run(logger.run_dir).scalars("a").values.tolist() == [1.0]


def test_a_value_that_cannot_be_decoded_takes_no_other_along(tmp_path: Path) -> None:
    """Of every kind: the others are returned, and a warning gives the step."""
    with Logger(tmp_path, "run") as logger:
        logger.add_image("image", [[1.0]], 0)
        logger.add_audio("audio", [0.5], 0)
        logger.add_histogram("histogram", [1.0], 0)
        for field, tag, key in ((4, "image", 4), (6, "audio", 4), (5, "histogram", 6)):
            content = records.bytes_field(key, b"wrong")
            broken = records.value(tag, records.bytes_field(field, content))
            logger._file.append(records.summary([broken], 1.0, 1))
        logger.add_image("image", [[1.0]], 2)
        logger.add_audio("audio", [0.5], 2)
        logger.add_histogram("histogram", [1.0], 2)
        event = tensor_event("scalar", 0, 1.0, True)
        logger._file.append(records.record(event.SerializeToString()))
        event = tensor_event("scalar", 1, 1.0, True)
        event.summary.value[0].tensor.dtype = 99
        logger._file.append(records.record(event.SerializeToString()))
    run = Run(logger.run_dir)
    for method in (run.images, run.audio, run.histograms):
        tag = {"images": "image", "histograms": "histogram"}.get(
            method.__name__, method.__name__
        )
        with pytest.warns(UserWarning, match=f"1 values of the tag '{tag}' can't be"):
            assert method(tag).steps.tolist() == [0, 2]
    with pytest.warns(UserWarning, match="'scalar' can't be decoded, the first at ste"):
        assert run.scalars("scalar").steps.tolist() == [0]


def test_points_that_a_restart_withdrew_stay_away(tmp_path: Path) -> None:
    """A SessionLog START, as of purge_step, withdraws those from its step on."""
    run = tmp_path / "run"
    with tensorboardX.SummaryWriter(str(run)) as theirs:
        for step in range(60):
            theirs.add_scalar("a", step, step)
        theirs.add_text("t", "early", 10)
        theirs.add_text("t", "late", 50)
    time.sleep(1.1)  # for a file of its own
    with tensorboardX.SummaryWriter(str(run), purge_step=40) as theirs:
        for step in range(40, 50):
            theirs.add_scalar("a", -step, step)
    found = Run(run).scalars("a")
    assert found.steps.tolist() == list(range(50))
    assert found.values[40:].tolist() == [-step for step in range(40, 50)]
    assert Run(run).text("t/text_summary").texts == ["early"]


def test_a_curve_of_tensorboardx_with_a_cleaned_tag_has_its_name(
    tmp_path: Path,
) -> None:
    """The directory keeps the characters that the tag lost."""
    with tensorboardX.SummaryWriter(str(tmp_path / "run")) as theirs:
        theirs.add_scalars("GPi activity/A (Hz)", {"left": 1, "right": 2}, 0)
    assert set(Run(tmp_path / "run").curves("GPi_activity/A__Hz_")) == {"left", "right"}


def test_parameters_are_read_from_event_files(tmp_path: Path) -> None:
    """Where there is no run.json: those of tensorboardX and of our SummaryWriter."""
    params = {"lr": 0.5, "layers": 3, "rule": "oja", "bias": True}
    with tensorboardX.SummaryWriter(str(tmp_path / "theirs")) as theirs:
        theirs.add_hparams(params, {"loss": 1.0}, name="trial")
    with SummaryWriter(str(tmp_path / "ours")) as ours:
        ours.add_hparams(params, {"loss": 1.0})
    for name in ("theirs/trial", "ours"):
        assert Run(tmp_path / name).params == params


def test_other_runs_below_a_run_are_not_its_curves(tmp_path: Path) -> None:
    """Without a run.json: the points of each run are exported once."""
    for name in ("a", "a/deeper", "a/loss_train"):
        with tensorboardX.SummaryWriter(str(tmp_path / name)) as theirs:
            theirs.add_scalar("loss", 1.0, 0)
    curves = [curve for _, curve, _ in Run(tmp_path / "a").points()]
    assert curves == ["", "train"]


def test_all_scalars_are_in_the_order_of_the_files(tmp_path: Path) -> None:
    """As their tags first appear."""
    with Logger(tmp_path, "run") as logger:
        for tag in ("z", "a", "m"):
            logger.add_scalar(tag, 1.0)
            for step in range(1, 40):
                logger.add_scalar(tag, step, step)
    assert list(Run(logger.run_dir).all_scalars()) == ["z", "a", "m"]
