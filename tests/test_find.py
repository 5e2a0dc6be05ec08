from __future__ import annotations

import json
import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from click.testing import CliRunner
from conftest import HAS_PANDAS, without_rights

from annarchy_tb import Logger, Run, SummaryWriter, cli, find_runs
from annarchy_tb.tfevents.event_file import event_files


def finished(logdir: Path, name: str, **params: Any) -> None:
    with Logger(logdir, name) as logger:
        logger.add_parameters(params, {"loss": params.get("tau", 0) / 2})


def found(logdir: Path, **filters: Any) -> list[str]:
    """Return the names of runs, sorted."""
    return sorted(run.path.name for run in find_runs(logdir, **filters))


def test_runs_are_found_newest_first(logdir: Path) -> None:
    """They are found at any depth, also inside other runs; curves are not runs."""
    for name in ("b", "sweep/a", "sweep/deep/c", "b/nested"):
        with Logger(logdir, name) as logger:
            logger.add_scalars("plot", {"curve": 1})
            logger.save_checkpoint({}, 1)
    names = [run.path.relative_to(logdir).as_posix() for run in find_runs(logdir)]
    assert names == ["b/nested", "sweep/deep/c", "sweep/a", "b"]
    assert [run.path.name for run in find_runs(logdir / "b")] == ["nested", "b"]


def test_runs_are_found_by_status_and_parameters(logdir: Path) -> None:
    """Equal values match, be they int, float or NumPy's; None matches NaN."""
    finished(logdir, "one", tau=10, net={"rate": 5.0}, seed=None)
    finished(logdir, "two", tau=10.0, seed=np.nan)
    finished(logdir, "three", tau=20.0)
    with pytest.raises(ZeroDivisionError), Logger(logdir, "four") as logger:
        logger.add_parameters({"tau": 10.0})
        raise ZeroDivisionError
    with Logger(logdir, "five"):
        assert found(logdir, status="running") == ["five"]
    assert found(logdir, status="finished") == ["five", "one", "three", "two"]
    assert found(logdir, status=["failed", "running"]) == ["four"]
    assert found(logdir, params={"tau": 10.0}) == ["four", "one", "two"]
    assert found(logdir, params={"tau": np.float32(10)}, status="failed") == ["four"]
    assert found(logdir, params={"net": {"rate": 5}}) == ["one"]
    assert found(logdir, params={"seed": None}) == ["one", "two"]
    assert found(logdir, params={"nothing": 1}) == []


def test_runs_of_other_writers_are_found(logdir: Path) -> None:
    """They are found by their event files; their status is unknown."""
    with tensorboardX.SummaryWriter(str(logdir / "theirs")) as theirs:
        theirs.add_scalar("a", 1, 1)
    SummaryWriter(str(logdir / "ours")).close()
    runs = find_runs(logdir, status="unknown")
    assert sorted(run.path.name for run in runs) == ["ours", "theirs"]
    assert all(run.started is not None for run in runs)


def test_links_that_lead_in_a_circle_end(logdir: Path) -> None:
    """Each directory is searched once, under its own name."""
    finished(logdir, "one", tau=1)
    (logdir / "again").symlink_to(logdir)
    (logdir / "a link").symlink_to(logdir / "one")
    (logdir / "itself").symlink_to(logdir / "itself")
    (logdir / "nowhere").symlink_to(logdir / "nothing")
    assert found(logdir) == ["one"]


def test_directories_of_any_name_are_looked_into(logdir: Path) -> None:
    """Checkpoints are skipped only inside a run."""
    # As other programs, and earlier versions, may have named them.
    for name, parent in (("one", logdir), ("b", logdir / "a" / "checkpoints")):
        finished(parent, name, tau=1)
    (logdir / "one").rename(logdir / "checkpoints")
    assert found(logdir) == ["b", "checkpoints"]


def test_odd_names_of_event_files_stop_no_search(logdir: Path) -> None:
    """An impossible date is treated as no date."""
    finished(logdir, "one", tau=1)
    for name in ("events.out.tfevents.99999999999999999.h", "tfevents"):
        (logdir / "odd").mkdir(exist_ok=True)
        (logdir / "odd" / name).touch()
    [odd] = find_runs(logdir, status="unknown")
    assert odd.started is None
    assert len(find_runs(logdir)) == 2
    if HAS_PANDAS:
        assert len(find_runs(logdir).to_pandas()) == 2


