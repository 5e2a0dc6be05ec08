"""Runs of a command are followed beside it: ``annarchy-tb follow ... -- COMMAND``."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pushed import (
    Post,
    Server,
    lines,
    noted,
    of_run,
    points_in,
    points_of,
    start,
    until,
)

from annarchy_tb import Logger, Run
from annarchy_tb.follow import follow

SIMULATION = """
import os, signal, sys, time
from annarchy_tb import Logger

name, steps, end = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def say(number, _):
    print("got", signal.Signals(number).name, flush=True)
    if number in (signal.SIGINT, signal.SIGTERM):
        sys.exit(7)

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, say)
with Logger("runs", name) as logger:
    for step in range(steps):
        logger.add_scalar("x", step / 3, step)
    if end == "wait":
        print("waits", flush=True)
        while True:
            time.sleep(0.01)
    elif end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(end))
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a directory with a simulation."""
    (tmp_path / "sim.py").write_text(SIMULATION)
    return tmp_path


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server for `Post`."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def not_ignored() -> Iterator[None]:
    """Have signals reach what is started: nohup, or ``&``, has some ignored."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def beside(
    work: Path, to: str, *arguments: object, options: tuple[object, ...] = ()
) -> subprocess.Popen[str]:
    """Start a simulation with its follower."""
    simulation = (sys.executable, "sim.py", *arguments)
    return start("runs", "--to", to, *options, "--", *simulation, cwd=work)


def test_the_runs_of_a_command_are_pushed_and_its_status_is_returned(
    work: Path,
) -> None:
    """Only those that it begins: two jobs in one directory do not mix."""
    with Logger(work / "runs", "other") as other:
        other.add_scalar("x", 1.0)
        jobs = [beside(work, f"jsonl:{name}", name, 50, 3) for name in ("one", "two")]
        for job in jobs:
            _, said = job.communicate(timeout=60)
            assert job.returncode == 3, said
            assert "1 run, 50 points" in said
    for name in ("one", "two"):
        assert os.listdir(work / name) == [f"{name}.jsonl"]
        found = lines(work / name / f"{name}.jsonl")
        assert points_in(found) == points_of(work / "runs" / name)
        assert found[-1]["status"] == "finished"


