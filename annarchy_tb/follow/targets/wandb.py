"""Weights & Biases: each run as a run of a project, live or offline."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shlex
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from annarchy_tb.follow.state import State
from annarchy_tb.follow.target import LostError, Options, Target
from annarchy_tb.follow.targets.wandb_log import EXIT, HISTORY, Log, keep
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import short
from annarchy_tb.inputs.optional import optional
from annarchy_tb.kinds.audio import wav
from annarchy_tb.reading.news import News, Value
from annarchy_tb.reading.run import Run
from annarchy_tb.run.names import OWN, RUN_JSON

FLUSHED = 0.1  # seconds between two writes of W&B's process to the file of a run
CONNECT = 30.0  # seconds to wait for W&B's server
PATIENCE = 60.0  # seconds to wait for one of them, or for the end of an upload
POLL = 0.01  # seconds
MOST_BINS = 512  # of a histogram of W&B
LONGEST_TAG = 64  # characters of a tag of W&B
STEP, TIME = "step/", "time/"

# What the configuration of a run says of its origin, beside the parameters.
FACTS = (
    *("host", "user", "command", "python", "versions", "git", "slurm", "session"),
    *(
        "group",
        "started",
        "ended",
        "time_unit",
        "dt",
        "units",
        "parent",
        "parent_step",
        "trial",
    ),
)


class Wandb(Target):
    """A run of W&B for a run: ``wandb:PROJECT`` or ``wandb:ENTITY/PROJECT``.

    W&B can't continue a run offline, so whenever it must be begun anew, there is a
    *part* more: a run of W&B that names the one before it. A point is in exactly one.
    It counts as accepted when it is in the file that W&B's process writes.
    """

    _entity: str | None
    _project: str
    _wandb: Any
    _service: Service | None
    _begun: Any  # the run of W&B, None if it is gone
    _run: Run
    _has_params: bool  # whether W&B knows the parameters
    _kept: dict[str, Any]
    _log: Log
    _keys: dict[tuple[str, str], str]  # by curve and tag
    _defined: set[str]  # keys whose axes are defined in this part
    _refused: set[str]

    def __init__(self, place: str, options: Options) -> None:
        super().__init__(place, options)
        entity, _, project = place.rpartition("/")
        if not re.fullmatch(r"[^/\\#?%:]{1,128}", project) or "/" in entity:
            raise ValueError(
                f"wandb: needs a project, or an entity and a project: wandb:rates or "
                f"wandb:mylab/rates; none of them may have / \\ # ? % or :, got "
                f"{short(place)}"
            )
        self._entity, self._project = entity or None, project
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to its makers
        install = "'annarchy-tb[wandb]'"
        self._wandb = optional("wandb", "annarchy-tb follow --to wandb:", install)
        if "x_transaction_log_flush_interval" not in self._wandb.Settings.model_fields:
            raise ImportError(
                f"annarchy-tb follow --to wandb: needs a wandb that is told when to "
                f"write its file, such as 0.31, not {self._wandb.__version__}: "
                f"pip install --upgrade {install}"
            )
        self._begun = self._service = None
        self._has_params = False
        self._kept, self._keys = {}, {}
        self._defined, self._refused = set(), set()

    # -- what the follower calls -----------------------------------------------------

    def begin(
        self, run: Run, kept: dict[str, Any], previous: dict[str, Any] | None
    ) -> None:
        """Begin a part, with the one before it as its parent."""
        before = kept or previous or {}
        if _is_empty(before):
            parent, relation = before.get("parent"), before.get("relation")
        else:
            parent, relation = before.get("id"), "continues"
        if parent and not kept:
            relation = "replaces"
        self._leave(before)
        base = before.get("base") or _base(run, self.place)
        part = _next(_directory(run), base, before.get("part", 0) + 1)
        new = {"base": base, "part": part, "id": f"{base}-{part}", "accepted": 0}
        new |= {"parent": parent, "relation": relation}
        self._run, self._kept = run, {**new, "keys": kept.get("keys", [])}
        self._keys = {(curve, tag): key for curve, tag, key in self._kept["keys"]}
        self._defined, self._has_params = set(), False
        self._init(run)
        kept.clear()
        kept.update(self._kept)
        self._kept = kept

    def take(self, run: Run, state: State) -> bool:
        """Push what is new in a run, in another part if W&B's process has ended.

        It writes all runs, and the first one that finds it gone tells the others so.
        """
        if self._service is not None and self._service is not Service.current:
            self._begun = None
            self._release()
            self.begin(run, state.kept, None)
            self.save(state)
        return super().take(run, state)

    def push(self, news: News) -> None:
        """Push points and values; return once they are in W&B's file."""
        with self._connected():
            if not self._has_params and (params := _params(self._run)):
                self._begun.config.update(params, allow_val_change=True)
                self._has_params = True
            rows = self._rows(news)
            for row in rows:
                self._begun.log(row)
            values = sum(self._value(news.curve, value) for value in news.values)
            self._written(HISTORY, len(rows) + values)

    def end(self, run: Run, status: str) -> None:
        """Push the results and the record of the run, and end the part."""
        with self._connected():
            info, wandb_run = run.info, self._begun
            config = _config(run, info, self._kept)
            wandb_run.config.update(config, allow_val_change=True)
            wandb_run.notes = _notes(info, self._kept)
            wandb_run.tags = (*wandb_run.tags, status)
            results = {_clean(name): its for name, its in run.metrics.items()}
            wandb_run.summary.update(results)
            record = Path(wandb_run.dir, RUN_JSON)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(run.path / RUN_JSON, record)
                wandb_run.save(record, base_path=record.parent, policy="now")
            self._finish(wandb_run, int(status not in ("finished", "unknown")))
            self._written(EXIT, 1)
            offline, self._begun = wandb_run.offline, None
        if offline:
            self.options.say(f"offline; to upload it: wandb sync {_parts(self._kept)}")
        self.close()

    def close(self) -> None:
        """End the part, and the process of W&B after the last one."""
        begun, self._begun = self._begun, None
        try:
            if begun is not None:
                with self._connected():
                    begun.tags = (*begun.tags, "unfinished")
                    self._finish(begun)
        finally:
            self._release()

    def _leave(self, kept: dict[str, Any]) -> None:
        """Leave of an earlier part what was accepted: it may have received more."""
        path = Path(kept.get("file", ""))
        if kept.get("left") or not path.is_file():  # uploaded, perhaps, and removed
            return
        if _is_empty(kept):
            if _folder(kept).name.endswith(f"-{kept['id']}"):
                shutil.rmtree(_folder(kept), ignore_errors=True)
            return
        if path.stat().st_size < kept["accepted"]:
            raise LostError(f"{path} is shorter than it was")
        if keep(path, kept["accepted"]) and not kept["offline"]:
            folder = shlex.quote(str(_folder(kept)))
            self.options.say(
                f"to upload what W&B's server lacks of {kept['id']}: "
                f"wandb sync --include-online {folder}"
            )
        kept["left"] = True

    # -- runs of W&B -----------------------------------------------------------------

    def _init(self, run: Run) -> None:
        wandb, kept, info = self._wandb, self._kept, run.info
        name = self.options.name or run.path.name
        group = info.get("group") or name.rpartition("/")[0] or None
        trial = "trial" if info.get("trial") else None
        tags = [_clean(one)[:LONGEST_TAG] for one in (kept["base"], name) if one]
        self._service = Service.join(wandb)
        with self._connected(), _silence():
            where = _directory(run)
            where.mkdir(parents=True, exist_ok=True)
            self._begun = wandb.init(
                entity=self._entity,
                project=self._project,
                dir=str(where),
                id=kept["id"],
                name=name,
                notes=_notes(info, kept),
                tags=tags,
                config=_config(run, info, kept),
                group=group,
                job_type=trial,
                resume="never",
                reinit="create_new",
                save_code=False,
                settings=self._settings(info),
            )
        if self._begun.disabled:
            raise ValueError("W&B is disabled: set WANDB_MODE to offline or online")
        self._log = Log(Path(self._begun.settings.sync_file))
        kept.update(file=str(self._log.path), offline=self._begun.offline)

    def _settings(self, info: Mapping[str, Any]) -> Any:
        """Return settings by which W&B records the run, and not the follower."""
        return self._wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            finish_timeout=PATIENCE,
            finish_timeout_raises=True,
            git_commit=(info.get("git") or {}).get("commit"),
            host=info.get("host"),
            init_timeout=CONNECT,
            silent=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
            x_skip_transaction_log=False,
            x_transaction_log_flush_interval=FLUSHED,
        )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Give up the part when its process or its server is lost.

        Raises
        ------
        OSError
            Then.
        """
        with importing:
            from wandb.errors import AuthenticationError, CommError
            from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

        try:
            yield
        except AuthenticationError:
            raise
        except (CommError, HandleAbandonedError, MailboxClosedError, OSError) as error:
            self._begun = None
            self._release(broken=not isinstance(error, CommError))
            if isinstance(error, OSError):
                raise
            said = str(error) or "the process of W&B has ended"
            raise ConnectionError(said) from error

    def _finish(self, begun: Any, exit_code: int = 0) -> None:
        """End a run of W&B; what is not uploaded for long can be uploaded later."""
        try:
            begun.finish(exit_code=exit_code)
        except TimeoutError:
            self.options.say(
                f"W&B's server has not taken all of it in {PATIENCE:g} s; to upload "
                f"the rest: wandb sync {_parts(self._kept)}"
            )

    def _release(self, broken: bool = False) -> None:
        service, self._service = self._service, None
        if service is not None:
            service.leave(broken)

    def _written(self, kind: str, number: int) -> None:
        """Wait until so many more records of a kind are in the file."""
        deadline = time.monotonic() + PATIENCE
        while number:
            for its in self._log.new():
                deadline = time.monotonic() + PATIENCE
                number -= its == kind
                if not number:
                    break
            else:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"W&B has not written to {self._log.path} for {PATIENCE:g} s"
                    )
                if kind != EXIT:
                    self._begun.status()  # raises if its process has ended
                time.sleep(POLL)
        descriptor = os.open(self._log.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._kept["accepted"] = self._log.end

    # -- rows ------------------------------------------------------------------------

    def _rows(self, news: News) -> list[dict[str, Any]]:
        """Return rows for points; those that were logged together share one."""
        found: dict[tuple[int, float], dict[str, Any]] = {}
        doubled = []
        for tag, points in news.points.items():
            key = self._key(news.curve, tag)
            step_key, time_key = STEP + key, TIME + key
            its = points.numeric()
            columns = (its.steps, its.values, points.times, its.wall_times)
            for step, value, at, wall in zip(
                *(column.tolist() for column in columns), strict=True
            ):
                row = found.setdefault((step, wall), {"_timestamp": wall})
                if key in row:
                    doubled.append(row)
                    row = found[step, wall] = {"_timestamp": wall}
                row[key], row[step_key] = value, step
                if at == at:
                    row[time_key] = at
        return doubled + list(found.values())

    def _value(self, curve: str, value: Value) -> int:
        """Log a value in a row; return the number of rows."""
        key = self._key(curve, value.tag)
        row: dict[str, Any] = {STEP + key: value.step, "_timestamp": value.wall_time}
        if value.time == value.time:
            row[TIME + key] = value.time
        try:
            with self._as_media(value) as content:
                self._begun.log({**row, key: content})
        except (ValueError, TypeError) as error:
            self.refused += 1
            if key not in self._refused:
                self._refused.add(key)
                said = f"{value.kind} {short(value.tag)} at step {value.step}"
                self.options.say(f"W&B does not take {said}: {error}")
            return 0
        return 1

    @contextlib.contextmanager
    def _as_media(self, value: Value) -> Iterator[Any]:
        """Yield a value as W&B shows its kind."""
        wandb, content = self._wandb, value.content
        if value.kind == "image":
            yield wandb.Image(_picture(content), file_type="png")
        elif value.kind == "histogram":
            yield wandb.Histogram(np_histogram=_bins(content))
        elif value.kind == "html":
            yield wandb.Html(io.StringIO(content), inject=False)
        elif value.kind == "audio":
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "sound.wav")
                path.write_bytes(wav(*content))
                yield wandb.Audio(str(path))
        elif value.kind == "text":
            yield content
        else:
            raise ValueError("this kind is unknown")

    def _key(self, curve: str, tag: str) -> str:
        """Return the key of a curve, and define its axis when it is the first time."""
        known = self._keys.get((curve, tag))
        if known is None:
            wanted = _clean(f"{tag}/{curve}" if curve else tag)
            if wanted.startswith((STEP, TIME, "_")):
                wanted = f"values/{wanted}"
            known = wanted
            if known in self._keys.values():
                known = f"{wanted}~{_hash(curve, tag)}"
            if known != tag:
                self._kept["keys"].append([curve, tag, known])
            self._keys[curve, tag] = known
        if known not in self._defined:
            self._defined.add(known)
            define, escaped = self._begun.define_metric, known.replace(".", "\\.")
            for axis in (STEP, TIME):
                define(axis + escaped, hidden=True)
            define(escaped, step_metric=STEP + escaped, step_sync=False)
        return known


class Service:
    """The process of W&B that writes, for all runs of this process.

    Attributes
    ----------
    current : Service or None
        The one that new runs use.
    """

    current: Service | None = None
    _wandb: Any
    _runs: int
    _is_own: bool  # not that of a user's own runs

    def __init__(self, wandb: Any) -> None:
        self._wandb, self._runs = wandb, 0
        self._is_own = "WANDB_SERVICE" not in os.environ

    @classmethod
    def join(cls, wandb: Any) -> Service:
        """Return the current one, for one run more."""
        if cls.current is None:
            cls.current = cls(wandb)
        return cls.current.with_another()

    def with_another(self) -> Service:
        """Return this, for one run more."""
        self._runs += 1
        return self

    def leave(self, broken: bool) -> None:
        """End it after its last run, or when it is broken."""
        self._runs -= 1
        if self is not Service.current or (self._runs and not broken):
            return
        Service.current = None
        if self._is_own:
            # If it is broken, this raises too, and forgets it nevertheless.
            with contextlib.suppress(Exception, SystemExit):
                self._wandb.teardown()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Have W&B say nothing, and ask for no account, unless the user wants that.

    It looks at this when it is used first. Its own ``setup`` may wait for itself.
    """
    name = "WANDB_SILENT"
    if name in os.environ:
        yield
        return
    os.environ[name] = "true"
    try:
        yield
    finally:
        del os.environ[name]


