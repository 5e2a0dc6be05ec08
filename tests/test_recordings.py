"""Recordings: series are kept whole, and drawn by few of their points."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Server, died, fill, in_child, load, scalars
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from annarchy_tb import Logger, Run
from annarchy_tb.kinds.extremes import choose
from annarchy_tb.tfevents import recordings, records
from annarchy_tb.tfevents.drawn import Points, drawn_records
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.recorder import RecordingFile
from annarchy_tb.tfevents.templates import scalar_value

KEPT = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
    *("uint64", "float16", "float32", "float64"),
]


def files(run: Path) -> list[Path]:
    """Return the recordings of a run."""
    return recordings.files(run)


def trace(points: int = 1_000_000, spikes: int = 200) -> tuple[Any, Any]:
    """Return a membrane potential with spikes at random places, and the places."""
    rng = np.random.default_rng(1)
    values = rng.normal(-65, 2, points)
    places = np.sort(rng.choice(points, spikes, replace=False))
    values[places] = 30.0
    return values, places


# -- kept whole ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", KEPT)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(7,), (5000,), (5000, 3), (1, 1), (3, 2000)])
@pytest.mark.filterwarnings("ignore:.*the value is", "ignore:.*beyond single precision")
def test_every_type_comes_back_as_it_was(
    dtype: str, order: str, shape: tuple[int, ...], logdir: Path
) -> None:
    """In bits and in type, from any byte order, strides and layout in memory."""
    rng = np.random.default_rng(0)
    size = np.dtype(dtype).itemsize
    number = int(np.prod(shape))
    if dtype == "bool":
        plain = rng.integers(0, 2, number).astype(bool).reshape(shape)
    else:
        plain = rng.integers(0, 256, (number, size)).astype(np.uint8).view(dtype)
        plain = plain.reshape(shape)
    given = np.asfortranarray(plain.astype(np.dtype(dtype).newbyteorder(order)))
    backwards = np.repeat(plain, 2, axis=0)[::-2]
    tags: Any = "a" if len(shape) == 1 else [f"a{k}" for k in range(shape[1])]
    names = [tags] if isinstance(tags, str) else tags[:5]
    with Logger(logdir, "run") as logger:
        logger.add_series(tags, given)
    for k, tag in enumerate(names):
        found = Run(logdir / "run").scalars(tag)
        assert found.values.dtype == np.dtype(dtype)
        column = plain if len(shape) == 1 else plain[:, k]
        assert found.values.tobytes() == column.tobytes()
        assert found.steps.tolist() == list(range(len(plain)))
    with Logger(logdir, "other") as logger:
        logger.add_series(tags, backwards)
    for k, tag in enumerate(names):
        column = plain[::-1] if len(shape) == 1 else plain[::-1, k]
        found = Run(logdir / "other").scalars(tag)
        assert found.values.tobytes() == column.tobytes()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1, 2], np.longdouble), "float64"),
        ([1, 2.5], "float64"),
        ([1, 2], "int64"),
        (np.array([1, 2], object), "float64"),
        (np.ma.masked_array([1, 2], [0, 1]), "float64"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*the value is")
def test_all_other_types_become_float64(
    values: Any, dtype: str, logger: Logger
) -> None:
    """Lists are what NumPy makes of them; masked values are NaN."""
    logger.add_series("a", values)
    assert Run(logger.run_dir).scalars("a").values.dtype == dtype


def test_bfloat16_becomes_float32(logger: Logger) -> None:
    """Which holds all of its values."""
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs ml_dtypes")
    logger.add_series("a", np.array([1.5, -2], ml_dtypes.bfloat16))
    found = Run(logger.run_dir).scalars("a").values
    assert (found.dtype, found.tolist()) == (np.float32, [1.5, -2])


finite = st.floats(-1e6, 1e6)


@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_any_steps_and_times_come_back(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Regular or not, in bits; and the values with them, in small blocks."""
    number = data.draw(st.integers(1, 60))
    values = data.draw(
        hnp.arrays(np.float64, number, elements=st.floats(width=64, allow_nan=True))
    )
    regular = st.tuples(st.integers(-100, 100), st.integers(1, 5)).map(
        lambda pair: pair[0] + pair[1] * np.arange(number)
    )
    any_steps = hnp.arrays(np.int64, number)
    steps = data.draw(st.none() | regular | any_steps)
    even = st.tuples(finite, st.floats(1e-6, 10)).map(
        lambda pair: pair[0] + pair[1] * np.arange(number)
    )
    scaled = st.floats(1e-6, 10).map(lambda dt: np.arange(number) * dt)
    any_times = hnp.arrays(np.float64, number, elements=finite)
    times = data.draw(st.none() | even | scaled | any_times)
    logdir = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings, "SIZE", data.draw(st.sampled_from([1, 100, 1 << 20])))
        with Logger(logdir, "run") as logger:
            shown = data.draw(st.integers(2, 20))
            logger.add_series("a", values, steps, times=times, shown=shown)
    found = Run(logdir / "run").scalars("a")
    assert found.values.tobytes() == values.tobytes()
    wanted = np.arange(number) if steps is None else steps
    assert found.steps.tolist() == wanted.tolist()
    if times is None:
        assert np.isnan(found.times).all()
    else:
        assert found.times.tobytes() == times.tobytes()
    assert 0 < len(load(logdir / "run")) <= max(shown, 2)


def test_regular_steps_and_times_take_no_room(logdir: Path) -> None:
    """Eight bytes a point, as long as they are multiples of a time step."""
    values = np.zeros(200_000)
    for name, times in {
        "no times": None,
        "multiples": np.arange(200_000) * 0.1,
        "arange": np.arange(200.0, 20_200.0, 0.1),
        "others": np.sort(np.random.default_rng(0).random(200_000)),
    }.items():
        with Logger(logdir, name) as logger:
            logger.add_series("a", values, times=times)
        [path] = files(logger.run_dir)
        width = 16 if name == "others" else 8
        assert path.stat().st_size < 200_000 * width + 10_000, name


