"""Helpers for the tests of all hooks: reading times back, and running scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from conftest import died, points, scalars

from annarchy_tb import Logger, Run
from annarchy_tb.reading import Scalars

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


def killed_and_resumed(logdir: Path, parts: Sequence[Callable[[Logger], None]]) -> Run:
    """Log parts to a run, a checkpoint after each; kill it in between, and resume it.

    The first process logs the second part, too, and is killed before its checkpoint.
    """

    def work() -> None:
        logger = Logger(logdir, "killed")
        parts[0](logger)
        logger.save_checkpoint("state", 1)
        parts[1](logger)
        os.kill(os.getpid(), signal.SIGKILL)

    assert died(work)
    with Logger(logdir, "killed", resume=True) as logger:
        _, first = logger.load_checkpoint()
        for part in parts[first:]:
            part(logger)
    return Run(logger.run_dir)


def check_phases(run: Path, tag: str, names: Sequence[str], each: int) -> Scalars:
    """Check that TensorBoard shows all samples, and that each phase begins alike."""
    shown = [step for step, _ in scalars(run, tag)]
    assert len(shown) == len(names) * each
    assert sorted(set(shown)) == shown
    found = Run(run).scalars(tag)
    times = found.times[np.isfinite(found.times)]
    assert (np.diff(times) >= 0).all()
    first = found.phase(names[0])
    for name in names:
        its = found.phase(name)
        assert its.steps.tolist() == first.steps.tolist()
        assert np.array_equal(its.times, first.times, equal_nan=True)
    return found
