"""The code in the README, the docs and the docstrings works as shown."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

pytest.importorskip("sybil", reason="needs annarchy-tb[test]")

from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.rest import (
    CodeBlockParser,
    DocTestParser,
    PythonCodeBlockParser,
    SkipParser,
)

import annarchy_tb
from annarchy_tb import Logger, Run, find_runs

mpl.use("agg")

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "docs" / "guide" / "sweeps.rst"  # one script, in a separate process
SIMULATORS = sorted((ROOT / "docs" / "simulators").glob("*.rst"))
NEEDS = {  # other packages than the name of the page
    "index": ("ANNarchy",),
    "annarchy": ("ANNarchy",),
    "callbacks": ("scipy", "emcee", "pymoo"),
}
PAGES = sorted({*ROOT.glob("docs/**/*.rst")} - {SCRIPT, *SIMULATORS})
PAGES.insert(0, ROOT / "README.rst")
MODULES = sorted((ROOT / "annarchy_tb").rglob("*.py"))


def run_commands(example: Any) -> None:
    """Run this package's commands on a page, each separately."""
    binaries = Path(sys.executable).parent
    for command in example.parsed.splitlines():
        if command.startswith("annarchy-tb view"):
            look(*shlex.split(command, comments=True)[2:])
        elif command.startswith("annarchy-tb"):
            subprocess.run(f"{binaries}/{command}", shell=True, check=True)


def look(*arguments: str) -> None:
    """Start ``annarchy-tb view``, which prints an address, and end it."""
    for path in arguments:
        Path(path).mkdir(parents=True, exist_ok=True)
    command = [Path(sys.executable).parent / "annarchy-tb", "view", *arguments]
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline()
        process.terminate()
    assert address.startswith("http://localhost:")
    assert process.returncode == 0


SYBIL = Sybil(
    parsers=[
        CodeBlockParser("bash", run_commands),
        DocTestParser(),
        PythonCodeBlockParser(),
        SkipParser(),
    ],
    document_types={".py": PythonDocStringDocument},
    path=str(ROOT),
)


def examples(path: Path) -> list[Any]:
    """Return the code of a page or a module's docstrings, block by block."""
    return list(SYBIL.parse(path).examples())


def has_code(path: Path) -> bool:
    """Return whether there is any code."""
    return bool(re.search(r"code-block:: python|^ *>>> ", path.read_text(), re.M))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to an empty directory, and restore the signal handler afterwards."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", [*filter(has_code, PAGES)], ids=name)
def test_the_code_of_a_page_runs(page: Path) -> None:
    """All of it runs from top to bottom, as a reader would type it."""
    if page.stem == "data":
        pytest.importorskip("moviepy", reason="needs moviepy 2; Python 3.11 has it")
    found = examples(page)
    assert found
    for example in found:
        example.evaluate()


@pytest.mark.filterwarnings("ignore:.* deprecated:DeprecationWarning")  # Brian2's own
@pytest.mark.parametrize("page", SIMULATORS, ids=name)
def test_the_code_about_a_simulator_runs(page: Path) -> None:
    """It runs with the simulator itself."""
    for simulator in NEEDS.get(page.stem, (page.stem,)):
        pytest.importorskip(simulator, reason=f"needs {simulator}; make hooks runs it")
    for example in examples(page):
        example.evaluate()


@pytest.mark.parametrize("module", [*filter(has_code, MODULES)], ids=name)
def test_the_code_of_a_docstring_runs(module: Path) -> None:
    """The results shown are correct, too."""
    found = examples(module)
    assert found
    for example in found:
        example.namespace.update(
            net=SimpleNamespace(simulate=lambda duration: None),
            pop=SimpleNamespace(r=np.eye(10)),
            accuracy=0.5,
        )
        example.evaluate()


def test_a_signal_ends_the_run_as_the_docs_say(here: Path) -> None:
    """With the handler of docs/guide/runs.rst, SIGTERM leaves a failed run."""
    page = examples(ROOT / "docs" / "guide" / "runs.rst")
    [handler] = [one for one in page if "SIGTERM" in str(one.parsed)]
    (here / "job.py").write_text(
        f"""{handler.parsed}
import os, time
from annarchy_tb import Logger
with Logger(experiment="job"):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
"""
    )
    assert subprocess.run([sys.executable, "job.py"]).returncode == 143
    assert Run("runs/job").status == "failed"


