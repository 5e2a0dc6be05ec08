"""Nengo: samples by a Node while a Simulator runs, or logs whole recordings.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import nengo as hook

    with Logger() as logger:
        with model:
            hook.sample(logger, {"Position": ensemble}, every=0.01, synapse=0.03)
        with nengo.Simulator(model) as sim:
            sim.run(1.0)
        hook.log_probes(logger, sim, {"Recorded": probe})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    checked,
    function,
    positive,
)
from annarchy_tb.inputs.clock import in_unit
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.logger import Logger

CURVES = 16  # on one plot: each of them is a run to TensorBoard


def sample(
    logger: Logger,
    sources: Mapping[str, Any],
    every: float = 0.01,
    *,
    synapse: Any = None,
) -> Any:
    """Log sources while a Nengo model is simulated; call it inside ``with model:``.

    Parameters
    ----------
    logger : Logger
        Once it is closed, the sampling ends.
    sources : dict
        By its tag, what is sampled: an Ensemble, a Node, the ``neurons`` of an
        ensemble, or a part of one, such as ``ensemble[0]``. One dimension is a scalar;
        of D dimensions there are the curves "0" to "D-1" on one plot, and of more than
        16 there is a histogram.

        Or a callable without arguments, called at each sample: one number is a scalar,
        a dict of numbers several curves, a matplotlib Figure an image (it is closed),
        and anything with several values a histogram. What it gives first decides.
    every : float, default 0.01
        The simulated time between two samples in seconds, rounded to whole time steps.
    synapse : float or nengo.synapses.Synapse, optional
        The filter of what is sampled, as of a ``nengo.Probe``: a time constant in
        seconds, or None for none.

    Returns
    -------
    nengo.Node
        What samples.

    Notes
    -----
    The first sample is taken after `every` seconds. Its step is that of the Simulator,
    and several calls of ``run()`` go on. A new Simulator of the same model begins with
    step 1 again: give it a Logger and a model of its own.

    What a source raises comes out of ``run()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the error says which.
    """
    import nengo

    base = nengo.base
    sampled: Any = (nengo.Ensemble, nengo.Node, nengo.ensemble.Neurons, base.ObjView)
    parts: dict[str, slice] = {}
    latest = np.zeros(0)

    def as_read(tag: str, source: Any) -> Read | None:
        if not isinstance(source, sampled):
            return function(source)
        size, start = source.size_out, sum(p.stop - p.start for p in parts.values())
        if not size:
            raise ValueError(f"{where(METHOD, tag)}: {source} has no output")
        parts[tag] = slice(start, start + size)
        if size == 1:
            return lambda: latest[start]
        if size > CURVES:
            return lambda: latest[parts[tag]].copy()
        names = [str(dimension) for dimension in range(size)]
        return lambda: dict(zip(names, latest[parts[tag]].tolist(), strict=True))

    reads = checked(
        logger,
        sources,
        as_read,
        "an Ensemble, a Node, Neurons, a part of these, or a callable without "
        "arguments",
    )
    between = positive(every, "a positive number of seconds")
    sampler = Sampler(logger, reads, "s")

    def log(t: float, step: int, x: Any) -> None:
        nonlocal latest
        latest = x
        sampler(step, t)

    size = sum(part.stop - part.start for part in parts.values())
    node = nengo.Node(
        _process(nengo, log, between, size), size_in=size, size_out=0, label=METHOD
    )
    for tag, part in parts.items():
        nengo.Connection(sources[tag], node[part], synapse=synapse)
    return node


def log_probes(logger: Logger, sim: Any, probes: Mapping[str, Any]) -> None:
    """Log what probes recorded; call it once, after the last ``run()``.

    Parameters
    ----------
    logger : Logger
        Where to.
    sim : nengo.Simulator
        The simulator, also a closed one.
    probes : dict
        The probe of each tag. One of D dimensions has the tags ``<tag>/0`` to
        ``<tag>/<D-1>``.

    Notes
    -----
    It logs all that `sim` holds, so to call it after each of several runs, call
    ``sim.clear_probes()`` in between. The step of a point is that of the Simulator.

    Raises
    ------
    TypeError
        If `probes` is no dict of probes of this simulator.
    """
    method = "log_probes"
    if not isinstance(probes, Mapping):
        raise TypeError(
            f"{method}: probes must be a dict of probes by their tags, "
            f"got {describe(probes)}"
        )
    factor = in_unit("s", logger.time_unit)
    for tag, probe in probes.items():
        try:
            every = probe.sample_every  # only a probe has it
            data = np.asarray(sim.data[probe])
        except (KeyError, AttributeError, TypeError):
            raise TypeError(
                f"{where(method, tag)}: a Probe of this simulator's model is needed, "
                f"got {describe(probe)}"
            ) from None
        if not len(data):
            continue
        data = data.reshape(len(data), -1)
        times = sim.trange(sample_every=every)[-len(data) :]
        steps = np.rint(times / sim.dt).astype(np.int64)
        if data.shape[1] == 1:
            logger.add_series(tag, data[:, 0], steps, times=times * factor)
        else:
            tags = [f"{tag}/{dimension}" for dimension in range(data.shape[1])]
            logger.add_series(tags, data, steps, times=times * factor)


def _process(
    nengo: Any, log: Callable[[float, int, Any], None], every: float, size: int
) -> Any:
    """Return a process that calls `log` each `every` seconds.

    Unlike a Node's function, a process is told the time step.
    """

    class Sampling(nengo.Process):  # type: ignore[misc]
        def make_state(self, *_: Any, **__: Any) -> dict[str, Any]:
            return {}

        def make_step(
            self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any
        ) -> Callable[..., None]:
            interval = max(1, round(every / dt))

            def step(t: float, x: Any = None) -> None:
                number = round(t / dt)
                if number % interval == 0:
                    log(t, number, x)

            return step

    return Sampling(default_size_in=size, default_size_out=0)
