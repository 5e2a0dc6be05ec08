"""Fragments of HTML, stored whole, and shown without what could do anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from annarchy_tb.inputs.clock import Time
from annarchy_tb.inputs.importing import importing
from annarchy_tb.inputs.messages import describe
from annarchy_tb.kinds.text import METADATA
from annarchy_tb.run.entry import Entry
from annarchy_tb.tfevents import tensors
from annarchy_tb.tfevents.parsing import Value
from annarchy_tb.tfevents.records import (
    Parts,
    as_read,
    bytes_field,
    text_field,
    value,
)
from annarchy_tb.tfevents.scan import Block
from annarchy_tb.tfevents.schema import HTML, TENSOR
from annarchy_tb.tfevents.values import rows

if TYPE_CHECKING:
    from annarchy_tb.logger import Logger

# Elements that TensorBoard's TEXT tab shows, except images, which it would load. It
# shows the source of all others.
IN_TEXT = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("li", "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr"),
    "ul",
}
# Elements whose contents are not meant to be read.
HIDDEN = {"iframe", "noscript", "object", "script", "style", "template", "title"}
DRAWING = {
    *("circle", "ellipse", "g", "line", "path", "polygon", "polyline", "rect", "svg"),
    *("text", "tspan"),
}
DRAWN_BY = {
    *("cx", "cy", "d", "dx", "dy", "fill", "fill-opacity", "fill-rule", "font-size"),
    *("font-weight", "height", "opacity", "points", "r", "rx", "ry", "stroke"),
    *("stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-opacity"),
    *("stroke-width", "text-anchor", "transform", "viewBox", "width", "x", "x1", "x2"),
    *("y", "y1", "y2"),
}
# Properties of CSS that load nothing.
STYLES = {
    *("background-color", "border", "border-bottom", "border-collapse", "border-color"),
    *("border-left", "border-radius", "border-right", "border-spacing", "border-style"),
    *("border-top", "border-width", "color", "display", "font-family", "font-size"),
    *("font-style", "font-weight", "height", "line-height", "margin", "margin-bottom"),
    *("margin-left", "margin-right", "margin-top", "max-width", "min-width"),
    *("opacity", "padding", "padding-bottom", "padding-left", "padding-right"),
    *("padding-top", "text-align", "text-decoration", "vertical-align"),
    *("white-space", "width"),
}
PICTURE = r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z"
LINK = r"(?i)\s*(https?|mailto):"

LARGEST = 4 << 20  # characters of a fragment that a notebook shows, and would keep

# What a frame may load, if anything in it could ask for it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class HasHTML(Protocol):
    """What notebooks show as HTML: a table of pandas, for example."""

    def _repr_html_(self) -> str | None: ...


# -- logging ---------------------------------------------------------------------------


def add_html(
    self: Logger,
    tag: str,
    html: str | HasHTML,
    step: SupportsFloat | None = None,
    *,
    time: Time | None = None,
) -> None:
    """Log a fragment of HTML, such as a table of pandas.

    It is stored whole, and `Run.html` reads it back. Whatever shows it leaves out what
    could do anything (scripts, handlers of events, what is loaded from elsewhere): the
    TEXT tab shows the text with its headings, lists and tables; notebooks show colours,
    SVG and embedded images, too.

    Parameters
    ----------
    tag, step, time
        See `Logger`.
    html : str or object
        The fragment, or an object with a method ``_repr_html_`` that returns it. What
        is drawn by a script, such as a figure of Plotly, is stored but not shown: a
        warning says so if nothing remains.

    Raises
    ------
    TypeError
        If it is neither.
    """
    with Entry(self._run, "add_html", tag, HTML, step, time) as entry:
        fragment = as_read(as_html(html))
        shown = as_text(fragment)
        if fragment.strip() and not shown and _is_blank(safe(fragment)):
            entry.warn(
                "empty",
                "nothing of the fragment is shown, since scripts and styles are left "
                "out; log a picture with add_figure or add_image, too",
            )
        entry.write(encode(tag, fragment, shown))


def as_html(given: object) -> str:
    """Return a fragment that is given as a str, or by what notebooks show."""
    if isinstance(given, str):
        return given
    ask = None if isinstance(given, type) else getattr(given, "_repr_html_", None)
    found = ask() if callable(ask) else None
    if isinstance(found, tuple) and len(found) == 2:
        found = found[0]  # the other is for the notebook
    if not isinstance(found, str):
        raise TypeError(
            f"html must be a str, or an object whose _repr_html_() returns one, "
            f"got {describe(given)}"
        )
    return found


def encode(tag: str, fragment: str, shown: str) -> Parts:
    """Encode a fragment, with the text that TensorBoard shows of it.

    The fragment is in a field that TensorFlow does not have, and the text is stored as
    those of `kinds.text` are.
    """
    tensor = bytes_field(TENSOR, tensors.of_text(shown))
    return value(tag, tensor, METADATA, text_field(HTML.field, fragment))


# -- showing ---------------------------------------------------------------------------


def as_text(fragment: str) -> str:
    """Return what TensorBoard's TEXT tab can show of a fragment.

    It reads this as Markdown, which takes indented lines for code.
    """
    with importing:
        import nh3

    found = nh3.clean(
        fragment,
        tags=IN_TEXT | {"b", "div", "i"},
        clean_content_tags=HIDDEN | {"svg", "math"},
        attributes={"a": {"href"}},
        attribute_filter=_attribute,
        link_rel=None,
    )
    found = re.sub("</?div>", "\n\n", found)
    for name, known in (("b", "strong"), ("i", "em")):
        found = re.sub(f"<(/?){name}>", rf"<\1{known}>", found)
    return re.sub(r"^[ \t]+(?=<)", "", found, flags=re.MULTILINE).strip()


def safe(fragment: str) -> str:
    """Return a fragment without anything that acts, or is loaded.

    Text, tables, links, SVG, embedded images (``data:``) and styles of elements remain.
    Scripts, style sheets, handlers of events, forms, frames, and addresses of images
    are left out.

    This is the first of two walls: show it within `framed`, where a browser would
    neither run nor load anything.
    """
    with importing:
        import nh3

    attributes = {name: set(its) for name, its in nh3.ALLOWED_ATTRIBUTES.items()}
    for name in DRAWING:
        attributes[name] = DRAWN_BY
    attributes["*"] = {"style", "title"}
    return nh3.clean(
        fragment,
        tags=nh3.ALLOWED_TAGS | {"tfoot"} | DRAWING,
        clean_content_tags=HIDDEN,
        attributes=attributes,
        attribute_filter=_attribute,
        url_schemes={"data", "http", "https", "mailto"},
        filter_style_properties=STYLES,
    )


def _attribute(element: str, name: str, its: str) -> str | None:
    """Return the value of an attribute, None if it is left out."""
    if name == "src":
        return its if re.match(PICTURE, its) else None
    if name in ("href", "cite"):
        return its if re.match(LINK, its) else None
    if element in DRAWING and re.search(r"[\\(]", its) and name != "transform":
        return None  # url(...)
    return its


def _is_blank(fragment: str) -> bool:
    """Return whether a safe fragment has neither text nor a picture."""
    return not re.sub(r"<(?!img src|svg)[^>]*>", "", fragment).strip()


def page(fragment: str) -> str:
    """Return the safe part of a fragment as a page, for a frame without any rights.

    Its policy allows no request.
    """
    return (
        f'<!DOCTYPE html><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>body{{margin:8px;background:#fff;color:#111;"
        f"font:14px sans-serif}}</style>{safe(fragment)}"
    )


def framed(fragment: str, height: int = 240) -> str:
    """Return the safe part of a fragment in a frame that can't do anything.

    The frame is sandboxed (no scripts, no forms, no access to the page), and its policy
    allows no request.

    Parameters
    ----------
    fragment
        The fragment as it was given.
    height
        Of the frame, in pixels. Users can change it.
    """
    with importing:
        from html import escape

    style = f"width:100%;height:{height}px;border:0;resize:vertical;overflow:auto"
    return (
        f'<iframe sandbox="" referrerpolicy="no-referrer" '
        f'style="{style}" srcdoc="{escape(page(fragment))}"></iframe>'
    )


# -- reading back ----------------------------------------------------------------------


class Fragments(NamedTuple):
    """The fragments of HTML of a tag, in the order of writing.

    Notebooks show the last one, without what could do anything.

    Attributes
    ----------
    steps : array, shape ``(N,)``, int64
    fragments : list of N str
        As they were given, with their scripts.
    times, wall_times : array, shape ``(N,)``, float64
        As in `Scalars`.
    """

    steps: NDArray[np.int64]
    fragments: list[str]
    times: NDArray[np.float64]
    wall_times: NDArray[np.float64]

    def _repr_html_(self) -> str:
        if not self.fragments:
            return "<div>no fragments</div>"
        number, step = len(self.fragments), self.steps[-1]
        head = f"the last of {number}, step {step}" if number > 1 else f"step {step}"
        last = self.fragments[-1]
        if len(last) > LARGEST:
            return f"<div>{head}: {len(last)} characters are too many to show</div>"
        return f"<div>{head}</div>{framed(last)}"


def read(blocks: Iterable[Block], tag: str) -> Fragments:
    """Return the fragments of a tag; there may be none."""
    return Fragments(*rows(blocks, HTML, tag, decode))


def decode(value: Value) -> Iterator[str]:
    """Yield the fragment in a value."""
    yield value.raw.decode(errors="replace")
