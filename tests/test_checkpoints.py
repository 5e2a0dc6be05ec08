from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from conftest import died, in_child, kill_before, load, scalars, tables, without_rights
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.run import checkpoints
from annarchy_tb.run.paths import sizes
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import host

# -- save and load ---------------------------------------------------------------------


def test_a_state_comes_back_as_it_was(logger: Logger) -> None:
    """Any object that pickle can store is returned, with its step."""
    state = {"weights": np.arange(6.0).reshape(2, 3), "rule": "oja", "history": [1, 2]}
    logger.save_checkpoint(state, 7)
    found, step = logger.load_checkpoint()
    assert step == 7
    np.testing.assert_array_equal(found["weights"], state["weights"])
    assert (found["rule"], found["history"]) == ("oja", [1, 2])
    assert Run(logger.run_dir).info["checkpoint"] == 7


def test_without_a_checkpoint_there_is_the_default(logger: Logger) -> None:
    """It is None, or the value that the user gives."""
    assert logger.load_checkpoint() is None
    state, step = logger.load_checkpoint(({"fresh": True}, 0))
    assert (state, step) == ({"fresh": True}, 0)


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_last_checkpoints_are_kept(logger: Logger, keep: int) -> None:
    """Older ones are removed, regardless of their steps."""
    for step in (5, 3, 8, 1):
        logger.save_checkpoint(step, step, keep=keep)
    left = sorted((logger.run_dir / "checkpoints").iterdir())
    assert len(left) == min(keep, 4)
    assert logger.load_checkpoint() == (1, 1)


@pytest.mark.parametrize(
    "state", [lambda: None, {"lock": threading.Lock()}, (n for n in ()), sys]
)
def test_a_state_that_can_not_be_pickled_changes_nothing(
    logger: Logger, state: object
) -> None:
    """The error says what to pass, and the previous checkpoint remains."""
    logger.save_checkpoint("good", 1)
    refused = r"^save_checkpoint: state can't be pickled: .*Pass what the simulation"
    with pytest.raises(TypeError, match=refused):
        logger.save_checkpoint(state, 2)
    assert logger.load_checkpoint() == ("good", 1)
    assert [p.name for p in (logger.run_dir / "checkpoints").iterdir()] == [
        "000001.zip"
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"step": 0.5}, ValueError, "step must be a whole number"),
        ({"step": None}, TypeError, "step must be a whole number"),
        (
            {"step": 1, "keep": 0},
            ValueError,
            "keep must be a whole number from 1, got 0",
        ),
    ],
)
def test_wrong_arguments_save_nothing(
    logger: Logger, arguments: Any, error: type[Exception], message: str
) -> None:
    """The error names the method and the rule."""
    with pytest.raises(error, match=f"^save_checkpoint: {message}"):
        logger.save_checkpoint({}, **arguments)
    assert not (logger.run_dir / "checkpoints").exists()


def test_only_its_own_process_saves_a_run(logdir: Path) -> None:
    """A forked process or a copy does not know the progress of the run."""
    with Logger(logdir, "run") as logger:

        def save() -> None:
            with pytest.raises(RuntimeError, match="only the process that made"):
                logger.save_checkpoint({}, 1)

        assert in_child(save) == 0
        assert logger.load_checkpoint() is None


def test_a_closed_logger_saves_nothing(logdir: Path) -> None:
    """The error is the same as for every method."""
    with Logger(logdir, "run") as logger:
        pass
    for call in (lambda: logger.save_checkpoint({}, 1), logger.load_checkpoint):
        with pytest.raises(ValueError, match="Logger is closed"):
            call()


def test_a_damaged_checkpoint_is_passed_over(logdir: Path) -> None:
    """Loading and resuming use the one before it, with a warning."""
    with Logger(logdir, "run") as logger:
        for step in range(1, 4):
            logger.add_scalar("a", step, step)
            logger.save_checkpoint(f"state {step}", step)
    path = logdir / "run" / "checkpoints" / "000003.zip"
    data = path.read_bytes()
    for spoilt in (data[:-50], data.replace(b"state 3", b"state 4"), b""):
        path.write_bytes(spoilt)
        with pytest.warns(UserWarning, match=r"000003\.zip is damaged"):
            logger = Logger(logdir, "run", resume=True)
            state = logger.load_checkpoint()
        assert state == ("state 2", 2)
        logger.close()
        assert checkpoints.load(logdir / "run") == ("state 2", 2)  # it was moved away
        [cut] = (logdir / "run" / "checkpoints").glob("cut-*/*.zip")
        cut.unlink()
        assert [step for step, _ in scalars(logdir / "run", "a")] == [1, 2]


