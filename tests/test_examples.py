"""The examples, and the code of the README, as a user runs them."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import load, points

from annarchy_tb import Logger, Run, find_runs

ROOT = Path(__file__).parent.parent


def python_blocks() -> list[str]:
    """Return the Python code of the README, block by block."""
    text = (ROOT / "README.rst").read_text()
    found = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    return [inspect.cleandoc(block) for block in found]


def test_the_quickstart_logs_every_kind(tmp_path: Path) -> None:
    """It runs without a warning, learns, and leaves every kind of data."""
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
    found = [float(point.array) for point in points(run, "Bars found")]
    assert found[0] < 5
    assert found[-1] == 16


def test_the_loop_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first code a user copies works as it stands."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    simulation = {
        "net": SimpleNamespace(simulate=lambda duration: None),
        "pop": SimpleNamespace(r=rng.random((10, 10))),
        "proj": SimpleNamespace(w=[[0.1, 0.2], [0.3]]),
        "accuracy": 0.5,
    }
    exec(python_blocks()[0], simulation)
    [run] = (tmp_path / "runs").iterdir()
    for tag in ("Accuracy", "Population/Rate", "Weights"):
        assert len(points(run, tag)) == 100


def test_the_drop_in_of_the_docs_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the docs show of SummaryWriter works as it stands."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "summary_writer.rst").read_text()
    [block] = re.findall(r"::\n\n((?:    .*\n|\n)+)", text)
    exec(inspect.cleandoc(block), {})
    assert len(points(tmp_path / "runs" / "trial1", "Accuracy")) == 1


def test_the_code_about_runs_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/runs.rst shows works as it stands, and so does the README's part."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "runs.rst").read_text()
    handler, resume, read = re.findall(r"::\n\n((?:    .*\n|\n)+)", text)[:3]
    exec(inspect.cleandoc(resume), {})
    assert len(points(tmp_path / "runs" / "trial1", "Weights")) == 100
    exec(inspect.cleandoc(resume), {})  # goes on from the end
    assert len(points(tmp_path / "runs" / "trial1", "Weights")) == 100
    exec(inspect.cleandoc(read), {})
    with Logger(experiment="trial1") as logger:
        logger.add_scalar("Accuracy", 0.5)
    exec(python_blocks()[2], {})
    code = f"""
import os, signal, sys, time
{inspect.cleandoc(handler)}
from annarchy_tb import Logger, Run, find_runs
with Logger(experiment="job"):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
"""
    job = subprocess.run([sys.executable, "-c", code])
    assert job.returncode == 143
    assert Run("runs/job").status == "failed"


def test_the_code_about_sweeps_runs(tmp_path: Path) -> None:
    """The script of docs/sweeps.rst, as a user would save it."""
    text = (ROOT / "docs" / "sweeps.rst").read_text()
    block = re.findall(r"::\n\n((?:    .*\n|\n)+)", text)[0]
    (tmp_path / "script.py").write_text(inspect.cleandoc(block))
    subprocess.run([sys.executable, "script.py"], check=True, cwd=tmp_path)
    runs = find_runs(tmp_path / "runs" / "sweep", status="finished")
    assert len(runs) == 20
    assert min(run.metrics["loss"] for run in runs) < 3


def test_the_readme_gives_the_signatures_as_they_are() -> None:
    """Every call of the API at a glance is one, with its arguments in order."""
    glance = python_blocks()[1]
    calls = re.findall(r"^(\w+)\((.*?)\) *(?:#.*)?$", glance, re.MULTILINE)
    assert len(calls) > 10
    for name, arguments in calls:
        function = Logger if name == "Logger" else getattr(Logger, name)
        parameters = inspect.signature(function).parameters
        names = [p for p in parameters if p not in ("self", "time")]
        shown = re.sub(r"\{.*?\}", "dict", arguments)
        for wanted, argument in zip(
            names, shown.replace("*, ", "").split(", "), strict=True
        ):
            if "=" in argument:
                key, default = argument.split("=")
                assert wanted == key, name
                assert repr(parameters[key].default).strip("'") == default.strip('"'), (
                    name
                )
