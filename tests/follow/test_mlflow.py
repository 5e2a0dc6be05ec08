"""MLflow, as a database and as a real server, to which runs are pushed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from conftest import in_child
from PIL import Image
from pushed import TIMEOUT, every_kind, kill, of_every_kind, points_of, start, until

from annarchy_tb import Logger, Run
from annarchy_tb.follow import Options, follow
from annarchy_tb.follow.targets.names import LONGEST, Names
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading import News

# The client of the tests, and the servers that they start.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # nine processes less

mlflow = pytest.importorskip("mlflow")

from annarchy_tb.follow.targets.mlflow import MLflow  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STORES: dict[str, Path] = {}  # where the servers keep artefacts, by their addresses


def free_port() -> int:
    with socket.socket() as its:
        its.bind(("127.0.0.1", 0))
        return int(its.getsockname()[1])


class Server:
    """``mlflow server`` on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes]
        STORES[self.url] = folder / "store"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        code = "import sys; from mlflow.cli import cli; sys.exit(cli())"
        command = [sys.executable, "-c", code, "server", "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", f"{self.folder}/store"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, process_group=0
            )
        until(self._answers, "the start of MLflow")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it with its workers, without a warning."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server for all tests."""
    its = Server(tmp_path_factory.mktemp("server"))
    its.start()
    yield its
    its.kill()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty database, which takes a second to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(
    tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Return the URI of a database; the artefacts are below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty.read_bytes())
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture(params=["database", "server"])
def uri(request: pytest.FixtureRequest) -> str:
    """Return the URI of a database, and that of a server."""
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, str) else str(found.url)


class There:
    """What MLflow has of the runs in a directory."""

    def __init__(self, uri: str, logdir: Path) -> None:
        self.client = mlflow.MlflowClient(tracking_uri=uri)
        self.uri = uri
        self.logdir = logdir

    def all(self) -> list[Any]:
        """Return all runs, the oldest first."""
        experiment = self.client.get_experiment_by_name(self.logdir.name)
        found = self.client.search_runs([experiment.experiment_id])
        where = str(self.logdir)
        own = {
            run.info.run_id
            for run in found
            if run.data.tags.get("annarchy_tb.path", "").startswith(where)
        }
        wanted = [
            run
            for run in found
            if run.info.run_id in own or run.data.tags.get("mlflow.parentRunId") in own
        ]
        return sorted(wanted, key=lambda run: (run.info.start_time, run.info.run_id))

    def runs(self) -> list[Any]:
        """Return all runs that are not curves."""
        return [run for run in self.all() if "annarchy_tb.curve" not in run.data.tags]

    def run(self) -> Any:
        [found] = self.runs()
        return found

    def curves(self, run: Any) -> dict[str, Any]:
        """Return the runs of the curves of a run."""
        return {
            its.data.tags["annarchy_tb.curve"]: its
            for its in self.all()
            if its.data.tags.get("mlflow.parentRunId") == run.info.run_id
            and "annarchy_tb.curve" in its.data.tags
        }

    def history(self, run: Any, name: str) -> list[tuple[int, float]]:
        """Return all points of a metric."""
        found = self.client.get_metric_history(run.info.run_id, name)
        return sorted((its.step, its.value) for its in found)

    def points(self, run: Any) -> list[tuple[str, str, int, float]]:
        """Return all points as `points_of` does, by the tags of the Logger."""
        found = []
        for curve, its in {"": run, **self.curves(run)}.items():
            for name in its.data.metrics:
                tag = its.data.tags.get(f"annarchy_tb.tag.{name}", name)
                found += [(curve, tag, *point) for point in self.history(its, name)]
        return sorted(found)

    def files(self, run: Any) -> dict[str, Path]:
        """Return the artefacts of a run by their paths, as they are stored."""
        where = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
        folder = STORES.get(self.uri, Path()) / where
        found = [path for path in folder.rglob("*") if path.is_file()]
        listed = self.client.list_artifacts(run.info.run_id)
        assert {its.path for its in listed} == {its.name for its in folder.iterdir()}
        return {path.relative_to(folder).as_posix(): path for path in found}


