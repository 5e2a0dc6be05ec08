from __future__ import annotations

import copy
import gc
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import HAS_PANDAS, HAS_RUST, Server, load, scalars, tables
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import annarchy_tb
from annarchy_tb import Logger, Run, SummaryWriter, cli, find_runs
from annarchy_tb.cli import main
from annarchy_tb.run import info as runinfo
from annarchy_tb.run import provenance

# How a process ends: the code after the first call, the signal it gets, the status in
# run.json, and the one in TensorBoard's HPARAMS tab (0 unknown, 1 success, 2 failure).
ENDS: dict[str, tuple[str, int | None, str, int]] = {
    "returns": ("pass", None, "finished", 1),
    "raises": ("raise ValueError('diverged | here')", None, "failed", 2),
    "exits 0": ("sys.exit(0)", None, "finished", 1),
    "exits 3": ("sys.exit(3)", None, "failed", 2),
    "Ctrl-C": ("wait()", signal.SIGINT, "failed", 2),
    "SIGTERM": ("wait()", signal.SIGTERM, "killed", 0),
    "kill -9": ("wait()", signal.SIGKILL, "killed", 0),
    "os._exit": ("os._exit(0)", None, "killed", 0),
}


def run_process(logdir: Path, name: str) -> None:
    """Run a process that ends in one of these ways."""
    code, number, *_ = ENDS[name]
    script = f"""
import os, sys, time
from annarchy_tb import Logger

def wait():
    print("logged", flush=True)
    while True:
        time.sleep(0.01)

with Logger({str(logdir)!r}, {name!r}) as logger:
    logger.add_parameters({{"name": {name!r}}}, {{"accuracy": 0.5}})
    logger.add_scalar("a", 1.0)
    {code}
"""
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if number is not None:
        assert process.stdout is not None
        assert process.stdout.readline() == b"logged\n"
        assert Run(logdir / name).status == "running"
        process.send_signal(number)
    process.communicate()


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with one run for each way to end."""
    logdir = tmp_path_factory.mktemp("status") / "runs"
    for name in ENDS:
        run_process(logdir, name)
    return logdir


@pytest.mark.parametrize("name", ENDS)
def test_every_end_leaves_its_status(ended: Path, name: str) -> None:
    """It is the same in run.json, in the reader, and in the HPARAMS record."""
    _, _, status, shown = ENDS[name]
    run = Run(ended / name)
    assert run.status == status
    assert run.info["status"] == ("running" if status == "killed" else status)
    assert (run.info["ended"] is None) == (status == "killed")
    data = [
        HParamsPluginData.FromString(point.proto.metadata.plugin_data.content)
        for point in load(ended / name)
        if point.plugin == "hparams"
    ]
    assert [message.session_end_info.status for message in data[1:]] == (
        [shown] if shown else []
    )
    table = tables(ended / name)[-1].splitlines()
    assert f"| status | {run.info['status']} |" in table
    assert [p.step for p in load(ended / name) if p.tag == "a"] == [0]


def test_a_failure_says_what_and_where(ended: Path) -> None:
    """It records the type, the message, and the line of the user's code."""
    assert Run(ended / "raises").info["error"] == {
        "type": "ValueError",
        "message": "diverged | here",
        "where": "<string>:13 in <module>",
    }
    assert Run(ended / "Ctrl-C").info["error"]["type"] == "KeyboardInterrupt"
    assert "in wait" in Run(ended / "Ctrl-C").info["error"]["where"]
    assert Run(ended / "exits 3").info["error"]["message"] == "3"
    assert Run(ended / "returns").info["error"] is None
    assert r"ValueError: diverged \| here |" in tables(ended / "raises")[-1]


def test_ls_lists_every_end(ended: Path) -> None:
    """`annarchy-tb ls` shows the same status, and selects by it."""
    listed = annarchy_tb_ls(ended)
    for name, (_, _, status, _) in ENDS.items():
        [line] = [line for line in listed if line.startswith(f"{name} ")]
        assert line.removeprefix(name).split()[0] == status
        assert line.split()[-2:] == [name.split()[-1], "0.5"]
    killed = annarchy_tb_ls(ended, "--status", "killed")
    assert len(killed) == sum(status == "killed" for _, _, status, _ in ENDS.values())


