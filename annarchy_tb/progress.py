"""A progress bar that shows the last values, for long loops."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.tags import check_tag

if TYPE_CHECKING:
    from tqdm.auto import tqdm

    from annarchy_tb.logger import Logger
    from annarchy_tb.reading.last import Last

Item = TypeVar("Item")


def track(
    self: Logger,
    items: Iterable[Item],
    show: str | Sequence[str] = (),
    *,
    visible: bool | None = None,
) -> tqdm[Item]:
    """Return `items` with a progress bar, for a long loop.

    Parameters
    ----------
    items : iterable
        The items of the loop.
    show : str, or sequence of str
        Tags whose last values are shown after the bar.
    visible : bool, optional
        Whether to show the bar. By default it is shown on a terminal and in notebooks,
        but not in the output files of batch jobs. A disabled Logger shows none.

    Returns
    -------
    tqdm.auto.tqdm
        The bar, with ``set_description`` and all its other methods. It starts no
        thread.

    Examples
    --------
    >>> from annarchy_tb import Logger
    >>> with Logger("runs", "tracked") as logger:
    ...     for trial in logger.track(range(100), show="Accuracy"):
    ...         logger.add_scalar("Accuracy", trial / 100, trial)
    """
    self._run.check_open()
    if not isinstance(items, Iterable):
        raise TypeError(
            f"track: items must be iterable, such as range(100), got {describe(items)}"
        )
    bar = bar_class(self.last, as_tags("track", show))
    hidden = None if visible is None else not visible
    # A service may have closed its standard streams.
    if sys.stderr is None or not self.enabled:
        hidden = True
    made: tqdm[Item] = bar(items, disable=hidden)
    return made


def as_tags(method: str, show: str | Sequence[str]) -> tuple[str, ...]:
    """Return the tags to show, which a method was given; raise TypeError if invalid."""
    if not isinstance(show, Iterable):
        raise TypeError(f"{method}: show must be tags, got {describe(show)}")
    tags = (show,) if isinstance(show, str) else tuple(show)
    for tag in tags:
        check_tag(method, tag)
    return tags


def bar_class(last: Last, show: tuple[str, ...]) -> Any:
    """Return a class of progress bars that show some of the last values."""
    with importing:
        from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # no thread

        @property
        def format_dict(self) -> dict[str, Any]:
            """The parts of the bar; read whenever it is drawn."""
            parts = dict(super().format_dict)
            shown = last_values(last, show)
            own = parts["postfix"]
            both = ", ".join(filter(None, (own, shown)))
            return {**parts, "postfix": both or None}

    return Bar


def last_values(last: Last, show: tuple[str, ...]) -> str:
    """Return some of the last values as a text."""
    found = last.read() if show else {}
    return ", ".join(f"{tag} {_short(found[tag])}" for tag in show if tag in found)


def _short(value: float | dict[str, float]) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {number:.4g}" for key, number in value.items())
    return f"{value:.4g}"
