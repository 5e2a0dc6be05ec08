from __future__ import annotations

import asyncio
import collections
import linecache
import math
import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import HAS_RUST, Server

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.sweep import logged, sweep
from annarchy_tb.sweep.suggestions import Suggestions

hyperopt = pytest.importorskip("hyperopt")
hp = hyperopt.hp

pytestmark = pytest.mark.timeout(600)  # starts pools and clusters

SPACE = {"x": hp.uniform("x", 0.0, 10.0), "rule": hp.choice("rule", ["oja", "hebb"])}

# -- objectives, which workers import --------------------------------------------------


def clock() -> float:
    """Be the clock of a simulator."""
    return 2.5


def blows_up(params: dict[str, Any], logger: Logger) -> float:
    """Log with the trial's settings, and become infinite."""
    logger.add_scalar("before", params["x"])
    logger.add_scalar("energy", float("inf"), 7)
    return 0.0


def parabola(params: dict[str, Any], logger: Logger) -> float:
    for step in range(3):
        logger.add_scalar("x", params["x"], step)
    return float((params["x"] - 3.0) ** 2)


def picky(params: dict[str, Any], logger: Logger) -> dict[str, float]:
    if params["x"] > 5.0:
        raise ValueError(f"diverged at {params['x']}")
    return {"loss": params["x"], "twice": 2 * params["x"]}


def noisy(params: dict[str, Any], logger: Logger) -> float:
    return float(params["seed"])


def mortal(params: dict[str, Any], logger: Logger) -> float:
    """Be killed in every third trial, the first time it is tried."""
    number = logger.run_dir.name.removeprefix("trial")
    if "_" not in number and int(number) % 3 == 1:
        logger.add_scalar("before", 1)
        os.kill(os.getpid(), signal.SIGKILL)
    return parabola(params, logger)


def doomed(params: dict[str, Any], logger: Logger) -> float:
    os._exit(1)


def exits(params: dict[str, Any], logger: Logger) -> float:
    sys.exit(3)


def not_a_number(params: dict[str, Any], logger: Logger) -> float:
    return math.nan if params["x"] > 5 else params["x"]


def lossless(params: dict[str, Any], logger: Logger) -> dict[str, float]:
    return {"error": 1.0}


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str")


def unspeakable(params: dict[str, Any], logger: Logger) -> float:
    raise UnspeakableError


def cancelled(params: dict[str, Any], logger: Logger) -> float:
    raise asyncio.CancelledError("failed")


def says_so(params: dict[str, Any], logger: Logger) -> dict[str, Any]:
    return {"status": "fail"}


def hyperopts(params: dict[str, Any], logger: Logger) -> dict[str, Any]:
    return {"status": "ok", "loss": np.float32(params["x"])}


def infinite(params: dict[str, Any], logger: Logger) -> float:
    return -math.inf if params["x"] > 5 else params["x"]


def slow_or_mortal(params: dict[str, Any], logger: Logger) -> float:
    """Die the first time, except for one trial, which lasts until then."""
    number = logger.run_dir.name.removeprefix("trial")
    if number == "0000":
        while len(list(logger.run_dir.parent.glob("trial*_1"))) < 4:
            time.sleep(0.01)
    elif "_" not in number:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(params["x"])


def lost(path: Path) -> str:
    """Die with the result when it is fetched, and while it is recomputed."""
    from dask.distributed import get_worker

    if (path / "mended").exists():
        return "mended"
    if (path / "once").exists():
        os._exit(1)
    (path / "once").touch()
    get_worker().handlers["get_data"] = lambda *_, **__: os._exit(1)
    return "lost"


def constant(params: dict[str, Any], logger: Logger) -> float:
    return 1.0


def choice(params: dict[str, Any], logger: Logger) -> float:
    return float(params["c"])


def held(params: dict[str, Any], logger: Logger) -> float:
    """From the ninth trial on, wait until the file ``go_on`` exists."""
    number = int(logger.run_dir.name.removeprefix("trial").partition("_")[0])
    while number >= 8 and not (logger.run_dir.parent.parent / "go_on").exists():
        time.sleep(0.01)
    return parabola(params, logger)


