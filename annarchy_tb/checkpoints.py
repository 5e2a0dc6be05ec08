"""The state of a run, saved now and then, and the way back to it.

A checkpoint is a zip archive in ``<run>/checkpoints``::

    run.json       how far the run was: the size of every event file, the last step of
                   every tag, the parameters and the metrics
    state.pickle   what the simulation gave

To go back, what was logged since is cut off: both of TensorBoard's loaders then show
just what they showed when the checkpoint was saved. What is cut off is kept in
``checkpoints/cut-<n>``, under names that TensorBoard does not read.
"""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from annarchy_tb.atomic import remove_leftovers, replacing, sync_directory
from annarchy_tb.events import event_files
from annarchy_tb.messages import warn
from annarchy_tb.names import CHECKPOINTS, RUN_JSON, harmless
from annarchy_tb.runs import directories

STATE = "state.pickle"


class Checkpoint(NamedTuple):
    """How far a run was at a checkpoint.

    ``files`` are the sizes of the event files by their paths within the run;
    ``counters`` the kinds and the last steps of all tags, by the curve (``""`` is the
    run itself).
    """

    step: int
    files: dict[str, int]
    counters: dict[str, dict[str, tuple[str, int]]]
    params: dict[str, Any] | None
    metrics: dict[str, Any]


def sizes(run: Path) -> dict[str, int]:
    """Return the size of every event file of a run, by its path within the run."""
    return {
        path.relative_to(run).as_posix(): path.stat().st_size
        for directory in directories(run)
        for path in event_files(directory)
    }


def save(run: Path, checkpoint: Checkpoint, state: object, keep: int) -> None:
    """Save a checkpoint, and remove all but the last `keep`.

    Raises
    ------
    OSError
        If the disk does not take it; the earlier ones are still there then.
    Exception
        Whatever pickle raises for a state that can't be pickled.
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
    for old in [*earlier, path][:-keep]:
        old.unlink(missing_ok=True)


def load(run: Path) -> tuple[Any, int] | None:
    """Return state and step of the last whole checkpoint, if there is one."""
    path = _last(run)
    if path is None:
        return None
    with zipfile.ZipFile(path) as archive, archive.open(STATE) as member:
        return pickle.load(member), _read(path).step


def last(run: Path) -> Checkpoint | None:
    """Return how far the run was at its last whole checkpoint, if there is one."""
    path = _last(run)
    return None if path is None else _read(path)


def _archives(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.zip") if path.stem.isdecimal())


def _last(run: Path) -> Path | None:
    for path in reversed(_archives(run / CHECKPOINTS)):
        try:
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
        except (OSError, zipfile.BadZipFile) as error:
            bad = str(error)
        if bad is None:
            return path
        warn(f"the checkpoint {path} is damaged ({bad}); the one before it is taken")
    return None


def _read(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        found = Checkpoint(**json.loads(archive.read(RUN_JSON)))
    counters = {
        curve: {tag: (kind, step) for tag, (kind, step) in tags.items()}
        for curve, tags in found.counters.items()
    }
    return found._replace(counters=counters)


# -- going back ------------------------------------------------------------------------


def aside(run: Path, number: int) -> Path:
    """Return where what is cut off for the restart of that number is kept."""
    return run / CHECKPOINTS / f"cut-{number}"


def rewind(run: Path, kept: dict[str, int], number: int) -> bool:
    """Take the event files of a run back to the sizes `kept`.

    Whatever instant this is interrupted at, doing it again completes it, and nothing is
    lost: what is cut off is copied before it is, and moved files are renamed.

    Parameters
    ----------
    run
        The run's directory.
    kept
        The sizes by the paths within the run; a file without one is moved away whole.
    number
        Tells the directory of what is cut off from earlier ones.

    Returns
    -------
    bool
        Whether anything was cut off.
    """
    cut = False
    own = run / CHECKPOINTS
    inside = [path for path in own.rglob("*") if path.is_dir()]
    for directory in [*directories(run), own, *inside]:
        remove_leftovers(directory)
    for name, size in sizes(run).items():
        path, keep = run / name, kept.get(name, 0)
        if size < keep:
            warn(f"{path} is shorter than it was when the checkpoint was saved")
        if size <= keep:
            continue
        cut = True
        away = aside(run, number) / harmless(name)
        away.parent.mkdir(parents=True, exist_ok=True)
        if name not in kept:
            while away.exists():
                away = away.with_name(f"{away.name}_1")
            path.rename(away)
            sync_directory(away.parent)
            sync_directory(path.parent)
            continue
        with path.open("rb") as source:
            source.seek(keep)
            with replacing(away.with_name(f"{away.name}.from-{keep}")) as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            source.seek(0)
            # A process that outlived its parent may still write to the old file.
            with replacing(path) as copy:
                _copy(source, copy, keep)
    return cut


def _copy(source: Any, target: Any, size: int) -> None:
    while size:
        part = source.read(min(size, 1 << 20))
        if not part:
            raise OSError("the file became shorter while it was copied")
        target.write(part)
        size -= len(part)
