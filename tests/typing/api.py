"""The types that a user sees, held by mypy and pyright: ``make types``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type

from annarchy_tb import Logger, Run, SummaryWriter, figure_style, find_runs
from annarchy_tb.reading import (
    Damage,
    Histograms,
    Images,
    Last,
    Runs,
    Scalars,
    Sounds,
    Texts,
)
from annarchy_tb.sweep import Result, logged, sweep
from annarchy_tb.windows import Window


def writing(logdir: Path, rates: npt.NDArray[np.float32]) -> None:
    """Steps, times and values come from NumPy as well as from Python."""
    step, time = np.int64(3), np.float32(2.5)
    with Logger(logdir, "run", dt=0.1, time_unit="ms") as logger:
        assert_type(logger, Logger)
        assert_type(logger.add_scalar("a", np.float32(1), step, time=time), None)
        logger.add_scalar("a", Decimal("0.5"), 5)
        logger.add_scalar("a", rates.mean())
        logger.add_scalars("b", {"x": 1, "y": np.float64(2)}, np.int32(3))
        logger.log({"c": 1, "d": True}, step, time=3)
        logger.add_series("e", [1.0, 2.0], [0, 1])
        logger.add_series(["f", "g"], rates, times=np.arange(3))
        logger.add_histogram("h", [[0.1, 0.2], [0.3]], step)
        logger.add_image("i", rates, step, equalize=True)
        logger.add_image("i", [[0.0, 1.0]])
        logger.add_images("j", rates, step, True, equalize_per_image=True)
        logger.add_raster("k", {0: [1, 2]}, step, start=0.0, duration=5, bins=10)
        logger.add_matrix("l", ([[0.1]], [[0]]), step)
        logger.add_audio("m", rates, step, 8000)
        logger.add_text("n", "text", step)
        logger.describe("n", "text")
        logger.add_parameters({"tau": 10.0}, {"loss": np.float32(1)}, group="g")
        logger.add_metrics({"loss": 1})
        logger.save_checkpoint({"state": 1}, step, keep=3)
        assert_type(logger.path("net.npz"), Path)
        assert_type(logger.run_dir, Path)
        assert_type(logger.closed, bool)
        assert_type(logger.time_unit, str)
        assert_type(logger.last, Last)
        assert_type(logger.writer, SummaryWriter)
        block: AbstractContextManager[None] = logger.figures("o", step)
        assert block
        with logger.window("p", every=3, reduce="max") as window:
            assert_type(window, Window)
            window.add(np.float32(1), weight=np.int64(2), step=step, time=time)
        for trial in logger.track(range(3), show="a"):
            assert_type(trial, int)
        bar = logger.track(["x"], visible=False)
        bar.set_description("a bar of tqdm")


def figures() -> None:
    """The style is a context of matplotlib."""
    assert_type(figure_style(), AbstractContextManager[None])


def reading(path: Path) -> None:
    """Results have named fields."""
    run = Run(path)
    assert_type(run.path, Path)
    assert_type(run.info, dict[str, Any])
    assert_type(run.status, str)
    assert_type(run.started, datetime | None)
    assert_type(run.duration, timedelta | None)
    assert_type(run.tags(), dict[str, str])
    assert_type(run.scalars("a"), Scalars)
    assert_type(run.scalars("a").steps, npt.NDArray[np.int64])
    assert_type(run.scalars("a").values, npt.NDArray[np.float64])
    assert_type(run.all_scalars("a", "b"), dict[str, Scalars])
    assert_type(run.curves("b"), dict[str, Scalars])
    assert_type(run.images("i"), Images)
    assert_type(run.histograms("h"), Histograms)
    assert_type(run.text("n"), Texts)
    assert_type(run.audio("m"), Sounds)
    assert_type(run.damage(), list[Damage])
    runs = find_runs(path, status="finished", params={"tau": 10.0})
    assert_type(runs, Runs)
    assert_type(runs[0], Run)
    assert_type(runs[:2], Runs)


def objective(params: dict[str, Any], logger: Logger) -> float:
    """Be what a sweep calls."""
    return float(params["x"])


def sweeping() -> None:
    """A sweep returns its best parameters."""
    result = sweep(objective, {"x": 1}, 10)
    assert_type(result, Result)
    assert_type(result.params, dict[str, Any] | None)
    assert_type(result.loss, float)
    assert_type(result.runs, Runs)
    outcome: Mapping[str, Any] = logged(objective)({"x": 1})
    assert outcome


def dropping_in(logdir: str) -> None:
    """The SummaryWriter has tensorboardX's methods."""
    with SummaryWriter(logdir) as writer:
        assert_type(writer, SummaryWriter)
        writer.add_scalar("a", 1.0, 0)
        assert_type(writer.add_scalars("b", {"x": 1.0}, 0), None)
        assert_type(writer.add_hparams({"x": 1}, {"loss": 1.0}), None)
