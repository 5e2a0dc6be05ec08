"""Importing the package is light: what is slow is imported when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import load

import annarchy_tb


def loaded(code: str) -> set[str]:
    """Return the modules that a new process has loaded after some code."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_the_package_alone_needs_no_numpy() -> None:
    """Its version can be asked for at once."""
    found = loaded("import annarchy_tb; annarchy_tb.__version__; dir(annarchy_tb)")
    own = {name for name in found if name.partition(".")[0] == "annarchy_tb"}
    assert own == {"annarchy_tb"}
    assert "numpy" not in found


def test_the_logger_needs_little_beside_numpy() -> None:
    """Not even what it needs itself once there is a run."""
    found = loaded("from annarchy_tb import Logger")
    assert "numpy" in found
    slow = {
        *("PIL", "dataclasses", "email", "importlib.metadata", "json", "matplotlib"),
        *("pandas", "subprocess", "tensorboard", "tensorboardX", "torch", "tqdm"),
        *("google.protobuf", "wave", "annarchy_tb.reading", "annarchy_tb.writer"),
    }
    new = found - loaded("import numpy")
    assert not slow & new


@pytest.mark.parametrize("name", annarchy_tb.__all__)
def test_every_name_is_there(name: str) -> None:
    """In a new process, whichever is used first."""
    loaded(f"import annarchy_tb; assert '{name}' in dir(annarchy_tb)")
    loaded(f"from annarchy_tb import {name}")


def test_a_name_that_is_missing_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        annarchy_tb.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("module", "inner"),
    [("numpy.ma", "numpy.ma.core"), ("matplotlib.figure", "matplotlib.layout_engine")],
)
def test_a_call_may_come_while_a_module_is_imported(
    module: str, inner: str, tmp_path: Path
) -> None:
    """A module that is only half imported, as by another thread, stops no call."""
    if module in loaded("import numpy"):
        pytest.skip(f"this NumPy imports {module} itself")
    loaded(f"""
import importlib
from annarchy_tb import Logger
from annarchy_tb.hooks.sampling import Sampler

class Finder:
    def find_spec(self, name, *_):
        if name == {inner!r}:
            assert {module!r} in sys.modules
            sampler(0)
            logger.add_scalar("scalar", 1.0)
            called.append(name)

called = []
with Logger({str(tmp_path)!r}, "run") as logger:
    sampler = Sampler(logger, {{"array": lambda: [1.0, 2.0]}})
    sys.meta_path.insert(0, Finder())
    importlib.import_module({module!r})
assert called
""")
    assert {point.tag for point in load(tmp_path / "run")} == {"array", "scalar"}


def test_what_a_logger_reads_needs_nothing_that_numpy_imports_late(
    tmp_path: Path,
) -> None:
    """NumPy imports numpy.ma in np.unique, and a fork does not wait for that."""
    found = loaded(f"""
from annarchy_tb import Logger, Run
for mode in ("x", "a"):
    with Logger({str(tmp_path)!r}, "run", mode=mode) as logger:
        for tag in 30 * ["a", "b", "longer"]:
            logger.add_scalar(tag, 1.0)
            logger.add_scalars("plot", {{tag: 1.0}})
        logger.add_series("series", [1.0, 2.0])
        logger.save_checkpoint(1, 1)
list(Run({str(tmp_path / "run")!r}).points())
""")
    if "numpy.ma" in loaded("import numpy"):
        pytest.skip("this NumPy imports it itself")
    assert "numpy.ma" not in found
