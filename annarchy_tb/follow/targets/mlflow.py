"""MLflow: numbers as metrics, parameters as parameters, everything else as artefacts.

A run of ours is one of MLflow's, and its curves are runs nested in it. Whatever is
pushed twice is there once: runs are found again by a tag, MLflow keeps one of several
metrics with the same name, step, time and value, and an artefact is named by what is in
it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.follow.target import LostError, Options, Target
from annarchy_tb.follow.targets.artefacts import UnusableError, files
from annarchy_tb.follow.targets.names import Names
from annarchy_tb.follow.watch import record
from annarchy_tb.inputs.messages import short
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading.news import News
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import FAILED, FINISHED, UNKNOWN, RunInfo, date
from annarchy_tb.run.names import RUN_JSON
from annarchy_tb.tfevents.schema import IMAGE

# What MLflow takes at once, and of one value:
# https://mlflow.org/docs/latest/api_reference/rest-api.html#log-batch
METRICS, PARAMS, BYTES = 1000, 100, 800_000
PARAM, TAG = 6000, 8000  # characters
DATABASES = ("mssql", "mysql", "postgresql", "sqlite")
LATEST = 2**62  # ms; of a real time that is not one

STATUS = {FINISHED: "FINISHED", FAILED: "FAILED", UNKNOWN: "FINISHED"}  # else KILLED

IMAGES = {"mlflow.loggedImages": "True"}  # a run with it has pictures on its page

OURS = "annarchy_tb."  # before the names of tags that MLflow does not know
ID = f"{OURS}id"
TAG_NAMES, PARAM_NAMES = f"{OURS}tag.", f"{OURS}param."

# Settings of the client, where the user has none. The follower itself tries again, and
# the client's own attempts (7, of 120 s each) would keep it from all other runs.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    # The standard output may be that of the simulation; and of an address with a
    # password, it would be written there.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MLflow(Target):
    """A run, pushed to an MLflow server or database; see `Target`.

    Parameters
    ----------
    place : str
        The tracking URI: ``http://server:5000``, ``sqlite:///mlflow.db``. User and
        password are best left to ``MLFLOW_TRACKING_USERNAME`` and
        ``MLFLOW_TRACKING_PASSWORD``.
    options : Options
        What all targets share.
    """

    _mlflow: Any  # the package
    _client: Any
    _run: Run
    _kept: dict[str, Any]
    _remotes: dict[str, _Remote]  # by the curve
    _record: object  # which run.json was pushed

    def __init__(self, place: str, options: Options) -> None:
        super().__init__(place, options)
        if "://" not in place and not place.startswith(("databricks", "file:")):
            raise ValueError(
                "mlflow: needs a tracking URI such as mlflow:http://server:5000 or "
                f"mlflow:sqlite:///mlflow.db, got {short(place)}"
            )
        with _settings():
            self._mlflow = optional("mlflow", "mlflow:", "'annarchy-tb[mlflow]'")
            if place.partition(":")[0].partition("+")[0] in DATABASES:
                optional("sqlalchemy", "mlflow: with a database", "mlflow")
        self._remotes = {}

    # -- the run ---------------------------------------------------------------------

    def begin(
        self, run: Run, kept: dict[str, Any], previous: dict[str, Any] | None
    ) -> None:
        self._run, self._kept = run, kept
        self._remotes, self._record = {}, ()
        before = (previous or {}).get("runs", {})
        with self._talking():
            self._client = self._mlflow.MlflowClient(tracking_uri=self.place)
            if not kept:
                last, started = before.get(""), RunInfo.read(run.path).started
                its = _digest(str(run.path), started, last)
                kept.update(id=its, before=last, experiment=self._experiment(), runs={})
            remote = self._remote()
            if not kept.get("announced"):
                self._announce(before, remote.id)
                kept["announced"] = True
            self._push_record()

    def _name(self) -> tuple[str, ...]:
        """Return the parts of the run's name below the directory that is followed."""
        parts = Path(self.options.name).parts
        its = self._run.path.parts
        return parts if parts and parts == its[-len(parts) :] else its[-1:]

    def _experiment(self) -> str:
        """Return the id of the experiment, which is made if it is not there."""
        if found := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return found
        name = (
            os.environ.get("MLFLOW_EXPERIMENT_NAME")
            or self._run.path.parents[len(self._name()) - 1].name
        )
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(name))
            except self._mlflow.MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = self._client.get_experiment_by_name(name)
        if experiment.lifecycle_stage == "deleted":
            raise ValueError(
                f"the experiment {name!r} was deleted; restore it, or set "
                "MLFLOW_EXPERIMENT_NAME to another one"
            )
        return str(experiment.experiment_id)

    def _remote(self, curve: str = "") -> _Remote:
        """Return the run of a curve, or of the run itself; made if it is not there."""
        if curve in self._remotes:
            return self._remotes[curve]
        runs = self._kept["runs"]
        found = self._get(runs[curve]) if curve in runs else self._find(curve)
        if found is None:
            found = self._make(curve)
        its = runs[curve] = found.info.run_id
        if found.info.status != "RUNNING":
            self._client.update_run(its, status="RUNNING")
        self._remotes[curve] = _Remote(found)
        return self._remotes[curve]

    def _get(self, its: str) -> Any:
        """Return a run that is known."""
        try:
            found = self._client.get_run(its)
        except self._mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise LostError(f"MLflow has no run {its} any more") from error
        if found.info.lifecycle_stage == "deleted":
            raise ValueError(f"the run {its} was deleted; restore it in MLflow")
        return found

    def _find(self, curve: str) -> Any:
        """Return a run that was made just before the follower was killed, or None."""
        wanted = f"tags.`{ID}` = '{self._identity(curve)}'"
        where = [self._kept["experiment"]]
        return next(iter(self._client.search_runs(where, wanted, max_results=1)), None)

    def _make(self, curve: str) -> Any:
        info = RunInfo.read(self._run.path)
        if curve:
            tags = {
                "mlflow.parentRunId": self._kept["runs"][""],
                "mlflow.user": _text(info.user or "", TAG),
                f"{OURS}curve": _text(curve, TAG),
            }
        else:
            tags = _about(self._run, info, self._kept["before"])
        started = self._run.started
        return self._client.create_run(
            self._kept["experiment"],
            start_time=None if started is None else int(started.timestamp() * 1000),
            tags={**tags, ID: self._identity(curve)},
            run_name=_text(curve or "/".join(self._name()), TAG),
        )

    def _identity(self, curve: str) -> str:
        return _digest(self._kept["id"], curve) if curve else str(self._kept["id"])

    def _announce(self, before: Mapping[str, str], successor: str) -> None:
        """Say at an earlier run that this one takes its place, and end it."""
        for curve, earlier in before.items():
            try:
                if not curve:
                    self._client.set_tag(
                        earlier, f"{OURS}continued_as", successor, synchronous=True
                    )
                if self._client.get_run(earlier).info.status == "RUNNING":
                    self._client.set_terminated(earlier, "KILLED")
            except self._mlflow.MlflowException as error:
                if _is_temporary(error):
                    raise
                self.options.say(f"the earlier run {earlier} is not there any more")

    def end(self, run: Run, status: str) -> None:
        info = RunInfo.read(run.path)
        ended = date(info.ended) or run.last_written
        at = None if ended is None else int(ended.timestamp() * 1000)
        error = info.error or {}
        tags = {f"{OURS}status": status}
        if error:
            said = f"{error.get('type')}: {error.get('message')}"
            tags[f"{OURS}error"] = _text(said, TAG)
        with self._talking():
            self._push_record(last=True)
            self._set_tags(self._remote(), tags)
            # The run itself last, after those of its curves.
            for _, its in sorted(self._kept["runs"].items(), reverse=True):
                self._client.set_terminated(its, STATUS.get(status, "KILLED"), at)

    def _push_record(self, last: bool = False) -> None:
        """Push what is new of the parameters and the tags, and run.json.

        In a run without that file, parameters are looked for at first and at last.
        """
        changed = record(self._run.path)
        if changed == self._record and not (last and changed is None):
            return
        remote, info = self._remote(), RunInfo.read(self._run.path)
        about = _about(self._run, info, self._kept["before"])
        self._set_tags(remote, dict(about.items() - remote.tags.items()))
        params = [
            (name, value)
            for name, value in self._run.params.items()
            if remote.names_of_params.get(name) not in remote.params
        ]
        new = {remote.names_of_params.of(name): value for name, value in params}
        self._set_tags(remote, remote.names_of_params.take_new())
        cut = [name for name, value in new.items() if len(_said(value)) > PARAM]
        if cut:
            self.options.say(
                f"of long parameters, MLflow has {PARAM} characters: "
                f"{', '.join(map(short, cut[:5]))}"
            )
        texts = {name: _text(_said(value), PARAM) for name, value in new.items()}
        for some in _batches(texts):
            its = [self._mlflow.entities.Param(*item) for item in some.items()]
            self._client.log_batch(remote.id, params=its, synchronous=True)
        remote.params.update(texts)
        if changed is not None:
            self._client.log_artifact(remote.id, str(self._run.path / RUN_JSON))
        self._record = changed

    # -- data ------------------------------------------------------------------------

    def push(self, news: News) -> None:
        with self._talking():
            self._push_record()
            remote = self._remote(news.curve)
            metrics = self._metrics(remote, news.points)
            with tempfile.TemporaryDirectory() as folder:
                number = self._write(remote, news, Path(folder))
                # Names first: those with points but no tag would be taken for others.
                new = remote.names.take_new()
                if any(value.kind == IMAGE.name for value in news.values):
                    new |= dict(IMAGES.items() - remote.tags.items())
                self._set_tags(remote, new)
                for start in range(0, len(metrics), METRICS):
                    some = metrics[start : start + METRICS]
                    self._client.log_batch(remote.id, metrics=some, synchronous=True)
                if number:
                    self._client.log_artifacts(remote.id, folder)

    def _metrics(self, remote: _Remote, points: Mapping[str, Scalars]) -> list[Any]:
        metric = self._mlflow.entities.Metric
        return [
            metric(name, value, at, step)
            for tag, its in points.items()
            for name in (remote.names.of(tag),)
            for value, at, step in zip(
                its.values.astype(np.float64).tolist(),
                _milliseconds(its.wall_times),
                its.steps.tolist(),
                strict=True,
            )
        ]

    def _write(self, remote: _Remote, news: News, folder: Path) -> int:
        """Write values as files; return their number."""
        number = 0
        for value in news.values:
            [at] = _milliseconds(np.array([value.wall_time]))
            try:
                its = files(value, remote.names.of(value.tag, always=True), at)
            except UnusableError as error:
                self.refused += 1
                self.options.say(f"{short(value.tag)} is left out: {error}")
                continue
            for name, content in its.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                number += 1
        return number

    def _set_tags(self, remote: _Remote, tags: Mapping[str, str]) -> None:
        for some in _batches(tags):
            its = [self._mlflow.entities.RunTag(*item) for item in some.items()]
            self._client.log_batch(remote.id, tags=its, synchronous=True)
        remote.tags.update(tags)

    # -- the client ------------------------------------------------------------------

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        """A context for requests: what may pass raises ConnectionError."""
        with _settings():
            try:
                yield
            except self._mlflow.MlflowException as error:
                kind = ConnectionError if _is_temporary(error) else RuntimeError
                raise kind(str(error)) from error
            except OSError as error:  # of requests, while artefacts are sent
                code = getattr(getattr(error, "response", None), "status_code", None)
                if code is None or _may_pass(code):
                    raise
                raise RuntimeError(str(error)) from error


