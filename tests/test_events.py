from __future__ import annotations

import copy
import itertools
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import load, scalars

from annarchy_tb import Logger
from annarchy_tb.run.ledger import Ledger
from annarchy_tb.tfevents import event_file as events
from annarchy_tb.tfevents.backlog import Backlog
from annarchy_tb.tfevents.event_file import EventFile, event_files
from annarchy_tb.tfevents.templates import ScalarRecords


def in_child(function: Callable[[], None]) -> int:
    """Run a function in a forked child; return its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def opened(directory: Path) -> EventFile:
    """Return an open event file."""
    file = EventFile(directory, Backlog())
    file.open()
    return file


def test_a_file_begins_with_the_version(tmp_path: Path) -> None:
    """An event file is readable from the moment it exists."""
    file = opened(tmp_path)
    assert file.path.read_bytes()[12:].find(b"brain.Event:2") > 0
    file.close()


@pytest.mark.parametrize(
    "earlier",
    [
        "events.out.tfevents.1700000000.host",  # tensorboardX's
        "events.out.tfevents.9000000000.host.999.0009",  # the clock was set back
        "events.out.tfevents.9000000000.host.1000.0010",
    ],
)
def test_a_new_file_sorts_behind_all_others(tmp_path: Path, earlier: str) -> None:
    """The file opened last has the last name, whatever is in the directory."""
    (tmp_path / earlier).touch()
    files = [opened(tmp_path) for _ in range(12)]
    assert event_files(tmp_path)[-12:] == [file.path for file in files]
    for file in files:
        file.close()


def test_a_taken_name_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name taken by another process in the same instant is left to it."""
    monkeypatch.setattr(events, "event_files", lambda directory: [])
    monkeypatch.setattr(events, "now", lambda: 1e9)
    monkeypatch.setattr(events, "_count", itertools.repeat(7))
    first, second = opened(tmp_path), opened(tmp_path)
    assert "1000000000" in first.path.name
    assert "1000000001" in second.path.name
    first.close()
    second.close()


def test_a_directory_named_like_an_event_file_is_none(tmp_path: Path) -> None:
    """Only files count as event files."""
    (tmp_path / "my.tfevents.1").mkdir()
    assert event_files(tmp_path) == []


def test_closing_ends_writing(tmp_path: Path) -> None:
    """After close, append raises and writes nothing; a second close is fine."""
    file = opened(tmp_path)
    file.close()
    file.close()
    size = file.path.stat().st_size
    with pytest.raises(ValueError, match="closed"):
        file.append(b"record")
    assert file.path.stat().st_size == size


def test_a_copy_writes_a_file_of_its_own(tmp_path: Path) -> None:
    """Two objects never share a descriptor, so neither can close the other's."""
    file = opened(tmp_path)
    twin = copy.deepcopy(file)
    twin.append(ScalarRecords("twin").make(1, 1.0, 0))
    twin.close()
    file.append(ScalarRecords("file").make(1, 1.0, 0))
    file.close()
    assert file.path != twin.path
    assert [point.tag for point in load(tmp_path)] == ["file", "twin"]


