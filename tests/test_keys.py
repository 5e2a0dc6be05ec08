"""Calls whose tags or keys come in any order, or in ever new selections."""

from __future__ import annotations

import random
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from annarchy_tb import Logger, Run
from annarchy_tb.run import kept

TAGS = [f"tag {number}" for number in range(40)]

Log = Callable[[Logger, Mapping[str, float], int | None], None]


def log(logger: Logger, values: Mapping[str, float], step: int | None) -> None:
    logger.log(values, step)


def add_scalars(logger: Logger, values: Mapping[str, float], step: int | None) -> None:
    logger.add_scalars("plot", values, step)


def back(logger: Logger, values: Mapping[str, float], step: int | None) -> None:
    logger.log(values, 0)


def window(logger: Logger, values: Mapping[str, float], step: int | None) -> None:
    with logger.window(list(values)) as window:
        window.add(values, step=0)


@pytest.mark.parametrize(
    ("call", "number"),
    [(log, 20), (log, 40), (add_scalars, 20), (back, 20), (window, 20)],
)
def test_memory_does_not_grow_with_the_order_of_names(
    logger: Logger, call: Log, number: int
) -> None:
    """However many selections of names come, in any order, memory is bounded."""
    dice = random.Random(1)
    logger.log(dict.fromkeys(TAGS, 0.0), 0)
    logger.add_scalars("plot", dict.fromkeys(TAGS, 0.0), 0)
    tracemalloc.start()
    try:
        peaks = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for round_ in range(4):
                tracemalloc.reset_peak()
                for step in range(1, 601):
                    values = dict.fromkeys(dice.sample(TAGS, number), 1.0)
                    call(logger, values, 1000 * round_ + step)
                peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[3] - peaks[1] < 300_000


@pytest.mark.parametrize("call", [log, add_scalars])
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_steps_count_on_whatever_is_dropped_from_memory(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, call: Log, limit: int
) -> None:
    """Steps left out go on from the largest of their names, in whatever selection."""
    monkeypatch.setattr(kept, "LIMIT", limit)
    dice = random.Random(limit)
    last: dict[str, int] = {}
    wanted: dict[str, list[tuple[int, float]]] = {}
    with Logger(logdir, "run") as logger:
        for number in range(300):
            names = dice.sample(TAGS[:6], dice.randint(1, 6))
            given = dice.choice([None, None, number * 10])
            counted = 1 + max(last.get(name, -1) for name in names)
            step = counted if given is None or given < counted else given
            values = {name: number + place / 10 for place, name in enumerate(names)}
            call(logger, values, None if step == counted else step)
            for name in names:
                last[name] = step
                wanted.setdefault(name, []).append((step, values[name]))
            if call is log and dice.random() < 0.1:
                logger.add_scalar(names[0], 0.0)
                last[names[0]] = step + 1
                wanted[names[0]].append((step + 1, 0.0))
    run = Run(logdir / "run")
    found = run.all_scalars() if call is log else run.curves("plot")
    for name, points in wanted.items():
        its = found[name]
        assert list(zip(its.steps, its.values, strict=True)) == points


def test_a_tag_is_warned_of_once_in_any_selection(logger: Logger) -> None:
    """A warning about several tags names those that were not warned of yet."""
    logger.log({"a": 1.0, "b": 1.0, "c": 1.0}, 5)
    with pytest.warns(UserWarning, match=r"^log\('a, b'\): step 5 comes again"):
        logger.log({"a": 1.0, "b": 1.0}, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.log({"b": 1.0, "a": 1.0}, 5)
    with pytest.warns(UserWarning, match=r"^log\('c'\): step 5 comes again"):
        logger.log({"c": 1.0, "a": 1.0}, 5)