class _Remote:
    """A run at MLflow, as it is there."""

    id: str
    names: Names  # of tags
    names_of_params: Names
    params: dict[str, str]
    tags: dict[str, str]

    def __init__(self, found: Any) -> None:
        self.id = found.info.run_id
        self.params = dict(found.data.params)
        self.tags = dict(found.data.tags)
        self.names = Names(TAG_NAMES, found.data.metrics, self.tags)
        self.names_of_params = Names(PARAM_NAMES, self.params, self.tags)


def _about(run: Run, info: RunInfo, before: str | None) -> dict[str, str]:
    """Return the tags that say what a run is."""
    git = info.git or {}
    tags = {
        "mlflow.user": info.user,
        "mlflow.source.name": info.command,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git.get("commit"),
        "mlflow.parentRunId": before,
        f"{OURS}continues": before,
        f"{OURS}path": str(run.path),
        f"{OURS}host": info.host,
        f"{OURS}session": info.session,
        f"{OURS}group": info.group,
        f"{OURS}parent": info.parent,
        f"{OURS}time_unit": info.time_unit,
    }
    return {name: _text(value, TAG) for name, value in tags.items() if value}


def _digest(*given: str | None) -> str:
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()[:32]


def _said(value: Any) -> str:
    """Return a parameter as a text."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _text(given: str, most: int) -> str:
    """Return a text that any database takes, with so many characters at most."""
    return given[:most].encode(errors="replace").decode().replace("\0", "\ufffd")


def _batches(texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield some names and texts at a time, as many as one request may have."""
    some: dict[str, str] = {}
    size = 0
    for name, text in texts.items():
        more = len(json.dumps([name, text]))
        if some and (len(some) == PARAMS or size + more > BYTES):
            yield some
            some, size = {}, 0
        some[name] = text
        size += more
    if some:
        yield some


def _milliseconds(seconds: NDArray[np.float64]) -> Iterable[int]:
    """Return real times in ms since 1970, which MLflow wants not to be negative."""
    wanted = np.clip(np.nan_to_num(seconds, nan=0.0), 0, LATEST / 1000)
    found: list[int] = np.rint(wanted * 1000).astype(np.int64).tolist()
    return found


def _is_temporary(error: Any) -> bool:
    return _may_pass(error.get_http_status_code())


def _may_pass(code: int) -> bool:
    """Return whether what a server answers may be another answer later."""
    return code >= 500 or code in (408, 409, 429, 499)


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Apply our settings for a while, where the user has none."""
    ours = {name: its for name, its in SETTINGS.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
