"""Measures of what a run costs: its memory and its speed."""

from __future__ import annotations

import resource
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import scalars

from annarchy_tb import Logger, measures

PROC = Path("/proc/self/status")


@pytest.mark.skipif(not PROC.exists(), reason="needs Linux")
def test_memory_is_what_is_resident() -> None:
    """It is that of the system, grows by what is allocated, and shrinks again."""
    before = measures.memory()
    assert before is not None
    [line] = [line for line in PROC.read_text().splitlines() if "VmRSS" in line]
    assert before == pytest.approx(int(line.split()[1]) / 1024, rel=0.2)
    large = np.ones(64 << 17)  # 64 MiB
    more = measures.memory()
    assert more is not None
    assert 60 < more - before < 80
    del large
    less = measures.memory()
    assert less is not None
    assert less < more - 50


def test_other_systems_tell_the_largest_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without /proc, it is what getrusage knows, in the system's unit."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert measures._largest() == pytest.approx(most, rel=0.2)
    monkeypatch.setattr("sys.platform", "darwin")
    assert measures._largest() == pytest.approx(most / 1024, rel=0.2)
    monkeypatch.setitem(__import__("sys").modules, "resource", None)
    assert measures._largest() is None


def test_speed_is_that_since_the_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not known at first, and where simulated time goes back or is not finite."""
    times = iter([100.0, 120.0, 120.0, 0.0, 30.0, float("nan"), 5.0, np.int64(7)])
    real = iter(range(0, 100, 10))
    monkeypatch.setattr(measures, "perf_counter", lambda: next(real))
    speed = measures.speed(lambda: next(times))
    found = [speed() for _ in range(8)]
    assert found == [None, 2.0, 0.0, None, 3.0, None, None, 0.2]


def test_a_speed_with_units_is_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated seconds per second of real time; what is no time is refused."""
    u = pytest.importorskip("pint").UnitRegistry()
    times = iter([0 * u.ms, 500 * u.ms, 3 * u.m, "4", None])
    real = iter(range(0, 100, 10))
    monkeypatch.setattr(measures, "perf_counter", lambda: next(real))
    speed = measures.speed(lambda: next(times))
    assert [speed(), speed()] == [None, 0.05]
    for _ in range(3):
        with pytest.raises(TypeError, match="clock must return a number or a time"):
            speed()
    with pytest.raises(TypeError, match=r"speed: clock must be a callable .*got 3"):
        measures.speed(3)  # type: ignore[arg-type]


def test_log_calls_measures(logger: Logger) -> None:
    """What is known is logged in the record of the others, what is not is left out."""
    now = 0.0
    speed = measures.speed(lambda: now)
    for step in range(3):
        metrics: dict[str, Any] = {"a": step, "Speed": speed}
        logger.log({**metrics, "Memory (MiB)": measures.memory}, step, time=step)
        now += 1.0
    assert scalars(logger.run_dir, "a") == [(0, 0), (1, 1), (2, 2)]
    assert [step for step, _ in scalars(logger.run_dir, "Speed")] == [1, 2]
    found = scalars(logger.run_dir, "Memory (MiB)")
    assert [step for step, _ in found] == [0, 1, 2]
    assert all(value > 10 for _, value in found)


def test_what_is_not_known_logs_nothing(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without a measure stops no simulation; the call is still checked."""
    monkeypatch.setattr(measures, "_largest", lambda: None)
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(OSError()))
    assert measures.memory() is None
    logger.log({"m": measures.memory}, 5)
    logger.log({"m": measures.memory, "a": 1.0}, 5)
    with pytest.raises(TypeError, match="the names must be str"):
        logger.log({1: measures.memory})  # type: ignore[dict-item]
    monkeypatch.undo()
    assert scalars(logger.run_dir, "a") == [(5, 1)]
    assert "m" not in logger.last
    logger.close()
    with pytest.raises(ValueError, match="closed"):
        logger.log({"m": measures.memory})


@pytest.mark.parametrize("value", [None, lambda: 1.0])
def test_no_other_callable_is_called(logger: Logger, value: Any) -> None:
    """None, and functions that are no measures, are refused, also beside one."""
    for metrics in ({"a": value}, {"a": value, "m": measures.memory}):
        with pytest.raises(TypeError, match=r"log\('a'\).*number"):
            logger.log(metrics)
    assert "m" not in logger.last


def test_no_thread_measures(logger: Logger) -> None:
    """Each measure is taken by the call."""
    before = threading.active_count()
    logger.log({"m": measures.memory, "s": measures.speed(lambda: 1.0)})
    assert threading.active_count() == before
