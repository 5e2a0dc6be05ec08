"""Runs whose directory is moved while they are being written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import in_child, open_descriptors, scalars

from annarchy_tb import Logger, Run, SummaryWriter, find_runs
from annarchy_tb.run import folder


def renamed(run: Path) -> Path:
    """Rename a run."""
    return run.rename(run.with_name("renamed"))


def elsewhere(run: Path) -> Path:
    """Move a run to another directory."""
    (run.parent / "kept" / "2026").mkdir(parents=True)
    return run.rename(run.parent / "kept" / "2026" / "run")


def above(run: Path) -> Path:
    """Rename the directory of all runs."""
    return run.parent.rename(run.parent.with_name("all runs")) / run.name


def replaced(run: Path) -> Path:
    """Rename a run, and start another with its old name."""
    there = run.rename(run.with_name("old"))
    with Logger(run.parent, run.name) as other:
        other.add_scalar("other", 1.0)
    return there


def log_all(logger: Logger, step: int) -> None:
    logger.add_scalar("a", step, step)
    logger.log({"b": step, "c": step}, step)
    logger.add_series("s", [step, step + 0.5], [2 * step, 2 * step + 1])
    logger.add_scalars("plot", {"known": step, f"new {step}": step}, step)
    logger.add_metrics({f"result {step}": step})


@pytest.mark.parametrize("move", [renamed, elsewhere, above, replaced])
def test_a_run_that_is_moved_goes_on_there(
    logdir: Path, move: Callable[[Path], Path]
) -> None:
    """All kinds of writing continue at the new place, and none is left at the old."""
    with Logger(logdir, "run") as logger:
        log_all(logger, 0)
        there = move(logger.run_dir)
        log_all(logger, 1)
        assert logger.run_dir == there
        logger.flush()
        logger.save_checkpoint("state", 1)
        logger.path("mine.txt").write_text("mine")
        assert logger.last["plot"] == {"known": 1.0, "new 0": 0.0, "new 1": 1.0}
        assert in_child(lambda: logger.add_scalar("forked", 1.0)) == 0
        copy = pickle.loads(pickle.dumps(logger))
        copy.add_scalar("copy", 1.0)
        copy.close()
        log_all(logger, 2)
    run = Run(there)
    assert run.status == "finished"
    assert run.metrics == {"result 0": 0, "result 1": 1, "result 2": 2}
    assert scalars(there, "a") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert run.scalars("s").values.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert set(run.curves("plot")) == {"known", "new 0", "new 1", "new 2"}
    assert len(run.curves("plot")["known"].steps) == 3
    assert {"forked", "copy", "b", "c"} <= run.tags().keys()
    assert (there / "mine.txt").exists()
    others = [other.path for other in find_runs(there.parent) if other.path != there]
    assert others == ([logdir / "run"] if move is replaced else [])
    if others:
        assert Run(others[0]).tags() == {"other": "scalar"}
    with Logger(there.parent, there.name, resume=True) as logger:
        assert logger.load_checkpoint() == ("state", 1)


def test_the_files_of_many_curves_are_found_again(logger: Logger) -> None:
    """Those that are opened for each record, too."""
    values = {f"curve {number}": 1.0 for number in range(40)}
    logger.add_scalars("plot", values)
    there = renamed(logger.run_dir)
    logger.add_scalars("plot", values)
    logger.flush()
    found = Run(there).curves("plot")
    assert {len(points.steps) for points in found.values()} == {2}
    assert not (there.parent / "run").exists()


@pytest.mark.parametrize("mode", ["append", "resume"])
def test_a_run_that_is_moved_before_it_is_written_goes_on_there(
    logdir: Path, mode: str
) -> None:
    """What it had is read at the new place, and cut there."""
    with Logger(logdir, "run") as logger:
        log_all(logger, 0)
        logger.save_checkpoint("state", 0)
        log_all(logger, 1)
    how = {"mode": "a"} if mode == "append" else {"resume": True}
    with Logger(logdir, "run", **how) as logger:  # type: ignore[arg-type]
        there = renamed(logger.run_dir)
        logger.add_scalar("a", 5.0)
        logger.add_scalars("plot", {"known": 5.0})
    steps = [0, 1, 2] if mode == "append" else [0, 1]
    assert Run(there).scalars("a").steps.tolist() == steps
    assert Run(there).curves("plot")["known"].steps.tolist() == steps
    assert not (logdir / "run").exists()


def test_a_name_beside_the_old_one_is_found_on_any_system(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system does not tell the path of a descriptor."""

    def refuse(*_: object) -> str:
        raise OSError

    monkeypatch.setattr(folder.os, "readlink", refuse)
    log_all(logger, 0)
    there = renamed(logger.run_dir)
    log_all(logger, 1)
    assert logger.run_dir == there
    assert Run(there).metrics == {"result 0": 0, "result 1": 1}


def test_what_cannot_be_followed_is_told(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost in silence: records stay in the file, and the rest warns."""

    def refuse(*_: object) -> str:
        raise OSError

    monkeypatch.setattr(folder.os, "readlink", refuse)
    logger = Logger(logdir, "run")
    logger.add_scalar("a", 0.0)
    there = elsewhere(logger.run_dir)
    logger.add_scalar("a", 1.0)
    with pytest.warns(UserWarning, match=r"run\.json can't be written"):
        logger.add_metrics({"result": 1.0})
    with pytest.raises(FileNotFoundError, match="deleted, or moved"):
        logger.flush()
    with pytest.raises(FileNotFoundError):
        logger.add_scalars("plot", {"new": 1.0})
    with pytest.warns(UserWarning, match="deleted, or moved"):
        logger.close()
    assert scalars(there, "a") == [(0, 0.0), (1, 1.0)]


def test_a_writer_follows_too(tmp_path: Path) -> None:
    """SummaryWriter's new curves and rows are at the new place."""
    writer = SummaryWriter(str(tmp_path / "run"))
    writer.add_scalar("a", 0.0, 0)
    there = renamed(tmp_path / "run")
    writer.add_scalar("a", 1.0, 1)
    writer.add_scalars("plot", {"new": 1.0}, 1)
    writer.add_hparams({"p": 1}, {"m": 1.0}, "row")
    writer.flush()
    writer.close()
    assert scalars(there, "a") == [(0, 0.0), (1, 1.0)]
    assert {path.name for path in there.iterdir() if path.is_dir()} == {"new", "row"}
    assert not (tmp_path / "run").exists()


def test_no_descriptor_of_a_directory_stays_open(logdir: Path) -> None:
    """It is closed with the Logger, also with copies, and if the Logger is refused."""
    before = open_descriptors()
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        assert any(str(logdir) in name for name in open_descriptors() - before)
        copy = pickle.loads(pickle.dumps(logger))
        copy.close()
    with pytest.raises(FileExistsError):
        Logger(logdir, "run")
    assert not any(str(logdir) in name for name in open_descriptors() - before)
