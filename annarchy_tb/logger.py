"""The Logger: what a simulation says. It checks its arguments and hands on."""

from __future__ import annotations

import copy
import errno
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time as now
from types import TracebackType
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from annarchy_tb.inputs.clock import (
    DRAWN,
    MAX_STEP,
    MIN_STEP,
    Clock,
    whole_step,
    whole_steps,
)
from annarchy_tb.inputs.messages import describe, naming, warn, where
from annarchy_tb.inputs.numbers import as_number, as_numbers, warn_range
from annarchy_tb.kinds import figure as figures
from annarchy_tb.kinds import histogram as histograms
from annarchy_tb.kinds import image as images
from annarchy_tb.kinds import matrix as matrices
from annarchy_tb.kinds import parameters as hparams
from annarchy_tb.kinds import png
from annarchy_tb.kinds.raster import raster
from annarchy_tb.run import names
from annarchy_tb.run.directory import RunDirectory, absolute, claim
from annarchy_tb.run.ledger import RUN_TABLE, Series, check_tag
from annarchy_tb.tfevents import records
from annarchy_tb.tfevents import templates as scalars
from annarchy_tb.windows import Reduce, Reducer, Window

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from annarchy_tb.reading.last import Last
    from annarchy_tb.writer import SummaryWriter

Item = TypeVar("Item")


