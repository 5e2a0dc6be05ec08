"""Reports: the data of runs as JSON, and the page that holds it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.board import pictures
from annarchy_tb.board import report as report_page
from annarchy_tb.board import run as run_page
from annarchy_tb.board.packed import MOST_POINTS, curve, spread
from annarchy_tb.board.run import run_data
from annarchy_tb.board.runs import runs_data
from annarchy_tb.cli import main
from annarchy_tb.kinds import raster
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files

HOSTILE = "</script><script>alert(1)</script>\"'\n\x1b[31m"


def report(*arguments: object) -> Result:
    """Run ``annarchy-tb report``."""
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def unpacked(text: str) -> np.ndarray:
    """Return the numbers that a page gets."""
    return np.frombuffer(base64.b64decode(text), "<f8")


def cards(path: Path) -> dict[str, Any]:
    """Return what a page shows of the tags of a run."""
    return {card["tag"]: card for card in run_data(Run(path))["cards"]}


def test_a_spike_among_a_million_points_is_on_the_page(logdir: Path) -> None:
    """So is each NaN's place; and the page says how many points there were."""
    values = np.random.default_rng(3).normal(size=1_000_000).astype("f4")
    place = 271_828
    values[place] = 99
    with Logger(logdir, "run") as logger:
        logger.add_series("v", values, times=np.arange(1_000_000) / 10)
    card = cards(logdir / "run")["v"]
    [found] = card["curves"]
    x, y = unpacked(found["x"]), unpacked(found["y"])
    assert card["timed"]
    assert len(x) <= MOST_POINTS
    assert found["number"] == 1_000_000
    assert x[y.argmax()] == place / 10
    assert y.max() == 99
    assert y.min() == values.min()


def test_thinner_curves_keep_their_extremes_and_their_means(logdir: Path) -> None:
    """Means are those of all points, without NaN: not those of the extremes."""
    rng = np.random.default_rng(4)
    values = rng.exponential(size=30_000)
    values[[100, 20_000]] = np.nan, 77.0
    with Logger(logdir, "run", on_nan="ignore") as logger:
        logger.add_series("v", values)
    found = curve(Run(logdir / "run").scalars("v"))
    thin = found.thinner(100)
    assert len(thin.table) <= 100
    assert np.nanmax(thin.table[:, 2]) == 77
    assert np.nanmin(thin.table[:, 2]) == np.nanmin(values)
    assert thin.number == 30_000
    assert thin.means is not None
    parts = values.reshape(250, 120)
    np.testing.assert_allclose(thin.means[:, 2], np.nanmean(parts, axis=1))
    np.testing.assert_allclose(thin.means[:, 0], np.arange(250) * 120 + 59.5)


@pytest.mark.parametrize("number", [1, 2, 5, 1000])
@pytest.mark.parametrize("most", [1, 2, 5, 60])
def test_places_are_spread_evenly(number: int, most: int) -> None:
    """They are in order, with the last one, and with the first if there are two."""
    found = spread(number, most)
    assert found == sorted(set(found))
    assert len(found) == min(number, most)
    assert found[-1] == number - 1
    if most > 1:
        assert found[0] == 0


