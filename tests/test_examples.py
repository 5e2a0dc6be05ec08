"""The examples, run as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import load, points

from annarchy_tb import find_runs

ROOT = Path(__file__).parent.parent


def test_the_quickstart_logs_every_kind(tmp_path: Path) -> None:
    """It runs without warnings, learns, and logs every kind of data."""
    script = ROOT / "examples" / "tensorboard" / "quickstart.py"
    subprocess.run(
        [sys.executable, "-W", "error", str(script), "--logdir", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    [run] = tmp_path.iterdir()
    plugins = {point.plugin for point in load(run)}
    assert plugins == {"scalars", "images", "histograms", "text", "hparams"}
    assert {path.name for path in run.iterdir() if path.is_dir()} == {"train", "test"}
    found = [float(point.array) for point in points(run, "Bars/Found")]
    assert found[0] < 5
    assert found[-1] == 16


def test_the_tour_logs_a_sweep_of_every_kind(tmp_path: Path) -> None:
    """It logs four runs with every kind of data, and the neurons' vision sharpens."""
    script = ROOT / "examples" / "tensorboard" / "tour.py"
    subprocess.run(
        [sys.executable, "-W", "error", str(script), "--logdir", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    runs = find_runs(tmp_path, status="finished")
    assert len(runs) == 4
    for run in runs:
        plugins = {point.plugin for point in load(run.path)}
        assert plugins == {
            *("scalars", "images", "histograms", "text", "hparams", "custom_scalars"),
            "audio",
        }
        assert run.metrics["Final/clarity"] > 0.8
