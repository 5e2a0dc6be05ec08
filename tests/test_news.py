"""News of a run, for whoever follows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboardX
from conftest import in_child

from annarchy_tb import Logger, Run
from annarchy_tb.reading import News, Restart
from annarchy_tb.tfevents import recordings


class Follower:
    """Somebody who keeps everything that the news say, and the position as JSON."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.position = "null"
        self.restarts = 0
        self.forget()

    def forget(self) -> None:
        self.points: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.values: list[tuple[str, str, int]] = []

    def follow(self) -> int:
        """Read the news; return the number of batches."""
        number = 0
        for news in Run(self.run).news(json.loads(self.position)):
            self.position = json.dumps(news.position, allow_nan=False)
            number += 1
            if isinstance(news, Restart):
                self.restarts += 1
                self.forget()
                continue
            assert isinstance(news, News)
            assert news.points or news.values
            for tag, its in news.points.items():
                pairs = zip(its.steps.tolist(), its.values.tolist(), strict=True)
                self.points.setdefault((news.curve, tag), []).extend(pairs)
            self.values += [(v.kind, v.tag, v.step) for v in news.values]
        return number

    def check(self) -> None:
        """Assert that this is what the run has."""
        wanted = {
            (curve, tag): sorted(
                zip(its.steps.tolist(), its.values.tolist(), strict=True)
            )
            for tag, curve, its in Run(self.run).points()
        }
        assert {key: sorted(its) for key, its in self.points.items()} == wanted


def one_of_each(logger: Logger, step: int) -> None:
    """Log data of every kind."""
    logger.add_scalar("a", step)
    logger.log({"b": step, "c": -step})
    logger.add_scalars("plot", {"x": step, "y": -step})
    logger.add_series("s", np.arange(step * 1000.0, (step + 1) * 1000.0), shown=50)
    logger.add_series(["t", "u"], np.full((3, 2), step, np.int16))
    logger.add_text("text", str(step))
    logger.add_image("image", [[1.0]])
    logger.add_raster("raster", {0: [1, 2]})
    logger.add_matrix("matrix", [[1.0]])


def test_news_in_pieces_are_all_that_the_run_has(logdir: Path) -> None:
    """Of the run, its curves, recordings and forks; each once, whenever one asks."""
    with Logger(logdir, "run") as logger:
        follower = Follower(logger.run_dir)
        for step in range(5):
            one_of_each(logger, step)
            if step == 2:
                assert in_child(lambda: logger.add_scalar("child", 1.0)) == 0
            assert follower.follow() > 0
            assert follower.follow() == 0
            follower.check()
    assert follower.restarts == 0
    counts = dict.fromkeys(("text", "image"), 0)
    for kind, *_ in follower.values:
        counts[kind] += 1
    assert counts == {"text": 5, "image": 15}
    late = Follower(logger.run_dir)
    late.follow()
    late.check()


def test_the_position_is_the_end_of_what_there_is(logdir: Path) -> None:
    """Following from there gives what comes later, and nothing else."""
    with Logger(logdir, "run") as logger:
        one_of_each(logger, 0)
        run = Run(logger.run_dir)
        there = json.loads(json.dumps(run.position))
        assert list(run.news(there)) == []
        logger.add_scalar("a", 7.0)
        logger.add_series("s", [8.0])
        found = list(run.news(there))
    points = [news.points for news in found if isinstance(news, News)]
    assert [list(its) for its in points] == [["a"], ["s"]]
    assert points[0]["a"].values.tolist() == [7.0]
    assert points[1]["s"].values.tolist() == [8.0]


def test_a_value_comes_as_run_returns_it(logdir: Path) -> None:
    """With its kind, its step and its times."""
    with Logger(logdir, "run") as logger:
        logger.add_image("image", np.eye(4), 3, time=2.5)
    [news] = Run(logger.run_dir).news()
    assert isinstance(news, News)
    [value] = news.values
    assert (value.kind, value.tag, value.step, value.time) == ("image", "image", 3, 2.5)
    run = Run(logger.run_dir)
    assert np.array_equal(value.content, run.images("image").images[0])


def test_every_kind_of_value_comes_as_run_returns_it(logdir: Path) -> None:
    """One for each that was logged."""
    with Logger(logdir, "run") as logger:
        logger.add_text("text", "hello")
        logger.add_histogram("histogram", [1.0, 2.0, 2.0, 5.0])
        logger.add_audio("audio", [0.5, -0.5])
    run = Run(logger.run_dir)
    [news] = run.news()
    assert isinstance(news, News)
    text, histogram, audio = news.values
    assert text.content == "hello"
    assert np.array_equal(histogram.content, run.histograms("histogram").histograms[0])
    assert np.array_equal(audio.content[0], run.audio("audio").sounds[0])
    assert audio.content[1] == run.audio("audio").rates[0]


def test_news_come_in_batches(logdir: Path) -> None:
    """Of about a MiB at most, each with its position."""
    with Logger(logdir, "run") as logger:
        for step in range(40_000):
            logger.add_scalar("a", step, step)
        logger.add_series("s", np.random.default_rng(0).normal(size=400_000))
    run = Run(logger.run_dir)
    batches = [news for news in run.news() if isinstance(news, News)]
    assert len(batches) > 5
    for batch in batches:
        assert sum(its.values.nbytes for its in batch.points.values()) <= 1 << 20
    for batch in batches[:-1]:
        [left] = [len(batches) - batches.index(batch) - 1]
        assert len(list(run.news(batch.position))) == left


@pytest.mark.parametrize("how", [{"resume": True}, {"mode": "w"}])
def test_a_cut_is_told_first(how: dict[str, Any], logdir: Path) -> None:
    """Then everything follows again; data that was not read may be cut in silence."""
    with Logger(logdir, "run") as logger:
        one_of_each(logger, 0)
        logger.save_checkpoint("state", 1)
        before = Follower(logger.run_dir)
        before.follow()
        one_of_each(logger, 1)
        after = Follower(logger.run_dir)
        after.follow()
    with Logger(logdir, "run", **how) as logger:
        one_of_each(logger, 2)
    for follower in (before, after):
        follower.follow()
        follower.check()
    assert after.restarts == 1
    assert before.restarts == (0 if "resume" in how else 1)


def test_what_is_torn_or_damaged_is_passed_over(logdir: Path) -> None:
    """A torn end is read once it is complete; of what is missing, the points drawn."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
        path = logger._file.path
        logger.add_scalar("a", 2.0)
        whole = path.read_bytes()
        path.write_bytes(whole[:-10])
        follower = Follower(logger.run_dir)
        follower.follow()
        assert follower.points["", "a"] == [(0, 1.0)]
        path.write_bytes(whole)
        follower.follow()
        assert follower.points["", "a"] == [(0, 1.0), (1, 2.0)]
        logger.add_series("s", np.arange(5000.0), shown=10)
    for file in recordings.files(logger.run_dir):
        file.unlink()
    follower.follow()
    assert len(follower.points["", "s"]) <= 10


def test_runs_of_other_writers_are_followed(tmp_path: Path) -> None:
    """Without a run.json."""
    with tensorboardX.SummaryWriter(str(tmp_path / "run")) as theirs:
        follower = Follower(tmp_path / "run")
        for step in range(3):
            theirs.add_scalar("a", step, step)
            theirs.add_scalar("named", step, step, display_name="a name")
            theirs.flush()
        theirs.add_image("i", np.zeros((3, 2, 2), np.uint8), 1)
    follower.follow()
    assert follower.points["", "a"] == [(0, 0), (1, 1), (2, 2)]
    assert ("image", "i", 1) in follower.values
