"""Files that are never made: they take records, and drop them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annarchy_tb.tfevents.event_file import EventFile
from annarchy_tb.tfevents.recorder import RecordingFile


class NoEventFile(EventFile):
    """In place of an event file, if another process writes the run.

    Its path is the directory, as that of an event file before its first record.
    """

    def append(self, record: bytes | memoryview) -> None:
        """Drop whole records.

        Raises
        ------
        ValueError
            If the file is closed.
        """
        if self.closed:
            raise ValueError(f"event file is closed: {self.path}")

    def open(self) -> None:
        """Make nothing."""

    def create(self) -> None:
        """Make nothing."""


class NoRecordingFile(RecordingFile, NoEventFile):
    """In place of the recordings beside an event file."""

    def append_parts(self, parts: Sequence[Any]) -> None:
        """Drop a record given in parts, as `append` does."""
        self.append(b"")
