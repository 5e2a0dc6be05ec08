"""Where runs go if no directory is given: the environment decides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from annarchy_tb import Logger, SummaryWriter, find_runs
from annarchy_tb.cli import main
from annarchy_tb.hooks import annarchy
from annarchy_tb.run.paths import LOGDIR, directory_of_runs
from annarchy_tb.sweep import logged


def objective(params: dict[str, float], logger: Logger) -> float:
    """Return a loss."""
    return params["x"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that is the working directory and the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("named", "place"),
    [
        ("{home}/scratch", "scratch"),
        ("some/where", "some/where"),
        ("~/mine", "mine"),
        ("a b", "a b"),
        ("", "runs"),
        (None, "runs"),
    ],
)
def test_the_environment_says_where_runs_go(
    named: str | None, place: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes, finds or lists runs takes it as a logdir; empty is not set."""
    monkeypatch.delenv(LOGDIR, raising=False)
    if named is not None:
        monkeypatch.setenv(LOGDIR, named.format(home=home))
    with Logger(experiment="a") as logger:
        assert logger.logdir == home / place
    with Logger() as logger:
        assert logger.run_dir.parent == home / place
    with SummaryWriter() as writer:
        assert Path(writer.log_dir).parent == home / place
    [job] = annarchy.experiments(1, name="jobs")
    Logger(experiment=job).close()
    logged(objective)({"x": 1.0})
    [trial] = (home / place / "sweep").iterdir()
    assert (trial / "run.json").exists()
    found = {run.path for run in find_runs()}
    assert found >= {home / place / "a", home / place / "jobs" / "net0", trial}
    listed = CliRunner().invoke(main, ["ls"])
    assert listed.exit_code == 0
    assert "jobs/net0" in listed.output
    assert CliRunner().invoke(main, ["prune"]).exit_code == 0
    assert [path.name for path in home.iterdir()] == [place.split("/")[0]]


def test_what_is_given_counts_more(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is for calls that leave the directory out."""
    monkeypatch.setenv(LOGDIR, str(home / "other"))
    with Logger("runs", "a") as logger:
        assert logger.run_dir == home / "runs" / "a"
    [run] = find_runs("runs")
    assert run.path == home / "runs" / "a"
    assert "a" in CliRunner().invoke(main, ["ls", "runs"]).output
    assert not (home / "other").exists()


def test_worker_processes_agree(home: Path) -> None:
    """They inherit the variable; a sweep's trials are where its caller said."""
    pytest.importorskip("hyperopt")
    (home / "sim.py").write_text(
        """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from hyperopt import hp
from annarchy_tb import Logger
from annarchy_tb.sweep import sweep

def work(name):
    with Logger(experiment=name) as logger:
        logger.add_scalar("a", 1.0)

def objective(params, logger):
    return params["x"]

if __name__ == "__main__":
    space = {"x": hp.uniform("x", 0, 1)}
    for method in ("spawn", "fork"):
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            executor.submit(work, method).result()
            sweep(objective, space, 1, executor=executor, progress=False)
"""
    )
    env = {**os.environ, LOGDIR: "there"}
    subprocess.run([sys.executable, "sim.py"], cwd=home, env=env, check=True)
    made = {path.relative_to(home).as_posix() for path in home.glob("*/**/run.json")}
    assert made == {
        *("there/spawn/run.json", "there/fork/run.json"),
        "there/sweep/trial0000/run.json",
    }


@pytest.mark.parametrize("named", ["s3://bucket/runs", "~nobody-at-all/runs"])
def test_a_variable_that_names_no_directory_is_named(
    named: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that it is the variable."""
    monkeypatch.setenv(LOGDIR, named)
    with pytest.raises(ValueError, match=rf"\${LOGDIR} must"):
        Logger()
    with pytest.raises(ValueError, match=rf"\${LOGDIR} must"):
        find_runs()
    result = CliRunner().invoke(main, ["ls"])
    assert result.exit_code == 2
    assert f"${LOGDIR} must" in result.output
    assert list(home.iterdir()) == []


def test_the_default_is_looked_up_at_each_call(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may set the variable after the import."""
    for name in ("one", "two"):
        monkeypatch.setenv(LOGDIR, name)
        assert directory_of_runs(None) == home / name
        assert directory_of_runs(None, "sweep") == home / name / "sweep"
