"""Features that need a missing package name its pip command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from annarchy_tb import Logger
from annarchy_tb.cli import main


def test_without_pandas_the_error_names_what_to_install(logdir: Path) -> None:
    """Only functions that return DataFrames need it."""
    code = f"""
import sys
sys.modules["pandas"] = None
from annarchy_tb import Logger, Run, find_runs
with Logger({str(logdir)!r}, "run") as logger:
    logger.add_scalar("a", 1)
run = Run({str(logdir / "run")!r})
print(run.scalars("a").values)
runs = find_runs({str(logdir)!r})
for what in (run, run.scalars("a"), runs):
    try:
        what.to_pandas()
    except ImportError as error:
        print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.count("pip install 'annarchy-tb[pandas]'") == 3


@pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
def test_without_pyarrow_parquet_names_what_to_install(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The error is one line without a traceback, and no file is left."""
    Logger(logdir, "run").close()
    output = logdir.parent / "out.parquet"
    monkeypatch.setitem(sys.modules, missing, None)
    command = ["export", str(logdir / "run"), "--format", "parquet", "-o", str(output)]
    said = CliRunner().invoke(main, command)
    assert said.exit_code == 1
    assert said.output.startswith("Error: annarchy-tb export --format parquet needs p")
    assert "pip install 'annarchy-tb[pandas]'" in said.output
    assert not output.exists()


def test_without_hyperopt_the_error_names_what_to_install(tmp_path: Path) -> None:
    """Only sweeps need it."""
    code = """
import sys
sys.modules["hyperopt"] = None
from annarchy_tb.sweep import sweep
sweep(None, {})
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert "pip install 'annarchy-tb[sweep]'" in run.stderr
    assert not list(tmp_path.iterdir())
