"""The command line: ``annarchy-tb ls``, ``show``, ``view``, ``export`` and others."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import annarchy_tb
from annarchy_tb.commands import table as tables
from annarchy_tb.commands import view as viewing
from annarchy_tb.commands.arguments import (
    Duration,
    RunDirectory,
    default_logdir,
    is_url,
    logdir_argument,
    mirror_argument,
)
from annarchy_tb.commands.listing import Listed, listed, ordered
from annarchy_tb.follow import pulling
from annarchy_tb.follow.masking import masked
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds.scalar import COLUMNS
from annarchy_tb.reading import wording
from annarchy_tb.reading.course import course
from annarchy_tb.reading.difference import differences
from annarchy_tb.reading.find import Runs, directories, find_runs, found_with_records
from annarchy_tb.reading.phases import Phase
from annarchy_tb.reading.run import Run
from annarchy_tb.run import sessions
from annarchy_tb.run.clearing import has_values
from annarchy_tb.run.info import FAILED, FINISHED, KILLED, STATUSES, RunInfo, as_json
from annarchy_tb.run.names import CHECKPOINTS, RUN_JSON, SOURCE
from annarchy_tb.run.paths import absolute
from annarchy_tb.terminal import (
    cell,
    coloured,
    escaped,
    shown,
    standard_output,
    streams,
)
from annarchy_tb.tfevents.names import is_recording
from annarchy_tb.tfevents.schema import SCALAR

LONGEST = 1000  # characters of the results of a run that prune lists

# Fields of run.json that show does not print as they are.
OWN_ROWS = {
    *("status", "process", "session", "sessions", "session_count", "notes"),
    *("phases", "started", "ended"),
}
MOST_PHASES = 20  # that `show` shows, the last ones

FORMATS = ("csv", "parquet", "json")


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
    """Look at runs: as a list, one by one, or in TensorBoard."""


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
@click.option("--host", help="The address to serve on (default: localhost).")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="The port to serve on (default: the first free one from 6006 on).",
)
@click.option(
    "--samples_per_plugin",
    "samples",
    metavar="NAME=NUMBER,...",
    default="",
    callback=viewing.samples,
    help=f"How much of a tag is shown (default: {viewing.DEFAULT}).",
)
def view(
    logdir: str, host: str | None, port: int | None, samples: dict[str, int]
) -> None:
    """Look at the runs below LOGDIR in TensorBoard, until Ctrl-C.

    The default is $ANNARCHY_TB_LOGDIR, else runs.

    Open the address that it prints: curves are not smoothed, and those of one name have
    one colour in all runs. More of each tag is shown than in a TensorBoard that is
    started without settings.
    """
    root = absolute(logdir)
    if next(directories(root), None) is None:
        said = f"There are no runs below {escaped(root)} yet."
        click.echo(f"{said} TensorBoard shows those that come.", err=True)
    sys.exit(viewing.serve(root, host, port, samples))


@main.command()
@mirror_argument
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
    help="A column: see --columns.",
)
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option(
    "-n", "number", type=click.IntRange(1), help="Only this many, the first ones."
)
@click.option(
    "--columns",
    help="Exactly these columns, separated by commas: names of parameters and results, "
    "params.NAME and metrics.NAME, and status, age, duration, started, not finite, "
    "lost, host, user, group.",
)
@click.option(
    "--wide", is_flag=True, help="All parameters and results, however long the lines."
)
@click.option(
    "--json", "as_array", is_flag=True, help="All that is known, as an array of JSON."
)
def ls(
    logdir: str,
    where: str | None,
    status: Sequence[str],
    sort: str,
    reverse: bool,
    number: int | None,
    columns: str | None,
    wide: bool,
    as_array: bool,
) -> None:
    """List the runs below LOGDIR, newest first, a line each.

    The default is $ANNARCHY_TB_LOGDIR, else runs. Of a mirror at URL, as in
    s3://bucket/runs, only run.json of each run is read.

    The age is the time since the last record of a run, or since its end. On a terminal,
    parameters that differ and results are shown as far as there is room; otherwise, all
    of them are.

    A condition of --where has names of parameters and results, and name, status,
    started, duration and age: age < '2 h', started > '2026-11-01', tau in (5, 10),
    params["tau [ms]"] < 10, not metrics["Final/rate"] > 0.
    """
    with _records(logdir) as root:
        with _checked("--where"):
            chosen = found_with_records(root, status or None, where=where)
        found = ordered(listed(root, chosen), sort, reverse)
    runs = found[:number]
    if as_array:
        _print_json(runs, logdir, root)
        return
    if not runs:
        click.echo("No runs found.")
        return
    console = _console()
    if columns is not None:
        table = tables.named(runs, _names(columns))
    elif wide or not console.is_terminal:
        table = tables.whole(runs)
    else:
        table = tables.fitting(runs, console.width)
    colour = console.color_system is not None and not console.no_color
    sys.stdout.write("\n".join([*table.lines(colour), ""]))
    if len(runs) < len(found):
        click.echo(f"{len(runs)} of {len(found)} runs.", err=True)


@contextlib.contextmanager
def _records(logdir: str) -> Iterator[Path]:
    """Yield the directory in which to look for the records of runs."""
    if not is_url(logdir):
        yield absolute(logdir)
        return
    with _url(), pulling.records(logdir) as found:
        yield found


@contextlib.contextmanager
def _url() -> Iterator[None]:
    """Report an address that can't be used in one line."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(escaped(error)) from None


