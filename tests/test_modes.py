"""Opening a run that exists: refused, appended to, started over, or branched from."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from click.testing import CliRunner
from conftest import died, in_child, kill_before, load, points, scalars
from tensorboard.compat.proto.event_pb2 import Event

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main
from annarchy_tb.run import checkpoints, info_file, opening, paths, sessions
from annarchy_tb.run.opening import Opening
from annarchy_tb.tfevents import event_file, records

HOST = socket.gethostname()


def contents(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def made(logdir: Path, name: str = "run", **params: Any) -> Path:
    """Make a finished run with data, a curve, a checkpoint and a file of the user's."""
    with Logger(logdir, name) as logger:
        logger.add_parameters(params or {"tau": 10.0})
        for step in range(3):
            logger.add_scalar("a", step)
            logger.add_scalars("plot", {"curve": step})
        logger.save_checkpoint("state", 3)
        logger.path("mine/net.txt").write_text("mine")
        logger.path("curve/mine.txt").write_text("mine, in the directory of a curve")
    return logger.run_dir


@pytest.fixture
def other() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that opens a run and waits for a line; it ends with the test."""
    processes = []

    def start(logdir: Path, name: str, *lines: str, **how: Any) -> Any:
        waits = how.pop("wait", True)
        code = f"""
import sys
from annarchy_tb import Logger
try:
    logger = Logger({str(logdir)!r}, {name!r}, **{how!r})
except Exception as error:
    print(type(error).__name__, flush=True)
    sys.exit()
