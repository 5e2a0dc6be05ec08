from __future__ import annotations

import enum
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load, points, scalars
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from annarchy_tb import Logger
from annarchy_tb.kinds import parameters as hparams


class Rule(enum.Enum):
    OJA = 1


class Mode(str, enum.Enum):
    FAST = "fast"


class Name(str):
    __slots__ = ()


class Level(enum.IntEnum):
    HIGH = 3


def hparams_data(run: Path) -> list[HParamsPluginData]:
    """Return the HPARAMS messages of a run, in order."""
    return [
        HParamsPluginData.FromString(point.proto.metadata.plugin_data.content)
        for point in load(run)
        if point.plugin == "hparams"
    ]


def row(run: Path) -> dict[str, Any]:
    """Return the parameters of a run as TensorBoard reads them."""
    found = hparams_data(run)[0].session_start_info.hparams
    return {name: getattr(v, v.WhichOneof("kind")) for name, v in found.items()}


def function() -> None:
    pass


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, 1.0),
        (0.1, 0.1),
        (True, True),
        ("text", "text"),
        (np.float32(0.1), 0.1),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3.0),
        (np.bool_(True), True),
        (np.array(2.5), 2.5),
        (np.array(0.1, np.float32), 0.1),
        ([np.array(0.1, np.float32)], "[0.1]"),
        (np.str_("text"), "text"),
        (10**400, hex(10**400)),
        ([1, np.float32(0.1), "a"], "[1, 0.1, a]"),
        ((1, 2), "(1, 2)"),
        ({3, 1}, "{1, 3}"),
        ({}, "{}"),
        (np.arange(3), "[0, 1, 2]"),
        (function, "function"),
        (math.exp, "exp"),
        (int, "int"),
        (functools.partial(function), "functools.partial(<function function>)"),
        (Rule.OJA, "Rule.OJA"),
        (Level.HIGH, 3.0),
        (Mode.FAST, "fast"),
        (Name("name"), "name"),
        (np.longdouble(1.5), 1.5),
        ([np.longdouble(1.5)], "[1.5]"),
        ([{"a": [1]}], "[{'a': [1]}]"),
        (Path("a/b"), "a/b"),
        ("\udcff", "\\udcff"),
    ],
)
def test_parameters_become_what_the_table_shows(
    logger: Logger, value: Any, shown: Any
) -> None:
    """Numbers, bools and texts are kept; everything else becomes a readable text."""
    logger.add_parameters({"p": value})
    found = row(logger.run_dir)["p"]
    assert found == shown
    assert type(found) is type(shown)


@pytest.mark.parametrize("value", [None, np.nan, np.inf, np.float32("nan")])
def test_what_would_spoil_a_column_is_left_out(logger: Logger, value: Any) -> None:
    """None and non-finite values leave their cell empty."""
    logger.add_parameters({"a": 1, "p": value})
    assert row(logger.run_dir) == {"a": 1.0}


def test_nested_parameters_are_flattened(logger: Logger) -> None:
    """The names of inner dicts follow after a slash."""
    logger.add_parameters({"net": {"exc": {"tau": 10.0}, "inh": {}}, 3: "key"})
    assert row(logger.run_dir) == {"net/exc/tau": 10.0, "net/inh": "{}", "3": "key"}


def test_two_parameters_of_one_name_are_refused(logger: Logger) -> None:
    """Flattening never drops a value silently."""
    with pytest.raises(ValueError, match=r"distinct names, got 'a/b' twice"):
        logger.add_parameters({"a": {"b": 1}, "a/b": 2})
    with pytest.raises(TypeError, match="params must be a dict"):
        logger.add_parameters([("a", 1)])
    logger.add_parameters({"a": 1})  # the refused call does not count


def test_a_group_has_a_name(logger: Logger) -> None:
    """An empty one would be no group at all."""
    with pytest.raises(ValueError, match=r"^add_parameters: group must not be empty"):
        logger.add_parameters({"a": 1}, group="")
    with pytest.raises(TypeError, match=r"^add_parameters: group must be a str"):
        logger.add_parameters({"a": 1}, group=5)  # type: ignore[arg-type]
    assert not load(logger.run_dir)


def nested(kind: type[list[Any] | dict[str, Any]]) -> Any:
    """Return a list or a dict that contains itself."""
    found: Any = kind()
    found.append(found) if kind is list else found.update(inner=found)
    return found


