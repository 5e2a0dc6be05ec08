"""Following runs: what is taken up, when it ends, and what goes wrong on the way."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from conftest import call, died, without_rights
from pushed import (
    Post,
    Server,
    catch_up,
    every_kind,
    kill,
    lines,
    looping,
    noted,
    of_every_kind,
    of_run,
    points_in,
    points_of,
    start,
    until,
)

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.follow import LostError, Options, Target, follow
from annarchy_tb.follow.loop import rounds
from annarchy_tb.follow.masking import masked
from annarchy_tb.follow.places import place
from annarchy_tb.follow.state import State, folders
from annarchy_tb.follow.thinning import Thinning
from annarchy_tb.reading import News


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server for `Post`."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return a directory for text files."""
    return tmp_path / "out"


def on_another_host(run: Path, changed: float) -> None:
    """Have a run look like one of another host, last written at some time."""
    record = json.loads((run / "run.json").read_text())
    record |= {"status": "running", "host": "elsewhere", "ended": None}
    for session in record["sessions"]:
        session |= {"status": "running", "host": "elsewhere", "end": None}
    (run / "run.json").write_text(json.dumps(record))
    for path in run.rglob("*"):
        os.utime(path, (changed, changed))


# -- which runs, and how long ----------------------------------------------------------


def test_new_runs_are_taken_up(logdir: Path, server: Server) -> None:
    """Runs that begin below the directory, also in other directories, until all end."""
    loop = looping(logdir, (Post, str(server.port)))
    with Logger(logdir, "one") as one:
        one.add_scalar("x", 1.0)
        catch_up(loop)
        with Logger(logdir / "sweep", "two") as two:
            two.add_scalar("x", 2.0)
            catch_up(loop)
            assert not loop.is_done()
    catch_up(loop)
    assert loop.is_done()
    assert server.ended == {"one": "finished", "two": "finished"}
    for logger in (one, two):
        name = logger.run_dir.name
        assert of_run(server.points, name) == points_of(logger.run_dir)
    with Logger(logdir, "one", mode="a") as one:
        one.add_scalar("x", 3.0)
    catch_up(loop)
    assert of_run(server.points, "one") == points_of(one.run_dir)
    assert set(server.points.values()) == {1}
    loop.close()


def test_a_follower_leaves_nothing_that_is_taken_for_a_run(
    logdir: Path, out: Path
) -> None:
    """Readers find the runs, prune still finds an empty one, and no curve is added."""
    with Logger(logdir, "run") as logger:
        logger.add_scalars("plot", {"x": 1.0})
        with Logger(logger.run_dir, "run.json.d") as inner:
            inner.add_scalar("x", 1.0)
    before = [run.path for run in find_runs(logdir)]
    follow(logdir, f"jsonl:{out}")
    assert list(folders(logdir))
    assert [run.path for run in find_runs(logdir)] == before
    assert list(Run(logger.run_dir).curves("plot")) == ["x"]
    names = [path.name for path in logdir.rglob("*") if ".annarchy_tb" in path.parts]
    assert "run.json" not in names
    assert not [name for name in names if "tfevents" in name]


def test_a_killed_simulation_ends(logdir: Path, out: Path) -> None:
    """All that it logged before SIGKILL is pushed, and its status is told."""

    def work() -> None:
        logger = Logger(logdir, "run")
        every_kind(logger, 0)
        os.kill(os.getpid(), signal.SIGKILL)

    assert died(work)
    [result] = follow(logdir, f"jsonl:{out}")
    assert result.status == "killed"
    found = lines(out / "run.jsonl")
    assert found[-1]["status"] == "killed"
    assert points_in(found) == points_of(logdir / "run")


