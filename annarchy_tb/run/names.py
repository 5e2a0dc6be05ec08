"""Names that are safe in any file system."""

from __future__ import annotations

import os
import re
import time

RUN_JSON, CHECKPOINTS = "run.json", "checkpoints"
RESERVED = frozenset({RUN_JSON, CHECKPOINTS})
LONGEST = 100  # bytes of a curve's directory name, far below the usual 255


def harmless(name: str) -> str:
    """Return a name that TensorBoard does not take for an event file's.

    It takes whatever has "tfevents" in its name.
    """
    return re.sub("tfevents", "tf_events", name, flags=re.IGNORECASE)


def event_file(second: int, count: int) -> str:
    """Return the name of an event file, made by this process."""
    return f"events.out.tfevents.{second:010d}.{host()}.{os.getpid()}.{count:04d}"


def is_ours(name: str) -> bool:
    """Return whether `event_file` made a name; other writers leave something out."""
    return bool(re.fullmatch(r"events\.out\.tfevents\.\d{10}\..+\.\d+\.\d{4,}", name))


def second(name: str) -> int | None:
    """Return the second since 1970 that an event file's name says, if it says one."""
    found = re.search(r"tfevents\.(\d+)", name)
    return int(found[1]) if found else None


def host() -> str:
    """Return this machine's name, with nothing in it that a file name can't hold."""
    import socket

    return re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname())[:64] or "localhost"


def default_run() -> str:
    """Return the name of a run that was given none: ``Nov20_14-11-22_myhost``."""
    return f"{time.strftime('%b%d_%H-%M-%S')}_{host()}"


def curve(key: str) -> str:
    """Return the directory name of a curve: its key, if that is a safe name.

    Letters, digits, spaces and ``_ - + = , . @ ( )`` stay. Where anything had to go, a
    hash of the key follows, so that different keys never share a directory.
    """
    name = re.sub(r"[^\w \-+=,.@()]", "_", key)
    name = harmless(name).encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
    if (
        name == key
        and name.strip(" .") == name != ""
        and name.casefold() not in RESERVED
    ):
        return name
    import hashlib

    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name.strip(' .') or 'curve'}-{digest}"
