"""Reading a run back: its data as NumPy arrays, without TensorBoard."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annarchy_tb.inputs.messages import naming, warn
from annarchy_tb.inputs.numbers import as_text
from annarchy_tb.inputs.optional import optional
from annarchy_tb.inputs.tags import is_own
from annarchy_tb.kinds import matrix, parameters, raster, recorded, scalar
from annarchy_tb.kinds.audio import Sounds
from annarchy_tb.kinds.histogram import Histograms
from annarchy_tb.kinds.html import Fragments
from annarchy_tb.kinds.image import Images
from annarchy_tb.kinds.matrix import Matrices
from annarchy_tb.kinds.raster import Rasters
from annarchy_tb.kinds.scalar import Scalars
from annarchy_tb.kinds.text import Texts
from annarchy_tb.reading import contents, course, news, notebook
from annarchy_tb.reading.cache import cache
from annarchy_tb.reading.news import News, Restart
from annarchy_tb.reading.phases import Phase, phases
from annarchy_tb.run import sessions
from annarchy_tb.run.info import RUNNING, RunInfo, load
from annarchy_tb.run.info_file import add_note
from annarchy_tb.run.names import RUN_JSON
from annarchy_tb.run.paths import absolute, directories
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files
from annarchy_tb.tfevents.names import is_ours
from annarchy_tb.tfevents.scan import TORN, Block, Damage, Scan
from annarchy_tb.tfevents.schema import (
    AUDIO,
    BY_NAME,
    HISTOGRAM,
    HTML,
    IMAGE,
    SCALAR,
    TEXT,
    Kind,
)

if TYPE_CHECKING:
    from pandas import DataFrame


class Run:
    """A run on the disk: finished, incomplete, or still being written.

    Each call reads the files again. Event files of tensorboardX, torch and TensorFlow
    can be read, too; information from ``run.json`` is then empty. Data after a damaged
    place in a file may be missing: a UserWarning says where it is.

    Parameters
    ----------
    path : str or path
        The run's directory.

    Raises
    ------
    FileNotFoundError
        If there is no run in this directory.

    Attributes
    ----------
    path : Path
        The absolute path of the directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = absolute(path)
        if not self.path.is_dir():
            raise FileNotFoundError(f"there is no directory {self.path}")
        if not os.path.lexists(self.path / RUN_JSON) and not event_files(self.path):
            raise FileNotFoundError(
                f"{self.path} has neither run.json nor event files; to find the runs "
                f"below it, use annarchy_tb.find_runs({str(path)!r})"
            )

    def __repr__(self) -> str:
        return f"<Run {self.path} ({self.status})>"

    def _repr_html_(self) -> str:
        return notebook.card(self)

    # -- the record of the run -------------------------------------------------------

    @property
    def info(self) -> dict[str, Any]:
        """All of ``run.json``; empty if there is none."""
        return load(self.path)

    @property
    def status(self) -> str:
        """The status of the run.

        ``"running"``, ``"finished"``, ``"failed"``, ``"killed"`` (its process ended
        without closing the run; this can only be detected on the same host, and on
        others the status is then ``"running"``), or ``"unknown"`` without a
        ``run.json``.
        """
        return RunInfo.read(self.path).state()

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by their names; NaN and infinity are None.

        Without ``run.json``, they are those in the event files of the run.
        """
        info = RunInfo.read(self.path)
        if info == RunInfo():
            return parameters.read(self._blocks(self.path))
        return info.params or {}

    @property
    def metrics(self) -> dict[str, Any]:
        """The results by their names; NaN and infinity are None."""
        return RunInfo.read(self.path).metrics or {}

    @property
    def time_unit(self) -> str | None:
        """The unit of simulated times, None if ``run.json`` does not say it."""
        return RunInfo.read(self.path).time_unit

    @property
    def started(self) -> datetime | None:
        """The first start of the run, in UTC."""
        return course.began(self.path, RunInfo.read(self.path))

    @property
    def duration(self) -> timedelta | None:
        """The duration of the run, so far if it is running.

        It starts at the first start of the run, also if the run was resumed. For a
        killed run, it ends at the last record.
        """
        return course.course(self.path, RunInfo.read(self.path)).duration

    @property
    def last_written(self) -> datetime | None:
        """When the last record was written, in UTC; see `age`."""
        return course.last_written(self.path, self.started)

    @property
    def age(self) -> timedelta | None:
        """How long ago the last record was written: whether the run still moves.

        Unlike `status`, this can be seen from any host. It is the time since the newest
        change of the run's event files and recordings, including those of its curves,
        or since the run's start if there are none. The file system says when they
        changed: on a network share, its server's clock counts, the answer may be some
        seconds old, and an age is never negative. A copy that does not keep times
        (``cp -r``) says when it was made. Times that the run itself gives (``time=``,
        ``origin=``) have no influence.
        """
        return course.age(self.last_written)

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """Each time the run was opened by a Logger, oldest first (at most 100).

        Each is a dict with ``kind`` ("new", "append", "resume" or "branch"), ``start``
        and ``end`` (dates in ISO 8601), ``status`` (as `Run.status`), ``error``,
        ``command``, ``host``, ``pid`` and ``commit``.
        """
        found = sessions.found(RunInfo.read(self.path))
        return [{**one, "status": sessions.status(one)} for one in found]

    @property
    def notes(self) -> list[dict[str, Any]]:
        """The notes of `add_note`: a dict with text, date and user each."""
        return RunInfo.read(self.path).notes or []

    def add_note(self, text: str) -> None:
        """Add a note to ``run.json``: what you think of the run, for example.

        Nothing else of the run changes, and it may be running.

        Parameters
        ----------
        text : str
            The note. Its date and your user name are added.

        Raises
        ------
        FileNotFoundError
            If the run has no ``run.json``.
        TimeoutError
            If another process has been changing it for five minutes.
        """
        with naming("add_note", None):
            plain = as_text("text", text)
        add_note(self.path, plain)

    # -- the data --------------------------------------------------------------------

    def tags(self) -> dict[str, str]:
        """Return the kind of each tag, in the order of first appearance.

        Kinds are ``"scalar"``, ``"image"``, ``"histogram"``, ``"audio"``, ``"text"``,
        ``"html"``, or the name of another TensorBoard plugin; ``""`` if the files do
        not tell. The run's own table and parameters are left out, and so are the curves
        of `Logger.add_scalars`: see `curves`.
        """
        found = contents.kinds(self._blocks(self.path))
        for stored in self._index(self.path).all():
            if stored.kind == recordings.SERIES:  # perhaps without a point drawn
                found |= {tag: SCALAR.name for tag in stored.tags if tag not in found}
        return {tag: kind for tag, kind in found.items() if not is_own(tag)}

    def data(self, tag: str) -> Any:
        """Return the data of a tag of any kind.

        Parameters
        ----------
        tag : str
            The tag.

        Returns
        -------
        Scalars, Images, Histograms, Texts, Fragments or Sounds
            The result of `scalars`, `images`, `histograms`, `text`, `html` or `audio`.

        Raises
        ------
        KeyError
            If the run has no such tag, or only a TensorBoard plugin can read it.
        """
        kind = self.tags().get(tag)
        if kind not in BY_NAME:
            raise KeyError(
                f"no data under the tag {tag!r} in {self.path}"
                + ("" if kind is None else f" that can be read: it is of kind {kind!r}")
            )
        return self._read(BY_NAME[kind], tag)

    def scalars(self, tag: str) -> Scalars:
        """Return all points of a tag, not only a sample.

        Parameters
        ----------
        tag : str
            The tag.

        Raises
        ------
        KeyError
            If the run has no scalars with this tag.
        """
        found: Scalars = self._read(SCALAR, tag)
        return found

    def all_scalars(self, *tags: str) -> dict[str, Scalars]:
        """Return the points of several tags, or of all, in one pass over the files.

        Parameters
        ----------
        *tags : str
            The tags, by default all. Tags that the run does not have are left out.
        """
        return self._scalars(self.path, tags)

    def curves(self, tag: str) -> dict[str, Scalars]:
        """Return the curves that `Logger.add_scalars` wrote to a plot, by their names.

        Parameters
        ----------
        tag : str
            The tag of the plot.

        Returns
        -------
        dict
            The points by the names of the curves' directories. A name is the key given
            to `Logger.add_scalars`, unless the key is no valid name of a directory. The
            sub-directories of tensorboardX and torch are included.

        Raises
        ------
        KeyError
            If there are no such curves.
        """
        found = {}
        for path in list(directories(self.path))[1:]:
            points = self._scalars(path, (tag,))
            name = self._curve(path, tag)
            if tag in points and name is not None:
                found[name] = points[tag]
        if not found:
            raise KeyError(f"no curves of the plot {tag!r} in {self.path}")
        return found

    def images(self, tag: str) -> Images:
        """Return the images of a tag, read one by one; KeyError if there are none."""
        found: Images = self._read(IMAGE, tag)
        return found

    def spikes(self, tag: str) -> Rasters:
        """Return the spikes that were passed to `Logger.add_raster`, as given.

        Those outside of the time axis are included.

        Raises
        ------
        KeyError
            If the run has no raster with this tag.
        """
        found: Rasters = self._kept(raster.read, "spikes", tag)
        return found

    def matrices(self, tag: str) -> Matrices:
        """Return the values that `Logger.add_matrix` drew.

        A matrix that is not larger than its picture comes back as it was given.

        Raises
        ------
        KeyError
            If the run has no matrix with this tag.
        """
        found: Matrices = self._kept(matrix.read, "matrices", tag)
        return found

    def histograms(self, tag: str) -> Histograms:
        """Return a tag's histograms, read one by one; KeyError if there are none."""
        found: Histograms = self._read(HISTOGRAM, tag)
        return found

    def text(self, tag: str) -> Texts:
        """Return the texts of a tag; KeyError if there are none."""
        found: Texts = self._read(TEXT, tag)
        return found

    def html(self, tag: str) -> Fragments:
        """Return the fragments of `Logger.add_html`, whole; KeyError if none."""
        found: Fragments = self._read(HTML, tag)
        return found

    def audio(self, tag: str) -> Sounds:
        """Return the sounds of a tag, read one by one; KeyError if there are none."""
        found: Sounds = self._read(AUDIO, tag)
        return found

    def to_pandas(self) -> DataFrame:
        """Return all scalars as one table.

        It has the columns ``tag``, ``curve`` (empty except for `Logger.add_scalars`),
        ``step``, ``value``, ``time`` and ``wall_time`` (as in ``Scalars``), with one
        row per point. It needs pandas.
        """
        pd = optional("pandas", "Run.to_pandas", "'annarchy-tb[pandas]'")
        tables = [
            points.numeric().to_pandas().assign(tag=tag, curve=curve)
            for tag, curve, points in self.points()
        ]
        columns = ["tag", "curve", *scalar.COLUMNS]
        if not tables:
            return pd.DataFrame(columns=columns)
        return pd.concat(tables, ignore_index=True)[columns]

    def points(self) -> Iterator[tuple[str, str, Scalars]]:
        """Yield tag, curve (``""`` for the run itself) and points of all scalars."""
        for path in directories(self.path):
            for tag, points in self._scalars(path, ()).items():
                curve = "" if path == self.path else self._curve(path, tag)
                if curve is not None:
                    yield tag, curve, points

    def _curve(self, path: Path, tag: str) -> str | None:
        """Return the name of the curve in a directory; None if it is another run.

        Other writers name the directory of a curve by its tag. Ours do not.
        """
        inside = path.relative_to(self.path).as_posix()
        name = _curve_name(inside, tag)
        if name is None and all(is_ours(file.name) for file in event_files(path)):
            return inside
        return name

    @property
    def phases(self) -> list[Phase]:
        """The phases that were begun by `Logger.phase`, in their order.

        Each has ``number``, ``name``, ``began``, ``ended`` (None while it goes on) and
        ``time``, the simulated time of the run at which its own time is 0. See
        `annarchy_tb.reading.Scalars.phase` for the points of one.
        """
        return phases(self._blocks(self.path))

    @property
    def position(self) -> dict[str, Any]:
        """The end of what the run has now, for `news`; it is valid JSON."""
        return news.position(self.path)

    def news(self, since: Mapping[str, Any] | None = None) -> Iterator[News | Restart]:
        """Yield what was written since a position, for whoever follows the run.

        Parameters
        ----------
        since : dict, optional
            A `position`, or that of earlier news, perhaps stored as JSON meanwhile. By
            default, all that the run has is yielded.

        Yields
        ------
        News or Restart
            Points and other values, at most about 1 MiB at a time (a larger value comes
            alone), of the run and of its curves, each with the position after it. If a
            resume has cut off what was read before, or the run was started over, a
            Restart comes first, followed by all that the run has.

        Notes
        -----
        The points of a series come with its recording, which may be before or after
        single points of the same tag that were logged around it. The spikes of
        `Logger.add_raster` and the values of `Logger.add_matrix` are not included. The
        iterator ends at the end of the files: call this again for what follows.
        """
        yield from news.news(self.path, since)

    def damage(self) -> list[Damage]:
        """Read all files; return the places where they are damaged or incomplete."""
        scan = Scan()
        for _ in scan.files(_files(self.path)):
            pass
        places = directories(self.path)
        kept = [path for place in places for path in recordings.files(place)]
        return scan.damage + recordings.check(kept)

    # -- reading ---------------------------------------------------------------------

    def _blocks(self, directory: Path) -> Iterator[Block]:
        kept = cache.contents(directory)
        if kept is not None:
            yield from (its.block for its in kept.blocks)
            self._warn_of(kept.damage)
            return
        scan = Scan()
        yield from scan.files(event_files(directory))
        self._warn_of(scan.damage)

    def _index(self, directory: Path) -> recordings.Index:
        index = cache.index(directory)
        self._warn_of(index.damage)
        return index

    def _warn_of(self, damage: list[Damage]) -> None:
        """Warn of damage, except of the end of a file that is being written."""
        running = bool(damage) and self.status == RUNNING
        for path, offset, reason in damage:
            if not running or not reason.startswith(TORN):
                warn(f"{path} is damaged at byte {offset}: {reason}")

    def _scalars(self, directory: Path, tags: tuple[str, ...]) -> dict[str, Scalars]:
        kept = cache.contents(directory)
        blocks: Iterable[scalar.Sorted]
        if kept is None:
            blocks = map(scalar.Sorted, self._blocks(directory))
        else:
            blocks = kept.blocks
            self._warn_of(kept.damage)
        index = self._index(directory)
        return recorded.points(blocks, tags, index, cache.arrays)

    def _read(self, kind: Kind, tag: str) -> Any:
        if kind == SCALAR:
            its = self._scalars(self.path, (tag,))
            if tag in its:
                return its[tag]
        else:
            found = contents.read(self._blocks(self.path), kind.name, tag)
            if len(found.steps):
                return found
        tags = self.tags()
        there = [name for name, its in tags.items() if its == kind.name]
        shown = ", ".join(map(repr, there[:20])) + (", ..." if there[20:] else "")
        found = f"there is {shown or 'none'}"
        if tag in tags:
            found = f"it is of kind {tags[tag]!r}"
        elif kind == SCALAR and self._is_plot(tag):
            found = f"it is a plot of several curves: use curves({tag!r})"
        raise KeyError(
            f"no data of kind {kind.name!r} under the tag {tag!r} in {self.path}; "
            f"{found}"
        )

    def _kept(self, read: Callable[..., Any], what: str, tag: str) -> Any:
        """Return what is kept in recordings of the pictures of a tag."""
        found = read(self._blocks(self.path), tag, self._index(self.path))
        if not len(found.steps):
            raise KeyError(f"no {what} under the tag {tag!r} in {self.path}")
        return found

    def _is_plot(self, tag: str) -> bool:
        """Return whether the run has curves with this tag."""
        return any(
            tag in self._scalars(path, (tag,))
            for path in list(directories(self.path))[1:]
        )


def _curve_name(directory: str, tag: str) -> str | None:
    """Return the name of the curve in a directory of the run, None if it is not one.

    tensorboardX names it ``<tag>/<key>``, torch ``<tag>_<key>``; tensorboardX writes
    other characters than ``-/.`` and those of words as ``_`` in the tag, but not in the
    directory.
    """
    cleaned = re.sub(r"[^-/\w.]", "_", directory)
    for prefix in (f"{tag}/", f"{tag.replace('/', '_')}_"):
        for name in (directory, cleaned):
            if name.startswith(prefix):
                return directory[len(prefix) :]
    return None


def _files(run: Path) -> list[Path]:
    return [path for found in directories(run) for path in event_files(found)]
