"""The types of the public API, as users' editors and type checkers see them.

Nothing here runs: ``make types`` checks it with mypy and pyright. Lines that must be
errors have ``# type: ignore``, which is itself an error where it is not needed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from typing_extensions import assert_type

import annarchy_tb
from annarchy_tb import Logger, Run, SummaryWriter, figure_style, find_runs, measures
from annarchy_tb.follow import Options, Pulled, Pushed, Target, follow, pull
from annarchy_tb.hooks import (
    annarchy,
    ase,
    brian2,
    image,
    matrix,
    mesa,
    nengo,
    openmm,
    raster,
    simpy,
)
from annarchy_tb.reading import (
    Average,
    Averages,
    Damage,
    Fragments,
    Histograms,
    Images,
    Last,
    Matrices,
    News,
    OnDemand,
    Rasters,
    Restart,
    Runs,
    Scalars,
    Sounds,
    Texts,
    Value,
)
from annarchy_tb.sweep import Result, logged, sweep
from annarchy_tb.windows import Window

# A method that returns nothing; one that returns a value does not match.
Nothing = Callable[..., None]


def the_package() -> None:
    """Its names are typed, and misspelt ones are errors."""
    assert_type(annarchy_tb.__version__, str)
    assert_type(annarchy_tb.Logger("runs"), Logger)
    assert_type(annarchy_tb.Run("runs/run"), Run)
    assert_type(annarchy_tb.find_runs(), Runs)
    assert_type(annarchy_tb.SummaryWriter(), SummaryWriter)

    print(annarchy_tb.find_run)  # type: ignore[attr-defined]


# -- the Logger ------------------------------------------------------------------------


class OwnLogger(Logger):
    """A user's subclass."""

    def add_loss(self, loss: float) -> None:
        """Log a number."""
        self.add_scalar("Loss", loss)


def a_logger_is_made(dt: np.float32) -> None:
    """The directory is a str or a path, and ``with`` keeps the Logger's own class."""
    assert_type(Logger(), Logger)
    Logger("runs", "run")
    Logger(Path("runs"), "run", resume=True, dt=0.1, time_unit="us")
    Logger("runs", "run", mode="a")
    Logger("runs", "run", mode="r")  # type: ignore[arg-type]
    Logger("runs", "run", resume=Path("runs/other"))
    Logger("runs", "run", enabled=False)
    Logger("runs", "run", enabled="no")  # type: ignore[arg-type]
    Logger(dt=np.float64(0.1))
    Logger(dt=1)
    Logger(dt=dt)
    Logger(3)  # type: ignore[arg-type]
    with Logger() as logger:
        assert_type(logger, Logger)
    with OwnLogger() as own:
        assert_type(own, OwnLogger)


def attributes_of_the_logger(logger: Logger) -> None:
    """The Logger's attributes are typed and read-only."""
    assert_type(logger.enabled, bool)
    assert_type(logger.run_dir, Path | Any)  # None if it is disabled
    assert_type(logger.run_dir / "net.npz", Path | Any)
    assert_type(Run(logger.run_dir), Run)
    assert_type(logger.logdir, Path)
    assert_type(logger.experiment, str | Any)
    assert_type(logger.closed, bool)
    assert_type(logger.time_unit, str)
    assert_type(logger.writer, SummaryWriter)
    assert_type(logger.last, Last)
    assert_type(list(logger.last), list[str])
    assert_type(len(logger.last), int)
    rate: float = logger.last["Rate"]
    curves: dict[str, float] = logger.last["Error"]
    print(rate, curves)
    logger.run_dir = Path("elsewhere")  # type: ignore[misc]


def methods_of_the_logger_that_return_nothing(logger: Logger) -> list[Nothing]:
    """All methods that log, and those that end a run."""
    return [
        logger.add_scalar,
        logger.add_scalars,
        logger.log,
        logger.add_series,
        logger.add_histogram,
        logger.add_image,
        logger.add_images,
        logger.add_figure,
        logger.add_open_figures,
        logger.add_raster,
        logger.add_matrix,
        logger.add_audio,
        logger.add_text,
        logger.add_html,
        logger.describe,
        logger.add_parameters,
        logger.add_metrics,
        logger.save_checkpoint,
        logger.flush,
        logger.close,
    ]


