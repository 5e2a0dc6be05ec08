"""The run directory: claiming it, and what lies in it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from time import time as now
from typing import NamedTuple

from annarchy_tb.inputs.messages import warn
from annarchy_tb.run import names
from annarchy_tb.run.ledger import History, Ledger, Series
from annarchy_tb.tfevents.backlog import Backlog
from annarchy_tb.tfevents.event_file import EventFile, event_files
from annarchy_tb.tfevents.scan import Scan
from annarchy_tb.tfevents.templates import EventRecords, ScalarRecords

STAY_OPEN = 31  # curves; the files of further ones are opened for each record


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
    for directory in claimable(parent, name):
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            break
    return directory


def claimable(parent: Path, name: str) -> Iterator[Path]:
    """Yield the directories that `claim` makes for a name, without end."""
    yield parent / name
    for clash in itertools.count(1):
        yield parent / f"{name}_{clash}"


def directories(run: Path) -> Iterator[Path]:
    """Yield the directories whose event files are the run's: its own, its curves'.

    A directory inside a run of ours is none of it if it has a ``run.json``, or event
    files of another writer.
    """
    own = (run / names.RUN_JSON).exists()
    waiting = [run]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                there = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            if directory == run:
                raise
            continue  # somebody's scratch files come and go
        if directory != run and is_another_run([entry.name for entry in there], own):
            continue
        yield directory
        waiting += (
            Path(entry.path)
            for entry in there
            if entry.name != names.CHECKPOINTS and entry.is_dir(follow_symlinks=False)
        )


def is_another_run(inside: Collection[str], ours: bool) -> bool:
    """Return whether a directory with these names in it is no curve of the run above.

    `ours` is whether that run is one of this package.
    """
    files = [name for name in inside if "tfevents" in name]
    return names.RUN_JSON in inside or (ours and not all(map(names.is_ours, files)))


def first_time(run: Path) -> float:
    """Return when the first event of a run was written; without one, the time now."""
    for block in Scan().files(event_files(run)):
        for _, event in block.others:  # every file begins with one
            return event.wall_time
    return now()


class Curve(NamedTuple):
    """What it takes to write a value of one plot to one curve."""

    file: EventFile
    series: Series
    scalar: ScalarRecords


class RunDirectory:
    """A directory that TensorBoard shows as one run: its event file and its ledger.

    Each curve of `add_scalars` is a run of its own to TensorBoard, and so a
    RunDirectory inside this one.

    Parameters
    ----------
    path
        An absolute path; the directory of a curve is made at its first record.
    backlog, stay_open
        See `EventFile`.
    descriptions
        The texts that describe tags, shared with the curves.
    """

    def __init__(
        self,
        path: Path,
        backlog: Backlog | None = None,
        stay_open: bool = True,
        descriptions: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.descriptions = {} if descriptions is None else descriptions
        self.backlog = Backlog() if backlog is None else backlog
        self._earlier = event_files(path) if path.exists() else []
        self.file = EventFile(path, self.backlog, stay_open)
        self.ledger = Ledger(self._history)
        self.curves: dict[str, RunDirectory] = {}
        self._forget()

    def _forget(self) -> None:
        """Start with no records prepared."""
        self.scalars: dict[str, tuple[Series, ScalarRecords]] = {}
        self.events: dict[tuple[str, ...], EventRecords] = {}
        self.plots: dict[tuple[str, tuple[str, ...]], list[Curve]] = {}

    def scalar(self, method: str, tag: str) -> tuple[Series, ScalarRecords]:
        """Return where a tag of scalars stands, and what makes its first record.

        What makes further ones is in `scalars`: it does not describe the tag again.
        """
        series = self.ledger.series(method, tag, "scalar")
        first = further = self.scalars.setdefault(tag, (series, ScalarRecords(tag)))
        if tag in self.descriptions:
            first = (further[0], ScalarRecords(tag, self.descriptions))
        return first

    def event(self, tags: tuple[str, ...]) -> EventRecords:
        """Return what makes the first record of several tags in one event.

        What makes further ones is in `events`.
        """
        further = self.events.setdefault(tags, EventRecords(tags))
        if self.descriptions.keys().isdisjoint(tags):
            return further
        return EventRecords(tags, self.descriptions)

    def curve(self, key: str) -> RunDirectory:
        """Return the directory of the curve `key`."""
        curve = self.curves.get(key)
        if curve is None:
            path, stay_open = self.path / names.curve(key), len(self.curves) < STAY_OPEN
            curve = RunDirectory(path, self.backlog, stay_open, self.descriptions)
            curve = self.curves.setdefault(key, curve)
        return curve

    def plot(self, method: str, tag: str, keys: tuple[str, ...]) -> list[Curve]:
        """Return what is needed to write the first value to each of several curves.

        What is needed for further ones is in `plots`.
        """
        curves = [self.curve(key) for key in keys]
        first = [Curve(curve.file, *curve.scalar(method, tag)) for curve in curves]
        further = [Curve(curve.file, *curve.scalars[tag]) for curve in curves]
        self.plots.setdefault((tag, keys), further)
        return first

    def describe(self, tag: str, text: str) -> bool:
        """Set the text that describes a tag; return whether it is in time."""
        if self.descriptions.get(tag) == text:
            return True
        if any(directory.ledger.has_begun(tag) for directory in self.all()):
            return False
        self.descriptions[tag] = text
        return True

    def _history(self) -> History:
        for block in Scan().files(self._earlier):
            for columns in block.columns:
                for tag in columns.tags:
                    yield tag, "scalar", int(columns.steps.max())
            for _, event in block.others:
                for value in event.values:
                    yield value.tag, value.kind, event.step

    def all(self) -> list[RunDirectory]:
        """Return this directory, and those of its curves."""
        return [self, *self.curves.values()]

    def flush(self) -> None:
        """Wait until everything is on the disk itself.

        Raises
        ------
        OSError
            If the disk is full, or somebody deleted a file.
        """
        for directory in self.all():
            if directory.file.is_lost():
                raise FileNotFoundError(
                    errno.ENOENT, "the event file was deleted", str(directory.file.path)
                )
            directory.file.flush()
        if self.backlog:
            raise OSError(
                errno.ENOSPC,
                f"{len(self.backlog)} records wait for room",
                str(self.path),
            )

    def close(self) -> int:
        """Close all files, and return how many records could not be written."""
        self.backlog.drain()
        for directory in self.all():
            if not directory.file.closed and directory.file.is_lost():
                warn(f"the event file was deleted: {directory.file.path}")
            directory.file.close()
            for prepared in (directory.scalars, directory.events, directory.plots):
                prepared.clear()
        return self.backlog.dropped + len(self.backlog)

    def __getstate__(self) -> dict[str, object]:
        prepared = ("scalars", "events", "plots")
        return {k: v for k, v in self.__dict__.items() if k not in prepared}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._forget()
