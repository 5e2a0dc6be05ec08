"""What the command line writes: text that is shown, never acted on, on any stream."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import click
from rich.text import Text

from annarchy_tb.inputs.escaping import escaped as escaped
from annarchy_tb.run.info import FAILED, FINISHED, KILLED, RUNNING

COLOURS = {RUNNING: "cyan", FINISHED: "green", FAILED: "red", KILLED: "magenta"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how formulas of spreadsheets begin


def shown(text: object, keep: str = "") -> Text:
    """Return a text for a table, without any markup; see `escaped`."""
    return Text(escaped(text, keep))


def coloured(status: str, more: str = "") -> Text:
    """Return a status in its colour, and what is said beside it."""
    return Text(f"{status}{more}", style=COLOURS.get(status, ""))


def cell(text: object) -> str:
    """Return a text for a CSV file, which no spreadsheet takes for a formula."""
    its = escaped(text)
    if not str(text).startswith(FORMULA):
        return its
    with contextlib.suppress(ValueError):
        float(its)
        return its  # a number
    return f"'{its}"


class _Closed(io.TextIOBase):
    """A stream in place of one that the caller has closed.

    Parameters
    ----------
    name
        Its name in the error about text that is lost; None if that does not matter.
    """

    _name: str | None
    _lost: bool

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._lost = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._lost = True
        return len(text)

    def flush(self) -> None:
        lost, self._lost = self._lost, False
        if lost and self._name is not None:
            raise OSError(errno.EBADF, f"{self._name} is closed")


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Let the standard streams take all text, and end if they can't be written to."""
    sys.stdout = _usable(sys.stdout, "standard output")
    sys.stderr = _usable(sys.stderr, None)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        _give_up(sys.stdout)
        if error.errno != errno.EPIPE:  # a reader that goes away is no error
            click.echo(f"Error: {error.strerror}", err=True)
        sys.exit(1)


def _usable(stream: Any, name: str | None) -> Any:
    if stream is None:
        return _Closed(name)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _give_up(stream: Any) -> None:
    """Have the rest of a stream written nowhere, when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


@contextlib.contextmanager
def standard_output() -> Iterator[Any]:
    """Yield standard output for data: in UTF-8, whatever a terminal would get."""
    stream = sys.stdout
    if stream.isatty() or not isinstance(stream, io.TextIOWrapper):
        yield stream
        return
    stream.flush()
    data = io.TextIOWrapper(
        stream.buffer, "utf-8", "backslashreplace", newline="", write_through=True
    )
    try:
        yield data
    finally:
        data.detach()
