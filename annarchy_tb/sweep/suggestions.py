"""Suggestions of parameters by hyperopt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from annarchy_tb.inputs.importing import importing
from annarchy_tb.kinds.parameters import flatten

Params = dict[str, Any]


class Suggestions:
    """A search by hyperopt: suggests parameters, and learns from their losses.

    Parameters
    ----------
    space, seed, algo
        As in `sweep`.
    """

    _hyperopt: Any  # the module
    _algo: Callable[..., list[Any]]
    _space: Any
    _seed: int
    _domain: Any
    _trials: Any
    _docs: dict[int, Any]  # hyperopt's, by number
    _next: int  # the number of the next parameters

    def __init__(
        self, space: Any, seed: int, algo: Callable[..., list[Any]] | None = None
    ) -> None:
        try:
            with importing:
                import hyperopt
                from hyperopt.base import Domain
        except ImportError:
            raise ImportError(
                "sweep needs hyperopt: pip install 'annarchy-tb[sweep]'"
            ) from None
        if isinstance(space, Mapping) and not space:
            raise ValueError("space must hold at least one parameter, but is empty")
        self._hyperopt = hyperopt
        self._algo = algo or hyperopt.tpe.suggest
        self._space = space
        self._seed = seed
        self._domain = Domain(lambda params: 0.0, space)
        self._trials = hyperopt.Trials()
        self._docs = {}
        self._next = 0

    def printed(self) -> list[str]:
        """Return the lines of the space as hyperopt prints it.

        Equal spaces have equal lines: numbers that are whole have no point, and there
        are no addresses.
        """
        return list(_printed(self._domain.expr))

    def ask(self) -> tuple[int, Params, dict[str, Any]]:
        """Return a number, parameters, and the choices that `restore` needs."""
        number = self._next
        random = np.random.default_rng([self._seed, number])
        seed = int(random.integers(2**31 - 1))
        [doc] = self._algo([number], self._domain, self._trials, seed)
        choices = {
            name: _plain(found[0])
            for name, found in doc["misc"]["vals"].items()
            if len(found)
        }
        self._enter(doc)
        return number, self.parameters(choices), choices

    def restore(self, number: int, choices: dict[str, Any]) -> Params:
        """Enter an earlier suggestion again; return its parameters.

        Raises
        ------
        ValueError
            If they do not belong to this space.
        """
        labels = self._domain.params  # including those that these choices don't need
        misc = {
            "tid": number,
            "cmd": self._domain.cmd,
            "workdir": None,
            "idxs": {name: [number] if name in choices else [] for name in labels},
            "vals": {n: [choices[n]] if n in choices else [] for n in labels},
        }
        new = {"status": self._hyperopt.STATUS_NEW}
        [doc] = self._trials.new_trial_docs([number], [None], [new], [misc])
        params = self.parameters(choices)
        self._enter(doc)
        return params

    def _enter(self, doc: Any) -> None:
        doc["state"] = self._hyperopt.JOB_STATE_RUNNING
        self._trials.insert_trial_docs([doc])
        self._trials.refresh()
        number = doc["tid"]
        self._docs[number] = next(
            there for there in self._trials.trials if there["tid"] == number
        )
        self._next = max(self._next, number + 1)

    def tell(self, number: int, loss: float | None) -> None:
        """Enter the loss of a suggestion, None if it failed."""
        ok = loss is not None and math.isfinite(loss)
        doc = self._docs[number]
        doc["state"] = self._hyperopt.JOB_STATE_DONE
        doc["result"] = (
            {"status": self._hyperopt.STATUS_OK, "loss": loss}
            if ok
            else {"status": self._hyperopt.STATUS_FAIL}
        )
        self._trials.refresh()

    def best(self) -> tuple[Params, float] | None:
        """Return the best parameters and their loss, None if there are none."""
        told = [
            (doc["result"]["loss"], number)
            for number, doc in self._docs.items()
            if doc["result"].get("status") == self._hyperopt.STATUS_OK
        ]
        if not told:
            return None
        loss, number = min(told)
        vals = self._docs[number]["misc"]["vals"]
        return self.parameters({n: v[0] for n, v in vals.items() if len(v)}), loss

    def parameters(self, choices: dict[str, Any]) -> Params:
        """Return the parameters given by some choices.

        Raises
        ------
        ValueError
            If they do not belong to this space.
        """
        try:
            if not set(choices) <= set(self._domain.params):
                raise KeyError
            found = self._hyperopt.space_eval(self._space, choices)
        except Exception as error:  # any exception of hyperopt
            raise ValueError(
                f"parameters must belong to this space, got {choices}"
            ) from error
        return dict(found) if isinstance(found, Mapping) else {"x": found}


def _printed(node: Any, indent: str = "") -> Iterator[str]:
    if hasattr(node, "obj"):  # a literal
        yield f"{indent}{_text(node.obj)}"
        return
    yield f"{indent}{node.name}"
    for argument in node.pos_args:
        yield from _printed(argument, f"{indent}  ")
    for name, argument in node.named_args:
        yield f"{indent}  {name} ="
        yield from _printed(argument, f"{indent}    ")


def _text(literal: object) -> str:
    return ", ".join(
        repr(int(plain) if isinstance(plain, float) and plain.is_integer() else plain)
        for plain in flatten({"": literal}).values()
    )


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
