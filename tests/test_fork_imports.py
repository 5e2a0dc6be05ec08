"""A fork waits for the imports of this package that other threads have begun."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import annarchy_tb

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

PACKAGE = Path(annarchy_tb.__file__).parent

# A thread makes a call that imports a module; the process is forked meanwhile, and the
# forked process makes the same call.
FORKS = """
import faulthandler, importlib, logging, os, signal, sys, threading, time
import numpy as np
import annarchy_tb
{before}
if {module!r} in sys.modules:  # older versions of NumPy import all of it
    sys.exit()
begun = threading.Event()

class Slow:
    def find_spec(self, name, *_):
        if name == {module!r} and not begun.is_set():
            begun.set()
            time.sleep(0.3)
            logging.getLogger("other")  # has a lock of its own, which a fork takes

def call():
    {call}

sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=call)
thread.start()
assert begun.wait(60)
child = os.fork()
if not child:
    signal.alarm(40)
    call()
    os._exit(0)
_, status = os.waitpid(child, 0)
thread.join()
assert status == 0, status
"""
LOGGER = "from annarchy_tb import Logger\nlogger = Logger(sys.argv[1], 'run')"
MIXED = "for tag in 'ab' * 50: logger.add_scalar(tag, 1)\nfrom annarchy_tb import Run"
CALLS = {
    "tensorboardX.writer": "logger.writer.add_scalar(str(os.getpid()), 1)",
    "annarchy_tb.writer": "logger.writer",
    "annarchy_tb.reading.last": "logger.last.get('a')",
    "nh3": "logger.add_html(str(os.getpid()), '<p>said')",
    "wave": "logger.add_audio(str(os.getpid()), np.zeros(100))",
    "isal": "logger.add_image(str(os.getpid()), np.zeros((2, 2)))",
    "numpy.random": "Run(sys.argv[1] + '/run').tags()",
    "annarchy_tb.logger": "annarchy_tb.Logger",
    "annarchy_tb.tfevents": "annarchy_tb.Logger(sys.argv[1], str(os.getpid()))",
    "annarchy_tb.reading": "annarchy_tb.Run",
    "matplotlib.figure": "importlib.import_module('annarchy_tb.inputs.optional')"
    ".optional('matplotlib.figure', 'a', 'b')",
}


def run(code: str, *arguments: str) -> None:
    """Run code in a process that must end well, long before a fork's patience ends."""
    command = [sys.executable, "-c", code, *arguments]
    subprocess.run(command, check=True, timeout=55)


@pytest.mark.parametrize("module", CALLS)
def test_a_process_forked_during_an_import_can_import(
    module: str, tmp_path: Path
) -> None:
    """It does not wait for a thread that it does not have."""
    call = CALLS[module]
    before = "" if "annarchy_tb." in call else f"{LOGGER}\n{MIXED}"
    run(FORKS.format(module=module, call=call, before=before), str(tmp_path))


def test_a_module_may_fork_while_it_is_imported(tmp_path: Path) -> None:
    """The thread does not wait for itself, and both processes go on to import."""
    run(
        f"""
import os, sys
{LOGGER}
class Forks:
    def find_spec(self, name, *_):
        if name == "tensorboardX.writer":
            children.append(os.fork())

children = []
sys.meta_path.insert(0, Forks())
logger.writer.add_scalar(str(os.getpid()), 1)
if not children[0]:
    os._exit(os.fork() and os.waitpid(-1, 0)[1])
assert os.waitpid(children[0], 0)[1] == 0
""",
        str(tmp_path),
    )


def test_many_forks_and_imports_at_once_all_end() -> None:
    """Threads import and fork, and so do the forked processes."""
    run(
        """
import os, threading
from annarchy_tb.inputs.importing import importing

def work(depth):
    for _ in range(50):
        with importing, importing:
            import json
        child = os.fork()
        if not child:
            with importing:
                import json
            if depth:
                work(0)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

threads = [threading.Thread(target=work, args=(i == 0,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    )


def test_a_fork_does_not_wait_for_ever() -> None:
    """An import may need what the forking thread holds; then it is as without us."""
    run(
        """
import os, threading
from annarchy_tb.inputs import importing as module
from annarchy_tb.inputs.importing import importing

module.PATIENCE = 0.1
begun, forked = threading.Event(), threading.Event()

def work():
    with importing:
        begun.set()
        forked.wait()

thread = threading.Thread(target=work)
thread.start()
begun.wait()
child = os.fork()
with importing:
    pass
if not child:
    os._exit(0 if os.fork() == 0 or os.wait()[1] == 0 else 1)
assert os.waitpid(child, 0)[1] == 0
forked.set()
thread.join()
assert os.fork() == 0 or os.wait()[1] == 0
"""
    )


def late_imports(tree: ast.AST) -> list[str]:
    """Return the imports within a function that a fork does not wait for."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.With):
            names = [getattr(item.context_expr, "id", "") for item in node.items]
            if "importing" in names:
                continue
        said = ast.unparse(node) if isinstance(node, ast.stmt) else ""
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(said)
        elif isinstance(node, ast.Expr | ast.Assign | ast.Return):
            found += [said] if "import_module(" in said else []
        found += late_imports(node)
    return found


def test_a_fork_waits_for_every_import_at_the_point_of_use() -> None:
    """In each function of the package."""
    for path in PACKAGE.rglob("*.py"):
        functions = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef)
        ]
        found = {line for function in functions for line in late_imports(function)}
        assert found <= {"from annarchy_tb.inputs.importing import importing"}, path


def test_a_fork_waits_for_what_other_packages_import_late(tmp_path: Path) -> None:
    """NumPy, Pillow and others import modules when they are used, as this one does."""
    run(
        f"""
import sys, threading, traceback
import numpy as np
{LOGGER}
from annarchy_tb import Run
from annarchy_tb.inputs.importing import importing

class Finder:
    def find_spec(self, name, *_):
        if not importing._threads.get(threading.get_ident()):
            late[name] = traceback.extract_stack()[-8:]

late = {{}}
sys.meta_path.insert(0, Finder())
logger.add_parameters({{"a": 1}})
for tag in "ab" * 30:
    logger.log({{tag: 1.0, tag + "1": 2.0}})
    logger.add_scalar(2 * tag, 1.0)
logger.add_scalars("curves", {{"x": 1.0}})
logger.add_series("series", np.arange(5000.0))
logger.add_histogram("histogram", [1, 2, 3])
logger.add_image("image", np.zeros((9, 9)))
logger.add_images("images", np.zeros((3, 9, 9)), equalize_per_image=True)
logger.add_raster("raster", {{0: [1, 2]}})
logger.add_matrix("matrix", np.eye(3))
logger.add_audio("audio", np.zeros(100))
logger.add_text("text", "said")
logger.add_html("html", "<p>said")
logger.add_metrics({{"result": 1.0}})
logger.save_checkpoint(1, 1)
assert logger.load_checkpoint() == (1, 1)
assert logger.last["a"] == 1
logger.close()
found = Run(logger.run_dir)
for tag, kind in found.tags().items():
    found.data(tag)
list(found.points()), list(found.news()), found.damage(), found.spikes("raster")
found.matrices("matrix")
assert not late, late
""",
        str(tmp_path),
    )
