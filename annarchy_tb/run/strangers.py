"""Links and files of other users, which are refused where they could do harm."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from annarchy_tb.inputs.importing import importing


def check_no_link(directory: Path) -> None:
    """Raise an error if a directory of a run, which need not exist, is a link.

    Raises
    ------
    NotADirectoryError
        If it is one: what is written, moved and removed there may belong to others.
    """
    if directory.is_symlink():
        raise NotADirectoryError(
            f"{directory} must be a directory, but is a link to "
            f"{os.readlink(directory)}, where files would be written and removed; "
            f"replace it by a directory (logdir itself may be a link to another disk)"
        )


def check_within(path: Path, directory: Path) -> None:
    """Raise PermissionError if a path is, or leads over, a link out of a directory."""
    its, root = os.path.realpath(path), os.path.realpath(directory)
    if os.path.commonpath([its, root]) != root:
        raise PermissionError(f"{path} is a link that leads out of {directory}")


@contextlib.contextmanager
def open_own(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading that can run code, if nobody else wrote it.

    Raises
    ------
    OSError
        If it can't be opened.
    PermissionError
        If it belongs to another user, other than root.
    ValueError
        If it is not a file.
    """
    with open(path, "rb", opener=_without_waiting) as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a file")
        if not _is_own(found.st_uid, path.parent):
            raise PermissionError(
                f"{path} belongs to another user, {_name(found.st_uid)}, and loading "
                f"it can run code of that user. If you trust them, copy the run so "
                f"that its files are yours (cp -r), and use the copy"
            )
        yield stream


def _without_waiting(path: str, flags: int) -> int:
    # Opening a pipe would wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_own(owner: int, directory: Path) -> bool:
    if not hasattr(os, "geteuid") or owner in (0, os.geteuid()):
        return True
    # On a network share, all files may seem to belong to one user, also new ones.
    probe = directory / f".owner.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        with probe.open("xb") as stream:
            return os.fstat(stream.fileno()).st_uid == owner
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _name(owner: int) -> str:
    with importing:
        import pwd  # not on all systems

    try:
        return f"{pwd.getpwuid(owner).pw_name} (number {owner})"
    except KeyError:
        return f"number {owner}"
