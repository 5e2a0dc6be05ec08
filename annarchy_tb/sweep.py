"""Sweeps: hyperopt suggests parameters, any executor tries them, each trial is a run.

All that a sweep knows is in the ``run.json`` of its trials. So it can be stopped, or
killed, and go on.
"""

from __future__ import annotations

import hashlib
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
from annarchy_tb.atomic import exclusive
from annarchy_tb.find import Runs, find_runs
from annarchy_tb.hparams import flatten
from annarchy_tb.logger import Logger
from annarchy_tb.messages import warn
from annarchy_tb.reader import Run
from annarchy_tb.runinfo import (
    FAILED,
    FINISHED,
    as_json,
    describe_error,
    is_alive,
    read,
)
from annarchy_tb.runs import absolute, claim

Params = dict[str, Any]
Objective = Callable[[Params, Logger], SupportsFloat | Mapping[str, SupportsFloat]]


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
        makes the run a failure; the sweep goes on. A loss that is not finite is a
        failure of the parameters too.
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
        If the worker of a trial died more than `retries` times, or if another sweep
        goes on in `logdir`, or trials of one do.
    ValueError
        If `space` is empty, or the sweep in `logdir` was begun with another one or with
        other `repeats`.
    """
    suggestions = Suggestions(space, seed, algo)
    path = absolute(logdir)
    path.mkdir(parents=True, exist_ok=True)
    workers = workers or os.cpu_count() or 1
    search = _Search(objective, suggestions, path, max_evals, repeats, retries)
    with exclusive(path, patience=0.0) as alone:
        if not alone:
            raise RuntimeError(f"another sweep goes on in {path}")
        search.restore(_runs(path))
        with (
            _executor(executor, workers) as submit,
            tqdm(total=max_evals, initial=search.done, disable=not progress) as bar,
        ):
            search.run(submit, workers, bar)
    runs = _runs(path)
    params, loss = suggestions.best() or (None, math.inf)
    errors = [run.info["error"] for run in runs if run.info.get("error")]
    if params is None and errors:
        warn(f"every trial failed, the last one with {errors[0].get('message')!r}")
    return Result(params, loss, runs)


def _runs(logdir: Path) -> Runs:
    """Return the runs of the sweep in a directory, without those further below."""
    return Runs(logdir, [run for run in find_runs(logdir) if run.path.parent == logdir])


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
        status = "ok" if math.isfinite(outcome.metrics["loss"]) else "fail"
        return {**outcome.metrics, "status": status}


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
        if isinstance(space, Mapping) and not space:
            raise ValueError("space must hold parameters, and is empty")
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
        return number, self.parameters(choices), choices

    def restore(self, number: int, choices: dict[str, Any]) -> Params:
        """Enter what was asked for before; return its parameters.

        Raises
        ------
        ValueError
            If they are not of this space.
        """
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
        params = self.parameters(choices)
        self._enter(doc)
        return params

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
        ok = loss is not None and math.isfinite(loss)
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
        return self.parameters({n: v[0] for n, v in vals.items() if len(v)}), loss

    def parameters(self, choices: dict[str, Any]) -> Params:
        """Return the parameters of some choices.

        Raises
        ------
        ValueError
            If they are not of this space.
        """
        try:
            if not set(choices) <= set(self._domain.params):
                raise KeyError
            found = self._hyperopt.space_eval(self._space, choices)
        except Exception as error:  # whatever hyperopt makes of it
            raise ValueError(f"no parameters of this space: {choices}") from error
        return dict(found) if isinstance(found, Mapping) else {"x": found}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


# -- the search ------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of a trial: metrics with the loss, or an error."""

    metrics: dict[str, float] | None
    error: str = ""


class _Trial(NamedTuple):
    """Parameters to be tried once, and what run.json is to say of them."""

    params: Params
    about: dict[str, Any]
    name: str
    group: str | None = None
    deaths: int = 0


