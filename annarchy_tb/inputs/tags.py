"""Checks of tags, the names under which data is logged."""

from __future__ import annotations

import re

from annarchy_tb.inputs.messages import describe, where

RUN_TABLE = "run"  # the tag of the table that describes the run itself


def is_own(tag: str) -> bool:
    """Return whether a tag belongs to the run itself: its table, or its parameters."""
    return tag == RUN_TABLE or tag.startswith("_hparams_/")


def is_shown(name: str) -> bool:
    """Return whether TensorBoard's default loader shows images under a name.

    It is that of a tag or a run. The loader writes names into the addresses of images
    and sounds as JSON, and does not read back those that JSON escapes.
    """
    return not re.search(r'["\\\x00-\x1f]', name)


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
