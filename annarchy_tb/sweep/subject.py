"""The subject of a sweep, its space and its objective, kept with it in ``sweep.json``.

Trials of another space or objective are no answers to the question that is asked now.
"""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annarchy_tb.kinds.parameters import flatten
from annarchy_tb.run.atomic import replacing
from annarchy_tb.run.info import as_json

SWEEP_JSON = "sweep.json"
LONGEST = 60  # lines of a difference in an error


@dataclass
class Subject:
    """What a sweep searches.

    Attributes
    ----------
    space : list of str
        The lines of the space as hyperopt prints it.
    objective : str
        The name of the objective.
    source : list of str or None
        The lines of its source, without comments and docstrings, and in a uniform
        layout; None if there is no source, as of what was typed at a prompt.
    arguments : dict
        The arguments of a `functools.partial`, and the object of a method.
    """

    space: list[str]
    objective: str
    source: list[str] | None
    arguments: dict[str, Any]

    @classmethod
    def of(cls, space: list[str], objective: Callable[..., Any]) -> Subject:
        """Return the subject of a sweep with this space, printed by `Suggestions`."""
        function, arguments = _taken_apart(objective)
        name = getattr(function, "__qualname__", type(function).__qualname__)
        try:
            plain = as_json(flatten(arguments))
        except Exception:  # of an argument that can't be shown
            plain = {}
        return cls(space, str(name), _source(function), plain)

    @classmethod
    def read(cls, logdir: Path) -> Subject | None:
        """Return the subject of the sweep in a directory, None if it is not known."""
        try:
            said = json.loads((logdir / SWEEP_JSON).read_bytes())
            found = cls(
                [str(line) for line in said["space"]],
                str(said["objective"]),
                None if said["source"] is None else [str(n) for n in said["source"]],
                dict(said["arguments"]),
            )
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        return found

    def write(self, logdir: Path) -> None:
        """Keep it with the sweep in a directory.

        Raises
        ------
        OSError
            If that fails.
        """
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        with replacing(logdir / SWEEP_JSON) as stream:
            stream.write(text.encode("utf-8", "backslashreplace") + b"\n")

    def differences(self, earlier: Subject) -> tuple[str, list[str]]:
        """Return what is not as earlier in a few words, and the lines that differ."""
        words, lines = [], []
        if self.space != earlier.space:
            words.append("space")
            lines += _difference(earlier.space, self.space)
        if self.source is None or earlier.source is None:
            if self.objective != earlier.objective:
                words.append("objective")
                lines += _difference([earlier.objective], [self.objective])
        elif not _same_code(self.source, earlier.source):
            words.append("objective")
            lines += _difference(earlier.source, self.source)
        if self.arguments != earlier.arguments:
            words.append("arguments of the objective")
            lines += _difference(_lines(earlier.arguments), _lines(self.arguments))
        return " and ".join(words), lines


def _taken_apart(objective: Any) -> tuple[Any, dict[str, Any]]:
    """Return the function or class that is called in the end, and its arguments."""
    arguments: dict[str, Any] = {}
    for _ in range(100):  # an object may have any attribute
        if isinstance(objective, functools.partial):
            arguments.update({str(n): a for n, a in enumerate(objective.args)})
            arguments.update(objective.keywords)
            objective = objective.func
        elif inspect.ismethod(objective):
            arguments["self"] = objective.__self__
            objective = objective.__func__
        elif callable(inner := getattr(objective, "__wrapped__", None)):
            objective = inner
        else:
            break
    if not (inspect.isroutine(objective) or inspect.isclass(objective)):
        arguments["self"] = objective
        objective = type(objective)
    return objective, arguments


def _lines(arguments: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {value!r}" for name, value in arguments.items()]


def _difference(earlier: list[str], now: list[str]) -> list[str]:
    # The context shows the label of a parameter.
    found = list(difflib.unified_diff(earlier, now, "earlier", "now", "", "", 6, ""))
    left_out = len(found) - LONGEST
    return [*found[:LONGEST], "..."] if left_out > 0 else found


# -- the source of an objective --------------------------------------------------------


def _source(function: Any) -> list[str] | None:
    """Return the source of a function or class, None if that is not known."""
    try:
        lines, number = inspect.findsource(function)
        tree = ast.parse("".join(lines))
    except Exception:  # of a file that is gone, or is no Python
        return None
    kinds: tuple[type[ast.AST], ...] = (ast.ClassDef,)
    if not inspect.isclass(function):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        number = function.__code__.co_firstlineno - 1
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        and _first_line(node) == number + 1
        and getattr(node, "name", "<lambda>") == function.__name__
    ]
    if len(found) != 1:  # several lambdas in a line, or the file was changed
        return None
    _remove_docstrings(found[0])
    return ast.unparse(found[0]).splitlines()


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min(int(part.lineno) for part in (node, *decorators))


def _remove_docstrings(tree: ast.AST) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]


def _same_code(one: list[str], other: list[str]) -> bool:
    """Compare code that versions of Python may have laid out differently."""
    try:
        trees = [ast.dump(ast.parse("\n".join(lines))) for lines in (one, other)]
    except SyntaxError:  # of a newer Python
        return one == other
    return trees[0] == trees[1]
