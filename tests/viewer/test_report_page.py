"""Reports in a real browser, opened as a file and without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("playwright", reason="needs playwright; make test-viewer runs it")

from playwright.sync_api import Browser, Locator, Page
from viewer import chromium, until

from annarchy_tb import Logger
from annarchy_tb.cli import main
from annarchy_tb.kinds import colours
from annarchy_tb.tfevents import recordings
from annarchy_tb.tfevents.event_file import event_files

pytestmark = pytest.mark.timeout(900)

HOSTILE = "</script><script>alert(1)</script><img src=http://x.invalid/>\"'\n\x1b[31m"


WEIGHTS = np.arange(-40.0, 60.0).reshape(10, 10)
WEIGHTS[2, 3] = np.nan
SYNAPSES = np.zeros((1000, 1200))
SYNAPSES[617, 23] = -0.25  # one of a million
FEW = ([1.0, 5.0, 9.0, 6.0], [3, 3, 3, 9])
SPIKE = 502, 1990  # in the cell of the last one
MANY = (
    np.append(np.random.default_rng(7).uniform(0, 1000, 30_000), 500.5),
    np.append(np.random.default_rng(8).integers(0, 1000, 30_000), 1999),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser."""
    with chromium() as browser:
        yield browser


@contextmanager
def reported(
    browser: Browser, path: Path, file: Path, scheme: Any = "light"
) -> Iterator[Page]:
    """Open the report of a directory; nothing fails there, and nothing is asked for."""
    result = CliRunner().invoke(main, ["report", str(path), "-o", str(file)])
    assert result.exit_code == 0, result.output
    context = browser.new_context(
        viewport={"width": 1200, "height": 900}, offline=True, color_scheme=scheme
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("console", lambda message: failed.append(message.text))
    page.on("dialog", lambda dialog: failed.append(dialog.message))
    page.on("request", lambda request: failed.append(request.url))
    page.goto(file.as_uri())
    page.locator(".board footer").wait_for()
    try:
        yield page
        assert [one for one in failed if not one.startswith(("data:", "blob:"))] == [
            file.as_uri()
        ]
    finally:
        context.close()


def chart(page: Page, tag: str) -> Locator:
    """Return the chart of a tag, once it is drawn."""
    title = page.get_by_role("heading", name=tag, exact=True)
    found = page.locator(".card").filter(has=title).locator(".chart")
    found.scroll_into_view_if_needed()
    found.locator(".main-svg").first.wait_for()
    return found


def traces(found: Locator) -> list[dict[str, Any]]:
    """Return what Plotly draws on a chart, without what is only the edge of a band."""
    its: list[dict[str, Any]] = found.evaluate(
        """box => box.data.filter(one => one.name).map(one => ({
          name: one.name, x: [...one.x], y: [...one.y], colour: one.line.color}))"""
    )
    return its


def column(page: Page, name: str) -> list[str]:
    """Return the texts in a column of the table."""
    headings = page.locator(".table thead > tr > *").all_inner_texts()
    at = [heading.rstrip(" ▲▼") for heading in headings].index(name)
    rows = page.locator(".table tbody tr").all()
    return [row.locator("> *").nth(at).inner_text() for row in rows]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run with all kinds of data, which failed."""
    logdir = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(1)
    with pytest.raises(ZeroDivisionError), Logger(logdir, "all") as logger:
        logger.add_parameters({"tau": 12.5}, {"loss": 0.25})
        with logger.phase("settling"):
            logger.add_scalar("phased", 1.0, time=1.0)
        for step in range(20):
            logger.add_scalar("rate/mean", step, time=step * 5.0)
            logger.add_scalars("rate/groups", {"E": step, "I": -step}, step)
            logger.add_histogram("drive", rng.normal(step, 1, 100), step)
            logger.add_image("field", np.full((6, 9), step / 20), step)
        logger.add_raster("spikes", rng.random((100, 20)) > 0.9)
        for step in range(3):
            logger.add_matrix("weights", WEIGHTS * (step + 1), step)
        logger.add_matrix("synapses", SYNAPSES)
        logger.add_raster("few", FEW, 0, groups={"E": 8, "%{y}<b>": 4}, time=5)
        logger.add_raster("many", MANY, start=0, duration=1000)
        logger.add_audio("sound", np.zeros(100))
        logger.writer.add_pr_curve("pr", np.array([0, 1]), np.array([0.2, 0.7]))
        logger.add_text("words", "not *bold*\n<b>not bold</b>")
        logger.add_html("fragment", FRAGMENT)
        values = rng.normal(size=1_000_000)
        values[int(rng.integers(700_000))] = 500.0  # not below the buttons
        logger.add_series("trace", values)
        with pytest.warns(UserWarning, match="the value is nan"):
            logger.add_scalar("rate/mean", np.nan, time=100.0)
        raise ZeroDivisionError("it exploded")
    return logdir / "all"


@pytest.fixture
def page(browser: Browser, run: Path, tmp_path: Path) -> Iterator[Page]:
    """Return the page about that run."""
    with reported(browser, run, tmp_path / "run.html") as page:
        yield page


FRAGMENT = """
<table><tr><td>1</td><td>2</td></tr></table> <b style="color: red">red</b>
<script>parent.acted = 1</script>
<img src="http://127.0.0.1:9/x.png" onerror="parent.acted = 1">
"""


def test_a_run_is_seen_at_a_glance(page: Page) -> None:
    """How it ended, its numbers, phases and first NaN stand above the data."""
    header = page.locator("header").inner_text()
    for said in ("all", "failed", "ZeroDivisionError: it exploded", "rate/mean at"):
        assert said in header
    facts = page.locator(".about").inner_text()
    for said in ("loss", "0.25", "tau", "12.5", "settling"):
        assert said in facts
    page.get_by_text("Origin").click()
    assert "command" in page.locator(".about").inner_text()
    assert "pr (pr_curves)" in page.locator(".board").inner_text()
    sound = page.locator("audio")
    assert until(page, lambda: sound.evaluate("e => e.duration > 0"))


def test_all_data_of_a_run_is_drawn(page: Page) -> None:
    """Curves over time or steps, those of one plot together, and what was lost."""
    [mean] = traces(chart(page, "rate/mean"))
    assert mean["x"] == [5.0 * step for step in range(21)]
    assert mean["y"][:20] == list(range(20))
    assert chart(page, "rate/mean").locator(".xtitle").inner_html() == "time (ms)"
    both = traces(chart(page, "rate/groups"))
    assert [one["name"] for one in both] == ["E", "I"]
    assert chart(page, "rate/groups").locator(".xtitle").inner_html() == "step"
    assert chart(page, "drive").locator(".hm image").count() == 1
    picture = page.get_by_role("img", name="field", exact=True)
    assert picture.evaluate("e => e.decode().then(() => e.naturalWidth)") > 0
    assert "<b>not bold</b>" in page.locator(".text pre").inner_text()


def test_a_fragment_is_shown_and_can_do_nothing(page: Page) -> None:
    """Its table and colours are there; it runs no script, and asks for nothing."""
    frame = page.frame_locator("iframe[title='fragment']")
    assert until(page, lambda: frame.locator("td").all_inner_texts() == ["1", "2"])
    assert frame.locator("b").evaluate("e => getComputedStyle(e).color") == (
        "rgb(255, 0, 0)"
    )
    assert page.evaluate("window.acted") is None
    assert frame.locator("script, [src], [onerror]").count() == 0


def test_a_spike_among_a_million_points_is_seen(page: Page) -> None:
    """It is as high as the chart, and the pointer tells its value."""
    found = chart(page, "trace")
    [trace] = traces(found)
    at = int(np.argmax(trace["y"]))
    line, plot = found.locator(".js-line"), found.locator(".nsewdrag")
    heights = [one.bounding_box()["height"] for one in (line, plot)]  # type: ignore[index]
    assert heights[0] > 0.85 * heights[1]
    x, y = found.evaluate(
        """(box, [x, y]) => {
          const {xaxis, yaxis} = box._fullLayout;
          return [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)];
        }""",
        [trace["x"][at], 500.0],
    )
    found.hover(position={"x": x, "y": y + 1})
    label = found.locator(".hovertext")
    label.wait_for()
    assert "500 at " in label.text_content()  # type: ignore[operator]
    note = page.locator(".card").filter(has=page.get_by_text("trace", exact=True))
    assert "of 1,000,000 points, with all extremes" in note.inner_text()


def pointed(found: Locator, x: float, y: float, trace: int = 0) -> str:
    """Return what is said of a place on a chart, in the units of its axes."""
    place = found.evaluate(
        """(box, [x, y]) => {
          const {xaxis, yaxis} = box._fullLayout;
          return {x: xaxis._offset + xaxis.d2p(x), y: yaxis._offset + yaxis.d2p(y)};
        }""",
        [x, y],
    )
    found.page.mouse.move(0, 0)
    found.locator(".hovertext").wait_for(state="detached")
    found.hover(position=place)
    label = found.locator(".hovertext")
    label.wait_for()
    return str(label.text_content())


def colours_at(found: Locator, places: list[tuple[float, float]]) -> list[list[int]]:
    """Return the colours of places on a heatmap, as it is drawn."""
    its: list[list[int]] = found.evaluate(
        """async (box, places) => {
          const image = new Image(), {xaxis, yaxis} = box._fullLayout;
          const drawn = [...box.querySelectorAll(".hm image")].at(0);
          image.src = drawn.getAttribute("href");
          await image.decode();
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.width, image.height];
          const context = canvas.getContext("2d", {willReadFrequently: true});
          context.drawImage(image, 0, 0);
          const [left, top, width, height] =
            ["x", "y", "width", "height"].map(name => Number(drawn.getAttribute(name)));
          return places.map(([x, y]) => [...context.getImageData(
            Math.floor((xaxis.d2p(x) - left) / width * image.width),
            Math.floor((yaxis.d2p(y) - top) / height * image.height), 1, 1).data]);
        }""",
        places,
    )
    return its


def test_a_matrix_says_its_values(page: Page) -> None:
    """Row and column, from row 0 at the top; in the colours of the picture."""
    found = chart(page, "weights")
    assert pointed(found, 3, 0) == "-111 at row 0, column 3"  # of the last step
    assert pointed(found, 9, 9) == "177 at row 9, column 9"
    assert pointed(found, 3, 2) == "nothing at row 2, column 3"
    top, bottom = (found.evaluate(f"b => b._fullLayout.yaxis.d2p({y})") for y in (0, 9))
    assert top < bottom
    low, high = colours.diverging()[[0, -1]].tolist()
    drawn = colours_at(found, [(0, 0), (9, 9), (0, 4)])
    assert drawn == [[*low, 255], [*high, 255], [255, 255, 255, 255]]
    slider = page.get_by_role("slider", name="step of weights")
    slider.press("Home")
    assert slider.locator("xpath=../output").inner_text() == "step 0"
    assert pointed(found, 3, 0) == "-37 at row 0, column 3"
    found = chart(page, "synapses")  # one of a million
    rows, columns = "rows 612 to 617", "columns 18 to 23"
    assert pointed(found, 22, 615) == f"-0.25 at {rows}, {columns}"
    assert pointed(found, 22, 650).startswith("0 at rows 6")
    [here, beside] = colours_at(found, [(22, 614.5), (52, 614.5)])
    assert here != beside


def test_spikes_say_their_times_and_neurons(page: Page) -> None:
    """In the run's unit and each group's colour; of many, a cell says their number."""
    found = chart(page, "few")
    assert pointed(found, 5, 3) == "5 ms, neuron 3, E"
    assert pointed(found, 6, 9) == "6 ms, neuron 9, %{y}<b>"
    assert found.locator(".xtitle").inner_html() == "time (ms)"
    assert found.locator(".legendtext").all_text_contents() == ["E", "%{y}<b>"]
    where = page.locator(".card").filter(has=page.get_by_text("few", exact=True))
    assert "step 0, 5 ms" in where.inner_text()
    assert "4 spikes" in where.inner_text()
    found = chart(page, "many")
    said = pointed(found, 500.5, 1990)
    assert said == "1 spike, 500 to 504.167 ms, neurons 1,980 to 1,999"
    [here, beside] = colours_at(found, [SPIKE, (520, 1990)])
    assert here[3] > 100
    assert beside[3] == 0


def test_a_picture_takes_the_place_of_what_was_not_kept(
    browser: Browser, tmp_path: Path
) -> None:
    """At its step, on the screen and on paper; at the others, there is the chart."""
    with Logger(tmp_path, "run") as logger:
        for step in range(3):
            logger.add_matrix("w", WEIGHTS + step, step)
    [path] = recordings.files(tmp_path / "run")
    [*_, last] = recordings.blocks(path, [])
    path.write_bytes(path.read_bytes()[: last.offset])
    with reported(browser, tmp_path / "run", tmp_path / "r.html") as page:
        picture = page.get_by_role("img", name="w", exact=True)
        box, slider = page.locator(".chart"), page.get_by_role("slider")
        for _ in range(2):
            assert picture.evaluate("e => e.naturalWidth") == 320
            assert not box.is_visible()
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
            page.evaluate("dispatchEvent(new Event('afterprint'))")
            slider.press("ArrowLeft")
            assert pointed(chart(page, "w"), 3, 0) == "-36 at row 0, column 3"
            assert not picture.is_visible()
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
            page.evaluate("dispatchEvent(new Event('afterprint'))")
            slider.press("ArrowRight")


def test_the_slider_goes_through_the_images(page: Page) -> None:
    """With the keyboard: the last one is shown first."""
    slider = page.get_by_role("slider", name="step of field")
    where = slider.locator("xpath=../output")
    picture = page.get_by_role("img", name="field", exact=True)
    last = picture.get_attribute("src")
    assert where.inner_text() == "step 19"
    slider.press("Home")
    assert where.inner_text() == "step 0"
    assert picture.get_attribute("src") != last


def test_zoom_is_kept_while_it_gets_dark(page: Page) -> None:
    """Charts have the colours of the page, which are those of the system."""
    found = chart(page, "rate/mean")
    ink = "getComputedStyle(document.querySelector('.board h1')).color"
    tick = "box => getComputedStyle(box.querySelector('.xtick text')).fill"
    light = page.evaluate(ink), found.evaluate(tick)
    box = found.locator(".nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 120)
    page.mouse.up()
    zoomed = "box => box._fullLayout.xaxis.range"
    assert until(page, lambda: np.ptp(found.evaluate(zoomed)) < 60)
    zoom = found.evaluate(zoomed)
    page.emulate_media(color_scheme="dark")
    assert until(page, lambda: found.evaluate(tick) != light[1])
    assert page.evaluate(ink) != light[0]
    assert found.evaluate(zoomed) == zoom


def test_paper_has_all_charts(page: Page) -> None:
    """Those that were not in view, too, in light colours and in the paper's width."""
    page.emulate_media(color_scheme="dark")
    page.pdf(format="A4")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for box in page.locator(".chart").all():
        assert box.locator(".main-svg").count() > 0
        widths = [
            one.bounding_box()["width"]  # type: ignore[index]
            for one in (box, box.locator(".main-svg").first)
        ]
        assert widths[0] == pytest.approx(widths[1], abs=1)
        assert widths[0] < 340
    [spike] = colours_at(page.locator(".chart[aria-label='rasters of many']"), [SPIKE])
    assert spike[3] > 100
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".chart").first.bounding_box()["width"] > 400  # type: ignore[index]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with 30 runs that have two curves and different lengths."""
    logdir = tmp_path_factory.mktemp("reports") / "runs"
    for number in range(30):
        with Logger(logdir, f"net-{number:02}") as logger:
            tau = [5.0, 10.0, 100.0][number % 3]
            results = {} if number == 4 else {"loss": float((number * 7) % 30)}
            logger.add_parameters({"tau": tau, "same": 1, "seed": number}, results)
            for step in range(20 + number):
                value = tau + number * step
                logger.add_scalars("both", {"a": value, "b": -value}, step)
    return logdir