def steps_and_times(logger: Logger, figure: Figure) -> None:
    """A step is any whole number and a time any number, NumPy's included."""
    logger.add_scalar("a", 0.5, 3)
    logger.add_scalar("a", 0.5, 3.0)
    logger.add_scalar("a", 0.5, step=np.float64(3))
    logger.add_scalar("a", 0.5, step=None, time=None)
    logger.add_scalar("a", 0.5, time=12)
    logger.add_scalar("a", 0.5, time=np.float64(12.5))
    logger.add_scalar("a", 0.5, "3")  # type: ignore[arg-type]
    logger.add_scalar("a", 0.5, [3])  # type: ignore[arg-type]
    logger.add_scalar("a", 0.5, time="3")  # type: ignore[arg-type]
    step, time = np.int64(3), np.float32(12.5)
    logger.add_scalar("a", 0.5, step)
    logger.add_scalar("a", 0.5, np.uint8(3))
    logger.add_scalar("a", 0.5, np.float32(3))
    logger.add_scalar("a", 0.5, time=step)
    logger.add_scalar("a", 0.5, time=time)
    logger.add_scalars("b", {"x": 1}, step, time=time)
    logger.log({"c": 1}, step, time=time)
    logger.add_histogram("d", [1], step, time=time)
    logger.add_image("e", [[1]], step, time=time)
    logger.add_images("f", [[[1]]], step, time=time)
    logger.add_figure("g", figure, step, time=time)
    logger.add_open_figures("h", step, time=time)
    logger.figures("i", step, time=time)
    logger.add_raster("j", {0: [1]}, step, time=time)
    logger.add_matrix("k", [[1]], step, time=time)
    logger.add_audio("l", [0.0], step, time=time)
    logger.add_text("m", "text", step, time=time)
    logger.add_html("m", "<p>text", step, time=time)
    logger.save_checkpoint({}, step)
    logger.window("n").add(1, 1, step, time)


def numbers(logger: Logger, array: NDArray[np.float32]) -> None:
    """A value is anything that ``float()`` takes, except text."""
    logger.add_scalar("a", 1)
    logger.add_scalar("a", True)
    logger.add_scalar("a", np.float32(0.5))
    logger.add_scalar("a", np.int64(5))
    logger.add_scalar("a", np.bool_(True))
    logger.add_scalar("a", array.mean())
    logger.add_scalar("a", array[0])
    logger.add_scalar("a", np.array([0.5]))
    logger.add_scalar("a", Decimal("0.5"))
    logger.add_scalar("a", "0.5")  # type: ignore[arg-type]
    logger.add_scalar("a", [0.5, 0.6])  # type: ignore[arg-type]
    logger.add_scalar(1, 0.5)  # type: ignore[arg-type]
    plain: dict[str, float] = {"train": 0.5, "test": 0.25}
    own: dict[str, np.float32] = {"train": np.float32(0.5)}
    logger.add_scalars("b", plain)
    logger.add_scalars("b", own)
    logger.add_scalars("b", {"train": 1, "test": np.float32(0.5)})
    logger.add_scalars("b", 0.5)  # type: ignore[arg-type]
    logger.log(plain)
    logger.log(own, 3)
    logger.log({"a": 1.0, "m": measures.memory, "s": measures.speed(lambda: 1.0)})
    logger.log({"a": "text"})  # type: ignore[dict-item]


def recordings(logger: Logger, array: NDArray[np.float32]) -> None:
    """Values, steps and times are lists or arrays, several tags a list or a tuple."""
    logger.add_series("a", array)
    logger.add_series("a", [0.5, 0.25], [0, 1])
    logger.add_series("a", (1, 2), range(2), times=np.arange(2) * 0.1)
    logger.add_series(["a", "b"], [[0.5, 1.0], [0.25, 2.0]], times=[0.1, 0.2])
    logger.add_series(("a", "b"), array, shown=np.int64(100))
    logger.add_series(1, array)  # type: ignore[arg-type]


