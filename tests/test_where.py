from __future__ import annotations

import contextlib
import json
import os
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from conftest import call
from hypothesis import given
from hypothesis import strategies as st

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.reading import Runs
from annarchy_tb.reading.where import Condition


def a_run(logdir: Path, name: str, params: Any, **metrics: float) -> None:
    with Logger(logdir, name, on_nan="ignore") as logger:
        logger.add_parameters(params, metrics)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Return four runs, one of which failed and has no results."""
    logdir = tmp_path / "runs"
    a_run(logdir, "one", {"tau [ms]": 5.0, "rule": "oja", "fast": True}, loss=3.0)
    a_run(logdir, "two", {"tau [ms]": 10.0, "rule": "bcm", "fast": False}, loss=1.0)
    a_run(logdir, "deep/three", {"tau [ms]": 20, "rule": None, "net/rate": 5}, loss=1.0)
    with pytest.raises(ZeroDivisionError), Logger(logdir, "failed") as logger:
        logger.add_parameters({"tau [ms]": 1.0, "rule": "oja"})
        raise ZeroDivisionError
    return find_runs(logdir)


def found(runs: Runs, condition: str) -> str:
    """Return the last parts of the names of the runs that match."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return " ".join(run.path.name for run in runs.where(condition))


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("tau < 15", "failed two one"),
        ("5 <= tau < 20", "two one"),
        ("20 > tau >= 5 > 1", "two one"),
        ('params["tau [ms]"] == 10', "two"),
        ('params["tau"] == 10', "two"),
        ('params["net/rate"] == 5', "three"),
        ("tau == -1 or tau == +20", "three"),
        ("tau in (5, 20) and not loss > 2", "three"),
        ("tau not in [5, 20]", "failed two"),
        ("tau in {5, 'x', None}", "one"),
        ("tau in ()", ""),
        ("loss < 2", "three two"),
        ('metrics["loss"] < 2', "three two"),
        ("rule == 'oja'", "failed one"),
        ("rule == None", "three"),
        ("rule != 'oja'", "three two"),
        ("rule > 'c'", "failed one"),
        ("'j' in rule", "failed one"),
        ("fast", "one"),
        ("not fast", "two"),
        ("status == 'finished' and tau < 15", "two one"),
        ("status in ('failed', 'killed')", "failed"),
        ("name == 'deep/three'", "three"),
        ("'deep/' in run['name']", "three"),
        ("started > '2020-01-01' and age < '1 d'", "failed three two one"),
        ("started > '2100-01-01 14:30'", ""),
        (
            "'2020-01-01' < started < '2100-01-01T00:00:00+02:00'",
            "failed three two one",
        ),
        ("duration < 3600 and duration < '1.5 h'", "failed three two one"),
        ("age > '30 min'", ""),
        ("True", "failed three two one"),
        ("  tau < 2  ", "failed"),
    ],
)
def test_a_condition_chooses_runs(runs: Runs, condition: str, names: str) -> None:
    """Comparisons are Python's, of parameters, results and fields, newest first."""
    assert found(runs, condition) == names


def test_what_is_chosen_is_runs(runs: Runs) -> None:
    """It can be asked again; with no run, any name will do."""
    chosen = runs.where("tau < 15")
    assert type(chosen) is Runs
    assert chosen.logdir == runs.logdir
    assert found(chosen.where("rule == 'oja'"), "status == 'failed'") == "failed"
    assert list(runs.where("tau > 99").where("nothing == 1")) == []