@pytest.fixture
def table(browser: Browser, logdir: Path, tmp_path: Path) -> Iterator[Page]:
    """Return the page about those runs."""
    with reported(browser, logdir, tmp_path / "runs.html") as page:
        yield page


def test_the_table_has_what_differs(table: Page) -> None:
    """Other columns can be chosen."""
    headings = table.locator(".table thead th").all_inner_texts()
    assert headings == [
        *("run", "status", "started (UTC)", "duration", "tau", "seed", "loss")
    ]
    table.get_by_text("Columns").click()
    table.get_by_label("same").check()
    table.get_by_label("duration").uncheck()
    headings = table.locator(".table thead th").all_inner_texts()
    assert "same" in headings
    assert "duration" not in headings


def test_the_table_is_sorted_by_its_headings(table: Page) -> None:
    """As numbers, up and down, missing ones last, with the keyboard as well."""
    assert column(table, "run")[0] == "net-29"
    table.get_by_role("button", name="tau").click()
    assert [float(one) for one in column(table, "tau")] == sorted(10 * [5, 10, 100])
    button = table.get_by_role("button", name="loss")
    button.focus()
    table.keyboard.press("Enter")
    losses = column(table, "loss")
    assert losses[-1] == ""
    numbers = [float(one) for one in losses[:-1]]
    assert numbers == sorted(numbers)
    table.keyboard.press("Enter")  # still on it
    assert column(table, "loss")[:-1] == losses[-2::-1]
    assert column(table, "loss")[-1] == ""
    heading = table.get_by_role("columnheader", name="loss")
    assert heading.get_attribute("aria-sort") == "descending"


