"""Measure this package in comparison with its peers and the limit.

The peer is tensorboardX or, for reading, TensorBoard's EventAccumulator; torch is added
if it is installed, and h5py and zarr for recordings. If ANNarchy is installed, its hook
is compared with the simulation without it, and the limit is calling the same functions.

    python benchmarks/bench.py                # all cases, 5 rounds
    python benchmarks/bench.py --rounds 3 add_scalar

Every measurement runs in a fresh process, and the writers take turns in every round, so
that a machine that slows down slows all of them. The output is the median over the
rounds with the smallest and largest value, and ratios are the medians of the ratios
within a round. *Limit* is the least possible work: a bare ``os.write`` of those bytes,
``ndarray.tofile``, ``canvas.draw()``, ``import numpy``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from cases import (
    ANNARCHY,
    CASES,
    H5PY,
    LIMIT,
    OURS,
    TENSORBOARD,
    TENSORBOARDX,
    TORCH,
    ZARR,
)

HERE = Path(__file__).parent


def measure(case: str, writer: str) -> float:
    """Return the seconds per unit."""
    command = [sys.executable, str(HERE / "cases.py"), case, writer]
    # Modules are loaded compiled, as they usually are from the second import on.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode:
        sys.exit(f"{case}, {writer}:\n{run.stderr}")
    return float(run.stdout.split()[-1])  # ANNarchy prints a greeting first


def shown(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= size or unit == "ns":
            return f"{seconds / size:.3g} {unit}"
    raise AssertionError


def main() -> None:
    """Run the cases, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="case")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"))
    arguments = parser.parse_args()

    there = {
        name
        for name in (TORCH, H5PY, ZARR)
        if importlib.util.find_spec(name) is not None
    }
    has_torch = TORCH in there
    results = {}
    columns = "{:32} {:>26} {:>10} {:>9} {:>9}"
    header = ["case", "annarchy_tb (min .. max)", "peer", "peer/ours", "ours/limit"]
    if has_torch:
        columns += " {:>10}"
        header.append("torch/ours")
    print(columns.format(*header))
    for case in arguments.cases:
        writers = [w for w in CASES[case] if w in there or w not in (TORCH, H5PY, ZARR)]
        rounds = [
            {writer: measure(case, writer) for writer in writers}
            for _ in range(arguments.rounds)
        ]
        ours = [found[OURS] for found in rounds]

        def ratio(over: str, under: str, rounds: list = rounds) -> float | None:
            if not {over, under} <= set(rounds[0]):
                return None
            return statistics.median(found[over] / found[under] for found in rounds)

        others = [w for w in (TENSORBOARD, ANNARCHY) if w in writers]
        peer = others[0] if others else TENSORBOARDX
        ratios = {
            f"{peer}/ours": ratio(peer, OURS),
            "ours/limit": ratio(OURS, LIMIT),
            "torch/ours": ratio(TORCH, OURS),
        }
        stores = [w for w in (H5PY, ZARR) if w in writers]
        ratios |= {f"{store}/ours": ratio(store, OURS) for store in stores}
        results[case] = {"seconds": rounds, "ratios": ratios}
        theirs = [found[peer] for found in rounds if peer in found]
        median = shown(statistics.median(ours))
        cells = [
            case,
            f"{median} ({shown(min(ours))} .. {shown(max(ours))})",
            shown(statistics.median(theirs)) if theirs else "",
            *("" if r is None else f"{r:.3g}x" for r in list(ratios.values())[:3]),
        ]
        print(columns.format(*cells[: len(header)]), flush=True)
        for store in stores:
            its = statistics.median(found[store] for found in rounds)
            print(f"    {store}: {shown(its)}, {ratios[f'{store}/ours']:.3g}x of ours")
    versions = {
        name: importlib.metadata.version(name)
        for name in ("annarchy-tb", "numpy", "tensorboardX", "google-crc32c")
    }
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    arguments.json.write_text(
        json.dumps({"versions": versions | machine, "results": results}, indent=1)
    )


if __name__ == "__main__":
    main()
