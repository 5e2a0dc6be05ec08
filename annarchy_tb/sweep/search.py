"""Sweeps: hyperopt suggests parameters, any executor tries them, each trial is a run.

The whole state of a sweep is in the ``run.json`` files of its trials, so that a sweep
that was stopped or killed can continue.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, SupportsFloat

import numpy as np
from tqdm.auto import tqdm

from annarchy_tb.inputs.clock import Ask
from annarchy_tb.inputs.messages import warn, warn_anyway
from annarchy_tb.kinds.parameters import flatten
from annarchy_tb.reading.find import Runs, find_runs
from annarchy_tb.reading.run import Run
from annarchy_tb.run import names
from annarchy_tb.run.atomic import exclusive
from annarchy_tb.run.info import FAILED, FINISHED, RunInfo, as_json
from annarchy_tb.run.paths import claim, directory_of_runs
from annarchy_tb.run.provenance import launch
from annarchy_tb.run.state import OnNan
from annarchy_tb.sweep.subject import SWEEP_JSON, Subject
from annarchy_tb.sweep.suggestions import Params, Suggestions
from annarchy_tb.sweep.trials import (
    About,
    Objective,
    Outcome,
    Settings,
    Trial,
    attempt,
    run_trial,
)
from annarchy_tb.sweep.workers import Submit, died, processes_or

CANNOT_START = (
    "Can workers import the objective? It must be defined in a module, or in a script "
    "whose own work is under: if __name__ == '__main__':"
)


class Result(NamedTuple):
    """The result of a sweep.

    Attributes
    ----------
    params : dict or None
        The best parameters; None if every trial failed.
    loss : float
        Their loss, the mean over the repetitions; infinite if every trial failed.
    runs : Runs
        All runs of the sweep, including interrupted ones, in the form that
        `annarchy_tb.find_runs` returns.
    """

    params: Params | None
    loss: float
    runs: Runs


def sweep(
    objective: Objective,
    space: Any,
    max_evals: int = 100,
    logdir: str | os.PathLike[str] | None = None,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    repeats: int = 1,
    retries: int = 3,
    seed: int = 0,
    algo: Callable[..., list[Any]] | None = None,
    progress: bool = True,
    changed: bool = False,
    dt: SupportsFloat | None = None,
    time_unit: str | None = None,
    clock: Ask | None = None,
    on_nan: OnNan = "warn",
) -> Result:
    """Search for the parameters with the smallest loss; log each trial as a run.

    If a sweep is called again with the same `logdir`, it continues: trials that
    finished or failed are read from their ``run.json``. A trial that was interrupted,
    or whose worker died, is tried again, in a new directory. The space and the
    objective must be the same: they are kept in ``sweep.json``. Of the objective, its
    own source is compared without comments and docstrings, and the arguments of a
    ``functools.partial``; without a source, its name is.

    Parameters
    ----------
    objective : callable
        ``objective(params, logger)`` tries parameters, logs to the run of the trial,
        and returns the loss, or a dict of metrics with a ``"loss"``. It is sent to
        other processes, so it must be defined in a module or a script. If it raises,
        the run is marked as failed, and the sweep continues. Parameters whose loss is
        not finite count as failed, too.
    space : dict
        The parameters by their names, as a search space of hyperopt, such as
        ``{"tau": hyperopt.hp.uniform("tau", 1.0, 100.0)}``.
    max_evals : int, default 100
        The total number of parameter sets to try, including failed and earlier ones.
    logdir : str or path, optional
        The directory of this sweep alone. Runs are named ``trial0000`` and so on. The
        default is ``sweep`` in the default one of `annarchy_tb.Logger`: ``runs/sweep``
        unless the environment variable ``ANNARCHY_TB_LOGDIR`` is set.
    executor : concurrent.futures.Executor, optional
        The executor that runs the trials, for example Dask's
        ``client.get_executor()``. By default a pool of processes on this machine.
    workers : int, optional
        The number of trials at a time, by default the number of CPUs.
    repeats : int, default 1
        How often each set of parameters is tried. If more than once, ``params`` have a
        ``"seed"`` that counts from 0, the loss is the mean, and the runs share a row of
        the HPARAMS tab, which shows the averages.
    retries : int, default 3
        How often to retry a trial whose worker died.
    seed : int, default 0
        The seed of the suggestions.
    algo : callable, optional
        hyperopt's algorithm, by default ``hyperopt.tpe.suggest``.
    progress : bool, default True
        Show a progress bar with the best loss so far.
    changed : bool, default False
        Continue an earlier sweep although its space or its objective has changed: its
        trials count as they are, and their parameters must belong to the new space.
        The next call compares with what is given now.
    dt, time_unit, clock, on_nan : optional
        As in `annarchy_tb.Logger`, for the Logger of each trial. A `clock` is sent to
        other processes, as the objective is.

    Returns
    -------
    Result
        The best parameters, their loss, and all runs.

    Raises
    ------
    ImportError
        If hyperopt is missing.
    RuntimeError
        If the worker of a trial died more than `retries` times, the executor was
        closed, or another sweep, or one of its trials, is still running in `logdir`.
    ValueError
        If `space` is empty, or the sweep in `logdir` was started with a different
        space, objective or value of `repeats`. The error shows what differs.
    """
    settings = Settings(dt, time_unit, clock, on_nan, launch())
    settings.check("sweep")
    suggestions = Suggestions(space, seed, algo)
    subject = Subject.of(suggestions.printed(), objective)
    path = directory_of_runs(logdir, "sweep")
    path.mkdir(parents=True, exist_ok=True)
    workers = workers or os.cpu_count() or 1
    search = _Search(
        objective, settings, suggestions, path, max_evals, repeats, retries
    )
    with exclusive(path, patience=0.0) as alone:
        if not alone:
            raise RuntimeError(f"another sweep is running in {path}")
        earlier = _runs(path)
        _check_subject(path, subject, earlier, changed)
        search.restore(earlier)
        if subject != Subject.read(path):
            subject.write(path)
        with (
            processes_or(executor, workers) as submit,
            tqdm(total=max_evals, initial=search.done, disable=not progress) as bar,
        ):
            search.run(submit, workers, bar)
    runs = _runs(path)
    params, loss = suggestions.best() or (None, math.inf)
    errors = [error for run in runs if (error := RunInfo.read(run.path).error)]
    if params is None and errors:
        said = errors[0].get("message")
        warn_anyway(f"every trial failed, the last one with {said!r}")
    return Result(params, loss, runs)


def _check_subject(path: Path, subject: Subject, runs: Runs, changed: bool) -> None:
    """Raise ValueError if earlier trials are not of this space and objective."""
    if changed or not any(RunInfo.read(run.path).trial for run in runs):
        return
    earlier = Subject.read(path)
    if earlier is None:
        warn(
            f"the sweep in {path} has no {SWEEP_JSON}: whether its trials have the "
            f"space and the objective of this call is not known"
        )
        return
    words, lines = subject.differences(earlier)
    if words:
        raise ValueError(
            "\n".join(
                [
                    f"{path} belongs to another sweep, with a different {words}: use a "
                    f"new logdir or, if the earlier trials count all the same, pass "
                    f"changed=True",
                    *lines,
                ]
            )
        )


def _runs(logdir: Path) -> Runs:
    """Return the runs of the sweep in a directory, not those in deeper directories."""
    return Runs(logdir, [run for run in find_runs(logdir) if run.path.parent == logdir])


def logged(
    objective: Objective,
    logdir: str | os.PathLike[str] | None = None,
    *,
    dt: SupportsFloat | None = None,
    time_unit: str | None = None,
    clock: Ask | None = None,
    on_nan: OnNan = "warn",
) -> Callable[[Params], dict[str, Any]]:
    """Return a function for ``hyperopt.fmin`` that logs each trial as a run.

    For example on a Spark cluster: ``fmin(logged(objective), space, tpe.suggest,
    max_evals=100, trials=SparkTrials())``. If the objective raises, the run is marked
    as failed, and the search continues.

    Parameters
    ----------
    objective, logdir, dt, time_unit, clock, on_nan
        As in `sweep`. The runs are named by date and host.
    """
    settings = Settings(dt, time_unit, clock, on_nan, launch())
    settings.check("logged")
    return _Logged(objective, directory_of_runs(logdir, "sweep"), settings)


@dataclass(frozen=True)
class _Logged:
    objective: Objective
    logdir: Path
    settings: Settings

    def __call__(self, params: Params) -> dict[str, Any]:
        path = claim(self.logdir, names.default_run())
        outcome = attempt(self.objective, path, params, self.settings)
        if outcome.metrics is None:
            return {"status": "fail", "error": outcome.error}
        status = "ok" if math.isfinite(outcome.metrics["loss"]) else "fail"
        return {**outcome.metrics, "status": status}


# -- the search ------------------------------------------------------------------------


class _Search:
    done: int  # parameters tried as often as required
    _objective: Objective
    _settings: Settings
    _suggestions: Suggestions
    _logdir: Path
    _max_evals: int
    _group: str  # of repetitions, for HPARAMS
    _repeats: int
    _retries: int
    _losses: dict[int, dict[int, float | None]]  # by number and repeat
    _todo: list[Trial]

    def __init__(
        self,
        objective: Objective,
        settings: Settings,
        suggestions: Suggestions,
        logdir: Path,
        max_evals: int,
        repeats: int,
        retries: int,
    ) -> None:
        self._objective = objective
        self._settings = settings
        self._suggestions = suggestions
        self._logdir = logdir
        self._max_evals = max_evals
        # TensorBoard groups runs across everything it shows, so the name is unique.
        digest = hashlib.sha256(os.fsencode(logdir)).hexdigest()[:6]
        self._group = f"{logdir.name}-{digest}"
        self._repeats = repeats
        self._retries = retries
        self._losses = {}
        self._todo = []
        self.done = 0

    def restore(self, runs: Runs) -> None:
        """Read the results of earlier runs."""
        known: dict[int, dict[str, Any]] = {}
        for run in reversed(runs):
            info = RunInfo.read(run.path)
            if info.trial is None:
                continue
            if info.is_open():
                raise RuntimeError(
                    f"{run.path} is still being written by process {info.pid}: "
                    f"wait for it to end, or end it"
                )
            trial = About(**info.trial)
            if trial.number not in known:
                known[trial.number] = trial.choices
                self._check(run, trial)
            its = self._losses.setdefault(trial.number, {})
            interrupted = (info.error or {}).get("type") == "KeyboardInterrupt"
            if info.status == FINISHED:
                its[trial.repeat] = run.metrics.get("loss")
            elif info.status == FAILED and not interrupted:
                its[trial.repeat] = None
        for number, choices in sorted(known.items()):
            params = self._suggestions.restore(number, choices)
            self._plan(number, params, choices, number < self._max_evals)

    def _check(self, run: Run, trial: About) -> None:
        """Raise if a run belongs to another sweep."""
        other = f"{run.path} belongs to another sweep, with different"
        if trial.repeats != self._repeats:
            raise ValueError(f"{other} repeats, {trial.repeats}: use a new logdir")
        try:
            params = self._suggestions.parameters(trial.choices)
        except ValueError as error:
            raise ValueError(f"{other} parameters: use a new logdir") from error
        if self._repeats > 1:
            params["seed"] = trial.repeat
        if run.params and as_json(flatten(params)) != run.params:
            raise ValueError(f"{other} parameters: use a new logdir")

    def _plan(
        self, number: int, params: Params, choices: dict[str, Any], wanted: bool = True
    ) -> None:
        """Plan the trials of these parameters that are still to do."""
        if self._repeats > 1 and "seed" in params:
            raise ValueError("with repeats, the space can't have a 'seed'")
        its = self._losses.setdefault(number, {})
        name = f"trial{number:04d}"
        for repeat in range(self._repeats):
            about = About(number, repeat, self._repeats, choices)
            trial = Trial(params, about, name)
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
        """Report the loss of parameters once all their repetitions are done."""
        losses = list(self._losses[number].values())
        if len(losses) >= self._repeats:
            found = [loss for loss in losses if loss is not None]
            whole = len(found) == len(losses)
            self._suggestions.tell(number, float(np.mean(found)) if whole else None)
            self.done += 1

    def run(self, submit: Submit, workers: int, bar: tqdm[Any]) -> None:
        """Run trials until `max_evals` parameter sets have been tried."""
        going: dict[Future[Outcome], Trial] = {}
        ended: SimpleQueue[Future[Outcome]] = SimpleQueue()  # or cancelled
        try:
            while True:
                while len(going) < workers and (
                    self._todo or len(self._losses) < self._max_evals
                ):
                    if not self._todo:
                        self._plan(*self._suggestions.ask())
                    trial = self._todo.pop(0)
                    its = (self._objective, self._logdir, self._settings, trial)
                    future = submit(run_trial, *its)
                    going[future] = trial
                    future.add_done_callback(ended.put)
                if not going:
                    return
                future = ended.get()
                self._take(future, going.pop(future))
                best = self._suggestions.best()
                if best is not None:
                    bar.set_postfix_str(f"best loss {best[1]:.4g}", refresh=False)
                bar.update(self.done - bar.n)
        finally:  # never leave a trial running after the search has ended
            wait([future for future in going if not future.cancel()])

    def _take(self, future: Future[Outcome], trial: Trial) -> None:
        try:
            outcome = future.result()
        except CancelledError as error:
            raise RuntimeError(
                f"{trial.name} was cancelled: the executor, or its cluster, was closed "
                f"or restarted. If called again, the sweep continues"
            ) from error
        except Exception as error:  # the worker died, or can't load the trial
            if not died(error):
                raise
            if trial.deaths == self._retries:
                began = (self._logdir / trial.name).exists()
                raise RuntimeError(
                    f"the worker of {trial.name} died {trial.deaths + 1} times"
                    + ("" if began else f" before it started. {CANNOT_START}")
                ) from error
            self._todo.insert(0, trial._replace(deaths=trial.deaths + 1))
            return
        loss = None if outcome.metrics is None else outcome.metrics["loss"]
        self._losses[trial.about.number][trial.about.repeat] = loss
        self._tell(trial.about.number)
