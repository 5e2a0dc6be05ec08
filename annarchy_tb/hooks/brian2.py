"""Brian2: samples by a ``NetworkOperation`` while ``run()`` runs.

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
from annarchy_tb.inputs.messages import describe, where
from annarchy_tb.kinds.text import say_unit
from annarchy_tb.logger import Logger


def sample(logger: Logger, sources: Mapping[str, Any], every: Any = None) -> Any:
    """Log sources while Brian2 runs.

    Parameters
    ----------
    logger : Logger
        Once it is closed, the sampling ends.
    sources : dict
        By its tag, what is read at each sample: a callable without arguments, the
        variable of a group, such as ``G.v``, or ``(G, "v")``. One number is a scalar, a
        dict of numbers several curves on one plot, a matplotlib Figure an image (it is
        closed), and anything with several values a histogram. What a source gives first
        decides.

        A quantity is logged in the unit that suits its first value (mV for -70 mV), and
        the unit stands at the head of its plot. Where the first value is 0, or the unit
        must be a certain one, give it: ``(G.v, mV)``, ``(G, "v", mV)``,
        ``(lambda: G.v[0], mV)``.
    every : Quantity, optional
        The time between two samples, a whole number of time steps; 10 ms by default.

    Returns
    -------
    brian2.NetworkOperation
        Keep it in a variable next to your groups, so that ``run()`` finds it; or add it
        to your ``Network``.

    Notes
    -----
    Samples are taken at the start of a time step, as those of a ``StateMonitor``. Their
    step counts the steps of ``defaultclock``, and several calls of ``run()`` go on.
    ``run()`` in C++ standalone mode can't call Python, and refuses the operation.

    What a source raises comes out of ``run()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the error says which.
    """
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
        seconds = float(t[:])  # it is a view of the clock's
        sampler(round(seconds / float(b2.defaultclock.dt)), seconds)

    return b2.NetworkOperation(log, dt=every, when="start", name="annarchy_tb_sample*")


def _read(b2: Any, logger: Logger, tag: str, source: Any) -> Read | None:
    """Return what reads a source without its unit; None if it is no source."""
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
    """Reads one source as plain numbers, in a unit that the first value decides."""

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
        """Find the unit, and say it at the head of the plot."""
        if self._unit is None:
            self._unit = value.get_best_unit()
        self._b2.units.fundamentalunits.fail_for_dimension_mismatch(
            value, self._unit, f"{METHOD}({self._tag!r}): the source has another unit"
        )
        self._factor = float(self._unit)
        if not self._b2.is_dimensionless(self._unit):
            say_unit(self._logger, METHOD, self._tag, str(self._unit))
