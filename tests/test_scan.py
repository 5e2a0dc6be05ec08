from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_file_loader import (
    LegacyEventFileLoader,
)
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from annarchy_tb.kinds import histogram as histograms
from annarchy_tb.kinds import image, scalar, text
from annarchy_tb.tfevents import parsing, records, scan
from annarchy_tb.tfevents import templates as scalars
from annarchy_tb.tfevents.scan import Scan
from annarchy_tb.tfevents.schema import SCALAR

tags = st.sampled_from(["a", "b", "cc", "ü", "a/long name", "x" * 300, ""])
steps = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 2, 127, 128, 2**14])
numbers = st.floats(width=32)
times = st.floats(0, 4e9)

Point = tuple[str, int, float, float]  # tag, step, value, wall time


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that every example overwrites."""
    return tmp_path_factory.mktemp("scan") / "events.out.tfevents.1.host"


def points(block: scan.Block) -> Iterator[tuple[int, Point]]:
    """Yield all scalars of a block with their places."""
    for columns in block.columns:
        for tag, values in zip(columns.tags, columns.values, strict=True):
            for place, step, value, time in zip(
                columns.places, columns.steps, values, columns.wall_times, strict=True
            ):
                yield int(place), (tag, int(step), float(value), float(time))
    for place, event in block.others:
        for value in event.values:
            if value.field == SCALAR.field:
                number = scalar.decode(value)
                assert number is not None
                yield place, (value.tag, event.step, number, event.wall_time)


def read(path: Path) -> tuple[list[Point], list[scan.Damage]]:
    """Return all scalars of a file in order, and the damage."""
    found = Scan()
    read: list[Point] = []
    for block in found.files([path]):
        its = sorted(points(block), key=lambda entry: entry[0])
        read += [point for _, point in its]
    return read, found.damage


def theirs(tag: str, step: int, value: float, time: float, order: str) -> bytes:
    """Return an event laid out as by other writers, serialized by protobuf."""
    event = Event(step=step, wall_time=time)
    event.summary.value.add(tag=tag, simple_value=value)
    data = event.SerializeToString()
    if order == "metadata":
        event.summary.value[0].metadata.display_name = "name"
        event.summary.value[0].metadata.plugin_data.plugin_name = "scalars"
        return event.SerializeToString()
    return data


@given(
    st.lists(
        st.tuples(
            st.tuples(tags, steps, numbers, times),
            st.sampled_from(["ours", "theirs", "metadata"]),
            st.integers(1, 60),
        ),
        max_size=12,
    )
)
def test_scalars_of_all_layouts_are_found(
    path: Path, said: list[tuple[Point, str, int]]
) -> None:
    """Any mixture of tags, widths and writers comes back in order."""
    parts, wanted = [records.file_version(1.0)], []
    for (tag, step, value, time), writer, times in said:
        for number in range(times):
            moved = (tag, max(step - number, -(2**63)), value, time + number)
            wanted.append(moved)
            tag, at, value, when = moved
            if writer == "ours":
                parts.append(scalars.ScalarRecords(tag).make(value, when, at))
            else:
                parts.append(records.record(theirs(tag, at, value, when, writer)))
    path.write_bytes(b"".join(parts))
    found, damage = read(path)
    np.testing.assert_equal(found, wanted)
    assert not damage


def test_many_tags_of_one_length_are_told_apart(path: Path) -> None:
    """Events that differ only in their tag are decoded together, but kept apart."""
    makers = {f"tag/{i:03d}": scalars.ScalarRecords(f"tag/{i:03d}") for i in range(300)}
    wanted = [
        (tag, step, float(number), 1e9 + step)
        for step in range(200, 230)
        for number, tag in enumerate(makers)
    ]
    path.write_bytes(b"".join(makers[t].make(v, w, s) for t, s, v, w in wanted))
    found, damage = read(path)
    assert (found, damage) == (wanted, [])


@given(
    cycles=st.lists(
        st.tuples(st.lists(st.integers(0, 60), max_size=20), st.integers(1, 400)),
        max_size=4,
    ),
    cut=st.integers(0, 60),
)
def test_records_whose_lengths_repeat_are_found(
    cycles: list[tuple[list[int], int]], cut: int
) -> None:
    """Where lengths repeat, in whatever cycle, each record is found where it is."""
    lengths = [size for cycle, number in cycles for size in cycle * number]
    data = b"".join(records.record(bytes(size)) for size in lengths)
    data = data[: max(0, len(data) - cut)]
    wanted = list(itertools.accumulate((16 + size for size in lengths), initial=0))
    wanted = [place for place in wanted if place <= len(data)]
    starts, end, reason = scan.split(data, {})
    assert [*starts, end] == wanted
    assert reason == ""


def test_records_larger_than_a_block_are_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that cross the end of a block, or exceed one, are read whole."""
    monkeypatch.setattr(scan, "BLOCK", 1000)
    one = scalars.ScalarRecords("tag")
    big = records.summary([text.encode("text", "x" * 12_345)], 1.0, 1)
    path.write_bytes(
        b"".join(
            one.make(i, 1.0, i) + (big if i % 70 == 50 else b"") for i in range(200)
        )
    )
    found, damage = read(path)
    assert (found, damage) == ([("tag", i, float(i), 1.0) for i in range(200)], [])
    others = [e for block in Scan().files([path]) for _, e in block.others]
    texts = [value for event in others for value in event.values if value.tag == "text"]
    assert [len(text.raw) > 12_345 for text in texts] == [True] * 3


