"""Helpers for the tests of all hooks: reading times back, and running scripts."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

from conftest import points

from annarchy_tb import Logger, Run

SCRIPTS = Path(__file__).parent.parent.parent / "examples" / "simulators"


def times(logger: Logger, tag: str) -> list[float]:
    """Return the times of a tag's points, in seconds of TensorBoard's RELATIVE axis.

    They count from the start of the run, and are exact to the microsecond.
    """
    started = datetime.fromisoformat(Run(logger.run_dir).info["started"]).timestamp()
    return [round(p.time - started, 5) for p in points(logger.run_dir, tag)]


def descriptions(logger: Logger, tag: str) -> list[str]:
    """Return the descriptions of a tag's points."""
    found = points(logger.run_dir, tag)
    return [point.proto.metadata.summary_description for point in found]


def script(directory: Path, name: str, *arguments: str) -> None:
    """Run an example in a directory."""
    command = [sys.executable, str(SCRIPTS / name), *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "tensorboard --logdir runs" in done.stdout


def run_script(name: str, directory: Path, *arguments: str) -> Run:
    """Run an example in an empty directory, and return the single run it logged."""
    script(directory, name, *arguments)
    [path] = {file.parent for file in (directory / "runs").glob("*/run.json")}
    run = Run(path)
    assert run.status == "finished"
    return run
