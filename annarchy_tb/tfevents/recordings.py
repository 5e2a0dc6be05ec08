"""Recordings: whole arrays in a file beside the event file that shows some of them.

A recordings file is framed like an event file; see `records`. Each of its records holds
a block::

    uint32   length of the head
    uint32   masked CRC-32C of the head
    bytes    the head, a JSON object
    arrays   those listed in the head, little endian and in C order

``docs/format.rst`` describes the fields of the head.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from google_crc32c import extend as crc32c_extend
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents import names
from annarchy_tb.tfevents.records import HEAD, TAIL, UINT32, UINT64, header, mask
from annarchy_tb.tfevents.scan import TORN, Damage

SIZE = 1 << 20  # bytes of the arrays of a block, about

# The types that are kept; all others become float64.
DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)

START = 8  # bytes before the head
SERIES, SPIKES, MATRIX = "series", "spikes", "matrix"  # kinds of blocks

Column = range | NDArray[Any]  # whole numbers of a regular series, or any numbers
Parts = list[Any]  # of a record: bytes and arrays


class Ramp(NamedTuple):
    """Numbers at equal distances: ``start + (first + i) * stride``, i below `number`.

    They are computed like that, in int64 or float64: `first` is the number of earlier
    points of the same call.
    """

    start: float
    stride: float
    first: int
    number: int

    def array(self, dtype: str) -> NDArray[Any]:
        """Return the numbers."""
        count = np.arange(self.first, self.first + self.number, dtype=np.int64)
        if dtype == "int64":
            return np.int64(self.start) + count * np.int64(self.stride)
        return self.start + count * self.stride

    def maker(self, dtype: str) -> Callable[[], NDArray[Any]]:
        """Return what makes the numbers."""
        return lambda: self.array(dtype)


# -- writing ---------------------------------------------------------------------------


def version() -> bytes:
    """Return the record that every recordings file begins with."""
    return b"".join(encode({"format": "annarchy_tb recordings", "version": 1}, {}))


def encode(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Parts:
    """Return the record of a block, in parts, with the arrays themselves."""
    with importing:
        import json  # slow to import

    kept = {name: _little_endian(array) for name, array in arrays.items()}
    listed = [[name, a.dtype.name, list(a.shape)] for name, a in kept.items()]
    text = json.dumps({**head, "arrays": listed}, separators=(",", ":")).encode()
    start = UINT32.pack(len(text)) + UINT32.pack(mask(crc32c(text))) + text
    crc, size = crc32c(start), len(start)
    for array in kept.values():
        crc = crc32c_extend(crc, array)
        size += array.nbytes
    return [header(size) + start, *kept.values(), UINT32.pack(mask(crc))]


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the form that is written; it is copied only if it differs."""
    dtype = array.dtype if array.dtype.name in DTYPES else np.dtype(np.float64)
    return np.ascontiguousarray(array, dtype.newbyteorder("<"))


def ramp(column: Column, rows: slice) -> Ramp | None:
    """Return some rows of a column as a ramp, if they are one, bit for bit."""
    number = rows.stop - rows.start
    if isinstance(column, range):
        return Ramp(column.start, column.step, rows.start, number)
    start = column[0].item()
    stride = column[1].item() - start if len(column) > 1 else 0
    if not -(2**63) <= stride < 2**63:
        return None
    with np.errstate(over="ignore"):
        found = Ramp(start, stride, rows.start, number)
        made = found.array(column.dtype.name)
    same = made.view(np.int64) == column[rows].view(np.int64)
    return found if same.all() else None


# -- reading ---------------------------------------------------------------------------