# -- paths in the run ------------------------------------------------------------------


def test_a_path_of_the_run_is_ready_to_be_written(logger: Logger) -> None:
    """Directories are created; the file is left to the user."""
    path = logger.path("weights/trial3.npy")
    assert path == logger.run_dir / "weights" / "trial3.npy"
    np.save(path, np.arange(3))
    assert logger.path(Path("a/../net.npz")) == logger.run_dir / "net.npz"


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/../../x", "/etc/x", "run.json", "checkpoints/x"),
        *("events.out.tfevents.1", "tfevents/x", "curve/run.json"),
        *("Run.JSON", "curve/RUN.json", "Checkpoints/x", "TFEvents"),
        "Recordings.1795676855.vm.21677.0000",
    ],
)
def test_a_path_never_leads_out_of_the_run(logger: Logger, name: str) -> None:
    """Nor does it lead to files that the run itself needs."""
    with pytest.raises(ValueError, match=r"^path: "):
        logger.path(name)
    assert {path.name for path in logger.run_dir.parent.iterdir()} == {"run"}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (5, TypeError, r"must be a str or path, got 5 \(int\)"),
        (None, TypeError, "must be a str or path, got None"),
        (b"net.npz", TypeError, "must be a str or path"),
        ("a\0b", ValueError, r"must not contain a null character, got 'a\\x00b'"),
    ],
)
def test_what_is_no_path_is_refused(
    logger: Logger, name: Any, error: type[Exception], message: str
) -> None:
    """The error names the method and the argument."""
    with pytest.raises(error, match=f"^path: name {message}"):
        logger.path(name)


# -- resume ----------------------------------------------------------------------------


def trials(logdir: Path, last: int, die: bool) -> None:
    """Run trials 0 to `last`, with a checkpoint every third, as a user would do."""
    with Logger(logdir, "trial1", resume=True) as logger:
        logger.add_parameters({"seed": 3})
        total, first = logger.load_checkpoint(default=(0, 0))
        for trial in range(first, last):
            total += trial
            logger.add_scalar("total", total, trial)
            logger.add_scalar("solver", total, trial * 1000)
            logger.add_scalar("counted", total)
            logger.add_scalars("plot", {"train": total, "test": -total})
            logger.add_histogram("h", [trial, total])
            if trial % 3 == 2:
                logger.save_checkpoint(total, trial + 1)
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
        logger.add_metrics({"result": total})


def test_an_interrupted_run_ends_as_if_nothing_had_happened(logdir: Path) -> None:
    """Killed twice, it has exactly the points of a run that was never killed."""
    trials(logdir / "whole", 12, die=False)
    for last in (5, 10):
        assert in_child(lambda last=last: trials(logdir / "torn", last, die=True)) == 9
        assert Run(logdir / "torn" / "trial1").status == "killed"
    trials(logdir / "torn", 12, die=False)
    whole, torn = (Run(logdir / name / "trial1") for name in ("whole", "torn"))
    for tag in ("total", "solver", "counted", "result"):
        ours, theirs = torn.scalars(tag), whole.scalars(tag)
        np.testing.assert_array_equal(ours.steps, theirs.steps)
        np.testing.assert_array_equal(ours.values, theirs.values)
    for key in ("train", "test"):
        ours, theirs = torn.curves("plot")[key], whole.curves("plot")[key]
        np.testing.assert_array_equal(ours.steps, theirs.steps)
        np.testing.assert_array_equal(ours.values, theirs.values)
    assert torn.histograms("h").steps.tolist() == list(range(12))
    shown = [(p.tag, p.step) for p in load(torn.path) if p.plugin == "scalars"]
    assert sorted(shown) == sorted(
        (p.tag, p.step) for p in load(whole.path) if p.plugin == "scalars"
    )
    assert torn.status == "finished"
    assert (torn.info["restarts"], whole.info["restarts"]) == (2, 0)
    assert torn.params == {"seed": 3}
    assert torn.metrics == whole.metrics == {"result": 66.0}
    assert not torn.damage()


def statuses(run: Path) -> list[int]:
    """Return the ends in the HPARAMS records of a run, in order."""
    data = [
        HParamsPluginData.FromString(point.proto.metadata.plugin_data.content)
        for point in load(run)
        if point.plugin == "hparams"
    ]
    return [d.session_end_info.status for d in data if d.HasField("session_end_info")]