print("open", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        if waits:
            assert process.stdout.readline() == "open\n"
            for line in lines:
                tell(process, line)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def tell(process: Any, line: str) -> None:
    """Have another process execute a line."""
    process.stdin.write(line + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


# -- "x" -------------------------------------------------------------------------------


def test_a_run_that_has_data_is_refused(logdir: Path) -> None:
    """The error says when it ended, how, with which parameters, and what to do."""
    run = made(logdir)
    before = contents(run)
    ended = Run(run).info["ended"][:19].replace("T", " ")
    for how in ({}, {"mode": "x"}):
        with pytest.raises(FileExistsError) as refused:
            Logger(logdir, "run", **how)  # type: ignore[arg-type]
        said = str(refused.value)
        for part in (str(run), ended, "'finished'", "tau=10.0", "mode='a'"):
            assert part in said
        assert "mode='w'" in said
        assert "resume=True" in said
    assert contents(run) == before


@pytest.mark.parametrize(
    "log",
    [
        lambda logger: logger.add_scalar("a", 1),
        lambda logger: logger.add_scalars("a", {"curve": 1}),
        lambda logger: logger.add_text("a", "text"),
        lambda logger: logger.add_image("a", [[1.0]]),
        lambda logger: logger.add_series("a", [1.0]),
        lambda logger: logger.add_metrics({"a": 1}),
        lambda logger: logger.writer.add_text("a", "text"),
        lambda logger: logger.save_checkpoint("state", 1),
    ],
)
def test_every_kind_of_data_counts(log: Callable[[Logger], None], logdir: Path) -> None:
    """A single value protects the run, be it in a curve only; so does a checkpoint."""
    with Logger(logdir, "run") as logger:
        log(logger)
    with pytest.raises(FileExistsError):
        Logger(logdir, "run")


def test_parameters_and_the_table_are_no_data(logdir: Path) -> None:
    """A run that failed before its first value does not block its name."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        logger.add_parameters({"tau": 10.0})
        raise ZeroDivisionError
    Run(logdir / "run").add_note("too short")
    (logdir / "run" / "mine.txt").write_text("mine")
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"tau": 20.0})
        logger.add_scalar("a", 1)
    run = Run(logdir / "run")
    assert (run.params, run.status) == ({"tau": 20.0}, "finished")
    assert [point.tag for point in load(run.path)].count(
        "_hparams_/session_start_info"
    ) == 1
    assert [note["text"] for note in run.notes] == ["too short"]
    assert (logdir / "run" / "mine.txt").read_text() == "mine"


def test_a_directory_of_the_users_is_no_run(logdir: Path) -> None:
    """It may exist, with files, before the run does."""
    (logdir / "run").mkdir(parents=True)
    (logdir / "run" / "settings.yaml").write_text("tau: 10")
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
    assert (logdir / "run" / "settings.yaml").exists()


def test_a_run_of_another_writer_has_data(logdir: Path) -> None:
    """It is refused, may be appended to, and is never removed."""
    with tensorboardX.SummaryWriter(str(logdir / "run")) as theirs:
        theirs.add_scalar("a", 1, 5)
    before = contents(logdir)
    with pytest.raises(FileExistsError):
        Logger(logdir, "run")
    with pytest.raises(FileExistsError, match="is of another writer"):
        Logger(logdir, "run", mode="w")
    assert contents(logdir) == before
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 2)
    assert scalars(logdir / "run", "a") == [(5, 1), (6, 2)]


@pytest.mark.parametrize("mode", ["x", "w"])
def test_of_eight_processes_at_once_one_gets_the_run(
    mode: str, logdir: Path, other: Any
) -> None:
    """The others are told that it exists; there is one session, and one file."""
    started = [other(logdir, "run", mode=mode, wait=False) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda process: process.stdout.readline(), started))
    refusal = {"x": "FileExistsError\n", "w": "RuntimeError\n"}[mode]
    assert sorted(said) == sorted([refusal] * 7 + ["open\n"])
    assert len(Run(logdir / "run").sessions) == 1
    assert len(list((logdir / "run").glob("*tfevents*"))) == 1


def test_of_eight_threads_at_once_one_gets_the_run(logdir: Path) -> None:
    """As of eight processes."""
    barrier = threading.Barrier(8)
    loggers: list[Logger] = []

    def start(_: int) -> bool:
        barrier.wait()
        try:
            loggers.append(Logger(logdir, "run"))
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(8))) == 1
    loggers[0].close()


# -- "a" and resume --------------------------------------------------------------------

CONTINUED = [{"mode": "a"}, {"resume": True}]


@pytest.mark.parametrize("how", CONTINUED)
@pytest.mark.parametrize("ends", [True, False])
def test_nothing_changes_before_the_first_value(
    how: dict[str, Any], ends: bool, logdir: Path
) -> None:
    """Neither by opening, nor by calls that are refused or only look, nor by the end.

    This holds if an exception ends the block, too.
    """
    run = made(logdir)
    before = contents(run)
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run", **how) as logger:
        assert contents(run) == before
        logger.add_parameters({"tau": 10.0})  # those of the run
        logger.describe("new", "text")
        logger.window("w", every=10)
        logger.add_metrics({})
        assert logger.last["a"] == 2.0
        with pytest.raises(TypeError):
            logger.add_scalar("a", None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="already holds data"):
            logger.add_text("a", "text")
        logger.log({})
        if ends:
            logger.close()
        assert contents(run) == before
        raise ZeroDivisionError
    assert contents(run) == before
    assert Run(run).status == "finished"


@pytest.mark.parametrize("how", CONTINUED)
@pytest.mark.parametrize("wrong", [{"tau": 20.0}, {}, {"tau": 10.0, "seed": 1}])
def test_other_parameters_are_refused(
    how: dict[str, Any], wrong: dict[str, Any], logdir: Path
) -> None:
    """The run is then what it was, byte for byte, or goes on with its own."""
    run = made(logdir)
    before = contents(run)
    with (
        pytest.raises(
            ValueError, match=r"add_parameters\(params\): the param.*tau|seed"
        ),
        Logger(logdir, "run", **how) as logger,
    ):
        logger.add_parameters(wrong)
    assert contents(run) == before
    with Logger(logdir, "run", **how) as logger:
        logger.add_scalar("a", 3)
        with pytest.raises(ValueError, match="must be those of the run"):
            logger.add_parameters(wrong)
        with pytest.raises(ValueError, match="group must be that of the run, None"):
            logger.add_parameters({"tau": 10}, group="g")
        logger.add_parameters({"tau": 10})
    assert Run(run).params == {"tau": 10.0}


@pytest.mark.parametrize("how", CONTINUED)
@pytest.mark.parametrize(
    "log",
    [
        lambda logger: logger.add_scalar("new", 1),
        lambda logger: logger.add_scalars("plot", {"other": 1}),
        lambda logger: logger.writer.add_text("new", "text"),
        lambda logger: logger.add_metrics({"new": 1}),
        lambda logger: logger.save_checkpoint("new", 4),
    ],
)
def test_the_first_value_begins_the_session(
    how: dict[str, Any], log: Callable[[Logger], None], logdir: Path
) -> None:
    """Whatever it is: run.json says that the run is running, then that it ended."""
    run = made(logdir)
    with Logger(logdir, "run", **how) as logger:
        log(logger)
        assert Run(run).status == "running"
        kinds = [session["kind"] for session in Run(run).sessions]
        assert kinds == ["new", "append" if "mode" in how else "resume"]
    assert Run(run).status == "finished"
    assert Run(run).info["restarts"] == ("resume" in how)


def test_a_resumed_run_with_nothing_left_to_do_is_finished(logdir: Path) -> None:
    """It was killed after its last checkpoint; its job is queued again."""

    def work() -> None:
        logger = Logger(logdir, "run")
        logger.add_scalar("a", 1)
        logger.save_checkpoint("all done", 1)
        logger.add_scalar("a", 2)
        os.kill(os.getpid(), signal.SIGKILL)

    assert died(work)
    with Logger(logdir, "run", resume=True) as logger:
        assert logger.load_checkpoint() == ("all done", 1)
        assert Run(logger.run_dir).status == "killed"
    assert Run(logdir / "run").status == "finished"
    assert scalars(logdir / "run", "a") == [(0, 1)]


def test_the_data_to_be_cut_off_do_not_count(logdir: Path) -> None:
    """Neither their steps, nor their kinds, nor their values, before they are cut."""
    with Logger(logdir, "run") as logger:
        logger.log({"a": 1, "b": 1})
        logger.add_scalars("plot", {"x": 1})
        logger.save_checkpoint("state", 1)
        logger.log({"a": 2, "b": 2, "late": 2})
        logger.add_scalars("plot", {"x": 2, "y": 2})
    with Logger(logdir, "run", resume=True) as logger:
        assert dict(logger.last) == {"a": 1.0, "b": 1.0, "plot": {"x": 1.0}}
        logger.add_text("late", "another kind")
        logger.add_scalar("a", 3)
        logger.add_scalars("plot", {"x": 3, "y": 3})
        assert logger.last["a"] == 3
    assert scalars(logdir / "run", "a") == [(0, 1), (1, 3)]
    assert scalars(logdir / "run" / "x", "plot") == [(0, 1), (1, 3)]
    assert scalars(logdir / "run" / "y", "plot") == [(1, 3)]


def test_a_run_resumed_by_two_is_continued_by_the_first_to_log(logdir: Path) -> None:
    """The other one is refused, and has changed nothing."""
    made(logdir)
    with Logger(logdir, "run", resume=True) as late:
        with Logger(logdir, "run", resume=True) as early:
            early.add_scalar("a", 3)
            with pytest.raises(RuntimeError, match="another Logger has opened it"):
                late.add_scalar("a", 4)
            early.add_scalar("a", 5)
        with pytest.raises(RuntimeError, match="another Logger has opened it"):
            late.add_scalar("a", 6)
    assert [value for _, value in scalars(logdir / "run", "a")] == [0, 1, 2, 3, 5]
    assert Run(logdir / "run").info["restarts"] == 1


def fork(logger: Logger) -> None:
    assert in_child(lambda: logger.add_scalar("a", 3)) == 0


def send(logger: Logger) -> None:
    copy = pickle.loads(pickle.dumps(logger))
    copy.add_scalar("a", 3)
    copy.close()


@pytest.mark.parametrize("how", CONTINUED)
@pytest.mark.parametrize("elsewhere", [fork, send])
def test_a_copy_may_begin_the_session(
    how: dict[str, Any], elsewhere: Callable[[Logger], None], logdir: Path
) -> None:
    """Its Logger then sets the status, also if it logs nothing itself."""
    run = made(logdir)
    for more in (0, 1):
        with Logger(logdir, "run", **how) as logger:
            elsewhere(logger)
            assert Run(run).status == "running"
            for _ in range(more):
                logger.add_scalar("mine", 4)
        assert Run(run).status == "finished"
        assert len(Run(run).sessions) == 2 + more
    values = [value for _, value in scalars(run, "a")]
    assert values == ([0, 1, 2, 3, 3] if "mode" in how else [0, 1, 2, 3])
    assert not Run(run).damage()


def test_a_run_that_does_not_exist_is_started_in_every_mode(logdir: Path) -> None:
    """All agree on what a new run is."""
    for number, how in enumerate(({}, *CONTINUED, {"mode": "w"}, {"mode": "x"})):
        with Logger(logdir, f"run{number}", **how) as logger:  # type: ignore[arg-type]
            assert Run(logger.run_dir).status == "running"
            logger.add_scalar("a", 1)
        [session] = Run(logger.run_dir).sessions
        assert (session["kind"], session["status"]) == ("new", "finished")


# -- "w" -------------------------------------------------------------------------------


def test_a_run_is_started_over(logdir: Path) -> None:
    """What this package wrote is gone; files of the user's and other runs stay."""
    run = made(logdir)
    with Logger(logdir, "run/inner") as inner:
        inner.add_scalar("a", 1)
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 5)
    inside = contents(run / "inner")
    (run / "checkpoints" / "readme.txt").write_text("mine")
    Run(run).add_note("the best so far")
    with Logger(logdir, "run", mode="w") as logger:
        assert Run(run).tags() == {}
        logger.add_parameters({"tau": 20.0})
        logger.add_scalar("a", 7)
    assert scalars(run, "a") == [(0, 7)]
    there = contents(run)
    assert {name for name in there if "tfevents" not in name} == {
        *("run.json", "mine/net.txt", "curve/mine.txt", "checkpoints/readme.txt"),
        "inner/run.json",
    }
    assert contents(run / "inner") == inside
    info = Run(run).info
    assert info["params"] == {"tau": 20.0}
    assert (info["restarts"], info["checkpoint"]) == (0, None)
    assert "starting_over" not in info
    assert [note["text"] for note in Run(run).notes] == ["the best so far"]
    assert [session["kind"] for session in Run(run).sessions] == ["new"]


def test_starting_over_may_be_killed_anywhere(logdir: Path, tmp_path: Path) -> None:
    """The next Logger finds the whole old run, or none of it: never a mixture."""
    run = made(logdir)
    number, killed = 0, True
    while killed:
        for how in ({"mode": "a"}, {"resume": True}, {"mode": "w"}, {}):
            copy = tmp_path / f"copy{number}"
            shutil.copytree(run, copy / "run")

            def start(copy: Path = copy, number: int = number) -> None:
                kill_before(number, copy)
                Logger(copy, "run", mode="w")
                os._exit(0)

            killed = died(start)
            old = Run(copy / "run").params == {"tau": 10.0}
            try:
                with Logger(copy, "run", **how) as logger:  # type: ignore[arg-type]
                    logger.add_scalar("a", 9)
            except FileExistsError:
                assert old
                assert how == {}
            wanted = [0, 1, 2] if old and how.get("mode") != "w" else []
            found = [value for _, value in scalars(copy / "run", "a")]
            assert found == wanted + ([9] if how or not old else [])
            assert (copy / "run" / "mine" / "net.txt").exists()
            assert bool(list((copy / "run").glob("curve/*tfevents*"))) == bool(wanted)
            shutil.rmtree(copy)
        number += 1
    assert number > 10


@pytest.mark.parametrize("mode", ["w", "x"])
def test_a_run_being_written_is_left_alone(mode: str, logdir: Path, other: Any) -> None:
    """By another process, or perhaps on another host."""
    process = other(logdir, "run", "logger.add_scalar('a', 1)")
    before = contents(logdir / "run")
    refused = RuntimeError if mode == "w" else FileExistsError
    with pytest.raises(refused, match=f"process {process.pid} of this host is still"):
        Logger(logdir, "run", mode=mode)  # type: ignore[arg-type]
    assert contents(logdir / "run") == before
    record = logdir / "run" / "run.json"
    record.write_text(record.read_text().replace(f'"{HOST}"', '"elsewhere"'))
    before = contents(logdir / "run")
    with pytest.raises(refused, match="reads 'running' on the host elsewhere"):
        Logger(logdir, "run", mode=mode)  # type: ignore[arg-type]
    assert contents(logdir / "run") == before


def test_a_cell_of_a_notebook_may_be_run_again(logdir: Path) -> None:
    """With mode="w": the Logger that it left open is closed, with one warning."""
    for number in range(3):
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            logger = Logger(logdir, "run", mode="w")
            logger.add_parameters({"tau": number})
            logger.add_scalar("a", number)
        said = [str(warning.message) for warning in given]
        assert len(said) == min(number, 1), said
        assert all("was still open" in text for text in said)
        if given:
            assert given[0].filename == __file__
    logger.close()
    assert scalars(logdir / "run", "a") == [(0, 2)]
    assert Run(logdir / "run").params == {"tau": 2}


def test_a_cell_that_appends_may_be_run_again(logdir: Path) -> None:
    """Without a close: the run has the status of the Logger made last."""
    for number in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of the one replaced
            logger = Logger(logdir, "run", mode="a")
            logger.add_scalar("a", number)
    logger.close()
    assert scalars(logdir / "run", "a") == [(0, 0), (1, 1), (2, 2)]
    assert Run(logdir / "run").status == "finished"


def test_a_cell_with_the_default_mode_is_refused(logdir: Path) -> None:
    """The open Logger goes on."""
    with Logger(logdir, "run") as logger:
        for _ in range(2):
            with pytest.raises(FileExistsError, match="another Logger of this process"):
                Logger(logdir, "run")
        logger.add_scalar("a", 1)
    assert scalars(logdir / "run", "a") == [(0, 1)]


def test_a_forked_process_does_not_close_its_parents_logger(logdir: Path) -> None:
    """It is told that its parent is still writing."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)

        def work() -> None:
            with pytest.raises(RuntimeError, match="process .* is still writing"):
                Logger(logdir, "run", mode="w")

        assert in_child(work) == 0
        logger.add_scalar("a", 2)
    assert scalars(logdir / "run", "a") == [(0, 1), (1, 2)]


# -- ranks and workers -----------------------------------------------------------------


def test_others_join_a_run_while_it_is_written(logdir: Path, other: Any) -> None:
    """The process that made it sets its status; each has its session."""
    run = logdir / "run"
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"tau": 10.0})
        rank = other(logdir, "run", "logger.add_scalar('rank', 1)", mode="a")
        assert Run(run).info["pid"] == os.getpid()
        tell(rank, "logger.add_parameters({'tau': 10.0})")
        tell(rank, "logger.add_metrics({'of the rank': 1.0})")
        tell(rank, "logger.close()")
        assert Run(run).status == "running"
        logger.add_scalar("mine", 1)
    assert Run(run).status == "finished"
    assert Run(run).metrics == {"of the rank": 1.0}
    one, two = Run(run).sessions
    assert (one["kind"], one["pid"], one["status"]) == ("new", os.getpid(), "finished")
    assert (two["kind"], two["pid"], two["status"]) == ("append", rank.pid, "finished")
    assert set(Run(run).tags()) == {"rank", "mine", "of the rank"}


def test_the_end_of_a_rank_does_not_hide_how_the_run_ended(
    logdir: Path, other: Any
) -> None:
    """A run whose own process was killed or failed stays so."""
    main_process = other(logdir, "run", "logger.add_scalar('a', 1)")
    rank = other(logdir, "run", "logger.add_scalar('rank', 1)", mode="a")
    main_process.kill()
    main_process.wait()
    tell(rank, "logger.close()")
    assert Run(logdir / "run").status == "killed"
    statuses = [session["status"] for session in Run(logdir / "run").sessions]
    assert statuses == ["killed", "finished"]


# -- sessions --------------------------------------------------------------------------


def test_every_opening_is_kept(logdir: Path) -> None:
    """With how it ended, which a later append does not overwrite; show prints it."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        logger.save_checkpoint("state", 1)
        raise ZeroDivisionError("too early")
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 2)
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 3)
        assert [s["status"] for s in Run(logger.run_dir).sessions][-1] == "running"
    found = Run(logdir / "run").sessions
    assert [session["kind"] for session in found] == ["new", "append", "resume"]
    statuses = [session["status"] for session in found]
    assert statuses == ["failed", "finished", "finished"]
    assert found[0]["error"]["message"] == "too early"
    for session in found:
        assert session["start"] <= session["end"]
        assert (session["host"], session["pid"]) == (HOST, os.getpid())
        assert session.keys() >= {"command", "commit"}
    info = Run(logdir / "run").info
    assert (info["status"], info["error"]) == ("finished", None)
    assert info["session_count"] == 3
    said = CliRunner().invoke(main, ["show", str(logdir / "run")]).output
    assert said.count("session  ") == 3
    assert "new: failed" in said
    assert "ZeroDivisionError: too early" in said