# -- what is there ---------------------------------------------------------------------


def test_a_run_of_every_kind_is_there_value_by_value(uri: str, logdir: Path) -> None:
    """Metrics as doubles, parameters, pictures, sounds, texts, tags and the end."""
    path = of_every_kind(logdir)
    [result] = follow(logdir, f"mlflow:{uri}")
    assert (result.status, result.error, result.refused) == ("finished", None, 0)
    there = There(uri, logdir)
    run = there.run()
    assert there.points(run) == points_of(path)
    assert run.data.params == {"tau": "10.0", "net/size": "100", "rule": "STDP"}
    assert run.data.metrics["loss"] == 0.5
    info = Run(path).info
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.info.start_time == round(Run(path).started.timestamp() * 1000 - 0.5)
    ended = Run(path).started + Run(path).duration
    assert abs(run.info.end_time - ended.timestamp() * 1000) <= 1
    assert run.data.tags["annarchy_tb.host"] == info["host"]
    assert run.data.tags["annarchy_tb.session"] == info["session"]
    commit = (info["git"] or {}).get("commit")
    assert run.data.tags.get("mlflow.source.git.commit") == commit
    for its in there.curves(run).values():
        assert its.info.status == "FINISHED"
    files = there.files(run)
    assert json.loads(files.pop("run.json").read_text())["status"] == "finished"
    assert _contents(files) == _wanted(path)


def _wanted(path: Path) -> dict[tuple[str, int], Any]:
    """Return the values of a run that are no numbers, by the tag and the step."""
    run, found = Run(path), {}
    for tag, kind in run.tags().items():
        if kind == "scalar":
            continue
        its = run.data(tag)
        for step, content in zip(its.steps.tolist(), its[1], strict=True):
            found[tag, step] = content if kind in ("text", "html") else content.tolist()
    return found


def _contents(files: dict[str, Path]) -> dict[tuple[str, int], Any]:
    """Return what is in artefacts, by the tag and the step; None of small copies."""
    found: dict[tuple[str, int], Any] = {}
    for name, path in files.items():
        folder, _, rest = name.partition("/")
        if folder == "images":
            tag, _, step, *_ = rest.split("+")
            if name.endswith("webp"):
                with Image.open(path) as image:
                    assert max(image.size) == 256
                continue
            with Image.open(path) as image:
                pixels = np.asarray(image)
            content = (pixels[..., None] if pixels.ndim == 2 else pixels).tolist()
        else:
            tag, _, last = rest.rpartition("/")
            step = last.rpartition("-")[0]
            if folder == "histograms":
                content = json.loads(path.read_text())["buckets"]
            elif folder == "audio":
                with wave.open(str(path)) as file:
                    frames = np.frombuffer(file.readframes(10**6), "<i2")
                    content = frames.reshape(-1, file.getnchannels()).tolist()
            else:
                content = path.read_text()
            if folder == "html":
                content = content.partition("</style>")[2]
        assert (tag, int(step)) not in found
        found[tag, int(step)] = content
    return found


def test_odd_numbers_are_there_as_mlflow_has_them(uri: str, logdir: Path) -> None:
    """NaN is NaN, infinity the largest double; all others have their bits."""
    numbers = [math.nan, math.inf, -math.inf, 5e-324, 0.1, -3e38, 2.0**53 + 2]
    with Logger(logdir, "run", on_nan="ignore") as logger:
        for step, number in enumerate(numbers):
            logger.add_scalar("odd", number, step)
        logger.add_scalar("far", 1.0, 2**60)
        logger.add_scalar("early", 1.0, -(2**60))
    follow(logdir, f"mlflow:{uri}")
    there = There(uri, logdir)
    run = there.run()
    for _ in range(2):
        found = [value for _, value in there.history(run, "odd")]
        wanted = [np.nan, sys.float_info.max, -sys.float_info.max, *numbers[3:]]
        assert struct.pack("7d", *found) == struct.pack("7d", *wanted)
        assert there.history(run, "far") == [(2**60, 1.0)]
        assert there.history(run, "early") == [(-(2**60), 1.0)]
        _forget(logdir)
        follow(logdir, f"mlflow:{uri}")  # what is pushed again is there once


