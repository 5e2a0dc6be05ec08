"""Shrinking: the shortest program that still fails in the same way."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

from . import programs
from .programs import Program

PATIENCE = 120.0  # seconds


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """Leave out one part after the other, as long as the program fails.

    Parameters
    ----------
    program
        A program that fails.
    fails
        Tells whether a program fails, perhaps by executing it several times.
    """
    deadline = time.monotonic() + PATIENCE
    changed = True
    while changed:
        changed, number = False, 0
        while shorter := next(islice(programs.shorter(program), number, None), None):
            if time.monotonic() > deadline:
                return program
            if fails(shorter):
                program, changed = shorter, True  # the next part is at its place
            else:
                number += 1
    return program
