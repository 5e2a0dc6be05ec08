"""Several values, one point: averages over epochs, trials, or every so many steps."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from numbers import Integral
from typing import Any, Literal, SupportsFloat

from annarchy_tb.inputs.messages import describe, naming
from annarchy_tb.inputs.numbers import as_number, as_numbers
from annarchy_tb.run.ledger import Ledger, check_tag

METHOD = "window.add"

Reduce = Literal["mean", "last", "min", "max", "sum"]
Reducer = Callable[[list[float]], SupportsFloat]

# How the next value joins those before; NaN stays, as in NumPy.
FOLDS: dict[str, Callable[[Any, float], Any]] = {
    "mean": operator.add,  # of values times weights
    "sum": operator.add,
    "last": lambda _, value: value,
    "min": lambda least, value: least if least <= value or least != least else value,
    "max": lambda most, value: most if most >= value or most != most else value,
}


class Window:
    """Takes values one by one, and logs a single point for several of them.

    `annarchy_tb.Logger.window` makes it. As a context manager, it logs what it holds
    when the block ends, also if that raises. It may be used again.
    """

    def __init__(
        self,
        tag: str | Sequence[str],
        every: int | None,
        reduce: Reduce | Reducer,
        ledger: Ledger,
        holding: dict[Window, None],
        check: Callable[..., None],
        log: Callable[..., None],
    ) -> None:
        tags = (tag,) if isinstance(tag, str) else tag
        if not isinstance(tags, Sequence) or not tags:
            came = describe(tag)
            raise TypeError(f"window: tag must be a str or several, got {came}")
        for one in tags:
            check_tag("window", one)
            ledger.check("window", one, "scalar")
        with naming("window", tag):
            if len(set(tags)) < len(tags):
                raise ValueError("the tags must be distinct")
            if every is not None and not (
                isinstance(every, Integral)
                and not isinstance(every, bool)
                and every > 0
            ):
                came = describe(every)
                raise ValueError(f"every must be a whole number from 1, got {came}")
            if not callable(reduce) and reduce not in tuple(FOLDS):
                allowed = ", ".join(map(repr, FOLDS))
                raise ValueError(
                    f"reduce must be one of {allowed}, or callable, got {reduce!r}"
                )
        self._tag = tag
        self._tags = tuple(tags)
        self._label = tag if isinstance(tag, str) else ", ".join(tags)
        self._every = every
        self._reduce = reduce
        self._ledger = ledger
        self._holding = holding  # the windows of the run that hold values
        self._check = check
        self._log = log
        self._process = os.getpid()  # whose values are held
        self._begin()

    def _begin(self) -> None:
        """Hold nothing."""
        self._number = 0
        self._weight = 0.0
        self._held: list[Any] = []  # of each tag: what its values are so far, or a list
        self._when: tuple[float | None, float | None] = (None, None)

    def __len__(self) -> int:
        """Return how many values are held that are not logged yet."""
        return self._number

    def add(
        self,
        value: SupportsFloat | Mapping[str, SupportsFloat],
        weight: float = 1.0,
        step: float | None = None,
        time: float | None = None,
    ) -> None:
        """Take a value; log a point if it is the last one that is waited for.

        Parameters
        ----------
        value : float, or dict of str to float
            As in `annarchy_tb.Logger.add_scalar`. Where the window has several tags, a
            dict with a value for each of them.
        weight : float, default 1.0
            What it counts in a mean: the size of a batch, say. Not negative.
        step, time
            See `annarchy_tb.Logger`. The point has those of its last value.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what it must be. The value does not count then.
        """
        self._check(METHOD, self._label, step, time)
        numbers = self._numbers(value)
        weight = as_number(self._ledger.warn, METHOD, f"{self._label}: weight", weight)
        with naming(METHOD, self._label):
            if not (isfinite(weight) and weight >= 0):
                raise ValueError(f"weight must be 0 or more, got {describe(weight)}")
            if weight != 1.0 and self._reduce != "mean":
                raise ValueError("only a mean has weights")
        if self._number and self._process != os.getpid():
            self._begin()  # a fork's parent logs its own
        if not self._number:
            self._process = os.getpid()
            self._holding[self] = None
        if callable(self._reduce):
            self._held = self._held or [[] for _ in numbers]
            for values, number in zip(self._held, numbers, strict=True):
                values.append(number)
        else:
            if self._reduce == "mean":
                numbers = [number * weight for number in numbers]
            fold = FOLDS[self._reduce]
            self._held = list(map(fold, self._held, numbers)) if self._held else numbers
        self._number += 1
        self._weight += weight
        self._when = (step, time)
        if self._every is not None and self._number >= self._every:
            self.flush()

    def flush(self) -> None:
        """Log a point for the values that are held, if there are any.

        What a callable `reduce` raises comes out here; its values are dropped then.
        """
        number, held, weight = self._number, self._held, self._weight
        step, time = self._when
        self._begin()
        self._holding.pop(self, None)
        if not number or self._process != os.getpid():
            return
        if callable(self._reduce):
            held = [self._reduce(values) for values in held]
        elif self._reduce == "mean":
            held = [total / weight if weight else nan for total in held]
        values = dict(zip(self._tags, held, strict=True))
        self._log(METHOD, self._label, values, step, time)

    def _numbers(self, value: Any) -> list[float]:
        """Return the values of the tags, in their order."""
        if isinstance(self._tag, str):
            return [as_number(self._ledger.warn, METHOD, self._tag, value)]
        found = as_numbers(self._ledger.warn, METHOD, None, value)
        if found.keys() != set(self._tags):
            raise ValueError(
                f"{METHOD}: a value for each of {', '.join(map(repr, self._tags))} is "
                f"needed, got {', '.join(map(repr, found)) or 'none'}"
            )
        return [found[tag] for tag in self._tags]

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
