"""All runs below a directory, and a table of them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from annarchy_tb.inputs.messages import warn
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds.parameters import flatten
from annarchy_tb.reading.course import began, course
from annarchy_tb.reading.run import Run
from annarchy_tb.run import names
from annarchy_tb.run.info import STATUSES, RunInfo, as_json, parse
from annarchy_tb.run.paths import directory_of_runs, is_another_run

if TYPE_CHECKING:
    from pandas import DataFrame


NAMED = 5  # of what can't be read


class Runs(list[Run]):
    """A list of runs, newest first.

    Attributes
    ----------
    logdir : Path
        The directory that was searched.
    """

    def __init__(self, logdir: Path, runs: Collection[Run]) -> None:
        super().__init__(runs)
        self.logdir = logdir

    @overload
    def __getitem__(self, place: SupportsIndex) -> Run: ...

    @overload
    def __getitem__(self, place: slice) -> Runs: ...

    def __getitem__(self, place: SupportsIndex | slice) -> Run | Runs:
        """Return a run, or Runs for a slice."""
        if isinstance(place, slice):
            return Runs(self.logdir, super().__getitem__(place))
        return super().__getitem__(place)

    def to_pandas(self) -> DataFrame:
        """Return a table of all runs, with one row per run. It needs pandas.

        The index is the run's path below `logdir`. The columns are ``status``,
        ``started``, ``duration`` (in s), ``params.<name>`` for each parameter of any
        run, and ``metrics.<name>`` for each result.
        """
        pd = optional("pandas", "Runs.to_pandas", "'annarchy-tb[pandas]'")
        rows = []
        for run in self:
            try:
                info = RunInfo.read(run.path)
                its = course(run.path, info)
            except OSError:  # deleted meanwhile
                continue
            row: dict[str, Any] = {
                "run": str(run.path.relative_to(self.logdir)),
                "status": its.status,
                "started": its.began,
                "duration": its.duration and its.duration.total_seconds(),
            }
            for kind, values in (("params", info.params), ("metrics", info.metrics)):
                for name, value in (values or {}).items():
                    row[f"{kind}.{name}"] = value
            rows.append(row)
        first = ["run", "status", "started", "duration"]
        found = dict.fromkeys(name for row in rows for name in row)
        columns = first + sorted(
            (name for name in found if name not in first),
            key=lambda name: name.startswith("metrics."),
        )
        return pd.DataFrame(rows, columns=columns).set_index("run")


def find_runs(
    logdir: str | os.PathLike[str] | None = None,
    *,
    status: str | Collection[str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Runs:
    """Return all runs below a directory, newest first.

    No event file is read, so this takes milliseconds for hundreds of runs. Runs of
    other writers (directories with event files but no ``run.json``) are included. One
    warning names what can't be read, such as directories of other users.

    Parameters
    ----------
    logdir : str or path, optional
        The directory; it may be a run itself. The default is that of
        `annarchy_tb.Logger`: ``$ANNARCHY_TB_LOGDIR``, else ``runs/``.
    status : str or collection of str, optional
        Only runs with this status, or one of these: see `Run.status`.
    params : dict, optional
        Only runs with these values of these parameters. A parameter that was a
        quantity, such as ``tau [ms]``, is also found by its name without the unit, and
        by a quantity, which is converted.

    Raises
    ------
    FileNotFoundError
        If there is no such directory.
    ValueError
        If `status` is not a valid one.

    Examples
    --------
    >>> from annarchy_tb import Logger
    >>> for tau in (10.0, 20.0):
    ...     with Logger("runs", f"tau {tau:g}") as logger:
    ...         logger.add_parameters({"tau": tau})
    >>> [run.path.name for run in find_runs("runs", status="finished")]
    ['tau 20', 'tau 10']
    >>> [run.path.name for run in find_runs("runs", params={"tau": 10.0})]
    ['tau 10']
    """
    root = directory_of_runs(logdir)
    return Runs(root, [run for run, _ in found_with_records(root, status, params)])


def found_with_records(
    root: Path,
    status: str | Collection[str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> list[tuple[Run, RunInfo]]:
    """Return what `find_runs` finds, with the records that it read."""
    if not root.is_dir():
        raise FileNotFoundError(f"there is no directory {root}")
    wanted = {status} if isinstance(status, str) else status
    for one in wanted or ():
        if one not in STATUSES:
            allowed = ", ".join(map(repr, STATUSES))
            raise ValueError(f"status must be one of {allowed}, got {one!r}")
    flatten(params or {})  # refuses what is not a dict
    found = []
    unreadable: dict[str, str] = {}
    for path in directories(root, unreadable):
        info = _record(path, unreadable)
        its = info.params or {}
        values = as_json(flatten(params or {}, its))
        if (wanted is None or info.state() in wanted) and all(
            name in its and its[name] == value for name, value in values.items()
        ):
            with contextlib.suppress(OSError):  # deleted meanwhile
                begun = began(path, info)
                when = begun.timestamp() if begun else 0.0
                found.append((when, str(path), Run(path), info))
    if unreadable:
        warn(f"find_runs: these can't be read: {_listed(unreadable)}")
    found.sort(key=lambda one: one[:2], reverse=True)
    return [(run, info) for *_, run, info in found]


def _record(run: Path, unreadable: dict[str, str]) -> RunInfo:
    """Return the record of a run; if it can't be read, add it to those."""
    try:
        return RunInfo.of(parse(run))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        unreadable[str(run / names.RUN_JSON)] = _reason(error)
    return RunInfo()


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error)


def _listed(unreadable: dict[str, str]) -> str:
    said = [f"{path} ({why})" for path, why in unreadable.items()]
    shown = ", ".join(said[:NAMED])
    more = len(unreadable) - NAMED
    return f"{shown}, and {more} more" if more > 0 else shown


def directories(
    directory: Path, unreadable: dict[str, str] | None = None
) -> Iterator[Path]:
    """Yield the directories of all runs, without those of their curves.

    Links are followed last, so that runs are found by their real path if possible. What
    can't be read is passed over, and added to `unreadable` with the reason.
    """
    waiting: list[tuple[str, bool]] = [(os.fspath(directory), False)]
    links: list[tuple[str, bool]] = []
    seen: set[tuple[int, int]] = set()
    while waiting or links:
        path, inside = waiting.pop() if waiting else links.pop()
        try:
            found = os.stat(path)
            if not stat.S_ISDIR(found.st_mode):
                continue
            with os.scandir(path) as entries:
                there = list(entries)
            os.stat(os.path.join(path, os.curdir))  # the names may be all we may read
        except OSError as error:
            nothing = error.errno in (errno.ENOENT, errno.ELOOP)  # or a link to nothing
            if not nothing and unreadable is not None:
                unreadable[path] = _reason(error)
            continue
        if (found.st_dev, found.st_ino) in seen:
            continue
        seen.add((found.st_dev, found.st_ino))
        inside_names = [entry.name for entry in there]
        events = any("tfevents" in name for name in inside_names)
        own = names.RUN_JSON in inside_names
        if own or (events and (not inside or is_another_run(inside_names, True))):
            yield Path(path)
        for entry in there:
            if not ((own or inside) and entry.name == names.CHECKPOINTS):
                if entry.is_symlink():
                    links.append((entry.path, False))
                elif entry.is_dir():
                    waiting.append((entry.path, inside or own))