def test_what_is_filtered_and_chosen_is_drawn(table: Page) -> None:
    """30 runs with two curves each, of which those of some runs are left."""
    found = chart(table, "both")
    assert len(traces(found)) == 60
    table.get_by_role("searchbox").fill("FINISHED net-1")
    assert table.locator(".table tbody tr").count() == 10
    assert "10 of 30 runs, 10 chosen" in table.locator(".controls").first.inner_text()
    assert len(traces(chart(table, "both"))) == 20
    table.get_by_role("checkbox", name="choose all").uncheck()
    table.get_by_role("checkbox", name="choose net-13").check()
    table.wait_for_timeout(300)
    names = [one["name"] for one in traces(chart(table, "both"))]
    assert names == ["net-13, a", "net-13, b"]
    table.get_by_role("searchbox").fill("no such run")
    assert table.locator(".table tbody tr").count() == 0
    table.get_by_role("searchbox").fill("")
    assert table.locator(".table tbody tr").count() == 30


def test_curves_are_coloured_by_a_parameter(table: Page) -> None:
    """One colour for each value, which the legend tells."""
    table.get_by_label("Colour by").select_option("tau")
    legend = table.locator(".legend > span").all_inner_texts()
    assert legend == ["tau:", "5 (10)", "10 (10)", "100 (10)"]
    table.wait_for_timeout(300)
    colours = {one["colour"] for one in traces(chart(table, "both"))}
    assert len(colours) == 3


