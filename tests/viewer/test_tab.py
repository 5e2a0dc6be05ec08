"""The tab SIMULATION in the real TensorBoard, with both of its loaders."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HAS_RUST, Server

pytest.importorskip("playwright", reason="needs playwright; make test-viewer runs it")

from playwright.sync_api import Browser, FrameLocator, Locator, Page
from viewer import Viewer, chromium, until

from annarchy_tb import Logger

pytestmark = pytest.mark.timeout(900)

LONG = 10_000_000
FRAGMENT = "<b style='color: red'>red</b><script>parent.acted = 1</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser."""
    with chromium() as browser:
        yield browser


@contextmanager
def serving(logdir: Path, fast: bool = HAS_RUST) -> Iterator[Server]:
    """Run TensorBoard."""
    server = Server(logdir, fast, samples=None)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def opened(browser: Browser, server: Server, run: str = "") -> Iterator[Page]:
    """Open the tab; nothing fails there."""
    viewer = Viewer(browser, server.url, width=1200, height=900)
    viewer.context.set_default_timeout(20_000)
    failed: list[str] = []
    viewer.page.on("pageerror", lambda error: failed.append(str(error)))
    viewer.page.on("dialog", lambda dialog: failed.append(dialog.message))
    address = f"simulation&p.simulation.run={run}" if run else "simulation"
    try:
        yield viewer.tab(address)
        assert failed == []
    finally:
        viewer.close()


def inside(page: Page) -> FrameLocator:
    """Return what is in the tab."""
    return page.frame_locator("iframe[src*='name=simulation']")


def shown(page: Page) -> Locator:
    """Return the table, or the run, that is shown in the tab."""
    return inside(page).locator("main:not([hidden])")


def rows(page: Page) -> list[str]:
    """Return the names of the runs in the table."""
    names = inside(page).locator("tbody th[scope=row] a")
    names.first.wait_for()
    return names.all_inner_texts()


def cells(page: Page, run: str) -> str:
    """Return what the table says about a run."""
    row = inside(page).locator("tr", has=inside(page).get_by_role("link", name=run))
    row.wait_for()
    return row.inner_text()


def chart(page: Page, tag: str) -> Locator:
    """Return the chart of a tag, once it is drawn."""
    heading = inside(page).get_by_role("heading", name=tag, exact=True)
    found = shown(page).locator(".card").filter(has=heading).locator(".chart")
    found.scroll_into_view_if_needed()
    found.locator(".main-svg").first.wait_for()
    return found


def drawn(found: Locator) -> list[dict[str, Any]]:
    """Return what Plotly draws on a chart."""
    its: list[dict[str, Any]] = found.evaluate(
        """box => box.data.map(one => ({
             name: one.name, mode: one.mode, x: [...one.x], y: [...one.y]}))"""
    )
    return its


