"""The source of a run: changes and packages, for which only git itself is run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import in_child

from annarchy_tb import Logger, Run
from annarchy_tb.cli import main
from annarchy_tb.run import repository
from annarchy_tb.run.source import installed

LOGS = """
import os, sys
from annarchy_tb import Logger
from annarchy_tb.run import repository

repository.PATIENCE = float(os.environ.get("PATIENCE", 60))
with Logger(sys.argv[1], sys.argv[2], source=True, mode="a") as logger:
    logger.add_scalar("a", 1.0)
"""


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), "-c", "user.name=a", "-c", "user.email=b"]
    command += ["-c", "protocol.file.allow=always"]
    return subprocess.check_output([*command, *arguments], text=True).strip()


def commit(path: Path) -> None:
    """Commit all files of a directory, in a new repository if there is none."""
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "a commit")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Return a repository with a script that logs, and a file."""
    path = tmp_path / "code"
    path.mkdir()
    (path / "sim.py").write_text(LOGS)
    (path / "file").write_text("one\n")
    commit(path)
    return path


def run(
    code: Path, name: str = "run", env: dict[str, str] | None = None
) -> dict[str, Any]:
    """Run the script; return the record of its run."""
    logdir = code.parent / "runs"
    command = [sys.executable, str(code / "sim.py"), str(logdir), name]
    subprocess.run(command, check=True, env={**os.environ, **(env or {})}, timeout=120)
    found: dict[str, Any] = json.loads((logdir / name / "run.json").read_text())
    assert found["status"] == "finished"
    return found


def patch(code: Path, name: str = "run", of: str = "changes.patch") -> str:
    return (code.parent / "runs" / name / "source" / of).read_text()


# -- what is kept ----------------------------------------------------------------------


def test_the_patch_gives_the_code_that_ran(code: Path, tmp_path: Path) -> None:
    """It applies to a clone of the commit that run.json names."""
    (code / "file").write_text("one\ntwo \N{GREEK SMALL LETTER TAU}\n")
    (code / "new").write_text("new\n")
    git(code, "add", "new")
    git(code, "config", "diff.noprefix", "true")
    git(code, "config", "color.ui", "always")
    git(code, "config", "diff.relative", "true")
    info = run(code)
    head = git(code, "rev-parse", "HEAD")
    assert info["source"] == {
        "commit": head,
        "changes": "source/changes.patch",
        "packages": "source/packages.txt",
        "complete": True,
        "why": None,
    }
    assert info["sessions"][0]["source"] == info["source"]
    assert info["git"] == {"commit": head, "dirty": True}
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(code), str(clone))
    git(clone, "apply", str(tmp_path / "runs" / "run" / "source" / "changes.patch"))
    assert (clone / "file").read_text() == (code / "file").read_text()
    assert (clone / "new").read_text() == "new\n"


def test_all_installed_packages_are_kept(code: Path) -> None:
    """They are in the form of pip freeze, sorted."""
    run(code)
    lines = patch(code, of="packages.txt").splitlines()
    assert f"numpy=={metadata.version('numpy')}" in lines
    assert f"click=={metadata.version('click')}" in lines
    names = [line.partition("==")[0].lower() for line in lines]
    assert names == sorted(set(names))


def test_code_without_changes_has_no_patch(code: Path) -> None:
    """This is complete."""
    info = run(code)
    assert (info["source"]["changes"], info["source"]["complete"]) == (None, True)
    assert not (code.parent / "runs" / "run" / "source" / "changes.patch").exists()


def test_nothing_is_kept_unless_it_is_wanted(logdir: Path) -> None:
    """The default is not to: run.json has no such field."""
    with Logger(logdir, "run") as logger:
        assert not (logger.run_dir / "source").exists()
    assert "source" not in Run(logdir / "run").info
    assert "source" not in Run(logdir / "run").sessions[0]


@pytest.mark.parametrize("wrong", [1, None, "yes", "source"])
def test_source_must_be_a_bool(logdir: Path, wrong: Any) -> None:
    """Another value is refused before anything is made."""
    with pytest.raises(TypeError, match="source must be a bool"):
        Logger(logdir, "run", source=wrong)
    assert not logdir.exists()
    Logger(logdir, "run", source=np.True_).close()


