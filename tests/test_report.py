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
from PIL import Image

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.board import report as report_page
from annarchy_tb.board import run as run_page
from annarchy_tb.board.packed import MOST_POINTS, curve, spread
from annarchy_tb.board.run import run_data
from annarchy_tb.board.runs import runs_data
from annarchy_tb.cli import main
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