def test_the_last_hundred_are_kept_and_all_are_counted(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may be requeued for ever."""
    monkeypatch.setattr(sessions, "KEPT", 4)
    for number in range(7):
        with Logger(logdir, "run", mode="a") as logger:
            logger.add_scalar("a", number)
    info = Run(logdir / "run").info
    assert len(info["sessions"]) == 4
    assert info["session_count"] == 7
    assert [session["kind"] for session in info["sessions"]] == ["append"] * 4


@pytest.mark.parametrize("text", ["null", "3", "[3, null]", '[{"status": 5}, {}]'])
def test_sessions_that_somebody_changed_stop_nothing(text: str, logdir: Path) -> None:
    """Whatever they are, the run is read, shown and appended to."""
    run = made(logdir)
    info = json.loads((run / "run.json").read_text())
    info["sessions"] = json.loads(text)
    (run / "run.json").write_text(json.dumps(info))
    assert all(session["status"] for session in Run(run).sessions)
    assert CliRunner().invoke(main, ["show", str(run)]).exit_code == 0
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1)
    assert Run(run).sessions[-1]["status"] == "finished"


# -- branches --------------------------------------------------------------------------


def branched(logdir: Path, name: str = "b", parent: str = "a", **how: Any) -> Logger:
    """Begin, or continue, a run from a checkpoint of another one."""
    return Logger(logdir, name, resume=logdir / parent, **how)


def test_a_branch_begins_from_the_checkpoint_of_its_parent(logdir: Path) -> None:
    """State, step and automatic steps go on; points and parameters are its own."""
    with Logger(logdir, "a", time_unit="s", dt=0.5) as logger:
        logger.add_parameters({"tau": 10.0})
        logger.describe("v", "in mV")
        for step in range(3):
            logger.add_scalar("v", step)
            logger.add_scalars("plot", {"curve": step})
            logger.add_image("image", [[1.0]])
        logger.save_checkpoint({"weights": np.arange(3)}, 30)
        logger.add_scalar("v", 99)
        before = contents(logdir / "a")
        with branched(logdir) as branch:  # its parent goes on
            state, step = branch.load_checkpoint()
            assert (state["weights"].tolist(), step) == ([0, 1, 2], 30)
            branch.add_parameters({"tau": 20.0})
            branch.describe("v", "in mV, too")
            branch.add_scalar("v", 3)
            branch.add_scalars("plot", {"curve": 3, "new": 3})
            branch.add_image("image", [[1.0]])
            branch.add_scalar("new", 0)
            branch.add_scalar("timed", 1.0, time=20.0)
        assert contents(logdir / "a") == before
    run = Run(logdir / "b")
    assert scalars(run.path, "v") == [(3, 3)]
    assert scalars(run.path / "curve", "plot") == [(3, 3)]
    assert [point.step for point in points(run.path, "image")] == [3]
    assert scalars(run.path, "new") == [(0, 0)]
    assert scalars(run.path, "timed") == [(40, 1)]
    assert points(run.path, "v")[0].proto.metadata.summary_description == "in mV, too"
    assert (run.params, run.time_unit) == ({"tau": 20.0}, "s")
    assert (run.info["parent"], run.info["parent_step"]) == ("../a", 30)
    assert [session["kind"] for session in run.sessions] == ["branch"]
    assert "parent" in CliRunner().invoke(main, ["show", str(run.path)]).output


def test_a_branch_hides_no_points_of_its_parent(logdir: Path) -> None:
    """Its steps may be any: there is no warning."""
    made(logdir, "a")
    with branched(logdir) as branch:
        branch.add_scalar("a", 1, 0)
        branch.add_text("plot", "another kind than there")
    assert scalars(logdir / "b", "a") == [(0, 1)]


def test_a_branch_goes_on_from_its_own_checkpoint(logdir: Path) -> None:
    """The same call continues it, as in a job that is queued again."""
    made(logdir, "a")
    with branched(logdir) as branch:
        assert branch.load_checkpoint() == ("state", 3)
        branch.add_scalar("a", 10)
        branch.save_checkpoint("own", 4)
        branch.add_scalar("a", 11)
    shutil.rmtree(logdir / "a")  # it is not needed any more
    for how in ({}, {"again": True}):
        with branched(logdir) as branch:
            assert branch.load_checkpoint() == ("own", 4)
            branch.add_scalar("a", 12)
            branch.add_scalars("plot", {"curve": 1})
            assert how is not None
    assert scalars(logdir / "b", "a") == [(3, 10), (4, 12)]
    assert scalars(logdir / "b" / "curve", "plot") == [(3, 1)]
    kinds = [session["kind"] for session in Run(logdir / "b").sessions]
    assert kinds == ["branch", "resume", "resume"]


def test_a_branch_without_a_checkpoint_begins_where_it_began(logdir: Path) -> None:
    """Even if its parent has gone on since; a warning says where its data are kept."""
    made(logdir, "a")
    with branched(logdir) as branch:
        branch.add_parameters({"tau": 1})
        branch.add_scalar("a", 10)
    with Logger(logdir, "a", resume=True) as parent:
        for step in (5, 6, 7):
            parent.add_scalar("a", step)
            parent.save_checkpoint("later", step)
    for how in (logdir / "a", str(logdir / "a"), True):
        with (
            pytest.warns(UserWarning, match=r"starts over from that of \.\./a"),
            Logger(logdir, "b", resume=how) as branch,
        ):
            assert branch.load_checkpoint() == ("state", 3)
            branch.add_parameters({"tau": 1})
            branch.add_scalar("a", 11)
    assert scalars(logdir / "b", "a") == [(3, 11)]
    assert Run(logdir / "b").info["parent_step"] == 3


def test_beginning_a_branch_may_be_killed_anywhere(
    logdir: Path, tmp_path: Path
) -> None:
    """The same call then begins it."""
    made(logdir, "a")
    number, killed = 0, True
    while killed:
        copy = tmp_path / f"copy{number}"
        shutil.copytree(logdir, copy)

        def start(copy: Path = copy, number: int = number) -> None:
            kill_before(number, copy)
            branched(copy)
            os._exit(0)

        killed = died(start)
        with branched(copy) as branch:
            assert branch.load_checkpoint() == ("state", 3)
            branch.add_scalar("a", 3)
        assert scalars(copy / "b", "a") == [(3, 3)]
        assert Run(copy / "b").info["parent_step"] == 3
        shutil.rmtree(copy)
        number += 1
    assert number > 8


def test_a_branch_has_one_parent(logdir: Path) -> None:
    """Another one is refused, and so is one for a run that has none."""
    for name in ("a", "other"):
        made(logdir, name)
    with branched(logdir) as branch:
        branch.add_scalar("a", 1)
    before = contents(logdir)
    with pytest.raises(ValueError, match=r"began, which is .*runs/a, got '.*other'"):
        branched(logdir, "b", "other")
    with pytest.raises(ValueError, match=r"began, which is none, got .*a'; to go on"):
        branched(logdir, "other", "a")
    with pytest.raises(ValueError, match="which is none"):
        branched(logdir, "a", "a")
    assert contents(logdir) == before


def test_runs_that_moved_together_still_know_each_other(
    logdir: Path, tmp_path: Path
) -> None:
    """The parent's path is relative to the run."""
    made(logdir, "deep/a")
    with branched(logdir, "b", "deep/a") as branch:
        branch.add_scalar("a", 1)
        branch.save_checkpoint("own", 5)
    moved = logdir.rename(tmp_path / "archive")
    with branched(moved, "b", "deep/a") as branch:
        assert branch.load_checkpoint() == ("own", 5)


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"mode": "r"}, ValueError, r"Logger: mode must be 'x' .*got 'r'"),
        ({"mode": 1}, ValueError, "Logger: mode must be"),
        ({"experiment": None, "mode": "a"}, ValueError, "mode needs the name"),
        ({"experiment": None, "resume": True}, ValueError, "resume needs the name"),
        ({"mode": "a", "resume": True}, ValueError, "mode and resume exclude"),
        ({"mode": "x", "resume": "runs/a"}, ValueError, "mode and resume exclude"),
        ({"resume": "missing"}, FileNotFoundError, "there is no run .*missing"),
        ({"resume": "s3://a/b"}, ValueError, "resume must be a local directory"),
        ({"resume": "a\0b"}, ValueError, "resume must not contain a null character"),
        ({"resume": 3}, TypeError, "resume must be a bool, or the path of a run"),
        ({"experiment": "../run", "mode": "w"}, ValueError, "a name below logdir"),
        ({"experiment": "/run", "mode": "w"}, ValueError, "a name below logdir"),
    ],
)
def test_bad_arguments_create_nothing(
    arguments: dict[str, Any], error: type[Exception], said: str, logdir: Path
) -> None:
    """The error says what is wrong."""
    with pytest.raises(error, match=said):
        Logger(logdir, **{"experiment": "run", **arguments})
    assert not logdir.exists()


