"""What something else sees, or does, at the edge of a write."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
from conftest import in_child, scalars

from annarchy_tb import Logger, Run
from annarchy_tb.run.paths import sizes
from annarchy_tb.tfevents import event_file, tears
from annarchy_tb.tfevents.event_file import event_files


def test_a_checkpoint_beside_half_a_record_is_resumed_whole(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread may be in the middle of a record when another one saves a checkpoint."""
    half, go = threading.Event(), threading.Event()

    def write(descriptor: int, data: bytes) -> int:
        if len(data) < 100_000:
            return os.write(descriptor, data)
        written = os.write(descriptor, data[:50_000])
        half.set()
        go.wait(30)
        return written + os.write(descriptor, data[50_000:])

    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.5)
        monkeypatch.setattr(event_file, "write", write)
        thread = threading.Thread(target=logger.add_text, args=("text", "x" * 200_000))
        thread.start()
        assert half.wait(30)
        logger.save_checkpoint({"state": 1}, 1)
        go.set()
        thread.join()
        logger.add_scalar("a", -1.0)
    with Logger(logdir, "run", resume=True) as logger:
        assert logger.load_checkpoint() == ({"state": 1}, 1)
        logger.add_scalar("a", 2.5)
    run = Run(logdir / "run")
    assert run.damage() == []
    assert run.scalars("a").values.tolist() == [1.5, 2.5]
    assert "text" not in run.tags()
    assert scalars(run.path, "a") == [(0, 1.5), (1, 2.5)]


@pytest.mark.parametrize("records", [1, 3, 2000])
def test_the_record_at_a_place_is_found(logger: Logger, records: int) -> None:
    """Wherever a file is cut, what is left ends with a whole record."""
    for step in range(records):
        logger.add_scalar("a", 0.5, step)
    logger.add_text("text", "x" * 200_000)  # longer than what is read at first
    logger.add_scalar("a", 0.5)
    [path] = event_files(logger.run_dir)
    data = path.read_bytes()
    ends = [0]
    while ends[-1] < len(data):
        ends.append(ends[-1] + tears.size(data, ends[-1]))
    dice = np.random.default_rng(records)
    for place in {
        *ends,
        *(ends[-2] + d for d in range(1, 30)),
        *dice.integers(len(data), size=50),
    }:
        whole = max(end for end in ends if end <= place)
        assert tears.begun_before(path, int(place)) == whole


def test_what_is_damaged_is_not_taken_for_half_a_record(logger: Logger) -> None:
    """A resume then keeps what is behind it, as before."""
    for step in range(20):
        logger.add_scalar("a", 0.5, step)
    [path] = event_files(logger.run_dir)
    data = bytearray(path.read_bytes())
    data[-300] ^= 1
    path.write_bytes(data)
    assert tears.begun_before(path, len(data)) == len(data)


def test_ctrl_c_within_a_checkpoint_leaves_one(logdir: Path) -> None:
    """At any instant, it is the earlier one or the new one; nothing is left over."""
    operations = ("open", "os.rename", "os.remove", "os.mkdir")
    script = """
import sys
from annarchy_tb import Logger
left = int(sys.argv[2])
logger = Logger(sys.argv[1], "run", mode="w")
logger.add_scalar("a", 1)
logger.save_checkpoint(0, 0, keep=1)
logger.add_scalar("a", 2)

def hook(event, arguments):
    global left
    if event in OPERATIONS and "checkpoints" in str(arguments[:2]):
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

sys.addaudithook(hook)
interrupted = False
try:
    logger.save_checkpoint(1, 1, keep=1)
except KeyboardInterrupt:
    interrupted = True
left = 0
logger.add_scalar("a", 3)
logger.close()
sys.exit(3 if interrupted else 0)
""".replace("OPERATIONS", repr(operations))
    for number in range(1, 30):
        command = [sys.executable, "-c", script, str(logdir), str(number)]
        code = subprocess.run(command, check=False).returncode
        assert code in (0, 3)
        assert scalars(logdir / "run", "a") == [(0, 1), (1, 2), (2, 3)]
        with Logger(logdir, "run", resume=True) as logger:
            state, step = logger.load_checkpoint()
            assert state == step
            assert state in (0, 1)
            logger.add_scalar("a", 9)
        assert not list((logdir / "run").rglob(".*.tmp"))
        if code == 0:
            break
    assert 2 < number < 29