def _names(columns: str) -> list[str]:
    """Return names that are separated by commas; one with a comma is quoted."""
    try:
        return next(csv.reader([columns], skipinitialspace=True), [])
    except csv.Error:  # a line break
        raise click.BadParameter(
            f"quote a name with a line break, got {escaped(columns)}",
            param_hint="--columns",
        ) from None


def _print_json(runs: Sequence[Listed], logdir: str, root: Path) -> None:
    """Print runs as an array, a line each."""
    said = [its.json() for its in runs]
    if is_url(logdir):
        for its, one in zip(runs, said, strict=True):
            inside = its.run.path.relative_to(root).as_posix()
            one["path"] = f"{masked(logdir).rstrip('/')}/{inside}".removesuffix("/.")
    with standard_output() as stream:
        lines = (json.dumps(one, allow_nan=False) for one in said)
        stream.write("[" + ",\n".join(lines).replace("\x7f", r"\u007f") + "]\n")


@main.command()
@click.argument("run", required=False, type=RunDirectory())
def show(run: str | None) -> None:
    """Show everything known about RUN, and its tags.

    RUN is a directory, or the name of a run below $ANNARCHY_TB_LOGDIR, else runs. The
    default is the newest run there.
    """
    found = _newest() if run is None else Run(run)
    info = RunInfo.read(found.path)
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_row("run", shown(found.path))
    its = course(found.path, info)
    lost = wording.lost(info)
    table.add_row("status", coloured(its.status, lost and f" ({lost} lost)"))
    if its.began is not None:
        table.add_row("started", wording.date(its.began))
    if info.ended is not None:
        table.add_row("ended", shown(wording.date(info.ended)))
    if its.written is not None:
        said = f"{wording.date(its.written)} ({wording.since(its.written)} ago)"
        table.add_row("last record", said)
    if its.duration is not None:
        table.add_row("duration", wording.duration(its.duration))
    for name, value in found.info.items():
        if name not in OWN_ROWS and value not in (None, {}):
            table.add_row(shown(name), shown(wording.plain(value), keep="\n"))
    for session in found.sessions:
        table.add_row("session", shown(_session(session), keep="\n"))
    for phase in found.phases[-MOST_PHASES:]:
        table.add_row("phase", shown(_phase(phase)))
    for note in found.notes:
        when = wording.date(note.get("date"))
        said = f"{when}, {note.get('user')}: {note.get('text')}"
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


def _newest() -> Run:
    """Return the newest run below the default directory of runs."""
    root = default_logdir()
    for run, _ in found_with_records(root):
        return run
    raise FileNotFoundError(f"there are no runs below {root}")


@main.command()
@click.argument("one", metavar="A", type=RunDirectory())
@click.argument("other", metavar="B", type=RunDirectory())
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
@click.argument("run", type=RunDirectory())
@click.argument("text")
def note(run: str, text: str) -> None:
    """Add the note TEXT to the run in directory RUN, as show shows it."""
    Run(run).add_note(text)


@main.command()
@click.argument("url")
@click.argument("directory", type=click.Path(file_okay=False))
def pull(url: str, directory: str) -> None:
    """Make the runs of the mirror at URL again in DIRECTORY, byte for byte.

    URL is what was given to follow --to mirror:URL, or one of the runs there, which
    DIRECTORY then becomes: s3://bucket/runs/trial1. If it was pulled before, only what
    is new is read. It needs fsspec, and s3fs for S3, paramiko for SFTP.
    """
    with _url():
        for its in pulling.pull(url, directory):
            amount = f"{its.files} files, {its.size} bytes" if its.files else "no news"
            click.echo(f"{escaped(its.path)}: {amount}")


