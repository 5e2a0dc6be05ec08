"""Following runs: what they log is pushed to other places, live or afterwards."""

from annarchy_tb.follow.loop import Result, follow
from annarchy_tb.follow.target import LostError, Options, Target

__all__ = ["LostError", "Options", "Result", "Target", "follow"]