def tenth(params: dict[str, Any], logger: Logger) -> float:
    time.sleep(0.1)
    return parabola(params, logger)


def statuses(logdir: Path) -> dict[str, int]:
    return collections.Counter(run.status for run in find_runs(logdir))


def script(path: Path, code: str) -> subprocess.Popen[bytes]:
    """Start a script that can import the objectives of this module."""
    path.write_text(f"import test_sweep\n{code}")
    return subprocess.Popen(
        [sys.executable, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


# -- one machine -----------------------------------------------------------------------


def test_the_loggers_of_trials_have_the_settings_of_the_sweep(logdir: Path) -> None:
    """The unit, the solver's step, the clock, and what to do about NaN."""
    settings: Any = {"dt": 0.5, "time_unit": "s", "clock": clock, "on_nan": "raise"}
    space = {"x": hp.uniform("x", 0, 1)}
    with pytest.warns(UserWarning, match="every trial failed.*value is inf at step 7"):
        result = sweep(
            blows_up, space, 1, logdir, workers=1, progress=False, **settings
        )
    outcome = logged(blows_up, logdir, **settings)({"x": 1.0})
    assert "FloatingPointError" in outcome["error"]
    for run in (result.runs[0], find_runs(logdir)[0]):
        points = run.scalars("before")
        assert (points.steps.tolist(), points.times.tolist()) == ([5], [2.5])
        assert run.time_unit == "s"
        assert run.info["not_finite"] == {"energy": 7}


@pytest.mark.parametrize(
    "settings", [{"dt": -1}, {"time_unit": "x"}, {"clock": 3}, {"on_nan": "stop"}]
)
def test_settings_that_no_logger_takes_begin_no_sweep(
    settings: Any, logdir: Path
) -> None:
    """The error is that of the sweep, and not one of each trial."""
    [name] = settings
    with pytest.raises((TypeError, ValueError), match=f"sweep: {name} must be"):
        sweep(parabola, {"x": 1}, 1, logdir, **settings)
    with pytest.raises((TypeError, ValueError), match=f"logged: {name} must be"):
        logged(parabola, logdir, **settings)
    assert not logdir.exists()


def test_every_trial_is_a_run_of_its_own(logdir: Path) -> None:
    """It has its parameters, metrics and status; the best trial is returned."""
    found = sweep(parabola, SPACE, 12, logdir, workers=3, progress=False)
    assert sorted(run.path.name for run in found.runs) == [
        f"trial{number:04d}" for number in range(12)
    ]
    assert statuses(logdir) == {"finished": 12}
    losses = {run.metrics["loss"]: run for run in found.runs}
    best = losses[found.loss]
    assert found.loss == min(losses)
    assert found.params == best.params
    assert found.params is not None
    assert found.loss == pytest.approx((found.params["x"] - 3) ** 2)
    for run in found.runs:
        assert run.scalars("x").values.tolist() == [run.params["x"]] * 3
    table = found.runs.to_pandas()
    assert table["metrics.loss"].min() == found.loss
    assert set(table["params.rule"]) <= {"oja", "hebb"}


def test_what_raises_is_a_failure_and_the_search_goes_on(logdir: Path) -> None:
    """Other parameters are tried, and failures are counted."""
    found = sweep(picky, SPACE, 12, logdir, workers=2, progress=False)
    assert set(statuses(logdir)) == {"finished", "failed"}
    assert len(found.runs) == 12
    assert found.params is not None
    assert found.params["x"] <= 5.0
    failed = find_runs(logdir, status="failed")
    assert all("diverged" in run.info["error"]["message"] for run in failed)
    assert all("in picky" in run.info["error"]["where"] for run in failed)
    good = find_runs(logdir, status="finished")[0]
    assert good.metrics["twice"] == 2 * good.metrics["loss"]


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (exits, "with '3'"),
        (lossless, "no 'loss'"),
        (unspeakable, "can't be shown"),
        (says_so, "returned the status 'fail'"),
        (cancelled, "failed"),
    ],
)
def test_a_search_in_which_all_fails_ends(
    logdir: Path, objective: Any, message: str
) -> None:
    """There is no best; a warning says why; calling it again gives the same."""
    for _ in range(2):
        with pytest.warns(UserWarning, match=f"every trial failed.*{message}"):
            found = sweep(objective, SPACE, 3, logdir, workers=1, progress=False)
        assert (found.params, found.loss) == (None, math.inf)
        assert statuses(logdir) == {"failed": 3}


