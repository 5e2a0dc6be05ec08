"""Mesa: samples what a data collector collects, when it has collected.

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
from typing import Any

from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    checked,
    function,
    whole,
)
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.logger import Logger


def sample(
    logger: Logger,
    model: Any,
    sources: Mapping[str, Any] | None = None,
    every: int = 1,
) -> None:
    """Log what a Mesa model's data collector collects.

    Parameters
    ----------
    logger : Logger
        Once it is closed, the sampling ends.
    model : mesa.Model
        It calls ``self.datacollector.collect(self)``, in its ``step()`` say.
    sources : dict, optional
        By its tag, the name of a model reporter, or a callable that takes the model.
        Left out, all model reporters under their own names. One number is a scalar, a
        dict of numbers several curves on one plot, a matplotlib Figure an image (it is
        closed), and anything with several values a histogram. What a source gives first
        decides.
    every : int, default 1
        Every how many-th collection is a sample.

    Notes
    -----
    From this call on, ``collect`` of this model's data collector also logs. A
    collection in the model's ``__init__`` came before; as long as the model has not
    made a step, it is logged at once.

    The step of a sample is ``model.steps``. Its time is ``model.time``, in the Logger's
    own unit, where Mesa or the model has one; else that of the clock on the wall.

    What a source raises comes out of ``collect()``. A copy of the model collects
    without logging; a model that is sampled can't be pickled.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the error says which.
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
    earlier = vars(collector).get("collect")  # of another `sample`
    collections = 0

    def collect_and_log(collected: Any) -> None:
        # A copy of the model has this function too, and a collector of its own.
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
            sampler(model.steps, time if isinstance(time, (int, float)) else None)
        collections += 1

    collector.collect = collect_and_log
    if model.steps == 0 and any(reporters.values()):
        log()
