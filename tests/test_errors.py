"""Errors of the system: descriptors, refusals, torn files, full disks at the end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import fill, load, points, scalars

from annarchy_tb import Logger, Run, SummaryWriter
from annarchy_tb.cli import main
from annarchy_tb.run import atomic
from annarchy_tb.run.info import RunInfo
from annarchy_tb.tfevents import descriptors, tears
from annarchy_tb.tfevents import event_file as events
from annarchy_tb.tfevents.event_file import event_files

REFUSED = "ignore:.*(disk refuses writes|oldest records are dropped):UserWarning"
Write = Callable[[int, Any], int]


# -- descriptors -----------------------------------------------------------------------


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_what_is_printed_lands_in_no_file(tmp_path: Path, closed: str) -> None:
    """Started without standard streams, as by some batch systems, the run is intact."""
    code = f"""
import os
import numpy as np
from annarchy_tb import Logger, Run
from annarchy_tb.run import atomic

def shout():  # as C code does
    for number in (1, 2):
        try:
            os.write(number, b"spikes: 17\\n" * 10)
        except OSError:
            pass

class State:
    def __reduce__(self):
        shout()
        return dict, ()

with Logger({str(tmp_path)!r}, "run") as logger:
    logger.add_parameters({{"a": 1}})
    for step in range(40):
        logger.add_scalar("a", step)
        shout()
        logger.add_scalars("b", {{f"curve{{i}}": 1 for i in range(step)}})
        logger.add_series("v", np.arange(10.0))
        shout()
    logger.flush()
    logger.save_checkpoint(State(), 1)
    with atomic.exclusive(logger.run_dir, 1):
        with atomic.replacing(logger.path("x")) as file:
            shout()
            file.write(b"x")
