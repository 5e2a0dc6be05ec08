"""Optimisers, solvers and samplers: one adaptor each, for what they call or yield.

::

    from scipy.optimize import minimize

    from annarchy_tb import Logger
    from annarchy_tb.hooks import callbacks

    with Logger() as logger:
        minimize(fun, x0, callback=callbacks.optimize(logger))

No package is imported here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, SupportsFloat, SupportsIndex, TypeVar

import numpy as np

from annarchy_tb.hooks.sampling import METHOD, Sampler, checked, function, whole
from annarchy_tb.hooks.until import Progress
from annarchy_tb.inputs.messages import describe
from annarchy_tb.logger import Logger

State = TypeVar("State")


def optimize(
    logger: Logger,
    sources: Mapping[str, Callable[[Any], Any]] | None = None,
    every: SupportsIndex = 1,
) -> Callable[..., None]:
    """Return a ``callback=`` for the functions of scipy.optimize.

    Parameters
    ----------
    logger : Logger
        Nothing is logged once it is closed.
    sources : dict, optional
        The source of each value, by its tag: a callable that takes SciPy's intermediate
        result, with ``x`` and mostly ``fun``. `annarchy_tb.hooks` says how its values
        are logged. By default ``{"Objective": lambda result: result.fun}``.
    every : int, default 1
        The number of calls, which are mostly iterations, per value.

    Notes
    -----
    It is for minimize, least_squares, root, differential_evolution, dual_annealing,
    basinhopping, shgo and direct. Some methods pass ``x`` only (with older versions of
    SciPy, more of them): they need sources such as ``lambda result: fun(result.x)``.

    The Logger counts the steps. The optimizer computes what it does without it.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or later if the optimizer does not pass ``fun``; the
        error says which.
    """
    return _Optimizing(logger, {"Objective": _objective}, sources, every)


def _objective(result: Any) -> Any:
    if not hasattr(result, "fun"):
        raise ValueError(
            f"{METHOD}: this optimizer passes x only; use sources such as "
            f'{{"Objective": lambda result: fun(result.x)}}'
        )
    return result.fun


class _Callback:
    """A callback that logs sources of what it is called with."""

    def __init__(
        self,
        logger: Logger,
        default: Mapping[str, Callable[[Any], Any]],
        sources: Mapping[str, Callable[[Any], Any]] | None,
        every: SupportsIndex,
    ) -> None:
        self._given: Any = None
        reads = checked(
            logger,
            default if sources is None else sources,
            lambda _, source: (
                None if function(source, None) is None else lambda: source(self._given)
            ),
            "a callable that takes the state",
        )
        self._every = whole(every, "calls")
        self._number = 0
        self._sampler = Sampler(logger, reads)

    def _take(self, given: Any, step: int | None = None) -> None:
        number, self._number = self._number, self._number + 1
        if number % self._every == 0:
            self._given = given
            self._sampler(step)
            self._given = None  # it may be large

    def __deepcopy__(self, _: Any) -> _Callback:
        return self  # pymoo copies algorithms; their run is the same


class _Optimizing(_Callback):
    # SciPy looks for this name to pass a result, and not x alone.
    __signature__ = inspect.Signature(
        [inspect.Parameter("intermediate_result", inspect.Parameter.KEYWORD_ONLY)]
    )

    def __call__(self, *given: Any, intermediate_result: Any = None) -> None:
        """Log what an optimizer passes: a result, ``x``, or ``x`` and ``fun``."""
        result = intermediate_result
        if result is None:
            names = ("x", "fun")[: len(given)]
            result = given[0]
            if not hasattr(result, "x"):
                result = SimpleNamespace(**dict(zip(names, given, strict=False)))
        self._take(result)


def solve_ivp(
    logger: Logger,
    sources: Mapping[str, Callable[[float, Any], Any]],
    every: SupportsIndex = 1,
    *,
    until: SupportsFloat | None = None,
    show: str | Sequence[str] = (),
) -> Callable[..., float]:
    """Return one of the ``events=`` of scipy.integrate.solve_ivp, which logs its steps.

    solve_ivp has no callback. It evaluates events at the start and after each step that
    it accepts; this one never occurs.

    Parameters
    ----------
    logger : Logger
        Its ``time_unit`` must be the unit of ``t``. Nothing is logged once it is
        closed.
    sources : dict
        The source of each value, by its tag: a callable that takes ``t`` and ``y``,
        such as ``lambda t, y: y[0]``. `annarchy_tb.hooks` says how its values are
        logged.
    every : int, default 1
        The number of steps of the solver between two values.
    until : float, optional
        The ``t`` at which the solution will end, for a progress bar: tqdm's on a
        terminal and in notebooks, elsewhere a line of text at most once a minute.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.

    Notes
    -----
    With events of your own, pass a list: ``events=[hit, callbacks.solve_ivp(...)]``;
    ``t_events`` and ``y_events`` then have an empty array for this one. A step in which
    a terminal event occurs is logged at its end, beyond the event.

    The step is counted by the Logger, or from ``t`` if it has a ``dt``. The time is
    ``t``. Adaptive steps are uneven, and the solution is that without it.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    now: list[Any] = [None, None]
    reads = checked(
        logger,
        sources,
        lambda _, source: (
            None if function(source, 0.0, None) is None else lambda: source(*now)
        ),
        "a callable that takes t and y, such as lambda t, y: y[0]",
    )
    interval, number = whole(every, "steps"), 0
    bar = Progress.made(logger, until, show, logger.time_unit)
    sampler = Sampler(logger, reads, progress=bar)

    def event(t: float, y: Any, *_: Any) -> float:
        nonlocal number
        if number % interval == 0:
            now[:] = float(t), np.asarray(y)  # the first one is as it was given
            if bar is not None:
                bar.begin(lambda: now[0])
            sampler(None, now[0])
        number += 1
        return 1.0

    return event