class Stored:
    """A block in a file.

    Attributes
    ----------
    path, offset, start
        The file, and the places of the record and of the arrays in it.
    head
        The head of the block.
    """

    __slots__ = ("head", "offset", "path", "start")
    path: Path
    offset: int
    start: int
    head: dict[str, Any]

    def __init__(
        self, path: Path, offset: int, start: int, head: dict[str, Any]
    ) -> None:
        self.path = path
        self.offset = offset
        self.start = start
        self.head = head

    @property
    def number(self) -> int:
        return int(self.head.get("block", -1))

    @property
    def kind(self) -> str:
        return str(self.head.get("kind"))

    @property
    def place(self) -> tuple[str, int]:
        """Its place among the blocks of a file, which may be in parts."""
        return self.path.name, self.offset

    @property
    def call(self) -> int:
        return int(self.head.get("call", -1))

    @property
    def phase(self) -> tuple[int, str, int, float] | None:
        """The phase of its points, and what was added to their steps and times."""
        its = self.head.get("phase")
        if not isinstance(its, dict):
            return None
        number, name = int(its.get("phase", 0)), str(its.get("name", ""))
        return number, name, int(its.get("steps", 0)), float(its.get("time", 0.0))

    @property
    def tags(self) -> list[str]:
        return list(self.head.get("tags", ()))

    @property
    def points(self) -> int:
        return int(self.head.get("points", 0))

    @property
    def end(self) -> int:
        """The end of the record in the file."""
        arrays = self.head["arrays"]
        sizes = [np.dtype(d).itemsize * math.prod(shape) for _, d, shape in arrays]
        return int(self.start + sum(sizes) + TAIL)

    def dtype(self, name: str) -> str:
        """Return the type of an array, an empty text if there is no such array."""
        return str(next((d for its, d, _ in self.head["arrays"] if its == name), ""))

    @property
    def last_step(self) -> int:
        """The last step of a block of a series."""
        return int(self.head["last_step"])

    @property
    def part(self) -> int:
        """The place of the block among those of its call, from 0."""
        return int(self.head.get("part", 0))

    @property
    def parts(self) -> int:
        """The number of blocks that its call wrote."""
        return int(self.head.get("parts", 1))

    def ramp(self, name: str) -> Ramp | None:
        """Return a regular column, None if it is not one."""
        found = self.head.get(name)
        if found is None:
            return None
        return Ramp(found["start"], found["stride"], found["first"], self.points)

    def arrays(self, into: Mapping[str, NDArray[Any]] | None = None) -> dict[str, Any]:
        """Read the arrays, some of them `into` given ones.

        Raises
        ------
        ValueError
            If the checksum is wrong, or the file has become shorter.
        """
        found: dict[str, NDArray[Any]] = {}
        for name, dtype, shape in self.head["arrays"]:
            given = (into or {}).get(name)
            found[name] = np.empty(shape, dtype) if given is None else given
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(self.offset + HEAD)
            crc = crc32c(stream.read(self.start - self.offset - HEAD))
            for array in found.values():
                _read(stream, array)
                crc = crc32c_extend(crc, array)
            if stream.read(TAIL) != UINT32.pack(mask(crc)):
                raise ValueError(f"the checksum of a block is wrong: {self.path}")
        if sys.byteorder == "big":
            for array in found.values():
                array.byteswap(inplace=True)
        return found


def _read(stream: FileIO, array: NDArray[Any]) -> None:
    left = memoryview(array.reshape(-1).view(np.uint8).data)
    while left:
        number = stream.readinto(left)
        if not number:
            raise ValueError("a recordings file has become shorter")
        left = left[number:]


def files(directory: Path) -> list[Path]:
    """Return the recordings in a directory in the order they were written."""
    with os.scandir(directory) as entries:
        found = [e.path for e in entries if names.is_recording(e.name) and e.is_file()]
    return [Path(path) for path in sorted(found)]


def blocks(
    path: Path, damage: list[Damage], limit: int | None = None, start: int = 0
) -> Iterator[Stored]:
    """Yield the blocks of a file, without reading their arrays.

    Where it is damaged, or incomplete, is added to `damage`. It is read from `start`
    on, where a record begins.
    """
    for stored in _records(path, damage, limit, start):
        if stored.kind in (SERIES, SPIKES, MATRIX):
            yield stored