def annarchy_tb_ls(logdir: Path, *arguments: str) -> list[str]:
    """Return the lines of the table without its head."""
    script = Path(sysconfig.get_path("scripts")) / "annarchy-tb"
    command = [str(script), "ls", str(logdir), *arguments]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return said.splitlines()[1:]


@pytest.mark.timeout(600)  # TensorBoard may be slow to start and to load
@pytest.mark.parametrize("fast", [True, False], ids=["rust", "python"])
def test_tensorboard_shows_every_end(ended: Path, fast: bool) -> None:
    """HPARAMS has a row with the status of each run, TEXT its table."""
    if fast and not HAS_RUST:
        pytest.skip("TensorBoard has no data server for this platform; CI runs it")
    server = Server(ended, fast)
    try:
        server.start()
        rows = server.rows(lambda rows: len(rows) == len(ENDS))
        shown = {
            row["hparams"]["name"]: row["sessions"][0].get("status") for row in rows
        }
        words = {0: (None, "STATUS_UNKNOWN"), 1: "STATUS_SUCCESS", 2: "STATUS_FAILURE"}
        for name, (_, _, status, number) in ENDS.items():
            assert shown[name] in words[number]
            table = server.until(
                lambda a, status=status: (
                    (
                        a
                        and f"<td>{status}</td>"
                        in a[-1]["text"].replace("killed", "running")
                    )
                    or status == "killed"
                ),
                "plugin/text/text",
                run=name,
                tag="run",
            )
            assert "<table>" in table[-1]["text"]
            if fast:  # each table replaces the one before
                assert len(table) == 1
    finally:
        server.stop()


# -- run.json --------------------------------------------------------------------------


def read(run: Path) -> dict[str, Any]:
    """Return run.json as read by any JSON reader."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (run / "run.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def test_the_record_says_where_the_run_comes_from(logger: Logger) -> None:
    """run.json is complete from the start."""
    info = read(logger.run_dir)
    assert info["status"] == "running"
    assert info["started"].endswith("+00:00")
    assert (info["ended"], info["error"], info["params"]) == (None, None, None)
    assert info["experiment"] == "run"
    assert info["host"] == socket.gethostname()
    assert info["pid"] == os.getpid()
    assert info["user"]
    assert info["cwd"] == os.getcwd()
    assert info["python"] == sys.version.split()[0]
    assert shlex.split(info["command"]) == sys.orig_argv
    assert info["versions"]["annarchy_tb"] == annarchy_tb.__version__
    assert info["versions"]["numpy"] == np.__version__
    assert info["versions"]["tensorboardX"]


def test_the_record_follows_the_run(logger: Logger) -> None:
    """Parameters and metrics are in run.json when the call returns."""
    logger.add_parameters(
        {"tau": 10.0, "none": None, "nan": np.nan, "text": "\udcff µ"}
    )
    params = {"tau": 10.0, "none": None, "nan": None, "text": "\udcff µ"}
    assert read(logger.run_dir)["params"] == params
    logger.add_metrics({"a": np.float32(0.5)})
    logger.add_metrics({"b": np.inf})
    assert read(logger.run_dir)["metrics"] == {"a": 0.5, "b": None}
    table = tables(logger.run_dir)[-1]
    assert "| params: **tau** | 10 |" in table
    assert "| params: **none** | None |" in table
    assert "| params: **nan** | None |" in table
    logger.close()
    assert "| metrics: **a** | 0.5 |" in tables(logger.run_dir)[-1]


def test_the_table_starts_with_rounded_parameters_and_results(logdir: Path) -> None:
    """Six digits are shown; run.json, HPARAMS and the scalar keep all of them."""
    params = {"x": 0.1 + 0.2, "tiny": -1.23456789e-12, "large": 123456789.5}
    whole = {"seed": 123456789, "on": True, "rule": "0.30000000000000004"}
    with Logger(logdir, "run") as logger:
        logger.add_parameters({**params, **whole})
        logger.add_metrics({"loss": 2 / 3, "rate": np.float32(0.1)})
    lines = tables(logger.run_dir)[-1].splitlines()
    assert lines[:11] == [
        *("| run | run |", "|---|---|"),
        "| params: **x** | 0.3 |",
        "| params: **tiny** | -1.23457e-12 |",
        "| params: **large** | 1.23457e+08 |",
        "| params: **seed** | 123456789 |",
        "| params: **on** | True |",
        "| params: **rule** | 0.30000000000000004 |",
        "| metrics: **loss** | 0.666667 |",
        "| metrics: **rate** | 0.1 |",
        "| status | finished |",
    ]
    run = Run(logger.run_dir)
    assert run.params == {**params, **whole}
    assert run.metrics == {"loss": 2 / 3, "rate": float(np.float32(0.1))}
    assert run.info["params"] == {**params, **whole}
    assert run.scalars("loss").values.tolist() == [2 / 3]
    [start] = [p for p in load(logger.run_dir) if p.tag.endswith("start_info")]
    data = HParamsPluginData.FromString(start.proto.metadata.plugin_data.content)
    stored = data.session_start_info.hparams
    assert {name: stored[name].number_value for name in params} == params


def test_what_comes_through_the_writer_stands_there_too(logger: Logger) -> None:
    """add_hparams of the SummaryWriter gives the run its parameters and metrics."""
    logger.writer.add_hparams({"tau": 10.0}, {"loss": 0.25})
    info = read(logger.run_dir)
    assert (info["params"], info["metrics"]) == ({"tau": 10.0}, {"loss": 0.25})


def test_simulators_in_use_have_their_versions(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes simulators imported after the Logger was created."""
    with Logger(logdir, "run") as logger:
        assert "nest" not in read(logger.run_dir)["versions"]
        provenance._version.cache_clear()
        module = type(sys)("nest")
        module.__version__ = "3.8"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "nest", module)
    assert read(logdir / "run")["versions"]["nest"] == "3.8"
    provenance._version.cache_clear()


