from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import load, open_descriptors, points, scalars, without_rights

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.run import directory, names, paths
from annarchy_tb.run.paths import ignores_case
from annarchy_tb.tfevents.event_file import event_files


def test_a_run_is_named_by_date_and_host(logdir: Path) -> None:
    """The default name is <month><day>_<time>_<host>."""
    with Logger(logdir) as logger:
        pattern = rf"\w{{3}}\d\d_\d\d-\d\d-\d\d_{re.escape(names.host())}(_\d+)?"
        assert re.fullmatch(pattern, logger.run_dir.name)
        assert logger.run_dir.parent == logdir


def test_twenty_processes_at_once_get_twenty_directories(tmp_path: Path) -> None:
    """Loggers started at the same time by 20 processes never share a directory."""
    code = """
import sys
from annarchy_tb import Logger
print("ready", flush=True)
sys.stdin.readline()
with Logger() as logger:
    logger.add_scalar("pid", 1, 1)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        )
        for _ in range(20)
    ]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    runs = list((tmp_path / "runs").iterdir())
    assert len(runs) == 20
    assert all(scalars(run, "pid") == [(1, 1)] for run in runs)


def test_two_loggers_in_one_second_get_two_directories(logdir: Path) -> None:
    """If names clash, a number is added."""
    with Logger(logdir) as one, Logger(logdir) as two, Logger(logdir) as three:
        assert len({one.run_dir, two.run_dir, three.run_dir}) == 3


def test_a_reused_experiment_loses_nothing(logdir: Path) -> None:
    """Five Loggers append to one experiment within a second: all points are there."""
    for number in range(5):
        with Logger(logdir, "trial1", mode="a") as logger:
            logger.add_scalar("a", number, number)
    assert len(event_files(logdir / "trial1")) == 5
    assert scalars(logdir / "trial1", "a") == [(i, i) for i in range(5)]


def test_steps_left_out_go_on_in_a_reused_run(logdir: Path) -> None:
    """Every kind and every curve continues from the steps of the run."""
    for _ in range(2):
        with Logger(logdir, "run", mode="a") as logger:
            logger.add_scalar("scalar", 1)
            logger.add_scalar("scalar", 1)
            logger.add_image("image", [[1.0]])
            logger.add_histogram("histogram", [1, 2])
            logger.add_text("text", "text")
            logger.add_scalars("curves", {"a": 1, "b": 2})
            logger.log({"x": 1, "y": 2})
    run = logdir / "run"
    assert [step for step, _ in scalars(run, "scalar")] == [0, 1, 2, 3]
    for tag in ("image", "histogram", "text", "x", "y"):
        assert [point.step for point in points(run, tag)] == [0, 1]
    assert [step for step, _ in scalars(run / "b", "curves")] == [0, 1]


def test_a_reused_run_warns_of_steps_that_hide_points(logdir: Path) -> None:
    """Given steps are compared with those of the run, for every kind; it warns once."""
    values = {
        "add_scalar": 1,
        "add_image": [[1.0]],
        "add_text": "text",
        "add_scalars": {"curve": 1},
        "add_series": [1.0, 2.0],
    }

    def call(logger: Logger, method: str, step: int) -> None:
        steps = [step, step + 1] if method == "add_series" else step
        getattr(logger, method)(method, values[method], steps)

    with Logger(logdir, "run") as logger:
        for method in values:
            call(logger, method, 5)
    before = r"already has data up to step [56] of this tag, and step 3 follows"
    for first in values:
        shutil.copytree(logdir / "run", logdir / first)
        with Logger(logdir, first, mode="a") as logger:
            with pytest.warns(UserWarning, match=f"{first}.*{before}") as given:
                for method in sorted(values, key=lambda method: method != first):
                    call(logger, method, 3)
            assert len(given) == 1
            with pytest.warns(UserWarning, match="step 1 comes after step"):
                call(logger, first, 1)  # that is another matter


def test_a_reused_run_keeps_the_kinds_of_its_tags(logdir: Path) -> None:
    """A tag of another kind is refused, whichever Logger wrote it."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1, 1)
    with (
        Logger(logdir, "run", mode="a") as logger,
        pytest.raises(ValueError, match="'scalar'"),
    ):
        logger.add_text("a", "text", 2)


