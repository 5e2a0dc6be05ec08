"""Paths: claiming the directory of a run, and walking through its directories."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from time import time as now

from annarchy_tb.inputs.messages import describe, short
from annarchy_tb.run import names
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import harmless, is_ours, is_recording
from annarchy_tb.tfevents.scan import Scan

LOGDIR = "ANNARCHY_TB_LOGDIR"  # the variable that names the directory of all runs


def directory_of_runs(given: object, below: str = "") -> Path:
    """Return the directory of runs that was given, or the default one.

    The default is what the environment variable `LOGDIR` says, and ``runs`` if it is
    not set or empty; with `below`, a directory inside it.

    Raises
    ------
    TypeError, ValueError
        If it is not a local path.
    """
    if given is not None:
        return absolute(given)
    named = os.environ.get(LOGDIR)
    return (absolute(named, f"${LOGDIR}") if named else absolute("runs")) / below


def absolute(path: object, name: str = "logdir") -> Path:
    """Return a local path that stays valid if the working directory changes.

    Raises
    ------
    TypeError, ValueError
        If it is not one.
    """
    text = as_path(name, path)
    if "://" in text:
        raise ValueError(f"{name} must be a local directory, got {text!r}")
    known = os.path.expanduser(text)
    if known.startswith("~"):
        raise ValueError(
            f"{name} must not begin with {known.split(os.sep)[0]!r} here: there is no "
            f"such home directory; write the whole path, or set the variable HOME; got "
            f"{text!r}"
        )
    return Path(os.path.abspath(known))


def as_path(name: str, given: object) -> str:
    """Return a path as a str.

    Raises
    ------
    TypeError, ValueError
        If it is not a path, or contains a null character.
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or path, got {describe(given)}")
    if "\0" in text:
        raise ValueError(f"{name} must not contain a null character, got {short(text)}")
    return text


def inside(parent: Path, name: object) -> Path:
    """Return the directory of a run below `parent`, by its name.

    Raises
    ------
    TypeError, ValueError
        If the name is invalid, or leads out of `parent`.
    """
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    if not isinstance(name, str):
        raise TypeError(
            f"experiment must be a str, the name of the run, or None for a name by "
            f"time, got {describe(name)}"
        )
    path = Path(name)
    if (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or "\0" in name
        or harmless(name) != name
    ):
        raise ValueError(
            f"experiment must be a name below logdir, without '..' and 'tfevents', or "
            f"None for a name by time, got {name!r}"
        )
    for part in path.parts:
        if names.is_taken(part):
            raise ValueError(
                f"experiment must not contain {part!r}, a name that runs use for their "
                f"own files, got {name!r}"
            )
    return parent / path


def ignores_case(directory: Path) -> bool:
    """Return whether names in a directory that differ in case only are the same.

    It is tried with a name that is there; nothing is written.
    """
    there = os.listdir(directory)
    for name in there:
        other = name.swapcase()
        if other != name:
            return other not in there and os.path.lexists(directory / other)
    return False


def check_directory(name: str, path: Path) -> None:
    """Raise NotADirectoryError if a path is, or leads through, something else."""
    for place in (path, *path.parents):
        if os.path.lexists(place):
            if place.is_dir():
                return
            raise NotADirectoryError(
                f"Logger: {name} must be a directory, but {place} is not one"
            )


def claim(parent: Path, name: str) -> Path:
    """Make a directory for this caller alone: `name`, or ``name_1``, ``name_2``...

    An atomic ``mkdir`` decides, so any number of processes may claim the same name at
    the same time.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for directory in claimable(parent, name):
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            break
    return directory


def claimable(parent: Path, name: str) -> Iterator[Path]:
    """Yield the directories that `claim` tries for a name, without end."""
    yield parent / name
    for clash in itertools.count(1):
        yield parent / f"{name}_{clash}"


def directories(run: Path, ours: bool | None = None) -> Iterator[Path]:
    """Yield the directories of a run's event files: its own, and those of its curves.

    Inside a run of this package, a directory with a ``run.json``, or with event files
    of another writer, does not belong to the run. `ours` tells whether it is one, or
    will be; by default, if it has a ``run.json``.
    """
    return (Path(directory) for directory, _ in _walk(run, ours))


def last_change(run: Path) -> float | None:
    """Return when an event file or recordings of a run last changed, if it has any.

    This is in seconds since 1970, by the clock of the file system.
    """
    last = None
    for _, there in _walk(run, None):
        for entry in there:
            if "tfevents" in entry.name or is_recording(entry.name):
                with contextlib.suppress(OSError):  # gone by now
                    changed = entry.stat().st_mtime
                    last = changed if last is None else max(last, changed)
    return last


def _walk(run: Path, ours: bool | None) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield what `directories` yields, with what is inside."""
    own = os.path.lexists(run / names.RUN_JSON) if ours is None else ours
    waiting = [os.fspath(run)]
    while waiting:
        directory = waiting.pop()
        top = directory == os.fspath(run)
        try:
            with os.scandir(directory) as entries:
                there = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError:
            if top:
                raise
            continue  # scratch files of the user's may come and go
        if not top and is_another_run([entry.name for entry in there], own):
            continue
        yield directory, there
        waiting += (
            entry.path
            for entry in there
            if entry.name not in (names.CHECKPOINTS, names.OWN)
            and entry.is_dir(follow_symlinks=False)
        )


def is_another_run(inside: Collection[str], ours: bool) -> bool:
    """Return whether a directory with these entries is not a curve of the run above it.

    `ours` tells whether that run is one of this package.
    """
    files = [name for name in inside if "tfevents" in name]
    return names.RUN_JSON in inside or (ours and not all(map(is_ours, files)))


def first_time(run: Path) -> float:
    """Return the time of a run's first event, or the current time if there is none."""
    for block in Scan().files(event_files(run)):
        for _, event in block.others:  # every file starts with such an event
            return event.wall_time
    return now()


def written(directory: Path) -> list[Path]:
    """Return the event files and recordings of this package in a directory."""
    ours = [path for path in event_files(directory) if is_ours(path.name)]
    return ours + recordings.files(directory)


def sizes(run: Path) -> dict[str, int]:
    """Return the size of every event file and recording, by its path within the run.

    Files of other writers are left out.
    """
    found = {}
    for directory in directories(run, ours=True):
        with contextlib.suppress(FileNotFoundError):  # not ours, and gone by now
            for path in written(directory):
                found[path.relative_to(run).as_posix()] = path.stat().st_size
    return found


def archives(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.glob("*.zip") if path.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem))
