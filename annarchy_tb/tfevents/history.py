"""The tags in files of this package, with their kinds and steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from annarchy_tb.tfevents.names import is_recording
from annarchy_tb.tfevents.phases import Spans, later
from annarchy_tb.tfevents.recordings import SERIES, blocks
from annarchy_tb.tfevents.scan import Block, Scan
from annarchy_tb.tfevents.schema import SCALAR


class Past:
    """The phases in files, and the latest time.

    Attributes
    ----------
    number : int
        The largest number of a phase, 0 if there was none.
    time : float
        The latest simulated time, -infinity if there was none.
    """

    number: int
    time: float
    _open: dict[int, dict[str, Any]]  # the heads of phases without an end

    def __init__(self) -> None:
        self.number = 0
        self.time = -math.inf
        self._open = {}

    @property
    def open(self) -> dict[str, Any] | None:
        """All that is moved in the last phase, as a record says it, if it has no end.

        The steps of all its files are together.
        """
        return self._open.get(self.number)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        time = self.time if math.isfinite(self.time) else None
        return {"number": self.number, "time": time, "open": self.open}

    def add(self, its: Mapping[str, Any]) -> None:
        """Add what another one has, from JSON."""
        self.number = max(self.number, its["number"])
        if its["time"] is not None:
            self.time = max(self.time, its["time"])
        if its["open"] is not None:
            self._open.setdefault(its["open"]["phase"], its["open"])

    def see(self, block: Block) -> None:
        """Take note of the times in a block of records."""
        for columns in block.columns:
            times = columns.times
            if block.phases:
                times = later(times, block.phases.segments("", columns.places))
            self.time = max(self.time, float(np.fmax.reduce(times, initial=-math.inf)))
        for place, event in block.others:
            if event.time > -math.inf:
                self.time = max(self.time, event.time + block.phases.time(place))

    def see_phases(self, spans: Spans) -> None:
        """Take note of the phases of a file, all of which has been read."""
        for span in spans:
            self.number = max(self.number, span.number)
            if span.end >= 0:
                self._open.pop(span.number, None)
            else:
                head = span.head()
                earlier = self._open.get(span.number, head)["steps"]
                self._open[span.number] = {
                    **head,
                    "steps": {**earlier, **head["steps"]},
                }


def history(
    paths: Iterable[Path], limits: Mapping[Path, int], past: Past | None = None
) -> Iterator[tuple[str, str, int]]:
    """Yield tag, kind and step of the data in event files and recordings.

    Of scalars with the same layout, and of a block of a recording, only one step is
    given, the largest or the last. What else is found is noted in `past`.
    """
    for path in paths:
        if is_recording(path.name):
            for stored in blocks(path, [], limits.get(path)):
                if stored.kind == SERIES:
                    step = stored.last_step
                    yield from ((tag, SCALAR.name, step) for tag in stored.tags)
            continue
        scan = Scan()
        for block in scan.files([path], limits):
            if past is not None:
                past.see(block)
            for columns in block.columns:
                for tag in columns.tags:
                    yield tag, SCALAR.name, int(columns.steps.max())
            for _, event in block.others:
                for value in event.values:
                    yield value.tag, value.kind, event.step
        if past is not None:
            past.see_phases(scan.phases(path))
