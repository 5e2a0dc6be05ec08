"""What was read is kept: tag by tag takes one pass, and changes are seen."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import in_child

from annarchy_tb import Logger, Run
from annarchy_tb.reading import cache as caching
from annarchy_tb.tfevents import scan


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget what other tests have read."""
    caching.cache.forget()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list of the numbers of records that are parsed from now on."""
    numbers: list[int] = []
    block = scan.Scan._block

    def count(self: Any, path: Path, offset: int, data: bytes, starts: Any, end: int):
        numbers.append(len(starts))
        return block(self, path, offset, data, starts, end)

    monkeypatch.setattr(scan.Scan, "_block", count)
    return numbers


def test_tags_are_read_in_one_pass(logdir: Path, parsed: list[int]) -> None:
    """And so are other kinds, the tags and the curves."""
    with Logger(logdir, "run") as logger:
        for step in range(100):
            logger.log({"a": step, "b": -step})
            logger.add_scalars("plot", {"x": step})
        logger.add_text("t", "text")
        logger.add_image("i", [[1.0]])
    run = Run(logger.run_dir)
    run.scalars("a")
    once = sum(parsed)
    assert run.scalars("b").values.tolist() == [-step for step in range(100)]
    assert set(run.tags()) == {"a", "b", "t", "i"}
    assert run.text("t").texts == ["text"]
    assert len(run.images("i").images) == 1
    assert len(Run(str(logger.run_dir)).all_scalars()) == 2
    assert sum(parsed) == once
    run.curves("plot")
    run.curves("plot")
    assert sum(parsed) == once + 101


def test_a_file_that_grows_is_read_on(logdir: Path, parsed: list[int]) -> None:
    """By what is new only, also in a later file, and with a torn end."""
    with Logger(logdir, "run") as logger:
        run = Run(logger.run_dir)
        for step in range(100):
            logger.add_scalar("a", step)
        assert len(run.scalars("a").values) == 100
        before = sum(parsed)
        logger.add_scalar("a", 100)
        assert len(run.scalars("a").values) == 101
        assert sum(parsed) == before + 1
        path = logger._file.path
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.warns(UserWarning, match="ends within a record"):
        assert len(run.scalars("a").values) == 101  # the table is torn
    path.write_bytes(whole)
    assert len(run.scalars("a").values) == 101
    with Logger(logdir, "run", mode="a") as logger:
        logger.add_scalar("a", 101)
        assert run.scalars("a").values.tolist() == list(range(102))


def test_a_resume_and_a_new_start_are_seen(logdir: Path) -> None:
    """A file that was cut, replaced or removed is read again."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0)
        logger.add_series("s", np.arange(10.0))
        logger.save_checkpoint("state", 1)
        logger.add_scalar("a", 1)
        logger.add_series("s", np.arange(10.0))
    run = Run(logger.run_dir)
    assert run.scalars("a").values.tolist() == [0, 1]
    assert len(run.scalars("s").values) == 20
    with Logger(logdir, "run", resume=True) as logger:
        logger.add_scalar("a", 2)
        assert run.scalars("a").values.tolist() == [0, 2]
        assert len(run.scalars("s").values) == 10
    with Logger(logdir, "run", mode="w") as logger:
        logger.add_scalar("a", 3)
        assert run.scalars("a").values.tolist() == [3]
        assert run.tags() == {"a": "scalar"}


def test_results_may_be_changed(logdir: Path) -> None:
    """They are the caller's own: the next one is as it was logged."""
    table = np.arange(20_000.0).reshape(10_000, 2)
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        logger.add_series(["x", "y"], table)
        logger.add_series("alone", np.arange(10.0), np.arange(10) ** 2)
    run = Run(logger.run_dir)
    for _ in range(2):
        for tag, wanted in (
            ("a", [1.0]),
            ("x", table[:, 0]),
            ("y", table[:, 1]),
            ("alone", np.arange(10.0)),
        ):
            found = run.scalars(tag)
            assert np.array_equal(found.values, wanted)
            for column in found:
                column += 1


def test_damage_is_told_every_time(logdir: Path) -> None:
    """Not only when the file is read."""
    with Logger(logdir, "run") as logger:
        for step in range(5):
            logger.add_scalar("a", step)
        path = logger._file.path
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)
    for _ in range(3):
        with pytest.warns(UserWarning, match="is damaged at byte") as given:
            Run(logger.run_dir).scalars("a")
        assert len(given) == 1


def test_the_least_recently_used_is_forgotten(
    logdir: Path, parsed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit; and what is too large is not kept at all."""
    for name in "abc":
        with Logger(logdir, name) as logger:
            for step in range(1000):
                logger.add_scalar("a", step)
    runs = [Run(logdir / name) for name in "abc"]
    monkeypatch.setattr(caching, "LIMIT", 140_000)
    for run in (*runs, runs[2], runs[1]):
        assert len(run.scalars("a").values) == 1000
    before = sum(parsed)
    runs[1].scalars("a")
    assert sum(parsed) == before
    runs[0].scalars("a")
    assert sum(parsed) > before
    monkeypatch.setattr(caching, "LIMIT", 1000)
    for _ in range(2):
        before = sum(parsed)
        assert len(runs[0].scalars("a").values) == 1000
        assert sum(parsed) > before


def test_blocks_of_several_tags_are_read_once(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not once for each tag."""
    tags = [f"tag {k}" for k in range(20)]
    table = np.arange(200_000.0).reshape(10_000, 20)
    with Logger(logdir, "run") as logger:
        logger.add_series(tags, table, shown=10)
    reads = []
    arrays = caching.Stored.arrays

    def count(self: Any, into: Any = None) -> Any:
        reads.append(1)
        return arrays(self, into)

    monkeypatch.setattr(caching.Stored, "arrays", count)
    run = Run(logger.run_dir)
    for k, tag in enumerate(tags):
        assert np.array_equal(run.scalars(tag).values, table[:, k])
    assert len(reads) == 2


def test_threads_and_forks_may_read_at_once(logdir: Path) -> None:
    """While the run is written."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0.0)
        run, done = Run(logger.run_dir), threading.Event()

        def read(_: int) -> int:
            before = 0
            while not done.is_set():
                values = run.scalars("a").values
                assert len(values) >= before
                assert values.tolist() == list(range(len(values)))
                before = len(values)
            return before

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(read, number) for number in range(3)]
            for step in range(1, 2000):
                logger.add_scalar("a", step)
            assert in_child(lambda: done.set() or read(0)) == 0
            done.set()
            assert all(future.result() for future in futures)
        assert len(run.scalars("a").values) == 2000