def test_a_torn_earlier_file_does_not_stop_a_reused_run(logdir: Path) -> None:
    """All readable data of a killed run count."""
    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_scalar("a", 1, step)
        torn = logger._file.path.read_bytes()[:-5]
    event_files(logdir / "run")[0].write_bytes(torn)
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1)
    assert [step for step, _ in scalars(logdir / "run", "a")] == [0, 1, 2]


def test_a_change_of_directory_does_not_split_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's path is fixed at the start, also for curves opened later."""
    monkeypatch.chdir(tmp_path)
    with Logger("runs", "run") as logger:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        logger.add_scalars("a", {"curve": 1})
        assert logger.run_dir.is_absolute()
    assert scalars(tmp_path / "runs" / "run" / "curve", "a") == [(0, 1)]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_hundreds_of_loggers_leave_nothing_open(logdir: Path) -> None:
    """A Logger that was opened and closed leaves no open descriptor."""
    before = len(open_descriptors())
    for number in range(300):
        with Logger(logdir, f"run{number}") as logger:
            logger.add_scalar("a", 1)
            logger.add_scalars("b", {"c": 1})
    assert len(open_descriptors()) <= before + 1  # the listing's own


def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    """If the run can't be created, the OSError names the directory."""
    readonly = tmp_path / "readonly"
    readonly.mkdir()
    readonly.chmod(stat.S_IRUSR | stat.S_IXUSR)
    names.host()  # imports while that is still allowed
    said = without_rights(tmp_path, lambda: Logger(readonly, "run"))
    assert said.startswith("PermissionError")
    assert str(readonly / "run") in said


@pytest.mark.parametrize(
    ("logdir", "experiment", "named"),
    [
        ("file", None, "logdir must be a directory, but {}/file is not one"),
        ("file", "run", "logdir must be a directory, but {}/file is not one"),
        ("file/below", "run", "logdir must be a directory, but {}/file is not one"),
        ("nowhere", None, "logdir must be a directory, but {}/nowhere is not one"),
        (".", "file", "experiment must be a directory, but {}/file is not one"),
        (".", "file/run", "experiment must be a directory, but {}/file is not one"),
    ],
)
@pytest.mark.parametrize("mode", ["x", "a", "w"])
def test_a_file_in_the_way_is_named(
    tmp_path: Path, logdir: str, experiment: str | None, named: str, mode: Any
) -> None:
    """If logdir or the run is a file, or a link to nothing, the error says so."""
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("missing")
    how = {} if experiment is None else {"mode": mode}
    with pytest.raises(NotADirectoryError) as refused:
        Logger(tmp_path / logdir, experiment, **how)
    assert str(refused.value) == f"Logger: {named.format(tmp_path)}"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "nowhere"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"experiment": ""}, "experiment must be a name"),
        ({"experiment": "."}, "experiment must be a name"),
        ({"experiment": "../x"}, "experiment must be a name"),
        ({"experiment": "a/../../x"}, "experiment must be a name"),
        ({"experiment": "/abs"}, "experiment must be a name"),
        ({"experiment": "a\0b"}, "experiment must be a name"),
        ({"experiment": 3}, r"experiment must be a str.* got 3 \(int\)"),
        ({"experiment": "my.tfevents.1"}, "experiment .* without .* and 'tfevents'"),
        ({"logdir": "s3://bucket/runs"}, "logdir must be a local directory"),
        ({"logdir": 5}, r"logdir must be a str or path, got 5 \(int\)"),
        ({"logdir": b"runs"}, "logdir must be a str or path"),
        ({"logdir": "a\0b"}, "logdir must not contain a null character"),
        ({"time_unit": "fortnight"}, "time_unit must be one of .*'ms'"),
        ({"dt": 0.0}, "dt must be positive"),
        ({"dt": -1}, "dt must be positive"),
        ({"dt": float("nan")}, "dt must be finite"),
        ({"resume": True}, "resume needs the name of the run"),
    ],
)
def test_wrong_arguments_make_no_directory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, object],
    message: str,
) -> None:
    """A Logger that can't be created says so, and leaves nothing on the disk."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=f"^Logger: {message}"):
        Logger(**arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "key",
    [
        *("../../x", "/etc/x", "a/b", "a\\b", "..", ".", "", " ", "a\0b", "x" * 300),
        *("ü" * 300, "run.json", "checkpoints", "con:", "a\nb", "\ud800", "trailing."),
    ],
)
def test_hostile_curve_keys_stay_inside_the_run(logdir: Path, key: str) -> None:
    """Any key becomes one directory inside the run."""
    with Logger(logdir, "run") as logger:
        logger.add_scalars("tag", {key: 1.0, "plain": 2.0})
        made = {p.name for p in logger.run_dir.iterdir() if p.is_dir()} - {"plain"}
        assert len(made) == 1
        assert not made & names.RESERVED
        assert {p.name for p in logdir.iterdir()} == {"run"}
        assert {p.name for p in logdir.parent.iterdir()} == {"runs"}
    assert scalars(logdir / "run" / made.pop(), "tag") == [(0, 1)]


def test_curve_keys_stay_distinct() -> None:
    """Keys that differ only in replaced characters have different directories."""
    keys = ["a/b", "a_b", "a\\b", "a:b", "a?b", "x" * 300, "x" * 301]
    assert len({names.curve(key) for key in keys}) == len(keys)


def test_curve_keys_differ_in_more_than_case_where_that_is_ignored() -> None:
    """The first has its own name, and the others a hash, also in a later Logger."""
    assert names.curve("e", ["E", "other"]) == "e-3f79bb7b"
    assert names.curve("E", ["E", "e-3f79bb7b"]) == "E"
    assert names.curve("Straße", ["STRASSE"]).startswith("Straße-")
    assert names.curve("e", ["E-3f79bb7b"]) == "e"


def test_curves_do_not_share_a_directory_where_case_is_ignored(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in one call nor in a later Logger; this system does not ignore it."""
    assert not ignores_case(Path(__file__).parent)
    monkeypatch.setattr(directory, "ignores_case", lambda _: True)
    for mode, keys in (("x", ("E", "e")), ("a", ("e", "E"))):
        with Logger(logdir, "run", mode=mode) as logger:  # type: ignore[arg-type]
            logger.add_scalars("plot", {key: float(key == "E") for key in keys})
    curves = Run(logdir / "run").curves("plot")
    assert curves.keys() == {"E", "e-3f79bb7b"}
    assert curves["E"].values.tolist() == [1.0, 1.0]
    assert curves["e-3f79bb7b"].values.tolist() == [0.0, 0.0]


