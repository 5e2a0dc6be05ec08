"""Places: what ``--to`` names, and the targets that push there."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from annarchy_tb.follow.masking import masked
from annarchy_tb.follow.target import Target
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe, short

# The module and the class of each kind of target, imported when it is named.
TARGETS = {
    "csv": ("annarchy_tb.follow.targets.lines", "Csv"),
    "jsonl": ("annarchy_tb.follow.targets.lines", "JsonLines"),
    "mirror": ("annarchy_tb.follow.targets.mirror", "Mirror"),
    "mlflow": ("annarchy_tb.follow.targets.mlflow", "MLflow"),
    "wandb": ("annarchy_tb.follow.targets.wandb", "Wandb"),
}


class Place(NamedTuple):
    """Where to push: ``mlflow:http://server:5000``.

    Attributes
    ----------
    kind : str
        What comes before the first colon.
    place : str
        What comes after it, in full: see `Target.resolved`.
    target : type
        The class of its targets.
    """

    kind: str
    place: str
    target: type[Target]

    @property
    def shown(self) -> str:
        """The place as it may be written anywhere: without passwords."""
        return masked(f"{self.kind}:{self.place}")


def place(to: str | tuple[type[Target], str]) -> Place:
    """Return what ``--to`` names.

    Parameters
    ----------
    to
        ``"kind:place"``. The kind of a target that is not ours is its module and its
        class, as in ``"mylab.targets.Chat:room"``. Or the class and the place.

    Raises
    ------
    ValueError
        If there is no such target.
    ImportError
        If its module can't be imported.
    """
    if isinstance(to, tuple):
        target, where = to
        kind = f"{target.__module__}.{target.__qualname__}"
        return Place(kind, target.resolved(where), target)
    if not isinstance(to, str):
        raise TypeError(f"a target is a text such as 'jsonl:out', got {describe(to)}")
    kind, colon, where = to.partition(":")
    module, name = TARGETS.get(kind) or kind.rpartition(".")[::2]
    if not colon or not where or not module:
        allowed = ", ".join(f"{known}:..." for known in sorted(TARGETS))
        raise ValueError(
            f"a target is one of {allowed}, or your own as in mylab.Chat:room, got "
            f"{short(masked(to))}"
        )
    with importing:
        found = getattr(import_module(module), name, None)
    if not (isinstance(found, type) and issubclass(found, Target)):
        raise ValueError(f"{module} has no class {name!r} that is a Target")
    return Place(kind, found.resolved(where), found)
