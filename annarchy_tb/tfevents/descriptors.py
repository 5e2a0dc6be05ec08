"""File descriptors with high numbers, which the system gives to others last.

Descriptors 0 to 2 may be free (``python simulation.py >&-``), and what is printed goes
to whatever gets their numbers. Other code may also close a number that it no longer
owns, and the system gives the lowest free number to the next file.
"""

from __future__ import annotations

import contextlib
import itertools
import os

try:
    import fcntl
    import resource
except ImportError:  # Windows
    HAS_HIGH = False
else:
    HAS_HIGH = True

FIRST = 512  # the lowest number, if the limit is not below twice that

_turns = itertools.count()


def opened(path: str | os.PathLike[str], flags: int, mode: int = 0o666) -> int:
    """Open a file with a high number; this can be the `opener` of `open`."""
    descriptor = os.open(path, flags, mode)
    try:
        copy = copied(descriptor)
    except OSError:  # it was the last free number
        return descriptor
    os.close(descriptor)
    return copy


def copied(descriptor: int) -> int:
    """Return another descriptor of the same open file, with a high number if possible.

    Numbers are taken in turn: a thread that is about to write to a number that was
    closed meanwhile does not meet another file.

    Raises
    ------
    OSError
        If all numbers are taken.
    """
    if not HAS_HIGH:
        return os.dup(descriptor)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    limit = 2 * FIRST if limit < 0 else limit
    first = min(FIRST, limit // 2)
    start = first + next(_turns) % min(FIRST, limit - first)
    for lowest in (start, first):
        with contextlib.suppress(OSError):
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)
    return os.dup(descriptor)
