"""Sessions: each opening of a run by a Logger, kept in ``run.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from annarchy_tb.run.info import RUNNING, RunInfo, typed

KEPT = 100  # sessions; of earlier ones, only the count is kept

Kind = Literal["new", "append", "resume", "branch"]


def begin(
    info: RunInfo, kind: Kind, identity: str, origin: Mapping[str, Any], start: str
) -> None:
    """Add a session, in place; those that were killed meanwhile are marked."""
    session = {
        "kind": kind,
        "start": start,
        "end": None,
        "status": RUNNING,
        "error": None,
        **{name: origin.get(name) for name in ("command", "host", "pid", "process")},
        "commit": (origin.get("git") or {}).get("commit"),
        "session": identity,
    }
    if origin.get("job") is not None:
        session["job"] = origin["job"]
    earlier = found(info)
    for one in earlier:
        one["status"] = status(one)
    info.session_count = max(info.session_count or 0, len(earlier)) + 1
    info.sessions = [*earlier, session][-KEPT:]


def end(info: RunInfo, identity: str, last: Mapping[str, Any]) -> None:
    """Enter the end of a session, in place: `last` has its end, status and error."""
    its = {"end": last["ended"], "status": last["status"], "error": last["error"]}
    enter(info, identity, **its)


def enter(info: RunInfo, identity: str, **fields: Any) -> None:
    """Enter fields of a session, in place."""
    sessions = found(info)
    for one in sessions:
        if one.get("session") == identity:
            one.update(fields)
    info.sessions = sessions


def found(info: RunInfo) -> list[dict[str, Any]]:
    """Return copies of the sessions of a run, oldest first."""
    return [dict(one) for one in info.sessions or () if isinstance(one, dict)]


def writer(
    info: RunInfo, ended: Collection[str | None] = ()
) -> tuple[bool | None, RunInfo]:
    """Return whether a Logger is open on a run, None if unknown, and its record.

    It may be one that joined the run, and outlives the one that keeps the record. Those
    of sessions known to have `ended` are not: a child can't ask which are still open in
    its parent.
    """
    unknown = None
    for one in (info, *(RunInfo.of(typed(session)) for session in found(info))):
        is_open = one.session not in ended and one.is_open()
        if is_open:
            return True, one
        unknown = one if is_open is None else unknown
    return (False, info) if unknown is None else (None, unknown)


def identities(info: RunInfo) -> set[str | None]:
    """Return the sessions of a run, by what identifies them."""
    return {info.session, *(one.get("session") for one in found(info))}


def status(session: Mapping[str, Any]) -> str:
    """Return the status of a session, in the same way as that of a run."""
    return RunInfo.of(typed(session)).state()
