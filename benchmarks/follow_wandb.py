"""Measure how fast a run is followed to W&B, beside ``wandb.log`` of the same points.

    python benchmarks/follow_wandb.py                 # 20,000 points, 3 rounds
    python benchmarks/follow_wandb.py --tags 1 --rounds 5

Both write to one run, offline, each in processes of its own, in turns. The time goes
from `wandb.init` to the end of the run. It needs ``annarchy-tb[wandb]``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write(logdir: Path, points: int, tags: int) -> None:
    """Write the run that is followed, with so many tags that are logged together."""
    from annarchy_tb import Logger

    with Logger(logdir, "run") as logger:
        for step in range(points // tags):
            logger.log({f"tag {tag}": step / (tag + 3) for tag in range(tags)}, step)


def followed(logdir: Path) -> float:
    """Return the seconds that following takes."""
    import wandb  # noqa: F401

    from annarchy_tb.follow import follow

    start = time.perf_counter()
    [result] = follow(logdir, "wandb:benchmark")
    spent = time.perf_counter() - start
    assert result.status == "finished", result
    return spent


def logged(logdir: Path) -> float:
    """Return the seconds that `wandb.log` takes for the same points."""
    import wandb

    from annarchy_tb import Run

    run = Run(logdir / "run")
    tags = list(run.tags())
    steps, _, _, walls = run.scalars(tags[0])
    columns = [run.scalars(tag).values.tolist() for tag in tags]
    rows = [
        dict(zip(tags, values, strict=True))
        | {f"step/{tag}": step for tag in tags}
        | {"_timestamp": wall}
        for step, wall, *values in zip(
            steps.tolist(), walls.tolist(), *columns, strict=True
        )
    ]
    start = time.perf_counter()
    settings = wandb.Settings(console="off", silent=True, x_disable_stats=True)
    with wandb.init(project="benchmark", dir=logdir, settings=settings) as begun:
        for tag in tags:
            begun.define_metric(tag, step_metric=f"step/{tag}")
        for row in rows:
            begun.log(row)
    wandb.teardown()
    return time.perf_counter() - start


def main() -> None:
    """Measure both in turns, and print points a second and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--tags", type=int, default=4, help="logged together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=("followed", "logged"))
    parser.add_argument("--logdir", type=Path)
    given = parser.parse_args()
    if given.measure:
        print(globals()[given.measure](given.logdir))
        return
    rates: dict[str, list[float]] = {"logged": [], "followed": []}
    for _ in range(given.rounds):
        for measure, its in rates.items():
            with tempfile.TemporaryDirectory() as place:
                logdir = Path(place, "runs")
                write(logdir, given.points, given.tags)
                command = [sys.executable, __file__, "--measure", measure]
                said = subprocess.run(
                    [*command, "--logdir", str(logdir)],
                    env={**os.environ, "WANDB_MODE": "offline"},
                    stdout=subprocess.PIPE,
                    check=True,
                )
                its.append(given.points / float(said.stdout.split()[-1]))
    for measure, its in rates.items():
        print(f"{measure:<9}{statistics.median(its):10,.0f} points a second")
    ratios = [two / one for one, two in zip(*rates.values(), strict=True)]
    print(f"{'ratio':<9}{statistics.median(ratios):10.2f}")


if __name__ == "__main__":
    main()