def test_a_directory_that_ignores_case_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another spelling of a name leads to it, and is no name of its own."""
    assert not ignores_case(tmp_path)
    (tmp_path / "1").touch()
    (tmp_path / "run.json").touch()
    assert not ignores_case(tmp_path)
    (tmp_path / "RUN.JSON").touch()
    assert not ignores_case(tmp_path)
    (tmp_path / "RUN.JSON").unlink()
    monkeypatch.setattr(paths.os.path, "lexists", lambda _: True)
    assert ignores_case(tmp_path)


@pytest.mark.parametrize("logdir", ["~/runs", "~nobody-of-this-name/runs", "~"])
def test_a_home_that_is_unknown_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logdir: str
) -> None:
    """In a container, a user may have none: no directory ``~`` is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    with pytest.raises(ValueError, match=r"^Logger: logdir must not begin with '~"):
        Logger(logdir)
    with pytest.raises(ValueError, match="must not begin with '~"):
        find_runs(logdir)
    assert not list(tmp_path.iterdir())
    Logger("./~", "run").close()
    assert (tmp_path / "~" / "run").is_dir()


@pytest.mark.parametrize("key", ["train", "E", "tau = 10 ms", "膜電位", "a.b"])
def test_safe_curve_keys_are_kept(key: str) -> None:
    """Keys that are good directory names are not changed."""
    assert names.curve(key) == key


def test_an_unclosed_logger_is_told_of_and_is_no_success(logdir: Path) -> None:
    """A forgotten Logger gives a ResourceWarning and writes no end of the run."""
    logger = Logger(logdir, "run")
    logger.add_parameters({"a": 1})
    with pytest.warns(ResourceWarning, match="unclosed <Logger .*run>; write 'with"):
        del logger
    tags = [point.tag for point in load(logdir / "run")]
    assert tags == ["_hparams_/session_start_info"]
