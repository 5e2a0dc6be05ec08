"""Phases of a run: parts that begin again at step or time 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annarchy_tb.inputs.messages import naming
from annarchy_tb.inputs.numbers import as_text
from annarchy_tb.run.phases import Phase
from annarchy_tb.run.state import RunState

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger


def phase(self: Logger, name: str) -> PhaseBlock:
    """Return a context manager for a phase of the run, such as one of its trials.

    What begins again inside, at step or time 0, goes on behind what the run has, where
    TensorBoard shows all of it. What does not begin again does not move.

    Parameters
    ----------
    name : str
        The name of the phase. Several phases may have the same.

    Raises
    ------
    RuntimeError
        When the block begins, if it is within another phase.

    Notes
    -----
    If the first ``time=`` inside is earlier than the latest one before, all times of
    the phase move by that latest time, rounded up to a whole `dt`, and by one `dt` more
    where the first step would else come again; steps move with them. Without times,
    and where a given step is not ``round(time / dt)`` and so counts something else,
    tags that were logged together last, or are logged by one hook, move alike, and all
    others by their own last steps. The first call for a tag decides: what goes back
    later in the phase is warned of, as it is without phases.

    `Run.scalars` gives moved steps and times, and ``Run.scalars(tag).phase(name)``
    those that were given. Windows log what they hold when a phase begins and ends. Data
    of `writer` does not move. Other threads must not log while a phase begins or ends.

    After ``resume=``, a phase that had not ended at the checkpoint goes on if the first
    phase has its name. In a forked process the phase goes on, and the end of the block
    ends nothing.

    Examples
    --------
    >>> from annarchy_tb import Logger
    >>> with Logger("runs", "phases", dt=1.0) as logger:
    ...     for trial in range(3):
    ...         with logger.phase(f"trial {trial}"):
    ...             for time in range(100):
    ...                 logger.add_scalar("Rate", 1.0, time=time)
    """
    self._run.check_open()
    with naming("phase", None):
        text = as_text("name", name)
        if not text:
            raise ValueError("name must not be empty")
    return PhaseBlock(self._run, text)


class PhaseBlock:
    """A context manager for a phase, see `annarchy_tb.Logger.phase`."""

    _run: RunState
    _name: str
    _phase: Phase | None = None  # while the block goes on

    def __init__(self, run: RunState, name: str) -> None:
        self._run = run
        self._name = name

    def __enter__(self) -> None:
        self._run.check_open()
        self._flush()
        phases = self._run.phases
        before = phases.current
        try:
            phases.begin(self._name)
        finally:
            if phases.current is not before:
                self._phase = phases.current

    def __exit__(self, *_: object) -> None:
        try:
            with self._run.warned.anyway():
                self._flush()
        finally:
            self._end()

    def __del__(self) -> None:
        if self._phase is not None:  # Ctrl-C came as __exit__ was about to begin
            self._end()

    def _end(self) -> None:
        if self._phase is not None and self._run.phases.current is self._phase:
            self._run.phases.end()
        self._phase = None

    def _flush(self) -> None:
        """Log the values that windows hold."""
        for window in list(self._run.pending):
            window.flush()
