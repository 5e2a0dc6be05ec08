"""The release as users get it: built, inspected, installed and tried.

It needs the network, so it is not part of the default tests: ``make test-wheel``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import annarchy_tb

# pip downloads the dependencies of the build and of the wheel.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parent.parent.parent


def said(*command: object, cwd: Path | None = None) -> str:
    """Run a command, which must succeed; return its output."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    run = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the sdist, and the wheel built from it."""
    dist = tmp_path_factory.mktemp("dist")
    said(sys.executable, "-m", "build", "--outdir", dist, ROOT)
    return dist


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """Return the wheel."""
    [wheel] = dist.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin directory of an environment with only the wheel."""
    environment = tmp_path_factory.mktemp("environment")
    said(sys.executable, "-m", "venv", environment)
    binaries = environment / "bin"
    said(binaries / "pip", "install", wheel)
    return binaries


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """Return the files in the repository."""
    files = set(said("git", "ls-files", cwd=ROOT).splitlines())
    assert {"LICENSE", "CITATION.cff", "annarchy_tb/py.typed"} <= files
    return files


def test_the_sdist_holds_all_that_the_repository_does(
    dist: Path, tracked: set[str]
) -> None:
    """Tests, docs, examples, licence: packagers need no other source."""
    [path] = dist.glob("annarchy_tb-*.tar.gz")
    with tarfile.open(path) as archive:
        files = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    assert tracked - files == {".gitignore"}
    made = {name for name in files - tracked if ".egg-info/" not in name}
    assert made == {"PKG-INFO"}


def test_the_wheel_holds_the_package_and_no_more(
    wheel: Path, tracked: set[str]
) -> None:
    """The wheel has all modules, sub-packages and py.typed, but no tests."""
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
    package = {name for name in tracked if name.startswith("annarchy_tb/")}
    assert {name for name in files if ".dist-info/" not in name} == package


def test_the_index_will_take_them(dist: Path) -> None:
    """Their metadata is valid, and their README can be rendered."""
    said(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())


def test_the_citation_is_valid() -> None:
    """It is valid according to the schema of the format."""
    said(Path(sysconfig.get_path("scripts")) / "cffconvert", "--validate", cwd=ROOT)


def test_the_installed_package_is_the_wheel(binaries: Path, tmp_path: Path) -> None:
    """It is not the checkout, has this version, and its requirements are compatible."""
    code = """
import annarchy_tb, importlib.metadata
print(annarchy_tb.__file__)
print(annarchy_tb.__version__)
print(importlib.metadata.version("annarchy-tb"))
"""
    place, *versions = said(binaries / "python", "-c", code, cwd=tmp_path).splitlines()
    assert Path(place).is_relative_to(binaries.parent)
    assert versions == [annarchy_tb.__version__] * 2
    said(binaries / "pip", "check")


def test_the_quickstart_runs_and_is_read_back(binaries: Path, tmp_path: Path) -> None:
    """Its runs can be read by TensorBoard's own reader, and by the command."""
    script = ROOT / "examples" / "tensorboard" / "quickstart.py"
    said(binaries / "python", "-W", "error", script, cwd=tmp_path)
    code = """
from pathlib import Path
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
for path in Path("runs").rglob("*tfevents*"):
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            print(value.tag, value.metadata.plugin_data.plugin_name)
"""
    found = said(binaries / "python", "-c", code, cwd=tmp_path).splitlines()
    assert found.count("Bars/Found scalars") == 100
    for point in ("Network/Input images", "Network/Inhibition histograms", "run text"):
        assert point in found
    listed = said(binaries / "annarchy-tb", "ls", cwd=tmp_path)
    [run] = (tmp_path / "runs").iterdir()
    assert run.name in listed
    assert "finished" in listed
    version = said(binaries / "annarchy-tb", "--version")
    assert annarchy_tb.__version__ in version