def test_later_sessions_keep_the_source_of_the_first(code: Path) -> None:
    """Each has files of its own, and run.json describes the last one."""
    for number in range(3):
        (code / "file").write_text(f"change {number}\n")
        info = run(code)
    assert "+change 0" in patch(code)
    assert "+change 1" in patch(code, of="changes-2.patch")
    assert "+change 2" in patch(code, of="changes-3.patch")
    assert info["source"]["changes"] == "source/changes-3.patch"
    its = [one["source"]["changes"] for one in info["sessions"]]
    assert its[0] == "source/changes.patch"
    assert its[2] == "source/changes-3.patch"
    (code / "sim.py").write_text(LOGS.replace("source=True", "source=False"))
    info = run(code)
    assert "source" not in info
    assert "source" not in info["sessions"][-1]


def test_starting_over_removes_it(code: Path) -> None:
    """Files of the user's stay, as elsewhere in the run."""
    (code / "file").write_text("two\n")
    run(code)
    run(code)
    folder = code.parent / "runs" / "run" / "source"
    (folder / "mine.txt").write_text("mine")
    (code / "sim.py").write_text(LOGS.replace('mode="a"', 'mode="w"'))
    (code / "file").write_text("three\n")
    run(code)
    found = {path.name for path in folder.iterdir()}
    assert found == {"mine.txt", "changes.patch", "packages.txt"}
    assert "+three" in patch(code)
    Logger(code.parent / "runs", "run", mode="w").close()
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_appending_keeps_nothing_before_the_first_value(
    code: Path, logdir: Path
) -> None:
    """A Logger that logs nothing changes nothing."""
    Logger(logdir, "run").close()
    before = (logdir / "run" / "run.json").read_bytes()
    with Logger(logdir, "run", mode="a", source=True):
        pass
    assert (logdir / "run" / "run.json").read_bytes() == before
    assert not (logdir / "run" / "source").exists()
    with Logger(logdir, "run", mode="a", source=True) as logger:
        copy = pickle.loads(pickle.dumps(logger))
        copy.add_scalar("a", 1.0)
        copy.close()
        assert (logdir / "run" / "source" / "packages-2.txt").exists()


def test_a_forked_process_that_joins_a_run_keeps_its_own(logdir: Path) -> None:
    """The record of the run says what the process that keeps it has."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("a", 1.0)

        def join() -> None:
            with Logger(logdir, "run", mode="a", source=True) as other:
                other.add_scalar("b", 1.0)

        assert in_child(join) == 0
    info = Run(logdir / "run").info
    assert "source" not in info
    assert info["sessions"][1]["source"]["packages"] == "source/packages-2.txt"


def test_it_is_found_out_once_in_a_process(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep of many runs asks git once, and lists the packages once."""
    Logger(logdir, "one", source=True).close()
    monkeypatch.setattr(metadata, "distributions", lambda: pytest.fail("again"))
    monkeypatch.setattr(repository, "changes", lambda *_: pytest.fail("again"))
    Logger(logdir, "two", source=True).close()
    kept = [logdir / name / "source" / "packages.txt" for name in ("one", "two")]
    assert kept[0].read_bytes() == kept[1].read_bytes()


@pytest.mark.parametrize("bad", [b"", b"Name: x\n", b"Version: 1\n", b"\xff: \xff"])
def test_damaged_metadata_of_a_package_stops_nothing(bad: bytes, code: Path) -> None:
    """The package is left out."""
    damaged = code.parent / "path" / "damaged-1.0.dist-info"
    damaged.mkdir(parents=True)
    (damaged / "METADATA").write_bytes(bad)
    run(code, env={"PYTHONPATH": os.pathsep.join([str(damaged.parent), *sys.path])})
    assert "numpy==" in patch(code, of="packages.txt")


