from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest
from conftest import points
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorboard.util import tensor_util

from annarchy_tb import Logger, Run, SummaryWriter
from annarchy_tb.kinds import audio
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents.parsing import Value, last_field, parse
from annarchy_tb.tfevents.schema import TENSOR

SHAPES = [(1,), (7,), (7, 1), (7, 2), (7, 8)]


def heard(logger: Logger, tag: str = "sound") -> tuple[np.ndarray, int]:
    """Return the samples and the rate of a tag's last sound, as TensorBoard has it."""
    [data] = points(logger.run_dir, tag)[-1].array
    with wave.open(io.BytesIO(data)) as file:
        channels, width, rate, length, *_ = file.getparams()
        dtype = {1: "u1", 2: "<i2", 4: "<i4"}[width]
        samples = np.frombuffer(file.readframes(length), dtype)
    return samples.reshape(length, channels), rate


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "i4"])
@pytest.mark.parametrize("shape", SHAPES)
def test_whole_numbers_are_kept_as_they_are(
    shape: tuple[int, ...], dtype: str, logger: Logger
) -> None:
    """Every sample comes back, to TensorBoard and to Run alike."""
    limits = np.iinfo(dtype)
    sound = np.random.default_rng(0).integers(
        limits.min, limits.max, shape, np.dtype(dtype).newbyteorder("="), endpoint=True
    )
    logger.add_audio("sound", sound.astype(dtype), 3, rate=8000)
    samples, rate = heard(logger)
    assert rate == 8000
    assert (samples == sound.reshape(len(sound), -1)).all()
    steps, sounds, rates, *_ = Run(logger.run_dir).audio("sound")
    assert steps.tolist() == [3]
    assert rates == [8000]
    assert sounds[0].dtype == samples.dtype
    assert (sounds[0] == samples).all()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "longdouble"])
@pytest.mark.parametrize("shape", SHAPES)
def test_floats_are_stored_in_16_bits(
    shape: tuple[int, ...], dtype: str, logger: Logger
) -> None:
    """From -1 to 1, to the nearest of 65,535 levels; the array is not changed."""
    sound = np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)
    before = sound.copy()
    logger.add_audio("sound", sound)
    samples, rate = heard(logger)
    assert rate == 44100
    assert samples.dtype == np.int16
    assert np.abs(samples.reshape(shape) / 32767 - sound).max() <= 0.5 / 32767 + 1e-9
    assert (sound == before).all()


def test_the_ends_of_the_range_are_those_of_16_bits(logger: Logger) -> None:
    """Silence is 0, and both ends are equally loud."""
    logger.add_audio("sound", [-1.0, 0.0, 1.0])
    assert heard(logger)[0].ravel().tolist() == [-32767, 0, 32767]


@pytest.mark.parametrize(
    ("sound", "message", "stored"),
    [
        ([0.5, -2.0, 3.0], "clipped", [16384, -32767, 32767]),
        ([np.nan, 1.0], "masked values and NaN are silent", [0, 32767]),
        ([np.inf, -np.inf], "infinity", [32767, -32767]),
    ],
)
def test_what_is_too_loud_is_clipped_with_a_warning(
    sound: list[float], message: str, stored: list[int], logger: Logger
) -> None:
    """Once a tag."""
    with pytest.warns(UserWarning, match=message):
        logger.add_audio("sound", sound)
    logger.add_audio("sound", sound)
    assert heard(logger)[0].ravel().tolist() == stored
    assert len(points(logger.run_dir, "sound")) == 2


@pytest.mark.parametrize(
    ("sound", "rate", "error", "message"),
    [
        (None, 1, TypeError, "sound must be an array of numbers"),
        ("beep", 1, TypeError, "sound must be an array of numbers"),
        ([1, 2], 1, TypeError, r"or be int16, int32 or uint8.*astype\(np.int16\)"),
        ([True], 1, TypeError, "or be int16, int32 or uint8"),
        (0.5, 1, ValueError, r"shape \(T,\), or \(T, C\) .*got \(\)"),
        ([], 1, ValueError, r"got \(0,\)$"),  # turned, it would be as empty
        (np.zeros((4, 0)), 1, ValueError, r"got \(4, 0\)$"),
        (np.zeros((0, 100)), 1, ValueError, r"got \(0, 100\)$"),
        (np.zeros((2, 2, 2)), 1, ValueError, r"got \(2, 2, 2\)"),
        (np.zeros((2, 100)), 1, ValueError, r"at most 8 channels, got .*; pass its .T"),
        ([0.5], 0, ValueError, "rate must be a whole number from 1"),
        ([0.5], 44.1, ValueError, "rate must be a whole number from 1"),
        ([0.5], True, ValueError, "rate must be a whole number"),
        ([0.5], "44k", TypeError, "rate must be a whole number"),
        ([0.5], 2**31, ValueError, "to 134217727"),
        (np.broadcast_to(0.5, 2**29), 1, ValueError, "at most 536854528 samples"),
        # The length is refused before the type, so that there is nothing to encode.
        (np.broadcast_to(True, 2**29 - 1), 1, ValueError, "at most 536854528 samples"),
    ],
)
def test_what_is_no_sound_is_refused(
    sound: Any, rate: Any, error: type[Exception], message: str, logger: Logger
) -> None:
    """The error names the method, the tag, the rule and what came."""
    with pytest.raises(error, match=rf"^add_audio\('a'\): .*{message}"):
        logger.add_audio("a", sound, rate=rate)
    assert not points(logger.run_dir, "a")


