"""The examples with a real simulator, shortened by their own arguments.

They need ANNarchy, a compiler and CMake: ``make examples`` installs ANNarchy and runs
them, and so does CI.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import HAS_RUST, Server, points

from annarchy_tb import Run, find_runs

pytest.importorskip("ANNarchy", reason="needs ANNarchy; make examples runs it")

pytestmark = pytest.mark.timeout(1200)  # compiles networks

EXAMPLES = Path(__file__).parent.parent / "examples" / "tensorboard"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def ending_tensorboards() -> Iterator[None]:
    """Stop the process of ``%tensorboard``, which outlives the notebook."""
    from tensorboard import manager

    before = {info.pid for info in manager.get_all()}
    try:
        yield
    finally:
        for info in manager.get_all():
            if info.pid not in before:
                os.kill(info.pid, 15)


def run_notebook(name: str, *parameters: str) -> Any:
    """Run a notebook from top to bottom, in the working directory."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / name, 4)
    [cell] = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    cell.source = "\n".join([cell.source, *parameters])
    with ending_tensorboards():
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return notebook


def hparams_rows(logdir: Path, number: int) -> list[Any]:
    """Return the final rows shown by both loaders of the real TensorBoard."""
    shown = []
    for fast in {False, HAS_RUST}:
        server = Server(logdir, fast)
        try:
            server.start()
            rows = server.rows(
                lambda rows: (
                    len(rows) == number
                    and all("endTimeSecs" in row["sessions"][0] for row in rows)
                )
            )
            runs = server.json("runs")
        finally:
            server.stop()
        # No '.' and no sub-runs: there is exactly one row per run.
        assert sorted(runs) == sorted(row["sessions"][0]["name"] for row in rows)
        assert "." not in runs
        shown.append(sorted(rows, key=lambda row: row["sessions"][0]["name"]))
    assert all(len(rows) == len(shown[0]) for rows in shown)
    return shown[0]


def check_sweep(logdir: Path, number: int) -> None:
    """Assert that each trial is a whole row, with its curve in simulated time."""
    runs = {str(r.path.relative_to(logdir)): r for r in find_runs(logdir)}
    assert len(runs) == number
    for row in hparams_rows(logdir, number):
        run = runs[row["sessions"][0]["name"]]
        status = {"finished": "STATUS_SUCCESS", "failed": "STATUS_FAILURE"}[run.status]
        assert row["sessions"][0]["status"] == status
        assert row["hparams"] == pytest.approx(run.params)
        assert set(row["hparams"]) == {"w_exc", "w_inh"}
        shown = {m["name"]["tag"]: m["value"] for m in row["metricValues"]}
        if run.status == "finished":
            assert run.metrics
            for name, value in run.metrics.items():
                assert shown[name] == pytest.approx(value)
        times = run.scalars("Population rate (Hz)").times
        assert times[-1] - times[0] == pytest.approx(590)  # ms
        assert run.info["versions"]["ANNarchy"]


def test_the_basal_ganglia_learn(here: Path) -> None:
    """The notebook runs, logs all its data, and the network learns from rewards."""
    run_notebook("BasalGanglia.ipynb")
    [path] = (here / "runs").iterdir()
    run = Run(path)
    assert run.status == "finished"
    assert run.metrics["Final/mean reward of the last 20"] > 0.7
    assert len(run.scalars("Reward/trial").steps) == 100
    assert [len(run.curves(f"GPi/{s}")["left"].steps) for s in "ABCD"] == [25] * 4
    tags = {point.tag for point in points(path, "Time course")} | set(run.tags())
    assert tags == {
        *("Reward/trial", "Reward/mean of 20", "Striatum/rate", "Time course"),
        *("Striatum/receptive fields", "Preference for A, B/left half"),
        *("Preference for A, B/right half", "Final/mean reward of the last 20"),
    }
    left = run.histograms("Preference for A, B/left half").histograms[-1]
    right = run.histograms("Preference for A, B/right half").histograms[-1]
    assert left[:, 1].max() > 0 > right[:, 0].min()


def test_the_notebook_of_the_optimisation_runs(here: Path) -> None:
    """HPARAMS has a row per trial, with its status, parameters and metrics."""
    run_notebook("BayesianOptimization.ipynb", "EVALUATIONS = 12")
    check_sweep(here / "runs" / "sweep", 12)


def script(*arguments: str) -> str:
    """Run sweep.py, and return its output."""
    command = [sys.executable, str(EXAMPLES / "sweep.py"), "--workers", "2", *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


def test_the_sweep_runs_on_processes_and_goes_on(here: Path) -> None:
    """A second call for more trials computes only the missing ones."""
    script("--evaluations", "4")
    before = {run.path: run.info for run in find_runs("runs/sweep")}
    assert "loss" in script("--evaluations", "6")
    assert {path: Run(path).info for path in before} == before
    check_sweep(here / "runs" / "sweep", 6)


def test_the_sweep_runs_on_a_cluster_of_dask(here: Path) -> None:
    """There are a scheduler and two workers, started as on a cluster."""
    code = """
import sys
from dask.distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as c:
        print(c.scheduler_address, flush=True)
        sys.stdin.readline()
"""
    (here / "cluster.py").write_text(code)
    cluster = subprocess.Popen(
        [sys.executable, "cluster.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        script("--evaluations", "4", "--scheduler", address)
    finally:
        cluster.communicate("\n", timeout=300)
    check_sweep(here / "runs" / "sweep", 4)


def test_the_sweep_runs_on_spark(here: Path) -> None:
    """hyperopt's SparkTrials work on a local Spark with two cores."""
    pytest.importorskip("pyspark", reason="needs pyspark; make examples runs it")
    script("--evaluations", "4", "--spark")
    check_sweep(here / "runs" / "sweep", 4)