# -- damage ----------------------------------------------------------------------------


def small_file() -> list[bytes]:
    """Return the records of a file with every kind, and enough scalars for columns."""
    buckets, _ = histograms.count(histograms.as_values(np.arange(5)))
    assert buckets is not None
    one = scalars.ScalarRecords("scalar")
    return [
        records.file_version(1.0),
        *(one.make(step, 1.0, step) for step in range(20)),
        scalars.EventRecords(["a", "b"]).make([1, 2], 1.0, 1),
        records.summary(
            [image.encode("image", image.as_picture(np.zeros((2, 2, 1), np.uint8)))],
            1.0,
            1,
        ),
        records.summary([histograms.encode("histogram", buckets)], 1.0, 1),
        records.summary([text.encode("text", "text")], 1.0, 1),
        *(one.make(step, 1.0, step) for step in range(20, 40)),
    ]


def contents(path: Path) -> tuple[list[tuple[str, int]], list[scan.Damage]]:
    """Return tag and step of every value in a file, in order, and the damage."""
    found, order = Scan(), []
    for block in found.files([path]):
        its = [
            (int(c.places[i]), t, int(s))
            for c in block.columns
            for i, s in enumerate(c.steps)
            for t in c.tags
        ]
        its += [(place, v.tag, e.step) for place, e in block.others for v in e.values]
        order += [
            (tag, step) for _, tag, step in sorted(its, key=lambda entry: entry[0])
        ]
    return order, found.damage


SAID = (
    [[]]
    + [[("scalar", step)] for step in range(20)]
    + [[("a", 1), ("b", 1)], [("image", 1)], [("histogram", 1)], [("text", 1)]]
    + [[("scalar", step)] for step in range(20, 40)]
)


def flat(said: list[list[tuple[str, int]]]) -> list[tuple[str, int]]:
    return list(itertools.chain.from_iterable(said))


def test_every_truncation_gives_the_whole_records(path: Path) -> None:
    """A file cut at any byte yields the records before, and is reported as torn."""
    parts = small_file()
    whole, ends = b"".join(parts), np.cumsum([0, *map(len, parts)])
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        number = int(np.sum(ends <= cut)) - 1
        found, damage = contents(path)
        assert found == flat(SAID[:number])
        torn = [(path, int(ends[number]), "the file ends within a record")]
        assert damage == ([] if cut in ends else torn)


