"""Whoever does not get the lock of a run changes nothing in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import in_child, interrupt, scalars

from annarchy_tb import Logger, Run
from annarchy_tb.run import info_file, opening
from annarchy_tb.run.atomic import exclusive

pytest.importorskip("fcntl", reason="no locks")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for locks for a moment only."""
    monkeypatch.setattr(info_file, "PATIENCE", 0.05)
    monkeypatch.setattr(info_file, "SHORT_PATIENCE", 0.01)
    monkeypatch.setattr(opening, "PATIENCE", 0.05)


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Have another thread hold the lock of a run."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(run, 60.0) as alone:
            assert alone
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(60)
        yield
    finally:
        done.set()
        thread.join()


def test_results_wait_for_the_next_update(logger: Logger) -> None:
    """They are not written without the lock: that would undo the changes of others."""
    path = logger.run_dir / "run.json"
    before = path.read_bytes()
    with locked(logger.run_dir):
        with pytest.warns(UserWarning, match=r"run.json can't be written: another"):
            logger.add_metrics({"a": 1.0})
        assert path.read_bytes() == before
    logger.add_metrics({"b": 2.0})
    assert Run(logger.run_dir).metrics == {"a": 1.0, "b": 2.0}


def test_a_tag_that_is_not_finite_waits_without_a_word(logger: Logger) -> None:
    """Logging goes on, and the next update notes it."""
    with locked(logger.run_dir), pytest.warns(UserWarning, match="nan") as caught:
        logger.add_scalar("a", float("nan"))
    assert len(caught) == 1
    assert not Run(logger.run_dir).info["not_finite"]
    logger.close()
    assert Run(logger.run_dir).info["not_finite"] == {"a": 0}


def test_an_end_that_can_not_be_noted_is_told(logger: Logger) -> None:
    """The data is complete, and the record of others is not overwritten."""
    logger.add_scalar("a", 1)
    before = (logger.run_dir / "run.json").read_bytes()
    with locked(logger.run_dir), pytest.warns(UserWarning, match="can't be written"):
        logger.close()
    assert (logger.run_dir / "run.json").read_bytes() == before
    assert scalars(logger.run_dir, "a") == [(0, 1)]


def test_a_note_is_refused(logger: Logger) -> None:
    """It can be added later."""
    with locked(logger.run_dir), pytest.raises(TimeoutError, match="is changing it"):
        Run(logger.run_dir).add_note("the best so far")
    Run(logger.run_dir).add_note("the best so far")
    assert [note["text"] for note in Run(logger.run_dir).notes] == ["the best so far"]


@pytest.mark.parametrize(
    "opened", [{}, {"mode": "a"}, {"mode": "w"}, {"resume": True}], ids=str
)
def test_a_run_that_another_process_opens_is_not_opened(
    opened: Any, logdir: Path
) -> None:
    """Not even after a long wait: it may be cutting back or removing data."""
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
    before = (logdir / "run" / "run.json").read_bytes()
    with locked(logdir / "run"), pytest.raises(RuntimeError, match="can't be opened"):
        Logger(logdir, "run", **opened)
    assert (logdir / "run" / "run.json").read_bytes() == before
    Logger(logdir, "run", **opened).close()


@pytest.mark.parametrize("opened", [{"mode": "a"}, {"resume": True}], ids=str)
def test_a_session_begins_under_the_lock(opened: Any, logdir: Path) -> None:
    """Else the first value is refused, and nothing is cut off."""
    with Logger(logdir, "run") as logger:
        logger.save_checkpoint("state", 1)
        logger.add_scalar("a", 1)

    def contents() -> dict[Path, bytes]:
        files = (path for path in logdir.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files}

    before = contents()
    with Logger(logdir, "run", **opened) as logger:
        with locked(logdir / "run"):
            with pytest.raises(RuntimeError, match="can't be opened"):
                logger.add_scalar("b", 2, 7)
            assert contents() == before
        logger.add_scalar("b", 2, 7)
    assert scalars(logdir / "run", "b") == [(7, 2)]
    assert Run(logdir / "run").status == "finished"


def test_a_call_within_a_locked_one_does_not_wait_for_itself(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a signal handler."""
    monkeypatch.setattr(info_file, "PATIENCE", 1000.0)
    with exclusive(logger.run_dir, 0.0) as alone:
        assert alone
        with pytest.warns(UserWarning, match="or a call in progress"):
            logger.add_metrics({"a": 1.0})
    logger.add_metrics({"b": 2.0})
    assert Run(logger.run_dir).metrics == {"a": 1.0, "b": 2.0}


def test_a_forked_process_does_not_keep_a_lock(tmp_path: Path) -> None:
    """Of a process that was killed while it held it."""
    code = """
import os, signal, sys, threading
from pathlib import Path
from annarchy_tb.run.atomic import exclusive

with exclusive(Path(sys.argv[1]), 0.0) as alone:
    assert alone
    child = os.fork()
    if child:
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            process.wait(60)
            with exclusive(tmp_path, 30.0) as alone:
                assert alone
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_forked_process_does_not_end_the_lock_of_its_parent(tmp_path: Path) -> None:
    """When it leaves the block, which the parent has not."""
    with exclusive(tmp_path, 0.0):
        child = os.fork()
        if not child:
            code = 1
            try:
                with exclusive(tmp_path, 0.0) as alone:
                    code = int(alone)
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        with exclusive(tmp_path, 0.0) as alone:
            assert not alone
    with exclusive(tmp_path, 0.0) as alone:
        assert alone


def test_ctrl_c_leaves_no_lock(tmp_path: Path) -> None:
    """It may come at any call: this thread and other processes can lock again."""

    def lock() -> None:
        with exclusive(tmp_path, 0.0):
            pass

    def locks() -> None:
        with exclusive(tmp_path, 0.0) as alone:
            assert alone

    number = 0
    while interrupt(number, lock, "atomic.py", "contextlib.py"):
        locks()
        assert in_child(locks) == 0
        number += 1
    assert number > 10


@pytest.mark.filterwarnings("ignore:Logger. another Logger was still open")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_ctrl_c_during_close_leaves_the_run_to_the_next_logger(tmp_path: Path) -> None:
    """It may come at any call: the same process can start the run over."""
    number, interrupted = 0, True
    while interrupted:
        logger = Logger(tmp_path, "run", mode="w")
        logger.add_scalar("a", 1)
        files = ("logger.py", "directory.py", "info_file.py", "atomic.py")
        interrupted = interrupt(number, logger.close, *files)
        number += 5
    assert number > 50
