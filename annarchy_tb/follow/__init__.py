"""Following runs: what they log is pushed to other places, live or afterwards."""

from annarchy_tb.follow.loop import Pushed, follow
from annarchy_tb.follow.pulling import Pulled, pull
from annarchy_tb.follow.target import LostError, Options, Target

__all__ = ["LostError", "Options", "Pulled", "Pushed", "Target", "follow", "pull"]
