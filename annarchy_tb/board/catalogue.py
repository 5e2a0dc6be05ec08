"""The runs below the directories that TensorBoard shows, by their names.

A run is found by its name here, and never by a path that somebody asks for. Links are
followed as long as they stay inside; each row of the table is kept until the record of
its run changes.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from annarchy_tb.board.run import head
from annarchy_tb.reading import find, wording
from annarchy_tb.reading.cache import cache
from annarchy_tb.reading.phases import phases
from annarchy_tb.reading.run import Run
from annarchy_tb.run import names
from annarchy_tb.run.info import KILLED, RUNNING, RunInfo
from annarchy_tb.run.paths import directories
from annarchy_tb.run.strangers import check_within
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files

NAMED = 5  # of what is left out
PATIENCE = 0.2  # seconds that are taken to look for phases

State = tuple[int, int, int]  # of a file


class Root(NamedTuple):
    """A directory that TensorBoard shows, with the name that it gives its runs."""

    path: Path
    group: str


def roots(logdir: str | None, spec: str | None) -> list[Root]:
    """Return the directories in the flags ``--logdir`` and ``--logdir_spec``.

    The second is a list of directories with a name each: ``a:/runs/a,b:/runs/b``.
    """
    found = [Root(_absolute(logdir), "")] if logdir else []
    for part in filter(None, (spec or "").split(",")):
        group, colon, path = part.partition(":")
        if not colon or part.startswith("/"):
            group, path = "", part
        found.append(Root(_absolute(path), group))
    return found


def _absolute(path: str) -> Path:
    if re.match(r"[A-Za-z][A-Za-z0-9.]*://", path):
        raise ValueError(f"only runs in local directories are shown here, not {path}")
    return Path(os.path.realpath(os.path.expanduser(path)))


class _Known:
    """What is known about a run.

    Attributes
    ----------
    name
        Its name.
    root
        The directory that it is in.
    record
        The state of its run.json.
    info
        What it says.
    row
        Its row; if it has ended, it is as long valid as the record.
    phase
        The name of its phase, when its files had the state `seen`.
    """

    name: str
    root: Path
    record: State | None
    info: RunInfo
    row: dict[str, Any]
    phase: str | None
    seen: Any

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root
        self.record, self.info, self.row = (-1, -1, -1), RunInfo(), {}
        self.phase = self.seen = None


class Catalogue:
    """The runs below some directories, looked for again with each question.

    Parameters
    ----------
    every : list of Root
        The directories.
    """

    remarks: list[str]
    _roots: list[Root]
    _known: dict[Path, _Known]
    _names: dict[str, Path]

    def __init__(self, every: list[Root]) -> None:
        self.remarks = []
        self._roots = every
        self._known, self._names = {}, {}

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each run, newest first."""
        left: dict[str, str] = {}
        found: dict[Path, _Known] = {}
        names: dict[str, Path] = {}
        deadline = time.monotonic() + PATIENCE
        for root in self._roots:
            if not root.path.is_dir():
                left[str(root.path)] = "there is no such directory"
                continue
            for path in find.directories(root.path, left, root.path):
                if path in found:  # one directory is inside another
                    continue
                known = self._known.get(path) or _Known(_name(path, root), root.path)
                if known.name in names:
                    known = _Known(f"{known.name} ({path})", root.path)
                try:
                    _look(path, known, deadline)
                except OSError as error:
                    if os.path.lexists(path):
                        left[str(path)] = error.strerror or str(error)
                    continue
                found[path] = known
                names[known.name] = path
        self._known, self._names = found, names
        self.remarks = [f"{path}: {why}" for path, why in list(left.items())[:NAMED]]
        if len(left) > NAMED:
            self.remarks.append(f"and {len(left) - NAMED} more that can't be read")
        order = sorted(
            found.values(), key=lambda one: str(one.row["started"] or ""), reverse=True
        )
        return [one.row for one in order]

    def find(self, name: str) -> Run | None:
        """Return a run by its name, None if there is none that may be shown.

        Raises
        ------
        OSError
            If a file of it is a link that leads out of the directory.
        """
        if name not in self._names:
            self.rows()
        path = self._names.get(name)
        if path is None or not path.is_dir():
            return None
        root = self._known[path].root
        check_within(path, root)
        for directory in directories(path):
            for file in (*event_files(directory), *recordings.files(directory)):
                check_within(file, root)
        check_within(path / names.RUN_JSON, root)
        return Run(path)


def _name(path: Path, root: Root) -> str:
    name = wording.name(path, root.path)
    if not root.group:
        return name
    return root.group if path == root.path else f"{root.group}/{name}"


def _look(path: Path, known: _Known, deadline: float) -> None:
    """Bring up to date what is known about a run.

    Raises
    ------
    OSError
        If it is gone, or may not be read.
    """
    record = _record(path / names.RUN_JSON, known.root)
    if record != known.record:
        known.info, known.row = RunInfo.read(path), {}
        known.record = record
    info = known.info
    ended = record is not None and info.status != RUNNING
    if known.row and ended:
        return
    row = head(Run(path), info, known.name, info.params or {})
    row["ended"] = info.ended
    if row["status"] == RUNNING:
        row["duration"] = None  # it grows while the tab is looked at
    if row["status"] in (RUNNING, KILLED):
        _find_phase(path, known, row["written"], deadline)
        row["phase"] = known.phase or row["phase"]
    known.row = row


def _record(path: Path, root: Path) -> State | None:
    """Return the state of a record, None if there is none."""
    try:
        its = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(its.st_mode):
        check_within(path, root)
        with contextlib.suppress(FileNotFoundError):
            its = path.stat()
    return its.st_mtime_ns, its.st_size, its.st_ino


def _find_phase(path: Path, known: _Known, written: Any, deadline: float) -> None:
    """Look for the last phase in the event files, if there is time for it."""
    if known.seen == written or time.monotonic() > deadline:
        return
    contents = cache.contents(path)
    if contents is not None:  # else they are large
        found = phases(sorted_.block for sorted_ in contents.blocks)
        known.phase = found[-1].name if found else None
    known.seen = written


def version(run: Run, info: RunInfo) -> str:
    """Return a text that changes with a run's record, its files, or its status."""
    return " ".join([info.state(), *map(str, _states(run.path))])


def _states(run: Path) -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError):
        yield (run / names.RUN_JSON).stat().st_mtime_ns
    for directory in directories(run):
        for file in (*event_files(directory), *recordings.files(directory)):
            with contextlib.suppress(FileNotFoundError):
                its = file.stat()
                yield from (its.st_size, its.st_ino)
