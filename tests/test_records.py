from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_file_loader import (
    LegacyEventFileLoader,
)
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import HistogramProto, Summary
from tensorboardX.record_writer import RecordWriter

from annarchy_tb.inputs.numbers import LARGEST
from annarchy_tb.kinds import audio, html, image, png
from annarchy_tb.kinds import histogram as histograms
from annarchy_tb.kinds.text import encode as encode_text
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents import templates as scalars
from annarchy_tb.tfevents.drawn import Points, drawn_records

TWICE = np.array([1, 1])
DRAWN = Points(np.ones((2, 1)), 1.0, TWICE, np.ones(2), TWICE)

tags = st.text(min_size=1, max_size=50).filter(lambda tag: tag.isprintable())
any_tag = tags | st.sampled_from(["x" * 10_000, "Geschwindigkeit [µm/ms]", "膜電位/😀"])
steps = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [0, 127, 128, 2**14, -1, 2**63 - 1, -(2**63)]
)
values = st.floats(width=32) | st.floats(
    allow_nan=True, allow_infinity=True, min_value=None, max_value=None
).filter(lambda v: not math.isfinite(v) or abs(v) < LARGEST)
times = st.floats(0, 4e9)


def framed(event: Event, directory: Path) -> bytes:
    """Return the record that tensorboardX writes for an event."""
    path = directory / "record"
    writer = RecordWriter(str(path))
    writer.write(event.SerializeToString())
    writer.close()
    return path.read_bytes()


def checked(record: bytes, directory: Path) -> Event:
    """Parse a record, and compare its frame with tensorboardX's."""
    event = record[12:-4]
    path = directory / "record"
    writer = RecordWriter(str(path))
    writer.write(event)
    writer.close()
    assert path.read_bytes() == record
    return Event.FromString(event)


ONES, TWO = np.ones((2, 1), np.float32), np.ones((2, 1), np.int16)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@given(any_tag, values, times, st.lists(steps, min_size=1, max_size=5))
def test_scalars_parse_to_what_protobuf_gives(
    directory: Path, tag: str, value: float, time: float, at: list[int]
) -> None:
    """A scalar's record is the message that protobuf makes, framed the same way."""
    maker = scalars.ScalarRecords(tag)
    for step in at:
        got = checked(maker.make(value, time, step), directory)
        got.DiscardUnknownFields()  # the double
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        wanted = Event(wall_time=time, step=step, summary=summary)
        if math.isnan(value):
            assert math.isnan(got.summary.value[0].simple_value)
            got.summary.value[0].simple_value = 0
            wanted.summary.value[0].simple_value = 0
        assert got == wanted


@given(any_tag, values, times, steps)
def test_the_two_ways_to_write_a_scalar_agree(
    tag: str, value: float, time: float, step: int
) -> None:
    """ScalarRecords gives, byte for byte, what the general way gives."""
    for both_times in (None, (2 * time, time + 1)):
        one = [scalars.scalar_value(tag, value)]
        general = records.summary(one, time, step, [value], both_times)
        assert scalars.ScalarRecords(tag).make(value, time, step, both_times) == general
        two = [*one, scalars.scalar_value("other", -value)]
        general = records.summary(two, time, step, [value, -value], both_times)
        both = scalars.EventRecords([tag, "other"])
        assert both.make([value, -value], time, step, both_times) == general


@given(any_tag, times, steps, st.binary(min_size=24, max_size=24))
def test_images_parse_to_what_protobuf_gives(
    directory: Path, tag: str, time: float, step: int, levels: bytes
) -> None:
    """An image's record is the same message as protobuf makes."""
    pixels = np.frombuffer(levels, np.uint8).reshape(3, 2, 4)
    value = image.encode(tag, image.as_picture(pixels))
    message = Summary.Image(
        height=3,
        width=2,
        colorspace=4,
        encoded_image_string=b"".join(png.encode(pixels.shape, [pixels])),
    )
    summary = Summary(value=[Summary.Value(tag=tag, image=message)])
    wanted = Event(wall_time=time, step=step, summary=summary)
    assert checked(records.summary([value], time, step), directory) == wanted


