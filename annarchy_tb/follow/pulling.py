"""Pull: the runs of a mirror, made again on this machine."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from annarchy_tb.follow.parts import stored
from annarchy_tb.follow.store import Found, Store
from annarchy_tb.inputs.messages import warn
from annarchy_tb.run import sessions
from annarchy_tb.run.atomic import remove_leftovers, replacing
from annarchy_tb.run.info import RunInfo, record_of
from annarchy_tb.run.names import CHECKPOINTS, PARENT, PARENT_STEPS, RUN_JSON, SOURCE
from annarchy_tb.run.paths import absolute, archives, directories, written
from annarchy_tb.run.strangers import check_no_link
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import part, part_number, whole

ATTEMPTS = 5  # to read a run while the mirror is being changed
SAME = 0.001  # seconds between times that count as equal


class Pulled(NamedTuple):
    """A run that was pulled.

    Attributes
    ----------
    path : Path
        Its directory.
    files, size : int
        How many files changed, and how many bytes were read for them.
    """

    path: Path
    files: int
    size: int


def pull(url: str, directory: str | os.PathLike[str]) -> list[Pulled]:
    """Make the runs of a mirror again, byte for byte.

    If they were pulled before, only what is new is read. Each file is replaced as a
    whole, ``run.json`` last. What a resume has withdrawn is removed.

    Parameters
    ----------
    url : str
        The address of a run in a mirror, or of a mirror: what was given to
        ``mirror:``.
    directory : path
        The directory that becomes the run; those of several runs are made in it. Of
        what is there, only files of the run change.

    Returns
    -------
    list of Pulled
        The runs.

    Raises
    ------
    FileNotFoundError
        If there is no run at this address.
    ValueError
        If the directory has another run, or one that was continued there.
    OSError
        If the mirror can't be read, or the directory not be written. Other runs have
        been pulled then.
    ImportError
        If a package for this kind of address is missing.

    Warns
    -----
    UserWarning
        If files of the mirror have names that no mirror gives: they are left out.

    Notes
    -----
    A checkpoint is a pickle, which can run code when a Logger loads it. Pull from
    mirrors that you trust.
    """
    root = absolute(directory, "directory")
    with opened(url, "pull") as store:
        there = _runs(_harmless(store.files()))
        if not there:
            raise FileNotFoundError(f"there is no run at {store.shown}")
        found, errors = [], []
        for name in there:
            try:
                found.append(_pull(store, name, root))
            except (OSError, ValueError) as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return found


@contextlib.contextmanager
def opened(url: str, caller: str) -> Iterator[Store]:
    """Open a store."""
    store = Store(url.rstrip("/"), caller)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def records(url: str) -> Iterator[Path]:
    """Yield a directory with the runs of a mirror that have nothing but ``run.json``.

    An empty event file stands for the data, and has the time of its last change.
    """
    with opened(url, "ls") as store, tempfile.TemporaryDirectory() as folder:
        files = _harmless(store.files())
        runs, root = _runs(files), Path(folder, store.name)
        root.mkdir()
        for name in runs:
            its = _of(files, name, runs)
            path = root / name
            path.mkdir(parents=True, exist_ok=True)
            logs = [one for one in its if part_number(one.rpartition("/")[2]) == 0]
            if logs:
                file = path / whole(min(logs).rpartition("/")[2])
                file.touch()
                times = [found.changed for found in its.values() if found.changed]
                if times:
                    os.utime(file, (max(times), max(times)))
            if RUN_JSON in its:
                (path / RUN_JSON).write_bytes(store.read(_join(name, RUN_JSON)))
        yield root


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _harmless(files: dict[str, Found]) -> dict[str, Found]:
    """Return files without those whose names lead elsewhere."""
    bad = [name for name in files if not _is_harmless(name)]
    if bad:
        said = ", ".join(map(repr, sorted(bad)[:3]))
        warn(f"{len(bad)} files of the mirror are left out for their names: {said}")
    return {name: its for name, its in files.items() if name not in bad}


def _is_harmless(name: str) -> bool:
    return "\0" not in name and not any(
        piece in ("", os.curdir, os.pardir) for piece in name.split("/")
    )


def _runs(files: Iterable[str]) -> list[str]:
    """Return the directories of the runs; one whose record is not yet there counts."""
    found, logs = set(), set()
    for name in files:
        folder, _, last = name.rpartition("/")
        if last == RUN_JSON:
            found.add(folder)
        elif part_number(last) is not None:
            logs.add(folder)
    for folder in sorted(logs):
        above = folder.split("/")
        ancestors = {"/".join(above[:depth]) for depth in range(len(above) + 1)}
        if not ancestors & found:
            found.add(folder)
    return sorted(found)


def _of(files: dict[str, Found], run: str, runs: list[str]) -> dict[str, Found]:
    """Return the files of a run by their names in it, without those of runs inside."""
    prefix = f"{run}/" if run else ""
    inside = [f"{one}/" for one in runs if one != run and one.startswith(prefix)]
    return {
        name[len(prefix) :]: found
        for name, found in files.items()
        if name.startswith(prefix) and not name.startswith(tuple(inside))
    }


class _ChangedError(Exception):
    """The mirror has less than it had when it was listed."""


def _pull(store: Store, name: str, root: Path) -> Pulled:
    target = root / name
    _make(root, target)
    files = size = 0
    for _ in range(ATTEMPTS):
        record = None
        with contextlib.suppress(FileNotFoundError):
            record = store.read(_join(name, RUN_JSON))
        there = _listed(store, name)
        _check(target, record, there, store)
        try:
            changed, more = _fetch(store, name, target, there)
            files, size = files + changed, size + more
            _check_same(there, _listed(store, name))
        except (_ChangedError, FileNotFoundError):
            continue
        files += _remove(target, there)
        if record is not None and _read(target / RUN_JSON) != record:
            with replacing(target / RUN_JSON) as stream:
                stream.write(record)
            files, size = files + 1, size + len(record)
        return Pulled(target, files, size)
    raise OSError(f"{store.shown}/{name} changes again and again: try it later")


def _listed(store: Store, name: str) -> dict[str, Found]:
    files = {
        path.removeprefix(f"{name}/" if name else ""): found
        for path, found in store.files(name).items()
    }
    kept = {path: its for path, its in files.items() if _is_harmless(path)}
    return _of(kept, "", ["", *(one for one in _runs(kept) if _is_run(one, kept))])


def _is_run(folder: str, files: dict[str, Found]) -> bool:
    return bool(folder) and f"{folder}/{RUN_JSON}" in files


def _check_same(before: dict[str, Found], now: dict[str, Found]) -> None:
    """Raise an error if something was removed, cut or replaced meanwhile."""
    for name in _copied(before):
        its, there = before[name], now.get(name)
        grown = part_number(name.rpartition("/")[2]) is not None
        if there is None or (there.size < its.size if grown else there != its):
            raise _ChangedError


def _copied(files: Iterable[str]) -> set[str]:
    """Return the names of those files that a mirror has of a run."""
    return {
        name
        for name in files
        if name.split("/")[0] in (SOURCE, CHECKPOINTS)
        or part_number(name.rpartition("/")[2]) is not None
    }


def _make(root: Path, target: Path) -> None:
    """Make a directory, through no link below the one that was given."""
    root.mkdir(parents=True, exist_ok=True)
    place = root
    for piece in target.relative_to(root).parts:
        place /= piece
        check_no_link(place)
        place.mkdir(exist_ok=True)


def _check(
    target: Path, record: bytes | None, there: dict[str, Found], store: Store
) -> None:
    """Raise ValueError if a directory has something else than this run."""
    logs, _ = stored(there, _logs(there))
    mine = RunInfo.read(target)
    if mine != RunInfo():
        its = RunInfo() if record is None else record_of(record)
        if mine.started != its.started:
            raise ValueError(
                f"{target} has another run, which started at {mine.started}; that of "
                f"{store.shown} started at {its.started}"
            )
        if mine.session not in sessions.identities(its):
            raise ValueError(
                f"{target} was continued there, and has more than {store.shown}; name "
                f"another directory"
            )
    found = [path.relative_to(target).as_posix() for path in event_files(target)]
    if mine == RunInfo() and not logs.keys() >= set(found):
        raise ValueError(f"{target} has another run, or a mirror")


def _logs(there: dict[str, Found]) -> list[str]:
    return [name for name in there if name.split("/")[0] not in (SOURCE, CHECKPOINTS)]


def _fetch(
    store: Store, name: str, target: Path, there: dict[str, Found]
) -> tuple[int, int]:
    """Read what is new; return the number of files that changed, and that of bytes."""
    files = size = 0
    logs, _ = stored(there, _logs(there))
    copied = sorted(_copied(there).difference(_logs(there)))
    for folder in sorted({(target / one).parent for one in (*logs, *copied)}):
        _make(target, folder)
        remove_leftovers(folder)
    for log, parts in logs.items():
        path, total = target / log, sum(its.size for its in parts)
        have = _size(path)
        if have == total:
            continue
        files, size = files + 1, size + max(0, total - (have or 0))
        with replacing(path) as stream:
            start, have = 0, min(have or 0, total)
            _copy_begin(path, have, stream)
            for number, its in enumerate(parts):
                if start + its.size > have:
                    where = _join(name, part(log, number))
                    store.copy(where, max(0, have - start), its.size, stream)
                start += its.size
        _set_time(path, parts[-1].changed)
    for one in copied:
        path, its = target / one, there[one]
        if _size(path) == its.size and _has_time(path, its.changed):
            continue
        files, size = files + 1, size + its.size
        with replacing(path) as stream:
            store.copy(_join(name, one), 0, its.size, stream)
        _set_time(path, its.changed)
    return files, size


def _size(path: Path) -> int | None:
    """Return the size of a file; None if there is none, or something else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if _size(path) is not None else None


def _copy_begin(path: Path, size: int, into: BinaryIO) -> None:
    """Copy the first bytes of a file that is there, if there are any."""
    if size:
        with path.open("rb") as stream:
            while size and (data := stream.read(min(size, 1 << 20))):
                into.write(data)
                size -= len(data)


def _has_time(path: Path, changed: float | None) -> bool:
    return changed is not None and abs(path.stat().st_mtime - changed) < SAME


def _set_time(path: Path, changed: float | None) -> None:
    if changed is not None:
        with contextlib.suppress(OSError):
            os.utime(path, (changed, changed))


def _remove(target: Path, there: dict[str, Found]) -> int:
    """Remove what the mirror has no more; return the number of files."""
    logs, _ = stored(there, _logs(there))
    gone = [
        path
        for place in directories(target, True)
        for path in written(place)
        if path.relative_to(target).as_posix() not in logs
    ]
    kept = target / CHECKPOINTS
    if not kept.is_symlink():
        own = [*archives(kept), kept / PARENT, kept / PARENT_STEPS]
        gone += [
            path
            for path in own
            if os.path.lexists(path)
            and path.relative_to(target).as_posix() not in there
        ]
    for path in gone:
        path.unlink()
    return len(gone)
