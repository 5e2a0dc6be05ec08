"""Sources that are logged as pictures, when a hook samples them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat, SupportsIndex

from annarchy_tb.inputs.groups import as_groups
from annarchy_tb.inputs.limits import limit, limits
from annarchy_tb.inputs.messages import naming
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.inputs.units import is_quantity
from annarchy_tb.kinds.colours import named
from annarchy_tb.kinds.image import check_range
from annarchy_tb.kinds.raster import MOST, check_duration
from annarchy_tb.logger import Logger


class Drawn:
    """A source, and the method of the Logger that draws its values.

    Parameters
    ----------
    source
        As given by the user, or a function that reads it.
    method
        The name of the method.
    options
        Its keyword arguments.
    start
        Called for each value, for the keyword argument of that name.
    """

    __slots__ = ("_method", "_options", "_start", "source")

    def __init__(
        self,
        source: Any,
        method: str,
        options: Mapping[str, Any],
        start: Callable[[], object] | None = None,
    ) -> None:
        self.source = source
        self._method = method
        self._options = options
        self._start = start

    def read_by(self, read: Callable[[], object]) -> Drawn:
        """Return the same with a function that reads the source."""
        return Drawn(read, self._method, self._options, self._start)

    def read(self) -> tuple[object, dict[str, object]]:
        """Return the value of a source that is a function, and what goes with it."""
        moving = {} if self._start is None else {"start": self._start()}
        return self.source(), moving

    def added_to(self, logger: Logger) -> Callable[..., None]:
        """Return a function that logs what `read` returned."""
        method = getattr(logger, self._method)

        def add(tag: str, found: Any, step: int | None, *, time: float | None) -> None:
            value, moving = found
            method(tag, value, step, time=time, **self._options, **moving)

        return add


def raster(
    source: Any,
    *,
    start: SupportsFloat | Callable[[], SupportsFloat] | None = None,
    duration: SupportsFloat | None = None,
    bins: SupportsIndex | None = None,
    groups: Mapping[str, Any] | None = None,
) -> Drawn:
    """Return a source of spikes that hooks log with ``add_raster``.

    Parameters
    ----------
    source : object
        A source of any hook, such as a callable, that gives spikes in one of the forms
        that ``add_raster`` takes.
    start : float, quantity or callable, optional
        As in ``add_raster``; or a callable without arguments, called at each sample,
        for an axis that moves: ``start=lambda: net.current_step - 100``.
    duration, bins, groups
        As in ``add_raster``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    """
    with naming("raster", None):
        if not (is_quantity(start) or callable(start)):
            limit("start", start)
        if not is_quantity(duration):
            check_duration(limit("duration", duration))
        if bins is not None:
            as_count("bins", bins, MOST)
        # Where a slice ends may depend on the number of neurons.
        if groups is not None and not _has_slices(groups):
            as_groups(groups, None)
    moving = start if callable(start) else None
    options: dict[str, object] = {"duration": duration, "bins": bins, "groups": groups}
    if moving is None:
        options["start"] = start
    return Drawn(source, "add_raster", options, moving)


def matrix(
    source: Any,
    *,
    vmin: SupportsFloat | None = None,
    vmax: SupportsFloat | None = None,
    cmap: str | None = None,
) -> Drawn:
    """Return a source of weights that hooks log with ``add_matrix``.

    Parameters
    ----------
    source : object
        A source of any hook, such as a callable, that gives weights in one of the forms
        that ``add_matrix`` takes.
    vmin, vmax, cmap
        As in ``add_matrix``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    """
    with naming("matrix", None):
        _check_colours(vmin, vmax, cmap)
    return Drawn(source, "add_matrix", {"vmin": vmin, "vmax": vmax, "cmap": cmap})


def image(
    source: Any,
    *,
    equalize: bool = False,
    vmin: SupportsFloat | None = None,
    vmax: SupportsFloat | None = None,
    cmap: str | None = None,
) -> Drawn:
    """Return a source of images that hooks log with ``add_image``.

    Parameters
    ----------
    source : object
        A source of any hook, such as a callable, that gives images of a shape that
        ``add_image`` takes.
    equalize, vmin, vmax, cmap
        As in ``add_image``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    """
    with naming("image", None):
        check_range(equalize, vmin, vmax)
        _check_colours(vmin, vmax, cmap)
    options = {"equalize": equalize, "vmin": vmin, "vmax": vmax, "cmap": cmap}
    return Drawn(source, "add_image", options)


def unwrapped(sources: Mapping[str, Any]) -> dict[str, Any]:
    """Return sources as if none of them was to be drawn."""
    return {
        tag: source.source if isinstance(source, Drawn) else source
        for tag, source in sources.items()
    }


def _check_colours(vmin: object, vmax: object, cmap: object) -> None:
    # Quantities are compared in the unit of the values.
    if not (is_quantity(vmin) or is_quantity(vmax)):
        limits(vmin, vmax)
    if cmap is not None:
        named(cmap)


def _has_slices(groups: object) -> bool:
    return isinstance(groups, Mapping) and any(
        isinstance(its, slice) for its in groups.values()
    )
