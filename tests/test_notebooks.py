"""Runs in notebooks: what is shown, and that nothing of it is acted on."""

from __future__ import annotations

import base64
import io
import re
import shutil
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from annarchy_tb import Logger, Run, find_runs
from annarchy_tb.kinds import colours, inline
from annarchy_tb.reading import Images, Matrices, Rasters, notebook

HOSTILE = "<script>alert(1)</script>\"'\n\x1b[31m&\u202e"


class Page(HTMLParser):
    """The elements of a page, its attributes, and its text; all must be closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("img", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def rows(self) -> list[str]:
        return [tag for tag, _ in self.found if tag == "tr"]


def shown(one: Any) -> Page:
    """Return what a notebook shows; with a warning, it would be in the output."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Page(one._repr_html_())


def pictures(page: Page) -> list[np.ndarray]:
    sources = [its["src"] or "" for tag, its in page.found if tag == "img"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    data = [base64.b64decode(source.partition(",")[2]) for source in sources]
    return [np.asarray(Image.open(io.BytesIO(one))) for one in data]


# -- the table -------------------------------------------------------------------------


def test_the_table_has_what_differs(logdir: Path) -> None:
    """Parameters that are the same in all runs are left out, and results are not."""
    for number in range(3):
        with Logger(logdir, f"run{number}") as logger:
            logger.add_parameters({"tau": number / 2, "same": 7, "N": [1, 2]})
            logger.add_metrics({"Final/loss": number / 3})
    with Logger(logdir, "other") as logger:
        logger.add_parameters({"same": 7, "N": [1, 2], "only here": True})
    page = shown(find_runs(logdir))
    assert page.texts[1:5] == ["run", "status", "started", "duration"]
    assert page.texts[5:8] == ["only here", "tau", "Final/loss"]
    assert len(page.rows()) == 5
    assert "4 runs in " in page.texts[0]
    for text in ("run2", "finished", "0.666667", "True"):
        assert text in page.texts
    assert "same" in shown(find_runs(logdir)[:1]).texts  # of one run, all are shown
    assert "no runs in " in shown(find_runs(logdir, status="failed")).texts[0]


def test_the_table_is_bounded(logdir: Path) -> None:
    """It says how many runs and columns are left out."""
    for number in range(notebook.MOST_RUNS + 2):
        with Logger(logdir, f"run{number}") as logger:
            logger.add_parameters({f"p{k}": number for k in range(20)})
    page = shown(find_runs(logdir))
    assert len(page.rows()) == notebook.MOST_RUNS + 1
    assert page.texts[-1] == "... and 2 more runs, 8 more parameters that differ: " + (
        "see to_pandas()"
    )


# -- the card --------------------------------------------------------------------------


def test_the_card_has_the_course_and_the_curves(logdir: Path) -> None:
    """Status, error, parameters, results, curves with their last values, other tags."""
    with (
        pytest.raises(ZeroDivisionError),
        Logger(logdir, "run") as logger,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        logger.add_parameters({"tau [ms]": 10.0})
        logger.add_metrics({"Result": 0.25})
        for step in range(9):
            logger.add_scalar("Rate", step / 4 if step else np.nan, step)
            logger.add_scalars("Loss", {"train": step}, step)
        logger.add_series("Potential", np.arange(100_000.0))
        logger.add_image("Sheet", np.eye(3))
        1 / 0  # noqa: B018
    page = shown(Run(logger.run_dir))
    text = "\n".join(page.texts)
    for said in (
        *("failed, started 20", "ZeroDivisionError: division by zero", "tau [ms]"),
        *("Rate was not finite, first at step 0", "Result", "Loss (train)"),
        *("2 (0.25 to 2)", "99999 (0 to 1e+05)", "Sheet (image)"),
    ):
        assert said in text
    assert len([tag for tag, _ in page.found if tag == "svg"]) == 4


def test_the_card_is_bounded(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how many parameters, curves and tags are left out."""
    with Logger(logdir, "run") as logger:
        logger.add_parameters({f"p{k}": k for k in range(50)})
        logger.log({f"tag{k}": k for k in range(30)})
        for k in range(25):
            logger.add_text(f"text{k}", "a")
    page = shown(Run(logger.run_dir))
    text = "\n".join(page.texts)
    assert "... and 10 more" in page.texts
    assert f"... and {30 - notebook.MOST_CURVES} more curves" in page.texts
    assert "text19 (text), and 5 more" in text
    monkeypatch.setattr(notebook, "MOST_BYTES", 1000)
    page = shown(Run(logger.run_dir))
    assert "curves are not drawn" in "\n".join(page.texts)
    assert not [tag for tag, _ in page.found if tag == "svg"]


def test_a_curve_has_the_peaks_of_all_points(logger: Logger) -> None:
    """A single spike at a random place among a million points is drawn."""
    values = np.zeros(1_000_000)
    values[np.random.default_rng(0).integers(1_000_000)] = 1
    logger.add_series("v", values)
    page = shown(Run(logger.run_dir))
    path = next(its["d"] or "" for tag, its in page.found if tag == "path")
    heights = {float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)}
    assert min(heights) == inline.MARGIN
    assert len(path) < 20_000


@given(arrays(np.float64, st.integers(1, 30)), st.text())
def test_any_curve_is_valid_svg(values: np.ndarray, name: str) -> None:
    """NaN, infinity, the largest numbers, and a single point included."""
    svg = ElementTree.fromstring(inline.curve(np.arange(len(values)), values, name))
    numbers = [
        float(number)
        for path in svg
        for number in re.findall(r"-?[\d.]+|nan|inf", path.attrib["d"])
    ]
    assert all(0 <= number <= inline.WIDTH for number in numbers)


# -- pictures --------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_shown_by_the_first_and_the_last(
    logger: Logger, channels: int
) -> None:
    """With their pixels, and their steps."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 8, 9, channels)).astype(np.uint8)
    for step, image in enumerate(images):
        logger.add_image("i", image, step * 5)
    page = shown(Run(logger.run_dir).images("i"))
    first, last = pictures(page)
    assert np.array_equal(first.reshape(images[0].shape), images[0])
    assert np.array_equal(last.reshape(images[0].shape), images[2])
    assert page.texts == ["step 0 (1 of 3)", "step 10 (3 of 3)"]


def test_a_large_image_is_reduced(logger: Logger) -> None:
    """To at most 640 pixels, and shown as it is."""
    logger.add_image("i", np.zeros((100, 5000)))
    page = shown(Run(logger.run_dir).images("i"))
    [picture] = pictures(page)
    assert picture.shape == (13, 640)
    assert ("img", "640") in [(tag, its.get("width")) for tag, its in page.found]


def test_spikes_are_shown(logger: Logger) -> None:
    """Each at its time, with the lowest rank at the bottom."""
    logger.add_raster("s", {3: [0.5, 1.5], 5: [10.5]})
    page = shown(Run(logger.run_dir).spikes("s"))
    [picture] = pictures(page)
    ink = picture[::8, :, 3] > 0
    assert np.argwhere(ink).tolist() == [[0, 319], [2, 0], [2, 31]]
    assert page.texts[-1] == "3 spikes, times 0.5 to 10.5, ranks 3 to 5"


def test_matrices_are_shown(logger: Logger) -> None:
    """The first and the last, in the colours of their pictures, with their range."""
    for step in range(3):
        logger.add_matrix("w", [[-1.0, np.nan, 2.5 * step]], step)
    logger.add_matrix("large", np.zeros((1000, 30)))
    logger.add_matrix("nothing", [[np.nan]])
    run = Run(logger.run_dir)
    page = shown(run.matrices("w"))
    first, last = pictures(page)
    assert first.shape == last.shape == (1, 3, 3)
    assert last[0, 1].tolist() == list(colours.NOTHING)
    assert last[0, 2].tolist() == colours.diverging()[-1].tolist()
    assert page.texts[-1] == "1 x 3, -1 to 5"
    assert shown(run.matrices("large")).texts[-1] == "1000 x 30, 0 to 0"
    assert shown(run.matrices("nothing")).texts[-1] == "1 x 1"


@pytest.mark.parametrize("neurons", [1, 160, 161, 100_000])
def test_all_neurons_are_within_the_picture(logger: Logger, neurons: int) -> None:
    """However many there are."""
    ranks = np.arange(neurons)
    logger.add_raster("s", (ranks * 0.5, ranks))
    [picture] = pictures(shown(Run(logger.run_dir).spikes("s")))
    assert picture.shape[0] <= 160
    assert picture[..., 3].any(axis=1).all()


def test_none_are_shown_as_none(logger: Logger) -> None:
    """No images, and a raster without spikes."""
    nothing: Any = np.zeros(0, np.int64)
    assert shown(Images(nothing, [], nothing, nothing)).texts == ["there are none"]  # type: ignore[arg-type]
    assert shown(Rasters(nothing, [], nothing, nothing)).texts == ["there are none"]
    none = Matrices(nothing, [], nothing, nothing, nothing)
    assert shown(none).texts == ["there are none"]
    logger.add_raster("s", {0: []})
    assert "no spikes" in shown(Run(logger.run_dir).spikes("s")).texts


# -- names of anybody, runs that change ------------------------------------------------


def hostile(logdir: Path) -> Run:
    """Return a run in which everything that has a name has a bad one."""
    with (
        pytest.raises(ValueError, match="script"),
        warnings.catch_warnings(),
        Logger(logdir, f"run {HOSTILE.replace('/', '')}") as logger,
    ):
        warnings.simplefilter("ignore")
        logger.add_parameters({HOSTILE: HOSTILE, "list": [HOSTILE]})
        logger.add_metrics({f"m {HOSTILE}": 0.5})
        logger.add_scalar(f"a {HOSTILE}", np.nan)
        logger.add_scalars(f"b {HOSTILE}", {HOSTILE: 1.0})
        logger.add_text(f"c {HOSTILE}", HOSTILE)
        raise ValueError(HOSTILE)
    return Run(logger.run_dir)


def test_names_are_shown_and_never_acted_on(logdir: Path) -> None:
    """Elements, quotes, line breaks, and control characters; in the plain text, too."""
    run = hostile(logdir)
    for one in (run, find_runs(logdir)):
        page = shown(one)
        allowed = {"div", "table", "tr", "th", "td", "svg", "path"}
        assert {tag for tag, _ in page.found} <= allowed
        assert not any(name.startswith("on") for _, its in page.found for name in its)
        text = "".join(page.texts)
        assert "<script>alert(1)" in text
        assert "\\n\\x1b[31m&\\u202e" in text
        assert not {"\n", "\x1b", "\u202e"} & set(text)


def test_a_run_that_vanishes_is_said_to_be_gone(logdir: Path) -> None:
    """In the table and in the card; pictures say that they can't be read."""
    for name in ("here", "gone"):
        with Logger(logdir, name) as logger:
            logger.add_scalar("a", 1.0)
            logger.add_image("i", np.eye(3))
    runs, run = find_runs(logdir), Run(logdir / "gone")
    images = run.images("i")
    shutil.rmtree(logdir / "gone")
    assert "gone" in shown(runs).texts
    assert "its directory is gone" in shown(run).texts
    assert "it can't be read" in "".join(shown(images).texts)
    assert "unknown" in repr(run)


@pytest.mark.parametrize("how", ["torn", "damaged", "no json", "empty", "not a file"])
def test_a_run_that_is_torn_is_shown(logdir: Path, how: str) -> None:
    """What is left of it, with the damage as a sentence and not as a warning."""
    with Logger(logdir, "run") as logger:
        for step in range(100):
            logger.add_scalar("Rate", step, step)
    [events] = logger.run_dir.glob("events*")
    data = events.read_bytes()
    if how == "torn":
        events.write_bytes(data[:-7])
    elif how == "damaged":
        events.write_bytes(data[:2000] + b"\xff" + data[2001:])
    elif how == "empty":
        events.write_bytes(b"")
    elif how == "not a file":
        events.unlink()
        events.mkdir()
    else:
        (logger.run_dir / "run.json").write_text("{")
    text = "".join(shown(Run(logger.run_dir)).texts)
    assert "run" in text
    assert ("is damaged at byte" in text) == (how in ("torn", "damaged"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = find_runs(logdir)
    assert "run" in shown(runs).texts


# -- a real notebook -------------------------------------------------------------------


def test_a_notebook_shows_them(logdir: Path) -> None:
    """A kernel gives HTML, and the plain text for everything else."""
    nbformat: Any = pytest.importorskip("nbformat", reason="make examples has it")
    nbclient: Any = pytest.importorskip("nbclient", reason="make examples has it")
    with Logger(logdir, "run") as logger:
        logger.add_scalar("Rate", 1.0)
        logger.add_image("i", np.eye(3))
        logger.add_raster("s", {0: [1.0]})
        logger.add_html("h", "<p>a</p>")
    cells = [
        f"import sys; sys.path[:] = {sys.path!r}\nfrom annarchy_tb import *\n"
        f"runs = find_runs({str(logdir)!r}); runs",
        *("runs[0]", "runs[0].images('i')", "runs[0].spikes('s')", "runs[0].html('h')"),
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    parts = "<table", "<svg", "data:image/png", "data:image/png", "<iframe"
    for cell, part in zip(book.cells, parts, strict=True):
        [output] = cell.outputs
        assert part in output["data"]["text/html"]
        assert output["data"]["text/plain"]
    assert "<Run " in book.cells[1].outputs[0]["data"]["text/plain"]
