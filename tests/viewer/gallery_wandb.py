"""Take the picture of W&B for the docs: ``make gallery``.

A run in ``wandb leet``, in a terminal, which the system's chromium draws.
"""

from __future__ import annotations

import fcntl
import html
import json
import math
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import numpy as np
import pyte
from playwright.sync_api import sync_playwright

from annarchy_tb import Logger
from annarchy_tb.follow import follow

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDTH, HEIGHT = 108, 32  # characters
SETTLED = 8.0  # seconds until all is drawn
COLOURS = {"default": "#24292f", "black": "#24292f", "white": "#57606a"}


def write(logdir: Path) -> None:
    """Write a run with a few curves, as if on a cluster."""
    rng, rate = np.random.default_rng(1), 0.0
    with Logger(logdir, "20Hz-0.5") as logger:
        logger.add_parameters({"tau": 10.0, "inputs": 800, "w_exc": 0.5})
        for trial in range(300):
            rate += 0.03 * (12 - rate) + rng.normal(0, 0.3)
            logger.log(
                {
                    "Error": math.exp(-trial / 60) + 0.02 * rng.random(),
                    "Rate/exc [Hz]": rate,
                    "Rate/inh [Hz]": 1.6 * rate + rng.normal(0, 0.4),
                    "Weights/mean": 0.5 + 0.2 * (1 - math.exp(-trial / 80)),
                },
                trial,
            )
        logger.add_metrics({"final error": 0.03})
    record = logger.run_dir / "run.json"
    info = json.loads(record.read_text())
    info |= {"command": "python izhikevich.py", "host": "node01", "user": "you"}
    record.write_text(json.dumps(info))


def terminal(command: list[str], keys: bytes) -> pyte.Screen:
    """Return what a command shows in a terminal after some keys."""
    process, descriptor = pty.fork()
    if not process:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.execv(command[0], command)
    size = struct.pack("HHHH", HEIGHT, WIDTH, 0, 0)
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)
    screen = pyte.Screen(WIDTH, HEIGHT)
    stream, start = pyte.ByteStream(screen), time.monotonic()
    while time.monotonic() < start + SETTLED:
        if keys and time.monotonic() > start + SETTLED / 2:
            os.write(descriptor, keys[:1])
            keys = keys[1:]
        if select.select([descriptor], [], [], 0.2)[0]:
            data = os.read(descriptor, 1 << 16)
            if b"\x1b]11;?" in data:  # what is the colour of the background?
                os.write(descriptor, b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\")
            stream.feed(data)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return screen


def page(screen: pyte.Screen) -> str:
    """Return what a terminal shows as HTML."""
    lines = []
    for row in range(HEIGHT):
        cells = []
        for column in range(WIDTH):
            its = screen.buffer[row][column]
            front, back = its.fg, its.bg
            if its.reverse:
                front, back = back, front
            style = f"color:{_colour(front, '#24292f')}"
            style += f";background:{_colour(back, '#ffffff')}"
            style += ";font-weight:bold" if its.bold else ""
            cells.append(f'<span style="{style}">{html.escape(its.data)}</span>')
        lines.append("".join(cells))
    style = "margin:0;padding:8px;font:13px/17px 'DejaVu Sans Mono',monospace"
    cell = "<style>span {display: inline-block; width: 8px; height: 17px}</style>"
    text = "\n".join(lines)
    return f'{cell}<pre style="display:inline-block;{style}">{text}</pre>'


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    is_hex = len(name) == 6 and all(its in "0123456789abcdef" for its in name)
    return f"#{name}" if is_hex else COLOURS.get(name, name)


def main() -> None:
    """Write a run, follow it, and take the picture."""
    os.environ["WANDB_MODE"] = "offline"
    with tempfile.TemporaryDirectory() as place:
        os.environ["HOME"] = place
        logdir = Path(place, "runs")
        write(logdir)
        follow(logdir, "wandb:rates")
        [run] = (logdir / ".annarchy_tb" / "wandb").glob("offline-run-*")
        leet = [sys.executable, "-m", "wandb", "leet", str(run)]
        screen = terminal(leet, keys=b"]/^[^s]\r")  # no system, no steps
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        shown = browser.new_page(device_scale_factor=1.5)
        shown.set_content(page(screen))
        shown.locator("pre").screenshot(path=IMAGES / "wandb_leet.png")
        browser.close()


if __name__ == "__main__":
    main()
