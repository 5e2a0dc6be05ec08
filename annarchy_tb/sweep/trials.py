"""A single trial of a sweep, logged as a run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat

from annarchy_tb.inputs.clock import Ask, Clock, as_clock
from annarchy_tb.inputs.messages import naming
from annarchy_tb.inputs.units import plain
from annarchy_tb.kinds.parameters import log_trial, log_trial_results
from annarchy_tb.logger import Logger
from annarchy_tb.run.info import FINISHED, RunInfo
from annarchy_tb.run.info_file import describe_error
from annarchy_tb.run.paths import claim, claimable
from annarchy_tb.run.provenance import Launch, on_behalf_of
from annarchy_tb.run.state import OnNan, check_on_nan
from annarchy_tb.sweep.suggestions import Params

Objective = Callable[[Params, Logger], SupportsFloat | Mapping[str, SupportsFloat]]


class Outcome(NamedTuple):
    """The outcome of a trial: metrics with the loss, or an error."""

    metrics: dict[str, float] | None
    error: str = ""


class Settings(NamedTuple):
    """The settings of each trial's Logger.

    Attributes
    ----------
    dt, time_unit, clock, on_nan
        Arguments: see `annarchy_tb.Logger`.
    sender : Launch, optional
        The program that calls `sweep`, by default that of this process. A worker may be
        a process of another program.
    """

    dt: SupportsFloat | None = None
    time_unit: str | None = None
    clock: Ask | None = None
    on_nan: OnNan = "warn"
    sender: Launch | None = None

    @contextmanager
    def logger(self, path: Path) -> Iterator[Logger]:
        """Return the Logger of a trial, to be used and closed by ``with``."""
        dt, time_unit, clock, on_nan, sender = self
        with (
            on_behalf_of(sender),
            Logger(
                path.parent,
                path.name,
                dt=dt,
                time_unit=time_unit,
                clock=clock,
                on_nan=on_nan,
            ) as logger,
        ):
            yield logger

    def check(self, method: str) -> None:
        """Raise TypeError or ValueError if a Logger would not take them."""
        with naming(method, None):
            Clock("ms" if self.time_unit is None else self.time_unit, self.dt)
            as_clock(self.clock)
            check_on_nan(self.on_nan)


class About(NamedTuple):
    """The field ``trial`` of ``run.json``.

    Attributes
    ----------
    number : int
        The number of the parameter set, from 0.
    repeat, repeats : int
        The number of this repetition, from 0, and the total number of them.
    choices : dict
        The choices of hyperopt, to restore the parameters from.
    """

    number: int
    repeat: int
    repeats: int
    choices: dict[str, Any]


class Trial(NamedTuple):
    """Parameters to try once, in a run with this name and group."""

    params: Params
    about: About
    name: str
    group: str | None = None
    deaths: int = 0


def run_trial(
    objective: Objective, logdir: Path, settings: Settings, trial: Trial
) -> Outcome:
    """Try parameters in a new run; executed by workers."""
    # An executor may lose a result with its worker, and request it again.
    for path in itertools.takewhile(Path.exists, claimable(logdir, trial.name)):
        info = RunInfo.read(path)
        metrics = info.metrics or {}
        same = info.trial == trial.about._asdict() and info.status == FINISHED
        if same and "loss" in metrics:
            return Outcome(_as_floats(metrics))
    path = claim(logdir, trial.name)
    return attempt(objective, path, trial.params, settings, trial.about, trial.group)


def _as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    # JSON has no NaN.
    return {n: math.nan if v is None else float(v) for n, v in metrics.items()}


def attempt(
    objective: Objective,
    path: Path,
    params: Params,
    settings: Settings,
    about: About | None = None,
    group: str | None = None,
) -> Outcome:
    """Try parameters in the run `path`; exceptions are returned as an outcome, too."""
    try:
        with settings.logger(path) as logger:
            log_trial(logger, params, group, about and about._asdict())
            found = objective(params, logger)
            metrics = dict(found) if isinstance(found, Mapping) else {"loss": found}
            if metrics.pop("status", "ok") == "fail":  # as for hyperopt's fmin
                raise RuntimeError("the objective returned the status 'fail'")
            if "loss" not in metrics:
                raise ValueError("the objective's metrics have no 'loss'")
            # Each run may have another unit, and the trials are compared.
            metrics["loss"] = plain(metrics["loss"], "loss")
            return Outcome(log_trial_results(logger, metrics))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = describe_error(error)
        return Outcome(None, f"{said['type']}: {said['message']}")