"""
    script = tmp_path / "simulation.py"
    script.write_text(code)
    subprocess.run(f"{sys.executable} {script} {closed}", shell=True, check=True)
    run = Run(tmp_path / "run")
    assert run.status == "finished"
    assert run.params == {"a": 1}
    assert len(scalars(run.path, "a")) == 40  # each checksum is right
    assert run.scalars("v").values.tolist() == list(range(10)) * 40
    for curve in run.path.glob("curve*"):
        assert load(curve)
    assert run.path.joinpath("x").read_bytes() == b"x"
    with Logger(tmp_path, "run", resume=True) as logger:
        assert logger.load_checkpoint() == ({}, 1)


def test_files_have_high_numbers(logdir: Path) -> None:
    """The system gives them to others last, and a later file takes another one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    first = min(512, soft // 2)
    with Logger(logdir, "run") as logger:
        logger.add_series("v", [1.0, 2.0])
        logger.add_scalars("a", {"curve": 1})
        files = [logger._file, logger._run.directory.recordings]
        numbers = [file._descriptor for file in files]
        assert min(numbers) >= first
        assert not any(os.get_inheritable(number) for number in numbers)
    opened = [descriptors.opened(logdir, os.O_RDONLY) for _ in range(3)]
    for descriptor in opened:
        os.close(descriptor)
    assert sorted({*numbers, *opened}) == sorted([*numbers, *opened])


def test_without_high_numbers_the_low_ones_do(logdir: Path) -> None:
    """A process that may open few files still logs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, hard))
    taken = []
    try:
        with Logger(logdir, "run") as logger:
            with contextlib.suppress(OSError):
                while len(taken) < 1000:
                    taken.append(descriptors.opened("/dev/null", os.O_RDONLY))
            for descriptor in taken[:4]:
                os.close(descriptor)
            del taken[:4]
            logger.add_scalar("a", 1)
            logger.add_scalars("b", {"curve": 1})
            logger.flush()
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert scalars(logdir / "run" / "curve", "b") == [(0, 1)]


def of_events(logger: Logger) -> int:
    logger.add_scalar("a", 1)
    return logger._file._descriptor


def of_recordings(logger: Logger) -> int:
    logger.add_series("v", [0.0, 1.0])
    return logger._run.directory.recordings._descriptor


FILES = pytest.mark.parametrize("descriptor", [of_events, of_recordings])


def log_all(logger: Logger) -> None:
    logger.add_scalar("a", 2)
    logger.add_series("v", [2.0, 3.0])


@FILES
def test_a_descriptor_closed_by_others_is_opened_again(
    logdir: Path, descriptor: Callable[[Logger], int]
) -> None:
    """The call that finds it writes its record, and says so once."""
    with Logger(logdir, "run") as logger:
        os.close(descriptor(logger))
        with pytest.warns(UserWarning, match="other code has closed") as caught:
            log_all(logger)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        log_all(logger)
    assert len(event_files(logdir / "run")) == 1
    assert scalars(logdir / "run", "a")[-2:][1][1] == 2
    assert Run(logdir / "run").scalars("v").values.tolist()[-4:] == [2.0, 3.0] * 2


@FILES
@pytest.mark.filterwarnings("ignore:blocks of recordings are missing")
def test_a_number_that_others_own_is_told_by_flush(
    logdir: Path, descriptor: Callable[[Logger], int]
) -> None:
    """What follows goes to the run's own file, and the other file stays open."""
    other = logdir.parent / "other"
    with Logger(logdir, "run") as logger:
        log_all(logger)
        number = descriptor(logger)
        theirs = os.open(other, os.O_RDWR | os.O_CREAT)
        os.dup2(theirs, number)
        log_all(logger)  # the price: one of them is in the other file
        with pytest.warns(UserWarning, match="may have gone to another file, .*/other"):
            logger.flush()
        logger.add_scalar("a", 3)
        logger.add_series("v", [4.0, 5.0])
    os.write(number, b"theirs")  # it is still open
    os.close(number)
    os.close(theirs)
    assert scalars(logdir / "run", "a")[-1][1] == 3
    assert {4.0, 5.0} < set(Run(logdir / "run").scalars("v").values)


@FILES
@pytest.mark.parametrize("action", ["always", "error"])
def test_a_number_that_others_own_is_told_by_close(
    logdir: Path,
    descriptor: Callable[[Logger], int],
    action: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The Logger is closed in any case, and the number is left to its owner."""
    logger = Logger(logdir, "run")
    number = descriptor(logger)
    theirs = os.open(logdir.parent / "other", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, number)
    with warnings.catch_warnings(record=action == "always") as given:
        warnings.simplefilter(action)
        logger.close()
    said = [str(one.message) for one in given or ()]
    said += [record.getMessage() for record in caplog.records]
    assert sum("other code has closed the descriptor" in one for one in said) == 1
    os.close(number)
    os.close(theirs)
    assert logger.closed
    assert Run(logdir / "run").status == "finished"


def test_an_error_of_closing_keeps_no_file_open(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may refuse earlier data only then."""
    logger = Logger(logdir, "run")
    log_all(logger)
    logger.add_scalars("b", {"curve": 1})
    broken, real = logger._file._descriptor, os.close

    def close(descriptor: int) -> None:
        real(descriptor)
        if descriptor == broken:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "close", close)
    with pytest.warns(UserWarning, match="closed with an error: .*quota"):
        logger.close()
    assert Run(logdir / "run").status == "finished"


# -- which errors wait -----------------------------------------------------------------

WAITING = [
    *("EACCES", "EPERM", "EROFS", "EKEYEXPIRED", "EKEYREVOKED", "ENOKEY", "ENOSPC"),
    *("EDQUOT", "ENOTCONN", "ETIMEDOUT", "ESTALE", "EHOSTDOWN", "EHOSTUNREACH"),
    *("ENODEV", "ENXIO", "EIO", "EREMOTEIO", "ECONNRESET", "ESHUTDOWN", "ENOMEM"),
    *("EMFILE", "EBUSY", "EBADF"),
]


class Refusing:
    """Has the system refuse writes to a run, and maybe the creation of its files."""

    def __init__(self, patch: pytest.MonkeyPatch, code: int, run: Path) -> None:
        self.code: int | None = code
        real_write, real_open = os.write, os.open

        def problem() -> OSError:
            return OSError(self.code, os.strerror(self.code or 0))

        def refuse(descriptor: int, data: Any) -> int:
            if self.code is not None:
                raise problem()
            return real_write(descriptor, data)

        def refuse_opening(path: Any, flags: int, *mode: Any, **more: Any) -> int:
            if self.code is not None and flags & os.O_APPEND and str(run) in str(path):
                raise problem()
            return real_open(path, flags, *mode, **more)

        def refuse_parts(descriptor: int, parts: Any) -> int:
            return refuse(descriptor, b"".join(parts))

        patch.setattr(events, "write", refuse)
        patch.setattr(os, "write", refuse)
        patch.setattr(os, "writev", refuse_parts)
        patch.setattr(os, "open", refuse_opening)


@pytest.mark.parametrize("name", WAITING)
def test_an_error_that_passes_ends_no_run(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An expired ticket, for example: records wait, and all are written in order."""
    code = getattr(errno, name)
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0)
        logger.add_series("v", [0.0, 1.0])
        with monkeypatch.context() as patch:
            system = Refusing(patch, code, logdir)
            with pytest.warns(UserWarning, match="disk refuses writes") as caught:
                for number in range(1, 20):
                    logger.add_scalar("a", number)
            assert len(caught) == 1
            assert f"({os.strerror(code)})" in str(caught[0].message)
            logger.add_scalars("b", {"curve": 1})
            logger.add_series("v", [2.0, 3.0])
            with pytest.raises(OSError, match=os.strerror(code)) as raised:
                logger.flush()
            assert raised.value.errno == code
            system.code = None
            logger.add_scalar("a", 20)
        logger.flush()
        logger.add_scalar("a", 21)
    run = logdir / "run"
    assert scalars(run, "a") == [(i, i) for i in range(22)]
    assert scalars(run / "curve", "b") == [(0, 1)]
    assert Run(run).scalars("v").values.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert len(event_files(run)) <= 2
    assert "lost_records" not in Run(run).info


@pytest.mark.filterwarnings(REFUSED)
@pytest.mark.parametrize("name", ["EIO", "EKEYEXPIRED", "EROFS"])
def test_close_says_what_it_was(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Not that the disk is full, if it is another error."""
    code = getattr(errno, name)
    logger = Logger(logdir, "run")
    Refusing(monkeypatch, code, logdir)
    logger.add_scalar("a", 1)
    with pytest.raises(OSError, match=f"2 records .*: {os.strerror(code)}") as caught:
        logger.close()
    assert caught.value.errno == code
    assert logger.closed


@pytest.mark.filterwarnings(REFUSED)
def test_the_drop_in_says_what_is_lost(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SummaryWriter's close raises, once, and is closed."""
    writer = SummaryWriter(logdir)
    Refusing(monkeypatch, errno.EIO, logdir)
    writer.add_scalar("a", 1)
    with pytest.raises(OSError, match="1 records .*: Input/output error"):
        writer.close()
    writer.close()


def test_an_error_that_never_passes_is_raised(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is not kept, and stops no other; the same holds for one that waits."""
    with Logger(logdir, "run") as logger:
        with monkeypatch.context() as patch:
            system = Refusing(patch, errno.EINVAL, logdir)
            with pytest.raises(OSError, match="Invalid argument"):
                logger.add_scalar("a", 1, 0)
            system.code = errno.EROFS
            with pytest.warns(UserWarning, match="refuses writes"):
                logger.add_scalar("a", 1, 1)
            system.code = errno.EINVAL
            with pytest.warns(UserWarning, match="is dropped: .*Invalid argument"):
                logger.add_scalar("a", 1, 2)
        logger.add_scalar("a", 1, 3)
        with pytest.raises(OSError, match="2 records"):
            logger.close()
    assert scalars(logdir / "run", "a") == [(3, 1)]
    assert Run(logdir / "run").info["lost_records"] == 2


# -- file systems that open a file for appending only once -----------------------------


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_files_that_cannot_be_opened_again_are_written(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """flush, checkpoints, the 32nd curve and a descriptor that others closed."""
    real = os.open

    def refuse(path: Any, flags: int, *mode: Any, **more: Any) -> int:
        if flags & os.O_APPEND and not flags & os.O_CREAT:
            raise OSError(code, os.strerror(code))
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", refuse)
    with Logger(logdir, "run") as logger:
        for step in range(3):
            curves = {f"curve{number:02d}": step for number in range(40)}
            logger.add_scalars("a", curves, step)
            logger.flush()
        logger.save_checkpoint({"a": 1}, 3)
        os.close(of_events(logger))
        with pytest.warns(UserWarning, match="other code has closed"):
            logger.add_scalar("a", 2)
    assert scalars(logdir / "run", "a") == [(0, 1), (1, 2)]
    for number in range(40):
        curve = logdir / "run" / f"curve{number:02d}"
        assert scalars(curve, "a") == [(step, step) for step in range(3)]
        assert len(event_files(curve)) == (1 if number < 31 else 2)


# -- warnings that are errors ----------------------------------------------------------


@pytest.fixture
def strict() -> Iterator[None]:
    """Make warnings errors, as -W error does."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("strict")
def test_the_drop_in_is_closed_although_its_file_was_deleted(
    logdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning is logged, and nothing is left open."""
    writer = SummaryWriter(logdir)
    writer.add_scalar("a", 1)
    writer.add_scalars("b", {"curve": 1})
    for path in logdir.rglob("events*"):
        path.unlink()
    writer.close()
    writer.close()
    said = [record.getMessage() for record in caplog.records]
    assert sum("event file was deleted" in one for one in said) == 2


@pytest.mark.usefixtures("strict")
def test_the_end_of_a_block_logs_what_a_window_holds(
    logdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A point that would be warned of is written, by the window and by the Logger."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1, 5)
        with logger.window("a") as window:
            window.add(1.0, step=3)
        held = logger.window("b")
        held.add(float("nan"))
        with pytest.raises(UserWarning, match="not|nan"):
            held.flush()
        assert len(held) == 1
    assert [step for step, _ in scalars(logdir / "run", "a")] == [5, 3]
    assert len(scalars(logdir / "run", "b")) == 1
    assert Run(logdir / "run").status == "finished"
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "step 3 comes after step 5" in said
    assert "the value is nan" in said


@pytest.mark.usefixtures("strict")
def test_an_error_is_not_hidden_by_a_warning(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception of the block propagates, though records are lost."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        Refusing(monkeypatch, errno.EIO, logdir)
        logger.add_scalar("a", 1)
        raise ZeroDivisionError
    assert Run(logdir / "run").info["error"]["type"] == "ZeroDivisionError"


@pytest.mark.usefixtures("strict")
def test_a_damaged_checkpoint_does_not_stop_a_resume(
    logdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before it is used, as without -W error."""
    with Logger(logdir, "run") as logger:
        logger.save_checkpoint("good", 1)
        logger.save_checkpoint("bad", 2)
    last = max((logdir / "run" / "checkpoints").glob("*.zip"))
    last.write_bytes(last.read_bytes()[:-30])
    with Logger(logdir, "run", resume=True) as logger:
        assert logger.load_checkpoint() == ("good", 1)
    assert "is damaged" in caplog.records[0].getMessage()


@pytest.mark.usefixtures("strict")
def test_a_logger_that_is_replaced_stays_open_if_that_is_an_error(logdir: Path) -> None:
    """The warning comes before anything is done."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1)
        with pytest.raises(UserWarning, match="another Logger was still open"):
            Logger(logdir, "run", mode="w")
        logger.add_scalar("a", 2)
    assert scalars(logdir / "run", "a") == [(0, 1), (1, 2)]


# -- torn files ------------------------------------------------------------------------


class Interleaved:
    """Has another thread write a whole record behind a part of a record.

    The write number `at` after this is made is cut off after `size` bytes; before it
    returns (or, if `first`, before it begins) another call logs.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, sizes: dict[int, int], call: Callable[[], None]
    ) -> None:
        self.number = -1
        self.busy = False
        real = os.write

        def write(descriptor: int, data: Any) -> int:
            if self.busy or descriptor < 0:
                return real(descriptor, data)
            self.number += 1
            size = sizes.get(self.number)
            if size is None:
                return real(descriptor, data)
            self.busy = True
            try:
                done = real(descriptor, bytes(data)[:size]) if size else 0
                call()
            finally:
                self.busy = False
            return done or real(descriptor, data)

        patch.setattr(events, "write", write)
        patch.setattr(os, "write", write)


def directly(logger: Logger, text: str, step: int) -> None:
    """Write a record as a thread does that was on its way to the file."""
    from annarchy_tb.kinds.text import encode
    from annarchy_tb.tfevents import records

    descriptor = logger._file._descriptor
    data = records.summary([encode("b", text)], time.time(), step)
    assert os.write(descriptor, data) == len(data)


@pytest.mark.parametrize("size", [1, 11, 12, 13, 60, 2000, 4999])
def test_a_record_behind_half_a_record_is_written_again(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Both calls returned: each record is there once."""
    with Logger(logdir, "run") as logger:
        logger.add_text("a", "first")
        with monkeypatch.context() as patch:
            steps = iter(range(9))
            Interleaved(patch, {0: size}, lambda: directly(logger, "b", next(steps)))
            logger.add_text("a", "x" * 5000)
        logger.add_text("a", "last")
    assert [p.step for p in points(logdir / "run", "a")] == [0, 1, 2]
    assert [p.step for p in points(logdir / "run", "b")] == [0]
    assert len(event_files(logdir / "run")) == 2


def test_a_record_within_the_halves_of_another_is_written_again(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came after the end of the file was looked at, and before the second half."""
    with Logger(logdir, "run") as logger:
        with monkeypatch.context() as patch:
            Interleaved(patch, {1: 0}, lambda: directly(logger, "b", 0))
            real = events.write
            patch.setattr(events, "write", lambda d, data: real(d, bytes(data)[:900]))
            logger.add_text("a", "x" * 5000)
        logger.add_text("a", "last")
    assert [p.step for p in points(logdir / "run", "a")] == [0, 1]
    assert [p.step for p in points(logdir / "run", "b")] == [0]


@pytest.mark.parametrize("end", ["flush", "close"])
def test_a_record_that_comes_late_to_a_torn_file_is_written_again(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The system was still writing it while the file was given up."""
    logger = Logger(logdir, "run")
    late = os.dup(logger._file._descriptor)
    with monkeypatch.context() as patch:
        Interleaved(patch, {0: 100}, lambda: directly(logger, "b", 0))
        logger.add_text("a", "x" * 5000)
    current = logger._file._descriptor
    logger._file._descriptor = late
    directly(logger, "late", 1)
    logger._file._descriptor = current
    os.close(late)
    getattr(logger, end)()
    assert [p.step for p in points(logdir / "run", "b")] == [0, 1]
    logger.close()
    assert [p.step for p in points(logdir / "run", "b")] == [0, 1]
    assert [p.step for p in points(logdir / "run", "a")] == [0]


def test_a_tear_is_found_in_a_large_file(tmp_path: Path) -> None:
    """Whatever is before it. What looks like a record within the half is none."""
    from annarchy_tb.tfevents import records

    rng = random.Random(0)
    whole = [records.record(rng.randbytes(rng.randrange(1, 9000))) for _ in range(3000)]
    part = records.record(whole[0] + rng.randbytes(50))[:-20]
    path = tmp_path / "file"
    path.write_bytes(b"".join([*whole[:2900], part, *whole[2900:], b"another part"]))
    found, end = tears.behind(path, part) or ([], 0)
    assert found == whole[2900:]
    assert end == path.stat().st_size - len(b"another part")
    assert tears.after(path, end) == ([], end)
    path.write_bytes(b"".join(whole))
    assert tears.behind(path, part) is None
    path.write_bytes(bytes(1 << 20))
    assert tears.behind(path, b"\0") == ([], 1)


def test_a_block_whose_half_is_followed_by_others_is_read_once(logdir: Path) -> None:
    """Its head is intact in the torn file, and it is whole in the next one."""
    with Logger(logdir, "run") as logger:
        logger.add_series("v", np.arange(100.0))
        [path] = logger.run_dir.glob("recordings*")
        data = path.read_bytes()
        start = tears.size(data, 0)
        torn = data[:-50] + data[start:]
        second = path.with_name(path.name[:-4] + "9999")
        second.write_bytes(data)
        path.write_bytes(torn)
    with pytest.warns(UserWarning, match="is damaged at byte"):
        values = Run(logdir / "run").scalars("v").values
    assert values.tolist() == list(range(100))


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings(REFUSED)
@pytest.mark.parametrize("kind", ["texts", "series"])
def test_threads_on_a_disk_that_fills_and_empties_lose_nothing(
    disk: Path, kind: str
) -> None:
    """Every call that returned is there once, whatever room there was."""
    subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
    logger = Logger(disk, "run")
    logger._run.directory.backlog._limit = 1 << 34
    number = 400

    def size(name: int, step: int) -> int:
        return [30, 900, 5000, 12_000][(7 * name + 3 * step) % 4]

    def work(name: int) -> None:
        for step in range(number):
            time.sleep(0.001)
            if kind == "texts":
                logger.add_text(f"{name}", "x" * size(name, step), step)
            else:
                values = np.full(size(name, step) // 8, float(step))
                logger.add_series(f"{name}", values, shown=2)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    rng, used = random.Random(0), 0
    with (disk / "filler").open("wb", buffering=0) as filler:
        while any(thread.is_alive() for thread in threads):
            there = os.statvfs(disk)
            free = there.f_bavail * there.f_bsize
            room = rng.choice([0, 4096, 20_000, 200_000])
            with contextlib.suppress(OSError):
                if free > room:
                    used += os.pwrite(filler.fileno(), b"y" * (free - room), used)
                else:
                    used = max(0, used - room + free)
                    os.ftruncate(filler.fileno(), used)
            time.sleep(0.0005)
    sys.setswitchinterval(interval)
    (disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=2g", str(disk)], check=True)
    logger.close()
    loaded = load(disk / "run") if kind == "texts" else []
    for name in range(4):
        if kind == "texts":
            found = [point.step for point in loaded if point.tag == f"{name}"]
            assert found == list(range(number))
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*is damaged at byte")
                values = Run(disk / "run").scalars(f"{name}").values.tolist()
            wanted = {float(step): size(name, step) // 8 for step in range(number)}
            assert Counter(values) == wanted


# -- limits on the size of files -------------------------------------------------------


@pytest.fixture
def limited() -> Iterator[int]:
    """Let files have 20,000 bytes at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield 20_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.filterwarnings("ignore:.*the file ends within a record")
def test_blocks_go_on_in_a_next_file(logdir: Path, limited: int) -> None:
    """Each point is there once, for Run and for TensorBoard."""
    with Logger(logdir, "run") as logger:
        for number in range(10):
            values = np.arange(100.0) + 100 * number
            logger.add_series(["v", "w", "x", "y"], np.stack([values] * 4, axis=1))
    assert len(list((logdir / "run").glob("recordings*"))) > 1
    assert Run(logdir / "run").scalars("v").values.tolist() == list(range(1000))
    found = [step for step, _ in scalars(logdir / "run", "v")]
    assert found == list(range(1000))


@pytest.mark.parametrize(
    "call",
    [
        lambda logger: logger.add_series("v", np.random.rand(10_000)),
        lambda logger: logger.add_text("v", "x" * 30_000),
    ],
)
def test_a_record_that_fits_no_file_is_an_error(
    logdir: Path, limited: int, call: Callable[[Logger], None]
) -> None:
    """It is said how large it is; other records go on in few files."""
    with Logger(logdir, "run") as logger:
        for step in range(3):
            with pytest.raises(OSError, match="no file takes a record of") as caught:
                call(logger)
            assert caught.value.errno == errno.EFBIG
            logger.add_scalar("a", step)
    assert len(list((logdir / "run").iterdir())) < 12
    assert scalars(logdir / "run", "a") == [(step, step) for step in range(3)]


# -- the end of a run on a full disk ---------------------------------------------------


@pytest.mark.filterwarnings(REFUSED)
def test_a_run_that_ends_on_a_full_disk_says_how(disk: Path) -> None:
    """run.json has room for its last state, and ls shows it."""
    logger = Logger(disk, "run")
    logger.add_parameters({"tau": 10, "text": "ü" * 3000})
    filler = fill(disk)
    for step in range(5):
        logger.add_text("a", "x" * 5000, step)
    with pytest.raises(OSError, match="records of .* could not be written"):
        logger.close()
    run = Run(disk / "run")
    assert run.status == "finished"
    assert run.info["lost_records"] >= 5
    assert run.params == {"tau": 10, "text": "ü" * 3000}
    assert [one["status"] for one in run.sessions] == ["finished"]
    text = (disk / "run" / "run.json").read_text()
    assert json.loads(text)["status"] == "finished"  # for any reader of JSON
    said = CliRunner().invoke(main, ["ls", str(disk)], env={"COLUMNS": "200"}).output
    assert f"  {run.info['lost_records']} records  " in said.splitlines()[1]
    said = CliRunner().invoke(main, ["show", str(disk / "run")]).output
    assert f"finished ({run.info['lost_records']} records lost)" in said
    filler.unlink()
    run.add_note("later")
    text = (disk / "run" / "run.json").read_text()
    assert text.count('"status": "finished"') == 2  # of the run, and of its session
    assert text == text.rstrip() + "\n"


@pytest.mark.filterwarnings(REFUSED)
@pytest.mark.filterwarnings("ignore:.*records of .*could not be written")
def test_a_run_that_fails_on_a_full_disk_has_its_error(disk: Path) -> None:
    """Also a long one, with the results that could not be written before."""
    with pytest.raises(ValueError, match="boom"), Logger(disk, "run") as logger:
        filler = fill(disk)
        with pytest.warns(UserWarning, match="run.json can't be written"):
            logger.add_metrics({"loss": 0.5})
        logger.add_text("a", "x" * 5000)
        raise ValueError("boom" * 10_000)
    filler.unlink()
    info = Run(disk / "run").info
    assert info["status"] == "failed"
    assert info["error"]["message"] == "boom" * 500
    assert info["metrics"] == {"loss": 0.5}


@pytest.mark.filterwarnings(REFUSED)
@pytest.mark.filterwarnings("ignore:.*records of .*could not be written")
@pytest.mark.filterwarnings("ignore:.*run.json can't be written")
def test_the_status_fits_even_if_not_all_does(disk: Path) -> None:
    """The number of lost records, too; results are left out, then the error."""
    with pytest.raises(ValueError, match="ü"), Logger(disk, "run") as logger:
        fill(disk)
        logger.add_metrics({f"metric {number}": number for number in range(1000)})
        logger.add_text("a", "x" * 5000)
        raise ValueError("\U0001f600ü" * 1000)
    info = Run(disk / "run").info
    assert info["status"] == "failed"
    assert info["lost_records"] > 0


@pytest.mark.parametrize("sync", [0, 1])
def test_an_end_that_is_interrupted_leaves_a_record(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, sync: int
) -> None:
    """At each instant there is the earlier record or the new one, and all of it."""
    logger = Logger(logdir, "run")
    logger.add_parameters({"tau": 10})
    size = (logdir / "run" / "run.json").stat().st_size
    seen = []

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def stop(_: int) -> None:
        seen.append(RunInfo.read(logdir / "run"))
        if len(seen) > sync:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "replacing", refuse)
        patch.setattr("annarchy_tb.run.info_file.replacing", refuse)
        patch.setattr(os, "fsync", stop)
        with pytest.raises(KeyboardInterrupt):
            logger.close()
    assert [info.status for info in seen] == ["running", "finished"][: sync + 1]
    assert all(info.params == {"tau": 10} for info in seen)
    assert (logdir / "run" / "run.json").stat().st_size == size
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 1)
    assert Run(logdir / "run").status == "finished"
    json.loads((logdir / "run" / "run.json").read_text())
