"""Warnings that are given once per tag and subject."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from annarchy_tb.inputs.messages import warn, warn_anyway, where
from annarchy_tb.run.order import APPENDED


class Remark(NamedTuple):
    """A warning about a call.

    Attributes
    ----------
    method : str
        The method that was called.
    tag : str or None
        The tag concerned.
    subject : str
        The subject: later remarks with the same subject and tag are not given.
    message : str
        The text.
    """

    method: str
    tag: str | None
    subject: str
    message: str


class Warned:
    """The tags and subjects that warnings of one run were given about."""

    _given: set[tuple[str | None, str]]
    _anyway: bool  # a warning is never an error

    def __init__(self) -> None:
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
        new = []
        try:
            for remark in remarks:
                subject = remark.subject
                # Of a run that was appended to, one warning is enough for all tags.
                key = (None if subject == APPENDED else remark.tag, subject)
                if key not in self._given:
                    self._given.add(key)
                    new.append(key)
                    say = warn_anyway if self._anyway else warn
                    say(f"{where(remark.method, remark.tag)}: {remark.message}")
        except BaseException:
            self._given.difference_update(new)
            raise
