"""Names of event files, and what TensorBoard takes for one.

In a mirror (see `annarchy_tb.follow.targets.mirror`), an event file or recordings are
in parts, cut between records: ``<name>.000000``, ``<name>.000001`` and so on.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from annarchy_tb.inputs.importing import importing

# A number of this package has a zero in front only if it has at most four digits.
_PART = re.compile(r"(.*tfevents.*|recordings\..+)\.(0\d{5})")
PARTS = 100_000  # at most, of a file


def harmless(name: str) -> str:
    """Return a name that TensorBoard does not take for that of an event file.

    It reads every file with "tfevents" in its name.
    """
    return re.sub("tfevents", "tf_events", name, flags=re.IGNORECASE)


def event_file(second: int, count: int) -> str:
    """Return the name of an event file made by this process."""
    return f"events.out.tfevents.{second:010d}.{host()}.{os.getpid()}.{count:04d}"


def part(name: str, number: int) -> str:
    """Return the name of a part of a file."""
    return f"{name}.{number:06d}"


def whole(name: str) -> str:
    """Return the name of the file of which one with this name is a part, or itself."""
    found = _PART.fullmatch(name)
    return found[1] if found else name


def part_number(name: str) -> int | None:
    """Return which part of a file has this name; None if it is not a part."""
    found = _PART.fullmatch(name)
    return int(found[2]) if found else None


def part_before(path: Path) -> Path | None:
    """Return the part of the file in front of this one, if it is one."""
    number = part_number(path.name)
    return path.with_name(part(whole(path.name), number - 1)) if number else None


def is_ours(name: str) -> bool:
    """Return whether `event_file` made a name; other writers leave something out."""
    found = r"events\.out\.tfevents\.\d{10}\..+\.\d+\.\d{4,}"
    return bool(re.fullmatch(found, whole(name)))


def recording(name: str, count: int | None = None) -> str:
    """Return the name of the recordings beside an event file; maybe another number."""
    stem, number = whole(name).removeprefix("events.out.tfevents.").rsplit(".", 1)
    return f"recordings.{stem}.{number if count is None else f'{count:04d}'}"


def is_recording(name: str) -> bool:
    """Return whether `recording` made a name."""
    return bool(re.fullmatch(r"recordings\.\d{10}\..+\.\d+\.\d{4,}", whole(name)))


def process(name: str) -> str:
    """Return host and process in the name of an event file or recordings."""
    found = re.search(r"\d{10}\.(.+\.\d+)\.\d{4,}$", whole(name))
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
