"""A run as JSON, for a page that shows it."""

from __future__ import annotations

import base64
import contextlib
import json
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.board import pictures
from annarchy_tb.board.packed import Curve, curve, packed, share, spread
from annarchy_tb.kinds import audio, html, image
from annarchy_tb.reading.course import course
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo, as_json
from annarchy_tb.tfevents.schema import AUDIO, HISTOGRAM, HTML, IMAGE, SCALAR, TEXT
from annarchy_tb.tfevents.values import OnDemand

MOST_FRAMES = 1000  # images or sounds of a tag that are elsewhere
MOST_IMAGES = 60  # of a tag that are in the page
IMAGE_BYTES = 32 << 20  # of all tags
MOST_SOUNDS = 20  # of a tag
SOUND_BYTES = 8 << 20  # of all tags
MOST_HISTOGRAMS = 200  # of a tag
ROWS = 60  # of the picture of a tag's histograms
MOST_TEXTS = 50  # of a tag
LONGEST = 20_000  # characters of a text
MOST_FRAGMENTS = 5  # of a tag
LARGEST_FRAGMENT = 1 << 20  # characters
MOST_REMARKS = 20

# How the files of images and sounds begin.
BEGINNINGS = {
    "image/png": b"\x89PNG",
    "image/jpeg": b"\xff\xd8",
    "image/gif": b"GIF8",
    "audio/wav": b"RIFF",
}

Link = Callable[[str, int], str]

LAYOUT = "custom_scalars"  # of TensorBoard's own tab

# What run.json says about the origin of a run.
ORIGIN = (
    *("experiment", "group", "user", "host", "command", "cwd", "git", "python"),
    *("versions", "environment", "slurm", "dt", "time_unit", "origin"),
    *("restarts", "checkpoint", "parent", "parent_step", "trial"),
    *("lost_records", "lost_blocks"),
)