def test_the_old_end_is_dropped(logdir: Path) -> None:
    """TensorBoard shows the first end that it finds, so the old one must be gone."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
        logger.save_checkpoint({}, 1)
        logger.add_metrics({"late": 1})
        raise ZeroDivisionError
    assert statuses(logdir / "run") == [2]
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_parameters({"a": 1})
        logger.add_scalar("a", 1)
        assert Run(logger.run_dir).info["error"] is None
        assert Run(logger.run_dir).metrics == {}
    assert statuses(logdir / "run") == [1]
    assert "| restarts | 1 |" in tables(logdir / "run")[-1]


def test_nothing_that_was_cut_off_is_lost(logdir: Path) -> None:
    """Data cut off by a resume are kept where TensorBoard does not look."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1, 1)
        logger.save_checkpoint({}, 1)
        logger.add_scalar("a", 2, 2)
        logger.add_scalars("plot", {"curve": 3})
    before = b"".join(p.read_bytes() for p in (logdir / "run").rglob("*tfevents*"))
    with Logger(logdir, "run", resume=True) as logger:
        logger.load_checkpoint()
    run = logdir / "run"
    aside = run / "checkpoints" / "cut-1"
    kept = sorted(path for path in aside.rglob("*") if path.is_file())
    assert [
        re.sub(r"\d+", "N", path.relative_to(aside).as_posix()) for path in kept
    ] == [
        f"curve/events.out.tf_events.N.{host()}.N.N",
        f"events.out.tf_events.N.{host()}.N.N.from-N",
    ]
    old = event_files(run)[0].read_bytes() + b"".join(
        path.read_bytes() for path in kept[::-1]
    )
    assert sorted(old) == sorted(before)
    assert scalars(run, "a") == [(1, 1)]


def test_a_run_without_a_checkpoint_begins_anew(logdir: Path) -> None:
    """Its earlier data are kept, and a warning names their directory."""
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1})
        logger.add_scalar("b", 1, 5)
    with (
        pytest.warns(UserWarning, match=r"no checkpoint in .*run: .*cut-1"),
        Logger(logdir, "run", resume=True) as logger,
    ):
        assert logger.load_checkpoint() is None
        logger.add_parameters({"a": 2})
        logger.add_scalar("b", 2)
    run = Run(logdir / "run")
    assert (run.params, run.info["restarts"]) == ({"a": 2}, 1)
    assert scalars(run.path, "b") == [(0, 2)]
    [kept] = (run.path / "checkpoints" / "cut-1").iterdir()
    assert b"brain.Event:2" in kept.read_bytes()


def test_a_run_that_is_not_there_begins(logdir: Path) -> None:
    """The same script starts a run and resumes it."""
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 1)
    assert Run(logdir / "run").info["restarts"] == 0


def test_resume_needs_a_name(logdir: Path) -> None:
    """A new name can't be resumed."""
    with pytest.raises(ValueError, match="resume needs the name of the run"):
        Logger(logdir, resume=True)
    assert not logdir.exists()


