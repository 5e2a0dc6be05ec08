"""The command line: ``annarchy-tb ls``, ``show``, ``diff``, ``export``, ``report``,
``prune``."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import annarchy_tb
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds.scalar import COLUMNS
from annarchy_tb.reading.course import Course, age, course
from annarchy_tb.reading.difference import differences
from annarchy_tb.reading.find import Runs, directories, find_runs, found_with_records
from annarchy_tb.reading.phases import Phase
from annarchy_tb.reading.run import Run
from annarchy_tb.run import sessions
from annarchy_tb.run.info import (
    FAILED,
    FINISHED,
    KILLED,
    RUNNING,
    STATUSES,
    RunInfo,
    as_json,
    iso,
)
from annarchy_tb.run.names import CHECKPOINTS, RUN_JSON, SOURCE
from annarchy_tb.run.paths import absolute, directory_of_runs
from annarchy_tb.terminal import cell, escaped, shown, standard_output, streams
from annarchy_tb.tfevents.names import is_recording
from annarchy_tb.tfevents.schema import SCALAR

COLOURS = {
    RUNNING: "cyan",
    FINISHED: "green",
    FAILED: "red",
    KILLED: "magenta",
}

MANY = 500  # runs: from here on, a list is a line each
COLUMNS_OF_ALL = ("run", "status", "started", "duration")  # for --sort

ON_ONE_LINE = ("status", "last record", "duration")
RARE = ("last record", "not finite")  # columns of a list that may have nothing to say

LONGEST = 1000  # characters of the parameters of a run in a list

PRUNED = ("started", "metrics")  # what prune shows of a run

WHOLE = 40  # characters; run names up to this length are kept on one line, for copying

# Fields of run.json that show does not print as they are.
OWN_ROWS = {
    *("status", "process", "session", "sessions", "session_count", "notes"),
    "phases",
}
MOST_PHASES = 20  # that `show` shows, the last ones


class Directory(click.Path):
    """A directory, whose name may be anybody's: ``runs/*``."""

    def fail(self, message: str, *more: Any, **options: Any) -> NoReturn:
        super().fail(escaped(message), *more, **options)


def _default() -> str:
    try:
        return str(directory_of_runs(None))
    except ValueError as error:
        raise click.BadParameter(escaped(error), param_hint="LOGDIR") from None


logdir_argument = click.argument(
    "logdir",
    default=_default,
    type=Directory(exists=True, file_okay=False),
)


