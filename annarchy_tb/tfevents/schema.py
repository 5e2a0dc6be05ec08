"""The kinds of data in event files: a row each, which all other modules look up.

The field numbers are those of ``Summary.Value`` in TensorFlow's ``summary.proto``, and
the data classes those of its ``DataClass``
(https://github.com/tensorflow/tensorboard, ``tensorboard/compat/proto``).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

TAG, TENSOR, METADATA = 1, 8, 9  # fields of Summary.Value that belong to no kind

# Fields of Event that TensorFlow does not have, and TensorBoard passes over: the
# doubles of all numbers of the event in their order, the simulated time as it was
# given, the real time of the call, in seconds since 1970, the number of the block of
# recordings that the event was drawn from, and what begins, moves or ends a phase.
DOUBLES, TIME, REAL_TIME, BLOCK, PHASE = 1000, 1001, 1002, 1003, 1004

# In place of the number of a block: what is drawn repeats the value before it, and is
# no point of the run.
REPEATED = 0xFFFFFFFF


SCALARS, TENSORS, BLOBS = 1, 2, 3  # classes of data

HPARAMS = "hparams"  # a plugin that has no row below


class Kind(NamedTuple):
    """A kind of data.

    Attributes
    ----------
    name : str
        Its name, and that of its module in ``annarchy_tb.kinds``.
    plugin : str
        The plugin of TensorBoard that shows it.
    data_class : int
        The class of its data: `SCALARS`, `TENSORS` or `BLOBS`.
    field : int
        The field of ``Summary.Value`` that holds it.
    shown_as : {"png", "numbers", "text", "html"}
        How a reader shows it.
    """

    name: str
    plugin: str
    data_class: int
    field: int
    shown_as: Literal["png", "numbers", "text", "html"]


KINDS = (
    SCALAR := Kind("scalar", "scalars", SCALARS, 2, "numbers"),
    IMAGE := Kind("image", "images", BLOBS, 4, "png"),
    HISTOGRAM := Kind("histogram", "histograms", TENSORS, 5, "numbers"),
    AUDIO := Kind("audio", "audio", BLOBS, 6, "html"),
    TEXT := Kind("text", "text", TENSORS, TENSOR, "text"),
    # TensorBoard shows a text that is made of it; the field is one of ours.
    HTML := Kind("html", "text", TENSORS, 1005, "html"),
)

BY_NAME = {kind.name: kind for kind in KINDS}
_OF_FIELD = {kind.field: kind.name for kind in KINDS if kind.field != TENSOR}
_OF_PLUGIN = {kind.plugin: kind.name for kind in KINDS if kind != HTML}


def kind_of_field(field: int) -> str | None:
    """Return the kind that a field of ``Summary.Value`` holds, if only one can be."""
    return _OF_FIELD.get(field)


def kind_of_plugin(plugin: str) -> str:
    """Return the kind that a plugin shows; the plugin itself if it has no row here."""
    return _OF_PLUGIN.get(plugin, plugin)


def kind_named(name: str) -> Kind:
    """Return the kind of that name, or that of a plugin that has no row here."""
    return BY_NAME.get(name) or Kind(name, name, TENSORS, TENSOR, "html")
