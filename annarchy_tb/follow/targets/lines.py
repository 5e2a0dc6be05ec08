"""Text files: a file a run, and a line for each point or event."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.follow.description import description
from annarchy_tb.follow.target import LostError, Target
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.reading.news import News, Value
from annarchy_tb.reading.run import Run
from annarchy_tb.run.info import RunInfo, as_json
from annarchy_tb.run.paths import absolute
from annarchy_tb.terminal import cell
from annarchy_tb.tfevents.names import harmless

COLUMNS = ("tag", "curve", "step", "time", "wall_time", "value", "kind", "text")


class Lines(Target):
    """A file of whole lines.

    The state has its size. What was written after that, but not noted because the
    follower was killed, is cut off: so each point has one line.
    """

    suffix: str
    head = b""
    path: Path
    _kept: dict[str, Any]
    _fd: int | None = None

    @classmethod
    def resolved(cls, place: str) -> str:
        return os.fspath(absolute(place, "DIR"))

    def begin(
        self, run: Run, kept: dict[str, Any], previous: dict[str, Any] | None
    ) -> None:
        name = harmless(self.options.name) + self.suffix
        self.path, self._kept = Path(self.place, name), kept
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not kept:
            self._make_way(previous is not None)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        if not kept:
            os.ftruncate(self._fd, 0)
            self._write(self.head)
            kept.update(file=str(self.path), size=len(self.head))
        if os.fstat(self._fd).st_size < kept["size"]:
            os.ftruncate(self._fd, 0)
            raise LostError(f"{self.path} is gone, or shorter than it was")
        os.ftruncate(self._fd, kept["size"])

    def _make_way(self, withdrawn: bool) -> None:
        """Move a file away whose points were withdrawn; refuse any other."""
        try:
            with self.path.open("rb") as stream:
                if stream.read(len(self.head) + 1) in (b"", self.head):
                    return
        except FileNotFoundError:
            return
        if not withdrawn:
            raise ValueError(
                f"{self.path} is there, and not known as that of this run: move it away"
            )
        for number in itertools.count(1):
            aside = self.path.with_name(f"{self.path.name}.{number}")
            if not aside.exists():
                break
        self.path.rename(aside)
        self.options.say(f"what it had is kept in {aside}")

    def push(self, news: News) -> None:
        parts = [
            line
            for tag, points in news.points.items()
            for line in self.points(tag, news.curve, points.numeric())
        ]
        parts += [self.value(value, news.curve) for value in news.values]
        self._append("".join(parts))

    def end(self, run: Run, status: str) -> None:
        self._append(self.last(RunInfo.read(run.path), status))

    def close(self) -> None:
        descriptor, self._fd = self._fd, None
        if descriptor is not None:
            os.close(descriptor)

    def _append(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        self._write(data)
        self._kept["size"] += len(data)

    def _write(self, data: bytes) -> None:
        """Write all of it, or nothing."""
        if self._fd is None:
            raise ValueError(f"{self.path} is closed")
        start, rest = os.fstat(self._fd).st_size, memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, start)
            raise

    def points(self, tag: str, curve: str, points: Scalars) -> Iterator[str]:
        """Yield a line for each point."""
        raise NotImplementedError

    def value(self, value: Value, curve: str) -> str:
        """Return the line of a value of another kind."""
        raise NotImplementedError

    def last(self, info: RunInfo, status: str) -> str:
        """Return the line for the end of the run."""
        raise NotImplementedError


class JsonLines(Lines):
    """``jsonl:DIR``: a line is an object of JSON.

    NaN is null. An infinite number is the text "Infinity" or "-Infinity", for JSON has
    none.
    """

    suffix = ".jsonl"

    def points(self, tag: str, curve: str, points: Scalars) -> Iterator[str]:
        head = f'{{"tag": {_quoted(tag)}, "curve": {_quoted(curve)}, "step": '
        for step, time, wall_time, value in _rows(points, _JSON):
            yield (
                f'{head}{step}, "time": {time}, "wall_time": {wall_time}, '
                f'"value": {value}}}\n'
            )

    def value(self, value: Value, curve: str) -> str:
        return _line(
            tag=value.tag,
            curve=curve,
            step=value.step,
            time=value.time,
            wall_time=value.wall_time,
            kind=value.kind,
            text=description(value),
        )

    def last(self, info: RunInfo, status: str) -> str:
        its = {"params": info.params or {}, "metrics": info.metrics or {}}
        return _line(kind="end", status=status, **its)


class Csv(Lines):
    """``csv:DIR``: a line is a row of a table, after one with the names of its columns.

    NaN and infinite numbers are nan, inf and -inf.
    """

    suffix = ".csv"
    head = (",".join(COLUMNS) + "\n").encode()

    def points(self, tag: str, curve: str, points: Scalars) -> Iterator[str]:
        head = _row(cell(tag), cell(curve))
        for step, time, wall_time, value in _rows(points, {}):
            given = "" if time == "nan" else time
            yield f"{head},{step},{given},{wall_time},{value},,\n"

    def value(self, value: Value, curve: str) -> str:
        time = "" if math.isnan(value.time) else repr(value.time)
        text = cell(description(value))
        names = (cell(value.tag), cell(curve))
        its = (value.step, time, repr(value.wall_time), "", value.kind, text)
        return f"{_row(*names, *its)}\n"

    def last(self, info: RunInfo, status: str) -> str:
        return f"{_row('', '', '', '', '', '', 'end', status)}\n"


# What JSON has for numbers that it does not know.
_JSON = {"nan": "null", "inf": '"Infinity"', "-inf": '"-Infinity"'}


def _rows(points: Scalars, odd: dict[str, str]) -> Iterator[Sequence[str]]:
    """Return step, time, real time and value of each point, as texts.

    A text is the shortest from which the same double is read.
    """
    steps, values, times, wall_times = points
    columns = (steps, times, wall_times, values)
    return zip(*(_texts(column, odd) for column in columns), strict=True)


def _texts(column: NDArray[Any], odd: dict[str, str]) -> Iterable[str]:
    if column.dtype.kind not in "iu":
        column = column.astype(np.float64, copy=False)
    texts = map(repr, column.tolist())
    if not odd or np.isfinite(column).all():
        return texts
    return (odd.get(text, text) for text in texts)


def _line(**fields: Any) -> str:
    plain = as_json(fields)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    return f"{text if text.isprintable() else json.dumps(plain)}\n"


def _quoted(text: str) -> str:
    """Return a text as JSON, in such a way that no terminal acts on it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _row(*cells: object) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="").writerow(cells)
    return stream.getvalue()