def distributions(logger: Logger, weights: list[list[float]]) -> None:
    """A histogram takes anything that holds numbers, ragged lists included."""
    logger.add_histogram("a", np.zeros((3, 4)))
    logger.add_histogram("a", weights)
    logger.add_histogram("a", {0: [1.0, 2.0], 1: [3.0]})
    logger.add_histogram("a", 0.5)


def windows(logger: Logger, batch: NDArray[np.float32]) -> None:
    """A window takes numbers or dicts, and reduces them by name or by function."""
    assert_type(logger.window("a"), Window)
    logger.window("a", 10, "max")
    logger.window(["a", "b"], every=10, reduce="last")
    logger.window(("a", "b"), None)
    logger.window("a", reduce=statistics.median)
    logger.window("a", reduce=np.median)
    logger.window("a", reduce=max)
    logger.window("a", reduce=lambda values: values[-1] - values[0])
    logger.window("a", reduce="median")  # type: ignore[arg-type]
    with logger.window("a") as window:
        assert_type(window, Window)
        window.add(0.5)
        window.add(np.float32(0.5), weight=32, step=3, time=12.5)
        window.add({"a": 0.5, "b": np.float32(0.25)}, 2.0)
        window.add(0.5, weight=np.int64(32))
        window.add(0.5, weight=batch.sum())
        window.add("0.5")  # type: ignore[arg-type]
        assert_type(len(window), int)
    returned: list[Nothing] = [window.add, window.flush]
    print(returned)


def progress(logger: Logger, trials: Iterator[tuple[int, str]]) -> None:
    """The loop variable keeps its type, and the bar has tqdm's methods."""
    for trial in logger.track(range(100)):
        assert_type(trial, int)
    for number, name in logger.track(trials, show=["Rate", "Error"], visible=False):
        assert_type(number, int)
        assert_type(name, str)
    bar = logger.track([1.0, 2.0], show="Rate")
    bar.set_description("Trials")
    bar.set_postfix(rate=5.0)
    bar.write("a line above the bar")
    bar.update(1)
    bar.close()
    print(bar.n)
    bar.no_such_method()  # type: ignore[attr-defined]
    logger.track(3)  # type: ignore[arg-type]


def pictures(logger: Logger, array: NDArray[np.float32]) -> None:
    """An image is an array or nested lists; a figure is matplotlib's."""
    logger.add_image("a", array)
    logger.add_image("a", [[0.0, 0.5], [1.0, 0.0]], 3, True)
    logger.add_image("a", np.zeros((3, 3), bool), equalize=True)
    logger.add_images("a", np.zeros((9, 3, 3, 3), np.uint8), equalize_per_image=True)
    logger.add_images("a", [[[0.0, 0.5], [1.0, 0.0]]])
    logger.add_image("a", array, vmin=-70, vmax=np.float32(-50), cmap="viridis")
    logger.add_images("a", [[[0.0, 0.5]]], vmin=0.0, cmap="gray")
    logger.add_image("a", array, cmap=3)  # type: ignore[arg-type]
    logger.add_image("a", array, vmin="0")  # type: ignore[arg-type]
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3])
    logger.add_figure("a", figure)
    logger.add_figure("a", plt.gcf(), 3, False, time=12.5)
    logger.add_figure("a", axes)  # type: ignore[arg-type]
    with logger.figures("a", 3, time=12.5):
        plt.plot([1, 2, 3])
    with logger.figures("a") as nothing:
        assert_type(nothing, None)
    block: AbstractContextManager[None] = logger.figures("a")
    print(block)


