"""annarchy-tb diff says what differs between two runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tensorboardX
from click.testing import CliRunner

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main
from annarchy_tb.reading.difference import differences


def make(logdir: Path, name: str, **fields: Any) -> Path:
    """Return a run with these fields in its record, which has nothing else to tell."""
    Logger(logdir, name).close()
    path = logdir / name / "run.json"
    nothing = dict.fromkeys(("git", "versions", "python", "environment"))
    record = {**json.loads(path.read_text()), **nothing, **fields}
    path.write_text(json.dumps(record))
    return path.parent


def said(*arguments: object) -> str:
    result = CliRunner().invoke(main, ["diff", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def rows(one: Path, other: Path) -> list[tuple[str, ...]]:
    return [tuple(row) for row in differences(Run(one), Run(other))]


def test_runs_that_are_alike_have_no_differences(logdir: Path) -> None:
    """It says so in words; the exit status is that of success."""
    its = {"params": {"a": 1, "b": None}, "metrics": {"loss": 0.1}}
    one, other = make(logdir, "one", **its), make(logdir, "other", **its)
    assert said(one, other) == "No differences found.\n"


def test_all_that_differs_is_listed(logdir: Path) -> None:
    """What is the same is not; numbers have all their digits."""
    one = make(
        logdir,
        "one",
        params={"tau": 0.1, "same": 1, "only here": "x", "flag": True},
        metrics={"loss": 0.25},
        dt=0.1,
        environment={"OMP_NUM_THREADS": "4"},
        python="3.11.7",
        versions={"numpy": "1.26.4", "annarchy_tb": "0.1.0"},
        git={"commit": "a" * 40, "dirty": False},
    )
    other = make(
        logdir,
        "other",
        params={"tau": 0.1 + 1e-17 + 1e-16, "same": 1.0, "flag": 1},
        metrics={"loss": None},
        dt=0.2,
        python="3.12.1",
        versions={"numpy": "2.1.0", "annarchy_tb": "0.1.0"},
        git={"commit": "b" * 40, "dirty": True},
    )
    assert rows(one, other) == [
        ("parameter", "tau", "0.1", "0.10000000000000012"),
        ("parameter", "only here", "x", ""),
        ("parameter", "flag", "True", "1"),
        ("result", "loss", "0.25", "None"),
        ("setting", "dt", "0.1", "0.2"),
        ("environment", "OMP_NUM_THREADS", "4", ""),
        ("version", "python", "3.11.7", "3.12.1"),
        ("version", "numpy", "1.26.4", "2.1.0"),
        ("code", "commit", "a" * 40, "b" * 40),
        ("code", "uncommitted changes", "no", "yes"),
        ("changes", "(all files)", "", "not kept"),
    ]
    lines = said(one, other).splitlines()
    [first] = [line for line in lines if "only here" in line]
    [second] = [line for line in lines if "0.10000000000000012" in line]
    assert first.index("x") == second.index("0.1")  # aligned


PATCH = b"""diff --git a/sim.py b/sim.py
index 1111111..%s 100644
--- a/sim.py
+++ b/sim.py
@@ -1,2 +1,3 @@ def run():
 same
