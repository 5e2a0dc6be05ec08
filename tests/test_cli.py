from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import sysconfig
import termios
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
from click.testing import CliRunner, Result

import annarchy_tb
from annarchy_tb import Logger
from annarchy_tb.cli import main
from annarchy_tb.tfevents.event_file import event_files


def call(*arguments: object) -> Result:
    """Run the command line, and raise its exceptions."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def names(result: Result) -> list[str]:
    """Return the first word of each line of a table."""
    lines = [line.split() for line in result.output.splitlines() if line.strip()]
    return [words[0] for words in lines[2:]]


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Return a directory with various runs."""
    logdir = tmp_path / "runs"
    for name, tau in (("one", 30.0), ("two", 10.0), ("three", 20.0)):
        with Logger(logdir, name) as logger:
            logger.add_parameters({"tau": tau, "rule": "oja"}, {"loss": -tau})
            for step in range(3):
                logger.add_scalar("a", step / 2, step)
                logger.add_scalars("plot", {"train": step})
            logger.add_text("t", "text")
    with pytest.raises(ZeroDivisionError), Logger(logdir, "failed") as logger:
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("a", np.nan)
        raise ZeroDivisionError
    Logger(logdir, "empty").close()
    return logdir


def test_a_name_stays_whole_on_a_terminal(tmp_path: Path) -> None:
    """It can be copied, and the cells beside it lose nothing."""
    name = "Nov20_14-11-22_a-host-of-some-cluster"
    with Logger(tmp_path, name) as logger:
        logger.add_parameters({"learning/rate": 0.05}, {"Result/Selectivity": 0.5})
    script = Path(sysconfig.get_path("scripts")) / "annarchy-tb"
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    subprocess.run(
        [script, "ls", str(tmp_path)], stdout=its, env=environment, check=True
    )
    said = os.read(ours, 100_000).decode()
    os.close(its)
    os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    [first] = [number for number, line in enumerate(lines) if name in line]
    cell = "".join(line.rstrip().split("  ")[-1].strip() for line in lines[first:])
    assert cell == "Result/Selectivity=0.5"
    assert max(map(len, lines)) <= 100


def test_the_command_is_installed(logdir: Path) -> None:
    """It runs as a program, and cuts no lines in a pipe."""
    script = Path(sysconfig.get_path("scripts")) / "annarchy-tb"
    said = subprocess.check_output([script, "ls", str(logdir)], text=True)
    assert "tau=30, rule=oja" in said
    assert "\x1b" not in said
    version = subprocess.check_output([script, "--version"], text=True)
    assert annarchy_tb.__version__ in version


def test_ls_lists_runs(logdir: Path) -> None:
    """Runs are listed newest first, with all columns."""
    result = call("ls", logdir)
    assert names(result) == ["empty", "failed", "three", "two", "one"]
    assert "loss=-30" in result.output
    assert names(call("ls", logdir, "--status", "failed")) == ["failed"]
    both = call("ls", logdir, "--status", "failed", "--status", "running")
    assert names(both) == ["failed"]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("tau", ["two", "three", "one"]),
        ("params.tau", ["two", "three", "one"]),
        ("loss", ["one", "three", "two"]),
        ("metrics.loss", ["one", "three", "two"]),
        ("run", ["empty", "failed", "one"]),
        ("status", ["failed"]),
        ("duration", []),
    ],
)
def test_ls_sorts_by_any_column(logdir: Path, sort: str, order: list[str]) -> None:
    """Runs without a value come last, in both directions."""
    assert names(call("ls", logdir, "--sort", sort))[: len(order)] == order
    if len(order) == 3 and sort != "run":
        turned = names(call("ls", logdir, "--sort", sort, "--reverse"))
        assert turned == [*order[::-1], "empty", "failed"]


