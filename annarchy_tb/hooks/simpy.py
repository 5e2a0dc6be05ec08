"""SimPy: samples taken by a process of the environment.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import simpy

    with Logger(time_unit="min") as logger:
        simpy.sample(logger, env, {"Queue": lambda: len(counter.queue)}, every=1.0)
        env.run(until=480)
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any
from weakref import WeakSet

from annarchy_tb.hooks.sampling import METHOD, Sampler, checked, function, positive
from annarchy_tb.inputs.messages import describe
from annarchy_tb.logger import Logger

_OWN: WeakSet[Any] = WeakSet()  # the events of all sampling processes


def sample(
    logger: Logger, env: Any, sources: Mapping[str, Any], every: float = 1.0
) -> Any:
    """Log sources while a SimPy environment runs.

    Parameters
    ----------
    logger : Logger
        Its ``time_unit`` must be the unit of the environment's times. Sampling ends
        when it is closed.
    env : simpy.Environment
        The environment.
    sources : dict
        The source to read at each sample, by its tag: a callable without arguments,
        such as ``lambda: len(counter.queue)``. `annarchy_tb.hooks` says how its values
        are logged.
    every : float, default 1.0
        The simulated time between two samples. The first is taken when the environment
        starts to run.

    Returns
    -------
    simpy.Process
        The process that takes the samples. It ends when nothing else is scheduled, so
        that ``env.run()`` returns, at most `every` after the last event. Call `sample`
        again for processes started after that.

    Notes
    -----
    The Logger counts the steps: they are solver steps if it has a ``dt``, and samples
    otherwise. The time is ``env.now``.

    Exceptions raised by a source propagate out of ``env.run()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    reads = checked(
        logger,
        sources,
        lambda _, source: function(source),
        "a callable without arguments, such as lambda: len(counter.queue)",
    )
    what = "a positive number, in the environment's time"
    between = positive(every, what, logger.time_unit)
    if not (hasattr(env, "process") and hasattr(env, "timeout")):
        raise TypeError(
            f"{METHOD}: env must be an Environment of SimPy, got {describe(env)}"
        )
    process = env.process(_sampling(Sampler(logger, reads), env, between))
    _OWN.add(process)
    return process


def _sampling(sampler: Sampler, env: Any, every: float) -> Generator[Any, Any, None]:
    start, number = env.now, 0
    while not sampler.ended:
        sampler(None, env.now)
        # Two sampling processes must not keep each other alive.
        scheduled = env._queue  # noqa: SLF001 -- SimPy has no public view of it
        if all(event in _OWN for *_, event in scheduled):
            return
        number += 1
        tick = env.timeout(start + number * every - env.now)  # errors do not add up
        _OWN.add(tick)
        yield tick
