"""The run directory: claiming it, and what lies in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from time import time as now

from annarchy_tb import names, records
from annarchy_tb.events import EventFile, event_files
from annarchy_tb.ledger import Ledger, Series
from annarchy_tb.records import ScalarRecords


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return a local path that holds wherever the process changes its directory to."""
    text = os.fspath(path)
    if "://" in text:
        raise ValueError(f"logdir must be a local directory, got {text!r}")
    return Path(os.path.abspath(os.path.expanduser(text)))


def claim(parent: Path, name: str) -> Path:
    """Make a directory that is nobody else's: `name`, or ``name_1``, ``name_2``...

    One atomic ``mkdir`` decides, so any number of processes may ask for the same name
    at the same time.
    """
    parent.mkdir(parents=True, exist_ok=True)
    clash = 0
    while True:
        directory = parent / (f"{name}_{clash}" if clash else name)
        try:
            directory.mkdir()
            return directory
        except FileExistsError:
            clash += 1


class RunDirectory:
    """A directory that TensorBoard shows as one run: its event file and its ledger.

    Each curve of `add_scalars` is a run of its own to TensorBoard, and so a
    RunDirectory inside this one.

    Parameters
    ----------
    path
        An existing directory, as an absolute path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._earlier = event_files(path)
        self.file = EventFile(path)
        self.ledger = Ledger(self._history)
        self.scalars: dict[str, tuple[Series, ScalarRecords]] = {}
        self.curves: dict[str, RunDirectory] = {}

    def scalar(self, method: str, tag: str) -> tuple[Series, ScalarRecords]:
        """Return where a tag of scalars stands, and what makes its records."""
        found = self.scalars.get(tag)
        if found is None:
            series = self.ledger.series(method, tag, "scalar")
            found = self.scalars.setdefault(tag, (series, ScalarRecords(tag)))
        return found

    def curve(self, key: str) -> RunDirectory:
        """Return the directory of the curve `key`."""
        curve = self.curves.get(key)
        if curve is None:
            path = self.path / names.curve(key)
            path.mkdir(exist_ok=True)
            curve = self.curves.setdefault(key, RunDirectory(path))
        return curve

    @cached_property
    def started(self) -> float:
        """When the run first began, in seconds since 1970."""
        for path in event_files(self.path):
            with path.open("rb") as stream:
                for event in records.read(stream):
                    return records.wall_time(event)
        return now()  # somebody took the files away

    def _history(self) -> Iterator[tuple[str, str, int]]:
        for path in self._earlier:
            with path.open("rb") as stream:
                for event in records.read(stream):
                    yield from records.contents(event)

    def flush(self) -> None:
        for directory in (self, *self.curves.values()):
            directory.file.flush()

    def close(self) -> None:
        for directory in (self, *self.curves.values()):
            directory.scalars.clear()
            directory.file.close()