def zoom(page: Page, found: Locator, low: float, high: float) -> None:
    """Drag over a part of the x axis of a chart."""
    area = found.locator(".nsewdrag").first.bounding_box()
    pixels = found.evaluate(
        "(box, ends) => ends.map(x => box._fullLayout.xaxis.d2p(x))", [low, high]
    )
    assert area is not None
    y = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + max(1, pixels[0]), y)
    page.mouse.down()
    page.mouse.move(area["x"] + min(area["width"] - 1, pixels[1]), y, steps=4)
    page.mouse.up()


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with several runs, and one with all kinds of data."""
    logdir = tmp_path_factory.mktemp("tab") / "runs"
    rng = np.random.default_rng(2)
    for tau in (5.0, 10.0, 20.0, 40.0):
        with Logger(logdir, f"sweep/tau {tau:g}") as logger:
            logger.add_parameters({"tau [ms]": tau, "same": 1}, {"loss": 1 / tau})
            for step in range(50):
                logger.add_scalar("rate", tau * step, time=step * 2.0)
    with pytest.raises(ZeroDivisionError), Logger(logdir, "all") as logger:
        logger.add_parameters({"tau [ms]": 12.5, "same": 1})
        with logger.phase("settling"):
            logger.add_scalar("rate", 1.0, time=1.0)
        for step in range(5):
            logger.add_scalars("groups", {"E": step, "I": -step}, step)
            logger.add_histogram("drive", rng.normal(step, 1, 100), step)
            logger.add_image("field", np.full((6, 9), step / 5), step)
            logger.add_raster("spikes", rng.random((100, 20)) > 0.9, step)
            logger.add_matrix("weights", np.full((3, 4), step), step)
        logger.add_audio("sound", np.zeros(100))
        logger.add_text("words", "not *bold*\n<b>not bold</b>")
        logger.add_html("fragment", FRAGMENT)
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("rate", np.nan, time=3.0)
        raise ZeroDivisionError("it exploded")
    with Logger(logdir, "long") as logger:
        logger.add_parameters({"tau [ms]": 12.5, "same": 1})
        values = rng.normal(size=LONG).astype("f4")
        values[int(rng.integers(LONG))] = 77.0
        logger.add_series("trace", values)
    return logdir


@pytest.fixture(scope="module", params=[True, False], ids=["fast", "slow"])
def server(request: pytest.FixtureRequest, logdir: Path) -> Iterator[Server]:
    """Return a TensorBoard with each of its loaders."""
    if request.param and not HAS_RUST:
        pytest.skip("there is no fast loader here")
    with serving(logdir, request.param) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """Return the page of TensorBoard with the tab in front."""
    with opened(browser, server) as page:
        yield page


def test_the_table_of_runs_comes_first(page: Page) -> None:
    """With how each ended, what differs and the results; it is sorted and filtered."""
    assert rows(page)[0] == "long"
    for said in ("failed", "settling", "ZeroDivisionError: it exploded", "rate at 1"):
        assert said in cells(page, "all")
    heads = inside(page).locator("thead").inner_text()
    assert "tau [ms]" in heads
    assert "loss" in heads
    assert "same" not in heads
    heading = inside(page).get_by_role("columnheader", name="loss")
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert heading.evaluate("e => e.contains(document.activeElement)")
    assert rows(page)[:4] == [f"sweep/tau {tau}" for tau in (40, 20, 10, 5)]
    inside(page).get_by_role("searchbox").fill("sweep 0.05")
    assert rows(page) == ["sweep/tau 20"]


def test_a_run_opens_by_keyboard_and_its_link_stays(page: Page) -> None:
    """Enter opens it; the address is that of the run, also after loading it anew."""
    link = inside(page).get_by_role("link", name="all", exact=True)
    link.press("Enter")
    inside(page).get_by_role("heading", name="all").wait_for()
    assert page.url.endswith("#simulation&p.simulation.run=all")
    page.reload()
    inside(page).get_by_role("heading", name="all").wait_for()
    back = inside(page).get_by_role("link", name="All runs")
    back.press("Enter")
    assert "all" in rows(page)
    assert page.url.endswith("#simulation")


def test_all_data_of_a_run_is_shown(browser: Browser, server: Server) -> None:
    """Curves over time, histograms, images and sounds from the server, texts."""
    with opened(browser, server, "all") as page:
        header = shown(page).locator("header")
        header.wait_for()
        for said in ("failed", "ZeroDivisionError: it exploded", "rate at step"):
            assert said in header.inner_text()
        assert [one["name"] for one in drawn(chart(page, "groups"))] == ["E", "I"]
        assert chart(page, "rate").locator(".xtitle").inner_html() == "time (ms)"
        assert chart(page, "drive").locator(".hm image").count() == 1
        field = inside(page).get_by_role("img", name="field", exact=True)
        assert field.evaluate("e => e.decode().then(() => e.naturalWidth)") == 9
        last = field.get_attribute("src")
        inside(page).get_by_role("slider", name="step of field").press("Home")
        assert field.get_attribute("src") != last
        for tag, last in (("weights", 4), ("spikes", 4)):
            assert chart(page, tag).locator(".hm image, .points path").count() > 0
            slider = inside(page).get_by_role("slider", name=f"step of {tag}")
            assert slider.locator("xpath=../output").inner_text() == f"step {last}"
        slider = inside(page).get_by_role("slider", name="step of weights")
        slider.press("Home")
        text = "box => box.data[0].text[0][0]"
        weights = chart(page, "weights")
        assert until(page, lambda: weights.evaluate(text).startswith("0 at row 0"))
        sound = inside(page).locator("audio")
        assert until(page, lambda: sound.evaluate("e => e.duration > 0"))
        assert "<b>not bold</b>" in inside(page).locator(".text pre").inner_text()
        fragment = inside(page).frame_locator("iframe[title='fragment']")
        fragment.locator("b").wait_for()
        assert fragment.locator("script").count() == 0
        assert inside(page).locator("body").evaluate("() => window.acted") is None


def test_a_spike_among_ten_million_points_is_found(
    browser: Browser, server: Server
) -> None:
    """Each step of the zoom shows more of it; at the end, there are single points."""
    with opened(browser, server, "long") as page:
        found = chart(page, "trace")
        [first] = drawn(found)
        at = first["x"][int(np.argmax(first["y"]))]
        note = shown(page).locator(".card .note")
        assert "of 10,000,000 points, with all extremes" in note.inner_text()
        width = LONG / 2
        while width > 20:
            width /= 12
            before = note.inner_text()
            zoom(page, found, at - width, at + width)
            assert until(page, lambda before=before: note.inner_text() != before)
        [last] = drawn(found)
        assert last["mode"] == "lines+markers"
        assert np.diff(last["x"]).tolist() == [1.0] * (len(last["x"]) - 1)
        assert last["y"][last["x"].index(at)] == 77.0
        assert re.fullmatch(r"all \d+ points in view", note.inner_text())
        found.locator(".nsewdrag").dblclick()
        assert until(page, lambda: drawn(found)[0]["x"] == first["x"])
        assert found.evaluate("box => box._fullLayout.xaxis.range[1]") > LONG * 0.99


def test_a_spike_among_many_neurons_is_found(browser: Browser, tmp_path: Path) -> None:
    """Many are counted in cells, and a few are drawn one by one."""
    rng = np.random.default_rng(6)
    times, ranks = rng.random(300_000) * 900.0, rng.integers(0, 90_000, 300_000)
    times, ranks = np.append(times, 950.0), np.append(ranks, 95_000)  # it is alone
    with Logger(tmp_path / "runs", "many") as logger:
        spikes = (times, ranks)
        logger.add_raster("spikes", spikes, duration=1000.0, groups={"all": 100_000})
    with (
        serving(tmp_path / "runs") as server,
        opened(browser, server, "many") as page,
    ):
        found, note = chart(page, "spikes"), shown(page).locator(".card .note")
        assert "300,001 spikes" in note.inner_text()
        assert found.evaluate("box => box.data[0].type") == "heatmap"
        zoom(page, found, 940.0, 960.0)
        assert until(page, lambda: "1 spike in view" in note.inner_text())
        [one] = [its for its in drawn(found) if its["mode"] == "markers"]
        assert (one["x"], one["y"]) == ([950.0], [95_000])
        found.locator(".nsewdrag").first.dblclick()
        assert until(page, lambda: "300,001 spikes" in note.inner_text())


def test_chosen_runs_are_over_each_other(page: Page) -> None:
    """Those that are chosen, and their mean for each value of a parameter."""
    found = chart(page, "rate")
    assert until(page, lambda: len(drawn(found)) == 5)
    box = inside(page).get_by_role("checkbox", name="choose sweep/tau 40")
    box.press("Space")
    assert not box.is_checked()
    assert box.evaluate("e => e === document.activeElement")
    assert until(page, lambda: len(drawn(found)) == 4)
    inside(page).get_by_role("searchbox").fill("sweep")
    inside(page).get_by_label("Colour by").select_option("all together")
    inside(page).get_by_label("mean ± standard deviation").check()
    mean = until(page, lambda: [one for one in drawn(found) if one["name"] == "all"])
    assert mean[0]["x"] == [2.0 * step for step in range(50)]
    assert mean[0]["y"] == pytest.approx([35 / 3 * step for step in range(50)])


def test_it_is_dark_when_tensorboard_is(page: Page) -> None:
    """Also if that is changed while it is looked at."""
    rows(page)
    colour = "() => getComputedStyle(document.body).backgroundColor"
    body = inside(page).locator("body")
    light = body.evaluate(colour)
    page.locator("app-header-dark-mode-toggle button").click()
    page.locator("[mat-menu-item][title^='Force dark']").click()
    assert until(page, lambda: body.evaluate(colour) != light)
    assert body.evaluate(colour) == "rgb(21, 23, 27)"


def asked(page: Page) -> list[str]:
    """Return a list of the tab's questions, which grows."""
    found: list[str] = []
    page.on(
        "request",
        lambda one: found.append(one.url) if "/plugin/simulation/" in one.url else None,
    )
    return found


