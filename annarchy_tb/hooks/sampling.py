"""The common part of all hooks: sources, checked at first and read at each sample.

The first sample decides the kind of each tag. Afterwards, all numbers go into one event
without further decisions, which makes samples cheap.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from annarchy_tb.hooks.pictures import Drawn, unwrapped
from annarchy_tb.inputs.clock import FEMTOSECONDS, in_time_unit, in_unit
from annarchy_tb.inputs.messages import describe, naming, raise_named, warn, where
from annarchy_tb.inputs.numbers import as_count, as_number
from annarchy_tb.inputs.tags import check_tag
from annarchy_tb.inputs.units import is_quantity, separate
from annarchy_tb.kinds.scalar import log_for
from annarchy_tb.logger import Logger
from annarchy_tb.measures import is_measure
from annarchy_tb.run.warned import Remark

METHOD = "sample"

Read = Callable[[], object]


class Sampler:
    """A callable that reads sources and logs their values.

    It does nothing once the Logger is closed.

    Parameters
    ----------
    logger
        The Logger.
    reads
        A function without arguments for each tag; or one with how its values are drawn.
        What a measure does not know is left out.
    time_unit
        The unit of the times passed; None if it is that of the Logger.
    optional
        The tags whose values were not meant for a Logger. Those that can't be drawn are
        left out, with one warning per tag.
    progress
        Called after each sample with its time, or its step if it has no time.
    """

    def __init__(
        self,
        logger: Logger,
        reads: Mapping[str, Read | Drawn],
        time_unit: str | None = None,
        optional: Collection[str] = (),
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self._logger = logger
        self._progress = progress
        self._optional = frozenset(optional)
        self._new: dict[str, Read] = {}
        self._numbers: dict[str, Read] = {}
        self._others: list[tuple[Callable[..., None], str, Read]] = []
        for tag, read in reads.items():
            if isinstance(read, Drawn):
                self._others.append((read.added_to(logger), tag, read.read))
            else:
                self._new[tag] = read
        self._measures = {tag for tag, read in reads.items() if is_measure(read)}
        self._factor = 1.0 if time_unit is None else factor(logger, time_unit)

    @property
    def ended(self) -> bool:
        """Whether the Logger is closed."""
        return self._logger.closed

    def __call__(self, step: int | None, time: float | None = None) -> None:
        """Read all sources, then log them. If one raises, nothing is logged."""
        if self._logger.closed:
            return
        numbers: dict[str, Any]
        numbers = {tag: read() for tag, read in self._numbers.items()}
        others = [(add, tag, read()) for add, tag, read in self._others]
        if self._new:
            self._begin(numbers, others)
        self._drop_unknown(numbers)
        for tag in self._optional.intersection(numbers):
            try:
                as_number(numbers[tag], lambda *_: None)
            except TypeError:
                self._leave_out(tag, f"got {describe(numbers.pop(tag))}")
        at = step if time is None else time
        if time is not None:
            time *= self._factor
        if numbers:
            log_for(self._logger, METHOD, None, numbers, step, time)
        for add, tag, value in others:
            try:
                add(tag, value, step, time=time)
            except (TypeError, ValueError) as error:
                if tag not in self._optional:
                    raise_named(METHOD, tag, error)
                    raise
                self._leave_out(tag, str(error))
        if self._progress is not None and at is not None:
            self._progress(at)

    def _begin(
        self,
        numbers: dict[str, Any],
        others: list[tuple[Callable[..., None], str, object]],
    ) -> None:
        """Read new sources, and choose how each is logged by its first value."""
        values = {tag: read() for tag, read in self._new.items()}
        self._drop_unknown(values)
        methods = {}
        for tag, value in values.items():
            try:
                methods[tag] = self._method(tag, value)
            except TypeError:
                if tag not in self._optional:
                    raise
                self._leave_out(tag, f"got {describe(value)}")
        for tag, add in methods.items():
            if add is None:
                self._numbers[tag] = self._new.pop(tag)
                numbers[tag] = values[tag]
            else:
                self._others.append((add, tag, self._new.pop(tag)))
                others.append((add, tag, values[tag]))
        tags = [*self._numbers, *(tag for _, tag, _ in self._others)]
        self._logger._run.phases.alike(tags)  # noqa: SLF001

    def _drop_unknown(self, values: dict[str, Any]) -> None:
        """Leave out what measures do not know."""
        for tag in self._measures.intersection(values):
            if values[tag] is None:
                del values[tag]

    def _leave_out(self, tag: str, why: str) -> None:
        """Warn once that values of a tag are left out."""
        message = f"values that can't be drawn are left out: {why}"
        remark = Remark(METHOD, (tag,), "left out", message)
        self._logger._run.warned.give([remark])  # noqa: SLF001

    def _method(self, tag: str, value: object) -> Callable[..., None] | None:
        """Return the Logger's method for this type of value; None for one number."""
        if value is None or isinstance(value, (str, bytes)):
            raise TypeError(
                f"{where(METHOD, tag)}: the source must return a number, several "
                f"numbers, a dict of numbers or a matplotlib Figure, got "
                f"{describe(value)}"
            )
        if is_number(value):
            return None
        if isinstance(value, Mapping) and value:
            names_and_numbers = (
                isinstance(key, str) and is_number(item) for key, item in value.items()
            )
            if all(names_and_numbers):
                return self._logger.add_scalars
        # While another thread imports the module, its class is missing.
        figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
        if figure is not None and isinstance(value, figure):
            return self._logger.add_figure
        return self._logger.add_histogram