def _forget(logdir: Path) -> None:
    """Remove the state of the follower."""
    [path] = logdir.rglob("state.json")
    path.unlink()


def test_real_times_are_timestamps_that_mlflow_takes(
    database: str, logdir: Path
) -> None:
    """In ms since 1970, also where the clock was wrong."""
    walls = np.array([1.5, 1764000000.1234, -5.0, np.nan, np.inf, -np.inf, 1e300])
    steps = np.arange(len(walls))
    points = Scalars.of([steps, np.zeros(len(walls)), np.zeros(len(walls)), walls])
    with Logger(logdir, "run") as logger:
        run = Run(logger.run_dir)
        target = MLflow(database, Options())
        kept: dict[str, Any] = {}
        target.begin(run, kept, None)
        target.push(News({}, "", {"a": points}, []))
    its = There(database, logdir).client.get_metric_history(kept["runs"][""], "a")
    found = [metric.timestamp for metric in sorted(its, key=lambda its: its.step)]
    assert found == [1500, 1764000000123, 0, 0, 2**62, 0, 2**62]


def test_more_than_a_batch_is_there(database: str, logdir: Path) -> None:
    """More than 1000 points, 100 parameters, and texts of more than a megabyte."""
    said: list[str] = []
    params: dict[str, Any] = {f"p{i}": "\u20ac" * 5990 for i in range(130)}
    params |= {"long": "x" * 7000, "empty": "", "none": None, "nul": "a\0b"}
    with Logger(logdir, "run") as logger:
        logger.add_parameters(params)
        for step in range(2500):
            logger.add_scalar("a", step, step)
    target = MLflow(database, Options(say=said.append))
    kept: dict[str, Any] = {}
    run = Run(logger.run_dir)
    target.begin(run, kept, None)
    for news in run.news():
        target.push(news)
    target.end(run, "finished")
    there = There(database, logdir)
    found = there.run()
    assert len(there.history(found, "a")) == 2500
    assert len(found.data.params) == len(params)
    assert found.data.params["p129"] == params["p129"]
    assert found.data.params["long"] == "x" * 6000
    assert found.data.params["none"] == "None"
    assert found.data.params["nul"] == "a\ufffdb"
    assert said == ["of long parameters, MLflow has 6000 characters: 'long'"]


