"""Dangers to other writers: full disks, other processes, signals, few descriptors."""

from __future__ import annotations

import copy
import errno
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Server, fill, in_child, interrupt, load, points, scalars

from annarchy_tb import Logger, Run, SummaryWriter
from annarchy_tb.kinds import parameters as hparams
from annarchy_tb.tfevents import event_file as events
from annarchy_tb.tfevents.event_file import event_files

FULL = "ignore:.*(disk refuses writes|oldest records are dropped):UserWarning"


# -- full disks ------------------------------------------------------------------------


def test_a_full_disk_is_waited_for(disk: Path) -> None:
    """The simulation continues with one warning; once there is room, all is written."""
    with Logger(disk, "run") as logger:
        logger.add_scalar("a", 0, 0)
        filler = fill(disk)
        with pytest.warns(UserWarning, match="disk refuses writes .*64 MiB") as caught:
            for step in range(1, 2000):
                logger.add_scalar("a", step, step)
        assert [warning.filename for warning in caught] == [__file__]
        logger.log({"b": 1, "c": 2})
        logger.add_image("image", np.zeros((5, 5)))
        logger.add_scalars("curves", {"x": 1, "y": 2})
        logger.add_series("series", np.arange(100))
        filler.unlink()
        logger.add_scalar("a", 2000, 2000)  # waiting records go first
        assert len(scalars(disk / "run", "a")) == 2001
        for step in range(2001, 2010):
            logger.add_scalar("a", step, step)
    run = disk / "run"
    assert scalars(run, "a") == [(step, step) for step in range(2010)]
    assert scalars(run, "c") == [(0, 2)]
    assert len(points(run, "image")) == 1
    assert scalars(run / "y", "curves") == [(0, 2)]
    assert len(scalars(run, "series")) == 100
    assert len(event_files(run)) == 1


