"""Watch: whether a run may have changed, found out with few system calls."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from time import time as now

from annarchy_tb.run.names import RUN_JSON
from annarchy_tb.run.paths import directories
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files

RECENT = 2.0  # seconds: a directory may change again without a new time
SURE = 60.0  # seconds after which all is looked up again

Seen = tuple[int, int]  # size in bytes, and time of the last change in ns


class Watch:
    """The files of a run, and whether they have changed.

    Parameters
    ----------
    run
        The directory of the run.

    Attributes
    ----------
    files : dict of str to tuple
        The size and the time of the last change of each event file and recording.
    record : tuple or None
        The same of ``run.json``; None if there is none.
    """

    files: dict[str, Seen]
    record: Seen | None
    _run: Path
    _directories: dict[str, int]  # the times of their last changes
    _looked: float

    def __init__(self, run: Path) -> None:
        self._run = run
        self.files, self._directories, self.record = {}, {}, None
        self._looked = 0.0

    def changed(self) -> bool:
        """Return whether there is any change since the last call.

        Raises
        ------
        FileNotFoundError
            If the run is gone.
        """
        before = (self.record, self.files)
        self.record = record(self._run)
        if not self._directories or monotonic() > self._looked + SURE or self._moved():
            self._look()
        else:
            self.files = {path: _seen(path) or (0, 0) for path in self.files}
        return (self.record, self.files) != before

    def _moved(self) -> bool:
        """Return whether a file may be new or gone."""
        for path, when in self._directories.items():
            try:
                if os.stat(path).st_mtime_ns != when:
                    return True
            except OSError:
                return True
        return False

    def _look(self) -> None:
        found: dict[str, int] = {}
        files: dict[str, Seen] = {}
        recent = int((now() - RECENT) * 1e9)
        for directory in directories(self._run):
            when = directory.stat().st_mtime_ns
            found[os.fspath(directory)] = when if when < recent else -1
            for path in (*event_files(directory), *recordings.files(directory)):
                if (seen := _seen(os.fspath(path))) is not None:
                    files[os.fspath(path)] = seen
        self._directories, self.files = found, files
        self._looked = monotonic()

    @property
    def size(self) -> int:
        """The size of all files in bytes."""
        return sum(size for size, _ in self.files.values())

    @property
    def last_change(self) -> float | None:
        """When a file last changed, in seconds since 1970; None without files."""
        return max((when for _, when in self.files.values()), default=0) / 1e9 or None


def record(run: Path) -> Seen | None:
    """Return the size of ``run.json``, and when it changed; None if there is none."""
    return _seen(os.path.join(run, RUN_JSON))


def _seen(path: str) -> Seen | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
