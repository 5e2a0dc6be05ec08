"""The answers of the real TensorBoard over HTTP, with each of its two loaders.

The fast loader is the data server written in Rust, the default on Linux and macOS; the
slow one is Python's, the default elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import os
import signal
import struct
import warnings
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pytest
from conftest import HAS_RUST, Server
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_events import in_child, killed_in_a_large_write, opened

from annarchy_tb import Logger
from annarchy_tb.tfevents.templates import ScalarRecords

# Two servers may be slow to start and to load their data.
pytestmark = pytest.mark.timeout(600)

_number = itertools.count()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory that both servers watch."""
    return tmp_path_factory.mktemp("served") / "runs"


@pytest.fixture(scope="module")
def servers(served: Path) -> Iterator[dict[str, Server]]:
    """Start a TensorBoard with each loader."""
    served.mkdir()
    loaders = ["slow", "fast"] if HAS_RUST else ["slow"]
    started = {loader: Server(served, loader == "fast") for loader in loaders}
    try:
        for server in started.values():
            server.start()
        yield started
    finally:
        for server in started.values():
            server.stop()


@pytest.fixture(params=["slow", "fast"])
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    """Return the server with one of the loaders."""
    if request.param not in servers:
        pytest.skip("TensorBoard has no data server for this platform; CI runs it")
    return servers[request.param]


@pytest.fixture
def logger(served: Path) -> Iterator[Logger]:
    """Return the Logger of a new run in the watched directory."""
    with Logger(served, f"run{next(_number)}") as logger:
        yield logger


def numbers(server: Server, run: str, tag: str, count: int) -> list[list[float]]:
    """Return [step, value] of all points of a tag once there are `count`."""
    answer = server.until(
        lambda points: len(points) >= count,
        "plugin/scalars/scalars",
        run=run,
        tag=tag,
    )
    return [[step, value] for _, step, value in answer]


def pictures(
    server: Server, run: str, tag: str, count: int
) -> list[tuple[int, np.ndarray]]:
    """Return the steps and pixels of a tag, as the browser gets them."""
    answer = server.until(
        lambda entries: len(entries) >= count,
        "plugin/images/images",
        run=run,
        tag=tag,
        sample=0,
    )
    found = []
    for entry in answer:
        png = server.get(f"plugin/images/individualImage?{entry['query']}&x=")
        found.append((entry["step"], np.asarray(Image.open(io.BytesIO(png)))))
    return found


def session(server: Server, run: str) -> dict[str, Any]:
    """Return the row of a run in the HPARAMS tab once it has ended."""

    def its(rows: list[Any]) -> list[Any]:
        return [row for row in rows if row["sessions"][0]["name"] == run]

    def ended(rows: list[Any]) -> bool:
        [row] = its(rows)[:1] or [{"sessions": [{"status": "STATUS_UNKNOWN"}]}]
        return bool(row["sessions"][0]["status"] != "STATUS_UNKNOWN")

    rows = server.rows(ended)
    [found] = its(rows)
    assert len(found["sessions"]) == 1
    return dict(found)


def test_scalars_have_their_steps_and_values(logger: Logger, server: Server) -> None:
    """Every point of a live run is shown, under the tag as given."""
    for step in range(100):
        logger.add_scalar("Firing rate [Hz]/膜", step / 2, step * 10)
        logger.log({"one": step, "two": -step})
    run = logger.run_dir.name
    assert numbers(server, run, "Firing rate [Hz]/膜", 100) == [
        [step * 10, step / 2] for step in range(100)
    ]
    assert numbers(server, run, "two", 100) == [[step, -step] for step in range(100)]
    assert run in server.json("runs")


def test_curves_are_runs_with_one_tag(logger: Logger, server: Server) -> None:
    """Each key of add_scalars is a run <run>/<key>, and all share the tag."""
    for step in range(3):
        logger.add_scalars("Accuracy", {"train": step, "test set": -step}, step)
    run = logger.run_dir.name
    for key, sign in (("train", 1), ("test set", -1)):
        found = numbers(server, f"{run}/{key}", "Accuracy", 3)
        assert found == [[step, sign * step] for step in range(3)]


