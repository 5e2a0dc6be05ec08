"""All runs below a directory, and a table of them."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

from annarchy_tb.inputs.messages import describe, naming, short, warn
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds.parameters import flatten
from annarchy_tb.reading import notebook, repetitions
from annarchy_tb.reading.average import Averages
from annarchy_tb.reading.course import began, course
from annarchy_tb.reading.facts import METRICS, Facts, Name, is_none, order, resolve
from annarchy_tb.reading.run import Run
from annarchy_tb.reading.where import Condition
from annarchy_tb.run import names
from annarchy_tb.run.info import STATUSES, RunInfo, as_json, parse
from annarchy_tb.run.paths import directory_of_runs, is_another_run
from annarchy_tb.run.strangers import check_within

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

    def _repr_html_(self) -> str:
        return notebook.table(self, self.logdir)

    def where(self, condition: str) -> Runs:
        """Return the runs for which a condition holds, in the same order.

        A condition looks like Python, but no code is run: it is made of comparisons
        (``<``, ``<=``, ``==``, ``!=``, ``>=``, ``>``, ``in``, ``not in``), ``and``,
        ``or``, ``not``, numbers, texts, tuples of them, and names. No event file is
        read.

        Parameters
        ----------
        condition : str
            The condition, of at most 2000 characters. Its names are those of
            parameters, results and fields: ``name`` (the path below `logdir`),
            ``status``, ``started``, ``duration`` and ``age``. Names that are not valid
            in Python, or that are ambiguous, are written as ``params["tau [ms]"]``,
            ``metrics["Final/rate"]`` and ``run["age"]``. The unit of a parameter may be
            left out: ``tau`` is also ``tau [ms]``. ``started`` is compared with a date,
            such as ``'2026-11-01 14:30'``, in the time zone of this machine if it says
            none; ``duration`` and ``age`` with a number of seconds, or a text such as
            ``'30 min'``, ``'2 h'`` or ``'7 d'``.

        Raises
        ------
        ValueError
            If it is not a valid condition, or if no run has a name of it: the error
            lists names that are like it. Also if a name is ambiguous.

        Warns
        -----
        UserWarning
            If there are runs for which it can't be decided, because they do not have
            what is compared, or it can't be compared (a text and a number, or None).
            They do not match, and neither do they match ``not (...)`` of it; but the
            other side of an ``or`` may hold.

        Examples
        --------
        >>> from annarchy_tb import Logger
        >>> for tau in (5.0, 10.0, 20.0):
        ...     with Logger("chosen", f"tau {tau:g}") as logger:
        ...         logger.add_parameters({"tau": tau})
        >>> found = find_runs("chosen").where("tau < 15 and status == 'finished'")
        >>> [run.path.name for run in found]
        ['tau 10', 'tau 5']
        """
        its = Condition(condition)
        return Runs(self.logdir, [one.run for one in its.chosen(self._facts())])

    def best(self, name: str, mode: Literal["min", "max"] = "min") -> Run:
        """Return the run with the smallest or the largest result.

        Parameters
        ----------
        name : str
            The result; also a parameter, or a field that is a number: see `where`. If
            it may be several, write ``"params.loss"``, ``"metrics.loss"`` or
            ``"run.duration"``; a result comes before a parameter.
        mode : {"min", "max"}
            Whether the smallest or the largest one is the best.

        Returns
        -------
        Run
            Of equal ones, that which started first. Runs without a number, or with NaN
            or infinity, are never the best.

        Raises
        ------
        ValueError
            If no run has a number of this name.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"best: mode must be 'min' or 'max', got {describe(mode)}")
        with naming("best", None):
            asked, every = Name.of(name), self._facts()
            result = Name(METRICS, asked.name)
            if asked.kind is None and any(one.key(result) is not None for one in every):
                asked = result
            known = resolve(asked, every)
            there = [
                (number if mode == "min" else -number, _began(one), one.run)
                for one in every
                if (number := one.number(known)) is not None
            ]
            if not there:
                raise ValueError(
                    f"no run of {len(every)} has a number as its {short(name)}"
                )
        return min(there, key=lambda one: one[:2])[2]

    def sort(self, name: str, *, reverse: bool = False) -> Runs:  # type: ignore[override]
        """Return the runs in the order of a parameter, a result or a field.

        These runs stay as they are. Numbers come before texts; runs without a value
        come last, also with `reverse`. Equal ones keep their order.

        Parameters
        ----------
        name : str
            The name, as in `where`. If it may be several, write ``"params.loss"``,
            ``"metrics.loss"`` or ``"run.started"``.
        reverse : bool
            Whether the largest value comes first.

        Raises
        ------
        ValueError
            If no run has this name, or it is ambiguous.
        """
        with naming("sort", None):
            every = self._facts()
            known = resolve(Name.of(name), every)
        values = [(one.run, one.value(known)) for one in every]
        there = [its for its in values if not is_none(its[1])]
        there.sort(key=lambda its: order(its[1]), reverse=reverse)
        last = [run for run, value in values if is_none(value)]
        return Runs(self.logdir, [run for run, _ in there] + last)

    def mean(
        self,
        tag: str,
        by: str | None = None,
        axis: Literal["step", "time", "wall_time"] = "step",
        kind: Literal["linear", "previous"] = "linear",
        curve: str | None = None,
    ) -> Averages:
        """Return the mean of a curve over runs, such as repetitions with other seeds.

        The runs may have other lengths, and points at other steps. The places of an
        average are those of all its runs. A run does not count outside of its range.

        Parameters
        ----------
        tag : str
            The tag of the scalars.
        by : str, optional
            The parameter for each value of which there is an average; also a result or
            a field, as in `sort`. By default, all runs are averaged.
        axis : {"step", "time", "wall_time"}
            Whether a place is a step, a simulated time (points without one are left
            out), or the number of real seconds since the run's start.
        kind : {"linear", "previous"}
            How a run has a value between two of its points: by linear interpolation, or
            as the value of the point before.
        curve : str, optional
            The name of the curve, if the tag is one of
            `annarchy_tb.Logger.add_scalars`.

        Returns
        -------
        Averages
            A list of averages in the order of the values of `by`, with ``plot`` and
            ``to_pandas``. Each has ``value``, ``places``, ``mean``, ``std`` and
            ``runs``. If an average has more than 10,000 places, they are an even grid
            of 1000.

        Raises
        ------
        KeyError
            If no run has points of this tag on this axis.
        ValueError
            If no run has what `by` names, it is ambiguous, or the values or simulated
            times of the runs have different units.

        Warns
        -----
        UserWarning
            If runs are left out, since they do not have such points or what `by` names;
            and if runs have values that are NaN or infinite. These do not count, nor do
            the values between them and their neighbours: ``runs`` tells how many count.

        Notes
        -----
        Of several points at the same place, the one that was written last counts.

        Examples
        --------
        >>> from annarchy_tb import Logger
        >>> for seed in (1, 2, 3):
        ...     with Logger("repeated") as logger:
        ...         logger.add_parameters({"tau": 10.0, "seed": seed})
        ...         for step in range(3):
        ...             logger.add_scalar("Rate", seed * step, step)
        >>> [average] = find_runs("repeated").mean("Rate", by="tau")
        >>> average.value, average.mean.tolist(), average.std.tolist()
        (10.0, [0.0, 2.0, 4.0], [0.0, 1.0, 2.0])
        """
        return repetitions.mean(self._facts(), tag, by, axis, kind, curve)

    def _facts(self) -> list[Facts]:
        return [Facts(self.logdir, run, RunInfo.read(run.path)) for run in self]

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


