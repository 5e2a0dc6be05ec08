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
    if not isinstance(show, Iterable):
        raise TypeError(f"track: show must be tags, got {describe(show)}")
    tags = (show,) if isinstance(show, str) else tuple(show)
    for tag in tags:
        check_tag("track", tag)
    return _bar(items, self.last, tags, visible if self.enabled else False)


def _bar(
    items: Iterable[Item],
    last: Last,
    show: tuple[str, ...],
    visible: bool | None,
) -> tqdm[Item]:
    """Return a progress bar over `items`, followed by some of the last values."""
    with importing:
        from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # no thread

        @property
        def format_dict(self) -> dict[str, Any]:
            """The parts of the bar; read whenever it is drawn."""
            parts = dict(super().format_dict)
            found = last.read() if show else {}
            shown = ", ".join(
                f"{tag} {_short(found[tag])}" for tag in show if tag in found
            )
            own = parts["postfix"]
            both = ", ".join(filter(None, (own, shown)))
            return {**parts, "postfix": both or None}

    hidden = None if visible is None else not visible
    if sys.stderr is None:  # as in a service, whose standard streams are closed
        hidden = True
    bar: tqdm[Item] = Bar(items, disable=hidden)
    return bar


def _short(value: float | dict[str, float]) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {number:.4g}" for key, number in value.items())
    return f"{value:.4g}"
