"""The runs of a directory as JSON, for a page that compares them."""

from __future__ import annotations

from typing import Any

from annarchy_tb.board.packed import Curve, share
from annarchy_tb.board.run import head, plots, remarks, scalar_card
from annarchy_tb.reading import wording
from annarchy_tb.reading.find import Runs
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo

MOST_RUNS = 500  # whose curves are on the page; the table has all


def runs_data(runs: Runs) -> dict[str, Any]:
    """Return all that a page shows of the runs of a directory, as JSON.

    Runs that are deleted meanwhile are left out.
    """
    rows: list[dict[str, Any]] = []
    found: dict[str, list[tuple[int, str, Curve]]] = {}
    units: dict[str, str] = {}
    time_units: set[str | None] = set()
    number = 0
    with remarks() as said:
        for run in runs:
            name = wording.name(run.path, runs.logdir)
            try:
                info = RunInfo.read(run.path)
                row = head(run, info, name)
                results = info.metrics or {}
                its = plots(run, results) if len(rows) < MOST_RUNS else {}
                Run(run.path)  # still there
            except OSError:
                continue
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
        "remarks": said,
    }


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
