"""Arguments that name a directory of runs, or a run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NoReturn

import click

from annarchy_tb.reading.where import SECONDS
from annarchy_tb.run.names import RUN_JSON
from annarchy_tb.run.paths import directory_of_runs
from annarchy_tb.terminal import escaped

UNITS = {**SECONDS, "": 1, "m": 60}


class Directory(click.Path):
    """A directory, whose name may be anybody's: ``runs/*``."""

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False)

    def fail(self, message: str, *more: Any, **options: Any) -> NoReturn:
        super().fail(escaped(message), *more, **options)


class Logdir(Directory):
    """A directory of runs, or the address of a mirror, as in ``s3://bucket/runs``."""

    def convert(self, value: Any, *more: Any) -> Any:
        return value if is_url(value) else super().convert(value, *more)


def is_url(given: object) -> bool:
    """Return whether an argument is an address."""
    return isinstance(given, str) and "://" in given


class RunDirectory(Directory):
    """The directory of a run, or its name below the default directory of runs."""

    def convert(self, value: Any, *more: Any) -> Any:
        text = os.fspath(value)
        return super().convert(_below(text) or text, *more)


def _below(text: str) -> str | None:
    """Return the run of this name below the directory of runs.

    None if a directory of this name counts: it is a run, or there is no such run.
    """
    path = Path(text)
    if path.is_absolute() or ".." in path.parts or _is_run(path):
        return None
    below = default_logdir() / path
    if _is_run(below) or (below.is_dir() and not path.exists()):
        return str(below)
    return None


def _is_run(path: Path) -> bool:
    try:
        inside = os.listdir(path)
    except (OSError, ValueError):
        return False
    return any(name == RUN_JSON or "tfevents" in name for name in inside)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as ``90``, ``30s``, ``10m``, ``1h`` or ``2d``, in seconds."""

    name = "time"

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if isinstance(value, (int, float)):
            return float(value)
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([a-z]*)", value.strip())
        if found is None or found[2] not in UNITS:
            self.fail(f"write it as in 90s, 10m or 1h, got {escaped(value)!r}")
        return float(found[1]) * UNITS[found[2]]


def default_logdir() -> Path:
    """Return the default directory of runs, or end with an error in a line."""
    try:
        return directory_of_runs(None)
    except ValueError as error:
        raise click.BadParameter(escaped(error), param_hint="LOGDIR") from None


logdir_argument = click.argument(
    "logdir", default=lambda: str(default_logdir()), type=Directory()
)

mirror_argument = click.argument(
    "logdir",
    metavar="[LOGDIR|URL]",
    default=lambda: str(default_logdir()),
    type=Logdir(),
)
