"""Runs as a table with a line each, as wide as it may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click
from rich.cells import cell_len, set_cell_size

from annarchy_tb.commands.listing import KINDS, OWN, Listed, column_of
from annarchy_tb.reading import wording
from annarchy_tb.reading.facts import METRICS, MISSING, PARAMS, Name
from annarchy_tb.terminal import COLOURS, escaped

WIDEST = 2000  # characters of a line, if nothing else limits it

ALWAYS = ("status", "age", "duration")
RARE = ("not finite", "lost")  # columns that may have nothing to say

GAP = "  "
LONGEST_NAME = 40  # characters; names of runs up to this length are kept, for copying
LONGEST = 12  # of a value, and of its name, in a table of limited width
LONGEST_TEXT = 1000  # of a value otherwise
NARROWEST = 4  # of a column
MISSES = 20  # columns for which there is no room, until no others are tried
NAMED = 40  # of what was left out


class Column(NamedTuple):
    """The cells of a column, its name above them, and the width of the widest."""

    title: str
    texts: list[str]
    right: bool
    width: int

    @classmethod
    def of(cls, title: str, texts: list[str], most: int, right: bool = False) -> Column:
        """Return a column that is not wider than this."""
        width = _widest(title, texts)
        if width > most:
            title, texts = _cut(title, most), [_cut(text, most) for text in texts]
            width = _widest(title, texts)
        return cls(title, texts, right, width)


class Table(NamedTuple):
    """The lines of a table, and what is to be said below it."""

    columns: list[Column]
    notes: list[str]

    def lines(self, colour: bool) -> Iterator[str]:
        """Yield the head, and a line a run."""
        head = self._line([column.title for column in self.columns], False)
        yield click.style(head, bold=True) if colour else head
        for row in zip(*(column.texts for column in self.columns), strict=True):
            yield self._line(row, colour)
        yield from self.notes and ["", *self.notes]

    def _line(self, row: Sequence[str], colour: bool) -> str:
        cells = []
        for text, column in zip(row, self.columns, strict=True):
            cell = _padded(text, column.width, column.right)
            if colour and column.title == "status":
                cell = click.style(cell, fg=COLOURS.get(text))
            cells.append(cell)
        return GAP.join(cells).rstrip()


def named(runs: list[Listed], names: Sequence[str]) -> Table:
    """Return a table with these columns after the name of the run, however wide."""
    columns = [_own(runs, "run", LONGEST_TEXT)]
    for name in names:
        known = column_of(runs, name, "--columns")
        if isinstance(known, Name):
            values = [its.facts.given(known) for its in runs]
            columns.append(_column(values, name, LONGEST_TEXT))
        else:
            columns.append(_own(runs, known, LONGEST_TEXT))
    return Table(columns, [])


def whole(runs: list[Listed]) -> Table:
    """Return a table of all that is known, which may be very wide."""
    names = [(PARAMS, name) for name in _names(runs, PARAMS)]
    names += [(METRICS, name) for name in _names(runs, METRICS)]
    columns, left = _chosen(runs, names, WIDEST, LONGEST_TEXT, LONGEST_TEXT)
    return Table(columns, _left_out(left, "--columns shows it"))


def fitting(runs: list[Listed], width: int) -> Table:
    """Return a table that is not wider than this.

    It has what differs between the runs, and their results, as far as there is room,
    and says what was left out.
    """
    differing, same = _compared(runs)
    names = [(PARAMS, name) for name in differing]
    names += [(METRICS, name) for name in _names(runs, METRICS)]
    columns, left = _chosen(runs, names, width, min(LONGEST_NAME, width // 2), LONGEST)
    notes = _left_out(left, "--wide shows it")
    if same:
        said = escaped(wording.plain(same, digits=4))
        notes.append(f"The same in all: {said}")
    return Table(columns, [_begun(note, width) for note in notes])


def _names(runs: list[Listed], kind: str) -> list[str]:
    """Return the names of all parameters or results, those of the newest run first."""
    return list(dict.fromkeys(name for its in runs for name in its.values(kind)))


def _compared(runs: list[Listed]) -> tuple[list[str], dict[str, Any]]:
    """Return the parameters that differ between runs that have any, and the others."""
    having = [its.values(PARAMS) for its in runs if its.values(PARAMS)]
    differing = dict.fromkeys(wording.differing(having))
    same = {
        name: value
        for values in having[:1]
        for name, value in values.items()
        if name not in differing
    }
    return [*differing], same


def _chosen(
    runs: list[Listed],
    names: list[tuple[str, str]],
    width: int,
    longest_name: int,
    most: int,
) -> tuple[list[Column], list[tuple[str, str]]]:
    """Return as many columns as fit, in order, and the names of the others.

    Parameters and results are tried in turn, so that there are some of both.
    """
    columns = [_own(runs, "run", longest_name)]
    columns += [_own(runs, name, most) for name in ALWAYS]
    columns += [its for name in RARE if any((its := _own(runs, name, most)).texts)]
    room = width - sum(column.width + len(GAP) for column in columns) + len(GAP)
    found: dict[tuple[str, str], Column] = {}
    known = set(names)
    misses = 0
    for kind, name in _in_turn(names):
        if room < NARROWEST or misses == MISSES:
            break
        title = name
        if name in OWN or all((its, name) in known for its in KINDS):
            title = f"{kind}.{name}"
        values = [its.values(kind).get(name, MISSING) for its in runs]
        column = _column(values, title, most)
        if column.width + len(GAP) <= room:
            found[kind, name] = column
            room -= column.width + len(GAP)
        else:
            misses += 1
    columns += [found[name] for name in names if name in found]
    return columns, [name for name in names if name not in found]


def _in_turn(names: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield names of one kind and of the other, in turn."""
    each = [[name for name in names if name[0] == kind] for kind in KINDS]
    for at in range(max(map(len, each))):
        for its in each:
            yield from its[at : at + 1]


