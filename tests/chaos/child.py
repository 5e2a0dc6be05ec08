"""A child that executes one process of a program, and reports its calls over a pipe.

A report is a line: the name of the actor (``main``, a thread or a forked child), a
letter (B before a call begins, R after it has returned, E after it has raised), the
``id`` of the operation and its turn, and details: with R the number of records that
wait for room, with E the error. Lines are shorter than what a pipe takes at once, so
they stay whole.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import annarchy_tb
from annarchy_tb import Logger

from . import calls, faults
from .programs import Program

PACKAGE = str(Path(annarchy_tb.__file__).parent)
PARAMETERS = {"seed": 7, "tau": 0.5}
FILLER = "filler"


class EndError(Exception):
    """The exception that ends a session in a program."""


class Child:
    """The execution of one process.

    Parameters
    ----------
    program, process
        The program, and which of its processes this is.
    place
        The directory of the run's directory ``run``.
    pipe
        Where the reports go.
    """

    def __init__(self, program: Program, process: int, place: Path, pipe: int) -> None:
        self.seed = program["seed"]
        self.process = program["processes"][process]
        self.place = place
        self.pipe = pipe
        self.logger: Any = None
        self.block: Any = None  # of the phase that goes on
        self.running: dict[str, Any] = {}  # events of threads, and ids of children

    def report(self, actor: str, letter: str, op: Any, turn: int, said: object) -> None:
        line = f"{actor}\t{letter}\t{op}\t{turn}\t{said}"[:2000].replace("\n", " ")
        os.write(self.pipe, line.encode(errors="replace") + b"\n")

    def run(self) -> None:
        """Execute the process, and end it."""
        warnings.simplefilter("ignore")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        faulthandler.register(signal.SIGUSR2, all_threads=True)
        faults.arm(self.place / "run", self.process["faults"])
        if self.process["call"]:
            self.count(**self.process["call"])
        for session in self.process["sessions"]:
            self.session(session)

    def count(self, at: int, effect: str) -> None:
        """Have a signal sent at the call number `at` that the package makes.

        Python handles signals when a function begins, and after calls: so it is as if
        that came from outside.
        """
        number = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}[effect]
        left = at

        def profile(frame: Any, event: str, _: object) -> None:
            nonlocal left
            its = frame.f_code.co_filename.startswith(PACKAGE)
            if its and event in ("call", "c_return"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), number)

        sys.setprofile(profile)

    # -- sessions ----------------------------------------------------------------------

    def session(self, session: Program) -> None:
        self.logger = self.block = error = None
        try:
            if not self.open(session["open"]):
                return
            for op in session["ops"]:
                self.perform("main", op)
            self.join()  # no thread logs while the Logger is closed
            if session["end"] == "raise":
                raise EndError
        except BaseException as raised:
            error = raised
        if self.logger is not None and (error or session["end"] != "none"):
            status = "failed" if error else "finished"
            work = self.logger.close
            if error or session["end"] == "with":
                work = functools.partial(self.logger.__exit__, type(error), error, None)
            self.attempt("main", "close", 0, work, status)
        if error is not None and not isinstance(error, EndError):
            raise error

    def open(self, way: str) -> bool:
        """Open the run; return whether that succeeded."""
        how: dict[str, Any] = {"resume": True} if way == "resume" else {"mode": way}
        how = {} if way == "x" else how

        def made() -> None:
            self.logger = Logger(self.place, "run", **how)

        if not self.attempt("main", f"open-{way}", 0, made):
            return False
        if way == "resume" and not self.attempt("main", "load", 0, self.load):
            raise EndError
        return True

    def load(self) -> int:
        found, _ = self.logger.load_checkpoint(default=(0, 0))
        return int(found)

    def attempt(
        self, actor: str, op: Any, turn: int, work: Any, about: str = ""
    ) -> bool:
        """Do something between two reports; return whether it raised nothing.

        Ctrl-C is raised again, if the program leaves the session because of it.
        """
        try:
            self.report(actor, "B", op, turn, about)
            said = work()
            waiting = 0
            if self.logger is not None:
                waiting = len(self.logger._run.directory.backlog)
            self.report(actor, "R", op, turn, f"{waiting} {said}")
        except BaseException as error:
            self.report(actor, "E", op, turn, f"{type(error).__name__} {told(error)}")
            if isinstance(error, KeyboardInterrupt) and self.process["leaves"]:
                raise
            return False
        return True

    # -- operations --------------------------------------------------------------------

    def perform(self, actor: str, op: Program) -> None:
        """Perform an operation."""
        if op["do"] in calls.KINDS:
            for turn in range(op.get("times", 1)):
                call = calls.call(self.seed, actor, op, turn)
                self.attempt(actor, op["id"], turn, functools.partial(self.log, call))
        else:
            work = functools.partial(getattr(self, op["do"]), op)
            if op["do"] == "join":
                work = self.join
            self.attempt(actor, op["id"], 0, work)

    def log(self, call: calls.Call) -> None:
        getattr(self.logger, call.method)(*call.arguments)

    def parameters(self, _: Program) -> None:
        self.logger.add_parameters(PARAMETERS)

    def checkpoint(self, op: Program) -> None:
        self.logger.save_checkpoint(op["id"], op["id"])

    def phase(self, op: Program) -> None:
        """End the phase that goes on; if there was none, begin one.

        Steps go on, so it moves nothing but what it has to write.
        """
        self.join()  # no thread logs meanwhile
        block, self.block = self.block, None
        if block is not None:
            block.__exit__(None, None, None)
            return
        block = self.logger.phase(f"phase {op['id'] % 2}")
        block.__enter__()
        self.block = block

    def flush(self, _: Program) -> None:
        self.logger.flush()

    def fill(self, op: Program) -> None:
        """Use up the space of the disk but for a rest."""
        fill(self.place, op["room"])

    def free(self, _: Program) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.place / FILLER).unlink()

    # -- threads and children ----------------------------------------------------------

    def thread(self, op: Program) -> None:
        done = threading.Event()  # after Ctrl-C, Thread.join may return too early

        def work() -> None:
            for one in op["ops"]:
                self.perform(op["name"], one)
            done.set()

        self.join(op["name"])
        with without_ctrl_c():
            threading.Thread(target=work, daemon=True).start()
            self.running[op["name"]] = done

    def fork(self, op: Program) -> None:
        self.join(op["name"])
        with without_ctrl_c():
            child = os.fork()
            if child:
                self.running[op["name"]] = child
        if child:
            return
        try:
            for one in op["ops"]:
                self.perform(op["name"], one)
            if op["closes"]:
                self.logger.close()
        finally:
            os._exit(0)

    def join(self, *only: str) -> None:
        """Wait for these threads and children, or all; Ctrl-C does not end that."""
        interrupted = None
        for name in only or [*self.running]:
            while name in self.running:
                try:
                    one = self.running[name]
                    if isinstance(one, int):
                        with contextlib.suppress(ChildProcessError):
                            os.waitpid(one, 0)
                    else:
                        while not one.is_set():  # no lock that Ctrl-C may break
                            time.sleep(0.001)
                    del self.running[name]
                except KeyboardInterrupt as error:
                    if self.process["leaves"]:
                        raise
                    interrupted = error
        if interrupted is not None:
            raise interrupted


@contextlib.contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Have Ctrl-C come later, so that no thread or child is begun and forgotten."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def fill(place: Path, room: int) -> None:
    """Use up the space of a disk, but for `room` bytes."""
    path = place / FILLER
    with path.open("ab", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while stream.write(b"x" * size) == size:
                    pass
        end = stream.tell()
    if room:
        os.truncate(path, max(end - room, 0))


def told(error: BaseException) -> str:
    """Describe an error in one line, with its place."""
    places = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{Path(p.filename).name}:{p.lineno}" for p in reversed(places))
    return f"{str(error)[:300]} [{where}]"


def execute(program: Program, process: int, place: Path, pipe: int) -> NoReturn:
    """Execute a process of a program, and end this process."""
    child = Child(program, process, place, pipe)
    try:
        child.run()
        child.logger = None
        gc.collect()
        child.report("main", "R", "met", 0, faults.met())
    except (KeyboardInterrupt, EndError):
        pass  # threads may still log
    except BaseException as error:
        child.report("main", "E", "crash", 0, f"{type(error).__name__} {told(error)}")
    os._exit(0)


def main() -> None:
    """Execute a process of the program in a file, in a new interpreter."""
    path, process, place, pipe = sys.argv[1:]
    faults.without_preload()
    program = json.loads(Path(path).read_text())
    Path(path).unlink()
    execute(program, int(process), Path(place), int(pipe))


if __name__ == "__main__":
    main()
