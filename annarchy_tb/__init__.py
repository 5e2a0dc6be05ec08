"""A TensorBoard logger for simulations.

When a call that logs data returns, the data has been handed to the operating system:
there is no thread and no queue in between.

.. code-block:: python

    from annarchy_tb import Logger

    with Logger() as logger:                    # runs/Nov20_14-11-22_myhost
        logger.add_parameters({"tau": 10.0})
        for trial in range(100):
            net.simulate(1000.0)
            logger.add_scalar("Accuracy", accuracy, trial)
            logger.add_image("Population/Rate", pop.r, trial, equalize=True)

and then, in a terminal: ``annarchy-tb view``. All data can be read back, and
``annarchy-tb ls`` lists the runs.

.. code-block:: python

    from annarchy_tb import find_runs

    for run in find_runs("runs", status="finished"):
        steps, accuracy, *_ = run.scalars("Accuracy")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annarchy_tb.kinds.figure import figure_style
    from annarchy_tb.logger import Logger
    from annarchy_tb.reading import Run, find_runs
    from annarchy_tb.writer import SummaryWriter

__version__ = "0.1.0"

__all__ = ["Logger", "Run", "SummaryWriter", "figure_style", "find_runs"]

# The module of each name. None is imported before it is used: most scripts need only
# one, and some are slow (tensorboardX and protobuf, and torch if it is installed).
_MODULES = {
    "Logger": "logger",
    "Run": "reading.run",
    "SummaryWriter": "writer",
    "figure_style": "kinds.figure",
    "find_runs": "reading.find",
}


if not TYPE_CHECKING:  # to which every name would be one

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from annarchy_tb.inputs.importing import importing

        with importing:
            found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
