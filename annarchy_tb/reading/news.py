"""News of a run: what was written since a position, for whoever follows it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.tags import is_own
from annarchy_tb.kinds import recorded, scalar
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.run.info import RunInfo
from annarchy_tb.run.paths import directories
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import is_ours, part_before
from annarchy_tb.tfevents.parsing import NO_BLOCK, Event
from annarchy_tb.tfevents.recordings import Index
from annarchy_tb.tfevents.scan import Block, Damage, Scan, whole_records
from annarchy_tb.tfevents.schema import BY_NAME, SCALAR

BATCH = 1 << 20  # bytes that are read at a time

Position = dict[str, Any]  # of JSON


class Value(NamedTuple):
    """One value that is no number, such as an image.

    Attributes
    ----------
    tag, kind : str
        Its tag and kind, as in `annarchy_tb.Run.tags`.
    step : int
    content : object
        What the method of `annarchy_tb.Run` for this kind returns for one value: for an
        image, an array of shape ``(H, W, C)``.
    time, wall_time : float
        As in `Scalars`.
    """

    tag: str
    kind: str
    step: int
    content: Any
    time: float
    wall_time: float


class News(NamedTuple):
    """Some of what was written to a run.

    Attributes
    ----------
    position : dict
        Where the next news begins, for `annarchy_tb.Run.news`; it is valid JSON.
    curve : str
        The curve of `annarchy_tb.Logger.add_scalars`; ``""`` for the run itself.
    points : dict of str to Scalars
        New points by their tags.
    values : list of Value
        New values of other kinds.
    """

    position: Position
    curve: str
    points: dict[str, Scalars]
    values: list[Value]


class Restart(NamedTuple):
    """Data that was read before is gone: cut off by a resume, or the run started over.

    All that the run has follows.

    Attributes
    ----------
    position : dict
        The beginning of the run.
    """

    position: Position


def position(run: Path) -> Position:
    """Return the position at the end of what a run has now."""
    files: dict[str, int] = {}
    phases: dict[str, Any] = {}
    for directory in directories(run):
        for path in event_files(directory):
            before = part_before(path)
            open_phase = None if before is None else phases.get(_name(run, before))
            files[_name(run, path)], spans = whole_records(path, open_phase)
            if (phase := spans.last()) is not None:
                phases[_name(run, path)] = phase.head()
        for path in recordings.files(directory):
            ends = [stored.end for stored in recordings.blocks(path, [])]
            files[_name(run, path)] = ends[-1] if ends else 0
    at: Position = {"started": RunInfo.read(run).started, "files": files}
    return at | {"phases": phases} if phases else at


def news(
    run: Path, since: Mapping[str, Any] | None, damage: list[Damage] | None = None
) -> Iterator[News | Restart]:
    """Yield what was written since a position, see `annarchy_tb.Run.news`.

    Places that are damaged, or incomplete, are added to `damage`.
    """
    damage = [] if damage is None else damage
    started = RunInfo.read(run).started
    before = dict(since or {"started": started, "files": {}})
    if _is_gone(run, before, started):
        before = {"started": started, "files": {}}
        yield Restart({"started": started, "files": {}})
    at = {**_copy(before), "started": started}
    for directory in directories(run):
        inside = "" if directory == run else _name(run, directory)
        for path in event_files(directory):
            yield from _events(run, path, inside, at, damage)
        for path in recordings.files(directory):
            yield from _blocks(run, path, inside, at, damage)


def _name(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix()


def _is_gone(run: Path, before: Mapping[str, Any], started: str | None) -> bool:
    """Return whether a part of what was read before is gone."""
    if started is not None and before["started"] not in (None, started):
        return True
    for name, end in before["files"].items():
        try:
            if (run / name).stat().st_size < end:
                return True
        except FileNotFoundError:
            return True
    return False


def _events(
    run: Path, path: Path, curve: str, at: Position, damage: list[Damage]
) -> Iterator[News]:
    """Yield what is new in an event file."""
    name, scan = _name(run, path), Scan(at.get("kinds", {}).get(curve), BATCH)
    # A block of a recording is written before the events that are drawn from it.
    index = functools.cache(lambda: Index(path.parent))
    begun, phases = at["files"].get(name, 0), at.get("phases", {})
    before = part_before(path)
    inside = name if begun or before is None else _name(run, before)
    scan.begin(path, begun, phases.get(inside))
    for block in scan.files([path]):
        at["files"][name] = scan.end(path)
        if not is_ours(path.name) and scan.kinds:  # given by a tag's first event only
            at.setdefault("kinds", {})[curve] = dict(scan.kinds)
        phase = scan.phases(path).last()
        at.get("phases", {}).pop(name, None)
        if phase is not None:
            at.setdefault("phases", {})[name] = phase.head()
        points = _points(block, path, index)
        values = [
            value
            for place, event in block.others
            for value in _values(event, path, place, block.phases.time(place), damage)
        ]
        if points or values:
            yield News(_copy(at), curve, points, values)
    damage += scan.damage


def _points(block: Block, path: Path, index: Callable[[], Index]) -> dict[str, Scalars]:
    """Return the points of a block, without those of recordings that are there."""
    found = {}
    for tag, its in scalar.by_tag(block)[0].items():
        left = [
            part
            for number, part in its
            if number == NO_BLOCK or index().find(path, number, tag) is None
        ]
        if left and not is_own(tag):
            found[tag] = scalar.joined(left)
    return found


def _values(
    event: Event, path: Path, place: int, later: float, damage: list[Damage]
) -> Iterator[Value]:
    for value in event.values:
        kind = BY_NAME.get(value.kind)
        if kind is None or kind == SCALAR or is_own(value.tag):
            continue
        with importing:
            module = import_module(f"annarchy_tb.kinds.{kind.name}")
        try:
            contents = list(module.decode(value))
        except Exception as error:  # whatever its library raises
            damage.append(Damage(path, place, f"{value.tag!r} can't be read: {error}"))
            continue
        when = (event.time + later, event.wall_time)
        for content in contents:
            yield Value(value.tag, kind.name, event.step, content, *when)


def _blocks(
    run: Path, path: Path, curve: str, at: Position, damage: list[Damage]
) -> Iterator[News]:
    """Yield what is new in recordings."""
    name = _name(run, path)
    for stored in recordings.blocks(path, damage, start=at["files"].get(name, 0)):
        at["files"][name] = stored.end
        if stored.kind == recordings.SERIES:
            try:
                points = recorded.block_points(stored)
            except (ValueError, OSError) as error:
                damage.append(Damage(path, stored.offset, str(error)))
                continue
            yield News(_copy(at), curve, points, [])


def _copy(at: Mapping[str, Any]) -> Position:
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in at.items()
    }
