"""Fixtures and helpers of all tests: a leak check, and TensorBoard's own readers."""

from __future__ import annotations

import contextlib
import gc
import inspect
import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import settings
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util
from tqdm import tqdm

from annarchy_tb import Logger

# A shell ignores SIGINT for tests in the background, here and in children.
signal.signal(signal.SIGINT, signal.default_int_handler)

tqdm.monitor_interval = 0  # its monitor is a thread that never ends

# The platforms with TensorBoard's fast loader, a data server written in Rust.
HAS_RUST = (platform.system(), platform.machine()) in (
    ("Linux", "x86_64"),
    ("Darwin", "x86_64"),
)

HAS_PANDAS = find_spec("pandas") is not None

settings.register_profile("any machine", deadline=None)  # no test depends on timing
settings.load_profile("any machine")


class Synapses:
    """An object whose items are of its own type, as in Brian2."""

    i = j = (0, 1)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, item: object) -> Synapses:
        return Synapses()


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(
    item: pytest.Item, settings: Any
) -> Generator[None, Any, Any]:
    """Have a Hypothesis test time out with an error that Hypothesis does not catch.

    Hypothesis would rerun the example that failed, and hang there without any limit.
    """
    result = yield
    if settings.method == "signal" and item.get_closest_marker("hypothesis"):
        handler: Any = signal.getsignal(signal.SIGALRM)

        def end(number: int, frame: Any) -> None:
            try:
                handler(number, frame)
            except pytest.fail.Exception as failure:
                raise TimedOut(str(failure)) from None

        signal.signal(signal.SIGALRM, end)
    return result


class TimedOut(BaseException):
    """A test took too long."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Kill the processes that a failed test leaves behind.

    After a timeout, one of them may wait forever and hold the tests' output open, so
    that whatever reads it through a pipe would wait too.
    """
    before = children()
    try:
        return (yield)
    except BaseException:
        for child in children() - before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        raise


def children() -> set[int]:
    """Return the children of this process, on Linux only (elsewhere none)."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has just ended
            found.update(map(int, path.read_text().split()))
    return found


def open_descriptors() -> set[str]:
    """Return the open descriptors of this process on Linux, nothing elsewhere."""
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself
            found.add(f"{entry.name} {os.readlink(entry)}")
    return found


@pytest.fixture(autouse=True)
def no_leak() -> Iterator[None]:
    """Fail a test that leaves a descriptor, a thread or a figure open."""
    gc.collect()
    gc.freeze()  # existing objects need not be searched again
    descriptors, threads = open_descriptors(), set(threading.enumerate())
    yield
    gc.collect()
    pyplot = sys.modules.get("matplotlib.pyplot")
    figures = pyplot.get_fignums() if pyplot else []
    left = [d for d in open_descriptors() - descriptors if "tfevents" in d]
    assert not left, f"descriptors left open: {left}"
    deadline = time.monotonic() + 60
    while set(threading.enumerate()) - threads and time.monotonic() < deadline:
        time.sleep(0.01)  # tensorboardX's have been told to end
    assert set(threading.enumerate()) <= threads, "a thread goes on"
    if pyplot:
        pyplot.close("all")
    assert not figures, f"figures left open: {figures}"


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """Return a directory for runs."""
    return tmp_path / "runs"


@pytest.fixture
def logger(logdir: Path) -> Iterator[Logger]:
    """Return an open Logger of the run ``run``."""
    with Logger(logdir, "run") as logger:
        yield logger


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a real file system of one megabyte."""
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("mounting a file system needs root; CI is")
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


def fill(disk: Path) -> Path:
    """Use up all free space, to the last byte."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while stream.write(b"x" * size) == size:
                    pass
    return path


def without_rights(directory: Path, work: Callable[[], object]) -> str:
    """Run a function in a process subject to file rights; return its result or error.

    Root may write everywhere, so if the tests run as root, the process runs as nobody.
    """
    reader, writer = os.pipe()
    if os.fork() == 0:
        if os.getuid() == 0:
            for path in (directory, *directory.parents):
                if "pytest" in str(path):
                    path.chmod(0o755)
            os.setuid(65534)
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__} {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    with open(reader) as stream:
        return stream.read()


def in_child(work: Callable[[], None]) -> int:
    """Run a function in a forked process; return its status."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def kill_before(number: int, inside: Path) -> None:
    """Kill this process before its file operation number `number` in a directory.

    File operations are those with audit events of Python (opening, renaming, removing,
    linking, making and removing directories), and every fsync.
    """
    left = number

    def count() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changing = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")
        if event in changing and str(inside) in str(arguments[:2]):
            count()

    fsync = os.fsync

    def counted(descriptor: int) -> None:
        count()
        fsync(descriptor)

    os.fsync = counted
    sys.addaudithook(hook)


def interrupt(number: int, work: Callable[[], object], *files: str) -> bool:
    """Do work, with Ctrl-C at a call made by these source files.

    Python handles signals when a function begins, and after calls. Return whether it
    came to that one.
    """

    def count(frame: Any, event: str, _: object) -> None:
        nonlocal number
        its = Path(frame.f_code.co_filename).name in files
        its = its and frame.f_code.co_name != "__del__"  # Python drops what that raises
        # In Python 3.10, an exception here ends a generator that goes on as if it had
        # no `finally`; a signal comes later, and does not.
        goes_on = event == "call" and frame.f_lasti > 0 and sys.version_info < (3, 11)
        if its and event in ("call", "c_return") and not goes_on:
            number -= 1
            if number == -1:
                raise KeyboardInterrupt

    sys.setprofile(count)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