def test_a_branch_needs_a_checkpoint(logdir: Path) -> None:
    """From a run without one, nothing is created."""
    with Logger(logdir, "a") as logger:
        logger.add_scalar("a", 1)
    before = contents(logdir)
    with pytest.raises(ValueError, match=r"runs/a has no checkpoint to begin from"):
        branched(logdir)
    assert contents(logdir) == before
    assert not (logdir / "b").exists()


def test_flags_of_other_types_are_taken(logdir: Path) -> None:
    """NumPy's bool, and None from an option that was left out."""
    for number, flag in enumerate((np.True_, np.False_, None)):
        Logger(logdir, f"run{number}", resume=flag, mode=None).close()  # type: ignore[arg-type]
    assert len(list(logdir.iterdir())) == 3


# -- two scripts -----------------------------------------------------------------------

SCRIPT = """
import sys
from annarchy_tb import Logger
tau = float(sys.argv[1])
with Logger("runs", "decay", **eval(sys.argv[2])) as logger:
    logger.add_parameters({"tau": tau})
    v, first = logger.load_checkpoint(default=(1.0, 0))
    for step in range(first, first + 3):
        v *= 1 - 1 / tau
        logger.add_scalar("v", v, step)
    logger.save_checkpoint(v, first + 3)
"""


