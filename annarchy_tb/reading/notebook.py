"""Runs as HTML, for notebooks: a table of several, a card of one.

There is no script and no style sheet, and the colours are those of the notebook.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annarchy_tb.kinds import inline
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading import wording
from annarchy_tb.reading.course import Course, age, course
from annarchy_tb.run.info import RUNNING, RunInfo
from annarchy_tb.run.paths import directories
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files

if TYPE_CHECKING:
    from annarchy_tb.reading.run import Run

MOST_RUNS = 50  # of a table
MOST_COLUMNS = 12  # of parameters, and of results
MOST_VALUES = 40  # of a card: parameters, and results
MOST_CURVES = 12
MOST_TAGS = 20  # of other kinds
LONGEST = 60  # characters of a value
MOST_BYTES = 128 << 20  # of files that are read for the curves of a card

CELL = "text-align:left;padding:2px 8px;vertical-align:top"
LINE = "border-bottom:1px solid currentColor"

# -- the table of several runs ---------------------------------------------------------


def table(runs: Sequence[Run], logdir: Path) -> str:
    """Return runs as a table: names, status, what differs, and results."""
    rows = []
    for run in runs[:MOST_RUNS]:
        info = RunInfo.read(run.path)
        its: Course | None = None
        with contextlib.suppress(OSError):  # deleted meanwhile
            its = course(run.path, info)
        rows.append((run, info, its))
    params = wording.differing([info.params or {} for _, info, _ in rows])
    metrics = list(dict.fromkeys(n for _, info, _ in rows for n in info.metrics or {}))
    shown = params[:MOST_COLUMNS], metrics[:MOST_COLUMNS]
    heads = ["run", "status", "started", "duration", *shown[0], *shown[1]]
    lines = [_row(heads, "th")]
    for run, info, its in rows:
        cells = [wording.name(run.path, logdir), "gone", "", ""]
        if its is not None:
            cells[1:] = [
                its.status,
                wording.date(its.began),
                wording.duration(its.duration),
            ]
        for names, values in zip(shown, (info.params, info.metrics), strict=True):
            cells += [_value((values or {}).get(name, "")) for name in names]
        lines.append(_row(cells))
    left = [
        f"{len(its) - most} more {what}"
        for its, most, what in (
            (runs, MOST_RUNS, "runs"),
            (params, MOST_COLUMNS, "parameters that differ"),
            (metrics, MOST_COLUMNS, "results"),
        )
        if len(its) > most
    ]
    more = f"<div>... and {', '.join(left)}: see to_pandas()</div>" if left else ""
    where = inline.text(logdir)
    if not rows:
        return f"<div>no runs in {where}</div>"
    return (
        f"<div>{len(runs)} run{'s' * (len(runs) > 1)} in {where}</div>"
        f'<table style="border-collapse:collapse">{"".join(lines)}</table>{more}'
    )


# -- the card of one run ---------------------------------------------------------------


def card(run: Run) -> str:
    """Return a run as a card: how it went, its parameters and results, its curves."""
    info = RunInfo.read(run.path)
    parts = [
        f'<div style="font-weight:bold">{inline.text(run.path.name)}</div>',
        f"<div>{inline.text(run.path)}</div>",
        f"<div>{_course(run.path, info)}</div>",
    ]
    if info.error:
        said = f"{info.error.get('type')}: {info.error.get('message')}"
        parts.append(f"<div>{inline.text(said, 300)}</div>")
    for tag, step in itertools.islice((info.not_finite or {}).items(), 3):
        said = f"{tag} was not finite, first at step {step}"
        parts.append(f"<div>{inline.text(said, 300)}</div>")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            params = run.params
            data = _data(run)
        except (OSError, ValueError) as error:  # deleted or damaged meanwhile
            params = info.params or {}
            data = f"<div>the data can't be read: {inline.text(error, 300)}</div>"
    for name, values in (("parameters", params), ("results", info.metrics or {})):
        if values:
            parts.append(_values(name, values))
    parts.append(data)
    if caught:
        parts.append(f"<div>{inline.text(caught[0].message, 300)}</div>")
    style = "border:1px solid currentColor;border-radius:4px;padding:8px 12px"
    return f'<div style="{style}">{"".join(parts)}</div>'


def _course(path: Path, info: RunInfo) -> str:
    """Return how a run went, in a line."""
    try:
        its = course(path, info)
    except OSError:
        return "its directory is gone"
    said = [its.status]
    if its.began is not None:
        said.append(f"started {wording.date(its.began)}")
    if its.duration is not None:
        said.append(f"took {wording.duration(its.duration)}")
    if its.status == RUNNING and (since := age(its.written)) is not None:
        said[-1] = f"last record {wording.duration(since)} ago"
    return inline.text(", ".join(said))


def _values(name: str, values: Mapping[str, Any]) -> str:
    rows = [
        f'<tr><td style="{CELL}">{inline.text(one, LONGEST)}</td>'
        f'<td style="{CELL}">{inline.text(_value(its))}</td></tr>'
        for one, its in itertools.islice(values.items(), MOST_VALUES)
    ]
    left = len(values) - MOST_VALUES
    more = f"<div>... and {left} more</div>" if left > 0 else ""
    head = f'<div style="{LINE}">{name}</div>'
    return inline.figure(head, f"<table>{''.join(rows)}</table>{more}")


def _data(run: Run) -> str:
    """Return the curves of a run, and the tags of other kinds."""
    size = sum(path.stat().st_size for path in _files(run.path))
    if size > MOST_BYTES:
        return f"<div>curves are not drawn of {size >> 20} MiB: use scalars(tag)</div>"
    drawn, number = [], 0
    for tag, name, points in _nonempty(run):
        number += 1
        if number <= MOST_CURVES:
            drawn.append(_curve(f"{tag} ({name})" if name else tag, points))
    parts = [f"<div>{''.join(drawn)}</div>"]
    if number > MOST_CURVES:
        parts.append(f"<div>... and {number - MOST_CURVES} more curves</div>")
    others = [f"{tag} ({kind})" for tag, kind in run.tags().items() if kind != "scalar"]
    if others:
        left = len(others) - MOST_TAGS
        more = f", and {left} more" if left > 0 else ""
        said = ", ".join(inline.text(one, LONGEST) for one in others[:MOST_TAGS])
        parts.append(f"<div>{said}{more}</div>")
    return "".join(parts)


def _files(run: Path) -> Iterator[Path]:
    for directory in directories(run):
        yield from event_files(directory)
        yield from recordings.files(directory)


def _nonempty(run: Run) -> Iterator[tuple[str, str, Scalars]]:
    for tag, name, points in run.points():
        its = points.numeric()
        if len(its.steps):
            yield tag, name, its


def _curve(name: str, points: Scalars) -> str:
    """Return a small curve with its name, its last value, and its range."""
    times = points.times
    x = times if np.isfinite(times).all() else points.steps
    values = np.asarray(points.values, np.float64)
    finite = values[np.isfinite(values)]
    said = f"{values[-1]:.6g}"
    if len(finite):
        said += f" ({finite.min():.4g} to {finite.max():.4g})"
    drawn = inline.curve(x, values, name)
    return inline.figure(inline.text(name, LONGEST), f"{drawn}<div>{said}</div>")


# -- cells -----------------------------------------------------------------------------


def _row(cells: Iterable[object], kind: str = "td") -> str:
    style = f"{CELL};{LINE}" if kind == "th" else CELL
    return (
        "<tr>"
        + "".join(
            f'<{kind} style="{style}">{inline.text(cell, LONGEST)}</{kind}>'
            for cell in cells
        )
        + "</tr>"
    )


def _value(value: Any) -> str:
    """Return a value of ``run.json`` as a short text."""
    said = wording.plain(value)
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