class Command(click.Command):
    """A command that reports errors and warnings in one line, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.showwarning = _show_warning
                return super().invoke(context)
        except BrokenPipeError:
            raise
        except (OSError, ImportError) as error:
            raise click.ClickException(escaped(error)) from error


def _show_warning(message: object, *_: object, **__: object) -> None:
    click.echo(escaped(message), err=True)


class Group(click.Group):
    """The group of all commands, with streams that can be written to."""

    command_class = Command

    def main(self, *arguments: Any, **options: Any) -> Any:
        with streams():
            return super().main(*arguments, **options)


@click.group(cls=Group)
@click.version_option(annarchy_tb.__version__, package_name="annarchy-tb")
def main() -> None:
    """Look at runs without TensorBoard."""


where_option = click.option(
    "--where",
    metavar="CONDITION",
    help="Only runs for which this holds: \"tau < 10 and status == 'finished'\".",
)


@contextlib.contextmanager
def _checked(option: str) -> Iterator[None]:
    """Report what an option has that is wrong in one line."""
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(escaped(error), param_hint=option) from None


@main.command()
@logdir_argument
@where_option
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(STATUSES),
    help="Only runs of this status; may be given several times.",
)
@click.option(
    "--sort",
    default="started",
    show_default=True,
    help="run, status, started, duration, or the name of a parameter or metric.",
)
@click.option("--reverse", is_flag=True, help="Reverse the order.")
def ls(
    logdir: str, where: str | None, status: Sequence[str], sort: str, reverse: bool
) -> None:
    """List the runs below LOGDIR, newest first.

    The default is $ANNARCHY_TB_LOGDIR, else runs.

    A condition of --where has names of parameters and results, and name, status,
    started, duration and age: age < '2 h', started > '2026-11-01', tau in (5, 10),
    params["tau [ms]"] < 10, not metrics["Final/rate"] > 0.
    """
    root = absolute(logdir)
    with _checked("--where"):
        found = found_with_records(root, status or None, where=where)
    listed = _listed(found)
    rows = [_row(root, its) for its in _sorted(listed, sort, reverse)]
    if not rows:
        click.echo("No runs found.")
        return
    names = [n for n in rows[0] if n not in RARE or any(row[n] for row in rows)]
    cells = [[row[name] for name in names] for row in rows]
    if len(rows) > MANY:
        _print_lines(names, cells)
        return
    longest = max(len(row["run"]) for row in rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        whole = name in ON_ONE_LINE or (name == "run" and longest <= WHOLE)
        table.add_column(name, overflow="fold", no_wrap=whole)
    for row in cells:
        table.add_row(Text(row[0]), _coloured(row[1]), *map(Text, row[2:]))
    _console().print(table)


@main.command()
@click.argument("run", type=Directory(exists=True, file_okay=False))
def show(run: str) -> None:
    """Show everything known about the run in directory RUN, and its tags."""
    found = Run(run)
    info = RunInfo.read(found.path)
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_row("run", shown(found.path))
    its = course(found.path, info)
    table.add_row("status", _coloured(_status(its.status, info)))
    if its.written is not None:
        table.add_row("last record", f"{_date(its.written)} ({_ago(its.written)})")
    for name, value in found.info.items():
        if name not in OWN_ROWS and value not in (None, {}):
            table.add_row(shown(name), shown(_plain(value), keep="\n"))
    for session in found.sessions:
        table.add_row("session", shown(_session(session), keep="\n"))
    for phase in found.phases[-MOST_PHASES:]:
        table.add_row("phase", shown(_phase(phase)))
    for note in found.notes:
        said = f"{note.get('date')}, {note.get('user')}: {note.get('text')}"
        table.add_row("note", shown(said, keep="\n"))
    _console().print(table)
    table = Table("tag", "curve", "kind", "points", "last step", "last value")
    table.box = box.SIMPLE_HEAD
    numbers = set()
    for tag, curve, points in found.points():
        numbers.add(tag)
        step, value = int(points.steps[-1]), float(points.values[-1])
        number = str(len(points.steps))
        cells = (tag, curve, SCALAR.name, number, str(step), f"{value:g}")
        table.add_row(*map(shown, cells))
    for tag, kind in found.tags().items():
        if tag not in numbers:
            table.add_row(*map(shown, (tag, "", kind)))
    _console().print(table)


@main.command()
@click.argument("one", metavar="A", type=Directory(exists=True, file_okay=False))
@click.argument("other", metavar="B", type=Directory(exists=True, file_okay=False))
def diff(one: str, other: str) -> None:
    """Show what differs between the runs in directories A and B.

    These are parameters, results, settings of simulated time, environment variables
    that matter to numbers, versions, and the code: its commit and, as far as runs keep
    their source, each changed file with the number of lines added and removed. The
    cell of what a run does not have is empty.
    """
    found = differences(Run(one), Run(other))
    if not found:
        click.echo("No differences found.")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("", "", one, other):
        table.add_column(shown(name), overflow="fold")
    for row in found:
        table.add_row(*map(shown, row))
    _console().print(table)


@main.command()
@click.argument("run", type=Directory(exists=True, file_okay=False))
@click.argument("text")
def note(run: str, text: str) -> None:
    """Add the note TEXT to the run in directory RUN, as show shows it."""
    Run(run).add_note(text)


@main.command()
@click.argument(
    "runs", nargs=-1, required=True, type=Directory(exists=True, file_okay=False)
)
@click.option(
    "--format",
    "kind",
    required=True,
    type=click.Choice(["csv", "parquet", "json"]),
    help="parquet needs pandas and pyarrow: pip install 'annarchy-tb[pandas]'.",
)
@click.option(
    "--output",
    "-o",
    default="-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="The file to write (default: standard output).",
)
def export(runs: Sequence[str], kind: str, output: str) -> None:
    """Write all scalars of the runs in directories RUNS to one file.

    csv and parquet have the columns run, tag, curve, step, value, time, wall_time. json
    also includes the contents of run.json. Text is in UTF-8. In csv, names that begin
    like a formula of a spreadsheet have an apostrophe in front, and control characters
    are written as \\x1b.
    """
    columns = ["run", "tag", "curve", *COLUMNS]
    found = [Run(run) for run in runs]
    if kind == "parquet":
        if output == "-":
            raise click.UsageError("parquet needs a file: name one with --output")
        command = "annarchy-tb export --format parquet"
        pandas = optional("pandas", command, "'annarchy-tb[pandas]'")
        optional("pyarrow", command, "'annarchy-tb[pandas]'")
        tables = [run.to_pandas().assign(run=str(run.path)) for run in found]
        pandas.concat(tables, ignore_index=True)[columns].to_parquet(output)
        return
    with _written(output) as stream:
        if kind == "json":
            json.dump([_as_json(run) for run in found], stream, allow_nan=False)
            stream.write("\n")
            return
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for run in found:
            for tag, curve, points in run.points():
                its = points.numeric()
                steps, values, times, walls = (column.tolist() for column in its)
                given = ["" if time != time else time for time in times]
                rows = zip(steps, values, given, walls, strict=True)
                names = [cell(name) for name in (run.path, tag, curve)]
                writer.writerows([*names, *row] for row in rows)


@main.command()
@click.argument(
    "path",
    metavar="[RUN|LOGDIR]",
    default=_default,
    type=Directory(exists=True, file_okay=False),
)
@click.option(
    "--output",
    "-o",
    default="report.html",
    show_default=True,
    type=click.Path(),
    help="The file to write. One that exists is replaced.",
)
def report(path: str, output: str) -> None:
    """Write a report of a run, or of all runs below LOGDIR, to one HTML file.

    The file needs no server and no network: mail it, or keep it with a paper. Of a run,
    it shows how it ended, its parameters, results and origin, and all data. Of a
    directory, it shows a table of runs, and their curves over each other. It needs
    Plotly: pip install 'annarchy-tb[board]'.

    The default is $ANNARCHY_TB_LOGDIR, else runs.
    """
    target = Path(output)
    if target.is_dir():
        raise click.ClickException(f"{escaped(output)} is a directory")
    if not target.absolute().parent.is_dir():
        raise click.ClickException(f"there is no directory {escaped(target.parent)}")
    with importing:
        from annarchy_tb.board.report import report as report_of

    page = report_of(absolute(path), time.time()).encode()
    target.write_bytes(page)
    click.echo(f"{escaped(output)}: {len(page) / 1e6:.1f} MB")


@main.command()
@logdir_argument
@where_option
@click.option("--yes", is_flag=True, help="Remove these runs with all their files.")
@click.option(
    "--with-checkpoints",
    is_flag=True,
    help="Include failed runs that could be resumed from a checkpoint.",
)
def prune(logdir: str, where: str | None, yes: bool, with_checkpoints: bool) -> None:
    """List or remove the runs below LOGDIR that failed or are empty.

    The default is $ANNARCHY_TB_LOGDIR, else runs.

    A run is empty if it has no data, no parameters, no checkpoint and no files of the
    user's. Some runs are never removed: those that are running, or may be running on
    another host, those of other writers, those that contain other runs, and those
    reached through a link.
    """
    found = find_runs(logdir)
    with _checked("--where"):
        chosen = found if where is None else found.where(where)
    doomed = [
        (run, why) for run in chosen if (why := _useless(run, found, with_checkpoints))
    ]
    if not doomed:
        click.echo("There is nothing to remove.")
        return
    table = Table("run", "why", *PRUNED, box=box.SIMPLE_HEAD)
    whys = dict(doomed)
    for its in _listed((run, RunInfo.read(run.path)) for run in whys):
        row = {**_row(found.logdir, its), "why": escaped(whys[its.run])}
        table.add_row(*(Text(row[name]) for name in ("run", "why", *PRUNED)))
    _console().print(table)
    if not yes:
        click.echo("Pass --yes to remove them with all their files.")
        return
    removed = 0
    for run, _ in doomed:
        if _useless(run, found, with_checkpoints):  # still true
            shutil.rmtree(run.path)
            removed += 1
    click.echo(f"{removed} removed.")


def _useless(run: Run, found: Runs, with_checkpoints: bool) -> str:
    """Return why a run may be removed; nothing if it may not."""
    info = RunInfo.read(run.path)
    status = info.state()
    if (
        status not in (FINISHED, FAILED, KILLED)
        or sessions.writer(info)[0] is not False
        or info.session is None  # somebody else's run.json
        or run.path.resolve()
        != found.logdir.resolve() / run.path.relative_to(found.logdir)
        or len(list(islice(directories(run.path), 2))) > 1
    ):
        return ""
    if status == FAILED:
        if (run.path / CHECKPOINTS).exists() and not with_checkpoints:
            return ""
        return f"failed: {(info.error or {}).get('type')}"
    return "empty" if _is_empty(run) else ""


def _is_empty(run: Run) -> bool:
    own = all(
        path.name in (RUN_JSON, SOURCE)
        or "tfevents" in path.name
        or is_recording(path.name)
        for path in run.path.iterdir()
    )
    said = own and (run.params or run.metrics or run.tags() or run.damage())
    return own and not said


# -- display ---------------------------------------------------------------------------


def _console() -> Console:
    # Outside a terminal, lines are not wrapped.
    return Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)


class Listed(NamedTuple):
    """A run, and its record, which is read once."""

    run: Run
    info: RunInfo
    course: Course


def _listed(runs: Iterable[tuple[Run, RunInfo]]) -> list[Listed]:
    """Return runs with what is computed from their records, but those that are gone."""
    found = []
    for run, info in runs:
        with contextlib.suppress(OSError):  # deleted meanwhile
            found.append(Listed(run, info, course(run.path, info)))
    return found


def _row(logdir: Path, its: Listed) -> dict[str, str]:
    """Return the cells of a run by their columns, as a terminal may get them."""
    path, info, (status, begun, written, duration) = its.run.path, its.info, its.course
    return {
        "run": escaped(path.name if path == logdir else path.relative_to(logdir)),
        "status": _status(status, info),
        "last record": _ago(written),
        "started": _date(begun),
        "duration": _duration(duration),
        "params": escaped(_plain(info.params or {}), most=LONGEST),
        "metrics": escaped(_plain(info.metrics or {}), most=LONGEST),
        "not finite": escaped(_not_finite(info)),
    }


def _date(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _ago(moment: datetime | None) -> str:
    """Return how long ago something was, roughly: ``3 min ago``."""
    since = age(moment)
    if since is None:
        return ""
    left = since.total_seconds()
    for most, unit, number in ((60, "s", 1), (3600, "min", 60), (172_800, "h", 3600)):
        if left < most:
            return f"{left // number:.0f} {unit} ago"
    return f"{left // 86_400:.0f} d ago"


def _print_lines(names: list[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, a line each, which is much faster than a table."""
    texts = [names, *rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in texts
    ]
    click.echo("\n".join(line.rstrip() for line in lines))