@pytest.mark.parametrize(
    ("how", "tau", "steps", "error"),
    [
        ({}, 10.0, 3, "FileExistsError"),
        ({"mode": "a"}, 10.0, 3, "ValueError"),
        ({"resume": True}, 10.0, 3, "ValueError"),
        ({"mode": "w"}, 20.0, 3, ""),
        ({"mode": "a"}, 10.0, 6, ""),
        ({"resume": True}, 10.0, 6, ""),
    ],
)
def test_a_script_run_twice_never_mixes_two_settings(
    how: dict[str, Any], tau: float, steps: int, error: str, tmp_path: Path
) -> None:
    """Run again with another tau, or the same one: the data is that of the params."""
    script = tmp_path / "decay.py"
    script.write_text(textwrap.dedent(SCRIPT))
    second = "20" if error or tau == 20.0 else "10"
    for number, (given, mode) in enumerate((("10", {}), (second, how))):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script), given, repr(mode)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert (done.returncode == 0) == (number == 0 or not error), done.stderr
    if error:
        assert f"\n{error}: " in done.stderr
    run = Run(tmp_path / "runs" / "decay")
    assert (run.params, run.status) == ({"tau": tau}, "finished")
    found = run.scalars("v")
    assert found.steps.tolist() == list(range(steps))
    np.testing.assert_allclose(found.values, (1 - 1 / tau) ** np.arange(1, steps + 1))


