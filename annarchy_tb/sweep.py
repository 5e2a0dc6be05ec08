"""Sweeps: hyperopt suggests parameters, any executor tries them, each trial is a run.

All that a sweep knows is in the ``run.json`` of its trials. So it can be stopped, or
killed, and go on.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat

import numpy as np
from tqdm.auto import tqdm

from annarchy_tb import names
from annarchy_tb.find import Runs, find_runs
from annarchy_tb.logger import Logger
from annarchy_tb.runinfo import FAILED, FINISHED, read
from annarchy_tb.runs import absolute, claim

Params = dict[str, Any]
Objective = Callable[[Params, Logger], SupportsFloat | Mapping[str, SupportsFloat]]

INTERRUPTED = ("KeyboardInterrupt", "SystemExit")  # of a trial that is tried again


class Result(NamedTuple):
    """What a sweep found.

    Attributes
    ----------
    params : dict or None
        The best parameters; None if every trial failed.
    loss : float
        Their loss, the mean over the repetitions; infinite if every trial failed.
    runs : Runs
        All runs of the sweep, also those that were interrupted: see `find_runs`.
    """

    params: Params | None
    loss: float
    runs: Runs


def sweep(
    objective: Objective,
    space: Any,
    max_evals: int = 100,
    logdir: str | os.PathLike[str] = "runs/sweep",
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    repeats: int = 1,
    retries: int = 3,
    seed: int = 0,
    algo: Callable[..., list[Any]] | None = None,
    progress: bool = True,
) -> Result:
    """Search for the parameters with the smallest loss; log each trial as a run.

    A sweep that is called again with the same `logdir` goes on: trials that finished
    or failed are taken from their ``run.json``. A trial whose worker died, or that was
    interrupted, is tried again, in a directory of its own.

    Parameters
    ----------
    objective : callable
        ``objective(params, logger)`` tries parameters, logs to the run of the trial,
        and returns the loss, or a dict of metrics with a ``"loss"``. It is sent to
        other processes, so it has to stand in a module or a script. What it raises
        makes the run a failure; the sweep goes on. A loss of NaN is a failure of the
        parameters too.
    space : dict
        The parameters by their names, in hyperopt's terms, such as
        ``{"tau": hyperopt.hp.uniform("tau", 1.0, 100.0)}``.
    max_evals : int, default 100
        How many parameters are tried in all, failures and earlier ones included.
    logdir : str or path, default "runs/sweep"
        The directory of this sweep alone. Runs are called ``trial0000`` and so on.
    executor : concurrent.futures.Executor, optional
        What tries the parameters, for example Dask's ``client.get_executor()``. By
        default a pool of processes on this machine.
    workers : int, optional
        How many trials go on at a time; by default as many as there are CPUs.
    repeats : int, default 1
        How often all parameters are tried. With more than 1, ``params`` have a
        ``"seed"`` that counts from 0, the loss is the mean, and the runs share a row of
        the HPARAMS tab, which shows the averages.
    retries : int, default 3
        How often a trial is tried again whose worker died.
    seed : int, default 0
        Of the suggestions.
    algo : callable, optional
        hyperopt's algorithm, by default ``hyperopt.tpe.suggest``.
    progress : bool, default True
        Show a progress bar with the best loss so far.

    Returns
    -------
    Result
        The best parameters, their loss, and all runs.

    Raises
    ------
    ImportError
        If hyperopt is missing.
    RuntimeError
        If the worker of a trial died more than `retries` times.
    """
    suggestions = Suggestions(space, seed, algo)
    path = absolute(logdir)
    path.mkdir(parents=True, exist_ok=True)
    workers = workers or os.cpu_count() or 1
    search = _Search(objective, suggestions, path, repeats, retries)
    search.restore(find_runs(path))
    with (
        _executor(executor, workers) as submit,
        tqdm(total=max_evals, initial=search.done, disable=not progress) as bar,
    ):
        search.run(submit, max_evals, workers, bar)
    params, loss = suggestions.best() or (None, math.inf)
    return Result(params, loss, find_runs(path))


def logged(
    objective: Objective, logdir: str | os.PathLike[str] = "runs/sweep"
) -> Callable[[Params], dict[str, Any]]:
    """Return a function for ``hyperopt.fmin`` that logs each trial as a run.

    For example on a Spark cluster: ``fmin(logged(objective), space, tpe.suggest,
    max_evals=100, trials=SparkTrials())``. What the objective raises makes the run a
    failure, and the search goes on.

    Parameters
    ----------
    objective, logdir
        As in `sweep`. The runs have names by date and host.
    """
    return _Logged(objective, absolute(logdir))


@dataclass(frozen=True)
class _Logged:
    objective: Objective
    logdir: Path

    def __call__(self, params: Params) -> dict[str, Any]:
        path = claim(self.logdir, names.default_run())
        outcome = _try(self.objective, path, params)
        if outcome.metrics is None:
            return {"status": "fail", "error": outcome.error}
        return {"status": "ok", **outcome.metrics}


# -- what hyperopt is asked and told ---------------------------------------------------


class Suggestions:
    """hyperopt, asked for parameters and told their losses.

    Parameters
    ----------
    space, seed, algo
        As in `sweep`.
    """

    def __init__(
        self, space: Any, seed: int, algo: Callable[..., list[Any]] | None = None
    ) -> None:
        try:
            import hyperopt
            from hyperopt.base import Domain
        except ImportError:
            raise ImportError(
                "sweep needs hyperopt: pip install 'annarchy-tb[sweep]'"
            ) from None
        self._hyperopt = hyperopt
        self._algo = algo or hyperopt.tpe.suggest
        self._space = space
        self._seed = seed
        self._domain = Domain(lambda params: 0.0, space)
        self._trials = hyperopt.Trials()
        self._docs: dict[int, Any] = {}
        self._next = 0

    def ask(self) -> tuple[int, Params, dict[str, Any]]:
        """Return a number, parameters, and what `restore` needs to know of them."""
        number = self._next
        random = np.random.default_rng([self._seed, number])
        seed = int(random.integers(2**31 - 1))
        [doc] = self._algo([number], self._domain, self._trials, seed)
        choices = {
            name: _plain(found[0])
            for name, found in doc["misc"]["vals"].items()
            if len(found)
        }
        self._enter(doc)
        return number, self._params(choices), choices

    def restore(self, number: int, choices: dict[str, Any]) -> Params:
        """Enter what was asked for before; return its parameters."""
        labels = self._domain.params  # also those that this choice does not need
        misc = {
            "tid": number,
            "cmd": self._domain.cmd,
            "workdir": None,
            "idxs": {name: [number] if name in choices else [] for name in labels},
            "vals": {n: [choices[n]] if n in choices else [] for n in labels},
        }
        new = {"status": self._hyperopt.STATUS_NEW}
        [doc] = self._trials.new_trial_docs([number], [None], [new], [misc])
        self._enter(doc)
        return self._params(choices)

    def _enter(self, doc: Any) -> None:
        doc["state"] = self._hyperopt.JOB_STATE_RUNNING
        self._trials.insert_trial_docs([doc])
        self._trials.refresh()
        number = doc["tid"]
        self._docs[number] = next(
            there for there in self._trials.trials if there["tid"] == number
        )
        self._next = max(self._next, number + 1)

    def tell(self, number: int, loss: float | None) -> None:
        """Enter the loss of parameters, None if they failed."""
        ok = loss is not None and not math.isnan(loss)
        doc = self._docs[number]
        doc["state"] = self._hyperopt.JOB_STATE_DONE
        doc["result"] = (
            {"status": self._hyperopt.STATUS_OK, "loss": loss}
            if ok
            else {"status": self._hyperopt.STATUS_FAIL}
        )
        self._trials.refresh()

    def best(self) -> tuple[Params, float] | None:
        """Return the best parameters and their loss, None if there are none."""
        told = [
            (doc["result"]["loss"], number)
            for number, doc in self._docs.items()
            if doc["result"].get("status") == self._hyperopt.STATUS_OK
        ]
        if not told:
            return None
        loss, number = min(told)
        vals = self._docs[number]["misc"]["vals"]
        return self._params({n: v[0] for n, v in vals.items() if len(v)}), loss

    def _params(self, choices: dict[str, Any]) -> Params:
        found = self._hyperopt.space_eval(self._space, choices)
        return dict(found) if isinstance(found, Mapping) else {"x": found}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


# -- the search ------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of a trial: metrics with the loss, or an error."""

    metrics: dict[str, float] | None
    error: str = ""


