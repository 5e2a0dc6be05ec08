from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import sys
import sysconfig
import termios
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from conftest import Said, call

import annarchy_tb
from annarchy_tb import Logger, Run
from annarchy_tb.reading.find import found_with_records
from annarchy_tb.tfevents.event_file import event_files

SCRIPT = Path(sysconfig.get_path("scripts")) / "annarchy-tb"


def names(result: Said) -> list[str]:
    """Return the first word of each line of a table."""
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    return [words[0] for words in lines[1:]]


def on_terminal(width: int, *arguments: object) -> list[str]:
    """Return the lines that the command line writes to a terminal of this width."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "TERM")}
    done = subprocess.Popen(
        [SCRIPT, *map(str, arguments)],
        stdout=its,
        stderr=subprocess.PIPE,
        env={**environment, "TERM": "xterm"},
    )
    os.close(its)
    said = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while found := os.read(ours, 1 << 16):
            said += found
    os.close(ours)
    _, errors = done.communicate()
    assert (done.returncode, errors) == (0, b"")
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).splitlines()


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
    """It can be copied; a longer one is shortened in the middle, its ends tell most."""
    name = "Nov20_14-11-22_a-host-of-some-cluster"
    long = f"sweep/{'x' * 80}/trial9"
    for one in (name, long):
        with Logger(tmp_path, one) as logger:
            logger.add_parameters({"learning/rate": 0.05}, {"Result/Selectivity": 0.5})
    lines = on_terminal(80, "ls", tmp_path)
    assert lines[2].startswith(f"{name} ")
    assert re.match(r"sweep/x+…x+/trial9 ", lines[1])
    assert max(map(len, lines)) <= 80
    [_, wide, _] = on_terminal(80, "ls", tmp_path, "--wide")
    assert wide.startswith(long)
    assert wide.split()[-2:] == ["0.05", "0.5"]


@pytest.fixture
def thirty(tmp_path: Path) -> Path:
    """Return a directory with 30 runs of 12 parameters, three of them all the same."""
    for number in range(30):
        with Logger(tmp_path / "thirty", f"trial{number:02d}") as logger:
            same = {"rule": "oja", "dt": 0.1, "shape": [10, 10]}
            differing = {f"parameter {k}": number * 10.0**k for k in range(9)}
            results = {"loss": 1.0 / (number + 1), "Final/rate (Hz)": 3.0 * number}
            logger.add_parameters({**same, **differing}, results)
    return tmp_path / "thirty"


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_ls_is_a_line_a_run_on_a_terminal(thirty: Path, width: int) -> None:
    """It has what differs, as far as there is room, and says what was left out."""
    lines = on_terminal(width, "ls", thirty)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[1:31]] == [
        f"trial{number:02d}" for number in range(29, -1, -1)
    ]
    assert lines[0].split()[:4] == ["run", "status", "age", "duration"]
    *_, left, same = lines
    assert same.startswith("The same in all: rule=oja, dt=0.1, ")
    assert "rule" not in lines[0]
    if width == 300:
        assert lines[0].endswith("parameter 8     loss  Final/…(Hz)") or (
            "loss" in lines[0] and left == ""
        )
    else:
        assert left.startswith("Left out (--wide shows it): ")
    if width >= 80:
        assert "loss" in lines[0]
        assert re.match(r"trial29  finished +\d+ \w+ +0\.\d s +29 ", lines[1])


def test_ls_shows_what_is_asked_for(logdir: Path) -> None:
    """The columns are exactly those, and `-n` ends the list."""
    said = call("ls", logdir, "--columns", "tau,metrics.loss,started", "-n", "3")
    head, *rows = said.stdout.splitlines()
    assert re.split("  +", head) == ["run", "tau", "metrics.loss", "started"]
    assert [row.split()[0] for row in rows] == ["empty", "failed", "three"]
    assert rows[2].split()[1:3] == ["20", "-20"]
    assert re.search(r" \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d$", rows[2])
    assert said.stderr == "3 of 5 runs.\n"
    for columns, why in (("tau,nothing", "no run has 'nothing'"), ("a\nb", r"a\nb")):
        wrong = call("ls", logdir, "--columns", columns)
        assert (wrong.exit_code, why in wrong.output) == (2, True)
    assert names(call("ls", logdir, "--sort", "tau", "-n", "1")) == ["two"]


def test_a_parameter_may_be_named_as_anything_else(tmp_path: Path) -> None:
    """Its kind is in front of its name if that is a column or result, and asked for."""
    with Logger(tmp_path, "run") as logger:
        logger.add_parameters({"status": "mine", "loss": "mse"}, {"loss": 0.5})
    head, row = call("ls", tmp_path).output.splitlines()
    assert head.split()[4:] == ["params.status", "params.loss", "metrics.loss"]
    assert row.split()[-3:] == ["mine", "mse", "0.5"]
    wrong = call("ls", tmp_path, "--columns", "loss")
    assert wrong.exit_code == 2
    assert "write params.loss or metrics.loss" in wrong.output
    given = "status,params.status,params.loss,metrics.loss"
    [_, row] = call("ls", tmp_path, "--columns", given).output.splitlines()
    assert row.split() == ["run", "finished", "mine", "mse", "0.5"]


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    """A comma is quoted, and what a terminal acts on is shown as text."""
    with Logger(tmp_path, "run") as logger:
        logger.add_parameters({'a, "b"': 1, "<script>\n\x1b[2J": "<i>\n"})
    given = '"a, ""b""", "<script>\n\x1b[2J"'
    lines = call("ls", tmp_path, "--columns", given).output.splitlines()
    assert [re.split("  +", line) for line in lines] == [
        ["run", 'a, "b"', r"<script>\n\x1b[2J"],
        ["run", "1", r"<i>\n"],
    ]


