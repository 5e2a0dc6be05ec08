"""The command line on any stream, with any text."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main
from annarchy_tb.terminal import cell, escaped

SCRIPT = str(Path(sysconfig.get_path("scripts")) / "annarchy-tb")

# Sets the title of a terminal, clears it, reverses what follows, and fakes a line.
HOSTILE = "a\x1b]0;title\x07\x1b[2J\x9b1m\u202eb\u2066\r\nc [red]\x7f"

COMMANDS = [
    "ls",
    "show runs/grün",
    "export runs/grün --format csv",
    "export runs/grün --format json",
    "prune",
    "note runs/grün text",
    "ls missing",
    "--help",
    "--version",
]


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """Return a directory with a few runs in ``runs``."""
    for name in ("grün", "膜"):
        with Logger(tmp_path / "runs", name) as logger:
            logger.add_parameters({"größe": "µ"}, {"π": 3.0})
            logger.add_scalar("tä", 1.0)
    (tmp_path / "runs" / "odd").mkdir()
    (tmp_path / "runs" / "odd" / "run.json").write_text("")  # gives a warning
    return tmp_path


def shell(command: str, where: Path, **environment: str) -> tuple[int, str, str]:
    """Run a command of the shell; return its status and what it wrote."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=where,
        env={**os.environ, **environment},
        capture_output=True,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_give_no_traceback(
    where: Path, command: str, streams: str
) -> None:
    """What can't be written is an error in a line, if there is a place for it."""
    status, out, said = shell(f"{SCRIPT} {command} {streams}", where)
    assert "Traceback" not in said
    lost = "missing" not in command and "note" not in command and ">&-" in streams
    if "missing" in command:
        assert status == 2
    elif lost and not streams.startswith("2"):
        assert (status, out) == (1, "")
        if "2>" not in streams:
            assert said.splitlines()[-1].endswith("standard output is closed")
    else:
        assert status == 0
    if command.startswith("note"):
        assert [note["text"] for note in Run(where / "runs" / "grün").notes] == ["text"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_goes_away_gives_no_message(
    where: Path, command: str, reader: str
) -> None:
    """Neither a traceback nor anything else, however short the output is."""
    _, _, said = shell(f"{SCRIPT} {command} | {reader}", where)
    rest = re.sub("(?m)^(find_runs: these|Usage|Try|Error: Invalid).*\n", "", said)
    assert rest.strip() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_an_error_in_a_line(where: Path, command: str) -> None:
    """Also if only the last bytes find no room."""
    status, _, said = shell(f"{SCRIPT} {command} > /dev/full", where)
    assert "Traceback" not in said
    if "note" in command:
        assert status == 0
    elif "missing" not in command:
        assert (status, said.splitlines()[-1][-23:]) == (1, "No space left on device")


NARROW = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("command", [c for c in COMMANDS if "runs" in c or c == "ls"])
@pytest.mark.parametrize("environment", NARROW)
def test_names_that_a_stream_cannot_encode_are_escaped(
    where: Path, command: str, environment: dict[str, str]
) -> None:
    """Tables have other characters in their place; data is in UTF-8."""
    done = subprocess.run(
        [SCRIPT, *command.split()],
        cwd=where,
        env={**os.environ, **environment},
        capture_output=True,
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    if command == "ls":
        assert re.search(r"\\u819c|\\udce8", done.stdout.decode())
    if command.endswith("csv"):
        assert "tä" in done.stdout.decode()


def acts(text: str) -> str:
    """Return the characters of a text that a terminal acts on, except of lines."""
    return "".join(c for c in text if not c.isprintable() and c != "\n")


def test_text_is_shown_and_never_acted_on(tmp_path: Path) -> None:
    """Whoever wrote it: in names, tags, parameters, errors and notes."""
    runs = tmp_path / "runs"
    name = HOSTILE.replace("/", "").replace("\r\n", "")
    error = type(HOSTILE, (Exception,), {})
    with pytest.raises(error), Logger(runs, name) as logger:
        logger.add_parameters({HOSTILE: HOSTILE}, {HOSTILE: 1.0})
        logger.add_scalar(f"tag {HOSTILE}", 1.0)
        logger.add_text(f"text {HOSTILE}", "a")
        raise error(HOSTILE)
    Run(runs / name).add_note(HOSTILE)
    (runs / "file \x1b]0;x").touch()
    (runs / f"odd{name}").mkdir()
    (runs / f"odd{name}" / "run.json").write_text("[")
    for command in (
        ["ls", runs],
        ["ls", runs, "--sort", HOSTILE],
        ["ls", runs, "--sort", f"x{HOSTILE}"],
        ["show", runs / name],
        ["show", runs / "file \x1b]0;x"],
        ["export", runs / name, "--format", "csv"],
        ["export", runs / name, "--format", "json"],
        ["prune", runs],
    ):
        done = CliRunner().invoke(main, [str(word) for word in command])
        assert acts(done.output) == "", command
        assert "a" in done.output
        if command[0] in ("ls", "show", "prune") and done.exit_code == 0:
            assert r"\x1b]0;title\x07" in done.output
            assert "[red]" in done.output  # no markup either
            assert "\nc" not in done.output.replace("c [red]", "c") or (
                command[0] == "show"
            )


def test_a_terminal_gets_no_escapes_of_others(tmp_path: Path) -> None:
    """The colours are our own, also of data that is exported to a terminal."""
    with Logger(tmp_path / "runs", "run") as logger:
        logger.add_scalar("tag\x1b]0;title\x07", 1.0)
    for command in (["show"], ["export", "--format", "csv"]):
        master, slave = pty.openpty()
        words = [SCRIPT, command[0], str(tmp_path / "runs" / "run"), *command[1:]]
        subprocess.run(words, stdout=slave, stderr=slave, check=True)
        os.close(slave)
        said = os.read(master, 1 << 16).decode()
        os.close(master)
        ours = re.sub("\x1b\\[[0-9;]*m", "", said)
        assert acts(ours.replace("\r\n", "\n")) == ""
        assert r"tag\x1b]0;title\x07" in ours


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("膜 a\xe4 π\u3000x", "膜 a\xe4 π\u3000x"),
        ("a\tb\nc", r"a\tb\nc"),
        ("\x1b[1m", r"\x1b[1m"),
        ("\x9b\x85\u2028", r"\x9b\x85\u2028"),
        ("\u202e\u2066\u200e\ufeff", r"\u202e\u2066\u200e\ufeff"),
        ("\udcff", r"\udcff"),
    ],
)
def test_characters_are_escaped_as_in_python(text: str, wanted: str) -> None:
    """All others are kept."""
    assert escaped(text) == wanted