def test_parameters_and_curves_that_come_later_are_there(
    database: str, logdir: Path
) -> None:
    """While the run goes on; a follower in between starts anew each time."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0, 0)
        follow(logdir, f"mlflow:{database}", once=True)
        logger.add_parameters({"tau [ms]": 5}, group="seeds")
        logger.add_scalars("plot", {"E": 1.0}, 0)
        follow(logdir, f"mlflow:{database}", once=True)
        run = There(database, logdir).run()
        assert run.data.params == {"tau ms": "5"}
        assert run.data.tags["annarchy_tb.param.tau ms"] == "tau [ms]"
        assert run.data.tags["annarchy_tb.group"] == "seeds"
        assert run.info.status == "RUNNING"
        logger.add_scalars("plot", {"E": 2.0, "I": 3.0}, 1)
    follow(logdir, f"mlflow:{database}")
    there = There(database, logdir)
    assert there.points(there.run()) == points_of(logger.run_dir)


def test_what_is_live_is_there_before_the_end(server: Server, logdir: Path) -> None:
    """After each part, MLflow has all of it; the status follows at the end."""
    there = There(server.url, logdir)
    with Logger(logdir, "run") as logger:
        for step in range(3):
            every_kind(logger, step)
            follow(logdir, f"mlflow:{server.url}", once=True)
            run = there.run()
            assert there.points(run) == points_of(logger.run_dir)
            assert run.info.status == "RUNNING"
            images = [name for name in there.files(run) if name.endswith(".png")]
            assert len(images) == 2 * (step + 1)
    follow(logdir, f"mlflow:{server.url}")
    assert there.run().info.status == "FINISHED"
    with Logger(logdir, "run", mode="a") as logger:  # the same run goes on
        logger.add_scalar("a", 9.0)
        follow(logdir, f"mlflow:{server.url}", once=True)
        assert there.run().info.status == "RUNNING"
    follow(logdir, f"mlflow:{server.url}")
    assert there.points(there.run()) == points_of(logger.run_dir)
    assert there.run().info.status == "FINISHED"


def test_a_failed_run_says_so(database: str, logdir: Path) -> None:
    """With its error in a tag."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        raise ZeroDivisionError("no \0 zero")
    follow(logdir, f"mlflow:{database}")
    run = There(database, logdir).run()
    assert run.info.status == "FAILED"
    assert run.data.tags["annarchy_tb.error"] == "ZeroDivisionError: no \ufffd zero"


def test_a_run_of_another_writer_is_there(database: str, logdir: Path) -> None:
    """With its parameters, though it has no run.json, and so no known end."""
    with tensorboardX.SummaryWriter(str(logdir / "run")) as writer:
        for step in range(10):
            writer.add_scalar("a", step, step)
        writer.add_text("text", "hello", 3)
        writer.add_hparams({"tau": 5.0}, {"loss": 0.5}, name="run", global_step=0)
    results = follow(logdir, f"mlflow:{database}", idle=0.0)
    assert {result.status for result in results} == {"unknown"}
    there = There(database, logdir)
    run, of_hparams = sorted(there.runs(), key=lambda run: run.info.run_name)
    assert there.history(run, "a") == [(step, float(step)) for step in range(10)]
    assert run.info.status == "FINISHED"
    assert of_hparams.data.params == {"tau": "5.0"}


# -- names -----------------------------------------------------------------------------

NAMES = [
    *("Rate/mean [Hz]", "Rate/mean (Hz)", "Rate/mean Hz", "a//b", "a/b", "/a/b"),
    *("a/./b", "a/../b", "..", ".", "/", "[]", "a\nb", "a_b", "a:b", "a%", "é µ/²"),
    *("x" * 120, "x" * 121, "x" * 9000, "x" * 9000 + "y", "µ" * 60, "µ" * 61),
    *("<b>", "w E\u2192I", "w E\u2190I", " a ", "a", "a\0", "\U0001f9e0"),
]


def test_each_name_is_another_one_that_mlflow_takes(
    database: str, logdir: Path
) -> None:
    """Whatever the tags are, all their points are there, and the originals in tags."""
    with Logger(logdir, "run") as logger:
        for number, tag in enumerate(NAMES):
            logger.add_scalar(tag, number, number)
    [result] = follow(logdir, f"mlflow:{database}")
    assert result.error is None
    there = There(database, logdir)
    run = there.run()
    assert len(run.data.metrics) == len(NAMES)
    found = {its: tag for _, tag, _, its in there.points(run)}
    for number, tag in enumerate(NAMES):
        if len(tag) < 7000 and "\0" not in tag:
            assert found[number] == tag
    assert run.data.metrics["a_b"] == NAMES.index("a\nb")  # the first to come


