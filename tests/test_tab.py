"""The tab in TensorBoard: it always starts, and nothing but runs is read."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import pkgutil
import signal
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import in_child
from tensorboard import default, program
from tensorboard.backend.application import TensorBoardWSGIApp
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.plugins.core import core_plugin
from werkzeug.test import Client, TestResponse

import annarchy_tb
from annarchy_tb import Logger
from annarchy_tb.board import looked_at
from annarchy_tb.board.catalogue import Root, roots
from annarchy_tb.tfevents.event_file import event_files

HERE = "/data/plugin/simulation"
QUESTIONS = ("runs", "run", "plots", "curves", "part", "frame", "file")

# What TensorBoard imports as it starts, and must not fail.
OURS = {"annarchy_tb", "annarchy_tb.tensorboard_plugin"}


def started(**flags: Any) -> Client:
    """Start TensorBoard with the plugins that are installed; return a client of it.

    It has no reader of event files, of which the tab makes no use.
    """
    plugins = [core_plugin.CorePluginLoader(), *default.get_dynamic_plugins()]
    board = program.TensorBoard(plugins)
    board.configure(**flags)
    data = MultiplexerDataProvider(EventMultiplexer(), "")
    return Client(TensorBoardWSGIApp(board.flags, board.plugin_loaders, data))


@pytest.fixture
def tab(logdir: Path) -> Client:
    """Return a client of a TensorBoard on the directory of runs."""
    return started(logdir=str(logdir))


def ask(tab: Client, question: str, **query: Any) -> TestResponse:
    """Ask the tab."""
    return tab.get(f"{HERE}/{question}", query_string=query)


def ask_all(tab: Client, question: str, run: str = "a") -> TestResponse:
    """Ask about a run, with all that any question needs."""
    query = {"run": run, "tag": "rate", "from": 0, "to": 1, "at": 0}
    return ask(tab, question, **query)


def error(answer: TestResponse) -> str:
    """Return the error that is the answer."""
    return str(json.loads(answer.data)["error"])


def nothing_in(answer: TestResponse) -> bool:
    """Return whether an answer holds nothing."""
    return not any(json.loads(answer.data).values())


def numbers(packed: str) -> list[float]:
    """Return numbers from the form in which they are sent."""
    return np.frombuffer(base64.b64decode(packed), "<f8").tolist()


def log(logdir: Path, name: str, **params: Any) -> None:
    """Log a short run."""
    with Logger(logdir, name) as logger:
        if params:
            logger.add_parameters(params, {"loss": 0.5})
        for step in range(10):
            logger.add_scalar("rate", step * 2.0, step)


# -- starting --------------------------------------------------------------------------


def test_it_is_a_tab_of_every_tensorboard(logdir: Path, tab: Client) -> None:
    """Also if there are no runs yet; its scripts and styles are there."""
    listing = tab.get("/data/plugins_listing").json
    assert listing is not None
    assert listing["simulation"]["enabled"] is True
    assert listing["simulation"]["tab_name"] == "Simulation"
    assert "no such directory" in ask(tab, "runs").json["remarks"][0]  # type: ignore[index]
    for name, kind in (("tab.js", "javascript"), ("board.css", "css")):
        answer = tab.get(f"{HERE}/{name}")
        assert answer.status_code == 200
        assert kind in answer.headers["Content-Type"]
    there = 200 if importlib.util.find_spec("plotly") else 404
    assert tab.get(f"{HERE}/plotly.min.js").status_code == there


def modules() -> list[str]:
    """Return the names of all modules of the package."""
    found = pkgutil.walk_packages(annarchy_tb.__path__, "annarchy_tb.")
    return sorted({one.name for one in found} - OURS)


class Broken:
    """Has the import of a module raise an error."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, *_: object) -> None:
        """Raise it, in place of finding the module."""
        if name == self.name:
            raise RuntimeError(f"{name} is broken")


def forget() -> None:
    """Forget all modules of the package that were imported."""
    for name in [one for one in sys.modules if one.partition(".")[0] == "annarchy_tb"]:
        del sys.modules[name]


