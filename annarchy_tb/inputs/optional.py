"""Import packages that are optional, or too heavy to import before they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def optional(module: str, caller: str, install: str) -> Any:
    """Import a module at the point of use.

    Raises
    ------
    ImportError
        If it is missing; the error names what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # the module is there, and something that it needs is not
        name = module.partition(".")[0]
        raise ImportError(f"{caller} needs {name}: pip install {install}") from None