def test_images_are_shown_pixel_for_pixel(logger: Logger, server: Server) -> None:
    """The PNG that the browser gets decodes to the logged pixels."""
    rng = np.random.default_rng(0)
    wanted = rng.integers(0, 256, (2, 7, 5, 3), np.uint8)
    for step, img in enumerate(wanted):
        logger.add_image("Colour", img, step)
    logger.add_images("Fields", wanted[..., 0], 4)
    run = logger.run_dir.name
    found = pictures(server, run, "Colour", 2)
    assert [step for step, _ in found] == [0, 1]
    assert (np.array([pixels for _, pixels in found]) == wanted).all()
    [(step, mosaic)] = pictures(server, run, "Fields", 1)
    assert step == 4
    assert mosaic.shape == (7, 11)
    assert (mosaic[:, :5] == wanted[0, ..., 0]).all()
    assert (mosaic[:, 6:] == wanted[1, ..., 0]).all()


@pytest.mark.parametrize(
    "odd", ['"', "\\", "\n", "\x1f", "\x7f", "\x85", "\u202e", "'"]
)
def test_images_are_hidden_by_the_names_that_are_warned_of(
    served: Path, server: Server, odd: str
) -> None:
    """The default loader refuses those, and no others; numbers are always shown."""
    name = f"odd{next(_number)}{odd}"
    for run, tag in ((name, "tag"), ("odd tags", name)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with Logger(served, run, mode="a") as logger:
                logger.add_scalar(f"number {tag}", 1.0)
                logger.add_image(tag, np.eye(2))
        numbers(server, run, f"number {tag}", 1)
        listed = server.until(bool, "plugin/images/images", run=run, tag=tag, sample=0)
        path = f"plugin/images/individualImage?{listed[0]['query']}&x="
        hides = bool(caught) and server.fast
        with pytest.raises(HTTPError) if hides else contextlib.nullcontext():
            server.get(path)


def test_histograms_count_every_value(logger: Logger, server: Server) -> None:
    """TensorBoard's buckets hold all values between the extremes."""
    values = np.random.default_rng(0).normal(-65, 2, 10_000)
    logger.add_histogram("Potential", values, 3)
    logger.add_histogram("Constant", np.full(10, 4.0), 3)
    run = logger.run_dir.name
    [[_, step, buckets]] = server.until(
        bool, "plugin/histograms/histograms", run=run, tag="Potential"
    )
    assert step == 3
    lefts, rights, counts = np.array(buckets).T
    assert counts.sum() == 10_000
    assert lefts[0] == pytest.approx(values.min())
    assert rights[-1] == pytest.approx(values.max())
    middle = np.average((lefts + rights) / 2, weights=counts)
    assert middle == pytest.approx(values.mean(), abs=0.01)
    [[_, _, buckets]] = server.until(
        bool, "plugin/histograms/histograms", run=run, tag="Constant"
    )
    assert np.array(buckets)[:, 2].sum() == 10


def test_text_is_rendered_as_markdown(logger: Logger, server: Server) -> None:
    """A text is one paragraph of HTML without a surrounding table."""
    logger.add_text("About", "**bold** and\n\n| a | b |\n|---|---|\n| 1 | 2 |", 2)
    run = logger.run_dir.name
    [entry] = server.until(bool, "plugin/text/text", run=run, tag="About")
    assert entry["step"] == 2
    assert "<strong>bold</strong>" in entry["text"]
    assert entry["text"].count("<table>") == 1


def test_text_shows_the_safe_part_of_html(logger: Logger, server: Server) -> None:
    """Headings and tables, and neither what was left out nor its source."""
    table = "<table><tr><td>1*2*3</td></tr></table>"
    fragment = (
        f"<h1 onclick='f()'>Head</h1><script>f()</script><style>p{{}}</style>{table}"
        '<img src="http://127.0.0.1:9/x.png" onerror="f()"><div>end</div>'
    )
    for step in range(3):
        logger.add_html("Report", fragment, step)
    run = logger.run_dir.name
    entries = server.until(
        lambda found: len(found) == 3, "plugin/text/text", run=run, tag="Report"
    )
    assert [entry["step"] for entry in entries] == [0, 1, 2]
    for entry in entries:
        assert "<h1>Head</h1>" in entry["text"]
        assert "<td>1*2*3</td>" in entry["text"]
        assert "end" in entry["text"]
        for gone in ("f()", "img", "script", "p{", "&lt;", "127.0.0.1"):
            assert gone not in entry["text"]


def test_figures_are_images(logger: Logger, server: Server) -> None:
    """A figure is shown with its size."""
    from matplotlib.figure import Figure

    logger.add_figure("Figure", Figure(figsize=(3, 2), dpi=50))
    [(step, pixels)] = pictures(server, logger.run_dir.name, "Figure", 1)
    assert step == 0
    assert pixels.shape == (100, 150, 4)


def test_parameters_are_one_row_with_every_cell(served: Path, server: Server) -> None:
    """NumPy numbers, bools and lists are shown; None and NaN give empty cells."""
    name = f"hparams{next(_number)}"
    with Logger(served, name) as logger:
        logger.add_parameters(
            {
                "rate": np.float32(0.1),
                "units": np.int64(3),
                "plastic": np.bool_(True),
                "layers": [8, 16],
                "rule": "Oja",
                "nothing": None,
                "nan": math.nan,
            }
        )
        for step in range(5):
            logger.add_scalar("Accuracy", step / 10, step)
        logger.add_metrics({"Accuracy": 0.75})
    row = session(server, name)
    assert row["hparams"] == {
        "rate": 0.1,
        "units": 3.0,
        "plastic": True,
        "layers": "[8, 16]",
        "rule": "Oja",
    }
    assert row["sessions"][0]["status"] == "STATUS_SUCCESS"
    metrics = {m["name"]["tag"]: m["value"] for m in row["sessions"][0]["metricValues"]}
    assert metrics == {"Accuracy": 0.75}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_run_that_failed_is_a_failure(
    served: Path, server: Server, error: type[BaseException]
) -> None:
    """The row of a run ended by an exception shows it as failed."""
    name = f"failed{next(_number)}"
    with pytest.raises(error), Logger(served, name) as logger:
        logger.add_parameters({"rate": 1})
        raise error
    row = session(server, name)
    assert row["sessions"][0]["status"] == "STATUS_FAILURE"


def test_columns_stay_numbers_where_runs_differ(served: Path, server: Server) -> None:
    """A None or NaN in one run leaves the column numeric for all runs."""
    logdir = f"column{next(_number)}"
    name = f"tau{logdir}"
    for run, value in (("a", 1.0), ("b", None), ("c", math.nan), ("d", 2.0)):
        with Logger(served / logdir, run) as logger:
            logger.add_parameters({name: value, "all": 1})
    body = {"experimentName": "", "hparamsLimit": 0, "includeMetrics": True}

    def column(answer: Any) -> Any:
        found = [info for info in answer["hparamInfos"] if info["name"] == name]
        return found[0] if found else None

    for run in "abcd":
        session(server, f"{logdir}/{run}")
    answer = server.until(column, "plugin/hparams/experiment", body)
    info = column(answer)
    assert info["type"] == "DATA_TYPE_FLOAT64"
    assert info.get("domainInterval", {}) == {"minValue": 1, "maxValue": 2} or sorted(
        info["domainDiscrete"]
    ) == [1, 2]


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.floats(width=32),
            st.integers(-(2**63), 2**63 - 1),
        ),
        min_size=40,
        max_size=40,
        unique_by=lambda said: said[0],
    )
)
@pytest.mark.filterwarnings("ignore:.*the value is (nan|-?inf)")
def test_any_tag_step_and_value_comes_back(
    served: Path, server: Server, said: list[tuple[str, float, int]]
) -> None:
    """Both loaders return the logged data bit for bit."""
    said = [*said, ("x" * 10_000, 0.5, -1), ("tag with spaces", math.nan, 2**63 - 1)]
    with Logger(served, f"any{next(_number)}") as logger:
        for tag, value, step in said:
            logger.add_scalar(tag, value, step)
    for tag, value, step in said:
        [[got_step, got]] = numbers(server, logger.run_dir.name, tag, 1)
        assert got_step == step
        wanted = struct.unpack("<f", struct.pack("<f", value))[0]
        np.testing.assert_equal(float(got), wanted)