# -- killed between any two calls ------------------------------------------------------

NUMBERS = [0.0, np.nan, 1.0, np.inf, 2.0, np.nan]


def one_call(logger: Logger, number: int) -> None:
    """Make the call number `number` of a long sequence, the same each time."""
    value = NUMBERS[number % len(NUMBERS)]
    tag = f"tag{number % 4}"
    [
        lambda: logger.add_scalar(tag, value),
        lambda: logger.log({tag: value, "log": number}),
        lambda: logger.add_scalars("plot", {tag: value}),
        lambda: logger.add_series("series", [value, 0.0]),
        lambda: logger.add_metrics({f"metric{number}": number}),
        lambda: logger.save_checkpoint(number, number),
        lambda: logger.add_text("text", str(number)),
    ][number % 7]()


@pytest.mark.parametrize("how", CONTINUED)
@pytest.mark.filterwarnings("ignore:.*the value is")
@pytest.mark.filterwarnings("ignore:there is no checkpoint")
def test_a_run_killed_between_two_calls_continues_as_if_it_had_not(
    how: dict[str, Any], logdir: Path
) -> None:
    """Steps, values, metrics and tags that were not finite are those of one run."""
    calls = 20
    with Logger(logdir, "whole") as logger:
        for number in range(calls):
            one_call(logger, number)
    whole = Run(logdir / "whole")

    def table(run: Run) -> list[Any]:
        return [
            (tag, curve, points.steps.tolist(), points.values.tobytes())
            for tag, curve, points in sorted(run.points(), key=lambda item: item[:2])
        ]

    for kill in range(calls):
        name = f"killed{kill}"

        def work(kill: int = kill, name: str = name) -> None:
            logger = Logger(logdir, name)
            for number in range(kill):
                one_call(logger, number)
            os.kill(os.getpid(), signal.SIGKILL)

        assert died(work)
        with Logger(logdir, name, **how) as logger:
            first = kill
            if "resume" in how:
                state, _ = logger.load_checkpoint((-1, None))
                first = state + 1
            for number in range(first, calls):
                one_call(logger, number)
        run = Run(logdir / name)
        assert table(run) == table(whole)
        assert run.metrics == whole.metrics
        assert run.text("text").texts == whole.text("text").texts
        assert run.info["not_finite"].keys() == whole.info["not_finite"].keys()
        assert run.info["not_finite"].items() >= {"tag1": 0}.items()
        assert run.status == "finished"


# -- what once went wrong --------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:there is no checkpoint")
def test_data_that_a_resume_set_aside_count_as_data(logdir: Path) -> None:
    """The name is not free, and prune leaves them alone, although the run is empty."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run", resume=True) as logger:
        logger.add_parameters({"tau": 1})
        raise ZeroDivisionError
    assert list((logdir / "run" / "checkpoints").glob("cut-1/*"))
    with pytest.raises(FileExistsError):
        Logger(logdir, "run")
    said = CliRunner().invoke(main, ["prune", str(logdir), "--yes"]).output
    assert "nothing to remove" in said


@pytest.mark.parametrize("how", [{"mode": "w"}, {"resume": True}, {}])
def test_a_rank_that_outlives_the_run_is_not_cut_off(
    how: dict[str, Any], logdir: Path, other: Any
) -> None:
    """It joined, and still writes when the process that made the run has closed it."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        rank = other(logdir, "run", "logger.add_scalar('rank', 1)", mode="a")
        logger.save_checkpoint("state", 1)
    assert Run(logdir / "run").status == "finished"
    with pytest.raises((RuntimeError, FileExistsError), match=f"process {rank.pid}"):
        Logger(logdir, "run", **how)
    tell(rank, "logger.add_scalar('rank', 2)")
    tell(rank, "logger.close()")
    assert [value for _, value in scalars(logdir / "run", "rank")] == [1, 2]


