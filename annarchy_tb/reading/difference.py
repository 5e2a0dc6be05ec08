"""What differs between two runs: parameters, results, versions and code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from annarchy_tb.reading.run import Run
from annarchy_tb.run import source
from annarchy_tb.run.info import RunInfo

ABSENT = ""  # in place of what one of the runs does not have


class Difference(NamedTuple):
    """Something that differs.

    Attributes
    ----------
    what : str
        Its kind, such as ``"parameter"``.
    name : str
        Its name.
    one, other : str
        What it is in the two runs.
    """

    what: str
    name: str
    one: str
    other: str


def differences(one: Run, other: Run) -> list[Difference]:
    """Return what differs between two runs."""
    infos = (RunInfo.read(one.path), RunInfo.read(other.path))
    pairs: tuple[tuple[str, list[Mapping[str, Any]]], ...] = (
        ("parameter", [run.params for run in (one, other)]),
        ("result", [run.metrics for run in (one, other)]),
        ("setting", [_settings(info) for info in infos]),
        ("environment", [info.environment or {} for info in infos]),
        ("version", [{"python": info.python} for info in infos]),
        ("version", _packages(one, other, infos)),
        ("code", [_commit(info) for info in infos]),
        ("changes", [_changes(one, infos[0]), _changes(other, infos[1])]),
    )
    return [row for what, (its, others) in pairs for row in _compare(what, its, others)]


def _compare(
    what: str, its: Mapping[str, Any], others: Mapping[str, Any]
) -> Iterator[Difference]:
    for name in {**its, **others}:
        if not _is_same(its.get(name, ...), others.get(name, ...)):
            yield Difference(what, name, _text(its, name), _text(others, name))


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else ABSENT


def _settings(info: RunInfo) -> dict[str, Any]:
    its = {"time_unit": info.time_unit, "dt": info.dt, "origin": info.origin}
    return {name: value for name, value in its.items() if value is not None}


def _packages(
    one: Run, other: Run, infos: tuple[RunInfo, RunInfo]
) -> list[Mapping[str, Any]]:
    """Return the versions of all packages, or of those that both runs name."""
    kept = [
        source.kept_packages(run.path, info.source)
        for run, info in zip((one, other), infos, strict=True)
    ]
    if all(kept):
        return list(kept)
    return [info.versions or {} for info in infos]


def _commit(info: RunInfo) -> dict[str, Any]:
    its = info.git or {}
    dirty = {None: "not known", True: "yes", False: "no"}.get(its.get("dirty"), "")
    if not its:
        return {}
    return {"commit": its.get("commit"), "uncommitted changes": dirty}


def _changes(run: Run, info: RunInfo) -> dict[str, str]:
    """Return the files that differ from the commit, each with a summary."""
    its = info.source or {}
    found = {}
    if not its and (info.git or {}).get("dirty"):
        found["(all files)"] = "not kept"
    elif its and its.get("complete") is not True:
        found["(all files)"] = f"not complete: {its.get('why')}"
    for name, lines in source.kept_changes(run.path, info.source).items():
        added = sum(line.startswith(b"+") for line in lines)
        removed = sum(line.startswith(b"-") for line in lines)
        digest = hashlib.sha256(b"\n".join(lines)).hexdigest()[:7]
        found[name] = f"+{added} -{removed} ({digest})"
    return found