class _Trial(NamedTuple):
    """Parameters to be tried once, and what `Suggestions.restore` needs of them."""

    number: int
    repeat: int
    params: Params
    choices: dict[str, Any]
    name: str
    group: str | None = None
    deaths: int = 0


class _Search:
    def __init__(
        self,
        objective: Objective,
        suggestions: Suggestions,
        logdir: Path,
        repeats: int,
        retries: int,
    ) -> None:
        self._objective = objective
        self._suggestions = suggestions
        self._logdir = logdir
        self._repeats = repeats
        self._retries = retries
        self._losses: dict[int, dict[int, float | None]] = {}  # by number and repeat
        self._todo: list[_Trial] = []
        self.done = 0

    def restore(self, runs: Runs) -> None:
        """Take from earlier runs what came of them."""
        known: dict[int, dict[str, Any]] = {}
        for run in reversed(runs):
            info = run.info
            trial = info.get("trial")
            if not isinstance(trial, dict):
                continue
            number = trial["number"]
            known[number] = trial["choices"]
            its = self._losses.setdefault(number, {})
            error = (info.get("error") or {}).get("type")
            if info.get("status") == FINISHED:
                its[trial["repeat"]] = run.metrics.get("loss")
            elif info.get("status") == FAILED and error not in INTERRUPTED:
                its[trial["repeat"]] = None
        for number, choices in sorted(known.items()):
            params = self._suggestions.restore(number, choices)
            self._plan(number, params, choices)

    def _plan(self, number: int, params: Params, choices: dict[str, Any]) -> None:
        """Enter what is still to be tried of these parameters."""
        its = self._losses.setdefault(number, {})
        name = f"trial{number:04d}"
        for repeat in range(self._repeats):
            trial = _Trial(number, repeat, params, choices, name)
            if self._repeats > 1:
                trial = trial._replace(
                    params={**params, "seed": repeat},
                    name=f"{name}_seed{repeat}",
                    group=name,
                )
            if repeat not in its:
                self._todo.append(trial)
        self._tell(number)

    def _tell(self, number: int) -> None:
        """Tell the loss of parameters that were tried as often as they are to be."""
        losses = list(self._losses[number].values())
        if len(losses) >= self._repeats:
            found = [loss for loss in losses if loss is not None]
            whole = len(found) == len(losses)
            self._suggestions.tell(number, float(np.mean(found)) if whole else None)
            self.done += 1

    def run(
        self,
        submit: Callable[..., Future[Outcome]],
        max_evals: int,
        workers: int,
        bar: tqdm[Any],
    ) -> None:
        """Try until so many parameters have been tried."""
        going: dict[Future[Outcome], _Trial] = {}
        while True:
            while len(going) < workers and (
                self._todo or len(self._losses) < max_evals
            ):
                if not self._todo:
                    self._plan(*self._suggestions.ask())
                trial = self._todo.pop(0)
                going[submit(_run_trial, self._objective, self._logdir, trial)] = trial
            if not going:
                return
            finished, _ = wait(going, return_when=FIRST_COMPLETED)
            for future in finished:
                self._take(future, going.pop(future))
            best = self._suggestions.best()
            if best is not None:
                bar.set_postfix_str(f"best loss {best[1]:.4g}", refresh=False)
            bar.update(self.done - bar.n)

    def _take(self, future: Future[Outcome], trial: _Trial) -> None:
        try:
            outcome = future.result()
        except Exception as error:  # the worker's: it died, or could not take the trial
            if not _died(error):
                raise
            if trial.deaths == self._retries:
                raise RuntimeError(
                    f"the worker of {trial.name} died {trial.deaths + 1} times"
                ) from error
            self._todo.insert(0, trial._replace(deaths=trial.deaths + 1))
            return
        loss = None if outcome.metrics is None else outcome.metrics["loss"]
        self._losses[trial.number][trial.repeat] = loss
        self._tell(trial.number)