def test_names_do_not_depend_on_when_the_follower_was_started() -> None:
    """One that knows what is there gives the same names, and no name twice."""
    first = Names("t.", [], {})
    names = {tag: first.of(tag) for tag in NAMES}
    assert len(set(names.values())) == len(NAMES)
    assert max(len(name.encode()) for name in names.values()) <= LONGEST
    tags = first.take_new()
    assert first.take_new() == {}
    second = Names("t.", names.values(), tags)
    assert {tag: second.of(tag) for tag in reversed(NAMES)} == names
    assert second.take_new() == {}
    # Those with a tag only: the follower was killed before their points were there.
    third = Names("t.", [], tags)
    assert {tag: third.of(tag) for tag in NAMES if tag in tags.values()} == {
        tag: name for tag, name in names.items() if tag in tags.values()
    }


def test_a_name_of_the_server_is_not_given_to_another_tag() -> None:
    """Also if it had not to be changed, and so has no tag."""
    names = Names("t.", ["Rate Hz"], {})
    assert names.of("Rate Hz") == "Rate Hz"
    assert names.of("Rate [Hz]") != "Rate Hz"


def test_the_experiment_is_the_logdir_or_what_mlflow_s_variable_says(
    database: str, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logdir is the directory that is followed; runs may be deeper in it."""
    of_every_kind(logdir, "tuning/one", steps=1)
    of_every_kind(logdir, "two", steps=1)
    follow(logdir / "tuning", f"mlflow:{database}")
    follow(logdir, f"mlflow:{database}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the lab")
    of_every_kind(logdir, "deep/three", steps=1)
    follow(logdir, f"mlflow:{database}")
    client = mlflow.MlflowClient(tracking_uri=database)
    found = {
        experiment.name: {
            run.info.run_name
            for run in client.search_runs([experiment.experiment_id])
            if "annarchy_tb.curve" not in run.data.tags
        }
        for experiment in client.search_experiments()
    }
    assert found == {
        **{"tuning": {"one"}, "runs": {"two"}, "of the lab": {"deep/three"}},
        "Default": set(),
    }


def test_a_deleted_experiment_or_run_is_said(database: str, logdir: Path) -> None:
    """The run is given up, with what to do."""
    of_every_kind(logdir, steps=1)
    follow(logdir, f"mlflow:{database}", once=True)
    there = There(database, logdir)
    run = there.run()
    there.client.delete_run(run.info.run_id)
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1.0)
    [result] = follow(logdir, f"mlflow:{database}")
    assert "was deleted; restore it" in str(result.error)
    there.client.restore_run(run.info.run_id)
    [result] = follow(logdir, f"mlflow:{database}")
    assert (result.status, result.error) == ("finished", None)
    there.client.delete_experiment(run.info.experiment_id)
    of_every_kind(logdir, "other", steps=1)
    _, result = follow(logdir, f"mlflow:{database}")
    assert "MLFLOW_EXPERIMENT_NAME" in str(result.error)


def test_a_run_that_the_database_lost_is_pushed_again(
    database: str, logdir: Path, tmp_path: Path, empty: Path
) -> None:
    """All of it."""
    path = of_every_kind(logdir, steps=1)
    follow(logdir, f"mlflow:{database}")
    for old in tmp_path.glob("mlflow.db*"):
        old.unlink()
    (tmp_path / "other.db").write_bytes(empty.read_bytes())
    os.rename(tmp_path / "other.db", tmp_path / "mlflow.db")
    _dispose()
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1.0)
    follow(logdir, f"mlflow:{database}")
    there = There(database, logdir)
    assert there.points(there.run()) == points_of(path)


def _dispose() -> None:
    """Let MLflow forget its connections to databases."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()
    SqlAlchemyStore._engine_map.clear()
    SqlAlchemyStore._db_uri_sql_alchemy_engine_map = {}


# -- restarts and rates ----------------------------------------------------------------


def test_points_that_a_resume_withdraws_are_in_another_run(
    database: str, logdir: Path
) -> None:
    """The old run has them, the new one has what the run has; each names the other."""
    with Logger(logdir, "run") as logger:
        for step in range(1000):
            logger.add_scalar("a", step, step)
            logger.add_scalars("plot", {"E": step}, step)
            if step == 499:
                logger.save_checkpoint({"step": step}, step)
        follow(logdir, f"mlflow:{database}", once=True)
    there = There(database, logdir)
    old = there.run()
    with Logger(logdir, "run", resume=True) as logger:
        for step in range(500, 700):
            logger.add_scalar("a", -step, step)
    follow(logdir, f"mlflow:{database}")
    first, second = there.runs()
    if first.info.run_id != old.info.run_id:
        first, second = second, first
    assert len(there.history(first, "a")) == 1000
    assert there.points(second) == points_of(logger.run_dir)
    assert len(there.history(second, "a")) == 700
    assert first.data.tags["annarchy_tb.continued_as"] == second.info.run_id
    assert second.data.tags["annarchy_tb.continues"] == first.info.run_id
    assert second.data.tags["mlflow.parentRunId"] == first.info.run_id
    assert (first.info.status, second.info.status) == ("KILLED", "FINISHED")
    assert {its.info.status for its in there.curves(first).values()} == {"KILLED"}
    follow(logdir, f"mlflow:{database}")
    assert len(there.runs()) == 2


def test_points_beyond_the_rate_are_thinned_by_their_extremes(
    database: str, logdir: Path
) -> None:
    """No peak is missed, and the others are counted."""
    values = np.zeros(100_000)
    values[[1234, 56_789]] = 7.0, -7.0
    with Logger(logdir, "run") as logger:
        logger.add_series("v", values)
    [result] = follow(logdir, f"mlflow:{database}", rate=200)
    there = There(database, logdir)
    found = there.history(there.run(), "v")
    assert (1234, 7.0) in found
    assert (56_789, -7.0) in found
    assert len(found) == result.pushed < 1000
    assert result.pushed + result.thinned == 100_000


# -- kills -----------------------------------------------------------------------------


class Proxy:
    """A way to a server on which one answer is late: for ever."""

    def __init__(self, port: int) -> None:
        self.port, self.held = port, threading.Event()
        self.late: bytes | None = None  # what a request says whose answer is late
        self.lost: set[bytes] | None = None  # requests whose first answer was lost
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            client.settimeout(TIMEOUT)
            server.settimeout(TIMEOUT)
            with contextlib.suppress(OSError):
                while head := _request(client):
                    server.sendall(head)
                    answer = _request(server)
                    if self.late is not None and self.late in head:
                        assert b" 200 " in answer.partition(b"\r\n")[0]
                        self.held.set()
                        client.recv(1)  # until the follower is gone
                        return
                    kind = head.partition(b"?")[0].partition(b" HTTP")[0]
                    if self.lost is not None and kind not in self.lost:
                        self.lost.add(kind)
                        return
                    client.sendall(answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):  # it is closed
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT)


