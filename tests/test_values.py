from __future__ import annotations

import os
import pickle
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_tensor_proto

from annarchy_tb import Logger, Run
from annarchy_tb.kinds import png
from annarchy_tb.reading.cache import cache
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.event_file import event_files


def images(logdir: Path, number: int, name: str = "run") -> Path:
    """Write images of noise, each with its number in the corner."""
    noise = np.random.default_rng(0).integers(0, 256, (128, 128), np.uint8)
    with Logger(logdir, name) as logger:
        for step in range(number):
            noise[0, 0] = step % 256
            logger.add_image("i", noise, step)
    return logdir / name


def corners(pixels: Iterable[Any]) -> list[int]:
    """Return the numbers in the corners."""
    return [int(image[0, 0, 0]) for image in pixels]


def test_images_are_a_sequence(logdir: Path) -> None:
    """Images are indexed, sliced, reversed and counted like a list."""
    found = Run(images(logdir, 5)).images("i").images
    assert len(found) == 5
    assert found[-1][0, 0, 0] == 4
    assert corners(found[1:4]) == [1, 2, 3]
    assert corners(reversed(found)) == [4, 3, 2, 1, 0]
    assert corners(found) == corners(found) == [0, 1, 2, 3, 4]
    assert corners(pickle.loads(pickle.dumps(found))) == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        found[5]


def test_images_of_several_files_are_read(logdir: Path) -> None:
    """An image is found in the file in which it was written."""
    path = images(logdir, 3)
    with Logger(logdir, "run", mode="a") as logger:
        for step in range(3, 6):
            logger.add_image("i", np.full((2, 2), step, np.uint8), step)
    found = Run(path).images("i")
    assert len(event_files(path)) == 2
    assert found.steps.tolist() == corners(found.images) == [0, 1, 2, 3, 4, 5]


def test_images_are_not_kept_in_memory(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading images one by one takes the memory of a few, not of all."""
    monkeypatch.setattr("annarchy_tb.reading.cache.LIMIT", 0)
    run = Run(images(logdir, 2000))
    cache.forget()
    tracemalloc.start()
    try:
        read = sum(image.nbytes for image in run.images("i").images)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == 2000 * 128 * 128
    assert peak < 16e6


@pytest.mark.parametrize("kind", ["images", "histograms", "audio"])
def test_a_value_whose_file_was_cut_is_an_error(logdir: Path, kind: str) -> None:
    """A value that is gone when it is asked for is an error that names its file."""
    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_image("images", np.zeros((2, 2)), step)
            logger.add_histogram("histograms", [1.0, 2.0], step)
            logger.add_audio("audio", np.zeros(4), step)
    run = Run(logdir / "run")
    found = getattr(run, kind)(kind)[1]
    [path] = event_files(run.path)
    os.truncate(path, 300)
    with pytest.raises(ValueError, match=f"{path.name} has changed"):
        found[2]


def test_a_value_whose_file_was_overwritten_is_an_error(logdir: Path) -> None:
    """Other bytes in place of a value are never returned as that value."""
    path = images(logdir, 3)
    found = Run(path).images("i").images
    [file] = event_files(path)
    data = bytearray(file.read_bytes())
    data[-2000] ^= 1  # within the last image
    file.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged at byte"):
        found[2]
    assert found[1][0, 0, 0] == 1
    file.write_bytes(b"\xff" * len(data))
    with pytest.raises(ValueError, match="has changed"):
        found[1]


def test_values_of_a_tensor_are_read_one_by_one(logdir: Path) -> None:
    """Several images in one value are each found, in their order."""
    images = [np.full((2, 3, 1), k, np.uint8) for k in (7, 8)]
    encoded = [b"".join(png.encode((2, 3, 1), [image])) for image in images]
    event = Event(step=4)
    one = event.summary.value.add(tag="i")
    one.metadata.plugin_data.plugin_name = "images"
    one.tensor.CopyFrom(make_tensor_proto([b"3", b"2", *encoded]))
    path = logdir / "other"
    path.mkdir(parents=True)
    data = records.file_version(0.0) + records.record(event.SerializeToString())
    (path / "events.out.tfevents.1.host").write_bytes(data)
    found = Run(path).images("i")
    assert found.steps.tolist() == [4, 4]
    assert corners(found.images) == [7, 8]
