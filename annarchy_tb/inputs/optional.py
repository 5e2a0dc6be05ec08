"""Imports of packages that are optional, or slow to import."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from annarchy_tb.inputs.importing import importing


def optional(module: str, caller: str, install: str) -> Any:
    """Import a module at the point of use.

    Raises
    ------
    ImportError
        If it is missing; the error says how to install it.
    """
    try:
        with importing:
            return import_module(module)
    except ImportError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # the module exists, but something it needs is missing
        name = module.partition(".")[0]
        raise ImportError(f"{caller} needs {name}: pip install {install}") from None
