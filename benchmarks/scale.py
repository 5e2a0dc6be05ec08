"""Measure how the time of a call grows with the number of runs, tags, curves or values.

    python benchmarks/scale.py                 # all lines
    python benchmarks/scale.py --up-to 1000 "ls" "Run.tags"

Each line is measured for three sizes, a factor of ten apart, in fresh processes. A time
in proportion to the size grows 10x from one to the next. *Peak* is the largest memory
of the process beyond that before the call.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Act = Callable[[], Any]
LINES: dict[str, tuple[tuple[int, ...], Callable[[Path, int], Act]]] = {}
SMALL, LARGE = (100, 1_000, 10_000), (1_000, 10_000, 100_000)
VERY_LARGE = (10_000, 100_000, 1_000_000)


def line(name: str, sizes: tuple[int, ...]) -> Callable[[Any], Any]:
    """Register a function that prepares a directory and returns the call to measure."""

    def enter(function: Callable[[Path, int], Act]) -> Callable[[Path, int], Act]:
        LINES[name] = sizes, function
        return function

    return enter


def fill(
    place: Path, write: Callable[[Any, int], None], numbers: Iterable[int]
) -> Path:
    """Write a run by so many calls, and return its directory."""
    from annarchy_tb import Logger

    with Logger(place, "run") as logger:
        for number in numbers:
            write(logger, number)
    return place / "run"


# -- runs ------------------------------------------------------------------------------


def runs(place: Path, number: int) -> None:
    """Make finished runs with twelve parameters by copying one."""
    from annarchy_tb import Logger

    with Logger(place, "0") as logger:
        logger.add_parameters({f"parameter {i}": i / 7 for i in range(12)})
        for step in range(10):
            logger.add_scalar("Accuracy", step / 10, step)
        logger.add_metrics({"Final": 0.9})
    for copy in range(1, number):
        shutil.copytree(place / "0", place / str(copy))


@line("find_runs, by runs", SMALL)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import find_runs

    runs(place, number)
    return lambda: find_runs(place)


@line("find_runs(status=), by runs", SMALL)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import find_runs

    runs(place, number)
    return lambda: find_runs(place, status="finished")


@line("ls, by runs", SMALL)
def _(place: Path, number: int) -> Act:
    from annarchy_tb.cli import main

    runs(place, number)

    def call() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main(["ls", str(place)])

    return call


# -- writing ---------------------------------------------------------------------------


def tag(number: int) -> str:
    """Return a tag in one of 100 groups."""
    return f"group {number % 100}/tag {number}"


@line("add_scalar of new tags, by tags", LARGE)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Logger

    logger = Logger(place)

    def call() -> None:
        for i in range(number):
            logger.add_scalar(tag(i), 0.5, 0)

    return call


@line("add_scalars of new curves, by curves", SMALL)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Logger

    logger = Logger(place)

    def call() -> None:
        for i in range(number):
            logger.add_scalars("plot", {f"key {i}": 0.5}, 0)

    return call


@line("first call of a reused run, by tags", LARGE)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Logger

    fill(place, lambda logger, i: logger.add_scalar(tag(i), 0.5, 0), range(number))
    again = Logger(place, "run", mode="a")
    return lambda: again.add_scalar("another", 0.5)


@line("first call of a reused run, by points", VERY_LARGE)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Logger

    fill(place, lambda logger, i: logger.add_scalar("v", 0.5, i), range(number))
    again = Logger(place, "run", mode="a")
    return lambda: again.add_scalar("another", 0.5)


def pictures(place: Path) -> Any:
    """Return a Logger that has drawn once: the first picture imports Pillow."""
    from annarchy_tb import Logger

    logger = Logger(place)
    logger.add_raster("first", {0: [1]}, groups={"E": 1})
    logger.add_matrix("also", [[0.5]])
    return logger


@line("add_raster of two groups, by spikes", (100_000, 1_000_000, 10_000_000))
def _(place: Path, number: int) -> Act:
    import numpy as np

    rng = np.random.default_rng(0)
    spikes = rng.uniform(0, 1000, number), rng.integers(0, 4000, number)
    logger, groups = pictures(place), {"E": 3200, "I": 800}
    return lambda: logger.add_raster("Spikes", spikes, duration=1000, groups=groups)


@line("add_matrix of 10,000 x 10,000, by synapses", VERY_LARGE)
def _(place: Path, number: int) -> Act:
    import numpy as np
    from scipy import sparse

    rng = np.random.default_rng(0)
    entries = rng.normal(size=number), rng.integers(0, 10_000, (2, number))
    weights = sparse.coo_array(entries, shape=(10_000, 10_000)).tocsr()
    logger = pictures(place)
    return lambda: logger.add_matrix("Weights", weights)


# -- looking while it is written -------------------------------------------------------


@line("logger.last again, by curves", SMALL)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Logger

    logger = Logger(place)
    for i in range(number):
        logger.add_scalars("plot", {f"key {i}": 0.5}, 0)
    logger.last.read()
    return logger.last.read


@line("logger.last again, by tags", LARGE)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Logger

    logger = Logger(place)
    for i in range(number):
        logger.add_scalar(tag(i), 0.5, 0)
    logger.last.read()
    return logger.last.read


# -- reading ---------------------------------------------------------------------------


def many_tags(place: Path, number: int) -> Path:
    """Write three points of each of so many tags."""
    return fill(
        place,
        lambda logger, i: logger.add_scalar(tag(i % number), 0.5, i // number),
        range(3 * number),
    )


@line("Run.tags, by tags", LARGE)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Run

    path = many_tags(place, number)
    return lambda: Run(path).tags()


@line("Run.all_scalars, by tags", LARGE)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Run

    path = many_tags(place, number)
    return lambda: Run(path).all_scalars()


@line("Run.scalars of 100 tags, by tags", LARGE)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Run

    path = many_tags(place, number)
    return lambda: [Run(path).scalars(tag(i)) for i in range(100)]


@line("Run.curves, by curves", SMALL)
def _(place: Path, number: int) -> Act:
    from annarchy_tb import Run

    path = fill(
        place,
        lambda logger, i: logger.add_scalars("plot", {f"key {i}": 0.5}, 0),
        range(number),
    )
    return lambda: Run(path).curves("plot")


@line("Run.images, one by one, by images", SMALL)
def _(place: Path, number: int) -> Act:
    import numpy as np

    from annarchy_tb import Run

    pixels = np.random.default_rng(0).random((32, 32))
    path = fill(
        place, lambda logger, i: logger.add_image("i", pixels, i), range(number)
    )

    def call() -> None:
        for _ in Run(path).images("i").images:
            pass

    return call


@line("Run.histograms, by histograms", LARGE)
def _(place: Path, number: int) -> Act:
    import numpy as np

    from annarchy_tb import Run

    numbers = np.random.default_rng(0).normal(size=300)
    path = fill(
        place, lambda logger, i: logger.add_histogram("h", numbers, i), range(number)
    )

    def call() -> None:
        for _ in Run(path).histograms("h").histograms:
            pass

    return call


# -- measuring -------------------------------------------------------------------------


def peak() -> float:
    """Return the largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(name: str, size: int) -> None:
    """Print the seconds of the call, and its memory in MB."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=".") as place:
        call = LINES[name][1](Path(place).resolve(), size)
        before, start = peak(), time.perf_counter()
        call()
        print(time.perf_counter() - start, peak() - before)


def main() -> None:
    """Measure the lines and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lines", nargs="*", default=list(LINES), metavar="line")
    parser.add_argument("--up-to", type=int, default=10**9, metavar="SIZE")
    arguments = parser.parse_args()
    if len(arguments.lines) == 2 and arguments.lines[1].isdecimal():
        measure(arguments.lines[0], int(arguments.lines[1]))
        return
    print(f"{'':40}{'size':>10}{'time':>11}{'growth':>9}{'peak':>9}")
    for name in arguments.lines:
        before = None
        for size in (one for one in LINES[name][0] if one <= arguments.up_to):
            command = [sys.executable, __file__, name, str(size)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{name}, {size}:\n{done.stderr}")
            seconds, memory = map(float, done.stdout.split()[-2:])
            growth = "" if before is None else f"{seconds / before:.1f}x"
            print(
                f"{name if before is None else '':40}{size:>10,}{seconds:>9.3g} s"
                f"{growth:>9}{memory:>6.0f} MB",
                flush=True,
            )
            before = seconds


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
