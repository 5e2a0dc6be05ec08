"""Sounds: samples stored as WAV, and read back."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.arrays import numbers
from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe
from annarchy_tb.inputs.numbers import as_count
from annarchy_tb.inputs.units import plain
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import Value, last_field
from annarchy_tb.tfevents.records import (
    FIXED32,
    FLOAT,
    Parts,
    nested,
    text_field,
    value,
    varint,
    varint_field,
)
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import AUDIO
from annarchy_tb.tfevents.values import OnDemand, on_demand

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

CHANNELS = 8  # at most; more are probably samples
FASTEST = 2**27 - 1  # samples per second: WAV has 32 bits for the bytes per second
# Samples: a protobuf message holds less than 2 GiB, 64 KiB of which are for the rest.
LONGEST = (2**31 - 2**16) // 4
STORED = ("uint8", "int16", "int32")  # types that WAV stores unchanged

# -- logging ---------------------------------------------------------------------------


def add_audio(
    self: Logger,
    tag: str,
    sound: ArrayLike,
    step: SupportsFloat | None = None,
    rate: SupportsIndex = 44100,
    *,
    time: Time | None = None,
) -> None:
    """Log a sound, shown with a player in the AUDIO tab.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    sound : array-like
        Shape ``(T,)``, or ``(T, C)`` for C channels, at most 8. Floats from -1 to 1,
        stored in 16 bits; or int16, int32 or uint8 (silence is 128), stored unchanged.
        With a warning, floats outside this range are clipped, and NaN is silent. The
        array is not changed.
    rate : int, default 44100
        Samples per second and channel, in Hz.
    """
    with Entry(self._run, "add_audio", tag, AUDIO, step, time) as entry:
        hertz = as_count("rate", rate, FASTEST)
        samples = as_samples(sound)
        if samples.dtype.kind == "f":
            finite = np.isfinite(samples)
            if not finite.all():
                entry.warn(
                    "finite",
                    "masked values and NaN are silent, and infinity has full volume",
                )
            if np.abs(samples).max(initial=0, where=finite) > 1:
                entry.warn("range", "samples outside -1..1 are clipped")
            samples = to_int16(samples)
        entry.write(encode(tag, samples, hertz))


def as_samples(sound: ArrayLike) -> NDArray[Any]:
    """Return `sound` with shape ``(T, C)``, of a float type or one that WAV stores."""
    array = numbers("sound", plain(sound, "sound"))
    full = array[:, np.newaxis] if array.ndim == 1 else array
    if full.ndim != 2 or 0 in full.shape or full.shape[1] > CHANNELS:
        turned = full.ndim == 2 and full.size and full.shape[0] <= CHANNELS
        raise ValueError(
            f"sound must have shape (T,), or (T, C) with at most {CHANNELS} channels, "
            f"got {array.shape}" + ("; pass its .T" if turned else "")
        )
    if full.size > LONGEST:
        raise ValueError(f"sound must have at most {LONGEST} samples, got {full.size}")
    if full.dtype.kind != "f" and full.dtype.newbyteorder("=") not in STORED:
        raise TypeError(
            f"sound must have floats from -1 to 1, or be int16, int32 or uint8, "
            f"got {describe(array)}; convert it, as in sound.astype(np.int16)"
        )
    return full


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Convert floats from -1 to 1 to 16 bits; NaN becomes 0."""
    levels = np.clip(np.where(np.isnan(samples), 0, samples), -1, 1) * 32767
    found: NDArray[np.int16] = np.rint(levels).astype(np.int16)
    return found


def encode(tag: str, samples: NDArray[Any], rate: int) -> Parts:
    """Encode samples of shape ``(T, C)``, of type uint8, int16 or int32, as WAV."""
    length, channels = samples.shape
    head = varint(1 << 3 | FIXED32) + FLOAT.pack(rate)
    head += varint_field(2, channels) + varint_field(3, length)
    return value(
        tag,
        *nested(
            AUDIO.field,
            head,
            *nested(4, wav(samples, rate)),
            text_field(5, "audio/wav"),
        ),
    )


def wav(samples: NDArray[Any], rate: int) -> bytes:
    """Return a WAV file with samples as `encode` takes them."""
    with importing:
        import wave

    length, channels = samples.shape
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((channels, samples.itemsize, rate, length, "NONE", ""))
        file.writeframesraw(samples.astype(samples.dtype.newbyteorder("<")).tobytes())
    return stream.getvalue()


# -- reading back ----------------------------------------------------------------------


class Sounds(NamedTuple):
    """The sounds of a tag, in the order of writing.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    sounds : sequence of N arrays, shape ``(T, C)``, uint8, int16 or int32
        The samples of C channels, as stored. Each sound is read from the files when it
        is asked for, and not kept.
    rates : list of N int
        Samples per second and channel, in Hz.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    sounds: OnDemand[NDArray[Any]]
    rates: list[int]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]


def read(blocks: Iterable[Block], tag: str) -> Sounds:
    """Return the sounds of a tag; there may be none."""
    rows, sounds = on_demand(blocks, AUDIO, tag, _rates, _samples)
    return Sounds(rows.steps, sounds, rows.found, rows.times, rows.wall_times)


def files(value: Value) -> Iterator[bytes]:
    """Yield the sound files in a value, such as WAV, as they were written."""
    if value.field == AUDIO.field:
        yield last_field(value.raw, 4)
    else:  # shape (K,), or (K, 2) with labels
        array = tensors.array(value)
        yield from array if array.ndim == 1 else array[:, 0]


def _rates(value: Value) -> Iterator[int]:
    yield from (rate for _, rate in decode(value))


def _samples(value: Value) -> Iterator[NDArray[Any]]:
    yield from (samples for samples, _ in decode(value))


def decode(value: Value) -> Iterator[tuple[NDArray[Any], int]]:
    """Yield the sounds in a value with their rates: one, or those of a tensor.

    Raises
    ------
    ValueError
        If a sound from another writer is not WAV with whole numbers.
    """
    with importing:
        import wave

    for data in files(value):
        try:
            with wave.open(io.BytesIO(data)) as file:
                channels, width, rate, length, *_ = file.getparams()
                raw = np.frombuffer(file.readframes(length), np.uint8)
        except (wave.Error, EOFError) as error:
            raise ValueError(
                f"the sound is not WAV with whole numbers: {error}"
            ) from None
        if width == 3:  # the upper bytes of 32 bits
            raw = np.pad(raw.reshape(-1, 3), ((0, 0), (1, 0))).reshape(-1)
        dtype = {1: "u1", 2: "<i2", 3: "<i4", 4: "<i4"}[width]
        yield raw.view(dtype).reshape(-1, channels), rate
