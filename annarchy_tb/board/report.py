"""A report: one file that shows runs, without a server and without a network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any

from annarchy_tb.board.run import run_data
from annarchy_tb.board.runs import runs_data
from annarchy_tb.inputs.optional import optional
from annarchy_tb.reading.find import find_runs
from annarchy_tb.run.info import iso

HERE = Path(__file__).parent

# Nothing on the page can reach a network: there are no addresses but those that hold
# their data themselves. (Plotly sets styles on elements, and makes its own pictures.)
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data:; base-uri 'none'; form-action 'none'"
)

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main id="board"></main>
<noscript>This report draws its data with JavaScript, which is off.</noscript>
<script id="data" type="application/json">{data}</script>
<script>{plotly}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def report(path: Path, made: float) -> str:
    """Return the page about a run, or about the runs below a directory.

    Parameters
    ----------
    path
        The directory.
    made
        When the report is made, in seconds since 1970.

    Raises
    ------
    FileNotFoundError
        If there is no run.
    ImportError
        If Plotly is missing.
    """
    plotly = optional(
        "plotly.offline", "annarchy-tb report", "'annarchy-tb[board]'"
    ).get_plotlyjs()
    runs = find_runs(path)
    if not runs:
        raise FileNotFoundError(f"there are no runs in {path}")
    alone = len(runs) == 1 and runs[0].path == runs.logdir
    data = run_data(runs[0]) if alone else runs_data(runs)
    if not alone and not data["runs"]:
        raise FileNotFoundError(f"there are no runs in {path} any more")
    data["made"] = iso(made)
    return page(runs.logdir.name, data, plotly)


def page(title: str, data: dict[str, Any], plotly: str) -> str:
    """Return a page that shows data."""
    script = _source("board.js") + _source("report.js")
    hashes = " ".join(map(_hash, (plotly, script)))
    return PAGE.format(
        policy=POLICY.format(scripts=hashes),
        title=html.escape(title.encode(errors="replace").decode()),
        style=_source("board.css"),
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        plotly=plotly,
        script=script,
    )


def _source(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _hash(script: str) -> str:
    """Return a script's name for the policy of a page."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