def spikes_and_weights(
    logger: Logger, spikes: dict[int, list[int]], times: NDArray[np.float64]
) -> None:
    """Data comes as simulators give it; the limits of a raster are any numbers."""
    trial = np.int64(3)
    logger.add_raster("a", spikes, start=1000, duration=500.0, bins=100)
    logger.add_raster("a", (times, np.zeros(3, int)), duration=times[-1])
    logger.add_raster("a", np.zeros((1000, 10), bool))
    logger.add_raster("a", spikes, start=trial)
    logger.add_raster("a", spikes, duration=trial)
    logger.add_raster("a", spikes, bins=trial)
    logger.add_raster("a", spikes, bins=1.5)  # type: ignore[arg-type]
    logger.add_matrix("a", np.zeros((3, 4)))
    logger.add_matrix("a", ([[0.1, 0.2], [0.3]], [[0, 1], [1]]))
    logger.add_matrix("a", ([0, 1], [1, 0], 0.5))


def sounds(logger: Logger, array: NDArray[np.float32]) -> None:
    """A sound is an array or a list, and its rate a whole number."""
    logger.add_audio("a", array)
    logger.add_audio("a", [0.0, 0.5, -0.5], 3, 8000)
    logger.add_audio("a", np.zeros((100, 2), np.int16), rate=22050)
    logger.add_audio("a", array, rate=np.int64(8000))
    logger.add_audio("a", array, rate=0.5)  # type: ignore[arg-type]


def words_and_parameters(logger: Logger, run: Run) -> None:
    """Parameters are anything, metrics are numbers."""
    logger.add_text("a", "# Head", 3)
    logger.add_text("a", 3)  # type: ignore[arg-type]
    logger.add_html("a", "<p>Head", 3)
    logger.add_html("a", run)
    logger.add_html("a", 3)  # type: ignore[arg-type]
    logger.describe("a", "in Hz")
    logger.add_parameters(
        {"tau": 10.0, "rule": "oja", "layers": [3, 4], "sub": {"x": 1}}
    )
    logger.add_parameters({"tau": np.float32(10)}, {"Result": np.float32(0.5)})
    logger.add_parameters({"tau": 10.0}, group="seeds")
    logger.add_parameters([10.0])  # type: ignore[arg-type]
    logger.add_metrics({"Result": np.float32(0.5), "Errors": 3})
    logger.add_metrics({"Result": "good"})  # type: ignore[dict-item]


def files_and_checkpoints(logger: Logger) -> None:
    """A path is given as str or Path; a checkpoint is any object."""
    assert_type(logger.path("net.npz"), Path)
    assert_type(logger.path(Path("weights") / "net.npz"), Path)
    logger.save_checkpoint({"weights": np.zeros(3)}, 3, keep=5)
    logger.save_checkpoint((1, 2), step=3)
    logger.save_checkpoint({}, 3, keep=np.int64(5))
    logger.save_checkpoint({}, "3")  # type: ignore[arg-type]
    state, step = logger.load_checkpoint()
    weights, first = logger.load_checkpoint(default=(0.0, 0))
    print(state, step, weights, first)


# -- tensorboardX's writer -------------------------------------------------------------


def a_summary_writer() -> None:
    """It takes tensorboardX's arguments."""
    assert_type(SummaryWriter(), SummaryWriter)
    SummaryWriter("runs/run", comment="second", purge_step=5, write_to_disk=False)
    SummaryWriter(Path("runs"))
    SummaryWriter(log_dir=Path("runs"))
    SummaryWriter(3)  # type: ignore[arg-type]
    with SummaryWriter() as writer:
        assert_type(writer, SummaryWriter)
    writer = SummaryWriter()
    image = np.zeros((3, 8, 8), np.uint8)
    writer.add_scalar("a", 0.5, 3, walltime=1.0)
    writer.add_scalar("a", np.float32(0.5), global_step=3)
    writer.add_scalars("b", {"x": 1.0, "y": np.float32(2)}, 3)
    writer.add_histogram("c", np.zeros(9), 3, bins="auto")
    writer.add_image("d", image, 3, dataformats="CHW")
    writer.add_images("e", image[None], 3)
    writer.add_figure("f", plt.figure(), 3, close=True)
    writer.add_text("g", "text", 3)
    writer.add_audio("h", np.zeros(9), 3, sample_rate=8000)
    writer.add_pr_curve("i", np.ones(9), np.ones(9), 3)
    writer.add_mesh("j", np.zeros((1, 3, 3)))
    writer.add_embedding(np.zeros((9, 3)), metadata=list("abcdefghi"))
    writer.add_custom_scalars({"a": {"b": ["Multiline", ["x", "y"]]}})
    writer.add_hparams({"tau": 10.0, "rule": "oja"}, {"Result": 0.5}, name="one")