@pytest.fixture
def few_files(tmp_path: Path) -> Iterator[Path]:
    """Return a directory on a disk that has room for few files, but for much data."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = "size=20m,nr_inodes=30"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.filterwarnings("ignore:.*the disk refuses writes")
@pytest.mark.filterwarnings("ignore:.*can't be written")
def test_a_disk_without_an_inode_left_is_full(few_files: Path) -> None:
    """What has a file is written to it, and what needs a new one waits for room."""
    with Logger(few_files, "run") as logger:
        logger.add_scalar("a", 1)
        others = []
        with pytest.raises(OSError, match="No space"):
            for number in range(40):
                path = few_files / f"other {number}"
                path.touch()
                others.append(path)
        logger.add_scalar("a", 2)
        assert len(Run(logger.run_dir).scalars("a").values) == 2
        logger.add_series("series", np.arange(10))
        with pytest.raises(OSError, match="No space"):
            logger.save_checkpoint({}, 1)
        for path in others:
            path.unlink()
        logger.add_scalar("a", 3)
        logger.save_checkpoint({}, 2)
    run = Run(logger.run_dir)
    assert run.scalars("a").values.tolist() == [1, 2, 3]
    assert run.scalars("series").values.tolist() == list(range(10))
    assert run.status == "finished"


@pytest.mark.filterwarnings("ignore:.*writes are refused")
def test_the_last_descriptor_is_waited_for(logdir: Path) -> None:
    """A process that has opened too many files loses nothing."""

    def work() -> None:
        import warnings

        warnings.simplefilter("ignore")
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
        with Logger(logdir, "run") as logger:
            logger.add_scalar("a", 1)
            taken = []
            try:
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                pass
            logger.add_scalar("a", 2)
            logger.log({"a": 3, "b": 1})
            for descriptor in taken:
                os.close(descriptor)
            logger.add_scalars("plot", {"x": 1})
            logger.add_scalar("a", 4)

    assert in_child(work) == 0
    run = Run(logdir / "run")
    assert run.scalars("a").values.tolist() == [1, 2, 3, 4]
    assert run.curves("plot")["x"].values.tolist() == [1]
    assert run.status == "finished"


def test_a_resume_leaves_the_files_of_others_alone(logdir: Path) -> None:
    """Also those in the run's own directories, and those that it has not written."""
    with Logger(logdir, "run") as logger:
        logger.add_scalars("plot", {"x": 1})
        logger.save_checkpoint({}, 1)
        logger.add_scalars("plot", {"x": 2})
    for place in (logdir / "run", logdir / "run" / "x" / "notes"):
        with tensorboardX.SummaryWriter(str(place)) as writer:
            writer.add_scalar("theirs", 1.0, 0)
    (logdir / "run" / "x" / "recordings.txt").write_text("mine")
    paths = [path for path in (logdir / "run").rglob("*") if path.is_file()]
    ours = {str(logdir / "run" / name) for name in sizes(logdir / "run")}
    theirs = {
        path: path.read_bytes()
        for path in paths
        if str(path) not in ours and path.name != "run.json" and path.suffix != ".zip"
    }
    assert len(theirs) == 3
    with Logger(logdir, "run", resume=True) as logger:
        logger.load_checkpoint()
        logger.add_scalars("plot", {"x": 3})
    assert {path: path.read_bytes() for path in theirs} == theirs
    assert Run(logdir / "run").curves("plot")["x"].values.tolist() == [1, 3]
