"""The version is defined once, and all copies of it agree."""

from __future__ import annotations

import configparser
import re
from importlib import metadata
from pathlib import Path

import annarchy_tb

ROOT = Path(__file__).parent.parent


def test_the_installed_package_has_it() -> None:
    """pip reports the version of the package."""
    assert metadata.version("annarchy-tb") == annarchy_tb.__version__


def test_the_citation_has_it() -> None:
    """The citation file names this version."""
    text = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", text, re.MULTILINE) == [
        annarchy_tb.__version__
    ]


def test_the_newest_changes_are_its_own() -> None:
    """The first version heading of the changelog is this version."""
    text = (ROOT / "CHANGELOG.rst").read_text()
    newest = re.search(r"^(\d+\.\d+\S*).*\n-+$", text, re.MULTILINE)
    assert newest is not None
    assert newest[1] == annarchy_tb.__version__


def test_the_oldest_versions_are_the_bounds() -> None:
    """CI tests the lower bounds of setup.cfg for every package."""
    requirement = re.compile(r"^([\w-]+)[=>]=([\d.]+)", re.MULTILINE)
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    needed = setup["options"]["install_requires"].split("\n")[1:]
    bounds = dict(requirement.findall("\n".join(needed)))
    assert len(bounds) == len(needed), "each has a lower bound"
    oldest = dict(requirement.findall((ROOT / ".ci" / "oldest.txt").read_text()))
    assert {name: numbers(version) for name, version in oldest.items()} == {
        name: numbers(version) for name, version in bounds.items()
    }


def numbers(version: str) -> list[int]:
    """Return the numbers of a version without trailing zeros: 8.1.0 is 8.1."""
    found = [int(number) for number in version.split(".")]
    while found[-1] == 0:
        found.pop()
    return found