class Logger:
    """Write what a simulation does to TensorBoard's event files.

    Parameters
    ----------
    logdir : str or path, default "runs/"
        The directory of all runs: what ``tensorboard --logdir`` is given. It is made
        where it is missing.
    experiment : str, optional
        The name of this run, a directory below `logdir`. If it exists, the run is
        appended to: nothing is lost, and steps go on from what is there. By default
        ``<month><day>_<time>_<host>``, and always a new directory.
    resume : bool, default False
        Go on in the run `experiment` from its last checkpoint (see `save_checkpoint`):
        what was logged since is cut off, and kept in ``<run>/checkpoints``. Where there
        is no checkpoint, that is everything, and where there is no run, it begins. A
        TensorBoard that is already running has to be started again, to forget what was
        cut off.
    dt : float, optional
        The solver's step in `time_unit`. With it, a step left out is counted from
        ``time=``, as the nearest whole number of solver steps.
    time_unit : {"ms", "s", "us", "min", "h", "d", "ns", "ps", "fs"}, default "ms"
        The unit of ``time=`` and of `dt`.

    Raises
    ------
    OSError
        If the run's directory or its event file can't be made; the error names it.
    RuntimeError
        If the run to resume is still being written, as far as that is known: by a
        process of this host.

    Notes
    -----
    These arguments are common to `log` and all ``add_*`` methods that take them.

    tag : str
        The name of the plot, kept as it is given. ``"Group/Name"`` is shown in the
        section *Group*. A tag holds one kind of data.
    step : int, optional
        The place on the horizontal axis: the trial, say. A whole number of 64 bits; a
        float within 1e-6 of one will do. Left out, it is one more than the tag's last
        step, from 0. The steps of a tag should increase: where one does not,
        TensorBoard hides the tag's points from there on, and a warning says so.
    time : float, optional
        Simulated time in `time_unit`. TensorBoard's RELATIVE axis then shows simulated
        time (and its WALL axis simulated dates). A unit shorter than a microsecond is
        drawn as a second.

    Where an argument is not what it must be, they raise TypeError or ValueError, and
    once the Logger is closed, ValueError. Nothing is written then, and what was logged
    before stays whole.

    When one of them returns, the data is the operating system's: it reaches the file
    however the process dies. What came after the last `flush` may be lost when the
    power fails. While the disk is full, what is logged waits in memory, up to 64 MiB a
    run, and the simulation goes on; warnings say so. That somebody deleted the run's
    files is noticed by `flush` and `close`.

    Threads may share a Logger if each logs tags of its own. A forked process may go on
    with the Logger it inherited: it writes to a file of its own, and the status of the
    run stays with the process that made the Logger.
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] = "runs/",
        experiment: str | None = None,
        *,
        resume: bool = False,
        dt: float | None = None,
        time_unit: str = "ms",
    ) -> None:
        # Not needed before there is a run, and it takes time.
        from annarchy_tb.run.info import RunInfo

        self._clock = Clock(time_unit, dt)
        parent = absolute(logdir)
        if experiment is None and resume:
            raise ValueError("resume needs the name of the run, as experiment")
        if experiment is None:
            path = claim(parent, names.default_run())
        elif experiment and "tfevents" not in str(experiment):
            path = parent / experiment
            path.mkdir(parents=True, exist_ok=True)
        else:
            raise ValueError(
                f"experiment must be a name without 'tfevents', or None to be named by "
                f"time; got {experiment!r}"
            )
        self._info = RunInfo(path)
        known = self._info.begin(resume)
        try:
            if resume:
                self._go_back(path, known)
            self._directory = RunDirectory(path)
            self._directory.file.open()
        except BaseException:
            self._info.forget()  # nobody writes the run
            raise
        self._has_parameters = False
        self._process: int | None = os.getpid()  # whose run it is
        self._look_up()
        self._write_table()
        import logging

        logging.getLogger("annarchy_tb").info("logging to %s", path)

    def _go_back(self, path: Path, known: bool) -> None:
        """Take the run back to its last checkpoint."""
        from annarchy_tb.run import checkpoints

        restarts = self._info.info["restarts"] + 1
        last = checkpoints.rewind(path, restarts)
        self._info.update(
            restarts=restarts if known else 0,
            checkpoint=last.step if last else None,
            params=last.params if last else None,
            metrics=last.metrics if last else {},
        )

    def _look_up(self) -> None:
        """Keep at hand what the methods that are called most often need."""
        directory = self._directory
        self._file = directory.file
        self._ledger = directory.ledger
        self._groups = directory.ledger.groups
        self._scalars = directory.scalars
        self._events = directory.events
        self._plots = directory.plots
        self._writer: SummaryWriter | None = None
        self._last: Last | None = None
        self._windows: dict[Window, None] = {}  # those that hold values, in their order

    @property
    def run_dir(self) -> Path:
        """The absolute path of this run's directory."""
        return self._directory.path

    @property
    def closed(self) -> bool:
        """Whether the Logger is closed."""
        return self._file.closed

    @property
    def time_unit(self) -> str:
        """The unit of ``time=``, as it was given."""
        return self._clock.unit

    @property
    def writer(self) -> SummaryWriter:
        """tensorboardX's whole SummaryWriter on this run's file, for all other kinds.

        ``logger.writer.add_mesh(...)``, ``add_audio``, ``add_pr_curve``,
        ``add_embedding``, ``add_custom_scalars`` and so on, as in
        https://tensorboardx.readthedocs.io. Closing it leaves the Logger open.
        """
        self._check_open()
        if self._writer is None:
            from annarchy_tb.writer import LoggerWriter

            self._writer = LoggerWriter(self._directory, self._add_hparams)
        return self._writer

    def __repr__(self) -> str:
        return f"<Logger {self.run_dir}{' (closed)' if self.closed else ''}>"

    # -- numbers ---------------------------------------------------------------------

    def add_scalar(
        self,
        tag: str,
        value: SupportsFloat,
        step: float | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Log one number.

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        value : float
            Whatever ``float()`` takes: a NumPy scalar, an array or tensor of one
            element, a bool, a Decimal. It is stored in single precision, which is what
            TensorBoard shows. NaN and infinity are kept.
        """
        try:
            series, scalar = self._scalars[tag]
        except (KeyError, TypeError):
            self._check_open()
            check_tag("add_scalar", tag)
            value = as_number(self._ledger.warn, "add_scalar", tag, value)
            self._when("add_scalar", tag, step, time)  # refused, it enters no tag
            series, scalar = self._directory.scalar("add_scalar", tag)
        if time is None and type(step) is int and series.last < step <= MAX_STEP:
            at, wall_time = step, now()
        else:
            at, wall_time = self._place("add_scalar", tag, [series], step, time)
        try:
            data = scalar.make(value, wall_time, at)
        except Exception:
            data = scalar.make(
                as_number(self._ledger.warn, "add_scalar", tag, value), wall_time, at
            )
        series.last = at
        if time is not None:
            series.time = wall_time
        self._file.append(data)

    def add_scalars(
        self,
        tag: str,
        value: Mapping[str, SupportsFloat],
        step: float | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Log several numbers that are drawn as curves on one plot.

        TensorBoard shows each curve as a run of its own, ``<run>/<key>``: on every
        plot, a key has one name and one colour.

        Parameters
        ----------
        tag, step, time
            See `Logger`. A step left out is one more than the largest last step of
            these curves.
        value : dict of str to float
            The value of each curve, by the curve's name.
        """
        method = "add_scalars"
        try:
            keys = tuple(value)
            curves = self._plots[tag, keys]
        except (KeyError, TypeError):
            self._check_open()
            check_tag(method, tag)
            value = numbers = as_numbers(self._ledger.warn, method, tag, value)
            self._when(method, tag, step, time)
            if not numbers:
                return
            curves = self._directory.plot(method, tag, keys)
        group = [curve.series for curve in curves]
        at, wall_time = self._place(method, tag, group, step, time)
        try:
            made = [
                curve.scalar.make(number, wall_time, at)
                for curve, number in zip(curves, value.values(), strict=True)
            ]
        except Exception:
            numbers = as_numbers(self._ledger.warn, method, tag, value)
            made = [
                curve.scalar.make(number, wall_time, at)
                for curve, number in zip(curves, numbers.values(), strict=True)
            ]
        for curve, record in zip(curves, made, strict=True):
            curve.series.last = at
            if time is not None:
                curve.series.time = wall_time
            curve.file.append(record)

    def log(
        self,
        metrics: Mapping[str, SupportsFloat],
        step: float | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Log several numbers, each under a tag of its own, in one record.

        It is the same as `add_scalar` for each of them, but smaller and faster.

        Parameters
        ----------
        metrics : dict of str to float
            The values by their tags.
        step, time
            See `Logger`. A step left out is one more than the largest last step of
            these tags.
        """
        data, at = b"", 0
        try:
            tags = tuple(metrics)
            event, [series] = self._events[tags], self._groups[tags]
            if time is None and type(step) is int and series.last < step <= MAX_STEP:
                at = step
                data = event.make(metrics.values(), now(), at)
        except Exception:  # these tags are new, or `_log` says what is wrong
            data = b""
        if not data:
            self._log("log", None, metrics, step, time)
            return
        series.last = at
        self._file.append(data)

    def add_series(
        self,
        tag: str | list[str] | tuple[str, ...],
        values: ArrayLike,
        steps: ArrayLike | None = None,
        *,
        times: ArrayLike | None = None,
    ) -> None:
        """Log a whole recorded time series: many points in one call.

        It writes what `add_scalar` (or, for several tags, `log`) writes point by point,
        some ten times faster.

        Parameters
        ----------
        tag : str, or list of K str
            See `Logger`; with a list, one tag for each column of `values`.
        values : array-like
            Shape ``(N,)``, or ``(N, K)`` for K tags, of any real type. NaN and infinity
            are kept. N may be 0.
        steps : array-like, optional
            Shape ``(N,)``: whole numbers. Left out, they are counted from `times` if
            the Logger has a `dt`, else they go on from the last step.
        times : array-like, optional
            Shape ``(N,)``: simulated times in the Logger's `time_unit`. Left out, all
            points have the time of the call.
        """
        method = "add_series"
        self._check_open()
        single = not isinstance(tag, (list, tuple))
        tags: tuple[str, ...] = (tag,) if single else tuple(tag)  # type: ignore[assignment]
        for one in tags:
            check_tag(method, one)
        with naming(method, tag):
            if len(set(tags)) < len(tags):
                raise ValueError("the tags must be distinct")
            table = scalars.as_table(values, None if single else len(tags))
            whole, wall_times = self._series_places(steps, times, len(table))
        if not table.size:
            return
        label = tags[0] if single else str(tags)
        group = self._ledger.together(method, tags, "scalar")
        first = None if whole is None else int(whole[0])
        drawn = None if times is None else float(wall_times[0])
        at = self._ledger.place(method, label, group, first, drawn)
        if whole is None:
            if at > MAX_STEP + 1 - len(table):
                raise ValueError(f"{where(method, label)}: steps must fit into 64 bits")
            whole = at + np.arange(len(table), dtype=np.int64)
        falls = np.flatnonzero(whole[1:] <= whole[:-1])
        if len(falls):
            last, step = whole[falls[0] : falls[0] + 2].tolist()
            self._ledger.warn_order(method, label, step, last)
        elif (wall_times[1:] < wall_times[:-1]).any():
            self._ledger.warn_time(method, label)
        beyond = scalars.beyond_single(table)
        if beyond is not None:
            warn_range(self._ledger.warn, method, label, beyond)
        for series in group:
            series.last = int(whole[-1])
            if times is not None:
                series.time = float(wall_times[-1])
        if not self._directory.descriptions.keys().isdisjoint(tags):
            event = self._directory.event(tags)
            row = table[0].astype(np.float32).tolist()
            self._file.append(event.make(row, float(wall_times[0]), int(whole[0])))
            table, whole = table[1:], whole[1:]
            wall_times = wall_times if len(wall_times) == 1 else wall_times[1:]
        for block in scalars.series(tags, table, wall_times, whole):
            self._file.append(block)

    def add_histogram(
        self,
        tag: str,
        hist: object,
        step: float | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Log how values are distributed, in 64 buckets of equal width.

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        hist : array-like
            Numbers in any shape and nesting: an array, ragged lists (as the weights of
            a sparse projection are), object arrays, a single number; of a dict its
            values. NaN and infinity are dropped with a warning. Where nothing is left,
            nothing is written.
        """
        method = "add_histogram"
        self._check_open()
        check_tag(method, tag)
        with naming(method, tag):
            values = histograms.flatten(hist)
        buckets, dropped = histograms.count(values)
        if dropped:
            self._ledger.warn(method, tag, "finite", "NaN and infinity are dropped")
        if buckets is None:
            message = "there are no finite values, and nothing is written"
            self._ledger.warn(method, tag, "empty", message)
        else:
            value = records.histogram_value(tag, buckets)
            self._write(method, tag, "histogram", value, step, time)

    def window(
        self,
        tag: str | Sequence[str],
        every: int | None = None,
        reduce: Reduce | Reducer = "mean",
    ) -> Window:
        """Return a window, which logs a single point for several values.

        Parameters
        ----------
        tag : str, or sequence of str
            See `Logger`. With several, ``window.add`` takes a dict with a value for
            each, and each point is one record.
        every : int, optional
            How many values make a point. By default all that come in the ``with``
            block of the window, or until ``window.flush()``.
        reduce : {"mean", "last", "min", "max", "sum"} or callable, default "mean"
            What makes one value of them: the mean is weighted. A callable takes the
            list of the values, and so they are all kept until then.

        Returns
        -------
        Window
            ``window.add(value, weight=1.0, step=None, time=None)`` takes a value; see
            `annarchy_tb.windows.Window`. What it still holds when the Logger is closed
            is logged then.

        Notes
        -----
        Until its point is logged, a value is in the memory of this process: ``kill -9``
        loses what windows hold, `flush` leaves it where it is, and no other process
        gets it.

        Examples
        --------
        >>> with Logger("runs", "windows") as logger:
        ...     for epoch in range(3):
        ...         with logger.window("Accuracy") as window:
        ...             for batch in range(100):
        ...                 window.add(batch / 100, weight=32, step=epoch)
        ...     logger.last["Accuracy"]
        0.495
        """
        self._check_open()
        return Window(
            tag, every, reduce, self._ledger, self._windows, self._ready, self._log
        )

    @property
    def last(self) -> Last:
        """The last value of each tag of numbers, such as ``logger.last["Accuracy"]``.

        It is read from the run's files when it is asked for, in single precision, and
        logging does nothing for it; see `annarchy_tb.reading.Last`.
        """
        from annarchy_tb.reading.last import Last

        if self._last is None:
            self._last = Last(self._directory)
        return self._last

    def track(
        self,
        items: Iterable[Item],
        show: str | Sequence[str] = (),
        *,
        visible: bool | None = None,
    ) -> Iterable[Item]:
        """Return `items` with a progress bar, for a long loop.

        Parameters
        ----------
        items : iterable
            What the loop is over.
        show : str, or sequence of str
            Tags whose last values are shown behind the bar.
        visible : bool, optional
            Whether there is a bar. By default there is one on a terminal and in
            notebooks, and none in the files of a batch job.

        Returns
        -------
        tqdm.auto.tqdm
            The bar, with ``set_description`` and all else of it. It starts no thread.

        Examples
        --------
        >>> with Logger("runs", "tracked") as logger:
        ...     for trial in logger.track(range(100), show="Accuracy"):
        ...         logger.add_scalar("Accuracy", trial / 100, trial)
        """
        from annarchy_tb.reading.last import track

        self._check_open()
        if not isinstance(items, Iterable):
            raise TypeError(
                f"track: items must be what a loop can go over, such as range(100), "
                f"got {describe(items)}"
            )
        if not isinstance(show, Iterable):
            raise TypeError(f"track: show must be tags, got {describe(show)}")
        tags = (show,) if isinstance(show, str) else tuple(show)
        for tag in tags:
            check_tag("track", tag)
        return track(items, self.last, tags, visible)

    # -- pictures --------------------------------------------------------------------

    def add_image(
        self,
        tag: str,
        img: ArrayLike,
        step: float | None = None,
        equalize: bool = False,
        *,
        time: float | None = None,
    ) -> None:
        """Log one image.

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        img : array-like
            Shape ``(H, W)`` or ``(H, W, 1)``: grey; ``(H, W, 3)``: RGB;
            ``(H, W, 4)``: RGBA. Floats from 0 to 1, integers from 0 to 255, or bool.
            What lies outside is clipped, and NaN and infinity are drawn black, with
            a warning. The array is not changed.
        equalize : bool, default False
            Rescale the image so that its minimum is black and its maximum white. A
            constant image is black.
        """
        self._check_open()
        check_tag("add_image", tag)
        with naming("add_image", tag):
            array = images.as_image(img)
        pixels, remarks = images.to_pixels(array, "all" if equalize else "")
        self._write_image("add_image", tag, pixels, remarks, step, time)

    def add_images(
        self,
        tag: str,
        img: ArrayLike,
        step: float | None = None,
        equalize: bool = False,
        equalize_per_image: bool = False,
        *,
        time: float | None = None,
    ) -> None:
        """Log several images side by side as one, such as receptive fields.

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        img : array-like
            Shape ``(N, H, W)``, ``(N, H, W, 1)``, ``(N, H, W, 3)`` or
            ``(N, H, W, 4)``; values as in `add_image`. They are laid in
            ``ceil(sqrt(N))`` columns with grey lines between them.
        equalize : bool, default False
            Rescale all images alike, by the minimum and the maximum of them all.
        equalize_per_image : bool, default False
            Rescale each image by its own minimum and maximum.
        """
        self._check_open()
        check_tag("add_images", tag)
        with naming("add_images", tag):
            array = images.as_images(img)
        scope: images.Scope = (
            "each" if equalize_per_image else "all" if equalize else ""
        )
        pixels, remarks = images.to_pixels(array, scope)
        mosaic = images.mosaic(pixels)
        self._write_image("add_images", tag, mosaic, remarks, step, time)

    def add_figure(
        self,
        tag: str,
        figure: Figure,
        step: float | None = None,
        close: bool = True,
        *,
        time: float | None = None,
    ) -> None:
        """Log a matplotlib figure as an image, and close it.

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        figure : matplotlib.figure.Figure
            It is drawn once, at its own size and dpi; there is no need to show it.
        close : bool, default True
            Close the figure, also if drawing it fails. With False it stays as it was,
            with its window.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        try:
            self._check_open()
            check_tag("add_figure", tag)
            with naming("add_figure", tag):
                figures.check(figure)
            pixels = figures.to_pixels(figure)
        finally:
            if close:
                figures.close(figure)
        self._write_image("add_figure", tag, pixels, [], step, time)

    def add_raster(
        self,
        tag: str,
        spikes: object,
        step: float | None = None,
        *,
        start: float | None = None,
        duration: float | None = None,
        bins: int | None = None,
        time: float | None = None,
    ) -> None:
        """Log when which neurons fired, as an image: white on black.

        Time runs to the right, and neuron 0 is at the bottom. The image is at most 320
        by 200 pixels, as many as the smallest card of TensorBoard shows; of larger
        ones, it leaves out rows and columns. Where several spikes share a pixel, the
        most are white, and each halving is darker, down to half of white: every spike
        is seen.

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        spikes : dict, tuple or array-like
            A dict of the steps of its spikes for each neuron's rank, as ANNarchy's
            ``monitor.get("spike")`` is; a tuple ``(times, ranks)``, both of shape
            ``(K,)``, as ``monitor.raster_plot()`` is, or Brian2's ``(M.t, M.i)``, whose
            times are in seconds then; or an array of shape ``(T, N)``, bool or 0 and 1,
            of N neurons in T steps. The largest rank tells how many neurons there are;
            silent ones are black. Where there are no spikes, all is black.
        start : float, optional
            The time at the left edge, in the unit of the spikes' times: steps for the
            dict and the array. By default 0. ANNarchy's steps go on from trial to
            trial: ``start=trial * 1000, duration=1000``.
        duration : float, optional
            The time from the left edge to the right one. By default up to the last
            spike, and of an array all its steps. Spikes outside are not drawn, with a
            warning.
        bins : int, optional
            Into how many columns the time is divided, 1 to 10,000. By default 320 at
            most; whole numbers are taken for steps, and a column holds some whole
            number of them. With more, TensorBoard shows all only at actual size.
        """
        method = "add_raster"
        self._check_open()
        check_tag(method, tag)
        with naming(method, tag):
            pixels, remarks = raster(spikes, start, duration, bins)
        self._write_image(method, tag, pixels, remarks, step, time)

    def add_matrix(
        self,
        tag: str,
        matrix: object,
        step: float | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Log a matrix of weights as an image in colours.

        Row 0 is at the top and column 0 at the left: in ANNarchy, a row is a neuron
        that receives, a column one that sends. The colours are evenly spaced to the
        eye. They go from the smallest value to the largest, dark violet over red and
        orange to light yellow; or, if there are both negative and positive values, from
        light blue over dark grey, which is 0, to light red, the same range on both
        sides. NaN, and synapses that do not exist, are black. The image has no scale:
        `add_histogram` of the same weights shows their range, which may be another one
        at each step.

        A side longer than 350 is drawn in fewer pixels, at most 350: each then shows,
        of the values it stands for, the one farthest from 0, so that single synapses
        are seen. (IMAGES shows that many; TIME SERIES makes pictures 215 pixels high,
        and leaves out rows and columns of taller ones, unless they are at actual size.)

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        matrix : array-like or object
            An array of shape ``(H, W)``, masked or not, of any real type; a projection
            of ANNarchy itself; a matrix or an array of scipy.sparse; a tuple
            ``(weights, pre_ranks)`` of lists, one for each row, with the columns of its
            synapses, as ``(proj.w, proj.pre_ranks)``; or a tuple ``(pre, post,
            weights)`` of arrays of shape ``(K,)``, as Brian2's ``(S.i, S.j, S.w)``: the
            row is ``post``, the column ``pre``; of several synapses between the same
            two neurons, the one farthest from 0 is drawn. In both tuples, one number
            stands for equal weights. Nothing is made dense, so it may be large.
        """
        method = "add_matrix"
        self._check_open()
        check_tag(method, tag)
        with naming(method, tag):
            found = matrices.collect(matrix)
        pixels, remarks = matrices.draw(found)
        self._write_image(method, tag, pixels, remarks, step, time)

    @contextmanager
    def figures(
        self, tag: str, step: float | None = None, *, time: float | None = None
    ) -> Iterator[None]:
        """Log and close the pyplot figures that are opened in a ``with`` block.

        Figures that were open before stay, and the one that was current is so again. If
        the block raises, its figures are closed and not logged.

        Parameters
        ----------
        tag, step, time
            See `Logger`. Several figures get a tag each, ``<tag>/<label>``: their
            label, as in ``plt.figure("label")``, or else their number, from 1; a single
            one has the tag itself.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> with Logger("runs", "figures") as logger:
        ...     with logger.figures("Activity", 0):
        ...         _ = plt.plot([1, 2, 3])
        """
        check_tag("figures", tag)
        self._ledger.check("figures", tag, "image")
        self._ready("figures", tag, step, time)
        with figures.opened() as found:
            yield
            self._write_figures("figures", tag, found(), step, time)

    def add_open_figures(
        self, tag: str, step: float | None = None, *, time: float | None = None
    ) -> None:
        """Log and close all figures of pyplot that are open.

        Parameters
        ----------
        tag, step, time
            See `Logger`, and `figures` for the tags of several. Where none is open,
            nothing is written.
        """
        check_tag("add_open_figures", tag)
        self._ledger.check("add_open_figures", tag, "image")
        self._ready("add_open_figures", tag, step, time)
        with figures.opened(before=()) as found:
            self._write_figures("add_open_figures", tag, found(), step, time)

    # -- words, parameters, results --------------------------------------------------

    def add_text(
        self,
        tag: str,
        text: str,
        step: float | None = None,
        *,
        time: float | None = None,
    ) -> None:
        """Log a text.

        Parameters
        ----------
        tag, step, time
            See `Logger`.
        text : str
            Markdown, with tables and a safe part of HTML.
        """
        self._check_open()
        check_tag("add_text", tag)
        if not isinstance(text, str):
            came = describe(text)
            raise TypeError(f"{where('add_text', tag)}: text must be a str, got {came}")
        value = records.text_value(tag, text)
        self._write("add_text", tag, "text", value, step, time)

    def describe(self, tag: str, text: str) -> None:
        """Describe a plot: TensorBoard shows the text at the plot's head.

        TensorBoard takes it from the tag's first value, so the call comes before that.

        Parameters
        ----------
        tag
            See `Logger`; of any kind, also one of `add_scalars`.
        text : str
            Markdown: the unit and what is measured, say.

        Raises
        ------
        ValueError
            If this Logger has logged the tag already, with another text or none (and
            the tag was not in the run before).

        Notes
        -----
        In a run that is appended to, a tag that was logged before keeps the text that
        it had then, or none. Tags logged through `writer` are not described.
        """
        method = "describe"
        self._check_open()
        check_tag(method, tag)
        if not isinstance(text, str):
            came = describe(text)
            raise TypeError(f"{where(method, tag)}: text must be a str, got {came}")
        if not self._directory.describe(tag, text):
            raise ValueError(
                f"{where(method, tag)}: the tag has values already, and TensorBoard "
                f"takes its description from the first one; call describe before it"
            )

    def add_parameters(
        self,
        params: Mapping[str, Any],
        metrics: Mapping[str, SupportsFloat] | None = None,
        *,
        group: str | None = None,
    ) -> None:
        """Log the parameters of the run, once: its row in the HPARAMS tab.

        Called at the start, a run that fails has its row too. The row's status is
        SUCCESS or FAILURE once the Logger is closed, FAILURE if the ``with`` block was
        left by an exception; the status of a run that was killed stays unknown.

        Parameters
        ----------
        params : dict
            Numbers, bools and texts by their names. A dict inside is flattened with
            ``/``; lists, functions and all else are shown as text. None, NaN and
            infinity leave their cell empty.
        metrics : dict of str to float, optional
            The results, if they are known already: see `add_metrics`. In the table,
            every scalar of the run is a metric, with its last value.
        group : str, optional
            Runs of one group are one row, with the averages of their metrics and the
            parameters of one of them: repetitions with other seeds, say. TensorBoard
            looks for a group's runs in all it shows, so its name must be unique there.

        Raises
        ------
        RuntimeError
            If the run's parameters were logged before.
        """
        method = "add_parameters"
        self._check_open()
        if self._has_parameters:
            raise RuntimeError(
                f"{method}: the parameters of this run are logged already; "
                f"a run has one set of them, so make one Logger per trial"
            )
        with naming(method, "params"):
            plain = hparams.flatten(params)
        if group is not None and not isinstance(group, str):
            raise TypeError(f"{method}: group must be a str, got {describe(group)}")
        results = self._results(method, "metrics", {} if metrics is None else metrics)
        changes: dict[str, Any] = {}
        if hparams.START_TAG not in self._ledger:
            value = hparams.start_value(plain, self._info.started, group)
            self._file.append(records.summary([value], now()))
            self._ledger.note(hparams.START_TAG, "hparams", 0)
            changes = {"params": plain, "group": group}
        elif self._info.info["params"] is None:  # somebody took run.json away
            changes = {"params": plain}
        elif not self._info.has_params(plain):
            self._ledger.warn(
                method,
                "params",
                "again",
                "an earlier Logger gave this run its parameters, and they stay: "
                "TensorBoard shows those",
            )
        self._has_parameters = True
        self._write_metrics(method, results)
        if changes or results:
            self._info.update(results, **changes)
            self._write_table()

    def add_metrics(self, metrics: Mapping[str, SupportsFloat]) -> None:
        """Log the results of the run, shown in the HPARAMS tab.

        Parameters
        ----------
        metrics : dict of str to float
            The results by their names. Each is also a scalar of that tag, at the step
            after the tag's last one: ``"Result/Accuracy"`` keeps it apart from a curve
            ``"Accuracy"``.
        """
        self._info.update(self._metrics_written(metrics))

    # -- files, checkpoints ----------------------------------------------------------

    def path(self, name: str | os.PathLike[str]) -> Path:
        """Return a path inside the run's directory, for a file of your own.

        Parameters
        ----------
        name : str or path
            A relative path, such as ``"net.npz"`` or ``"weights/trial3.npy"``. The
            directory it is in is made where it is missing.

        Raises
        ------
        ValueError
            If it leads out of the run, or has a name that the run needs itself.
        """
        relative = Path(os.path.normpath(name))
        first = relative.parts[0] if relative.parts else ""
        if relative.is_absolute() or first in ("", ".."):
            raise ValueError(f"path: name must lead into the run, got {describe(name)}")
        if (
            first == names.CHECKPOINTS
            or names.RUN_JSON in relative.parts
            or names.harmless(str(relative)) != str(relative)
        ):
            raise ValueError(f"path: the run needs this name itself: {describe(name)}")
        path = self.run_dir / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def save_checkpoint(self, state: object, step: int, *, keep: int = 2) -> None:
        """Save the state of the simulation, to go on from if the run is interrupted.

        With it goes how far the run is: ``Logger(experiment=..., resume=True)`` takes
        the event files back to here. When it returns, all is on the disk itself; if the
        process dies before, the checkpoint before this one stands.

        Parameters
        ----------
        state : object
            Anything that pickle takes, but not the Logger itself. A network that saves
            itself can be given `path`: ``net.save(str(logger.path("net.npz")))``.
        step : int
            The place in the simulation, given back by `load_checkpoint`: the trial,
            say.
        keep : int, default 2
            How many checkpoints are kept, this one among them; older ones are removed.

        Raises
        ------
        OSError
            If the disk does not take it, or records still wait for room on it.
        RuntimeError
            In a process that only has a copy of the Logger, or a forked one.
        Exception
            Whatever pickle raises for a state that can't be pickled.
        """
        from annarchy_tb.run import checkpoints

        self._check_open()
        if os.getpid() != self._process:
            raise RuntimeError(
                "save_checkpoint: only the process that made the Logger saves its run"
            )
        with naming("save_checkpoint", None):
            whole = whole_step(step)
            if not isinstance(keep, int) or keep < 1:
                raise ValueError(f"keep must be 1 or more, got {describe(keep)}")
        self._directory.flush()
        info, files = self._info.read(), checkpoints.sizes(self.run_dir)
        checkpoint = checkpoints.Checkpoint(
            whole, files, info.get("params"), info.get("metrics") or {}
        )
        checkpoints.save(self.run_dir, checkpoint, state, keep)
        self._info.update(checkpoint=whole)

    def load_checkpoint(self, default: Any = None) -> Any:
        """Return what was saved last.

        Parameters
        ----------
        default : object, optional
            What to return where there is no checkpoint.

        Returns
        -------
        state, step
            As they were given to `save_checkpoint`; or `default`.

        Notes
        -----
        Unpickling runs code that the file tells it to. Only the run's own
        ``checkpoints`` are looked into, so resume only runs whose directories nobody
        else could write to.
        """
        from annarchy_tb.run import checkpoints

        self._check_open()
        found = checkpoints.load(self.run_dir)
        return default if found is None else found

    # -- the end ---------------------------------------------------------------------

    def flush(self) -> None:
        """Wait until everything logged is on the disk itself.

        Only a power failure makes this necessary: what was logged is the operating
        system's already.

        Raises
        ------
        OSError
            If records wait for room on a full disk, or somebody deleted the files.
        """
        self._check_open()
        self._directory.flush()

    def close(self) -> None:
        """Close the run as a success. A second call does nothing.

        Raises
        ------
        OSError
            If records could not be written, for the disk is full: it counts them.
        """
        self._close(None)

    def __enter__(self) -> Logger:
        self._check_open()
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        __: TracebackType | None,
    ) -> None:
        code = error.code if isinstance(error, SystemExit) else error
        left = code is None or (isinstance(code, int) and code == 0)
        self._close(None if left else error)

    def __getstate__(self) -> dict[str, object]:
        # In another process, or as a copy, it goes on in the same run with a file of
        # its own, and leaves the status to whose run it is.
        kept = ("_clock", "_directory", "_has_parameters", "_info")
        return {**{name: self.__dict__[name] for name in kept}, "_process": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._look_up()

    def __copy__(self) -> Logger:
        return copy.deepcopy(self)

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None and not file.closed:
            self._directory.close()
            if os.getpid() == self._process:
                self._info.forget()
                warnings.warn(
                    f"unclosed <Logger {self.run_dir}>; write 'with Logger() as "
                    f"logger:' or call logger.close()",
                    ResourceWarning,
                    source=self,
                    stacklevel=1,
                )

    def _close(self, error: BaseException | None) -> None:
        if self._file.closed:
            return
        # A forked process that ends does not end the run.
        own = os.getpid() == self._process
        failed: Exception | None = None
        for window in list(self._windows):
            try:
                window.flush()
            except Exception as problem:  # the others are logged all the same
                failed = failed or problem
        self._close_files(own, error or failed)
        if failed is not None and error is None:
            raise failed

    def _close_files(self, own: bool, error: BaseException | None) -> None:
        try:
            if own:
                self._info.ending(error)
                self._write_end(error)
        finally:
            lost = self._directory.close()
            if own:
                self._info.end(lost)
        if lost:
            message = f"{lost} records of {self.run_dir} could not be written"
            if error is None:
                raise OSError(errno.ENOSPC, f"{message}: the disk is full")
            warn(f"{message}: the disk is full")  # the error goes on, and says more

    def _write_end(self, error: BaseException | None) -> None:
        """Write to the event file how the run ended."""
        if hparams.START_TAG in self._ledger:
            status = hparams.SUCCESS if error is None else hparams.FAILURE
            value = hparams.end_value(status, now())
            self._file.append(records.summary([value], now()))
        self._write_table()

    def _write_table(self) -> None:
        """Write run.json as a table. At step 0 again, it takes the earlier one's place.

        (So the data server sees it; the slow loader shows all of them.)
        """
        value = records.text_value(RUN_TABLE, self._info.table())
        self._file.append(records.summary([value], now()))

    # -- what the methods share ------------------------------------------------------

    def _check_open(self) -> None:
        if self._file.closed:
            raise ValueError(f"Logger is closed: {self.run_dir}")

    def _ready(
        self, method: str, tag: str | None, step: float | None, time: float | None
    ) -> None:
        """Raise if data with this step and time could not be logged now."""
        self._check_open()
        self._when(method, tag, step, time)

    def _when(
        self, method: str, tag: str | None, step: float | None, time: float | None
    ) -> tuple[int | None, float]:
        """Return the step, None if it is to be counted on, and the wall time."""
        if type(step) is int and MIN_STEP <= step <= MAX_STEP:
            if time is None:
                return step, now()
            if type(time) is float and -DRAWN < time < DRAWN:
                return step, self._info.started + time * self._clock.seconds
        elif step is time is None:
            return None, now()
        with naming(method, tag):
            whole = self._clock.step(time) if step is None else whole_step(step)
            if time is None:
                return whole, now()
            return whole, self._clock.wall_time(time, self._info.started)

    def _place(
        self,
        method: str,
        tag: str | None,
        group: list[Series],
        step: float | None,
        time: float | None,
    ) -> tuple[int, float]:
        """Return the step at which these series go on, and the wall time."""
        whole, wall_time = self._when(method, tag, step, time)
        drawn = None if time is None else wall_time
        return self._ledger.place(method, tag, group, whole, drawn), wall_time

    def _series_places(
        self, steps: ArrayLike | None, times: ArrayLike | None, number: int
    ) -> tuple[NDArray[np.int64] | None, NDArray[np.float64]]:
        """Return the steps, None if they are to be counted on, and the wall times."""
        whole = None if steps is None else whole_steps(steps)
        wall_times = np.array([now()])
        if times is not None:
            wall_times = self._clock.wall_times(times, self._info.started)
            whole = self._clock.steps(times) if whole is None else whole
        for name, given in (
            ("steps", whole),
            ("times", None if times is None else wall_times),
        ):
            if given is not None and len(given) != number:
                raise ValueError(
                    f"{name} must be as many as values, {number}, got {len(given)}"
                )
        return whole, wall_times

    def _log(
        self,
        method: str,
        label: str | None,
        metrics: Mapping[str, SupportsFloat],
        step: float | None,
        time: float | None,
    ) -> None:
        """Log several numbers for `method`, which errors and warnings name."""
        try:
            tags = tuple(metrics)
            event = self._events[tags]
        except (KeyError, TypeError):
            self._check_open()
            metrics = as_numbers(self._ledger.warn, method, None, metrics)
            for tag in metrics:
                check_tag(method, tag)
            self._when(method, label, step, time)
            if not metrics:
                return
            event = self._directory.event(tags)
        group = self._groups.get(tags) or self._ledger.together(method, tags, "scalar")
        at, wall_time = self._place(method, label, group, step, time)
        try:
            data = event.make(metrics.values(), wall_time, at)
        except Exception:
            numbers = as_numbers(self._ledger.warn, method, None, metrics)
            data = event.make(numbers.values(), wall_time, at)
        for series in group:
            series.last = at
            if time is not None:
                series.time = wall_time
        self._file.append(data)

    def _write(
        self,
        method: str,
        tag: str,
        kind: str,
        value: records.Parts,
        step: float | None,
        time: float | None,
    ) -> None:
        self._when(method, tag, step, time)  # refused, it enters no tag
        series = self._ledger.series(method, tag, kind)
        at, wall_time = self._place(method, tag, [series], step, time)
        series.last = at
        if time is not None:
            series.time = wall_time
        text = self._directory.descriptions.get(tag)
        if text is not None:
            value = records.described(kind, value, text)
        self._file.append(records.summary([value], wall_time, at))

    def _write_image(
        self,
        method: str,
        tag: str,
        pixels: images.Pixels,
        remarks: list[images.Remark],
        step: float | None,
        time: float | None,
    ) -> None:
        for about, remark in remarks:
            self._ledger.warn(method, tag, about, remark)
        height, width, channels = pixels.shape
        value = records.image_value(tag, (height, width, channels), png.encode(pixels))
        self._write(method, tag, "image", value, step, time)

    def _write_figures(
        self,
        method: str,
        tag: str,
        found: list[Figure],
        step: float | None,
        time: float | None,
    ) -> None:
        self._check_open()  # the block may have closed it
        for name, figure in figures.named(tag, found):
            pixels = figures.to_pixels(figure)
            self._write_image(method, name, pixels, [], step, time)

    def _add_hparams(
        self, params: Mapping[str, Any], metrics: Mapping[str, Any], step: int | None
    ) -> None:
        """Log parameters and metrics that come through the SummaryWriter."""
        results = self._results("add_hparams", None, metrics)
        self.add_parameters(params)
        self.log(results, step)
        self._info.update(results)

    def _results(
        self, method: str, tag: str | None, metrics: object
    ) -> dict[str, float]:
        """Return metrics that can all be written."""
        results = as_numbers(self._ledger.warn, method, tag, metrics)
        for name in results:
            check_tag(method, name)
            self._ledger.check(method, name, "scalar")
        return results

    def _metrics_written(self, metrics: object) -> dict[str, float]:
        """Write metrics to the event file, and return what run.json is to say."""
        self._check_open()
        results = self._results("add_metrics", None, metrics)
        self._write_metrics("add_metrics", results)
        return results

    def _write_metrics(self, method: str, metrics: Mapping[str, float]) -> None:
        for tag, number in metrics.items():
            value = records.scalar_value(tag, number)
            self._write(method, tag, "scalar", value, None, None)
