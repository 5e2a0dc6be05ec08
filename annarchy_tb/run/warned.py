"""Warnings that are given once a tag and subject."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from annarchy_tb.inputs.messages import warn, where


class Remark(NamedTuple):
    """Something that the user should know about a call.

    Attributes
    ----------
    method : str
        The method that was called.
    tag : str or None
        The tag that it is about.
    subject : str
        What it is about: a later remark on the same subject and tag is not given.
    message : str
        The text.
    """

    method: str
    tag: str | None
    subject: str
    message: str


class Warned:
    """The subjects that users of one run were warned of, tag by tag."""

    _given: set[tuple[str | None, str]]

    def __init__(self) -> None:
        self._given = set()

    def give(self, remarks: Iterable[Remark]) -> None:
        """Warn at the user's line of what is new among these remarks.

        Where warnings are errors, the first one is raised, and none of these remarks
        counts as given.
        """
        new = []
        try:
            for remark in remarks:
                key = (remark.tag, remark.subject)
                if key not in self._given:
                    self._given.add(key)
                    new.append(key)
                    warn(f"{where(remark.method, remark.tag)}: {remark.message}")
        except BaseException:
            self._given.difference_update(new)
            raise