def test_ls_looks_in_runs_by_default(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is `runs`, where the Logger writes by default."""
    monkeypatch.chdir(logdir.parent)
    assert len(names(call("ls"))) == 5


def test_show_tells_all_of_a_run(logdir: Path) -> None:
    """It shows run.json, and each tag with its points and last value."""
    said = call("show", logdir / "one").output
    assert "rule=oja" in said
    lines = [line.split() for line in said.splitlines()]
    assert ["a", "scalar", "3", "2", "1"] in lines
    assert ["plot", "train", "scalar", "3", "2", "2"] in lines
    assert ["t", "text"] in lines
    assert "ZeroDivisionError" in call("show", logdir / "failed").output


def test_show_tells_of_damage(logdir: Path) -> None:
    """A separate line names the file and the byte."""
    [path] = event_files(logdir / "one")
    with path.open("ab") as stream:
        stream.write(b"more")
    said = call("show", logdir / "one")
    assert f"{path} is damaged at byte {path.stat().st_size - 4}" in said.output


def test_export_writes_every_point_as_csv(logdir: Path) -> None:
    """It covers several runs and their curves."""
    said = call("export", logdir / "one", logdir / "failed", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(said)))
    columns = ["run", "tag", "curve", "step", "value", "time", "wall_time"]
    assert list(rows[0]) == columns
    mine = [row for row in rows if row["run"] == str(logdir / "one")]
    assert [float(row["value"]) for row in mine if row["tag"] == "a"] == [0, 0.5, 1]
    assert [row["curve"] for row in mine if row["tag"] == "plot"] == ["train"] * 3
    [other] = [row for row in rows if row["run"] == str(logdir / "failed")]
    assert np.isnan(float(other["value"]))


def test_export_writes_runs_as_json(logdir: Path, tmp_path: Path) -> None:
    """It includes run.json; NaN becomes null."""
    path = tmp_path / "out.json"
    call("export", logdir / "one", logdir / "failed", "--format", "json", "-o", path)
    one, failed = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert one["info"]["params"] == {"tau": 30.0, "rule": "oja"}
    assert one["scalars"][0]["steps"] == [0]
    assert {entry["tag"] for entry in one["scalars"]} == {"loss", "a", "plot"}
    assert failed["scalars"][0]["values"] == [None]


def test_export_writes_parquet(logdir: Path, tmp_path: Path) -> None:
    """pandas reads it back."""
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "out.parquet"
    call("export", logdir / "one", "--format", "parquet", "--output", path)
    table = pandas.read_parquet(path)
    assert table[table.tag == "a"].value.tolist() == [0, 0.5, 1]
    result = call("export", logdir / "one", "--format", "parquet")
    assert (result.exit_code, "--output" in result.output) == (2, True)


def test_prune_lists_and_removes(logdir: Path) -> None:
    """It removes failed and empty runs, and only with --yes."""
    listed = call("prune", logdir)
    assert names(listed)[:2] == ["empty", "failed"]
    assert "ZeroDivisionError" in listed.output
    assert "--yes" in listed.output
    assert len(list(logdir.iterdir())) == 5
    assert "2 removed" in call("prune", logdir, "--yes").output
    assert {path.name for path in logdir.iterdir()} == {"one", "two", "three"}
    assert "nothing to remove" in call("prune", logdir, "--yes").output


def test_prune_never_removes_what_may_go_on(logdir: Path) -> None:
    """Running runs, and those of other hosts or writers or with files, are kept."""
    tensorboardX.SummaryWriter(str(logdir / "theirs")).close()
    for name in ("file", "checkpoint"):
        with Logger(logdir, name) as logger:
            if name == "file":
                logger.path("notes.txt").write_text("mine")
            else:
                logger.save_checkpoint({}, 1)
    with Logger(logdir, "params") as logger:
        logger.add_parameters({"a": 1})
    with Logger(logdir, "outer"):
        with Logger(logdir, "outer/inner") as inner:
            inner.add_scalar("a", 1)
        with Logger(logdir, "elsewhere") as logger:
            record = (logger.run_dir / "run.json").read_text()
        record = record.replace(socket.gethostname(), "elsewhere")
        (logdir / "elsewhere" / "run.json").write_text(record)
        call("prune", logdir, "--yes")
        kept = {path.name for path in logdir.iterdir()}
    assert kept >= {"theirs", "file", "checkpoint", "params", "outer", "elsewhere"}
    call("prune", logdir, "--yes")
    assert (logdir / "outer" / "inner").exists()


def test_prune_is_careful(logdir: Path, tmp_path: Path) -> None:
    """Damaged runs are not empty; checkpoints, foreign runs and links are kept."""
    with Logger(logdir, "damaged") as logger:
        logger.add_series("a", np.arange(1000))
    [path] = event_files(logdir / "damaged")
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    for name in ("resumable", "holds another", "holds ours"):
        with pytest.raises(ZeroDivisionError), Logger(logdir, name) as logger:
            if name == "resumable":
                logger.save_checkpoint({}, 1)
            raise ZeroDivisionError
    with tensorboardX.SummaryWriter(str(logdir / "holds another" / "x")) as theirs:
        theirs.add_scalar("a", 1, 1)
    Logger(logdir, "holds ours/y").close()
    (logdir / "foreign").mkdir()
    (logdir / "foreign" / "run.json").write_text('{"status": "failed"}')
    with pytest.raises(ZeroDivisionError), Logger(tmp_path / "other", "run"):
        raise ZeroDivisionError
    (logdir / "a link").symlink_to(tmp_path / "other" / "run")
    (logdir / "links").symlink_to(tmp_path / "other")
    result = call("prune", logdir, "--yes")
    assert "3 removed" in result.output  # failed, empty, holds ours/y
    kept = {path.name for path in logdir.iterdir()}
    assert kept == {
        *("one", "two", "three", "damaged", "resumable", "holds another", "foreign"),
        *("holds ours", "a link", "links"),
    }
    assert (tmp_path / "other" / "run").exists()
    assert "2 removed" in call("prune", logdir, "--yes", "--with-checkpoints").output
    assert not (logdir / "resumable").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ls", "nowhere"], 2, "'nowhere' does not exist"),
        (["show", "."], 1, "neither run.json nor event files"),
        (["ls", ".", "--status", "done"], 2, "'done' is not one of"),
        (["export", "."], 2, "Missing option '--format'"),
        (["export", "--format", "csv"], 2, "Missing argument 'RUNS...'"),
    ],
)
def test_wrong_arguments_are_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """There is no traceback, and an exit status for scripts."""
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert (result.exit_code, message in result.output) == (code, True)


def test_ls_of_very_many_runs_is_a_line_each(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same columns, in the same order."""
    table = call("ls", logdir).output
    monkeypatch.setattr("annarchy_tb.cli.MANY", 3)
    lines = call("ls", logdir).output.splitlines()
    assert len(lines) == 1 + 5
    cells = [[its.split() for its in text] for text in (table.splitlines(), lines)]
    assert [its for its in cells[0] if its and "\u2500" not in its[0]] == cells[1]


def test_ls_says_that_there_is_nothing(logdir: Path) -> None:
    """It says so in words instead of an empty table."""
    assert call("ls", logdir, "--status", "killed").output == "No runs found.\n"


def test_a_sort_that_no_run_has_is_refused(logdir: Path) -> None:
    """The error names the column."""
    result = call("ls", logdir, "--sort", "tua")
    assert (result.exit_code, "no run has a 'tua'" in result.output) == (2, True)


def test_a_reader_that_goes_away_is_no_error(logdir: Path) -> None:
    """An example is ``annarchy-tb export ... | head -1``."""
    with Logger(logdir, "long") as logger:
        logger.add_series("a", np.arange(100_000))
    script = Path(sysconfig.get_path("scripts")) / "annarchy-tb"
    command = f"{script} export {logdir / 'long'} --format csv | head -1"
    said = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert said.stdout == "run,tag,curve,step,value,time,wall_time\n"
    assert said.stderr == ""


def test_the_package_does_not_need_the_command_line() -> None:
    """Only the command imports click and rich."""
    code = """
import sys
from annarchy_tb import Logger, Run, find_runs
assert not {"click", "rich"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
