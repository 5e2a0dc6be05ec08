"""Reading runs back: `Run`, `find_runs`, and the types of their results."""

from annarchy_tb.kinds.audio import Sounds
from annarchy_tb.kinds.histogram import Histograms
from annarchy_tb.kinds.html import Fragments
from annarchy_tb.kinds.image import Images
from annarchy_tb.kinds.matrix import Matrices
from annarchy_tb.kinds.raster import Rasters
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.kinds.text import Texts
from annarchy_tb.reading.average import Average, Averages
from annarchy_tb.reading.find import Runs, find_runs
from annarchy_tb.reading.last import Last
from annarchy_tb.reading.news import News, Restart, Value
from annarchy_tb.reading.phases import Phase
from annarchy_tb.reading.run import Run
from annarchy_tb.tfevents.scan import Damage
from annarchy_tb.tfevents.values import OnDemand

__all__ = [
    "Average",
    "Averages",
    "Damage",
    "Fragments",
    "Histograms",
    "Images",
    "Last",
    "Matrices",
    "News",
    "OnDemand",
    "Phase",
    "Rasters",
    "Restart",
    "Run",
    "Runs",
    "Scalars",
    "Sounds",
    "Texts",
    "Value",
    "find_runs",
]
