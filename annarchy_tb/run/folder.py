"""The directory of a run, which is followed if somebody moves it meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents.descriptors import opened

_NONE = -1  # no descriptor
_ONLY_NAMED = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)


class Folder:
    """A directory in use. A descriptor tells it from others that get its name.

    Parameters
    ----------
    path
        An absolute path. If it does not exist yet, it is not followed.
    followed
        Whether to follow it; otherwise it is only a name, without a descriptor.

    Attributes
    ----------
    path : Path
        Where it was found last.
    """

    path: Path
    _followed: bool
    _descriptor: int

    def __init__(self, path: Path, followed: bool = True) -> None:
        self.path = path
        self._followed = followed
        self._descriptor = _NONE
        if followed:
            with contextlib.suppress(OSError):
                self._descriptor = opened(path, _ONLY_NAMED)

    def find(self) -> Path:
        """Return where it is now, or where it was last if it can't be found."""
        if self._descriptor != _NONE and not self._is(self.path):
            found = next(filter(self._is, self._places()), None)
            if found is not None:
                with importing:
                    import logging

                logging.getLogger("annarchy_tb").info("moved to %s", found)
                self.path = found
        return self.path

    def _is(self, path: Path) -> bool:
        """Return whether a path leads to this directory."""
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
        except OSError:
            return False

    def _places(self) -> Iterator[Path]:
        """Yield where it may be: what the system says, and any name beside it."""
        with contextlib.suppress(OSError):
            yield Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
        with contextlib.suppress(OSError, ImportError, AttributeError):
            with importing:
                import fcntl

            found = fcntl.fcntl(self._descriptor, fcntl.F_GETPATH, bytes(1024))  # type: ignore[attr-defined, unused-ignore]
            yield Path(os.fsdecode(found.rstrip(b"\0")))
        with contextlib.suppress(OSError):
            yield from sorted(self.path.parent.iterdir())

    def close(self) -> None:
        """Follow it no longer."""
        self.find()
        self._release()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, _NONE
        if descriptor != _NONE:
            with contextlib.suppress(OSError):  # other code may have closed it
                os.close(descriptor)

    def __reduce__(self) -> tuple[type[Folder], tuple[Path, bool]]:
        return Folder, (self.find(), self._followed)

    def __del__(self) -> None:
        self._release()