@main.command()
@click.argument("runs", nargs=-1, required=True, type=RunDirectory())
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="The default is the ending of the file. parquet needs pandas and pyarrow: "
    "pip install 'annarchy-tb[pandas]'.",
)
@click.option(
    "--output",
    "-o",
    default="-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="The file to write (default: standard output).",
)
def export(runs: Sequence[str], kind: str | None, output: str) -> None:
    """Write all scalars of the runs in directories RUNS to one file.

    csv and parquet have the columns run, tag, curve, step, value, time, wall_time. json
    also includes the contents of run.json. Text is in UTF-8. In csv, names that begin
    like a formula of a spreadsheet have an apostrophe in front, and control characters
    are written as \\x1b.
    """
    kind = kind or Path(output).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise click.UsageError(
            "which format? Pass --format, or a file as in --output scalars.csv: "
            f"{', '.join(FORMATS)}"
        )
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
    default=lambda: str(default_logdir()),
    type=RunDirectory(),
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
@mirror_argument
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
    table = Table("run", "why", "started", "metrics", box=box.SIMPLE_HEAD)
    whys = dict(doomed)
    records = ((run, RunInfo.read(run.path)) for run in whys)
    for its in listed(found.logdir, records):
        began, results = its.course.began, wording.plain(its.info.metrics or {})
        cells = (its.name, whys[its.run], wording.date(began))
        table.add_row(*map(shown, cells), Text(escaped(results, most=LONGEST)))
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


class FollowCommand(Command):
    """A command whose arguments may end with another one, after ``--``."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            context.meta["command"] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(context, args)

    def collect_usage_pieces(self, context: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(context), "[-- COMMAND...]"]


@main.command(cls=FollowCommand)
@click.argument("runs", metavar="[LOGDIR|RUN]...", nargs=-1, type=click.Path())
@click.option(
    "--to",
    metavar="TARGET",
    multiple=True,
    help="Where to: jsonl:DIR, csv:DIR, mlflow:URI, wandb:PROJECT, mirror:URL, or "
    "mylab.Chat:PLACE; may be given several times.",
)
@click.option("--once", is_flag=True, help="Only what is there now.")
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(0, min_open=True),
    help="The most points a second of a run; of more, the extremes are pushed.",
)
@click.option(
    "--idle",
    type=Duration(),
    default="1h",
    show_default=True,
    help="How long a run whose process can't be seen may not be written to, until it "
    "has ended.",
)
@click.option(
    "--give-up",
    type=Duration(),
    default="10m",
    show_default=True,
    help="How long to try after the end.",
)
@click.option(
    "--status", is_flag=True, help="Show what is followed, and how far it is."
)
@click.pass_context
def follow(
    context: click.Context,
    runs: Sequence[str],
    to: Sequence[str],
    once: bool,
    rate: float | None,
    idle: float,
    give_up: float,
    status: bool,
) -> None:
    """Push what the runs below LOGDIR log to other places, until they end.

    The default is $ANNARCHY_TB_LOGDIR, else runs.

    New runs are followed as well. Stopped at any time and started again, it goes on.

    With a COMMAND, such as python sim.py, it runs the command, follows only the runs
    that this begins, and ends with its exit status when all is pushed.
    """
    with importing:
        from annarchy_tb.commands import following

    command = context.meta.get("command")
    roots = [_root(its) for its in runs] or [default_logdir()]
    if status:
        for root in roots:
            table = following.status_table(root)
            if table is None:
                click.echo(f"Nothing below {escaped(root)} has been followed.")
            else:
                _console().print(table)
        return
    if not to:
        raise click.UsageError("where to? Pass --to, as in --to jsonl:out")
    for root in roots:
        if once and not root.is_dir():
            raise FileNotFoundError(f"there is no directory {root}")
    options: dict[str, Any] = {"once": once, "rate": rate, "idle": idle}
    try:
        if command is None:
            code = following.follow(roots, to, give_up, **options)
        elif command and not once:
            code = following.follow_command(command, roots, to, give_up, **options)
        else:
            raise click.UsageError("write a command after --, and no --once before it")
    except ValueError as error:
        said = escaped(masked(str(error)))
        raise click.BadParameter(said, param_hint="--to") from None
    sys.exit(code)


def _root(text: str) -> Path:
    """Return a run, also by its name below the default directory, or a directory."""
    with contextlib.suppress(click.BadParameter):
        return absolute(RunDirectory().convert(text, None, None))
    return absolute(text)  # it may be made later


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
    said = own and (run.params or run.metrics or has_values(run.path) or run.damage())
    return own and not said


# -- display ---------------------------------------------------------------------------


def _console() -> Console:
    # Outside a terminal, lines are not wrapped.
    return Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)


def _session(session: dict[str, Any]) -> str:
    """Return an opening of the run in one line."""
    kind, status = session.get("kind"), session["status"]
    said = f"{wording.date(session.get('start'))}, {kind}: {status}"
    if session.get("end"):
        said += f" at {wording.date(session['end'])}"
    error = session.get("error")
    if isinstance(error, dict):
        said += f" ({error.get('type')}: {error.get('message')})"
    return f"{said}, {session.get('host')}, {session.get('command')}"


def _phase(phase: Phase) -> str:
    """Return a phase of the run in one line."""
    end = "" if phase.ended is None else f" to {wording.date(phase.ended)}"
    return f"{phase.number} {phase.name}: {wording.date(phase.began)}{end}"


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
