"""Files that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from annarchy_tb.names import harmless


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write, which then takes the place of `path`.

    Whoever reads `path`, after a crash or a power failure too, finds what was there
    before or all that was written. Where anything is raised, nothing has changed.
    """
    unique = f"{os.getpid()}-{os.urandom(4).hex()}"
    temporary = path.with_name(f".{harmless(path.name)}.{unique}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Wait until the names of the files in a directory are on the disk."""
    with contextlib.suppress(OSError):  # not every file system knows this
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Remove what killed processes left of files they were replacing."""
    for path in directory.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+-[0-9a-f]{8}\.tmp", path.name):
            with contextlib.suppress(OSError):
                path.unlink()
