"""Mirrors: on this machine, on S3 and over SFTP, by real servers on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import servers
from conftest import HAS_RUST, call, fill, load, without_rights
from conftest import Server as Board
from hypothesis import given
from hypothesis import strategies as st
from pushed import (
    catch_up,
    every_kind,
    kill,
    looping,
    of_every_kind,
    points_of,
    until,
)

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.follow import follow, parts, pull, store
from annarchy_tb.follow.parts import Part
from annarchy_tb.follow.targets import mirror
from annarchy_tb.reading.news import News
from annarchy_tb.tfevents.names import part_number, whole

fsspec = pytest.importorskip("fsspec")
asyn = pytest.importorskip("fsspec.asyn")

ODD = "a b#1?x=%20&é*[0]"  # a name that an address could be taken apart at


@pytest.fixture(scope="module")
def s3() -> Iterator[servers.Server]:
    """Return a server of S3, to which all clients of this module go."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    server = servers.s3()
    server.start()
    names = ("AWS_ENDPOINT_URL", "S3_ENDPOINT")
    address = dict.fromkeys(names, f"http://127.0.0.1:{server.port}")
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**address, **keys}.items():
                patch.setenv(name, value)
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield server
    finally:
        server.kill()


@pytest.fixture(scope="module", autouse=True)
def threads() -> None:
    """Start all threads of fsspec first, which never end."""
    loop = asyn.get_loop()

    async def fill() -> None:
        sleeps = [loop.run_in_executor(None, time.sleep, 0.05) for _ in range(64)]
        await asyncio.gather(*sleeps)

    asyncio.run_coroutine_threadsafe(fill(), loop).result()


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """Return a server of SFTP."""
    pytest.importorskip("paramiko")
    pytest.importorskip("asyncssh")
    server = servers.sftp(tmp_path_factory.mktemp("sftp"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


def bucket() -> Any:
    """Return the client of the server of S3, with a new bucket, and its name."""
    name = f"bucket-{os.urandom(4).hex()}"
    client = fsspec.filesystem("s3", skip_instance_cache=True)
    client.mkdir(name)
    return client, name


@pytest.fixture(params=["path", "s3", "sftp"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a new mirror in each kind of store."""
    if request.param == "path":
        return str(tmp_path / "mirror")
    server = request.getfixturevalue(request.param)
    if request.param == "s3":
        return f"s3://{bucket()[1]}/some runs"
    return f"sftp://me:secret@127.0.0.1:{server.port}{tmp_path}/mirror"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have followers try again soon."""
    monkeypatch.setattr("annarchy_tb.follow.link.PAUSES", (0.05, 0.2))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have parts of some hundred bytes."""
    monkeypatch.setattr(parts, "SMALLEST", 400)


@pytest.fixture
def middling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have parts of some thousand bytes."""
    monkeypatch.setattr(parts, "SMALLEST", 2000)


def sums(directory: Path) -> dict[str, str]:
    """Return the checksums of all files of runs, by their names."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".annarchy_tb" not in path.parts
    }


def of_all_kinds(logdir: Path, name: str = "run") -> Path:
    """Write a run that has files of every kind, also those of checkpoints."""
    with Logger(logdir, name, source=True) as logger:
        for step in range(3):
            every_kind(logger, step)
            logger.save_checkpoint({"step": step}, step)
            logger.add_scalar("cut", -1.0)
    with Logger(logdir, name, resume=True) as logger:
        every_kind(logger, 3)
    Run(logger.run_dir).add_note("odd")
    return Path(logger.run_dir)


def dying(runs: Path, url: str, saves: int, *, once: bool = True) -> int:
    """Follow in a process that is killed before it saves the state the n-th time."""
    code = f"""
        import os, signal
        from annarchy_tb.follow import follow, parts
        from annarchy_tb.follow.state import State
        parts.SMALLEST, count, save = {parts.SMALLEST}, [0], State.save
        def dies(self):
            count[0] += 1
            if count[0] == {saves}:
                os.kill(os.getpid(), signal.SIGKILL)
            save(self)
        State.save = dies
        follow({str(runs)!r}, {f"mirror:{url}"!r}, once={once})
    """
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode


def follower(runs: Path, url: str) -> subprocess.Popen[str]:
    """Start a follower in a process of its own."""
    code = f"""
        import importlib.util, logging, sys
        from annarchy_tb.follow import follow, link
        if importlib.util.find_spec("s3fs"):  # it tries again, too
            import s3fs
            s3fs.S3FileSystem.retries = 1
        link.PAUSES = (0.05, 0.2)
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
        for name in ("botocore", "aiobotocore", "asyncio", "paramiko"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        follow({str(runs)!r}, {f"mirror:{url}"!r})
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def files_at(url: str) -> dict[str, int]:
    """Return the sizes of all files at an address."""
    with_it = store.Store(url, "test")
    try:
        return {name: its.size for name, its in with_it.files().items()}
    finally:
        with_it.close()


def test_a_run_is_pulled_byte_for_byte(url: str, tmp_path: Path) -> None:
    """Every file of a run comes back as it was, whatever its name; then nothing new."""
    runs = tmp_path / "runs"
    of_all_kinds(runs, ODD)
    of_every_kind(runs, f"group/{ODD}2")
    [*_] = follow(runs, f"mirror:{url}")
    first = pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)
    assert len(first) == 2
    assert [its[1:] for its in pull(url, tmp_path / "back")] == [(0, 0), (0, 0)]
    of_every_kind(runs, f"{ODD}2")  # the same, and more
    follow(runs, f"mirror:{url}")
    pull(f"{url}/{ODD}", tmp_path / "one")
    assert sums(tmp_path / "one") == sums(runs / ODD)
    names = {name.rpartition("/")[2] for name in files_at(url)}
    assert not any(name.endswith(".tmp") for name in names)


@pytest.mark.usefixtures("small")
def test_parts_are_whole_records(url: str, tmp_path: Path) -> None:
    """Each part has whole records, and TensorBoard's reader finds every one of them."""
    runs = tmp_path / "runs"
    run = of_every_kind(runs, steps=6)
    follow(runs, f"mirror:{url}")
    [pulled] = [its.path for its in pull(url, tmp_path / "back")]
    assert sums(pulled) == sums(run)
    numbers = [part_number(name.rpartition("/")[2]) for name in files_at(url)]
    assert max(number for number in numbers if number is not None) > 5
    if "://" in url:
        return
    copy = tmp_path / "mirror/run"
    assert str([its.proto for its in load(copy)]) == str([i.proto for i in load(run)])
    assert not Run(copy).damage()


@pytest.mark.usefixtures("small")
def test_a_mirror_reads_as_the_run(tmp_path: Path) -> None:
    """Run, find_runs and news read parts as the files that they are parts of."""
    runs = tmp_path / "runs"
    with Logger(runs, "run", time_unit="s") as logger:
        logger.add_scalar("before", 1.0, 0)
        for name in ("one", "two"):
            with logger.phase(name):
                for step in range(25):
                    logger.add_scalar("v", step, step, time=step / 2)
                    logger.log({"a": step, "b": 2.0}, step)
                    logger.add_series("s", np.arange(40) + step, shown=10)
                    logger.add_scalars("plot", {"x": step}, step)
        logger.add_metrics({"loss": 0.5})
    follow(runs, f"mirror:{tmp_path}/mirror")
    ours, its = Run(runs / "run"), Run(tmp_path / "mirror/run")
    assert len(list((tmp_path / "mirror/run").iterdir())) > 20
    assert its.tags() == ours.tags()
    assert its.phases == ours.phases
    for tag in ("before", "v", "a", "s"):
        for one, other in zip(ours.scalars(tag), its.scalars(tag), strict=True):
            np.testing.assert_array_equal(one, other)
    assert points_of(its.path) == points_of(ours.path)
    [found] = find_runs(tmp_path / "mirror")
    assert (found.status, found.metrics) == ("finished", {"loss": 0.5})

    def told(run: Run) -> list[tuple[str, list[float]]]:
        found: dict[str, list[float]] = {}
        position = None
        while news := next(run.news(position), None):  # each in a reader of its own
            assert isinstance(news, News)
            position = news.position
            for tag, its in news.points.items():
                found.setdefault(news.curve + tag, []).extend(its.times.tolist())
        assert list(run.news(run.position)) == []
        return sorted((tag, times) for tag, times in found.items())

    assert str(told(its)) == str(told(ours))


@pytest.mark.usefixtures("small")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fast", [False, True])
def test_tensorboard_shows_a_live_mirror(tmp_path: Path, fast: bool) -> None:
    """A TensorBoard that runs shows each point of a mirror, with both loaders."""
    if fast and not HAS_RUST:
        pytest.skip("TensorBoard has no data server for this platform; CI runs it")
    runs, copy = tmp_path / "runs", tmp_path / "mirror"
    copy.mkdir()
    board = Board(copy, fast)
    board.start()
    try:
        with Logger(runs, "run") as logger:
            before = 0
            for count in (5, 10, 60):
                for step in range(before, count):
                    logger.add_scalar("v", step / 2, step)
                before = count
                follow(runs, f"mirror:{copy}", once=True)
                shown = board.until(
                    lambda points, count=count: len(points) >= count,
                    "plugin/scalars/scalars",
                    run="run",
                    tag="v",
                )
                assert [its[1:] for its in shown] == [[s, s / 2] for s in range(count)]
    finally:
        board.stop()


@pytest.mark.usefixtures("small", "s3")
def test_tensorboard_reads_a_mirror_on_s3(tmp_path: Path) -> None:
    """TensorBoard's own reader of S3 finds each point, also in parts that grew."""
    from tensorboard.backend.event_processing.plugin_event_multiplexer import (
        EventMultiplexer,
    )

    runs, url = tmp_path / "runs", f"s3://{bucket()[1]}/runs"
    board = EventMultiplexer(size_guidance={})
    with Logger(runs, "run") as logger:
        before = 0
        for count in (5, 10, 40):
            for step in range(before, count):
                logger.add_scalar("v", step / 2, step)
            before = count
            follow(runs, f"mirror:{url}", once=True)
            board.AddRunsFromDirectory(url)
            board.Reload()
            shown = board.Tensors("run", "v")
            assert [event.step for event in shown] == list(range(count))


def test_a_live_mirror_is_the_beginning_of_the_run(url: str, tmp_path: Path) -> None:
    """At any time, what is pulled is the beginning of what was logged, undamaged."""
    runs = tmp_path / "runs"
    process = None
    try:
        with Logger(runs, "run") as logger:
            logger.add_scalar("a", 0.0, 0)
            process = follower(runs, url)
            seen, step = 0, 1
            while seen < 2:
                for _ in range(20):
                    every_kind(logger, step)
                    step += 1
                until(lambda: files_at(url), "the mirror")
                [its] = pull(url, tmp_path / "back")
                run = Run(its.path)
                found = run.scalars("a").steps.tolist()
                assert found == list(range(len(found)))
                assert not run.damage()
                seen += len(found) > 1
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        if process is not None and process.poll() is None:
            kill(process)
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


@pytest.mark.usefixtures("middling")
def test_a_killed_follower_goes_on(url: str, tmp_path: Path) -> None:
    """Killed between an upload and its state, it goes on with the same parts."""
    runs = tmp_path / "runs"
    with Logger(runs, "run", source=True) as logger:
        for step in range(8):
            every_kind(logger, step)
            if step == 4:
                logger.save_checkpoint(step, step)
            if step in (2, 5):
                assert dying(runs, url, 2) == -9
    assert dying(runs, url, 3) == -9
    follow(runs, f"mirror:{url}")
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


def test_a_mirror_without_run_json_is_pulled(url: str, tmp_path: Path) -> None:
    """If the follower was killed before it was there, the data can be read."""
    runs = tmp_path / "runs"
    of_every_kind(runs)
    code = f"""
        import os, signal
        from annarchy_tb.follow import follow
        from annarchy_tb.follow.targets.mirror import Mirror
        Mirror._copy_record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        follow({str(runs)!r}, {f"mirror:{url}"!r})
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
    assert killed.returncode == -9
    [its] = pull(f"{url}/run", tmp_path / "back/run")
    assert points_of(its.path) == points_of(runs / "run")
    assert Run(its.path).status == "unknown"
    follow(runs, f"mirror:{url}")
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


@pytest.mark.usefixtures("middling")
def test_what_is_deleted_there_comes_again(url: str, tmp_path: Path) -> None:
    """A follower whose files at the mirror are gone makes them again, without holes."""
    runs = tmp_path / "runs"
    with Logger(runs, "run") as logger:
        for step in range(4):
            every_kind(logger, step)
        loop = looping(runs, f"mirror:{url}")
        catch_up(loop)
        there = store.Store(url, "test")
        for name in there.files():
            if name.endswith((".000000", ".000001", ".json")):
                there.remove(name)
        there.close()
        every_kind(logger, 4)
        catch_up(loop)
    try:
        until(lambda: not loop.round() and loop.is_done(), "the end")
    finally:
        loop.close()
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


@pytest.mark.parametrize("url", ["path", "sftp"], indirect=True)
def test_half_a_record_is_completed(url: str, tmp_path: Path) -> None:
    """Where files grow, a follower that was killed in a write completes the record."""
    runs = tmp_path / "runs"
    run = of_every_kind(runs)
    follow(runs, f"mirror:{url}")
    [path] = (tmp_path / "mirror/run").glob("events*")
    os.truncate(path, path.stat().st_size - 10)
    for state in runs.rglob("state.json"):
        state.unlink()
    with Logger(runs, "run", mode="a") as logger:
        logger.add_scalar("a", 1.0, 1000)
    follow(runs, f"mirror:{url}")
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back/run") == sums(run)


def test_a_server_that_comes_back_gets_all(url: str, tmp_path: Path) -> None:
    """A killed server is waited for; also if it has lost all, it gets all again."""
    if "://" not in url:
        pytest.skip("there is no server")
    kind = url.partition(":")[0]
    runs = tmp_path / "runs"
    server = servers.s3() if kind == "s3" else servers.sftp(tmp_path)
    with pytest.MonkeyPatch.context() as patch, Logger(runs, "run") as logger:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        server.start()
        if kind == "s3":
            name = bucket()[1]
            url = f"s3://{name}/runs"
        else:
            url = f"sftp://me:secret@127.0.0.1:{server.port}{tmp_path}/mirror"
        process = follower(runs, url)
        try:
            logger.add_scalar("a", 0.0)
            until(lambda: "run/run.json" in files_at(url), "the mirror")
            server.kill()
            for step in range(1, 50):
                every_kind(logger, step)
            assert process.stdout is not None
            said = until(process.stdout.readline, "an error")
            assert "trying again" in said
            server.start()
            if kind == "s3":
                fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
            logger.close()
            said += process.communicate(timeout=60)[0]
            assert process.returncode == 0
            assert "back after" in said
            assert "secret" not in said
            pull(url, tmp_path / "back")
            assert sums(tmp_path / "back") == sums(runs)
        finally:
            if process.poll() is None:
                kill(process)
            server.kill()


class Recorded(store.Store):
    """A store that tells after each change what a reader finds there."""

    seen: Callable[[], object]

    def write(self, *arguments: Any, **options: Any) -> None:
        super().write(*arguments, **options)
        self.seen()

    def remove(self, name: str) -> None:
        super().remove(name)
        self.seen()

    def replace(self, *arguments: Any, **options: Any) -> None:
        super().replace(*arguments, **options)
        self.seen()


@pytest.mark.usefixtures("middling")
@pytest.mark.parametrize(
    ("url", "stopped"),
    [("path", False), ("path", True), ("s3", False), ("sftp", True)],
    indirect=["url"],
)
def test_withdrawn_points_are_never_beside_new_ones(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """After a resume, a reader finds ever less of the old run, and then the new one."""
    runs = tmp_path / "runs"
    with Logger(runs, "run") as logger:
        for step in range(20):
            logger.add_scalar("v", step, step)
            logger.add_series("s", np.full(5, step))
        logger.save_checkpoint(None, 20)
        for step in range(20, 300):
            logger.add_scalar("v", step, step)
            if step < 30:
                logger.add_series("s", np.full(5, step))
    with Logger(runs, "run", mode="a") as logger:  # in another file
        for step in range(300, 520):
            logger.add_scalar("v", step, step)
    if stopped:
        assert dying(runs, url, 2) == -9
    follow(runs, f"mirror:{url}", once=True)
    with Logger(runs, "run", resume=True) as logger:
        for step in range(20, 60):
            logger.add_scalar("v", 10_000 + step, step)
            logger.add_series("s", np.full(5, 10_000 + step))
    states = []

    def seen() -> None:
        if "://" in url:  # each look takes long
            return
        run = Run(tmp_path / "mirror/run")
        values = run.scalars("v").values.tolist() if "v" in run.tags() else []
        old = [value for value in values if value < 10_000]
        assert values[: len(old)] == old == list(range(len(old)))
        new = len(values) - len(old)
        assert new == 0 or len(old) == 20
        states.append((len(old), new))

    monkeypatch.setattr(Recorded, "seen", staticmethod(seen), raising=False)
    monkeypatch.setattr(mirror, "Store", Recorded)
    follow(runs, f"mirror:{url}")
    assert states == sorted(states, key=lambda its: (-its[0], its[1]))
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)
    found = {name.rpartition("/")[2] for name in files_at(url)}
    assert {whole(name) for name in found if part_number(name) is not None} == {
        name for name in sums(runs / "run") if name[:2] in ("ev", "re")
    }


def test_a_note_comes_later(url: str, tmp_path: Path) -> None:
    """A note that is added when all was copied is copied, too."""
    runs = tmp_path / "runs"
    run = of_every_kind(runs)
    follow(runs, f"mirror:{url}")
    Run(run).add_note("odd")
    follow(runs, f"mirror:{url}")
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)
    assert Run(tmp_path / "back/run").notes[0]["text"] == "odd"


def test_a_pull_follows_a_resume(url: str, tmp_path: Path) -> None:
    """What a resume withdrew disappears from what was pulled before."""
    runs = tmp_path / "runs"
    for resume in (False, True):
        with Logger(runs, "run", resume=resume) as logger:
            if not resume:
                for step in range(3):
                    every_kind(logger, step)
                logger.save_checkpoint(None, 3)
            for step in range(3, 10):
                every_kind(logger, step)
        follow(runs, f"mirror:{url}")
        pull(url, tmp_path / "back")
        assert sums(tmp_path / "back") == sums(runs)


def test_a_pull_reads_what_is_new(url: str, tmp_path: Path) -> None:
    """A second pull reads the bytes that were added, and run.json."""
    runs = tmp_path / "runs"
    with Logger(runs, "run") as logger:
        logger.add_series("s", np.zeros(100_000))
        for count in (100, 10):
            before = sums(runs)
            for step in range(count):
                logger.add_scalar("v", step)
            follow(runs, f"mirror:{url}", once=True)
            [its] = pull(url, tmp_path / "back")
    assert its.files == 1
    assert 100 < its.size < 1000
    assert len(before) == 3


def test_jobs_in_one_directory(url: str, tmp_path: Path) -> None:
    """Two jobs are mirrored side by side, each with its own follower, and pulled."""
    code = """
        import sys
        from annarchy_tb import Logger
        with Logger(sys.argv[1], sys.argv[2]) as logger:
            for step in range(300):
                logger.add_scalar("v", step, step)
    """
    runs = tmp_path / "runs"
    jobs = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), runs, name])
        for name in ("one", "two")
    ]
    until(lambda: len(list(runs.glob("*/run.json"))) == 2, "both jobs")
    followers = [follower(runs / name, url) for name in ("one", "two")]
    for process in jobs + followers:
        process.communicate(timeout=60)
        assert process.returncode == 0
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


def test_a_killed_simulation_is_mirrored_to_its_last_byte(tmp_path: Path) -> None:
    """Half a record at the end of a file comes, too, once the run has ended."""
    runs = tmp_path / "runs"
    code = f"""
        import os, signal
        from annarchy_tb import Logger
        logger = Logger({str(runs)!r}, "run")
        for step in range(10):
            logger.add_scalar("v", step, step)
        with open(logger.run_dir / next(iter(logger.run_dir.glob("ev*"))), "ab") as f:
            f.write(b"half")
        (logger.run_dir / "events.out.tfevents.9999999999.host.1.0009").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
    [its] = follow(runs, f"mirror:{tmp_path}/mirror")
    assert its.status == "killed"
    pull(f"{tmp_path}/mirror", tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


def test_another_run_is_not_overwritten(url: str, tmp_path: Path) -> None:
    """A run of the same name from another place is refused; a start over is not."""
    first, second = tmp_path / "runs", tmp_path / "others"
    of_every_kind(first)
    of_every_kind(second)
    follow(first, f"mirror:{url}")
    there = files_at(url)
    [its] = follow(second, f"mirror:{url}")
    assert "has another run, which started at" in str(its.error)
    assert "secret" not in str(its.error)
    assert files_at(url) == there
    with Logger(first, "run", mode="w") as logger:
        logger.add_scalar("v", 1.0)
    assert dying(first, url, 2) == -9
    follow(first, f"mirror:{url}")
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(first)
    with pytest.raises(ValueError, match="has another run, which started at"):
        pull(url, second)


def test_a_run_inside_another_one_is_left_alone(url: str, tmp_path: Path) -> None:
    """The mirror of a run keeps its hands off that of a run in its directory."""
    runs = tmp_path / "runs"
    of_every_kind(runs, "a")
    of_every_kind(runs, "a/b")
    follow(runs, f"mirror:{url}")
    for state in runs.rglob("state.json"):
        state.unlink()
    follow(runs, f"mirror:{url}")
    pull(url, tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


def test_a_full_disk_is_waited_for(tmp_path: Path, disk: Path) -> None:
    """A full disk at the mirror is said once, and what is missing comes later."""
    runs = tmp_path / "runs"
    of_every_kind(runs)
    filler = fill(disk)
    said: list[str] = []
    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.extend(follow(runs, f"mirror:{disk}/mirror"))
    )
    handler = Told(said)
    with handler:
        thread.start()
        until(lambda: any("No space left" in line for line in said), "the error")
        filler.unlink()
        thread.join(60)
    assert found[0].status == "finished"
    assert len([line for line in said if "No space left" in line]) == 1
    pull(f"{disk}/mirror", tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


class Told:
    """What followers say, in a list."""

    def __init__(self, said: list[str]) -> None:
        self._logger = logging.getLogger("annarchy_tb")
        self._handler = logging.Handler()
        self._handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]

    def __enter__(self) -> None:
        self._level = self._logger.level
        self._logger.setLevel("INFO")
        self._logger.addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)


@pytest.mark.usefixtures("s3")
def test_no_such_bucket_is_waited_for(tmp_path: Path) -> None:
    """A bucket that is not there is said once; the other places get all meanwhile."""
    runs = tmp_path / "runs"
    of_every_kind(runs)
    said: list[str] = []
    to = [f"mirror:{tmp_path}/mirror", "mirror:s3://no-such-bucket-here/runs"]
    with Told(said):
        one, other = follow(runs, to, give_up=1.0)
    assert (one.status, other.status) == ("finished", None)
    assert "no-such-bucket-here" in str(other.error)
    assert len([line for line in said if "trying again" in line]) == 1
    pull(f"{tmp_path}/mirror", tmp_path / "back")
    assert sums(tmp_path / "back") == sums(runs)


def test_no_permission_is_told(tmp_path: Path) -> None:
    """A mirror that may not be written is told in a line."""
    runs, there = tmp_path / "runs", tmp_path / "mirror"
    of_every_kind(runs)
    there.mkdir(mode=0o755)

    def work() -> str:
        its = store.Store(str(there), "test")
        try:
            its.write("run/x", b"x")
        except OSError as error:
            return f"{type(error).__name__} {error}"
        return "nothing"

    said = without_rights(tmp_path, work)
    assert said.startswith("PermissionError")
    assert str(there) in said


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error names the package to install, or the kind of store that is unknown."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    runs = tmp_path / "runs"
    of_every_kind(runs)
    with pytest.raises(
        ImportError, match=r"mirror to s3:// needs s3fs: pip install s3"
    ):
        follow(runs, "mirror:s3://bucket/runs")
    with pytest.raises(ValueError, match="Protocol not known"):
        follow(runs, "mirror:nowhere://me:secret@x")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(
        ImportError, match=r"fsspec: pip install 'annarchy-tb\[mirror\]"
    ):
        follow(runs, f"mirror:{tmp_path}/mirror")


# -- pull and ls -----------------------------------------------------------------------


@pytest.mark.usefixtures("s3")
def test_names_never_lead_out_of_the_directory(tmp_path: Path) -> None:
    """Names that lead elsewhere are left out with a warning, the rest is pulled."""
    runs = tmp_path / "runs"
    of_every_kind(runs)
    client, name = bucket()
    url = f"s3://{name}/runs"
    follow(runs, f"mirror:{url}")
    event = "events.out.tfevents.1700000000.host.1.0000.000000"
    for bad in (
        "../up",
        "run/../../up",
        "run//up",
        "run/./up",
        "/up",
        "../../../../up",
    ):
        client.pipe_file(f"{name}/runs/{bad}/{event}", b"bad")
    client.pipe_file(f"{name}/runs/../x/run.json", b"{}")
    target = tmp_path / "deep/in/back"
    with pytest.warns(UserWarning, match="are left out for their names"):
        pull(url, target)
    assert sums(target) == sums(runs)
    assert sorted(path.name for path in (tmp_path / "deep/in").iterdir()) == ["back"]
    assert not list(tmp_path.rglob("up"))
    with pytest.warns(UserWarning, match="are left out for their names"):
        assert [its.path for its in pull(f"{url}/run", tmp_path / "one")]
    assert sums(tmp_path / "one") == sums(runs / "run")


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A link in the directory, or in the mirror, leads nowhere."""
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    of_all_kinds(runs)
    follow(runs, f"mirror:{tmp_path}/mirror")
    elsewhere.mkdir()
    back = tmp_path / "back"
    (back / "run").mkdir(parents=True)
    (back / "run/checkpoints").symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError, match="is a link"):
        pull(f"{tmp_path}/mirror", back)
    assert list(elsewhere.iterdir()) == []
    (back / "run/checkpoints").unlink()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    event = min((runs / "run").glob("ev*"))
    (back / "run" / event.name).unlink(missing_ok=True)
    (back / "run" / event.name).symlink_to(secret)
    (tmp_path / "mirror/run/source/packages.txt").unlink()
    (tmp_path / "mirror/run/source/packages.txt").symlink_to(secret)
    pull(f"{tmp_path}/mirror", back)
    assert secret.read_text() == "secret"
    assert not (back / "run" / event.name).is_symlink()
    assert not (back / "run/source/packages.txt").exists()


def test_a_directory_that_went_on_is_refused(tmp_path: Path) -> None:
    """A run that was continued where it was pulled is not overwritten."""
    runs, back = tmp_path / "runs", tmp_path / "back"
    of_every_kind(runs)
    follow(runs, f"mirror:{tmp_path}/mirror")
    pull(f"{tmp_path}/mirror", back)
    with Logger(back, "run", mode="a") as logger:
        logger.add_scalar("v", 1.0)
    before = sums(back)
    with pytest.raises(ValueError, match="was continued there"):
        pull(f"{tmp_path}/mirror", back)
    assert sums(back) == before
    with pytest.raises(ValueError, match="has another run, or a mirror"):
        (tmp_path / "mirror/run/run.json").rename(tmp_path / "run.json")
        pull(f"{tmp_path}/mirror", f"{tmp_path}/mirror")


def test_a_logger_does_not_write_a_mirror(tmp_path: Path) -> None:
    """Opening a mirror to continue the run is refused, with what to do instead."""
    runs = tmp_path / "runs"
    of_all_kinds(runs)
    follow(runs, f"mirror:{tmp_path}/mirror")
    before = sums(tmp_path / "mirror")
    for how in ({"mode": "a"}, {"mode": "w"}, {"resume": True}, {}):
        with pytest.raises(ValueError, match="is a mirror.*annarchy-tb pull"):
            Logger(tmp_path / "mirror", "run", **how)  # type: ignore[arg-type]
    assert sums(tmp_path / "mirror") == before


def test_ls_reads_run_json_only(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs of a mirror are listed, and nothing but run.json of each is read."""
    runs = tmp_path / "runs"
    of_every_kind(runs, "one")
    of_every_kind(runs, f"group/{ODD}")
    follow(runs, f"mirror:{url}")
    address = url if "://" in url else f"file://{url}"
    read: list[str] = []
    for name in ("cat_file", "open", "get_file"):
        for kind in (fsspec.AbstractFileSystem, asyn.AsyncFileSystem):
            if name in vars(kind):
                original = getattr(kind, name)
                monkeypatch.setattr(kind, name, _noting(original, read))
    if url.startswith("s3"):
        import s3fs

        original = s3fs.S3FileSystem._cat_file

        async def noted(self: Any, path: str, *more: Any, **options: Any) -> Any:
            read.append(path)
            return await original(self, path, *more, **options)

        monkeypatch.setattr(s3fs.S3FileSystem, "_cat_file", noted)
    said = call("ls", address, "--columns", "status,loss")
    assert said.exit_code == 0, said.stderr
    assert f"group/{ODD}  finished   0.5" in said.stdout
    assert len(read) >= 2
    assert {path.rpartition("/")[2] for path in read} == {"run.json"}
    [one] = json.loads(call("ls", f"{address}/one", "--json").stdout)
    assert one["path"].endswith("some runs/one" if "s3" in url else "mirror/one")
    assert "secret" not in one["path"]


def _noting(original: Any, read: list[str]) -> Any:
    def noted(self: Any, path: str, *more: Any, **options: Any) -> Any:
        read.append(path)
        return original(self, path, *more, **options)

    return noted


def test_the_command_pulls(tmp_path: Path) -> None:
    """annarchy-tb pull says what was read, and errors in a line."""
    runs = tmp_path / "runs"
    of_every_kind(runs)
    follow(runs, f"mirror:{tmp_path}/mirror")
    said = call("pull", f"{tmp_path}/mirror", tmp_path / "back")
    assert said.exit_code == 0, said.stderr
    assert "back/run: 5 files, " in said.stdout
    assert sums(tmp_path / "back") == sums(runs)
    assert "no news" in call("pull", f"{tmp_path}/mirror", tmp_path / "back").stdout
    said = call("pull", f"{tmp_path}/nothing", tmp_path / "back")
    assert said.exit_code == 1
    assert said.stderr.startswith("Error: there is no run at")
    said = call("pull", "nowhere://me:secret@x", tmp_path / "back")
    assert said.stderr == "Error: nowhere://me:***@x: Protocol not known: nowhere\n"


# -- parts -----------------------------------------------------------------------------


@given(
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=40),
    torn=st.integers(0, 40),
    seed=st.integers(0, 1000),
)
def test_a_file_that_grew_has_the_same_parts(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], torn: int, seed: int
) -> None:
    """The cuts do not depend on when the file was looked at."""
    from annarchy_tb.tfevents.records import record

    path = tmp_path_factory.mktemp("parts") / "file"
    data = b"".join(record(b"x" * size) for size in sizes)
    path.write_bytes(data + b"y" * torn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "SMALLEST", 1000)
        begin = Part(0, 0, 0, False)
        wanted = list(parts.parts(path, begin, len(data) + torn))
        assert wanted[-1].end == len(data)
        assert [its.number for its in wanted] == list(range(len(wanted)))
        rng, since, found = random.Random(seed), begin, {}
        for limit in [*sorted(rng.choices(range(len(data) + 1), k=5)), len(data)]:
            for its in parts.parts(path, since, limit):
                found[its.number] = its
                since = its
        assert list(found.values()) == wanted


def test_long_files_have_few_parts() -> None:
    """A file of 10 GB has 300 parts, which a server can keep open."""
    start = count = 0
    while start < 10e9:
        start += parts.room(start)
        count += 1
    assert count < 320


@pytest.mark.usefixtures("s3")
def test_three_weeks_are_few_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be appended, parts are written again, but not too often."""
    runs, (client, name) = tmp_path / "runs", bucket()
    clock = [0.0]
    monkeypatch.setattr(mirror, "monotonic", lambda: clock[0])
    monkeypatch.setattr(parts, "SMALLEST", 80_000)
    monkeypatch.setattr(mirror, "AGAIN", 2500)  # a part in 32 s, as it is with 8 MiB
    with Logger(runs, "run") as logger:
        options = mirror.Options("run")
        target = mirror.Mirror(f"s3://{name}/runs", options)
        target.begin(Run(logger.run_dir), {}, None)
        held = False
        for second in range(0, 1000, 8):
            for step in range(40):
                logger.add_scalar("v", 1.0, 5 * second + step)
            clock[0] = float(second)
            target._copy(None, clock[0] + 1.0)
            held |= target.holds
        clock[0] += 100.0
        target._copy(None, clock[0] + 1.0)
        assert held
        assert not target.holds
        target.close()
        [path] = logger.run_dir.glob("ev*")
        size = path.stat().st_size
    objects = client.find(f"{name}/runs")
    assert len(objects) <= size / 80_000 + 3
    assert target.written < 2500 * 1000 * 1.1
