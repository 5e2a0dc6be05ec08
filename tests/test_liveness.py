"""The age of the last record says from any host whether a run still moves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from click.testing import CliRunner

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main
from annarchy_tb.tfevents.event_file import event_files

BEGAN = datetime(2020, 1, 1, tzinfo=timezone.utc)


def change(run: Path, **fields: Any) -> None:
    """Change fields of a run's record, as if it was written elsewhere."""
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def written(run: Path, ago: float) -> None:
    """Have all files of a run last written so many seconds ago."""
    for path in run.rglob("*"):
        os.utime(path, (time.time() - ago,) * 2)


@pytest.fixture
def remote(logdir: Path) -> Path:
    """Return a run that reads running on another host."""
    with Logger(logdir, "remote") as logger:
        logger.add_scalar("a", 1.0)
        logger.add_scalars("plot", {"curve": 1.0})
    change(logger.run_dir, status="running", ended=None, host="elsewhere")
    return logger.run_dir


def said(*arguments: object) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3600, r"\d s"),  # the clock of the file system is ahead
        (20, r"\d\d s"),
        (200, "3 min"),
        (7300, "2 h"),
        (5 * 86_400 + 10, "5 d"),
    ],
)
def test_the_age_of_a_run_on_another_host_is_told(
    remote: Path, seconds: int, text: str
) -> None:
    """Its status can't be known there."""
    written(remote, seconds)
    run = Run(remote)
    assert run.status == "running"
    assert run.age is not None
    assert run.age >= timedelta(seconds=max(seconds, 0))
    assert run.age < timedelta(seconds=max(seconds, 0) + 600)
    [_, line] = said("ls", remote.parent).splitlines()
    assert re.search(rf"running +{text} ", line)
    assert re.search(rf"last record.*\({text} ago\)", said("show", remote))


@pytest.mark.parametrize("name", ["curve", "recordings", "events"])
def test_every_file_of_a_run_counts(logdir: Path, name: str) -> None:
    """The newest of its own files, of recordings and of curves says the age."""
    with Logger(logdir, "run") as logger:
        logger.add_series("a", np.arange(5000.0))
        logger.add_scalars("plot", {"curve": 1.0})
        run = Run(logger.run_dir)
        written(run.path, 1e6)
        assert run.age is not None
        assert run.age > timedelta(days=10)
        if name == "curve":
            logger.add_scalars("plot", {"curve": 2.0})
        elif name == "events":
            logger.add_scalar("b", 1.0)
        else:
            [kept] = run.path.glob("recordings.*")
            os.utime(kept)
        assert run.age < timedelta(days=1)


def test_what_is_no_record_does_not_count(remote: Path) -> None:
    """Notes, files of the user's, checkpoints and other runs inside say nothing."""
    written(remote, 1e6)
    Run(remote).add_note("still there?")
    (remote / "notes.txt").write_text("mine")
    with Logger(remote, "inner") as inner:
        inner.add_scalar("a", 1.0)
    age = Run(remote).age
    assert age is not None
    assert age > timedelta(days=10)


def test_simulated_times_have_no_influence(logdir: Path) -> None:
    """Events are drawn at their simulated times, which may be in any year."""
    with Logger(logdir, "run", origin=BEGAN, time_unit="h") as logger:
        logger.add_scalar("a", 1.0, time=1e5)
        age = Run(logger.run_dir).age
    assert age is not None
    assert age < timedelta(hours=1)


def test_without_records_the_age_is_that_of_the_start(remote: Path) -> None:
    """run.json says it; without that either, the age is unknown."""
    for path in (*event_files(remote), *event_files(remote / "curve")):
        path.unlink()
    change(remote, started=BEGAN.isoformat())
    assert Run(remote).last_written == BEGAN
    assert re.search(r"running +\d+ d ", said("ls", remote.parent))
    (remote / "run.json").write_text("{}")
    assert (Run(remote).last_written, Run(remote).age) == (None, None)
    assert said("show", remote)


def test_runs_of_other_writers_have_an_age(tmp_path: Path) -> None:
    """Without run.json, nothing else tells whether they are alive."""
    with tensorboardX.SummaryWriter(str(tmp_path / "theirs")) as theirs:
        theirs.add_scalar("a", 1, 1)
    written(tmp_path / "theirs", 200)
    assert re.search("unknown +3 min ", said("ls", tmp_path))


def test_a_run_that_ended_is_as_old_as_its_end(logdir: Path) -> None:
    """Its files may have been copied since, or noted upon."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
    assert "last record" not in said("show", logdir / "run")
    ended = datetime.now(timezone.utc) - timedelta(hours=5, minutes=1)
    change(logdir / "run", ended=ended.isoformat())
    assert re.search("finished +5 h ", said("ls", logdir))
    age = Run(logdir / "run").age
    assert age is not None
    assert age < timedelta(hours=1)


def test_a_killed_run_is_as_old_as_its_last_record(logdir: Path) -> None:
    """Its duration ends there, too, in ls as in Run, also if that is in a curve."""
    code = """
import os, signal, sys
from annarchy_tb import Logger
logger = Logger(sys.argv[1], "run")
logger.add_scalars("plot", {"curve": 1.0})
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(logdir)])
    path = logdir / "run"
    change(path, started=(datetime.now(timezone.utc) - timedelta(hours=9)).isoformat())
    written(path, 7 * 3600 + 60)
    written(path / "curve", 3600 + 60)
    run = Run(path)
    assert run.status == "killed"
    assert run.duration is not None
    assert timedelta(hours=7.8) < run.duration < timedelta(hours=8)
    assert re.search(r"killed +1 h +7:5\d:\d\d", said("ls", logdir))


def test_a_file_that_leads_nowhere_stops_no_list(remote: Path) -> None:
    """Nor does a curve that is gone; the others say the age."""
    written(remote, 200)
    shutil.rmtree(remote / "curve")
    (remote / "events.out.tfevents.1700000000.x.1.0000").symlink_to(remote / "nothing")
    assert re.search("running +3 min ", said("ls", remote.parent))
