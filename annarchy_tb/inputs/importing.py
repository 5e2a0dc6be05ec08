"""Imports at the point of use, during which no process is forked.

A fork copies only the thread that calls it. If another thread is importing a module at
that moment, the copy of this module is half imported for ever, and whoever imports it
in the forked process waits for ever. So a fork waits for imports of this package::

    with importing:
        from annarchy_tb.writer import LoggerWriter
"""

from __future__ import annotations

# A fork first acquires logging's lock, which imports need, unless the fork hooks of
# this module are registered after those of logging.
import contextlib
import logging  # noqa: F401
import os
import threading
import time

# Seconds that a fork waits. (It would wait for ever if an import needs something that
# the forking thread holds.)
PATIENCE = 60.0


class _Importing:
    """A context for imports, of any number of threads at a time, which a fork awaits.

    It is reentrant: a module that is imported may import others, and fork.
    """

    _threads: dict[int, int]  # how many contexts each thread is in
    _fork: threading.RLock  # held by a thread while it forks
    _impatient: set[int]  # threads that fork without having the lock

    def __init__(self) -> None:
        self._threads = {}
        self._fork = threading.RLock()
        self._impatient = set()

    def __enter__(self) -> None:
        here = threading.get_ident()
        with self._fork:
            self._threads[here] = self._threads.get(here, 0) + 1

    def __exit__(self, *_: object) -> None:
        here = threading.get_ident()
        self._threads[here] -= 1
        if not self._threads[here]:
            del self._threads[here]

    def before_fork(self) -> None:
        here = threading.get_ident()
        deadline = time.monotonic() + PATIENCE
        while True:
            self._fork.acquire()
            if all(thread == here for thread in list(self._threads)):
                return
            self._fork.release()
            if time.monotonic() > deadline:
                self._impatient.add(here)
                return
            time.sleep(0.001)

    def after_in_parent(self) -> None:
        here = threading.get_ident()
        if here in self._impatient:
            self._impatient.discard(here)
            return
        with contextlib.suppress(RuntimeError):  # Ctrl-C ended the wait
            self._fork.release()

    def after_in_child(self) -> None:
        here = threading.get_ident()
        if here in self._impatient:  # another thread may have held the lock
            self._fork = threading.RLock()
        self.after_in_parent()
        self._impatient = set()
        mine = self._threads.get(here)
        self._threads = {} if mine is None else {here: mine}


importing = _Importing()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.before_fork,
        after_in_parent=importing.after_in_parent,
        after_in_child=importing.after_in_child,
    )