@pytest.mark.parametrize(
    ("condition", "names", "said"),
    [
        ("loss < 2", "three two", "1 of 4 .*: no loss (1)"),
        ("not loss < 2", "one", "1 of 4 .*: no loss (1)"),
        ("not (loss < 2 and tau < 100)", "one", "1 of 4 .*: no loss (1)"),
        ("loss < 2 or status == 'failed'", "failed three two", None),
        ("loss < 2 and tau > 1", "three two", None),
        ("rule < 5", "", "4 of 4 .*: 'rule < 5' can't be compared (4)"),
        ("rule > 'a'", "failed two one", "1 of 4 .*: \"rule > 'a'\" can't be compared"),
        ("fast == True", "one", "2 of 4 .*: no fast (2)"),
        ("rule", "", "4 of 4 .*: 'rule' is not true or false (4)"),
        ("1 in tau", "", "4 of 4 .*: '1 in tau' can't be compared (4)"),
    ],
)
def test_what_cannot_be_decided_does_not_match(
    runs: Runs, condition: str, names: str, said: str | None
) -> None:
    """Missing and incomparable values are counted, once, unless they don't matter."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chosen = runs.where(condition)
    assert " ".join(run.path.name for run in chosen) == names
    assert len(caught) == (said is not None)
    for warning in caught:
        assert warning.filename == __file__
        before, _, after = str(said).partition(".*")
        assert str(warning.message).startswith(f"where: {before}")
        assert after in str(warning.message)


def test_a_result_that_is_nan_cannot_be_compared(tmp_path: Path) -> None:
    """It is None in run.json: neither less nor not less than a number."""
    a_run(tmp_path, "nan", {"a": 1}, loss=float("nan"))
    a_run(tmp_path, "one", {"a": 1}, loss=0.5)
    runs = find_runs(tmp_path)
    assert found(runs, "loss < 1") == "one"
    assert found(runs, "not loss < 1") == ""


REFUSED = [
    ("__import__('os').system('true')", "a call", "__import__"),
    ("tau < 10 and open('x')", "a call", "open('x')"),
    ("tau.__class__ == 1", "an attribute", "tau.__class__"),
    ("().__class__.__bases__", "an attribute", "().__class__.__bases__"),
    ("9**9**9 > tau", "arithmetic", "9**9**9"),
    ("tau < 2 * 3", "arithmetic", "2 * 3"),
    ("net/rate == 5", r'params\["a/b"\]', "net/rate"),
    ("-tau < 1", "arithmetic", "-tau"),
    ("(tau < 1) & (loss < 1)", "write 'and' for '&'", "&"),
    ("(tau < 1) | (loss < 1)", r"write 'or' for '\|'", r"(loss"),
    ("~fast", "write 'not' for '~'", "~fast"),
    ("rule is None", "write '==' for 'is'", "rule is None"),
    ("f'{tau}' == '1'", "an f-string", "f'{tau}'"),
    ("lambda: 1", "a lambda", "lambda: 1"),
    ("tau in [x for x in (1, 2)]", "a comprehension", "[x for x in"),
    ("tau in (x for x in (1, 2))", "a comprehension", "(x for x in"),
    ("tau in {x: 1 for x in (1, 2)}", "a comprehension", "{x: 1"),
    ("tau in {1: 2}", "a dict", "{1: 2}"),
    ("(x := 5) < tau", "':='", "x := 5"),
    ("1 if tau else 2", "an 'if'", "1 if tau"),
    ("tau in (1, loss)", "a name in a tuple", "loss"),
    ("tau in (1, open('x'))", "a call in a tuple", "open"),
    ("tau == (1, 2)", "a tuple without 'in'", "(1, 2)"),
    ("(tau < 1) == True", "a condition in place of a value", "tau < 1"),
    ("params['tau'][0] == 1", "an index", "params['tau'][0]"),
    ("other['tau'] == 1", "an index", "other['tau']"),
    ("params[0] == 1", "an index", "params[0]"),
    ("params[__import__('os')] == 1", "an index", "__import__"),
    ("tau == b'1'", "a constant of type bytes", "b'1'"),
    ("tau == 1j", "a constant of type complex", "1j"),
    ("tau == ...", "a constant of type ellipsis", "..."),
    ("*tau", r"'\*'|not a valid condition", "*tau"),
    ("await tau", "await|not a valid condition", "await tau"),
    ("tau = 10", "not a valid condition", "tau = 10"),
    ("tau <", "not a valid condition", "tau <"),
    ("", "not a valid condition", "''"),
    ("lambda < 1", "not a valid condition", "lambda < 1"),
    ("import os", "not a valid condition", "import os"),
    ("tau < 1; loss < 1", "not a valid condition", "tau < 1;"),
    ("tau < 1\0", "not a valid condition", "tau"),
    ("tau == '\ud800'", "not a valid condition", "tau"),
    ("tau in " + "9" * 1900 + ".a", "not a valid condition|an attribute", "tau in 999"),
    ("started > 'May'", "started is compared with a date", "'May'"),
    ("started > 5", "started is compared with a date", "5"),
    ("started > '9999-12-31T23:59:59-12:00'", "started is compared", "9999"),
    ("age < '2 weeks'", "age is compared with a number of seconds", "2 weeks"),
    ("'x' in duration", "duration is compared with a number of seconds", "'x'"),
    ("age == 'adult'", r'a parameter of this name is params\["age"\]', "'adult'"),
    ("status == 'done'", "status must be compared with one of 'running'", "'done'"),
    ("status in ('failed', 'done')", "status must be compared", "'done'"),
]


@pytest.mark.parametrize(("condition", "rule", "part"), REFUSED)
def test_anything_else_is_refused(condition: str, rule: str, part: str) -> None:
    """The error names the part, and nothing of it is run."""
    with pytest.raises(ValueError, match=rule) as error:
        Condition(condition)
    assert part in str(error.value)
    assert str(error.value).startswith("where: ")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "condition",
    [
        "x" * 1_000_000,
        "(" * 900 + "x" + ")" * 900,
        "(" * 100 + "x" + ")" * 100 + " < (1)" * 200 + " is 1",
        "not " * 490 + "x",
        "-" * 1900 + "1",
        "- " * 100 + "1 < x",
        "- " * 900 + "1 < x",
        "x" + ".x" * 900,
        "x" + "[0]" * 600,
        "x" + " + x" * 490,
        "lambda:" * 280 + "x",
        "[" * 1900,
        "f'{" * 150,
        "not (x or " * 90 + "x" + ")" * 90,
    ],
    ids=range(14),
)
def test_a_condition_is_bounded(condition: str) -> None:
    """Long and deep ones are refused in a short error, without a crash."""
    with pytest.raises(ValueError, match="^where: ") as error:
        Condition(condition)
    assert len(str(error.value)) < 500


def test_a_long_flat_condition_is_allowed(tmp_path: Path) -> None:
    """Only what is deep, or very long, is refused."""
    a_run(tmp_path, "one", {"seed": 99})
    either = " or ".join(f"seed == {seed}" for seed in range(20, 110))
    assert found(find_runs(tmp_path), either) == "one"
    assert found(find_runs(tmp_path), f"seed in {tuple(range(400))}") == "one"
    assert found(find_runs(tmp_path), "98 < seed" + " < 100" * 200) == ""


@pytest.mark.parametrize("part", ["not ", "- ", "x.", "[", "lambda:", "x+"])
def test_a_condition_is_bounded_in_any_thread(part: str) -> None:
    """The stack of a thread may be small: that of macOS has 512 KiB."""
    said = []

    def ask() -> None:
        try:
            Condition(part * (1990 // len(part)) + "x")
        except ValueError as error:
            said.append(str(error))

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=ask)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert len(said) == 1


@given(
    st.text(max_size=60)
    | st.text("tau<>=!andornti ()[]{}'\"*.:,_0123456789\\", max_size=80)
)
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    """No other error comes out."""
    with contextlib.suppress(ValueError):
        Condition(text).chosen([])


def test_a_condition_is_a_text(runs: Runs) -> None:
    """Anything else is a TypeError."""
    with pytest.raises(TypeError, match="condition must be a str, got 5"):
        runs.where(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("taau < 1", r'no run has \'taau\'; did you mean params\["tau \[ms\]"\]\?'),
        ("rate < 1", r'no run has \'rate\'; did you mean params\["net/rate"\]'),
        ("Loss < 1", r"no run has \'Loss\'; did you mean loss\?"),
        ("statsu == 1", r"no run has \'statsu\'; did you mean status\?"),
        ("qqq < 1", r"no run has \'qqq\'; there is name, status, .*, loss$"),
        ("__class__ == 1", r"no run has '__class__'"),
        ('metrics["tau"] < 1', r'no run has metrics\["tau"\]; there is loss$'),
        ('run["tau"] < 1', r'no run has run\["tau"\]; there is name, status, '),
        ("params == 1", "no run has 'params'"),
    ],
)
def test_a_name_that_no_run_has_is_an_error(
    runs: Runs, condition: str, said: str
) -> None:
    """Names that are like it are listed, as they are written."""
    with pytest.raises(ValueError, match=f"^where: {said}"):
        runs.where(condition)


def test_an_ambiguous_name_is_an_error(tmp_path: Path) -> None:
    """A field, a parameter and a result may share a name, in any of the runs."""
    a_run(tmp_path, "one", {"loss": "mse", "duration": 1000.0}, loss=0.5)
    a_run(tmp_path, "two", {}, loss=0.1)
    runs = find_runs(tmp_path)
    with pytest.raises(
        ValueError, match=r'write params\["loss"\] or metrics\["loss"\]'
    ):
        runs.where("loss < 1")
    with pytest.raises(
        ValueError, match="'duration' is a field of each run and a para"
    ):
        runs.where("duration > 500")
    assert found(runs, 'metrics["loss"] < 1') == "two one"
    assert found(runs, "params['duration'] > 500 > run['duration']") == "one"


def test_a_parameter_of_several_units_is_ambiguous(tmp_path: Path) -> None:
    """Numbers of different units are never compared in silence."""
    a_run(tmp_path, "one", {"tau [ms]": 10.0})
    a_run(tmp_path, "two", {"tau [s]": 0.01})
    runs = find_runs(tmp_path)
    with pytest.raises(
        ValueError, match=r'write params\["tau \[ms\]"\] or params\["tau'
    ):
        runs.where("tau < 1")
    either = 'params["tau [ms]"] == 10 or params["tau [s]"] == 0.01'
    assert found(runs, either) == "two one"


def test_names_of_any_alphabet_are_found(tmp_path: Path) -> None:
    """Python normalises names: the micro sign becomes a Greek letter."""
    a_run(tmp_path, "one", {"\xb5": 1.0, "τ": 2.0, 'a "quoted\\" name': 3.0})
    runs = find_runs(tmp_path)
    assert found(runs, "\xb5 == 1 and τ == 2") == "one"
    assert found(runs, r'params["a \"quoted\\\" name"] == 3') == "one"


def test_foreign_records_stop_nothing(tmp_path: Path) -> None:
    """Values in somebody else's run.json may be of any type."""
    odd = {"params": {"a": {"b": 1}, "c": [1, 2], "d": 10**400}, "metrics": {"e": "x"}}
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text(json.dumps(odd))
    runs = find_runs(tmp_path)
    assert found(runs, "a < 1 or c < 1 or a in (1, 2) or d < 1.5") == ""
    assert found(runs, "2 in c and d > 1.5 and d > 1e300") == "odd"
    assert [run.path.name for run in runs.sort("a")] == ["odd"]
    with pytest.raises(ValueError, match="no run of 1 has a number as its 'e'"):
        runs.best("e")