def _records(
    path: Path, damage: list[Damage], limit: int | None, start: int = 0
) -> Iterator[Stored]:
    """Yield all records of a file, also its version."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        end = os.fstat(stream.fileno()).st_size
        end = end if limit is None else min(end, limit)
        at = start
        last: Stored | None = None  # it is whole if a record follows it
        while at < end:
            stream.seek(at)
            head = stream.read(HEAD + START)
            reason = _problem(head, end - at)
            if reason:
                damage.append(Damage(path, at, reason))
                if last is not None and _is_whole(last):
                    yield last
                return
            if last is not None:
                yield last
                last = None
            size, length = UINT64.unpack(head[:8])[0], UINT32.unpack(head[HEAD:-4])[0]
            text = stream.read(min(length, size))
            try:
                if head[-4:] != UINT32.pack(mask(crc32c(text))):
                    raise ValueError("the checksum of the head is wrong")
                last = _parse(path, at, size, text)
            except (ValueError, TypeError, KeyError):
                damage.append(Damage(path, at, "the record holds no block"))
            at += HEAD + size + TAIL
        if last is not None:
            yield last


def _problem(head: bytes, left: int) -> str:
    """Say why no whole record of a file, of which so much is left, begins like this."""
    if len(head) < HEAD + START or left < HEAD:
        return f"{TORN} a record"
    if UINT32.unpack(head[8:HEAD])[0] != mask(crc32c(head[:8])):
        return "the length of a record is wrong"
    size = UINT64.unpack(head[:8])[0]
    return f"{TORN} a record" if HEAD + size + TAIL > left else ""


def _is_whole(block: Stored) -> bool:
    """Return whether a block is intact; another one may be behind a part of it."""
    try:
        block.arrays()
    except (ValueError, OSError):
        return False
    return True


def _parse(path: Path, at: int, size: int, text: bytes) -> Stored:
    with importing:
        import json

    head = json.loads(text)
    if not isinstance(head, dict):
        raise ValueError("not a head")
    total = START + len(text)
    for name, dtype, shape in head.get("arrays", ()):
        if dtype not in DTYPES or not isinstance(name, str):
            raise ValueError("not an array")
        total += np.dtype(dtype).itemsize * math.prod(shape)
    if total != size:
        raise ValueError("arrays of another size")
    return Stored(path, at, at + HEAD + START + len(text), head)


def check(paths: Iterable[Path]) -> list[Damage]:
    """Read whole files; return the places where they are damaged."""
    damage: list[Damage] = []
    for path in paths:
        for block in _records(path, damage, None):
            try:
                block.arrays()
            except ValueError:
                reason = "the checksum of a block is wrong"
                damage.append(Damage(path, block.offset, reason))
    return damage


class Index:
    """The blocks in the recordings of a directory, without their arrays.

    Parameters
    ----------
    directory
        The directory.

    Attributes
    ----------
    damage : list of Damage
        Where files are damaged or incomplete.
    """

    damage: list[Damage]
    _directory: Path
    _files: dict[str, dict[int, Stored]]  # by the names of the files, and numbers
    _calls: dict[tuple[str, int], list[Stored]]
    _prefixes: dict[tuple[str, int], bool]  # see `is_prefix`
    _seen: dict[Path, tuple[int, int]]  # sizes and times, before reading

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read()

    def _read(self) -> None:
        self._seen = self._look()
        self.damage = []
        self._files = {}
        self._calls, self._prefixes = {}, {}
        for path in self._seen:
            name = names.whole(path.name)
            its = self._files.setdefault(name, {})
            for stored in blocks(path, self.damage):
                its.setdefault(stored.number, stored)
                self._calls.setdefault((name, stored.call), []).append(stored)

    def _look(self) -> dict[Path, tuple[int, int]]:
        seen = {}
        for path in files(self._directory):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                stat = path.stat()
                seen[path] = stat.st_size, stat.st_mtime_ns
        return seen

    def find(self, events: Path, number: int, tag: str) -> Stored | None:
        """Return the block from which an event of the file `events` was drawn.

        It is beside that file, unless a disk error made the process give up one of the
        two; then it is in another file of the process.
        """
        found = self._find(events, number, tag)
        if found is None and self._look() != self._seen:
            self._read()  # it was written since
            found = self._find(events, number, tag)
        return found

    def _find(self, events: Path, number: int, tag: str) -> Stored | None:
        beside = names.recording(events.name)
        process = names.process(events.name)
        others = [name for name in self._files if names.process(name) == process]
        for name in (beside, *sorted(others, reverse=True)):
            found = self._files.get(name, {}).get(number)
            if found is not None and tag in found.tags:
                return found
        return None

    def call(self, block: Stored) -> list[Stored]:
        """Return the blocks that were written by the same call, in order."""
        name = names.whole(block.path.name)
        return self._calls.get((name, block.call), [block])

    def is_whole(self, block: Stored) -> bool:
        """Return whether all blocks of the call that wrote this one are there."""
        return self.is_prefix(block) and len(self.call(block)) == block.parts

    def is_prefix(self, block: Stored) -> bool:
        """Return whether none is missing but the last ones: the call was not ended."""
        key = (names.whole(block.path.name), block.call)
        if key not in self._prefixes:
            parts = [its.part for its in self.call(block)]
            self._prefixes[key] = parts == list(range(len(parts)))
        return self._prefixes[key]

    def file(self, name: str) -> list[Stored]:
        """Return the blocks of a file in their order; none if there is no such file."""
        return list(self._files.get(name, {}).values())

    def all(self) -> list[Stored]:
        """Return all blocks."""
        return [stored for its in self._files.values() for stored in its.values()]
