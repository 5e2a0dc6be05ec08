"""Windows that log one point for several values: means over epochs, or N values."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat

from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.messages import describe, naming
from annarchy_tb.inputs.numbers import as_count, as_names
from annarchy_tb.kinds.scalar import log_for
from annarchy_tb.run.entry import Entry
from annarchy_tb.run.state import RunState
from annarchy_tb.tfevents.schema import SCALAR

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

METHOD = "window.add"

Reduce = Literal["mean", "last", "min", "max", "sum"]
Reducer = Callable[[list[float]], SupportsFloat]

# How the next value is combined with earlier ones; NaN propagates, as in NumPy.
FOLDS: dict[str, Callable[[Any, float], Any]] = {
    "mean": operator.add,  # of the values times their weights
    "sum": operator.add,
    "last": lambda _, value: value,
    "min": lambda least, value: least if least <= value or least != least else value,
    "max": lambda most, value: most if most >= value or most != most else value,
}


def window(
    self: Logger,
    tag: str | Sequence[str],
    every: int | None = None,
    reduce: Reduce | Reducer = "mean",
) -> Window:
    """Return a window, which logs one point for several values.

    Parameters
    ----------
    tag : str, or sequence of str
        See `Logger`. With several tags, ``window.add`` takes a dict with a value for
        each, and each point is one record.
    every : int, optional
        The number of values per point. By default, a point is logged for all values
        added in the window's ``with`` block, or until ``window.flush()``.
    reduce : {"mean", "last", "min", "max", "sum"} or callable, default "mean"
        How the values are combined; the mean is weighted. A callable takes the list of
        values, so all of them are kept until the point is logged.

    Returns
    -------
    Window
        Add values by ``window.add(value, weight=1.0, step=None, time=None)``; see
        `annarchy_tb.windows.Window`. Values still held when the Logger is closed are
        then logged.

    Notes
    -----
    Until its point is logged, a value is kept in the memory of this process:
    ``kill -9`` loses the values held by windows, `Logger.flush` does not write them,
    and they are not passed on to other processes.

    Examples
    --------
    >>> from annarchy_tb import Logger
    >>> with Logger("runs", "windows") as logger:
    ...     for epoch in range(3):
    ...         with logger.window("Accuracy") as window:
    ...             for batch in range(100):
    ...                 window.add(batch / 100, weight=32, step=epoch)
    ...     logger.last["Accuracy"]
    0.495
    """
    return Window(self, self._run, tag, every, reduce)


class Window:
    """A collector of values that logs one point for several of them.

    It is made by `annarchy_tb.Logger.window`. As a context manager, it logs the values
    it holds when the block ends, even if the block raises. It can be reused.
    """

    _logger: Logger
    _run: RunState
    _tag: str | Sequence[str]
    _tags: tuple[str, ...]
    _label: str
    _every: int | None
    _reduce: Reduce | Reducer
    _process: int  # the one that added the values
    _number: int  # of values held
    _weight: float
    _held: list[Any]  # of each tag: its values combined so far, or a list of them
    _when: tuple[SupportsFloat | None, Time | None]

    def __init__(
        self,
        logger: Logger,
        run: RunState,
        tag: str | Sequence[str],
        every: int | None,
        reduce: Reduce | Reducer,
    ) -> None:
        run.check_open()
        if not isinstance(tag, Sequence) or (not tag and tag != ""):
            came = describe(tag)
            raise TypeError(f"window: tag must be a str or several, got {came}")
        self._logger = logger
        self._run = run
        self._tag = tag
        self._tags = (tag,) if isinstance(tag, str) else tuple(tag)
        self._label = tag if isinstance(tag, str) else ", ".join(map(str, tag))
        with self._entry("window", None, None), naming("window", tag):
            if len(set(self._tags)) < len(self._tags):
                raise ValueError("the tags must be distinct")
            self._every = None if every is None else as_count("every", every)
            if not callable(reduce) and reduce not in tuple(FOLDS):
                allowed = ", ".join(map(repr, FOLDS))
                raise ValueError(
                    f"reduce must be one of {allowed}, or callable, got {reduce!r}"
                )
        self._reduce = reduce
        self._process = os.getpid()
        self._hold_nothing()

    def _entry(
        self, method: str, step: SupportsFloat | None, time: Time | None
    ) -> Entry:
        """Check that a point could be logged now."""
        places = [(self._run.directory, self._tags)]
        return Entry(
            self._run,
            method,
            self._label,
            SCALAR,
            step,
            time,
            places=places,
            clocked=False,
        )

    def _hold_nothing(self) -> None:
        self._number = 0
        self._weight = 0.0
        self._held = []
        self._when = (None, None)
        self._run.pending.pop(self, None)

    def __len__(self) -> int:
        """Return the number of values held, that is, not logged yet."""
        return self._number

    def add(
        self,
        value: SupportsFloat | Mapping[str, SupportsFloat],
        weight: SupportsFloat = 1.0,
        step: SupportsFloat | None = None,
        time: Time | None = None,
    ) -> None:
        """Add a value, and log a point if it completes one.

        Parameters
        ----------
        value : float, or dict of str to float
            As in `annarchy_tb.Logger.add_scalar`; if the window has several tags, a
            dict with a value for each of them.
        weight : float, default 1.0
            Its weight in a mean, for example the size of a batch. Not negative.
        step, time
            See `annarchy_tb.Logger`. A point has the step and time of its last value.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid. The value is then not added.
        """
        if time is None and self._run.ask is not None:
            time = self._run.ask()
        entry = self._entry(METHOD, step, time)
        if self._number and self._process == os.getpid():
            entry.note_plain(self._tags)  # unless they have a unit
        numbers = self._numbers(entry, value)
        counted = entry.number(weight, name=f"{self._label}: weight")
        with naming(METHOD, self._label):
            if not (isfinite(counted) and counted >= 0):
                raise ValueError(f"weight must be 0 or more, got {describe(weight)}")
            if counted != 1.0 and self._reduce != "mean":
                raise ValueError("only a mean has weights")
        entry.write_nothing()
        entry.enter_units()
        if self._number and self._process != os.getpid():
            self._hold_nothing()  # values inherited by a fork are left to its parent
        if not self._number:
            self._process = os.getpid()
            self._run.pending[self] = None
        before = (self._weight, self._held, self._when)
        self._held = self._combined(numbers, counted)
        self._number += 1
        self._weight += counted
        self._when = (step, time)
        if self._every is not None and self._number >= self._every:
            try:
                self.flush()
            except BaseException:
                if self._number:  # the point was refused, so the value is, too
                    self._number -= 1
                    self._weight, self._held, self._when = before
                    if callable(self._reduce):
                        for values in self._held:
                            del values[self._number :]
                raise

    def _combined(self, numbers: list[float], weight: float) -> list[Any]:
        """Return the values held, combined with these numbers."""
        if callable(self._reduce):
            held = self._held or [[] for _ in numbers]
            for values, number in zip(held, numbers, strict=True):
                values.append(number)
            return held
        if self._reduce == "mean":
            numbers = [number * weight for number in numbers]
        fold = FOLDS[self._reduce]
        return list(map(fold, self._held, numbers)) if self._held else numbers

    def flush(self) -> None:
        """Log a point for the values held, if there are any.

        Exceptions raised by a callable `reduce` propagate, and the values are dropped.
        If the point is refused for another reason, the values are kept.
        """
        if not self._number or self._process != os.getpid():
            self._hold_nothing()
            return
        if callable(self._reduce):
            try:
                points = [self._reduce(values) for values in self._held]
            except BaseException:
                self._hold_nothing()
                raise
        elif self._reduce == "mean":
            weight = self._weight
            points = [total / weight if weight else nan for total in self._held]
        else:
            points = self._held
        values = dict(zip(self._tags, points, strict=True))
        log_for(self._logger, METHOD, self._label, values, *self._when)
        self._hold_nothing()

    def _numbers(self, entry: Entry, value: Any) -> list[float]:
        """Return the values in the order of the tags."""
        if isinstance(self._tag, str):
            return [entry.number(value, self._tag)]
        with naming(METHOD, None):
            as_names(value)
            if value.keys() != set(self._tags):
                raise ValueError(
                    f"a value for each of {', '.join(map(repr, self._tags))} is "
                    f"needed, got {', '.join(map(repr, value)) or 'none'}"
                )
        return [entry.number(value[tag], tag) for tag in self._tags]

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        with self._run.warned.anyway():
            self.flush()
