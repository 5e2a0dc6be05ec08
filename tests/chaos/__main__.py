"""Random programs against the model, as long as one likes: see `chaos`."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import faults, programs
from .programs import Program
from .reading import BrokenError
from .shrinking import shrink
from .trials import Counts, Places, trial, warm

OFTEN = 60  # seconds between two reports
ATTEMPTS = 5  # of a program that fails only sometimes


def main() -> None:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser("python -m tests.chaos", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, help="stop after this time; default: at Ctrl-C")
    add("--seeds", help="from this seed on (A), or only these (A-B); default: new ones")
    add("--replay", metavar="PROGRAM", help="a seed, or a file with a program")
    add("--times", type=int, default=1, help="how often to replay it")
    add("--show", action="store_true", help="print each program before it is executed")
    chosen = parser.parse_args()
    faults.preload()
    warm()
    with Places() as places:
        if faults.missing():
            print(f"without injected faults: {faults.missing()}")
        for name, reason in places.missing.items():
            print(f"without the place {name!r}: {reason}")
        if chosen.replay:
            program = load(chosen.replay)
            those: Iterable[Program] = [program] * chosen.times
        else:
            those = drawn(chosen.seeds)
        ends = time.monotonic() + (chosen.seconds or float("inf"))
        failed = run(those, places, ends, chosen.show, shrinks=not chosen.replay)
    sys.exit(failed)


def load(name: str) -> Program:
    """Return the program of a seed, or in a file."""
    if name.isdecimal():
        return programs.generate(int(name))
    program: Program = json.loads(Path(name).read_text())
    return program


def drawn(seeds: str | None) -> Iterator[Program]:
    """Yield the programs of some seeds."""
    first = int.from_bytes(os.urandom(4), "little") if seeds is None else 0
    last = None
    if seeds is not None:
        begin, _, end = seeds.partition("-")
        first, last = int(begin), int(end) if end else None
    for seed in itertools.count(first):
        if last is not None and seed > last:
            break
        yield programs.generate(seed)


def run(
    those: Iterable[Program], places: Places, ends: float, show: bool, shrinks: bool
) -> int:
    """Execute programs until one fails or the time is over; return whether one did."""
    counts, started = Counts(), time.monotonic()
    told = started
    try:
        for program in those:
            if time.monotonic() > ends:
                break
            if time.monotonic() > told + OFTEN:
                told = time.monotonic()
                print(f"{counts}, in {told - started:.0f} s", flush=True)
            possible(program, places)
            if show:
                print(json.dumps(program), flush=True)
            done, failure = trial(program, places)
            counts += done
            if failure is not None:
                print(f"\nseed {program['seed']}: {failure}", flush=True)
                if shrinks:
                    report(program, failure, places)
                return 1
    except KeyboardInterrupt:
        pass
    finally:
        print(f"{counts}, in {time.monotonic() - started:.0f} s", flush=True)
    return 0


def possible(program: Program, places: Places) -> None:
    """Leave out what this machine can't do, in place."""
    if program["place"] in places.missing:
        program["place"] = "disk"
    if faults.missing():
        for process in program["processes"]:
            process["faults"] = []


def report(program: Program, failure: BrokenError, places: Places) -> None:
    """Shrink a program that failed, print it, and say how to replay it."""

    attempts = 1

    def fails(shorter: Program) -> bool:
        for _ in range(attempts):
            again = trial(shorter, places)[1]
            if again is not None and again.kind == failure.kind:
                print(f"  {programs.size(shorter)}: {again}", flush=True)
                return True
        return False

    if not all(fails(program) for _ in range(3)):
        attempts = ATTEMPTS
    print(f"shrinking a program of size {programs.size(program)}", flush=True)
    short = shrink(program, fails)
    path = Path(f"chaos-{program['seed']}.json")
    path.write_text(json.dumps(short, indent=1))
    print(json.dumps(short))
    print(f"replay it with: python -m tests.chaos --replay {path} --times 20")


if __name__ == "__main__":
    main()