def when_closed(logger: Logger, call: Callable[[], None]) -> None:
    """Call a function once the Logger is closed."""
    logger._run.ending.append(call)  # noqa: SLF001


def is_number(value: Any) -> bool:
    """Return whether a value is one number, which may be an array of one element."""
    if is_quantity(value):
        value = separate(value)[0]
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return math.prod(shape) == 1
    return hasattr(value, "__float__")


def factor(logger: Logger, unit: str) -> float:
    """Return the factor that converts times in `unit` to the Logger's unit.

    Warns if the Logger draws such times on top of each other.
    """
    longest = FEMTOSECONDS["ns"]
    together = FEMTOSECONDS[unit] <= longest < FEMTOSECONDS[logger.time_unit]
    if together and logger.enabled:
        warn(
            f"{METHOD}: the times are a few {unit}, and a Logger with time_unit="
            f"{logger.time_unit!r} draws them all in one place; use "
            f'Logger(time_unit="{unit}")'
        )
    return in_unit(unit, logger.time_unit)


# -- checks at the user's line ---------------------------------------------------------


def checked(
    logger: Logger,
    sources: Mapping[str, Any],
    as_read: Callable[[str, Any], Read | None],
    allowed: str,
) -> dict[str, Read | Drawn]:
    """Return the functions that read each source, and how they are to be drawn.

    Parameters
    ----------
    logger, sources
        As given by the user.
    as_read
        Called with a tag and a source, without how it is to be drawn; returns None if
        the source is invalid.
    allowed
        A description of valid sources, for the error.

    Raises
    ------
    TypeError, ValueError
        If one of them is invalid.
    """
    if not isinstance(logger, Logger):
        raise TypeError(f"{METHOD}: a Logger must come first, got {describe(logger)}")
    if not isinstance(sources, Mapping):
        raise TypeError(
            f"{METHOD}: sources must be a dict of sources by their tags, such as "
            f'{{"Rate": lambda: ...}}, got {describe(sources)}'
        )
    if not sources:
        raise ValueError(f"{METHOD}: there are no sources")
    reads: dict[str, Read | Drawn] = {}
    for tag, source in unwrapped(sources).items():
        check_tag(METHOD, tag)
        read = source if is_measure(source) else as_read(tag, source)
        if read is None:
            raise TypeError(
                f"{where(METHOD, tag)}: the source must be {allowed}, "
                f"got {describe(source)}"
            )
        given = sources[tag]
        reads[tag] = given.read_by(read) if isinstance(given, Drawn) else read
    return reads


def function(source: Any, *arguments: object) -> Read | None:
    """Return a callable with these arguments bound, None if it does not take them."""
    if not callable(source):
        return None
    try:
        inspect.signature(source).bind(*arguments)
    except TypeError:
        return None
    except ValueError:  # it has no signature
        pass
    return (lambda: source(*arguments)) if arguments else source


def attribute(tag: str, pair: Any) -> Read | None:
    """Return a function that reads ``pair[0].<pair[1]>``; None if it is not a pair."""
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], str)):
        return None
    owner, name = pair
    known = getattr(owner, "attributes", None)
    if name not in (known or ()) and not hasattr(owner, name):
        there = f"; it has {', '.join(map(repr, known))}" if known else ""
        raise ValueError(
            f"{where(METHOD, tag)}: the {type(owner).__name__} has no {name!r}{there}"
        )
    return lambda: getattr(owner, name)


def positive(every: Any, what: str, unit: str) -> float:
    """Return the time between two samples as a float in `unit`.

    Raises
    ------
    TypeError, ValueError
        If it is neither a number nor a time, or not positive and finite.
    """
    try:
        if isinstance(every, (str, bytes)):
            raise TypeError
        number = float(in_time_unit(every, unit, "every"))
    except (TypeError, ValueError):
        raise TypeError(
            f"{METHOD}: every must be {what}, got {describe(every)}"
        ) from None
    if not 0 < number < math.inf:
        raise ValueError(f"{METHOD}: every must be {what}, got {describe(every)}")
    return number


def whole(every: Any, of: str) -> int:
    """Return the number of steps between two samples; raise if it is not whole."""
    with naming(METHOD, None):
        return as_count("every", every, what=f"whole number of {of}")
