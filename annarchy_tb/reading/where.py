"""Conditions on runs, such as ``tau < 10 and status == 'finished'``.

They look like Python, and Python's parser reads them, but nothing is run: a condition
is made of the few parts below, and anything else is an error.

A comparison of a value that a run does not have, or that can't be compared, is neither
true nor false, as in SQL. So is what depends on it: ``not tau < 10`` does not match a
run without a ``tau`` either.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from annarchy_tb.inputs.messages import describe, short, warn
from annarchy_tb.reading.facts import (
    FIELDS,
    KINDS,
    MISSING,
    RUN,
    Facts,
    Name,
    resolve,
)
from annarchy_tb.run.info import STATUSES

# Characters. Python's parser is recursive: ten thousand overflow the stack of a thread
# of macOS, 512 KiB.
LONGEST = 2000
DEEPEST = 50  # parts within parts
NAMED = 5  # reasons why runs are left out

ALLOWED = (
    "a condition has comparisons (<, <=, ==, !=, >=, >, in, not in), 'and', 'or', "
    "'not', numbers, texts, tuples of them, names, and params[\"...\"], "
    'metrics["..."] or run["..."]'
)

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
    ast.In: lambda one, others: one in others,
    ast.NotIn: lambda one, others: one not in others,
}

# What is not allowed, in words.
PARTS: dict[type[ast.AST], str] = {
    ast.Attribute: "an attribute",
    ast.Await: "await",
    ast.BinOp: "arithmetic",
    ast.Call: "a call",
    ast.Dict: "a dict",
    ast.DictComp: "a comprehension",
    ast.FormattedValue: "an f-string",
    ast.GeneratorExp: "a comprehension",
    ast.IfExp: "an 'if'",
    ast.Invert: "'~'",
    ast.JoinedStr: "an f-string",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.NamedExpr: "':='",
    ast.SetComp: "a comprehension",
    ast.Starred: "'*'",
    ast.Subscript: "an index",
}
INSTEAD = {
    ast.BitAnd: "write 'and' for '&'",
    ast.BitOr: "write 'or' for '|'",
    ast.Invert: "write 'not' for '~'",
    ast.Is: "write '==' for 'is'",
    ast.IsNot: "write '!=' for 'is not'",
    ast.Div: "a parameter with '/' in its name is params[\"a/b\"]",
    ast.Sub: "a parameter with '-' in its name is params[\"a-b\"]",
}

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


class Unknown(NamedTuple):
    """What is neither true nor false, and why."""

    why: str


Look = Callable[[Name], Any]
Operand = Callable[[Look], Any]
Test = Callable[[Look], "bool | Unknown"]


class Condition:
    """A condition on runs.

    Parameters
    ----------
    text
        The condition, as in `annarchy_tb.reading.Runs.where`.

    Raises
    ------
    TypeError
        If it is no text.
    ValueError
        If it is not a valid condition; the error names the part that is not.
    """

    def __init__(self, text: object) -> None:
        if not isinstance(text, str):
            raise TypeError(f"where: the condition must be a str, got {describe(text)}")
        if len(text) > LONGEST:
            raise ValueError(
                f"where: a condition has at most {LONGEST} characters, got {len(text)}"
            )
        self._text = text.strip()
        self._names: dict[Name, None] = {}
        self._test = self._condition(self._parsed(), 0)

    def chosen(
        self, runs: Sequence[Facts], every: Sequence[Facts] | None = None
    ) -> list[Facts]:
        """Return the runs that match; warn once of those that can't be decided.

        Parameters
        ----------
        runs
            The runs.
        every
            All runs that names may be of, if there are more.

        Raises
        ------
        ValueError
            If no run has what a name names, or it may mean different things.
        """
        try:
            known = {
                name: resolve(name, runs if every is None else every, written)
                for name in self._names
            }
        except ValueError as error:
            raise ValueError(f"where: {error}") from None
        found, left_out = [], Counter[str]()
        for facts in runs:
            verdict = self._test(lambda name, its=facts: its.value(known[name]))  # type: ignore[misc]
            if isinstance(verdict, Unknown):
                left_out[verdict.why] += 1
            elif verdict:
                found.append(facts)
        if left_out:
            whys = [f"{why} ({count})" for why, count in left_out.most_common(NAMED)]
            more = ", ..." if len(left_out) > NAMED else ""
            number = left_out.total()
            warn(
                f"where: {number} of {len(runs)} runs can't be decided and do not "
                f"match: {', '.join(whys)}{more}"
            )
        return found

    def _parsed(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes in texts
                return ast.parse(self._text, mode="eval").body
        except (MemoryError, RecursionError):
            raise self._too_deep() from None
        except SyntaxError as error:
            raise ValueError(
                f"where: {short(self._text)} is not a valid condition "
                f"({error.msg[:80]}); {ALLOWED}"
            ) from None
        except ValueError as error:  # zeros, or half a character
            raise ValueError(
                f"where: {short(self._text)} is not a valid condition ({error})"
            ) from None

    def _too_deep(self) -> ValueError:
        return ValueError(
            f"where: a condition has at most {DEEPEST} parts within each other, got "
            f"{short(self._text)}"
        )

    # -- what is true or false -------------------------------------------------------

    def _condition(self, node: ast.expr, depth: int) -> Test:
        if depth > DEEPEST:
            raise self._too_deep()
        if isinstance(node, ast.BoolOp):
            parts = [self._condition(part, depth + 1) for part in node.values]
            return _any(parts) if isinstance(node.op, ast.Or) else _all(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _not(self._condition(node.operand, depth + 1))
        if isinstance(node, ast.Compare):
            return self._comparisons(node)
        return _truth(self._operand(node), self._said(node))

    def _comparisons(self, node: ast.Compare) -> Test:
        nodes = [node.left, *node.comparators]
        tests = []
        for left, its, right in zip(nodes, node.ops, nodes[1:], strict=False):
            if type(its) not in COMPARISONS:
                raise self._refused("this comparison", node, type(its))
            several = isinstance(its, (ast.In, ast.NotIn))
            one, other = self._constant(left), self._constant(right, several)
            field = self._field(left) or self._field(right)
            left_value, right_value = (
                self._operand(part)
                if constant is MISSING
                else _just(_as_compared(field, constant))
                for part, constant in ((left, one), (right, other))
            )
            compare = COMPARISONS[type(its)]
            tests.append(_compare(compare, left_value, right_value, self._said(node)))
        return tests[0] if len(tests) == 1 else _all(tests)

    # -- values ----------------------------------------------------------------------

    def _operand(self, node: ast.expr) -> Operand:
        constant = self._constant(node)
        if constant is not MISSING:
            return _just(constant)
        name = self._name(node)
        if name is None:
            raise self._refused(*self._what(node))
        self._names[name] = None
        missing = Unknown(f"no {written(name)}")
        return lambda look: missing if (its := look(name)) is MISSING else its

    def _name(self, node: ast.expr) -> Name | None:
        if isinstance(node, ast.Name):
            return Name(None, node.id)
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id in KINDS
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            return Name(node.value.id, node.slice.value)
        return None

    def _constant(self, node: ast.expr, several: bool = False) -> Any:
        """Return the value of a constant, `MISSING` if it is none."""
        if several and isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            values = [self._constant(item) for item in node.elts]
            for item, value in zip(node.elts, values, strict=True):
                if value is MISSING:
                    name = self._name(item)
                    what = "a name" if name is not None else self._what(item)[0]
                    raise self._refused(f"{what} in a tuple", item)
            return values
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            number: Any = getattr(node.operand, "value", None)
            if not _is_number(number):
                return MISSING
            return -number if isinstance(node.op, ast.USub) else number
        if not isinstance(node, ast.Constant):
            return MISSING
        value = node.value
        if value is None or isinstance(value, (bool, str, int, float)):
            return value
        raise self._refused(f"a constant of type {type(value).__name__}", node)

    def _field(self, node: ast.expr) -> str | None:
        """Return which field of runs a part is, if it is one."""
        name = self._name(node)
        return name.name if name is not None and name.kind in (None, RUN) else None

    # -- errors ----------------------------------------------------------------------

    def _said(self, node: ast.AST) -> str:
        return short(ast.get_source_segment(self._text, node) or self._text)

    def _what(self, node: ast.expr) -> tuple[str, ast.expr, type[ast.AST]]:
        """Return what a part is that is not allowed."""
        kind: type[ast.AST] = type(node)
        if isinstance(node, (ast.BoolOp, ast.Compare)) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            return "a condition in place of a value", node, kind
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            return "a tuple without 'in'", node, kind
        if isinstance(node, (ast.BinOp, ast.UnaryOp)):
            return PARTS.get(type(node.op), "arithmetic"), node, type(node.op)
        return PARTS.get(kind, f"this ({kind.__name__})"), node, kind

    def _refused(
        self, what: str, node: ast.AST, kind: type[ast.AST] = ast.AST
    ) -> ValueError:
        hint = INSTEAD.get(kind, ALLOWED)
        return ValueError(f"where: {what} is not allowed: {self._said(node)}; {hint}")


def written(name: Name) -> str:
    """Return a name as conditions have it."""
    if name.kind is None:
        return name.name
    quoted = name.name.replace("\\", r"\\").replace('"', r"\"")
    return f'{name.kind}["{quoted}"]'


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _just(value: Any) -> Operand:
    return lambda _: value


def _not(part: Test) -> Test:
    def test(look: Look) -> bool | Unknown:
        its = part(look)
        return its if isinstance(its, Unknown) else not its

    return test


def _all(parts: Sequence[Test]) -> Test:
    return _first(parts, False)


def _any(parts: Sequence[Test]) -> Test:
    return _first(parts, True)


def _first(parts: Sequence[Test], decisive: bool) -> Test:
    """Return whether any part has the value that decides for all of them."""

    def test(look: Look) -> bool | Unknown:
        verdict: bool | Unknown = not decisive
        for part in parts:
            its = part(look)
            if its is decisive:
                return decisive
            if isinstance(its, Unknown) and not isinstance(verdict, Unknown):
                verdict = its
        return verdict

    return test


def _truth(value: Operand, said: str) -> Test:
    def test(look: Look) -> bool | Unknown:
        its = value(look)
        if isinstance(its, (bool, int, float, Unknown)):
            return its if isinstance(its, Unknown) else bool(its)
        return Unknown(f"{said} is not true or false")

    return test


def _compare(
    compare: Callable[[Any, Any], bool], one: Operand, other: Operand, said: str
) -> Test:
    def test(look: Look) -> bool | Unknown:
        left, right = one(look), other(look)
        for its in (left, right):
            if isinstance(its, Unknown):
                return its
        try:
            return bool(compare(left, right))
        except TypeError:  # a text and a number, for example, or None
            return Unknown(f"{said} can't be compared")

    return test


def _as_compared(field: str | None, constant: Any) -> Any:
    """Return a constant in the form of the field that it is compared with."""
    if isinstance(constant, list):
        return [_as_compared(field, its) for its in constant]
    if constant is None or field not in FIELDS or field == "name":
        return constant
    if field == "status":
        return _as_status(constant)
    return _as_date(constant) if field == "started" else _as_seconds(field, constant)


def _as_status(constant: Any) -> Any:
    if constant not in STATUSES:
        allowed = ", ".join(map(repr, STATUSES))
        raise ValueError(
            f"where: status must be compared with one of {allowed}, got "
            f'{describe(constant)}; a parameter of this name is params["status"]'
        )
    return constant


def _as_date(constant: Any) -> datetime:
    """Return the date in a text; without a time zone, that of this machine counts."""
    try:
        return datetime.fromisoformat(constant).astimezone()
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"where: started is compared with a date, such as '2026-11-01' or "
            f"'2026-11-01 14:30', got {describe(constant)}; a parameter of this name "
            f'is params["started"]'
        ) from None


def _as_seconds(field: str, constant: Any) -> Any:
    if _is_number(constant):
        return constant
    found = re.fullmatch(
        r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*(s|min|h|d)\s*", str(constant)
    )
    if found is None:
        raise ValueError(
            f"where: {field} is compared with a number of seconds, or a text such as "
            f"'90 s', '30 min', '2 h' or '7 d'; got {describe(constant)}; a parameter "
            f'of this name is params["{field}"]'
        )
    return float(found[1]) * SECONDS[found[2]]