def methods_of_the_writer_that_return_nothing(writer: SummaryWriter) -> list[Nothing]:
    """All methods that log, and those that end it."""
    return [
        writer.add_scalar,
        writer.add_scalars,
        writer.add_hparams,
        writer.add_histogram,
        writer.add_image,
        writer.add_images,
        writer.add_figure,
        writer.add_text,
        writer.add_audio,
        writer.add_custom_scalars,
        writer.export_scalars_to_json,
        writer.flush,
        writer.close,
    ]


# -- figures ---------------------------------------------------------------------------


def figures_in_the_style() -> Figure:
    """A function may return from inside the ``with`` block."""
    with figure_style() as nothing:
        assert_type(nothing, None)
        return plt.figure()


@figure_style()
def draw(values: list[float]) -> Figure:
    """The style, as a decorator, keeps a function's types."""
    figure, axes = plt.subplots()
    axes.plot(values)
    return figure


assert_type(draw([1.0, 2.0]), Figure)
draw(1.0)  # type: ignore[arg-type]


# -- reading back ----------------------------------------------------------------------


def attributes_of_a_run() -> None:
    """A run is opened by str or path, and its attributes are typed."""
    run = Run("runs/run")
    assert_type(Run(Path("runs") / "run"), Run)
    assert_type(run.path, Path)
    assert_type(run.status, str)
    assert_type(run.info, dict[str, Any])
    assert_type(run.params, dict[str, Any])
    assert_type(run.metrics, dict[str, Any])
    assert_type(run.started, datetime | None)
    assert_type(run.duration, timedelta | None)
    assert_type(run.age, timedelta | None)
    assert_type(run.last_written, datetime | None)
    Run(3)  # type: ignore[arg-type]


def data_of_a_run(run: Run) -> None:
    """Data comes back as arrays, lists and str, by attribute and by unpacking."""
    assert_type(run.tags(), dict[str, str])
    assert_type(run.scalars("a"), Scalars)
    steps, values, times, wall_times = points = run.scalars("a")
    assert_type(steps, NDArray[Any])
    assert_type(values, NDArray[Any])
    assert_type(points.steps, NDArray[np.int64])
    assert_type(points.values, NDArray[Any])
    assert_type(points.times, NDArray[np.float64])
    assert_type(points.wall_times, NDArray[np.float64])
    assert_type(times, NDArray[Any])
    assert_type(wall_times, NDArray[Any])
    assert_type(points[0], NDArray[Any])
    assert_type(run.all_scalars(), dict[str, Scalars])
    assert_type(run.all_scalars("a", "b"), dict[str, Scalars])
    assert_type(run.curves("a"), dict[str, Scalars])
    assert_type(run.images("a"), Images)
    assert_type(run.images("a").steps, NDArray[np.int64])
    assert_type(run.images("a").images, OnDemand[NDArray[Any]])
    assert_type(run.histograms("a"), Histograms)
    assert_type(run.histograms("a").histograms, OnDemand[NDArray[np.float64]])
    assert_type(run.histograms("a").times, NDArray[np.float64])
    assert_type(run.html("a"), Fragments)
    assert_type(run.html("a").fragments, list[str])
    assert_type(run.text("a"), Texts)
    assert_type(run.text("a").texts, list[str])
    assert_type(run.audio("a"), Sounds)
    assert_type(run.audio("a").sounds, OnDemand[NDArray[Any]])
    assert_type(run.audio("a").rates, list[int])
    assert_type(run.spikes("a"), Rasters)
    assert_type(run.spikes("a").spikes, list[tuple[NDArray[Any], NDArray[Any]]])
    assert_type(run.matrices("a"), Matrices)
    assert_type(run.matrices("a").matrices, list[NDArray[Any]])
    assert_type(run.position, dict[str, Any])
    assert_type(run.sessions, list[dict[str, Any]])
    for news in run.news(run.position):
        assert_type(news, News | Restart)
        if isinstance(news, News):
            assert_type(news.points, dict[str, Scalars])
            assert_type(news.values, list[Value])
    run.news("end")  # type: ignore[arg-type]
    assert_type(run.data("a"), Any)
    assert_type(list(run.points()), list[tuple[str, str, Scalars]])
    assert_type(run.damage(), list[Damage])
    path, offset, reason = run.damage()[0]
    assert_type(path, Path)
    assert_type(offset, int)
    assert_type(reason, str)
    run.scalars(3)  # type: ignore[arg-type]


