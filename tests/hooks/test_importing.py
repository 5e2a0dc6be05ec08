"""The hooks without any simulator installed."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import annarchy_tb.hooks

HOOKS = sorted(
    module.name for module in pkgutil.iter_modules(annarchy_tb.hooks.__path__)
)


def test_no_hook_imports_its_framework() -> None:
    """Importing a hook, or all of them, imports no simulator."""
    assert {"annarchy", "ase", "brian2", "mesa", "nengo", "openmm", "simpy"} < {*HOOKS}
    code = f"""
import sys
for hook in {HOOKS}:
    __import__("annarchy_tb.hooks." + hook)
heavy = {{"ANNarchy", "ase", "brian2", "mesa", "nengo", "openmm", "simpy"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
