"""Values that are no numbers, as files that a browser shows."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

from annarchy_tb.inputs.importing import importing
from annarchy_tb.kinds.audio import wav
from annarchy_tb.kinds.html import page
from annarchy_tb.reading.news import Value
from annarchy_tb.run.info import as_json

SMALL = 256  # pixels of a side of a small picture, as MLflow makes them


class UnusableError(Exception):
    """A value can't be written as a file."""


def files(value: Value, name: str, milliseconds: int) -> dict[str, bytes]:
    """Return the files of a value by their paths.

    They are named by their step and by what is in them, so that the same value always
    has the same files. Pictures are named as MLflow's ``log_image`` does, whose pages
    show them by their steps, and have a small copy.

    Parameters
    ----------
    value
        The value.
    name
        The name of its tag, for paths.
    milliseconds
        Its real time, since 1970.

    Raises
    ------
    UnusableError
        If it can't be written, as an image of another writer.
    """
    try:
        if value.kind == "image":
            large, small = _png(value.content)
            key = name.replace("/", "~")
            path = f"images/{key}+step+{value.step}+timestamp+{milliseconds}"
            path += f"+{_digest(large)}"
            return {f"{path}.png": large, f"{path}+compressed.webp": small}
        folder, suffix, encode = _KINDS[value.kind]
        content = encode(value)
    except Exception as error:  # whatever a library says of another writer's values
        raise UnusableError(f"{type(error).__name__}: {error}") from None
    return {f"{folder}/{name}/{value.step:010d}-{_digest(content)}.{suffix}": content}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _png(pixels: Any) -> tuple[bytes, bytes]:
    """Return an image as PNG, and a small one as WebP."""
    with importing:
        import PIL.Image

    image = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    large, small = io.BytesIO(), io.BytesIO()
    image.save(large, "PNG", compress_level=1)
    width, height = image.size
    scale = SMALL / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Those of a few pixels, as of a small array, stay crisp.
    how = PIL.Image.Resampling.NEAREST if scale > 1 else PIL.Image.Resampling.LANCZOS
    copy = image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA")
    copy.resize(size, how).save(small, "WEBP", lossless=True, quality=20, method=0)
    return large.getvalue(), small.getvalue()


def _histogram(value: Value) -> bytes:
    said = {
        "tag": value.tag,
        "step": value.step,
        "time": value.time,
        "wall_time": value.wall_time,
        "buckets": value.content.tolist(),  # left edge, right edge, count of each
    }
    return json.dumps(as_json(said)).encode()


def _html(value: Value) -> bytes:
    return page(value.content).encode(errors="replace")


def _plain(value: Value) -> bytes:
    return str(value.content).encode(errors="replace")


# The folder and the ending of each other kind, and how it is written.
_KINDS: dict[str, tuple[str, str, Callable[[Value], bytes]]] = {
    "audio": ("audio", "wav", lambda value: wav(*value.content)),
    "histogram": ("histograms", "json", _histogram),
    "html": ("html", "html", _html),
    "text": ("texts", "md", _plain),
}