def test_a_run_of_another_host_ends_when_it_is_idle(
    logdir: Path, server: Server
) -> None:
    """Whether it was killed can't be seen: it ends as killed?, and may continue."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("x", 1.0)
    on_another_host(logger.run_dir, time.time() - 100)
    loop = looping(logdir, (Post, str(server.port)), idle=200.0)
    catch_up(loop)
    assert not loop.is_done()
    loop.close()
    said = call(
        *("follow", logdir, "--to", f"pushed.Post:{server.port}", "--idle", "1m")
    )
    assert said.exit_code == 0
    assert "1 run without a sign of life, ended as killed?" in said.stderr
    assert server.ended == {"run": "killed?"}
    assert set(server.points.values()) == {1}
    [event_file] = logger.run_dir.glob("*tfevents*")
    data = event_file.read_bytes()
    with Logger(logdir, "other") as other:
        other.add_scalar("x", 2.0, 5)
    [more] = other.run_dir.glob("*tfevents*")
    event_file.write_bytes(data + more.read_bytes())
    follow(logger.run_dir, (Post, str(server.port)), once=True)
    assert ("run", "", "x", 5, 2.0) in server.points
    assert set(server.points.values()) == {1}


def test_a_run_of_another_writer_is_pushed(logdir: Path, server: Server) -> None:
    """It has no run.json, so it ends when it has not been written to for long."""
    with tensorboardX.SummaryWriter(str(logdir / "run")) as writer:
        writer.add_scalar("x", 0.5, 3)
    results = follow(logdir, (Post, str(server.port)), once=True)
    assert [its.status for its in results] == [None]
    assert list(server.points) == [("run", "", "x", 3, 0.5)]
    for path in (logdir / "run").iterdir():
        os.utime(path, (0, 1e9))
    [result] = follow(logdir, (Post, str(server.port)))
    assert result.status == "unknown"
    assert list(server.points.values()) == [1]


def test_once_pushes_what_is_there(logdir: Path, out: Path) -> None:
    """A run that goes on is not waited for."""
    with Logger(logdir, "run") as logger:
        every_kind(logger, 0)
        said = call("follow", "--once", logdir, "--to", f"jsonl:{out}")
        assert said.exit_code == 0
        found = lines(out / "run.jsonl")
        assert points_in(found) == points_of(logger.run_dir)
        assert "end" not in [line.get("kind") for line in found]
        said = call("follow", "--once", logdir / "none", "--to", f"jsonl:{out}")
        assert said.exit_code == 1
        assert "there is no directory" in said.stderr


def test_a_forked_child_that_still_writes_is_waited_for(
    logdir: Path, server: Server
) -> None:
    """Its parent has finished the run, but another Logger of the run is open."""
    loop = looping(logdir, (Post, str(server.port)))
    with Logger(logdir, "run") as logger:
        logger.add_scalar("x", 1.0)
        code = f"""
from annarchy_tb import Logger
with Logger({str(logdir)!r}, "run", mode="a") as logger:
    logger.add_scalar("y", 1.0)
    print("open", flush=True)
    input()
    logger.add_scalar("y", 2.0)
