"""Checkpoints: saved states of a run, and rewinding the run to one of them.

A checkpoint is a zip archive in ``<run>/checkpoints``::

    run.json       the progress of the run: the size of every event file, the
                   parameters and the metrics
    state.pickle   the state that the simulation passed

Rewinding cuts off all data logged since: both of TensorBoard's loaders then show
exactly what they showed when the checkpoint was saved. The data cut off are kept in
``checkpoints/cut-<n>``, under names that TensorBoard does not read.

A run that continues another one has the last checkpoint of that run as ``parent.zip``,
and the last steps of its tags at that point in ``parent.json``.
"""

from __future__ import annotations

import contextlib
import encodings.cp437  # noqa: F401 -- zipfile imports it late, and a fork does not wait
import errno
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from annarchy_tb.inputs.messages import warn_anyway
from annarchy_tb.inputs.tags import is_own
from annarchy_tb.run.atomic import (
    is_open_nowhere_else,
    remove_leftovers,
    replacing,
    sync_directory,
)
from annarchy_tb.run.names import CHECKPOINTS, PARENT, PARENT_STEPS, RUN_JSON
from annarchy_tb.run.paths import archives, directories
from annarchy_tb.run.strangers import check_no_link, open_own
from annarchy_tb.tfevents import tears
from annarchy_tb.tfevents.descriptors import opened
from annarchy_tb.tfevents.history import Past, history
from annarchy_tb.tfevents.names import harmless

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

STATE = "state.pickle"

Steps = dict[str, dict[str, int]]  # the last steps of tags, by directory


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
    units: dict[str, str] | None = None
    phases: dict[str, Any] | None = None


