"""Processes that run the trials of a sweep: our own, or those of a user's executor."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager, suppress
from typing import Any

Submit = Callable[..., Future[Any]]


@contextmanager
def processes_or(given: Executor | None, workers: int) -> Iterator[Submit]:
    """Yield the `submit` of an executor, by default that of our own processes."""
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
    """Processes in separate pools, so that one that dies leaves the others alone.

    Parameters
    ----------
    number
        The number of processes, and the largest number of trials at a time.
    """

    def __init__(self, number: int) -> None:
        self._pools = [self._start() for _ in range(number)]
        self._last: list[Future[Any] | None] = [None] * number

    @staticmethod
    def _start() -> ProcessPoolExecutor:
        # Forking a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, _end_with_parent)

    def submit(self, *arguments: Any) -> Future[Any]:
        """Submit a call to an idle process, a new one if the last one died."""
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
    """Dask's executor, with working futures.

    The executor's futures never end if a result is lost with its worker and the task
    then fails (`distributed.cfexecutor`, as of 2026.8); those of its client do.

    Parameters
    ----------
    executor
        The executor from ``client.get_executor()``.
    threads
        One thread for each concurrent trial, to wait for its end.
    """

    def __init__(self, executor: Any, threads: Executor) -> None:
        self._client = executor._client  # noqa: SLF001 -- Dask gives no other way
        self._options = executor._kwargs  # noqa: SLF001 -- as above
        self._threads = threads

    def submit(self, *arguments: Any) -> Future[Any]:
        """Submit a call to a worker; if cancelled, it leaves the cluster's queue."""
        options = {**self._options, "pure": False}  # pure calls are not tried again
        task = self._client.submit(*arguments, **options)
        future: Future[Any] = Future()

        def withdraw(done: Future[Any]) -> None:
            if done.cancelled():
                with suppress(Exception):  # the client is closed
                    task.cancel()

        future.add_done_callback(withdraw)
        self._threads.submit(self._pass_on, task, future)
        return future

    @staticmethod
    def _pass_on(task: Any, future: Future[Any]) -> None:
        try:
            outcome = task.result()
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)
        finally:
            task.release()  # an error keeps a reference to it


def _end_with_parent() -> None:
    """End this worker when the process of the sweep is killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def died(error: Exception) -> bool:
    """Return whether an executor's error means that a worker process died."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"