WRITER = """
import sys, time
from annarchy_tb import Logger
with Logger(sys.argv[1], "now") as logger:
    for step in range(100_000):
        logger.add_scalar("rate", step, step)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("fast", [True, False] if HAS_RUST else [False])
def test_a_run_is_followed_while_it_is_written(
    browser: Browser, tmp_path: Path, fast: bool
) -> None:
    """It appears, grows, and is killed, while the tab is looked at."""
    with Logger(tmp_path / "runs", "before") as logger:
        logger.add_scalar("rate", 1.0)
    with serving(tmp_path / "runs", fast) as server, opened(browser, server) as page:
        assert rows(page) == ["before"]
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "runs")],
            stdin=subprocess.PIPE,
            text=True,
        )
        assert writer.stdin is not None
        try:
            writer.stdin.write("\n" * 10)
            writer.stdin.flush()
            assert until(page, lambda: (tmp_path / "runs" / "now").is_dir())
            page.locator(".reload-button").click()
            assert until(page, lambda: rows(page) == ["now", "before"])
            assert "running" in cells(page, "now")
            inside(page).get_by_role("link", name="now").click()
            found = chart(page, "rate")
            assert until(page, lambda: drawn(found)[0]["y"][-1] == 10)
            writer.stdin.write("\n" * 10)
            writer.stdin.flush()
            assert until(page, lambda: drawn(found)[0]["y"][-1] == 20)
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
            status = shown(page).locator("header .status")
            assert until(page, lambda: status.inner_text() == "killed")
        finally:
            writer.kill()
            writer.wait()
            writer.stdin.close()


def test_a_tab_that_is_not_in_front_asks_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    """Although a run goes on; and it asks at once when it is in front again."""
    with Logger(tmp_path / "runs", "open") as logger:
        logger.add_scalar("rate", 1.0)
        with serving(tmp_path / "runs") as server, opened(browser, server) as page:
            assert rows(page) == ["open"]
            questions = asked(page)
            assert until(page, lambda: questions)  # it follows the run
            page.get_by_role("tab", name="Scalars").click()
            page.wait_for_timeout(500)
            questions.clear()
            page.wait_for_timeout(9_000)
            assert questions == []
            page.get_by_role("tab", name="Simulation").click()
            page.wait_for_timeout(1000)
            assert len(questions) == 1


def test_a_thousand_runs_are_there_at_once(browser: Browser, tmp_path: Path) -> None:
    """All of them are in the table, and the newest are chosen."""
    with Logger(tmp_path / "runs", "run 0") as logger:
        logger.add_parameters({"tau": 10.0}, {"loss": 0.5})
        logger.add_scalar("rate", 1.0)
    for number in range(1, 1000):
        shutil.copytree(logger.run_dir, tmp_path / "runs" / f"run {number}")
    with serving(tmp_path / "runs") as server, opened(browser, server) as page:
        assert len(rows(page)) == 1000
        count = inside(page).locator(".controls .note")
        assert count.inner_text() == "1,000 of 1,000 runs, 10 chosen"


def test_without_plotly_the_table_is_there(browser: Browser, server: Server) -> None:
    """With what to install; what can be shown of a run is."""
    with opened(browser, server) as page:
        page.route("**/plotly.min.js", lambda route: route.fulfill(status=404))
        page.reload()
        assert "all" in rows(page)
        lacking = inside(page).get_by_text("pip install 'annarchy-tb[board]'")
        lacking.wait_for()
        inside(page).get_by_role("link", name="all", exact=True).click()
        inside(page).locator(".text pre").wait_for()


def test_what_fails_is_said_in_a_line(browser: Browser, server: Server) -> None:
    """A run that does not exist, and a server that does not answer for a while."""
    with opened(browser, server, "nothing") as page:
        line = inside(page).locator("p[role=alert]")
        assert until(page, lambda: "no run 'nothing' here" in line.inner_text())
        page.route("**/plugin/simulation/runs*", lambda route: route.abort())
        inside(page).get_by_role("link", name="All runs").click()
        assert until(page, lambda: line.inner_text() == "TensorBoard does not answer")
        page.unroute("**/plugin/simulation/runs*")
        page.locator(".reload-button").click()
        assert "all" in rows(page)
        assert until(page, lambda: line.inner_text() == "")
