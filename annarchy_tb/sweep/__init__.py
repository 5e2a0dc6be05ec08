"""Sweeps: hyperopt suggests parameters, any executor tries them; a trial is a run."""

from annarchy_tb.sweep.search import Result, logged, sweep

__all__ = ["Result", "logged", "sweep"]