def test_a_loss_of_nan_is_no_best(logdir: Path) -> None:
    """The run is finished, but its parameters failed; the same holds for infinity."""
    for objective in (not_a_number, infinite):
        where = logdir / objective.__name__
        found = sweep(objective, SPACE, 10, where, workers=2, progress=False)
        assert statuses(where) == {"finished": 10}
        assert found.params is not None
        assert found.params["x"] <= 5
        again = sweep(objective, SPACE, 10, where, workers=2, progress=False)
        assert again[:2] == found[:2]


def test_a_loss_as_hyperopt_wants_it_is_taken(logdir: Path) -> None:
    """It is a dict with a status."""
    found = sweep(hyperopts, SPACE, 3, logdir, workers=1, progress=False)
    assert statuses(logdir) == {"finished": 3}
    assert found.params is not None
    assert found.loss == np.float32(found.params["x"])


def test_a_trial_whose_worker_died_is_tried_again(logdir: Path) -> None:
    """The new run has a separate directory; earlier data are kept."""
    found = sweep(mortal, SPACE, 9, logdir, workers=2, progress=False)
    finished = find_runs(logdir, status="finished")
    numbers = sorted(run.info["trial"]["number"] for run in finished)
    assert numbers == list(range(9))
    killed = find_runs(logdir, status="killed")
    assert {"trial0001", "trial0004", "trial0007"} <= {run.path.name for run in killed}
    assert Run(logdir / "trial0001").scalars("before").values.tolist() == [1]
    assert len(found.runs) == 9 + len(killed)


def test_a_worker_that_dies_takes_no_other_along(logdir: Path) -> None:
    """A long trial is tried only once, although others die."""
    found = sweep(slow_or_mortal, SPACE, 5, logdir, workers=2, progress=False)
    assert Run(logdir / "trial0000").status == "finished"
    assert not (logdir / "trial0000_1").exists()
    assert statuses(logdir) == {"finished": 5, "killed": 4}
    assert len(found.runs) == 9


def test_a_trial_that_always_kills_its_worker_ends_the_search(logdir: Path) -> None:
    """The error names the trial and the number of attempts."""
    once = {"workers": 1, "retries": 1, "progress": False}
    with pytest.raises(RuntimeError, match="worker of trial0000 died 2 times"):
        sweep(doomed, SPACE, 3, logdir, **once)
    assert statuses(logdir) == {"killed": 2}


# -- stopped, and called again ---------------------------------------------------------