def test_the_sweep_of_the_docs_runs(here: Path) -> None:
    """The script of docs/guide/sweeps.rst runs as a user would save it."""
    pytest.importorskip("hyperopt", reason="needs annarchy-tb[sweep]")
    block, changed, *_ = (str(example.parsed) for example in examples(SCRIPT))
    (here / "script.py").write_text(block)
    subprocess.run([sys.executable, "script.py"], check=True)
    runs = find_runs("runs/sweep", status="finished")
    assert len(runs) == 20
    assert min(run.metrics["loss"] for run in runs) < 3
    definitions, main, _ = block.partition('if __name__ == "__main__":')
    assert main
    (here / "script.py").write_text(f"{definitions}{changed}")
    subprocess.run([sys.executable, "script.py"], check=True)
    assert len(find_runs("runs/sweep", status="finished")) == 25


def test_the_glance_gives_the_signatures_as_they_are() -> None:
    """Every call of the API at a glance exists, with its arguments in order."""
    glance = (ROOT / "docs" / "api.rst").read_text().split("\nWriting\n")[0]
    glance = re.sub(r",\n +", ", ", glance)  # calls that take two lines
    calls = re.findall(r"^    (\w+)\((.*?)\) *(?:#.*)?$", glance, re.MULTILINE)
    assert len(calls) > 10
    for name, arguments in calls:
        function = Logger if name == "Logger" else getattr(Logger, name)
        parameters = inspect.signature(function).parameters
        names = [p for p in parameters if p not in ("self", "time")]
        plain = re.sub(r"\{.*?\}", "dict", arguments).replace("*, ", "")
        for wanted, argument in zip(names, plain.split(", "), strict=True):
            key, _, default = argument.partition("=")
            assert wanted == key or argument == "dict", name
            if default:
                shown = repr(parameters[key].default).strip("'")
                assert shown == default.strip('"'), name


def test_no_code_of_the_docs_stands_where_it_is_not_run() -> None:
    """Python is in code-blocks, never in a bare literal block."""
    for page in [*PAGES, *SIMULATORS, SCRIPT]:
        assert not re.search(r"::\n\n +(from|import|with) ", page.read_text()), page


def imports(path: Path) -> set[str]:
    """Return the package's modules that a module imports, wherever it does so."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_the_rooms_are_as_the_design_draws_them() -> None:
    """docs/design.rst lists each module, and a module imports from below it only."""
    page = (ROOT / "docs" / "design.rst").read_text().split("The rooms")[1]
    listing = page.split(".. code-block:: text")[1].split("What decides")[0]
    drawn = re.findall(r"^    ( *)([a-z0-9_/]+)(?:  .*)?$", listing, re.MULTILINE)
    wing, rooms = "", []
    for inside, name in drawn:
        if name.endswith("/"):
            wing = name
        else:
            rooms.append(wing + name if inside else name)
    package = ROOT / "annarchy_tb"
    modules = {
        path.relative_to(package).with_suffix("").as_posix(): path
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    assert sorted(rooms) == sorted(modules)
    names = {room: "annarchy_tb." + room.replace("/", ".") for room in rooms}
    for level, room in enumerate(rooms):
        found = imports(modules[room])
        for above in rooms[:level]:
            assert names[above] not in found, f"{room} imports {above}"


def public(thing: Any, prefix: str) -> Iterator[str]:
    """Yield the full names of all public callables, including methods."""
    yield prefix
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if not name.startswith("_") and (
                inspect.isfunction(member) or isinstance(member, property)
            ):
                yield f"{prefix}.{name}"


def test_every_public_name_is_in_the_api(here: Path) -> None:
    """Every public name has an entry in the reference, and a docstring."""
    pytest.importorskip("furo", reason="needs annarchy-tb[docs]; make docs runs it")
    subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html"),
            *(str(ROOT / "docs"), str(here / "html")),
        ],
        check=True,
    )
    html = (here / "html" / "api.html").read_text()
    entries = set(re.findall(r'<dt class="sig[^"]*" id="([\w.]+)"', html))
    from annarchy_tb import hooks, measures, reading, sweep, windows

    offered: list[tuple[ModuleType, str]] = [
        *((annarchy_tb, name) for name in annarchy_tb.__all__),
        *((sweep, name) for name in ("sweep", "logged", "Result")),
        (windows, "Window"),
        (measures, "memory"),
        (measures, "speed"),
        (reading, "Last"),
        *((hooks, name) for name in hooks.__all__),
    ]
    for module in pkgutil.iter_modules(hooks.__path__, f"{hooks.__name__}."):
        hook = import_module(module.name)
        offered += [
            (hook, name)
            for name, thing in vars(hook).items()
            if inspect.isfunction(thing)
            and thing.__module__ == hook.__name__
            and hook.__name__.rpartition(".")[2] not in ("pictures", "sampling")
            and not name.startswith("_")
        ]
    for module, attribute in offered:
        thing = getattr(module, attribute)
        for full in public(thing, f"{module.__name__}.{attribute}"):
            assert full in entries, full
