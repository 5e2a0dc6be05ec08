"""TensorBoard, started so that it shows all that is drawn."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from annarchy_tb.inputs.importing import importing
from annarchy_tb.terminal import escaped

# How many values of a tag are shown. As far as there are that many, TensorBoard keeps
# them in memory: 0.4 kB a point, and images and histograms as they are in the files.
SAMPLES = {"scalars": 10_000, "images": 1000, "histograms": 1000, "text": 1000}
SAMPLES |= {"audio": 100, "pr_curves": 1000, "mesh": 100}
DEFAULT = ",".join(f"{name}={number}" for name, number in SAMPLES.items())

# Without smoothing; and one colour for all curves of a name, the last part of theirs.
SETTINGS = {"smoothing": "0", "runColorGroup": "regex:([^/]+)$"}


def samples(_context: object, _option: object, text: str) -> dict[str, int]:
    """Return how many values of a tag are shown, as an option says it."""
    found = dict(SAMPLES)
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        if not name or not number.isdecimal() or not int(number):
            raise click.BadParameter(
                f"write it as in scalars=50000,images=100, got {escaped(part)!r}"
            )
        found[name] = int(number)
    return found


def serve(
    logdir: Path, host: str | None, port: int | None, samples: dict[str, int]
) -> int:
    """Run TensorBoard until it is ended, and return its exit status.

    It runs in this process, so it ends with it; its data server ends when this process
    does, whatever ended it.
    """
    with importing:
        from tensorboard import program
    warnings.simplefilter("ignore")  # its own

    def server(app: Any, flags: Any) -> Any:
        quiet.close()
        try:
            made = program.create_port_scanning_werkzeug_server(app, flags)
        except program.TensorBoardServerException as error:
            raise click.ClickException(" ".join(error.msg.split())) from error
        made.print_serving_message = lambda: click.echo(
            f"{made.get_url()}?{urlencode(SETTINGS)}#timeseries"
        )
        return made

    board = program.TensorBoard(server_class=server)
    board.configure(
        logdir=os.fspath(logdir), host=host, port=port, samples_per_plugin=samples
    )
    with contextlib.ExitStack() as quiet:  # about its fast loader
        quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
        return int(board.main())