def test_points_and_series_of_a_tag_are_in_order(logdir: Path) -> None:
    """Whatever their types, and with several blocks from one call."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0.5)
        logger.add_series("a", np.arange(300_000.0) + 0.25, shown=500)
        logger.log({"a": 1.5, "b": 2})
        logger.add_series(["b", "a"], np.full((5, 2), 3, np.int8))
        logger.add_scalar("a", 4.5)
    found = Run(logdir / "run").scalars("a")
    wanted = [0.5, *(np.arange(300_000) + 0.25), 1.5, *[3.0] * 5, 4.5]
    assert found.values.tolist() == wanted
    assert found.steps.tolist() == list(range(len(wanted)))
    every = Run(logdir / "run").all_scalars()
    assert every["a"].values.tolist() == wanted
    assert every["b"].values.tolist() == [2, 3, 3, 3, 3, 3]


def test_a_tag_of_one_type_keeps_it(logdir: Path) -> None:
    """With another type, or single points, it is float64; large integers are told."""
    with Logger(logdir, "run") as logger:
        for _ in range(2):
            logger.add_series("same", np.arange(3, dtype=np.int16))
        logger.add_series("large", [2**53 + 1])
        logger.add_series("mixed", np.arange(3, dtype=np.int16))
        logger.add_series("mixed", np.arange(3, dtype=np.float32))
        logger.add_series("rounded", [2**53 + 1])
        logger.add_scalar("rounded", 1.0)
    run = Run(logdir / "run")
    assert run.scalars("same").values.dtype == np.int16
    assert run.scalars("large").values.tolist() == [2**53 + 1]
    assert run.scalars("mixed").values.dtype == np.float64
    with pytest.warns(
        UserWarning, match=r"tag 'rounded': whole numbers beyond 2\*\*53"
    ):
        assert run.scalars("rounded").values.dtype == np.float64


# -- drawn -----------------------------------------------------------------------------


def test_as_many_spikes_are_drawn_as_parts_hold_one(logdir: Path) -> None:
    """At their own steps; both loaders show all of them, see below."""
    values, places = trace()
    with Logger(logdir, "run", dt=0.1) as logger:
        logger.add_series("v", values, times=np.arange(len(values)) * 0.1)
    size = -(-len(values) // 499)
    parts = len(set(places // size))
    assert 150 < parts < 180
    drawn = dict(scalars(logger.run_dir, "v"))
    assert len(drawn) <= 1000
    shown = [step for step, value in drawn.items() if value == 30]
    assert len(shown) == parts
    assert set(shown) <= set(places.tolist())
    assert {0, len(values) - 1} <= drawn.keys()
    for step, value in drawn.items():
        assert value == np.float32(values[step])


@pytest.mark.filterwarnings("ignore:.*points of this tag are drawn")
def test_a_trace_in_chunks_is_counted(logdir: Path) -> None:
    """The figures of docs/guide/data.rst, also as TensorBoard samples by default."""
    values, _ = trace()
    page = (Path(__file__).parents[1] / "docs" / "guide" / "data.rst").read_text()
    with Logger(logdir, "one") as logger:
        logger.add_series("v", values)
    whole = accumulated(logger.run_dir, 0)
    assert f"{whole.count(30.0)} of them are there" in page
    with Logger(logdir, "chunks") as logger:
        for part in np.split(values, 1000):
            logger.add_series("v", part, shown=10)
    drawn, sampled = (accumulated(logger.run_dir, size) for size in (0, 1000))
    assert f"draws {len(drawn)} points with {drawn.count(30.0)} spikes" in page
    assert f"TensorBoard shows {sampled.count(30.0)} by default" in page


def accumulated(run: Path, size: int) -> list[float]:
    """Return the values of the tag v in TensorBoard's sample of this size, or all."""
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": size})
    accumulator.Reload()
    return [point.value for point in accumulator.Scalars("v")]


