"""Texts, and descriptions of plots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.messages import naming, where
from annarchy_tb.inputs.numbers import as_text
from annarchy_tb.inputs.tags import check_tag
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import Value
from annarchy_tb.tfevents.records import Parts, bytes_field, metadata, value
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import TEXT
from annarchy_tb.tfevents.values import rows

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

METADATA = metadata(TEXT)

# -- logging ---------------------------------------------------------------------------


def add_text(
    self: Logger,
    tag: str,
    text: str,
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log a text.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    text : str
        Markdown, including tables and a safe subset of HTML.
    """
    with Entry(self._run, "add_text", tag, TEXT, step, time) as entry:
        entry.write(encode(tag, as_text("text", text)))


def encode(tag: str, text: str) -> Parts:
    """Encode a text.

    It is stored as a tensor of shape ``()``: TensorBoard draws a box around any other
    shape. Every event includes the metadata, since the tag's first event may be in
    another file (of a parent process or an earlier Logger), which may be gone.
    """
    tensor = bytes_field(TEXT.field, tensors.of_text(text))
    return value(tag, tensor, METADATA)


def describe(self: Logger, tag: str, text: str) -> None:
    """Describe a plot: TensorBoard shows the text above it, except in TIME SERIES.

    TensorBoard takes the text from the tag's first value, so call this before logging
    any.

    Parameters
    ----------
    tag
        See `Logger`. It may be of any kind, including a tag of `add_scalars`.
    text : str
        Markdown, for example the quantity and its unit. The unit of quantities is added
        if the text does not say it.

    Raises
    ------
    ValueError
        If this Logger has already logged the tag, with another description or none (and
        the run did not have the tag before).

    Notes
    -----
    In a run that is appended to, a tag logged before keeps its description, or has
    none. Tags logged through `writer` are not described.
    """
    method, run = "describe", self._run
    run.check_open()
    check_tag(method, tag)
    with naming(method, tag):
        plain = as_text("text", text)
    if not run.directory.describe(tag, plain):
        raise ValueError(
            f"{where(method, tag)}: the tag already has values, and TensorBoard takes "
            f"the description from the first one; call describe before logging it"
        )


# -- reading back ----------------------------------------------------------------------


class Texts(NamedTuple):
    """The texts of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    texts : list of N str
        The texts of a tensor are joined by line breaks.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    texts: list[str]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]


def read(blocks: Iterable[Block], tag: str) -> Texts:
    """Return the texts of a tag; there may be none."""
    return Texts(*rows(blocks, TEXT, tag, decode))


def decode(value: Value) -> Iterator[str]:
    """Yield the text in a value."""
    strings = tensors.strings(value)
    yield "\n".join(string.decode(errors="replace") for string in strings)