def _directory(run: Run) -> Path:
    """Return where W&B makes its directory, which is not the working directory."""
    where = os.environ.get("WANDB_DIR")
    return Path(where) if where else run.path.parent / OWN


def _base(run: Run, place: str) -> str:
    """Return the first half of the ids of all parts of a run, the same each time."""
    names = f"{run.path}\0{run.info.get('started')}\0{place}"
    return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def _next(directory: Path, base: str, part: int) -> int:
    """Return the number of the next part.

    There may be parts that nobody knows: they could not be begun, or the follower was
    killed before it stored their ids. They have no points, and are removed.
    """
    following = part
    for folder in directory.glob(f"*wandb/*run-*-{base}-*"):
        number = folder.name.rpartition("-")[2]
        if number.isdecimal() and int(number) >= part:
            following = max(following, int(number) + 1)
            kinds = [
                kind for file in folder.glob("*.wandb") for kind in Log(file).new()
            ]
            if HISTORY not in kinds:
                shutil.rmtree(folder, ignore_errors=True)
    return following


def _is_empty(kept: Mapping[str, Any]) -> bool:
    return not kept.get("accepted")


def _folder(kept: Mapping[str, Any]) -> Path:
    return Path(kept["file"]).parent


def _parts(kept: Mapping[str, Any]) -> str:
    """Return the directories of all parts of a run, for a shell."""
    folder = _folder(kept)
    if not kept["parent"]:
        return shlex.quote(str(folder))
    return f"{shlex.quote(str(folder.parent))}/*-run-*-{kept['base']}-*"


