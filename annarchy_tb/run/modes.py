"""Modes: what a Logger was asked to do with its run, and whether that is possible."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from annarchy_tb.inputs.clock import TIME_UNIT, Clock, as_dt
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe
from annarchy_tb.run import sessions
from annarchy_tb.run.clearing import foreign, has_data
from annarchy_tb.run.info import RunInfo, date
from annarchy_tb.run.names import CHECKPOINTS, PARENT, RUN_JSON
from annarchy_tb.run.paths import absolute, archives
from annarchy_tb.run.sessions import Kind
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import part_number

Mode = Literal["x", "a", "w"]

LONGEST = 300  # characters of the parameters in an error


class Wanted(NamedTuple):
    """The arguments of a Logger that say how to open its run.

    Attributes
    ----------
    mode : {"x", "a", "w"}
        Whether to refuse a run that has data, to append to it, or to start it over.
    resume : bool
        Whether to resume it instead.
    parent : Path or None
        The run from which a new one begins.
    time_unit, dt, origin
        As in ``run.json``; None if not given. A `dt` with a unit is one until the
        time unit of the run is known: see `in_unit`.
    source : bool
        Whether to keep the source of the program in the run.
    """

    mode: Mode = "x"
    resume: bool = False
    parent: Path | None = None
    time_unit: str | None = None
    dt: Any = None
    origin: str | None = None
    source: bool = False


def as_wanted(
    experiment: object,
    mode: object,
    resume: object,
    time_unit: str | None,
    dt: Any,
    origin: str | None,
    source: object = False,
) -> Wanted:
    """Check the arguments of a Logger.

    Raises
    ------
    TypeError, ValueError
        If one is invalid, or two of them exclude each other.
    """
    parent = None
    if isinstance(resume, (str, os.PathLike)):
        parent, resume = absolute(resume, "resume"), True
    elif not isinstance(resume, (bool, np.bool_, NoneType)):
        raise TypeError(
            f"resume must be a bool, or the path of a run to begin from, got "
            f"{describe(resume)}"
        )
    if not isinstance(source, (bool, np.bool_)):
        raise TypeError(f"source must be a bool, got {describe(source)}")
    if mode is not None and mode not in get_args(Mode):
        raise ValueError(
            f"mode must be 'x' (refuse a run that has data), 'a' (append to it) or 'w' "
            f"(start it over), got {mode!r}"
        )
    if experiment is None and (mode is not None or resume):
        given = "resume" if resume else "mode"
        raise ValueError(f"{given} needs the name of the run: experiment=")
    if mode is not None and resume:
        raise ValueError(
            f"mode and resume exclude each other, got mode={mode!r} and resume; a "
            f"resumed run is appended to from its last checkpoint on"
        )
    how = (mode or "x", bool(resume), parent)
    return Wanted(*how, time_unit, dt, origin, bool(source))  # type: ignore[arg-type]


def in_unit(wanted: Wanted, unit: str) -> Wanted:
    """Return what is wanted, with `dt` in the time unit of the run."""
    if wanted.dt is None:
        return wanted
    return wanted._replace(dt=as_dt(wanted.dt, unit))


def judge(path: Path, wanted: Wanted, before: RunInfo) -> Kind:
    """Return the kind of session that opens a run as wanted.

    Parameters
    ----------
    path, wanted
        The run's directory, and how to open it.
    before
        The record of the run, empty if there is none.

    Raises
    ------
    FileExistsError
        If the run has data, and `wanted` does not say what to do with it.
    RuntimeError
        If a process is still writing a run that is to be resumed or started over.
    ValueError
        If a run to resume began from another parent, or the directory is a mirror.
    """
    _check_no_mirror(path)
    if wanted.resume:
        return _judge_resume(path, wanted, before)
    if wanted.mode == "a":
        return "append" if _exists(path, before) else "new"
    if wanted.mode == "w":
        check_start_over(path, before)
        return "new"
    is_open, _ = sessions.writer(before)
    if is_open is not False or has_data(path):
        ways = "Pass mode='a' to append to it"
        if is_open is False:
            ways += ", mode='w' to start it over"
            if archives(path / CHECKPOINTS):
                ways += ", resume=True to go on from its last checkpoint"
        raise FileExistsError(
            f"Logger: the run {path} exists: {_summary(before)}. {ways}, or take "
            f"another experiment"
        )
    return "new"


def _check_no_mirror(path: Path) -> None:
    """Raise ValueError if the event files in a directory are those of a mirror."""
    if path.is_dir() and any(part_number(file.name) == 0 for file in event_files(path)):
        raise ValueError(
            f"the run {path} is a mirror, to which a follower copies; a Logger writes "
            f"the run itself, or what this gives: annarchy-tb pull {path} DIRECTORY"
        )


def _judge_resume(path: Path, wanted: Wanted, before: RunInfo) -> Kind:
    is_open, writer = sessions.writer(before)
    if is_open:
        raise RuntimeError(
            f"the run {path} can't be resumed: {_written_by(writer)}; close its Logger "
            f"or end it first"
        )
    if wanted.parent is None:
        return "resume" if _exists(path, before) else "new"
    its = parent_of(path, before)
    same = its == os.path.realpath(wanted.parent)
    if same and (path / CHECKPOINTS / PARENT).exists():
        return "resume"
    if not has_data(path):
        check_parent(wanted)
        return "branch"
    if not same:
        raise ValueError(
            f"resume must be the run from which {path} began, which is "
            f"{its or 'none'}, got {str(wanted.parent)!r}; to go on from its own last "
            f"checkpoint, pass resume=True"
        )
    return "resume"


def parent_of(path: Path, before: RunInfo) -> str | None:
    """Return the real path of the run from which one began; None if it did not."""
    return before.parent and os.path.realpath(path / before.parent)


def check_start_over(path: Path, before: RunInfo, by_others: bool = False) -> None:
    """Raise an error if a run can't be started over.

    Parameters
    ----------
    path, before
        As in `judge`.
    by_others
        Allow that Loggers of this process are open on it.
    """
    is_open, writer = sessions.writer(before)
    own = writer.host == socket.gethostname() and writer.pid == os.getpid()
    if is_open is not False and not (by_others and own):
        advice = "close its Logger or end it first"
        if is_open is None:
            advice = "if that process is gone, remove the directory"
        raise RuntimeError(
            f"the run {path} can't be started over: {_written_by(writer)}; {advice}"
        )
    if others := foreign(path):
        raise FileExistsError(
            f"Logger: the run {path} can't be started over: {others[0].name} is of "
            f"another writer; remove it first"
        )
    if before == RunInfo() and path.exists() and has_data(path):
        for parent in path.parents:
            if os.path.lexists(parent / RUN_JSON):
                raise FileExistsError(
                    f"Logger: {path} can't be started over: it is a curve of the run "
                    f"{parent}"
                )


def check_parent(wanted: Wanted) -> None:
    """Raise an error if no run can begin from the one wanted, with these settings."""
    with importing:
        from annarchy_tb.run import checkpoints  # slow to import

    parent = wanted.parent
    if parent is None:
        return
    if not parent.is_dir():
        raise FileNotFoundError(f"Logger: resume: there is no run {parent}")
    if checkpoints.last(parent) is None:
        raise ValueError(
            f"resume: the run {parent} has no checkpoint to begin from; it saves one "
            f"with logger.save_checkpoint(state, step)"
        )
    its = in_time_of(parent, wanted)
    date = None if its.origin is None else datetime.fromisoformat(its.origin)
    Clock(its.time_unit or TIME_UNIT, its.dt, date)


def in_time_of(parent: Path, wanted: Wanted) -> Wanted:
    """Return what is wanted, with the settings of simulated time of another run.

    Those that are given stay.
    """
    its = RunInfo.read(parent)
    unit = wanted.time_unit or its.time_unit
    dt = its.dt if wanted.dt is None and unit == its.time_unit else wanted.dt
    origin = wanted.origin or its.origin
    return wanted._replace(time_unit=unit, dt=dt, origin=origin)


def check_settings(wanted: Wanted, before: RunInfo) -> None:
    """Raise ValueError if a setting of simulated time is not the one of the run."""
    if before.time_unit is None:
        return  # not a run of a Logger
    for name in ("time_unit", "dt", "origin"):
        given, its = getattr(wanted, name), getattr(before, name)
        if given is not None and given != its:
            raise ValueError(
                f"{name} must be that of the run, {its!r}, got {given!r}; leave it "
                f"out, or take another experiment"
            )


def _exists(path: Path, before: RunInfo) -> bool:
    return before != RunInfo() or has_data(path)


def _written_by(info: RunInfo) -> str:
    """Say who is writing a run."""
    if info.host != socket.gethostname():
        return f"it reads 'running' on the host {info.host}"
    if info.pid == os.getpid():
        return "another Logger of this process is still writing it"
    return f"process {info.pid} of this host is still writing it"


def _summary(info: RunInfo) -> str:
    """Say how a run ended, and its parameters."""
    is_open, writer = sessions.writer(info)
    if is_open is not False:
        said = _written_by(writer)
    elif ended := date(info.ended):
        said = f"it ended at {ended:%Y-%m-%d %H:%M:%S} UTC as {info.state()!r}"
    else:
        said = f"its status is {info.state()!r}"
    its = ", ".join(f"{name}={value!r}" for name, value in (info.params or {}).items())
    if len(its) > LONGEST:
        its = f"{its[: LONGEST - 3]}..."
    return f"{said}, with {its}" if its else said
