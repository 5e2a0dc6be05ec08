"""The tags in event files: their kinds, and reading their data."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import BY_NAME, SCALAR


def kinds(blocks: Iterable[Block]) -> dict[str, str]:
    """Return the kind of each tag, in the order of first appearance."""
    found: dict[str, str] = {}
    for block in blocks:
        new: list[tuple[int, str, str]] = [
            (int(columns.places[0]), tag, SCALAR.name)
            for columns in block.columns
            for tag in columns.tags
        ]
        new += [
            (place, value.tag, value.kind)
            for place, event in block.others
            for value in event.values
        ]
        for _, tag, kind in sorted(new, key=lambda entry: entry[0]):
            found.setdefault(tag, kind)
    return found


def read(blocks: Iterable[Block], kind: str, tag: str) -> Any:
    """Return the data of a tag, read by the module of its kind; there may be none.

    Raises
    ------
    KeyError
        If only TensorBoard's plugins can read this kind.
    """
    with importing:
        module = import_module(f"annarchy_tb.kinds.{BY_NAME[kind].name}")
    return module.read(blocks, tag)
