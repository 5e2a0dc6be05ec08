"""What pictures were drawn from: kept in recordings beside them, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from time import time as now
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.run.entry import Recording
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.parsing import NO_BLOCK
from annarchy_tb.tfevents.recorder import next_number
from annarchy_tb.tfevents.records import as_read
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import IMAGE

Arrays = dict[str, NDArray[Any]]


def recording(
    tag: str,
    kind: str,
    arrays: Mapping[str, NDArray[Any]],
    said: Mapping[str, Any] | None = None,
) -> Recording:
    """Return the blocks that keep what a picture is drawn from.

    Parameters
    ----------
    tag, kind
        The tag of the picture, and the kind of the blocks.
    arrays
        By name, all with the same length.
    said
        What the heads say besides.
    """
    length = len(next(iter(arrays.values())))
    width = sum(a[:1].nbytes for a in arrays.values()) or 1
    rows = max(1, recordings.SIZE // width)
    starts = range(0, length, rows) if length else [0]
    numbers = [next_number() for _ in starts]
    real = now()

    def parts() -> Iterator[recordings.Parts]:
        for index, (at, number) in enumerate(zip(starts, numbers, strict=True)):
            head = {
                "kind": kind,
                "block": number,
                "call": numbers[0],
                "part": index,
                "parts": len(numbers),
                "tags": [as_read(tag)],
                "wall_time": real,
                **(said or {}),
            }
            its = {name: array[at : at + rows] for name, array in arrays.items()}
            yield recordings.encode(head, its)

    return numbers[0], parts()


class Original(NamedTuple):
    """What a picture was drawn from, not read yet.

    Attributes
    ----------
    step, time, wall_time
        As in `Scalars`.
    kind : str
        The kind of its blocks; ``""`` if the first one is missing.
    blocks : list of Stored
        All blocks of its call, in order; none if one of them is missing.
    kept : bool
        Whether there were blocks.
    """

    step: int
    time: float
    wall_time: float
    kind: str
    blocks: list[recordings.Stored]
    kept: bool

    @property
    def head(self) -> dict[str, Any]:
        """What the first block says."""
        return self.blocks[0].head if self.blocks else {}

    def arrays(self) -> Arrays:
        """Read the arrays.

        Raises
        ------
        ValueError, OSError
            If they are missing or damaged.
        """
        if not self.blocks:
            raise ValueError("blocks are missing")
        parts = [stored.arrays() for stored in self.blocks]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([its[name] for its in parts]) for name in parts[0]}


def find(blocks: Iterable[Block], tag: str, index: recordings.Index) -> list[Original]:
    """Return what the pictures of a tag were drawn from, in the order of writing."""
    found = []
    for block in blocks:
        for place, event in block.others:
            its = (v for v in event.values if v.tag == tag and v.kind == IMAGE.name)
            for _ in its:
                time = event.time + block.phases.time(place)
                kept, kind, there = event.block != NO_BLOCK, "", []
                first = index.find(block.path, event.block, tag) if kept else None
                if first is not None:
                    kind = first.kind
                    there = index.call(first) if index.is_whole(first) else []
                one = Original(event.step, time, event.wall_time, kind, there, kept)
                found.append(one)
    return found


class Found(NamedTuple):
    """What was read of the pictures of a tag.

    Attributes
    ----------
    steps, times, wall_times : array
        As in `Scalars`.
    heads : list of dict
        What the first blocks say.
    arrays : list of dict
        The arrays by their names.
    missing : int
        How many could not be read.
    """

    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]
    heads: list[dict[str, Any]]
    arrays: list[Arrays]
    missing: int


def read(
    blocks: Iterable[Block], tag: str, kind: str, index: recordings.Index
) -> Found:
    """Read all of a kind that was kept of the pictures of a tag."""
    there: list[Original] = []
    arrays: list[Arrays] = []
    missing = 0
    for its in find(blocks, tag, index):
        if not its.kept or its.kind not in (kind, ""):
            continue
        try:
            arrays.append(its.arrays())
            there.append(its)
        except (ValueError, OSError):
            missing += 1
    return Found(
        np.array([its.step for its in there], np.int64),
        np.array([its.time for its in there], np.float64),
        np.array([its.wall_time for its in there], np.float64),
        [its.head for its in there],
        arrays,
        missing,
    )