def test_a_sweep_goes_on_where_it_was(logdir: Path) -> None:
    """Finished and failed trials are read from their run.json; none is repeated."""
    first = sweep(picky, SPACE, 6, logdir, workers=2, progress=False)
    before = {run.path: run.info for run in first.runs}
    again = sweep(picky, SPACE, 6, logdir, workers=2, progress=False)
    assert {run.path: run.info for run in again.runs} == before
    assert (again.params, again.loss) == (first.params, first.loss)
    more = sweep(picky, SPACE, 10, logdir, workers=2, progress=False)
    assert len(more.runs) == 10
    assert {path: Run(path).info for path in before} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_is_stopped_is_resumed(
    logdir: Path, number: signal.Signals
) -> None:
    """After Ctrl-C or kill -9, finished trials count, and the others are retried."""
    code = f"""
from annarchy_tb.sweep import sweep
if __name__ == "__main__":
    sweep(test_sweep.held, test_sweep.SPACE, 40, {str(logdir)!r}, workers=2)
"""
    process = script(logdir.parent / "script.py", code)
    while not logdir.exists() or len(find_runs(logdir, status="finished")) < 8:
        assert process.poll() is None
        time.sleep(0.05)
    if number == signal.SIGINT:  # the terminal sends it to all processes
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait(300)
    while find_runs(logdir, status="running"):  # workers end after their parent
        time.sleep(0.05)
    before = {run.path: run.info for run in find_runs(logdir, status="finished")}
    assert len(before) == 8
    (logdir.parent / "go_on").touch()
    found = sweep(held, SPACE, 30, logdir, workers=2, progress=False)
    finished = find_runs(logdir, status="finished")
    counted = collections.Counter(run.info["trial"]["number"] for run in finished)
    assert list(counted.values()) == [1] * 30
    assert {path: Run(path).info for path in before} == before
    assert not find_runs(logdir, status="running")
    assert found.loss == min(run.metrics["loss"] for run in finished)


def test_the_suggestions_of_a_resumed_search_are_those_of_a_whole_one() -> None:
    """They depend only on the seed and on the results entered."""
    space = hp.choice(
        "model",
        [
            {"name": "a", "x": hp.uniform("x", 0, 1)},
            {
                "name": "b",
                "y": hp.quniform("y", 0, 100, 5),
                "z": hp.loguniform("z", 0, 3),
            },
        ],
    )
    whole = Suggestions(space, 7)
    history = []
    for number in range(40):
        asked, params, choices = whole.ask()
        loss = None if number % 7 == 3 else params.get("x", 0.5) + params.get("y", 0)
        whole.tell(asked, loss)
        history.append((asked, params, choices, loss))
    resumed = Suggestions(space, 7)
    for asked, params, choices, loss in history[:25]:
        assert resumed.restore(asked, choices) == params
        resumed.tell(asked, loss)
    for asked, params, choices, loss in history[25:]:
        assert resumed.ask() == (asked, params, choices)
        resumed.tell(asked, loss)
    assert resumed.best() == whole.best()


def test_a_directory_belongs_to_one_sweep(logdir: Path) -> None:
    """Another space or number of repetitions raises, and nothing is computed."""
    arguments = {"space": {"c": hp.choice("c", [1, 2, 3, 4])}, "repeats": 1}
    fixed = {"max_evals": 8, "logdir": logdir, "workers": 1, "progress": False}
    sweep(choice, **arguments, **fixed)
    for change in (
        {"space": {"c": hp.choice("c", [4, 3, 2, 1])}},
        {"space": {"c": hp.choice("c", [1, 2])}},
        {"space": {"renamed": hp.choice("renamed", [1, 2, 3, 4])}},
        {"space": {"c": hp.choice("c", [1, 2, 3, 4]), "x": hp.uniform("x", 0, 1)}},
        {"space": {"y": hp.uniform("y", 0, 1)}},
        {"repeats": 2},
    ):
        with pytest.raises(
            ValueError, match="belongs to another sweep, .*a new logdir"
        ):
            sweep(choice, **{**arguments, **change}, **fixed)
        assert len(find_runs(logdir)) == 8


def test_trials_of_other_bounds_or_distributions_do_not_count(logdir: Path) -> None:
    """Their best parameters may lie outside of the new space; the error shows both."""
    fixed: Any = {"logdir": logdir, "workers": 1, "progress": False}
    sweep(parabola, {"x": hp.uniform("x", 0, 10)}, 2, **fixed)
    sweep(parabola, {"x": hp.uniform("x", 0.0, 10.0)}, 2, **fixed)  # the same
    for space in (
        {"x": hp.uniform("x", 0, 1)},
        {"x": hp.loguniform("x", 0, 10)},
        {"x": hp.quniform("x", 0, 10, 1)},
    ):
        with pytest.raises(
            ValueError, match="with a different space: use a new logdir"
        ):
            sweep(parabola, space, 3, **fixed)
    with pytest.raises(ValueError, match="changed=True") as caught:
        sweep(parabola, {"x": hp.uniform("x", 0, 1)}, 3, **fixed)
    lines = str(caught.value).splitlines()
    assert [line.split() for line in lines if line[0] in "+-"][2:] == [
        ["-", "10"],
        ["+", "1"],
    ]
    assert "'x'" in [line.strip() for line in lines]
    assert len(find_runs(logdir)) == 2


