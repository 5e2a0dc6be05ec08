"""ANNarchy 5 and 4: samples by ``@every`` while ``simulate()`` runs.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import annarchy

    with Logger(dt=net.dt) as logger:
        sources = {"Rate": lambda: pop.r.mean(), "Potential": (pop, "v")}
        annarchy.sample(logger, net, sources, every=10.0)
        net.simulate(1000.0)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    attribute,
    checked,
    function,
    positive,
)
from annarchy_tb.inputs.messages import describe, naming
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.logger import Logger
from annarchy_tb.run import names
from annarchy_tb.run.paths import absolute, claim

NEVER = 1e15  # ms before ANNarchy calls again


def sample(
    logger: Logger,
    net: Any,
    sources: Mapping[str, Any],
    every: float = 10.0,
) -> None:
    """Log sources while ANNarchy simulates.

    Parameters
    ----------
    logger : Logger
        Once it is closed, the sampling ends.
    net : ANNarchy.Network or None
        The network; None is the global one, and the only one of ANNarchy 4.
    sources : dict
        By its tag, what is read at each sample: a callable without arguments, or the
        simulator's own variable as a pair, ``(pop, "r")`` or ``(proj, "w")``. One
        number is a scalar, a dict of numbers several curves on one plot, a matplotlib
        Figure an image (it is closed), and anything with several values a histogram.
        What a source gives first decides.
    every : float, default 10.0
        The time between two samples in ms, rounded to whole steps of the solver.

    Notes
    -----
    The step of a sample is the solver's own, which goes on from one ``simulate()`` to
    the next, and its time is that of the network. ANNarchy counts `every` anew from the
    beginning of each ``simulate()``, so samples are evenly spaced where its duration is
    a multiple of `every`, or the other way round. Otherwise they still come once in
    each `every` of simulated time, if not evenly: with 10 ms, and calls of 15 ms, at 0,
    10, 25 and 30 ms. ``step()`` and ``simulate_until()`` of ANNarchy call nothing back.

    What a source raises comes out of ``simulate()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the error says which.
    """
    reads = checked(
        logger,
        sources,
        _read,
        "a callable without arguments, such as lambda: pop.r.mean(), or a pair "
        '(pop, "r")',
    )
    between = positive(every, "a positive number of ms")
    import ANNarchy as ann  # noqa: N813

    if net is None and hasattr(ann, "magic_network"):  # the global one of ANNarchy 5
        net = ann.magic_network()
    if net is not None and not hasattr(net, "current_step"):
        raise TypeError(
            f"{METHOD}: net must be a Network of ANNarchy 5, or None for the global "
            f"one, got {describe(net)}"
        )
    sampler: Sampler | None = Sampler(logger, reads, "ms")
    dt = ann.dt() if net is None else net.dt
    steps = max(1, round(between / dt))
    # ANNarchy cuts period / dt to a whole number, which for 0.3 / 0.1 would be 2.
    period = (steps + 1e-6) * dt
    last = -1
    call = ann.every(period=period, **({} if net is None else {"network": net}))

    def log(_: int) -> None:
        # Each simulate() begins with a call, which may come too early: only one call
        # counts in `steps`. (A step that does not come after the last: a reset.)
        nonlocal last, sampler
        if sampler is None or sampler.ended:
            sampler = None  # the network outlives the Logger, and what it sampled
            call.wait = NEVER
            return
        step = ann.get_current_step() if net is None else net.current_step
        if step > last >= 0 and step // steps == last // steps:
            return
        last = step
        sampler(step, step * dt)

    call(log)


def experiments(
    number: int,
    logdir: str | os.PathLike[str] = "runs/",
    name: str | None = None,
) -> list[str]:
    """Return a run for each network of ``parallel_run``, as names for the Logger.

    They lie in one new directory below `logdir`, which is nobody else's::

        def simulation(net, experiment):
            with Logger("runs/", experiment, dt=net.dt) as logger:
                annarchy.sample(logger, net, {"Rate": (net.pop, "r")})
                net.simulate(1000.0)

        jobs = annarchy.experiments(8)
        net.parallel_run(simulation, number=8, experiment=jobs)

    Parameters
    ----------
    number : int
        How many networks there are.
    logdir : str or path, default "runs/"
        The directory of all runs, the same as the Logger gets.
    name : str, optional
        The name of the new directory; one that exists gets a number behind it. By
        default ``<month><day>_<time>_<host>``.

    Returns
    -------
    list of str
        Such as ``["Nov20_14-11-22_myhost/net0", ".../net1"]``.
    """
    with naming("experiments", None):
        number = as_count("number", number)
    if name is not None and (
        not name or name in (".", "..") or os.path.basename(name) != name
    ):
        raise ValueError(
            f"experiments: name must be that of one directory, got {describe(name)}"
        )
    directory = claim(absolute(logdir), names.default_run() if name is None else name)
    width = len(str(number - 1))
    return [f"{directory.name}/net{job:0{width}d}" for job in range(number)]


def _read(tag: str, source: Any) -> Read | None:
    return attribute(tag, source) or function(source)
