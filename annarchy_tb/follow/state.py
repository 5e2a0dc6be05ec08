"""State: how far a run was pushed to a place, kept in a file."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annarchy_tb.reading.news import Position
from annarchy_tb.run.atomic import replacing
from annarchy_tb.run.names import OWN, curve

FILE = "state.json"


def folder(run: Path, place: str) -> Path:
    """Return the directory of the state of a run at a place.

    It is beside the run, so that it is the same whether the run or a directory of runs
    is followed. TensorBoard and `find_runs` find nothing in it.
    """
    return run.parent / OWN / "follow" / curve(place) / curve(run.name)


def folders(logdir: Path) -> Iterator[Path]:
    """Yield the directories of all states of runs below a directory, or of a run."""
    beside = (logdir.parent / OWN / "follow").glob(f"*/{curve(logdir.name)}/{FILE}")
    yield from sorted(file.parent for file in beside)
    for path, inside, _ in os.walk(logdir):
        if OWN in inside:
            inside.remove(OWN)
            found = Path(path, OWN, "follow").glob(f"*/*/{FILE}")
            yield from sorted(file.parent for file in found)


@dataclass
class State:
    """How far a run was pushed to a place.

    Attributes
    ----------
    folder : Path
        The directory of the file.
    run : str
        The absolute path of the run.
    target : str
        The place, without passwords.
    position : dict or None
        Where the next news begins.
    kept : dict
        What the target remembers.
    previous : dict or None
        What it remembered of the run at the place in whose stead another one began.
    begun : bool
        Whether `kept` is that of a run that has begun.
    pushed, thinned, refused : int
        How many points were pushed, left out for being too many, and left out because
        the place does not take them.
    damaged : int
        In how many places the files of the run can't be read.
    error : str or None
        The last error, until something is pushed again.
    ended : str or None
        How the run ended, when all of it was pushed.
    seen : list or None
        What the run was like then, to see whether it has continued.
    """

    folder: Path
    run: str = ""
    target: str = ""
    position: Position | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] | None = None
    begun: bool = False
    pushed: int = 0
    thinned: int = 0
    refused: int = 0
    damaged: int = 0
    error: str | None = None
    ended: str | None = None
    seen: list[Any] | None = None

    @classmethod
    def read(cls, folder: Path) -> State:
        """Return the state in a directory; a new one if there is none.

        Raises
        ------
        OSError, ValueError
            If it can't be read.
        """
        try:
            said = json.loads((folder / FILE).read_bytes())
        except FileNotFoundError:
            return cls(folder)
        except ValueError:
            said = None
        if (
            not isinstance(said, dict)
            or not isinstance(said.get("kept"), dict)
            or not isinstance(said.get("position") or {}, dict)
        ):
            raise ValueError(f"{folder / FILE} is damaged")
        state = cls(folder)
        for name in _SAVED:
            if name in said:
                setattr(state, name, said[name])
        return state

    def save(self) -> None:
        """Write the state at once, so that it is the old one or the new one."""
        said = {name: getattr(self, name) for name in _SAVED}
        text = json.dumps(said, ensure_ascii=False, indent=1)
        with replacing(self.folder / FILE) as stream:
            stream.write(text.encode("utf-8", "surrogatepass") + b"\n")

    def forget(self) -> None:
        """Forget all that was pushed."""
        self.kept, self.previous, self.begun = {}, None, False
        self.position, self.pushed, self.thinned, self.refused = None, 0, 0, 0
        self.ended = None
        self.save()

    def start_over(self, position: Position) -> None:
        """Begin again at the beginning of the run, with another run at the place."""
        if self.begun:  # else the other one has not begun yet
            self.previous, self.kept, self.begun = self.kept, {}, False
        self.position, self.pushed, self.thinned, self.refused = position, 0, 0, 0
        self.ended = None
        self.save()


_SAVED = [field.name for field in dataclasses.fields(State) if field.name != "folder"]