def needed(logdir: Path, file: Path) -> None:
    """Write which modules the tab needs to answer all questions."""
    forget()
    tab = started(logdir=str(logdir))
    before = {one for one in sys.modules if one.startswith("annarchy_tb")}
    assert before <= OURS
    for question in QUESTIONS:
        ask_all(tab, question)
    its = {one for one in sys.modules if one.startswith("annarchy_tb.")}
    file.write_text(json.dumps(sorted(its - OURS)))


def starts_without(module: str, logdir: Path, asks: bool) -> None:
    """Start TensorBoard with a broken module: the tab is there, and says what fails."""
    forget()
    sys.meta_path.insert(0, Broken(module))  # type: ignore[arg-type]
    tab = started(logdir=str(logdir))
    listing = tab.get("/data/plugins_listing").json
    assert listing is not None
    assert listing["simulation"]["enabled"] is True
    assert tab.get(f"{HERE}/tab.js").status_code == 200
    if asks:
        answers = [ask_all(tab, question) for question in QUESTIONS]
        failed = [error(one) for one in answers if one.status_code == 500]
        assert any(f"{module} is broken" in one for one in failed)


@pytest.mark.parametrize("part", range(4))
def test_no_module_of_ours_keeps_tensorboard_from_starting(
    part: int, logdir: Path, tmp_path: Path
) -> None:
    """Whichever is broken: it starts, and the tab says so, if it needs that one."""
    log(logdir, "a")
    assert in_child(lambda: needed(logdir, tmp_path / "needed")) == 0
    its = set(json.loads((tmp_path / "needed").read_text()))
    assert len(its) > 40
    for module in modules()[part::4]:
        asks = module in its
        failed = in_child(lambda: starts_without(module, logdir, asks))  # noqa: B023
        assert failed == 0, module


BREAK = """
import sys
class Broken:
    def find_spec(self, name, *_):
        if name == "annarchy_tb.inputs.arrays":
            raise ImportError("broken")
sys.meta_path.insert(0, Broken())
from tensorboard.main import run_main
sys.argv[1:] = ["--logdir", "none", "--port", "0", "--host", "127.0.0.1"]
run_main()
"""


