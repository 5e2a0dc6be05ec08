"""Calls: what each kind of operation logs, and the rows that a reader must find then.

An operation has an ``id``, which makes its data unique, and may be repeated. The child
that executes it and the model both compute the same call from it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.random import default_rng  # which NumPy imports late
from numpy.typing import NDArray

STEPS = 4096  # between two calls; most series are shorter
REPEATS = 1000  # at most, of an operation

Key = tuple[str, str, str]  # curve, tag, kind
Op = Mapping[str, Any]


class Rows(NamedTuple):
    """Rows of one tag: their steps, and what tells the data apart.

    `steps` is None for steps that the Logger counts.
    """

    steps: NDArray[np.int64] | None
    data: NDArray[np.int64]


class Call(NamedTuple):
    """A method, its arguments, and the rows that it logs."""

    method: str
    arguments: tuple[Any, ...]
    rows: dict[Key, Rows]


def numbers(values: Any) -> NDArray[np.int64]:
    """Return the bits of doubles."""
    return np.atleast_1d(np.asarray(values, np.float64)).view(np.int64)


def digest(*parts: Any) -> NDArray[np.int64]:
    """Return one number that tells data apart."""
    text = b"\0".join(p if isinstance(p, bytes) else repr(p).encode() for p in parts)
    raw = hashlib.blake2b(text, digest_size=8).digest()
    return np.frombuffer(raw, np.int64)


def of_histogram(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Tell a histogram apart: its number of values and its edges."""
    return digest(float(rows[:, 2].sum()), float(rows[0, 0]), float(rows[-1, 1]))


def of_image(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Tell an image apart."""
    pixels = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    return digest(pixels.shape, pixels.tobytes())


def of_spikes(times: NDArray[Any], ranks: NDArray[Any]) -> NDArray[np.int64]:
    """Tell a raster apart."""
    return digest(times.astype("i8").tobytes(), ranks.astype("i8").tobytes())


def of_matrix(cells: NDArray[Any]) -> NDArray[np.int64]:
    """Tell a matrix apart."""
    return digest(cells.dtype.str, cells.shape, cells.tobytes())


PICTURE = digest("the image of a raster or a matrix")


def number(rng: random.Random) -> float:
    """Return any double, mostly an ordinary one."""
    odd = rng.random() < 0.03
    return rng.choice([np.inf, -0.0, 5e-324, np.nan]) if odd else rng.gauss(0, 1)


def call(seed: int, actor: str, op: Op, turn: int = 0) -> Call:
    """Return the call of an operation, the `turn`-th of its repetitions."""
    rng = random.Random(f"{seed} {op['id']} {turn}")
    step = None if op.get("auto") else (op["id"] * REPEATS + turn) * STEPS
    return KINDS[op["do"]](f"{actor}/{op['do']}{op.get('tag', 0)}", step, rng, op)


def _one(
    method: str, kind: str, tag: str, step: int | None, value: Any, data: Any
) -> Call:
    rows = Rows(None if step is None else np.array([step]), data)
    return Call(method, (tag, value, step), {("", tag, kind): rows})


def _scalar(tag: str, step: int | None, rng: random.Random, _: Op) -> Call:
    value = number(rng)
    return _one("add_scalar", "scalar", tag, step, value, numbers(value))


def _log(tag: str, step: int | None, rng: random.Random, _: Op) -> Call:
    values = {f"{tag}/{name}": number(rng) for name in "abc"}
    steps = None if step is None else np.array([step])
    rows = {("", t, "scalar"): Rows(steps, numbers(v)) for t, v in values.items()}
    return Call("log", (values, step), rows)


def _scalars(tag: str, step: int | None, rng: random.Random, _: Op) -> Call:
    values = {name: number(rng) for name in ("x", "y")}
    steps = None if step is None else np.array([step])
    rows = {(c, tag, "scalar"): Rows(steps, numbers(v)) for c, v in values.items()}
    return Call("add_scalars", (tag, values, step), rows)


def _series(tag: str, step: int | None, rng: random.Random, op: Op) -> Call:
    size, columns = op["size"], op.get("columns", 1)
    values = default_rng(rng.getrandbits(32)).normal(size=(size, columns))
    values = values.astype(op.get("dtype", "f8"))
    steps = None if step is None else step + np.arange(size, dtype=np.int64)
    tags = [f"{tag}/{column}" for column in range(columns)]
    rows = {
        ("", one, "scalar"): Rows(steps, numbers(values[:, k]))
        for k, one in enumerate(tags)
    }
    return Call("add_series", (tags, values, steps), rows)


def _text(tag: str, step: int | None, rng: random.Random, op: Op) -> Call:
    text = f"{rng.random()} " + "x" * op["size"]
    return _one("add_text", "text", tag, step, text, digest(text))


def _histogram(tag: str, step: int | None, rng: random.Random, _: Op) -> Call:
    values = [rng.gauss(0, 1) for _ in range(rng.randrange(2, 50))]
    data = digest(float(len(values)), min(values), max(values))
    return _one("add_histogram", "histogram", tag, step, values, data)


def _image(tag: str, step: int | None, rng: random.Random, op: Op) -> Call:
    shape = (rng.randrange(1, 30), rng.randrange(1, 30), rng.choice([1, 3]))
    pixels = np.frombuffer(rng.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)
    return _one("add_image", "image", tag, step, pixels, of_image(pixels))


def _raster(tag: str, step: int | None, rng: random.Random, _: Op) -> Call:
    size = rng.randrange(1, 200)
    times = np.array([rng.randrange(1000) for _ in range(size)], np.int64)
    ranks = np.array([rng.randrange(50) for _ in range(size)], np.int64)
    steps = None if step is None else np.array([step])
    rows = {
        ("", tag, "spikes"): Rows(steps, of_spikes(times, ranks)),
        ("", tag, "image"): Rows(steps, PICTURE),
    }
    return Call("add_raster", (tag, (times, ranks), step), rows)


def _matrix(tag: str, step: int | None, rng: random.Random, _: Op) -> Call:
    shape = rng.choice([(1, 1), (3, 40), (10, 10), (150, 200)])
    matrix = default_rng(rng.getrandbits(32)).normal(size=shape)
    matrix = matrix.astype(rng.choice(["f8", "f4", "i2"]))
    steps = None if step is None else np.array([step])
    rows = {
        ("", tag, "matrix"): Rows(steps, of_matrix(matrix)),
        ("", tag, "image"): Rows(steps, PICTURE),
    }
    return Call("add_matrix", (tag, matrix, step), rows)


def _html(tag: str, step: int | None, rng: random.Random, op: Op) -> Call:
    fragment = f"<p>{rng.random()} <b>bold</b> <script>x</script>" + "y" * op["size"]
    return _one("add_html", "html", tag, step, fragment, digest(fragment))


def _metrics(tag: str, _: int | None, rng: random.Random, __: Op) -> Call:
    value = rng.gauss(0, 1)
    rows = {("", tag, "scalar"): Rows(None, numbers(value))}
    return Call("add_metrics", ({tag: value},), rows)


# As other ways to log come: a function here, and `programs` draws it.
KINDS: dict[str, Callable[[str, int | None, random.Random, Op], Call]] = {
    "scalar": _scalar,
    "log": _log,
    "scalars": _scalars,
    "series": _series,
    "text": _text,
    "histogram": _histogram,
    "image": _image,
    "raster": _raster,
    "matrix": _matrix,
    "html": _html,
    "metrics": _metrics,
}


def joined(parts: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return numbers one after the other."""
    return np.concatenate([np.empty(0, np.int64), *parts])
