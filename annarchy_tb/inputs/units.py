"""Quantities: numbers with a unit, of Brian2, pint, astropy, unyt, OpenMM and Neo.

They are recognised by the names of their classes, and taken apart by their own methods;
none of these packages is imported. A unit is a text, such as ``"mV"`` or ``"kJ/mol"``,
so that it can be kept in ``run.json``, and understood by another process.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe

# Takes a quantity apart into its number, in this unit or (None) in its own, and that
# unit: "" if it has none.
Take = Callable[[Any, "str | None"], tuple[Any, str]]


class Measured:
    """A number, or an array of numbers, in a unit: what a hook was told to log."""

    __slots__ = ("number", "unit")

    def __init__(self, number: Any, unit: str) -> None:
        self.number = number
        self.unit = unit


def is_quantity(given: object) -> bool:
    """Return whether an object belongs to a package of quantities.

    This looks at its type only: it may have no dimension.
    """
    return _takes[type(given)] is not None


def separate(
    given: Any, unit: str | None = None, name: str = "value"
) -> tuple[Any, str | None]:
    """Return numbers without their unit, and the unit; None if they have none.

    Parameters
    ----------
    given
        A quantity; or lists or arrays of them, in any nesting; or a dict, whose values
        are taken then. Anything else is returned as it is.
    unit
        The unit to convert quantities to. By default, their own or, of several, that of
        the first. Those of Brian2 don't know in which unit they were written: theirs is
        the one that they are shown in.
    name
        The name of the argument, for the error.

    Raises
    ------
    TypeError
        If a quantity can't be converted, or only some of the numbers have a unit.
    """
    if _takes[type(given)] is not None:
        number, its = _taken(given, unit, name)
        return number, its or None
    try:
        first = _first(given) if isinstance(given, _NESTED) else None
    except RecursionError:
        came = describe(given)
        raise TypeError(f"{name} must not contain itself, got {came}") from None
    if first is None:
        return given, None
    if unit is None:
        _, unit = _taken(first, None, name)
    return _each(given, unit, name), unit or None


def plain(given: Any, name: str = "value") -> Any:
    """Return what has no unit; quantities without a dimension as numbers.

    Raises
    ------
    TypeError
        If it has a unit.
    """
    number, unit = separate(given, None, name)
    if unit is not None:
        raise TypeError(f"{name} must be a number without a unit, got {shown(given)}")
    return number


def said(description: str, unit: str | None) -> str:
    """Return a description that says the unit, too, if there is one."""
    if unit is None or re.search(
        rf"(?<![\w/^]){re.escape(unit)}(?![\w/^])", description
    ):
        return description
    return f"{description}\n\nin {unit}" if description else f"in {unit}"


# -- lists and arrays of quantities ----------------------------------------------------


def _items(given: Any) -> Any:
    """Return the items of a list, of an array of objects, or of a dict; else ()."""
    if isinstance(given, (list, tuple)):
        return given
    if isinstance(given, np.ndarray) and given.dtype.kind == "O":
        return given if given.ndim else [given.item()]
    return given.values() if isinstance(given, Mapping) else ()


def _first(given: Any) -> Any:
    """Return the first quantity in nested lists, None if there is none."""
    items = _items(given)
    for kind in set(map(type, items)):
        if _takes[kind] is not None or issubclass(kind, _NESTED):
            break
    else:
        return None
    for item in items:
        found = item if _takes[type(item)] is not None else _first(item)
        if found is not None:
            return found
    return None


_NESTED = (list, tuple, np.ndarray, Mapping)


def _each(given: Any, unit: str, name: str) -> Any:
    if _takes[type(given)] is not None:
        return _taken(given, unit, name)[0]
    if isinstance(given, _NESTED) and not _is_numbers(given):
        found = [_each(item, unit, name) for item in _items(given)]
        return found if getattr(given, "ndim", 1) else found[0]
    if unit == "":
        return given
    raise TypeError(
        f"{name} must be numbers with units, or numbers without, got {describe(given)} "
        f"among quantities in {unit}"
    )


def _is_numbers(given: Any) -> bool:
    return isinstance(given, np.ndarray) and given.dtype.kind != "O"


# -- packages --------------------------------------------------------------------------


def _taken(given: Any, unit: str | None, name: str) -> tuple[Any, str]:
    take: Any = _takes[type(given)]
    try:
        number, its = take(given, unit)
    except Exception:  # each package has errors of its own
        if unit is None:
            raise TypeError(f"{name} must be a number, got {describe(given)}") from None
        wanted = f"in {unit}, or in a unit that converts to it"
        if not unit:
            wanted = "without a unit"
        raise TypeError(f"{name} must be {wanted}, got {shown(given)}") from None
    if isinstance(number, np.ndarray) and not number.ndim:
        number = number[()]
    return number, its


def shown(given: Any) -> str:
    """Describe a quantity in a few words, for the end of an error message."""
    try:
        number, unit = separate(given)
    except TypeError:
        return describe(given)
    if np.ndim(number):
        return f"{describe(given)}, in {unit}" if unit else describe(given)
    return f"{number} {unit}" if unit else f"{number}, which has no unit"


def _text(unit: str) -> str:
    """Return the text of a unit in the form common to all packages."""
    unit = unit.replace("**", "^").replace(" / ", "/")
    return {"dimensionless": ""}.get(unit, re.sub("[\u00b5\u03bc]", "u", unit))  # micro


def _measured(given: Any, unit: str | None) -> tuple[Any, str]:
    if unit not in (None, given.unit):
        raise ValueError
    return given.number, given.unit


def _pint(given: Any, unit: str | None) -> tuple[Any, str]:
    own = _text(f"{given.units:~C}")
    if unit is None or unit == own:
        return given.magnitude, own
    return given.to(unit).magnitude, unit


def _astropy(given: Any, unit: str | None) -> tuple[Any, str]:
    own = _text(str(given.unit))
    if unit is None or unit == own:
        return given.value, own
    return given.to(unit).value, unit


def _unyt(given: Any, unit: str | None) -> tuple[Any, str]:
    own = _text(str(given.units))
    if unit is None or unit == own:
        return given.value, own
    return given.to((unit or "dimensionless").replace("^", "**")).value, unit


def _quantities(given: Any, unit: str | None) -> tuple[Any, str]:
    own = _text(given.dimensionality.string)
    if unit is None or unit == own:
        return given.magnitude, own
    return given.rescale((unit or "dimensionless").replace("^", "**")).magnitude, unit


def _openmm(given: Any, unit: str | None) -> tuple[Any, str]:
    own = _openmm_text(given.unit)
    same = unit is None or unit == own
    to = given.unit if same else _of_text("openmm.unit", unit or "dimensionless")
    number = given.value_in_unit(to)
    if isinstance(number, (list, tuple)):
        number = np.asarray(number)
    return number, own if unit is None else unit


def _openmm_text(unit: Any) -> str:
    text = _text(unit.get_symbol())
    try:  # "A" may be an ampere or an angstrom
        known = _of_text("openmm.unit", text)
        if known.is_compatible(unit) and known.conversion_factor_to(unit) == 1.0:
            return text
    except (KeyError, ValueError, SyntaxError, TypeError, AttributeError):
        pass
    return _text(unit.get_name())


def _brian2(given: Any, unit: str | None) -> tuple[Any, str]:
    if unit is None:
        best = given.get_best_unit()
        # If there is no such unit, it is a product of the base units.
        unit = str(best) if hasattr(best, "dispname") else str(given.dim)
        return _over(given, float(best)), unit
    known = _of_text("brian2.units.allunits", unit)
    if not given.has_same_dimensions(known):
        raise ValueError
    return _over(given, float(known)), unit


def _over(given: Any, factor: float) -> Any:
    """Divide; of several floats that one number may be, choose the shortest.

    Brian2 keeps 35*ms as 0.035, and 0.035 / 0.001 is 35.00000000000001.
    """
    found = np.asarray(given) / factor
    if found.ndim:
        return found
    number = float(found)
    short = float(f"{number:.15g}")
    # The product, the factor and the division are rounded.
    return short if abs(short - number) <= 2 * math.ulp(number) else number


def _view(given: Any, unit: str | None) -> tuple[Any, str]:
    """Take apart a variable of a group of Brian2."""
    values = given[:]
    take = _takes[type(values)]
    return (values, "") if take is None else take(values, unit)


_TAKES: dict[tuple[str, str], Take] = {
    (__name__.partition(".")[0], "Measured"): _measured,
    ("astropy", "Quantity"): _astropy,
    ("brian2", "Quantity"): _brian2,
    ("brian2", "VariableView"): _view,
    ("openmm", "Quantity"): _openmm,
    ("pint", "Quantity"): _pint,
    ("pint", "PlainQuantity"): _pint,
    ("quantities", "Quantity"): _quantities,
    ("unyt", "unyt_array"): _unyt,
}


class _Known(dict[type, "Take | None"]):
    """What takes quantities of a type apart, None for all other types."""

    def __missing__(self, kind: type) -> Take | None:
        names = ((base.__module__, base.__name__) for base in kind.__mro__)
        takes = (_TAKES.get((file.partition(".")[0], name)) for file, name in names)
        if len(self) > 1000:  # types that are made on the fly
            self.clear()
        return self.setdefault(kind, next(filter(None, takes), None))


_takes = _Known()


# -- units from their texts, for packages that can't read them -------------------------


@lru_cache(256)
def _of_text(module: str, text: str) -> Any:
    """Return the unit with this text.

    Raises
    ------
    KeyError, SyntaxError, ValueError
        If there is none.
    """
    with importing:
        import ast

    product = re.sub(r"(?<=[\w)])\s+(?=[\w(])", "*", text.replace("^", "**"))
    table = _units(module)

    def found(node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return table[node.id]
        if isinstance(node, ast.Constant) and node.value == 1:
            return 1
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Pow):
                return found(node.left) ** ast.literal_eval(node.right)
            if isinstance(node.op, ast.Mult):
                return found(node.left) * found(node.right)
            if isinstance(node.op, ast.Div):
                return found(node.left) / found(node.right)
        raise ValueError(text)

    return found(ast.parse(product, mode="eval").body)


@lru_cache(2)
def _units(module: str) -> dict[str, Any]:
    """Return the units in a module by their texts, without those of two meanings."""
    found: dict[str, Any] = {}
    for unit in vars(sys.modules[module]).values():
        if type(unit).__name__ != "Unit":
            continue
        if hasattr(unit, "get_symbol"):
            found.setdefault(unit.get_name(), unit)
            text = unit.get_symbol()
            if found.setdefault(text, unit) != unit:
                found[text] = None
        else:
            found.setdefault(str(unit), unit)
    return {text: unit for text, unit in found.items() if unit is not None}
