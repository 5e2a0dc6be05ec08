"""Kind, last step and time of each tag of a run, and the warnings given about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable

from annarchy_tb.inputs.clock import MAX_STEP, MIN_STEP
from annarchy_tb.inputs.messages import describe, warn, where

NEVER = MIN_STEP - 1  # the last step of a tag without steps

COUNT_ON = "leave step out to count automatically"
AFTER_RESET = "let time continue, or make a new Logger"

RUN_TABLE = "run"  # the tag of the table that describes the run

History = Iterable[tuple[str, str, int]]  # tag, kind, step


class Series:
    """State of one tag, or of several tags always logged together.

    It holds their kind (``""`` while unknown), their last step, the wall time at which
    their last simulated time is drawn, and the number of tags.
    """

    __slots__ = ("kind", "last", "number", "time")

    def __init__(
        self, kind: str = "", last: int = NEVER, time: float = -math.inf
    ) -> None:
        self.kind = kind
        self.last = last
        self.time = time
        self.number = 0


class Ledger:
    """The tags of one directory.

    Parameters
    ----------
    history
        Called at most once, when the first tag is entered; returns the tag, kind and
        step of all earlier data in the directory.

    Attributes
    ----------
    groups : dict
        Results of `together`, by their tags; emptied when they become invalid.
    """

    def __init__(self, history: Callable[[], History] = tuple) -> None:
        self._series: dict[str, Series] = {}
        self._history: Callable[[], History] | None = history
        self._earlier: frozenset[str] = frozenset()
        self._warned: set[tuple[str | None, str]] = set()
        self.groups: dict[tuple[str, ...], list[Series]] = {}

    def series(self, method: str, tag: str, kind: str) -> Series:
        """Return the series of `tag` alone; raise if it holds another kind of data."""
        series = self._series.get(tag)
        if series is not None and series.number == 1 and series.kind == kind:
            return series
        return self.together(method, (tag,), kind)[0]

    def together(self, method: str, tags: tuple[str, ...], kind: str) -> list[Series]:
        """Return the series of tags that are logged together.

        Tags always logged together share one series, so that a single lookup places
        them all; there may be fewer series than tags.
        """
        for tag in tags:
            self.check(method, tag, kind)
        found = self._gather(tags)
        for series in found:
            series.kind = series.kind or kind
        if len(tags) > 1:
            self.groups[tags] = found
        return found

    def note(self, tag: str, kind: str, step: int) -> None:
        """Enter data that were written without being checked or placed."""
        [series] = self._gather((tag,))
        series.kind = series.kind or kind
        series.last = max(series.last, step)

    def place(
        self,
        method: str,
        tag: str | None,
        group: Collection[Series],
        step: int | None,
        time: float | None = None,
    ) -> int:
        """Return the step at which all these series continue.

        `time` is the wall time at which simulated time is drawn, if it was given.
        """
        last = max([series.last for series in group])
        back = time is not None and time < max([series.time for series in group])
        if step is None:
            if last == MAX_STEP:
                after = where(method, tag)
                raise ValueError(f"{after}: step can't be left out after {MAX_STEP}")
            step = 0 if last == NEVER else last + 1
        elif step <= last:
            self.warn_order(method, tag, step, last, back)
            return step
        if back:
            self.warn_time(method, tag)
        return step

    def _gather(self, tags: tuple[str, ...]) -> list[Series]:
        """Return the series of exactly these tags, split off from all others."""
        self._read_history()
        new = Series()
        members: dict[Series, list[str]] = {}
        for tag in tags:
            members.setdefault(self._series.get(tag, new), []).append(tag)
        found = []
        for series, its in members.items():
            if series.number > len(its):
                series.number -= len(its)
                series = Series(series.kind, series.last, series.time)
                self.groups.clear()
            if not series.number:
                series.number = len(its)
                self._series.update(dict.fromkeys(its, series))
            found.append(series)
        return found

    def check(self, method: str, tag: str, kind: str) -> None:
        """Raise if the tag holds another kind of data."""
        self._read_history()
        series = self._series.get(tag)
        if series is not None and series.kind and kind and series.kind != kind:
            raise ValueError(
                f"{where(method, tag)}: the tag already holds data of kind "
                f"{series.kind!r}, and TensorBoard shows one kind per tag; use another "
                f"tag for data of kind {kind!r}"
            )

    def _read_history(self) -> None:
        if self._history is not None:
            history, self._history = self._history, None
            for tag, kind, step in history():
                self.note(tag, kind, step)
            self._earlier = frozenset(self._series)

    def has_begun(self, tag: str) -> bool:
        """Return whether a tag was entered and is not part of the history."""
        return tag in self._series and tag not in self._earlier

    def __contains__(self, tag: str) -> bool:
        self._read_history()
        return tag in self._series

    def warn(self, method: str, tag: str | None, about: str, message: str) -> None:
        """Warn at the user's line, once per tag and subject `about`."""
        if (tag, about) not in self._warned:
            self._warned.add((tag, about))
            try:
                warn(f"{where(method, tag)}: {message}")
            except BaseException:  # if warnings are errors, raise every time
                self._warned.discard((tag, about))
                raise

    def warn_order(
        self, method: str, tag: str | None, step: int, last: int, back: bool = False
    ) -> None:
        """Warn that `step` does not exceed `last`; `back` if time went back, too."""
        advice = f"after a reset of the network, {AFTER_RESET}" if back else COUNT_ON
        self.warn(
            method,
            tag,
            "order",
            f"step {step} comes after step {last}; TensorBoard hides the points of "
            f"this tag from step {step} on. Steps should increase: {advice}",
        )

    def warn_time(self, method: str, tag: str | None) -> None:
        """Warn that simulated time goes back."""
        self.warn(
            method,
            tag,
            "time",
            f"simulated time goes back; on the RELATIVE axis, TensorBoard draws new "
            f"points over earlier ones. After a reset of the network, {AFTER_RESET}",
        )


def check_tag(method: str, tag: object) -> None:
    """Raise if `tag` is not a valid tag."""
    if not isinstance(tag, str):
        raise TypeError(
            f"{method}: tag must be a str and come first, got {describe(tag)}"
        )
    if not tag:
        raise ValueError(f"{method}: tag must not be empty")
    if tag == RUN_TABLE:
        raise ValueError(
            f"{where(method, tag)}: this tag is reserved for the table of the run; use "
            f"another, such as 'Run'"
        )
    if tag.startswith("_hparams_/"):
        raise ValueError(f"{where(method, tag)}: TensorBoard reserves this name")
    try:
        tag.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where(method, tag)}: tag must be valid Unicode") from None
