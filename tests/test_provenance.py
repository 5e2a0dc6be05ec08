"""The origin of a run is right or None, whatever the machine says."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tables

LOGS = """
import sys
from annarchy_tb import Logger

with Logger(sys.argv[1], "run") as logger:
    logger.add_scalar("a", 1.0)
"""


def read(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def recorded(
    tmp_path: Path, code: str = LOGS, env: dict[Any, Any] | None = None
) -> dict[str, Any]:
    """Run a script that logs a run; return the run's record."""
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(tmp_path / "runs")]
    subprocess.run(command, check=True, env={**os.environ, **(env or {})}, timeout=120)
    info = read(tmp_path / "runs" / "run")
    assert info["status"] == "finished"
    return info


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), "-c", "user.name=a", "-c", "user.email=b"]
    return subprocess.check_output([*command, *arguments], text=True).strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    path = tmp_path / "code"
    path.mkdir()
    git(path, "init", "-q")
    (path / "file").write_text("one\n")
    git(path, "add", "file")
    git(path, "commit", "-q", "-m", "first")
    return path


# -- versions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        b"Name: tensorboardX\nVersion: 1.0\nAuthor: Fran\xe7ois \xff\n",
        b"Name: tensorboardX\n",
        b"Version: \n",
        b"",
        None,
    ],
    ids=["not UTF-8", "no version", "empty version", "empty", "a file"],
)
@pytest.mark.parametrize("package", ["tensorboardX", "numpy"])
def test_damaged_metadata_of_a_package_stops_nothing(
    package: str, metadata: bytes | None, tmp_path: Path
) -> None:
    """The version is that of the module if it is loaded, or left out."""
    information = tmp_path / "path" / f"{package}-1.0.dist-info"
    information.parent.mkdir()
    if metadata is None:
        information.write_bytes(b"no directory")
    else:
        information.mkdir()
        (information / "METADATA").write_bytes(metadata)
    places = [str(information.parent), *sys.path]
    info = recorded(tmp_path, env={"PYTHONPATH": os.pathsep.join(places)})
    version = info["versions"].get(package)
    assert version == (np.__version__ if package == "numpy" else None)


# -- the environment -------------------------------------------------------------------


def test_odd_bytes_in_the_environment_and_the_arguments_stop_nothing(
    tmp_path: Path,
) -> None:
    """They stand in the record, and in the run's table."""
    script = tmp_path / "script.py"
    script.write_text(LOGS)
    command = [sys.executable, str(script), str(tmp_path / "runs"), b"\xff\xfe"]
    odd = {b"SLURM_JOB_ID": b"7\xff", b"LOGNAME": b"\xff", b"GIT_DIR": b"\xff"}
    subprocess.run(command, check=True, env={**os.environb, **odd})
    info = read(tmp_path / "runs" / "run")
    assert info["slurm"] == {"job_id": "7\udcff"}
    assert info["user"] == "\udcff"
    assert shlex.split(info["command"])[-1] == "\udcff\udcfe"
    assert "7\\udcff" in tables(tmp_path / "runs" / "run")[-1].replace("\\\\", "\\")


def test_a_working_directory_that_is_gone_is_not_known(tmp_path: Path) -> None:
    """The rest is."""
    code = f"import os, shutil\nos.mkdir({str(tmp_path / 'gone')!r})\n"
    code += f"os.chdir({str(tmp_path / 'gone')!r})\nos.rmdir(os.getcwd())\n"
    info = recorded(tmp_path, code + LOGS)
    assert info["cwd"] is None
    assert info["git"] is None
    assert info["command"]


@pytest.mark.parametrize(
    "before",
    [
        "del sys.orig_argv",
        "sys.orig_argv = []",
        "del sys.modules['__main__'].__file__",
        "sys.modules['__main__'].__file__ = None",
        "sys.modules['__main__'].__file__ = object()",
        "main = sys.modules.pop('__main__')",
        "import getpass; getpass.getuser = lambda: 1 / 0",
    ],
)
def test_a_program_without_the_usual_names_is_logged(
    before: str, tmp_path: Path
) -> None:
    """As one that embeds Python, or a notebook."""
    code = f"import sys\nplace = sys.argv[1]\n{before}\n"
    recorded(tmp_path, code + LOGS.replace("sys.argv[1]", "place"))