def _request(sender: socket.socket) -> bytes:
    """Return a whole request, or a whole answer; nothing at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sender.recv(1 << 16)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(
        line.lower().split(b": ", 1)
        for line in head.split(b"\r\n")[1:]
        if b": " in line
    )
    if fields.get(b"transfer-encoding") == b"chunked":
        while not body.endswith(b"0\r\n\r\n"):
            more = sender.recv(1 << 16)
            body, data = body + more, data + more
        return data
    while len(body) < int(fields.get(b"content-length", 0)):
        more = sender.recv(1 << 16)
        body, data = body + more, data + more
    return data


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Return a way to the server."""
    its = Proxy(server.port)
    yield its
    its.close()


@pytest.mark.parametrize(
    "late",
    [b"runs/create", b"annarchy_tb.curve", b"log-batch", b"images/", b"runs/update"],
)
def test_a_follower_killed_after_the_server_accepted_pushes_nothing_twice(
    late: bytes, proxy: Proxy, server: Server, logdir: Path
) -> None:
    """The next one finds the run; each point and each artefact is there once."""
    path = of_every_kind(logdir)
    proxy.late = late
    process = start(logdir, "--to", f"mlflow:{proxy.url}")
    assert proxy.held.wait(TIMEOUT)
    kill(process)
    proxy.late = None
    [result] = follow(logdir, f"mlflow:{proxy.url}")
    assert (result.status, result.error) == ("finished", None)
    there = There(server.url, logdir)
    run = there.run()
    assert len(there.all()) == 3  # with two curves
    assert there.points(run) == points_of(path)
    assert _contents({k: v for k, v in there.files(run).items() if "/" in k}) == (
        _wanted(path)
    )
    assert run.info.status == "FINISHED"