def test_the_parent_goes_on_after_a_child_was_killed(
    served: Path, servers: dict[str, Server]
) -> None:
    """If a forked child died during a write, the parent's points are shown.

    The servers start reading afterwards: once running, the slow loader reads only later
    files of the directory until it is restarted.
    """
    name = f"forked{next(_number)}"
    hidden = served.parent / "hidden"
    with Logger(hidden, name) as logger:
        logger.add_scalar("parent", 0, 0)
        assert in_child(lambda: logger.add_scalar("child", 1, 5)) == 0
        assert in_child(lambda: killed_in_a_large_write(logger)) == -signal.SIGKILL
        for step in range(1, 50):
            logger.add_scalar("parent", step, step)
    os.rename(hidden / name, served / name)
    for server in servers.values():
        assert numbers(server, name, "parent", 50) == [[i, i] for i in range(50)]
        assert numbers(server, name, "child", 1) == [[5, 1]]


def test_processes_with_their_own_keys_are_shown(
    logger: Logger, server: Server
) -> None:
    """Several forked processes log one plot, each its own curve: no point is hidden."""
    logger.add_scalar("parent", 0, 0)

    def work(name: str) -> None:
        for step in range(25):
            logger.add_scalars("Loss", {name: step}, step)

    for name in ("worker0", "worker1"):
        assert in_child(lambda name=name: work(name)) == 0
    for name in ("worker0", "worker1"):
        found = numbers(server, f"{logger.run_dir.name}/{name}", "Loss", 25)
        assert found == [[step, step] for step in range(25)]


