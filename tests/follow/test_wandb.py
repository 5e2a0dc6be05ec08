"""Runs that are followed to Weights & Biases, offline: read back by its own reader."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import in_child
from PIL import Image
from pushed import TIMEOUT, every_kind, kill, of_every_kind, points_of, until
from wandb_server import Server

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.follow import Options, follow

pytest.importorskip("wandb")

from wandb.util import get_core_path

from annarchy_tb.follow.targets.wandb import Wandb
from annarchy_tb.follow.targets.wandb_log import Log, keep

PROGRAM = """
import logging, sys
from annarchy_tb.follow import follow
logging.basicConfig(level=logging.INFO, format="%(message)s")
logging.getLogger("annarchy_tb").setLevel(logging.INFO)
print(follow(sys.argv[1], "wandb:rates", **eval(sys.argv[2])))
"""
# A simulation that logs until it is told to stop, 150 points at a time.
SIMULATION = """
import itertools, os, sys, time
from annarchy_tb import Logger
with Logger(sys.argv[1], "run") as logger:
    for step in itertools.count():
        logger.add_scalar("a", step / 3, step)
        logger.log({"b": step, "c": -step}, step)
        if step % 50 == 49:
            time.sleep(0.2)
            if os.path.exists(sys.argv[2]):
                break
"""


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no account, and nothing set but the mode."""
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    (tmp_path / "cwd").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path / "cwd")


def start(logdir: Path, **options: Any) -> subprocess.Popen[str]:
    """Start a follower in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(logdir), repr(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(follower: subprocess.Popen[str]) -> str:
    """Wait for the end of a follower, and return what it said."""
    said, _ = follower.communicate(timeout=TIMEOUT)
    assert follower.returncode == 0, said
    return said


def services(follower: int) -> list[int]:
    """Return the processes of W&B that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().split(b"\0")
            if b"wandb-core" in line[0] and str(follower).encode() in line:
                found.append(int(path.parent.name))
    return found


