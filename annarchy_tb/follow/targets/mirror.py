"""Mirror: a copy of runs at an address, which readers may read at any time.

What a run has at the address is always the beginning of what it has here:

- event files and recordings are in parts, see `parts`, each of whole records;
- a recording comes before the events that are drawn from it;
- checkpoints and the source come after the data that they refer to, and
- ``run.json`` comes last, as it was before all of these were looked at.

If a resume has cut data off, they are removed at the address before anything else is
added, the newest first: readers find less of the old state, and then the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from annarchy_tb.follow.parts import Part, parts, stored
from annarchy_tb.follow.state import State
from annarchy_tb.follow.store import Found, Store, check
from annarchy_tb.follow.target import SLICE, Options, Target, UnreadableError
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo, record_of
from annarchy_tb.run.names import CHECKPOINTS, RUN_JSON, SOURCE
from annarchy_tb.run.paths import absolute, directories
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import part

# Bytes a second that are written again, at most, for the last part of a file where
# nothing can be appended: the last part of 8 MiB is as old as 32 s.
AGAIN = 256 << 10

Stamp = list[int]  # size and time of a file, which tell that it has changed


class Here(NamedTuple):
    """What a run has on this machine, in the order in which it is looked at.

    Attributes
    ----------
    record : bytes or None
        The contents of ``run.json``.
    files : dict of str to Stamp
        The files that are copied as a whole, by their names in the run.
    logs : dict of str to int
        The sizes of event files and recordings, in the order in which they are copied.
    folders : frozenset of str
        The directories of the run.
    """

    record: bytes | None
    files: dict[str, Stamp]
    logs: dict[str, int]
    folders: frozenset[str]

    @classmethod
    def of(cls, run: Path) -> Here:
        """Look at a run.

        Raises
        ------
        UnreadableError
            If something of it can't be read.
        FileNotFoundError
            If it is gone.
        """
        with _reading():
            return cls._of(run)

    @classmethod
    def _of(cls, run: Path) -> Here:
        record = None
        with contextlib.suppress(FileNotFoundError):
            record = (run / RUN_JSON).read_bytes()
        files = {
            path.relative_to(run).as_posix(): stamp
            for name in (SOURCE, CHECKPOINTS)
            for path, stamp in _inside(run / name)
        }
        places = list(directories(run))
        events = _sizes(run, [file for at in places for file in event_files(at)])
        kept = _sizes(run, [file for at in places for file in recordings.files(at)])
        folders = frozenset(place.relative_to(run).as_posix() for place in places)
        return cls(record, files, kept | events, folders)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Tell errors of this machine's files from those of the store."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(str(error)) from error


def _inside(folder: Path) -> Iterator[tuple[Path, Stamp]]:
    """Yield the files in a directory of a run that is no link."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if not path.name.endswith(".tmp"):
            with contextlib.suppress(FileNotFoundError):
                its = path.lstat()
                if stat.S_ISREG(its.st_mode):
                    yield path, [its.st_size, its.st_mtime_ns]


def _sizes(run: Path, paths: list[Path]) -> dict[str, int]:
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # moved away by a resume
            found[path.relative_to(run).as_posix()] = path.stat().st_size
    return found


