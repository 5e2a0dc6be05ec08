"""The last values of a run, read from its event files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from annarchy_tb.reading import contents
from annarchy_tb.run.directory import RunDirectory, directories
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.scan import Scan

Item = TypeVar("Item")


class Last(Mapping[str, Any]):
    """The last value of each tag of numbers, as it is in the files.

    Logging does nothing for it: what was written since the last look is read, which
    takes about a third of a microsecond a point. (The first look reads all.) What waits
    for room on a full disk is not seen yet.

    ``last["Rate"]`` is a float, in single precision, as TensorBoard shows it; or, of
    the curves of `annarchy_tb.Logger.add_scalars`, a dict of them by their keys.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._earlier = list(directories(directory.path))[1:]  # curves
        self._seen: dict[Path, tuple[Scan, dict[str, float]]] = {}
        self._sizes: dict[Path, int] = {}

    def __getitem__(self, tag: str) -> Any:
        found = self._read()
        if tag not in found:
            raise KeyError(f"no number was logged under the tag {tag!r}")
        return found[tag]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())

    def _read(self) -> dict[str, Any]:
        run = self._directory.path
        curves = {path: path.relative_to(run).as_posix() for path in self._earlier}
        curves |= {made.path: key for key, made in self._directory.curves.items()}
        found: dict[str, Any] = {}
        for path, key in curves.items():
            for tag, value in self._of(path).items():
                found.setdefault(tag, {})[key] = value
        return found | self._of(run)

    def _of(self, path: Path) -> dict[str, float]:
        """Return the last values in one directory."""
        scan, values = self._seen.setdefault(path, (Scan(), {}))
        if path.exists():
            for block in scan.files(self._grown(path)):
                for tag, points in contents.scalars([block], ()).items():
                    # 0.1 is 0.1, and not the digits behind it in single precision
                    values[tag] = float(str(np.float32(points.values[-1])))
            scan.damage.clear()
        return values

    def _grown(self, path: Path) -> Iterator[Path]:
        """Yield event files that grew since the last look, those of others first."""
        own = {made.file.path for made in self._directory.all()}
        for file in sorted(event_files(path), key=own.__contains__):
            size = file.stat().st_size
            if size != self._sizes.get(file):
                self._sizes[file] = size
                yield file


def track(
    items: Iterable[Item],
    last: Last,
    show: tuple[str, ...],
    visible: bool | None,
) -> Iterable[Item]:
    """Return a progress bar over `items`, with some of the last values behind it."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0  # no thread

        @property
        def format_dict(self) -> dict[str, Any]:
            """What a bar consists of; it is asked whenever the bar is drawn."""
            parts: dict[str, Any] = super().format_dict
            found = last._read() if show else {}
            shown = ", ".join(
                f"{tag} {_short(found[tag])}" for tag in show if tag in found
            )
            own = parts["postfix"]
            both = ", ".join(filter(None, (own, shown)))
            return {**parts, "postfix": both or None}

    return Bar(items, disable=None if visible is None else not visible)


def _short(value: float | dict[str, float]) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {number:.4g}" for key, number in value.items())
    return f"{value:.4g}"