def test_a_sweep_continues_on_purpose(logdir: Path) -> None:
    """The earlier trials count, and the next call compares with the new space."""
    wider = {"x": hp.uniform("x", 0, 20)}
    fixed: Any = {"logdir": logdir, "workers": 1, "progress": False}
    sweep(parabola, {"x": hp.uniform("x", 0, 10)}, 2, **fixed)
    assert len(sweep(parabola, wider, 3, changed=True, **fixed).runs) == 3
    assert len(sweep(parabola, wider, 4, **fixed).runs) == 4
    with pytest.raises(ValueError, match="with a different space"):
        sweep(parabola, {"x": hp.uniform("x", 0, 10)}, 4, **fixed)
    other = {"y": hp.uniform("y", 0, 10)}
    with pytest.raises(ValueError, match="with different parameters"):
        sweep(parabola, other, 4, changed=True, **fixed)
    assert len(sweep(parabola, wider, 4, **fixed).runs) == 4


def test_a_space_is_the_same_in_every_process(logdir: Path) -> None:
    """Sets have no order, and functions have addresses."""
    code = f"""
from hyperopt import hp
from annarchy_tb.sweep import sweep

class Rule: pass

if __name__ == "__main__":
    choices = [{{"a", "b", "c"}}, test_sweep.clock, Rule(), (1, "x")]
    space = {{"x": hp.uniform("x", 0, 1), "c": hp.choice("c", choices)}}
    sweep(test_sweep.constant, space, 1, {str(logdir)!r}, workers=1)
"""
    for _ in range(3):
        assert script(logdir.parent / "script.py", code).wait(300) == 0


PARTIAL = "import functools\ndef g(params, logger, k): {}\nf = functools.partial(g, {})"
CLASS = (
    "class F:\n    def __call__(self, params, logger): return {}\n    g = __call__\n"
)
DECORATOR = """
import functools
def d(g):
    @functools.wraps(g)
    def h(*a):
        return g(*a)
    return h
@d
def f(params, logger):
    return """

# An objective f before and after an edit, and whether it is another one.
EDITS = {
    "another": (
        "def f(params, logger):\n    return params['x']",
        "def f(params, logger):\n    return -params['x']",
        True,
    ),
    "comments": (
        "def f(params, logger):\n    return params['x']",
        "import os\n\ndef f(params,\n logger):\n    'Try x.'\n    # why\n"
        '    return (params["x"])',
        False,
    ),
    "a default": (
        "def f(params, logger, k=1):\n    return 1.0",
        "def f(params, logger, k=2):\n    return 1.0",
        True,
    ),
    "a name": (
        "def f(params, logger):\n    return 1.0",
        "def g(params, logger):\n    return 1.0\n\nf = g",
        True,
    ),
    "around a lambda": (
        "f, n = lambda params, logger: params['x'], 20",
        "n = 40\nf = (lambda params,\n  logger: params['x'])",
        False,
    ),
    "a lambda": (
        "f = lambda params, logger: params['x']",
        "f = lambda params, logger: -params['x']",
        True,
    ),
    "two lambdas": (  # which one it is can't be known
        "f, g = lambda p, l: p['x'], lambda p, l: 2.0",
        "f, g = lambda p, l: -p['x'], lambda p, l: 2.0",
        False,
    ),
    "an argument": (
        PARTIAL.format("return k", "k=1.0"),
        PARTIAL.format("return k", "k=2.0"),
        True,
    ),
    "inside of a partial": (
        PARTIAL.format("return k", "k=1.0"),
        PARTIAL.format("return k + 1", "k=1.0"),
        True,
    ),
    "the same partial": (
        PARTIAL.format("return 1.0", "k={'b', 'a', f}").replace("f}", "len}"),
        PARTIAL.format("return 1.0", "k={len, 'a', 'b'}"),
        False,
    ),
    "an object": (
        CLASS.format("1.0") + "f = F()",
        CLASS.format("2.0") + "f = F()",
        True,
    ),
    "the same object": (
        CLASS.format("1.0") + "f = F()",
        CLASS.format("1.0  # why") + "f = F()",
        False,
    ),
    "a method": (
        CLASS.format("1.0") + "f = F().g",
        CLASS.format("2") + "f = F().g",
        True,
    ),
    "behind a decorator": (DECORATOR + "1.0", DECORATOR + "2.0", True),
}