# -- best and sort ---------------------------------------------------------------------


def test_the_best_run_has_the_smallest_or_largest_result(runs: Runs) -> None:
    """Of equal ones, the earliest; runs without one never are, whatever the order."""
    assert runs.best("loss").path.name == "two"
    assert runs.sort("name").best("loss").path.name == "two"
    assert runs.best("loss", "max").path.name == "one"
    assert runs.best("tau", mode="max").path.name == "three"
    assert isinstance(runs.best("duration"), Run)


def test_nan_is_never_the_best(tmp_path: Path) -> None:
    """Nor is infinity; without any number there is no best run."""
    a_run(tmp_path, "nan", {"x": 1, "loss": "mse"}, loss=float("nan"))
    a_run(tmp_path, "inf", {"x": 1, "rule": "oja"}, loss=float("-inf"))
    runs = find_runs(tmp_path)
    with pytest.raises(
        ValueError, match="best: no run of 2 has a number as its 'loss'"
    ):
        runs.best("loss")
    with pytest.raises(
        ValueError, match="best: no run of 2 has a number as its 'rule'"
    ):
        runs.best("rule")
    a_run(tmp_path, "one", {"x": 1}, loss=5.0)
    runs = find_runs(tmp_path)
    assert runs.best("loss").path.name == runs.best("loss", "max").path.name == "one"