@given(
    hnp.arrays(
        st.sampled_from([np.dtype(d) for d in KEPT]),
        st.tuples(st.integers(1, 200), st.integers(1, 4)),
    ),
    st.integers(2, 30),
)
def test_the_points_drawn_are_those_that_the_docs_name(
    table: np.ndarray, most: int
) -> None:
    """First, last, extremes of equal parts, first NaN of each: a slow way agrees."""
    number = len(table)
    for column, drawn in zip(table.T, choose(table, most), strict=True):
        finite = np.isfinite(column)
        assert drawn.odd == (None if finite.all() else int(finite.argmin()))
        rows = drawn.rows.tolist()
        assert rows == sorted(set(rows))
        assert {0, number - 1} <= set(rows)
        assert len(rows) <= max(most, 2)
        if number <= most:
            assert rows == list(range(number))
            continue
        nan = np.isnan(column) if column.dtype.kind == "f" else ~np.isfinite(column)
        answers = []
        for parts in ((most - 2) // 2, (most - 2) // 3):
            size = -(-number // max(parts, 1))
            wanted = {0, number - 1}
            for at in range(0, number if parts else 0, size):
                rows_here = range(at, min(at + size, number))
                inside = [row for row in rows_here if finite[row]]
                if inside:
                    wanted.add(min(inside, key=lambda row: (column[row], row)))
                    wanted.add(max(inside, key=lambda row: (column[row], -row)))
                wanted |= set([row for row in rows_here if nan[row]][:1])
            answers.append(wanted)
        assert set(rows) in answers


def test_a_gap_is_drawn(logger: Logger) -> None:
    """A part with NaN also draws its first NaN."""
    values = np.arange(10_000.0)
    values[5000:6000] = np.nan
    with pytest.warns(UserWarning, match="the value is nan"):
        logger.add_series("a", values, shown=20)
    drawn = dict(scalars(logger.run_dir, "a"))
    assert len(drawn) <= 20
    assert np.isnan(drawn[5000])
    assert Run(logger.run_dir).info["not_finite"] == {"a": 5000}


@pytest.mark.parametrize("shown", [1, 0, -1, 2.5, "many", None, True])
def test_the_budget_is_a_whole_number_from_2(shown: Any, logger: Logger) -> None:
    """Nothing is written otherwise."""
    with pytest.raises(
        (TypeError, ValueError), match=r"^add_series\('a'\): shown must"
    ):
        logger.add_series("a", [1, 2, 3], shown=shown)
    assert not load(logger.run_dir)
    assert not files(logger.run_dir)


def test_too_many_points_in_all_are_told_once(logger: Logger) -> None:
    """TensorBoard shows a random 1000 of them, unless it is asked for more."""
    values = np.arange(5000.0)
    logger.add_series("a", values)
    with pytest.warns(UserWarning, match=r"\d+ points of this tag are drawn") as given:
        logger.add_series("a", values)
        logger.add_series("a", values)
    assert len(given) == 1
    logger.add_series("b", values)


def test_several_tags_are_one_block(logger: Logger) -> None:
    """Each draws its own extremes, and they are described like any other tag."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5000, 3)).astype(np.float32)
    for tag in "abc":
        logger.describe(tag, f"about {tag}")
    logger.add_series(["a", "b", "c"], table, shown=50)
    [path] = files(logger.run_dir)
    [block] = recordings.blocks(path, [])
    assert block.tags == ["a", "b", "c"]
    for k, tag in enumerate("abc"):
        points = [point for point in load(logger.run_dir) if point.tag == tag]
        assert points[0].proto.metadata.summary_description == f"about {tag}"
        steps = [point.step for point in points]
        assert int(table[:, k].argmax()) in steps
        assert int(table[:, k].argmin()) in steps
        assert len(steps) <= 50


@pytest.mark.parametrize("fast", [False, True])
def test_both_loaders_show_the_points_drawn(fast: bool, tmp_path: Path) -> None:
    """Over HTTP: every spike that was drawn is there."""
    values, _ = trace(100_000, 50)
    with Logger(tmp_path / "runs", "run") as logger:
        logger.add_series("v", values)
    drawn = scalars(logger.run_dir, "v")
    server = Server(tmp_path / "runs", fast)
    try:
        server.start()
        path = "plugin/scalars/scalars"
        answer = server.until(
            lambda found: len(found) == len(drawn), path, run="run", tag="v"
        )
    finally:
        server.stop()
    assert [[step, value] for _, step, value in answer] == [list(p) for p in drawn]


# -- what event files survive ----------------------------------------------------------


def test_missing_recordings_leave_the_points_drawn(logdir: Path) -> None:
    """Somebody copied the event files only: there is one warning for all tags."""
    values, _ = trace(50_000, 20)
    with Logger(logdir, "run") as logger:
        logger.add_scalar("v", 0.5)
        logger.add_series("v", values)
        logger.add_scalar("v", 1.5)
        logger.add_series("w", values)
    drawn = scalars(logger.run_dir, "v")
    for path in files(logger.run_dir):
        path.unlink()
    run = Run(logger.run_dir)
    with pytest.warns(UserWarning, match="only the points that were drawn") as given:
        every = run.all_scalars()
    assert len(given) == 1
    assert every["v"].steps.tolist() == [step for step, _ in drawn]
    rows = every["v"].steps[1:-1] - 1
    np.testing.assert_array_equal(every["v"].values[1:-1], values[rows])


def test_a_flipped_bit_is_told_with_its_place(logdir: Path) -> None:
    """damage() names the block; the other blocks are whole."""
    values = np.random.default_rng(0).normal(size=400_000)
    with Logger(logdir, "run") as logger:
        logger.add_series("v", values)
    [path] = files(logger.run_dir)
    blocks = list(recordings.blocks(path, []))
    assert len(blocks) == 4
    data = bytearray(path.read_bytes())
    data[blocks[1].start + 5] ^= 1
    path.write_bytes(data)
    [damage] = Run(logger.run_dir).damage()
    assert (damage.path, damage.offset) == (path, blocks[1].offset)
    with pytest.warns(UserWarning, match="missing or damaged"):
        found = Run(logger.run_dir).scalars("v")
    steps = found.steps
    assert np.array_equal(found.values, values[steps])
    assert steps.tolist() == sorted(steps.tolist())
    for block in (blocks[0], blocks[2], blocks[3]):
        first = block.ramp("steps").first
        inside = (steps >= first) & (steps < first + block.points)
        assert inside.sum() == block.points


def test_a_call_that_is_interrupted_leaves_its_points_in_their_place(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its block was written, but nothing drawn from it, and others follow."""
    write = os.writev

    def interrupted(fd: int, parts: list[Any]) -> int:
        write(fd, parts)
        raise KeyboardInterrupt

    with Logger(logdir, "run") as logger:
        logger.add_series("v", [0.0], [0])
        logger.add_series(["u", "v"], np.array([[1.0, 1.0]]), [1])
        with monkeypatch.context() as patch:
            patch.setattr(os, "writev", interrupted)
            with pytest.raises(KeyboardInterrupt):
                logger.add_series(["u", "v"], np.array([[2.0, 2.0]]), [2])
        logger.add_series("v", [3.0], [3])
        logger.add_series("u", [4.0], [4])
    run = Run(logger.run_dir)
    assert run.scalars("v").values.tolist() == [0, 1, 2, 3]
    assert run.scalars("u").values.tolist() == [1, 2, 4]


def test_every_prefix_of_a_file_gives_all_whole_blocks(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut anywhere, as by a kill: what is before the cut is read."""
    monkeypatch.setattr(recordings, "SIZE", 100)
    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.arange(40.0), shown=2)
    [path] = files(logger.run_dir)
    [events] = logger.run_dir.glob("*tfevents*")
    whole, drawn = path.read_bytes(), events.read_bytes()
    events.write_bytes(drawn[:-150])  # as if no point had been drawn
    ends = [b.start + 8 * b.points + 4 for b in recordings.blocks(path, [])]
    assert len(ends) == 4
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        blocks = list(recordings.blocks(path, []))
        assert len(blocks) == sum(end <= cut for end in ends)
    path.write_bytes(whole)


def test_a_header_that_promises_too_much_is_damage(logdir: Path) -> None:
    """Even if its checksum is right: the file is not that long."""
    with Logger(logdir, "run") as logger:
        logger.add_series("v", [1.0, 2.0])
    [path] = files(logger.run_dir)
    end = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(recordings.header(2**40) + bytes(100))
    [damage] = Run(logger.run_dir).damage()
    assert (damage.path, damage.offset) == (path, end)
    with pytest.warns(UserWarning, match=f"is damaged at byte {end}"):
        assert Run(logger.run_dir).scalars("v").values.tolist() == [1, 2]


def test_forks_and_copies_have_files_of_their_own(logdir: Path) -> None:
    """Beside their event files."""
    with Logger(logdir, "run") as logger:
        logger.add_series("mine", np.arange(10))

        def work() -> None:
            logger.add_series("child", np.arange(20))

        assert in_child(work) == 0
        copy = pickle.loads(pickle.dumps(logger))
        copy.add_series("copy", np.arange(30))
        copy.close()
        logger.add_series("mine", np.arange(10))
    run = Run(logger.run_dir)
    names = {path.name.removeprefix("recordings.") for path in files(logger.run_dir)}
    events = {
        path.name.removeprefix("events.out.tfevents.") for path in event_files(run.path)
    }
    assert len(names) == 3
    assert names == events
    sizes = {tag: len(its.values) for tag, its in run.all_scalars().items()}
    assert sizes == {"mine": 20, "child": 20, "copy": 30}
    assert not run.damage()


def test_a_resume_cuts_recordings_as_it_cuts_event_files(logdir: Path) -> None:
    """And keeps what it cuts off; mode="w" removes them, and append counts on."""
    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.arange(1000.0), shown=100)
        logger.save_checkpoint("state", 1)
        logger.add_series("v", np.arange(500.0), shown=100)
        logger.add_series("late", np.arange(500.0), shown=100)
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_series("v", np.arange(10.0))
    run = Run(logdir / "run")
    assert run.scalars("v").steps.tolist() == list(range(1010))
    assert run.tags() == {"v": "scalar"}
    assert list((run.path / "checkpoints" / "cut-1").glob("recordings.*"))
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_series("v", np.arange(10.0))
    assert run.scalars("v").steps.tolist() == list(range(1020))
    moved = run.path.rename(logdir / "moved")
    assert len(Run(moved).scalars("v").values) == 1020
    with Logger(logdir, "moved", mode="w") as logger:
        logger.add_scalar("v", 1)
    assert not files(moved)


def test_a_branch_counts_on_from_a_recording(logdir: Path) -> None:
    """As from single points."""
    with Logger(logdir, "a") as logger:
        logger.add_series("v", np.arange(1000.0))
        logger.save_checkpoint("state", 1)
    with Logger(logdir, "b", resume=logdir / "a") as logger:
        logger.add_series("v", np.arange(10.0))
    assert Run(logdir / "b").scalars("v").steps.tolist() == list(range(1000, 1010))


def test_a_block_written_before_a_kill_is_there(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a point drawn: at the end of its file, and an append counts on."""

    def work() -> None:
        logger = Logger(logdir, "run")
        logger.add_scalar("v", 0.5)
        append = logger._file.append

        def die(record: Any) -> None:
            append(record[:0])
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(logger._file, "append", die)
        logger.add_series("v", np.arange(10.0))

    assert died(work)
    run = Run(logdir / "run")
    assert run.scalars("v").values.tolist() == [0.5, *range(10)]
    assert run.tags() == {"v": "scalar"}
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("v", 1.5)
    assert run.scalars("v").steps.tolist() == list(range(12))


@pytest.mark.filterwarnings("ignore:.*the file ends within")
def test_a_process_killed_at_any_instant_leaves_a_prefix(logdir: Path) -> None:
    """Of mixed single points and series of one tag, bit for bit."""
    rng = np.random.default_rng(3)
    calls: list[Any] = []
    for number in range(400):
        if number % 3:
            calls.append(float(number) + 0.5)
        else:
            calls.append(rng.normal(size=int(rng.integers(1, 40_000))))
    whole = np.concatenate([np.atleast_1d(call) for call in calls])
    chance = random.Random(1)
    lengths = []
    for attempt in range(12):
        name = f"run{attempt}"
        child = os.fork()
        if not child:
            try:
                logger = Logger(logdir, name)
                for call in calls:
                    if isinstance(call, float):
                        logger.add_scalar("v", call)
                    else:
                        logger.add_series("v", call, shown=10)
            finally:
                os._exit(0)
        while not (logdir / name / "run.json").exists():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = {**Run(logdir / name).all_scalars()}.get("v")
        values = np.empty(0) if found is None else found.values
        assert values.tobytes() == whole[: len(values)].tobytes()
        if found is not None:
            assert found.steps.tolist() == list(range(len(values)))
        lengths.append(len(values))
    assert len(lengths) == 12


def test_a_name_of_recordings_is_reserved(logger: Logger) -> None:
    """The user's own file may have any other name."""
    with pytest.raises(ValueError, match="reserved"):
        logger.path("recordings.1795676855.vm.21677.0000")
    logger.path("recordings.npz").write_text("mine")


def test_export_show_and_prune_know_recordings(logdir: Path) -> None:
    """A run that has only recordings is not empty."""
    from click.testing import CliRunner

    from annarchy_tb.cli import main

    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.arange(1500, dtype=np.int16))
    said = CliRunner().invoke(main, ["show", str(logger.run_dir)]).output
    assert "1500" in said
    said = (
        CliRunner()
        .invoke(main, ["export", str(logger.run_dir), "--format", "csv"])
        .output
    )
    assert len(said.splitlines()) == 1501
    said = CliRunner().invoke(main, ["prune", str(logdir), "--yes"]).output
    assert "nothing to remove" in said
    assert len(Run(logger.run_dir).scalars("v").values) == 1500


@pytest.mark.filterwarnings("ignore:.*the file ends within a record")
def test_a_full_disk_drops_blocks_and_keeps_the_points_drawn(disk: Path) -> None:
    """A block never pushes out other records; run.json says how many are lost."""
    logger = Logger(disk, "run")
    logger._run.directory.backlog._limit = 100_000
    logger.add_series("v", [0.0])
    filler = fill(disk)
    with pytest.warns(UserWarning, match="refuses writes") as given:
        logger.add_scalar("first", 1.0)
        for number in range(4):
            logger.add_series("v", np.full(20_000, number), shown=10)
        logger.add_series("small", np.arange(100))
    assert any("only what is drawn is kept" in str(w.message) for w in given)
    filler.unlink()
    logger.add_scalar("last", 1.0)
    logger.close()
    run = Run(logger.run_dir)
    assert run.info["lost_blocks"] == 4
    assert "lost_records" not in run.info
    assert run.scalars("first").values.tolist() == [1.0]
    assert run.scalars("last").values.tolist() == [1.0]
    assert run.scalars("small").values.tolist() == list(range(100))
    with pytest.warns(UserWarning, match="only the points that were drawn"):
        values = run.scalars("v").values
    assert set(values.tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert len(values) <= 41


# -- spikes ----------------------------------------------------------------------------


@pytest.mark.parametrize("integer", ["int64", "int32", "uint16"])
@pytest.mark.parametrize("real", ["float64", "float32"])
def test_spikes_come_back_as_they_were_given(
    integer: str, real: str, logdir: Path
) -> None:
    """Of every form, in their types, with the step and the time of the raster."""
    rng = np.random.default_rng(0)
    times = np.sort(rng.random(500) * 1000).astype(real)
    ranks = rng.integers(0, 50, 500).astype(integer)
    steps = {3: [1, 5, 9], 0: [], 7: [2]}
    array = rng.random((40, 6)) < 0.1
    with Logger(logdir, "run") as logger:
        logger.add_raster("pair", (times, ranks), 4, time=2.5)
        logger.add_raster("dict", steps, 5)
        logger.add_raster("array", array, 6)
        logger.add_raster("none", {}, 7)
        with pytest.warns(UserWarning, match="are outside the time axis"):
            logger.add_raster("part", (times, ranks), start=100, duration=50)
    run = Run(logdir / "run")
    found = run.spikes("pair")
    assert (found.steps.tolist(), found.times.tolist()) == ([4], [2.5])
    assert abs(found.wall_times[0] - time.time()) < 60
    [(its, whose)] = found.spikes
    assert (its.dtype, whose.dtype) == (np.dtype(real), np.dtype(integer))
    assert its.tobytes() == times.tobytes()
    assert whose.tobytes() == ranks.tobytes()
    [(its, whose)] = run.spikes("dict").spikes
    assert (its.tolist(), whose.tolist()) == ([1, 5, 9, 2], [3, 3, 3, 7])
    assert its.dtype == np.int64
    [(its, whose)] = run.spikes("array").spikes
    assert (its.tolist(), whose.tolist()) == tuple(x.tolist() for x in array.nonzero())
    [(its, whose)] = run.spikes("none").spikes
    assert len(its) == len(whose) == 0
    [(its, whose)] = run.spikes("part").spikes
    assert its.tobytes() == times.tobytes()
    assert run.tags() == dict.fromkeys(
        ("pair", "dict", "array", "none", "part"), "image"
    )
    with pytest.raises(KeyError, match="no spikes under the tag 'other'"):
        run.spikes("other")


def test_many_spikes_take_several_blocks(logdir: Path) -> None:
    """They are joined again; without the recordings, there is a warning."""
    rng = np.random.default_rng(0)
    times, ranks = rng.random(300_000), rng.integers(0, 1000, 300_000)
    with Logger(logdir, "run") as logger:
        for step in range(2):
            logger.add_raster("raster", (times + step, ranks), step, start=0.0)
    run = Run(logdir / "run")
    for step, (its, whose) in enumerate(run.spikes("raster").spikes):
        assert np.array_equal(its, times + step)
        assert np.array_equal(whose, ranks)
    [path] = files(run.path)
    assert len(list(recordings.blocks(path, []))) == 10
    path.unlink()
    with (
        pytest.warns(UserWarning, match="the spikes of 2 rasters"),
        pytest.raises(KeyError),
    ):
        run.spikes("raster")
    assert len(run.images("raster").images) == 2


def test_a_refused_raster_keeps_nothing(logger: Logger) -> None:
    """Neither its spikes nor an image."""
    with pytest.raises(ValueError, match="add_raster"):
        logger.add_raster("a", ([1.0, np.nan], [0, 1]))
    with pytest.raises(ValueError, match="add_raster"):
        logger.add_raster("a", ([1.0, 2.0], [0, 1]), bins=0)
    assert not files(logger.run_dir)
    assert not load(logger.run_dir)


@given(st.data())
def test_the_records_of_points_are_those_made_one_by_one(data: Any) -> None:
    """Byte for byte, for any steps, values and tags."""
    number, columns = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 4))
    steps = data.draw(
        hnp.arrays(
            np.int64,
            number,
            elements=st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300),
        )
    )
    values = data.draw(
        hnp.arrays(np.float64, (number, columns), elements=st.floats(-1e30, 1e30))
    )
    timed = data.draw(st.booleans())
    times = data.draw(hnp.arrays(np.float64, number, elements=finite))
    blocks = data.draw(hnp.arrays(np.int64, number, elements=st.integers(0, 2**32 - 1)))
    tags = [f"tag {k}" * (k + 1) for k in range(columns)]
    given = times if timed else None
    points = Points(values, times if timed else 1.5, steps, given, blocks)
    made = b"".join(drawn_records(tags, points, 7.25))
    wanted = [
        records.record(
            *records.nested(
                5, *chain.from_iterable(map(scalar_value, tags, values[i].tolist()))
            ),
            records.doubles_key(columns) + values[i].tobytes(),
            records.double_field(1, float(times[i]) if timed else 1.5),
            records.varint_field(2, int(steps[i])),
            records.double_field(1001, times[i]) if timed else b"",
            records.double_field(1002, 7.25) if timed else b"",
            records.varint(1003 << 3 | 5) + records.UINT32.pack(blocks[i]),
        )
        for i in range(number)
    ]
    assert made == b"".join(wanted)


