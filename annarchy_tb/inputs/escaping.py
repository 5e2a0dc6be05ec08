"""Texts of anybody, for whoever shows them."""

from __future__ import annotations

import unicodedata


def escaped(text: object, keep: str = "", most: int | None = None) -> str:
    r"""Return a text as a terminal or a page may get it.

    Names, parameters and errors of a run may be anybody's. Characters that a terminal
    acts on, or that change the order of others, are written as in Python: ``\x1b``.

    Parameters
    ----------
    text
        The text.
    keep
        Characters to keep all the same, such as line breaks.
    most
        How many characters are shown; the rest is left out.
    """
    its = str(text)
    if most is not None and len(its) > most:
        its = f"{its[:most]}..."
    if its.isprintable():
        return its
    return "".join(
        one
        if one.isprintable() or one in keep or unicodedata.category(one) == "Zs"
        else one.encode("unicode_escape").decode()
        for one in its
    )