def test_ls_writes_strict_json(logdir: Path) -> None:
    """It has all that is known of each run, a line each; NaN becomes null."""
    with Logger(logdir, "odd \x7f" + '"<script>') as logger:
        logger.add_parameters({"a\x7f": float("inf"), "b": None}, {"c": float("nan")})
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("v", np.nan, 3)
    said = call("ls", logdir, "--json").stdout
    runs = json.loads(said, parse_constant=pytest.fail)
    assert len(said.splitlines()) == len(runs) == 6
    assert said.isascii()
    assert "\x7f" not in said
    odd, *_, one = runs
    assert (one["run"], one["path"]) == ("one", str(logdir / "one"))
    assert one["params"] == {"tau": 30.0, "rule": "oja"}
    assert one["metrics"] == {"loss": -30.0}
    assert one["status"] == "finished"
    began, ended = (datetime.fromisoformat(one[key]) for key in ("started", "ended"))
    assert (ended - began).total_seconds() == pytest.approx(one["duration"])
    assert odd["not_finite"]["v"] == 3
    assert odd["metrics"] == {"c": None}
    assert json.loads(call("ls", logdir, "--json", "--status", "killed").stdout) == []


def test_a_run_that_vanishes_is_left_out(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are listed."""

    def vanishing(*arguments: Any, **options: Any) -> Any:
        runs = found_with_records(*arguments, **options)
        shutil.rmtree(logdir / "going")
        (logdir / "three" / "run.json").unlink()
        return runs

    (logdir / "going").mkdir()
    (logdir / "going" / "run.json").write_text("{}")
    monkeypatch.setattr("annarchy_tb.cli.found_with_records", vanishing)
    said = call("ls", logdir)
    assert (names(said), said.exit_code) == (
        ["empty", "failed", "three", "two", "one"],
        0,
    )


def test_the_command_is_installed(logdir: Path) -> None:
    """It runs as a program, and cuts no lines in a pipe."""
    script = Path(sysconfig.get_path("scripts")) / "annarchy-tb"
    said = subprocess.check_output([script, "ls", str(logdir)], text=True)
    assert "\x1b" not in said
    head, *_, last = said.splitlines()
    assert head.split()[-3:] == ["tau", "rule", "loss"]
    assert last.split()[-3:] == ["30", "oja", "-30"]
    version = subprocess.check_output([script, "--version"], text=True)
    assert annarchy_tb.__version__ in version


def test_ls_lists_runs(logdir: Path) -> None:
    """Runs are listed newest first, with all columns."""
    result = call("ls", logdir)
    assert names(result) == ["empty", "failed", "three", "two", "one"]
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


def test_a_run_is_found_by_its_name(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for below the default directory; the newest is the default."""
    monkeypatch.chdir(logdir.parent)
    assert str(logdir / "empty") in call("show").output
    assert str(logdir / "two") in call("show", "two").output
    (logdir.parent / "two").mkdir()  # which is no run
    assert str(logdir / "two") in call("show", "two").output
    assert "tau" in call("diff", "one", "two").output
    call("note", "one", "mine")
    assert "mine" in call("show", "one").output
    assert "one,a,,0,0.0" in call("export", "one", "--format", "csv").output
    Logger(logdir.parent, "two").close()
    assert str(logdir.parent / "two") in call("show", "two").output
    monkeypatch.setenv("ANNARCHY_TB_LOGDIR", str(logdir / "one"))
    assert "rule=oja" in call("show").output
    (logdir.parent / "none").mkdir()
    monkeypatch.setenv("ANNARCHY_TB_LOGDIR", "none")
    said = call("show")
    assert (said.exit_code, said.output[:30]) == (1, "Error: there are no runs below")


def test_all_times_are_in_one_zone(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the reader's, and written beside them; in JSON, it is UTC."""
    Run(logdir / "one").add_note("a note")
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        said = call("show", logdir / "one").output
        said += call("ls", logdir, "--columns", "started").output
        said += call("prune", logdir).output
    finally:
        monkeypatch.undo()
        time.tzset()
    times = re.findall(r"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d[^ ,\n]*", said)
    assert len(times) >= 2 + 2 + 1 + 5 + 2
    assert all(re.fullmatch(r"\S+ \S{8}\+05:45", one) for one in times), times
    assert call("ls", logdir, "--json").output.count("+00:00") == 2 * 5


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


@pytest.mark.parametrize("name", ["out.csv", "out.JSON", "csv"])
def test_export_knows_the_format_by_the_file(
    logdir: Path, tmp_path: Path, name: str
) -> None:
    """What is said by --format counts more."""
    path = tmp_path / name
    said = call("export", logdir / "one", "-o", path)
    if name == "csv":
        assert (said.exit_code, path.exists()) == (2, False)
        call("export", logdir / "one", "-o", path, "--format", "csv")
    assert path.read_text()[:4] == ('[{"r' if "JSON" in name else "run,")
    call("export", logdir / "one", "-o", path, "--format", "json")
    assert json.loads(path.read_text())[0]["run"] == str(logdir / "one")


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
    assert names(listed)[1:3] == ["empty", "failed"]
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
        (["export", "."], 2, "Pass --format"),
        (["export", ".", "-o", "a.txt"], 2, "Pass --format"),
        (["show", "nowhere"], 2, "'nowhere' does not exist"),
        (["show", "../runs"], 2, "'../runs' does not exist"),
        (["show"], 1, "there is no directory"),
        (["ls", ".", "-n", "0"], 2, "x>=1"),
        (["view", ".", "--port", "70000"], 2, "0<=x<=65535"),
        (["view", ".", "--samples_per_plugin", "images"], 2, "got 'images'"),
        (["view", ".", "--samples_per_plugin", "images=0"], 2, "got 'images=0'"),
        (["view", "nowhere"], 2, "'nowhere' does not exist"),
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


def test_ls_says_that_there_is_nothing(logdir: Path) -> None:
    """It says so in words instead of an empty table."""
    assert call("ls", logdir, "--status", "killed").output == "No runs found.\n"


def test_a_sort_that_no_run_has_is_refused(logdir: Path) -> None:
    """The error names the column, and what it may be."""
    result = call("ls", logdir, "--sort", "tua")
    assert result.exit_code == 2
    assert "no run has 'tua'; there is name, status, " in result.output


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
