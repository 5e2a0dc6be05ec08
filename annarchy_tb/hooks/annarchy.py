"""ANNarchy 5 and 4: samples taken by ``@every`` during ``simulate()``.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import annarchy

    with Logger(dt=net.dt) as logger:
        sources = {"Rate": lambda: pop.r.mean(), "Potential": (pop, "v")}
        annarchy.sample(logger, net, sources, every=10.0)
        net.simulate(1000.0)
"""

from __future__ import annotations

import importlib
import math
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat

from annarchy_tb.hooks.replaced import Replaced
from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    attribute,
    checked,
    function,
    positive,
    when_closed,
)
from annarchy_tb.hooks.until import Progress
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, naming
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.logger import Logger
from annarchy_tb.run import names
from annarchy_tb.run.paths import claim, directory_of_runs

_OWN: weakref.WeakSet[Any] = weakref.WeakSet()  # the callbacks of all samplings


def sample(
    logger: Logger,
    net: Any,
    sources: Mapping[str, Any],
    every: SupportsFloat = 10.0,
    *,
    until: SupportsFloat | None = None,
    show: str | Sequence[str] = (),
) -> None:
    """Log sources while ANNarchy simulates.

    Parameters
    ----------
    logger : Logger
        Sampling ends when it is closed.
    net : ANNarchy.Network or None
        The network; None for the global network, the only one in ANNarchy 4.
    sources : dict
        The source to read at each sample, by its tag: a callable without arguments, or
        a variable of the simulator as a pair, ``(pop, "r")`` or ``(proj, "w")``.
        `annarchy_tb.hooks` says how its values are logged. Here, ``(proj, "w")`` is a
        scalar if all weights are one number.
    every : float, default 10.0
        The time between two samples in ms, rounded to whole steps of the solver.
    until : float, optional
        The time in ms at which the simulation will end, for a progress bar: tqdm's
        on a terminal and in notebooks, elsewhere a line of text at most once a minute.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Notes
    -----
    The step of a sample is that of the solver, which continues from one ``simulate()``
    to the next, and its time is that of the network. ANNarchy counts `every` from the
    start of each ``simulate()``, so samples are evenly spaced if the duration is a
    multiple of `every`, or the other way round. Otherwise there is still one sample in
    each interval of `every`, but not evenly spaced: with 10 ms, and calls of 15 ms, at
    0, 10, 25 and 30 ms. ``step()`` and ``simulate_until()`` take no samples, since
    ANNarchy makes no callbacks in them.

    ``simulate()`` makes as many steps as without samples: ANNarchy rounds the duration
    up to whole steps, but down if there are callbacks, so the hook passes on a duration
    of whole steps. This is not possible for ANNarchy's global network.

    Exceptions raised by a source propagate out of ``simulate()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    reads = checked(
        logger,
        sources,
        _read,
        "a callable without arguments, such as lambda: pop.r.mean(), or a pair "
        '(pop, "r")',
    )
    between = positive(every, "a positive number of ms", "ms")
    with importing:
        import ANNarchy as ann  # noqa: N813

    if net is None and hasattr(ann, "magic_network"):  # ANNarchy 5's global network
        net = ann.magic_network()
    if net is not None and not hasattr(net, "current_step"):
        raise TypeError(
            f"{METHOD}: net must be a Network of ANNarchy 5, or None for the global "
            f"one, got {describe(net)}"
        )
    dt = ann.dt() if net is None else net.dt

    def step_now() -> int:
        step: int = ann.get_current_step() if net is None else net.current_step
        return step

    bar = Progress.made(logger, until, show, "ms", lambda: step_now() * dt)
    sampler = Sampler(logger, reads, "ms", progress=bar)
    steps = max(1, round(between / dt))
    # ANNarchy truncates period / dt to a whole number, which for 0.3 / 0.1 is 2.
    period = (steps + 1e-6) * dt
    last = -1
    call = ann.every(period=period, **({} if net is None else {"network": net}))

    def log(_: int) -> None:
        # Each simulate() starts with a call, which may be too early: only one call per
        # `steps` is a sample. (A step that is not larger than the last: a reset.)
        nonlocal last
        step = step_now()
        if step > last >= 0 and step // steps == last // steps:
            return
        last = step
        sampler(step, step * dt)

    call(log)
    _OWN.add(call)
    callbacks = _callbacks(net)
    # The network outlives the Logger and the sources.
    when_closed(logger, lambda: callbacks.remove(call) if call in callbacks else None)
    if net is None or net.id == 0:
        return

    def simulate(
        original: Callable[..., None], duration: Any, *rest: Any, **named: Any
    ) -> None:
        own = [known for known in callbacks if known in _OWN]
        # One of several samplings is enough, and a callback of the user rounds down.
        if own[:1] == [call] and len(own) == len(callbacks) and net.callbacks_enabled():
            duration = _whole_steps(duration, net.dt)
        original(duration, *rest, **named)

    Replaced(logger, net, "simulate", simulate)


def _callbacks(net: Any) -> list[Any]:
    """Return ANNarchy's list of callbacks: it can't remove a single one itself."""
    if net is not None:
        its: list[Any] = net._callbacks  # noqa: SLF001
        return its
    four: Any = importlib.import_module("ANNarchy.core.Simulate")
    return four._callbacks[0]  # type: ignore[no-any-return]  # noqa: SLF001


def _whole_steps(duration: float, dt: float) -> float:
    """Return a duration that has, rounded down, as many steps as this, rounded up."""
    steps = math.ceil(float(duration) / dt)
    whole = steps * dt
    return whole if int(whole / dt) == steps else math.nextafter(whole, math.inf)


def experiments(
    number: int,
    logdir: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> list[str]:
    """Return a run name for each network of ``parallel_run``, to pass to the Logger.

    The runs are in one directory below `logdir`, which is newly created by each call::

        def simulation(net, experiment):
            with Logger(experiment=experiment, dt=net.dt) as logger:
                annarchy.sample(logger, net, {"Rate": (net.pop, "r")})
                net.simulate(1000.0)

        jobs = annarchy.experiments(8)
        net.parallel_run(simulation, number=8, experiment=jobs)

    Parameters
    ----------
    number : int
        The number of networks.
    logdir : str or path, optional
        The directory of all runs, the same as passed to the Logger, and by default
        the same as its default.
    name : str, optional
        The name of the new directory; a number is appended if it exists. By default
        ``<month><day>_<time>_<host>``.

    Returns
    -------
    list of str
        For example ``["Nov20_14-11-22_myhost/net0", ".../net1"]``.
    """
    with naming("experiments", None):
        number = as_count("number", number)
    if name is not None and (
        not name or name in (".", "..") or os.path.basename(name) != name
    ):
        raise ValueError(
            f"experiments: name must be a single directory, got {describe(name)}"
        )
    if name is not None and names.is_taken(name):
        raise ValueError(f"experiments: this name is reserved: {describe(name)}")
    parent = directory_of_runs(logdir)
    directory = claim(parent, names.default_run() if name is None else name)
    width = len(str(number - 1))
    return [f"{directory.name}/net{job:0{width}d}" for job in range(number)]


def _read(tag: str, source: Any) -> Read | None:
    return attribute(tag, source) or function(source)
