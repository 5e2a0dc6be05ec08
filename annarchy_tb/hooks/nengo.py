"""Nengo: samples taken by a Node while a Simulator runs, and whole recordings.

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

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from annarchy_tb.hooks.pictures import Drawn
from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    checked,
    function,
    positive,
)
from annarchy_tb.hooks.until import Progress
from annarchy_tb.inputs.clock import in_unit
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.logger import Logger

CURVES = 16  # on one plot, at most: TensorBoard shows each as a run


def sample(
    logger: Logger,
    sources: Mapping[str, Any],
    every: float = 0.01,
    *,
    synapse: Any = None,
    until: SupportsFloat | None = None,
    show: str | Sequence[str] = (),
) -> Any:
    """Log sources while a Nengo model is simulated; call it inside ``with model:``.

    Parameters
    ----------
    logger : Logger
        Sampling ends when it is closed.
    sources : dict
        The source to sample, by its tag: an Ensemble, a Node, the ``neurons`` of an
        ensemble, or a part of one, such as ``ensemble[0]``. One dimension is logged as
        a scalar, D dimensions as the curves "0" to "D-1" on one plot, and more than 16
        dimensions as a histogram.

        Or a callable without arguments, called at each sample. `annarchy_tb.hooks` says
        how its values are logged.
    every : float, default 0.01
        The simulated time between two samples in seconds, rounded to whole time steps.
    synapse : float or nengo.synapses.Synapse, optional
        The filter for the sampled signals, as for a ``nengo.Probe``: a time constant in
        seconds, or None for no filter.
    until : float, optional
        The time in seconds at which the simulation will end, for a progress bar: tqdm's
        on a terminal and in notebooks, elsewhere a line of text at most once a minute.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Returns
    -------
    nengo.Node
        The Node that takes the samples.

    Notes
    -----
    The first sample is taken after `every` seconds. The step is that of the Simulator,
    and continues over several calls of ``run()``. A new Simulator of the same model
    starts at step 1 again: use a new Logger and a new model for it.

    The model gets the same random numbers as without samples. To Nengo, what samples is
    a ``nengo.Probe``: probes that are made later have other seeds, which matters for
    solvers that draw random numbers.

    Exceptions raised by a source propagate out of ``run()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    with importing:
        import nengo

    base = nengo.base
    sampled: Any = (nengo.Ensemble, nengo.Node, nengo.ensemble.Neurons, base.ObjView)
    parts: dict[str, slice] = {}
    latest = np.zeros(0)

    def as_read(tag: str, source: Any) -> Read | None:
        if not isinstance(source, sampled):
            return function(source)
        if isinstance(sources[tag], Drawn):
            raise TypeError(
                f"{where(METHOD, tag)}: to draw a picture, the source must be a "
                f"callable without arguments, got {source}, whose signal has no rows"
            )
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
    between = positive(every, "a positive number of seconds", "s")
    latest_time = 0.0
    bar = Progress.made(logger, until, show, "s", lambda: latest_time)
    sampler = Sampler(logger, reads, "s", progress=bar)

    def log(t: float, step: int, x: Any) -> None:
        nonlocal latest, latest_time
        latest, latest_time = x, t
        sampler(step, t)

    size = sum(part.stop - part.start for part in parts.values())
    node = nengo.Node(
        _process(nengo, log, between, size),
        **{"size_in": size, "size_out": 0, "label": METHOD},
        add_to_container=False,
    )
    synapse = _seeded(nengo, synapse)
    connections = [
        nengo.Connection(
            sources[tag], node[part], synapse=synapse, add_to_container=False
        )
        for tag, part in parts.items()
    ]
    target = nengo.Node(0.0, add_to_container=False)  # a probe must have one
    probe = _probe_class(nengo)(target, label=METHOD)
    probe.sampled = [node, *connections]
    return node


def log_probes(logger: Logger, sim: Any, probes: Mapping[str, Any]) -> None:
    """Log the recordings of probes; call it once, after the last ``run()``.

    Parameters
    ----------
    logger : Logger
        The Logger.
    sim : nengo.Simulator
        The simulator; it may be closed.
    probes : dict
        The probe of each tag. A probe of D dimensions has the tags ``<tag>/0`` to
        ``<tag>/<D-1>``.

    Notes
    -----
    All data in `sim` is logged, so to call this after each of several runs, call
    ``sim.clear_probes()`` in between. The step of a point is that of the Simulator.

    Raises
    ------
    TypeError
        If `probes` is not a dict of probes of this simulator.
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
    """Return a process that calls `log` once every `every` seconds.

    A process is passed the time step, unlike a Node's function.
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

    return Sampling(default_size_in=size, default_size_out=0, seed=0)


def _seeded(nengo: Any, synapse: Any) -> Any:
    """Return a synapse that draws no seed from the model's random numbers."""
    if synapse is None:
        return None
    if not isinstance(synapse, nengo.synapses.Synapse):
        return nengo.Lowpass(synapse, seed=0)
    if synapse.seed is not None:
        return synapse
    # A synapse can't be changed, but it can be unpickled.
    seeded = object.__new__(type(synapse))
    seeded.__setstate__({**synapse.__getstate__(), "seed": 0})
    return seeded


@functools.cache
def _probe_class(nengo: Any) -> Any:
    """Return a class of probes that build other objects, and collect nothing.

    Nengo draws a seed for each object of a network, first those of connections, so one
    more connection would change all ensembles. The seeds of probes are drawn last.
    """

    class Sampling(nengo.Probe):  # type: ignore[misc]
        sampled: Sequence[Any] = ()

    def build(model: Any, probe: Any) -> None:
        for made in probe.sampled:
            model.seeds[made] = 0
            model.seeded[made] = True
            model.build(made)

    nengo.builder.Builder.register(Sampling)(build)
    return Sampling