def test_the_job_of_a_run_is_recorded(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In run.json and in each session; a session of no job leaves it in run.json."""
    monkeypatch.setenv("ANNARCHY_TB_JOB", "job 1")
    with Logger(work, "run") as logger:
        logger.add_scalar("x", 1.0)
        logger.save_checkpoint({}, 1)
    monkeypatch.delenv("ANNARCHY_TB_JOB")
    with Logger(work, "run", resume=True) as logger:
        logger.add_scalar("x", 2.0)
    info = Run(logger.run_dir).info
    assert info["job"] == "job 1"
    assert [its.get("job") for its in info["sessions"]] == ["job 1", None]
    monkeypatch.setenv("ANNARCHY_TB_JOB", "job 2")
    with Logger(work, "run", mode="a") as logger:
        logger.add_scalar("x", 3.0)
    assert Run(logger.run_dir).info["job"] == "job 2"
    monkeypatch.delenv("ANNARCHY_TB_JOB")
    with Logger(work, "none") as logger:
        logger.add_scalar("x", 1.0)
    assert "job" not in Run(logger.run_dir).info


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 7), (signal.SIGINT, 7), (signal.SIGKILL, 137)]
)
def test_signals_reach_the_command(
    work: Path, server: Server, number: int, code: int
) -> None:
    """Those that end it, and others; its status is that of a shell."""
    job = beside(work, f"pushed.Post:{server.port}", "run", 10, "wait")
    assert job.stdout is not None
    assert job.stdout.readline() == "waits\n"
    until(lambda: noted(work / "runs") == [10])
    if number == signal.SIGKILL:
        os.kill(Run(work / "runs" / "run").info["pid"], number)
    else:
        for other in (signal.SIGHUP, signal.SIGUSR1):
            job.send_signal(other)
            assert job.stdout.readline() == f"got {other.name}\n"
        job.send_signal(number)
        assert job.stdout.readline() == f"got {signal.Signals(number).name}\n"
    _, said = job.communicate(timeout=60)
    assert job.returncode == code
    assert "Traceback" not in said
    status = "killed" if number == signal.SIGKILL else "failed"
    assert server.ended == {"run": status}
    assert set(server.points.values()) == {1}


def test_ctrl_c_on_a_terminal_reaches_the_command_once(work: Path) -> None:
    """The terminal sends it to both, so the follower does not pass it on."""
    code = "from annarchy_tb.cli import main; main()"
    arguments = ["follow", "runs", "--to", "jsonl:out", "--", sys.executable, "sim.py"]
    follower, terminal = pty.fork()
    if not follower:
        os.chdir(work)
        command = [sys.executable, "-c", code, *arguments, "run", "10", "wait"]
        os.execv(sys.executable, command)
    shown = b""
    while b"waits" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # its other end is closed
        while more := os.read(terminal, 1000):
            shown += more
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(follower, 0)[1]) == 7
    assert shown.count(b"got SIGINT") == 1


def test_a_killed_simulation_is_pushed_to_its_last_point(work: Path) -> None:
    """Its status is 128 and the signal; that of its run is killed."""
    job = beside(work, "jsonl:out", "run", 20, "kill")
    job.communicate(timeout=60)
    assert job.returncode == 137
    found = lines(work / "out" / "run.jsonl")
    assert points_in(found) == points_of(work / "runs" / "run")
    assert found[-1]["status"] == "killed"


def test_a_server_that_hangs_is_given_up(work: Path, server: Server) -> None:
    """The simulation ends as it does alone; what was not pushed can be later."""
    server.hangs = True
    to = f"pushed.Post:{server.port}"
    job = beside(work, to, "run", 20, 5, options=("--give-up", "0.3s"))
    _, said = job.communicate(timeout=60)
    assert job.returncode == 5
    assert "there is no time left" in said
    assert Run(work / "runs" / "run").status == "finished"
    server.hangs = False
    server.points.clear()
    follow(work / "runs", (Post, str(server.port)))
    assert of_run(server.points, "run") == points_of(work / "runs" / "run")
    assert set(server.points.values()) == {1}


def test_a_signal_ends_the_wait_for_a_server(work: Path, server: Server) -> None:
    """After the command has ended, it is for the follower."""
    server.hangs = True
    job = beside(work, f"pushed.Post:{server.port}", "run", 20, 5)
    until(lambda: server.points)
    until(lambda: Run(work / "runs" / "run").status == "finished")
    run = Run(work / "runs" / "run").info["pid"]
    until(lambda: not Path(f"/proc/{run}").exists())
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=60)
    assert job.returncode == 5


def test_a_killed_follower_leaves_the_simulation_alone(
    work: Path, server: Server
) -> None:
    """It goes on, and another follower has all of it later."""
    job = beside(work, f"pushed.Post:{server.port}", "run", 10, "wait")
    assert job.stdout is not None
    assert job.stdout.readline() == "waits\n"
    until(lambda: noted(work / "runs") == [10])
    child = Run(work / "runs" / "run").info["pid"]
    job.kill()
    job.wait(60)
    assert Run(work / "runs" / "run").status == "running"
    os.kill(child, signal.SIGTERM)
    job.communicate(timeout=60)  # the simulation has the same streams
    follow(work / "runs", (Post, str(server.port)))
    assert server.ended == {"run": "failed"}
    assert set(server.points.values()) == {1}


def test_a_command_that_can_not_be_run_is_told(work: Path) -> None:
    """With the status of a shell; and one without runs is told, too."""
    for command, code, wanted in (
        ("no-such-command", 127, "no-such-command: No such file"),
        ("./sim.py", 126, "./sim.py: Permission denied"),
        ("false", 1, "the command began no run below"),
    ):
        job = start("runs", "--to", "jsonl:out", "--", command, cwd=work)
        _, said = job.communicate(timeout=60)
        assert job.returncode == code
        assert wanted in said
        assert said.count("\n") == 1
