"""Caches of bounded size, keyed by names in the order in which they were given."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

LIMIT = 10_000  # names, of all entries together: a few MiB

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """What was found out about tuples of names, to be found again quickly.

    Users may give the same names in any order, or ever new selections. So everything is
    dropped when the entries together have more than `LIMIT` names.

    Attributes
    ----------
    found : dict
        The entries, for those who look them up; others add and drop them. It is a plain
        dict, the fastest one.
    """

    found: dict[Any, Value]
    _names: int

    def __init__(self) -> None:
        self.found = {}
        self._names = 0

    def add(self, key: Any, value: Value, names: int) -> None:
        """Add an entry for so many names."""
        if self._names + names > LIMIT:
            self.clear()
        self.found[key] = value
        self._names += names

    def clear(self) -> None:
        """Drop all entries."""
        self.found.clear()
        self._names = 0
