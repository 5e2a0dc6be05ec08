"""One trial of a sweep: a run of its own, wherever it is tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat

from annarchy_tb.kinds.parameters import log_trial, log_trial_results
from annarchy_tb.logger import Logger
from annarchy_tb.run.info import FINISHED, RunInfo
from annarchy_tb.run.info_file import describe_error
from annarchy_tb.run.paths import claim, claimable
from annarchy_tb.sweep.suggestions import Params

Objective = Callable[[Params, Logger], SupportsFloat | Mapping[str, SupportsFloat]]


class Outcome(NamedTuple):
    """What came of a trial: metrics with the loss, or an error."""

    metrics: dict[str, float] | None
    error: str = ""


class About(NamedTuple):
    """What ``run.json`` says about a trial, in the field ``trial``.

    Attributes
    ----------
    number : int
        The number of the parameters, from 0.
    repeat, repeats : int
        The number of this repetition, from 0, and how many there are.
    choices : dict
        What hyperopt chose, to ask it for the parameters again.
    """

    number: int
    repeat: int
    repeats: int
    choices: dict[str, Any]


class Trial(NamedTuple):
    """Parameters to be tried once, in a run of that name and group."""

    params: Params
    about: About
    name: str
    group: str | None = None
    deaths: int = 0


def run_trial(objective: Objective, logdir: Path, trial: Trial) -> Outcome:
    """Try parameters in a run of their own; this is what workers do."""
    # An executor may lose a result with its worker, and ask for it again.
    for path in itertools.takewhile(Path.exists, claimable(logdir, trial.name)):
        info = RunInfo.read(path)
        metrics = info.metrics or {}
        same = info.trial == trial.about._asdict() and info.status == FINISHED
        if same and "loss" in metrics:
            return Outcome(_as_floats(metrics))
    path = claim(logdir, trial.name)
    return attempt(objective, path, trial.params, trial.about, trial.group)


def _as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    # JSON has no NaN.
    return {n: math.nan if v is None else float(v) for n, v in metrics.items()}


def attempt(
    objective: Objective,
    path: Path,
    params: Params,
    about: About | None = None,
    group: str | None = None,
) -> Outcome:
    """Try parameters in the run of that directory; what is raised is an outcome too."""
    try:
        with Logger(path.parent, path.name) as logger:
            log_trial(logger, params, group, about and about._asdict())
            found = objective(params, logger)
            metrics = dict(found) if isinstance(found, Mapping) else {"loss": found}
            if metrics.pop("status", "ok") == "fail":  # as for hyperopt's fmin
                raise RuntimeError("the objective says that it failed")
            if "loss" not in metrics:
                raise ValueError("the objective's metrics have no 'loss'")
            return Outcome(log_trial_results(logger, metrics))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = describe_error(error)
        return Outcome(None, f"{said['type']}: {said['message']}")