def save(run: Path, checkpoint: Checkpoint, state: object, keep: int) -> None:
    """Save a checkpoint, and remove all but the last `keep`.

    Raises
    ------
    OSError
        If it can't be written, also because the directory is a link; the earlier ones
        are then still there.
    TypeError
        If the state can't be pickled.
    Exception
        Any other exception that pickling it raises.
    """
    folder = run / CHECKPOINTS
    check_no_link(folder)
    folder.mkdir(exist_ok=True)
    earlier = archives(folder)
    number = int(earlier[-1].stem) + 1 if earlier else 1
    path = folder / f"{number:06d}.zip"
    with replacing(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(RUN_JSON, json.dumps(checkpoint._asdict()))
        with archive.open(STATE, "w", force_zip64=True) as member:
            _dump(state, member)
    sync_directory(folder)
    for old in [*earlier, path][:-keep]:
        old.unlink(missing_ok=True)


class _Nowhere:
    """A stream that drops what is written."""

    def write(self, data: bytes) -> None:
        """Drop it."""


def check(state: object) -> None:
    """Raise what `save` raises if the state can't be pickled."""
    _dump(state, _Nowhere())


def _dump(state: object, stream: SupportsWrite[bytes]) -> None:
    try:
        pickle.dump(state, stream, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise TypeError(
            f"save_checkpoint: state can't be pickled: {error}. Pass what the "
            f"simulation needs to go on, as numbers, texts, arrays, lists and dicts of "
            f"them; functions made by def or lambda inside others, open files, locks "
            f"and generators can't be stored"
        ) from error


def load(run: Path) -> tuple[Any, int] | None:
    """Return the state and step of the last intact checkpoint, if there is one.

    If the run has none of its own, it is that of the run that it continues.

    Raises
    ------
    OSError
        As `last`.
    """
    path = last(run)
    if path is None:
        path = run / CHECKPOINTS / PARENT
        if not path.exists():
            return None
    with _opened(path) as archive, archive.open(STATE) as member:
        return pickle.load(member), read(path).step


def last(run: Path) -> Path | None:
    """Return the last intact checkpoint of a run's own; warn of damaged ones.

    Raises
    ------
    OSError
        If one can't be read, belongs to another user, or the directory is a link.
    """
    check_no_link(run / CHECKPOINTS)
    for path in reversed(archives(run / CHECKPOINTS)):
        try:
            with _opened(path) as archive:
                bad = archive.testzip()
                archive.getinfo(STATE)
            read(path)
        except Exception as error:  # any exception of zipfile or zlib is damage
            # So is EINVAL, from seeking to before the file's start. Other errors of the
            # system are not, and the checkpoint must not be skipped because of them.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            bad = f"{type(error).__name__}: {error}"
        if bad is None:
            return path
        warn_anyway(
            f"the checkpoint {path} is damaged ({bad}); using the one before it"
        )
    return None


def read(path: Path) -> Checkpoint:
    """Return the progress stored in a checkpoint."""
    with _opened(path) as archive:
        return Checkpoint(**json.loads(archive.read(RUN_JSON)))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a checkpoint for reading.

    Raises
    ------
    BadZipFile
        If it is larger inside than outside: those of this package are not compressed.
    OSError
        If it can't be opened, or belongs to another user.
    """
    with open_own(path) as stream, zipfile.ZipFile(stream) as archive:
        inside = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in inside):
            raise zipfile.BadZipFile("it is compressed, as this package never does")
        claimed = sum(member.file_size for member in inside)
        if claimed > os.fstat(stream.fileno()).st_size:
            raise zipfile.BadZipFile("it claims to hold more than its size")
        yield archive


# -- continuing another run ------------------------------------------------------------


def branch(parent: Path, run: Path) -> Checkpoint:
    """Have a run begin from the last checkpoint of another one.

    The archive is linked, or copied: the other run may go on, or be removed.

    Raises
    ------
    ValueError
        If the other run has no intact checkpoint.
    """
    folder = run / CHECKPOINTS
    while True:
        path = last(parent)
        if path is None:
            raise ValueError(f"the run {parent} has no checkpoint to begin from")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PARENT).unlink(missing_ok=True)
        try:
            _link(path, folder / PARENT)
        except FileNotFoundError:  # the other run has just replaced it
            continue
        break
    found = read(folder / PARENT)
    steps, phases = _progress(parent, found.files)
    before = progress_before(parent)
    for inside, earlier in before.steps.items():
        its = steps.setdefault(inside, {})
        for tag, step in earlier.items():
            its[tag] = max(step, its.get(tag, step))
    for inside, past in before.phases.items():
        phases.setdefault(inside, Past()).add(past)
    said = {"steps": steps, "phases": {name: p.as_json() for name, p in phases.items()}}
    with replacing(folder / PARENT_STEPS) as stream:
        stream.write(json.dumps(said).encode("utf-8", "surrogatepass"))
    return found


def _link(path: Path, to: Path) -> None:
    path = path.resolve()
    try:
        os.link(path, to)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or a file system without links
        with path.open("rb") as source, replacing(to) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)


def _progress(run: Path, files: Mapping[str, int]) -> tuple[Steps, dict[str, Past]]:
    """Return what these files tell, up to these sizes, by directory.

    These are the last steps of all tags, and the phases.
    """
    steps: Steps = {}
    phases: dict[str, Past] = {}
    for name, size in files.items():
        path = run / name
        inside = path.parent.relative_to(run).as_posix()
        inside = "" if inside == "." else inside
        its, past = steps.setdefault(inside, {}), phases.setdefault(inside, Past())
        for tag, _, step in history([path], {path: size}, past):
            if not is_own(tag):
                its[tag] = max(step, its.get(tag, step))
    return steps, phases


class Progress(NamedTuple):
    """The progress of the run that another one continues, by directory.

    ``steps`` are the last steps of tags, and ``phases`` what `Past.as_json` returns.
    """

    steps: Steps
    phases: dict[str, dict[str, Any]]


def progress_before(run: Path) -> Progress:
    """Return the progress of the run that this one continues, if it does."""
    try:
        text = (run / CHECKPOINTS / PARENT_STEPS).read_text("utf-8", "surrogatepass")
    except FileNotFoundError:
        return Progress({}, {})
    return Progress(**json.loads(text))


# -- rewinding -------------------------------------------------------------------------


def warn_if_shorter(run: Path, found: Checkpoint, there: Mapping[str, int]) -> None:
    """Warn of event files that are shorter than at a checkpoint."""
    for name, size in found.files.items():
        if there.get(name, -1) < size:
            warn_anyway(f"{run / name} is shorter than at the checkpoint, or missing")


def sizes_at(run: Path, found: Checkpoint) -> dict[str, int]:
    """Return the sizes of event files at a checkpoint, without half a record.

    Another thread or process may have been writing one when the checkpoint was saved.
    """
    sizes = {}
    for name, size in found.files.items():
        sizes[name] = size
        with contextlib.suppress(FileNotFoundError):  # which is warned of
            sizes[name] = tears.begun_before(run / name, size)
    return sizes


def rewind(run: Path, number: int, path: Path | None, there: Mapping[str, int]) -> None:
    """Rewind the event files of a run to a checkpoint.

    If this is interrupted at any instant, calling it again completes it, and nothing is
    lost: data are copied before they are cut off.

    Parameters
    ----------
    run
        The run's directory.
    number
        The number of this restart, for the name of the directory of data cut off.
    path
        The checkpoint, as `last` returned it. If there is none, all event files are
        moved away.
    there
        The sizes of the event files before the new session, as `sizes` returned them.
    """
    kept = {} if path is None else sizes_at(run, read(path))
    own = run / CHECKPOINTS
    inside = [path for path in own.rglob("*") if path.is_dir()]
    for directory in [*directories(run), own, *inside]:
        remove_leftovers(directory)
    away = aside(run, number)
    check_no_link(away)
    for name, size in there.items():
        if not (run / name).exists():  # a resume that was interrupted moved it
            continue
        if name not in kept:
            _move(run / name, away / harmless(name))
        elif size > kept[name]:
            _cut(run / name, kept[name], away / harmless(name))
    # Later checkpoints, all of them damaged, refer to files that no longer exist.
    for archive in reversed(archives(own)):
        if archive == path:
            break
        _move(archive, away / archive.name)


def aside(run: Path, number: int) -> Path:
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
    """Cut a file to its first `size` bytes; keep the rest as `away`.

    If another process may have it open, it is replaced by a copy: a child that outlived
    its parent may still write to the old file. So is a file that only another user may
    write to.
    """
    away.parent.mkdir(parents=True, exist_ok=True)
    mode = "r+b" if os.access(path, os.W_OK) else "rb"
    with open(path, mode, buffering=0, opener=opened) as source:
        source.seek(size)
        with replacing(away.with_name(f"{away.name}.from-{size}")) as rest:
            shutil.copyfileobj(source, rest, 1 << 20)
        sync_directory(away.parent)
        if is_open_nowhere_else(source.fileno()):
            source.truncate(size)
            os.fsync(source.fileno())
            return
        source.seek(0)
        with replacing(path) as copy:
            while size:
                part = source.read(min(size, 1 << 20))
                if not part:
                    raise OSError(f"{path} became shorter while it was being copied")
                copy.write(part)
                size -= len(part)
    sync_directory(path.parent)
