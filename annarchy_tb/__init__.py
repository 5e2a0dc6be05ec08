"""Log a simulation, look at it in TensorBoard.

A simulation says what happened; when the call returns, what it said is in the operating
system's hands: there is no thread and no queue in between::

    from annarchy_tb import Logger

    with Logger() as logger:                    # runs/Nov20_14-11-22_myhost
        logger.add_parameters({"tau": 10.0})
        for trial in range(100):
            net.simulate(1000.0)
            logger.add_scalar("Accuracy", accuracy, trial)
            logger.add_image("Population/Rate", pop.r, trial, equalize=True)

and then, in a terminal: ``tensorboard --logdir runs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from annarchy_tb.logger import Logger

if TYPE_CHECKING:
    from annarchy_tb.writer import SummaryWriter

__version__ = "0.1.0"

__all__ = ["Logger", "SummaryWriter"]


def __getattr__(name: str) -> object:
    # tensorboardX and protobuf (and torch, where it is installed) take long to import.
    if name == "SummaryWriter":
        from annarchy_tb.writer import SummaryWriter

        return SummaryWriter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "SummaryWriter"])
