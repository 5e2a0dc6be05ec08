"""Torn files: half a record, and the whole records behind it that no reader reaches.

A thread that writes half a record, because the disk is full, completes it later. If
there was room meanwhile, another thread may have written behind that half.
"""

from __future__ import annotations

import re
from pathlib import Path

from google_crc32c import value as crc32c

from annarchy_tb.tfevents.records import HEAD, TAIL, UINT32, UINT64, mask

WINDOW = 1 << 22  # bytes at the end of a file that are searched first

# A length that is not 0, and below 4 GiB.
_LENGTH = re.compile(rb"(?=(?!\0{4})[\s\S]{4}\0{4})")


def size(data: bytes, at: int) -> int:
    """Return the size of the record that begins there, from its length alone."""
    return int(UINT64.unpack_from(data, at)[0]) + HEAD + TAIL


def whole(data: bytes, end: int) -> int:
    """Return the end of the last whole record among the first `end` bytes of some."""
    at = 0
    while at + HEAD <= end and (behind := at + size(data, at)) <= end:
        at = behind
    return at


def begun_before(path: Path, end: int) -> int:
    """Return where the record begins that goes on beyond a place; if none does, that.

    Raises
    ------
    OSError
        If the file can't be read.
    """
    window = 1 << 16
    with path.open("rb") as stream:
        while True:
            start = max(0, end - window)
            stream.seek(start)
            data = stream.read(end - start)
            at = _next(data, 0) if start else 0
            if at is not None:
                break
            window *= 8
    while at < len(data):
        head = data[at : at + HEAD]
        if len(head) == HEAD and UINT32.unpack_from(head, 8)[0] != mask(
            crc32c(head[:8])
        ):
            return end  # it is damaged, which is another matter
        if len(head) < HEAD or at + size(data, at) > len(data):
            return start + at
        at += size(data, at)
    return end


def behind(path: Path, part: bytes) -> tuple[list[bytes], int] | None:
    """Find the whole records behind half a record.

    Parameters
    ----------
    path
        The file.
    part
        The half that is there; nothing if it is unknown whether there is one.

    Returns
    -------
    list of bytes
        The records.
    int
        The end of the last one in the file: what comes later is found by `after`.

    The result is None if the file is not torn.

    Raises
    ------
    OSError
        If the file can't be read.
    """
    with path.open("rb") as stream:
        there = stream.seek(0, 2)
        window = WINDOW + len(part)
        while True:
            start = max(0, there - window)
            stream.seek(start)
            data = stream.read(there - start)
            first = _next(data, 0) if start else 0
            torn = len(data) if first is None else _sound(data, first)
            if not start or not part or data.find(part, torn) >= 0:
                break
            window *= 8
    if torn == len(data):
        return None
    known = len(part) if data.startswith(part, torn) else 0
    found, end = _whole_ones(data, torn + max(1, known))
    return found, start + end


def after(path: Path, offset: int) -> tuple[list[bytes], int]:
    """Find the whole records from an offset on, and the end of the last one.

    Raises
    ------
    OSError
        If the file can't be read.
    """
    with path.open("rb") as stream:
        stream.seek(offset)
        found, end = _whole_ones(stream.read(), 0)
    return found, offset + end


def _whole_ones(data: bytes, at: int) -> tuple[list[bytes], int]:
    found = []
    end = at
    while (place := _next(data, end)) is not None:
        end = place + size(data, place)
        found.append(data[place:end])
    return found, end


def _sound(data: bytes, at: int) -> int:
    """Return the end of the whole records that follow each other from there on."""
    while _is_record(data, at):
        at += size(data, at)
    return at


def _next(data: bytes, at: int) -> int | None:
    """Return the place of the next whole record, None if there is none."""
    if _is_record(data, at):
        return at
    places = (match.start() for match in _LENGTH.finditer(data, at))
    return next((place for place in places if _is_record(data, place)), None)


def _is_record(data: bytes, at: int) -> bool:
    """Return whether a whole record begins there, by its checksums."""
    if at + HEAD > len(data):
        return False
    head, begin = data[at : at + HEAD], at + HEAD
    end = at + size(data, at) - TAIL
    return (
        end + TAIL <= len(data)
        and UINT32.unpack_from(head, 8)[0] == mask(crc32c(head[:8]))
        and UINT32.unpack_from(data, end)[0] == mask(crc32c(data[begin:end]))
    )