def _session(session: dict[str, Any]) -> str:
    """Return an opening of the run in one line."""
    said = f"{session.get('start')}, {session.get('kind')}: {session['status']}"
    if session.get("end"):
        said += f" at {session['end']}"
    error = session.get("error")
    if isinstance(error, dict):
        said += f" ({error.get('type')}: {error.get('message')})"
    return f"{said}, {session.get('host')}, {session.get('command')}"


def _phase(phase: Phase) -> str:
    """Return a phase of the run in one line."""
    end = "" if phase.ended is None else f" to {iso(phase.ended.timestamp())}"
    return f"{phase.number} {phase.name}: {iso(phase.began.timestamp())}{end}"


def _not_finite(info: RunInfo) -> str:
    """Return the first tag that was not finite, and how many others there are."""
    found = list((info.not_finite or {}).items())
    if not found:
        return ""
    [(tag, step), *others] = found
    more = f", {len(others)} more" if others else ""
    return f"{tag} at {step}{more}"


def _coloured(status: str) -> Text:
    """Return a status, and what may follow it, in its colour."""
    return Text(status, style=COLOURS.get(status.partition(" ")[0], ""))


def _status(status: str, info: RunInfo) -> str:
    """Return a status, and what was lost."""
    numbers = {"records": info.lost_records, "blocks": info.lost_blocks}
    lost = [f"{number} {what} lost" for what, number in numbers.items() if number]
    return f"{status} ({', '.join(lost)})" if lost else status