def test_a_job_of_slurm_is_known(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of the job and of its array are recorded."""
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    with Logger(logdir, "run"):
        pass
    assert read(logdir / "run")["slurm"] == {"job_id": "123", "array_task_id": "7"}


def test_the_commit_of_the_code_is_known(tmp_path: Path) -> None:
    """It is that of the script's repository, with a flag if tracked files differ."""
    repository = tmp_path / "code"
    repository.mkdir()
    script = repository / "sim.py"
    script.write_text(
        "import sys\nfrom annarchy_tb import Logger\nLogger(*sys.argv[1:]).close()"
    )

    def git(*arguments: str) -> str:
        command = [
            "git",
            "-C",
            str(repository),
            "-c",
            "user.name=a",
            "-c",
            "user.email=b",
        ]
        return subprocess.check_output([*command, *arguments], text=True).strip()

    def recorded(name: str, environment: dict[str, str] | None = None) -> Any:
        command = [sys.executable, str(script), str(tmp_path / "runs"), name]
        subprocess.run(command, check=True, cwd=tmp_path, env=environment)
        return read(tmp_path / "runs" / name)["git"]

    assert recorded("outside") is None
    git("init", "-q")
    assert recorded("no commit") == {"commit": None, "dirty": False}
    git("add", "sim.py")
    git("commit", "-q", "-m", "first")
    assert recorded("clean") == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    script.write_text(script.read_text() + "\n")
    assert recorded("dirty") == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    without = {**os.environ, "PATH": str(tmp_path)}
    assert recorded("without git", without) is None
    assert not (repository / ".git" / "index.lock").exists()


def test_a_git_that_hangs_does_not_stop_the_run(tmp_path: Path) -> None:
    """A repository on a dead file system costs at most a second."""
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "git").chmod(0o755)
    code = f"""
from annarchy_tb import Logger
with Logger({str(tmp_path)!r}, "run") as logger:
    logger.add_scalar("a", 1)
"""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert read(tmp_path / "run")["git"] is None


