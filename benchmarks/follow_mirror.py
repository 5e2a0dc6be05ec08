"""How fast runs are mirrored, beside fsspec's own ``put`` of the same files.

Run it in the environment of the followers (``make followers``)::

    .venv-followers/bin/python benchmarks/follow_mirror.py [path] [s3] [sftp]

Each figure is the median of alternating rounds, in MB/s. The servers of S3 (moto) and
SFTP (asyncssh) are on loopback, and are written in Python: with faster ones, the share
of the network is smaller.
"""

from __future__ import annotations

import logging
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import fsspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/follow"))
import servers

from annarchy_tb import Logger
from annarchy_tb.follow import follow

ROUNDS = 5


def scalars(logger: Logger) -> None:
    """Log what gives an event file of 60 MB: two shapes of records, in turn."""
    for step in range(400_000):
        logger.add_scalar("Rate", step / 3, step)
        logger.log({"a": 1.0, "b": 2.0, "c": step}, step)


def series(logger: Logger) -> None:
    """Log what gives recordings of 64 MB."""
    for _ in range(8):
        logger.add_series("v", np.random.default_rng(1).random(1_000_000), shown=100)


def images(logger: Logger) -> None:
    """Log what gives an event file of 60 MB with images."""
    image = np.random.default_rng(1).random((200, 200, 3))
    for step in range(500):
        logger.add_image("image", image, step)


def put(run: Path, url: str) -> None:
    """Put the files of a run, as a user of fsspec does."""
    fs, path = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    fs.makedirs(path, exist_ok=True)
    files = [its for its in run.iterdir() if its.is_file()]
    fs.put([str(its) for its in files], [f"{path}/{its.name}" for its in files])


def mirror(runs: Path, url: str) -> None:
    """Mirror a run, as if for the first time."""
    follow(runs, f"mirror:{url}")
    shutil.rmtree(runs / ".annarchy_tb")


def compare(folder: Path, url: str, rounds: int) -> None:
    """Print how fast each kind of data is put and mirrored."""
    name = url.partition("://")[0] if "://" in url else "path"
    for kind in (scalars, series, images):
        runs = folder / kind.__name__
        size = sum(path.stat().st_size for path in runs.rglob("*") if path.is_file())
        puts, mirrors = [], []
        for number in range(rounds):
            place = f"{url}/{kind.__name__}-{number}"
            start = perf_counter()
            put(runs / "run", f"{place}-put/run")
            middle = perf_counter()
            mirror(runs, place)
            puts.append(middle - start)
            mirrors.append(perf_counter() - middle)
        one, other = (size / 1e6 / statistics.median(its) for its in (puts, mirrors))
        print(
            f"{name:6} {kind.__name__:8} {size / 1e6:6.0f} MB  put {one:7.0f} MB/s  "
            f"mirror {other:7.0f} MB/s  {other / one:5.2f}x",
            flush=True,
        )


def main(kinds: list[str]) -> None:
    """Compare for each kind of store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in (scalars, series, images):
            with Logger(folder / kind.__name__, "run") as logger:
                kind(logger)
        if "path" in kinds:
            compare(folder, str(folder / "mirror"), ROUNDS)
        if "sftp" in kinds:
            server = servers.sftp(folder)
            server.start()
            try:
                url = f"sftp://me:secret@127.0.0.1:{server.port}{folder}/sftp"
                compare(folder, url, 3)
            finally:
                server.kill()
        if "s3" in kinds:
            server = servers.s3()
            server.start()
            os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.port}"
            os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "x"
            try:
                fsspec.filesystem("s3").mkdir("benchmark")
                compare(folder, "s3://benchmark/runs", 3)
            finally:
                server.kill()


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main(sys.argv[1:] or ["path", "sftp", "s3"])