def tables(run: Run, runs: Runs) -> None:
    """Tables are pandas DataFrames, and type-check without pandas."""
    run.to_pandas().head()
    run.scalars("a").to_pandas().head()
    runs.to_pandas().head()


def all_runs() -> None:
    """All runs are a list of runs, and so is a slice of it."""
    runs = find_runs()
    assert_type(runs, Runs)
    assert_type(find_runs(Path("runs"), status="finished"), Runs)
    find_runs("runs", status={"failed", "killed"}, params={"tau": 10.0})
    find_runs("runs", status=["failed"])
    find_runs("runs", "finished")  # type: ignore[call-arg]
    for run in runs:
        assert_type(run, Run)
    assert_type(runs[0], Run)
    assert_type(runs[:2], Runs)
    assert_type(runs.logdir, Path)
    assert_type(len(runs), int)
    assert_type(runs.where("tau < 10 and status == 'finished'"), Runs)
    assert_type(runs.best("loss"), Run)
    assert_type(runs.best("loss", mode="max"), Run)
    assert_type(runs.sort("tau"), Runs)
    assert_type(runs.sort("run.started", reverse=True)[:3], Runs)
    runs.where(lambda run: True)  # type: ignore[arg-type]
    runs.best("loss", "least")  # type: ignore[arg-type]
    runs.sort(key=str)  # type: ignore[call-arg]


def repetitions(runs: Runs, axes: Axes) -> None:
    """Means are a list of arrays, which can be drawn."""
    averages = runs.mean("Rate", by="tau", axis="time", kind="previous", curve="E")
    assert_type(averages, Averages)
    assert_type(runs.mean("Rate"), Averages)
    for one in averages:
        assert_type(one, Average)
        assert_type(one.mean, NDArray[np.float64])
        assert_type(one.runs, NDArray[np.int64])
    assert_type(averages.plot(), Axes)
    assert_type(averages.plot(axes), Axes)
    averages.to_pandas().head()
    runs.mean("Rate", axis="steps")  # type: ignore[arg-type]
    runs.mean("Rate", kind="cubic")  # type: ignore[arg-type]


# -- sweeps ----------------------------------------------------------------------------


def loss(params: dict[str, Any], logger: Logger) -> float:
    """Return the loss alone."""
    logger.add_scalar("x", params["x"])
    return float(params["x"])


def numpys(params: dict[str, Any], logger: Logger) -> np.float32:
    """Return the loss as a number of NumPy."""
    return np.float32(loss(params, logger))


def metrics(params: dict[str, Any], logger: Logger) -> dict[str, float]:
    """Return the loss with other results."""
    return {"loss": loss(params, logger), "twice": 2.0}


def text(params: dict[str, Any], logger: Logger) -> str:
    """Return something that is no loss."""
    return str(params["x"])


def sweeps(space: dict[str, Any]) -> None:
    """An objective returns a number or a dict of numbers; a result has three parts."""
    assert_type(sweep(loss, space), Result)
    sweep(numpys, space, 100, "runs/sweep")
    with ThreadPoolExecutor(2) as pool:
        found = sweep(
            metrics,
            space,
            max_evals=100,
            logdir=Path("runs"),
            executor=pool,
            workers=2,
            repeats=3,
            retries=0,
            seed=1,
            progress=False,
        )
    params, least, runs = found
    assert_type(params, dict[str, Any] | None)
    assert_type(least, float)
    assert_type(runs, Runs)
    assert_type(found.params, dict[str, Any] | None)
    assert_type(found.loss, float)
    assert_type(found.runs, Runs)
    sweep(text, space)  # type: ignore[arg-type]


