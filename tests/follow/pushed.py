"""Helpers for the tests of all followers: a run of every kind, and real followers."""

from __future__ import annotations

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from annarchy_tb import Logger, Run
from annarchy_tb.follow import Target
from annarchy_tb.follow.loop import Loop
from annarchy_tb.follow.state import State, folders
from annarchy_tb.reading import News

TIMEOUT = 60.0  # seconds for what takes one


def every_kind(logger: Logger, step: int) -> None:
    """Log data of every kind."""
    logger.add_scalar("a", step / 3, step)
    logger.log({"b": step, "c [mV]": -step}, step, time=step / 7)
    logger.add_scalars("plot", {"x": step, "y": -step}, step)
    logger.add_series("s", np.arange(step * 10.0, step * 10.0 + 10.0))
    logger.add_series(["t", "u"], np.full((3, 2), step, np.int16))
    logger.add_text("text", f"step {step}", step)
    logger.add_html("html", f"<b>step {step}</b>", step)
    logger.add_image("image", np.eye(4), step)
    logger.add_histogram("histogram", np.arange(step + 3.0), step)
    logger.add_audio("audio", np.zeros(10), step, rate=8000)
    logger.add_raster("raster", {0: [1, 2]}, step)


def of_every_kind(logdir: Path, name: str = "run", steps: int = 3) -> Path:
    """Write a finished run with data of every kind; return its directory."""
    with Logger(logdir, name) as logger:
        logger.add_parameters({"tau": 10.0, "net/size": 100, "rule": "STDP"})
        for step in range(steps):
            every_kind(logger, step)
        logger.add_metrics({"loss": 0.5})
    return logger.run_dir


def points_of(run: Path) -> list[tuple[str, str, int, float]]:
    """Return curve, tag, step and value of all points of a run, in a fixed order."""
    return sorted(
        (curve, tag, step, float(value))
        for tag, curve, its in Run(run).points()
        for step, value in zip(its.steps.tolist(), its.values.tolist(), strict=True)
    )


def start(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start ``annarchy-tb follow`` in a process of its own, which knows this module."""
    code = "from annarchy_tb.cli import main; main()"
    command = [sys.executable, "-c", code, "follow", *map(str, arguments)]
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(process: subprocess.Popen[Any], number: int = signal.SIGKILL) -> None:
    """Send a signal to a process, and wait until it has ended."""
    os.kill(process.pid, number)
    process.communicate(timeout=TIMEOUT)


def until(wanted: Callable[[], Any], what: str = "it") -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := wanted()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)
    return found


def looping(
    logdir: Path, *to: Any, said: list[str] | None = None, **options: Any
) -> Loop:
    """Return a loop over the runs below a directory, whose rounds the test makes."""
    say = (lambda message: None) if said is None else said.append
    return Loop([logdir], to, say=say, **options)


def catch_up(loop: Loop) -> None:
    """Have a loop look at everything now, and push all that there is."""
    loop.hurry()
    while loop.round():
        pass


def noted(logdir: Path) -> list[int]:
    """Return how many points of each run were pushed, as the states have it."""
    return [State.read(folder).pushed for folder in folders(logdir)]


# -- a server --------------------------------------------------------------------------


class Server(socketserver.ThreadingTCPServer):
    """A server that keeps the points it was sent, as often as they came.

    A request is a line of JSON, with the path of the run, and is answered by a line.

    Attributes
    ----------
    points : Counter
        How often each point came, as run, curve, tag, step and value.
    hangs : bool
        Whether it keeps requests, but does not answer them.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        self.points: Counter[tuple[str, str, str, int, float]] = Counter()
        self.ended: dict[str, str] = {}
        self.hangs = False
        self._goes_on = threading.Event()
        super().__init__(("127.0.0.1", port), Request)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        """The port."""
        return int(self.server_address[1])

    def stop(self) -> None:
        """End it; those that wait for an answer get none."""
        self._goes_on.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def take(self, request: Any) -> bool:
        """Keep a request; return whether it is answered."""
        for point in request.get("points", ()):
            key = (request["run"], *point)
            self.points[key] += 1
        if "status" in request:
            self.ended[request["run"]] = request["status"]
        if self.hangs:
            self._goes_on.wait()
        return not self.hangs


class Request(socketserver.StreamRequestHandler):
    """A connection."""

    server: Server

    def handle(self) -> None:
        """Answer requests."""
        for line in self.rfile:
            if not self.server.take(json.loads(line)):
                return
            self.wfile.write(b"ok\n")


class Post(Target):
    """``pushed.Post:PORT``: a line of JSON for each part, to a server on this machine.

    It waits for answers without end.
    """

    def begin(self, run: Run, kept: dict[str, Any], previous: Any) -> None:
        kept["run"] = (
            f"{run.path.name} after {previous['run']}" if previous else (run.path.name)
        )
        self._kept = kept

    def push(self, news: News) -> None:
        found = [
            [news.curve, tag, step, float(value)]
            for tag, its in news.points.items()
            for step, value in zip(its.steps.tolist(), its.values.tolist(), strict=True)
        ]
        self._send(points=found)

    def end(self, run: Run, status: str) -> None:
        self._send(status=status)

    def _send(self, **fields: Any) -> None:
        with socket.create_connection(("127.0.0.1", int(self.place))) as connection:
            line = json.dumps({**self._kept, **fields}) + "\n"
            connection.sendall(line.encode())
            if connection.makefile().readline() != "ok\n":
                raise ConnectionError("no answer")


def of_run(points: Counter[Any], run: str) -> list[tuple[str, str, int, float]]:
    """Return the different points that a server has of a run, as `points_of` does."""
    return sorted(key[1:] for key in points if key[0] == run)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file, each an object of JSON."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def points_in(found: Sequence[dict[str, Any]]) -> list[tuple[str, str, int, float]]:
    """Return the points in lines, as `points_of` does."""
    return sorted(
        (its["curve"], its["tag"], its["step"], its["value"])
        for its in found
        if "kind" not in its
    )