@pytest.mark.parametrize("kind", [list, dict])
def test_a_parameter_that_contains_itself_is_refused(
    logger: Logger, kind: type[list[Any] | dict[str, Any]]
) -> None:
    """The error names the parameter."""
    with pytest.raises(ValueError, match=r"'deep' must not contain itself.*length 1"):
        logger.add_parameters({"a": 1, "deep": nested(kind)})
    logger.add_parameters({"a": 1})
    assert row(logger.run_dir) == {"a": 1.0}


def test_parameters_are_logged_once(logger: Logger) -> None:
    """A second set is refused, with advice on the right way."""
    logger.add_parameters({"a": 1})
    with pytest.raises(RuntimeError, match="one Logger per trial"):
        logger.add_parameters({"a": 2})
    assert row(logger.run_dir) == {"a": 1.0}


def test_a_refused_metric_writes_no_parameters(logger: Logger) -> None:
    """add_parameters checks everything before it writes anything."""
    with pytest.raises(
        TypeError, match=r"add_parameters\('metrics: acc'\): value must"
    ):
        logger.add_parameters({"a": 1}, {"acc": None})
    assert not load(logger.run_dir)
    logger.add_parameters({"a": 1}, {"acc": 0.5})


def test_metrics_follow_the_curve_of_their_tag(logger: Logger) -> None:
    """A metric gets its tag's last step + 1, and deletes no point."""
    for step in range(5):
        logger.add_scalar("accuracy", step / 10, step)
    logger.add_parameters({"a": 1}, {"accuracy": 0.9, "loss": 0.1})
    logger.add_metrics({"accuracy": 0.95})
    run = logger.run_dir
    assert [step for step, _ in scalars(run, "accuracy")] == list(range(7))
    assert [step for step, _ in scalars(run, "loss")] == [0]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, hparams.SUCCESS),
        (SystemExit(), hparams.SUCCESS),
        (SystemExit(0), hparams.SUCCESS),
        (SystemExit(3), hparams.FAILURE),
        (KeyboardInterrupt(), hparams.FAILURE),
        (ValueError("x"), hparams.FAILURE),
    ],
)
def test_the_with_block_decides_the_status(
    logdir: Path, error: BaseException | None, status: int
) -> None:
    """The status is written once, at the end, and the exception propagates."""
    if error is None:
        with Logger(logdir, "run") as logger:
            logger.add_parameters({"a": 1})
    else:
        with pytest.raises(type(error)), Logger(logdir, "run") as logger:
            logger.add_parameters({"a": 1})
            raise error
    start, end = hparams_data(logdir / "run")
    assert (
        start.session_start_info.start_time_secs <= end.session_end_info.end_time_secs
    )
    assert end.session_end_info.status == status


def test_close_is_a_success(logdir: Path) -> None:
    """Without a with block, close ends the run as finished."""
    logger = Logger(logdir, "run")
    logger.add_parameters({"a": 1})
    logger.close()
    assert hparams_data(logdir / "run")[-1].session_end_info.status == hparams.SUCCESS


def test_without_parameters_there_is_no_end(logdir: Path) -> None:
    """An end without a start gives no row, so none is written."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
    assert not hparams_data(logdir / "run")


def test_a_reused_run_keeps_its_first_parameters(logdir: Path) -> None:
    """The same ones are taken, others refused: then the run is as it was."""
    with Logger(logdir, "run") as logger:
        logger.add_parameters({"a": 1, "b": np.nan})
    before = {path: path.read_bytes() for path in (logdir / "run").iterdir()}
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_parameters({"a": 1.0, "b": None})  # the same, to the table
    for wrong in ({"a": 2}, {}, {"a": 1, "b": None, "c": 3}):
        with (
            Logger(logdir, "run", mode="a") as logger,
            pytest.raises(ValueError, match="must be those of the run"),
        ):
            logger.add_parameters(wrong)
    assert {path: path.read_bytes() for path in (logdir / "run").iterdir()} == before
    assert [p.tag for p in load(logdir / "run")].count(hparams.START_TAG) == 1
    assert row(logdir / "run") == {"a": 1.0}


def test_there_is_no_experiment_record_and_no_subrun(logger: Logger) -> None:
    """A run is one row: its own file holds only its start and end."""
    logger.add_parameters({"a": 1}, {"b": 2})
    assert not points(logger.run_dir, "_hparams_/experiment")
    assert all(path.is_file() for path in logger.run_dir.iterdir())
