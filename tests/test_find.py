from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from conftest import HAS_PANDAS, without_rights

from annarchy_tb import Logger, SummaryWriter, find_runs
from annarchy_tb.tfevents.event_file import event_files


def finished(logdir: Path, name: str, **params: Any) -> None:
    with Logger(logdir, name) as logger:
        logger.add_parameters(params, {"loss": params.get("tau", 0) / 2})


def found(logdir: Path, **filters: Any) -> list[str]:
    """Return the names of runs, sorted."""
    return sorted(run.path.name for run in find_runs(logdir, **filters))


def test_runs_are_found_newest_first(logdir: Path) -> None:
    """They are found at any depth, also inside other runs; curves are not runs."""
    for name in ("b", "sweep/a", "sweep/deep/c", "b/nested"):
        with Logger(logdir, name) as logger:
            logger.add_scalars("plot", {"curve": 1})
            logger.save_checkpoint({}, 1)
    names = [run.path.relative_to(logdir).as_posix() for run in find_runs(logdir)]
    assert names == ["b/nested", "sweep/deep/c", "sweep/a", "b"]
    assert [run.path.name for run in find_runs(logdir / "b")] == ["nested", "b"]


def test_runs_are_found_by_status_and_parameters(logdir: Path) -> None:
    """Equal values match, be they int, float or NumPy's; None matches NaN."""
    finished(logdir, "one", tau=10, net={"rate": 5.0}, seed=None)
    finished(logdir, "two", tau=10.0, seed=np.nan)
    finished(logdir, "three", tau=20.0)
    with pytest.raises(ZeroDivisionError), Logger(logdir, "four") as logger:
        logger.add_parameters({"tau": 10.0})
        raise ZeroDivisionError
    with Logger(logdir, "five"):
        assert found(logdir, status="running") == ["five"]
    assert found(logdir, status="finished") == ["five", "one", "three", "two"]
    assert found(logdir, status=["failed", "running"]) == ["four"]
    assert found(logdir, params={"tau": 10.0}) == ["four", "one", "two"]
    assert found(logdir, params={"tau": np.float32(10)}, status="failed") == ["four"]
    assert found(logdir, params={"net": {"rate": 5}}) == ["one"]
    assert found(logdir, params={"seed": None}) == ["one", "two"]
    assert found(logdir, params={"nothing": 1}) == []


def test_runs_of_other_writers_are_found(logdir: Path) -> None:
    """They are found by their event files; their status is unknown."""
    with tensorboardX.SummaryWriter(str(logdir / "theirs")) as theirs:
        theirs.add_scalar("a", 1, 1)
    SummaryWriter(str(logdir / "ours")).close()
    runs = find_runs(logdir, status="unknown")
    assert sorted(run.path.name for run in runs) == ["ours", "theirs"]
    assert all(run.started is not None for run in runs)


def test_links_that_lead_in_a_circle_end(logdir: Path) -> None:
    """Each directory is searched once, under its own name."""
    finished(logdir, "one", tau=1)
    (logdir / "again").symlink_to(logdir)
    (logdir / "a link").symlink_to(logdir / "one")
    (logdir / "itself").symlink_to(logdir / "itself")
    (logdir / "nowhere").symlink_to(logdir / "nothing")
    assert found(logdir) == ["one"]


def test_directories_of_any_name_are_looked_into(logdir: Path) -> None:
    """Checkpoints are skipped only inside a run."""
    finished(logdir, "checkpoints", tau=1)
    finished(logdir, "a/checkpoints/b", tau=1)
    assert found(logdir) == ["b", "checkpoints"]


def test_odd_names_of_event_files_stop_no_search(logdir: Path) -> None:
    """An impossible date is treated as no date."""
    finished(logdir, "one", tau=1)
    for name in ("events.out.tfevents.99999999999999999.h", "tfevents"):
        (logdir / "odd").mkdir(exist_ok=True)
        (logdir / "odd" / name).touch()
    [odd] = find_runs(logdir, status="unknown")
    assert odd.started is None
    assert len(find_runs(logdir)) == 2
    if HAS_PANDAS:
        assert len(find_runs(logdir).to_pandas()) == 2


def test_event_files_are_not_read(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding and filtering a thousand runs opens only their run.json."""
    finished(logdir, "run", tau=1)
    for path in event_files(logdir / "run"):
        path.write_bytes(b"spoilt")
    opened: list[str] = []
    path_open = Path.open

    def watched(path: Path, *arguments: Any, **named: Any) -> Any:
        opened.append(path.name)
        return path_open(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", watched)
    assert found(logdir, status="finished", params={"tau": 1}) == ["run"]
    assert not [name for name in opened if "tfevents" in name]


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    """An unknown status and a missing directory raise errors."""
    with pytest.raises(ValueError, match="status must be one of 'running'.*got 'done'"):
        find_runs(tmp_path, status="done")
    with pytest.raises(FileNotFoundError, match="no directory"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="params must be a dict"):
        find_runs(tmp_path, params=[("a", 1)])  # type: ignore[arg-type]
    assert list(find_runs(tmp_path)) == []


def test_a_run_that_nobody_else_may_read_is_passed_over(logdir: Path) -> None:
    """Unreadable directories of other users do not stop a search."""
    finished(logdir, "one", tau=1)
    (logdir / "locked").mkdir()
    assert found(logdir) == ["one"]  # imports while that is still allowed
    (logdir / "locked").chmod(0)
    assert without_rights(logdir, lambda: found(logdir)) == "['one']"
    (logdir / "locked").chmod(0o755)


def test_runs_become_one_table(logdir: Path) -> None:
    """There is a row per run, with the parameters and metrics of all runs."""
    pytest.importorskip("pandas")
    finished(logdir, "one", tau=10.0, rule="oja")
    finished(logdir, "sweep/two", tau=20.0)
    Logger(logdir, "three").close()
    table = find_runs(logdir).to_pandas()
    assert list(table.index) == ["three", "sweep/two", "one"]
    assert list(table.columns) == [
        *("status", "started", "duration", "params.tau", "params.rule"),
        "metrics.loss",
    ]
    row = table.loc["one"]
    assert (row["params.rule"], row["metrics.loss"]) == ("oja", 5.0)
    assert row["duration"] >= 0
    assert table["params.tau"].isna().tolist() == [True, False, False]
    assert list(find_runs(logdir, status="failed").to_pandas().columns) == [
        *("status", "started", "duration")
    ]


def test_a_slice_of_runs_is_runs(logdir: Path) -> None:
    """The newest ones make a table, too."""
    for name in "abc":
        Logger(logdir, name).close()
    newest = find_runs(logdir)[:2]
    assert [run.path.name for run in newest] == ["c", "b"]
    assert newest.logdir == logdir
    assert find_runs(logdir)[0].path.name == "c"
    pytest.importorskip("pandas", reason="needs annarchy-tb[pandas]")
    assert newest.to_pandas().index.tolist() == ["c", "b"]