-old
+diff --git a/no b/no
%s
diff --git a/same.py b/same.py
index 1111111..2222222 100644
--- a/same.py
+++ b/same.py
@@ -1 +1 @@
--- a
+++ b
diff --git a/data.bin b/data.bin
index 1111111..%s 100644
Binary files a/data.bin and b/data.bin differ
"""


def keep(run: Path, patch: bytes | None, packages: str, **said: Any) -> None:
    """Give a run a source."""
    (run / "source").mkdir()
    (run / "source" / "packages.txt").write_text(packages)
    its = {"packages": "source/packages.txt", "complete": True, "why": None, **said}
    if patch is not None:
        (run / "source" / "changes.patch").write_bytes(patch)
        its["changes"] = its.get("changes", "source/changes.patch")
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "source": its}))


def test_kept_sources_are_compared(logdir: Path) -> None:
    """All packages count then, and each file whose changes differ is named."""
    versions = {"numpy": "1.26.4"}
    one = make(logdir, "one", versions=versions)
    other = make(logdir, "other", versions=versions)
    keep(one, PATCH % (b"2222222", b"+new", b"3333333"), "numpy==2.0\nonly==1\n")
    keep(other, PATCH % (b"2222223", b"+now\n+new", b"4444444"), "numpy==2.1\n")
    found = rows(one, other)
    assert found[:2] == [
        ("version", "numpy", "2.0", "2.1"),
        ("version", "only", "1", ""),
    ]
    assert [row[:2] for row in found[2:]] == [
        ("changes", "sim.py"),
        ("changes", "data.bin"),
    ]
    assert found[2][2].startswith("+2 -1 (")
    assert found[2][3].startswith("+3 -1 (")


def test_a_source_that_one_run_lacks_is_told(logdir: Path) -> None:
    """The same holds for a patch that is not complete."""
    git = {"commit": "a" * 40, "dirty": True}
    one, other = (make(logdir, name, git=git) for name in ("one", "other"))
    keep(
        other, PATCH % (b"2222222", b"+new", b"3333333"), "", complete=False, why="long"
    )
    found = rows(one, other)
    assert found[0] == ("changes", "(all files)", "not kept", "not complete: long")
    assert [row[2] for row in found[1:]] == ["", "", ""]


@pytest.mark.parametrize(
    "place", ["../secret", "source/../../secret", "/etc/passwd", 7]
)
def test_no_file_outside_of_the_source_is_read(place: object, logdir: Path) -> None:
    """run.json may be anybody's, and so may links in the run."""
    one, other = make(logdir, "one"), make(logdir, "other")
    (logdir / "secret").write_bytes(PATCH % (b"1", b"+secret", b"2"))
    keep(one, b"", "", changes=place)
    assert rows(one, other) == []
    (one / "source" / "changes.patch").unlink()
    (one / "source" / "changes.patch").symlink_to(logdir / "secret")
    path = one / "run.json"
    record = json.loads(path.read_text())
    record["source"]["changes"] = "source/changes.patch"
    path.write_text(json.dumps(record))
    assert rows(one, other) == []
    (one / "source" / "changes.patch").unlink()
    os.mkfifo(one / "source" / "changes.patch")
    assert rows(one, other) == []


def test_hostile_names_are_shown_and_not_acted_on(logdir: Path) -> None:
    """Those of parameters, of packages, and of files in a patch, in one line each."""
    evil = "\x1b[2J\nname\u202e [bold]"
    one = make(logdir, "one", params={evil: evil})
    other = make(logdir, "other")
    keep(one, PATCH.replace(b"sim.py", b"\x1b[31m.py") % (b"1", b"+a", b"2"), "")
    text = said(one, other)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J\\nname\\u202e [bold]" in text
    assert "\\x1b[31m.py" in text


def test_runs_of_other_writers_have_parameters_to_compare(
    tmp_path: Path, logdir: Path
) -> None:
    """Their event files tell."""
    for name, tau in (("a", 1.0), ("b", 2.0)):
        with tensorboardX.SummaryWriter(str(tmp_path / name)) as theirs:
            theirs.add_hparams({"tau": tau}, {"loss": 1.0}, name=".")
    found = rows(tmp_path / "a", tmp_path / "b")
    assert found == [("parameter", "tau", "1.0", "2.0")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["one"], 2, "Missing argument 'B'"),
        (["one", "nowhere"], 2, "'nowhere' does not exist"),
        (["one", "."], 1, "neither run.json nor event files"),
    ],
)
def test_what_is_no_run_is_refused(
    arguments: list[str],
    code: int,
    message: str,
    logdir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is refused as by show, in a line."""
    make(logdir, "one")
    monkeypatch.chdir(logdir)
    result = CliRunner().invoke(main, ["diff", *arguments])
    assert (result.exit_code, message in result.output) == (code, True)
