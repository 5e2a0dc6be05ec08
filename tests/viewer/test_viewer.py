"""The user's view: TensorBoard's tabs in a real browser, with the examples' data.

``make test-viewer`` installs Playwright for Python and runs them; the browser is the
system's Chromium.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import points

pytest.importorskip("playwright", reason="needs playwright; make test-viewer runs it")

from viewer import Viewer, chromium, seen, serving, text, until, write_examples

from annarchy_tb import Logger, Run
from annarchy_tb.commands.view import SETTINGS

# On a busy machine, each wait for the browser may take up to two minutes.
pytestmark = pytest.mark.timeout(900)

TOUR = [
    f"tour/{target}Hz-{inhibition}"
    for target in ("5", "20")
    for inhibition in ("0.5", "2")
]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the examples' runs."""
    logdir = tmp_path_factory.mktemp("viewer") / "runs"
    write_examples(logdir)
    return logdir


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(logdir: Path) -> Iterator[str]:
    """Return the address where TensorBoard shows all runs."""
    with serving(logdir) as server:
        yield server.url


@pytest.fixture(scope="module")
def tour_url(logdir: Path) -> Iterator[str]:
    """Return the address where TensorBoard shows only the runs of the tour."""
    with serving(logdir / "tour") as server:
        yield server.url


