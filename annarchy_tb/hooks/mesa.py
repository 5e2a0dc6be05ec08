"""Mesa: samples taken whenever a data collector collects.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import mesa

    with Logger() as logger:
        mesa.sample(logger, model)              # all its model reporters
        for _ in range(100):
            model.step()
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsIndex

from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    checked,
    function,
    whole,
)
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.inputs.units import is_quantity
from annarchy_tb.logger import Logger


def sample(
    logger: Logger,
    model: Any,
    sources: Mapping[str, Any] | None = None,
    every: SupportsIndex = 1,
) -> None:
    """Log what a Mesa model's data collector collects.

    Parameters
    ----------
    logger : Logger
        Sampling ends when it is closed.
    model : mesa.Model
        A model that calls ``self.datacollector.collect(self)``, for example in its
        ``step()``.
    sources : dict, optional
        The source of each sample, by its tag: the name of a model reporter, or a
        callable that takes the model. By default all model reporters, under their own
        names. `annarchy_tb.hooks` says how its values are logged.
    every : int, default 1
        The number of collections per sample.

    Notes
    -----
    After this call, ``collect`` of this model's data collector also logs. If the model
    has already collected in its ``__init__``, and has not made a step yet, that
    collection is logged at once.

    The step of a sample is ``model.steps``. Its time is ``model.time``, in the Logger's
    unit, if Mesa or the model has one, else the wall-clock time.

    Exceptions raised by a source propagate out of ``collect()``. A copy of the model
    collects without logging; a model that is sampled can't be pickled.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    collector: Any = getattr(model, "datacollector", None)
    reporters = getattr(collector, "model_vars", None)
    if reporters is None:
        raise TypeError(
            f"{METHOD}: the model must have a DataCollector in its attribute "
            f"datacollector, got {describe(model)}"
        )
    if sources is None:
        sources = {name: name for name in reporters}

    def as_read(tag: str, source: Any) -> Read | None:
        if not isinstance(source, str):
            return function(source, model)
        if source not in reporters:
            raise ValueError(
                f"{where(METHOD, tag)}: the data collector has no model reporter "
                f"{source!r}; it has {', '.join(map(repr, reporters)) or 'none'}"
            )
        return lambda: reporters[source][-1]

    reads = checked(
        logger,
        sources,
        as_read,
        "the name of a model reporter, or a callable that takes the model",
    )
    interval = whole(every, "collections")
    sampler = Sampler(logger, reads)
    earlier = vars(collector).get("collect")  # set by another `sample`
    collections = 0

    def collect_and_log(collected: Any) -> None:
        # A copy of the model has this function, too, but another collector.
        if earlier is None:
            type(collector).collect(collected.datacollector, collected)
        else:
            earlier(collected)
        if collected is model:
            log()

    def log() -> None:
        nonlocal collections
        if collections % interval == 0:
            time = getattr(model, "time", None)
            known = isinstance(time, (int, float)) or is_quantity(time)
            sampler(model.steps, time if known else None)
        collections += 1

    collector.collect = collect_and_log
    if model.steps == 0 and any(reporters.values()):
        log()