class Part:
    """A run of W&B, as its own reader reads it."""

    def __init__(self, file: Path) -> None:
        command = [get_core_path(), "leet", "inspect", "--no-observability", "--json"]
        command += ["--run-file", str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        self.file, self.files = file, file.parent / "files"
        self.records = [json.loads(line) for line in said.stdout.splitlines()]
        self.run = (self.of("run") or [{}])[-1]
        self.id = self.run.get("run_id", "")
        self.rows = [its["item"] for its in self.of("history")]
        self.axes = {
            its["name"]: its["step_metric"]
            for its in self.of("metric")
            if "step_metric" in its
        }
        self.exit = [its.get("exit_code", 0) for its in self.of("exit")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [its.get(kind, {}) for its in self.records if its["type"] == kind]

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for its in self.records:
            if its["type"] in ("run", "config"):
                config = its[its["type"]]
                found |= config.get("config", config)["update"]
        return found

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for its in self.of("summary"):
            found |= its["update"]
        return found

    def points(self) -> list[tuple[str, int, float]]:
        """Return key, step and value of all points."""
        return [
            (key, row[f"step/{key}"], float(value))
            for row in self.rows
            for key, value in row.items()
            if f"step/{key}" in row and isinstance(value, (int, float))
        ]


def parts(logdir: Path) -> list[Part]:
    """Return the parts of all runs in a directory, in their order."""
    files = (logdir / ".annarchy_tb" / "wandb").glob("*run-*/*.wandb")
    found = [part for part in map(Part, files) if part.id]
    return sorted(found, key=lambda its: its.config["annarchy_tb"]["part"])


def pushed(logdir: Path) -> int:
    """Return how many points of all runs are pushed, as the follower knows it."""
    states = (logdir / ".annarchy_tb" / "follow").glob("*/*/state.json")
    return sum(json.loads(its.read_bytes())["pushed"] for its in states)


def wanted(run: Path) -> list[tuple[str, int, float]]:
    """Return the points of a run as `Part.points` does, in a fixed order."""
    return sorted(
        (f"{tag}/{curve}" if curve else tag, step, value)
        for curve, tag, step, value in points_of(run)
    )


def check_chain(found: list[Part]) -> None:
    """Assert that each part of a run names the one before it, and has its tag."""
    base = found[0].id.rpartition("-")[0]
    before = None
    for part in found:
        about = part.config["annarchy_tb"]
        assert about.get("continues") == before
        assert base in part.run["tags"]
        assert before is None or before in part.run["notes"]
        before = part.id


def test_a_run_of_every_kind(logdir: Path) -> None:
    """All of it is there, as it was logged; and nothing else is left."""
    run = of_every_kind(logdir, steps=3)
    Run(run).add_note("the best one")
    record = json.loads((run / "run.json").read_text())
    record["git"] = {"commit": "a" * 40, "dirty": False}
    (run / "run.json").write_text(json.dumps(record))
    follower = start(logdir)
    said = finish(follower)
    [part] = parts(logdir)
    assert sorted(part.points()) == wanted(run)
    assert part.exit == [0]
    assert f"wandb sync {part.file.parent}" in said
    # Where it comes from
    info = Run(run).info
    assert part.config["tau"] == 10
    assert part.config["net/size"] == 100
    assert part.config["rule"] == "STDP"
    assert part.config["annarchy_tb"]["session"] == info["session"]
    assert part.run["git"]["commit"] == info["git"]["commit"]
    assert part.run["project"] == "rates"
    assert part.run["display_name"] == "run"
    assert part.run["host"] == info["host"]
    assert "the best one" in part.run["notes"]
    assert "finished" in part.run["tags"]
    assert part.summary["loss"] == 0.5
    assert json.loads((part.files / "run.json").read_text())["params"]["tau"] == 10.0
    # Values
    assert part.axes["plot/x"] == "step/plot/x"
    rows = {
        (name, row[f"step/{key}"]): value
        for row in part.rows
        for name, value in row.items()
        if f"step/{(key := name.partition('.')[0])}" in row
    }
    image = Image.open(part.files / rows["image.path", 2])
    assert np.array_equal(np.asarray(image), Run(run).images("image").images[2][..., 0])
    assert "raster" in part.axes
    buckets = Run(run).histograms("histogram").histograms[1]
    assert rows["histogram.values", 1] == buckets[:, 2].tolist()
    assert rows["histogram.bins", 1] == [*buckets[:, 0], buckets[-1, 1]]
    assert rows["text", 1] == "step 1"
    assert "<b>step 2</b>" in (part.files / rows["html.path", 2]).read_text()
    with wave.open(str(part.files / rows["audio.path", 0])) as sound:
        assert (sound.getnframes(), sound.getframerate()) == (10, 8000)
    # Of the follower there is nothing.
    kinds = {its["type"] for its in part.records}
    assert not kinds & {"output", "output_raw", "stats", "environment"}
    assert services(follower.pid) == []
    assert list(Path.cwd().iterdir()) == []
    assert [its.path for its in find_runs(logdir)] == [run]


def test_numbers_are_doubles(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, with what W&B calls NaN and infinities, and with their times."""
    rng = np.random.default_rng(0)
    values = [*rng.normal(size=200), 5e-324, 1.7976931348623157e308, -0.0, 2.0**60]
    odd = [float("nan"), float("inf"), float("-inf")]
    with Logger(logdir, "run") as logger, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the first NaN
        for step, value in enumerate(values):
            logger.add_scalar("a.b", value, step, time=step / 7)
        for step, value in enumerate(odd):
            logger.add_scalar("odd", value, step + 2**53)
        logger.add_series("single", np.float32(values[:9]))
    follow(logdir, "wandb:mylab/rates", once=True)
    [part] = parts(logdir)
    run = Run(logger.run_dir)
    _, _, times, walls = run.scalars("a.b")
    rows = [row for row in part.rows if "a.b" in row]
    assert [float(row["a.b"]) for row in rows] == values
    assert [row["time/a.b"] for row in rows] == times.tolist()
    assert [row["_timestamp"] for row in rows] == walls.tolist()
    rows = [row for row in part.rows if "odd" in row]
    assert [row["odd"] for row in rows] == ["NaN", "Infinity", "-Infinity"]
    assert [row["step/odd"] for row in rows] == [2**53, 2**53 + 1, 2**53 + 2]
    assert not any("time/odd" in row for row in rows)
    single = [row["single"] for row in part.rows if "single" in row]
    assert single == [float(np.float32(value)) for value in values[:9]]
    assert part.run["entity"] == "mylab"
    assert part.axes["a\\.b"] == "step/a\\.b"


def test_a_run_that_is_being_written(logdir: Path) -> None:
    """What it has is in W&B's file while it runs; in the end there is one part."""
    logdir.mkdir()
    follower = start(logdir)
    with Logger(logdir, "sweep/run") as logger:
        for step in range(100):
            logger.add_scalar("a", step)
        until(lambda: [len(its.rows) for its in parts(logdir / "sweep")] == [100])
        logger.add_parameters({"tau": 10.0})
        for step in range(100):
            logger.add_scalar("b", step)
    finish(follower)
    [part] = parts(logdir / "sweep")
    assert sorted(part.points()) == wanted(logger.run_dir)
    assert part.config["tau"] == 10
    assert part.run["display_name"] == "sweep/run"
    assert part.run["run_group"] == "sweep"


# -- killed, and started again ---------------------------------------------------------


def simulate(logdir: Path) -> subprocess.Popen[bytes]:
    """Start a simulation in a process of its own; it ends when there is ``stop``."""
    command = [sys.executable, "-c", SIMULATION, str(logdir), "stop"]
    return subprocess.Popen(command)


def newest(logdir: Path) -> str:
    """Return the part to whose file W&B's process has begun to write last, or none."""
    found = (logdir / ".annarchy_tb" / "wandb").glob("*run-*/*.wandb")
    names = [file.stem for file in found if file.stat().st_size > 1000]
    return max(names, default="")


def test_a_killed_follower_goes_on_in_another_part(logdir: Path) -> None:
    """Killed at any time, with what W&B's process does then: each point is in one."""
    logdir.mkdir()
    rng = random.Random(0)
    simulation = simulate(logdir)
    killed = []
    for _ in range(3):
        before = newest(logdir)
        follower = start(logdir)
        until(lambda before=before: newest(logdir) > before)
        time.sleep(rng.random())
        killed.append(follower.pid)
        kill(follower)
    Path("stop").touch()
    assert simulation.wait(TIMEOUT) == 0
    finish(start(logdir))
    found = parts(logdir)
    assert sorted(one for its in found for one in its.points()) == wanted(
        logdir / "run"
    )
    assert len(found) > 1
    check_chain(found)
    assert [its.exit for its in found] == [[]] * (len(found) - 1) + [[0]]
    until(lambda: not any(map(services, killed)))
    with Server() as server:
        sync(server, *(its.file.parent for its in found))
    assert sorted(server.points()) == wanted(logdir / "run")
    assert server.ends[found[-1].id] == 0


def sync(server: Server, *folders: Path, options: tuple[str, ...] = ()) -> None:
    """Upload runs of W&B by its own command."""
    command = [sys.executable, "-m", "wandb", "sync", *options, *map(str, folders)]
    environment = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "0123456789" * 4}
    environment = {**os.environ, **environment, "WANDB_MODE": "online"}
    subprocess.run(command, env=environment, check=True, capture_output=True)


def test_a_killed_process_of_wandb_is_replaced(logdir: Path) -> None:
    """The runs it wrote, three at once, go on in other parts: each point is in one."""
    rng = random.Random(1)
    logdirs = [logdir / name for name in "123"]
    logdir.mkdir()
    simulations = [simulate(its) for its in logdirs]
    follower = start(logdir)
    for _ in range(2):
        until(lambda: all(map(newest, logdirs)) and services(follower.pid))
        time.sleep(rng.random())
        for service in services(follower.pid):
            os.kill(service, signal.SIGKILL)
    Path("stop").touch()
    assert [its.wait(TIMEOUT) for its in simulations] == [0, 0, 0]
    assert "trying again" in finish(follower)
    for its in logdirs:
        found = parts(its)
        points = sorted(one for part in found for one in part.points())
        assert points == wanted(its / "run")
        assert found[-1].exit == [0]
        check_chain(found)
    assert services(follower.pid) == []


def test_ctrl_c_and_another_follower(logdir: Path) -> None:
    """A follower that is stopped marks its part as unfinished."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        follower = start(logdir)
        until(lambda: pushed(logdir) == 1)
        kill(follower, signal.SIGINT)
        assert services(follower.pid) == []
        logger.add_scalar("a", 2.0)
    follow(logdir, "wandb:rates")
    first, second = parts(logdir)
    assert "unfinished" in first.run["tags"]
    assert first.points() == [("a", 0, 1.0)]
    assert second.points() == [("a", 1, 2.0)]
    check_chain([first, second])
    assert first.exit == second.exit == [0]


def test_a_killed_simulation_is_marked(logdir: Path) -> None:
    """Its run has failed, and says that it was killed."""
    logdir.mkdir()
    simulation = simulate(logdir)
    follower = start(logdir)
    until(lambda: newest(logdir))
    simulation.kill()
    simulation.wait()
    finish(follower)
    [part] = parts(logdir)
    assert sorted(part.points()) == wanted(logdir / "run")
    assert part.exit == [1]
    assert "killed" in part.run["tags"]


def test_a_resume_withdraws_points(logdir: Path) -> None:
    """Another run of W&B has all points that are left, and names the old one."""
    with Logger(logdir, "run") as logger:
        for step in range(100):
            logger.add_scalar("a", step)
        logger.save_checkpoint("state", 100)
        for step in range(500):
            logger.add_scalar("a", -step)
    follow(logdir, "wandb:rates")
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 0.5)
    follow(logdir, "wandb:rates")
    old, *_, new = parts(logdir)
    assert len(old.rows) == 600
    assert sorted(new.points()) == wanted(logger.run_dir)
    assert len(new.rows) == 101
    assert new.config["annarchy_tb"]["replaces"] == old.id
    assert f"Replaces {old.id}" in new.run["notes"]
    assert set(old.run["tags"]) & set(new.run["tags"]) >= {old.id.partition("-")[0]}
    assert len(parts(logdir)) == 2


def test_a_file_that_lost_what_it_had(logdir: Path) -> None:
    """All is pushed again."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        follow(logdir, "wandb:rates", once=True)
        [part] = parts(logdir)
        os.truncate(part.file, part.file.stat().st_size // 2)
        logger.add_scalar("a", 2.0)
    follow(logdir, "wandb:rates")
    assert wanted(logger.run_dir) in [sorted(its.points()) for its in parts(logdir)]


def test_a_full_disk(logdir: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is room again, all is pushed; what did not fit is in no part twice."""
    monkeypatch.setenv("WANDB_DIR", str(disk))
    monkeypatch.setattr("annarchy_tb.follow.targets.wandb.PATIENCE", 1.0)
    with Logger(logdir, "run") as logger:
        for step in range(5000):
            logger.add_scalar("a", step / 3)
    path = logdir / ".annarchy_tb" / "follow"

    def make_room() -> None:
        until(
            lambda: any("has not" in its.read_text() for its in path.glob("*/*/state*"))
        )
        command = ["mount", "-o", "remount,size=50m", str(disk)]
        subprocess.run(command, check=True)

    thread = threading.Thread(target=make_room)
    thread.start()
    [result] = follow(logdir, "wandb:rates")
    thread.join()
    assert result.pushed == 5000
    files = (disk / "wandb").glob("*run-*/*.wandb")
    points = sorted(one for file in files for one in Part(file).points())
    assert points == wanted(logger.run_dir)


# -- what W&B does not take ------------------------------------------------------------


def test_names_stay_distinct(logdir: Path) -> None:
    """Whatever is in them, or in the names that are made of others."""
    tags = [
        "a*b",
        "a_b",
        "a*",
        "step/a",
        "time/a",
        "a",
        "_step",
        "_a",
        "é / ü",
        "../../x",
    ]
    tags += ["a.b.c", "plot/x", "a\\b", "values/_a"]
    with Logger(logdir, "run") as logger:
        for number, tag in enumerate(tags):
            logger.add_scalar(tag, number + 0.5)
        logger.add_scalars("plot", {"x": 100.5, "y": 101.5})
        logger.add_image("../../picture", np.eye(3))
        logger.add_parameters({"_wandb": 1, "a*": 2, "a.b": 3})
    follow(logdir, "wandb:rates")
    [part] = parts(logdir)
    found = {value: key for key, _, value in part.points()}
    assert sorted(found) == [*np.arange(len(tags)) + 0.5, 100.5, 101.5]
    assert len(set(found.values())) == len(tags) + 2
    assert len(part.axes) == len(tags) + 3
    assert not [its for its in part.of("metric") if "glob_name" in its]
    assert all(
        its.parent.parent.parent == part.files for its in part.files.glob("media/*/*")
    )
    assert part.config["a.b"] == 3
    assert 1 in part.config.values()


def test_values_that_wandb_does_not_take(logdir: Path) -> None:
    """They are counted and said; long histograms get wider bins."""
    theirs = pytest.importorskip("tensorboardX").SummaryWriter(str(logdir / "run"))
    with theirs:
        theirs.add_histogram(
            "many", np.random.default_rng(0).normal(size=9000), bins=1500
        )
        theirs.add_scalar("a", 1.0)
    target = Wandb("rates", Options("run"))
    kept: dict[str, Any] = {}
    run = Run(logdir / "run")
    target.begin(run, kept, None)
    for news in run.news():
        value = news.values[0]
        target.push(news._replace(values=[*news.values, value._replace(kind="mesh")]))
    assert target.refused == 1
    target.end(run, "unknown")
    [part] = parts(logdir)
    [row] = [row for row in part.rows if "step/many" in row]
    assert len(row["many.values"]) <= 512
    assert sum(row["many.values"]) == 9000
    assert part.exit == [0]


@pytest.mark.parametrize("place", ["", "a/b/c", "a?b", "a:b", "/", "x" * 129])
def test_a_project_that_wandb_does_not_take(place: str) -> None:
    """It is refused before anything is begun."""
    with pytest.raises(ValueError, match="wandb: needs a project"):
        Wandb(place, Options())


def test_without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match=r"pip install 'annarchy-tb\[wandb\]'"):
        Wandb("rates", Options())


def test_no_such_server(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and what was begun is no part; the key is told to nobody."""
    key = "0123456789" * 4
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setattr("annarchy_tb.follow.targets.wandb.CONNECT", 1.0)
    of_every_kind(logdir, steps=1)
    [result] = follow(logdir, "wandb:rates", give_up=2)
    assert "127.0.0.1:9" in (result.error or "")
    assert result.pushed == 0
    monkeypatch.setenv("WANDB_MODE", "offline")
    follow(logdir, "wandb:rates")
    [part] = parts(logdir)
    assert sorted(part.points()) == wanted(logdir / "run")
    files = [its for its in logdir.rglob("*") if its.is_file()]
    assert not [its for its in files if key.encode() in its.read_bytes()]


def test_disabled(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would be written, and that is said."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run = of_every_kind(logdir, steps=1)
    [result] = follow(run, "wandb:rates")
    assert "disabled" in (result.error or "")


def test_without_an_account_nobody_is_asked(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a terminal: the error says how to log in."""
    monkeypatch.setenv("WANDB_MODE", "online")
    of_every_kind(logdir, steps=1)
    ours, theirs = pty.openpty()
    try:
        follower = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(logdir), "{}"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
        )
        said, _ = follower.communicate(timeout=TIMEOUT)
    finally:
        os.close(ours)
        os.close(theirs)
    assert re.search("API key|log ?in", said)


# -- online ----------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return a server that W&B's process uploads to."""
    with Server() as server:
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
        yield server


def test_online(logdir: Path, server: Server) -> None:
    """The server has all rows and files; a follower that was stopped makes two runs."""
    with Logger(logdir, "run") as logger:
        every_kind(logger, 0)
        follow(logdir, "wandb:mylab/rates", once=True)
        every_kind(logger, 1)
    follow(logdir, "wandb:mylab/rates")
    found = parts(logdir)
    assert [its.id for its in found] == list(server.runs)
    for part in found:
        numbers = [row["_step"] for row in server.runs[part.id]]
        assert numbers == [row["_step"] for row in part.rows]
    points = sorted(one for part in found for one in part.points())
    assert points == wanted(logger.run_dir)
    assert server.ends == dict.fromkeys(server.runs, 0)
    assert "run.json" in server.files
    assert len([its for its in server.files if its.startswith("media/images")]) == 4


def test_a_killed_follower_online(logdir: Path, server: Server) -> None:
    """Another one says how to upload what the server lacks; then it has all."""
    with Logger(logdir, "run") as logger:
        for step in range(1000):
            logger.add_scalar("a", step)
        follower = start(logdir)
        until(lambda: pushed(logdir) == 1000)
        kill(follower)
        logger.add_scalar("a", 0.5)
    said = finish(start(logdir))
    first, second = parts(logdir)
    assert f"wandb sync --include-online {first.file.parent}" in said
    sync(server, first.file.parent, options=("--include-online",))
    assert [len(server.runs[its.id]) for its in (first, second)] == [1000, 1]
    assert sorted(server.points()) == wanted(logger.run_dir)


def test_a_server_that_is_gone_at_the_end(
    logdir: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Others do not wait for it: what it has not taken is in a file, to be uploaded."""
    monkeypatch.setattr("annarchy_tb.follow.targets.wandb.PATIENCE", 2.0)
    caplog.set_level("INFO", "annarchy_tb")
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        follow(logdir, "wandb:rates", once=True)
        logger.add_scalar("a", 2.0)
    monkeypatch.setattr(Server, "streamed", lambda server, *_: _go_down(server))
    [result] = follow(logdir, "wandb:rates")
    assert result.status == "finished"
    part = parts(logdir)[-1]
    assert part.points() == [("a", 1, 2.0)]
    assert part.exit == [0]
    assert any("to upload the rest: wandb sync" in its for its in caplog.messages)


def _go_down(server: Server) -> None:
    server.is_down = True


# -- settings --------------------------------------------------------------------------


def test_the_directory_that_the_user_has_set(
    logdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is where runs are kept for `wandb sync`."""
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "mine"))
    of_every_kind(logdir, steps=1)
    follow(logdir, "wandb:rates")
    assert list((tmp_path / "mine" / "wandb").glob("offline-run-*"))
    assert not (logdir / ".annarchy_tb" / "wandb").exists()


def test_fewer_points(logdir: Path) -> None:
    """Those that are left are counted as the rows of W&B."""
    with Logger(logdir, "run") as logger:
        logger.add_series("s", np.sin(np.arange(5000.0)))
    [result] = follow(logdir, "wandb:rates", rate=100)
    [part] = parts(logdir)
    assert len(part.rows) == result.pushed < 1000
    assert result.pushed + result.thinned == 5000


def test_threads_and_files_are_let_go(logdir: Path) -> None:
    """In one process, several times, and in a process that is forked."""
    of_every_kind(logdir, "1", steps=1)
    of_every_kind(logdir, "2", steps=1)
    for once in (True, False):
        follow(logdir, "wandb:rates", once=once)
    assert services(os.getpid()) == []
    assert len(parts(logdir)) == 2
    of_every_kind(logdir, "3", steps=1)
    assert in_child(lambda: follow(logdir, "wandb:rates")) == 0
    assert len(parts(logdir)) == 3


# -- the file of W&B -------------------------------------------------------------------


def test_the_file_is_read_and_cut_at_any_row(logdir: Path) -> None:
    """Long records span blocks; what is left after a cut is what was there before."""
    with Logger(logdir, "run") as logger:
        for step in range(400):
            logger.add_scalar("a", step)
            logger.add_text("text", "long" * (step % 7) ** 5)
    follow(logdir, "wandb:rates")
    [part] = parts(logdir)
    log, ends = Log(part.file), []
    kinds = []
    for kind in log.new():
        kinds.append(kind)
        if kind == "history":
            ends.append(log.end)
    assert kinds == [its["type"] for its in part.records]
    whole = part.file.read_bytes()
    keep(part.file, ends[-1])
    assert part.file.read_bytes() == whole  # it was complete
    for number in random.Random(2).sample(range(1, 800), 10):
        part.file.write_bytes(whole[: ends[number] + 20])
        keep(part.file, ends[number - 1])
        left = Part(part.file)
        assert left.rows == part.rows[:number]