def test_a_record_that_cannot_be_written_stops_nothing(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one warning, logging continues, and the write is retried later."""
    with Logger(logdir, "run") as logger:
        with monkeypatch.context() as patch:

            def refuse(*_: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(os, "fsync", refuse)
            with pytest.warns(UserWarning, match=r"run\.json can't be written") as told:
                logger.add_metrics({"a": 1})
                logger.add_metrics({"b": 1})
            assert len(told) == 1
        logger.add_scalar("c", 1)
    assert read(logdir / "run")["metrics"] == {"a": 1.0, "b": 1.0}
    assert [path.name for path in (logdir / "run").glob(".*")] == []


def test_a_record_that_cannot_be_written_is_no_error(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where warnings are errors, it is logged, since the metrics were written."""
    with Logger(logdir, "run") as logger, monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", refuse)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            logger.add_metrics({"a": 1})
    assert "run.json can't be written" in caplog.text
    assert scalars(logdir / "run", "a") == [(0, 1)]


def test_a_logger_that_was_interrupted_at_its_start_writes_no_run(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C during the first write of run.json, the run can be resumed."""

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    before = set(runinfo.open_sessions)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Logger(logdir, "run")
    assert runinfo.open_sessions == before
    Logger(logdir, "run", resume=True).close()


def test_who_reads_never_sees_half_a_record(logger: Logger) -> None:
    """While run.json is replaced, readers find the old one or the new one."""
    done = threading.Event()
    seen: list[int] = []

    def watch() -> None:
        while not done.is_set():
            seen.append(len(read(logger.run_dir)["metrics"]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(50):
        logger.add_metrics({f"metric {number}": number})
    done.set()
    watcher.join()
    assert seen == sorted(seen)


def test_a_later_logger_takes_the_record_over(logdir: Path) -> None:
    """With two Loggers of one run at once, the status is that of the later one."""
    with Logger(logdir, "run") as first:
        first.add_parameters({"a": 1})
        second = Logger(logdir, "run", mode="a")
        second.add_scalar("a", 1)
        first.add_metrics({"a": 1})
    assert Run(logdir / "run").status == "running"
    second.add_metrics({"b": 2})
    second.close()
    info = read(logdir / "run")
    assert (info["status"], info["params"]) == ("finished", {"a": 1})
    assert info["metrics"] == {"a": 1.0, "b": 2.0}


def test_an_appended_run_keeps_its_start_and_parameters(logdir: Path) -> None:
    """The second Logger's status counts; the first one's error is gone."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1}, {"b": 2})
        started = read(logdir / "run")["started"]
        raise ZeroDivisionError
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1)
        assert read(logdir / "run")["error"] is None
    info = read(logdir / "run")
    assert (info["started"], info["status"]) == (started, "finished")
    assert (info["params"], info["metrics"]) == ({"a": 1}, {"b": 2.0})
    assert info["restarts"] == 0


def test_a_copy_in_another_process_enters_its_results(logdir: Path) -> None:
    """Parameters and metrics of a pickled Logger are in run.json."""
    import multiprocessing

    with Logger(logdir, "run") as logger:
        worker = multiprocessing.get_context("spawn").Process(
            target=work, args=(logger,)
        )
        worker.start()
        worker.join()
        assert worker.exitcode == 0
        logger.add_metrics({"own": 1})
    info = read(logdir / "run")
    assert (info["status"], info["params"]) == ("finished", {"tau": 10.0})
    assert info["metrics"] == {"worker": 2.0, "own": 1.0}


def work(logger: Logger) -> None:
    with logger:
        logger.add_parameters({"tau": 10.0})
        logger.add_metrics({"worker": 2})


def test_metrics_of_many_processes_and_threads_are_all_kept(logdir: Path) -> None:
    """This holds even if the run is closed in the meantime."""
    with Logger(logdir, "run") as logger:
        children = []
        for number in range(6):
            child = os.fork()
            if not child:
                try:
                    for part in range(5):
                        logger.add_metrics({f"{number} {part}": number})
                finally:
                    os._exit(0)
            children.append(child)
        threads = [
            threading.Thread(target=logger.add_metrics, args=({f"thread {i}": i},))
            for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.waitpid(children[0], 0)
    for child in children[1:]:
        os.waitpid(child, 0)
    info = read(logdir / "run")
    assert info["status"] == "finished"
    assert len(info["metrics"]) == 6 * 5 + 8


def test_a_copy_that_goes_does_not_end_the_run(logger: Logger) -> None:
    """The run belongs to its owner, whoever else had the Logger."""
    twin = copy.copy(logger)
    del twin
    gc.collect()
    assert Run(logger.run_dir).status == "running"
    with pytest.raises(RuntimeError, match="still writing"):
        Logger(logger.run_dir.parent, "run", resume=True)


def test_a_signal_handler_may_add_metrics_in_the_midst_of_it(logdir: Path) -> None:
    """If writing run.json is interrupted, neither set of metrics is lost."""
    code = f"""
import os, signal
from annarchy_tb import Logger
with Logger({str(logdir)!r}, "run") as logger:
    fsync = os.fsync
    def interrupted(descriptor):
        os.fsync = fsync
        os.kill(os.getpid(), signal.SIGUSR1)
        fsync(descriptor)
    signal.signal(signal.SIGUSR1, lambda *_: logger.add_metrics({{"handler": 1}}))
    os.fsync = interrupted
    logger.add_metrics({{"main": 1}})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read(logdir / "run")["metrics"] == {"main": 1.0, "handler": 1.0}


def test_where_nothing_can_be_found_out_a_run_is_logged_all_the_same(
    tmp_path: Path,
) -> None:
    """There is no working directory, no user name, no git."""
    code = f"""
import getpass, os
from annarchy_tb import Logger
Logger({str(tmp_path)!r}, "first").close()  # imports, while there is a directory
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
getpass.getuser = lambda: 1 / 0
with Logger({str(tmp_path)!r}, "run") as logger:
    logger.add_scalar("a", 1)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    info = read(tmp_path / "run")
    assert (info["status"], info["cwd"], info["user"]) == ("finished", None, None)


@pytest.mark.parametrize(
    "text",
    [
        *("null", "[]", "{", "[" * 100_000, '{"params": [1], "metrics": "a"}'),
        '{"status": "running", "pid": 1e999, "host": "HOST", "restarts": "x"}',
        '{"status": "running", "pid": 99999999999999999999, "host": "HOST"}',
        '{"status": "failed", "error": "boom", "git": 3, "slurm": [], "versions": 1}',
        '{"status": "failed", "error": {}, "git": {"commit": 1}, "process": {"a": 1}}',
        '{"metrics": {"loss": NaN}, "started": 5, "ended": "2020-01-01"}',
        '{"status": "perhaps", "experiment": null, "session": 5, "params": {"a": {}}}',
    ],
)
def test_a_record_that_somebody_changed_stops_nothing(logdir: Path, text: str) -> None:
    """With any valid JSON, the run is read, listed, appended to and resumed."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        logger.save_checkpoint({}, 1)
    record = logdir / "run" / "run.json"
    for command in (["ls"], ["show", "run"], ["export", "run", "--format", "json"]):
        record.write_text(text.replace("HOST", socket.gethostname()))
        where = logdir if command == ["ls"] else logdir / "run"
        arguments = [command[0], str(where), *command[2:]]
        result = CliRunner().invoke(cli.main, arguments)
        assert result.exit_code == 0, result.output
    run = Run(logdir / "run")
    assert run.status in runinfo.STATUSES
    assert run.started is not None
    run.duration, run.params, run.metrics, repr(run)
    with warnings.catch_warnings():  # of what is no record
        warnings.simplefilter("ignore")
        find_runs(logdir, params={"a": 1})
        if HAS_PANDAS:
            find_runs(logdir).to_pandas()
    with pytest.raises(FileExistsError):
        Logger(logdir, "run")
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1)
    record.write_text(text)
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 1)
    assert run.status == "finished"


def test_a_lost_record_is_made_again(logdir: Path) -> None:
    """If run.json was deleted, repeated parameters are entered without a warning."""
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
    (logdir / "run" / "run.json").unlink()
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
    assert Run(logdir / "run").params == {"a": 1}


class NastyError(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "error", [NastyError(), SystemExit(np.array([1, 2])), SystemExit("text")]
)
def test_any_exception_ends_the_run(logdir: Path, error: BaseException) -> None:
    """Even one that can't be shown does, and it propagates unchanged."""
    with pytest.raises(type(error)) as caught, Logger(logdir, "run"):
        raise error
    assert caught.value is error
    info = read(logdir / "run")
    assert info["status"] == "failed"
    assert info["error"]["type"] == type(error).__name__


def test_a_summary_writer_makes_no_record(tmp_path: Path) -> None:
    """The drop-in writes only tensorboardX's files."""
    with SummaryWriter(str(tmp_path / "run")) as writer:
        writer.add_scalar("a", 1)
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_tag_of_the_table_is_refused(logger: Logger) -> None:
    """The error suggests another tag."""
    for call in (logger.add_scalar, logger.add_text):
        with pytest.raises(ValueError, match=r"\('run'\): .*such as 'Run'"):
            call("run", 1)  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"log\('run'\)"):
        logger.log({"run": 1})


def test_the_table_shows_texts_as_they_are(logger: Logger) -> None:
    """Markdown and HTML in a parameter change only their own cell."""
    logger.add_parameters({"a|b": "x | *y*\n<b>`z`</b> # & _", "long": "x" * 1000})
    lines = tables(logger.run_dir)[-1].splitlines()
    [line] = [line for line in lines if line.startswith(r"| params: **a\|b**")]
    assert line.endswith(r"| x \| \*y\* &lt;b&gt;\`z\`&lt;/b&gt; \# &amp; \_ |")
    assert max(map(len, lines)) < 400


# -- alive or not ----------------------------------------------------------------------


def test_a_reused_process_number_is_no_life(logger: Logger) -> None:
    """Another process with the same number is distinguished from the writer."""
    info = read(logger.run_dir)
    assert runinfo.RunInfo.of(info).state() == "running"
    info["process"]["start"] = -1
    assert runinfo.RunInfo.of(info).state() == "killed"
    if (other := os.getppid()) > 1:
        info["pid"] = other  # alive, but not the one
        assert runinfo.RunInfo.of(info).state() == "killed"


def test_what_can_not_be_known_reads_running(logger: Logger) -> None:
    """No process on another host or in another container is declared dead."""
    info = read(logger.run_dir)
    for change in (
        {"host": "elsewhere"},
        {"process": {**info["process"], "namespace": "pid:[1]"}, "pid": 2**22 - 1},
        {"pid": None},
    ):
        assert runinfo.RunInfo.of({**info, **change}).state() == "running"
    booted = {**info, "process": {**info["process"], "boot": "before the last boot"}}
    assert runinfo.RunInfo.of(booted).state() == "killed"
    assert runinfo.RunInfo.of({**info, "process": None}).state() == "running"
    assert (
        runinfo.RunInfo.of({**info, "process": None, "pid": 2**22 - 1}).state()
        == "killed"
    )


def test_a_process_that_nobody_waited_for_is_dead(logdir: Path) -> None:
    """A zombie no longer writes."""
    code = f"""
import os
from annarchy_tb import Logger
logger = Logger({str(logdir)!r}, "run")
os._exit(0)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Run(logdir / "run").status == "killed"
    process.wait()
    assert Run(logdir / "run").status == "killed"


def test_a_forgotten_logger_reads_killed_in_its_own_process(logdir: Path) -> None:
    """In a notebook, the run of a lost Logger ends before the process does."""
    logger = Logger(logdir, "run")
    assert find_runs(logdir)[0].status == "running"
    with pytest.warns(ResourceWarning):
        del logger
    assert find_runs(logdir)[0].status == "killed"


# -- notes -----------------------------------------------------------------------------


def test_a_note_is_added_and_nothing_else_changes(logdir: Path) -> None:
    """Also to a run that is being written, which keeps it to its end and beyond."""
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
        before = read(logger.run_dir)
        files = {p: p.read_bytes() for p in logger.run_dir.iterdir() if "tf" in p.name}
        Run(logger.run_dir).add_note("looks *odd* µ\nfrom 5 s on")
        after = read(logger.run_dir)
        [note] = after.pop("notes")
        assert before.pop("notes") is None
        assert after == before
        assert {p: p.read_bytes() for p in files} == files
        assert note["text"] == "looks *odd* µ\nfrom 5 s on"
        assert datetime.fromisoformat(note["date"]).tzinfo is not None
    with Logger(logdir, "run"):
        pass
    done = CliRunner().invoke(main, ["note", str(logdir / "run"), "the best so far"])
    assert (done.exit_code, done.output) == (0, "")
    texts = [note["text"] for note in Run(logdir / "run").notes]
    assert texts == ["looks *odd* µ\nfrom 5 s on", "the best so far"]
    shown = CliRunner().invoke(main, ["show", str(logdir / "run")]).output
    assert "the best so far" in shown


def test_a_note_needs_a_text_and_a_record(logdir: Path) -> None:
    """The runs of other writers have none, and stay as they are."""
    with SummaryWriter(logdir / "theirs") as writer:
        writer.add_scalar("a", 1.0, 0)
    with pytest.raises(FileNotFoundError, match=r"no run\.json to add a note to"):
        Run(logdir / "theirs").add_note("a")
    assert not (logdir / "theirs" / "run.json").exists()
    Logger(logdir, "run").close()
    with pytest.raises(TypeError, match="add_note: text must be a str, got 3"):
        Run(logdir / "run").add_note(3)  # type: ignore[arg-type]
