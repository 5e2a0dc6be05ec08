"""Arrays, tensors and pictures of other packages, and lists of them, as NumPy's arrays.

No package is imported to recognise its objects: they are known by the protocols that
they follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.pictures import as_pixels, is_picture

# How an object gives its numbers to NumPy.
_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__", "__dlpack__")

# Types that NumPy reads as they are meant, in lists too.
_PLAIN = frozenset(
    {float, int, bool, complex, str, bytes, type(None), np.ndarray}
    | set(np.sctypeDict.values())
)
_DEEPEST = 64  # lists in lists: no array of NumPy's has more dimensions


class Refused(TypeError):  # noqa: N818 -- it is not the caller's error
    """A package does not give the numbers of its object, for the reason in the text."""


def because(error: Exception) -> str:
    """Return the reason if a package refused, for the end of an error message."""
    its = error if isinstance(error, Refused) else error.__cause__
    return f": {its}" if isinstance(its, Refused) else ""


def as_numpy(given: object) -> Any:
    """Return an array, tensor or picture as a NumPy array without a mask.

    Masked values become NaN. All other objects, and NumPy's scalars, are returned
    unchanged.

    Raises
    ------
    Refused
        If its package raises, whatever it raises.
    """
    if type(given) in _PLAIN:
        return given
    found = as_array(given)
    return filled(found) if isinstance(found, np.ndarray) else found


def as_array(given: object) -> Any:
    """Return an array, tensor or picture as `as_numpy` does, but with its mask."""
    try:
        return _converted(given)
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise Refused(reason) from error


def _converted(given: Any) -> Any:
    if isinstance(given, (np.ndarray, np.generic, type)):
        return given
    if is_picture(given):
        return as_pixels(given)
    if _is_missing(given):
        return np.array(np.nan)
    if not _has(given, _PROTOCOLS):
        return given
    for name in ("detach", "cpu", "resolve_neg"):  # torch's
        step = getattr(given, name, None)
        if callable(step):
            given = step()
    if hasattr(given, "__cuda_array_interface__") and hasattr(given, "get"):  # CuPy's
        given = given.get()
    if not _has(given, _PROTOCOLS[:-1]):
        return np.from_dlpack(given)
    try:
        return _asked(given)
    except TypeError:
        if not (hasattr(given, "is_floating_point") and given.is_floating_point()):
            raise
    return _asked(given.float())  # torch's types that NumPy does not have


def _asked(given: Any) -> NDArray[Any]:
    # TensorFlow's gives a scalar of bfloat16, which NumPy does not take by itself.
    return np.asarray(given.__array__() if hasattr(given, "__array__") else given)


def _has(given: object, names: Sequence[str]) -> bool:
    return any(hasattr(given, name) for name in names)


def _is_missing(given: object) -> bool:
    """Return whether an object is pandas.NA."""
    kind = type(given)
    return kind.__name__ == "NAType" and kind.__module__.startswith("pandas.")


def mask_of(array: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return the mask of an array, None if no value is masked."""
    # The module numpy.ma is not looked at: another thread may be importing it.
    mask = None if type(array) is np.ndarray else getattr(array, "mask", None)
    if isinstance(mask, (np.ndarray, np.bool_)) and mask.dtype == np.bool_:
        return np.broadcast_to(mask, array.shape) if mask.any() else None
    return None


def filled(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array with NaN for its masked values, and float64 for numbers."""
    mask, plain = mask_of(array), np.asarray(array)
    if mask is None:
        return plain
    kind = plain.dtype.kind
    copy = plain.copy() if kind in "cmMOSU" else plain.astype(np.float64)
    copy[mask] = "NaT" if kind in "mM" else np.nan
    return copy


# -- lists -----------------------------------------------------------------------------


def unnested(given: object) -> Any:
    """Return `given` by `as_numpy`, or each item of lists of any depth."""
    if not is_nest(given):
        return as_numpy(given)
    return given if plain_types(given) else [unnested(item) for item in given]


def is_nest(given: object) -> TypeGuard[Sequence[Any]]:
    """Return whether an object is a list, or a sequence like one."""
    if isinstance(given, (list, tuple)):
        return True
    return (
        isinstance(given, Sequence)
        and not isinstance(given, (str, range))
        and not _has(given, _PROTOCOLS)
        and not _has_buffer(given)
    )


def plain_types(nest: Any) -> set[type]:
    """Return the types in nested lists, if NumPy reads them as they are meant.

    If it does not, the set is empty; if the lists are, it is that of None.
    """
    for level in _levels(nest):
        kinds = set(map(type, level))  # of long lists, a loop would take too long
        if not kinds:
            return {type(None)}
        if not kinds <= {list, tuple}:
            return kinds if kinds <= _PLAIN else set()
    return set()


def _levels(nest: Any) -> Iterator[Any]:
    """Yield the items of nested lists, those of the items, and so on."""
    for depth in range(_DEEPEST):
        level = nest
        for _ in range(depth):
            level = chain.from_iterable(level)
        yield level


def is_opaque(given: object) -> bool:
    """Return whether an object has items, but is neither a list nor an array.

    NumPy would never finish converting Brian2's Synapses, for example, since their
    items are Synapses again.
    """
    if isinstance(given, (Sequence, Mapping)) or not hasattr(given, "__getitem__"):
        return False
    return not (_has(given, _PROTOCOLS) or is_picture(given) or _has_buffer(given))


def _has_buffer(given: Any) -> bool:
    try:
        memoryview(given).release()
    except TypeError:
        return False
    return True