def objectives_of_hyperopt() -> None:
    """A logged objective takes parameters and returns hyperopt's dict."""
    objective = logged(metrics, Path("runs"))
    assert_type(objective({"x": 1.0}), dict[str, Any])
    logged(text)  # type: ignore[arg-type]


# -- hooks -----------------------------------------------------------------------------


def hooks(logger: Logger, simulator: Any, sources: dict[str, Any]) -> None:
    """Sources are callables, or names and pairs where the simulator has them."""
    rate: Callable[[], float] = simulator.rate
    annarchy.sample(logger, simulator, {"Rate": rate}, every=10.0)
    annarchy.sample(logger, None, {"Rate": lambda: 0.5, "w": (simulator, "w")})
    assert_type(annarchy.experiments(8), list[str])
    assert_type(annarchy.experiments(8, Path("runs"), "name"), list[str])
    ase.sample(logger, simulator, {"Energy": rate}, every=10)
    brian2.sample(logger, {"v": (simulator, "v")}, every=simulator.every)
    mesa.sample(logger, simulator)
    mesa.sample(logger, simulator, {"Wealth": "Wealth", "Gini": lambda model: model.g})
    nengo.sample(logger, sources, every=0.01, synapse=0.1)
    nengo.log_probes(logger, simulator, {"Spikes": simulator.probe})
    assert_type(
        openmm.sample(
            logger, {"E": "potentialEnergy", "x": lambda state: state.x}, 100
        ),
        openmm.Reporter,
    )
    simpy.sample(logger, simulator, {"Queue": lambda: 3}, every=1.0)
    pictures = {
        "Spikes": raster(lambda: {0: [1]}, start=lambda: 5.0, duration=10, bins=100),
        "Trains": raster(simulator.trains, start=0, groups={"E": 160, "I": 40}),
        "Weights": matrix(lambda: simulator.proj, vmin=0, cmap="viridis"),
        "Field": image((simulator, "v"), vmin=np.float32(0), vmax=1),
        "Equalized": image(rate, equalize=True),
    }
    annarchy.sample(logger, simulator, pictures)
    simpy.sample(logger, simulator, {**pictures, "Queue": lambda: 3})
    image(rate, colour="red")  # type: ignore[call-arg]
    matrix(rate, vmin="0")  # type: ignore[arg-type]
    every = np.int64(10)
    annarchy.sample(logger, simulator, sources, every)
    ase.sample(logger, simulator, sources, every)
    mesa.sample(logger, simulator, sources, every)
    openmm.sample(logger, sources, every)
    annarchy.sample(logger, {"Rate": rate})  # type: ignore[call-arg]
    returned: list[Nothing] = [
        annarchy.sample,
        ase.sample,
        mesa.sample,
        nengo.log_probes,
    ]
    print(returned)


class Place(Target):
    """A target of a lab's own."""

    def begin(
        self, run: Run, kept: dict[str, Any], previous: dict[str, Any] | None
    ) -> None:
        assert_type(self.options, Options)
        self.options.say(f"{self.options.name} at {self.place}")

    def push(self, news: News) -> None:
        self.refused += len(news.values)

    def end(self, run: Run, status: str) -> None:
        print(run.metrics, status)


def followers() -> None:
    """Places are texts, or classes with a text."""
    found = follow("runs", "jsonl:text")
    assert_type(found, list[Pushed])
    assert_type(found[0].run, Path)
    assert_type(found[0].status, str | None)
    follow([Path("a"), "b"], ["csv:text", (Place, "x")], once=True, rate=10)
    follow(to=(Place, "x"), idle=60, give_up=60)
    assert_type(pull("s3://bucket/runs", Path("runs")), list[Pulled])
    follow("runs", 3)  # type: ignore[arg-type]
    follow("runs", Place)  # type: ignore[arg-type]