# -- matrices --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", KEPT)
@pytest.mark.parametrize("order", ["<", ">"])
def test_matrices_come_back_as_they_were_given(
    dtype: str, order: str, logdir: Path
) -> None:
    """To the last bit, in any type and layout, with the step and the time."""
    rng = np.random.default_rng(0)
    plain = rng.integers(0, 2, (30, 40)).astype(dtype)
    if dtype != "bool":
        bits = np.frombuffer(rng.bytes(plain.nbytes), dtype).reshape(plain.shape)
        finite = np.isfinite(bits) if dtype.startswith("float") else True
        plain = np.where(finite, bits, 1).astype(dtype)
    given = plain.astype(plain.dtype.newbyteorder(order))
    with Logger(logdir, "run") as logger:
        logger.add_matrix("w", given, 4, time=2.5)
        logger.add_matrix("w", np.asfortranarray(given), 5)
        logger.add_matrix("w", given[::2, ::-3], 6)
    found = Run(logger.run_dir).matrices("w")
    assert found.steps.tolist() == [4, 5, 6]
    assert found.times[0] == 2.5
    assert abs(found.wall_times[1] - time.time()) < 60
    assert found.shapes.tolist() == [[30, 40], [30, 40], [15, 14]]
    for its, wanted in zip(
        found.matrices, (plain, plain, plain[::2, ::-3]), strict=True
    ):
        assert its.dtype == np.dtype(dtype)
        assert its.shape == wanted.shape
        assert its.tobytes() == np.ascontiguousarray(wanted).tobytes()