def test_a_run_that_goes_on_is_not_resumed(logdir: Path) -> None:
    """It is refused while its process is alive, be it this one or another."""
    with Logger(logdir, "run") as logger:
        logger.save_checkpoint({}, 1)
        logger.add_scalar("a", 1)
        with pytest.raises(RuntimeError, match="of this process is still writing"):
            Logger(logdir, "run", resume=True)
        assert scalars(logdir / "run", "a") == [(0, 1)]
    code = f"""
import time
from annarchy_tb import Logger
logger = Logger({str(logdir)!r}, "other")
print("ready", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    with pytest.raises(RuntimeError, match=f"process {process.pid} of this host"):
        Logger(logdir, "other", resume=True)
    process.kill()
    process.communicate()
    Logger(logdir, "other", resume=True).close()


def test_curves_go_on_from_their_own_steps(logdir: Path) -> None:
    """Automatic steps continue from the checkpoint, also in new curves."""
    with Logger(logdir, "run") as logger:
        logger.add_scalars("plot", {"old": 1})
    with Logger(logdir, "run", mode="a") as logger:
        for _ in range(3):
            logger.add_scalars("plot", {"new": 1})
            logger.log({"x": 1, "y": 2})
        logger.save_checkpoint({}, 3)
        logger.add_scalars("plot", {"old": 1, "new": 1})
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalars("plot", {"new": 2})
        logger.add_scalars("plot", {"old": 2})
        logger.log({"x": 3, "y": 4})
        with pytest.raises(ValueError, match="already holds data of kind 'scalar'"):
            logger.add_text("x", "another kind")
    run = logdir / "run"
    assert [step for step, _ in scalars(run / "new", "plot")] == [0, 1, 2, 3]
    assert [step for step, _ in scalars(run / "old", "plot")] == [0, 1]
    assert [step for step, _ in scalars(run, "x")] == [0, 1, 2, 3]


def test_a_run_inside_another_is_left_alone(logdir: Path) -> None:
    """Experiments may be nested; each is cut separately."""
    with Logger(logdir, "a/b") as inner, Logger(logdir, "a") as outer:
        outer.save_checkpoint({}, 1)
        inner.add_scalar("x", 1)
        outer.add_scalar("x", 1)
    with Logger(logdir, "a", resume=True) as logger:
        logger.load_checkpoint()
    assert scalars(logdir / "a" / "b", "x") == [(0, 1)]
    assert scalars(logdir / "a", "x") == []


def test_a_forked_process_that_lives_on_is_cut_off(logdir: Path) -> None:
    """Its later records go to the old file, which nobody reads."""
    go, done = os.pipe(), os.pipe()

    def parent() -> None:
        logger = Logger(logdir, "run")
        if os.fork() == 0:
            logger.add_scalar("child", 0, 0)
            os.write(done[1], b"x")
            os.read(go[0], 1)
            logger.add_scalar("child", 2, 2)
            os.write(done[1], b"x")
            os._exit(0)
        os.read(done[0], 1)
        logger.save_checkpoint({}, 1)
        os.write(done[1], b"x")
        os._exit(0)

    assert in_child(parent) == 0
    os.read(done[0], 1)
    for path in (logdir / "run").glob("*tfevents*"):
        with path.open("ab") as stream:
            stream.write(b"more")  # in both files, so that both are cut
    with Logger(logdir, "run", resume=True):
        os.write(go[1], b"x")
        os.read(done[0], 1)
    for descriptor in (*go, *done):
        os.close(descriptor)
    assert scalars(logdir / "run", "child") == [(0, 0)]


def cut(logdir: Path, number: int = 100) -> tuple[Path, int, int]:
    """Cut the file of a run by a resume; return it, and its inodes before and after."""
    with Logger(logdir, "run") as logger:
        for step in range(number):
            logger.add_scalar("a", step)
        logger.save_checkpoint({}, number)
        logger.add_scalar("a", -1)
    [path] = event_files(logdir / "run")
    before = path.stat().st_ino
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", number)
    return path, before, path.stat().st_ino


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases of files")
def test_a_file_that_nobody_else_has_open_is_cut_in_place(logdir: Path) -> None:
    """Then a resume copies what it cuts off, and not the whole file."""
    path, before, after = cut(logdir)
    assert before == after
    assert scalars(logdir / "run", "a") == [(i, i) for i in range(101)]
    [rest] = (logdir / "run" / "checkpoints" / "cut-1").iterdir()
    data = rest.read_bytes()
    assert rest.name.endswith(f".from-{path.stat().st_size}")
    assert len(data) > 50


@pytest.mark.parametrize("mode", ["rb", "ab"])
def test_a_file_that_another_has_open_is_replaced(logdir: Path, mode: str) -> None:
    """A process that outlives its parent writes to the old file, not to the run's."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0)
        logger.save_checkpoint({}, 1)
        logger.add_scalar("a", -1)
    [path] = event_files(logdir / "run")
    stream = path.open(mode)
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 1)
    assert path.stat().st_ino != os.fstat(stream.fileno()).st_ino
    if mode == "ab":
        stream.write(b"more")
    stream.close()
    assert scalars(logdir / "run", "a") == [(0, 0), (1, 1)]
    assert not Run(logdir / "run").damage()