"""
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
    catch_up(loop)
    assert not loop.is_done()
    child.communicate("\n")
    catch_up(loop)
    assert loop.is_done()
    assert of_run(server.points, "run") == points_of(logger.run_dir)
    loop.close()


# -- servers and signals ---------------------------------------------------------------


def test_a_server_that_goes_and_comes_back_gets_all(logdir: Path) -> None:
    """It is told once, the other place has all meanwhile, and each point comes once."""
    server, other = Server(), Server()
    port, said = server.port, []
    to = [(Post, str(port)), (Post, str(other.port))]
    loop = looping(logdir, *to, said=said)
    with Logger(logdir, "run") as logger:
        every_kind(logger, 0)
        catch_up(loop)
        server.stop()
        every_kind(logger, 1)
        for _ in range(3):
            loop.outlets[0].retry()
            catch_up(loop)
        assert len([line for line in said if "refused" in line]) == 1
        assert of_run(other.points, "run") == points_of(logger.run_dir)
        [state] = [State.read(its) for its in folders(logdir) if str(port) in str(its)]
        assert "refused" in str(state.error)
        before, server = server, Server(port)
    loop.outlets[0].retry()
    catch_up(loop)
    assert loop.is_done()
    every = before.points + server.points
    assert of_run(every, "run") == points_of(logger.run_dir)
    assert set(every.values()) == {1}
    assert [line for line in said if "back after" in line]
    for its in (server, other):
        its.stop()
    loop.close()


def test_a_killed_follower_goes_on(logdir: Path, server: Server) -> None:
    """SIGKILL while it waits for an answer: only that part comes twice."""
    with Logger(logdir, "run") as logger:
        every_kind(logger, 0)
        server.hangs = True
        follower = start(logdir, "--to", f"pushed.Post:{server.port}")
        until(lambda: server.points)
        kill(follower)
        server.hangs = False
        every_kind(logger, 1)
        twice = set(server.points)
    follow(logdir, (Post, str(server.port)))
    assert of_run(server.points, "run") == points_of(logger.run_dir)
    assert {key for key, times in server.points.items() if times == 2} == twice
    assert max(server.points.values()) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_follower_is_stopped_by_a_signal(
    logdir: Path, server: Server, number: int
) -> None:
    """At once and without a traceback; another one goes on."""
    with Logger(logdir, "run") as logger:
        every_kind(logger, 0)
        follower = start(logdir, "--to", f"pushed.Post:{server.port}")
        number_of_points = len(points_of(logger.run_dir))
        until(lambda: number_of_points in noted(logdir))
        follower.send_signal(number)
        _, said = follower.communicate(timeout=60)
        assert "Traceback" not in said
        assert follower.returncode == 128 + number
    follow(logdir, (Post, str(server.port)))
    assert set(server.points.values()) == {1}


def test_two_followers_do_not_push_the_same(logdir: Path, server: Server) -> None:
    """The second one says so in a line, and ends."""
    to = f"pushed.Post:{server.port}"
    with Logger(logdir, "run") as logger:
        logger.add_scalar("x", 1.0)
        loop = looping(logdir, to)
        catch_up(loop)
        follower = start(logdir, "--to", to, "--once")
        _, said = follower.communicate(timeout=60)
        assert follower.returncode == 1
        assert f"{to}: another follower pushes run there" in said
        assert "Traceback" not in said
        loop.close()
        follower = start(logdir, "--to", to, "--once")
        assert follower.wait(60) == 0
        follower.communicate()


# -- what goes wrong -------------------------------------------------------------------


class Picky(Post):
    """A place that takes no run with this name, and no tag with this one."""

    def begin(self, run: Run, kept: dict[str, Any], previous: Any) -> None:
        if run.path.name == "odd":
            raise ValueError("a name that it does not take")
        super().begin(run, kept, previous)

    def push(self, news: News) -> None:
        kept = {tag: its for tag, its in news.points.items() if tag != "odd"}
        self.refused += len(news.points) - len(kept)
        super().push(news._replace(points=kept))


class Faulty(Post):
    """A place where one run has an error that may be temporary, but is not."""

    def push(self, news: News) -> None:
        if self.options.name == "a":
            raise TimeoutError("no answer for a")
        super().push(news)


class Forgetful(Post):
    """A place that has always lost what it was given."""

    def begin(self, run: Run, kept: dict[str, Any], previous: Any) -> None:
        raise LostError("all is gone")


class Missing(Target):
    """A target whose package is not there."""

    def __init__(self, place: str, options: Options) -> None:
        raise ImportError("Missing needs nothing: pip install nothing")


def test_what_a_place_does_not_take_is_told_and_counted(
    logdir: Path, server: Server
) -> None:
    """A run, or points; the others are pushed."""
    for name in ("one", "odd", "two"):
        with Logger(logdir, name) as logger:
            logger.add_scalar("odd", 1.0)
            logger.add_scalar("x", 1.0)
    to = f"{__name__}.Picky:{server.port}"
    said = call("follow", logdir, "--to", to)
    assert said.exit_code == 1
    assert "odd: given up: ValueError: a name that it does not take" in said.stderr
    assert "2 left out that it does not take" in said.stderr
    assert server.ended == {"one": "finished", "two": "finished"}
    assert {key[2] for key in server.points} == {"x"}


def test_a_run_that_always_fails_stops_no_other(logdir: Path, server: Server) -> None:
    """Its error is told once, and the others are tried first."""
    for name in ("c", "b", "a"):  # the newest run comes first
        of_every_kind(logdir, name, 1)
    said: list[str] = []
    loop = looping(logdir, (Faulty, str(server.port)), said=said)
    for _ in range(5):
        catch_up(loop)
        loop.outlets[0]._until = time.monotonic()  # the pause is over
    assert server.ended == {"b": "finished", "c": "finished"}
    assert len([line for line in said if "no answer for a" in line]) == 1
    assert not loop.is_done()
    pauses = [pause for pause, _ in zip(rounds(loop, 60.0), range(5), strict=False)]
    assert min(pauses[1:]) > 0  # it does not keep the processor busy
    assert {str(its.error) for its in loop.results()} >= {"no answer for a"}
    loop.close()


class Laborious(Target):
    """A target that works for long, and fails."""

    def begin(self, *_: object) -> None:
        """Begin nothing."""

    def push(self, news: News) -> None:
        """Work, and fail."""
        start = time.process_time()
        while time.process_time() < start + 0.2:
            pass
        raise ConnectionError("no answer")


def test_work_for_a_place_is_no_reason_to_wait(logdir: Path) -> None:
    """Only looking for changes is, for that is to be a small part of the time."""
    of_every_kind(logdir)
    loop = looping(logdir, (Laborious, "x"))
    assert next(rounds(loop, 60.0)) < 10.0
    assert loop.outlets[0].error == "no answer"
    loop.close()


def test_a_place_that_never_remembers_is_given_up(logdir: Path, server: Server) -> None:
    """It is not asked again and again."""
    of_every_kind(logdir)
    [result] = follow(logdir, (Forgetful, str(server.port)))
    assert result.error == "LostError: all is gone"


def test_a_target_that_is_missing_stops_no_other(logdir: Path, server: Server) -> None:
    """What to install is told, if another target is there; else it is an error."""
    of_every_kind(logdir)
    missing = f"{__name__}.Missing:x"
    said = call("follow", logdir, "--to", missing, "--to", f"pushed.Post:{server.port}")
    assert said.exit_code == 1
    assert said.stderr.count("Missing needs nothing: pip install nothing") >= 1
    assert server.ended == {"run": "finished"}
    said = call("follow", logdir, "--to", missing)
    assert said.exit_code == 1
    assert said.stderr == "Error: Missing needs nothing: pip install nothing\n"


@pytest.mark.parametrize("to", ["mlfow:x", "jsonl", "jsonl:", ":x", "os.path:x"])
def test_an_unknown_target_is_refused_at_once(logdir: Path, to: str) -> None:
    """With those that there are."""
    logdir.mkdir()
    said = call("follow", logdir, "--to", to, "--", "touch", logdir / "begun")
    assert said.exit_code == 2
    assert "Invalid value for --to" in said.stderr
    assert not (logdir / "begun").exists()
    with pytest.raises(ValueError, match="target|Target"):
        follow(logdir, to)


def test_arguments_are_checked(logdir: Path) -> None:
    """In a line that says what is right."""
    logdir.mkdir()
    for wrong, said in (
        (["follow", logdir], "where to? Pass --to, as in --to jsonl:out"),
        (["follow", logdir, "--to", "csv:x", "--idle", "soon"], "write it as in 90s"),
        (["follow", logdir, "--to", "csv:x", "--rate", "0"], "0"),
        (["follow", logdir, "--to", "csv:x", "--"], "write a command after --"),
    ):
        found = call(*wrong)
        assert found.exit_code == 2
        assert said in found.stderr
    with pytest.raises(ValueError, match="follow: to must name a target"):
        follow(logdir)
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        follow(logdir / "none", "jsonl:out")


def test_a_run_that_vanishes_is_told(logdir: Path, server: Server) -> None:
    """While it is followed; the others go on."""
    said: list[str] = []
    loop = looping(logdir, (Post, str(server.port)), said=said)
    with Logger(logdir, "one") as one, Logger(logdir, "two") as two:
        one.add_scalar("x", 1.0)
        two.add_scalar("x", 2.0)
        catch_up(loop)
        one.close()
        subprocess.run(["rm", "-r", str(one.run_dir)], check=True)
        catch_up(loop)
        assert said[-1].endswith("one: the run is gone")
    catch_up(loop)
    assert loop.is_done()
    assert server.ended == {"two": "finished"}
    loop.close()


@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_a_torn_file_is_told_and_counted(logdir: Path, server: Server) -> None:
    """What is before and behind it is pushed, and so are other runs."""
    with Logger(logdir, "torn") as logger:
        for step in range(100):
            logger.add_scalar("x", step, step)
    [path] = logger.run_dir.glob("*tfevents*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data + b"\x18\0\0")
    other = of_every_kind(logdir, "other")
    said: list[str] = []
    loop = looping(logdir, (Post, str(server.port)), said=said)
    catch_up(loop)
    assert len([line for line in said if "checksum" in line or "length" in line]) == 1
    assert of_run(server.points, "torn") == points_of(logger.run_dir)
    assert of_run(server.points, "other") == points_of(other)
    [state] = [State.read(its) for its in folders(logdir) if its.name == "torn"]
    assert state.damaged >= 1
    loop.close()


def test_a_damaged_recording_and_a_damaged_image_are_told(
    logdir: Path, server: Server
) -> None:
    """The data around them is pushed."""
    with Logger(logdir, "run") as logger:
        logger.add_series("s", np.arange(1000.0), shown=2)
        logger.add_series("t", np.arange(1000.0), shown=2)
        logger.add_scalar("x", 1.0)
    [path] = logger.run_dir.glob("recordings.*")
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)
    with tensorboardX.SummaryWriter(str(logdir / "other")) as writer:
        event = tensorboardX.proto.event_pb2.Event()
        value = event.summary.value.add()
        value.tag, value.image.encoded_image_string = "image", b"\x89PNG and no more"
        writer.file_writer.add_event(event, 1)
        writer.add_scalar("x", 2.0, 1)
    said: list[str] = []
    loop = looping(logdir, (Post, str(server.port)), said=said, idle=0.0)
    until(lambda: catch_up(loop) or loop.is_done())
    assert [line for line in said if "recordings." in line and "wrong" in line]
    assert [line for line in said if "'image' can't be read" in line]
    tags = {tag for _, tag, *_ in of_run(server.points, "run")}
    assert tags == {"t", "x"}
    assert of_run(server.points, "other") == [("", "x", 1, 2.0)]
    states = [State.read(its) for its in folders(logdir)]
    assert [its.damaged for its in states] == [1, 1]
    loop.close()


def test_a_damaged_state_is_told(logdir: Path, out: Path) -> None:
    """The run is left alone: nobody knows how far it was."""
    of_every_kind(logdir)
    follow(logdir, f"jsonl:{out}")
    before = (out / "run.jsonl").read_bytes()
    [folder] = folders(logdir)
    for text in ("{", "[]", '{"kept": 3}'):
        (folder / "state.json").write_text(text)
        [result] = follow(logdir, f"jsonl:{out}")
        assert str(folder) in str(result.error)
        assert (out / "run.jsonl").read_bytes() == before
    assert "damaged" in call("follow", "--status", logdir).stdout


def test_a_directory_that_can_not_be_written_is_told(logdir: Path, out: Path) -> None:
    """It has no room for the state."""
    to = f"jsonl:{out}"
    of_every_kind(logdir.with_name("other"))
    follow(logdir.with_name("other"), to)  # has imported all that others may not read
    of_every_kind(logdir)
    logdir.chmod(0o555)
    said = without_rights(logdir, lambda: follow(logdir, to)[0].error)
    assert "the state can't be kept in" in said
    assert "Permission denied" in said


def test_passwords_are_never_shown() -> None:
    """Of an address, or a token in it; the place itself keeps them."""
    for text, wanted in (
        ("mlflow:http://me:secret@host:5000", "mlflow:http://me:***@host:5000"),
        ("x:http://h/?a=1&api_key=secret&b=2", "x:http://h/?a=1&api_key=***&b=2"),
        ("s3://bucket/path?token=secret", "s3://bucket/path?token=***"),
        ("jsonl:/a:b/c@d", "jsonl:/a:b/c@d"),
    ):
        assert masked(text) == wanted
    its = place((Post, "http://me:secret@host"))
    assert "secret" in its.place
    assert "secret" not in its.shown


class Leaky(Target):
    """A target whose errors name its address."""

    def begin(self, run: Run, kept: dict[str, Any], previous: Any) -> None:
        self.options.say(f"trying {self.place}")
        raise ConnectionError(f"{self.place} refused")


def test_a_password_in_an_error_is_not_shown(logdir: Path) -> None:
    """Neither in what is told, nor in the state."""
    of_every_kind(logdir)
    to = f"{__name__}.Leaky:http://me:secret@host"
    said = call("follow", logdir, "--to", to, "--give-up", "0")
    assert said.exit_code == 1
    assert "http://me:***@host refused" in said.stderr
    [folder] = folders(logdir)
    every = [path.read_text() for path in folder.iterdir()]
    assert "secret" not in "".join([said.output, str(folder), *every])
    assert "http://me:***@host refused" in call("follow", "--status", logdir).stdout


# -- thinning --------------------------------------------------------------------------


def test_at_most_so_many_points_a_second_are_pushed(
    logdir: Path, server: Server
) -> None:
    """The extremes are among them, and what was left out is told."""
    with Logger(logdir, "run") as logger:
        values = np.sin(np.arange(100_000) / 1000)
        values[12_345], values[54_321] = 100.0, -100.0
        logger.add_series("v", values)
        logger.add_scalar("x", 1.0)
    to = f"pushed.Post:{server.port}"
    said = call("follow", logdir, "--to", to, "--rate", 1000)
    found = of_run(server.points, "run")
    shown = {value for _, tag, _, value in found if tag == "v"}
    assert {100.0, -100.0, values[0], values[-1]} <= shown
    assert 500 < len(found) <= 1001
    assert ("", "x", 0, 1.0) in found
    left = 100_001 - len(found)
    assert f"{left:,} left out to keep to the rate" in said.stderr
    [state] = [State.read(folder) for folder in folders(logdir)]
    assert (state.pushed, state.thinned) == (len(found), left)


@pytest.mark.parametrize("parts", [1, 20])
def test_the_rate_counts_real_time(logdir: Path, parts: int) -> None:
    """Of 10 s at 1000 points a second, 100 a second are kept, in parts or at once."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("x", 1.0)
    [news] = [its for its in Run(logger.run_dir).news() if isinstance(its, News)]
    count, thinning = 10_000, Thinning(100.0)
    steps = np.arange(count)
    walls = 1e9 + steps / 1000
    points = type(news.points["x"]).of([steps, np.sin(steps), steps * np.nan, walls])
    size, kept = count // parts, 0
    for at in range(0, count, size):
        part = news._replace(points={"x": points.cut(at, at + size)})
        thinned, left = thinning.thin(part)
        number = len(thinned.points["x"].steps)
        assert number + left == size
        kept += number
    assert 900 <= kept <= 1200


