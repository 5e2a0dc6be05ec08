"""What each tag of a run is, where its steps stand, and what was said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from annarchy_tb.clock import MIN_STEP
from annarchy_tb.messages import describe, warn, where

NEVER = MIN_STEP - 1  # the last step of a tag that has none

History = Iterable[tuple[str, str, int]]  # tag, kind, step


class Series:
    """One tag: its kind (``""`` while unknown) and its last step."""

    __slots__ = ("kind", "last", "tag")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.kind = ""
        self.last = NEVER


class Ledger:
    """The tags of one directory.

    Parameters
    ----------
    history
        Called at most once, when a step has to be counted on: gives the tag, kind and
        step of everything that the directory held before.
    """

    def __init__(self, history: Callable[[], History] = tuple) -> None:
        self._series: dict[str, Series] = {}
        self._history: Callable[[], History] | None = history
        self._warned: set[tuple[str, str]] = set()

    def series(self, method: str, tag: str, kind: str) -> Series:
        """Return the series of `tag`, which must be free for data of this kind."""
        series = self._series.get(tag) or self._series.setdefault(tag, Series(tag))
        if series.kind and kind and series.kind != kind:
            raise ValueError(
                f"{where(method, tag)}: the tag already holds data of kind "
                f"{series.kind!r}, and TensorBoard shows one kind a tag; take another "
                f"tag for data of kind {kind!r}"
            )
        series.kind = series.kind or kind
        return series

    def note(self, tag: str, kind: str, step: int) -> None:
        """Enter what was written without being asked about."""
        series = self._series.get(tag) or self._series.setdefault(tag, Series(tag))
        series.kind = series.kind or kind
        series.last = max(series.last, step)

    def read_history(self) -> None:
        """Enter what the directory held before, for tags that have no step yet."""
        if self._history is None:
            return
        history, self._history = self._history, None
        known = {tag for tag, series in self._series.items() if series.last != NEVER}
        for tag, kind, step in history():
            if tag not in known:
                self.note(tag, kind, step)

    def __contains__(self, tag: str) -> bool:
        self.read_history()
        return tag in self._series

    def warn(self, method: str, tag: str, about: str, message: str) -> None:
        """Warn at the user's line, once a tag and what it is about."""
        if (tag, about) not in self._warned:
            self._warned.add((tag, about))
            warn(f"{where(method, tag)}: {message}")

    def last_step(self, series: Series) -> int:
        """Return the tag's last step, or NEVER."""
        if series.last == NEVER:
            self.read_history()
        return series.last

    def check_order(self, method: str, series: Series, step: int) -> None:
        """Warn where `step` does not come after the tag's last one."""
        if step <= series.last:
            self.warn(
                method,
                series.tag,
                "order",
                f"step {step} comes after step {series.last}; TensorBoard hides the "
                f"points of this tag from step {step} on. Steps should increase: leave "
                f"step out to count on",
            )


def check_tag(method: str, tag: object) -> None:
    """Raise if `tag` can't be one."""
    if not isinstance(tag, str):
        raise TypeError(
            f"{method}: tag must be a str and come first, got {describe(tag)}"
        )
    if not tag:
        raise ValueError(f"{method}: tag must not be empty")
    try:
        tag.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where(method, tag)}: tag must be valid Unicode") from None