def test_means_are_those_of_numpy(table: Page) -> None:
    """A run does not count where it has ended; the pointer tells how many there are."""
    table.get_by_label("Colour by").select_option("tau")
    table.get_by_label("mean ± standard deviation").check()
    table.wait_for_timeout(300)
    found = chart(table, "both")
    its = {one["name"]: one for one in traces(found)}
    assert set(its) == {f"{tau}, {name}" for tau in (5, 10, 100) for name in "ab"}
    runs = range(0, 30, 3)
    values = np.full((len(runs), 47), np.nan)
    for row, number in enumerate(runs):
        values[row, : 20 + number] = 5.0 + number * np.arange(20 + number)
    assert its["5, a"]["x"] == list(range(47))
    np.testing.assert_allclose(its["5, a"]["y"], np.nanmean(values, axis=0))
    said = found.evaluate("box => box.data.find(one => one.name == '5, a').customdata")
    numbers = np.isfinite(values).sum(axis=0)
    assert [number for _, number in said] == numbers.tolist()
    spread = np.nanstd(values[:, :40], axis=0, ddof=1)
    got = [float(text.strip(" ±")) for text, _ in said[:40]]
    np.testing.assert_allclose(got, spread, rtol=1e-5)
    assert said[46][0] == ""  # of one run


