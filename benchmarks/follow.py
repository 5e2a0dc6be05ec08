"""What followers cost: points a second, many idle runs, and the simulation beside them.

Run it alone on the machine: python benchmarks/follow.py
"""

from __future__ import annotations

import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from annarchy_tb import Logger
from annarchy_tb.follow import follow

COMMAND = [sys.executable, "-c", "from annarchy_tb.cli import main; main()", "follow"]

SIMULATION = """
import sys, time
from annarchy_tb import Logger
start = time.perf_counter()
with Logger("runs") as logger:
    total = 0.0
    for step in range(15000):
        for number in range(4000):  # the simulation
            total += number * 0.5
        logger.log({"rate": total, "loss": step / 3, "weight": step * 0.5}, step)
print(time.perf_counter() - start)
"""


def throughput(work: Path) -> None:
    """Print how many points a second become lines."""
    number = 500_000
    with Logger(work / "runs", "scalars") as logger:
        for step in range(number):
            logger.add_scalar("x", step / 3, step)
    with Logger(work / "series", "series") as logger:
        logger.add_series("x", np.sin(np.arange(2 * number)))
    for name, points in (("runs", number), ("series", 2 * number)):
        for kind in ("jsonl", "csv"):
            start = time.perf_counter()
            [result] = follow(work / name, f"{kind}:{work}/out-{kind}")
            spent = time.perf_counter() - start
            assert result.pushed == points
            print(f"{kind}, {name}: {points / spent:,.0f} points/s")


def idle(work: Path, number: int = 300, seconds: float = 60.0) -> None:
    """Print the share of a processor that many idle runs take."""
    loggers = [Logger(work / "idle", f"run{n}") for n in range(number)]
    for logger in loggers:
        logger.add_scalar("x", 1.0)
    follower = subprocess.Popen([*COMMAND, work / "idle", "--to", f"jsonl:{work}/out"])
    time.sleep(15)

    def spent() -> float:
        fields = Path(f"/proc/{follower.pid}/stat").read_text().split(") ")[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = spent()
    time.sleep(seconds)
    share = (spent() - before) / seconds
    print(f"{number} idle runs: {100 * share:.2f} % of a processor")
    follower.kill()
    follower.wait()
    for logger in loggers:
        logger.close()


def hanging() -> socket.socket:
    """Return a server that takes connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0), backlog=100)
    kept = []

    def accept() -> None:
        while True:
            try:
                kept.append(server.accept())
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    return server


def beside(work: Path, rounds: int = 5) -> None:
    """Print how long a simulation takes with a follower, as a ratio to that alone."""
    (work / "sim.py").write_text(SIMULATION)
    server = hanging()
    tests = str(Path(__file__).parent.parent / "tests" / "follow")
    tests += os.pathsep + str(Path(__file__).parent.parent / "tests")
    path = os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    simulation = [sys.executable, "sim.py"]
    places = {
        "hangs": f"pushed.Post:{server.getsockname()[1]}",
        "jsonl": f"jsonl:{work}/out",
    }
    if find_spec("mlflow") is not None:
        places["MLflow hangs"] = f"mlflow:http://127.0.0.1:{server.getsockname()[1]}"
    for cores in (None, {0}):
        ratios: dict[str, list[float]] = {name: [] for name in places}
        for _ in range(rounds):
            times = {}
            for name in ("alone", *places):
                command = simulation
                if name != "alone":
                    follower = [*COMMAND, "runs", "--to", places[name]]
                    command = [*follower, "--give-up", "0.1s", "--", *simulation]
                done = subprocess.run(
                    command,
                    cwd=work,
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                    preexec_fn=None
                    if cores is None
                    else lambda: os.sched_setaffinity(0, {0}),
                )
                times[name] = float(done.stdout)
            for name in places:
                ratios[name].append(times[name] / times["alone"])
        where = "on one processor" if cores else "on all processors"
        for name, found in ratios.items():
            print(f"{name}, {where}: {statistics.median(found):.3f} x its time alone")
    server.close()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with tempfile.TemporaryDirectory() as folder:
        throughput(Path(folder))
        beside(Path(folder))
        idle(Path(folder))
