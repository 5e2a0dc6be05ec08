"""Starting over: whether a run has data, and removing what a Logger wrote there."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from annarchy_tb.inputs.tags import is_own
from annarchy_tb.run import source
from annarchy_tb.run.atomic import remove_leftovers
from annarchy_tb.run.names import CHECKPOINTS, PARENT, PARENT_STEPS
from annarchy_tb.run.paths import archives, directories, sizes, written
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import is_ours, is_recording
from annarchy_tb.tfevents.scan import TORN, Scan


def has_data(run: Path) -> bool:
    """Return whether a run has checkpoints, or data beside its own table.

    Data that can't be read counts, too, and so does what a resume has cut off.
    """
    folder = run / CHECKPOINTS
    return bool(archives(folder)) or any(folder.glob("cut-*/*")) or has_values(run)


def has_values(run: Path) -> bool:
    """Return whether the files of a run have data beside its own table."""
    return any(
        _holds_data(file)
        for place in directories(run, True)
        for file in event_files(place) + recordings.files(place)
    )


def _holds_data(file: Path) -> bool:
    if is_recording(file.name):
        return any(recordings.blocks(file, []))
    scan, first = Scan(), True
    for block in scan.files([file]):
        if block.columns:
            return True
        for _, event in block.others:
            if any(not is_own(value.tag) for value in event.values):
                return True
            if not event.values and not first:  # a graph, for example
                return True
            first = False
    return any(not damage.reason.startswith(TORN) for damage in scan.damage)


def foreign(run: Path) -> list[Path]:
    """Return the event files of other writers in a run's directory."""
    return [path for path in event_files(run) if not is_ours(path.name)]


def is_bare(run: Path) -> bool:
    """Return whether a Logger has left nothing in a directory, except ``run.json``."""
    return not (sizes(run) or (run / CHECKPOINTS).exists())


def clear(run: Path) -> None:
    """Remove the files of this package only: data, curves, checkpoints, the source."""
    source.clear(run)
    for place in reversed(list(directories(run, True))):
        ours = written(place)
        for path in ours:
            path.unlink(missing_ok=True)
        if ours and place != run:
            with contextlib.suppress(OSError):  # it holds files of the user's
                place.rmdir()
    folder = run / CHECKPOINTS
    remove_leftovers(folder)
    for path in archives(folder):
        path.unlink(missing_ok=True)
    for name in (PARENT, PARENT_STEPS):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("cut-*"):
        shutil.rmtree(path)
    with contextlib.suppress(OSError):
        folder.rmdir()
