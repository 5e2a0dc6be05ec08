"""The version stands in one place; where it is repeated, it is the same."""

from __future__ import annotations

import configparser
import re
from importlib import metadata
from pathlib import Path

import annarchy_tb

ROOT = Path(__file__).parent.parent


def test_the_installed_package_has_it() -> None:
    """What pip says is what the package says."""
    assert metadata.version("annarchy-tb") == annarchy_tb.__version__


def test_the_citation_has_it() -> None:
    """Who cites the package cites this version."""
    text = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", text, re.MULTILINE) == [
        annarchy_tb.__version__
    ]


def test_the_newest_changes_are_its_own() -> None:
    """The first heading of the changelog that is a version is this one."""
    text = (ROOT / "CHANGELOG.rst").read_text()
    newest = re.search(r"^(\d+\.\d+\S*).*\n-+$", text, re.MULTILINE)
    assert newest is not None
    assert newest[1] == annarchy_tb.__version__


def test_the_oldest_versions_are_the_bounds() -> None:
    """CI tests with those that setup.cfg allows, of every package it names."""
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
    """Return a version's numbers, without zeros at its end: 8.1.0 is 8.1."""
    found = [int(number) for number in version.split(".")]
    while found[-1] == 0:
        found.pop()
    return found
