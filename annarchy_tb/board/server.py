"""Answers to the questions of the tab in TensorBoard; only reading, and by names."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from urllib.parse import urlencode

from annarchy_tb.board import pictures
from annarchy_tb.board.catalogue import Catalogue, roots, version
from annarchy_tb.board.looked_at import Line, Looked, line, places
from annarchy_tb.board.packed import Curve
from annarchy_tb.board.pictures import Spikes
from annarchy_tb.board.run import frame, kind_of, plots, run_data
from annarchy_tb.inputs.importing import importing
from annarchy_tb.kinds.originals import Original
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo, as_json, iso
from annarchy_tb.tfevents import recordings

JSON = "application/json"
MOST_POINTS = 1000  # of each of several curves
MOST_RUNS = 200  # of a question
OTHERS = 10_000  # bytes of what is kept with a curve, about

Plots = dict[str, dict[str, Curve]]


class Query(Protocol):
    """The arguments of a request, as Werkzeug gives them."""

    def get(self, name: str, default: str = ...) -> str:
        """Return the first one of a name."""

    def getlist(self, name: str) -> list[str]:
        """Return all of a name."""


class RefusedError(Exception):
    """A question without an answer.

    Parameters
    ----------
    code : int
        The HTTP status.
    reason : str
        Why.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Server:
    """What the tab shows of the runs below the directories of a TensorBoard.

    Its methods must not be called by several threads at once.

    Parameters
    ----------
    logdir, spec
        What its flags ``--logdir`` and ``--logdir_spec`` say.
    """

    def __init__(self, logdir: str | None, spec: str | None) -> None:
        every = roots(logdir, spec)
        self._name = ", ".join(root.group or root.path.name for root in every)
        self._where = ", ".join(str(root.path) for root in every)
        self._catalogue = Catalogue(every)
        self._looked = Looked()
        self._questions = {
            "runs": self.runs,
            "run": self.run,
            "plots": self.plots,
            "curves": self.curves,
            "part": self.part,
            "frame": self.frame,
        }

    def answer(self, question: str, query: Query) -> tuple[Any, str, int]:
        """Return the answer to a question, its type, and its HTTP status."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # `run_data` collects them
                if question == "file":
                    return *self.file(query), 200
                return self._questions[question](query), JSON, 200
        except RefusedError as refused:
            return {"error": str(refused)}, JSON, refused.code
        except FileNotFoundError as error:  # deleted meanwhile
            return {"error": str(error)}, JSON, 404

    # -- questions ---------------------------------------------------------------------

    def runs(self, query: Query) -> dict[str, Any]:
        """Return the rows of the table; only their version if that is known."""
        rows = self._catalogue.rows()
        said = {
            "kind": "runs",
            "name": self._name,
            "path": self._where,
            "runs": rows,
            "remarks": self._catalogue.remarks,
        }
        with importing:
            import json
        text = json.dumps(said, allow_nan=False).encode()
        said["version"] = hashlib.blake2b(text, digest_size=12).hexdigest()
        if said["version"] == query.get("since"):
            said = {"version": said["version"]}
        return {**said, "now": iso(time.time())}

    def run(self, query: Query) -> dict[str, Any]:
        """Return all that the page of a run shows; only its version if it is known."""
        name = query.get("run", "")
        run = self._run(name)
        now = version(run, RunInfo.read(run.path))
        if now == query.get("since"):
            return {"version": now}
        data = run_data(run, lambda tag, at: _link(name, tag, at))
        data["run"]["name"] = name
        return {**data, "version": now}

    def plots(self, query: Query) -> dict[str, Any]:
        """Return which plots each of some runs has."""
        found = {}
        for name, run in self._runs(query):
            info = RunInfo.read(run.path)
            units = info.tag_units()
            found[name] = {
                "unit": info.time_unit,
                "tags": {
                    tag: {"unit": units.get(tag)} for tag in self._plots(run, info)
                },
                "pictures": {
                    tag: {"step": step, "address": _link(name, tag, at)}
                    for tag, (step, at) in pictures.lasts(run).items()
                },
            }
        return {"plots": found}

    def curves(self, query: Query) -> dict[str, Any]:
        """Return the curves that some runs have on a plot."""
        tag, found = query.get("tag", ""), []
        for name, run in self._runs(query):
            its = self._plots(run, RunInfo.read(run.path))
            for curve, points in its.get(tag, {}).items():
                drawn = places(points.thinner(MOST_POINTS))
                found.append({"run": name, "name": curve, **drawn})
        return {"curves": found}

    def part(self, query: Query) -> dict[str, Any]:
        """Return what is drawn of a part of a curve."""
        tag, curve = query.get("tag", ""), query.get("curve", "")
        timed = query.get("axis") == "time"
        low, high = _number(query, "from"), _number(query, "to")
        run = self._run(query.get("run", ""))

        def read() -> tuple[Line, int]:
            its = line(run, tag, curve, timed)
            return its, its.nbytes

        its: Line = self._kept(run, RunInfo.read(run.path), (tag, curve, timed), read)
        return its.part(low, high)

    def frame(self, query: Query) -> dict[str, Any]:
        """Return a raster or a matrix as it is drawn, or a part of a raster."""
        name, tag, at = query.get("run", ""), query.get("tag", ""), _at(query)
        run = self._run(name)
        part = None
        if query.get("from", ""):
            part = [_number(query, one) for one in ("from", "to", "first", "last")]
            if part[1] < part[0] or part[3] < part[2]:
                raise RefusedError(400, "a part must not end before its beginning")
        try:
            number = len(run.images(tag).steps)
            kept = pictures.kept(run, tag, number)
            its = [None] * number if kept is None else kept.found
            original = its[at]
        except (KeyError, IndexError) as error:
            raise RefusedError(404, f"no such picture: {error.args[0]}") from None
        if kept is not None and original is not None:
            with contextlib.suppress(ValueError, OSError, KeyError, TypeError):
                found = self._drawn(run, (tag, at), kept.card, original, part)
                frame: dict[str, Any] = as_json(found)
                return frame
        return {"address": _link(name, tag, at)}  # nothing was kept, or it is damaged

    def _drawn(
        self,
        run: Run,
        place: tuple[str, int],
        card: pictures.Card,
        original: Original,
        part: list[float] | None,
    ) -> dict[str, Any]:
        """Return a frame, or a part of a raster, whose spikes are kept."""
        if original.kind != recordings.SPIKES:
            return card.frame(original)

        def read() -> tuple[Spikes, int]:
            found = Spikes.of(original).sorted()
            return found, found.times.nbytes + found.ranks.nbytes

        spikes: Spikes = self._kept(run, RunInfo.read(run.path), place, read)
        if part is None:
            return spikes.whole()
        start, end, first, last = part
        return spikes.part(start, end, int(first), int(last))

    def file(self, query: Query) -> tuple[bytes, str]:
        """Return an image or a sound, and its type."""
        run, tag = self._run(query.get("run", "")), query.get("tag", "")
        try:
            data = frame(run, tag, _at(query))
        except (KeyError, IndexError):
            raise RefusedError(404, "the run has no such image or sound") from None
        except ValueError as error:
            raise RefusedError(409, str(error)) from None
        kind = kind_of(data)
        if not kind:
            raise RefusedError(415, "browsers don't show this type of file")
        return data, kind

    # -- runs --------------------------------------------------------------------------

    def _runs(self, query: Query) -> Iterator[tuple[str, Run]]:
        """Yield some runs by their names, without those that may not be shown."""
        names = query.getlist("run")
        if len(names) > MOST_RUNS:
            raise RefusedError(400, f"ask for at most {MOST_RUNS} runs at a time")
        for name in names:
            with contextlib.suppress(RefusedError):
                yield name, self._run(name)

    def _run(self, name: str) -> Run:
        try:
            run = self._catalogue.find(name)
        except PermissionError as error:
            raise RefusedError(403, str(error)) from None
        except OSError:
            run = None
        if run is None:
            raise RefusedError(404, f"there is no run {name!r} here")
        return run

    def _plots(self, run: Run, info: RunInfo) -> Plots:
        def read() -> tuple[Plots, int]:
            found = plots(run, info.metrics or {})
            curves = [curve for named in found.values() for curve in named.values()]
            return found, sum(curve.table.nbytes + OTHERS for curve in curves)

        found: Plots = self._kept(run, info, None, read)
        return found

    def _kept(
        self, run: Run, info: RunInfo, what: Any, read: Callable[[], tuple[Any, int]]
    ) -> Any:
        try:
            return self._looked.get((run.path, what), version(run, info), read)
        except KeyError as error:
            raise RefusedError(404, str(error.args[0])) from None


def _link(run: str, tag: str, at: int) -> str:
    """Return the address of an image or a sound."""
    return f"file?{urlencode({'run': run, 'tag': tag, 'at': at})}"


def _at(query: Query) -> int:
    at = query.get("at", "")
    if not (at.isascii() and at.isdecimal() and len(at) < 10):
        raise RefusedError(400, "at must be a whole number")
    return int(at)


def _number(query: Query, name: str) -> float:
    try:
        found = float(query.get(name, ""))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise RefusedError(400, f"{name} must be a number")
    return found