def test_of_two_packages_of_one_name_the_imported_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the first on the path."""
    for place, version in (("a", "1"), ("b", "2")):
        folder = tmp_path / place / f"twice-{version}.dist-info"
        folder.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: Twice\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b")])
    assert installed() == [("Twice", "1")]


# -- what is left out ------------------------------------------------------------------


def test_a_large_patch_is_cut_and_run_json_says_so(code: Path) -> None:
    """It ends with a whole line, and takes at most 5 MiB."""
    (code / "file").write_text("".join(f"line {i}\n" for i in range(10)) * 100_000)
    info = run(code)
    assert info["source"]["complete"] is False
    assert info["source"]["why"] == "there is more than 5 MiB"
    kept = patch(code)
    assert 5_000_000 < len(kept) <= 5 << 20
    assert kept.endswith("\n")


def test_without_a_repository_packages_are_kept(tmp_path: Path) -> None:
    """The record says why there is no patch."""
    place = tmp_path / "code"
    place.mkdir()
    (place / "sim.py").write_text(LOGS)
    env = {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "sim.py", str(tmp_path / "runs"), "run"],
        cwd=place,
        env={**os.environ, **env},
    )
    assert said.returncode == 0
    info = Run(tmp_path / "runs" / "run").info
    assert info["source"]["why"] == "there is no git repository"
    assert info["source"]["packages"] == "source/packages.txt"


def test_before_the_first_commit_there_is_no_patch(tmp_path: Path) -> None:
    """There is nothing that it could be relative to."""
    place = tmp_path / "code"
    place.mkdir()
    (place / "sim.py").write_text(LOGS)
    git(place, "init", "-q")
    git(place, "add", "sim.py")
    info = run(place)
    assert info["git"] == {"commit": None, "dirty": True}
    assert info["source"]["why"] == "there is no commit yet"


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("sleep 600", "git took longer than 3 s"),
        ("sleep 600 & sleep 600", "git took longer than 3 s"),
        ("exec >&-; sleep 600", "git took longer than 3 s"),
        ("exit 1", "git failed"),
        ("kill -9 $$", "git failed"),
        ("printf 'half a line'; exit 3", "git failed"),
        ("yes", "there is more than 5 MiB"),
        ("echo a; printf 'half a line'; sleep 600", "git took longer than 3 s"),
    ],
)
def test_a_diff_that_fails_or_hangs_stops_nothing(
    does: str, why: str, code: Path
) -> None:
    """What it said is kept up to its last whole line; it is not waited for."""
    place = code.parent / "bin"
    place.mkdir()
    real = subprocess.check_output(["which", "git"], text=True).strip()
    script = f'#!/bin/sh\ncase "$*" in *--no-ext-diff*) {does};; esac\n'
    (place / "git").write_text(f'{script}exec {real} "$@"\n')
    (place / "git").chmod(0o755)
    path = os.pathsep.join([str(place), os.environ["PATH"]])
    info = run(code, env={"PATH": path, "PATIENCE": "3"})
    assert info["git"] == {"commit": git(code, "rev-parse", "HEAD"), "dirty": False}
    assert info["source"]["packages"] == "source/packages.txt"
    assert info["source"]["complete"] is False
    assert info["source"]["why"] in (why, "git took longer than 3 s")
    if info["source"]["changes"]:
        assert set(patch(code).splitlines()) <= {"y", "a"}


def test_a_place_that_can_not_be_written_stops_nothing(
    code: Path, logdir: Path
) -> None:
    """A link to elsewhere is not followed; the record says why."""
    elsewhere = code.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "packages.txt").write_text("theirs")
    for name, make in (
        ("link", lambda path: path.symlink_to(elsewhere)),
        ("file", lambda path: path.write_text("mine")),
    ):
        (logdir / name).mkdir(parents=True)
        make(logdir / name / "source")
        with Logger(logdir, name, source=True) as logger:
            logger.add_scalar("a", 1.0)
        its = Run(logdir / name).info["source"]
        assert (its["packages"], its["complete"]) == (None, False)
        assert its["why"]
        Logger(logdir, name, mode="w", source=True).close()
    assert (elsewhere / "packages.txt").read_text() == "theirs"
    assert len(list(elsewhere.iterdir())) == 1


# -- no program of a repository runs ---------------------------------------------------


def set_traps(path: Path, trap: Path, name: str = "evil") -> None:
    """Let all settings of a repository that name programs name a trap."""
    for setting in (
        *(f"filter.{name}.clean", f"filter.{name}.smudge", f"filter.{name}.process"),
        *(f"diff.{name}.command", f"diff.{name}.textconv", f"merge.{name}.driver"),
        *("diff.external", "core.fsmonitor", "core.pager", "pager.diff"),
        *("pager.status", "core.editor", "core.sshCommand", "core.askPass"),
        *("core.gitProxy", "credential.helper", "core.alternateRefsCommand"),
        *("alias.diff", "alias.status", "gpg.program", "interactive.diffFilter"),
    ):
        git(path, "config", setting, str(trap))
    git(path, "config", f"filter.{name}.required", "true")
    git(path, "config", f"diff.{name}.cachetextconv", "true")
    git(path, "config", "protocol.ext.allow", "always")
    hooks = Path(
        git(path, "rev-parse", "--path-format=absolute", "--git-path", "hooks")
    )
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (hooks / hook).write_text(trap.read_text())
        (hooks / hook).chmod(0o755)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Return a program that leaves a mark if it is run."""
    path = tmp_path / "trap.sh"
    path.write_text(f"#!/bin/sh\necho $0 $@ >> {tmp_path}/sprung\ncat\n")
    path.chmod(0o755)
    return path


ATTRIBUTES = "* filter={name} diff={name} merge={name} text eol=lf ident\n"