def test_a_full_disk_is_waited_for_where_warnings_are_errors(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Records are kept, so the call returns, and the warnings are logged."""
    with Logger(disk, "run") as logger:
        logger._run.directory.backlog._limit = 30_000
        filler = fill(disk)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for step in range(4):
                logger.add_text("a", "x" * 10_000, step)
                logger.add_metrics({"b": step})
        filler.unlink()
        logger.flush()
        logger._run.directory.backlog.dropped = 0
    assert [step for step, _ in scalars(disk / "run", "b")][-1] == 3
    assert Run(disk / "run").metrics == {"b": 3}
    said = [record.getMessage() for record in caplog.records]
    assert [record.name for record in caplog.records] == ["annarchy_tb"] * 3
    for text in ("refuses writes", "run.json can't be written", "are dropped"):
        assert sum(text in one for one in said) == 1


@pytest.mark.filterwarnings(FULL)
def test_a_record_that_is_written_in_part_is_completed(disk: Path) -> None:
    """A large record that half fits is completed once there is room; others follow."""
    with Logger(disk, "run") as logger:
        filler = fill(disk)
        os.truncate(filler, 500_000)  # room for a part of it
        logger.add_text("large", "x" * 700_000, 0)
        logger.add_scalar("a", 1, 1)
        size = logger._file.path.stat().st_size
        assert 300_000 < size < 700_000
        assert not load(disk / "run")  # and no part of it is shown
        filler.unlink()
        logger.add_scalar("a", 2, 2)
    assert len(points(disk / "run", "large")[0].array.item()) == 700_000
    assert scalars(disk / "run", "a") == [(1, 1), (2, 2)]


@pytest.mark.filterwarnings(FULL)
def test_room_that_comes_and_goes_loses_nothing(disk: Path) -> None:
    """A disk that frees a little at times takes everything in the end, in order."""
    rng = np.random.default_rng(0)
    said = []
    with Logger(disk, "run") as logger:
        filler = fill(disk)
        room = filler.stat().st_size
        for step in range(150):
            text = "x" * int(rng.integers(1, 20_000))
            logger.add_text("text", text, step)
            said.append((step, len(text)))
            if step % 10 == 0:
                room -= int(rng.integers(1, 30_000))
                os.truncate(filler, room)
        shutil.move(filler, disk.parent / "filler")
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        logger.add_text("text", "", 150)
    found = points(disk / "run", "text")
    assert [(p.step, len(p.array.item())) for p in found] == [*said, (150, 0)]
    assert len(event_files(disk / "run")) == 1


@pytest.mark.filterwarnings(FULL)
def test_what_never_gets_room_is_counted(disk: Path) -> None:
    """Closing a run on a full disk raises, with the number of lost records."""
    logger = Logger(disk, "run")
    logger.add_scalar("a", 0, 0)
    fill(disk)
    while True:  # until the last block of the file is full
        logger.add_scalar("a", 1, 1 + logger._run.directory.ledger.furthest(["a"])[0])
        if logger._run.directory.backlog:
            break
    for _ in range(9):
        logger.add_scalar("a", 2)
    # The count includes the run's table with its final status.
    with pytest.raises(OSError, match="11 records of .*run could not be") as caught:
        logger.close()
    assert caught.value.errno == errno.ENOSPC
    logger.close()
    found = scalars(disk / "run", "a")
    assert [step for step, _ in found] == list(range(len(found)))


@pytest.mark.filterwarnings(FULL)
@pytest.mark.filterwarnings("ignore:.*records of .*could not be written")
def test_an_error_is_not_hidden_by_the_full_disk(disk: Path) -> None:
    """The exception that ends the block propagates; the loss becomes a warning."""
    with pytest.raises(ZeroDivisionError), Logger(disk, "run") as logger:
        fill(disk)
        logger.add_text("a", "x" * 10_000)
        raise ZeroDivisionError


@pytest.mark.filterwarnings(FULL)
def test_beyond_the_bound_the_oldest_are_dropped(disk: Path) -> None:
    """Memory is bounded; a loss is warned of once and counted at the end."""
    logger = Logger(disk, "run")
    logger._run.directory.backlog._limit = 100_000
    filler = fill(disk)
    with pytest.warns(UserWarning, match="oldest records are dropped") as caught:
        for step in range(30):
            logger.add_text("a", "x" * 10_000, step)
    assert len(caught) == 2
    filler.unlink()
    with pytest.raises(OSError, match="records of .* could not be written"):
        logger.close()
    kept = [point.step for point in points(disk / "run", "a")]
    assert kept[-8:] == list(range(22, 30))
    assert len(kept) <= 11


@pytest.mark.filterwarnings(FULL)
def test_flush_says_what_waits(disk: Path) -> None:
    """flush promises the disk, so it raises on a full one."""
    with Logger(disk, "run") as logger:
        filler = fill(disk)
        logger.add_text("a", "x" * 10_000)
        with pytest.raises(OSError, match="1 records wait: No space left"):
            logger.flush()
        filler.unlink()
        logger.flush()
    assert len(points(disk / "run", "a")) == 1


@pytest.mark.filterwarnings(FULL)
def test_threads_on_a_full_disk_lose_nothing(disk: Path) -> None:
    """Four threads hit the full disk at once, and all continue when it is freed."""
    with Logger(disk, "run") as logger:
        filler = fill(disk)
        os.truncate(filler, 800_000)
        freed = threading.Event()

        def work(name: str) -> None:
            for step in range(400):
                logger.add_text(name, "x" * 1000, step)
                if step == 350:
                    freed.wait(180)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        while sum(thread.is_alive() for thread in threads) and not freed.is_set():
            if len(logger._run.directory.backlog) > 200:
                subprocess.run(
                    ["mount", "-o", "remount,size=8m", str(disk)], check=True
                )
                freed.set()
        for thread in threads:
            thread.join()
    for name in "abcd":
        found = [point.step for point in points(disk / "run", name)]
        assert found == list(range(400))


@pytest.mark.filterwarnings(FULL)
def test_a_forked_child_leaves_the_waiting_records_to_its_parent(disk: Path) -> None:
    """Waiting records are written once, by the process that logged them."""
    with Logger(disk, "run") as logger:
        filler = fill(disk)
        logger.add_text("parent", "x" * 10_000, 0)
        filler.unlink()
        assert in_child(lambda: logger.add_scalar("child", 1, 1)) == 0
        assert not points(disk / "run", "parent")
    assert len(points(disk / "run", "parent")) == 1
    assert scalars(disk / "run", "child") == [(1, 1)]


@pytest.mark.timeout(600)  # TensorBoard may be slow to start and to load
@pytest.mark.filterwarnings(FULL)
@pytest.mark.parametrize("fast", [False, True])
def test_tensorboard_follows_a_disk_that_was_full(disk: Path, fast: bool) -> None:
    """A running TensorBoard, with either loader, shows all points in the end."""
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    server = Server(disk, fast)
    try:
        server.start()
        with Logger(disk, "run") as logger:
            for step in range(100):
                logger.add_scalar("a", step, step)
            query = {"run": "run", "tag": "a"}
            server.until(lambda p: len(p) == 100, "plugin/scalars/scalars", **query)
            filler = fill(disk)
            os.truncate(filler, filler.stat().st_size - 300_000)
            logger.add_text("large", "x" * 700_000, 0)  # half of it is in the file
            for step in range(100, 200):
                logger.add_scalar("a", step, step)
            server.until(lambda p: len(p) == 100, "plugin/scalars/scalars", **query)
            filler.unlink()
            logger.add_scalar("a", 200, 200)
            found = server.until(
                lambda p: len(p) == 201, "plugin/scalars/scalars", **query
            )
            assert [[step, value] for _, step, value in found] == [
                [i, i] for i in range(201)
            ]
    finally:
        server.stop()


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_after_an_io_error_a_new_file_goes_on(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A broken file is not trusted: the next record starts a new one."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0, 0)
        real = os.write
        broken = os.fstat(logger._file._descriptor).st_ino

        def write(descriptor: int, data: bytes) -> int:
            if descriptor >= 0 and os.fstat(descriptor).st_ino == broken:
                raise OSError(code, os.strerror(code))
            return real(descriptor, data)

        with monkeypatch.context() as patch:
            patch.setattr(events, "write", write)
            patch.setattr(os, "write", write)
            logger.add_scalar("a", 1, 1)
            logger.add_scalar("a", 2, 2)
        logger.add_scalar("a", 3, 3)
    assert len(event_files(logdir / "run")) == 2
    assert scalars(logdir / "run", "a") == [(i, i) for i in range(4)]


def test_a_limit_on_the_size_of_files_begins_new_ones(tmp_path: Path) -> None:
    """If a file may not grow (EFBIG), the run continues in another."""
    code = f"""
import resource
from annarchy_tb import Logger
with Logger({str(tmp_path)!r}, "run") as logger:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    for step in range(1000):
        logger.add_scalar("a", step, step)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(event_files(tmp_path / "run")) > 1
    found = {step for step, _ in scalars(tmp_path / "run", "a")}
    assert found == set(range(1000))


# -- other processes -------------------------------------------------------------------


def log_from_elsewhere(logger: Logger, name: str) -> None:
    logger.add_scalar(f"{name}/scalar", 1.0)
    logger.add_scalars("curves", {name: 1.0})
    logger.log({f"{name}/a": 1, f"{name}/b": 2})
    with logger:
        logger.add_series(f"{name}/series", [1, 2, 3])


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_logger_travels_to_another_process(logdir: Path, method: str) -> None:
    """It continues the run in a separate file, and does not change the status."""
    context = multiprocessing.get_context(method)
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
        logger.add_scalar("parent", 0, 0)
        names = ["one", "two"]
        workers = [
            context.Process(target=log_from_elsewhere, args=(logger, name))
            for name in names
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork and threads
            for worker in workers:
                worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
        logger.add_scalar("parent", 1, 1)
    run = logdir / "run"
    assert scalars(run, "parent") == [(0, 0), (1, 1)]
    for name in names:
        assert scalars(run, f"{name}/series") == [(0, 1), (1, 2), (2, 3)]
        assert scalars(run / name, "curves") == [(0, 1)]
    assert len(event_files(run)) == 3
    assert len(points(run, hparams.END_TAG)) == 1
    if method != "fork":  # which stops what it started by itself
        multiprocessing.resource_tracker._resource_tracker._stop()
        if method == "forkserver":
            multiprocessing.forkserver._forkserver._stop()


def warned(logger: Logger, calls: list[Callable[[Logger], object]]) -> list[str]:
    """Return the warnings that a forked process gives for some calls."""
    reader, writer = os.pipe()

    def work() -> None:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            for call in calls:
                call(logger)
        files = {warning.filename for warning in given}
        assert files <= {__file__}, files
        os.write(writer, "\n".join(str(w.message) for w in given).encode())

    assert in_child(work) == 0
    os.close(writer)
    with open(reader) as stream:
        return stream.read().splitlines()


LOGGED: dict[str, Callable[[Logger], object]] = {
    "add_scalar": lambda logger: logger.add_scalar("scalar", 1),
    "log": lambda logger: logger.log({"a": 1, "b": 2}),
    "add_scalars": lambda logger: logger.add_scalars("plot", {"x": 1}),
    "add_histogram": lambda logger: logger.add_histogram("hist", [1, 2]),
    "add_series": lambda logger: logger.add_series("series", [1.0, 2.0]),
    "add_image": lambda logger: logger.add_image("image", [[0.5]]),
    "add_text": lambda logger: logger.add_text("text", "x"),
}


@pytest.mark.parametrize("method", LOGGED)
def test_a_child_is_told_that_a_tag_was_begun(logger: Logger, method: str) -> None:
    """One warning a process, for any kind of data; none for tags of its own."""
    begin = LOGGED[method]
    begin(logger)
    begin(logger)
    assert warned(logger, [lambda its: its.add_scalar("new", 1)] * 2) == []
    others = [call for name, call in LOGGED.items() if name != method]
    assert warned(logger, others) == []
    for call in others:
        call(logger)
    [said] = warned(logger, [begin, begin, *others])
    assert said.startswith(f"{method}(")
    assert "was begun by the process" in said
    assert "its own key of add_scalars" in said
    begin(logger)  # in the parent, nothing is said


@pytest.mark.parametrize(
    "call",
    [
        lambda logger: logger.log({"b": 2, "a": 1}),
        lambda logger: logger.log({"a": 1}),
        lambda logger: logger.add_scalars("plot", {"y": 1, "x": 2}),
        lambda logger: logger.add_scalar("x", 1),
    ],
)
def test_a_child_is_told_also_of_new_selections(
    logger: Logger, call: Callable[[Logger], object]
) -> None:
    """Tags that are known, but were never logged in this order, are no shortcut."""
    logger.log({"a": 1, "b": 2, "x": 3})
    logger.add_scalars("plot", {"x": 1, "y": 2})
    assert len(warned(logger, [call, call])) == 1


def test_a_grandchild_is_told_of_its_parents_tag(logger: Logger) -> None:
    """A child has begun its own tags for those that it forks."""

    def child(its: Logger) -> None:
        its.add_scalar("child", 1)
        assert len(warned(its, [lambda again: again.add_scalar("child", 2)])) == 1

    assert warned(logger, [child]) == []


def test_a_tag_of_an_earlier_session_is_not_begun(logdir: Path) -> None:
    """Data that was there before the fork's parent opened the run is no overlap."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("old", 1)
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("new", 1)
        assert warned(logger, [lambda its: its.add_scalar("old", 1)]) == []
        assert len(warned(logger, [lambda its: its.add_scalar("new", 1)])) == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_logger_is_a_logger(logger: Logger, duplicate: object) -> None:
    """A copy (as of a configuration) writes to the run, in a separate file."""
    logger.add_scalar("a", 1)
    twin = duplicate(logger)
    twin.add_scalar("b", 1)
    twin.close()
    logger.add_scalar("a", 2)
    assert scalars(logger.run_dir, "a") == [(0, 1), (1, 2)]
    assert scalars(logger.run_dir, "b") == [(0, 1)]


class Named(Logger):
    """A Logger with an attribute of its own."""

    def __init__(self, logdir: Path, name: str) -> None:
        super().__init__(logdir, name)
        self.names = [name]


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda logger: pickle.loads(pickle.dumps(logger))]
)
def test_a_copy_of_a_subclass_has_its_attributes(
    logdir: Path, duplicate: Callable[[Named], Named]
) -> None:
    """A copy, also in another process, is complete, and writes a file of its own."""
    with Named(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        logger.add_scalars("b", {"one": 1})
        logger.log({"c": 1})
        logger.writer.add_scalar("d", 1)
        assert logger.last["a"] == 1
        with duplicate(logger) as twin:
            assert type(twin) is Named
            assert twin.names == ["run"]
            assert twin.names is not logger.names
            with pytest.warns(UserWarning, match="was begun by the process, or"):
                twin.add_scalar("a", 2)
            twin.writer.add_scalar("e", 1)
            assert twin.last["a"] == 2
        logger.add_scalar("f", 1)
    assert scalars(logdir / "run", "a") == [(0, 1), (1, 2)]
    assert len(event_files(logdir / "run")) == 2


def test_a_closed_logger_stays_closed(logdir: Path) -> None:
    """This holds for pickled copies, too."""
    with Logger(logdir, "run") as logger:
        pass
    twin = pickle.loads(pickle.dumps(logger))
    with pytest.raises(ValueError, match="Logger is closed"):
        twin.add_scalar("a", 1)


ENDS = {
    "signal.raise_signal(signal.SIGTERM)": -signal.SIGTERM,
    "signal.raise_signal(signal.SIGINT)": -signal.SIGINT,
    "signal.raise_signal(signal.SIGKILL)": -signal.SIGKILL,
    "sys.exit(0)": 0,
    "sys.exit(3)": 3,
    "os._exit(4)": 4,
    "os.abort()": -signal.SIGABRT,
    "raise ValueError": 1,
}


@pytest.mark.parametrize("end", ENDS)
def test_however_a_process_ends_its_data_is_there(tmp_path: Path, end: str) -> None:
    """All data logged before can be read, and the status is correct."""
    code = f"""
import os, signal, sys, threading
from annarchy_tb import Logger
handlers = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
hook = sys.excepthook
with Logger({str(tmp_path)!r}, "run") as logger:
    logger.add_parameters({{"a": 1}})
    for step in range(100):
        logger.add_scalar("a", step, step)
    assert handlers == [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    assert hook is sys.excepthook
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    {end}
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert ended.returncode == ENDS[end], ended.stderr.decode()
    assert len(scalars(tmp_path / "run", "a")) == 100
    found = points(tmp_path / "run", hparams.END_TAG)
    in_python = end.startswith(("sys.exit", "raise")) or "SIGINT" in end
    assert len(found) == in_python
    if in_python:
        content = found[0].proto.metadata.plugin_data.content
        status = hparams.SUCCESS if end == "sys.exit(0)" else hparams.FAILURE
        assert content[2:4] == bytes([8, status])


def test_a_logger_left_to_the_end_of_python_loses_nothing(tmp_path: Path) -> None:
    """A module's Logger that nobody closes gives a warning and reads as unfinished."""
    code = f"""
from annarchy_tb import Logger
logger = Logger({str(tmp_path)!r}, "run")
logger.add_parameters({{"a": 1}})
logger.add_scalar("a", 1, 1)
"""
    ended = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, check=True
    )
    assert b"ResourceWarning: unclosed <Logger" in ended.stderr
    assert scalars(tmp_path / "run", "a") == [(1, 1)]
    assert not points(tmp_path / "run", hparams.END_TAG)


# -- directories and descriptors -------------------------------------------------------


def test_a_directory_that_vanishes_is_told(logdir: Path) -> None:
    """Writing to a deleted file succeeds silently, so flush and close check for it."""
    logger = Logger(logdir, "run")
    shutil.rmtree(logdir)
    logger.add_scalar("a", 1)
    with pytest.raises(FileNotFoundError, match="deleted"):
        logger.flush()
    with pytest.raises(FileNotFoundError, match="run"):
        logger.add_scalars("a", {"curve": 1})
    with pytest.warns(UserWarning, match="event file was deleted"):
        logger.close()


def test_a_deleted_file_is_told_after_the_end(
    logdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """If warnings are errors, it is logged, and the run is closed all the same."""
    logger = Logger(logdir, "run")
    logger.add_scalars("a", {"one": 1, "two": 2})
    for path in (logdir / "run").rglob("events*"):
        path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.close()
    said = [record.getMessage() for record in caplog.records]
    assert sum("event file was deleted" in one for one in said) == 3
    assert logger.closed
    assert all(directory.file.closed for directory in logger._run.directory.all())
    assert Run(logdir / "run").status == "finished"


def test_300_curves_need_few_descriptors(logdir: Path) -> None:
    """A process that may open 64 files can still write 300 curves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with Logger(logdir, "run") as logger:
            for step in range(3):
                logger.add_scalars("a", {f"curve {i}": i for i in range(300)}, step)
            logger.flush()
            opened = [
                os.readlink(p) for p in Path("/proc/self/fd").iterdir() if p.exists()
            ]
            assert sum("tfevents" in path for path in opened) <= 32
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for i in (0, 31, 32, 299):
        found = scalars(logdir / "run" / f"curve {i}", "a")
        assert found == [(0, i), (1, i), (2, i)]
        assert len(event_files(logdir / "run" / f"curve {i}")) == 1


def test_refused_curves_take_no_descriptor_from_others(logdir: Path) -> None:
    """Whether a file stays open is decided when there is one."""
    with Logger(logdir, "run") as logger:
        with pytest.raises(TypeError, match="value must be one number"):
            logger.add_scalars("a", {f"refused {i}": "text" for i in range(40)})
        logger.add_scalars("a", {f"curve {i}": i for i in range(40)})
        files = [directory.file for directory in logger._run.directory.all()]
        assert sum(file.is_open for file in files) == 32  # with that of the run
        twin = pickle.loads(pickle.dumps(logger))
        with pytest.warns(UserWarning, match="was begun by the process, or"):
            twin.add_scalars("a", {f"curve {i}": i for i in range(40)})
        files = [directory.file for directory in twin._run.directory.all()]
        assert sum(file.is_open for file in files) == 31
        twin.close()


def test_the_drop_in_waits_for_a_full_disk_too(disk: Path) -> None:
    """SummaryWriter uses the same event files."""
    with SummaryWriter(disk / "run") as writer:
        filler = fill(disk)
        with pytest.warns(UserWarning, match="disk refuses writes"):
            writer.add_text("a", "x" * 10_000, 0)
        filler.unlink()
        writer.add_scalar("b", 1, 0)
    assert len(load(disk / "run")) == 2


def test_scalars_leave_nothing_in_memory(logger: Logger) -> None:
    """No logged data are kept in memory, even after 100,000 scalars."""
    import tracemalloc

    logger.add_scalar("a", 0.5, 0)
    tracemalloc.start()
    for step in range(1, 100_000):
        logger.add_scalar("a", 0.5, step)
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert left < 20_000


# -- reentrance ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "work",
    [
        "logger.flush()",
        "logger.add_scalars('curves', dict.fromkeys(map(str, range(40)), 1.0))",
        "logger.add_scalar('a', 1)",
    ],
)
def test_a_signal_handler_may_log_and_close(tmp_path: Path, work: str) -> None:
    """Whenever the signal comes, the handler completes and its data are logged."""
    code = f"""
import itertools, os, signal
from annarchy_tb import Logger
logger = Logger({str(tmp_path)!r}, "run")
logger.add_scalars("curves", dict.fromkeys(map(str, range(40)), 1.0))
begun, ended = itertools.count(1), []

# A signal may arrive while the previous one is still being handled. The handler that
# finishes last closes the Logger; by then, all of them have logged.
def tick(*_):
    number = next(begun)
    if number > 50:
        return
    if number == 50:
        signal.setitimer(signal.ITIMER_REAL, 0)
    logger.add_scalar("handler", number)
    logger.add_scalars("from handler", {{str(number % 40): 1.0}})
    ended.append(number)
    if len(ended) == 50:
        logger.close()
        os._exit(0)

signal.signal(signal.SIGALRM, tick)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
while True:
    {work}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(scalars(tmp_path / "run", "handler")) == 50
    for curve in (tmp_path / "run").iterdir():
        if curve.is_dir():
            load(curve)  # every record is whole
            assert scalars(curve, "curves")


@pytest.mark.filterwarnings("always")
def test_who_logs_warnings_may_be_warned(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook that logs warnings is never called in the middle of an operation."""
    with Logger(disk, "run") as logger:

        def show(message: Warning, *_: object) -> None:
            logger.add_text("warnings", str(message))

        monkeypatch.setattr(warnings, "showwarning", show)
        logger._run.directory.backlog._limit = 100_000
        filler = fill(disk)
        for _ in range(7):
            logger.add_text("text", "x" * 20_000)
        filler.unlink()
        logger._run.directory.backlog.drain()
        logger._run.directory.backlog.dropped = 0
    said = [p.array.item().decode() for p in points(disk / "run", "warnings")]
    assert any("are dropped" in text for text in said)


@pytest.mark.filterwarnings("ignore:.*refuses writes:UserWarning")
def test_a_run_that_cannot_be_ended_is_closed_all_the_same(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the last record is refused, no descriptor stays open."""
    logger = Logger(logdir, "run")
    logger.add_parameters({"a": 1})

    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(errno.EINVAL, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(events, "write", refuse)
        patch.setattr(os, "write", refuse)
        with pytest.raises(OSError, match="refused"):
            logger.close()
    assert repr(logger).endswith("(closed)>")


# -- names -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["events.out.tfevents.1.x", "my.TFevents"])
def test_no_directory_looks_like_an_event_file(logdir: Path, name: str) -> None:
    """TensorBoard would open it as one, and fail for all runs."""
    with Logger(logdir, "run") as logger:
        logger.add_scalars("a", {name: 1})
        logger.writer.add_hparams({"a": 1}, {}, name)
    made = [path.name for path in (logdir / "run").iterdir() if path.is_dir()]
    assert len(made) == 1
    assert "tfevents" not in made[0].lower()


def test_a_thread_that_parts_tags_disturbs_no_other(logdir: Path) -> None:
    """Tags of several threads are logged together and alone, and none is lost."""
    with Logger(logdir, "run") as logger:

        def part() -> None:
            for i in range(1000):
                logger.log({f"s{i}": 1.0, f"u{i}": 1.0})
                logger.add_scalar(f"s{i}", 1.0)

        thread = threading.Thread(target=part)
        thread.start()
        for i in range(1000):
            logger.log({f"a{i}": 1.0, f"b{i}": 1.0})
        thread.join()
    found = [point.tag for point in load(logger.run_dir)]
    assert len(found) == 5000
    assert len(set(found)) == 4000


def test_threads_that_begin_a_file_at_once_lose_nothing(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread logs while the file is being created for the series of another."""
    with Logger(logdir, "run"):
        pass
    with Logger(logdir, "run", mode="a") as logger:
        create = events.create

        def slowly(directory: Path) -> tuple[Path, int]:
            monkeypatch.setattr(events, "create", create)
            thread.start()
            thread.join(0.2)  # it has logged, or waits for the file
            return create(directory)

        def log() -> None:
            for step in range(3):
                logger.add_scalar("a", step)

        thread = threading.Thread(target=log)
        monkeypatch.setattr(events, "create", slowly)
        logger.add_series("series", [1, 2])
        thread.join()
        logger.add_scalar("a", 3)
    assert scalars(logdir / "run", "a") == [(i, i) for i in range(4)]
    assert scalars(logdir / "run", "series") == [(0, 1), (1, 2)]
    assert len(event_files(logdir / "run")) == 2


def test_ctrl_c_loses_and_doubles_nothing_that_waits(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come after any call, while records that waited for room are written."""
    number, interrupted = 0, True
    while interrupted:
        with Logger(logdir, f"run{number}") as logger:
            with monkeypatch.context() as patch:
                patch.setattr(events, "write", full)
                patch.setattr(os, "write", full)
                with pytest.warns(UserWarning, match="refuses writes"):
                    for step in range(2):
                        logger.add_scalar("a", step)
            interrupted = interrupt(
                number,
                lambda logger=logger: logger.add_scalar("b", 0),
                "event_file.py",
                "backlog.py",
            )
            logger.add_scalar("a", 2)
        run = logger.run_dir
        assert scalars(run, "a") == [(i, i) for i in range(3)]
        assert scalars(run, "b") == [(0, 0)] or (interrupted and not scalars(run, "b"))
        number += 1
    assert number > 30


def full(descriptor: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