def test_the_last_pictures_of_chosen_runs_are_seen(
    browser: Browser, tmp_path: Path
) -> None:
    """Side by side, with the names of their runs; also of runs without a curve."""
    for number in range(3):
        with Logger(tmp_path / "runs", f"run {number}") as logger:
            for step in range(number + 1):
                logger.add_matrix("weights", np.eye(3) * step, step)
    with reported(browser, tmp_path / "runs", tmp_path / "r.html") as page:
        captions = page.locator(".lasts figcaption")
        assert captions.all_inner_texts() == [
            *("run 2 step 2", "run 1 step 1", "run 0 step 0")
        ]
        page.get_by_role("checkbox", name="choose run 1").uncheck()
        assert captions.all_inner_texts() == ["run 2 step 2", "run 0 step 0"]
        for picture in page.locator(".lasts img").all():
            width = "e => e.decode().then(() => e.naturalWidth)"
            assert picture.evaluate(width) == 320
        page.get_by_role("searchbox").fill("no such run")
        assert "None of the chosen runs" in page.locator(".card.wide").inner_text()


def test_averages_are_not_those_of_extremes(browser: Browser, tmp_path: Path) -> None:
    """Of long curves, the means of parts are averaged: spikes hardly change them."""
    rng = np.random.default_rng(2)
    for number in range(3):
        values = rng.exponential(size=100_000)
        with Logger(tmp_path / "runs", f"run {number}") as logger:
            logger.add_series("v", values)
    with reported(browser, tmp_path / "runs", tmp_path / "r.html") as page:
        page.get_by_label("Colour by").select_option("all together")
        page.get_by_label("mean ± standard deviation").check()
        page.wait_for_timeout(300)
        [mean] = traces(chart(page, "v"))
        assert np.mean(mean["y"]) == pytest.approx(1, abs=0.02)
        assert max(mean["y"]) < 1.5


