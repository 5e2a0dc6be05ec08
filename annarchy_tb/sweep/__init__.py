"""Sweeps: hyperopt suggests parameters, any executor tries them, as one run each."""

from annarchy_tb.sweep.search import Result, logged, sweep

__all__ = ["Result", "logged", "sweep"]
