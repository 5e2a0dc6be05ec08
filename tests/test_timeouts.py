"""The time limit of the tests themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

HANGING = """
import os
import time

from hypothesis import given
from hypothesis import strategies as st


def test_that_waits_for_a_child():
    child = os.fork()
    if child == 0:
        time.sleep(3600)
    os.waitpid(child, 0)


@given(st.integers())
def test_of_hypothesis(number):
    time.sleep(3600)


def test_that_passes():
    pass
"""


def test_a_test_that_hangs_fails_and_leaves_no_process(tmp_path: Path) -> None:
    """The other tests still run, and the output ends when pytest does."""
    (tmp_path / "test_hanging.py").write_text(HANGING)
    options = ["--timeout", "2", "-p", "conftest", "-p", "no:cacheprovider"]
    config = str(TESTS.parent / "setup.cfg")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", config, *options, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert "2 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    assert run.stdout.count("Timeout (>2.0s) from pytest-timeout") >= 2