@pytest.mark.filterwarnings("ignore:add_.*the tag has a quote")
def test_names_are_texts(browser: Browser, tmp_path: Path) -> None:
    """Of tags, curves, parameters, errors and runs: nothing of them is acted on."""
    logdir = tmp_path / "runs"
    for name in ("<b>a</b>\"'", "two\nlines \x1b[31m\u202e"):
        # These are names that only a file system gives.
        with pytest.raises(ValueError, match="alert"), Logger(logdir, "x") as logger:
            logger.add_parameters({HOSTILE: HOSTILE, "p": name}, {f"r{HOSTILE}": 1.0})
            logger.add_scalar(HOSTILE, 1.0)
            logger.add_scalar(HOSTILE, 2.0)
            logger.add_scalars("plot", {"a": 1.0, "b": 2.0})
            logger.add_histogram(f"h{HOSTILE}", [1.0, 2.0])
            logger.add_image(f"i{HOSTILE}", np.eye(3))
            logger.add_matrix(f"m{HOSTILE}", np.eye(3))
            logger.add_raster(f"s{HOSTILE}", {0: [1]}, groups={HOSTILE: 2, "<i>": 2})
            logger.add_text(f"t{HOSTILE}", HOSTILE)
            raise ValueError(HOSTILE)
        (logdir / "x" / "a").rename(logdir / "x" / "<i>%{y}<b>")
        (logdir / "x").rename(logdir / name.replace("/", "|"))
    shown = HOSTILE.replace("\n", "\\n").replace("\x1b", "\\x1b")
    with reported(browser, logdir, tmp_path / "r.html") as page:
        assert (
            page.locator(".lasts figcaption").all_inner_texts()
            == [
                "two\\nlines \\x1b[31m\\u202e step 0",
                "<b>a<|b>\"' step 0",
            ]
            * 2
        )
        page.get_by_label("Colour by").select_option("p")
        page.get_by_label("mean ± standard deviation").check()
        names = column(page, "run")
        assert names == ["two\\nlines \\x1b[31m\\u202e", "<b>a<|b>\"'"]
        assert column(page, "p") == [names[0], "<b>a</b>\"'"]
        assert page.get_by_role("heading", name=shown, exact=True).count() == 1
    [run] = logdir.glob("<b>*")
    with reported(browser, run, tmp_path / "r2.html") as page:
        for tag in (*(f"{name}{shown}" for name in "himst"), shown):
            assert page.get_by_role("heading", name=tag, exact=True).count() == 1
        legend = chart(page, "plot").locator(".legendtext").all_text_contents()
        assert legend == ["<i>%{y}<b>", "b"]
        legend = chart(page, f"s{shown}").locator(".legendtext").all_text_contents()
        assert legend == [shown, "<i>"]
        assert page.locator("img[src^=http]").count() == 0
        assert HOSTILE.partition("\n")[0] in page.locator("header").inner_text()


def test_a_torn_file_is_named_on_the_page(browser: Browser, tmp_path: Path) -> None:
    """The other data is there."""
    with Logger(tmp_path / "runs", "torn") as logger:
        for step in range(10):
            logger.add_scalar("a", step, step)
    [path] = event_files(tmp_path / "runs" / "torn")
    path.write_bytes(path.read_bytes()[:-7])
    with reported(browser, tmp_path / "runs", tmp_path / "r.html") as page:
        assert "is damaged at byte" in page.locator(".remarks").inner_text()
        [trace] = traces(chart(page, "a"))
        assert trace["y"] == list(range(10))
