"""The tab SIMULATION of TensorBoard, which shows what a report shows, live.

TensorBoard imports this module when it starts, and whatever is raised here then would
keep it from starting. So this imports nothing but TensorBoard and the standard library;
the rest of the package is imported with the first question of the tab, and what it
raises is an answer, too: the tab shows it in a line.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug.wrappers import Request

BOARD = Path(__file__).parent / "board"

JSON = "application/json"
SCRIPT = "text/javascript"
FILES = {"tab.js": SCRIPT, "board.js": SCRIPT, "board.css": "text/css"}
PLOTLY = "plotly.min.js"  # 5 MB, which the browser keeps for an hour

# What may be asked for; `annarchy_tb.board.server.Server` has a method for each.
QUESTIONS = ("runs", "run", "plots", "curves", "part", "frame", "file")


class SimulationPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """The tab, as TensorBoard knows it.

    Parameters
    ----------
    context : TBContext
        What TensorBoard says about itself.
    """

    plugin_name = "simulation"

    def __init__(self, context: Any) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._server: Any = None

    def is_active(self) -> bool:
        """Return True: the tab tells, too, that there are no runs."""
        return True

    def frontend_metadata(self) -> Any:
        """Return the name of the tab, and the module that fills it."""
        return base_plugin.FrontendMetadata(
            es_module_path="/tab.js", tab_name="Simulation"
        )

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """Return what answers requests, by the routes below that of the tab."""
        answers: dict[str, Callable[[Any], tuple[Any, str, int]]] = {
            name: functools.partial(_file, BOARD / name, kind)
            for name, kind in FILES.items()
        }
        answers[PLOTLY] = _plotly
        for name in QUESTIONS:
            answers[name] = functools.partial(self._ask, name)
        return {
            f"/{name}": Request.application(functools.partial(_respond, answer))
            for name, answer in answers.items()
        }

    def _ask(self, question: str, query: Any) -> tuple[Any, str, int]:
        """Return the answer to a question, its type, and its HTTP status."""
        with self._lock:  # one at a time: warnings are collected for the whole process
            if self._server is None:
                self._server = self._serve()
            answer: tuple[Any, str, int] = self._server.answer(question, query)
        return answer

    def _serve(self) -> Any:
        from annarchy_tb.inputs.importing import importing

        with importing:
            from annarchy_tb.board.server import Server

        spec = getattr(self._context.flags, "logdir_spec", "")
        return Server(self._context.logdir, spec)


def _respond(answer: Callable[[Any], tuple[Any, str, int]], request: Any) -> Any:
    if request.method != "GET":
        said = {"error": "only GET is answered here"}
        allowed = [("Allow", "GET")]
        return http_util.Respond(request, said, JSON, code=405, headers=allowed)
    try:
        content, kind, code = answer(request.args)
    except Exception as error:
        said = {"error": f"{type(error).__name__}: {error}"}
        return http_util.Respond(request, said, JSON, code=500)
    if isinstance(content, dict):  # Respond would turn NaN into texts
        content = json.dumps(content, allow_nan=False)
    lasts = 3600 if answer is _plotly and code == 200 else 0
    return http_util.Respond(request, content, kind, code=code, expires=lasts)


def _file(path: Path, kind: str, _query: Any) -> tuple[bytes, str, int]:
    return path.read_bytes(), kind, 200


def _plotly(_query: Any) -> tuple[Any, str, int]:
    """Return the script in the package of Plotly, which is not imported for it."""
    found = find_spec("plotly")
    for directory in (found and found.submodule_search_locations) or ():
        path = os.path.join(directory, "package_data", PLOTLY)
        if os.path.isfile(path):
            return Path(path).read_bytes(), SCRIPT, 200
    return {"error": "Plotly is missing: pip install 'annarchy-tb[board]'"}, JSON, 404
