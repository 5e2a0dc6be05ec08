"""The cases to measure. ``python cases.py CASE WRITER`` prints seconds per unit.

Each case has a function without arguments for each writer, which returns the time it
took and the number of units. `bench.py` runs each in a separate process.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Measured = tuple[float, int]  # seconds, units

OURS, TENSORBOARDX, TORCH, LIMIT = "annarchy_tb", "tensorboardX", "torch", "limit"
TENSORBOARD = "TensorBoard"  # for cases of reading
ANNARCHY = "ANNarchy"  # for cases of its hook
H5PY, ZARR = "h5py", "zarr"  # for recordings

CASES: dict[str, dict[str, Callable[[], Measured]]] = {}


def case(name: str, writer: str) -> Callable[[Any], Any]:
    """Register a function as the case `name` for a writer."""

    def enter(function: Callable[[], Measured]) -> Callable[[], Measured]:
        CASES.setdefault(name, {})[writer] = function
        return function

    return enter


def open_writer(writer: str) -> Any:
    """Return a new writer of this kind in a new directory."""
    if writer == OURS:
        from annarchy_tb import Logger

        return Logger(tempfile.mkdtemp(dir="."))
    if writer == TENSORBOARDX:
        from tensorboardX import SummaryWriter

        return SummaryWriter(tempfile.mkdtemp(dir="."))
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(tempfile.mkdtemp(dir="."))


def calls(
    writer: str, call: Callable[[Any, int], None], number: int, units: int = 1
) -> Measured:
    """Time `number` calls and the close, after a few that are not counted."""
    opened = open_writer(writer)
    for step in range(3):
        call(opened, step)
    start = time.perf_counter()
    for step in range(3, 3 + number):
        call(opened, step)
    opened.close()
    return time.perf_counter() - start, number * units


def written(record: bytes, number: int, units: int = 1) -> Measured:
    """Time the bare ``os.write`` of a record, the minimum for any writer."""
    descriptor, _ = tempfile.mkstemp(dir=".")
    write = os.write
    start = time.perf_counter()
    for _ in range(number):
        write(descriptor, record)
    os.close(descriptor)
    return time.perf_counter() - start, number * units


def filed(size: int, units: int) -> Measured:
    """Time NumPy's own way of writing this number of bytes."""
    import numpy as np

    data = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    start = time.perf_counter()
    data.tofile(tempfile.mktemp(dir="."))
    return time.perf_counter() - start, units


def compare(
    name: str, ours: Any, theirs: Any, number: int, fewer: int, units: int = 1
) -> None:
    """Register a case in which tensorboardX and torch are called the same way."""
    case(name, OURS)(lambda: calls(OURS, ours(), number, units))
    for writer in (TENSORBOARDX, TORCH):
        case(name, writer)(lambda w=writer: calls(w, theirs(), fewer, units))


# -- scalars ---------------------------------------------------------------------------


def scalar() -> Any:
    return lambda writer, step: writer.add_scalar("Accuracy", 0.5, step)


compare("add_scalar", scalar, scalar, 100_000, 20_000)


@case("add_scalar", LIMIT)
def _() -> Measured:
    from annarchy_tb.tfevents.templates import ScalarRecords

    return written(ScalarRecords("Accuracy").make(0.5, 1.7e9, 50_000), 100_000)


TEN = {f"Population/Rate {i}": 0.5 for i in range(10)}


def ten_scalars() -> Any:
    def call(writer: Any, step: int) -> None:
        for tag, value in TEN.items():
            writer.add_scalar(tag, value, step)

    return call


compare(
    "log of 10",
    lambda: lambda writer, step: writer.log(TEN, step),
    ten_scalars,
    50_000,
    2_000,
)


@case("log of 10", LIMIT)
def _() -> Measured:
    from annarchy_tb.tfevents.templates import EventRecords

    return written(EventRecords(list(TEN)).make(TEN.values(), 1.7e9, 50_000), 50_000)


def curves(number: int) -> Any:
    values = {f"curve {i}": 0.5 for i in range(number)}
    return lambda: lambda writer, step: writer.add_scalars("Rates", values, step)


compare("add_scalars of 5", curves(5), curves(5), 20_000, 1_000)
compare("add_scalars of 300, a value", curves(300), curves(300), 200, 5, 300)


# -- whole time series -----------------------------------------------------------------


def recorded(number: int, spoilt: bool) -> Any:
    """Return so many values, if `spoilt` with a NaN at every 97th place."""
    import numpy as np

    values = np.random.default_rng(0).normal(size=number)
    if spoilt:
        values[::97] = np.nan
    return values