def test_a_later_file_of_a_run_is_followed(served: Path, server: Server) -> None:
    """When data are appended to a run being watched, old and new points are shown."""
    name = f"appended{next(_number)}"
    for start in (0, 10, 20):
        with Logger(served, name, mode="a") as logger:
            for step in range(start, start + 10):
                logger.add_scalar("a", step, step)
        found = numbers(server, name, "a", start + 10)
        assert found == [[i, i] for i in range(start + 10)]


def test_records_behind_a_torn_end_are_in_the_next_file(
    served: Path, server: Server
) -> None:
    """A file that ends in half a record hides nothing logged later."""
    name = f"torn{next(_number)}"
    run = served / name
    run.mkdir()
    first = opened(run)
    first.append(ScalarRecords("a").make(0, 1.0, 0))
    first.append(ScalarRecords("a").make(1, 1.0, 1)[:-7])
    first.close()
    with Logger(served, name, mode="a") as logger:
        logger.add_scalar("a", 1)
    assert numbers(server, name, "a", 2) == [[0, 0], [1, 1]]


def test_a_resumed_run_shows_what_its_checkpoint_had(
    server: Server, served: Path, tmp_path: Path
) -> None:
    """Data logged after the checkpoint are gone, in the run and in its curves.

    A running TensorBoard would have to be restarted to show that, so the run is moved
    to the watched directory only at the end.
    """
    with pytest.raises(ZeroDivisionError), Logger(tmp_path, "run") as logger:
        logger.add_parameters({"seed": 3})
        for step in range(6):
            logger.add_scalar("a", step, 10 * step)
            logger.add_scalars("plot", {"train": step}, step)
            if step == 3:
                logger.save_checkpoint("state", step)
        logger.add_scalars("plot", {"late": 1}, 1)
        raise ZeroDivisionError
    with Logger(tmp_path, "run", resume=True) as logger:
        logger.add_parameters({"seed": 3})
        logger.add_scalar("a", -1, 35)
        logger.add_scalars("plot", {"train": -1})
    name = f"run{next(_number)}"
    (tmp_path / "run").rename(served / name)
    assert numbers(server, name, "a", 5) == [
        [0, 0],
        [10, 1],
        [20, 2],
        [30, 3],
        [35, -1],
    ]
    shown = numbers(server, f"{name}/train", "plot", 5)
    assert shown == [[0, 0], [1, 1], [2, 2], [3, 3], [4, -1]]
    found = session(server, name)
    assert found["hparams"] == {"seed": 3.0}
    assert found["sessions"][0]["status"] == "STATUS_SUCCESS"
    runs = server.json("runs")
    assert f"{name}/late" not in runs
    assert not [run for run in runs if "checkpoints" in run]


def described(server: Server, plugin: str, run: str, tag: str) -> str:
    """Return the description that TensorBoard shows for a tag, as HTML."""
    path = f"plugin/{plugin}/tags"
    answer = server.until(lambda answer: answer[run][tag], path)
    return str(answer[run][tag]["description"])


