"""The directories of a run: its own, and those of its curves."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from annarchy_tb.inputs.messages import warn_anyway
from annarchy_tb.run import names
from annarchy_tb.run.folder import Folder
from annarchy_tb.run.ledger import History, Ledger
from annarchy_tb.run.paths import directories, ignores_case
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.backlog import Backlog
from annarchy_tb.tfevents.event_file import EventFile, event_files
from annarchy_tb.tfevents.history import Past, history
from annarchy_tb.tfevents.recorder import RecordingFile

if TYPE_CHECKING:
    from annarchy_tb.run.opening import Opening

DELETED = "the event file was deleted, or moved to where it can't be found"
STAY_OPEN = 31  # curves; the files of any more are opened for each record


class Closed(NamedTuple):
    """The damage found when the files of a run were closed.

    Attributes
    ----------
    lost, lost_blocks : int
        The number of records, and of blocks of recordings, that could not be written.
    why : OSError
        The reason, as far as it is known.
    remarks : list of str
        Warnings about the files.
    """

    lost: int
    lost_blocks: int
    why: OSError
    remarks: list[str]

    def warn(self) -> None:
        """Give the warnings; they never stop the caller, who is cleaning up."""
        for message in self.remarks:
            warn_anyway(message)

    def report(self, path: Path, error: BaseException | None = None) -> None:
        """Tell of lost records, by a warning if there is an `error` to propagate.

        Raises
        ------
        OSError
            If there is no error, and records were lost.
        """
        if not self.lost:
            return
        why = self.why.strerror
        message = f"{self.lost} records of {path} could not be written: {why}"
        if error is None:
            raise OSError(self.why.errno, message)
        warn_anyway(message)


class RunDirectory:
    """A directory that TensorBoard shows as one run, with its event file and ledger.

    TensorBoard shows each curve of `add_scalars` as a run, too, so each is a
    RunDirectory inside this one.

    Parameters
    ----------
    path
        An absolute path.
    opening
        How the run was opened, if it has a Logger.
    above, name
        Of a curve: the run, and the name of its own directory, which is created for its
        first record.

    Attributes
    ----------
    writes : bool
        Whether this process writes the run.
    """

    writes = True
    _event_file: type[EventFile] = EventFile
    _recording_file: type[RecordingFile] = RecordingFile

    folder: Folder  # of the run
    opening: Opening | None
    descriptions: dict[str, str]
    backlog: Backlog
    file: EventFile
    recordings: RecordingFile
    ledger: Ledger
    curves: dict[str, RunDirectory]
    _name: str  # within the run
    past: Past  # of the data before, once the ledger has read it
    mark: Callable[[RunDirectory], bytes] | None
    _ignores_case: bool | None  # the file system; None if unknown
    _earlier: list[str]  # event files and recordings that existed before
    _staying: list[EventFile]  # of curves, which stay open

    def __init__(
        self,
        path: Path,
        opening: Opening | None = None,
        *,
        above: RunDirectory | None = None,
        name: str = "",
    ) -> None:
        self.opening = opening
        self._name = name
        may_stay = None
        if above is not None:
            self.folder = above.folder
            self.descriptions, self.backlog = above.descriptions, above.backlog
            self.mark = above.mark
            may_stay = above.has_room
        else:
            self.folder = Folder(path) if opening is None else opening.folder
            self.descriptions, self.backlog = {}, Backlog()
            self.mark = None
        first = None if opening is None else self._first
        self._earlier = self._list(path)
        self.file = self._event_file(path, self.backlog, may_stay, first, self.find)
        self.recordings = self._recording_file(self.file)
        self.past = Past()
        self.ledger = Ledger(self._history)
        self.curves = {}
        self._staying = []
        self._ignores_case = None

    def _first(self) -> bytes:
        """Begin the session; return the records that an event file starts with.

        These are the run's table, once, unless this is a curve, and what the phase has
        moved.
        """
        if self.opening is None:
            return b""
        table = self.opening.first_of_curve() if self._name else self.opening.first()
        return table if self.mark is None else table + self.mark(self)

    def _list(self, path: Path) -> list[str]:
        """Return the event files and recordings that are there."""
        if not path.exists():
            return []
        return [file.name for file in event_files(path) + recordings.files(path)]

    def find(self) -> Path:
        """Return where the directory is now, if the run was moved."""
        return self.folder.find() / self._name

    @property
    def path(self) -> Path:
        """Its absolute path."""
        return self.find()

    def curve(self, key: str) -> RunDirectory:
        """Return the directory of the curve `key`.

        Raises
        ------
        ValueError
            If it is a link, which readers do not follow.
        """
        curve = self.curves.get(key)
        if curve is None:
            path = self._find_curve(key)
            curve = type(self)(path, self.opening, above=self, name=path.name)
            curve = self.curves.setdefault(key, curve)
        return curve

    def _find_curve(self, key: str) -> Path:
        path = self.find() / self.name_of(key)
        if path.is_symlink():
            raise ValueError(
                f"the curve {key!r} must be in a directory of the run, but {path} is a "
                f"link; replace it by a directory"
            )
        return path

    def name_of(self, key: str) -> str:
        """Return the name of a directory for the curve `key`, and for no other."""
        path = self.find()
        if self._ignores_case is None and path.exists():
            self._ignores_case = ignores_case(path)
        others: list[str] = []
        if self._ignores_case:
            there = [curve.path.name for curve in list(self.curves.values())]
            others = [*os.listdir(path), *there]
        return names.curve(key, others)

    def has_room(self, file: EventFile) -> bool:
        """Return whether the file of a curve that was just opened may stay open."""
        others = [one for one in self._staying if one is not file and one.is_open]
        has_room = len(others) < STAY_OPEN
        self._staying = [*others, file] if has_room else others
        return has_room

    def describe(self, tag: str, text: str) -> bool:
        """Set the description of a tag; return False if it is too late."""
        if self.descriptions.get(tag) == text:
            return True
        if any(directory.ledger.has_begun(tag) for directory in self.all()):
            return False
        self.descriptions[tag] = text
        return True

    def _history(self) -> History:
        limits: Mapping[Path, int] = {}
        path = self.find()
        earlier = [path / name for name in self._earlier]
        if self.opening is not None:
            limits = self.opening.limits
            if self.opening.kind == "append" and path.exists():
                # Others may have written to the run since.
                own = (self.file.path.name, self.recordings.path.name)
                there = event_files(path) + recordings.files(path)
                earlier = [file for file in there if file.name not in own]
            if (before := self.opening.inherited) is not None:
                for tag, step in before.steps.get(self._name, {}).items():
                    yield tag, "", step
                if self._name in before.phases:
                    self.past.add(before.phases[self._name])
        yield from history(earlier, limits, self.past)

    def time_before(self) -> float:
        """Return the latest simulated time of the data before, also of curves."""
        every = [self]
        for name in self._curves_before():
            path = self.find() / name
            every.append(type(self)(path, self.opening, above=self, name=name))
        for one in every:
            one.ledger.read()
        return max(one.past.time for one in every)

    def _curves_before(self) -> Iterable[str]:
        """Return the names of the directories of curves with data before."""
        if self.opening is None or self.opening.kind == "new":
            return ()
        path, before = self.find(), self.opening.inherited
        there = [its.relative_to(path).as_posix() for its in directories(path, True)]
        inherited = [] if before is None else before.phases
        return {*there, *inherited} - {"", "."}

    def all(self) -> list[RunDirectory]:
        """Return this directory and those of its curves."""
        return [self, *self.curves.values()]

    def flush(self) -> None:
        """Wait until everything is on the disk itself.

        Raises
        ------
        OSError
            If the disk is full, or a file was deleted.
        """
        for directory in self.all():
            for file in (directory.file, directory.recordings):
                if file.is_lost():
                    raise FileNotFoundError(errno.ENOENT, DELETED, str(file.path))
                file.flush()
        self.backlog.speak()
        if self.backlog:
            number, why = len(self.backlog), self.backlog.why
            raise OSError(
                why.errno, f"{number} records wait: {why.strerror}", str(self.path)
            )

    def close(self) -> Closed:
        """Close all files; return the damage, for the caller to warn of."""
        said = []
        files = [
            file
            for directory in self.all()
            for file in (directory.file, directory.recordings)
        ]
        try:
            for file in files:
                file.look_again()
            self.backlog.drain()
        finally:
            for file in files:
                if not file.closed and file.is_lost():
                    said.append(f"{DELETED}: {file.path}")
                try:
                    file.close()
                except OSError as error:  # as of a network file system
                    said.append(f"{file.path} was closed with an error: {error}")
            self.folder.close()
        said += self.backlog.remarks()
        return Closed(*self.backlog.lost(), self.backlog.why, said)