def test_every_form_of_a_matrix_is_kept(logdir: Path) -> None:
    """Sparse ones have NaN where there is no synapse; so do masked ones."""
    nan = np.nan
    wanted = np.array([[0.5, nan, 1.5], [nan, 1.0, nan]])
    masked = np.ma.masked_invalid(wanted)
    odd = np.array([[np.inf, -0.0], [nan, -np.inf]])
    with Logger(logdir, "run") as logger:
        logger.add_matrix("lists", ([[0.5, 1.5], [1.0]], [[0, 2], [1]]))
        logger.add_matrix("triple", ([0, 2, 1], [0, 0, 1], [0.5, 1.5, 1.0]))
        logger.add_matrix("whole", ([0, 2, 1], [0, 0, 1], [5, 1, 2]))
        logger.add_matrix("masked", masked)
        logger.add_matrix("objects", wanted.astype(object), vmin=0, cmap="viridis")
        with pytest.warns(UserWarning, match="infinite"):
            logger.add_matrix("odd", odd, vmin=-1, vmax=1)
    run = Run(logger.run_dir)
    for tag in ("lists", "triple", "masked", "objects"):
        [its] = run.matrices(tag).matrices
        np.testing.assert_array_equal(its, wanted)
        assert its.dtype == np.float64
    [its] = run.matrices("whole").matrices
    np.testing.assert_array_equal(its, [[5, nan, 1], [nan, 2, nan]])
    assert run.matrices("odd").matrices[0].tobytes() == odd.tobytes()
    assert run.tags()["odd"] == "image"
    with pytest.raises(KeyError, match="no matrices under the tag 'other'"):
        run.matrices("other")


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(370, 500), (20, 3001), (1051, 7)])
def test_of_a_large_matrix_the_cells_are_kept(
    shape: tuple[int, int], dtype: str, logger: Logger
) -> None:
    """The value farthest from 0 in each, in its type; sparse and dense alike."""
    rng = np.random.default_rng(0)
    matrix = (rng.normal(size=shape) * 100).astype(dtype)
    rows, columns = np.indices(shape).reshape(2, -1)
    logger.add_matrix("w", matrix)
    logger.add_matrix("w", (columns, rows, matrix.ravel()))
    found = Run(logger.run_dir).matrices("w")
    assert found.shapes.tolist() == [list(shape)] * 2
    dense, sparse = found.matrices
    assert dense.dtype == dtype
    assert dense.nbytes <= 8 * 182 * 250
    np.testing.assert_array_equal(dense.astype(float), sparse)
    tall, wide = (-(-n // m) for n, m in zip(shape, dense.shape, strict=True))
    starts = [np.arange(0, n, by) for n, by in zip(shape, (tall, wide), strict=True)]
    low, high = (
        pick.reduceat(pick.reduceat(matrix.astype(float), starts[0]), starts[1], axis=1)
        for pick in (np.minimum, np.maximum)
    )
    np.testing.assert_array_equal(sparse, np.where(high >= -low, high, low))


def test_a_refused_matrix_keeps_nothing(logger: Logger) -> None:
    """Neither its values nor an image."""
    for matrix, options in (
        ("w", {}),
        (np.eye(2), {"vmin": 1, "vmax": 0}),
        (np.eye(2), {"cmap": "no such map"}),
        (np.eye(2), {"step": 0.5}),
    ):
        with pytest.raises((TypeError, ValueError), match="add_matrix"):
            logger.add_matrix("a", matrix, **options)  # type: ignore[arg-type]
    assert not files(logger.run_dir)
    assert not load(logger.run_dir)


def test_matrices_without_their_blocks_are_told(logdir: Path) -> None:
    """The others are read; a raster of the same tag is none of them."""
    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_matrix("w", np.eye(3) * step, step)
        logger.add_raster("w", {0: [1]}, 3)
        logger.add_image("w", np.eye(3), 4)
    run = Run(logger.run_dir)
    assert run.matrices("w").steps.tolist() == [0, 1, 2]
    assert run.spikes("w").steps.tolist() == [3]
    [path] = files(run.path)
    cut_out(path, list(recordings.blocks(path, []))[1])
    with pytest.warns(UserWarning, match="the values of 1 matrices of 'w'"):
        assert run.matrices("w").steps.tolist() == [0, 2]
    path.unlink()
    with (
        pytest.warns(UserWarning, match="the values of 4 matrices"),
        pytest.raises(KeyError),
    ):
        run.matrices("w")
    assert len(run.images("w").images) == 5


def test_matrices_of_all_processes_are_there(logdir: Path) -> None:
    """Of a fork, a pickled copy, an append, and what a resume goes back to."""

    def of(number: float) -> np.ndarray:
        return np.full((2, 3), number)

    logger = Logger(logdir, "run")
    logger.add_matrix("w", of(0), 0)
    assert in_child(lambda: logger.add_matrix("child", of(1), 0)) == 0
    copy = pickle.loads(pickle.dumps(logger))
    copy.add_matrix("copy", of(2), 0)
    copy.close()
    logger.save_checkpoint({}, 1)
    logger.add_matrix("w", of(3), 1)
    logger.close()
    with Logger(logdir, "run", resume=True) as logger:
        logger.load_checkpoint()
        logger.add_matrix("w", of(4))
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_matrix("w", of(5))
    run = Run(logger.run_dir)
    assert [its[0, 0] for its in run.matrices("w").matrices] == [0, 4, 5]
    assert run.matrices("w").steps.tolist() == [0, 1, 2]
    assert run.matrices("child").matrices[0].tolist() == of(1).tolist()
    assert run.matrices("copy").matrices[0].tolist() == of(2).tolist()
    assert not run.damage()


@pytest.mark.filterwarnings("ignore:.*the file ends within a record")
def test_a_full_disk_drops_matrices_and_keeps_their_pictures(disk: Path) -> None:
    """What was lost is said when it is read; what waited is there."""
    logger = Logger(disk, "run")
    logger._run.directory.backlog._limit = 100_000
    logger.add_matrix("w", np.full((3, 3), 0.0))
    filler = fill(disk)
    with pytest.warns(UserWarning, match="refuses writes") as given:
        logger.add_matrix("w", np.full((3, 3), 1.0))
        for number in range(3):
            logger.add_matrix("w", np.full((170, 230), 2.0 + number))
        logger.add_matrix("w", np.full((3, 3), 9.0))
    assert any("only what is drawn is kept" in str(w.message) for w in given)
    filler.unlink()
    logger.close()
    run = Run(logger.run_dir)
    assert run.info["lost_blocks"] == 3
    assert len(run.images("w").images) == 6
    with pytest.warns(UserWarning, match="the values of 3 matrices"):
        found = run.matrices("w")
    assert [its[0, 0] for its in found.matrices] == [0, 1, 9]
    assert found.steps.tolist() == [0, 1, 5]


def test_a_run_with_matrices_is_kept_by_prune(logdir: Path) -> None:
    """Recordings alone are data; a disabled Logger has none."""
    from click.testing import CliRunner

    from annarchy_tb.cli import main

    with Logger(logdir, "run") as logger:
        logger.add_matrix("w", np.eye(2))
    for path in event_files(logger.run_dir):
        path.unlink()
    said = CliRunner().invoke(main, ["prune", str(logdir), "--yes"]).output
    assert "nothing to remove" in said
    assert files(logger.run_dir)
    with Logger(logdir, "other", enabled=False) as disabled:
        disabled.add_matrix("w", np.eye(2))
    assert not (logdir / "other").exists()


def test_the_result_of_matrices_can_be_pickled(logger: Logger) -> None:
    """As for a pool of processes."""
    logger.add_matrix("w", np.arange(6, dtype=np.int16).reshape(2, 3))
    found = Run(logger.run_dir).matrices("w")
    copy = pickle.loads(pickle.dumps(found))
    assert np.array_equal(copy.matrices[0], found.matrices[0])
    assert copy.shapes.tolist() == [[2, 3]]


# -- what once went wrong --------------------------------------------------------------


def cut_out(path: Path, block: recordings.Stored) -> None:
    """Remove a block from the middle of its file."""
    data = path.read_bytes()
    path.write_bytes(data[: block.offset] + data[block.end :])


def test_a_run_is_read_while_series_are_written(logdir: Path) -> None:
    """Without a warning, and with all values of the calls that returned."""
    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.arange(10))
        logger.add_raster("r", {0: [1]})
        logger.add_matrix("m", np.eye(3))
        stop = threading.Event()

        def read() -> int:
            number = 0
            while not stop.is_set():
                values = Run(logger.run_dir).scalars("v").values
                assert values.dtype == np.int64
                assert Run(logger.run_dir).spikes("r").spikes
                assert Run(logger.run_dir).matrices("m").matrices
                number += 1
            return number

        with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
            warnings.simplefilter("error")
            future = pool.submit(read)
            for _ in range(60):
                logger.add_series("v", np.arange(3000), shown=2)
                logger.add_raster("r", {0: [1, 2]})
                logger.add_matrix("m", np.eye(3))
            stop.set()
            assert future.result() > 0


def test_blocks_give_way_to_other_records(disk: Path) -> None:
    """Also those that came earlier."""
    logger = Logger(disk, "run")
    backlog = logger._run.directory.backlog
    backlog._limit = 200_000
    logger.add_series("v", [0.0])
    filler = fill(disk)
    with pytest.warns(UserWarning, match="refuses writes"):
        for number in range(20):
            logger.add_series("v", np.full(1000, float(number)), shown=2)
        for step in range(2000):
            logger.add_scalar("s", step)
    assert backlog.dropped == 0
    assert backlog.dropped_blocks > 0
    filler.unlink()
    logger.close()
    assert len(Run(logger.run_dir).scalars("s").values) == 2000
    assert "lost_records" not in Run(logger.run_dir).info


def test_a_hole_in_a_recording_is_told(logdir: Path) -> None:
    """Even if no point was drawn from the block that is missing."""
    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.arange(600_000.0), shown=2)
        logger.add_raster("r", (np.arange(300_000.0), np.zeros(300_000, int)))
    [path] = files(logger.run_dir)
    blocks = list(recordings.blocks(path, []))
    assert [block.parts for block in blocks] == [5] * 10
    cut_out(path, blocks[7])
    cut_out(path, blocks[2])
    run = Run(logger.run_dir)
    with pytest.warns(UserWarning, match="blocks of recordings are missing"):
        assert len(run.scalars("v").values) == 600_000 - blocks[2].points
    with (
        pytest.warns(UserWarning, match="the spikes of 1 rasters"),
        pytest.raises(KeyError),
    ):
        run.spikes("r")