def test_event_files_are_not_read(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding and filtering a thousand runs opens only their run.json."""
    finished(logdir, "run", tau=1)
    for path in event_files(logdir / "run"):
        path.write_bytes(b"spoilt")
    opened: list[str] = []
    path_open = Path.open

    def watched(path: Path, *arguments: Any, **named: Any) -> Any:
        opened.append(path.name)
        return path_open(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", watched)
    assert found(logdir, status="finished", params={"tau": 1}) == ["run"]
    assert not [name for name in opened if "tfevents" in name]


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    """An unknown status and a missing directory raise errors."""
    with pytest.raises(ValueError, match="status must be one of 'running'.*got 'done'"):
        find_runs(tmp_path, status="done")
    with pytest.raises(FileNotFoundError, match="no directory"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="params must be a dict"):
        find_runs(tmp_path, params=[("a", 1)])  # type: ignore[arg-type]
    assert list(find_runs(tmp_path)) == []


def search(logdir: Path) -> str:
    """Return the runs found, listed, and in the table, and all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runs = find_runs(logdir)
        [len(runs.to_pandas()) for _ in range(HAS_PANDAS)]
    named = sorted(run.path.name for run in runs)
    listed = CliRunner().invoke(cli.main, ["ls", str(logdir)])
    assert listed.exit_code == 0, listed.output
    rows = listed.stdout.splitlines()[1:]
    assert all(any(f" {name} " in f" {row}" for row in rows) for name in named)
    said = " | ".join(str(warning.message) for warning in caught)
    return f"{named} {said.replace(f'{logdir}/', '')}".rstrip()


UNREADABLE = "find_runs: these can't be read:"


@pytest.mark.parametrize("mode", [0o000, 0o744, 0o666, 0o711])
def test_a_run_that_nobody_else_may_read_is_named(logdir: Path, mode: int) -> None:
    """Unreadable directories of other users do not stop a search."""
    finished(logdir, "one", tau=1)
    finished(logdir, "locked", tau=1)
    search(logdir)  # imports while that is still allowed
    (logdir / "locked").chmod(mode)
    said = without_rights(logdir, lambda: search(logdir))
    (logdir / "locked").chmod(0o755)
    assert said == f"['one'] {UNREADABLE} locked (Permission denied)"


def test_a_link_to_where_nobody_else_may_look_is_named(logdir: Path) -> None:
    """It leads to a run, or an event file, in the directory of another user."""
    finished(logdir, "one", tau=1)
    finished(logdir, "two", tau=1)
    private = logdir.parent / "private"
    finished(private, "run", tau=1)
    (logdir / "link").symlink_to(private / "run")
    (logdir / "two" / "other.tfevents").symlink_to(private / "run" / "run.json")
    (logdir / "record").mkdir()
    (logdir / "record" / "run.json").symlink_to(private / "run" / "run.json")
    search(logdir)
    private.chmod(0o700)
    said = without_rights(logdir, lambda: search(logdir))
    assert said.startswith(f"['one', 'record', 'two'] {UNREADABLE} ")
    assert sorted(said.partition(f"{UNREADABLE} ")[2].split(", ")) == [
        "link (Permission denied)",
        "record/run.json (Permission denied)",
        "two/other.tfevents (Permission denied)",
    ]


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_directory(path: Path) -> None:
    path.mkdir()


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def large(path: Path) -> None:
    params = {f"parameter {number:010d}": number for number in range(1_800_000)}
    path.write_text(json.dumps({"status": "finished", "params": params}))
    assert path.stat().st_size > 50_000_000


def deep(path: Path) -> None:
    nested: Any = 1
    for _ in range(450):
        nested = {"a": nested}
    path.write_text(json.dumps({"status": "finished", "params": nested}))


def no_record(path: Path) -> None:
    path.write_text("[1, 2")


SPECIAL = [a_pipe, a_socket, a_link_to_itself, a_directory, a_device]


@pytest.mark.parametrize("make", [*SPECIAL, large, deep, no_record])
def test_a_record_that_is_none_ends_nothing(
    logdir: Path, make: Callable[[Path], None]
) -> None:
    """The run is listed without it, the record is named, and Loggers open."""
    finished(logdir, "one", tau=1)
    finished(logdir, "odd", tau=1)
    record = logdir / "odd" / "run.json"
    record.unlink()
    make(record)
    said = search(logdir)
    assert said.startswith(f"['odd', 'one'] {UNREADABLE} odd/run.json (")
    assert "|" not in said
    run = Run(logdir / "odd")
    assert (run.status, run.params["tau"], run.info) == ("unknown", 1, {})
    finished(logdir, "beside", tau=1)
    if make is not a_directory:
        with Logger(logdir, "odd", mode="a") as logger:
            logger.add_scalar("a", 1.0)
        assert run.status == "finished"


@pytest.mark.parametrize("make", SPECIAL)
def test_an_event_file_that_is_none_ends_nothing(
    logdir: Path, make: Callable[[Path], None]
) -> None:
    """It is passed over, by readers and by Loggers."""
    finished(logdir, "one", tau=1)
    make(logdir / "one" / "events.out.tfevents.0000000001.host.1.0000")
    make(logdir / "odd")
    assert search(logdir) == "['one']"
    with Logger(logdir, "one", mode="a") as logger:
        logger.add_scalar("a", 1.0)
    assert Run(logdir / "one").scalars("a").values.tolist() == [1.0]


@pytest.mark.parametrize(
    "dates",
    [
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
        ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"),
        ("0001-01-01T00:00:00", "9999-12-31T23:59:59"),
    ],
)
@pytest.mark.parametrize("status", ["finished", "running"])
def test_dates_at_the_edge_of_the_calendar_end_nothing(
    logdir: Path, dates: tuple[str, str], status: str
) -> None:
    """Such a date counts as none."""
    finished(logdir, "one", tau=1)
    finished(logdir, "odd", tau=1)
    record = logdir / "odd" / "run.json"
    said = json.loads(record.read_text())
    said |= {"started": dates[0], "ended": dates[1], "status": status}
    record.write_text(json.dumps(said))
    [events] = (logdir / "odd").glob("*tfevents*")
    os.utime(events, (2**40, 2**40))  # far away, too
    assert search(logdir) == "['odd', 'one']"
    with Logger(logdir, "odd", mode="a") as logger:
        logger.add_scalar("a", 1.0, time=1.0)
    Run(logdir / "odd").duration  # noqa: B018


def test_only_some_of_what_cannot_be_read_is_named(logdir: Path) -> None:
    """The warning stays short."""
    for number in range(9):
        (logdir / f"run {number}").mkdir(parents=True)
        no_record(logdir / f"run {number}" / "run.json")
    with pytest.warns(UserWarning, match=r"run\.json \(.*\), and 4 more$"):
        assert len(find_runs(logdir)) == 9


def test_runs_without_a_start_are_listed(logdir: Path) -> None:
    """A column that every run has may be empty for all."""
    (logdir / "run").mkdir(parents=True)
    (logdir / "run" / "run.json").write_text("{}")
    assert search(logdir) == "['run']"


def test_runs_become_one_table(logdir: Path) -> None:
    """There is a row per run, with the parameters and metrics of all runs."""
    pytest.importorskip("pandas")
    finished(logdir, "one", tau=10.0, rule="oja")
    finished(logdir, "sweep/two", tau=20.0)
    Logger(logdir, "three").close()
    table = find_runs(logdir).to_pandas()
    assert list(table.index) == ["three", "sweep/two", "one"]
    assert list(table.columns) == [
        *("status", "started", "duration", "params.tau", "params.rule"),
        "metrics.loss",
    ]
    row = table.loc["one"]
    assert (row["params.rule"], row["metrics.loss"]) == ("oja", 5.0)
    assert row["duration"] >= 0
    assert table["params.tau"].isna().tolist() == [True, False, False]
    assert list(find_runs(logdir, status="failed").to_pandas().columns) == [
        *("status", "started", "duration")
    ]


def test_a_slice_of_runs_is_runs(logdir: Path) -> None:
    """The newest ones make a table, too."""
    for name in "abc":
        Logger(logdir, name).close()
    newest = find_runs(logdir)[:2]
    assert [run.path.name for run in newest] == ["c", "b"]
    assert newest.logdir == logdir
    assert find_runs(logdir)[0].path.name == "c"
    pytest.importorskip("pandas", reason="needs annarchy-tb[pandas]")
    assert newest.to_pandas().index.tolist() == ["c", "b"]
