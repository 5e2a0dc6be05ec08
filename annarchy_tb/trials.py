"""One trial of a sweep: a run of its own, wherever it is tried."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat

from annarchy_tb.logger import Logger
from annarchy_tb.runinfo import FINISHED, describe_error, read
from annarchy_tb.runs import claim, claimable
from annarchy_tb.suggestions import Params

Objective = Callable[[Params, Logger], SupportsFloat | Mapping[str, SupportsFloat]]


class Outcome(NamedTuple):
    """What came of a trial: metrics with the loss, or an error."""

    metrics: dict[str, float] | None
    error: str = ""


class Trial(NamedTuple):
    """Parameters to be tried once, and what run.json is to say of them."""

    params: Params
    about: dict[str, Any]
    name: str
    group: str | None = None
    deaths: int = 0


def run_trial(objective: Objective, logdir: Path, trial: Trial) -> Outcome:
    """Try parameters in a run of their own; this is what workers do."""
    # An executor may lose a result with its worker, and ask for it again.
    for path in itertools.takewhile(Path.exists, claimable(logdir, trial.name)):
        info = read(path)
        metrics = info.get("metrics") or {}
        same = info.get("trial") == trial.about and info.get("status") == FINISHED
        if same and "loss" in metrics:
            return Outcome(_as_floats(metrics))
    path = claim(logdir, trial.name)
    return attempt(objective, path, trial.params, trial.about, trial.group)


def _as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    # JSON has no NaN.
    return {n: math.nan if v is None else float(v) for n, v in metrics.items()}


def attempt(
    objective: Objective,
    path: Path,
    params: Params,
    about: dict[str, Any] | None = None,
    group: str | None = None,
) -> Outcome:
    """Try parameters in the run of that directory; what is raised is an outcome too."""
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
def processes_or(
    given: Executor | None, workers: int
) -> Iterator[Callable[..., Future[Outcome]]]:
    """Give the `submit` of an executor; by default that of our own processes."""
    if type(given).__name__ == "ClientExecutor":
        with ThreadPoolExecutor(workers) as threads:
            yield _Dask(given, threads).submit
        return
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


class _Dask:
    """Dask's executor, as it should be.

    Its own futures never end when a result is lost with its worker and the task then
    fails (`distributed.cfexecutor`, as of 2026.8); those of its client do.

    Parameters
    ----------
    executor
        What ``client.get_executor()`` returns.
    threads
        One for each trial that goes on at a time, to wait for its end.
    """

    def __init__(self, executor: Any, threads: Executor) -> None:
        self._client = executor._client
        self._options = executor._kwargs
        self._threads = threads

    def submit(self, *arguments: Any) -> Future[Outcome]:
        """Have a worker do it; what is cancelled leaves the cluster's queue."""
        task = self._client.submit(*arguments, **self._options)
        future: Future[Outcome] = Future()
        future.add_done_callback(lambda done: done.cancelled() and task.cancel())
        self._threads.submit(self._pass_on, task, future)
        return future

    @staticmethod
    def _pass_on(task: Any, future: Future[Outcome]) -> None:
        try:
            outcome = task.result()
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)


def _end_with_parent() -> None:
    """Have this worker end when the process of the sweep is killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def died(error: Exception) -> bool:
    """Return whether an executor says that the process of a worker is gone."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"
