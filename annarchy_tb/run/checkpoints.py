"""Checkpoints: saved states of a run, and rewinding the run to one of them.

A checkpoint is a zip archive in ``<run>/checkpoints``::

    run.json       the progress of the run: the size of every event file, the
                   parameters and the metrics
    state.pickle   the state that the simulation passed

Rewinding cuts off all data logged since: both of TensorBoard's loaders then show
exactly what they showed when the checkpoint was saved. The data cut off are kept in
``checkpoints/cut-<n>``, under names that TensorBoard does not read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from annarchy_tb.inputs.messages import warn
from annarchy_tb.run.atomic import remove_leftovers, replacing, sync_directory
from annarchy_tb.run.names import CHECKPOINTS, RUN_JSON
from annarchy_tb.run.paths import directories
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import harmless

STATE = "state.pickle"


class Checkpoint(NamedTuple):
    """The progress of a run at a checkpoint.

    ``files`` are the sizes of the event files by their paths within the run. The last
    step of each tag is not stored, but read from the files.
    """

    step: int
    files: dict[str, int]
    params: dict[str, Any] | None
    metrics: dict[str, Any]
    not_finite: dict[str, int] | None = None


def sizes(run: Path) -> dict[str, int]:
    """Return the size of every event file of a run, by its path within the run."""
    found = {}
    for directory in directories(run):
        with contextlib.suppress(FileNotFoundError):  # not ours, and gone by now
            for path in event_files(directory):
                found[path.relative_to(run).as_posix()] = path.stat().st_size
    return found


def save(run: Path, checkpoint: Checkpoint, state: object, keep: int) -> None:
    """Save a checkpoint, and remove all but the last `keep`.

    Raises
    ------
    OSError
        If it can't be written; the earlier ones are then still there.
    Exception
        Any exception that pickle raises for a state that can't be pickled.
    """
    folder = run / CHECKPOINTS
    folder.mkdir(exist_ok=True)
    earlier = _archives(folder)
    number = int(earlier[-1].stem) + 1 if earlier else 1
    path = folder / f"{number:06d}.zip"
    with replacing(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(RUN_JSON, json.dumps(checkpoint._asdict()))
        with archive.open(STATE, "w", force_zip64=True) as member:
            pickle.dump(state, member, pickle.HIGHEST_PROTOCOL)
    sync_directory(folder)
    for old in [*earlier, path][:-keep]:
        old.unlink(missing_ok=True)


def load(run: Path) -> tuple[Any, int] | None:
    """Return the state and step of the last intact checkpoint, if there is one."""
    path = _last(run)
    if path is None:
        return None
    with zipfile.ZipFile(path) as archive, archive.open(STATE) as member:
        return pickle.load(member), _read(path).step


def _archives(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [path for path in folder.glob("*.zip") if path.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem))


def _last(run: Path) -> Path | None:
    for path in reversed(_archives(run / CHECKPOINTS)):
        try:
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
                archive.getinfo(STATE)
            _read(path)
        except Exception as error:  # any exception of zipfile or zlib is damage
            # So is EINVAL, from seeking to before the file's start. Other errors of the
            # system are not, and the checkpoint must not be skipped because of them.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            bad = f"{type(error).__name__}: {error}"
        if bad is None:
            return path
        warn(f"the checkpoint {path} is damaged ({bad}); using the one before it")
    return None


def _read(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        return Checkpoint(**json.loads(archive.read(RUN_JSON)))


# -- rewinding -------------------------------------------------------------------------


def rewind(run: Path, number: int) -> Checkpoint | None:
    """Rewind the event files of a run to its last intact checkpoint.

    If this is interrupted at any instant, calling it again completes it, and nothing is
    lost: data are copied before they are cut off.

    Parameters
    ----------
    run
        The run's directory.
    number
        The number of this restart, for the name of the directory of data cut off.

    Returns
    -------
    Checkpoint or None
        The checkpoint. If there is none, all event files are moved away.
    """
    there = sizes(run)
    path = _last(run)
    found = None if path is None else _read(path)
    kept = found.files if found else {}
    if found is None and there:
        warn(
            f"there is no checkpoint in {run}: the run starts over, and its earlier "
            f"data are kept in {_aside(run, number)}"
        )
    own = run / CHECKPOINTS
    inside = [path for path in own.rglob("*") if path.is_dir()]
    for directory in [*directories(run), own, *inside]:
        remove_leftovers(directory)
    for name in kept:
        if there.get(name, -1) < kept[name]:
            warn(f"{run / name} is shorter than at the checkpoint, or missing")
    for name, size in there.items():
        if name not in kept:
            _move(run / name, _aside(run, number) / harmless(name))
        elif size > kept[name]:
            _cut(run / name, kept[name], _aside(run, number) / harmless(name))
    # Later checkpoints, all of them damaged, refer to files that no longer exist.
    for archive in reversed(_archives(own)):
        if archive == path:
            break
        _move(archive, _aside(run, number) / archive.name)
    return found


def _aside(run: Path, number: int) -> Path:
    """Return the directory for the data cut off by restart `number`."""
    return run / CHECKPOINTS / f"cut-{number}"


def _move(path: Path, away: Path) -> None:
    away.parent.mkdir(parents=True, exist_ok=True)
    while away.exists():
        away = away.with_name(f"{away.name}_1")
    try:
        path.rename(away)
    except OSError as error:
        if error.errno != errno.EXDEV:  # checkpoints may be on another disk
            raise
        with path.open("rb") as source, replacing(away) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        path.unlink()
    sync_directory(away.parent)
    sync_directory(path.parent)


def _cut(path: Path, size: int, away: Path) -> None:
    """Replace a file by a copy of its first `size` bytes; keep the rest as `away`."""
    away.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as source:
        source.seek(size)
        with replacing(away.with_name(f"{away.name}.from-{size}")) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        sync_directory(away.parent)
        source.seek(0)
        # A process that outlived its parent may still write to the old file.
        with replacing(path) as copy:
            while size:
                part = source.read(min(size, 1 << 20))
                if not part:
                    raise OSError(f"{path} became shorter while it was being copied")
                copy.write(part)
                size -= len(part)
    sync_directory(path.parent)
