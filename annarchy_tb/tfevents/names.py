"""Names of event files, and what TensorBoard takes for one."""

from __future__ import annotations

import os
import re

from annarchy_tb.inputs.importing import importing


def harmless(name: str) -> str:
    """Return a name that TensorBoard does not take for that of an event file.

    It reads every file with "tfevents" in its name.
    """
    return re.sub("tfevents", "tf_events", name, flags=re.IGNORECASE)


def event_file(second: int, count: int) -> str:
    """Return the name of an event file made by this process."""
    return f"events.out.tfevents.{second:010d}.{host()}.{os.getpid()}.{count:04d}"


def is_ours(name: str) -> bool:
    """Return whether `event_file` made a name; other writers leave something out."""
    return bool(re.fullmatch(r"events\.out\.tfevents\.\d{10}\..+\.\d+\.\d{4,}", name))


def recording(name: str, count: int | None = None) -> str:
    """Return the name of the recordings beside an event file; maybe another number."""
    stem, number = name.removeprefix("events.out.tfevents.").rsplit(".", 1)
    return f"recordings.{stem}.{number if count is None else f'{count:04d}'}"


def is_recording(name: str) -> bool:
    """Return whether `recording` made a name."""
    return bool(re.fullmatch(r"recordings\.\d{10}\..+\.\d+\.\d{4,}", name))


def process(name: str) -> str:
    """Return host and process in the name of an event file or recordings."""
    found = re.search(r"\d{10}\.(.+\.\d+)\.\d{4,}$", name)
    return found[1] if found else ""


def second(name: str) -> int | None:
    """Return the second since 1970 given in the name of an event file, if any."""
    found = re.search(r"tfevents\.(\d+)", name)
    return int(found[1]) if found else None


def host() -> str:
    """Return this machine's name, without characters that a file name can't hold."""
    with importing:
        import socket

    return re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname())[:64] or "localhost"
