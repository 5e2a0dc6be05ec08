"""All runs below a directory, and one table of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annarchy_tb import contents, names, runinfo
from annarchy_tb.hparams import flatten
from annarchy_tb.reader import Run, started
from annarchy_tb.runs import absolute

if TYPE_CHECKING:
    from pandas import DataFrame


class Runs(list[Run]):
    """A list of runs, newest first.

    Attributes
    ----------
    logdir : Path
        Where they were looked for.
    """

    def __init__(self, logdir: Path, runs: Collection[Run]) -> None:
        super().__init__(runs)
        self.logdir = logdir

    def to_pandas(self) -> DataFrame:
        """Return one table over all runs, a row a run. It needs pandas.

        The index is the run's path below `logdir`. The columns are ``status``,
        ``started``, ``duration`` (in s), ``params.<name>`` for each parameter of any
        run, and ``metrics.<name>`` for each of the results.
        """
        pd = contents.pandas("Runs.to_pandas")
        rows = []
        for run in self:
            info, duration = run.info, run.duration
            row: dict[str, Any] = {
                "run": str(run.path.relative_to(self.logdir)),
                "status": runinfo.status(info),
                "started": started(run.path, info),
                "duration": None if duration is None else duration.total_seconds(),
            }
            for kind in ("params", "metrics"):
                for name, value in (info.get(kind) or {}).items():
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
    logdir: str | os.PathLike[str] = "runs/",
    *,
    status: str | Collection[str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Runs:
    """Return all runs below a directory, newest first.

    No event file is read, so it takes milliseconds for hundreds of runs. The runs of
    other writers (directories with event files and no ``run.json``) are found too.

    Parameters
    ----------
    logdir : str or path, default "runs/"
        The directory; it may be a run itself.
    status : str or collection of str, optional
        Only runs of this status, or one of these: see `Run.status`.
    params : dict, optional
        Only runs with these values of these parameters.

    Raises
    ------
    FileNotFoundError
        If there is no such directory.
    ValueError
        If `status` is none.

    Examples
    --------
    >>> find_runs("runs", status="finished", params={"tau": 10.0})  # doctest: +SKIP
    """
    root = absolute(logdir)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no directory {root}")
    wanted = {status} if isinstance(status, str) else status
    for one in wanted or ():
        if one not in runinfo.STATUSES:
            allowed = ", ".join(map(repr, runinfo.STATUSES))
            raise ValueError(f"status must be one of {allowed}, got {one!r}")
    values = runinfo.as_json(flatten(params or {}))
    found = []
    for path in _directories(root):
        info = runinfo.read(path)
        its = info.get("params") or {}
        if (wanted is None or runinfo.status(info) in wanted) and all(
            name in its and its[name] == value for name, value in values.items()
        ):
            with contextlib.suppress(FileNotFoundError):  # removed by now
                begun, run = started(path, info), Run(path)
                found.append((begun.timestamp() if begun else 0.0, str(path), run))
    return Runs(root, [run for *_, run in sorted(found, reverse=True)])


def _directories(directory: Path) -> Iterator[Path]:
    """Yield the directories of all runs; the curves of a run are none."""
    waiting, seen = [(os.fspath(directory), False)], set()
    while waiting:
        path, inside = waiting.pop()
        try:
            with os.scandir(path) as entries:
                there = list(entries)
        except (PermissionError, FileNotFoundError):  # somebody else's, or gone
            continue
        own = any(entry.name == names.RUN_JSON for entry in there)
        if own or (not inside and any("tfevents" in entry.name for entry in there)):
            yield Path(path)
        for entry in there:
            if entry.name != names.CHECKPOINTS and entry.is_dir():
                identity = (entry.stat().st_dev, entry.stat().st_ino)
                if identity not in seen:  # links may lead round in circles
                    seen.add(identity)
                    waiting.append((entry.path, inside or own))
