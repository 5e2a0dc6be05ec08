"""A server on this machine that answers W&B's process, and keeps what it is sent."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """The server, in a thread.

    Attributes
    ----------
    is_down : bool
        Whether it answers with an error.
    runs : dict of str to list
        The rows of each run.
    ends : dict of str to int
        The exit codes of runs that have ended.
    files : list of str
        The names of files that were uploaded.
    """

    daemon_threads = True
    is_down: bool
    runs: dict[str, list[dict[str, Any]]]
    ends: dict[str, int]
    files: list[str]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.is_down, self.runs, self.ends, self.files = False, {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that W&B's process has closed."""

    def streamed(self, run: str, sent: dict[str, Any]) -> None:
        """Take rows at their place, so that those sent again are there once."""
        history = (sent.get("files") or {}).get("wandb-history.jsonl")
        if history:
            rows = self.runs.setdefault(run, [])
            rows[history["offset"] :] = map(json.loads, history["content"])
        if sent.get("complete"):
            self.ends[run] = sent["exitcode"]

    def points(self) -> list[tuple[str, int, float]]:
        """Return key, step and value of all points of all runs."""
        return [
            (key, row[f"step/{key}"], float(value))
            for rows in self.runs.values()
            for row in rows
            for key, value in row.items()
            if f"step/{key}" in row and isinstance(value, (int, float))
        ]

    def answered(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to any question about a run."""
        entity = {"id": "1", "name": "mylab"}
        project = {"id": "1", "name": "rates", "entity": entity}
        bucket = {"id": "1", "name": variables.get("name", ""), "project": project}
        bucket |= {"displayName": "", "config": "{}", "historyLineCount": 0}
        files = [
            {"name": name, "uploadUrl": f"{self.url}/{name}"}
            for name in variables.get("files") or []
        ]
        return {
            "model": {"bucket": None},
            "upsertBucket": {"bucket": bucket, "inserted": True},
            "createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files},
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        self._body()
        self.server.files.append(self.path.removeprefix("/"))
        self._answer({})

    def do_POST(self) -> None:
        sent = json.loads(self._body())
        if self.path.endswith("/file_stream") and not self.server.is_down:
            self.server.streamed(self.path.split("/")[-2], sent)
            self._answer({})
        else:
            variables = sent.get("variables") or {}
            self._answer({"data": self.server.answered(variables)})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        is_packed = self.headers["Content-Encoding"] == "gzip"
        return gzip.decompress(body) if is_packed else body

    def _answer(self, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.send_response(503 if self.server.is_down else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