class Said(NamedTuple):
    """What a command of annarchy-tb said, on each of its streams, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Return all of it."""
        return self.stdout + self.stderr


def call(*arguments: object) -> Said:
    """Run a command of annarchy-tb in this process, and raise its exceptions."""
    from annarchy_tb.cli import main

    # Before click 8.2, the two streams are one unless they are asked for apart.
    asks = "mix_stderr" in inspect.signature(CliRunner).parameters
    runner = CliRunner(mix_stderr=False) if asks else CliRunner()
    result = runner.invoke(main, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def died(work: Callable[[], None]) -> bool:
    """Run a function in a forked process; return whether it was killed."""
    status = in_child(work)
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)


class Point:
    """A value of an event, as read by TensorBoard's Python loader."""

    def __init__(self, event: Any, value: Any) -> None:
        self.tag = value.tag
        self.step = event.step
        self.time = event.wall_time
        self.plugin = value.metadata.plugin_data.plugin_name
        self.proto = value

    @property
    def array(self) -> Any:
        """The value as a NumPy array: a number, buckets or strings."""
        return tensor_util.make_ndarray(self.proto.tensor)

    @property
    def pixels(self) -> np.ndarray:
        """The stored pixels of an image."""
        return np.asarray(Image.open(io.BytesIO(self.array[2])))


def load(directory: Path) -> list[Point]:
    """Read a run with TensorBoard's Python loader, which checks every checksum.

    The run's own table is omitted: see `tables`.
    """
    return [point for point in _load(directory) if point.tag != "run"]


def tables(directory: Path) -> list[str]:
    """Return the run's own tables, oldest first."""
    found = [point for point in _load(directory) if point.tag == "run"]
    return [point.array.item().decode() for point in found]


def _load(directory: Path) -> list[Point]:
    points = []
    for path in sorted(directory.glob("*tfevents*")):
        for event in EventFileLoader(str(path)).Load():
            points += [Point(event, value) for value in event.summary.value]
    return points


def points(directory: Path, tag: str) -> list[Point]:
    """Return the points of one tag."""
    return [point for point in load(directory) if point.tag == tag]


def scalars(directory: Path, tag: str) -> list[tuple[int, float]]:
    """Return the steps and the values of one tag."""
    return [(point.step, float(point.array)) for point in points(directory, tag)]


class Server:
    """A running TensorBoard, which shows as many samples of each tag as it is told."""

    def __init__(
        self,
        logdir: Path,
        fast: bool,
        samples: str | None = "images=100,scalars=100000",
    ) -> None:
        self.fast = fast
        self.log = logdir.parent / f"tensorboard-{'fast' if fast else 'slow'}.txt"
        self._out = self.log.open("w")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tensorboard.main"),
                *("--logdir", str(logdir), "--port", "0", "--host", "127.0.0.1"),
                *(
                    "--reload_interval",
                    "1",
                    f"--load_fast={'true' if fast else 'false'}",
                ),
                *(("--samples_per_plugin", samples) if samples else ()),
            ],
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )

    def start(self) -> None:
        """Start it, and wait until it prints its address."""
        deadline = time.monotonic() + 180
        while not (
            found := re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text())
        ):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "TensorBoard did not start"
            time.sleep(0.1)
        self.url = found[0]

    def get(self, path: str, body: Any = None, **query: Any) -> bytes:
        """Send a request, as the browser does."""
        url = f"{self.url}/data/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def json(self, path: str, body: Any = None, **query: Any) -> Any:
        """Request JSON."""
        return json.loads(self.get(path, body, **query))

    def until(self, wanted: Any, path: str, body: Any = None, **query: Any) -> Any:
        """Repeat a request until the answer is as wanted: early ones are incomplete."""
        deadline = time.monotonic() + 180
        answer = None
        while time.monotonic() < deadline:
            try:
                answer = self.json(path, body, **query)
                if wanted(answer):
                    return answer
            except (urllib.error.HTTPError, KeyError, IndexError):
                pass  # the run does not exist yet
            time.sleep(0.2)
        raise AssertionError(f"{path} {query}: {answer}")

    def rows(self, wanted: Callable[[list[Any]], bool]) -> list[Any]:
        """Return the rows of the HPARAMS tab once they are as wanted."""
        body = {
            "experimentName": "",
            "allowedStatuses": [
                *("STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"),
                "STATUS_UNKNOWN",
            ],
            "colParams": [],
            "startIndex": 0,
            "sliceSize": 1000,
            "includeMetrics": True,
        }
        path = "plugin/hparams/session_groups"
        answer = self.until(lambda a: wanted(a["sessionGroups"]), path, body)
        found: list[Any] = answer["sessionGroups"]
        return found

    def stop(self) -> None:
        """Stop it and wait until it has ended."""
        self.process.terminate()
        self.process.wait(120)
        self._out.close()