def _own(runs: list[Listed], name: str, most: int) -> Column:
    texts = [escaped(OWN[name].text(its)) for its in runs]
    return Column.of(name, texts, most, name in ("age", "duration"))


def _column(values: list[Any], title: str, most: int) -> Column:
    """Return the column of a parameter or result; what a run does not have is empty."""
    digits = 4 if most == LONGEST else 6
    texts = [
        "" if its is MISSING else escaped(wording.plain(its, digits), most=LONGEST_TEXT)
        for its in values
    ]
    numbers = all(its is MISSING or isinstance(its, (int, float)) for its in values)
    return Column.of(escaped(title, most=LONGEST_TEXT), texts, most, numbers)


def _left_out(names: list[tuple[str, str]], how: str | None) -> list[str]:
    """Return a word on what has no column; nothing if all have one."""
    if not names:
        return []
    numbers = []
    for kind, what in zip(KINDS, ("parameter", "result"), strict=True):
        number = sum(its == kind for its, _ in names)
        if number:
            numbers.append(f"{number} {what}{'s' if number > 1 else ''}")
    hint = f" ({how})" if how else ""
    said = ", ".join(escaped(name, most=100) for _, name in names[:NAMED])
    more = ", ..." if len(names) > NAMED else ""
    return [f"Left out{hint}: {' and '.join(numbers)}: {said}{more}"]


def _widest(title: str, texts: list[str]) -> int:
    plain = title.isascii() and all(map(str.isascii, texts))
    return max(map(len if plain else cell_len, (title, *texts)))


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _padded(text: str, width: int, right: bool) -> str:
    if text.isascii():
        return text.rjust(width) if right else text.ljust(width)
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _cut(text: str, most: int) -> str:
    """Return a text of limited width: of a longer one, both ends."""
    if _width(text) <= most:
        return text
    if most < 3:
        return set_cell_size(text, most)
    left = set_cell_size(text, most // 2).rstrip()
    right = text[len(text) - (most - 1 - most // 2) :]
    while _width(right) + _width(left) + 1 > most:
        right = right[1:]
    return f"{left}…{right}"


def _begun(text: str, most: int) -> str:
    """Return the beginning of a text, of limited width."""
    return text if _width(text) <= most else f"{set_cell_size(text, most - 1)}…"