def by_hand(code: Path) -> None:
    """Do what a user might, to show that the traps are set."""
    subprocess.run(
        ["git", "-C", str(code), "--no-optional-locks", "diff"], capture_output=True
    )
    assert (code.parent / "sprung").exists()
    (code.parent / "sprung").unlink()


@pytest.mark.parametrize("where", ["tree", "info", "settings", "included"])
def test_no_program_in_the_settings_of_a_repository_is_run(
    where: str, code: Path, trap: Path
) -> None:
    """The patch has the files as they are."""
    attributes = ATTRIBUTES.format(name="evil")
    if where == "info":
        (code / ".git" / "info").mkdir(exist_ok=True)
        (code / ".git" / "info" / "attributes").write_text(attributes)
    elif where == "settings":
        (code.parent / "attributes").write_text(attributes)
        git(code, "config", "core.attributesFile", str(code.parent / "attributes"))
    else:
        (code / ".gitattributes").write_text(attributes)
    if where == "included":
        other = code.parent / "other"
        other.mkdir()
        git(other, "init", "-q")
        set_traps(other, trap)
        git(code, "config", "include.path", str(other / ".git" / "config"))
    else:
        set_traps(code, trap)
    (code / "file").write_text("two\n")
    (code / "sim.py").write_text(f"{LOGS}# changed\n")
    by_hand(code)
    os.utime(code / "sim.py", (1, 1))
    info = run(code)
    assert not (code.parent / "sprung").exists()
    assert info["git"]["dirty"] is True
    assert info["source"]["complete"] is True
    assert "-one\n+two\n" in patch(code)
    assert "+# changed\n" in patch(code)


def test_no_filter_is_run_to_know_whether_files_differ(code: Path, trap: Path) -> None:
    """A file that was touched is compared with the commit, without source= as well."""
    (code / ".gitattributes").write_text(ATTRIBUTES.format(name="evil"))
    (code / "sim.py").write_text(LOGS.replace("source=True", "source=False"))
    git(code, "add", "-A")
    git(code, "commit", "-q", "-m", "more")
    set_traps(code, trap)
    os.utime(code / "file", (1, 1))
    by_hand(code)
    info = run(code)
    assert not (code.parent / "sprung").exists()
    assert info["git"] == {"commit": git(code, "rev-parse", "HEAD"), "dirty": False}


def test_a_filter_with_an_odd_name_is_not_run(code: Path, trap: Path) -> None:
    """If it can't be turned off, what it would be needed for is not known."""
    with (code / ".git" / "config").open("a") as stream:
        stream.write(f'[filter "a=b"]\n\tclean = {trap}\n[filter "a.b c"]\n')
        stream.write(f"\tclean = {trap}\n")
    (code / ".gitattributes").write_text("file filter=a=b\n")
    (code / "file").write_text("two\n")
    by_hand(code)
    info = run(code)
    assert not (code.parent / "sprung").exists()
    assert info["git"] == {"commit": git(code, "rev-parse", "HEAD"), "dirty": None}
    assert info["source"]["why"] == "a filter of the repository can't be turned off"


def test_a_filter_of_the_user_is_run(code: Path, trap: Path) -> None:
    """Without git-lfs, for example, large files would look changed."""
    home = code.parent / "home"
    home.mkdir()
    mark = f"touch {code.parent}/asked; tr 0-9 x"
    (home / ".gitconfig").write_text(f'[filter "mine"]\n\tclean = "{mark}"\n')
    (code / ".gitattributes").write_text("file filter=mine\n")
    (code / "file").write_text("xx\n")
    git(code, "add", "-A")
    git(code, "commit", "-q", "-m", "more")
    (code / "file").write_text("12\n")
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    info = run(code, env=env)
    assert (code.parent / "asked").exists()
    assert info["git"]["dirty"] is False
    assert info["source"]["changes"] is None


def test_nothing_of_a_submodule_is_run(code: Path, trap: Path) -> None:
    """Files in it that differ are known all the same."""
    other = code.parent / "other"
    other.mkdir()
    (other / "inside").write_text("one\n")
    (other / ".gitattributes").write_text(ATTRIBUTES.format(name="other"))
    commit(other)
    git(code, "submodule", "--quiet", "add", str(other), "sub")
    git(code, "commit", "-q", "-m", "more")
    git(code, "config", "diff.submodule", "diff")
    git(code, "config", "status.submoduleSummary", "true")
    assert run(code, "clean")["git"]["dirty"] is False
    set_traps(code / "sub", trap, "other")
    (code / "sub" / "inside").write_text("two\n")
    (code / "file").write_text("two\n")
    by_hand(code)
    info = run(code)
    assert not (code.parent / "sprung").exists()
    assert "+two" in patch(code)
    git(code, "checkout", "-q", "file")
    assert not (code.parent / "sprung").exists()
    info = run(code, "only inside")
    assert info["git"]["dirty"] is True
    assert not (code.parent / "sprung").exists()


