"""Mesa: samples taken whenever a data collector collects, or after each step.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import mesa

    with Logger() as logger:
        mesa.sample(logger, model)              # all its reporters
        for _ in range(100):
            model.step()
"""

from __future__ import annotations

import math
import operator
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, SupportsFloat, SupportsIndex

from annarchy_tb.hooks.pictures import unwrapped
from annarchy_tb.hooks.replaced import Replaced
from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    checked,
    function,
    whole,
)
from annarchy_tb.hooks.until import STEPS, Progress
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.inputs.units import is_quantity
from annarchy_tb.logger import Logger


def sample(
    logger: Logger,
    model: Any,
    sources: Mapping[str, Any] | None = None,
    every: SupportsIndex = 1,
    *,
    close: bool = False,
    until: SupportsFloat | None = None,
    show: str | Sequence[str] = (),
) -> None:
    """Log what a Mesa model's data collector collects, or any sources after each step.

    Parameters
    ----------
    logger : Logger
        Sampling ends when it is closed.
    model : mesa.Model
        The model. If it has a DataCollector in its attribute ``datacollector``, samples
        are taken when it collects, otherwise after each ``step()``.
    sources : dict, optional
        The source of each sample, by its tag: the name of a reporter, or a callable
        that takes the model. `annarchy_tb.hooks` says how its values are logged. Agent
        reporters are histograms over the agents for which they are not None.

        By default all reporters, under their own names: that of an agent reporter is
        ``"Agents/<name>"`` if there is a model reporter of the same name, and that of
        an agent-type reporter ``"<type>/<name>"``. Tables are not logged.
    every : int, default 1
        The number of collections, or steps, per sample.
    close : bool, default False
        Close the Logger when the model ends: after the step in which it sets
        ``self.running = False`` or reaches the ``max_steps`` of ``mesa.batch_run``, as
        failed if ``step()`` raises, and when nothing refers to the model any more or
        Python exits. For a Logger that the model makes itself.
    until : float, optional
        The ``model.time`` at which the simulation will end, or the ``model.steps`` if
        it has no time, for a progress bar: tqdm's on a terminal and in notebooks,
        elsewhere a line of text at most once a minute.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Notes
    -----
    If the model has not made a step yet, and has already collected in its ``__init__``
    or has no DataCollector, a sample is taken at once.

    The step of a sample is ``model.steps``. Its time is ``model.time``, in the Logger's
    unit, if Mesa or the model has one, else the wall-clock time.

    Values of reporters that can't be drawn, such as None or a text, are left out, with
    one warning per tag. Exceptions raised by a source propagate. A copy of the model
    does not log.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    if not (hasattr(model, "step") and hasattr(model, "steps")):
        raise TypeError(f"{METHOD}: model must be a mesa.Model, got {describe(model)}")
    collector = getattr(model, "datacollector", None)
    reporters = {} if collector is None else _reporters(model, collector)
    if sources is None:
        if not reporters:
            raise ValueError(
                f"{METHOD}: the model has no DataCollector with reporters in its "
                f"attribute datacollector; use sources that take the model, such as "
                f'{{"Agents": lambda model: len(model.agents)}}'
            )
        sources = {tag: tag for tag in reporters}

    def as_read(tag: str, source: Any) -> Read | None:
        if not isinstance(source, str):
            return function(source, model)
        if source not in reporters:
            raise ValueError(
                f"{where(METHOD, tag)}: the data collector has no reporter "
                f"{source!r}; it has {', '.join(map(repr, reporters)) or 'none'}"
            )
        return reporters[source]

    reads = checked(
        logger,
        sources,
        as_read,
        "the name of a reporter, or a callable that takes the model",
    )
    interval = whole(every, "collections")
    named = [tag for tag, its in unwrapped(sources).items() if isinstance(its, str)]
    unit = STEPS if _time(model) is None else logger.time_unit
    bar = Progress.made(
        logger,
        until,
        show,
        unit,
        lambda: model.steps if (time := _time(model)) is None else time,
    )
    sampler = Sampler(logger, reads, optional=named, progress=bar)
    number = 0

    def log() -> None:
        nonlocal number
        if number % interval == 0:
            sampler(model.steps, _time(model))
        number += 1

    def then_log(original: Callable[..., None], *rest: Any, **named: Any) -> None:
        original(*rest, **named)
        log()

    if collector is None:
        Replaced(logger, model, "step", then_log)
    else:
        Replaced(logger, collector, "collect", then_log)
    if close:
        _close_with(logger, model)
    if model.steps == 0 and (collector is None or _has_collected(collector)):
        log()


def _time(model: Any) -> Any:
    """Return the time of a model; None if it has none."""
    time = getattr(model, "time", None)
    known = isinstance(time, (int, float)) or is_quantity(time)
    return time if known else None


def _close_with(logger: Logger, model: Any) -> None:
    """Close the Logger when the model ends."""
    limit = _limit_of_batch()

    def step(original: Callable[..., None], *rest: Any, **named: Any) -> None:
        try:
            original(*rest, **named)
        except BaseException as error:
            logger.__exit__(type(error), error, None)
            raise
        if not model.running or model.steps > limit:
            logger.close()

    Replaced(logger, model, "step", step)
    weakref.finalize(model, logger.close)


def _limit_of_batch() -> float:
    """Return the ``max_steps`` of the ``batch_run`` that makes a model, if one does.

    It drops the model after that many steps, and in other processes that is the last
    thing that happens: they are killed before Python can see that the model is gone.
    """
    frame: Any = sys._getframe()  # noqa: SLF001 -- Python's own, in spite of its name
    while frame is not None:
        if frame.f_globals.get("__name__") == "mesa.batchrunner":
            return float(frame.f_locals.get("max_steps", math.inf))
        frame = frame.f_back
    return math.inf


def _has_collected(collector: Any) -> bool:
    kept = (*collector.model_vars.values(), *_records(collector).values())
    return any(kept)


def _records(collector: Any) -> dict[str, dict[int, Any]]:
    """Return the records of agents by step: Mesa's own access makes a whole table."""
    return {
        "agents": collector._agent_records,  # noqa: SLF001
        "types": getattr(collector, "_agenttype_records", {}),
    }


def _reporters(model: Any, collector: Any) -> dict[str, Read]:
    """Return what reads the last value of each reporter, by its tag."""
    reads: dict[str, Read] = {
        name: partial(operator.itemgetter(-1), values)
        for name, values in collector.model_vars.items()
    }
    records = _records(collector)

    def agents() -> Any:
        return records["agents"].get(model.steps, ())

    def agents_of(kind: type) -> Any:
        return records["types"].get(model.steps, {}).get(kind, ())

    for column, name in enumerate(collector.agent_reporters):
        tag = f"Agents/{name}" if name in reads else name
        reads[tag] = partial(_column, agents, column)
    for kind, its in getattr(collector, "agenttype_reporters", {}).items():
        for column, name in enumerate(its):
            its_agents = partial(agents_of, kind)
            reads[f"{kind.__name__}/{name}"] = partial(_column, its_agents, column)
    return reads


def _column(records: Callable[[], Any], column: int) -> list[Any]:
    """Return the values of one reporter; a record begins with its step and agent."""
    values = (record[2 + column] for record in records())
    return [value for value in values if value is not None]
