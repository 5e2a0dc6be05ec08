"""Values that are no numbers, as a short text."""

from __future__ import annotations

from annarchy_tb.reading.news import Value
from annarchy_tb.tfevents.schema import AUDIO, HISTOGRAM, HTML, IMAGE, TEXT


def description(value: Value) -> str:
    """Return what a value is, in a text; a text or HTML is itself."""
    its = value.content
    if value.kind in (TEXT.name, HTML.name):
        return str(its)
    if value.kind == IMAGE.name:
        height, width = its.shape[:2]
        return f"{width} x {height} pixels"
    if value.kind == HISTOGRAM.name:
        if not len(its):
            return "0 values"
        number = its[:, 2].sum()
        return f"{number:.10g} values from {its[0, 0]:g} to {its[-1, 1]:g}"
    if value.kind == AUDIO.name:
        samples, rate = its
        return f"{len(samples) / rate:g} s at {rate} Hz"
    return value.kind