def test_nothing_that_is_missing_is_fetched(code: Path, trap: Path) -> None:
    """A repository may name a program to ask for what it does not have."""
    trap.write_text(trap.read_text().replace("cat", "exit 1"))  # git waits for it
    (code / "file").write_text("one\n" * 10)
    git(code, "add", "-A")
    git(code, "commit", "-q", "-m", "more")
    blob = git(code, "rev-parse", "HEAD:file")
    (code / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for setting, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", f"ext::{trap} %S"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialCloneFilter", "blob:none"),
        ("protocol.ext.allow", "always"),
    ):
        git(code, "config", setting, value)
    (code / "file").write_text("two\n" * 10)
    by_hand(code)
    info = run(code)
    assert not (code.parent / "sprung").exists()
    assert info["git"]["dirty"] is True
    assert info["source"]["why"] == "git failed"


@pytest.mark.parametrize("variable", ["GIT_EXTERNAL_DIFF", "GIT_PAGER", "PAGER"])
def test_no_program_in_the_environment_is_run(
    variable: str, code: Path, trap: Path
) -> None:
    """The patch is that of git."""
    (code / "file").write_text("two\n")
    info = run(code, env={variable: str(trap)})
    assert not (code.parent / "sprung").exists()
    assert info["source"]["complete"] is True
    assert "+two" in patch(code)


def test_the_repository_stays_as_it_is(code: Path) -> None:
    """No lock is taken, and the index is not written again."""
    (code / "file").write_text("two\n")
    os.utime(code / "sim.py", (1, 1))  # the index would be refreshed

    def there() -> dict[str, bytes]:
        files = [path for path in (code / ".git").rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before = there()
    (code / ".git" / "index.lock").write_text("another git is working")
    before[str(code / ".git" / "index.lock")] = b"another git is working"
    assert run(code)["source"]["complete"] is True
    assert there() == before


# -- the names, and the environment ----------------------------------------------------


def name_of(logger: Logger, key: str) -> str:
    logger.add_scalars("plot", {key: 1.0})
    [made] = [p.name for p in logger.run_dir.iterdir() if p.is_dir()]
    return made


@pytest.mark.parametrize(
    "name", ["source", "Source", "recordings.1234567890.host.1.0000", "checkpoints"]
)
def test_names_of_the_run_are_reserved(name: str, logdir: Path) -> None:
    """A curve gets another name; files, experiments and jobs with them are refused."""
    from annarchy_tb.hooks import annarchy

    with Logger(logdir, "run") as logger:
        assert name_of(logger, name).casefold() != name.casefold()
        assert list(Run(logger.run_dir).curves("plot")) != [name]
        with pytest.raises(ValueError, match="reserved"):
            logger.path(name)
    for experiment in (name, f"run/{name}", f"{name}/x"):
        with pytest.raises(ValueError, match=f"experiment must not contain '{name}'"):
            Logger(logdir, experiment)
    with pytest.raises(ValueError, match="reserved"):
        annarchy.experiments(2, logdir, name)
    assert [path.name for path in logdir.iterdir()] == ["run"]


def test_a_run_without_data_is_empty_with_its_source(logdir: Path) -> None:
    """These are no files of the user's: prune removes them with the run."""
    Logger(logdir, "run", source=True).close()
    assert (logdir / "run" / "source" / "packages.txt").exists()
    result = CliRunner().invoke(main, ["prune", str(logdir), "--yes"])
    assert "1 removed" in result.output
    assert list(logdir.iterdir()) == []


def test_show_tells_of_the_source(code: Path) -> None:
    """It names the files."""
    (code / "file").write_text("two\n")
    run(code, env={"OMP_NUM_THREADS": "3"})
    shown = CliRunner().invoke(main, ["show", str(code.parent / "runs" / "run")])
    assert "changes=source/changes.patch" in shown.output
    assert "OMP_NUM_THREADS=3" in shown.output


def test_variables_that_matter_to_numbers_are_recorded(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are not: they may be secrets. One set to nothing is told from none."""
    from annarchy_tb.run.provenance import ENVIRONMENT

    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    Logger(logdir, "none").close()
    assert Run(logdir / "none").info["environment"] is None
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    Logger(logdir, "some").close()
    assert Run(logdir / "some").info["environment"] == {
        "OMP_NUM_THREADS": "4",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONHASHSEED": "0",
    }