def test_a_full_disk_saves_no_half_checkpoint(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised, and the previous checkpoint remains."""
    logger.save_checkpoint("good", 1)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.pickle, "dump", refuse)
        with pytest.raises(OSError, match="No space"):
            logger.save_checkpoint("bad", 2)
    assert logger.load_checkpoint() == ("good", 1)


def test_only_one_of_several_processes_resumes_a_run(logdir: Path) -> None:
    """If several start at once, as with srun, all but one are refused."""
    for number in range(8):
        name = f"run{number}"

        def killed(name: str = name) -> None:
            logger = Logger(logdir, name)
            for step in range(5):
                logger.add_scalar("a", step)
            logger.save_checkpoint({}, 5)
            os.kill(os.getpid(), signal.SIGKILL)

        assert in_child(killed) == signal.SIGKILL
        go, said, end = os.pipe(), os.pipe(), os.pipe()
        for _ in range(3):
            if os.fork() == 0:
                os.read(go[0], 1)
                try:
                    with Logger(logdir, name, resume=True) as logger:
                        for _ in range(5):
                            logger.add_scalar("a", -1)
                        os.write(said[1], b"y")
                        # A separate pipe: `go` has one byte for each process.
                        os.read(end[0], 1)
                except RuntimeError:
                    os.write(said[1], b"n")
                os._exit(0)
        os.write(go[1], b"xxx")
        answers = b"".join(os.read(said[0], 1) for _ in range(3))
        os.write(end[1], b"xxx")
        for _ in range(3):
            os.wait()
        for descriptor in (*go, *said, *end):
            os.close(descriptor)
        assert sorted(answers) == sorted(b"ynn")
        assert [step for step, _ in scalars(logdir / name, "a")] == list(range(10))


def test_what_other_processes_logged_counts_at_a_checkpoint(logdir: Path) -> None:
    """Their points, steps and metrics are still there after a resume."""
    with Logger(logdir, "run") as logger:

        def child() -> None:
            for step in range(10):
                logger.add_scalar("child", step)
            logger.add_metrics({"child's": 5})

        assert in_child(child) == 0
        logger.save_checkpoint({}, 1)
        logger.add_metrics({"late": 1})
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("child", 10)
    run = Run(logdir / "run")
    assert run.scalars("child").steps.tolist() == list(range(11))
    assert run.metrics == {"child's": 5.0}


def test_a_checkpoint_out_of_reach_stops_the_resume(logdir: Path) -> None:
    """It is not damaged, so the one before it must not be used."""
    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_scalar("a", step)
            logger.save_checkpoint(step, step)
        logger.add_scalar("a", 3)
    before = {path: path.read_bytes() for path in (logdir / "run").glob("*tfevents*")}
    folder = logdir / "run" / "checkpoints"
    for path in (logdir, logdir / "run", folder):
        path.chmod(0o777)
    newest = sorted(folder.iterdir())[-1]
    newest.chmod(0)
    said = without_rights(logdir, lambda: Logger(logdir, "run", resume=True))
    assert said.startswith("PermissionError")
    assert {p: p.read_bytes() for p in (logdir / "run").glob("*tfevents*")} == before


def test_a_resume_that_fails_may_be_tried_again(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may even be in the same process: a failed Logger does not hold the run."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        logger.save_checkpoint("state", 1)

    def refuse(*_: object) -> None:
        raise OSError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "rewind", refuse)
        with Logger(logdir, "run", resume=True) as logger:
            with pytest.raises(OSError, match="Permission denied"):
                logger.add_scalar("a", 2)
            patch.undo()
            logger.add_scalar("a", 3)
    assert [value for _, value in scalars(logdir / "run", "a")] == [1, 3]
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "rewind", refuse)
        logger = Logger(logdir, "run", resume=True)
        with pytest.raises(OSError, match="Permission denied"), logger:
            logger.add_scalar("a", 2)
    assert Run(logdir / "run").status == "killed"
    with Logger(logdir, "run", resume=True) as logger:
        assert logger.load_checkpoint() == ("state", 1)


def test_every_flipped_bit_of_a_checkpoint_is_noticed(logdir: Path) -> None:
    """The state is correct, or that of the checkpoint before."""
    with Logger(logdir, "run") as logger:
        logger.save_checkpoint("state 1", 1)
        logger.save_checkpoint("state 2", 2)
        newest = sorted((logger.run_dir / "checkpoints").iterdir())[-1]
        whole = newest.read_bytes()
        for at in range(len(whole)):
            newest.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert logger.load_checkpoint() in (("state 1", 1), ("state 2", 2))


def test_the_same_parameters_with_nan_are_the_same(logdir: Path) -> None:
    """There is no warning, although JSON has no NaN."""
    for _ in range(3):
        with Logger(logdir, "run", resume=True) as logger:
            logger.add_parameters({"a": np.nan, "b": None, "c": 1})
            logger.save_checkpoint({}, 1)


def test_runs_of_other_writers_below_a_run_are_left_alone(logdir: Path) -> None:
    """A Logger in a directory of many runs does not take them for its curves."""
    for name in ("a", "deep/b"):
        with tensorboardX.SummaryWriter(str(logdir / name)) as theirs:
            theirs.add_scalar("x", 1, 1)
    before = {path: path.read_bytes() for path in logdir.rglob("*tfevents*")}
    for _ in range(2):
        with (
            warnings.catch_warnings(),
            Logger(logdir.parent, "runs", resume=True) as logger,
        ):
            logger.add_scalar("own", 1)
            logger.save_checkpoint({}, 1)
    assert {path: path.read_bytes() for path in before} == before
    found = sorted(run.path.name for run in find_runs(logdir))
    assert found == ["a", "b", "runs"]


def test_what_is_missing_at_a_resume_is_told(logdir: Path) -> None:
    """A warning names a curve of the checkpoint that was deleted."""
    with Logger(logdir, "run") as logger:
        logger.add_scalars("plot", {"curve": 1})
        logger.save_checkpoint({}, 1)
    shutil.rmtree(logdir / "run" / "curve")
    with pytest.warns(UserWarning, match=r"curve/events.*shorter than .*or missing"):
        Logger(logdir, "run", resume=True).close()


def test_directories_that_come_and_go_stop_no_checkpoint(logger: Logger) -> None:
    """A simulator's scratch files in the run are ignored."""
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            for number in range(20):
                (logger.run_dir / f"scratch{number}").mkdir()
            for number in range(20):
                (logger.run_dir / f"scratch{number}").rmdir()

    churner = threading.Thread(target=churn)
    churner.start()
    try:
        for step in range(50):
            logger.save_checkpoint({}, step)
    finally:
        done.set()
        churner.join()


# -- killed at any instant -------------------------------------------------------------


def killed_run(logdir: Path) -> Path:
    """Create a run that was killed after a checkpoint, with all sorts of files."""

    def work() -> None:
        logger = Logger(logdir, "run")
        for step in range(5):
            logger.add_scalar("a", step)
            logger.add_scalars("plot", {"grown": step})
        logger.add_scalars("plot", {"same": 1})
        logger.save_checkpoint({"first": True}, 3)
        logger.save_checkpoint({"state": 5}, 5)
        for step in range(5):
            logger.add_scalar("a", -step)
            logger.add_scalars("plot", {"grown": -step, "new": -step})
        assert in_child(lambda: logger.add_scalar("child", 1)) == 0
        os._exit(0)

    assert in_child(work) == 0
    return logdir / "run"


def as_at_the_checkpoint(run: Path) -> None:
    """Assert that a run shows exactly its data at the checkpoint."""
    assert scalars(run, "a") == [(i, i) for i in range(5)]
    assert scalars(run / "grown", "plot") == [(i, i) for i in range(5)]
    assert scalars(run / "same", "plot") == [(0, 1)]
    assert scalars(run, "child") == []
    assert not list((run / "new").glob("*tfevents*"))
    assert not Run(run).damage()


def test_a_resume_that_is_killed_anywhere_is_completed_by_the_next(
    logdir: Path, tmp_path: Path
) -> None:
    """At every instant, all data logged before the checkpoint are in place."""
    run = killed_run(logdir)
    recorded = checkpoints.read(run / "checkpoints" / "000002.zip")
    whole = {name: (run / name).read_bytes() for name in sizes(run)}
    number, killed = 0, True
    while killed:
        copy = tmp_path / f"copy{number}"
        shutil.copytree(run, copy / "run")

        def resume(copy: Path = copy, number: int = number) -> None:
            kill_before(number, copy)
            with Logger(copy, "run", resume=True) as logger:
                logger.load_checkpoint()

        killed = died(resume)
        for name, size in recorded.files.items():
            there = (copy / "run" / name).read_bytes()
            assert there[:size] == whole[name][:size]
        with Logger(copy, "run", resume=True) as logger:
            assert logger.load_checkpoint() == ({"state": 5}, 5)
            logger.add_text("resumed", "yes")
            as_at_the_checkpoint(copy / "run")
            logger.add_scalar("a", 9)
        assert scalars(copy / "run", "a")[-1] == (5, 9)
        assert Run(copy / "run").info["restarts"] in (1, 2)
        assert not list((copy / "run").rglob(".*.tmp"))
        shutil.rmtree(copy)
        number += 1
    assert number > 30


def test_a_resume_that_a_child_began_and_did_not_end_is_completed_by_its_parent(
    logdir: Path, tmp_path: Path
) -> None:
    """The child logs first, and is killed while it cuts the files; its parent logs."""
    run = killed_run(logdir)
    number, killed = 0, True
    while killed:
        copy = tmp_path / f"copy{number}"
        shutil.copytree(run, copy / "run")
        with Logger(copy, "run", resume=True) as logger:

            def log(logger: Logger = logger, number: int = number) -> None:
                kill_before(number, logger.run_dir)
                logger.add_scalar("later", 1)

            killed = died(log)
            logger.add_scalar("a", 9)
            assert scalars(copy / "run", "a") == [*((i, i) for i in range(5)), (5, 9)]
            assert Run(copy / "run").status == "running"
        assert len(scalars(copy / "run", "later")) == (not killed)
        assert scalars(copy / "run", "child") == []
        found = Run(copy / "run")
        assert (found.status, found.info["restarts"]) == ("finished", 1)
        assert [one["kind"] for one in found.sessions] == ["new", "resume"]
        shutil.rmtree(copy)
        number += 3
    assert number > 20


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore:there is no checkpoint")
def test_a_child_may_be_the_first_to_log_after_a_resume(logdir: Path) -> None:
    """The run was left by another Logger of its parent, which did not close it."""
    logger = Logger(logdir, "run")
    logger.add_scalar("a", 1)
    del logger
    gc.collect()
    with Logger(logdir, "run", resume=True) as logger:
        assert in_child(lambda: logger.add_scalar("child", 1)) == 0
    assert scalars(logdir / "run", "child") == [(0, 1)]
    assert Run(logdir / "run").status == "finished"


def test_a_save_that_is_killed_anywhere_leaves_a_checkpoint(
    logdir: Path, tmp_path: Path
) -> None:
    """It is the previous or the new one, and the run can be resumed from it."""
    number, killed = 0, True
    while killed:
        copy = tmp_path / f"copy{number}"

        def save(copy: Path = copy, number: int = number) -> None:
            logger = Logger(copy, "run")
            for step in range(3):
                logger.add_scalar("a", step)
                logger.save_checkpoint(step, step, keep=1)
            logger.add_scalar("a", 3)
            kill_before(number, copy)
            logger.save_checkpoint(3, 3, keep=1)
            os._exit(0)

        killed = died(save)
        with Logger(copy, "run", resume=True) as logger:
            state, step = logger.load_checkpoint()
            assert state == step
            assert step in (2, 3)
            assert killed or step == 3
        assert scalars(copy / "run", "a") == [(i, i) for i in range(step + 1)]
        shutil.rmtree(copy)
        number += 1
    assert number > 8


def test_a_checkpoint_is_a_zip_archive(logger: Logger) -> None:
    """It can be inspected without unpickling anything."""
    logger.add_scalar("a", 1, 5)
    logger.save_checkpoint({}, 1)
    [path] = (logger.run_dir / "checkpoints").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["run.json", "state.pickle"]
    assert checkpoints.read(path).files == sizes(logger.run_dir)


# -- strangers -------------------------------------------------------------------------


def linked(run: Path, tmp_path: Path) -> Path:
    """Replace the checkpoints of a run by a link to the directory of a victim."""
    victim = tmp_path / "victim"
    victim.mkdir()
    for number in (1, 2):
        (victim / f"{number:06d}.zip").write_bytes(b"results of another project")
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (run / "checkpoints").symlink_to(victim)
    return victim


def test_files_behind_a_link_are_neither_removed_nor_loaded(
    logger: Logger, tmp_path: Path
) -> None:
    """The checkpoints must be in the run itself, which the error says."""
    logger.add_scalar("a", 1)
    victim = linked(logger.run_dir, tmp_path)
    for call in (
        lambda: logger.save_checkpoint("state", 1, keep=1),
        logger.load_checkpoint,
    ):
        with pytest.raises(NotADirectoryError, match="checkpoints must be a directory"):
            call()
    logger.close()
    opened: Any
    for opened in ({"mode": "w"}, {"mode": "a"}, {"resume": True}, {}):
        with pytest.raises(NotADirectoryError, match="link to .*replace it"):
            Logger(logger.run_dir.parent, "run", **opened)
    with pytest.raises(NotADirectoryError, match="link to"):
        Logger(logger.run_dir.parent, "b", resume=logger.run_dir)
    assert len(list(victim.iterdir())) == 2
    assert Run(logger.run_dir).status == "finished"


def test_what_is_cut_off_stays_in_the_run(logdir: Path, tmp_path: Path) -> None:
    """Also if there is a link where it would go."""
    with Logger(logdir, "run") as logger:
        logger.save_checkpoint("state", 0)
        logger.add_scalar("a", 1)
    (tmp_path / "other").mkdir()
    (logdir / "run" / "checkpoints" / "cut-1").symlink_to(tmp_path / "other")
    with pytest.raises(NotADirectoryError, match="cut-1 must be a directory"):
        Logger(logdir, "run", resume=True)
    (logdir / "run" / "checkpoints" / "cut-1").unlink()
    with Logger(logdir, "run", resume=True) as logger:
        (logdir / "run" / "checkpoints" / "cut-1").symlink_to(tmp_path / "other")
        with pytest.raises(NotADirectoryError, match="cut-1 must be a directory"):
            logger.add_scalar("a", 1)
        (logdir / "run" / "checkpoints" / "cut-1").unlink()
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="needs root")
@pytest.mark.parametrize("reader", ["root", "a user"])
def test_a_checkpoint_of_another_user_is_not_loaded(reader: str, logdir: Path) -> None:
    """It can run code of that user; root is trusted, and a copy is one's own."""
    with Logger(logdir, "run") as logger:
        logger.save_checkpoint("state", 1)
    path = logdir / "run" / "checkpoints" / "000001.zip"

    def opened(experiment: str, resume: Any) -> Any:
        with Logger(logdir, experiment, resume=resume) as logger:
            return logger.load_checkpoint()

    def attempt(experiment: str = "run", resume: Any = True) -> str:
        def work() -> Any:
            return opened(experiment, resume)

        if reader == "root":
            try:
                return str(work())
            except OSError as error:
                return f"{type(error).__name__} {error}"
        for place in (logdir, *logdir.rglob("*")):
            if place.is_dir():
                place.chmod(0o777)
        return without_rights(logdir, work)

    assert attempt() == "('state', 1)"  # root's
    os.chown(path, 12345, -1)
    for arguments in ((), ("b", logdir / "run")):
        said = attempt(*arguments)
        assert said.startswith("PermissionError"), said
        assert "belongs to another user, number 12345" in said
    assert not list((logdir / "run" / "checkpoints").glob(".*"))
    shutil.copytree(logdir / "run", logdir / "copy")
    os.chown(logdir / "copy" / "checkpoints" / path.name, 0, -1)
    assert attempt("copy") == "('state', 1)"


