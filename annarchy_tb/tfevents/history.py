"""The tags in files of this package, with their kinds and steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from annarchy_tb.tfevents.names import is_recording
from annarchy_tb.tfevents.recordings import SERIES, blocks
from annarchy_tb.tfevents.scan import Scan
from annarchy_tb.tfevents.schema import SCALAR


def history(
    paths: Iterable[Path], limits: Mapping[Path, int]
) -> Iterator[tuple[str, str, int]]:
    """Yield tag, kind and step of the data in event files and recordings.

    Of scalars with the same layout, and of a block of a recording, only one step is
    given, the largest or the last.
    """
    for path in paths:
        if is_recording(path.name):
            for stored in blocks(path, [], limits.get(path)):
                if stored.kind == SERIES:
                    step = stored.last_step
                    yield from ((tag, SCALAR.name, step) for tag in stored.tags)
            continue
        for block in Scan().files([path], limits):
            for columns in block.columns:
                for tag in columns.tags:
                    yield tag, SCALAR.name, int(columns.steps.max())
            for _, event in block.others:
                for value in event.values:
                    yield value.tag, value.kind, event.step