def _began(facts: Facts) -> float:
    began = facts.began()
    return math.inf if began is None else began


def found_with_records(
    root: Path,
    status: str | Collection[str] | None = None,
    params: Mapping[str, Any] | None = None,
    where: str | None = None,
) -> list[tuple[Run, RunInfo]]:
    """Return what `find_runs` finds, with the records that it read.

    A condition, `where`, may name what only runs have that are not wanted.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no directory {root}")
    wanted = {status} if isinstance(status, str) else status
    for one in wanted or ():
        if one not in STATUSES:
            allowed = ", ".join(map(repr, STATUSES))
            raise ValueError(f"status must be one of {allowed}, got {one!r}")
    flatten(params or {})  # refuses what is not a dict
    condition = None if where is None else Condition(where)
    unreadable: dict[str, str] = {}
    every, chosen = [], []
    for path in directories(root, unreadable):
        info = _record(path, unreadable)
        its = info.params or {}
        values = as_json(flatten(params or {}, its))
        with contextlib.suppress(OSError):  # deleted meanwhile
            every.append(Facts(root, Run(path), info))
            if (wanted is None or info.state() in wanted) and all(
                name in its and its[name] == value for name, value in values.items()
            ):
                chosen.append(every[-1])
    if condition is not None:
        chosen = condition.chosen(chosen, every)
    found = []
    for facts in chosen:
        run, info = facts.run, facts.info
        with contextlib.suppress(OSError):
            begun = began(run.path, info)
            when = begun.timestamp() if begun else 0.0
            found.append((when, str(run.path), run, info))
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
    directory: Path,
    unreadable: dict[str, str] | None = None,
    within: Path | None = None,
) -> Iterator[Path]:
    """Yield the directories of all runs, without those of their curves.

    Links are followed last, so that runs are found by their real path if possible; and
    only if they stay `within` a directory, if one is given. What can't be read is
    passed over, and added to `unreadable` with the reason.
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
            if within is not None and os.path.islink(path):
                check_within(Path(path), within)
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
            if entry.name == names.OWN:
                continue
            if not ((own or inside) and entry.name == names.CHECKPOINTS):
                if entry.is_symlink():
                    links.append((entry.path, False))
                elif entry.is_dir():
                    waiting.append((entry.path, inside or own))