# -- git -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "{other}/.git"},
        {"GIT_DIR": "{other}/.git", "GIT_WORK_TREE": "{other}"},
        {"GIT_INDEX_FILE": "{other}/.git/index"},
        {"GIT_OBJECT_DIRECTORY": "{other}/.git/objects"},
        {"GIT_NAMESPACE": "other"},
        {"GIT_TRACE": "1", "GIT_PAGER": "false"},
        {"GIT_EXTERNAL_DIFF": "false"},
    ],
)
def test_the_commit_is_that_of_the_code_in_any_environment(
    variables: dict[str, str], repository: Path, tmp_path: Path
) -> None:
    """Within a hook or git bisect, git's variables name another repository."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "file").write_text("another\n")
    git(other, "add", "file")
    git(other, "commit", "-q", "-m", "another")
    env = {name: value.format(other=other) for name, value in variables.items()}
    info = recorded(repository, env=env)
    assert info["git"] == {
        "commit": git(repository, "rev-parse", "HEAD"),
        "dirty": False,
    }


def test_no_program_in_the_settings_of_a_repository_is_run(
    repository: Path, tmp_path: Path
) -> None:
    """To know the commit, only git itself is run."""
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "core.pager", "core.editor"):
        git(repository, "config", name, str(trap))
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (hooks / name).write_text(trap.read_text())
        (hooks / name).chmod(0o755)
    (repository / "file").write_text("two\n")
    head = (repository / ".git" / "HEAD").read_text()
    (tmp_path / "sprung").unlink(missing_ok=True)
    info = recorded(repository)
    assert info["git"]["dirty"] is True
    assert not (tmp_path / "sprung").exists()
    assert (repository / ".git" / "HEAD").read_text() == head


@pytest.mark.parametrize(
    "does",
    [
        "sleep 600",  # in a child of the shell
        "sleep 600 & echo $! > {place}/pid; wait",
        "exit 1",
        "echo '# branch.oid nonsense'",
        "echo; echo",
        "printf '# branch.oid \\377'",
        "kill -9 $$",
        "yes",
    ],
)
def test_a_git_that_fails_is_a_commit_that_is_not_known(
    does: str, tmp_path: Path
) -> None:
    """Whatever it says, and it leaves no process behind."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "git").write_text(f"#!/bin/sh\n{does.format(place=place)}\n")
    (place / "git").chmod(0o755)
    path = os.pathsep.join([str(place), os.environ["PATH"]])
    info = recorded(tmp_path, env={"PATH": path})
    assert info["git"] is None
    if (place / "pid").exists():
        pid = int((place / "pid").read_text())
        deadline = time.monotonic() + 60
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Return whether a process still runs; one that has ended may not be reaped."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except OSError:
        return False


# -- workers ---------------------------------------------------------------------------

WORKERS = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from annarchy_tb import Logger

def work(place):
    with Logger(place, "run") as logger:
        logger.add_scalar("a", 1.0)

if __name__ == "__main__":
    method, place = sys.argv[1:3]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        executor.submit(work, place).result()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("way", ["script", "module"])
def test_a_worker_records_the_program_of_the_user(
    method: str, way: str, repository: Path, tmp_path: Path
) -> None:
    """Its own command line says only that it is a worker of multiprocessing."""
    (repository / "sim.py").write_text(WORKERS)
    program = ["sim.py"] if way == "script" else ["-m", "sim"]
    words = [*program, method, str(tmp_path / "runs"), "--seed", "3 4"]
    command = [sys.executable, "-X", "dev", "-W", "ignore", *words]
    subprocess.run(command, check=True, cwd=repository, timeout=120)
    info = read(tmp_path / "runs" / "run")
    said = shlex.split(info["command"])
    assert said[0] == sys.executable
    assert "dev" in "".join(said[: -len(words)])
    assert said[-4:] == words[-4:]
    assert Path(said[-5]).name == Path(words[-5]).name
    assert said[-6] != "-c"
    assert info["cwd"] == str(repository)
    assert info["git"]["commit"] == git(repository, "rev-parse", "HEAD")