@pytest.fixture(scope="module")
def many_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address where TensorBoard shows 14 runs with two curves each."""
    logdir = tmp_path_factory.mktemp("many") / "runs"
    for number in range(14):
        with Logger(logdir, f"run{number:02d}") as logger:
            logger.add_parameters({"tau": number})
            for step in range(10):
                logger.add_scalars("Rate", {"E": number, "I": 50 - number}, step)
    with serving(logdir) as server:
        yield server.url


@pytest.fixture
def viewer(browser: Any, url: str) -> Iterator[Viewer]:
    """Return a fresh page."""
    viewer = Viewer(browser, url, height=1800)
    yield viewer
    viewer.close()


def colour(
    image: np.ndarray, row: int, column: int, height: int, width: int
) -> np.ndarray:
    """Return the colour in the middle of a pixel of an enlarged image."""
    y = (row + 0.5) * image.shape[0] / height
    x = (column + 0.5) * image.shape[1] / width
    return image[int(y), int(x)]


def cell(image: np.ndarray, row: int, column: int, height: int, width: int) -> int:
    """Return the level in the middle of a grey pixel of an enlarged image."""
    found = colour(image, row, column, height, width)
    assert found.max() - found.min() <= 1, "grey"
    return int(found[0])


def test_time_series_shows_each_tag_as_it_was_given(viewer: Viewer) -> None:
    """There is a card for each tag, including spaces and units, with all runs."""
    page = viewer.tab("timeseries", tagFilter="Rate/")
    for tag in ("Rate/mean [Hz]", "Rate/silent neurons", "Rate/away from target [Hz]"):
        card = viewer.card(tag)
        until(page, lambda card=card: all(run in text(card) for run in TOUR))
        assert all(run in text(card) for run in TOUR)


def test_time_series_opens_what_matters_first(viewer: Viewer) -> None:
    """The two sections that TensorBoard opens initially are the most useful ones."""
    page = viewer.tab("timeseries", runFilter="quickstart")
    page.locator("card-view image-card").first.wait_for()
    titles = page.locator("card-view tb-truncated-path").all()
    groups = {str(title.get_attribute("title")).split("/")[0] for title in titles}
    assert groups == {"Bars", "Fields"}


def test_the_curves_of_add_scalars_share_a_chart(viewer: Viewer) -> None:
    """There is one card, with a line and a row for each curve, in distinct colours."""
    page = viewer.tab("timeseries", tagFilter="Bars/Error")
    card = viewer.card("Bars/Error")
    until(page, lambda: "quickstart/bars/train" in text(card))
    rows = card.locator("tb-data-table-content-row")
    assert [re.search(r"quickstart\S*", text(row))[0] for row in rows.all()] == [
        "quickstart/bars/test",
        "quickstart/bars/train",
    ]
    dots = card.locator("tb-data-table-content-row .row-circle > span")
    colours = {dot.evaluate("e => e.style.backgroundColor") for dot in dots.all()}
    assert len(colours) == 2


def test_scalars_shows_the_tags(viewer: Viewer) -> None:
    """The older tab has a chart for each tag, too."""
    page = viewer.tab("scalars")
    page.locator("tf-scalar-card").first.wait_for()
    titles = [text(c) for c in page.locator("tf-scalar-card").all()]
    assert any("Bars/Error" in title for title in titles)


def test_an_image_has_the_brightness_of_its_array(viewer: Viewer, logdir: Path) -> None:
    """Each neuron is a sharp square, as bright as its rate."""
    run = "tour/20Hz-2"
    stored = points(logdir / run, "Sheet/rate")[-1].pixels
    assert stored.min() == 0
    assert stored.max() == 255
    page = viewer.tab("timeseries", tagFilter="Sheet/rate", runFilter=run)
    image = page.locator(f'image-card:has-text("{run}") img').last
    image.wait_for()
    shown = seen(image)
    for row in range(8):
        for column in range(8):
            assert abs(cell(shown, row, column, 8, 8) - int(stored[row, column])) <= 2


def test_a_mosaic_has_gaps_between_its_images(
    browser: Any, tour_url: str, logdir: Path
) -> None:
    """There are 64 fields in 8 rows and 8 columns, with light grey lines in between."""
    stored = points(logdir / "tour/20Hz-0.5", "Sheet/fields")[-1].pixels
    assert stored.shape == (71, 71)
    viewer = Viewer(browser, tour_url, height=1800)
    try:
        page = viewer.tab("images")
        loader = page.locator("tf-image-loader").filter(has_text="Sheet/fields")
        image = loader.filter(has_text="20Hz-0.5").locator("img").first
        image.wait_for()
        shown = seen(image)
    finally:
        viewer.close()
    assert abs(shown.shape[0] - 350) <= 1  # it may start between two pixels
    assert abs(shown.shape[1] - 350) <= 1
    for row, column in [(0, 8), (8, 0), (30, 17), (62, 44), (70, 70), (3, 4)]:
        expected = int(stored[row, column])
        assert expected == 192 or row % 9 != 8 != column % 9
        assert abs(cell(shown, row, column, 71, 71) - expected) <= 2


def test_every_spike_of_a_raster_is_seen(viewer: Viewer, logdir: Path) -> None:
    """Nothing is left out at the size of a card, neither ticks nor text."""
    run = "tour/20Hz-0.5"
    stored = points(logdir / run, "Sheet/spikes")[-1].pixels.astype(int)
    height, width, _ = stored.shape
    dark = stored.mean(axis=-1) < 160
    assert dark.sum() > 100
    viewer.tab("timeseries", tagFilter="Sheet/spikes", runFilter=run)
    image = viewer.page.locator(f'image-card:has-text("{run}") img').last
    image.wait_for()
    shown = seen(image)
    for row, column in [*np.argwhere(dark), *np.argwhere(~dark)[::50]]:
        found = colour(shown, row, column, height, width)
        assert abs(found - stored[row, column]).max() <= 8


def absent(stored: np.ndarray, shown: np.ndarray) -> float:
    """Return the share of pixels that an enlarged image does not show in their place.

    It may start between two pixels of the screen: their place is right within one.
    """
    rows, columns = (
        ((np.arange(number) + 0.5) * size / number).astype(int).clip(1, size - 2)
        for number, size in zip(stored.shape[:2], shown.shape[:2], strict=True)
    )
    near = [
        abs(shown[rows + y][:, columns + x] - stored).max(axis=-1) <= 8
        for y, x in itertools.product((-1, 0, 1), repeat=2)
    ]
    return 1 - float(np.any(near, axis=0).mean())


def test_pictures_with_axes_are_whole_on_both_tabs(
    browser: Any, tmp_path: Path
) -> None:
    """No line of their text is left out or cut off, and their ground stays light."""
    cards = {"timeseries": "image-card", "images": "tf-image-loader"}
    random = np.random.default_rng(0)
    times, ranks = random.uniform(0, 1000, 3000), random.integers(0, 200, 3000)
    with Logger(tmp_path, "run") as logger:
        logger.add_raster("raster", (times, ranks), groups={"E": 160, "I": 40})
        logger.add_matrix("matrix", random.normal(size=(20, 30)))
    with serving(tmp_path) as server:
        for width, theme in itertools.product((1200, 1440), ("light", "dark")):
            viewer = Viewer(browser, server.url, width=width, height=1800)
            try:
                for tab, card in cards.items():
                    page = viewer.tab(tab, darkMode=str(theme == "dark").lower())
                    for tag in ("raster", "matrix"):
                        stored = points(tmp_path / "run", tag)[-1].pixels
                        image = page.locator(card).filter(has_text=tag).locator("img")
                        image.first.wait_for()
                        missing = absent(stored.astype(int), seen(image.first))
                        assert missing < 0.001, (width, theme, tab, tag)
            finally:
                viewer.close()


def test_a_figure_in_the_style_fills_its_card(viewer: Viewer) -> None:
    """It is shrunk by two, which keeps the type sharp, and nothing is cut off."""
    page = viewer.tab("timeseries", tagFilter="Sheet/balance")
    image = page.locator("image-card img").last
    image.wait_for()
    image.scroll_into_view_if_needed()
    natural, shown = image.evaluate("e => [e.naturalWidth, e.clientWidth]")
    assert natural == 720
    assert 280 <= shown <= 400


def test_histograms_are_drawn(viewer: Viewer) -> None:
    """It has an axis that covers the values, and a slice for each step."""
    page = viewer.tab("histograms")
    cards = page.locator("tf-histogram-loader").filter(has_text="Sheet/drive (mV)")
    card = cards.filter(has_text="20Hz-2")
    slices = card.locator("svg path.outline")
    slices.nth(39).wait_for(state="attached")
    assert slices.count() == 40
    numbers = [float(n) for n in re.findall(r"(?<= )\d+\.?\d*(?= )", text(card))]
    assert max(numbers) >= 20


def test_text_shows_markdown_and_the_table_of_the_run(viewer: Viewer) -> None:
    """Bold words are bold, and a table describes the run."""
    page = viewer.tab("text")
    about = page.locator("tf-text-loader").filter(has_text="About").first
    about.locator("strong", has_text="16 units").wait_for()
    begins = re.compile(
        r"run 20Hz-2 params: target 20 params: inhibition 2 params: seed 1 "
        r"metrics: Final/clarity 0\.\d{1,6} "
        r"metrics: Final/away from target \[Hz\] [\d.]{1,7} status finished "
    )

    def tables() -> list[str]:
        return [text(table) for table in page.locator("tf-text-loader table").all()]

    assert until(page, lambda: any(begins.match(table) for table in tables()))


def hparams_rows(viewer: Viewer, number: int) -> list[list[str]]:
    """Return the cells of the HPARAMS table, once it has all its rows and a header."""

    def rows() -> list[list[str]]:
        found: list[list[str]] = []
        for row in viewer.page.locator("tf-hparams-table-view vaadin-grid tr").all():
            cells = row.evaluate(
                """row => [...row.querySelectorAll("slot")].map(slot =>
                     slot.assignedNodes().map(n => n.textContent).join(" ").trim())
                """
            )
            if any(cells):
                size = len(found[0]) if found else None  # the last cell is empty
                found.append(cells[:size])
        return found

    until(viewer.page, lambda: len(rows()) == number + 1)
    return rows()


def test_hparams_fills_every_cell(browser: Any, tour_url: str, logdir: Path) -> None:
    """There is a row for each run, with all its parameters and metrics, none empty."""
    viewer = Viewer(browser, tour_url, width=3000, height=1200)
    try:
        page = viewer.tab("hparams")
        page.locator("paper-checkbox", has_text="Final/clarity").wait_for()
        for box in page.locator("paper-checkbox", has_text="/").all():
            if box.get_attribute("checked") is None:  # initially, it ticks five metrics
                box.click()
        head, *rows = hparams_rows(viewer, 4)
        assert {"target", "inhibition", "seed", "Final/clarity"} < set(head)
        assert sorted(f"tour/{row[0]}" for row in rows) == sorted(TOUR)
        for row in rows:
            shown = dict(zip(head, row, strict=True))
            shown.pop("Show Metrics")
            assert all(shown.values()), shown
            run = Run(logdir / "tour" / row[0])
            for name, value in {**run.params, **run.metrics}.items():
                assert float(shown[name]) == pytest.approx(value, rel=1e-4)
    finally:
        viewer.close()


@pytest.mark.parametrize("name", ["quickstart", "tour"])
def test_hparams_opens_with_the_results(browser: Any, logdir: Path, name: str) -> None:
    """The results of the examples are among the five metrics that it ticks."""
    with serving(logdir / name) as server:
        viewer = Viewer(browser, server.url, height=1800)
        try:
            page = viewer.tab("hparams")
            boxes = page.locator("paper-checkbox", has_text="/")
            boxes.filter(has_text="Final/").first.wait_for()
            ticked = [
                text(box)
                for box in boxes.all()
                if box.get_attribute("checked") is not None
            ]
        finally:
            viewer.close()
    [run, *_] = sorted((logdir / name).iterdir())
    results = set(Run(run).metrics)
    assert len(results) == 2
    assert all(result.startswith("Final/") for result in results)
    assert results < set(ticked)


def test_hparams_knows_how_the_runs_ended(browser: Any, tour_url: str) -> None:
    """All runs succeeded: without the tick at Success, no row remains."""
    viewer = Viewer(browser, tour_url, width=2400, height=1600)
    try:
        page = viewer.tab("hparams")
        assert len(hparams_rows(viewer, 4)) == 5
        page.locator("paper-checkbox", has_text="Success").click()
        page.get_by_text(re.compile("matching session groups: 0")).wait_for()
    finally:
        viewer.close()


def test_custom_scalars_draws_the_layout(viewer: Viewer) -> None:
    """There is the chart defined by ``add_custom_scalars``, with its curves."""
    page = viewer.tab("custom_scalars")
    card = page.locator("tf-custom-scalar-multi-line-chart-card").first
    card.wait_for()
    until(page, lambda: "Matches (8)" in text(card))
    assert text(card).startswith("rates")
    assert "Matches (8)" in text(card)  # two tags of each of four runs

    def coloured() -> int:
        shown = seen(card.locator("vz-line-chart2, vz-chart-helpers, svg").first)
        return int((np.ptp(shown.astype(int), axis=-1) > 60).sum())

    until(page, lambda: coloured() > 500)
    assert coloured() > 500


def test_audio_plays_in_the_browser(viewer: Viewer) -> None:
    """The AUDIO tab has a player for each run, which knows how long the sound is."""
    page = viewer.tab("audio")
    players = page.locator("tf-audio-loader audio")
    assert until(page, lambda: players.count() == len(TOUR))
    length = "player => player.readyState > 0 ? player.duration : null"
    assert until(page, lambda: players.first.evaluate(length) == 0.5)


def test_more_than_forty_runs_open_unticked(browser: Any, many_url: str) -> None:
    """SCALARS and TEXT show nothing, until the button below the list is clicked."""
    viewer = Viewer(browser, many_url)
    try:
        page = viewer.tab("text")
        boxes = page.locator("tf-runs-selector paper-checkbox")
        assert until(page, lambda: boxes.count() == 42)
        page.wait_for_load_state("networkidle")
        assert not any(box.get_attribute("checked") is not None for box in boxes.all())
        assert page.locator("tf-text-loader").count() == 0
        page.get_by_text("Toggle All Runs").click()
        page.locator("tf-text-loader table").first.wait_for()
        page = viewer.tab("scalars")
        page.locator("tf-scalar-card").first.wait_for()
        assert until(page, lambda: boxes.count() == 42)
        assert not any(box.get_attribute("checked") is not None for box in boxes.all())
    finally:
        viewer.close()


def test_curves_get_a_colour_each_and_the_parameters(
    browser: Any, many_url: str
) -> None:
    """The palette colours curves by a Regex, and the plus adds a column."""
    viewer = Viewer(browser, many_url, height=3000)
    try:
        page = viewer.tab("timeseries")
        viewer.card("Rate")
        page.locator("runs-group-menu-button button").first.click()
        page.locator("button", has_text="Regex").first.click()
        dialog = page.locator("mat-dialog-container")
        dialog.locator("input").first.fill("(E|I)$")
        dialog.locator("button", has_text="Save").click()
        dialog.wait_for(state="detached")

        def colours() -> dict[str, set[str]]:
            found: dict[str, set[str]] = {"E": set(), "I": set(), "": set()}
            for row in page.locator("runs-data-table tb-data-table-content-row").all():
                dot = row.locator(".run-color-swatch")
                colour = dot.evaluate("e => getComputedStyle(e).backgroundColor")
                name = re.search(r"run\d\d(?:/([EI]))?", text(row))
                found[name[1] or ""].add(colour)
            return found

        def are_three() -> bool:
            found = list(colours().values())
            return [len(one) for one in found] == [1, 1, 1] and (
                len(set.union(*found)) == 3
            )

        assert until(page, are_three)
        page.locator("runs-data-table .add-button").first.click()
        page.locator("tb-data-table-column-selector-component button").filter(
            has_text="tau"
        ).click()
        row = page.locator("runs-data-table tb-data-table-content-row").filter(
            has_text="run07/I"
        )
        assert until(page, lambda: re.search(r"run07/I\s+7\b", text(row)))
    finally:
        viewer.close()


def test_the_address_of_view_opens_well(browser: Any, many_url: str) -> None:
    """Curves are not smoothed, and those of one name have one colour in all runs."""
    viewer = Viewer(browser, many_url)
    page = viewer.tab("timeseries", **SETTINGS)
    viewer.card("Rate")
    smoothing = page.locator(".scalars-smoothing input[type=number]")
    assert smoothing.input_value() == "0"
    colours: dict[str, set[str]] = {}
    rows = page.locator("tb-data-table-content-row")
    for row in rows.filter(has=page.locator(".run-color-swatch")).all():
        name = str(row.get_attribute("data-id")).rpartition("/")[2]
        style = str(row.locator(".run-color-swatch").get_attribute("style"))
        colours.setdefault(name, set()).add(style)
    viewer.close()
    assert len(colours) >= 4  # E, I, and runs
    assert all(len(its) == 1 for its in colours.values())
    assert colours["E"] != colours["I"]
    assert "run00" in colours