@given(st.data())
def test_a_flipped_byte_costs_one_record_or_the_rest(path: Path, data: Any) -> None:
    """Damage is reported, not read as data; whole records before it come back."""
    parts = small_file()
    whole, ends = bytearray(b"".join(parts)), np.cumsum([0, *map(len, parts)])
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    hit = int(np.sum(ends <= at)) - 1
    in_head = at - ends[hit] < 12
    found, damage = contents(path)
    reason = "length" if in_head else "checksum"
    [(where, offset, why)] = damage
    assert (where, offset, reason in why) == (path, ends[hit], True)
    after = [] if in_head else SAID[hit + 1 :]
    assert found == flat(SAID[:hit] + after)


def test_every_flipped_byte_of_a_file(path: Path) -> None:
    """No single flipped byte makes the reader crash or return wrong data."""
    parts = small_file()
    whole, ends = b"".join(parts), np.cumsum([0, *map(len, parts)])
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        hit = int(np.sum(ends <= at)) - 1
        found, damage = contents(path)
        after = [] if at - ends[hit] < 12 else SAID[hit + 1 :]
        assert found == flat(SAID[:hit] + after)
        assert [offset for _, offset, _ in damage] == [ends[hit]]


@given(st.binary(max_size=300))
def test_a_file_of_anything_is_read_without_an_error(path: Path, data: bytes) -> None:
    """Bytes that are not an event file are reported as damage, and nothing else."""
    path.write_bytes(data)
    found, damage = contents(path)
    assert not found
    assert bool(damage) == bool(data)


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 20))
def test_whole_records_that_hold_no_event_are_told(
    path: Path, messages: list[bytes], times: int
) -> None:
    """Nonsense with a valid checksum is damage too, or an event without content."""
    one = scalars.ScalarRecords("scalar")
    wanted = [("scalar", step) for step in range(20)]
    nonsense = b"".join(map(records.record, messages * times))
    path.write_bytes(b"".join(one.make(s, 1.0, s) for _, s in wanted) + nonsense)
    found, damage = contents(path)
    assert found[:20] == wanted
    assert len(damage) <= len(messages) * times


def test_tensorboard_reads_no_more_than_we_do(path: Path) -> None:
    """From a damaged file, the reader returns at least what TensorBoard's does."""
    parts = small_file()
    whole = b"".join(parts)
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        shown: list[tuple[str, int]] = []
        with contextlib.suppress(Exception):
            for event in LegacyEventFileLoader(str(path)).Load():
                shown += [(v.tag, event.step) for v in event.summary.value]
        found, _ = contents(path)
        assert found[: len(shown)] == shown


# -- single events ---------------------------------------------------------------------


@given(st.lists(st.tuples(tags, steps), max_size=10))
def test_an_event_is_parsed_to_what_it_holds(said: list[tuple[str, int]]) -> None:
    """Tag, kind, step and time are recovered from the serialized events."""
    for tag, step in said:
        values = [text.encode(tag, "x"), scalars.scalar_value(tag, 1)]
        event = parsing.parse(records.summary(values, 5.0, step)[12:-4])
        assert (event.wall_time, event.step) == (5.0, step)
        assert [(v.tag, v.kind) for v in event.values] == [
            (tag, "text"),
            (tag, "scalar"),
        ]


def test_what_other_writers_write_has_its_kind() -> None:
    """A tensor's kind is that of its plugin; without a plugin, it is unknown."""
    scalar = Summary.Value(tag="a")
    scalar.metadata.plugin_data.plugin_name = "scalars"
    mesh = Summary.Value(tag="b")
    mesh.metadata.plugin_data.plugin_name = "mesh"
    bare = Summary.Value(tag="c")
    bare.tensor.dtype = 1
    event = Event(wall_time=1, step=-3, summary=Summary(value=[scalar, mesh, bare]))
    found = parsing.parse(event.SerializeToString())
    kinds = [(value.tag, value.kind) for value in found.values]
    assert (found.step, kinds) == (-3, [("a", "scalar"), ("b", "mesh"), ("c", "")])


@given(st.binary(max_size=60))
def test_no_message_makes_the_parser_do_worse_than_raise(message: bytes) -> None:
    """Bytes that are not a message raise a ValueError, never anything else."""
    with contextlib.suppress(ValueError):
        parsing.parse(message)