def test_on_a_share_where_all_belongs_to_one_user_checkpoints_are_loaded(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New files belong to that user, too, as on many network file systems."""
    logger.save_checkpoint("state", 1)
    if os.getuid() == 0:
        os.chown(logger.run_dir / "checkpoints" / "000001.zip", 12345, -1)
        fstat = os.fstat

        def of_the_share(descriptor: int) -> os.stat_result:
            found = list(fstat(descriptor))
            return os.stat_result([*found[:4], 12345, *found[5:]])

        monkeypatch.setattr(os, "fstat", of_the_share)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert logger.load_checkpoint() == ("state", 1)


@pytest.mark.parametrize("member", ["state.pickle", "run.json", "more"])
def test_a_small_checkpoint_with_much_inside_is_not_loaded(
    member: str, logger: Logger
) -> None:
    """It is not one of this package, which compresses nothing."""
    logger.save_checkpoint("good", 1)
    logger.save_checkpoint("good", 2)
    path = logger.run_dir / "checkpoints" / "000002.zip"
    with zipfile.ZipFile(path) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    inside[member] = inside.get(member, b"") + bytes(1 << 20)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in inside.items():
            packed = zipfile.ZIP_DEFLATED if name == member else zipfile.ZIP_STORED
            archive.writestr(name, content, packed)
    with pytest.warns(UserWarning, match="damaged.*compressed"):
        assert logger.load_checkpoint() == ("good", 1)


def test_a_checkpoint_whose_members_overlap_is_not_loaded(logger: Logger) -> None:
    """Together they claim more than there is."""
    logger.save_checkpoint("good", 1)
    logger.save_checkpoint(bytes(1000), 2)
    path = logger.run_dir / "checkpoints" / "000002.zip"
    with zipfile.ZipFile(path, "a") as archive:
        state = archive.getinfo("state.pickle")
        archive.filelist += [state] * 100
        archive.writestr("more", b"")
    with pytest.warns(UserWarning, match="damaged.*claims to hold more"):
        assert logger.load_checkpoint() == ("good", 1)


def test_a_large_state_of_zeros_comes_back(logger: Logger) -> None:
    """However well it could be compressed."""
    logger.save_checkpoint(np.zeros(10_000_000), 1)
    state, _ = logger.load_checkpoint()
    assert state.shape == (10_000_000,)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_in_place_of_a_checkpoint_is_damage(logger: Logger) -> None:
    """Opening it does not wait for a writer."""
    logger.save_checkpoint("good", 1)
    os.mkfifo(logger.run_dir / "checkpoints" / "000002.zip")
    with pytest.warns(UserWarning, match="it is not a file"):
        assert logger.load_checkpoint() == ("good", 1)


def test_a_curve_in_a_linked_directory_is_refused(
    logger: Logger, tmp_path: Path
) -> None:
    """Readers would not follow the link; the other curves are not written either."""
    (tmp_path / "other").mkdir()
    (logger.run_dir / "train").symlink_to(tmp_path / "other")
    with pytest.raises(ValueError, match=r"add_scalars\('Loss'\): the curve .*link"):
        logger.add_scalars("Loss", {"test": 1.0, "train": 2.0})
    with pytest.raises(ValueError, match="the curve 'train'"):
        logger.writer.add_scalars("Loss", {"test": 1.0, "train": 2.0})
    assert not list((tmp_path / "other").iterdir())
    assert Run(logger.run_dir).tags() == {}
    (logger.run_dir / "train").unlink()
    logger.add_scalars("Loss", {"test": 1.0, "train": 2.0})
    assert set(Run(logger.run_dir).curves("Loss")) == {"test", "train"}
