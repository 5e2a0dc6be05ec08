"""Reading of event files into columns, one block of records at a time.

Most records hold scalars and are decoded many at once; only the others are parsed one
by one.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from google_crc32c import value as crc32c
from numpy.lib.stride_tricks import sliding_window_view

from annarchy_tb.tfevents.columns import Columns, Layouts
from annarchy_tb.tfevents.names import part_before
from annarchy_tb.tfevents.parsing import Event, Value, parse
from annarchy_tb.tfevents.phases import Spans, marks
from annarchy_tb.tfevents.records import DOUBLE, FLOAT, HEAD, TAIL, UINT32, UINT64, mask
from annarchy_tb.tfevents.schema import SCALAR

BLOCK = 1 << 21  # bytes read at a time
FEW = 16  # up to this many records of one length are parsed one by one
STREAK = 12  # after this many records of one length, more are searched for at once
AHEAD = 256  # that many
CYCLE = 48  # records of different lengths among which repetitions are looked for
TORN = "the file ends within"  # as of one that is still being written
LONGEST = 1 << 14  # bytes; longer events are parsed one by one


class Damage(NamedTuple):
    """A place where an event file can't be read.

    Attributes
    ----------
    path : Path
        The file.
    offset : int
        Start of the damaged record, in bytes.
    reason : str
        A description of the damage.
    """

    path: Path
    offset: int
    reason: str


class Block(NamedTuple):
    """Some records of a file: scalars as columns, other events with their places.

    The place of an event is that of its record in the file, in bytes. The phases are
    all those of the file.
    """

    path: Path
    columns: list[Columns]
    others: list[tuple[int, Event]]
    phases: Spans


class Scan:
    """Reader of event files by any writer, complete, torn or still being written.

    Reading a file again continues from its previous end.

    Parameters
    ----------
    kinds
        Kinds of tags that are known already.
    size
        The number of bytes that are read at a time.

    Attributes
    ----------
    damage : list of Damage
        The damage found so far. A record with a wrong checksum is skipped; if the
        length of a record is unknown, the rest of the file is given up.
    kinds : dict of str to str
        The kinds of tags, which tensors give in their first event only.
    """

    damage: list[Damage]
    kinds: dict[str, str]
    _size: int
    _ends: dict[Path, int]  # the bytes read so far
    _phases: dict[Path, Spans]
    _layouts: Layouts

    def __init__(
        self, kinds: Mapping[str, str] | None = None, size: int = BLOCK
    ) -> None:
        self.damage = []
        self.kinds = dict(kinds or {})
        self._size = size
        self._ends = {}
        self._phases = {}
        self._layouts = Layouts(self.kinds)

    def begin(
        self, path: Path, offset: int, phase: Mapping[str, Any] | None = None
    ) -> None:
        """Begin to read a file at the start of a record, perhaps within a phase."""
        self._ends[path] = offset
        if phase is not None:
            self.phases(path).add(offset, phase, math.nan)

    def phases(self, path: Path) -> Spans:
        """Return the phases of a file, as far as it was read."""
        return self._phases.setdefault(path, Spans())

    def end(self, path: Path) -> int:
        """Return how many bytes of a file have been read."""
        return self._ends.get(path, 0)

    def files(
        self, paths: Iterable[Path], limits: Mapping[Path, int] | None = None
    ) -> Iterator[Block]:
        """Yield the blocks of the files in order; some are read up to a limit only."""
        for path in paths:
            try:
                stream = path.open("rb")
            except FileNotFoundError:  # moved away by a resume meanwhile
                continue
            self._continue_phase(path)
            with stream:
                yield from self._file(path, stream, (limits or {}).get(path))

    def _continue_phase(self, path: Path) -> None:
        """Begin a part of a file in the phase in which the one before it ended."""
        before = part_before(path)
        if before in self._phases and path not in self._ends:
            phase = self._phases[before].last()
            if phase is not None:
                self.phases(path).add(0, phase.head(), phase.began)

    def passed(self, damage: Damage) -> bool:
        """Return whether a file has been read beyond a place where it is damaged."""
        return damage.offset < self._ends.get(damage.path, 0)

    def _file(self, path: Path, stream: BinaryIO, limit: int | None) -> Iterator[Block]:
        sizes: dict[bytes, int] = {}  # of events, by the heads of their records
        data, offset, missing = b"", self._ends.get(path, 0), 0
        stream.seek(offset)
        while True:
            # A length may be wrong, and promise more than the file has.
            there = os.fstat(stream.fileno()).st_size if limit is None else limit
            wanted = min(max(self._size, missing), max(0, there - offset - len(data)))
            more = stream.read(wanted)
            data += more
            starts, end, reason = split(data, sizes)
            block = self._block(path, offset, data, starts, end)
            data, offset = data[end:], offset + end
            self._ends[path] = offset
            yield block
            if not more and data and not reason:
                reason = f"{TORN} a record"
            if reason:
                self.damage.append(Damage(path, offset, reason))
            if reason or not more:
                return
            missing = sizes.get(data[:HEAD], 0) + HEAD + TAIL - len(data)

    def _block(
        self, path: Path, offset: int, data: bytes, starts: list[int], behind: int
    ) -> Block:
        """Return the contents of consecutive records."""
        block = Block(path, [], [], self.phases(path))
        begins = np.array(starts, np.intp)
        sizes = np.diff(begins, append=behind) - HEAD - TAIL
        buffer = np.frombuffer(data, np.uint8)
        bad: list[int] = []
        singles: list[int] = []
        # (np.unique would import numpy.ma, while another thread forks.)
        for size in sorted(set(sizes.tolist())):
            places = np.flatnonzero(sizes == size)
            if len(places) > FEW and size <= LONGEST:
                rows = sliding_window_view(buffer, size + TAIL)[begins[places] + HEAD]
                found = self._layouts.decode(rows, offset + begins[places])
                block.columns.extend(found.columns)
                bad += found.bad
                singles += found.others
            else:
                singles += (offset + begins[places]).tolist()
        for place in sorted(singles):
            start = place - offset + HEAD
            size = UINT64.unpack_from(data, start - HEAD)[0]
            end = start + size
            event = data[start:end]
            if UINT32.unpack_from(data, end)[0] != mask(crc32c(event)):
                bad.append(place)
                continue
            try:
                one = self._known(parse(event))
            except ValueError:
                self.damage.append(Damage(path, place, "the record holds no event"))
                continue
            block.others.append((place, one))
            if one.phase:
                block.phases.read(place, one.phase, one.wall_time)
        self.damage += (
            Damage(path, place, "the checksum of a record is wrong")
            for place in sorted(bad)
        )
        return block

    def _known(self, event: Event) -> Event:
        """Return the event with missing kinds filled in from earlier events."""
        for number, value in enumerate(event.values):
            if value.kind:
                self.kinds.setdefault(value.tag, value.kind)
            elif value.tag in self.kinds:
                event.values[number] = value._replace(kind=self.kinds[value.tag])
        return event


def first_not_finite(paths: Iterable[Path]) -> dict[str, int]:
    """Return the step of the first NaN or infinity of each tag of scalars."""
    found: dict[str, int] = {}
    for block in Scan().files(paths):
        first: dict[str, tuple[int, int]] = {}  # place and step
        for columns in block.columns:
            for tag, values in zip(columns.tags, columns.values, strict=True):
                finite = np.isfinite(values)
                if not finite.all():
                    at = finite.argmin()
                    place = (int(columns.places[at]), int(columns.steps[at]))
                    first[tag] = min(place, first.get(tag, place))
        for at, event in block.others:
            for value in event.values:
                if value.field == SCALAR.field and not math.isfinite(number(value)):
                    place = (at, event.step)
                    first[value.tag] = min(place, first.get(value.tag, place))
        found = {**{tag: step for tag, (_, step) in first.items()}, **found}
    return found


def number(value: Value) -> float:
    """Return the number in a value of a scalar."""
    packed = DOUBLE if len(value.raw) == DOUBLE.size else FLOAT
    return float(packed.unpack(value.raw)[0])


def whole_records(
    path: Path, phase: Mapping[str, Any] | None = None
) -> tuple[int, Spans]:
    """Return the end of the last whole record of a file, and its phases.

    It may begin within a phase. No other data are checked.
    """
    sizes: dict[bytes, int] = {}
    data, offset, spans = b"", 0, Spans()
    if phase is not None:
        spans.add(0, phase, math.nan)
    with path.open("rb") as stream:
        while more := stream.read(BLOCK):
            data += more
            starts, end, reason = split(data, sizes)
            for at in marks(data, starts):
                size = sizes[data[at : at + HEAD]]
                with contextlib.suppress(ValueError):  # it only looks like one
                    event = parse(data[at + HEAD : at + HEAD + size])
                    spans.read(offset + at, event.phase, event.wall_time)
            data, offset = data[end:], offset + end
            if reason:
                break
    return offset, spans


def split(data: bytes, sizes: dict[bytes, int]) -> tuple[list[int], int, str]:
    """Return the starts of whole records, the end of the last one, and any damage.

    Lengths of events are entered in `sizes`, by the heads of their records.
    """
    starts: list[int] = []
    at, end = 0, len(data)
    before, streak = b"", 0
    look, pause = CYCLE, CYCLE  # a cycle is looked for when there are so many records
    while at + HEAD <= end:
        head = data[at : at + HEAD]
        size = sizes.get(head)
        if size is None:
            if UINT32.unpack(head[8:])[0] != mask(crc32c(head[:8])):
                return starts, at, "the length of a record is wrong"
            size = sizes[head] = UINT64.unpack(head[:8])[0]
        behind = at + HEAD + size + TAIL
        if behind > end:
            break
        starts.append(at)
        streak = streak + 1 if head == before else 0
        before = head
        if streak == STREAK:
            behind, streak = _repeated(data, starts, 1, behind), STREAK - 1
        elif len(starts) >= look:
            known = len(starts)
            if period := _period(data, starts):
                behind = _repeated(data, starts, period, behind)
            # Where there are none, do not look for them often.
            pause = CYCLE if len(starts) > known else 2 * pause
            look = len(starts) + pause
        at = behind
    return starts, at, ""


def _period(data: bytes, starts: list[int]) -> int:
    """Return after how many records their lengths are repeated, 0 if they are not."""
    heads = [data[at : at + HEAD] for at in starts[-CYCLE:]]
    for period in range(2, CYCLE // 3 + 1):
        if heads[-1] == heads[-1 - period] and heads[period:] == heads[:-period]:
            return period
    return 0


def _repeated(data: bytes, starts: list[int], period: int, at: int) -> int:
    """Add the starts of records as long as the last ones repeat; return their end."""
    step = at - starts[-period]
    number = min((len(data) - at) // step, AHEAD)
    for first in starts[-period:]:
        if not number:
            return at
        heads = np.ndarray((number, 3), "<u4", data, first + step, (step, 4))
        words = np.frombuffer(data, "<u4", 3, first)
        other = (heads != words).reshape(-1)
        if other.any():
            number = int(other.argmax()) // 3
    offsets = np.array(starts[-period:]) + step
    rows = offsets + step * np.arange(number)[:, np.newaxis]
    starts += rows.reshape(-1).tolist()
    return at + step * number
