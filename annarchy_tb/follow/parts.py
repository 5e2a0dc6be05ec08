"""Parts: where event files and recordings are cut for a store that can't append.

The cuts depend on nothing but the records: whoever cuts a file again, also when it has
grown, gets the same parts, but for the last one, which is longer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from annarchy_tb.follow.store import Found
from annarchy_tb.tfevents.names import part_number, whole
from annarchy_tb.tfevents.records import HEAD, TAIL
from annarchy_tb.tfevents.scan import split

# Bytes of a part. Those of a long file are longer: 10 GB have 300 of them, and a server
# of TensorBoard, which keeps files open, may have some 1000.
SMALLEST, LARGEST, SHARE = 8 << 20, 64 << 20, 64
PIECE = 1 << 17  # bytes that are read at a time


def room(start: int) -> int:
    """Return how many bytes a part has at most, if it has more than one record."""
    return min(max(SMALLEST, start // SHARE), LARGEST)


class Part(NamedTuple):
    """A part of a file, from a record's start to the end of a record.

    Only the last one is not `complete`: records that follow may be added.
    """

    number: int
    start: int
    end: int
    complete: bool

    @property
    def size(self) -> int:
        return self.end - self.start


def parts(path: Path, since: Part, limit: int) -> Iterator[Part]:
    """Yield the parts of a file from one on, as they are now.

    Parameters
    ----------
    path
        The file.
    since
        The first part, as it was before; it may be empty.
    limit
        The bytes of the file that count. Half a record there is left out, and so is all
        that follows a damaged one.
    """
    number, start, at, _ = since
    data, sizes = b"", dict[bytes, int]()
    with path.open("rb") as stream:
        stream.seek(at)
        while more := stream.read(min(PIECE, max(0, limit - at - len(data)))):
            data += more
            starts, behind, reason = split(data, sizes)
            begun, rest, at = at, data[behind:], at + behind
            ends = [*starts, behind]  # from there on
            if rest[:HEAD] in sizes:  # a long record, which need not be read
                end = at + HEAD + sizes[rest[:HEAD]] + TAIL
                if end <= limit:
                    ends.append(end - begun)
                    rest, at = b"", end
                    stream.seek(at)
            data = rest
            while at > start + room(start):
                last = max(0, bisect_right(ends, start + room(start) - begun) - 1)
                last += begun + ends[last] <= start
                yield Part(number, start, begun + ends[last], True)
                number, start = number + 1, begun + ends[last]
            if reason:
                break
    yield Part(number, start, at, False)


def stored(
    files: dict[str, Found], names: Collection[str]
) -> tuple[dict[str, list[Found]], list[str]]:
    """Return the parts of each file among these names, in order.

    And the names of those that come after a missing one, the last ones first.
    """
    numbered: dict[str, dict[int, str]] = {}
    for name in names:
        folder, slash, last = name.rpartition("/")
        number = part_number(last)
        if number is not None:
            numbered.setdefault(folder + slash + whole(last), {})[number] = name
    found, left = {}, []
    for name, its in sorted(numbered.items()):
        count = next(number for number in range(len(its) + 1) if number not in its)
        if count:
            found[name] = [files[its[number]] for number in range(count)]
        left += [its[number] for number in sorted(its) if number > count]
    return found, left[::-1]