# -- status ----------------------------------------------------------------------------


def test_the_status_tells_what_is_behind(logdir: Path, out: Path) -> None:
    """Points, bytes and seconds; the last error; and whether a follower runs."""
    with Logger(logdir, "sweep/run") as logger:
        every_kind(logger, 0)
        loop = looping(logdir, f"jsonl:{out}")
        catch_up(loop)
        said = call("follow", "--status", logdir).stdout
        [row] = said.splitlines()[1:]
        number = len(points_of(logger.run_dir))
        assert row.split()[:5] == [
            "sweep/run",
            f"jsonl:{out}",
            "followed",
            str(number),
            "0",
        ]
        loop.close()
        for step in range(7):
            logger.add_scalar("more", step)
        said = call("follow", "--status", logdir).stdout
        assert "stopped" in said
        assert "7 points, 0.0 MB, " in said
    follow(logdir, f"jsonl:{out}")
    assert " finished " in call("follow", "--status", logdir).stdout
    assert "Nothing below" in call("follow", "--status", out).stdout


def test_a_terminal_shows_a_bar(logdir: Path, out: Path) -> None:
    """With the points that were pushed, and lines above it."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("x", 1.0)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        follower = subprocess.Popen(
            [
                *(sys.executable, "-c", "from annarchy_tb.cli import main; main()"),
                *("follow", logdir, "--to", f"jsonl:{out}"),
            ],
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while b"1 run" not in shown:
            shown += os.read(ours, 1000)
        assert b"1 points in 00:0" in shown
    assert follower.wait(60) == 0
    while b"1 run, 1 point" not in shown:
        shown += os.read(ours, 1000)
    os.close(ours)