def head(run: Run, info: RunInfo, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a run in a row, by its record, as JSON.

    Raises
    ------
    OSError
        If it was deleted meanwhile.
    """
    status, begun, written, duration = course(run.path, info)
    said = {
        "name": name,
        "status": status,
        "started": _date(begun),
        "written": _date(written),
        "duration": duration and duration.total_seconds(),
        "phase": (info.phases or {}).get("last"),
        "params": params,
        "results": info.metrics or {},
        "odd": info.not_finite or {},
        "error": info.error,
    }
    found: dict[str, Any] = as_json(said)
    return found


def run_data(run: Run, link: Link | None = None) -> dict[str, Any]:
    """Return all that a page shows of a run, as JSON.

    Parameters
    ----------
    run
        The run.
    link
        Returns where the page finds an image or a sound, by its tag and number; what
        rasters and matrices were drawn from, it asks for by these. By default, as many
        of them as a file may hold are in the page.

    Raises
    ------
    OSError
        If it was deleted meanwhile.
    """
    with remarks() as said:
        info = RunInfo.read(run.path)
        about = head(run, info, run.path.name, run.params)
        cards = [*_plots(run, info), *_others(run, info.tag_units(), link)]
        phases = [
            {
                "number": phase.number,
                "name": phase.name,
                "began": _date(phase.began),
                "ended": _date(phase.ended),
                "time": phase.time,
            }
            for phase in run.phases
        ]
    run = Run(run.path)  # still there
    origin = {name: getattr(info, name) for name in ORIGIN}
    there = {name: its for name, its in origin.items() if its not in (None, {}, 0)}
    data: dict[str, Any] = {
        "kind": "run",
        "run": about,
        "path": str(run.path),
        "origin": there,
        "phases": phases,
        "sessions": [
            {name: one.get(name) for name in ("kind", "start", "end", "status")}
            for one in run.sessions
        ],
        "notes": run.notes,
        "unit": info.time_unit,
        "cards": cards,
        "remarks": said,
    }
    found: dict[str, Any] = as_json(data)
    return found


@contextmanager
def remarks() -> Iterator[list[str]]:
    """Collect what is warned of, for the page."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield said
    messages = list(dict.fromkeys(str(one.message) for one in found))
    said += messages[:MOST_REMARKS]
    if messages[MOST_REMARKS:]:
        said.append(f"and {len(messages) - MOST_REMARKS} more")


def _date(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


# -- curves ----------------------------------------------------------------------------


def plots(run: Run, results: Container[str]) -> dict[str, dict[str, Curve]]:
    """Return the curves of a run by their tags and names.

    Single points that are results are left out: tables have them.
    """
    found: dict[str, dict[str, Curve]] = {}
    for tag, name, points in run.points():
        if len(points.steps) > 1 or (len(points.steps) and tag not in results):
            found.setdefault(tag, {})[name] = curve(points)
    return found


def _plots(run: Run, info: RunInfo) -> Iterator[dict[str, Any]]:
    units = info.tag_units()
    found = plots(run, info.metrics or {})
    most = share(sum(map(len, found.values())))
    for tag, curves in found.items():
        timed = all(its.timed for its in curves.values())
        drawn = [
            {"name": name, **its.thinner(most).as_json(timed)}
            for name, its in curves.items()
        ]
        yield scalar_card(tag, units.get(tag), timed, drawn)


def scalar_card(
    tag: str, unit: str | None, timed: bool, curves: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the card of a plot, as JSON."""
    return {
        "kind": SCALAR.name,
        "tag": tag,
        "unit": unit,
        "timed": timed,
        "curves": curves,
    }


# -- other kinds -----------------------------------------------------------------------


def _others(
    run: Run, units: Mapping[str, str], link: Link | None
) -> Iterator[dict[str, Any]]:
    tags = run.tags()
    count = list(tags.values()).count
    for tag, kind in tags.items():
        said: dict[str, Any] = {"kind": kind, "tag": tag}
        if kind in (SCALAR.name, LAYOUT):
            continue
        if kind == IMAGE.name:
            said |= _pictures(run, tag, IMAGE_BYTES // count(kind), link)
            said["unit"] = units.get(tag)
        elif kind == AUDIO.name and link is not None:
            said |= _linked(run.audio(tag), tag, link)
        elif kind == AUDIO.name:
            sounds = run.audio(tag)
            files = sounds.sounds.read_by(audio.files)
            room = SOUND_BYTES // count(kind)
            said |= _frames(len(files), MOST_SOUNDS, room, _files(sounds, files))
        elif kind in _OTHERS:
            said |= _OTHERS[kind](run, tag)
        yield said


def _place(found: Any, at: int) -> dict[str, Any]:
    """Return where a value is: its step, and its simulated time, if it has one."""
    return {"step": int(found.steps[at]), "time": float(found.times[at])}


def _pictures(run: Run, tag: str, room: int, link: Link | None) -> dict[str, Any]:
    """Return the pictures of a tag, or what they were drawn from, in so many bytes."""
    images = run.images(tag)
    total = len(images.steps)
    picture = _files(images, images.images.read_by(image.files))
    kept = pictures.kept(run, tag, total)
    if link is not None:
        return _linked(images, tag, link, kept)
    if kept is None:
        return _frames(total, MOST_IMAGES, room, picture)

    def frame(at: int) -> dict[str, Any]:
        its = kept.found[at]
        if its is not None:
            with contextlib.suppress(ValueError, OSError, KeyError, TypeError):
                return {**_place(images, at), **kept.card.frame(its)}
        return picture(at)  # nothing was kept, or it is damaged

    return {"kind": kept.card.name, **_frames(total, MOST_IMAGES, room, frame)}


def _linked(
    found: Any, tag: str, link: Link, kept: pictures.Kept | None = None
) -> dict[str, Any]:
    """Return which images or sounds a tag has, and where those are that are shown.

    What others were drawn from is asked for by their numbers.
    """
    number = len(found.steps)
    frames = [
        {**_place(found, at), "at": at}
        if kept is not None and kept.found[at] is not None
        else {**_place(found, at), "at": at, "address": link(tag, at)}
        for at in spread(number, MOST_FRAMES)
    ]
    kind = {} if kept is None else {"kind": kept.card.name}
    return {**kind, "frames": frames, "number": number}


def _files(found: Any, files: OnDemand[bytes]) -> Callable[[int], dict[str, Any]]:
    """Return what makes a frame of an image or a sound, as it is in its file."""
    return lambda at: {**_place(found, at), "address": address(files, at)}


def _frames(
    total: int, most: int, room: int, frame: Callable[[int], dict[str, Any]]
) -> dict[str, Any]:
    """Return frames spread over all of them, in so many bytes, with the last one."""
    frames: list[dict[str, Any]] = []
    while most:
        frames, size = [], 0
        for at in spread(total, most):
            its = as_json(frame(at))
            size += len(json.dumps(its))
            if size > room:
                break
            frames.append(its)
        if size <= room:
            break
        frames, most = [], min(most, total) // 2
    return {"frames": frames, "number": total}


def address(files: OnDemand[bytes], at: int) -> str:
    """Return an address that holds an image or a sound; nothing if it is another."""
    try:
        data = files[at]
    except (ValueError, OSError):  # changed meanwhile
        return ""
    kind = kind_of(data)
    return kind and f"data:{kind};base64,{base64.b64encode(data).decode()}"


def kind_of(data: bytes) -> str:
    """Return the type of an image or a sound that browsers show, else nothing."""
    for kind, start in BEGINNINGS.items():
        if data.startswith(start):
            return kind
    return ""


def frame(run: Run, tag: str, at: int) -> bytes:
    """Return an image or a sound as it is in the files.

    Raises
    ------
    KeyError, IndexError
        If the run has none of this tag, or not so many.
    ValueError, OSError
        If it changed meanwhile.
    """
    if run.tags().get(tag) == AUDIO.name:
        return run.audio(tag).sounds.read_by(audio.files)[at]
    return run.images(tag).images.read_by(image.files)[at]


def _histograms(run: Run, tag: str) -> dict[str, Any]:
    """Return the histograms of a tag: the buckets of one, or several in equal rows."""
    found = run.histograms(tag)
    total = len(found.steps)
    places = spread(total, MOST_HISTOGRAMS)
    tables = []
    for at in places:
        try:
            tables.append(found.histograms[at])
        except (ValueError, OSError):  # changed meanwhile
            tables.append(np.zeros((0, 3)))
    timed = bool(np.isfinite(found.times[places]).all())
    x = (found.times if timed else found.steps)[places]
    said: dict[str, Any] = {"timed": timed, "number": total, "x": packed(x)}
    edges = np.concatenate([table[:, :2].ravel() for table in tables])
    edges = edges[np.isfinite(edges)]
    if not len(edges):
        return {**said, "edges": packed([]), "shares": []}
    if total == 1:
        [table] = tables
        limits = np.append(table[:, 0], table[-1:, 1])
        return {**said, "edges": packed(limits), "shares": [packed(table[:, 2])]}
    low, high = float(edges.min()), float(edges.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = high / ROWS - low / ROWS
    rows = np.array([low + width * row for row in range(ROWS)] + [high])
    shares = [packed(_resampled(table, rows)) for table in tables]
    return {**said, "edges": packed(rows), "shares": shares}


def _resampled(
    table: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return which share of a histogram's values is between each two of the edges."""
    total = table[:, 2].sum()
    if not total:
        return np.zeros(len(edges) - 1)
    # A bucket of one value has no width; it belongs to the row that holds it.
    narrow = table[:, 0] >= table[:, 1]
    found, _ = np.histogram(table[narrow, 0], edges, weights=table[narrow, 2])
    wide = table[~narrow]
    if len(wide):
        limits = np.append(wide[:, 0], wide[-1, 1])
        below = np.append(0.0, np.cumsum(wide[:, 2]))
        found = found + np.diff(np.interp(edges, limits, below))
    shares: NDArray[np.float64] = found / total
    return shares


def _texts(run: Run, tag: str) -> dict[str, Any]:
    """Return the last texts of a tag."""
    found = run.text(tag)
    total = len(found.texts)
    texts = [
        {
            **_place(found, at),
            "text": found.texts[at][:LONGEST],
            "left": max(0, len(found.texts[at]) - LONGEST),
        }
        for at in range(max(0, total - MOST_TEXTS), total)
    ]
    return {"texts": texts, "number": total}


def _fragments(run: Run, tag: str) -> dict[str, Any]:
    """Return the last fragments of HTML of a tag, as pages that can do nothing."""
    found = run.html(tag)
    total = len(found.fragments)
    pages = [
        {**_place(found, at), "page": html.page(found.fragments[at])}
        for at in range(max(0, total - MOST_FRAGMENTS), total)
        if len(found.fragments[at]) <= LARGEST_FRAGMENT
    ]
    return {"pages": pages, "number": total}


# How the data of a tag becomes JSON; board.js draws each kind.
_OTHERS: dict[str, Callable[[Run, str], dict[str, Any]]] = {
    HISTOGRAM.name: _histograms,
    TEXT.name: _texts,
    HTML.name: _fragments,
}