def test_an_answer_that_is_lost_is_asked_for_again(
    proxy: Proxy, server: Server, logdir: Path
) -> None:
    """Of each request, the first one fails after the server has accepted it."""
    path = of_every_kind(logdir)
    run = Run(path)
    follow(logdir, f"mlflow:{server.url}", once=True)
    first = There(server.url, logdir).run()
    [state] = logdir.rglob("state.json")
    previous = json.loads(state.read_text())["kept"]
    proxy.lost = set()
    failures = 0
    its: dict[str, Any] = {}
    while True:
        target = MLflow(proxy.url, Options())
        try:
            target.begin(run, its, previous)
            for news in run.news():
                assert isinstance(news, News)
                target.push(news)
            target.end(run, "finished")
            break
        except ConnectionError:
            failures += 1
    assert failures == len(proxy.lost) > 30  # with the artefacts
    there = There(server.url, logdir)
    [second] = [one for one in there.runs() if one.info.run_id != first.info.run_id]
    assert there.points(second) == points_of(path)
    assert len(there.curves(second)) == 2
    assert second.data.tags["annarchy_tb.continues"] == first.info.run_id
    tags = there.client.get_run(first.info.run_id).data.tags
    assert tags["annarchy_tb.continued_as"] == second.info.run_id


def test_a_killed_simulation_is_killed_there(database: str, logdir: Path) -> None:
    """With all that it had logged."""

    def simulate() -> None:
        logger = Logger(logdir, "run")
        for step in range(100):
            logger.add_scalar("a", step, step)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(simulate) == signal.SIGKILL
    [result] = follow(logdir, f"mlflow:{database}")
    assert result.status == "killed"
    there = There(database, logdir)
    assert there.run().info.status == "KILLED"
    assert len(there.history(there.run(), "a")) == 100


def test_a_server_that_is_killed_and_comes_back_has_each_point_once(
    tmp_path: Path, logdir: Path
) -> None:
    """The follower waits for it; what was logged meanwhile follows."""
    server = Server(tmp_path)
    server.start()
    try:
        there = There(server.url, logdir)
        with Logger(logdir, "run") as logger:
            logger.add_scalar("a", 0.0, 0)
            process = start(logdir, "--to", f"mlflow:{server.url}")
            until(lambda: _there(there, "a", 1), "the first point")
            server.kill()
            for step in range(1, 300):
                logger.add_scalar("a", step, step)
            until(lambda: _error(logdir), "an error")
            server.start()
            until(lambda: _there(there, "a", 300), "the last point")
        _, said = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, said
        assert there.points(there.run()) == points_of(logger.run_dir)
        assert there.run().info.status == "FINISHED"
    finally:
        server.kill()


def _there(there: There, name: str, number: int) -> bool:
    with contextlib.suppress(Exception):
        return len(there.history(there.run(), name)) == number
    return False


def _error(logdir: Path) -> Any:
    [path] = logdir.rglob("state.json")
    return json.loads(path.read_text())["error"]


