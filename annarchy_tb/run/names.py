"""Names of runs and curves that are safe in any file system."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence

from annarchy_tb.inputs.importing import importing
from annarchy_tb.tfevents.names import harmless, host, is_recording

RUN_JSON, CHECKPOINTS, SOURCE = "run.json", "checkpoints", "source"
PARENT, PARENT_STEPS = "parent.zip", "parent.json"  # among the checkpoints
OWN = ".annarchy_tb"  # beside runs: what is known of them that is not theirs
RESERVED = frozenset({RUN_JSON, CHECKPOINTS, SOURCE, OWN})
LONGEST = 100  # bytes of a curve's directory name, far below the usual 255


def default_run() -> str:
    """Return the name for a run without a given one: ``Nov20_14-11-22_myhost``."""
    return f"{time.strftime('%b%d_%H-%M-%S')}_{host()}"


def is_reserved(parts: Sequence[str]) -> bool:
    """Return whether a path within a run is one of the run's own, on any system."""
    folded = [part.casefold() for part in parts]
    return (
        folded[0] in (CHECKPOINTS, SOURCE)
        or RUN_JSON in folded
        or is_recording(folded[-1])
        or any(harmless(part) != part for part in folded)
    )


def is_taken(name: str) -> bool:
    """Return whether a run gives a name in its directory to its own files."""
    folded = name.casefold()
    return folded in RESERVED or is_recording(folded)


def curve(key: str, others: Iterable[str] = ()) -> str:
    """Return the directory name of a curve: its key, if that is a safe name.

    Letters, digits, spaces and ``_ - + = , . @ ( )`` are kept. If the key had to be
    changed, a hash of it is appended, so that different keys never share a directory.

    Parameters
    ----------
    key
        The key.
    others
        Names that it must differ from in more than case, if it is not one of them:
        those in the same directory, if its file system ignores case.
    """
    name = re.sub(r"[^\w \-+=,.@()]", "_", key)
    name = harmless(name).encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
    if (
        name == key
        and name.strip(" .") == name != ""
        and not is_taken(name)
        and not any(
            other != name and other.casefold() == name.casefold() for other in others
        )
    ):
        return name
    with importing:
        import hashlib

    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name.strip(' .') or 'curve'}-{digest}"