FORMULAS = ["=1+1", "+a", "-a", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\r=1", "--1"]
HARMLESS = ["-5", "+3", "-1e-3", "+inf", "a=b", "5", "Rate (Hz)", "'a", ""]


@pytest.mark.parametrize("tag", [*FORMULAS, *HARMLESS])
def test_cells_are_no_formulas(tmp_path: Path, tag: str) -> None:
    """Names that begin like one have an apostrophe; numbers stay numbers."""
    assert cell(tag) == ("'" if tag in FORMULAS else "") + escaped(tag)
    with Logger(tmp_path / "runs", "run") as logger:
        logger.add_scalar(tag or "none", -5.0)
        logger.add_scalars("plot", {tag or "none": -5.0})
    done = CliRunner().invoke(
        main, ["export", str(tmp_path / "runs" / "run"), "--format", "csv"]
    )
    rows = list(csv.DictReader(io.StringIO(done.output)))
    assert rows[0]["tag"] == cell(tag or "none")
    [name] = Run(tmp_path / "runs" / "run").curves("plot")
    assert rows[1]["curve"] == cell(name)
    assert {row["value"] for row in rows} == {"-5.0"}


def test_a_long_record_is_listed_in_short(tmp_path: Path) -> None:
    """A few lines of parameters are enough to tell runs apart."""
    (tmp_path / "run").mkdir()
    params = {f"parameter {number}": number for number in range(100_000)}
    (tmp_path / "run" / "run.json").write_text(json.dumps({"params": params}))
    done = CliRunner().invoke(main, ["ls", str(tmp_path)])
    assert "  parameter 1  " in done.output
    assert "99" in done.output  # thousand and some were left out
    assert len(done.output) < 10_000


WITHOUT_STREAMS = """
import os, sys, warnings
from annarchy_tb import Logger
assert sys.stderr is None
with Logger("runs", "run") as logger:
    logger.add_scalar("a", float("nan"), 5)
    logger.add_scalar("a", 1.0, 3)
    logger.add_series("s", [1.0, 2.0])
    logger.add_scalars("plot", {f"curve {n}": 1.0 for n in range(40)})
    for _ in logger.track(range(3), show="a"):
        pass
    for descriptor in (0, 1, 2):
        try:
            os.write(descriptor, b"written by C code")
        except OSError:
            pass
    logger.add_scalars("plot", {f"curve {n}": 2.0 for n in range(40)})
    logger.add_scalar("a", 2.0, 6)
"""


def test_a_simulation_without_streams_keeps_its_data(tmp_path: Path) -> None:
    """Warnings go nowhere, and no file of the run takes the place of a stream."""
    (tmp_path / "simulation.py").write_text(WITHOUT_STREAMS)
    command = f"exec {sys.executable} simulation.py <&- >&- 2>&-"
    status, _, _ = shell(command, tmp_path)
    assert status == 0
    run = Run(tmp_path / "runs" / "run")
    assert run.scalars("a").values.tolist()[1:] == [1.0, 2.0]
    assert run.scalars("s").values.tolist() == [1.0, 2.0]
    curves = run.curves("plot").values()
    assert [points.values.tolist() for points in curves] == [[1.0, 2.0]] * 40
    assert run.damage() == []