@pytest.mark.parametrize("edit", EDITS)
def test_trials_of_another_objective_do_not_count(
    edit: str, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its comments, its layout and what is around it may change."""
    *sources, differs = EDITS[edit]
    logdir.mkdir()
    space = {"x": hp.uniform("x", 0, 1)}
    path = logdir.parent / "edited.py"
    with ThreadPoolExecutor(1) as pool:
        fixed: Any = {"executor": pool, "workers": 1, "progress": False}
        for number, source in enumerate(sources):
            path.write_text(str(source))
            linecache.clearcache()
            module: Any = ModuleType("edited")
            module.__file__ = str(path)
            monkeypatch.setitem(sys.modules, "edited", module)
            exec(compile(str(source), str(path), "exec"), vars(module))
            if number and differs:
                with pytest.raises(
                    ValueError, match="different (arg|obj).*: use a new"
                ):
                    sweep(module.f, space, 2, logdir, **fixed)
            else:
                sweep(module.f, space, 1 + number, logdir, **fixed)


def test_an_objective_without_a_source_has_its_name(logdir: Path) -> None:
    """As one that was typed at a prompt, or whose file is gone."""
    space = {"x": hp.uniform("x", 0, 1)}
    with ThreadPoolExecutor(1) as pool:
        fixed: Any = {"executor": pool, "workers": 1, "progress": False}
        for name, value, refused in (("f", 1, 0), ("f", 2, 0), ("g", 2, 1)):
            module: dict[str, Any] = {}
            exec(f"def {name}(params, logger): return {value}", module)
            if refused:
                with pytest.raises(ValueError, match="different objective"):
                    sweep(module[name], space, 3, logdir, **fixed)
            else:
                sweep(module[name], space, value, logdir, **fixed)


@pytest.mark.parametrize("said", [None, b'{"space": 3}', b"\xff"])
def test_a_sweep_without_a_record_of_its_subject_continues(
    said: bytes | None, logdir: Path
) -> None:
    """A warning says what is not known, once."""
    fixed: Any = {"logdir": logdir, "workers": 1, "progress": False}
    sweep(parabola, SPACE, 1, **fixed)
    (logdir / "sweep.json").unlink()
    if said is not None:
        (logdir / "sweep.json").write_bytes(said)
    with pytest.warns(UserWarning, match=r"has no sweep.json: whether its trials"):
        sweep(parabola, SPACE, 2, **fixed)
    assert len(sweep(parabola, SPACE, 3, **fixed).runs) == 3


def test_a_sweep_without_trials_is_nothing_to_compare_with(logdir: Path) -> None:
    """It may have ended before the first one."""
    space = {"x": hp.uniform("x", 0, 1), "seed": 1}
    with pytest.raises(ValueError, match="can't have a 'seed'"):
        sweep(parabola, space, 1, logdir, repeats=2, progress=False)
    assert (logdir / "sweep.json").exists()
    sweep(parabola, SPACE, 1, logdir, workers=1, progress=False)


def test_sweeps_inside_of_a_sweep_are_their_own(logdir: Path) -> None:
    """Only the runs directly in the directory count."""
    sweep(parabola, SPACE, 2, logdir / "inner", workers=1, progress=False)
    found = sweep(parabola, SPACE, 3, logdir, workers=1, progress=False)
    assert len(found.runs) == 3
    assert len(find_runs(logdir)) == 5


def test_two_sweeps_at_once_are_refused(logdir: Path) -> None:
    """So is a sweep whose earlier trials are still running after it was killed."""
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(sweep, held, SPACE, 9, logdir, workers=1, progress=False)
        while not (logdir / "trial0008").exists():
            time.sleep(0.01)
        with pytest.raises(RuntimeError, match="another sweep is running in"):
            sweep(held, SPACE, 4, logdir, progress=False)
        (logdir.parent / "go_on").touch()
        assert len(one.result().runs) == 9
    logger = Logger(logdir, "trial0009")
    logger._info.update(trial={"number": 9, "repeat": 0, "repeats": 1, "choices": {}})
    with pytest.raises(RuntimeError, match=r"trial0009 is still being written"):
        sweep(held, SPACE, 10, logdir, progress=False)
    logger.close()


def test_a_sweep_that_ends_waits_for_its_trials(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes trials on a user's executor: none runs after the sweep."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("annarchy_tb.sweep.search._Search._take", interrupted)
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(KeyboardInterrupt):
            sweep(tenth, SPACE, 9, logdir, executor=pool, workers=2, progress=False)
        assert not find_runs(logdir, status="running")
    monkeypatch.undo()
    before = len(find_runs(logdir, status="finished"))
    assert before <= 3
    assert len(sweep(tenth, SPACE, 4, logdir, progress=False).runs) == 4


# -- repetitions, HPARAMS --------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False], ids=["rust", "python"])
def test_tensorboard_shows_a_row_for_each_trial(logdir: Path, fast: bool) -> None:
    """Repetitions share a row with their mean metrics; no cell is empty."""
    if fast and not HAS_RUST:
        pytest.skip("TensorBoard has no data server for this platform; CI runs it")
    found = sweep(noisy, SPACE, 3, logdir, workers=2, repeats=4, progress=False)
    assert found.loss == 1.5
    assert len(found.runs) == 12
    assert sorted(run.params["seed"] for run in found.runs) == sorted([0, 1, 2, 3] * 3)
    server = Server(logdir, fast)
    try:
        server.start()
        rows = server.rows(lambda rows: sum(len(r["sessions"]) for r in rows) == 12)
    finally:
        server.stop()
    found_names = sorted(row["name"].split("/")[1] for row in rows)
    assert found_names == [f"trial{i:04d}" for i in range(3)]
    for row in rows:
        assert len(row["sessions"]) == 4
        assert set(row["hparams"]) == {"x", "rule", "seed"}
        metrics = {m["name"]["tag"]: m["value"] for m in row["metricValues"]}
        assert metrics["loss"] == 1.5


# -- other executors -------------------------------------------------------------------


def test_a_cluster_of_dask_tries_again_what_was_killed(logdir: Path) -> None:
    """There are several real worker processes, one of which dies at times."""
    pytest.importorskip("dask.distributed")
    code = f"""
import dask
from dask.distributed import Client, LocalCluster
from annarchy_tb.sweep import sweep

if __name__ == "__main__":
    # A LocalCluster gives up on workers that take longer than this to start anew.
    dask.config.set({{"distributed.deploy.lost-worker-timeout": "10 minutes"}})
    several = dict(n_workers=3, threads_per_worker=1, dashboard_address=":0")
    with LocalCluster(**several) as cluster, Client(cluster) as client:
        sweep(
            test_sweep.mortal,
            test_sweep.SPACE,
            9,
            {str(logdir)!r},
            executor=client.get_executor(),
            workers=3,
        )
"""
    assert script(logdir.parent / "script.py", code).wait(300) == 0
    finished = find_runs(logdir, status="finished")
    counted = collections.Counter(run.info["trial"]["number"] for run in finished)
    assert counted == dict.fromkeys(range(9), 1)
    its = {(run.info["command"], run.info["cwd"]) for run in finished}
    place = str(logdir.parent / "script.py")
    assert its == {(shlex.join([sys.executable, place]), os.getcwd())}
    assert len({run.info["pid"] for run in finished}) > 2
    killed = find_runs(logdir, status="killed")
    assert {"trial0001", "trial0004", "trial0007"} <= {run.path.name for run in killed}
    assert not find_runs(logdir, status="running")


def test_a_result_that_dask_lost_is_not_waited_for(tmp_path: Path) -> None:
    """Dask's own executor would never report that the second worker died, too.

    Nor would it retry the call, since it treats the function as pure.
    """
    pytest.importorskip("dask.distributed")
    code = f"""
import dask
from dask.distributed import Client, LocalCluster
from pathlib import Path
from annarchy_tb.sweep.workers import died, processes_or

if __name__ == "__main__":
    dask.config.set({{"distributed.deploy.lost-worker-timeout": "10 minutes"}})
    dask.config.set({{"distributed.scheduler.allowed-failures": 0}})
    several = dict(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with (
        LocalCluster(**several) as cluster,
        Client(cluster) as client,
        processes_or(client.get_executor(), 2) as submit,
    ):
        path = Path({str(tmp_path)!r})
        future = submit(test_sweep.lost, path)
        assert died(future.exception(200))
        (path / "mended").touch()
        assert submit(test_sweep.lost, path).result(200) == "mended"
"""
    assert script(tmp_path / "script.py", code).wait(300) == 0


def test_an_executor_that_is_closed_is_told(logdir: Path) -> None:
    """The error says so; called again, the sweep continues."""
    (logdir.parent / "go_on").touch()
    with ThreadPoolExecutor(1) as pool:

        def closes(params: dict[str, Any], logger: Logger) -> float:
            while pool._work_queue.empty():  # until the next trial waits there
                time.sleep(0.01)
            pool.shutdown(wait=False, cancel_futures=True)
            return held(params, logger)

        with pytest.raises(RuntimeError, match="trial0001 was cancelled.*continues"):
            sweep(closes, SPACE, 9, logdir, executor=pool, workers=2, progress=False)
    found = sweep(held, SPACE, 9, logdir, workers=2, progress=False, changed=True)
    assert len(found.runs) == 9


def test_hyperopts_own_loop_logs_its_trials(logdir: Path) -> None:
    """logged() is an objective for fmin in which every exception is a failure."""
    trials = hyperopt.Trials()
    hyperopt.fmin(
        logged(picky, logdir),
        SPACE,
        hyperopt.rand.suggest,
        max_evals=10,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    assert set(statuses(logdir)) == {"finished", "failed"}
    assert len(find_runs(logdir)) == 10
    losses = [run.metrics["loss"] for run in find_runs(logdir, status="finished")]
    assert sorted(losses) == sorted(
        loss for loss in trials.losses() if loss is not None
    )


def test_a_trial_records_the_program_that_sent_it(logdir: Path) -> None:
    """The process that tries it may be of another program, as a worker of Spark is."""
    work = logdir.parent / "work"
    work.write_bytes(pickle.dumps(logged(parabola, logdir)))
    code = f"import pickle; pickle.load(open({str(work)!r}, 'rb'))({{'x': 1.0}})"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=logdir.parent, env=env)
    [run] = find_runs(logdir)
    assert run.info["command"] == shlex.join(sys.orig_argv)
    assert run.info["cwd"] == os.getcwd()
    assert run.info["pid"] != os.getpid()


def test_a_space_without_parameters_is_refused(logdir: Path) -> None:
    """There is nothing to search."""
    with pytest.raises(ValueError, match="space must hold at least one parameter"):
        sweep(parabola, {}, 3, logdir)
