"""Texts, and the texts that describe plots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.messages import naming, where
from annarchy_tb.inputs.numbers import as_text
from annarchy_tb.inputs.tags import check_tag
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import Value
from annarchy_tb.tfevents.records import Parts, bytes_field, plugin, value
from annarchy_tb.tfevents.scan import Block, rows
from annarchy_tb.tfevents.schema import METADATA, TEXT

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

PLUGIN = bytes_field(METADATA, plugin(TEXT.plugin))

# -- logging ---------------------------------------------------------------------------


def add_text(
    self: Logger,
    tag: str,
    text: str,
    step: SupportsFloat | None = None,
    *,
    time: SupportsFloat | None = None,
) -> None:
    """Log a text.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    text : str
        Markdown, with tables and a safe part of HTML.
    """
    with Entry(self._run, "add_text", tag, TEXT, step, time) as entry:
        entry.write(encode(tag, as_text("text", text)))


def encode(tag: str, text: str) -> Parts:
    """Encode a text.

    It is a tensor of shape ``()``: TensorBoard draws a box around any other shape.
    Every event carries its metadata, because the tag's first event may be in another
    file (of a parent process, or of an earlier Logger), and that file may be gone.
    """
    tensor = bytes_field(TEXT.field, tensors.of_text(text))
    return value(tag, tensor, PLUGIN)


def describe(self: Logger, tag: str, text: str) -> None:
    """Describe a plot: TensorBoard shows the text above it.

    TensorBoard takes the text from the tag's first value, so call this before logging
    any. (TIME SERIES does not show descriptions.)

    Parameters
    ----------
    tag
        See `Logger`; of any kind, including one of `add_scalars`.
    text : str
        Markdown: what is measured, for example, and in which unit.

    Raises
    ------
    ValueError
        If this Logger has logged the tag already, with another text or none (and the
        tag was not in the run before).

    Notes
    -----
    In a run that is appended to, a tag that was logged before keeps the text that it
    had then, or none. Tags logged through `writer` are not described.
    """
    method, run = "describe", self._run
    run.check_open()
    check_tag(method, tag)
    with naming(method, tag):
        plain = as_text("text", text)
    if not run.directory.describe(tag, plain):
        raise ValueError(
            f"{where(method, tag)}: the tag has values already, and TensorBoard takes "
            f"its description from the first one; call describe before it"
        )


def say_unit(self: Logger, method: str, tag: str, unit: str) -> None:
    """Give the unit of a tag as its description, unless it has one by the user.

    Raises
    ------
    ValueError
        If an earlier call gave it another unit.
    """
    known = self._run.units.setdefault(tag, unit)
    if known != unit:
        raise ValueError(
            f"{where(method, tag)}: its values are in {known}, and these would be in "
            f"{unit}; give the unit, or take another tag"
        )
    directory = self._run.directory
    if tag not in directory.descriptions:
        directory.describe(tag, f"in {unit}")  # where it is too late, it has none


# -- reading back ----------------------------------------------------------------------


class Texts(NamedTuple):
    """The texts of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    texts : list of N str
        A tensor of several texts is joined by line breaks.
    times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    texts: list[str]
    times: NDArray[np.float64]


def read(blocks: Iterable[Block], tag: str) -> Texts:
    """Return the texts of a tag; there may be none."""
    return Texts(*rows(blocks, TEXT, tag, lambda value: [decode(value)]))


def decode(value: Value) -> str:
    """Return the text that a value holds."""
    strings = tensors.strings(value)
    return "\n".join(string.decode(errors="replace") for string in strings)
