"""Take the pictures of the docs: ``make gallery``.

The examples log data, the real TensorBoard shows it, and each picture in docs/images is
a part of its page: they show the installed version. All settings are those with which
it opens, except where the docs tell what another one does; a filter chooses the run.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for conftest

import numpy as np
from click.testing import CliRunner
from conftest import Server
from playwright.sync_api import Browser, Locator
from test_recordings import trace
from viewer import Viewer, chromium, serving, write_examples

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.cli import main as cli

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"

RUN = "20Hz-0.5"

# The names, tags and options of the pictures of a field that decays.
FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "equalize": ("Field/equalize=True", {"equalize": True}),
    "fixed": ("Field/vmin=0, vmax=1", {"vmin": 0, "vmax": 1}),
    "viridis": ("Field/cmap=viridis", {"vmin": 0, "vmax": 1, "cmap": "viridis"}),
}

# The tags of the tour, and the names of the pictures of TIME SERIES.
CARDS = {
    "scalar": "Rate/mean [Hz]",
    "scalars": "Rate/groups [Hz]",
    "image": "Sheet/rate",
    "images": "Sheet/fields",
    "raster": "Sheet/spikes",
    "matrix": "Sheet/weights",
    "figure": "Sheet/balance",
    "histogram": "Sheet/drive (mV)",
    "series": "Time/potential (mV)",
}


def save(found: Locator | Viewer, name: str) -> None:
    """Save the visible part of an element."""
    shown = found.page if isinstance(found, Viewer) else found
    shown.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    print(f"docs/images/{name}.png")


def settle(viewer: Viewer) -> None:
    """Wait for charts, which are drawn only when they become visible."""
    viewer.page.wait_for_load_state("networkidle")
    viewer.page.wait_for_timeout(2500)


def take_time_series(viewer: Viewer) -> None:
    """Take one card of each kind."""
    for name, tag in CARDS.items():
        viewer.tab("timeseries", tagFilter=re.escape(tag) + "$", runFilter=RUN)
        card = viewer.card(tag)
        settle(viewer)
        save(card, name)


def log_fields(logdir: Path) -> None:
    """Log a field that decays, as docs/guide/data.rst does."""
    y, x = np.mgrid[-1:1:20j, -1.7:1.7:34j]
    with Logger(logdir, "field") as logger:
        for step in range(10):
            field = 2.0 ** (-step / 4.5) * np.exp(-4 * (x**2 + y**2))
            for tag, options in FIELDS.values():
                logger.add_image(tag, field, step, **options)


def take_fields(viewer: Viewer) -> None:
    """Take the first and the last step of each field."""
    for name, (tag, _) in FIELDS.items():
        page = viewer.tab("timeseries", tagFilter=re.escape(tag) + "$")
        card = viewer.card(tag)
        settle(viewer)
        save(card, f"field_{name}_last")
        card.locator("input[type=range]").focus()
        page.keyboard.press("Home")
        page.evaluate("document.activeElement.blur()")
        settle(viewer)
        save(card, f"field_{name}_first")


def take_time_axes(viewer: Viewer) -> None:
    """Take the same data on all three axes."""
    page = viewer.tab("timeseries", tagFilter="Time/drive", runFilter=RUN)
    for axis in ("Step", "Relative", "Wall"):
        page.locator(".x-axis-type mat-select").click()
        page.locator("mat-option", has_text=axis).click()
        settle(viewer)
        save(viewer.card("Time/drive (mV)"), f"axis_{axis.lower()}")


def take_tabs(viewer: Viewer) -> None:
    """Take whole tabs, in their initial state."""
    for tab in (
        "timeseries",
        "images",
        "histograms",
        "audio",
        "custom_scalars",
        "text",
        "hparams",
    ):
        page = viewer.tab(tab)
        page.set_viewport_size({"width": 1440, "height": 940})
        settle(viewer)
        if tab == "hparams":
            page.set_viewport_size({"width": 1440, "height": 560})
            settle(viewer)
            save(viewer, "hparams")
            page.set_viewport_size({"width": 1440, "height": 940})
            page.get_by_text("PARALLEL COORDINATES VIEW").click()
            settle(viewer)
            save(viewer, "parallel_coordinates")
        else:
            if tab == "audio":
                page.set_viewport_size({"width": 1440, "height": 560})
            if tab == "histograms":
                page.set_viewport_size({"width": 1440, "height": 700})
            if tab == "text":  # further down, the table tells about the machine
                page.set_viewport_size({"width": 1440, "height": 1186})
            save(viewer, f"tab_{tab}")


def take_simulation(viewer: Viewer) -> None:
    """Take the table of runs, and a run in dark colours."""
    page = viewer.tab("simulation")
    page.set_viewport_size({"width": 1600, "height": 1000})
    inside = page.frame_locator("iframe[src*='name=simulation']")
    inside.locator("tbody tr").first.wait_for()
    inside.get_by_label("Colour by").select_option(label="target")
    inside.get_by_label("mean ± standard deviation").check()
    settle(viewer)
    save(viewer, "tab_simulation")
    page.locator("app-header-dark-mode-toggle button").click()
    page.locator("[mat-menu-item][title^='Force dark']").click()
    inside.get_by_role("link", name=RUN).click()
    inside.get_by_role("heading", name=RUN).wait_for()
    settle(viewer)
    save(viewer, "tab_simulation_run")
    sheet = inside.locator(".group", has=inside.get_by_role("heading", name="Sheet"))
    sheet.evaluate("group => group.scrollIntoView()")
    page.mouse.move(0, 0)
    settle(viewer)
    save(viewer, "tab_simulation_pictures")


def take_first_look(viewer: Viewer) -> None:
    """Take the picture of the quickstart for the README."""
    page = viewer.tab("timeseries")
    page.set_viewport_size({"width": 1440, "height": 1400})
    settle(viewer)
    save(viewer, "tensorboard")


def log_trace(logdir: Path) -> None:
    """Log a million points with 200 spikes, one by one and in one call."""
    values, _ = trace()
    with Logger(logdir, "add_scalar") as logger:
        for value in values.tolist():
            logger.add_scalar("Potential (mV)", value)
    with Logger(logdir, "add_series") as logger:
        logger.add_series("Potential (mV)", values)


def take_traces(viewer: Viewer, server: Server) -> None:
    """Take the trace in both ways, as TensorBoard opens, and without its settings."""
    tag = "Potential (mV)"
    for run in ("add_scalar", "add_series"):
        query = {"run": run, "tag": tag}
        server.until(lambda p: p[-1][1] == 999_999, "plugin/scalars/scalars", **query)
    for name in ("initial", "changed"):
        for run in ("add_scalar", "add_series"):
            page = viewer.tab("timeseries", runFilter=run)
            card = viewer.card(tag)
            if name == "changed":
                box = page.get_by_role("checkbox", name="Ignore outliers")
                box.uncheck()
                page.locator(".scalars-smoothing input[type=number]").fill("0")
            settle(viewer)
            save(card, f"trace_{run}_{name}")


def take_reports(browser: Browser, logdir: Path) -> None:
    """Take the reports of a run and of all runs, as files without a network."""
    for name, path in (("report_run", logdir / RUN), ("report_runs", logdir)):
        file = Path(f"{name}.html").absolute()
        CliRunner().invoke(cli, ["report", str(path), "-o", str(file)])
        context = browser.new_context(
            viewport={"width": 1200, "height": 1300}, offline=True
        )
        page = context.new_page()
        page.goto(file.as_uri())
        if name == "report_runs":
            page.get_by_label("Colour by").select_option("target")
            page.get_by_label("mean ± standard deviation").check()
        page.wait_for_timeout(2500)
        page.screenshot(path=IMAGES / f"{name}.png")
        print(f"docs/images/{name}.png")
        part = "report_pictures" if name == "report_run" else "report_last"
        page.locator(".group").last.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        save(page.locator(".group").last, part)
        context.close()


def log_fragment(logdir: Path) -> None:
    """Log a table in colours, as HTML."""
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(5, 60))
    signals[:3] += np.sin(np.arange(60) / 8)
    names = ["E1", "E2", "E3", "I1", "I2"]
    rows = "".join(
        f"<tr><th>{name}</th>"
        + "".join(
            f'<td style="background-color: rgba(200, 60, 50, {abs(value):.2f}); '
            f'padding: 4px 10px">{value:.2f}</td>'
            for value in row
        )
        + "</tr>"
        for name, row in zip(names, np.corrcoef(signals), strict=True)
    )
    heads = "".join(f"<th>{name}</th>" for name in names)
    with Logger(logdir, "correlations") as logger:
        logger.add_html(
            "Correlations", f"<table><tr><th></th>{heads}</tr>{rows}</table>", 0
        )


def take_fragment(browser: Browser, run: Path) -> None:
    """Take the card of a fragment in a report."""
    file = Path("fragment.html").absolute()
    CliRunner().invoke(cli, ["report", str(run), "-o", str(file)])
    page = browser.new_page(viewport={"width": 900, "height": 800})
    page.goto(file.as_uri())
    page.frame_locator("iframe").locator("td").first.wait_for()
    save(page.locator(".card.wide"), "report_fragment")
    page.close()


def take_notebook(browser: Browser, logdir: Path) -> None:
    """Take what notebooks show of runs and their data, on a page of its own."""
    run = Run(logdir / RUN)
    shown = {
        f'find_runs("{logdir.name}")': find_runs(logdir),
        f'run = Run("{logdir.name}/{RUN}"); run': run,
        'run.spikes("Sheet/spikes")': run.spikes("Sheet/spikes"),
        'run.matrices("Sheet/weights")': run.matrices("Sheet/weights"),
    }
    cells = [
        f'<pre style="background: #f3f4f6; padding: 6px 10px">{code}</pre>'
        + its._repr_html_().replace(str(logdir.absolute()), logdir.name)
        for code, its in shown.items()
    ]
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    style = "font: 13px sans-serif; margin: 12px"
    page.set_content(f'<!DOCTYPE html><body style="{style}">{"".join(cells)}')
    page.screenshot(path=IMAGES / "notebook.png", full_page=True)
    print("docs/images/notebook.png")
    page.close()


def main() -> None:
    """Take all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        os.chdir(directory)
        logdir = Path("runs")
        write_examples(logdir)
        log_fields(logdir / "fields")
        log_trace(logdir / "trace")
        log_fragment(logdir / "fragment")
        take_reports(browser, logdir / "tour")
        take_fragment(browser, logdir / "fragment" / "correlations")
        take_notebook(browser, logdir / "tour")
        with serving(logdir / "trace") as server:
            viewer = Viewer(browser, server.url, width=1440, height=940)
            take_traces(viewer, server)
            viewer.close()
        for name, take in (
            ("quickstart", [take_first_look]),
            ("fields", [take_fields]),
            ("tour", [take_time_series, take_time_axes, take_tabs, take_simulation]),
        ):
            with serving(logdir / name) as server:
                for one in take:
                    viewer = Viewer(browser, server.url, width=1440, height=940)
                    one(viewer)
                    viewer.close()


if __name__ == "__main__":
    main()