def series(number: int, irregular: bool = False, spoilt: bool = False) -> Measured:
    """Time add_series of `number` points."""
    import warnings

    import numpy as np

    warnings.simplefilter("ignore")
    values, rng = recorded(number, spoilt), np.random.default_rng(0)
    steps = np.cumsum(rng.integers(1, 10, number)) if irregular else None
    times = np.sort(rng.random(number)) * 1e5 if irregular else None
    logger = open_writer(OURS)
    logger.add_series("warm", values[:3000])
    start = time.perf_counter()
    logger.add_series("v", values, steps, times=times)
    took = time.perf_counter() - start  # it is the operating system's: nothing waits
    logger.close()
    return took, number


def in_h5py(number: int) -> Measured:
    """Time the same array in an HDF5 file."""
    import h5py

    values = recorded(number, False)
    with h5py.File(tempfile.mktemp(dir="."), "w") as file:
        file["warm"] = values[:3000]
        start = time.perf_counter()
        file["v"] = values
        file.flush()
        return time.perf_counter() - start, number


def in_zarr(number: int) -> Measured:
    """Time the same array in a zarr group, with its defaults (which compress)."""
    import zarr

    values = recorded(number, False)
    group = zarr.open_group(tempfile.mkdtemp(dir="."), mode="w")
    group.create_array("warm", data=values[:3000])
    start = time.perf_counter()
    group.create_array("v", data=values)
    return time.perf_counter() - start, number


for number, title in ((1_000_000, "1M"), (10_000_000, "10M")):
    name = f"add_series of {title}, a point"
    case(name, OURS)(lambda n=number: series(n))
    case(name, TENSORBOARDX)(lambda: calls(TENSORBOARDX, scalar(), 20_000))
    case(name, H5PY)(lambda n=number: in_h5py(n))
    case(name, ZARR)(lambda n=number: in_zarr(n))
    case(name, LIMIT)(lambda n=number: filed(8 * n, n))
case("the same with NaN, 10M", OURS)(lambda: series(10_000_000, spoilt=True))
case("the same with NaN, 10M", LIMIT)(lambda: filed(80_000_000, 10_000_000))
case("the same, irregular, 1M", OURS)(lambda: series(1_000_000, irregular=True))
case("the same, irregular, 1M", TENSORBOARDX)(
    lambda: calls(TENSORBOARDX, scalar(), 20_000)
)
case("the same, irregular, 1M", LIMIT)(lambda: filed(24_000_000, 1_000_000))


def table(rows: int, columns: int) -> Measured:
    """Time add_series of a table."""
    import numpy as np

    values = np.random.default_rng(0).normal(size=(rows, columns))
    logger = open_writer(OURS)
    tags = [f"tag {i}" for i in range(columns)]
    logger.add_series(tags, values[:3000])
    start = time.perf_counter()
    logger.add_series(tags, values)
    took = time.perf_counter() - start
    logger.close()
    return took, rows * columns


for columns in (10, 100):
    name = f"add_series of (100k, {columns}), a value"
    case(name, OURS)(lambda c=columns: table(100_000, c))
    case(name, LIMIT)(lambda c=columns: filed(800_000 * c, 100_000 * c))


@case("reading a series of 10M, a point", OURS)
def _() -> Measured:
    from annarchy_tb import Run

    with open_writer(OURS) as logger:
        logger.add_series("v", recorded(10_000_000, False))
    run = Run(logger.run_dir)
    start = time.perf_counter()
    assert len(run.scalars("v").values) == 10_000_000
    return time.perf_counter() - start, 10_000_000


@case("reading a series of 10M, a point", LIMIT)
def _() -> Measured:
    import numpy as np

    path = tempfile.mktemp(dir=".")
    recorded(10_000_000, False).tofile(path)
    start = time.perf_counter()
    np.fromfile(path)
    return time.perf_counter() - start, 10_000_000


# -- histograms and pictures -----------------------------------------------------------


def histogram(number: int, dtype: str) -> Any:
    def make() -> Any:
        import numpy as np

        values = np.random.default_rng(0).normal(-65, 2, number).astype(dtype)
        return lambda writer, step: writer.add_histogram("Potential", values, step)

    return make