def _duration(duration: timedelta | None) -> str:
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))


def _plain(value: Any) -> str:
    """Return a value of run.json as a short text."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _sorted(listed: list[Listed], sort: str, reverse: bool) -> list[Listed]:
    """Sort runs by a column; those without a value come last."""

    def key(its: Listed) -> Any:
        status, begun, _, duration = its.course
        own: dict[str, Any] = {
            "run": str(its.run.path),
            "status": status,
            "started": None if begun is None else -begun.timestamp(),
            "duration": None if duration is None else duration.total_seconds(),
        }
        named = (("params", its.info.params), ("metrics", its.info.metrics))
        for kind, values in named:
            for name, value in (values or {}).items():
                own.setdefault(name, value)
                own.setdefault(f"{kind}.{name}", value)
        return own.get(sort)

    keys = [(its, key(its)) for its in listed]
    there = [(its, value) for its, value in keys if value is not None]
    if listed and not there and sort not in COLUMNS_OF_ALL:
        raise click.BadParameter(f"no run has a {sort!r}", param_hint="--sort")
    texts = not all(isinstance(value, (int, float)) for _, value in there)
    there.sort(key=lambda item: str(item[1]) if texts else item[1], reverse=reverse)
    return [its for its, _ in there] + [its for its, value in keys if value is None]


# -- export ----------------------------------------------------------------------------


@contextlib.contextmanager
def _written(output: str) -> Iterator[IO[str]]:
    if output == "-":
        with standard_output() as stream:
            yield stream
    else:
        with open(
            output, "w", encoding="utf-8", errors="backslashreplace", newline=""
        ) as stream:
            yield stream


def _as_json(run: Run) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "status": run.status,
        "info": as_json(run.info),
        "scalars": [
            {
                "tag": tag,
                "curve": curve,
                "steps": points.steps.tolist(),
                "values": as_json(points.values.tolist()),
                "times": as_json(points.times.tolist()),
                "wall_times": as_json(points.wall_times.tolist()),
            }
            for tag, curve, points in run.points()
        ],
    }