def test_kill_straight_after_a_call_loses_nothing(tmp_path: Path) -> None:
    """Data of every kind logged before kill -9 are in the file."""
    code = f"""
import os, signal
import numpy as np
from matplotlib.figure import Figure
from annarchy_tb import Logger
from annarchy_tb.run.ledger import Ledger
logger = Logger({str(tmp_path)!r}, "run")
for step in range(1000):
    logger.add_scalar("scalar", step, step)
logger.log({{"a": 1, "b": 2}})
logger.add_scalars("curves", {{"train": 1, "test": 2}})
logger.add_image("image", np.random.rand(500, 500, 3))
logger.add_histogram("histogram", np.arange(10))
logger.add_text("text", "text")
logger.add_figure("figure", Figure())
logger.writer.add_scalar("tensorboardX", 1.0, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    run = tmp_path / "run"
    assert scalars(run, "scalar") == [(step, step) for step in range(1000)]
    rest = {point.tag for point in load(run)} - {"scalar"}
    assert rest == {"a", "b", "image", "histogram", "text", "figure", "tensorboardX"}
    assert scalars(run / "train", "curves") == [(0, 1)]
    assert scalars(run / "test", "curves") == [(0, 2)]


def test_threads_share_a_logger(logdir: Path) -> None:
    """With four threads on separate tags, all records are whole and in order."""
    big = np.random.default_rng(0).random((300, 300, 3))
    with Logger(logdir, "run") as logger:

        def work(name: str) -> None:
            for step in range(200):
                logger.add_scalar(f"{name}/scalar", step, step)
                logger.log({f"{name}/a": step, f"{name}/b": -step})
                logger.add_scalars(f"{name}/curves", {"x": step, "y": -step})
                if step % 100 == 0:
                    logger.add_image(f"{name}/image", big)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in "abcd":
        assert scalars(logdir / "run", f"{name}/scalar") == [(i, i) for i in range(200)]
        assert scalars(logdir / "run", f"{name}/b") == [(i, -i) for i in range(200)]
        curve = scalars(logdir / "run" / "y", f"{name}/curves")
        assert curve == [(i, -i) for i in range(200)]
        images = [p.step for p in load(logdir / "run") if p.tag == f"{name}/image"]
        assert images == list(range(2))


def killed_in_a_large_write(logger: Logger) -> None:
    """Be killed by a signal while writing 8 MB of text to the file.

    A child of this child sends the signal as soon as the file has begun to grow.
    """
    logger.add_text("child/first", "first")
    parent, path = os.getpid(), logger._file.path
    size = path.stat().st_size
    if os.fork() == 0:
        while path.stat().st_size == size:
            pass
        os.kill(parent, signal.SIGKILL)
        os._exit(0)
    while True:
        logger.add_text("child/large", "x" * 8_000_000)


def test_forked_children_write_files_of_their_own(logdir: Path) -> None:
    """Forked children log too; one killed during a write harms no other process.

    Each has a separate file, and no data that the parent logs afterwards are lost.
    """
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
        logger.add_scalar("parent", 0, 0)

        def child(name: str) -> None:
            logger.add_scalar(f"{name}/scalar", 1, 5)
            logger.add_scalars("curves", {name: 1.0}, 5)
            logger.close()

        for name in ("one", "two", "three"):
            assert in_child(lambda name=name: child(name)) == 0
        assert in_child(lambda: killed_in_a_large_write(logger)) == -signal.SIGKILL
        logger.add_scalar("parent", 1, 1)
        logger.add_image("image", np.zeros((4, 4)))

    assert len(event_files(logdir / "run")) == 5
    assert scalars(logdir / "run", "parent") == [(0, 0), (1, 1)]
    for name in ("one", "two", "three"):
        assert scalars(logdir / "run", f"{name}/scalar") == [(5, 1)]
        assert scalars(logdir / "run" / name, "curves") == [(5, 1)]
    tags = [point.tag for point in load(logdir / "run")]
    assert {"child/first", "image"} <= set(tags)
    assert tags.count("_hparams_/session_end_info") == 1, "only the parent ends the run"


def test_an_exception_in_a_forked_child_writes_no_status(logdir: Path) -> None:
    """A child that leaves the with block by an error does not set the run's status."""

    def child() -> None:
        with logger:
            raise RuntimeError

    logger = Logger(logdir, "run")
    logger.add_parameters({"a": 1})
    assert in_child(child) == 1
    assert len(event_files(logdir / "run")) == 1
    logger.close()
    tags = [point.tag for point in load(logdir / "run")]
    assert tags.count("_hparams_/session_end_info") == 1


# -- earlier data ----------------------------------------------------------------------


def test_an_interrupted_reading_of_earlier_data_is_repeated() -> None:
    """After Ctrl-C, no half of the tags is entered, and the next call sees all."""
    interrupts = [KeyboardInterrupt]

    def history() -> Iterator[tuple[str, str, int]]:
        yield "a", "scalar", 3
        if interrupts:
            raise interrupts.pop()
        yield "b", "scalar", 5

    ledger = Ledger(history)
    with pytest.raises(KeyboardInterrupt):
        ledger.check("add_scalar", "a", "scalar")
    assert not ledger.has_begun("a")
    assert ledger.furthest(["b"]) == (5, -math.inf)
    assert not ledger.has_begun("a")


def test_threads_wait_for_earlier_data() -> None:
    """While one thread reads them, another one sees all or nothing."""
    seen = []

    def ask() -> None:
        asked.set()
        seen.append(ledger.furthest(["b"])[0])

    def history() -> Iterator[tuple[str, str, int]]:
        yield "a", "scalar", 3
        thread.start()
        asked.wait()
        thread.join(0.1)  # it has to wait, however long this is
        yield "b", "scalar", 5

    ledger, asked = Ledger(history), threading.Event()
    thread = threading.Thread(target=ask)
    assert ledger.furthest(["a"])[0] == 3
    thread.join()
    assert seen == [5]


def test_a_signal_handler_may_log_while_earlier_data_are_read() -> None:
    """The handler sees all of them, and what it enters stays."""

    def history() -> Iterator[tuple[str, str, int]]:
        yield "a", "scalar", 3
        if not handled:
            handled.append(True)
            signal.raise_signal(signal.SIGUSR1)
        yield "b", "scalar", 5

    def handle(*_: object) -> None:
        assert ledger.furthest(["b"])[0] == 5
        ledger.note("a", "scalar", 8)
        ledger.note("c", "scalar", 9)

    handled: list[bool] = []
    ledger = Ledger(history)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert ledger.furthest(["a"])[0] == 8
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ledger.furthest(["a", "b", "c"])[0] == 9
    assert [ledger.has_begun(tag) for tag in "abc"] == [False, False, True]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_reads_earlier_data_that_a_thread_is_reading() -> None:
    """It does not wait for a thread that it does not have."""
    parent, begun, released = os.getpid(), threading.Event(), threading.Event()

    def history() -> Iterator[tuple[str, str, int]]:
        if os.getpid() == parent:
            begun.set()
            released.wait()
        yield "a", "scalar", 3

    def child() -> None:
        signal.alarm(60)  # a child that waits is killed
        assert ledger.furthest(["a"])[0] == 3

    ledger = Ledger(history)
    thread = threading.Thread(target=ledger.furthest, args=(["a"],))
    thread.start()
    begun.wait()
    try:
        assert in_child(child) == 0
    finally:
        released.set()
        thread.join()