def _config(
    run: Run, info: Mapping[str, Any], kept: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters, and where the run comes from."""
    facts = {name: info[name] for name in FACTS if info.get(name) is not None}
    facts |= {"run": str(run.path), "part": kept["part"]}
    if kept["parent"]:
        facts[kept["relation"]] = kept["parent"]
    return {**_params(run), "annarchy_tb": facts}


def _params(run: Run) -> dict[str, Any]:
    return {_clean(name): value for name, value in run.params.items()}


def _notes(info: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    """Return the notes of a run, and what its part is to the one before it."""
    lines = []
    if kept["relation"] == "continues":
        lines.append(f"Continues {kept['parent']}, from where its follower ended.")
    elif kept["relation"] == "replaces":
        lines.append(
            f"Replaces {kept['parent']}, of which a resume of the run withdrew points."
        )
    for note in info.get("notes") or []:
        who = f"{note.get('date', '')} {note.get('user', '')}".strip()
        lines.append(f"{who}: {note.get('text', '')}")
    return _plain("\n".join(lines))


def _plain(text: str) -> str:
    """Return a text that is valid Unicode."""
    return text.encode("utf-8", "replace").decode()


def _clean(name: str) -> str:
    """Return a name that W&B takes as a key: other names stay distinct."""
    plain = re.sub(r"[*\x00-\x1f]", "_", _plain(name)) or "_"
    if plain == "_wandb" or plain != name:
        plain = f"{plain}~{_hash(name)}"
    return plain


def _hash(*names: str) -> str:
    data = "\0".join(names).encode("utf-8", "surrogatepass")
    return f"{zlib.crc32(data):08x}"


def _picture(pixels: Any) -> Any:
    """Return an image of shape (H, W, C) as one of Pillow."""
    with importing:
        from PIL import Image

    if pixels.dtype != np.uint8:  # 16 bits
        pixels = (pixels / 257).round().clip(0, 255).astype(np.uint8)
    squeezed = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    picture = Image.fromarray(squeezed)
    return picture.convert("RGBA") if picture.mode == "LA" else picture


def _bins(buckets: Any) -> tuple[Any, Any]:
    """Return counts and edges of buckets (left, right, count), at most 512."""
    if not len(buckets):
        raise ValueError("it is empty")
    size = -(-len(buckets) // MOST_BINS)
    counts = np.add.reduceat(buckets[:, 2], np.arange(0, len(buckets), size))
    return counts, np.append(buckets[::size, 0], buckets[-1, 1])