def emcee(
    logger: Logger,
    samples: Iterable[State],
    sources: Mapping[str, Callable[[Any], Any]] | None = None,
    every: SupportsIndex = 1,
) -> Iterator[State]:
    """Iterate over the samples of emcee, and log them on the way.

    ::

        samples = sampler.sample(start, iterations=1000)
        for state in callbacks.emcee(logger, samples):
            pass

    Parameters
    ----------
    logger : Logger
        Nothing is logged once it is closed.
    samples : iterable of emcee.State
        What ``EnsembleSampler.sample`` returns.
    sources : dict, optional
        The source of each value, by its tag: a callable that takes the State, with
        ``coords`` of shape ``(walkers, dimensions)`` and ``log_prob`` of shape
        ``(walkers,)``. `annarchy_tb.hooks` says how its values are logged. By default
        the mean of ``log_prob``, as "Log probability".
    every : int, default 1
        The number of samples per value.

    Returns
    -------
    iterator of emcee.State
        The samples. The Logger counts the steps.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    default = {"Log probability": lambda state: np.mean(state.log_prob)}
    log = _Callback(logger, default, sources, every)
    if not isinstance(samples, Iterable):
        raise TypeError(
            f"{METHOD}: samples must be an iterable, such as "
            f"sampler.sample(start, iterations=1000), got {describe(samples)}"
        )

    def logged() -> Iterator[State]:
        for state in samples:
            log._take(state)  # noqa: SLF001
            yield state

    return logged()


def pymoo(
    logger: Logger,
    sources: Mapping[str, Callable[[Any], Any]] | None = None,
    every: SupportsIndex = 1,
) -> Callable[[Any], None]:
    """Return a ``callback=`` for ``pymoo.optimize.minimize``.

    Parameters
    ----------
    logger : Logger
        Nothing is logged once it is closed.
    sources : dict, optional
        The source of each value, by its tag: a callable that takes the algorithm, such
        as ``lambda algorithm: algorithm.pop.get("F")``. `annarchy_tb.hooks` says how
        its values are logged. By default "Objective", the least value in
        ``algorithm.opt``; of several objectives, one curve each, "0" to "M-1".
    every : int, default 1
        The number of generations per value.

    Notes
    -----
    The step is the generation, ``algorithm.n_gen``. The algorithm computes what it does
    without the callback.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid; the error says which.
    """
    return _Evolving(logger, {"Objective": _least}, sources, every)


def _least(algorithm: Any) -> Any:
    least = np.min(np.atleast_2d(algorithm.opt.get("F")), axis=0)
    if len(least) == 1:
        return least[0]
    return {str(number): value for number, value in enumerate(least.tolist())}


class _Evolving(_Callback):
    def __call__(self, algorithm: Any) -> None:
        """Log a generation."""
        self._take(algorithm, algorithm.n_gen)
