"""Fragments of HTML and pages of notebooks in a real browser: nothing of them acts."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright; make test-viewer runs it")

from viewer import Viewer, chromium, seen, serving, text, until

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.kinds import html

pytestmark = pytest.mark.timeout(900)

TABLE = "<table><tr><td>left</td><td>right</td></tr></table>"
ACTS = """
<script>top.document.title = 'ran'</script>
<p onclick="top.document.title = 'ran'">paragraph</p>
<img src="http://127.0.0.1:9/x.png" onerror="top.document.title = 'ran'">
<svg onload="top.document.title = 'ran'"><rect fill="url(http://127.0.0.1:9/a)"/></svg>
<style>@import url("http://127.0.0.1:9/x.css");</style>
<iframe src="http://127.0.0.1:9/"></iframe>
<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">
<details open ontoggle="top.document.title = 'ran'"><summary>more</summary></details>
<input autofocus onfocus="top.document.title = 'ran'">
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """Return a socket that waits for whoever connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        waiting.setblocking(False)
        yield waiting


def acts(elsewhere: socket.socket) -> str:
    """Return what runs code, and what loads something from elsewhere."""
    return ACTS.replace(":9/", f":{elsewhere.getsockname()[1]}/")


def was_asked(elsewhere: socket.socket) -> bool:
    """Return whether something was asked for there.

    A browser may also connect in advance, and then ask for nothing.
    """
    while True:
        try:
            connection, _ = elsewhere.accept()
        except BlockingIOError:
            return False
        with connection, contextlib.suppress(BlockingIOError):
            connection.setblocking(False)
            if connection.recv(1):
                return True


def test_the_text_tab_shows_a_table_and_runs_nothing(
    browser: Any, tmp_path: Path, elsewhere: socket.socket
) -> None:
    """Headings and tables are drawn, and scripts neither run nor are seen."""
    with Logger(tmp_path / "runs", "run") as logger:
        logger.add_html("Report", f"<h1>Head</h1>{acts(elsewhere)}{TABLE}")
    with serving(tmp_path / "runs") as server:
        viewer = Viewer(browser, server.url)
        try:
            page = viewer.tab("text")
            cell = page.locator("tf-text-loader td", has_text="left").first
            cell.wait_for()
            assert page.locator("tf-text-loader h1").first.inner_text() == "Head"
            assert "ran'" not in text(page)
            page.locator("tf-text-loader p", has_text="paragraph").first.click()
            assert page.title() == "TensorBoard"
            assert not was_asked(elsewhere)
        finally:
            viewer.close()


@pytest.mark.parametrize("cleaned", [True, False])
def test_a_frame_runs_and_loads_nothing(
    browser: Any,
    tmp_path: Path,
    cleaned: bool,
    elsewhere: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second wall, too, if nothing had been left out before."""
    if not cleaned:
        monkeypatch.setattr(html, "safe", lambda fragment: fragment)
    path = tmp_path / "page.html"
    framed = html.framed(f"{acts(elsewhere)}{TABLE}")
    path.write_text(f"<!DOCTYPE html><title>page</title>{framed}", encoding="utf-8")
    viewer = Viewer(browser, path.as_uri())
    try:
        viewer.page.goto(path.as_uri())
        frame = viewer.page.frame_locator("iframe")
        frame.locator("td", has_text="left").wait_for()
        frame.locator("p").first.click()
        viewer.page.wait_for_load_state("networkidle")
        assert viewer.page.title() == "page"
        assert not was_asked(elsewhere)
    finally:
        viewer.close()


@pytest.mark.parametrize(
    ("colour", "ground"), [("rgb(20, 20, 20)", "#fff"), ("rgb(230, 230, 230)", "#111")]
)
def test_curves_are_in_the_colour_of_the_notebook(
    browser: Any, tmp_path: Path, colour: str, ground: str, elsewhere: socket.socket
) -> None:
    """Light or dark; names with scripts are text, and nothing is asked for."""
    address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"
    with Logger(tmp_path / "runs", "run") as logger:
        logger.add_parameters({"<script>document.title = 'ran'</script>": 1})
        for step in range(50):
            logger.add_scalar(f"<img src='{address}'>", step % 7, step)
        logger.add_raster("s", {0: np.arange(10.0)})
    run = Run(logger.run_dir)
    shown = (find_runs(tmp_path / "runs"), run, run.spikes("s"))
    body = "".join(one._repr_html_() for one in shown)
    path = tmp_path / "page.html"
    style = f"color:{colour};background:{ground}"
    path.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><title>page</title>'
        f'<body style="{style}">{body}',
        encoding="utf-8",
    )
    viewer = Viewer(browser, path.as_uri())
    try:
        page = viewer.page
        page.goto(path.as_uri())
        curve = page.locator("svg").first
        wanted = np.array([int(part) for part in colour[4:-1].split(",")])
        until(page, lambda: curve.count())
        assert (np.abs(seen(curve) - wanted.astype(int)).max(axis=-1) < 20).any()
        assert page.title() == "page"
        assert "<script>" in page.locator("table").first.inner_text()
        assert not was_asked(elsewhere)
    finally:
        viewer.close()
