"""One Logger on each rank of MPI, of which rank 0 writes: real ranks, in processes.

They need an MPI, and are run in an environment of their own: ``make mpi``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from annarchy_tb import Run

pytest.importorskip("mpi4py", reason="needs mpi4py; make mpi has it")

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "guide" / "clusters.rst"
MPIEXEC = Path(sys.executable).parent / "mpiexec"

# A queue on each rank, sampled by collective sources at the same simulated times. Its
# second start leaves the time unit to the run.
SAMPLED = """
import os, sys, signal, simpy
from mpi4py import MPI
import pint
from annarchy_tb import Logger
from annarchy_tb.hooks import simpy as hook

logdir, attempt = sys.argv[1:]
comm = MPI.COMM_WORLD
unit = "min" if attempt == "first" else None

def ticks(env):
    while True:
        yield env.timeout(1)

with Logger(
    logdir, "run", resume=True, time_unit=unit, enabled=comm.rank == 0
) as logger:
    parts, first = logger.load_checkpoint(default=([0] * comm.size, 0))
    print(f"rank {comm.rank}: {parts[comm.rank]} at {first}", flush=True)
    env = simpy.Environment(initial_time=first)
    sources = {
        "Sum": lambda: comm.allreduce(env.now + comm.rank),
        "Ranks": lambda: comm.allgather(comm.rank),
    }
    hook.sample(logger, env, sources, every=60 * pint.UnitRegistry().second)
    env.process(ticks(env))
    for stop in range(first + 10, 51, 10):
        env.run(until=stop)
        logger.save_checkpoint(comm.gather(100 * comm.rank + stop), stop)
        if stop == 30 and attempt == "first":
            env.run(until=35)
            if comm.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
"""

# Rank 1 has what can't be logged, and rank 0 waits for it.
REFUSED = """
import sys
from mpi4py import MPI
from annarchy_tb import Logger

comm = MPI.COMM_WORLD
with Logger(sys.argv[1], "run", enabled=comm.rank == 0) as logger:
    for step in range(100):
        logger.add_scalar("a", "5" if comm.rank == 1 and step == 50 else 5, step)
        comm.allreduce(step)
"""


def run(script: str | Path, *arguments: object) -> tuple[int, str]:
    """Run a script on two ranks; return its status, and what it printed."""
    process = subprocess.Popen(
        [
            MPIEXEC,
            "-n",
            "2",
            sys.executable,
            "-m",
            "mpi4py",
            script,
            *map(str, arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"the ranks hang: {process.communicate()[0]}") from None
    return process.returncode, said


def status_of(path: Path) -> str:
    """Return the status of a run once its processes, which were killed, have gone."""
    deadline = time.monotonic() + 60
    while Run(path).status == "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    return Run(path).status


def written(directory: Path, text: str) -> Path:
    """Write a script."""
    path = directory / "script.py"
    path.write_text(text)
    return path


def test_a_resumed_run_samples_collective_sources(tmp_path: Path) -> None:
    """Rank 1 is killed; then both begin at one step, and every sample is there once."""
    script, logdir = written(tmp_path, SAMPLED), tmp_path / "runs"
    status, said = run(script, logdir, "first")
    assert status != 0, said
    assert status_of(logdir / "run") == "killed"
    assert len(Run(logdir / "run").scalars("Sum").values) > 30
    status, said = run(script, logdir, "second")
    assert status == 0, said
    assert "rank 0: 30 at 30" in said
    assert "rank 1: 130 at 30" in said
    found = Run(logdir / "run")
    assert found.status == "finished"
    assert found.scalars("Sum").times.tolist() == [*range(50)]
    assert found.scalars("Sum").values.tolist() == [2 * t + 1 for t in range(50)]
    assert len(found.histograms("Ranks").steps) == 50
    assert len(found.sessions) == 2  # of rank 0
    assert len([*(logdir / "run").glob("events*")]) == 2


def test_an_error_on_one_rank_ends_all(tmp_path: Path) -> None:
    """Also what only a disabled Logger was given; rank 0 would wait for ever."""
    status, said = run(written(tmp_path, REFUSED), tmp_path / "runs")
    assert status != 0
    assert "TypeError: add_scalar('a'): " in said
    assert status_of(tmp_path / "runs" / "run") == "killed"
    assert len(Run(tmp_path / "runs" / "run").scalars("a").values) >= 50


def test_an_error_of_rank_0_ends_all(tmp_path: Path) -> None:
    """A run that exists is refused where it is written, and the others do not wait."""
    script = written(tmp_path, REFUSED.replace("== 50", "== -1"))
    assert run(script, tmp_path / "runs") == (0, "")
    status, said = run(script, tmp_path / "runs")
    assert status != 0
    assert "FileExistsError: Logger: the run" in said
    assert Run(tmp_path / "runs" / "run").status == "finished"


def test_the_script_of_the_docs_works(tmp_path: Path) -> None:
    """As shown, and again from its last checkpoint."""
    page = PAGE.read_text()
    [block] = [part for part in page.split(".. code-block::") if "import MPI" in part]
    lines = block.split("\n\n", 1)[1].splitlines()
    text = "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)
    script = written(tmp_path, f"import os\nos.chdir({str(tmp_path)!r})\n{text}")
    for _ in range(2):
        status, said = run(script)
        assert status == 0, said
    found = Run(tmp_path / "runs" / "mpi")
    assert found.status == "finished"
    assert found.params == {"ranks": 2}
    assert found.scalars("Total").steps.tolist() == [*range(50)]
