"""The runs of a directory as JSON, for a page that compares them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from annarchy_tb.board.packed import Curve, share
from annarchy_tb.board.pictures import tags
from annarchy_tb.board.run import address, head, plots, remarks, scalar_card
from annarchy_tb.kinds import image
from annarchy_tb.reading import wording
from annarchy_tb.reading.find import Runs
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo

MOST_RUNS = 500  # whose curves are on the page; the table has all
PICTURE_BYTES = 16 << 20  # of the last rasters and matrices


def runs_data(runs: Runs) -> dict[str, Any]:
    """Return all that a page shows of the runs of a directory, as JSON.

    Runs that are deleted meanwhile are left out.
    """
    rows: list[dict[str, Any]] = []
    found: dict[str, list[tuple[int, str, Curve]]] = {}
    units: dict[str, str] = {}
    time_units: set[str | None] = set()
    number = 0
    lasts = Lasts()
    with remarks() as said:
        for run in runs:
            name = wording.name(run.path, runs.logdir)
            try:
                info = RunInfo.read(run.path)
                row = head(run, info, name, run.params)
                results = info.metrics or {}
                drawn = len(rows) < MOST_RUNS
                its = plots(run, results) if drawn else {}
                pictures = last_pictures(run) if drawn else {}
                Run(run.path)  # still there
            except OSError:
                continue
            lasts.add(len(rows), pictures)
            units = {**info.tag_units(), **units}
            time_units.add(info.time_unit)
            for tag, curves in its.items():
                for curve, points in curves.items():
                    found.setdefault(tag, []).append((len(rows), curve, points))
                    number += 1
            rows.append(row)
    most = share(number)
    one_unit = len(time_units) == 1
    return {
        "kind": "runs",
        "path": str(runs.logdir),
        "name": runs.logdir.name,
        "runs": rows,
        "drawn": min(len(rows), MOST_RUNS),
        "unit": next(iter(time_units)) if one_unit else None,
        "cards": [
            _card(tag, curves, units.get(tag), most, one_unit)
            for tag, curves in found.items()
        ],
        "pictures": lasts.as_json(),
        "remarks": said,
    }


class Lasts:
    """The last rasters and matrices of runs, in a bounded number of bytes.

    Of each tag, there are those of the first runs that are added.
    """

    _frames: dict[str, list[dict[str, Any]]]
    _left: dict[str, int]  # how many were left out
    _room: int

    def __init__(self) -> None:
        self._frames, self._left = {}, {}
        self._room = PICTURE_BYTES

    def add(self, run: int, found: Mapping[str, dict[str, Any]]) -> None:
        """Add the pictures of a run by their tags, as far as there is room."""
        for tag, frame in found.items():
            frames = self._frames.setdefault(tag, [])
            self._left.setdefault(tag, 0)
            size = len(frame["address"])
            if self._left[tag] or size > self._room:
                self._left[tag] += 1
                continue
            self._room -= size
            frames.append({"run": run, **frame})

    def as_json(self) -> list[dict[str, Any]]:
        """Return the pictures by their tags, and how many were left out."""
        return [
            {"tag": tag, "frames": frames, "left": self._left[tag]}
            for tag, frames in self._frames.items()
        ]


def last_pictures(run: Run) -> dict[str, dict[str, Any]]:
    """Return the last raster or matrix of each tag of a run, as it is in the file."""
    found = {}
    for tag in tags(run):
        with contextlib.suppress(KeyError):  # its picture was not written
            images = run.images(tag)
            data = address(images.images.read_by(image.files), -1)
            if data:
                found[tag] = {"step": int(images.steps[-1]), "address": data}
    return found


def _card(
    tag: str,
    curves: list[tuple[int, str, Curve]],
    unit: str | None,
    most: int,
    one_unit: bool,
) -> dict[str, Any]:
    timed = one_unit and all(curve.timed for *_, curve in curves)
    drawn = [
        {"run": run, "name": name, **curve.thinner(most).as_json(timed)}
        for run, name, curve in curves
    ]
    return scalar_card(tag, unit, timed, drawn)
