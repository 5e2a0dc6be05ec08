"""Read runs back: `Run`, `find_runs`, and the types of what they return."""

from annarchy_tb.reading.contents import Histograms, Images, Scalars, Texts
from annarchy_tb.reading.find import Runs, find_runs
from annarchy_tb.reading.last import Last
from annarchy_tb.reading.run import Run
from annarchy_tb.tfevents.scan import Damage

__all__ = [
    "Damage",
    "Histograms",
    "Images",
    "Last",
    "Run",
    "Runs",
    "Scalars",
    "Texts",
    "find_runs",
]
