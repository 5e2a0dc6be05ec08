"""Trials: one program from its start to its end, and the verdict."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import annarchy_tb
from annarchy_tb.run import provenance

from . import faults, reading
from .child import FILLER, execute
from .model import Model
from .programs import Program
from .reading import BrokenError

SILENCE = 60  # seconds without a report after which a child hangs
SPACE = 4 << 20  # bytes of the small file system


class Counts(NamedTuple):
    """What was done, in sums over programs."""

    programs: int = 0
    processes: int = 0
    calls: int = 0  # that returned
    points: int = 0  # read back and compared
    killed: int = 0  # processes
    signals: int = 0  # from outside: SIGINT, SIGSTOP and SIGCONT
    faults: int = 0  # met by processes that could say so

    def __add__(self, other: tuple[Any, ...]) -> Counts:
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return ", ".join(f"{value} {name}" for name, value in self._asdict().items())


def warm() -> None:
    """Import all modules, so that forked children begin at once."""
    for module in pkgutil.walk_packages(annarchy_tb.__path__, "annarchy_tb."):
        if ".hooks" not in module.name:
            importlib.import_module(module.name)
    provenance.origin()  # versions, and git's answer, are kept for a minute


class Places:
    """Directories for runs on several file systems.

    Attributes
    ----------
    missing : dict of str to str
        The reasons why a kind of place is not there.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.missing: dict[str, str] = {}
        self._roots = {"disk": self._directory(None)}
        if os.path.isdir("/dev/shm"):
            self._roots["memory"] = self._directory("/dev/shm")
        else:
            self.missing["memory"] = "there is no /dev/shm"
        small = self._directory(None)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SPACE}", "tmpfs", str(small)],
            capture_output=True,
        )
        if mounted.returncode:
            self.missing["small"] = "mounting a file system needs root"
        else:
            self._roots["small"] = small
            self._stack.callback(
                subprocess.run, ["umount", "--lazy", str(small)], check=True
            )

    def _directory(self, parent: str | None) -> Path:
        directory = tempfile.mkdtemp(prefix="chaos-", dir=parent)
        self._stack.callback(shutil.rmtree, directory, ignore_errors=True)
        return Path(directory)

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def place(self, name: str) -> Iterator[Path]:
        """Yield a new directory."""
        place = Path(tempfile.mkdtemp(dir=self._roots[name]))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def trial(program: Program, places: Places) -> tuple[Counts, BrokenError | None]:
    """Execute a program; return what was done, and the promise that was not kept."""
    counts = Counts(programs=1)
    model = Model(program)
    with places.place(program["place"]) as place:
        for number, process in enumerate(program["processes"]):
            last = number == len(program["processes"]) - 1
            if last or not process["faults"]:
                with contextlib.suppress(FileNotFoundError):
                    (place / FILLER).unlink()
            one = _Process(program, number, place, model)
            try:
                one.run()
                model.end()
                found = reading.read(place / "run")
                one.points += found.points
                model.check(found)
                if (program["seed"] + number) % 4 == 0 and found is not reading.NOTHING:
                    differs = reading.differs(place / "run", found)
                    if differs is not None:
                        raise BrokenError("TensorBoard", differs)
            except BrokenError as failure:
                what = f"process {number}: {failure.said}"
                return counts + one.counts(), BrokenError(failure.kind, what)
            counts += one.counts()
    return counts + Counts(calls=model.returned), None


class _Process:
    """One process of a program, with its threads and children."""

    def __init__(
        self, program: Program, number: int, place: Path, model: Model
    ) -> None:
        self.program, self.number = program, number
        self.process = program["processes"][number]
        self.place = place
        self.model = model
        self.points = self.sent = self.met = self.killed = self.reports = 0
        self.rest = b""  # the beginning of a report
        self.ended = False

    def counts(self) -> Counts:
        return Counts(0, 1, 0, self.points, self.killed, self.sent, self.met)

    def run(self) -> None:
        """Start it, take its reports and send its signals, until all have ended."""
        self.model.begin(self.process)
        with tempfile.TemporaryFile() as self.errors:
            self._run()

    def _run(self) -> None:
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._execute(writer)
        os.close(writer)
        try:
            signals = list(self.process["signals"])
            while self._take():
                while signals and signals[0]["at"] <= self.reports:
                    self._send(signals.pop(0)["signal"])
            self._wait(0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._wait(0)
            os.close(self.reader)

    def _execute(self, writer: int) -> None:
        """Be the process."""
        try:
            os.setsid()
            os.close(self.reader)
            os.dup2(self.errors.fileno(), 2)
            if self.process["fresh"]:
                self._execute_fresh(writer)
            execute(self.program, self.number, self.place, writer)
        finally:
            os._exit(1)

    def _execute_fresh(self, writer: int) -> None:
        """Be the process, in a new interpreter."""
        package = __package__ or ""
        root = Path(__file__).parents[package.count(".") + 1]
        paths = [str(root), str(Path(annarchy_tb.__file__).parents[1])]
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump(self.program, file)
        os.set_inheritable(writer, True)
        arguments = [file.name, str(self.number), str(self.place), str(writer)]
        os.execve(
            sys.executable,
            [sys.executable, "-m", f"{package}.child", *arguments],
            {**os.environ, **faults.without_preload(), "PYTHONPATH": ":".join(paths)},
        )

    def _take(self) -> bool:
        """Take some reports; return False if all processes have ended."""
        if not select.select([self.reader], [], [], SILENCE)[0]:
            raise BrokenError("hang", self._stacks())
        data = os.read(self.reader, 1 << 16)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.reports += 1
            _, _, op, _, said = line.decode().split("\t", 4)
            if op == "met":
                self.met = int(said)
            elif op == "crash":
                raise BrokenError("crash", said)
            else:
                self.model.report(line.decode())
        return bool(data)

    def _send(self, name: str) -> None:
        """Send a signal; to one that is stopped, the run must be as it is when killed.

        (Children that are forked would go on.)
        """
        if self.ended or (name == "STOP" and self.model.forks):
            return
        self.sent += name != "KILL"
        os.kill(self.pid, getattr(signal, f"SIG{name}"))
        if name == "STOP":
            self._wait(os.WUNTRACED)
            while select.select([self.reader], [], [], 0)[0] and self._take():
                pass
            if not self.ended:
                found = reading.read(self.place / "run")
                self.points += found.points
                self.model.check(found, ended=False)
                os.kill(self.pid, signal.SIGCONT)

    def _wait(self, options: int) -> None:
        if not self.ended:
            status = os.waitpid(self.pid, options)[1]
            self.ended = not os.WIFSTOPPED(status)
            self.killed = int(self.ended and os.WIFSIGNALED(status))

    def _stacks(self) -> str:
        """Return where all threads of the process and its children are."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGUSR2)
        time.sleep(1)
        self.errors.seek(0)
        return f"no report for {SILENCE} s\n{self.errors.read().decode()}"
