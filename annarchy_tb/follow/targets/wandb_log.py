"""The file that W&B writes of a run: which records it holds, and cutting it.

It is a log of LevelDB's form: a head of 7 bytes, then blocks of 32 KiB, across which a
record is split into chunks of checksum (4 bytes), length (2), type (1) and data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from annarchy_tb.inputs.importing import importing
from annarchy_tb.run.atomic import replacing

BEGINNING = 7  # bytes before the first block's first chunk
BLOCK = 1 << 15
CHUNK = struct.Struct("<IHB")
HEAD = CHUNK.size
FULL, FIRST, _, LAST = 1, 2, 3, 4  # types of chunks

OF_TYPES = [crc32(bytes([kind])) for kind in range(256)]

EXIT, HISTORY = "exit", "history"  # kinds of records
NUMBER = b"\x08"  # the field with the number of a record
FIELDS = {b"\x12": HISTORY, b"\x1a": "summary"}  # the field of most records
COPIED = 1 << 20  # bytes at a time


class Log:
    """The whole records of a file that may still be written.

    Parameters
    ----------
    path
        The file.
    end
        Where to begin: the end of a record.

    Attributes
    ----------
    end : int
        The end of the last record that was read, in bytes.
    """

    path: Path
    end: int

    def __init__(self, path: Path, end: int = 0) -> None:
        self.path = path
        self.end = max(end, BEGINNING)

    def new(self) -> Iterator[str]:
        """Yield the kinds of the records behind `end`, which moves on with each."""
        with importing:
            from wandb.proto.wandb_internal_pb2 import Record

        with open(self.path, "rb") as stream:
            stream.seek(self.end)
            data = stream.read()
        start, record = self.end, b""
        for end, kind, part in _chunks(data, start):
            record = part if kind in (FULL, FIRST) else record + part
            if kind in (FULL, LAST):
                self.end = end
                yield _kind(Record, record)


def _chunks(data: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield end, type and data of whole chunks; `start` is where the data begins."""
    at = 0
    while True:
        room = BLOCK - (start + at) % BLOCK
        if room < HEAD:  # zeros
            at += room
            continue
        if at + HEAD > len(data):
            return
        checksum, size, kind = CHUNK.unpack_from(data, at)
        at += HEAD
        part = data[at : at + size]
        if len(part) < size or crc32(part, OF_TYPES[kind]) != checksum:
            return
        at += size
        yield start + at, kind, part


def _kind(record_type: Any, record: bytes) -> str:
    """Return the kind of a record; of most, a byte behind its number tells it."""
    at = 1
    while record[at : at + 1] >= b"\x80":
        at += 1
    known = FIELDS.get(record[at + 1 : at + 2]) if record[:1] == NUMBER else None
    return known or record_type.FromString(record).WhichOneof("record_type") or ""


def keep(path: Path, end: int) -> bool:
    """Cut off the rows behind the one that ends at `end`, and what follows them.

    The file is replaced, for a process of W&B that outlived the one that started it may
    still write to the old file. If W&B has completed it, and it has no such rows, then
    it stays as it is.

    Returns
    -------
    bool
        Whether it was replaced.
    """
    log = Log(path, end)
    kinds = list(log.new())
    if HISTORY not in kinds and kinds[-1:] == [EXIT]:
        return False
    with open(path, "rb") as old, replacing(path) as stream:
        left = end
        while left and (data := old.read(min(left, COPIED))):
            left -= stream.write(data)
    return True