def test_processes_of_the_same_number_are_told_apart(logdir: Path) -> None:
    """In containers, each has the number 1; here, in two Python processes."""
    code = """
import os, sys
os.getpid = lambda: 7
from annarchy_tb import Logger
with Logger(sys.argv[1], "run", mode="a") as logger:
    logger.add_series("v", [float(x) for x in sys.argv[2:]])
"""
    for values in (["100", "101"], ["200", "201"]):
        command = [sys.executable, "-c", code, str(logdir), *values]
        subprocess.run(command, check=True)
    first, _ = files(logdir / "run")
    first.unlink()
    with pytest.warns(UserWarning, match="missing or damaged"):
        found = Run(logdir / "run").scalars("v")
    assert found.values.tolist() == [100, 101, 200, 201]


@pytest.mark.filterwarnings("ignore")
def test_no_flipped_bit_stops_a_reader(logdir: Path) -> None:
    """Nor an append; each is told by damage(), wherever it is."""
    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.arange(4.0), np.arange(4) ** 2)
        logger.add_series(["w", "x"], np.ones((3, 2)))
        logger.add_raster("r", {0: [1]})
        logger.add_matrix("m", np.eye(2, dtype=np.int8))
        logger.add_scalar("v", 1.0)
    [path] = files(logger.run_dir)
    whole = path.read_bytes()
    run = Run(logger.run_dir)
    for at in range(0, len(whole), 3):
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        path.write_bytes(data)
        assert run.damage(), at
        assert set(run.all_scalars()) <= {"v", "w", "x"}
        run.tags()
        for read, tag in ((run.spikes, "r"), (run.matrices, "m")):
            with contextlib.suppress(KeyError):
                read(tag)
        list(run.news())
        if at % 60 == 0:
            copy = logdir / f"copy{at}"
            shutil.copytree(run.path, copy)
            with Logger(logdir, copy.name, mode="a") as logger:
                logger.add_scalar("s", 1.0)


