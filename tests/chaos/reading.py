"""What a run has, read back with `Run`, and with TensorBoard's own loader."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util

from annarchy_tb import Run
from annarchy_tb.run.paths import directories
from annarchy_tb.tfevents.event_file import event_files

from . import calls
from .calls import Key, Rows


class BrokenError(Exception):
    """A promise that was not kept.

    Attributes
    ----------
    kind : str
        Which one.
    """

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(f"{kind}: {said}")
        self.kind, self.said = kind, said


class Found(NamedTuple):
    """A run: the rows of its tags, its status and results, and torn or bad places."""

    rows: dict[Key, Rows]
    status: str
    params: dict[str, Any]
    metrics: dict[str, Any]
    damage: list[str]

    @property
    def points(self) -> int:
        """The number of rows."""
        return sum(len(rows.data) for rows in self.rows.values())


NOTHING = Found({}, "absent", {}, {}, [])


def read(path: Path) -> Found:
    """Read a run; `NOTHING` if there is none."""
    try:
        run = Run(path)
    except FileNotFoundError:
        return NOTHING
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows: dict[Key, Rows] = {
            (curve, tag, "scalar"): Rows(points.steps, calls.numbers(points.values))
            for tag, curve, points in run.points()
        }
        for tag, kind in run.tags().items():
            if kind != "scalar":
                rows |= _others(run, tag, kind)
        damage = [f"{d.path.name} at {d.offset}: {d.reason}" for d in run.damage()]
        return Found(rows, run.status, run.params, run.metrics, damage)


def _others(run: Run, tag: str, kind: str) -> dict[Key, Rows]:
    found = run.data(tag)
    if "/raster" in tag or "/matrix" in tag:
        images = Rows(found.steps, calls.PICTURE.repeat(len(found.steps)))
        rows = {("", tag, "image"): images}
        with contextlib.suppress(KeyError):  # there are none
            if "/raster" in tag:
                found, its = run.spikes(tag), "spikes"
                data = [calls.of_spikes(*pair) for pair in found.spikes]
            else:
                found, its = run.matrices(tag), "matrix"
                data = [calls.of_matrix(cells) for cells in found.matrices]
            rows["", tag, its] = Rows(found.steps, calls.joined(data))
        return rows
    if kind == "html":
        data = [calls.digest(fragment) for fragment in found.fragments]
    elif kind == "image":
        data = [calls.of_image(pixels) for pixels in found.images]
    elif kind == "histogram":
        data = [calls.of_histogram(buckets) for buckets in found.histograms]
    else:
        data = [calls.digest(text) for text in found.texts]
    return {("", tag, kind): Rows(found.steps, calls.joined(data))}


def tensorboard(path: Path) -> dict[tuple[str, str], list[tuple[int, float | None]]]:
    """Return steps and numbers (of scalars) by curve and tag, as TensorBoard has them.

    The run's own table and parameters are left out.
    """
    found: dict[tuple[str, str], list[tuple[int, float | None]]] = {}
    for place in directories(path):
        inside = place.relative_to(path).as_posix()
        curve = "" if inside == "." else inside
        for file in event_files(place):
            for event in EventFileLoader(str(file)).Load():
                for value in event.summary.value:
                    if value.tag == "run" or value.tag.startswith("_hparams_"):
                        continue
                    scalar = value.metadata.plugin_data.plugin_name == "scalars"
                    number = tensor_util.make_ndarray(value.tensor) if scalar else None
                    row = event.step, None if number is None else float(number)
                    found.setdefault((curve, value.tag), []).append(row)
    return found


def differs(path: Path, found: Found) -> str | None:
    """Say in what TensorBoard differs from what was found; None if in nothing.

    Recordings are left out: TensorBoard has only the points and images drawn.
    """
    theirs = tensorboard(path)
    for (curve, tag, kind), rows in found.rows.items():
        if "/series" in tag or kind in ("spikes", "matrix"):
            continue
        its = theirs.get((curve, tag), [])
        if [step for step, _ in its] != rows.steps.tolist():  # type: ignore[union-attr]
            return f"{tag!r}: {len(its)} steps in TensorBoard, {len(rows.data)} in Run"
        if kind == "scalar":
            singles: NDArray[Any] = rows.data.view("f8").astype("f4").astype("f8")
            if not np.array_equal([n for _, n in its], singles, equal_nan=True):
                return f"{tag!r}: TensorBoard has other numbers than Run"
    tags = {(curve, tag) for curve, tag, _ in found.rows}
    extra = theirs.keys() - tags
    return f"TensorBoard has {sorted(extra)}, and Run has not" if extra else None
