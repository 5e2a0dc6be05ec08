"""Following runs from the command line: what is told, a bar, and the command beside."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from time import sleep
from typing import Any

import click
from rich.table import Table
from tqdm import tqdm

from annarchy_tb.follow.beside import Beside, GivenUp
from annarchy_tb.follow.loop import Loop, Pushed, rounds
from annarchy_tb.follow.status import statuses
from annarchy_tb.inputs.importing import importing
from annarchy_tb.reading import wording
from annarchy_tb.terminal import escaped, shown

# Exit statuses of shells
NOT_FOUND, NOT_RUN, INTERRUPTED = 127, 126, 128 + signal.SIGINT


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


class Shown:
    """What the user sees of a loop: lines, and on a terminal a bar below them."""

    _bar: Any

    def __init__(self, bar: bool) -> None:
        self._bar = None
        if bar and sys.stderr.isatty():
            tqdm.monitor_interval = 0  # no thread
            shape = "{n:,} points in {elapsed}{postfix}"
            self._bar = tqdm(file=sys.stderr, leave=False, bar_format=shape)

    def say(self, message: str) -> None:
        """Write a line."""
        line = f"follow: {escaped(message)}"
        if self._bar is None:
            click.echo(line, err=True)
        else:
            self._bar.write(line, file=sys.stderr)

    def draw(self, loop: Loop) -> None:
        """Draw the bar."""
        if self._bar is None:
            return
        self._bar.n = sum(result.pushed for result in loop.results())
        late = [its for its in loop.outlets if its.error is not None]
        waiting = [f"{its.place.shown}: {its.error}" for its in late]
        self._bar.set_postfix_str(escaped(", ".join([_runs(loop.found), *waiting])))

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


def follow(
    roots: Sequence[Path], to: Sequence[str], give_up: float, **options: Any
) -> int:
    """Follow runs until they end; return the exit status."""
    _allow_many_files()
    show = Shown(bar=True)
    loop = Loop(roots, to, say=show.say, **options)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        for root in roots:
            if not root.is_dir():
                show.say(f"there is no directory {root} yet: waiting for it")
        for pause in rounds(loop, give_up):
            show.draw(loop)
            if pause:
                sleep(pause)
    except KeyboardInterrupt:
        show.say("stopped; started again, it goes on")
        return INTERRUPTED
    finally:
        show.close()
        loop.close()
        signal.signal(signal.SIGTERM, before)
    return 0 if _tell(loop.results(), show) else 1


def follow_command(
    command: Sequence[str],
    roots: Sequence[Path],
    to: Sequence[str],
    give_up: float,
    **options: Any,
) -> int:
    """Run a command, follow its runs, and return its exit status."""
    show = Shown(bar=False)
    beside = Beside(command, give_up)
    loop = Loop(roots, to, say=show.say, job=beside.job, **options)

    running = True

    def goes_on() -> bool:
        nonlocal running
        before, running = running, not beside.has_ended
        if before != running:
            loop.hurry()
        return before

    try:
        with beside.running():
            try:
                for pause in rounds(loop, give_up, goes_on):
                    beside.wait(pause)
            except GivenUp:
                show.say("the command has ended, and there is no time left")
            except Exception as error:  # the simulation goes on
                show.say(f"stopped: {type(error).__name__}: {error}")
                beside.wait_for_end()
    except FileNotFoundError as error:
        show.say(f"{command[0]}: {error.strerror}")
        return NOT_FOUND
    except OSError as error:
        show.say(f"{command[0]}: {error.strerror}")
        return NOT_RUN
    finally:
        loop.close()
    _tell(loop.results(), show)
    if not loop.found:
        said = ", ".join(map(str, roots))
        show.say(f"the command began no run below {said}")
    return beside.status


def _allow_many_files() -> None:
    """Allow as many open files as the system does: there may be some for each run."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        with importing:
            import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tell(results: Sequence[Pushed], show: Shown) -> bool:
    """Tell what was pushed; return whether it was all."""
    for target in dict.fromkeys(its.target for its in results):
        its = [result for result in results if result.target == target]
        numbers = {
            name: sum(getattr(result, name) for result in its)
            for name in ("pushed", "thinned", "refused")
        }
        said = _runs(len(its))
        if numbers["pushed"]:  # a mirror copies files, and does not count
            said += f", {_number(numbers['pushed'], 'point')}"
        if numbers["thinned"]:
            said += f", {numbers['thinned']:,} left out to keep to the rate"
        if numbers["refused"]:
            said += f", {numbers['refused']:,} left out that it does not take"
        silent = sum(result.status == "killed?" for result in its)
        if silent:
            said += f"; {_runs(silent)} without a sign of life, ended as killed?"
        wrong = [result for result in its if result.error is not None]
        if wrong:
            said += f"; {len(wrong)} of them not wholly: {wrong[0].error}"
        show.say(f"{target}: {said}")
    return not any(result.error for result in results)


def _runs(number: int) -> str:
    return _number(number, "run")


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def status_table(logdir: Path) -> Table | None:
    """Return how far all runs below a directory are; None if none is followed."""
    columns = ("run", "to", "status", "points", "behind", "left out", "error")
    table = Table(*columns, box=None, pad_edge=False)
    for its in statuses(logdir):
        state = its.state
        left = {"thinned": state.thinned, "refused": state.refused}
        left |= {"damaged": state.damaged}
        cells = (
            wording.name(Path(state.run), logdir),
            state.target,
            state.ended or ("followed" if its.is_followed else "stopped"),
            f"{state.pushed:,}" if state.pushed else "",
            _behind(its.points, its.size, its.seconds),
            ", ".join(f"{number} {what}" for what, number in left.items() if number),
            its.error or "",
        )
        table.add_row(*map(shown, cells))
    return table if table.row_count else None


def _behind(points: int | None, size: int | None, seconds: float | None) -> str:
    if points is None or size is None:
        return "?"
    if not points:
        return "0"
    return f"{points:,} points, {size / 1e6:.1f} MB, {seconds or 0:.0f} s"