def test_an_append_does_not_reach_a_run_that_was_started_over(
    logdir: Path, other: Any
) -> None:
    """Nor does a copy that has no file yet, and its results."""
    made(logdir)
    late = Logger(logdir, "run", mode="a")
    late.add_parameters({"tau": 10.0})
    process = other(logdir, "run", mode="w")
    tell(process, "logger.add_parameters({'tau': 20.0})")
    tell(process, "logger.close()")
    with pytest.raises(RuntimeError, match="can't be appended to: another Logger has"):
        late.add_scalar("a", 3)
    late.close()
    assert Run(logdir / "run").tags() == {}
    assert Run(logdir / "run").params == {"tau": 20.0}


def test_a_copy_does_not_reach_a_run_that_was_started_over(logdir: Path) -> None:
    """It is told so, and its results do not get there."""
    first = Logger(logdir, "run")
    first.add_scalar("a", 1)
    fresh = pickle.dumps(first)

    def work() -> None:
        copy = pickle.loads(fresh)
        with pytest.raises(RuntimeError, match="can't be continued: another Logger"):
            copy.add_scalar("copy", 1)
        with pytest.warns(UserWarning, match="was started over by another Logger"):
            copy._info.update({"copy": 1.0})
        copy.close()

    with pytest.warns(UserWarning, match="was still open"):
        second = Logger(logdir, "run", mode="w")
    second.add_scalar("a", 2)
    assert in_child(work) == 0
    second.close()
    assert scalars(logdir / "run", "a") == [(0, 2)]
    assert Run(logdir / "run").metrics == {}