for size, dtype, title in (
    (10_000, "f8", "add_histogram of 10k"),
    (1_000_000, "f4", "add_histogram of 1M, float32"),
    (1_000_000, "f8", "add_histogram of 1M, float64"),
):
    make = histogram(size, dtype)
    compare(title, make, make, max(20, 5_000_000 // size), max(20, 1_000_000 // size))


def image(*shape: int, formats: str | None = None) -> Any:
    def make() -> Any:
        import numpy as np

        img = np.random.default_rng(0).random(shape)
        if formats is None:
            return lambda writer, step: writer.add_image("Rates", img, step)
        return lambda writer, step: writer.add_image(
            "Rates", img, step, dataformats=formats
        )

    return make


def images(formats: str | None = None) -> Any:
    def make() -> Any:
        import numpy as np

        img = np.random.default_rng(0).random((100, 10, 10))
        if formats is None:
            return lambda writer, step: writer.add_images("Fields", img, step)
        stack = img[..., np.newaxis]
        return lambda writer, step: writer.add_images(
            "Fields", stack, step, dataformats=formats
        )

    return make


compare(
    "add_image, 64 x 64 grey", image(64, 64), image(64, 64, formats="HW"), 1000, 500
)
compare(
    "add_image, 512 x 512 x 3 noise",
    image(512, 512, 3),
    image(512, 512, 3, formats="HWC"),
    50,
    10,
)
compare("add_images, 100 of 10 x 10", images(), images("NHWC"), 1000, 200)


def figure() -> Any:
    """Return a function that draws a new line plot of 640 x 480 pixels at each call."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(figsize=(6.4, 4.8), dpi=100)
    axes.plot(range(100))
    return drawn


def add_figure() -> Any:
    drawn = figure()
    return lambda writer, step: writer.add_figure("Plot", drawn, step, close=False)


compare("add_figure, 640 x 480 line plot", add_figure, add_figure, 30, 30)


@case("add_figure, 640 x 480 line plot", LIMIT)
def _() -> Measured:
    canvas = figure().canvas
    for _ in range(3):
        canvas.draw()
    start = time.perf_counter()
    for _ in range(30):
        canvas.draw()
    return time.perf_counter() - start, 30


def million_spikes() -> Any:
    """Return the times and ranks of a million spikes of 10,000 neurons."""
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.uniform(0, 60_000, 1_000_000), rng.integers(0, 10_000, 1_000_000)


def raster() -> Any:
    spikes = million_spikes()
    return lambda writer, step: writer.add_raster("Spikes", spikes, step)


def raster_figure() -> Any:
    """Return the fastest function to draw them with matplotlib, one pixel per spike."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    times, ranks = million_spikes()

    def call(writer: Any, step: int) -> None:
        drawn, axes = plt.subplots(figsize=(6.4, 4.8), dpi=100)
        axes.plot(times, ranks, ",")
        writer.add_figure("Spikes", drawn, step)

    return call


compare("add_raster of 1M spikes", raster, raster_figure, 20, 3)


def matrix() -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    pre, post = rng.integers(0, 10_000, (2, 1_000_000))
    synapses = pre, post, rng.normal(size=1_000_000)
    return lambda writer, step: writer.add_matrix("Weights", synapses, step)


case("add_matrix of 1M synapses", OURS)(lambda: calls(OURS, matrix(), 20))


# -- importing -------------------------------------------------------------------------


def imported(name: str) -> Measured:
    start = time.perf_counter()
    __import__(name)
    return time.perf_counter() - start, 1


case("import", OURS)(lambda: imported("annarchy_tb.logger"))  # the package is lazy
case("import", TENSORBOARDX)(lambda: imported("tensorboardX"))
case("import", TORCH)(lambda: imported("torch.utils.tensorboard"))
case("import", LIMIT)(lambda: imported("numpy"))


def main() -> None:
    """Run one case in a temporary directory."""
    _, name, writer = sys.argv
    home = os.getcwd()
    with tempfile.TemporaryDirectory(dir=Path(home)) as directory:
        os.chdir(directory)
        seconds, units = CASES[name][writer]()
        os.chdir(home)
    print(seconds / units)


# -- hooks ----------------------------------------------------------------------------


def hooked(writer: str) -> Measured:
    """Time 10 s of a spiking network, the best of five, with 1000 samples of 5 values.

    Our case logs them with the hook, the limit calls the same functions by ``@every``
    without logging, and ANNarchy alone does not call them. Processor time is measured,
    which depends less on other load on the machine.
    """
    import ANNarchy as ann  # noqa: N813

    net = ann.Network(dt=1.0, seed=1)
    neurons = net.create(1000, ann.Izhikevich)
    neurons.noise = 5.0
    net.connect(neurons, neurons, "exc").fixed_probability(0.1, 0.1)
    net.compile(directory="../annarchy", silent=True)  # once for all rounds
    sources = {
        "Potential": lambda: neurons.v.mean(),
        "Lowest": lambda: neurons.v.min(),
        "Recovery": lambda: neurons.u.mean(),
        "Input": lambda: neurons.g_exc.mean(),
        "Above -50 mV": lambda: (neurons.v > -50.0).mean(),
    }
    logger = None
    if writer == OURS:
        from annarchy_tb.hooks import annarchy

        logger = open_writer(OURS)
        annarchy.sample(logger, net, sources, every=10.0)
    elif writer == LIMIT:

        @ann.every(network=net, period=10.0)
        def call(_: int) -> None:
            for source in sources.values():
                source()

    durations = []
    for _ in range(5):
        start = time.process_time()
        net.simulate(10_000.0)
        durations.append(time.process_time() - start)
    if logger is not None:
        logger.close()
    return min(durations), 1000


if importlib.util.find_spec("ANNarchy"):
    for name in (OURS, ANNARCHY, LIMIT):
        case("hook of ANNarchy, a sample", name)(lambda w=name: hooked(w))


# -- runs, and reading them back -------------------------------------------------------


def runs(writer: str, number: int) -> Measured:
    """Time runs that log only their parameters."""
    start = None
    for count in range(number + 3):
        if count == 3:
            start = time.perf_counter()
        opened = open_writer(writer)
        if writer == OURS:
            opened.add_parameters({"tau": 10.0, "rule": "oja"})
        else:
            opened.add_hparams({"tau": 10.0, "rule": "oja"}, {})
        opened.close()
    assert start is not None
    return time.perf_counter() - start, number


for name in (OURS, TENSORBOARDX, TORCH):
    case("a run with parameters", name)(lambda w=name: runs(w, 100))


def million() -> Path:
    """Return a run of 1M scalars."""

    with open_writer(OURS) as logger:
        for step in range(1_000_000):
            logger.add_scalar("Accuracy", step, step)
    return Path(logger.run_dir)


def interleaved(tags: int) -> tuple[Path, list[str]]:
    """Return a run with 300,000 scalars of so many tags, and the tags."""
    names = [f"Group/tag {number}" for number in range(tags)]
    with open_writer(OURS) as logger:
        for step in range(300_000 // tags):
            for name in names:
                logger.add_scalar(name, step, step)
    return Path(logger.run_dir), names


def read_one_by_one(tags: int) -> Measured:
    """Time reading tag by tag."""
    from annarchy_tb import Run

    path, names = interleaved(tags)
    start = time.perf_counter()
    run = Run(path)
    for name in names:
        assert len(run.scalars(name).values) == 300_000 // tags
    return time.perf_counter() - start, 300_000


def accumulate(tags: int) -> Measured:
    """Time TensorBoard's accumulator on the same data."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path, names = interleaved(tags)
    start = time.perf_counter()
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0})
    accumulator.Reload()
    for name in names:
        assert len(accumulator.Scalars(name)) == 300_000 // tags
    return time.perf_counter() - start, 300_000


for tags in (5, 300):
    name = f"reading {tags} tags one by one"
    case(name, OURS)(lambda n=tags: read_one_by_one(n))
    case(name, TENSORBOARD)(lambda n=tags: accumulate(n))


@case("reading 1M scalars, a point", OURS)
def _() -> Measured:
    from annarchy_tb import Run

    run = million()
    start = time.perf_counter()
    assert len(Run(run).scalars("Accuracy").steps) == 1_000_000
    return time.perf_counter() - start, 1_000_000


@case("reading 1M scalars, a point", TENSORBOARD)
def _() -> Measured:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = million()
    start = time.perf_counter()
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0})
    accumulator.Reload()
    assert len(accumulator.Scalars("Accuracy")) == 1_000_000
    return time.perf_counter() - start, 1_000_000


@case("find_runs, 1000 runs", OURS)
def _() -> Measured:
    from annarchy_tb import Logger, find_runs

    logdir = tempfile.mkdtemp(dir=".")
    for number in range(1000):
        with Logger(logdir, f"trial{number}") as logger:
            logger.add_parameters({"tau": number % 10})
    start = time.perf_counter()
    assert len(find_runs(logdir, status="finished", params={"tau": 3})) == 100
    return time.perf_counter() - start, 1


if __name__ == "__main__":
    main()
