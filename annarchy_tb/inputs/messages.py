"""Warnings that point at the user's line, and descriptions of values for errors."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from types import TracebackType

import numpy as np

_PACKAGE = os.path.dirname(sys.modules[__name__.partition(".")[0]].__file__ or "")


def is_ours(file: str) -> bool:
    """Return whether a source file belongs to this package."""
    return file.startswith(_PACKAGE + os.sep)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest line outside this package."""
    level = 1
    frame = sys._getframe(1)  # noqa: SLF001 -- Python's own, in spite of its name
    # contextlib is skipped too: it calls the context managers of this package.
    while frame.f_back and (
        is_ours(frame.f_code.co_filename)
        or frame.f_code.co_filename == contextlib.__file__
    ):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)


def warn_anyway(message: str) -> None:
    """Warn of damage that must not stop the caller; log it if warnings are errors."""
    try:
        warn(message)
    except UserWarning:
        logging.getLogger("annarchy_tb").warning(message)


class naming:  # noqa: N801 -- reads as a verb: with naming(...)
    """A context that prefixes the method and the tag to errors raised inside it."""

    def __init__(self, method: str, tag: object) -> None:
        self._method = method
        self._tag = tag

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _: object, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if error is not None:
            raise_named(self._method, self._tag, error)


def raise_named(method: str, tag: object, error: BaseException) -> None:
    """Raise an error about an argument anew, with the method and the tag in front."""
    if not isinstance(error, (TypeError, ValueError, OverflowError)):
        return
    if str(error).startswith((f"{method}(", f"{method}: ")):
        return  # a block inside was more precise
    base = TypeError if isinstance(error, TypeError) else ValueError
    raise base(f"{where(method, tag)}: {error}") from None


def where(method: str, tag: object) -> str:
    return method if tag is None else f"{method}({short(tag)})"


def short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # an int of 5000 digits, or an object that can't be shown
        text = "something that can't be shown"
    text = text.replace("\n", " ")
    return text if len(text) <= 80 else text[:60] + "..." + text[-17:]


def shape_of(value: object) -> tuple[int, ...] | None:
    """Return the shape of an array or a tensor; None if there is none."""
    try:
        shape = getattr(value, "shape", None)  # of a class, a descriptor
        shape = getattr(shape, "as_list", lambda: shape)()  # TensorFlow's
    except Exception:  # a tensor may not know it
        return None
    return tuple(shape) if isinstance(shape, (tuple, list)) else None


def describe(value: object) -> str:
    """Describe a value in a few words, for the end of an error message."""
    if value is None:
        return "None"
    shape = shape_of(value)
    if shape is not None and (shape or isinstance(value, np.ndarray)):
        dtype = getattr(value, "dtype", "")
        return f"{type(value).__name__} of shape {shape} and dtype {dtype}"
    if isinstance(value, list | tuple | dict | set):
        return f"{type(value).__name__} of length {len(value)}"
    return f"{short(value)} ({type(value).__name__})"
