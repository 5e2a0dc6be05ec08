"""Runs as text files: JSON lines and CSV, each point once whatever is killed."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import call, died, fill, kill_before
from pushed import (
    catch_up,
    every_kind,
    lines,
    looping,
    of_every_kind,
    points_in,
    points_of,
)

from annarchy_tb import Logger, Run
from annarchy_tb.follow import follow
from annarchy_tb.follow.targets.lines import COLUMNS, JsonLines
from annarchy_tb.reading import News


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return a directory for text files."""
    return tmp_path / "out"


def test_a_finished_run_is_all_there(logdir: Path, out: Path) -> None:
    """Each point is a line with its double, other kinds are described, and the end."""
    run = of_every_kind(logdir, "sweep/run")
    [result] = follow(logdir, f"jsonl:{out}")
    assert result[1:] == (f"jsonl:{out}", "finished", len(points_of(run)), 0, 0, None)
    found = lines(out / "sweep" / "run.jsonl")
    assert points_in(found) == points_of(run)
    its = {line["step"]: line for line in found if line.get("tag") == "b"}
    assert its[2]["time"] == 2 / 7
    assert its[2]["wall_time"] == Run(run).scalars("b").wall_times[2]
    kinds = {line["tag"]: line["text"] for line in found[:-1] if line.get("kind")}
    assert kinds == {
        "text": "step 2",
        "html": "<b>step 2</b>",
        "image": "4 x 4 pixels",
        "histogram": "5 values from 0 to 4",
        "audio": "0.00125 s at 8000 Hz",
        "raster": "320 x 200 pixels",
    }
    params = {"tau": 10.0, "net/size": 100, "rule": "STDP"}
    end = {"kind": "end", "status": "finished", "params": params}
    assert found[-1] == {**end, "metrics": {"loss": 0.5}}


