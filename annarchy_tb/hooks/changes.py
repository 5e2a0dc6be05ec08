"""Sources whose values are logged when they change, and drawn as steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from annarchy_tb.hooks.pictures import Drawn
from annarchy_tb.hooks.sampling import METHOD, Read, Sampler, is_number
from annarchy_tb.logger import Logger
from annarchy_tb.measures import is_measure
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents.schema import SCALAR


class Changes:
    """A callable that reads sources, and logs the values that are not the last ones.

    Before a number changes, its last value is drawn again, so that TensorBoard shows
    steps and not ramps. It is drawn one step before the change if that is free, at the
    time of the change.

    Parameters
    ----------
    logger
        The Logger; its time unit is that of the times passed.
    reads
        A function without arguments for each tag.
    progress
        Called with each time.
    """

    def __init__(
        self,
        logger: Logger,
        reads: Mapping[str, Read | Drawn],
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self._logger = logger
        self._progress = progress
        self._reads: dict[str, Read] = {
            tag: read.source if isinstance(read, Drawn) else read
            for tag, read in reads.items()
        }
        self._changing = {tag: _Changing(logger, tag, reads[tag]) for tag in reads}

    def __call__(self, time: float) -> None:
        """Read all sources, then log what changed. If one raises, nothing is logged."""
        if self._logger.closed:
            return
        values = {tag: read() for tag, read in self._reads.items()}
        for tag, value in values.items():
            if value is None and is_measure(self._reads[tag]):
                continue
            changing = self._changing[tag]
            if not _same(value, changing.value):
                changing.log(value, time)
        if self._progress is not None:
            self._progress(time)


NOTHING: Any = object()  # before the first value


class _Changing:
    """The last value of one tag, and its step if it is counted from time.

    Attributes
    ----------
    value : object
        The last value, or `NOTHING`.
    """

    value: Any

    def __init__(self, logger: Logger, tag: str, read: Read | Drawn) -> None:
        self.value = NOTHING
        self._logger = logger
        self._tag = tag
        self._step: int | None = None
        self._is_picture = isinstance(read, Drawn)

        def last() -> object:
            return self.value

        its = read.read_by(last) if isinstance(read, Drawn) else last
        self._sampler = Sampler(logger, {tag: its})

    def log(self, value: object, time: float) -> None:
        """Log another value, after the last one is drawn again."""
        step = self._logger._run.clock.step(time)  # noqa: SLF001
        if step is not None and self._step is not None:
            # Changes that are closer than dt take the steps that follow.
            step = max(step, self._step + 1)
        before = self.value
        if not self._is_picture and _is_drawn_as_steps(before):
            if step is None:
                self._repeat(before, None, time)
            elif self._step is not None and step - 1 > self._step:
                self._repeat(before, step - 1, time)
        self.value, self._step = _kept(value), step
        self._sampler(step, time)

    def _repeat(self, value: Any, step: int | None, time: float) -> None:
        run, tag = self._logger._run, self._tag  # noqa: SLF001
        keys = list(value) if isinstance(value, Mapping) else [None]
        places = [
            (run.directory if key is None else run.directory.curve(key), (tag,))
            for key in keys
        ]
        with Entry(run, METHOD, tag, SCALAR, step, time, places=places) as entry:
            if isinstance(value, Mapping):
                numbers = entry.numbers(value)
            else:
                numbers = [entry.number(value, tag)]
            entry.write_repeated(numbers)


def _is_drawn_as_steps(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(map(is_number, value.values()))
    return value is not NOTHING and is_number(value)


def _same(value: Any, last: Any) -> bool:
    """Return whether a value is the last one; NaN is."""
    if type(value) is type(last) and isinstance(value, (int, float)):
        return bool(value == last) or (value != value and last != last)
    if last is NOTHING:
        return False
    if isinstance(value, Mapping) and isinstance(last, Mapping):
        return value.keys() == last.keys() and all(
            _same(value[key], last[key]) for key in value
        )
    if isinstance(value, (list, tuple)) and isinstance(last, (list, tuple)):
        pairs = zip(value, last, strict=False)
        return len(value) == len(last) and all(_same(*pair) for pair in pairs)
    try:
        return bool(np.all(value == last)) and np.shape(value) == np.shape(last)
    except Exception:  # whatever its package raises
        return False


def _kept(value: Any) -> Any:
    """Return a value that does not change any more."""
    return value if isinstance(value, (int, float)) else copy.deepcopy(value)
