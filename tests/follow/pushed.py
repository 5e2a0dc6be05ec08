"""Helpers for the tests of all followers: a run of every kind, and real followers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from annarchy_tb import Logger, Run

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
    """Start ``annarchy-tb follow`` in a process of its own."""
    code = "from annarchy_tb.cli import main; main()"
    command = [sys.executable, "-c", code, "follow", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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
