"""The record of a run as a Markdown table, for the TEXT tab."""

from __future__ import annotations

from typing import Any

from annarchy_tb.run.info import RunInfo, date

Row = tuple[str, Any]


def as_table(info: RunInfo) -> str:
    """Return a record as a Markdown table, starting with parameters and results."""
    lines = [f"| run | {_cell(info.experiment)} |", "|---|---|"]
    for kind, values in (("params", info.params), ("metrics", info.metrics)):
        for name, value in (values or {}).items():
            lines.append(f"| {kind}: **{_cell(name)}** | {_cell(_rounded(value))} |")
    rows: list[Row] = [("status", info.status)]
    if info.error:
        message = f"{info.error.get('type')}: {info.error.get('message')}"
        rows += [("error", message), ("where", info.error.get("where"))]
    rows += [("started", _readable(info.started)), ("ended", _readable(info.ended))]
    rows += [("restarts", info.restarts or None)]
    rows += [
        (f"not finite: {tag}", f"from step {step}")
        for tag, step in (info.not_finite or {}).items()
    ]
    rows += [("host", info.host), ("pid", info.pid), ("user", info.user)]
    rows += [("command", info.command), ("cwd", info.cwd)]
    if info.git and info.git.get("commit"):
        changed = " (modified)" if info.git.get("dirty") else ""
        rows += [("git", f"{str(info.git['commit'])[:12]}{changed}")]
    rows += [(f"SLURM {name}", value) for name, value in (info.slurm or {}).items()]
    rows += [("python", info.python), *(info.versions or {}).items()]
    return "\n".join([*lines, *_lines(rows)])


def _lines(rows: list[Row]) -> list[str]:
    return [f"| {_cell(n)} | {_cell(v)} |" for n, v in rows if v is not None]


def _rounded(value: Any) -> Any:
    """Round to six significant digits, but no whole numbers, such as seeds."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _readable(moment: str | None) -> str | None:
    """Convert a date from ISO 8601 to a readable form."""
    found = date(moment)
    return found.strftime("%Y-%m-%d %H:%M:%S UTC") if found else None


def _cell(value: Any) -> str:
    """Escape a text, to be shown literally within one cell."""
    text = str(value)
    text = text if len(text) <= 300 else f"{text[:297]}..."
    for special in "\\`*_{}[]<>|#~":
        text = text.replace(special, f"\\{special}" if special not in "<>" else special)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(text.split())
