"""Fragments of HTML: stored whole, and shown without what could do anything."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conftest import points
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from annarchy_tb import Logger, Run
from annarchy_tb.kinds import html
from annarchy_tb.reading import News
from annarchy_tb.tfevents.parsing import Value, parse
from annarchy_tb.tfevents.records import bytes_field
from annarchy_tb.tfevents.schema import HTML

TABLE = "<table><thead><tr><th>tau</th></tr></thead><tr><td>1*2*3</td></tr></table>"
# What runs code, or makes a request.
ACTS = {
    "script": "<script>document.title = 'ran'</script>",
    "handler": "<p onclick=\"document.title = 'ran'\">a</p>",
    "error": "<img src=x onerror=\"document.title = 'ran'\">",
    "svg": "<svg onload=\"document.title = 'ran'\"><script>1</script></svg>",
    "address": "<a href=\"javascript:document.title = 'ran'\">a</a>",
    "data": "<a href=\"data:text/html,<script>parent.title = 'ran'</script>\">a</a>",
    "image": '<img src="http://127.0.0.1:9/x.png" srcset="http://127.0.0.1:9/y.png">',
    "relative address": '<a href="/run\'">a</a>',
    "relative image": '<img src="/x.png">',
    "SVG image": '<img src="data:image/svg+xml;base64,PHN2Zy8+">',
    "background": '<p style="background: url(http://127.0.0.1:9/x.png)">a</p>',
    "escaped url": '<svg><rect fill="u\\72l(http://127.0.0.1:9/x.png)"/></svg>',
    "fill": '<svg><rect fill="url(http://127.0.0.1:9/x.svg#a)"/></svg>',
    "use": '<svg><use href="http://127.0.0.1:9/x.svg#a"/></svg>',
    "style": "<style>@import 'http://127.0.0.1:9/x.css'</style>",
    "link": '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">',
    "refresh": '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">',
    "base": '<base href="http://127.0.0.1:9/">',
    "frame": '<iframe src="http://127.0.0.1:9/"></iframe>',
    "document": '<iframe srcdoc="<script>parent.title = 1</script>"></iframe>',
    "object": '<object data="http://127.0.0.1:9/"></object>',
    "form": '<form action="http://127.0.0.1:9/"><input autofocus onfocus=f()></form>',
    "mutation": "<math><mtext></form><form><mglyph><style></math><img src onerror=f()>",
    "unclosed": "<script>document.title = 'ran'",
    "comment": "<!--><script>document.title = 'ran'</script>-->",
}
HARM = re.compile(
    r"<script|<style|\son\w+=|javascript:|127\.0\.0\.1|url\(|srcdoc|ran'|/run"
)


def test_a_fragment_is_read_back_as_it_was_given(logger: Logger) -> None:
    """With its scripts, line breaks and times; its kind is that of no other tag."""
    fragments = ["".join(ACTS.values()), "a\r\nb \x00 \u202e µ", ""]
    for step, fragment in enumerate(fragments):
        logger.add_html("Report", fragment, step * 2, time=step / 3)
    logger.add_text("Words", "a *text*")
    run = Run(logger.run_dir)
    found = run.html("Report")
    assert found.fragments == fragments
    assert found.steps.tolist() == [0, 2, 4]
    assert found.times.tolist() == [0, 1 / 3, 2 / 3]
    assert run.tags() == {"Report": "html", "Words": "text"}
    assert run.data("Report").fragments == fragments
    assert run.text("Words").texts == ["a *text*"]
    news = [one for one in run.news() if isinstance(one, News)]
    values = [its for one in news for its in one.values if its.kind == "html"]
    assert [its.content for its in values] == fragments
    with pytest.raises(KeyError, match="it is of kind 'html'"):
        run.text("Report")


def test_a_described_fragment_is_no_text(logger: Logger) -> None:
    """The metadata, which precede the fragment then, say text."""
    logger.describe("Report", "of the *day*")
    logger.add_html("Report", TABLE)
    [value] = points(logger.run_dir, "Report")
    assert value.proto.metadata.summary_description == "of the *day*"
    assert Run(logger.run_dir).html("Report").fragments == [TABLE]


def test_the_kind_of_a_tag_stays(logger: Logger) -> None:
    """A text does not become HTML, nor the other way round, also after appending."""
    logger.add_html("Report", TABLE)
    logger.add_text("Words", "a")
    logger.close()
    with Logger(logger.logdir, logger.experiment, mode="a") as again:
        with pytest.raises(ValueError, match="already holds"):
            again.add_text("Report", "a")
        with pytest.raises(ValueError, match="already holds"):
            again.add_html("Words", "a")
        again.add_html("Report", "b")
    assert Run(logger.run_dir).html("Report").fragments == [TABLE, "b"]


def test_what_notebooks_show_is_taken(logger: Logger) -> None:
    """A run, and a pair with what is for the notebook."""

    class Pair:
        def _repr_html_(self) -> Any:
            return "<p>a</p>", {"isolated": True}

    logger.add_html("Run", Run(logger.run_dir))
    logger.add_html("pair", Pair())
    run = Run(logger.run_dir)
    assert "running" in run.html("Run").fragments[0]
    assert run.html("pair").fragments == ["<p>a</p>"]


def test_a_table_of_pandas_is_shown_as_a_table(logger: Logger) -> None:
    """The style sheet that pandas gives it is kept, and not shown."""
    pd = pytest.importorskip("pandas", reason="needs pandas")
    table = pd.DataFrame({"tau": [1, 2], "<b>": ["<script>", "x"]})
    logger.add_html("table", table)
    assert Run(logger.run_dir).html("table").fragments == [table._repr_html_()]
    text = points(logger.run_dir, "table")[0].array.item().decode()
    assert text.startswith("<table>")
    assert "&lt;script&gt;" in text


class Nothing:
    def _repr_html_(self) -> None:
        return None


@pytest.mark.parametrize("bad", [5, b"<p>", None, ["<p>"], Nothing(), Nothing])
def test_anything_else_is_refused(bad: Any, logger: Logger) -> None:
    """The error names the rule and what came, and the tag stays free."""
    with pytest.raises(
        TypeError, match=r"^add_html\('a'\): html must be a str, or an object whose"
    ):
        logger.add_html("a", bad)
    logger.add_scalar("a", 1.0)


def test_what_the_object_raises_comes_out(logger: Logger) -> None:
    """Nothing is written."""

    class Broken:
        def _repr_html_(self) -> str:
            raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        logger.add_html("a", Broken())
    assert Run(logger.run_dir).tags() == {}


def test_a_fragment_that_is_drawn_by_scripts_is_warned_of(logger: Logger) -> None:
    """As a figure of Plotly; not one that has text, a drawing or nothing at all."""
    with pytest.warns(UserWarning, match=r"add_html\('a'\): nothing of the fragment"):
        logger.add_html("a", '<div><div id="x"></div><script>f()</script></div>')
    logger.add_html("b", "<p>text</p><script>f()</script>")
    logger.add_html("c", '<svg><circle cx="1" cy="1" r="1"/></svg>')
    logger.add_html("d", '<img src="data:image/png;base64,iVBORw0KGgo=">')
    logger.add_html("e", " ")


# -- what is shown ---------------------------------------------------------------------


@pytest.mark.parametrize("how", ACTS)
def test_what_acts_is_left_out(how: str) -> None:
    """Of what is shown in pages, and of the text for TensorBoard; the rest remains."""
    fragment = f"<h1>before</h1>{TABLE}{ACTS[how]}"
    for shown in (html.safe(fragment), html.as_text(fragment)):
        assert not HARM.search(shown)
        assert "<h1>before</h1>" in shown
        assert "<td>1*2*3</td>" in shown


def test_what_is_safe_remains() -> None:
    """Styles, links, SVG, and images that are embedded."""
    fragment = (
        '<p style="color:red">a</p><a href="https://example.org/">b</a>'
        '<svg viewBox="0 0 9 9"><path d="M0 0L9 9" transform="scale(2)"></path></svg>'
        '<img src="data:image/png;base64,iVBORw0KGgo=">'
    )
    shown = html.safe(fragment).replace(' rel="noopener noreferrer"', "")
    assert shown == fragment


def test_the_text_has_only_what_tensorboard_shows() -> None:
    """It would show the source of other elements, and indented lines as code."""
    fragment = "<div>\n    <p>a</p>\n    <b>b</b></div><div>c<span>d</span></div>"
    assert html.as_text(fragment) == "<p>a</p>\n<strong>b</strong>\n\n\n\ncd"


@given(st.text())
def test_any_text_is_safe_and_comes_back(fragment: str) -> None:
    """Whatever it is, a fragment neither raises nor changes in the files."""
    html.safe(fragment)
    shown = html.as_text(fragment)
    event = bytes_field(5, *html.encode("tag", fragment, shown))
    [value] = parse(event).values
    assert value == Value("tag", "html", HTML.field, fragment.encode())
    assert list(html.decode(value)) == [fragment]


def test_the_frame_of_a_notebook_is_closed(logger: Logger) -> None:
    """It is sandboxed, its policy allows no request, and the page is in its quotes."""
    for step in range(2):
        logger.add_html("a", f'{step}"><script>alert(1)</script>', step)
    shown = Run(logger.run_dir).html("a")._repr_html_()
    assert "the last of 2, step 1" in shown
    assert '<iframe sandbox=""' in shown
    assert "default-src &#x27;none&#x27;" in shown
    assert "<script" not in shown
    assert "alert" not in shown


def test_a_notebook_is_not_filled(logger: Logger) -> None:
    """A fragment that is very large is left out."""
    logger.add_html("a", "x" * (html.LARGEST + 1))
    shown = Run(logger.run_dir).html("a")._repr_html_()
    assert shown == "<div>step 0: 4194305 characters are too many to show</div>"


# -- TensorBoard -----------------------------------------------------------------------


def test_the_accumulator_has_the_text(logger: Logger) -> None:
    """TensorBoard passes over the field that it does not know."""
    logger.add_html("Report", f"<script>f()</script>{TABLE}", 3)
    accumulator = EventAccumulator(str(logger.run_dir))
    accumulator.Reload()
    [event] = accumulator.Tensors("Report")
    assert event.step == 3
    assert b"<td>1*2*3</td>" in make_ndarray(event.tensor_proto).item()
    content = accumulator.SummaryMetadata("Report").plugin_data.plugin_name
    assert content == "text"


def test_large_fragments_are_kept(logger: Logger) -> None:
    """A table of 10,000 rows."""
    row = f"<tr>{'<td>0.0</td>' * 4}</tr>"
    table = f"<table>{row * 10_000}</table>"
    logger.add_html("table", table)
    assert Run(logger.run_dir).html("table").fragments == [table]