class Mirror(Target):
    """A run, copied to an address that fsspec knows.

    Attributes
    ----------
    written : int
        How many bytes were written to files in parts, also again.
    """

    written: int
    _store: Store
    _run: Path
    _kept: dict[str, Any]
    _sizes: dict[str, list[int]]  # of the parts that are there, by their file
    _open: dict[str, Part]  # the last part of a file, as far as it was looked at
    _looked: dict[str, int]  # the sizes of files then
    _times: dict[str, float]  # when the last part was written
    _left: list[str]  # parts without those before them

    def __init__(self, place: str, options: Options) -> None:
        super().__init__(place, options)
        self.written = 0
        check(place, "mirror")

    @classmethod
    def resolved(cls, place: str) -> str:
        """Return the address; a relative path as an absolute one."""
        return place.rstrip("/") if "://" in place else str(absolute(place))

    def begin(
        self, run: Run, kept: dict[str, Any], previous: dict[str, Any] | None
    ) -> None:
        """See what is there of a run, if it is the same one."""
        self._store = Store.shared(self.place, "mirror")
        self._run, self._kept = run.path, kept
        here = Here.of(run.path)
        there = self._files(here)
        found, self._left = stored(there, there)
        self._check_same(here, there, found)
        self._sizes = {name: [one.size for one in its] for name, its in found.items()}
        self._open, self._looked, self._times = {}, {}, {}
        before = kept.setdefault("files", {})
        for name in list(before):
            if name not in there:
                del before[name]
        for name in there:  # perhaps written just before the follower was killed
            if name == RUN_JSON or name.split("/")[0] in (SOURCE, CHECKPOINTS):
                before.setdefault(name, [])
        known: dict[str, list[int]] = kept.setdefault("parts", {})
        for name, sizes in self._sizes.items():
            # Up to the last one that was known, parts need not be looked at again.
            same = 0
            for its, size in zip(known.get(name, []), sizes, strict=False):
                if its != size:
                    break
                same += 1
            if same > 1:
                start = sum(sizes[: same - 1])
                self._open[name] = Part(same - 1, start, start, False)
        kept["parts"] = self._sizes

    def _files(self, here: Here) -> dict[str, Found]:
        """Return the files that are there, without those of other runs inside."""
        name = self.options.name
        found = {
            path.removeprefix(f"{name}/"): its
            for path, its in self._store.files(name).items()
        }
        others = {
            path[: -len(RUN_JSON)] for path in found if path.endswith(f"/{RUN_JSON}")
        }
        for path in found:
            folder = path.rpartition("/")[0]
            top = path.split("/")[0]
            own = top in (SOURCE, CHECKPOINTS) or folder in ("", *here.folders)
            if not own and (self._run / folder).is_dir():  # another run, or no run
                others.add(f"{folder}/")
        return {
            path: its
            for path, its in found.items()
            if not any(path.startswith(folder) for folder in others)
        }

    def _check_same(
        self, here: Here, there: dict[str, Found], found: dict[str, list[Found]]
    ) -> None:
        """Raise ValueError if another run of this name is there."""
        begun = RunInfo.read(self._run).started
        its = None
        if RUN_JSON in there:
            its = record_of(self._store.read(self._at(RUN_JSON))).started
            same = its in (begun, self._kept.get("started"))
        else:
            same = bool(self._kept) or found.keys() <= here.logs.keys()
        if not same:
            when = f", which started at {its}" if its else ""
            raise ValueError(
                f"{self._store.shown}/{self.options.name} has another run{when}; name "
                f"another address, or remove it there"
            )

    def take(self, run: Run, state: State) -> bool:
        """Copy what is new, for about a second; return whether there was anything."""
        return self._copy(state, monotonic() + SLICE)

    def end(self, run: Run, status: str) -> None:
        """Copy all that is left, also half a record at the end of a file."""
        self._copy(None, None)
        here = Here.of(self._run)
        for name, size in here.logs.items():
            self._complete(name, size)
        self._copy_files(here)
        self._copy_record(here)
        self._check_there(here)

    def _check_there(self, here: Here) -> None:
        """Raise OSError if something is not there: the store was emptied, perhaps."""
        there = self._files(here)
        wanted = {
            part(name, number): size
            for name, sizes in self._sizes.items()
            for number, size in enumerate(sizes)
        }
        for name in (*wanted, *self._kept["files"]):
            size = wanted.get(name)
            if name not in there or size not in (None, there[name].size):
                raise OSError(f"{self._store.shown}: {name} is not as it was written")

    def close(self) -> None:
        """Close the connection, if there is one."""
        if hasattr(self, "_store"):
            self._store.close()

    def _copy(self, state: State | None, late: float | None) -> bool:
        """Copy what is new, until it is late; return whether there was anything."""
        try:
            return self._copy_once(state, late)
        except _GoneError:  # look again at what is there now
            self._open.clear()
            self._looked.clear()
            return True

    def _copy_once(self, state: State | None, late: float | None) -> bool:
        here = Here.of(self._run)
        self.holds = False
        found = self._withdraw(here)
        hurry = late is None or self._has_changed(here)
        for name, size in here.logs.items():
            for _ in self._grow(name, size, hurry):
                found = True
                if late is not None and monotonic() >= late:
                    self._save(state, here)
                    return True
        found |= self._copy_files(here)
        found |= self._copy_record(here)
        if found:
            self._save(state, here)
        return found

    def _save(self, state: State | None, here: Here) -> None:
        if state is not None:
            files = {name: sum(sizes) for name, sizes in self._sizes.items()}
            begun = self._kept.get("started")
            state.position = {"started": begun, "files": files}
            self.save(state)

    def _at(self, name: str) -> str:
        return f"{self.options.name}/{name}"

    # -- event files and recordings ----------------------------------------------------

    def _withdraw(self, here: Here) -> bool:
        """Remove what the run does not have any more, the newest first."""
        found = bool(self._left)
        while self._left:
            self._store.remove(self._at(self._left.pop(0)))
        order = [name for name in self._sizes if name not in here.logs]
        order = [*here.logs, *sorted(order)]
        for name in reversed(order):
            sizes, size = self._sizes.get(name), here.logs.get(name)
            if not sizes or (size is not None and sum(sizes) <= size):
                continue
            if not found:
                self.options.say("data that the run has no more are removed there")
            found = True
            self._open.pop(name, None)
            self._looked.pop(name, None)
            while sizes and (size is None or sum(sizes[:-1]) >= size):
                self._remove_last(name)
            if sizes:
                self._shorten(name, len(sizes) - 1, size or 0)
            if size is None:
                del self._sizes[name]
        return found

    def _remove_last(self, name: str) -> None:
        sizes = self._sizes[name]
        self._store.remove(self._at(part(name, len(sizes) - 1)))
        sizes.pop()

    def _shorten(self, name: str, number: int, limit: int) -> None:
        """Cut a part, the last one, where the file is cut."""
        start = sum(self._sizes[name][:number])
        since = Part(number, start, start, False)
        one = next(self._parts(name, since, limit))
        if one.size:
            data = self._read(name, start, one.end)
            self._store.replace(self._at(part(name, number)), data)
            self._sizes[name][number] = one.size
        else:
            self._remove_last(name)

    def _grow(self, name: str, limit: int, hurry: bool) -> Iterator[None]:
        """Add what a file has more, up to a limit, by parts."""
        if self._looked.get(name) == limit:
            return
        sizes = self._sizes.setdefault(name, [])
        since = self._open.get(name, Part(0, 0, 0, False))
        for one in self._parts(name, since, limit):
            self._open[name] = one
            while len(sizes) > one.number + 1 and (
                not one.complete or sizes[one.number] > one.size
            ):
                self._remove_last(name)  # of another layout
            there = sizes[one.number] if one.number < len(sizes) else 0
            if there < one.size:
                if not (one.complete or hurry or self._is_time(name, there)):
                    self.holds = True
                    return
                self._add(name, one.number, one.start, one.end)
                yield
            elif there > one.size and one.complete:
                self._shorten(name, one.number, limit)
                yield
        self._looked[name] = limit

    def _is_time(self, name: str, size: int) -> bool:
        """Return whether a part may be written again, which is not too often."""
        if self._store.grows:
            return True
        before = self._times.get(name)
        return before is None or monotonic() >= before + size / AGAIN

    def _parts(self, name: str, since: Part, limit: int) -> Iterator[Part]:
        """Yield the parts of a file, as `parts`."""
        found = parts(self._run / name, since, limit)
        while True:
            try:
                with _reading():
                    one = next(found, None)
            except FileNotFoundError:
                raise _GoneError from None
            if one is None:
                return
            yield one

    def _add(self, name: str, number: int, start: int, end: int) -> None:
        """Write what a part has, or what it has more than is there."""
        sizes = self._sizes[name]
        at = sizes[number] if number < len(sizes) and self._store.grows else 0
        path, where = self._run / name, self._at(part(name, number))
        try:
            with _reading():
                path.stat()
            self._store.extend(where, at, path, start + at, end)
        except (FileNotFoundError, EOFError):
            if path.exists() and path.stat().st_size >= end:
                raise
            raise _GoneError from None
        self.written += end - start - at
        self._times[name] = monotonic()
        sizes[number:] = [end - start]

    def _read(self, name: str, begin: int, end: int) -> bytes:
        try:
            with _reading(), (self._run / name).open("rb") as stream:
                stream.seek(begin)
                data = stream.read(end - begin)
        except FileNotFoundError:
            raise _GoneError from None
        if len(data) < end - begin:  # cut off meanwhile
            raise _GoneError
        return data

    def _complete(self, name: str, size: int) -> None:
        """Add what follows the last whole record of a file that is written no more."""
        sizes = self._sizes.setdefault(name, [])
        missing = size - sum(sizes)
        if missing > 0 or not sizes:
            number = max(0, len(sizes) - 1)
            with contextlib.suppress(_GoneError):
                self._add(name, number, sum(sizes[:number]), size)

    # -- whole files -------------------------------------------------------------------

    def _has_changed(self, here: Here) -> bool:
        """Return whether there is more to copy than event files and recordings."""
        before = self._kept["files"]
        record = here.record is not None and before.get(RUN_JSON) != _sum(here.record)
        return record or any(
            before.get(name) != its for name, its in here.files.items()
        )

    def _copy_files(self, here: Here) -> bool:
        """Copy files that changed, and remove those that are gone."""
        before, found = self._kept["files"], False
        for name, its in here.files.items():
            if before.get(name) != its:
                path = self._run / name
                try:
                    self._store.upload(path, self._at(name))
                except FileNotFoundError:
                    if path.exists():
                        raise
                    continue
                before[name], found = its, True
        for name in [one for one in before if one != RUN_JSON]:
            if name not in here.files:
                self._store.remove(self._at(name))
                del before[name]
                found = True
        return found

    def _copy_record(self, here: Here) -> bool:
        """Copy ``run.json``."""
        before = self._kept["files"]
        if here.record is None or before.get(RUN_JSON) == _sum(here.record):
            return False
        self._store.replace(self._at(RUN_JSON), here.record)
        before[RUN_JSON] = _sum(here.record)
        self._kept["started"] = record_of(here.record).started
        return True


class _GoneError(Exception):
    """A file has become shorter while it was read: look at the run again."""


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