@given(any_tag, times, steps, st.integers(1, 3), st.integers(1, 2**24))
def test_sounds_parse_to_what_protobuf_gives(
    directory: Path, tag: str, time: float, step: int, channels: int, rate: int
) -> None:
    """A sound's record is the same message as protobuf makes."""
    samples = np.arange(6 * channels, dtype=np.int16).reshape(6, channels)
    got = checked(
        records.summary([audio.encode(tag, samples, rate)], time, step), directory
    )
    message = Summary.Audio(
        sample_rate=rate,
        num_channels=channels,
        length_frames=6,
        encoded_audio_string=got.summary.value[0].audio.encoded_audio_string,
        content_type="audio/wav",
    )
    summary = Summary(value=[Summary.Value(tag=tag, audio=message)])
    assert got == Event(wall_time=time, step=step, summary=summary)


@given(any_tag, st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200))
def test_histograms_parse_to_what_protobuf_gives(
    directory: Path, tag: str, numbers: list[float]
) -> None:
    """A histogram's record is the message that protobuf makes."""
    buckets, _ = histograms.count(histograms.as_values(np.array(numbers)))
    histogram = HistogramProto(
        min=buckets.min,
        max=buckets.max,
        num=buckets.num,
        sum=buckets.sum,
        sum_squares=buckets.sum_squares,
        bucket_limit=buckets.limits,
        bucket=buckets.counts,
    )
    summary = Summary(value=[Summary.Value(tag=tag, histo=histogram)])
    wanted = Event(wall_time=1.0, step=2, summary=summary)
    record = records.summary([histograms.encode(tag, buckets)], 1.0, 2)
    assert checked(record, directory) == wanted


@given(any_tag, st.text(st.characters(exclude_categories=["Cs"])))
def test_texts_parse_to_what_protobuf_gives(
    directory: Path, tag: str, text: str
) -> None:
    """A text's record is the message that protobuf makes."""
    value = Summary.Value(tag=tag)
    value.metadata.plugin_data.plugin_name = "text"
    value.tensor.dtype = 7  # DT_STRING
    value.tensor.tensor_shape.SetInParent()
    value.tensor.string_val.append(text.encode())
    wanted = Event(wall_time=1.0, step=2, summary=Summary(value=[value]))
    got = checked(records.summary([encode_text(tag, text)], 1.0, 2), directory)
    got.DiscardUnknownFields()  # tensorboardX does not know the class of data
    assert got == wanted


@given(st.lists(st.tuples(any_tag, values, steps), max_size=10))
def test_tensorboards_python_loader_reads_records_back(
    directory: Path, said: list[tuple[str, float, int]]
) -> None:
    """Any tag, step and value comes back unchanged from TensorBoard's Python loader."""
    path = directory / "events.out.tfevents.1.host"
    path.write_bytes(
        records.file_version(1.0)
        + b"".join(scalars.ScalarRecords(t).make(v, 5.0, s) for t, v, s in said)
    )
    version, *events = LegacyEventFileLoader(str(path)).Load()
    assert version.file_version == "brain.Event:2"
    for event, (tag, value, step) in zip(events, said, strict=True):
        assert (event.summary.value[0].tag, event.step) == (tag, step)
        single = struct.unpack("<f", struct.pack("<f", value))[0]
        np.testing.assert_equal(event.summary.value[0].simple_value, single)


def test_tensorboard_reads_whole_records_of_every_truncation(directory: Path) -> None:
    """Cut anywhere, an event file of every kind gives what is before the cut."""
    buckets, _ = histograms.count(histograms.as_values(np.arange(5)))
    parts = [
        records.file_version(1.0),
        scalars.ScalarRecords("scalar").make(1, 1.0, 300),
        scalars.EventRecords(["a", "b"]).make([1, 2], 1.0, 1),
        records.summary(
            [
                image.encode(
                    "image",
                    image.as_picture(np.eye(2, dtype=np.uint8)[..., np.newaxis]),
                )
            ],
            1.0,
            1,
        ),
        records.summary([histograms.encode("histogram", buckets)], 1.0, 1),
        records.summary([encode_text("text", "text")], 1.0, 1),
        records.summary([html.encode("html", "<p>text", "text")], 1.0, 1),
        records.summary([audio.encode("audio", TWO, 9)], 1.0, 1),
        b"".join(drawn_records(["c"], DRAWN, 3.0)),
    ]
    whole = b"".join(parts)
    ends = np.cumsum([*map(len, parts[:-1]), len(parts[-1]) // 2, len(parts[-1]) // 2])
    assert ends[-1] == len(whole)
    path = directory / "events.out.tfevents.2.host"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = list(LegacyEventFileLoader(str(path)).Load())
        assert len(found) == int(np.sum(ends <= cut))
