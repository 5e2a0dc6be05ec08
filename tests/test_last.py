"""The last values, and the progress bar that shows them."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import in_child

from annarchy_tb import Logger


def test_the_last_value_of_every_way_to_log_a_number(logger: Logger) -> None:
    """Each lookup sees all data logged so far."""
    last = logger.last
    assert dict(last) == {}
    logger.add_scalar("a", 0.1)
    assert last["a"] == 0.1
    logger.log({"a": 0.2, "b": 3})
    assert (last["a"], last["b"]) == (0.2, 3.0)
    logger.add_series("c", [1.0, 2.0, 4.0])
    logger.add_series(["a", "d"], [[1.0, 2.0], [5.0, 6.0]])
    logger.writer.add_scalar("e", 8.0, 3)
    logger.add_metrics({"f": 9.0})
    logger.add_image("image", [[0.5]])
    expected = {"a": 5.0, "b": 3.0, "c": 4.0, "d": 6.0, "e": 8.0, "f": 9.0}
    assert dict(last) == expected


def test_the_last_values_of_curves_are_a_dict(logger: Logger) -> None:
    """Its keys are those of add_scalars."""
    logger.add_scalars("Error", {"train": 0.5, "held out/1": 0.75})
    logger.add_scalars("Error", {"train": 0.25})
    assert logger.last["Error"] == {"train": 0.25, "held out/1": 0.75}


def test_what_was_logged_before_is_seen_too(logdir: Path) -> None:
    """After an append, the last value is that of the earlier Logger."""
    for value in (1.0, 2.0):
        with Logger(logdir, "run", mode="a") as logger:
            if value == 2.0:
                assert logger.last["a"] == 1.0
            logger.add_scalar("a", value)
    assert logger.last["a"] == 2.0  # still known after close


def test_a_tag_that_is_unknown_is_named(logger: Logger) -> None:
    """It raises a KeyError, as any mapping does."""
    with pytest.raises(KeyError, match="no number was logged under the tag 'Rate'"):
        logger.last["Rate"]
    assert logger.last.get("Rate") is None


def test_a_look_reads_what_is_new_only(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a look now and then costs little, however long the run is."""
    from annarchy_tb.kinds import scalar

    logger.add_series("a", range(100_000))
    assert logger.last["a"] == 99_999
    read = []
    points_of = scalar.last_values

    def counting(blocks):
        read.append(sum(len(block.columns) + len(block.others) for block in blocks))
        return points_of(blocks)

    monkeypatch.setattr(scalar, "last_values", counting)
    logger.add_scalar("a", 1.0)
    assert logger.last["a"] == 1.0
    assert sum(read) == 1


def test_a_bar_shows_the_last_values(
    logger: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """They follow the bar, current when it is drawn."""
    for trial in logger.track(range(3), show=("Accuracy", "Error"), visible=True):
        logger.add_scalar("Accuracy", trial / 4, trial)
        logger.add_scalars("Error", {"train": 0.125})
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err
    assert "Accuracy 0.5, Error train 0.125" in err


def test_no_bar_is_printed_where_there_is_no_terminal(
    logger: Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Log files of batch jobs stay readable; all items are still iterated over."""
    assert list(logger.track(iter("abc"), show="Accuracy")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar(logger: Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown unless disabled."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for visible, expected in ((None, True), (False, False)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        list(logger.track(range(3), visible=visible))
        assert ("3/3" in terminal.getvalue()) is expected


def test_a_bar_starts_no_thread(logger: Logger) -> None:
    """The package's promise of no threads includes its bar."""
    before = threading.active_count()
    for _ in logger.track(range(3), visible=True):
        assert threading.active_count() == before


def test_tags_to_show_must_be_tags(logger: Logger) -> None:
    """The error is raised by the call, not while the simulation runs."""
    with pytest.raises(TypeError, match="track: tag must be a str"):
        logger.track(range(3), show=(1,))


def test_the_curves_of_an_earlier_logger_are_seen(logdir: Path) -> None:
    """After an append, the last values of all curves are known."""
    with Logger(logdir, "run") as logger:
        logger.add_scalars("Error", {"train": 1.0, "test": 2.0})
    with Logger(logdir, "run", mode="a") as logger:
        assert logger.last["Error"] == {"train": 1.0, "test": 2.0}
        logger.add_scalars("Error", {"train": 0.5})
        assert logger.last["Error"] == {"train": 0.5, "test": 2.0}


def test_a_value_of_a_child_does_not_hide_a_later_one_of_ours(logdir: Path) -> None:
    """The value that this process logged last is its last value."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 0.0)

        def child() -> None:
            with pytest.warns(UserWarning, match="was begun by the process"):
                logger.add_scalar("a", 1.0)

        assert in_child(child) == 0
        logger.add_scalar("a", 2.0)
        assert logger.last["a"] == 2.0


def test_looks_at_a_torn_file_leave_nothing_behind(logdir: Path) -> None:
    """A bar may look at it for weeks."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)
    [path] = logger.run_dir.glob("*tfevents*")
    with path.open("ab") as file:
        file.write(b"half a record")
    with Logger(logdir, "run", mode="a") as logger:
        for _ in range(3):
            assert logger.last["a"] == 1.0
        scans = [scan for scan, _ in logger.last._seen.values()]
        assert [scan.damage for scan in scans] == [[]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), r"track: items must be .* such as range\(100\), got 3 \(int\)"),
        (([1], 3), r"track: show must be tags, got 3 \(int\)"),
    ],
)
def test_what_is_no_loop_is_refused(
    logger: Logger, arguments: tuple[Any, ...], message: str
) -> None:
    """The error names the argument."""
    with pytest.raises(TypeError, match=message):
        logger.track(*arguments)


def test_a_bar_keeps_what_else_is_behind_it(logger: Logger) -> None:
    """set_postfix works as with any tqdm bar."""
    logger.add_scalar("a", 1.0)
    with logger.track(range(3), "a", visible=True) as bar:
        bar.set_postfix(mine=3)
        assert "mine=3, a 1" in str(bar)