class _Search:
    def __init__(
        self,
        objective: Objective,
        suggestions: Suggestions,
        logdir: Path,
        max_evals: int,
        repeats: int,
        retries: int,
    ) -> None:
        self._objective = objective
        self._suggestions = suggestions
        self._logdir = logdir
        self._max_evals = max_evals
        # TensorBoard looks for groups in all that it shows.
        digest = hashlib.sha256(os.fsencode(logdir)).hexdigest()[:6]
        self._group = f"{logdir.name}-{digest}"
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
            if trial is None:
                continue
            if is_alive(info):
                raise RuntimeError(
                    f"{run.path} is still being written, by process {info['pid']}: "
                    f"wait for it, or end it"
                )
            number, choices = trial["number"], trial["choices"]
            if number not in known:
                known[number] = choices
                self._check(run, trial)
            its = self._losses.setdefault(number, {})
            interrupted = (info.get("error") or {}).get("type") == "KeyboardInterrupt"
            if info.get("status") == FINISHED:
                its[trial["repeat"]] = run.metrics.get("loss")
            elif info.get("status") == FAILED and not interrupted:
                its[trial["repeat"]] = None
        for number, choices in sorted(known.items()):
            params = self._suggestions.restore(number, choices)
            self._plan(number, params, choices, number < self._max_evals)

    def _check(self, run: Run, trial: dict[str, Any]) -> None:
        """Raise if a run belongs to another sweep."""
        other = f"{run.path} belongs to another sweep, with another"
        if trial["repeats"] != self._repeats:
            raise ValueError(f"{other} repeats, {trial['repeats']}: take a new logdir")
        try:
            params = self._suggestions.parameters(trial["choices"])
        except ValueError as error:
            raise ValueError(f"{other} space: take a new logdir") from error
        if self._repeats > 1:
            params["seed"] = trial["repeat"]
        if run.params and as_json(flatten(params)) != run.params:
            raise ValueError(f"{other} space: take a new logdir")

    def _plan(
        self, number: int, params: Params, choices: dict[str, Any], wanted: bool = True
    ) -> None:
        """Enter what is still to be tried of these parameters."""
        if self._repeats > 1 and "seed" in params:
            raise ValueError("with repeats, the space can't have a 'seed'")
        its = self._losses.setdefault(number, {})
        name = f"trial{number:04d}"
        for repeat in range(self._repeats):
            about = {
                "number": number,
                "repeat": repeat,
                "repeats": self._repeats,
                "choices": choices,
            }
            trial = _Trial(params, about, name)
            if self._repeats > 1:
                trial = trial._replace(
                    params={**params, "seed": repeat},
                    name=f"{name}_seed{repeat}",
                    group=f"{self._group}/{name}",
                )
            if repeat not in its and wanted:
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
        self, submit: Callable[..., Future[Outcome]], workers: int, bar: tqdm[Any]
    ) -> None:
        """Try until so many parameters have been tried."""
        going: dict[Future[Outcome], _Trial] = {}
        try:
            while True:
                while len(going) < workers and (
                    self._todo or len(self._losses) < self._max_evals
                ):
                    if not self._todo:
                        self._plan(*self._suggestions.ask())
                    trial = self._todo.pop(0)
                    future = submit(_run_trial, self._objective, self._logdir, trial)
                    going[future] = trial
                if not going:
                    return
                finished, _ = wait(going, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._take(future, going.pop(future))
                best = self._suggestions.best()
                if best is not None:
                    bar.set_postfix_str(f"best loss {best[1]:.4g}", refresh=False)
                bar.update(self.done - bar.n)
        finally:  # whatever ended the search, no trial goes on behind its back
            for future in going:
                future.cancel()
            wait(going)

    def _take(self, future: Future[Outcome], trial: _Trial) -> None:
        try:
            outcome = future.result()
        except Exception as error:  # the worker's: it died, or could not take the trial
            if not _died(error):
                raise
            if trial.deaths == self._retries:
                began = (self._logdir / trial.name).exists()
                raise RuntimeError(
                    f"the worker of {trial.name} died {trial.deaths + 1} times"
                    + ("" if began else f" before it began. {CANNOT_START}")
                ) from error
            self._todo.insert(0, trial._replace(deaths=trial.deaths + 1))
            return
        loss = None if outcome.metrics is None else outcome.metrics["loss"]
        number = trial.about["number"]
        self._losses[number][trial.about["repeat"]] = loss
        self._tell(number)


CANNOT_START = (
    "Can workers import the objective? It must stand in a module, or in a script whose "
    "own work is below: if __name__ == '__main__':"
)


def _died(error: Exception) -> bool:
    """Return whether an executor says that the process of a worker is gone."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _run_trial(objective: Objective, logdir: Path, trial: _Trial) -> Outcome:
    """Try parameters in a run of their own; this is what workers do."""
    # An executor may lose a result with its worker, and ask for it again.
    for info in _earlier(logdir, trial.name):
        metrics = info.get("metrics") or {}
        same = info.get("trial") == trial.about and info.get("status") == FINISHED
        if same and "loss" in metrics:
            return Outcome(_as_floats(metrics))
    path = claim(logdir, trial.name)
    return _try(objective, path, trial.params, trial.about, trial.group)


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
            if metrics.pop("status", "ok") == "fail":  # as for hyperopt's fmin
                raise RuntimeError("the objective says that it failed")
            if "loss" not in metrics:
                raise ValueError("the objective's metrics have no 'loss'")
            results = logger._metrics_written(metrics)
            # The run ends here, so that run.json need not be written twice.
            logger._info.later(results)
            return Outcome(results)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = describe_error(error)
        return Outcome(None, f"{said['type']}: {said['message']}")


@contextmanager
def _executor(
    given: Executor | None, workers: int
) -> Iterator[Callable[..., Future[Outcome]]]:
    """Give the `submit` of an executor; by default that of our own processes."""
    if given is not None:
        yield given.submit
        return
    processes = _Processes(workers)
    try:
        yield processes.submit
    finally:
        processes.shutdown()


class _Processes:
    """Processes that each have a pool of their own: one that dies takes no other along.

    Parameters
    ----------
    number
        How many there are; no more trials may go on at a time.
    """

    def __init__(self, number: int) -> None:
        self._pools = [self._start() for _ in range(number)]
        self._last: list[Future[Outcome] | None] = [None] * number

    @staticmethod
    def _start() -> ProcessPoolExecutor:
        # A fork of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, _end_with_parent)

    def submit(self, *arguments: Any) -> Future[Outcome]:
        """Have an idle process do it, a new one where the last one died."""
        idle = next(i for i, last in enumerate(self._last) if not last or last.done())
        try:
            future = self._pools[idle].submit(*arguments)
        except BrokenExecutor:
            self._pools[idle].shutdown()
            self._pools[idle] = self._start()
            future = self._pools[idle].submit(*arguments)
        self._last[idle] = future
        return future

    def shutdown(self) -> None:
        """End all processes."""
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Have this worker end when the process of the sweep is killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
