"""Chaos: fixed seeds hold, and a package that breaks its promises is found out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chaos import programs
from chaos.trials import Places, trial

from annarchy_tb.run import info_file
from annarchy_tb.tfevents import event_file

pytestmark = pytest.mark.skipif(
    not hasattr(os, "register_at_fork"), reason="there is no fork"
)


def test_programs_of_fixed_seeds_find_nothing() -> None:
    """Killed, refused and interrupted, runs have what returned, and nothing else."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seeds", "0-60", "--seconds", "4"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " calls, " in ran.stdout


def loses(fd: int, record: bytes) -> int:
    return len(record)


def doubles(fd: int, record: bytes) -> int:
    return os.write(fd, bytes(record) * 2) // 2


def tears(fd: int, record: bytes) -> int:
    return os.write(fd, record[:-1]) + 1


@pytest.mark.parametrize(
    ("kind", "broken"),
    [("lost", loses), ("invented", doubles), ("lost", tears)],
    ids=["loses", "doubles", "tears"],
)
def test_a_package_that_breaks_a_promise_is_found_out(
    monkeypatch: pytest.MonkeyPatch, kind: str, broken: Callable[[int, bytes], int]
) -> None:
    """One record in ten is lost, written twice, or not written to its end."""
    written = 0

    def write(fd: int, record: bytes) -> int:
        nonlocal written
        written += 1
        return (os.write if written % 10 else broken)(fd, record)

    monkeypatch.setattr(event_file, "write", write)
    assert failure(quiet()) == kind


def test_a_status_that_is_not_true_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that ended well is said to have failed."""
    monkeypatch.setattr(info_file, "FINISHED", "failed")
    assert failure(quiet()) == "status"


def test_a_resume_that_cuts_nothing_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was logged after the checkpoint is still there."""
    from annarchy_tb.run import checkpoints

    program = quiet()
    [first, second, *_] = program["processes"]
    first["sessions"][0]["ops"] += [
        {"do": "checkpoint", "id": 1001},
        {"do": "scalar", "id": 1002, "times": 20},
    ]
    second["sessions"][0]["open"] = "resume"
    assert failure(program) is None
    monkeypatch.setattr(checkpoints, "_cut", lambda *_: None)
    assert failure(program) == "lost"  # other rows are in its place


def quiet() -> programs.Program:
    """Return a program to which nothing happens."""
    logs = [
        {"do": kind, "id": at, "times": 5, "size": 10}
        for at, kind in enumerate(("scalar", "log", "text", "series", "scalars"), 1)
    ]
    fork = {"do": "fork", "name": "fork0", "id": 90, "ops": logs, "closes": True}
    sessions: list[dict[str, Any]] = [
        {"open": "x", "ops": [*logs, {"do": "join", "id": 91}], "end": "with"},
        {"open": "a", "ops": [{**op, "id": op["id"] + 10} for op in logs]},
    ]
    sessions[0]["ops"].insert(2, fork)
    sessions[1]["end"] = "close"
    nothing = {"fresh": False, "leaves": True, "faults": [], "call": None}
    processes = [{**nothing, "signals": [], "sessions": [one]} for one in sessions]
    return {"seed": 0, "place": "disk", "processes": processes}


def failure(program: programs.Program) -> str | None:
    """Execute a program; return the kind of the promise that was not kept."""
    with Places() as places:
        found = trial(program, places)[1]
    return None if found is None else found.kind