@pytest.mark.parametrize("how", CONTINUED)
def test_a_signal_handler_may_log_while_a_session_begins(
    how: dict[str, Any], logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it interrupts: its value is kept, and so are all that follow."""
    made(logdir)
    interrupted = [
        (info_file, "_write"),
        (checkpoints, "remove_leftovers"),
        (opening, "exclusive"),
        (paths, "event_files"),
        (event_file, "create"),
    ]
    for number, (module, name) in enumerate(interrupted):
        copy = logdir / f"copy{number}"
        shutil.copytree(logdir / "run", copy)
        logger = Logger(logdir, copy.name, **how)
        wanted = getattr(module, name, None) or getattr(module, f"_{name}")
        calls = []

        def handle(*_: object, logger: Logger = logger) -> None:
            logger.add_scalar("signal", 7)

        def call(*arguments: Any, calls: Any = calls, wanted: Any = wanted) -> Any:
            if not calls:
                calls.append(1)
                signal.raise_signal(signal.SIGALRM)
            return wanted(*arguments)

        before = signal.signal(signal.SIGALRM, handle)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(module, wanted.__name__, call)
                logger.add_scalar("a", 3)
        finally:
            signal.signal(signal.SIGALRM, before)
        logger.add_scalar("a", 4)
        logger.close()
        assert [value for _, value in scalars(copy, "a")] == [0, 1, 2, 3, 4]
        if calls:
            assert [value for _, value in scalars(copy, "signal")] == [7]
        assert Run(copy).status == "finished"


def test_a_resume_that_could_not_cut_is_not_finished(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk is full, records wait; whoever opens the run next cuts it."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        logger.save_checkpoint("state", 1)
        logger.add_scalar("a", 99)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "rewind", full)
        logger = Logger(logdir, "run", resume=True)
        with pytest.warns(UserWarning, match="refuses writes"):
            logger.add_scalar("a", 2)
        with pytest.raises(OSError, match="1 records of"):
            logger.close()
    assert Run(logdir / "run").status == "killed"
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 3)
    assert scalars(logdir / "run", "a") == [(0, 1), (1, 3)]
    assert "rewinding" not in Run(logdir / "run").info


def test_data_that_cannot_be_read_count_as_data(logdir: Path) -> None:
    """A damaged file, or one that has only a graph, is not removed."""
    with Logger(logdir, "damaged") as logger:
        logger.add_scalar("a", 1)
    [path] = logger.run_dir.glob("*tfevents*")
    data = bytearray(path.read_bytes())
    data[9] ^= 1
    path.write_bytes(data)
    with Logger(logdir, "graph") as logger:
        event = Event(graph_def=b"a graph").SerializeToString()
        logger._file.append(records.record(event))
    for name in ("damaged", "graph"):
        with pytest.raises(FileExistsError):
            Logger(logdir, name)


def test_named_hyper_parameters_begin_the_session(logdir: Path) -> None:
    """They go into a sub-run, which a resume must not cut off afterwards."""
    made(logdir)
    with Logger(logdir, "run", resume=True) as logger:
        logger.writer.add_hparams({"x": 1}, {"loss": 1.0}, name="set1")
        assert Run(logger.run_dir).status == "running"
        logger.add_scalar("a", 3)
    assert list((logdir / "run" / "set1").glob("*tfevents*"))


def test_a_branch_has_a_row_of_its_own(logdir: Path) -> None:
    """Its parent's parameters do not take its place in HPARAMS."""
    made(logdir, "a")
    with branched(logdir) as branch:
        branch.add_parameters({"seed": 4})
        branch.add_scalar("a", 1)
    tags = [point.tag for point in load(logdir / "b")]
    assert tags.count("_hparams_/session_start_info") == 1
    assert tags.count("_hparams_/session_end_info") == 1


def test_a_branch_killed_before_its_first_value_keeps_its_point(logdir: Path) -> None:
    """Its parent has gone on, and then is removed."""
    made(logdir, "a")
    with branched(logdir) as branch:
        branch.add_parameters({"seed": 4})
    with Logger(logdir, "a", mode="a") as parent:
        for step in (5, 6, 7):
            parent.save_checkpoint("later", step)
    for _ in range(2):
        with branched(logdir) as branch:
            assert branch.load_checkpoint() == ("state", 3)
        shutil.rmtree(logdir / "a", ignore_errors=True)


def test_a_branch_of_a_branch_counts_on(logdir: Path) -> None:
    """Also in tags that only the first of the three has."""
    made(logdir, "a")
    with branched(logdir) as branch:
        branch.add_scalar("other", 1)
        branch.save_checkpoint("state of b", 4)
    with branched(logdir, "c", "b") as branch:
        branch.add_scalar("a", 3)
        branch.add_scalars("plot", {"curve": 3})
        branch.add_scalar("other", 2)
    assert scalars(logdir / "c", "a") == [(3, 3)]
    assert scalars(logdir / "c" / "curve", "plot") == [(3, 3)]
    assert scalars(logdir / "c", "other") == [(1, 2)]


@pytest.mark.filterwarnings("ignore:there is no checkpoint")
def test_a_branch_through_links_is_continued(logdir: Path, tmp_path: Path) -> None:
    """Directories on a cluster often are links, and so may archives be."""
    scratch = tmp_path / "scratch" / "deep"
    scratch.mkdir(parents=True)
    linked = tmp_path / "home"
    linked.symlink_to(scratch)
    run = made(logdir, "a")
    archive = run / "checkpoints" / "000001.zip"
    archive.rename(run / "big.bin")
    archive.symlink_to(run / "big.bin")
    for _ in range(2):
        with Logger(linked, "b", resume=run) as branch:
            assert branch.load_checkpoint() == ("state", 3)
            branch.add_scalar("a", 3)
    assert (scratch / "b" / Run(scratch / "b").info["parent"]).resolve() == run


def test_a_branch_with_settings_that_clash_creates_nothing(logdir: Path) -> None:
    """The origin is its parent's, and does not go with the unit given."""
    with Logger(logdir, "a", time_unit="d", origin=datetime(2001, 5, 1)) as logger:
        logger.save_checkpoint("state", 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="origin must go with a time_unit"):
            branched(logdir, time_unit="ns")
    assert not (logdir / "b").exists()


def test_an_append_counts_on_from_what_others_wrote_meanwhile(
    logdir: Path, other: Any
) -> None:
    """Between the making of the Logger and its first value."""
    made(logdir)
    with Logger(logdir, "run", mode="a") as logger:
        process = other(logdir, "run", mode="a")
        for value in (3, 4):
            tell(process, f"logger.add_scalar('a', {value})")
        tell(process, "logger.close()")
        logger.add_scalar("a", 5)
    assert scalars(logdir / "run", "a") == [(i, i) for i in range(6)]


def test_loading_a_checkpoint_is_no_append(logdir: Path) -> None:
    """With mode="a" it changes nothing, as a resume does at its end."""
    before = contents(made(logdir))
    with Logger(logdir, "run", mode="a") as logger:
        assert logger.load_checkpoint() == ("state", 3)
    assert contents(logdir / "run") == before


def test_a_logger_is_not_closed_for_a_start_that_is_refused(logdir: Path) -> None:
    """Here, because a file of another writer is in the way; links are seen through."""
    link = logdir.parent / "link"
    link.symlink_to(logdir)
    with Logger(logdir, "run") as logger:
        with tensorboardX.SummaryWriter(str(logger.run_dir)) as theirs:
            theirs.add_scalar("theirs", 1, 1)
        with pytest.raises(FileExistsError, match="another writer"):
            Logger(logdir, "run", mode="w")
        logger.add_scalar("a", 1)
        assert not logger.closed
        for path in logger.run_dir.glob("*tfevents*"):
            if path != logger._file.path:
                path.unlink()
        with pytest.warns(UserWarning, match="was still open"):
            Logger(link, "run", mode="w").close()
        assert logger.closed


def test_a_curve_of_a_run_is_not_started_over(logdir: Path) -> None:
    """Its directory is no run."""
    run = made(logdir)
    before = contents(run)
    with pytest.raises(FileExistsError, match=f"it is a curve of the run {run}"):
        Logger(logdir, "run/curve", mode="w")
    assert contents(run) == before


@pytest.mark.parametrize("how", CONTINUED)
def test_a_record_deleted_before_the_first_value_is_written_again(
    how: dict[str, Any], logdir: Path
) -> None:
    """With what the Logger had read."""
    made(logdir)
    with Logger(logdir, "run", **how) as logger:
        (logger.run_dir / "run.json").unlink()
        logger.add_scalar("a", 3)
    assert Run(logdir / "run").params == {"tau": 10.0}
    assert Run(logdir / "run").status == "finished"


def test_a_rank_may_log_the_parameters(logdir: Path, other: Any) -> None:
    """With their group, and save the checkpoints."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        rank = other(logdir, "run", mode="a")
        tell(rank, "logger.add_parameters({'tau': 1}, group='g')")
        tell(rank, "logger.save_checkpoint('state', 7)")
        tell(rank, "logger.close()")
    info = Run(logdir / "run").info
    assert (info["params"], info["group"], info["checkpoint"]) == ({"tau": 1}, "g", 7)


def test_a_resume_refused_at_its_end_is_closed(logdir: Path) -> None:
    """It loaded the checkpoint, and another Logger took the run."""
    made(logdir)
    late = Logger(logdir, "run", resume=True)
    late.load_checkpoint()
    with Logger(logdir, "run", resume=True) as early:
        early.add_scalar("a", 3)
        with pytest.raises(RuntimeError, match="another Logger has opened it"):
            late.close()
        assert late.closed
        late.close()


def test_files_of_other_writers_survive_a_resume(logdir: Path) -> None:
    """Also in the directory of the run itself."""
    made(logdir)
    with tensorboardX.SummaryWriter(str(logdir / "run")) as theirs:
        theirs.add_scalar("theirs", 1, 1)
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 3)
    assert scalars(logdir / "run", "theirs") == [(1, 1)]


# -- the opening itself ----------------------------------------------------------------


def test_an_opening_is_judged_once(logdir: Path) -> None:
    """Copies join, whatever the mode: they were not asked to start anything over."""
    with Logger(logdir, "run", mode="w") as logger:
        logger.add_scalar("a", 1)
        copy = pickle.loads(pickle.dumps(logger))
        with pytest.warns(UserWarning, match="was begun by the process"):
            copy.add_scalar("a", 2)
        copy.close()
    assert [value for _, value in scalars(logdir / "run", "a")] == [1, 2]
    assert isinstance(logger._opening, Opening)