def test_points_can_be_pickled(logger: Logger) -> None:
    """As for a pool of processes."""
    logger.add_series("v", np.arange(5, dtype=np.int16), times=np.arange(5.0))
    found = Run(logger.run_dir).scalars("v")
    copy = pickle.loads(pickle.dumps(found))
    for one, other in zip(found, copy, strict=True):
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype


def test_a_table_of_bools_and_floats_is_one_of_numbers(logdir: Path) -> None:
    """Of a bool, there are 0 and 1."""
    pytest.importorskip("pandas", reason="needs annarchy-tb[pandas]")
    with Logger(logdir, "run") as logger:
        logger.add_series("b", [True, False])
        logger.add_series("x", [0.5, 1.0])
    table = Run(logger.run_dir).to_pandas()
    assert table.value.dtype == np.float64
    assert table.value.tolist() == [1, 0, 0.5, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda logger: logger.add_series("v", [1.0, 2.0]),
        lambda logger: logger.add_raster("v", {0: [1]}),
        lambda logger: logger.add_matrix("v", [[1]]),
    ],
)
def test_a_recording_that_fails_uses_up_no_steps(
    call: Any, logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here, because its file can't be created."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ELOOP, "Too many links")

    with monkeypatch.context() as patch:
        patch.setattr(RecordingFile, "_create", refuse)
        with pytest.raises(OSError, match="Too many links"):
            call(logger)
    call(logger)
    assert load(logger.run_dir)[0].step == 0


@pytest.mark.filterwarnings("ignore:.*the file ends within")
def test_a_file_that_may_not_grow_doubles_no_event(logdir: Path) -> None:
    """Its size is limited: the rest goes to the next file, from a whole record on."""
    with Logger(logdir, "run") as logger:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            for _ in range(2):
                logger.add_series("v", np.arange(1000, dtype=np.int8), shown=500)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
    steps = [step for step, _ in scalars(logger.run_dir, "v")]
    assert len(list(logger.run_dir.glob("*tfevents*"))) > 1
    assert len(steps) == len(set(steps))
    assert Run(logger.run_dir).scalars("v").steps.tolist() == list(range(2000))


def test_recordings_that_are_deleted_are_told(logdir: Path) -> None:
    """At the latest when the run is closed; flush raises."""
    logger = Logger(logdir, "run")
    logger.add_series("v", [1.0])
    [path] = files(logger.run_dir)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="was deleted"):
        logger.flush()
    with pytest.warns(UserWarning, match=f"was deleted.*: {path}"):
        logger.close()


@pytest.mark.parametrize(
    "steps",
    [
        [0, 2**62, -(2**63), -(2**62)],
        np.array([2**53 + 1, 2**53 + 3], object),
        np.ma.masked_array([2**53 + 1, 2**53 + 3], [False, False]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*TensorBoard hides")
def test_unusual_steps_are_kept(steps: Any, logdir: Path) -> None:
    """To the last bit; and an append goes on from the last one."""
    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.zeros(len(steps)), steps)
    wanted = [int(step) for step in steps]
    assert Run(logger.run_dir).scalars("v").steps.tolist() == wanted
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_series("v", [0.0])
    assert Run(logger.run_dir).scalars("v").steps[-1] > max(wanted[-1:])


def test_numpy_may_raise_on_any_rounding(logger: Logger) -> None:
    """With np.seterr(all="raise"), values are kept and drawn all the same."""
    with np.errstate(all="raise"):
        logger.add_series("v", [1e-40, 1.0, 1e-310])
    assert Run(logger.run_dir).scalars("v").values.tolist() == [1e-40, 1.0, 1e-310]