def test_curves_are_over_time_only_if_all_points_have_one(logdir: Path) -> None:
    """All curves of a plot have the same axis."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("some", 1.0, time=5)
        logger.add_scalar("some", 2.0)
        for step in range(3):
            logger.add_scalar("steps", step, step)
            logger.add_scalars("plot", {"a": step, "b": -step}, time=step / 2)
    found = cards(logdir / "run")
    assert [found[tag]["timed"] for tag in ("some", "steps", "plot")] == [
        *(False, False, True)
    ]
    assert [one["name"] for one in found["plot"]["curves"]] == ["a", "b"]
    for one in found["plot"]["curves"]:
        assert unpacked(one["x"]).tolist() == [0.0, 0.5, 1.0]


def test_images_are_those_in_the_files(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most so many of a tag, and of so many bytes, with the first and the last."""
    with Logger(logdir, "run") as logger:
        for step in range(100):
            logger.add_image("i", np.full((4, 4), step, np.uint8), step)
    its = cards(logdir / "run")["i"]
    steps = [frame["step"] for frame in its["frames"]]
    assert its["number"] == 100
    assert len(steps) == run_page.MOST_IMAGES
    assert (steps[0], steps[-1]) == (0, 99)
    for frame in its["frames"]:
        head, data = frame["address"].split(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.getpixel((0, 0)) == frame["step"]
    monkeypatch.setattr(run_page, "IMAGE_BYTES", 3 * len(its["frames"][0]["address"]))
    its = cards(logdir / "run")["i"]
    assert 1 <= len(its["frames"]) <= 3
    assert its["frames"][-1]["step"] == 99
    monkeypatch.setattr(run_page, "IMAGE_BYTES", 10)
    assert cards(logdir / "run")["i"]["frames"] == []


def numbers(said: list[str]) -> np.ndarray:
    """Return numbers that a page gets with their type."""
    dtype, text = said
    return np.frombuffer(base64.b64decode(text), f"<{dtype}")


def test_the_spikes_of_rasters_are_on_the_page(logdir: Path) -> None:
    """With their axes, groups and rates; in the unit of the run."""
    with Logger(logdir, "run", dt=0.5) as logger:
        logger.add_raster("r", {0: [1]}, 0)
        spikes = {4: [3, 9], 0: [1], 9: [2], 3: [0]}
        groups = {"E": 4, "I": 8}
        with pytest.warns(UserWarning, match="1 of 5 spikes are outside"):
            logger.add_raster("r", spikes, 1, start=1, duration=10, groups=groups)
    card = cards(logdir / "run")["r"]
    assert (card["kind"], card["number"]) == ("raster", 2)
    _, frame = card["frames"]
    assert frame["step"] == 1
    assert (frame["unit"], frame["scale"]) == ("ms", 0.5)
    assert frame["limits"] == [1.0, 11.0, 0, 12]
    assert frame["groups"] == ["E", "I"]
    assert (frame["number"], frame["outside"]) == (4, 1)
    found = [numbers(frame["points"][name]).tolist() for name in ("x", "y", "of")]
    assert [*zip(*found, strict=True)] == [(3, 4, 1), (9, 4, 1), (1, 0, 0), (2, 9, 1)]
    assert frame["rates"]["unit"] == "Hz"
    e, i = (numbers(its) for its in frame["rates"]["y"])
    assert e.tolist() == [500, *[0] * 9]  # a spike of 4 neurons in 0.5 ms
    assert i.tolist() == [0, 250, 250, *[0] * 5, 250, 0]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("groups", [None, {"E": slice(0, 3000), "I": [3001, 4999]}])
def test_many_spikes_are_counted_in_cells(
    groups: Any, whole: bool, logdir: Path
) -> None:
    """None is lost, and each is in its place; columns have equally many steps."""
    rng = np.random.default_rng(6)
    times = rng.integers(0, 1001, 30_000) if whole else rng.random(30_000) * 1001
    ranks = rng.integers(0, 4999, 30_000)
    times[0], ranks[0] = 1000, 4999
    with Logger(logdir, "run") as logger:
        logger.add_raster("r", (times, ranks), groups=groups, start=0)
    [frame] = cards(logdir / "run")["r"]["frames"]
    cells = frame["cells"]
    counts = numbers(cells["z"]).reshape(cells["shape"])
    assert counts.sum() == frame["number"] == 30_000
    (start, wide, _), (first, tall, last) = cells["x"], cells["y"]
    assert (start, first, last) == (0, 0, 5000)
    assert (wide % 1 == 0) is whole
    wanted = np.zeros_like(counts)
    column = np.minimum(times / wide, counts.shape[1] - 1).astype(int)
    np.add.at(wanted, (ranks // tall, column), 1)
    np.testing.assert_array_equal(counts, wanted)
    assert counts[-1, -1] >= 1
    if groups is not None:
        of = numbers(cells["of"]).reshape(cells["shape"])
        assert (of[: 3000 // tall][counts[: 3000 // tall] > 0] == 0).all()
        assert of[-1, -1] in (1, 2)


@given(
    st.lists(st.tuples(st.floats(-10, 1010), st.integers(0, 99)), max_size=50),
    st.floats(0, 900),
    st.floats(0.01, 100),
    st.integers(0, 90),
    st.integers(1, 10),
)
def test_any_part_of_a_raster_can_be_asked_for(
    spikes: list[tuple[float, int]], start: float, span: float, first: int, size: int
) -> None:
    """Its cells hold the spikes inside, wherever its limits are."""
    times, ranks = np.array(spikes, float).reshape(-1, 2).T
    limits = pictures.Limits(start, start + span, first, size, False)
    with pytest.MonkeyPatch.context() as patch:
        for most in (50, -1):
            patch.setattr(pictures, "MOST_SPIKES", most)
            part = pictures.raster_part(times, ranks.astype(int), limits, 7, 3)
            inside = (times >= start) & (times <= start + span)
            inside &= (ranks >= first) & (ranks < first + size)
            assert part["number"] == inside.sum()
            assert part["outside"] == (~inside).sum()
    assert numbers(part["cells"]["z"]).sum() == inside.sum()
    rows, columns = part["cells"]["shape"]
    assert (rows <= 3, columns <= 7) == (True, True)


def test_the_values_of_matrices_are_on_the_page(logdir: Path) -> None:
    """With the scale of their picture; of a large one, with what cells cover."""
    signed = np.array([[-4.0, 0.0], [np.nan, 2.0]])
    large = np.zeros((1000, 30), np.float32)
    large[999, 0] = 3
    with Logger(logdir, "run") as logger:
        logger.add_matrix("signed", signed, time=5)
        logger.add_matrix("large", large)
        logger.add_matrix("map", [[1, 2]], vmin=0, vmax=9, cmap="viridis")
        logger.add_matrix("nothing", [[np.nan]])
    found = cards(logdir / "run")
    assert {card["kind"] for card in found.values()} == {"matrix"}
    [frame] = found["signed"]["frames"]
    assert frame["time"] == 5
    np.testing.assert_array_equal(numbers(frame["cells"]["z"]), signed.ravel())
    assert (frame["low"], frame["high"], frame["split"]) == (-4, 2, True)
    assert frame["colours"][16] == "#ffffff"
    [frame] = found["large"]["frames"]
    cells = frame["cells"]
    assert (cells["shape"], cells["x"], cells["y"]) == (
        *([167, 30], [0, 1, 30], [0, 6, 1000]),
    )
    assert np.argwhere(numbers(cells["z"]).reshape(167, 30)).tolist() == [[166, 0]]
    [frame] = found["map"]["frames"]
    assert (frame["low"], frame["high"], frame["split"]) == (0, 9, False)
    assert frame["colours"][0] == "#440154"


def test_the_values_of_a_matrix_have_a_unit(logdir: Path) -> None:
    """That of the first one of the tag, as those of curves."""
    pint = pytest.importorskip("pint", reason="needs pint")
    with Logger(logdir, "run") as logger:
        logger.add_matrix("w", pint.UnitRegistry().Quantity([[1.0, 2.0]], "nS"))
    assert cards(logdir / "run")["w"]["unit"] == "nS"


def test_frames_are_bounded(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in bytes, with the last one."""
    with Logger(logdir, "run") as logger:
        for step in range(100):
            logger.add_matrix("w", np.eye(100) * step, step)
            logger.add_raster("r", (np.arange(5000.0), np.arange(5000)), step)
    for card in cards(logdir / "run").values():
        assert len(card["frames"]) == run_page.MOST_IMAGES
        assert card["frames"][-1]["step"] == 99
    monkeypatch.setattr(run_page, "IMAGE_BYTES", 500_000)
    for card in cards(logdir / "run").values():
        assert len(json.dumps(card["frames"])) < 250_000
        assert 1 <= len(card["frames"]) < 10
        assert card["frames"][-1]["step"] == 99


def test_where_nothing_was_kept_the_picture_stays(logdir: Path) -> None:
    """At steps at which it is missing, and at those of another kind than the last."""

    def shown(tag: str) -> tuple[str, list[bool]]:
        card = cards(logdir / "run")[tag]
        return card["kind"], ["address" in frame for frame in card["frames"]]

    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_matrix("w", np.eye(3) * step, step)
            logger.add_raster("r", {0: [step]}, step)
        logger.add_matrix("both", np.eye(3))
        logger.add_raster("both", {0: [1]})
        logger.add_image("both", np.eye(3))
        logger.add_image("i", np.eye(3))
    assert shown("w") == ("matrix", [False] * 3)
    assert shown("r") == ("raster", [False] * 3)
    assert shown("both") == ("raster", [True, False, True])
    assert shown("i") == ("image", [True])
    [path] = logger.run_dir.glob("recordings.*")
    data = bytearray(path.read_bytes())
    first, *_, last = (b for b in recordings.blocks(path, []) if "w" in b.tags)
    data[first.start] ^= 1
    path.write_bytes(data[: last.offset] + data[last.end :])
    assert shown("w") == ("matrix", [True, False, True])
    [_, frame, _] = cards(logdir / "run")["w"]["frames"]
    assert numbers(frame["cells"]["z"]).tolist() == np.eye(3).ravel().tolist()
    path.unlink()
    for tag, number in (("w", 3), ("r", 3), ("both", 3)):
        assert shown(tag) == ("image", [True] * number)


def test_rasters_of_other_versions_are_drawn(logdir: Path) -> None:
    """Without the axes in their heads, these are those of the spikes."""
    with Logger(logdir, "run") as logger, pytest.MonkeyPatch.context() as patch:
        patch.setattr(raster.Raster, "said", lambda _: {})
        logger.add_raster("r", {2: [5, 7], 4: [6]}, 0)
        logger.add_raster("r", {2: [5]}, 1)
        logger.add_raster("r", {}, 2)
    frames = cards(logdir / "run")["r"]["frames"]
    assert [frame["limits"] for frame in frames] == [
        *([5.0, 7.0, 2, 3], [5.0, 6.0, 2, 1], [0.0, 1.0, 0, 1])
    ]
    assert [frame["number"] for frame in frames] == [3, 1, 0]
    assert {frame["unit"] for frame in frames} == {""}


def test_the_last_pictures_of_runs_are_side_by_side(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the newest runs, in so many bytes; the rest is counted."""
    for number in range(4):
        with Logger(logdir, f"run {number}") as logger:
            logger.add_image("i", np.eye(3))
            for step in range(3):
                logger.add_matrix("w", np.full((3, 3), number * 10 + step), step)
            if number:
                logger.add_raster("r", {0: [1]}, 7)
    data = runs_data(find_runs(logdir))
    names = [run["name"] for run in data["runs"]]
    found = {its["tag"]: its for its in data["pictures"]}
    assert set(found) == {"w", "r"}
    for tag, number, step in (("w", 4, 2), ("r", 3, 7)):
        frames = found[tag]["frames"]
        assert [names[frame["run"]] for frame in frames] == names[:number]
        assert {frame["step"] for frame in frames} == {step}
        assert found[tag]["left"] == 0
        for frame in frames:
            files = Run(logdir / names[frame["run"]]).images(tag).images
            head, its = frame["address"].split(",")
            assert head == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(its))) as image:
                np.testing.assert_array_equal(np.asarray(image), files[-1])
    size = len(found["w"]["frames"][0]["address"])
    monkeypatch.setattr("annarchy_tb.board.runs.PICTURE_BYTES", 3 * size)
    found = {its["tag"]: its for its in runs_data(find_runs(logdir))["pictures"]}
    taken = [len(f["address"]) for its in found.values() for f in its["frames"]]
    assert sum(taken) <= 3 * size
    for tag, number in (("w", 4), ("r", 3)):
        assert len(found[tag]["frames"]) + found[tag]["left"] == number
        assert found[tag]["left"] > 0


def test_sounds_are_those_in_the_files(logdir: Path) -> None:
    """As WAV, which browsers play."""
    with Logger(logdir, "run") as logger:
        for step in range(3):
            logger.add_audio("s", np.full(10, step, np.int16), step, rate=8000)
    for frame in cards(logdir / "run")["s"]["frames"]:
        head, data = frame["address"].split(",")
        assert head == "data:audio/wav;base64"
        with wave.open(io.BytesIO(base64.b64decode(data))) as sound:
            assert sound.getframerate() == 8000
            assert sound.readframes(1) == bytes([frame["step"], 0])


def test_histograms_in_rows_keep_their_values(logdir: Path) -> None:
    """Each has a share of 1, wherever its buckets are, and however many they are."""
    rng = np.random.default_rng(5)
    with Logger(logdir, "run") as logger:
        for step in range(5):
            logger.add_histogram("h", rng.normal(step, 1, 1000), step)
        logger.add_histogram("h", np.full(10, 2.5), 5)
        logger.add_histogram("one", [1.0, 2.0, 2.0])
        logger.add_histogram("constant", [3.0])
        logger.add_histogram("constant", [3.0])
    found = cards(logdir / "run")
    columns = [unpacked(one) for one in found["h"]["shares"]]
    np.testing.assert_allclose([column.sum() for column in columns], 1)
    edges = unpacked(found["h"]["edges"])
    centres = (edges[1:] + edges[:-1]) / 2
    means = [column @ centres for column in columns]
    np.testing.assert_allclose(means, [0, 1, 2, 3, 4, 2.5], atol=0.2)
    [shares] = found["one"]["shares"]
    assert unpacked(shares).sum() == 3
    assert len(unpacked(found["one"]["edges"])) == len(unpacked(shares)) + 1
    for shares in found["constant"]["shares"]:
        assert unpacked(shares).sum() == 1


def test_texts_are_the_last_ones_and_bounded(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left out is said."""
    monkeypatch.setattr(run_page, "MOST_TEXTS", 2)
    monkeypatch.setattr(run_page, "LONGEST", 3)
    with Logger(logdir, "run") as logger:
        for text in ("a b", "c d e", "f g h i"):
            logger.add_text("t", text)
    its = cards(logdir / "run")["t"]
    assert its["number"] == 3
    said = [(one["step"], one["text"], one["left"]) for one in its["texts"]]
    assert said == [(1, "c d", 2), (2, "f g", 4)]


def test_the_page_knows_how_a_run_went(logdir: Path) -> None:
    """How it ended and why, its phases, its first NaN, where it came from."""
    with pytest.raises(ZeroDivisionError), Logger(logdir, "run") as logger:
        logger.add_parameters({"tau": 3.0, "nan": np.nan}, {"loss": 1.0})
        with logger.phase("trial 1"):
            logger.add_scalar("a", 1.0, time=1)
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("a", np.nan, time=2)
        raise ZeroDivisionError("by zero")
    data = run_data(Run(logdir / "run"))
    json.dumps(data, allow_nan=False)
    its = data["run"]
    assert its["status"] == "failed"
    assert its["error"]["message"] == "by zero"
    assert its["params"] == {"tau": 3.0, "nan": None}
    assert its["results"] == {"loss": 1.0}
    assert list(its["odd"]) == ["a"]
    assert [phase["name"] for phase in data["phases"]] == ["trial 1"]
    assert data["origin"]["python"]
    assert [card["tag"] for card in data["cards"]] == ["a"]  # loss is in the table


def test_a_torn_file_is_said_and_the_rest_is_shown(logdir: Path) -> None:
    """The page names the place; no warning is lost on the way."""
    for name in ("torn", "whole"):
        with Logger(logdir, name) as logger:
            for step in range(10):
                logger.add_scalar("a", step, step)
    [path] = event_files(logdir / "torn")
    data = path.read_bytes()
    path.write_bytes(data[:-7])
    for data in (run_data(Run(logdir / "torn")), runs_data(find_runs(logdir))):
        [remark] = data["remarks"]
        assert "is damaged at byte" in remark
        assert len(data["cards"]) == 1


def test_runs_that_vanish_are_left_out(logdir: Path) -> None:
    """Those that are there are on the page; a run alone is an error."""
    for name in ("a", "b"):
        with Logger(logdir, name) as logger:
            logger.add_scalar("x", 1.0)
    runs, gone = find_runs(logdir), Run(logdir / "a")
    shutil.rmtree(gone.path)
    assert [run["name"] for run in runs_data(runs)["runs"]] == ["b"]
    with pytest.raises(FileNotFoundError, match=str(gone.path)):
        run_data(gone)


def test_many_curves_share_the_room(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory's page is bounded: fewer points of each, and curves of the newest."""
    monkeypatch.setattr("annarchy_tb.board.packed.ALL_POINTS", 300)
    monkeypatch.setattr("annarchy_tb.board.runs.MOST_RUNS", 3)
    for number in range(5):
        with Logger(logdir, f"run {number}") as logger:
            logger.add_series("v", np.arange(1000.0))
    data = runs_data(find_runs(logdir))
    assert (len(data["runs"]), data["drawn"]) == (5, 3)
    [card] = data["cards"]
    assert sorted(one["run"] for one in card["curves"]) == [0, 1, 2]
    for one in card["curves"]:
        y = unpacked(one["y"])
        assert len(y) <= 100
        assert (y[0], y[-1]) == (0, 999)
    with Logger(logdir, "run") as logger:
        for tag in range(5):
            logger.add_series(str(tag), np.arange(1000.0))
    found = cards(logdir / "run").values()
    assert [len(unpacked(card["curves"][0]["y"])) <= 60 for card in found] == 5 * [True]


def test_remarks_are_bounded(logdir: Path) -> None:
    """A thousand torn runs do not hide the table."""
    for number in range(25):
        with Logger(logdir, f"run {number}") as logger:
            logger.add_scalar("a", 1.0)
        [path] = event_files(logdir / f"run {number}")
        path.write_bytes(path.read_bytes()[:-7])
    said = runs_data(find_runs(logdir))["remarks"]
    assert len(said) == run_page.MOST_REMARKS + 1
    assert said[-1] == "and 5 more"


def test_units_that_differ_are_not_drawn_over_each_other(logdir: Path) -> None:
    """Of runs with several time units, curves are over steps."""
    for unit in ("ms", "s"):
        with Logger(logdir, unit, time_unit=unit) as logger:
            logger.add_scalar("x", 1.0, time=5)
            logger.add_scalar("x", 1.0, time=6)
    data = runs_data(find_runs(logdir))
    assert data["unit"] is None
    assert not data["cards"][0]["timed"]


def test_the_page_holds_all_names_as_data(logdir: Path, tmp_path: Path) -> None:
    """No name ends the script; each script is the one that the policy names."""
    pytest.importorskip("plotly", reason="needs annarchy-tb[board]")
    with Logger(logdir, "<b>run</b>") as logger:
        logger.add_parameters({HOSTILE: HOSTILE})
        logger.add_text(HOSTILE, HOSTILE)
    output = tmp_path / "report.html"
    result = report(logdir / "<b>run<" / "b>", "-o", output)
    assert result.exit_code == 0, result.output
    html = output.read_text()
    assert "<title>b&gt;</title>" in html
    scripts = re.findall("<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3
    policy = re.search('Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    for attributes, code in scripts:
        if "json" in attributes:
            assert json.loads(code)["run"]["params"] == {HOSTILE: HOSTILE}
        else:
            digest = hashlib.sha256(code.encode()).digest()
            assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy[1]


def test_what_can_not_be_reported_is_one_line(
    logdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Onto a directory, into none, of no runs, without Plotly."""
    with Logger(logdir, "run") as logger:
        logger.add_scalar("x", 1.0)
    (tmp_path / "nothing").mkdir()
    output = tmp_path / "report.html"
    pytest.importorskip("plotly", reason="needs annarchy-tb[board]")
    for arguments, said in (
        ((logdir, "-o", tmp_path), "is a directory"),
        ((logdir, "-o", tmp_path / "no" / "report.html"), "there is no directory"),
        ((tmp_path / "nothing", "-o", output), "there are no runs in"),
    ):
        result = report(*arguments)
        assert result.exit_code == 1
        [line] = result.output.splitlines()
        assert said in line
    for module in ("plotly", "plotly.offline"):
        monkeypatch.setitem(sys.modules, module, None)
    result = report(logdir, "-o", output)
    assert result.exit_code == 1
    assert result.output == (
        "Error: annarchy-tb report needs plotly: pip install 'annarchy-tb[board]'\n"
    )
    assert not output.exists()


def test_the_sources_of_the_page_name_no_address() -> None:
    """Nothing of ours asks a network, and no text of a run becomes HTML."""
    for name in ("board.js", "report.js", "board.css"):
        source = (report_page.HERE / name).read_text()
        for word in ("://", "innerHTML", "outerHTML", "insertAdjacent", "eval("):
            assert word not in source