def test_a_best_run_that_cannot_be_is_an_error(runs: Runs) -> None:
    """A wrong mode, an unknown name, and no runs at all."""
    with pytest.raises(
        ValueError, match="best: mode must be 'min' or 'max', got 'low'"
    ):
        runs.best("loss", "low")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no run has 'los'; did you mean loss"):
        runs.best("los")
    with pytest.raises(ValueError, match="best: no run of 0 has a number"):
        runs[:0].best("loss")
    with pytest.raises(TypeError, match="best: the name must be a str, got 5"):
        runs.best(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "names", "turned"),
    [
        ("tau", "failed one two three", "three two one failed"),
        ("params.tau [ms]", "failed one two three", "three two one failed"),
        ("loss", "three two one failed", "one three two failed"),
        ("metrics.loss", "three two one failed", "one three two failed"),
        ("rule", "two failed one three", "failed one two three"),
        ("started", "one two three failed", "failed three two one"),
        ("run.name", "three failed one two", "two one failed three"),
        ("status", "failed three two one", "three two one failed"),
    ],
)
def test_runs_are_sorted(runs: Runs, name: str, names: str, turned: str) -> None:
    """Missing values come last in both directions, and equal ones keep their order."""
    before = list(runs)
    assert [run.path.name for run in runs.sort(name)] == names.split()
    assert [run.path.name for run in runs.sort(name, reverse=True)] == turned.split()
    assert list(runs) == before
    assert type(runs.sort(name)[:2]) is Runs
    with pytest.raises(ValueError, match="sort: no run has 'nothing'"):
        runs.sort("nothing")


