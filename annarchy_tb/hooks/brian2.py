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

from collections.abc import Mapping, Sequence
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
from annarchy_tb.hooks.until import Progress
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, naming, where
from annarchy_tb.inputs.units import Measured, separate, shown
from annarchy_tb.logger import Logger


def sample(
    logger: Logger,
    sources: Mapping[str, Any],
    every: Any = None,
    *,
    until: Any = None,
    show: str | Sequence[str] = (),
) -> Any:
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
    until : Quantity, optional
        The time at which the simulation will end, for a progress bar: tqdm's on a
        terminal and in notebooks, elsewhere a line of text at most once a minute. The
        first ``run()`` fails if it is not after the current time.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Returns
    -------
    brian2.NetworkOperation
        Keep it in a variable next to your groups, so that ``run()`` finds it, or add it
        to your ``Network``.

    Notes
    -----
    Samples are taken at the start of a time step, like those of a ``StateMonitor``. The
    step of a sample is that of ``defaultclock``, and continues over several calls of
    ``run()``. The operation is called in each step of ``defaultclock``, and has no
    clock of its own: ``store()`` and ``restore()`` do not know of it.

    Exceptions raised by a source propagate out of ``run()``.

    Raises
    ------
    RuntimeError
        In C++ standalone mode, where ``run()`` can't call Python.
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    with importing:
        import brian2 as b2

    reads = checked(
        logger,
        sources,
        lambda tag, source: _read(b2, tag, source),
        "a callable without arguments, a variable such as G.v, a pair "
        '(G, "v"), or one of these with a unit: (G.v, mV)',
    )
    every = 10 * b2.ms if every is None else every
    for name, given in (("every", every), ("until", until)):
        if given is None:
            continue
        if not (
            isinstance(given, b2.Quantity) and b2.have_same_dimensions(given, b2.ms)
        ):
            raise TypeError(
                f"{METHOD}: {name} must be a time with a unit, such as 10*ms, "
                f"got {describe(given)}"
            )
    positive(every, "a positive time, such as 10*ms", "s")
    _check_device(b2)
    bar = Progress.made(logger, until, show, "s")
    return _operation(b2, Sampler(logger, reads, "s", progress=bar), float(every), bar)


def _operation(b2: Any, sampler: Sampler, every: float, bar: Progress | None) -> Any:
    """Return an operation that takes a sample once every `every` seconds."""
    interval = 1
    # Arrays of the clock, which keeps them up to date.
    step: Any = None
    dt: Any = None

    class Sampling(b2.NetworkOperation):  # type: ignore[misc]
        # It may come and go between two calls of run().
        invalidates_magic_network = False

        def before_run(self, run_namespace: Any) -> None:
            nonlocal interval, step, dt
            _check_device(b2)
            super().before_run(run_namespace)
            its = self.clock.variables
            step, dt = its["timestep"].get_value(), its["dt"].get_value()
            interval = max(1, round(every / dt.item()))
            if bar is not None:
                bar.begin(lambda: step.item() * dt.item())

    def log() -> None:
        number = step.item()
        if number % interval == 0:
            sampler(number, number * dt.item())

    return Sampling(log, when="start", name="annarchy_tb_sample*")


def _check_device(b2: Any) -> None:
    """Raise RuntimeError if ``run()`` does not call Python."""
    with importing:
        from brian2.devices.device import RuntimeDevice

    device = b2.get_device()
    if not isinstance(device, RuntimeDevice):
        raise RuntimeError(
            f"{METHOD}: with the device {type(device).__name__}, such as in C++ "
            f"standalone mode, run() does not call Python, and nothing can be sampled; "
            f"log the recordings of monitors after run(), with add_series"
        )


def _read(b2: Any, tag: str, source: Any) -> Read | None:
    """Return a function that reads a source; None if it is invalid."""
    unit: Any = None
    if isinstance(source, tuple) and source and isinstance(source[-1], b2.Quantity):
        *rest, unit = source
        source = rest[0] if len(rest) == 1 else tuple(rest)
        if not isinstance(unit, b2.Unit):
            raise TypeError(
                f"{where(METHOD, tag)}: the unit must be one of Brian2's, such as mV, "
                f"got {shown(unit)}"
            )
    view = isinstance(source, b2.core.variables.VariableView)
    read = (lambda: source) if view else attribute(tag, source) or function(source)
    if read is None or unit is None:
        return read
    return lambda: _measured(tag, read(), str(unit))


def _measured(tag: str, value: object, unit: str) -> object:
    """Return quantities in the unit that was given with the source."""
    if isinstance(value, Mapping):
        return {key: _measured(tag, item, unit) for key, item in value.items()}
    with naming(METHOD, tag):
        number, its = separate(value, unit, "the source")
        if its is None:
            raise TypeError(f"the source must be in {unit}, got {shown(value)}")
    return Measured(number, unit)
