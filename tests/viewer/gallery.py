"""Take the pictures of the docs: ``make gallery``.

The examples write, the real TensorBoard shows, and each picture is a part of its page
in docs/images: so they are of the version that is installed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for conftest

from playwright.sync_api import Locator
from viewer import Viewer, chromium, serving, text, write_examples

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"

RUN = "20Hz-0.5"

# What the tour logs, and how the pictures of TIME SERIES are called.
CARDS = {
    "scalar": "Rate/mean (Hz)",
    "scalars": "Rate/groups (Hz)",
    "image": "Neurons/rate",
    "images": "Neurons/what made them fire",
    "raster": "Neurons/spikes",
    "matrix": "Neurons/where they look",
    "figure": "Neurons/balance",
    "histogram": "Neurons/drive (mV)",
    "series": "Time/potential (mV)",
}


def save(found: Locator | Viewer, name: str) -> None:
    """Save what is seen of it."""
    shown = found.page if isinstance(found, Viewer) else found
    shown.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    print(f"docs/images/{name}.png")


def settle(viewer: Viewer) -> None:
    """Wait for what comes late: charts are drawn when they are seen."""
    viewer.page.wait_for_load_state("networkidle")
    viewer.page.wait_for_timeout(2500)


def take_time_series(viewer: Viewer) -> None:
    """Take one card of each kind."""
    for name, tag in CARDS.items():
        page = viewer.tab(
            "timeseries", tagFilter=tag.split(" (")[0] + "( |$)", runFilter=RUN
        )
        page.locator("card-view").first.wait_for()
        card = viewer.cards(tag, "card-view").first
        settle(viewer)
        save(card, name)


def take_time_axes(viewer: Viewer) -> None:
    """Take the same data on the three axes."""
    page = viewer.tab("timeseries", tagFilter="Time/drive", runFilter=RUN)
    for axis in ("Step", "Relative", "Wall"):
        page.locator(".x-axis-type mat-select").click()
        page.locator("mat-option", has_text=axis).click()
        settle(viewer)
        save(viewer.cards("Time/drive (mV)", "card-view").first, f"axis_{axis.lower()}")


def take_tabs(viewer: Viewer) -> None:
    """Take whole tabs, as they are when they are opened."""
    for tab in (
        "timeseries",
        "images",
        "histograms",
        "custom_scalars",
        "text",
        "hparams",
    ):
        page = viewer.tab(tab)
        page.set_viewport_size({"width": 1440, "height": 940})
        settle(viewer)
        if tab == "hparams":
            for box in page.locator("paper-checkbox", has_text="/").all():
                shown = box.get_attribute("checked") is not None
                if shown != text(box).startswith("Result"):
                    box.click()
            settle(viewer)
            save(viewer, "hparams")
            page.get_by_text("PARALLEL COORDINATES VIEW").click()
            settle(viewer)
            save(viewer, "parallel_coordinates")
        else:
            if tab == "text":
                page.locator("tf-multi-checkbox input").first.fill(f"{RUN}$")
                # What is below in the table says whose machine it was.
                page.set_viewport_size({"width": 1440, "height": 680})
                settle(viewer)
            save(viewer, f"tab_{tab}")


def take_first_look(viewer: Viewer) -> None:
    """Take what the quickstart looks like, for the README."""
    page = viewer.tab("timeseries")
    page.set_viewport_size({"width": 1440, "height": 1140})
    page.get_by_role("button", name="Settings").click()  # closes them
    settle(viewer)
    save(viewer, "tensorboard")


def main() -> None:
    """Take them all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        os.chdir(directory)
        logdir = Path("runs")
        write_examples(logdir)
        for name, take in (
            ("quickstart", [take_first_look]),
            ("tour", [take_time_series, take_time_axes, take_tabs]),
        ):
            with serving(logdir / name) as server:
                for one in take:
                    viewer = Viewer(browser, server.url, width=1440, height=940)
                    one(viewer)
                    viewer.close()


if __name__ == "__main__":
    main()
