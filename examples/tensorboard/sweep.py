"""Find the weights that make a balanced network fire at 30 Hz, with many processes.

The network is that of BayesianOptimization.ipynb: 4000 conductance-based neurons in
ANNarchy, and two unknown weights. hyperopt suggests, workers simulate, and each trial
is a run in ``runs/sweep``. After it was stopped or killed, the same command continues
the sweep (but with --spark, it starts over).

    python sweep.py                                # processes on this machine
    python sweep.py --scheduler tcp://host:8786    # the workers of a Dask cluster,
                                                   # started with --nthreads 1
    python sweep.py --spark                        # a Spark cluster, with SparkTrials
    tensorboard --logdir runs/sweep                # then open HPARAMS

It needs ``pip install ANNarchy 'annarchy-tb[sweep]'`` in an activated virtual
environment, g++ and cmake (and ``dask[distributed]`` or ``pyspark``).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from hyperopt import SparkTrials, fmin, hp, tpe

from annarchy_tb import Logger, find_runs
from annarchy_tb.sweep import logged, sweep

TARGET = 30.0  # Hz
SETTLE, COUNTED = 100.0, 500.0  # ms
SPACE = {
    "w_exc": hp.uniform("w_exc", 0.0, 1.0),
    "w_inh": hp.uniform("w_inh", 0.0, 10.0),
}


class Balanced:
    """3200 excitatory and 800 inhibitory neurons, connected at random."""

    def __init__(self) -> None:
        """Create, connect and compile it, in a separate directory for this process."""
        import ANNarchy as ann  # noqa: N813

        coba = ann.Neuron(
            parameters={
                **{"tau": 20.0, "tau_exc": 5.0, "tau_inh": 10.0, "drive": 15.0},
                **{"E_leak": -60.0, "E_exc": 0.0, "E_inh": -80.0},
            },
            equations=[
                "tau_exc * dg_exc/dt = -g_exc",
                "tau_inh * dg_inh/dt = -g_inh",
                "tau * dv/dt = E_leak - v + g_exc * (E_exc - v)"
                " + g_inh * (E_inh - v) + drive",
            ],
            spike="v >= -50.0",
            reset="v = -60.0",
            refractory=5.0,
        )
        self.net = net = ann.Network(dt=0.1, seed=1)
        self.neurons = net.create(4000, coba)
        self.exc = net.connect(self.neurons[:3200], self.neurons, target="exc")
        self.exc.fixed_probability(0.02, weights=0.1)
        self.inh = net.connect(self.neurons[3200:], self.neurons, target="inh")
        self.inh.fixed_probability(0.02, weights=1.0)
        self.monitor = net.monitor(self.neurons, "spike")
        self.directory = tempfile.TemporaryDirectory()
        net.compile(directory=self.directory.name)

    def rates(self, w_exc: float, w_inh: float) -> np.ndarray:
        """Return the population's rate in Hz, in bins of 10 ms."""
        self.net.reset()
        self.exc.w, self.inh.w = w_exc, w_inh
        start = np.random.default_rng(0).uniform(-60.0, -50.0, self.neurons.size)
        self.neurons.v = start
        self.monitor.get("spike")  # discard earlier recordings
        self.net.simulate(SETTLE + COUNTED)
        spikes = self.monitor.get("spike").values()
        times = 0.1 * np.concatenate([np.array(steps) for steps in spikes])
        bins = int(SETTLE + COUNTED) // 10
        counts, _ = np.histogram(times, bins, range=(0.0, SETTLE + COUNTED))
        return counts / self.neurons.size / 0.01


@cache
def network() -> Balanced:
    """Return the network of this process, compiled for its first trial."""
    return Balanced()


def objective(params: dict[str, float], logger: Logger) -> dict[str, float]:
    """Simulate once; a runaway network is a failure."""
    rates = network().rates(**params)
    logger.add_series("Population rate (Hz)", rates, times=10.0 * np.arange(len(rates)))
    rate = float(rates[int(SETTLE) // 10 :].mean())
    if rate > 150.0:
        raise RuntimeError(f"the network runs away: {rate:.0f} Hz")
    return {"loss": abs(rate - TARGET), "Final/rate (Hz)": rate}


def main() -> None:
    """Run the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logdir", default="runs/sweep")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--scheduler", help="the address of Dask's scheduler")
    parser.add_argument("--spark", action="store_true", help="use hyperopt.SparkTrials")
    arguments = parser.parse_args()
    number, workers = arguments.evaluations, arguments.workers
    logdir = Path(arguments.logdir).absolute()  # workers have other directories

    # Workers elsewhere get this file, and import it by its name.
    if arguments.spark:
        from pyspark.sql import SparkSession

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        spark = SparkSession.builder.getOrCreate()
        spark.sparkContext.addPyFile(__file__)
        tried = logged(import_module("sweep").objective, logdir)
        trials = SparkTrials(parallelism=workers, spark_session=spark)
        fmin(tried, SPACE, tpe.suggest, max_evals=number, trials=trials)
    elif arguments.scheduler:
        from dask.distributed import Client

        with Client(arguments.scheduler) as client:
            client.upload_file(__file__)
            there = {"executor": client.get_executor(), "workers": workers}
            sweep(import_module("sweep").objective, SPACE, number, logdir, **there)
    else:
        sweep(objective, SPACE, number, logdir, workers=workers)

    runs = [run for run in find_runs(logdir) if "loss" in run.metrics]
    best = min(runs, key=lambda run: run.metrics["loss"])
    print(f"{best.path.name}: {best.params} {best.metrics}")


if __name__ == "__main__":
    main()