def test_a_table_has_the_same_points(logdir: Path, out: Path) -> None:
    """Of CSV, a row is a point or a value, also if names are odd."""
    with Logger(logdir, "run") as logger:
        every_kind(logger, 1)
        logger.add_scalar('=1+"x",\n', 0.1)
        logger.add_text("text", "two\nlines, and more")
    follow(logdir, f"csv:{out}")
    with (out / "run.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    text = (out / "run.csv").read_text()
    assert len(text.splitlines()) == len(rows) + 1
    assert text.startswith(",".join(COLUMNS) + "\n")
    found = sorted(
        (row["curve"], row["tag"], int(row["step"]), float(row["value"]))
        for row in rows
        if not row["kind"]
    )
    wanted = [
        (curve, r"'=1+\"x\",\n".replace('\\"', '"') if tag[0] == "=" else tag, *its)
        for curve, tag, *its in points_of(logger.run_dir)
    ]
    assert found == sorted(wanted)
    assert [r["text"] for r in rows if r["tag"] == "text"][1] == r"two\nlines, and more"


@pytest.mark.filterwarnings("ignore:.*the first of this tag")
def test_numbers_that_json_lacks_are_said(logdir: Path, out: Path) -> None:
    """NaN is null, infinity a text; a spreadsheet reads nan, inf and -inf."""
    with Logger(logdir, "run") as logger:
        for value in (math.nan, math.inf, -math.inf, 5e-324, -0.0):
            logger.add_scalar("x", value)
        logger.add_series("whole", np.array([2**60 + 1]))
        logger.add_series("flag", np.array([True, False]))
        logger.add_series("single", np.array([0.1], np.float32))
    follow(logdir, [f"jsonl:{out}", f"csv:{out}"])
    found = [line for line in lines(out / "run.jsonl") if "value" in line]
    values = [line["value"] for line in found if line["tag"] == "x"]
    assert values == [None, "Infinity", "-Infinity", 5e-324, 0.0]
    assert math.copysign(1, values[-1]) == -1
    others = [line["value"] for line in found if line["tag"] != "x"]
    assert others == [2**60 + 1, 1, 0, float(np.float32(0.1))]
    rows = (out / "run.csv").read_text().splitlines()[1:6]
    assert [row.split(",")[5] for row in rows] == [
        "nan",
        "inf",
        "-inf",
        "5e-324",
        "-0.0",
    ]


def test_a_run_is_there_while_it_is_written(logdir: Path, out: Path) -> None:
    """Whole lines come after each call, and each point once."""
    with Logger(logdir, "run") as logger:
        loop = looping(logdir, f"jsonl:{out}")
        for step in range(3):
            every_kind(logger, step)
            catch_up(loop)
            found = lines(out / "run.jsonl")
            assert points_in(found) == points_of(logger.run_dir)
            assert not loop.is_done()
    catch_up(loop)
    assert loop.is_done()
    found = lines(out / "run.jsonl")
    assert points_in(found) == points_of(logger.run_dir)
    assert found[-1]["status"] == "finished"
    loop.close()


def test_no_point_is_lost_or_doubled_wherever_it_is_killed(
    logdir: Path, out: Path
) -> None:
    """At each of its operations on files, of a run that was pushed in part before."""
    state = logdir / ".annarchy_tb"
    with Logger(logdir, "run") as logger:
        every_kind(logger, 0)
        follow(logdir, f"jsonl:{out}", once=True)
        for copied in (state, out):
            shutil.copytree(copied, copied.with_suffix(".before"))
        every_kind(logger, 1)
    wanted = points_of(logger.run_dir)
    number = kills = 0
    while True:
        for copied in (state, out):
            shutil.rmtree(copied)
            shutil.copytree(copied.with_suffix(".before"), copied)

        def work(number: int = number) -> None:
            kill_before(number, logdir.parent)
            follow(logdir, f"jsonl:{out}")

        killed = died(work)
        follow(logdir, f"jsonl:{out}")
        assert points_in(lines(out / "run.jsonl")) == wanted
        kills += killed
        number += 1 if number < 8 else 5
        if not killed:
            break
    assert kills > 8


class Killed(JsonLines):
    """Killed when a part has been written, before the state says so."""

    after = 0

    def push(self, news: News) -> None:
        super().push(news)
        Killed.after -= 1
        if Killed.after == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def test_what_the_state_does_not_know_is_cut_off(logdir: Path, out: Path) -> None:
    """A part that was written, but not noted, is written again, and there once."""
    run = of_every_kind(logdir)
    killed, after = True, 0
    while killed:
        after += 1

        def work(after: int = after) -> None:
            Killed.after = after
            follow(logdir, (Killed, str(out)))

        killed = died(work)
        follow(logdir, (Killed, str(out)))
        assert points_in(lines(out / "run.jsonl")) == points_of(run)
        shutil.rmtree(out)
        shutil.rmtree(logdir / ".annarchy_tb")
    assert after > 3


def test_withdrawn_points_are_in_a_file_aside(logdir: Path, out: Path) -> None:
    """A resume takes back 500 points that were pushed: a new file has what counts."""
    loop = looping(logdir, f"jsonl:{out}", said=(said := []))
    with pytest.raises(RuntimeError, match="crash"), Logger(logdir, "run") as logger:
        for step in range(100):
            logger.add_scalar("x", step, step)
        logger.save_checkpoint({}, 100)
        for step in range(100, 600):
            logger.add_scalar("x", -step, step)
        catch_up(loop)
        assert len(points_in(lines(out / "run.jsonl"))) == 600
        raise RuntimeError("crash")
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("x", 0.5, 100)
        catch_up(loop)
    catch_up(loop)
    found = lines(out / "run.jsonl")
    assert points_in(found) == points_of(logger.run_dir)
    assert len(points_in(found)) == 101
    assert len(points_in(lines(out / "run.jsonl.1"))) == 600
    assert any("withdrawn" in line for line in said)
    assert any(line.endswith("run.jsonl.1") for line in said)
    assert loop.results()[0].pushed == 101
    loop.close()


def test_a_run_that_continues_after_its_end_continues_in_its_file(
    logdir: Path, out: Path
) -> None:
    """Also if another follower comes; one that finds nothing new writes nothing."""
    of_every_kind(logdir, "run", 1)
    follow(logdir, f"jsonl:{out}")
    before = (out / "run.jsonl").read_bytes()
    follow(logdir, f"jsonl:{out}")
    assert (out / "run.jsonl").read_bytes() == before
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("more", 1.0)
    follow(logdir / "run", f"jsonl:{out}")
    found = lines(out / "run.jsonl")
    assert points_in(found) == points_of(logger.run_dir)
    ends = [line["status"] for line in found if line.get("kind") == "end"]
    assert ends == ["finished", "finished"]


def test_a_file_that_is_gone_is_written_again(logdir: Path, out: Path) -> None:
    """Whether it was deleted, or lost its end in a power failure."""
    with Logger(logdir, "run") as logger:
        every_kind(logger, 0)
        follow(logdir, f"jsonl:{out}", once=True)
        (out / "run.jsonl").unlink()
        every_kind(logger, 1)
        follow(logdir, f"jsonl:{out}", once=True)
        assert points_in(lines(out / "run.jsonl")) == points_of(logger.run_dir)
        os.truncate(out / "run.jsonl", 1000)
        every_kind(logger, 2)
    follow(logdir, f"jsonl:{out}")
    assert points_in(lines(out / "run.jsonl")) == points_of(logger.run_dir)


def test_a_file_of_somebody_else_is_left_alone(logdir: Path, out: Path) -> None:
    """It is told, and the other runs are pushed."""
    of_every_kind(logdir, "one")
    two = of_every_kind(logdir, "two")
    out.mkdir()
    (out / "one.jsonl").write_text("mine\n")
    said = call("follow", logdir, "--to", f"jsonl:{out}")
    assert said.exit_code == 1
    assert "one.jsonl is there, and not known as that of this run" in said.stderr
    assert (out / "one.jsonl").read_text() == "mine\n"
    assert points_in(lines(out / "two.jsonl")) == points_of(two)


def test_a_full_disk_is_waited_for(logdir: Path, disk: Path) -> None:
    """No line is torn, and all is written when there is room."""
    run = of_every_kind(logdir)
    loop = looping(logdir, f"jsonl:{disk}", said=(said := []))
    fill(disk)
    catch_up(loop)
    path = disk / "run.jsonl"
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert [line for line in said if "No space left" in line]
    (disk / "filler").unlink()
    loop.outlets[0].retry()
    catch_up(loop)
    assert points_in(lines(path)) == points_of(run)
    assert "back after" in said[-1]
    loop.close()


def test_text_is_for_terminals_too(logdir: Path, out: Path) -> None:
    """Names in Unicode can be read; what a terminal would act on is escaped."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("Größe", 1.0)
        logger.add_scalar("\x1b[2J\x7f", 1.0)
    follow(logdir, [f"jsonl:{out}", f"csv:{out}"])
    for name in ("run.jsonl", "run.csv"):
        text = (out / name).read_text()
        assert "Größe" in text
        assert not {"\x1b", "\x7f"} & set(text)
    assert lines(out / "run.jsonl")[1]["tag"] == "\x1b[2J\x7f"
