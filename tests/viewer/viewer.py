"""The real TensorBoard in a real browser, for the tests and the gallery."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from conftest import HAS_RUST, Server
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "tensorboard"

FLAGS = [
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--hide-scrollbars",
    # No requests to any host but TensorBoard.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

# TensorBoard's older tabs are built of elements with shadow trees, which innerText
# does not include.
DEEP_TEXT = """root => {
  const text = node => {
    if (node.nodeType === Node.TEXT_NODE) return node.data;
    if (node.nodeName === "SLOT") return node.assignedNodes().map(text).join(" ");
    if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName)) return "";
    return [...(node.shadowRoot || node).childNodes].map(text).join(" ");
  };
  return text(root).replace(/\\s+/g, " ").trim();
}"""


def write_examples(logdir: Path) -> None:
    """Run the examples that need no simulator, and have them log below `logdir`."""
    for name in ("quickstart", "tour"):
        subprocess.run(
            [sys.executable, EXAMPLES / f"{name}.py", "--logdir", str(logdir / name)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    [run] = (logdir / "quickstart").iterdir()
    run.rename(run.with_name("bars"))  # named by time and host before


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's browser, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise FileNotFoundError("no chromium: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serving(logdir: Path) -> Iterator[Server]:
    """Run TensorBoard as users start it, and wait until all runs are loaded."""
    server = Server(logdir, fast=HAS_RUST, samples=None)
    try:
        server.start()
        wanted = {
            str(path.parent.relative_to(logdir))
            for path in logdir.rglob("*tfevents*")
            if "checkpoints" not in path.parts
        }
        server.until(lambda runs: wanted <= set(runs), "runs")
        yield server
    finally:
        server.stop()


class Viewer:
    """One page of the browser, on one TensorBoard."""

    def __init__(
        self, browser: Browser, url: str, width: int = 1440, height: int = 900
    ) -> None:
        self.url = url
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        self.context.set_default_timeout(120_000)  # ms, for busy machines
        self.page: Page = self.context.new_page()

    def tab(self, name: str, **query: str) -> Page:
        """Open a tab anew."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/?{urllib.parse.urlencode(query)}#{name}")
        return self.page

    def card(self, tag: str) -> Locator:
        """Return the first card of a tag in TIME SERIES, once it has appeared."""
        title = self.page.locator(f'[title="{tag}"]')
        card = self.page.locator("card-view").filter(has=title).first
        card.wait_for()
        return card

    def close(self) -> None:
        """Close the page."""
        self.context.close()


def text(found: Locator | Page) -> str:
    """Return all text of an element."""
    found = found.locator("body") if isinstance(found, Page) else found
    return str(found.evaluate(DEEP_TEXT))


def seen(image: Locator) -> np.ndarray:
    """Return an image as shown on the screen, (H, W, 3) uint8."""
    image.scroll_into_view_if_needed()
    image.evaluate("e => e.decode && e.decode()")
    picture = Image.open(io.BytesIO(image.screenshot())).convert("RGB")
    return np.asarray(picture)


def until(page: Page, wanted: Callable[[], Any]) -> Any:
    """Return the result once it is as wanted, or the last one after a time limit."""
    for _ in range(300):
        if found := wanted():
            return found
        page.wait_for_timeout(200)
    return wanted()