@given(
    hnp.arrays(
        st.sampled_from(["u1", "<i2", "<i4"]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    ),
    st.integers(1, audio.FASTEST),
)
def test_what_is_encoded_is_decoded(samples: np.ndarray, rate: int) -> None:
    """All samples and any rate."""
    record = records.summary([audio.encode("tag", samples, rate)], 1.0, 2)
    [value] = parse(record[12:-4]).values
    assert value.kind == "audio"
    [(found, its_rate)] = audio.decode(value)
    assert its_rate == rate
    assert found.dtype == samples.dtype
    assert (found == samples).all()


def test_sounds_of_other_writers_are_read(tmp_path: Any) -> None:
    """Those of tensorboardX, which soundfile encodes."""
    pytest.importorskip("soundfile", reason="needs annarchy-tb[test]")
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_audio("sound", np.array([[0.5], [-0.5]]), 4, sample_rate=8000)
    steps, sounds, rates, *_ = Run(tmp_path / "run").audio("sound")
    assert (steps.tolist(), rates) == ([4], [8000])
    assert np.allclose(sounds[0].ravel() / 32768, [0.5, -0.5], atol=1e-4)


@pytest.mark.parametrize("labelled", [True, False])
def test_tensors_of_sounds_are_read(labelled: bool) -> None:
    """As TensorFlow writes them: several sounds, with or without labels."""
    value = audio.encode("tag", np.array([[1], [2]], np.int16), 8000)
    data = parse(records.summary([value], 1.0, 2)[12:-4]).values[0].raw
    wav = last_field(data, 4)
    strings = [[wav, b"one"], [wav, b"two"]] if labelled else [wav, wav]
    raw = tensor_util.make_tensor_proto(strings).SerializeToString()
    found = list(audio.decode(Value("tag", "audio", TENSOR, raw)))
    assert [(samples.ravel().tolist(), rate) for samples, rate in found] == [
        ([1, 2], 8000)
    ] * 2


def test_three_bytes_a_sample_are_read_as_32_bits() -> None:
    """The samples are the upper bytes."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 3, 8000, 2, "NONE", ""))
        file.writeframes(b"\x01\x00\x00\xff\xff\xff")
    value = audio.encode("tag", np.zeros((2, 1), np.int16), 8000)
    [parsed] = parse(records.summary([value], 1.0, 2)[12:-4]).values
    whole = b"\x22" + bytes([len(stream.getvalue())]) + stream.getvalue()
    [(samples, _)] = audio.decode(parsed._replace(raw=whole))
    assert samples.ravel().tolist() == [256, -256]


def test_a_sound_that_is_no_wav_is_said_to_be_none(logger: Logger) -> None:
    """Other writers may store what the standard library can't read."""
    value = audio.encode("tag", np.zeros((2, 1), np.int16), 8000)
    [parsed] = parse(records.summary([value], 1.0, 2)[12:-4]).values
    with pytest.raises(ValueError, match="not WAV"):
        list(audio.decode(parsed._replace(raw=b"\x22\x04OggS")))


def test_a_run_without_sounds_says_which_there_are(logger: Logger) -> None:
    """The error names the tags that have some."""
    logger.add_audio("sound", [0.5])
    with pytest.raises(KeyError, match="no data of kind 'audio'.*there is 'sound'"):
        Run(logger.run_dir).audio("other")
    assert Run(logger.run_dir).tags() == {"sound": "audio"}
    assert len(Run(logger.run_dir).data("sound").sounds) == 1
    with pytest.raises(KeyError, match="no data under the tag 'other'"):
        Run(logger.run_dir).data("other")
