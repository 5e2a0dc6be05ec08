"""Warnings that are given once per tag and subject."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from annarchy_tb.inputs.messages import warn, warn_anyway, where
from annarchy_tb.run.order import APPENDED, INHERITED

RUN_NAME = "run name"
ONCE = frozenset({APPENDED, INHERITED, RUN_NAME})  # subjects of the whole run


class Remark(NamedTuple):
    """A warning about a call.

    Attributes
    ----------
    method : str
        The method that was called.
    tags : tuple of str
        The tags concerned.
    subject : str
        The subject: later remarks with the same subject and tags are not given.
    message : str
        The text.
    """

    method: str
    tags: tuple[str, ...]
    subject: str
    message: str


class Warned:
    """The tags and subjects that warnings of one run were given about.

    Parameters
    ----------
    quiet
        Give none: the process that writes the run does.
    """

    _quiet: bool
    _given: set[tuple[str | None, str]]
    _anyway: bool  # a warning is never an error

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._given = set()
        self._anyway = False

    @contextlib.contextmanager
    def anyway(self) -> Iterator[None]:
        """Log warnings that are errors: who is cleaning up must come to an end."""
        before, self._anyway = self._anyway, True
        try:
            yield
        finally:
            self._anyway = before

    def give(self, remarks: Iterable[Remark]) -> None:
        """Give new ones among these remarks as warnings, at the user's line.

        If warnings are errors, the first one is raised, and none of these remarks
        counts as given.
        """
        if self._quiet:
            return
        new: list[tuple[str | None, str]] = []
        try:
            for remark in remarks:
                subject = remark.subject
                about = [None] if subject in ONCE else remark.tags
                keys = [(tag, subject) for tag in about]
                keys = [key for key in keys if key not in self._given]
                if keys:
                    self._given.update(keys)
                    new += keys
                    tags = [tag or ", ".join(remark.tags) for tag, _ in keys]
                    place = where(remark.method, ", ".join(tags))
                    say = warn_anyway if self._anyway else warn
                    say(f"{place}: {remark.message}")
        except BaseException:
            self._given.difference_update(new)
            raise
