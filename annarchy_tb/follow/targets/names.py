"""Names that a server takes, in place of those of tags and parameters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

LONGEST = 120  # bytes, so that files may have these names, too
KEPT = 7000  # characters of a name that are kept at the server


class Names:
    """The names of tags or parameters at a server, each another one.

    Letters, digits, spaces and ``_ - . /`` are kept. For each name that had to be
    changed, the server has a tag with the original; so the names are the same whenever
    the run is followed again.

    Parameters
    ----------
    prefix
        Before a name, it gives that of the tag with the original.
    there
        The names that the server has.
    tags
        The tags that it has.
    """

    _prefix: str
    _names: dict[str, str]  # by the original
    _taken: set[str]
    _new: dict[str, str]  # the tags that the server does not have yet

    def __init__(
        self, prefix: str, there: Iterable[str], tags: Mapping[str, str]
    ) -> None:
        self._prefix = prefix
        self._names = {
            original: tag.removeprefix(prefix)
            for tag, original in tags.items()
            if tag.startswith(prefix)
        }
        self._taken = set(self._names.values())
        self._names.update((name, name) for name in there if name not in self._taken)
        self._taken.update(there)
        self._new = {}

    def get(self, original: str) -> str | None:
        """Return the name of what has one."""
        return self._names.get(_kept(original))

    def of(self, original: str, always: bool = False) -> str:
        """Return a name; it becomes a tag if it was changed, or `always`."""
        key = _kept(original)
        name = self._names.get(key)
        if name is None:
            free = (one for one in _candidates(original) if one not in self._taken)
            self._names[key] = name = next(free)
            self._taken.add(name)
            if always or name != original:
                self._new[self._prefix + name] = key
        return name

    def take_new(self) -> dict[str, str]:
        """Return the tags that the server does not have yet."""
        new, self._new = self._new, {}
        return new


def _kept(original: str) -> str:
    original = original.encode(errors="replace").decode().replace("\0", "\ufffd")
    if len(original) <= KEPT:
        return original
    return f"{original[:KEPT]}... ({_hash(original)})"


def _candidates(original: str) -> Iterator[str]:
    name = _clean(original)
    if len(name.encode()) <= LONGEST:
        yield name
    digest = _hash(original)
    short = name.encode()[: LONGEST - 10].decode(errors="ignore").rstrip("/ ")
    yield f"{short}-{digest[:8]}"
    yield f"{short[:40]}-{digest}"


def _clean(name: str) -> str:
    """Return a name with nothing but what is allowed; brackets are left out."""
    plain = re.sub(r"[()\[\]{}]", " ", name.replace("%", "percent"))
    plain = re.sub(r"[^\w./ -]", "_", plain)
    parts = (" ".join(part.split()) for part in plain.split("/"))
    return "/".join(part for part in parts if part.strip(".")) or "_"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
