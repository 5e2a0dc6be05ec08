"""Beside: a command, whose runs are followed while it runs."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from annarchy_tb.run.provenance import JOB

# What is passed on. Ctrl-C and Ctrl-\ reach all processes of a terminal by themselves.
PASSED_ON = [
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
FROM_KEYS = (signal.SIGINT, getattr(signal, "SIGQUIT", None))
LOWEST = 19  # the priority beside the command, which needs the processor


class GivenUp(BaseException):
    """There is no time left, or a signal came after the end of the command."""


class Beside:
    """A command that runs beside its follower.

    Nothing of the follower is in the process of the command: it only has a variable
    more in its environment, by which its runs are known. Signals are passed on to it.

    Parameters
    ----------
    command
        The command, and its arguments.
    give_up
        How many seconds are left after its end.

    Attributes
    ----------
    job : str
        What its runs are known by.
    has_ended : bool
        Whether it has ended.
    """

    job: str
    has_ended: bool
    _command: Sequence[str]
    _give_up: float
    _process: subprocess.Popen[bytes] | None
    _early: list[int]  # signals that came before it began
    _reader: int

    def __init__(self, command: Sequence[str], give_up: float) -> None:
        self.job = os.urandom(8).hex()
        self.has_ended = False
        self._command, self._give_up = command, give_up
        self._process, self._early = None, []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the command; raise GivenUp inside if there is no time left after it.

        Raises
        ------
        OSError
            If it can't be run.
        """
        before: dict[int, Any] = {}
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        wakes = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            for number in PASSED_ON:
                if signal.getsignal(number) != signal.SIG_IGN:  # as by nohup
                    before[number] = signal.signal(number, self._pass_on)
            before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._late)
            before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, self._look)
            environment = {**os.environ, JOB: self.job}
            self._process = subprocess.Popen(self._command, env=environment)
            for number in self._early:
                self._process.send_signal(number)
            self._look()  # it may have ended before it was known
            with contextlib.suppress(OSError):
                os.nice(LOWEST)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakes)
            os.close(self._reader)
            os.close(writer)

    @property
    def status(self) -> int:
        """The exit status, as a shell gives it: 128 and the signal that ended it."""
        code = None if self._process is None else self._process.returncode
        if code is None:
            raise RuntimeError("the command has not ended")
        return 128 - code if code < 0 else code

    def wait(self, seconds: float) -> None:
        """Wait until this time is over, or a signal comes."""
        self._look()
        if select.select([self._reader], [], [], seconds)[0]:
            os.read(self._reader, 1 << 10)

    def wait_for_end(self) -> None:
        """Wait until the command has ended."""
        while not self.has_ended:
            self.wait(1.0)

    def _look(self, *_: object) -> None:
        """See whether the command has ended."""
        if self._process is None or self._process.poll() is None or self.has_ended:
            return
        self.has_ended = True
        signal.setitimer(signal.ITIMER_REAL, max(self._give_up, 0.01))

    def _late(self, *_: object) -> None:
        raise GivenUp

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._look()
        if self.has_ended:
            raise GivenUp
        if number in FROM_KEYS and _in_foreground():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _in_foreground() -> bool:
    """Return whether this is what a terminal runs now."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
