"""A reader that was written from docs/format.rst alone, without this package."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google_crc32c import value as crc32c

from annarchy_tb import Logger, Run

# -- the reader: 80 lines at most ------------------------------------------------------


def records(path: Path) -> list[bytes]:
    """Return the contents of a file's records."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        content = data[at + 12 : at + 12 + length]
        (stored,) = struct.unpack_from("<I", data, at + 12 + length)
        crc = crc32c(content)
        assert stored == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
        found.append(content)
        at += 12 + length + 4
    return found


def fields(message: bytes) -> dict[int, list[Any]]:
    """Return the fields of a protocol buffer by their numbers."""
    at, found = 0, {}

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            number |= (message[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if message[at - 1] < 128:
                return number

    while at < len(message):
        key = varint()
        size = {0: 0, 1: 8, 5: 4}.get(key & 7)
        content: Any = varint() if key & 7 in (0, 2) else None
        if key & 7 != 0:
            size = content if size is None else size
            content, at = message[at : at + size], at + size
        found.setdefault(key >> 3, []).append(content)
    return found


def blocks(path: Path) -> dict[int, tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Return heads and arrays of the blocks in a recordings file by their numbers."""
    found = {}
    for content in records(path)[1:]:
        (size,) = struct.unpack_from("<I", content)
        head, at, arrays = json.loads(content[8 : 8 + size]), 8 + size, {}
        for name, dtype, shape in head["arrays"]:
            little = np.dtype(dtype).newbyteorder("<")
            array = np.frombuffer(content, little, int(np.prod(shape)), at)
            arrays[name], at = array.reshape(shape), at + array.nbytes
        if head["kind"] == "series":
            for name in ("steps", "times"):
                if name in head:
                    ramp, i = head[name], np.arange(head["points"])
                    arrays[name] = ramp["start"] + (ramp["first"] + i) * ramp["stride"]
        found[head["block"]] = (head, arrays)
    return found


def read(run: Path, tag: str) -> list[tuple[int, float]]:
    """Return the steps and values of a tag, in the order of writing."""
    found: list[tuple[int, float]] = []
    for path in sorted(run.glob("events.out.tfevents.*")):
        beside = run / path.name.replace("events.out.tfevents", "recordings")
        there, seen = blocks(beside) if beside.exists() else {}, set()
        for event in map(fields, records(path)):
            values = [fields(v) for s in event.get(5, ()) for v in fields(s)[1]]
            doubles = event.get(1000, [b""])[0]
            (number,) = struct.unpack("<i", event.get(1003, [b"\xff" * 4])[0])
            for k, value in enumerate(v for v in values if 2 in v):
                if value[1] != [tag.encode()]:
                    continue
                if 1003 not in event:
                    number_ = struct.unpack_from("<d", doubles, 8 * k)[0]
                    found.append((event.get(2, [0])[0], number_))
                    continue
                head = there[number % 2**32][0]
                for block, (its, arrays) in there.items():
                    earlier = (
                        its["call"] == head["call"] and its["part"] <= head["part"]
                    )
                    if earlier and block not in seen and tag in its["tags"]:
                        seen.add(block)
                        column = arrays["values"][:, its["tags"].index(tag)].tolist()
                        found += zip(arrays["steps"].tolist(), column, strict=True)
    return found


# -- what it reads ---------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*points of this tag are drawn")
def test_a_reader_of_the_page_alone_reads_what_run_reads(logdir: Path) -> None:
    """Single points and recordings, regular or not, of one tag or several, in order."""
    rng = np.random.default_rng(0)
    with Logger(logdir, "run") as logger:
        logger.add_scalar("v", np.pi)
        logger.add_series("v", rng.normal(size=300_000), shown=10)
        logger.log({"w": 1.5, "v": 0.1})
        steps = np.cumsum(rng.integers(1, 9, 5000)) + 400_000
        table = rng.normal(size=(5000, 2)).astype(np.float32)
        logger.add_series(["v", "w"], table, steps, times=np.arange(5000) * 0.1)
        logger.add_raster("r", {0: [1, 2]})
        logger.add_matrix("m", [[1.0, 2.0]])
    for tag in ("v", "w"):
        wanted = Run(logger.run_dir).scalars(tag)
        pairs = list(zip(wanted.steps.tolist(), wanted.values.tolist(), strict=True))
        assert read(logger.run_dir, tag) == pairs


def test_the_reader_has_80_lines_at_most() -> None:
    """A format that needs more is too difficult."""
    page = Path(__file__).read_text()
    code = page.split("# -- the reader")[1].split("# -- what it reads")[0]
    lines = [line for line in code.splitlines()[1:] if line.strip()]
    assert len(lines) <= 80, len(lines)
