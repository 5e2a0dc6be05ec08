"""The progress of a simulation: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import in_child, scalars

from annarchy_tb import Logger
from annarchy_tb.hooks import simpy as hook
from annarchy_tb.hooks import until

simpy = pytest.importorskip("simpy", reason="needs simpy; make hooks runs it")


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A terminal that went away."""

    def isatty(self) -> bool:
        return True

    def write(self, _: str) -> int:
        raise BrokenPipeError


def clock(start: float = 0.0) -> Any:
    """Return an environment with an event once every 1 time unit, for 100."""
    env = simpy.Environment(start)

    def process() -> Any:
        for _ in range(100):
            yield env.timeout(1)

    env.process(process())
    return env


def as_stderr(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal in place of stderr, on which each sample is drawn."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)  # in the test: pytest sets its own
    monkeypatch.setattr(until._Bar, "every", 0.0)
    return terminal


def simulate(logger: Logger, until: float, start: float = 0.0) -> Any:
    """Sample an environment that ends at some time; return it."""
    env = clock(start)
    sources = {"Now": lambda: env.now, "Twice": lambda: {"x": 2 * env.now}}
    hook.sample(logger, env, sources, until=20, show=("Now", "Twice"))
    env.run(until=until)
    return env


def test_a_terminal_has_a_bar_of_simulated_time(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the time with its unit, the speed, the time left, and the last values."""
    terminal = as_stderr(monkeypatch)
    with Logger(logdir, time_unit="min") as logger:
        simulate(logger, 30)
    found = re.findall(r"(\d+)%\|.*?\| ([\d.]+)/20 min \[", terminal.getvalue())
    assert [float(now) for _, now in found][:21] == [*range(21)]
    assert ("50", "10.00") in found
    assert found[-1] == ("100", "20.00")
    drawn = re.split(r"[\r\n]", terminal.getvalue())
    pattern = r"\[\d\d:\d\d<\d\d:\d\d, \d\S* min/s, Now 20, Twice x 40\]"
    assert any(re.search(pattern, line) for line in drawn)


def test_the_bar_begins_at_the_current_time(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulation that continues at 10 has 0 % of the way to 20 done."""
    terminal = as_stderr(monkeypatch)
    simulate(logger, 15, start=10.0)
    assert re.search(r"\b0%\|.*?\| 10.00/20 ms", terminal.getvalue())
    assert re.search(r"\b50%\|.*?\| 15.00/20 ms", terminal.getvalue()) is None
    logger.close()  # which draws the bar where the simulation is
    assert re.search(r"\b50%\|.*?\| 15.00/20 ms", terminal.getvalue())


def test_the_log_of_a_job_has_a_line_each_minute(
    logger: Logger,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 21 s for each sample, 20 of them have one line a minute, and one the end."""
    real = iter(range(0, 10_000, 21))
    seconds = [0]

    def slow(number: int) -> int:
        seconds[0] = next(real)
        return number

    monkeypatch.setattr(until, "monotonic", lambda: seconds[0])
    env = clock()
    hook.sample(logger, env, {"n": lambda: slow(int(env.now))}, until=20, show="n")
    env.run()
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert [line.split()[1] for line in lines] == [
        *(f"{now}.00/20" for now in (3, 6, 9, 12, 15, 18)),
        "20.00/20",
    ]
    assert lines[1] == "30% 6.00/20 ms [02:06<04:54, 0.0476 ms/s, n 6]"
    assert lines[-1] == "100% 20.00/20 ms [07:00<00:00, 0.0476 ms/s, n 20]"


def test_no_thread_is_started(logger: Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's promise of no threads includes the bar of a simulation."""
    terminal = as_stderr(monkeypatch)
    before = threading.active_count()
    simulate(logger, 15)
    assert terminal.getvalue()
    assert threading.active_count() == before


@pytest.mark.parametrize("stderr", [None, Broken(), "closed"])
def test_a_simulation_never_stops_for_its_bar(
    logger: Logger, monkeypatch: pytest.MonkeyPatch, stderr: Any
) -> None:
    """A terminal that is gone ends the bar, not the simulation or its samples."""
    if stderr == "closed":
        stderr = Terminal()
        stderr.close()
    monkeypatch.setattr(until._Bar, "every", 0.0)
    monkeypatch.setattr(until._Lines, "every", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", stderr)
        env = simulate(logger, 30)
        logger.close()
    assert env.now == 30
    assert len(scalars(logger.run_dir, "Now")) == 30


def test_a_bar_that_fails_is_told_to_the_log(
    logger: Logger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, at the warning level of the package's logger."""
    monkeypatch.setattr("sys.stderr", Broken())
    simulate(logger, 30)
    [record] = [r for r in caplog.records if "bar" in r.getMessage()]
    assert record.getMessage() == "the progress bar ended: BrokenPipeError()"


def test_time_that_goes_back_takes_the_bar_back(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reset, the bar begins again."""
    terminal = as_stderr(monkeypatch)
    show = until.Progress.made(logger, 10.0, (), "ms", lambda: 0.0)
    for now in (0.0, 5.0, 1.0, 2.0):
        show(now)
    found = re.findall(r"\| ([\d.]+)/10 ms", terminal.getvalue())
    assert [float(now) for now in found] == [0, 5, 1, 2]


def test_a_forked_process_draws_nothing(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the process that began the bar draws it."""
    terminal = as_stderr(monkeypatch)
    env = clock()
    hook.sample(logger, env, {"a": lambda: 1}, until=20)
    env.run(until=10)
    drawn = terminal.getvalue()

    def work() -> None:
        with pytest.warns(UserWarning, match="begun by the process"):
            env.run(until=15)
        logger.close()
        os._exit(terminal.getvalue() != drawn)

    assert in_child(work) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"until": 5}, ValueError, "after the current time, 5 ms, got 5"),
        ({"until": -1.0}, ValueError, "after the current time, 5 ms, got -1"),
        ({"until": float("inf")}, ValueError, "until must be finite, got inf"),
        ({"until": float("nan")}, ValueError, "until must be finite, got nan"),
        ({"until": "20"}, TypeError, "until must be a time in ms, got '20'"),
        ({"until": [1, 2]}, TypeError, "until must be a time in ms, got"),
        ({"until": 20, "show": 3}, TypeError, "sample: show must be tags, got 3"),
        ({"until": 20, "show": (1,)}, TypeError, "sample: tag must be a str"),
        ({"show": "a"}, ValueError, "show= needs until="),
    ],
)
def test_bad_arguments_are_refused_at_once(
    logger: Logger, arguments: dict, error: type[Exception], message: str
) -> None:
    """The error says what is allowed and was given, and nothing was changed."""
    env = clock(5.0)
    with pytest.raises(error, match=f"^sample: .*{message.removeprefix('sample: ')}"):
        hook.sample(logger, env, {"a": lambda: 1}, **arguments)
    assert "step" not in vars(env)


def test_until_may_have_a_unit(
    logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quantity is converted to the unit of the environment's times."""
    u = pytest.importorskip("pint").UnitRegistry()
    with Logger(logdir, time_unit="min") as logger:
        env = clock()
        hook.sample(logger, env, {"a": lambda: 1}, until=1200 * u.s)
        env.run()
        with pytest.raises(TypeError, match="until must be a time in min"):
            hook.sample(logger, env, {"a": lambda: 1}, until=1200 * u.m)
    assert "100% 20.00/20 min" in capsys.readouterr().err
