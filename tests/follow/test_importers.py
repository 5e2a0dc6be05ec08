"""Trackers that import TensorBoard's files by themselves take ours."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pushed import of_every_kind, points_of


def test_trackio_imports_runs(logdir: Path, tmp_path: Path) -> None:
    """With the line of the docs: all points, in single precision."""
    pytest.importorskip("trackio", reason="needs trackio; make followers runs it")
    run = of_every_kind(logdir)
    line = 'import trackio; trackio.import_tf_events(log_dir="runs", project="mine")'
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    subprocess.run(
        [sys.executable, "-c", line], cwd=logdir.parent, env=environment, check=True
    )
    database = sqlite3.connect(tmp_path / "mine.db")
    rows = database.execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    database.close()
    found = [
        (name, tag, step, value)
        for name, step, metrics in rows
        for tag, value in json.loads(metrics).items()
    ]
    values = {
        (tag, step): value for curve, tag, step, value in points_of(run) if not curve
    }
    its = {(tag, step): value for name, tag, step, value in found if name == "run"}
    assert its.keys() == values.keys()
    assert its == pytest.approx(values)
