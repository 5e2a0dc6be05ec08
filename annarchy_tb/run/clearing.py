"""Starting over: whether a run has data, and removing what a Logger wrote there."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from annarchy_tb.inputs.tags import RUN_TABLE
from annarchy_tb.run.atomic import remove_leftovers
from annarchy_tb.run.names import CHECKPOINTS
from annarchy_tb.run.paths import archives, directories, sizes
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import is_ours
from annarchy_tb.tfevents.scan import history


def has_data(run: Path) -> bool:
    """Return whether a run has checkpoints, or data beside its own table."""
    files = (file for place in directories(run, True) for file in event_files(place))
    tags = (tag for tag, _, _ in history(files, {}))
    return bool(archives(run / CHECKPOINTS)) or any(
        tag != RUN_TABLE and not tag.startswith("_hparams_/") for tag in tags
    )


def foreign(run: Path) -> list[Path]:
    """Return the event files of other writers in a run's directory."""
    return [path for path in event_files(run) if not is_ours(path.name)]


def is_bare(run: Path) -> bool:
    """Return whether a Logger has left nothing in a directory, except ``run.json``."""
    return not (sizes(run) or (run / CHECKPOINTS).exists())


def clear(run: Path) -> None:
    """Remove event files, curves and checkpoints of this package; leave all others."""
    from annarchy_tb.run import checkpoints  # slow to import

    for place in reversed(list(directories(run, True))):
        ours = [path for path in event_files(place) if is_ours(path.name)]
        for path in ours:
            path.unlink(missing_ok=True)
        if ours and place != run:
            with contextlib.suppress(OSError):  # it holds files of the user's
                place.rmdir()
    folder = run / CHECKPOINTS
    remove_leftovers(folder)
    for path in archives(folder):
        path.unlink(missing_ok=True)
    for name in (checkpoints.PARENT, checkpoints.PARENT_STEPS):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("cut-*"):
        shutil.rmtree(path)
    with contextlib.suppress(OSError):
        folder.rmdir()