def test_two_jobs_in_one_logdir_are_two_runs(database: str, logdir: Path) -> None:
    """Each with its points, while both are written."""
    codes = [
        "import sys, annarchy_tb\n"
        f"with annarchy_tb.Logger({str(logdir)!r}, {name!r}) as logger:\n"
        "    for step in range(500):\n"
        f"        logger.add_scalar('a', step * {factor}, step)\n"
        for name, factor in (("one", 1), ("two", -1))
    ]
    jobs = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
    until(lambda: len(list(logdir.glob("*/run.json"))) == 2, "two runs")
    results = follow(logdir, f"mlflow:{database}")
    assert [job.wait(TIMEOUT) for job in jobs] == [0, 0]
    assert [result.status for result in results] == ["finished"] * 2
    there = There(database, logdir)
    assert len(there.runs()) == 2
    for run in there.runs():
        assert there.points(run) == points_of(logdir / run.info.run_name)


def test_a_server_that_hangs_does_not_hold_up_the_simulation(
    logdir: Path, tmp_path: Path
) -> None:
    """The command gives up after a while, with the exit code of the simulation.

    It does so in the middle of a request, which would wait for two minutes.
    """
    script = tmp_path / "sim.py"
    script.write_text(
        "import annarchy_tb, os, sys, time\n"
        "start = time.monotonic()\n"
        f"with annarchy_tb.Logger({str(logdir)!r}, 'run') as logger:\n"
        "    for step in range(1000):\n"
        "        logger.add_scalar('a', step, step)\n"
        "assert not any(name.startswith('MLFLOW_SUPP') for name in os.environ)\n"
        "sys.exit(7)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        uri = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        options = ("--to", f"mlflow:{uri}", "--give-up", "2s")
        process = start(logdir, *options, "--", sys.executable, script)
        _, said = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 7, said
    assert len(points_of(logdir / "run")) == 1000


# -- bad input -------------------------------------------------------------------------


def test_a_password_is_written_nowhere(
    logdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by what is said, nor by the state, when the server can't be reached."""
    of_every_kind(logdir, steps=1)
    caplog.set_level("DEBUG", "annarchy_tb")
    to = f"mlflow:http://me:s3cret@127.0.0.1:{free_port()}"
    [result] = follow(logdir, to, give_up=0.0)
    assert result.error
    assert "me:***@" in caplog.text
    written = [its.read_bytes() for its in logdir.rglob("*") if its.is_file()]
    assert len(written) > 3
    for text in (caplog.text, repr(result), str(written)):
        assert "s3cret" not in text


def test_a_server_that_refuses_is_given_up(
    server: Server, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What will not pass is not tried again."""
    of_every_kind(logdir, steps=1)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "999999")
    [result] = follow(logdir, f"mlflow:{server.url}")
    assert result.status is None
    assert "999999" in str(result.error)


@pytest.mark.parametrize("place", ["localhost:5000", "mlruns", "  "])
def test_a_place_must_be_a_uri(place: str, logdir: Path) -> None:
    """The error shows what one looks like."""
    logdir.mkdir()
    with pytest.raises(ValueError, match="tracking URI such as mlflow:http://"):
        follow(logdir, f"mlflow:{place}")


def test_without_mlflow_the_error_says_how_to_install_it(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is followed."""
    logdir.mkdir()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match=r"pip install 'annarchy-tb\[mlflow\]'"):
        follow(logdir, "mlflow:http://127.0.0.1:1")


def test_a_database_needs_more_than_the_client_of_a_server(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install; for a server it is not needed."""
    logdir.mkdir()
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ImportError, match="needs sqlalchemy: pip install mlflow$"):
        follow(logdir, "mlflow:sqlite:///mlflow.db")
    MLflow("http://127.0.0.1:1", Options()).close()


def test_the_settings_of_the_user_come_first_and_ours_do_not_stay(
    database: str, logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is afterwards what it was before."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    of_every_kind(logdir, steps=1)
    before = dict(os.environ)
    follow(logdir, f"mlflow:{database}")
    assert dict(os.environ) == before
