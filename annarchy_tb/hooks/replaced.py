"""A method of one object, replaced while a Logger samples it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from annarchy_tb.hooks.sampling import when_closed
from annarchy_tb.logger import Logger


class Replaced:
    """A method of one object that does more, until the Logger is closed.

    Several may replace the same method, and end in any order. A copy of the object has
    the original method, also if it is pickled.

    Parameters
    ----------
    logger
        The Logger.
    owner, name
        The object, and the name of its method.
    around
        Called with the original method, and the arguments.
    """

    def __init__(
        self, logger: Logger, owner: Any, name: str, around: Callable[..., Any]
    ) -> None:
        self._owner = weakref.ref(owner)
        self._name = name
        self._around: Callable[..., Any] | None = around
        self._was_own = name in vars(owner)
        self._original = getattr(owner, name)
        setattr(owner, name, self)
        # A Logger must not keep the object alive.
        end = weakref.WeakMethod(self._end)
        when_closed(logger, lambda: (end() or _nothing)())

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if self._around is None:
            return self._original(*arguments, **keywords)
        return self._around(self._original, *arguments, **keywords)

    def _end(self) -> None:
        """Put the original back, as soon as nothing else is in front of it."""
        self._around = None
        owner = self._owner()
        if owner is None:
            return
        front = vars(owner).get(self._name)
        while isinstance(front, Replaced) and front._around is None:  # noqa: SLF001
            if not front._was_own:  # noqa: SLF001
                delattr(owner, self._name)
                return
            front = front._original  # noqa: SLF001
            setattr(owner, self._name, front)

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self._original,)


def _same(method: Any) -> Any:
    return method


def _nothing() -> None:
    """Do nothing: the object is gone."""
