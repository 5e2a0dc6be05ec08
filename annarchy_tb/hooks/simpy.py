"""SimPy: samples taken between the events of an environment.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import simpy

    with Logger(time_unit="min") as logger:
        simpy.sample(logger, env, {"Queue": lambda: len(counter.queue)}, every=1.0)
        env.run(until=480)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, SupportsFloat

from annarchy_tb.hooks.changes import Changes
from annarchy_tb.hooks.replaced import Replaced
from annarchy_tb.hooks.sampling import METHOD, Sampler, checked, function, positive
from annarchy_tb.hooks.until import Progress
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe
from annarchy_tb.logger import Logger


def sample(
    logger: Logger,
    env: Any,
    sources: Mapping[str, Any],
    every: float = 1.0,
    *,
    on: Literal["change"] | None = None,
    until: SupportsFloat | None = None,
    show: str | Sequence[str] = (),
) -> None:
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
    on : {"change"}, optional
        With ``"change"``, the sources are read after each event instead, and a value is
        logged when it is not the last one, so that no maximum is missed.
    until : float, optional
        The ``env.now`` at which the simulation will end, for a progress bar: tqdm's on
        a terminal and in notebooks, elsewhere a line of text at most once a minute.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Notes
    -----
    The Logger counts the steps: they are solver steps if it has a ``dt``, and samples
    otherwise. The time is ``env.now``. A sample is taken before all other events of its
    time, except for those of high priority that were scheduled earlier.

    Samples are taken as long as other events are scheduled, so that ``env.run()`` ends
    where it ends without them. Each ``env.step()`` looks whether a sample is due.

    With ``on="change"``, TensorBoard shows numbers as steps: before a change, the last
    value is drawn again, one step before if that is free. `annarchy_tb.Run` does not
    read these points. Changes that are closer than the Logger's ``dt`` have the steps
    that follow.

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
    if on not in (None, "change"):
        raise ValueError(f'{METHOD}: on must be "change" or None, got {describe(on)}')
    if on is not None and between != 1.0:
        raise ValueError(f'{METHOD}: every has no meaning with on="change"')
    if not (hasattr(env, "schedule") and hasattr(env, "peek")):
        raise TypeError(
            f"{METHOD}: env must be an Environment of SimPy, got {describe(env)}"
        )
    due, number, scheduled = env.now, 0, False
    bar = Progress.made(logger, until, show, logger.time_unit, lambda: env.now)
    if on is not None:
        _on_change(logger, env, Changes(logger, reads, bar))
        return
    sampler = Sampler(logger, reads, progress=bar)

    def take(_: Any) -> None:
        nonlocal due, number, scheduled
        number += 1
        due, scheduled = start + number * between, False  # errors do not add up
        sampler(None, env.now)

    def step(original: Callable[[], None]) -> None:
        nonlocal scheduled
        if not scheduled and (due <= env.peek() < math.inf or not number):
            scheduled = True
            _schedule(env, take, max(0, due - env.now))
        original()

    start = due
    Replaced(logger, env, "step", step)


def _on_change(logger: Logger, env: Any, changes: Changes) -> None:
    """Look for changes before the first event, and after each."""
    with importing:
        from simpy.core import StopSimulation

    begun = False

    def step(original: Callable[[], None]) -> None:
        nonlocal begun
        if not begun:
            begun = True
            changes(env.now)
        try:
            original()
        except StopSimulation:  # the event at which run() ends
            changes(env.now)
            raise
        changes(env.now)

    Replaced(logger, env, "step", step)


def _schedule(env: Any, call: Callable[[Any], None], delay: float) -> None:
    """Call a function after a delay, as the first event of that time."""
    with importing:
        from simpy.events import URGENT

    event = env.event()
    event._ok, event._value = True, None  # noqa: SLF001 -- as SimPy's run() does
    event.callbacks.append(call)
    env.schedule(event, URGENT, delay)
