"""Brian2: samples taken by a ``NetworkOperation`` during ``run()``.

::

    from annarchy_tb import Logger
    from annarchy_tb.hooks import brian2

    with Logger() as logger:
        sources = {"Potential": G.v, "Highest": lambda: G.v[:].max()}
        sampling = brian2.sample(logger, sources, every=10*ms)
        run(1*second)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from annarchy_tb.hooks.sampling import (
    METHOD,
    Read,
    Sampler,
    attribute,
    checked,
    function,
    positive,
)
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.kinds.text import say_unit
from annarchy_tb.logger import Logger


def sample(logger: Logger, sources: Mapping[str, Any], every: Any = None) -> Any:
    """Log sources while Brian2 runs.

    Parameters
    ----------
    logger : Logger
        Sampling ends when it is closed.
    sources : dict
        The source to read at each sample, by its tag: a callable without arguments, or
        a variable of a group, such as ``G.v`` or ``(G, "v")``. `annarchy_tb.hooks` says
        how its values are logged.

        A quantity is logged in the unit that suits its first value (mV for -70 mV), and
        the unit is shown above its plot, except in TIME SERIES. If the first value is
        0, or to choose the unit, give it with the source: ``(G.v, mV)``, ``(G, "v",
        mV)``, ``(lambda: G.v[0], mV)``.
    every : Quantity, optional
        The time between two samples, rounded to whole time steps; 10 ms by default.

    Returns
    -------
    brian2.NetworkOperation
        Keep it in a variable next to your groups, so that ``run()`` finds it, or add it
        to your ``Network``.

    Notes
    -----
    Samples are taken at the start of a time step, like those of a ``StateMonitor``. The
    step of a sample is that of ``defaultclock``, and continues over several calls of
    ``run()``. In C++ standalone mode, ``run()`` can't call Python and refuses the
    operation.

    Exceptions raised by a source propagate out of ``run()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    with importing:
        import brian2 as b2

    reads = checked(
        logger,
        sources,
        lambda tag, source: _read(b2, logger, tag, source),
        "a callable without arguments, a variable such as G.v, a pair "
        '(G, "v"), or one of these with a unit: (G.v, mV)',
    )
    every = 10 * b2.ms if every is None else every
    if not (isinstance(every, b2.Quantity) and b2.have_same_dimensions(every, b2.ms)):
        raise TypeError(
            f"{METHOD}: every must be a time with a unit, such as 10*ms, "
            f"got {describe(every)}"
        )
    positive(every, "a positive time, such as 10*ms")
    sampler = Sampler(logger, reads, "s")

    def log(t: Any) -> None:
        seconds = float(t[:])  # t is a view of the clock's variable
        sampler(round(seconds / float(b2.defaultclock.dt)), seconds)

    return b2.NetworkOperation(log, dt=every, when="start", name="annarchy_tb_sample*")


def _read(b2: Any, logger: Logger, tag: str, source: Any) -> Read | None:
    """Return a function that reads a source without its unit; None if it is invalid."""
    unit: Any = None
    if isinstance(source, tuple) and source and isinstance(source[-1], b2.Quantity):
        *rest, unit = source
        source = rest[0] if len(rest) == 1 else tuple(rest)
        if not np.asarray(unit) > 0:
            raise ValueError(
                f"{where(METHOD, tag)}: the unit must be positive, such as mV, "
                f"got {describe(unit)}"
            )
    view = isinstance(source, b2.core.variables.VariableView)
    read = (lambda: source) if view else attribute(tag, source) or function(source)
    if read is None:
        return None
    return _Plain(b2, logger, tag, read, unit)


class _Plain:
    """A reader of one source as plain numbers, in the unit of its first value."""

    def __init__(
        self, b2: Any, logger: Logger, tag: str, read: Read, unit: Any
    ) -> None:
        self._b2 = b2
        self._logger = logger
        self._tag = tag
        self._read = read
        self._unit = unit
        self._factor = 0.0  # not known yet

    def __call__(self) -> object:
        value = self._read()
        if isinstance(value, Mapping):
            return {key: self._plain(item) for key, item in value.items()}
        return self._plain(value)

    def _plain(self, value: Any) -> object:
        if isinstance(value, self._b2.core.variables.VariableView):
            value = value[:]  # a copy
        if not isinstance(value, self._b2.Quantity) and self._unit is None:
            return value
        if not self._factor:
            self._settle(value)
        return np.asarray(value) / self._factor

    def _settle(self, value: Any) -> None:
        """Choose the unit, and set it as the description of the plot."""
        if self._unit is None:
            self._unit = value.get_best_unit()
        self._b2.units.fundamentalunits.fail_for_dimension_mismatch(
            value, self._unit, f"{METHOD}({self._tag!r}): the source has another unit"
        )
        self._factor = float(self._unit)
        if not self._b2.is_dimensionless(self._unit):
            say_unit(self._logger, METHOD, self._tag, str(self._unit))