def test_a_real_tensorboard_starts_although_ours_is_broken(tmp_path: Path) -> None:
    """The answer to the tab's question is the error."""
    process = subprocess.Popen(
        [sys.executable, "-c", BREAK],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = next(one for one in process.stderr if "http://" in one)
        url = next(word for word in line.split() if word.startswith("http://"))
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{url.rstrip('/')}{HERE}/runs", timeout=60)
        said = json.loads(raised.value.read())
        raised.value.close()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert said == {"error": "ImportError: broken"}


def test_without_plotly_it_says_what_to_install(
    tab: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script that draws curves is looked for when it is asked for."""
    plugin = sys.modules["annarchy_tb.tensorboard_plugin"]
    monkeypatch.setattr(plugin, "find_spec", lambda _: None)
    answer = tab.get(f"{HERE}/plotly.min.js")
    assert answer.status_code == 404
    assert "pip install 'annarchy-tb[board]'" in error(answer)


# -- only runs, only reading -----------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
)
def test_only_get_is_answered(method: str, logdir: Path, tab: Client) -> None:
    """Any other method is refused, whatever is asked."""
    log(logdir, "a")
    for name in (*QUESTIONS, "tab.js", "plotly.min.js"):
        answer = tab.open(f"{HERE}/{name}?run=a", method=method)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET"


def opened_files(work: Callable[[], None]) -> list[str]:
    """Return the files that a function opens."""
    found: list[str] = []
    active = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event == "open":
            found.append(str(arguments[0]))
        if active and event.startswith("pickle."):
            found.append(event)

    sys.addaudithook(hook)
    work()
    active = False
    return found


STRANGE = [
    *(
        "../secret",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/../../secret",
        "a\0",
        "%2e%2e/secret",
    ),
    *("..%2fsecret", "....//secret", "a/", "/a", "A", "out", "file:///etc/passwd"),
]


def test_what_is_no_name_of_a_run_is_refused(tmp_path: Path) -> None:
    """No path that is asked for is opened, however it is written."""
    logdir, secret = tmp_path / "runs", tmp_path / "secret"
    log(logdir, "a")
    log(tmp_path, "secret")
    (logdir / "out").symlink_to(secret)
    tab = started(logdir=str(logdir))
    assert [row["name"] for row in ask(tab, "runs").json["runs"]] == ["a"]  # type: ignore[index]
    assert "leads out of" in ask(tab, "runs").json["remarks"][0]  # type: ignore[index]

    def work() -> None:
        for name in [*STRANGE, str(secret), str(logdir / "a")]:
            for question in ("run", "part", "frame", "file"):
                answer = ask_all(tab, question, name)
                assert answer.status_code == 404, (name, question)
            for question in ("plots", "curves"):
                answer = ask_all(tab, question, name)
                assert nothing_in(answer)
                assert "rate" not in answer.text
        for path in (
            "../../secret/run.json",
            "%2e%2e/%2e%2e/secret/run.json",
            "tab.js/x",
        ):
            assert tab.get(f"{HERE}/{path}").status_code == 404

    found = opened_files(work)
    assert not [one for one in found if "secret" in one or "passwd" in one]


@pytest.mark.parametrize("which", ["record", "events", "recordings"])
def test_files_that_are_links_to_elsewhere_are_not_read(
    tmp_path: Path, which: str
) -> None:
    """A run with such a file is refused, and the file is not opened."""
    logdir, secret = tmp_path / "runs", tmp_path / "secret"
    log(logdir, "a")
    with Logger(tmp_path, "secret") as logger:
        logger.add_series("rate", np.arange(5000.0))
    if which == "record":
        (logdir / "a" / "run.json").unlink()
        (logdir / "a" / "run.json").symlink_to(secret / "run.json")
    elif which == "events":
        [file] = event_files(secret)
        (logdir / "a" / file.name).symlink_to(file)
    else:
        [file] = secret.glob("recordings.*")
        (logdir / "a" / file.name).symlink_to(file)
    tab = started(logdir=str(logdir))

    def work() -> None:
        ask(tab, "runs")
        for question in ("run", "part", "frame", "file"):
            assert ask_all(tab, question).status_code in (403, 404)
        for question in ("plots", "curves"):
            assert list(json.loads(ask_all(tab, question).data).values()) in (
                [{}],
                [[]],
            )

    inner = logdir / "a" / ("run.json" if which == "record" else file.name)
    assert str(inner) not in opened_files(work)


def test_links_that_stay_inside_are_followed(logdir: Path, tab: Client) -> None:
    """A run has the name of its own directory, and its record may be a link."""
    log(logdir, "a")
    (logdir / "latest").symlink_to("a")
    (logdir / "a" / "run.json").rename(logdir / "record")
    (logdir / "a" / "run.json").symlink_to(logdir / "record")
    for number in range(7):
        (logdir / f"out {number}").symlink_to("/usr")
    said = ask(tab, "runs").json
    assert said is not None
    assert [(row["name"], row["status"]) for row in said["runs"]] == [("a", "finished")]
    assert said["remarks"][-1] == "and 2 more that can't be read"
    assert ask(tab, "run", run="a").status_code == 200


def test_no_checkpoint_is_opened(logdir: Path, tab: Client) -> None:
    """They hold pickles, which can run code."""
    with Logger(logdir, "a") as logger:
        logger.add_scalar("rate", 1.0)
        logger.save_checkpoint({"weights": np.ones(3)}, 0)

    def work() -> None:
        for question in QUESTIONS:
            ask_all(tab, question)

    found = opened_files(work)
    assert any("tfevents" in one for one in found)
    assert not [
        one for one in found if "checkpoints" in one or one.startswith("pickle")
    ]


def test_what_is_asked_in_a_wrong_way_is_refused(logdir: Path, tab: Client) -> None:
    """With a reason; and so is what is not there."""
    log(logdir, "a")
    for query in (
        {"from": "nan", "to": 1},
        {"from": 0, "to": "inf"},
        {"from": 0},
        {"from": "x", "to": 1},
    ):
        answer = ask(tab, "part", run="a", tag="rate", **query)
        assert answer.status_code == 400
        assert "must be a number" in error(answer)
    for at in ("-1", "x", "", "9" * 30, "٣"):
        assert ask(tab, "file", run="a", tag="rate", at=at).status_code == 400
    assert ask(tab, "file", run="a", tag="rate", at=0).status_code == 404
    query = {"from": 0, "to": 1}
    assert ask(tab, "part", run="a", tag="none", **query).status_code == 404
    assert ask(tab, "part", run="a", tag="rate", curve="b", **query).status_code == 404
    many = [("run", "a")] * 1000
    assert tab.get(f"{HERE}/plots", query_string=many).status_code == 400


# -- answers ---------------------------------------------------------------------------


def test_rows_say_what_a_report_says(logdir: Path, tab: Client) -> None:
    """Newest first; the same question again is answered by the version alone."""
    log(logdir, "a", tau=5.0)
    with Logger(logdir, "b/c") as logger:
        logger.phase("first").__enter__()
        logger.add_scalar("rate", 1.0)
        said = ask(tab, "runs").json
        assert said is not None
        newest, oldest = said["runs"]
        assert (newest["name"], newest["status"]) == ("b/c", "running")
        assert (newest["phase"], newest["duration"]) == ("first", None)
        assert (oldest["name"], oldest["status"]) == ("a", "finished")
        assert (oldest["params"], oldest["results"]) == ({"tau": 5.0}, {"loss": 0.5})
        again = ask(tab, "runs", since=said["version"]).json
        assert again is not None
        assert again.keys() == {"version", "now"}
    changed = ask(tab, "runs", since=said["version"]).json
    assert changed is not None
    assert changed["runs"][0]["status"] == "finished"


def test_a_run_that_is_killed_says_so(logdir: Path, tab: Client) -> None:
    """In the table and on its page, although nothing is written any more."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            logger = Logger(logdir, "a")
            logger.add_scalar("rate", 1.0)
            os.write(writer, b"begun")
            signal.pause()
        finally:
            os._exit(1)
    try:
        os.read(reader, 5)
        said, page = ask(tab, "runs").json, ask(tab, "run", run="a").json
        assert said is not None
        assert page is not None
        assert (said["runs"][0]["status"], page["run"]["status"]) == ("running",) * 2
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
    said = ask(tab, "runs", since=said["version"]).json
    page = ask(tab, "run", run="a", since=page["version"]).json
    assert said is not None
    assert page is not None
    assert (said["runs"][0]["status"], page["run"]["status"]) == ("killed",) * 2


def test_a_run_is_sent_again_only_when_it_has_changed(
    logdir: Path, tab: Client
) -> None:
    """Images come one by one, from an address."""
    with Logger(logdir, "a b") as logger:
        logger.add_image("field", np.eye(4))
        said = ask(tab, "run", run="a b").json
        assert said is not None
        [card] = said["cards"]
        [frame] = card["frames"]
        answer = tab.get(f"{HERE}/{frame['address']}")
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.data.startswith(b"\x89PNG")
        again = ask(tab, "run", run="a b", since=said["version"]).json
        assert again == {"version": said["version"]}
        logger.add_image("field", np.eye(4))
        [card] = ask(tab, "run", run="a b", since=said["version"]).json["cards"]  # type: ignore[index]
        assert card["number"] == 2


def test_a_part_has_its_extremes_and_at_the_end_all_points(
    logdir: Path, tab: Client
) -> None:
    """With one more point on each side, so that lines go to the edge."""
    values = np.random.default_rng(3).normal(size=100_000)
    values[70_007] = 9.0
    values[70_500] = np.nan
    with (
        Logger(logdir, "a", dt=0.5) as logger,
        pytest.warns(UserWarning, match="the value is nan"),
    ):
        logger.add_series("trace", values, times=np.arange(100_000) * 0.5)
    query = {"run": "a", "tag": "trace", "axis": "step"}
    part = ask(tab, "part", **query, **{"from": 60_000.5, "to": 80_000}).json
    assert part is not None
    assert part["number"] == 20_000 - 1 + 1
    x, y = numbers(part["x"]), numbers(part["y"])
    assert len(x) <= 2000
    assert (x[0], x[-1]) == (60_000, 80_001)
    assert y[x.index(70_007)] == 9.0
    assert np.isnan(y[x.index(70_500)])
    query["axis"] = "time"
    part = ask(tab, "part", **query, **{"from": 35_000.0, "to": 35_010.0}).json
    assert part is not None
    assert numbers(part["x"]) == [34_999.5 + 0.5 * k for k in range(23)]
    assert numbers(part["y"]) == values[69_999:70_022].tolist()
    nothing = ask(tab, "part", **query, **{"from": 1e6, "to": 2e6}).json
    assert nothing is not None
    assert nothing["number"] == 0


def test_a_part_of_a_curve_that_goes_back_in_time(logdir: Path, tab: Client) -> None:
    """Its points are those in the range, in the order in which they were logged."""
    with Logger(logdir, "a") as logger:
        for step, time in enumerate([0.0, 1.0, 2.0, 1.5, 2.5]):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it goes back
                logger.add_scalar("rate", step, step, time=time)
    query = {"run": "a", "tag": "rate", "axis": "time", "from": 1.2, "to": 2.2}
    part = ask(tab, "part", **query).json
    assert part is not None
    assert (numbers(part["x"]), part["number"]) == ([2.0, 1.5], 2)


def test_curves_of_chosen_runs(logdir: Path, tab: Client) -> None:
    """Each with its steps and its simulated times, if it has them."""
    log(logdir, "a")
    with Logger(logdir, "b", time_unit="s") as logger:
        logger.add_scalars("rate", {"E": 1.0, "I": 2.0}, time=3.0)
        logger.add_scalars("rate", {"E": 1.5, "I": 2.5}, time=4.0)
    found = ask(tab, "plots", run="b").json
    tags = {"rate": {"unit": None}}
    assert found == {"plots": {"b": {"unit": "s", "tags": tags, "pictures": {}}}}
    query = [("tag", "rate"), ("run", "a"), ("run", "gone"), ("run", "b")]
    curves = tab.get(f"{HERE}/curves", query_string=query).json["curves"]  # type: ignore[index]
    assert [(one["run"], one["name"]) for one in curves] == [
        *(("a", ""), ("b", "E"), ("b", "I"))
    ]
    assert "times" not in curves[0]
    assert numbers(curves[1]["times"]) == [3.0, 4.0]
    assert numbers(curves[2]["y"]) == [2.0, 2.5]


def test_a_part_of_a_raster_has_its_spikes(logdir: Path, tab: Client) -> None:
    """Counted in cells, or one by one if there are few; in the order of their times."""
    rng = np.random.default_rng(4)
    times, ranks = rng.random(100_000) * 1000.0, rng.integers(0, 5000, 100_000)
    with Logger(logdir, "a") as logger:
        logger.add_raster("spikes", (times, ranks), duration=1000.0)
        logger.add_matrix("weights", np.eye(3))
    [spikes, weights] = ask(tab, "run", run="a").json["cards"]  # type: ignore[index]
    assert [(one["at"], one["step"]) for one in spikes["frames"]] == [(0, 0)]
    assert (spikes["kind"], weights["kind"]) == ("raster", "matrix")
    query = {"run": "a", "tag": "spikes", "at": 0}
    whole = json.loads(ask(tab, "frame", **query).data)
    assert whole["number"] == 100_000
    assert whole["limits"] == [0.0, 1000.0, ranks.min(), 5000 - ranks.min()]
    assert "cells" in whole
    place = {"from": 200.0, "to": 210.0, "first": 1000, "last": 1099}
    part = json.loads(ask(tab, "frame", **query, **place).data)
    inside = (times >= 200) & (times <= 210) & (ranks >= 1000) & (ranks <= 1099)
    assert part["number"] == inside.sum() > 5
    kind, points = part["points"]["x"]
    assert (kind, numbers(points)) == ("f8", sorted(times[inside]))
    matrix = json.loads(ask(tab, "frame", run="a", tag="weights", at=0).data)
    assert matrix["cells"]["shape"] == [3, 3]
    for wrong in ({"from": 3}, {"to": 1}, {"last": 999}, {"first": "x"}):
        answer = ask(tab, "frame", **query, **{**place, **wrong})
        assert answer.status_code == (200 if wrong == {"from": 3} else 400)
    for tag, at in (("spikes", 1), ("none", 0)):
        assert ask(tab, "frame", run="a", tag=tag, at=at).status_code == 404


def test_a_raster_that_grows_is_read_again(logdir: Path, tab: Client) -> None:
    """Each frame is asked for by its number, and the table has the last one."""
    with Logger(logdir, "a") as logger:
        for number in (2, 3):
            logger.add_raster("spikes", (np.arange(number), np.arange(number)))
            found = ask(tab, "plots", run="a").json["plots"]["a"]["pictures"]  # type: ignore[index]
            last = found["spikes"]["step"]
            assert last == number - 2
            assert tab.get(f"{HERE}/{found['spikes']['address']}").data[1:4] == b"PNG"
            frame = json.loads(ask(tab, "frame", run="a", tag="spikes", at=last).data)
            assert frame["number"] == number


def test_what_is_kept_is_bounded() -> None:
    """The least recently used goes first; what is of another version is made again."""
    looked, made = looked_at.Looked(), []

    def get(key: str, version: str = "1") -> None:
        looked.get(key, version, lambda: (made.append(key), looked_at.LIMIT // 2 - 1))

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "b"]
    get("b", "2")
    get("b", "2")
    assert made == ["a", "b", "c", "b", "b"]
    looked.get("large", "1", lambda: (None, looked_at.LIMIT * 2))
    get("b", "2")
    assert made[-1] == "b"


def test_directories_have_the_names_that_tensorboard_gives_them(
    tmp_path: Path,
) -> None:
    """With --logdir_spec, runs are named by their directory's name, too."""
    log(tmp_path / "x", "a")
    log(tmp_path / "y", "a")
    log(tmp_path / "y", "b")
    log(tmp_path / "z", "a")
    spec = f"first:{tmp_path / 'x'},{tmp_path / 'y'},{tmp_path / 'y'},{tmp_path / 'z'}"
    tab = started(logdir_spec=f"{spec},alone:{tmp_path / 'x' / 'a'}")
    names = {row["name"] for row in ask(tab, "runs").json["runs"]}  # type: ignore[index]
    assert names == {"first/a", "a", "b", f"a ({tmp_path / 'z' / 'a'})"}
    tab = started(logdir_spec=f"alone:{tmp_path / 'x' / 'a'}")
    assert [row["name"] for row in ask(tab, "runs").json["runs"]] == ["alone"]  # type: ignore[index]
    tab = started(logdir_spec=f"first:{tmp_path / 'x'},{tmp_path / 'y'}")
    assert ask(tab, "run", run="first/a").status_code == 200
    assert roots("", "x:/a:b,/c:d") == [Root(Path("/a:b"), "x"), Root(Path("/c:d"), "")]
    assert roots(f"{tmp_path}", "") == [Root(Path(os.path.realpath(tmp_path)), "")]
    with pytest.raises(ValueError, match="only runs in local directories"):
        roots("gs://bucket/runs", "")


def test_a_run_that_is_the_directory_itself(logdir: Path) -> None:
    """It has the name of its directory."""
    log(logdir, "a")
    tab = started(logdir=str(logdir / "a"))
    assert [row["name"] for row in ask(tab, "runs").json["runs"]] == ["a"]  # type: ignore[index]
    assert ask(tab, "run", run="a").status_code == 200


def test_runs_of_other_writers_are_there(logdir: Path, tab: Client) -> None:
    """Without a record; their curves are drawn."""
    pytest.importorskip("tensorboardX")
    tensorboardx = importlib.import_module("tensorboardX")
    with tensorboardx.SummaryWriter(str(logdir / "theirs")) as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.add_scalar("loss", 2.0, 1)
    [row] = ask(tab, "runs").json["runs"]  # type: ignore[index]
    assert (row["name"], row["status"]) == ("theirs", "unknown")
    [card] = ask(tab, "run", run="theirs").json["cards"]  # type: ignore[index]
    assert numbers(card["curves"][0]["y"]) == [1.0, 2.0]


def test_a_run_that_is_deleted_while_it_is_looked_at(logdir: Path, tab: Client) -> None:
    """It is gone from the table, and its page says so."""
    log(logdir, "a")
    ask(tab, "runs")
    for path in sorted((logdir / "a").rglob("*"), reverse=True):
        path.unlink()
    (logdir / "a").rmdir()
    assert ask(tab, "run", run="a").status_code == 404
    assert ask(tab, "runs").json["runs"] == []  # type: ignore[index]