def test_mixed_values_are_sorted(tmp_path: Path) -> None:
    """Numbers and bools come first, then texts, then what is None."""
    for name, value in (("a", "x"), ("b", 2), ("c", None), ("d", True), ("e", 0.5)):
        a_run(tmp_path, name, {"p": value})
    order = "".join(run.path.name for run in find_runs(tmp_path).sort("p"))
    assert order == "edbac"


# -- the command line ------------------------------------------------------------------


def test_ls_takes_a_condition(runs: Runs) -> None:
    """Runs that can't be decided are counted on standard error, once."""
    done = call("ls", runs.logdir, "--where", "loss < 2 and tau < 15")
    assert "two" in done.stdout
    assert "three" not in done.stdout
    assert done.stderr.count("\n") == 1
    assert "1 of 4 runs can't be decided" in done.stderr
    assert "No runs found." in call("ls", runs.logdir, "--where", "tau < 0").stdout


def test_names_may_be_of_runs_that_status_leaves_out(runs: Runs) -> None:
    """They are counted among the listed ones only."""
    finished = ("--status", "finished")
    done = call("ls", runs.logdir, *finished, "--where", "loss < 2")
    assert "two" in done.stdout
    assert done.stderr == ""
    killed = call("ls", runs.logdir, "--status", "killed", "--where", "loss < 2")
    assert killed.exit_code == 0


@pytest.mark.parametrize("command", ["ls", "prune"])
def test_a_wrong_condition_is_one_line(runs: Runs, command: str) -> None:
    """It names the option, and shows no traceback and no control characters."""
    for condition in ("__import__('os')", "x" * 100_000, "taau < 1", "'\x1b[31m'.x"):
        done = call(command, runs.logdir, "--where", condition)
        assert done.exit_code == 2
        assert "Invalid value for --where: where: " in done.stderr
        assert len(done.stderr) < 1000
        assert "\x1b" not in done.stderr


def test_names_of_runs_are_shown_not_acted_on(tmp_path: Path) -> None:
    """A hint has names of parameters, which may be anybody's."""
    a_run(tmp_path, "one", {"colour\x1b[31m": 1})
    done = call("ls", tmp_path, "--where", "colour == 1")
    assert r"colour\x1b[31m" in done.stderr
    assert "\x1b" not in done.stderr


def test_prune_takes_a_condition(runs: Runs) -> None:
    """Only useless runs for which it holds are removed."""
    arguments = ("prune", runs.logdir, "--yes", "--where")
    assert "nothing to remove" in call(*arguments, "tau > 1").stdout
    assert "nothing to remove" in call(*arguments, "age > '1 d'").stdout
    assert "1 removed" in call(*arguments, "tau == 1").stdout
    assert not os.path.exists(runs.logdir / "failed")