def _died(error: Exception) -> bool:
    """Return whether an executor says that the process of a worker is gone."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _run_trial(objective: Objective, logdir: Path, trial: _Trial) -> Outcome:
    """Try parameters in a run of their own; this is what workers do."""
    about = {
        "number": trial.number,
        "repeat": trial.repeat,
        "choices": trial.choices,
    }
    # An executor may lose a result with its worker, and ask for it again.
    for info in _earlier(logdir, trial.name):
        if info.get("trial") == about and info.get("status") == FINISHED:
            return Outcome(_as_floats(info["metrics"]))
    path = claim(logdir, trial.name)
    return _try(objective, path, trial.params, about, trial.group)


def _earlier(logdir: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the records of the runs that `claim` made for a name."""
    for number in itertools.count():
        path = logdir / (f"{name}_{number}" if number else name)
        if not path.exists():
            return
        yield read(path)


def _as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    # JSON has no NaN.
    return {n: math.nan if v is None else float(v) for n, v in metrics.items()}


def _try(
    objective: Objective,
    path: Path,
    params: Params,
    about: dict[str, Any] | None = None,
    group: str | None = None,
) -> Outcome:
    try:
        with Logger(path.parent, path.name) as logger:
            if about is not None:
                logger._info.later(trial=about)
            logger.add_parameters(params, group=group)
            found = objective(params, logger)
            metrics = dict(found) if isinstance(found, Mapping) else {"loss": found}
            if "loss" not in metrics:
                raise ValueError("the objective's metrics have no 'loss'")
            # The run ends here, so that run.json need not be written twice.
            logger._info.later(logger._metrics_written(metrics))
            return Outcome(_as_floats(metrics))
    except (Exception, SystemExit) as error:
        return Outcome(None, f"{type(error).__name__}: {error}")


@contextmanager
def _executor(
    given: Executor | None, workers: int
) -> Iterator[Callable[..., Future[Outcome]]]:
    """Give the `submit` of an executor; of our own pool, also after a worker died."""
    if given is not None:
        yield given.submit
        return
    # A fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")

    def start() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, context, _end_with_parent)

    pool = start()

    def submit(*arguments: Any) -> Future[Outcome]:
        nonlocal pool
        try:
            return pool.submit(*arguments)
        except BrokenExecutor:
            pool.shutdown()
            pool = start()
            return pool.submit(*arguments)

    try:
        yield submit
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Have this worker end when the process of the sweep is killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