def test_descriptions_stand_beside_the_plots(logger: Logger, server: Server) -> None:
    """A tag's description is shown whichever method logs first; values are kept."""
    tags = ["V", "a", "b", "many", "more", "plot", "histogram", "image", "text"]
    for tag in tags:
        logger.describe(tag, f"**{tag}** in mV")
    for step in range(3):
        logger.add_scalar("V", step, step)
        logger.log({"a": step, "b": -step, "plain": 7}, step)
        logger.add_scalars("plot", {"x": step, "y": -step}, step)
        logger.add_histogram("histogram", [1, 2, step], step)
        logger.add_image("image", np.full((2, 3), 0.5), step)
        logger.add_text("text", f"step {step}", step)
    logger.add_series("many", range(3))
    logger.add_series(["more", "undescribed"], [[0, 0], [1, -1], [2, -2]])
    run = logger.run_dir.name
    for tag in ("V", "a", "b", "many", "more"):
        sign = -1 if tag == "b" else 1
        assert numbers(server, run, tag, 3) == [[i, sign * i] for i in range(3)]
        shown = described(server, "scalars", run, tag)
        assert f"<strong>{tag}</strong> in mV" in shown
    for tag in ("plain", "undescribed"):
        assert described(server, "scalars", run, tag) == ""
    for key, sign in (("x", 1), ("y", -1)):
        found = numbers(server, f"{run}/{key}", "plot", 3)
        assert found == [[i, sign * i] for i in range(3)]
        assert "plot" in described(server, "scalars", f"{run}/{key}", "plot")
    assert "in mV" in described(server, "histograms", run, "histogram")
    assert "in mV" in described(server, "images", run, "image")
    assert len(pictures(server, run, "image", 3)) == 3
    texts = server.until(
        lambda found: len(found) >= 3, "plugin/text/text", run=run, tag="text"
    )
    assert [entry["text"] for entry in texts] == [f"<p>step {i}</p>" for i in range(3)]
    cards = server.json("plugin/timeseries/tags")
    assert cards["scalars"]["tagDescriptions"]["V"].endswith("in mV</p>")
    assert cards["images"]["tagDescriptions"]["image"].endswith("in mV</p>")


def test_a_description_in_a_later_life_of_a_run_hides_nothing(
    served: Path, server: Server
) -> None:
    """TensorBoard shows the tag's first description, and all its points."""
    name = f"late{next(_number)}"
    for life, text in enumerate((None, "in mV", "in V")):
        with Logger(served, name, mode="a") as logger:
            if text is not None:
                logger.describe("plain", text)
                logger.describe("described", text)
            for step in range(2):
                logger.add_scalar("plain", step)
                if life:
                    logger.add_scalar("described", step)
    assert numbers(server, name, "plain", 6) == [[i, i % 2] for i in range(6)]
    assert numbers(server, name, "described", 4) == [[i, i % 2] for i in range(4)]
    assert described(server, "scalars", name, "plain") == ""
    assert "in mV" in described(server, "scalars", name, "described")


def test_sounds_are_played_as_they_were_logged(logger: Logger, server: Server) -> None:
    """The AUDIO tab gets the WAV of each step, its rate and its description."""
    logger.describe("Sound", "of *one* neuron")
    rng = np.random.default_rng(0)
    sounds = [rng.integers(-(2**15), 2**15, (50, 2), np.int16) for _ in range(3)]
    for step, sound in enumerate(sounds):
        logger.add_audio("Sound", sound, step * 10, rate=8000)
    run = logger.run_dir.name
    entries = server.until(
        lambda found: len(found) >= 3,
        "plugin/audio/audio",
        run=run,
        tag="Sound",
        sample=0,
    )
    assert [entry["step"] for entry in entries] == [0, 10, 20]
    for entry, sound in zip(entries, sounds, strict=True):
        data = server.get(f"plugin/audio/individualAudio?{entry['query']}&x=")
        with wave.open(io.BytesIO(data)) as file:
            assert file.getparams()[:4] == (2, 2, 8000, 50)
            found = np.frombuffer(file.readframes(50), "<i2").reshape(50, 2)
        assert (found == sound).all()
    tags = server.json("plugin/audio/tags")
    assert "<em>one</em>" in tags[run]["Sound"]["description"]


@pytest.mark.parametrize("killed", [False, True])
def test_all_points_of_phases_are_shown(
    server: Server, served: Path, killed: bool
) -> None:
    """Three of 100 samples from time 0, also if it is killed within the second."""
    name = f"run{next(_number)}"

    def simulate(dies: bool) -> None:
        with Logger(served, name, resume=True, dt=1.0) as logger:
            first, begin = logger.load_checkpoint(((0, 0), 0))[0]
            for k in range(first, 3):
                with logger.phase(f"trial {k}"):
                    for step in range(begin if k == first else 0, 100):
                        logger.add_scalar("Rate", step, time=float(step))
                        logger.log({"a": step, "b": 1.0}, step)
                        if step == 49:
                            logger.save_checkpoint((k, 50), step)
                        if dies and (k, step) == (1, 70):
                            os.kill(os.getpid(), signal.SIGKILL)

    if killed:
        assert in_child(lambda: simulate(True)) == -signal.SIGKILL
    simulate(False)
    for tag in ("Rate", "a"):
        shown = numbers(server, name, tag, 300)
        assert shown == [[step, step % 100] for step in range(300)]
