"""annarchy-tb view starts TensorBoard, and ends with it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annarchy_tb import Logger
from annarchy_tb.commands.view import SAMPLES

pytestmark = pytest.mark.timeout(600)  # TensorBoard may be slow to start and to load

SCRIPT = Path(sysconfig.get_path("scripts")) / "annarchy-tb"

POINTS, IMAGES = 3000, 30  # more than TensorBoard shows without settings


class View:
    """A running ``annarchy-tb view``."""

    def __init__(self, logdir: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [SCRIPT, "view", str(logdir), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().rstrip()
        self.url = self.address.partition("?")[0]

    def until(self, path: str, wanted: Callable[[Any], bool]) -> Any:
        """Repeat a request until the answer is as wanted."""
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}data/{path}") as answer:
                    found = json.load(answer)
                if wanted(found):
                    return found
            except (urllib.error.URLError, IndexError):
                pass  # the run is not loaded yet
            time.sleep(0.2)

    def descendants(self) -> list[int]:
        """Return the processes that it started."""
        told = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid="], text=True)
        pairs = [tuple(map(int, line.split())) for line in told.splitlines()]
        return [pid for pid, parent in pairs if parent == self.process.pid]

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; return the exit status, and what else it wrote."""
        self.process.send_signal(number)
        out, errors = self.process.communicate()
        return self.process.returncode, out, errors


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a run."""
    logdir = tmp_path_factory.mktemp("view") / "runs, of mine"
    with Logger(logdir, "run") as logger:
        for step in range(POINTS):
            logger.add_scalar("v", step, step)
        for step in range(IMAGES):
            logger.add_image("i", [[step / IMAGES]], step)
    return logdir


@pytest.fixture
def view() -> Iterator[Callable[..., View]]:
    """Return a function that starts it; all are ended."""
    started = []

    def start(*arguments: Any) -> View:
        started.append(View(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_shows_all_and_leaves_nothing(
    logdir: Path, view: Callable[..., View], number: signal.Signals
) -> None:
    """One line names the address; whatever ends it, no process goes on."""
    ours = view(logdir, "--port", "0")
    assert re.fullmatch(
        r"http://localhost:\d+/\?smoothing=0&runColorGroup=regex%3A\S+#timeseries",
        ours.address,
    )
    scalars = "plugin/scalars/scalars?run=run&tag=v"
    found = ours.until(scalars, lambda points: points[-1][1] == POINTS - 1)
    assert len(found) == POINTS
    [run] = ours.until("plugin/simulation/runs", lambda found: "runs" in found)["runs"]
    assert (run["name"], run["status"]) == ("run", "finished")
    images = "plugin/images/images?run=run&tag=i&sample=0"
    found = ours.until(images, lambda its: its[-1]["step"] == IMAGES - 1)
    assert len(found) == IMAGES
    others = ours.descendants()
    status, out, errors = ours.end(number)
    assert (status, out) == (-9 if number == signal.SIGKILL else 0, "")
    assert "Traceback" not in errors
    while not all(map(is_gone, others)):
        time.sleep(0.1)


def test_options_are_those_of_tensorboard(
    logdir: Path, view: Callable[..., View]
) -> None:
    """A sample that is named replaces ours."""
    ours = view(
        logdir, "--host", "127.0.0.1", "--port", "0", "--samples_per_plugin", "images=5"
    )
    assert ours.address.startswith("http://127.0.0.1:")
    images = "plugin/images/images?run=run&tag=i&sample=0"
    found = ours.until(images, lambda its: its[-1]["step"] == IMAGES - 1)
    assert len(found) == 5
    scalars = "plugin/scalars/scalars?run=run&tag=v"
    found = ours.until(scalars, lambda points: points[-1][1] == POINTS - 1)
    assert len(found) == POINTS <= SAMPLES["scalars"]


def test_a_port_in_use_is_a_line(logdir: Path) -> None:
    """It names the port; nothing is started."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        command = [SCRIPT, "view", str(logdir), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(port) in line


def test_a_host_that_is_none_is_a_line(logdir: Path) -> None:
    """There is no traceback."""
    command = [SCRIPT, "view", str(logdir), "--host", "nowhere.invalid"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_directory_without_runs_is_shown(
    tmp_path: Path, view: Callable[..., View]
) -> None:
    """It says so, and shows the runs that come."""
    ours = view(tmp_path, "--port", "0")
    with Logger(tmp_path, "later") as logger:
        logger.add_scalar("v", 1.0)
    ours.until("runs", lambda runs: bool(runs == ["later"]))
    _, out, errors = ours.end(signal.SIGINT)
    assert out == ""
    assert errors.startswith(f"There are no runs below {tmp_path} yet.")


def test_the_command_line_does_not_need_tensorboard() -> None:
    """Only `view` imports it."""
    code = "import sys, annarchy_tb.cli; assert 'tensorboard' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
