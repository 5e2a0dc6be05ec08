"""One trial of a sweep: a run of its own, wherever it is tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat

from annarchy_tb.logger import Logger
from annarchy_tb.run.directory import claim, claimable
from annarchy_tb.run.info import FINISHED, describe_error, read
from annarchy_tb.sweep.suggestions import Params

Objective = Callable[[Params, Logger], SupportsFloat | Mapping[str, SupportsFloat]]


class Outcome(NamedTuple):
    """What came of a trial: metrics with the loss, or an error."""

    metrics: dict[str, float] | None
    error: str = ""


class Trial(NamedTuple):
    """Parameters to be tried once, and what run.json is to say of them."""

    params: Params
    about: dict[str, Any]
    name: str
    group: str | None = None
    deaths: int = 0


def run_trial(objective: Objective, logdir: Path, trial: Trial) -> Outcome:
    """Try parameters in a run of their own; this is what workers do."""
    # An executor may lose a result with its worker, and ask for it again.
    for path in itertools.takewhile(Path.exists, claimable(logdir, trial.name)):
        info = read(path)
        metrics = info.get("metrics") or {}
        same = info.get("trial") == trial.about and info.get("status") == FINISHED
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
    about: dict[str, Any] | None = None,
    group: str | None = None,
) -> Outcome:
    """Try parameters in the run of that directory; what is raised is an outcome too."""
    try:
        with Logger(path.parent, path.name) as logger:
            if about is not None:
                logger._info.later(trial=about)
            logger.add_parameters(params, group=group)
            found = objective(params, logger)
            metrics = dict(found) if isinstance(found, Mapping) else {"loss": found}
            if metrics.pop("status", "ok") == "fail":  # as for hyperopt's fmin
                raise RuntimeError("the objective says that it failed")
            if "loss" not in metrics:
                raise ValueError("the objective's metrics have no 'loss'")
            results = logger._metrics_written(metrics)
            # The run ends here, so that run.json need not be written twice.
            logger._info.later(results)
            return Outcome(results)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = describe_error(error)
        return Outcome(None, f"{said['type']}: {said['message']}")
