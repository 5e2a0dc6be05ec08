"""How fast a follower pushes points to MLflow, beside MLflow's own client.

The same points of one run, to a new database or server each time, in turns: by
``MlflowClient.log_batch``, in batches of 1000 that are made beforehand, and by
``follow`` from the files of a run. ``python benchmarks/follow_mlflow.py [rounds]``
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"

import mlflow
import numpy as np
from mlflow.entities import Metric

from annarchy_tb import Logger, Run
from annarchy_tb.follow import follow

TAGS, POINTS = 5, 100_000


def write(logdir: Path, points: int = POINTS) -> Path:
    """Write a run."""
    values = np.random.default_rng(0).normal(size=points).tolist()
    with Logger(logdir, "run") as logger:
        for number, value in enumerate(values):
            logger.add_scalar(f"tag {number % TAGS}", value, number)
    return logger.run_dir


def push_by_client(uri: str, run: Path) -> float:
    """Push the points of a run with MLflow's client; return the time in seconds."""
    metrics = [
        Metric(tag, value, round(at * 1000), step)
        for tag, _, its in Run(run).points()
        for value, at, step in zip(
            its.values.tolist(),
            its.wall_times.tolist(),
            its.steps.tolist(),
            strict=True,
        )
    ]
    metrics.sort(key=lambda its: its.step)
    client = mlflow.MlflowClient(tracking_uri=uri)
    start = time.perf_counter()
    experiment = client.create_experiment(f"by the client: {run.parent.name}")
    made = client.create_run(experiment)
    for at in range(0, len(metrics), 1000):
        client.log_batch(made.info.run_id, metrics[at : at + 1000])
    client.set_terminated(made.info.run_id)
    return time.perf_counter() - start


def push_by_follower(uri: str, run: Path) -> float:
    """Push the points of a run with a follower; return the time in seconds."""
    mlflow.MlflowClient(tracking_uri=uri).search_experiments()
    start = time.perf_counter()
    [result] = follow(run, f"mlflow:{uri}")
    assert result.status == "finished", result
    return time.perf_counter() - start


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Yield the URI of an empty database."""
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.MlflowClient(tracking_uri=uri).search_experiments()
    yield uri


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the URI of a server on an empty database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from mlflow.cli import cli; cli()", "server"]
    command += ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", f"{folder}/store"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, process_group=0)
    try:
        uri = f"http://127.0.0.1:{port}"
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        small = write(folder / "first", 10)  # what is slow the first time
        push_by_client(uri, small)
        push_by_follower(uri, small)
        yield uri
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def compare(
    name: str,
    place: Callable[[Path], AbstractContextManager[str]],
    rounds: int,
) -> None:
    """Push in turns, and print the medians."""
    times: dict[str, list[float]] = {"client": [], "follower": []}
    for number in range(rounds):
        order = [("client", push_by_client), ("follower", push_by_follower)]
        for which, push in order if number % 2 else order[::-1]:
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                run = write(Path(folder, "runs"))
                with place(Path(folder)) as uri:
                    times[which].append(push(uri, run))
                os.chdir("/")
    client, follower = (statistics.median(its) for its in times.values())
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    print(
        f"{name}: {POINTS} points: client {POINTS / client:,.0f}/s, follower "
        f"{POINTS / follower:,.0f}/s, {statistics.median(ratios):.2f} times as fast "
        f"({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    compare("sqlite", database, rounds)
    compare("server", server, rounds)
