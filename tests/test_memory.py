"""Logging a large array takes no copy of it: at most 32 MiB, whatever its type."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import points

from annarchy_tb import Logger

MOST = 32 * 2**20  # bytes
SIDE = 8192  # 64 MiB of int8

ROW = (np.arange(SIDE) // 64).astype(np.int8)  # from 0 to 127, easy to compress


def large(dtype: str) -> np.ndarray:
    """Return an array of shape ``(H, 8192)`` and 64 MiB; all rows are the same."""
    row = ROW.astype(dtype)
    return np.tile(row, (SIDE // row.itemsize, 1))


def mapped(path: Path) -> np.ndarray:
    """Return an array in a file."""
    np.save(path, large("f4"))
    return np.load(path, mmap_mode="r")


LAYOUTS: dict[str, Callable[[Path], np.ndarray]] = {
    **{
        dtype: lambda _, dtype=dtype: large(dtype)
        for dtype in ("i1", "i2", "u8", "f2", "f4", "f8", "?", ">f4", ">i2")
    },
    "memmap": lambda path: mapped(path / "array.npy"),
    "strided": lambda _: np.repeat(large("f4"), 2, axis=1)[:, ::2],
    "backwards": lambda _: large("f4")[::-1, ::-1],
    "transposed": lambda _: large("f8").T,
}


def memory(call: Callable[[], object]) -> int:
    """Return how many bytes a call takes at most, beyond those in use."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def each(logger: Logger, array: Any) -> dict[str, Callable[[], object]]:
    """Return calls that log an array of shape ``(H, W)``."""
    spikes = np.zeros_like(array)
    spikes[::100, ::10] = 1
    four = array.reshape(4, len(array) // 4, -1)
    line = (array.T if array.flags.f_contiguous else array).reshape(-1)
    assert np.shares_memory(line, array)
    return {
        "histogram": lambda: logger.add_histogram("h", array),
        "histogram of a list": lambda: logger.add_histogram("l", [array, [array]]),
        "image": lambda: logger.add_image("i", array),
        "equalized": lambda: logger.add_image("e", array, equalize=True),
        "fixed range": lambda: logger.add_image("f", array, vmin=0, vmax=100),
        "colours": lambda: logger.add_image("c", array, vmin=-9, cmap="viridis"),
        "images in colours": lambda: logger.add_images("o", four, cmap="gray"),
        "images": lambda: logger.add_images("n", four, equalize_per_image=True),
        "series": lambda: logger.add_series("s", line),
        "matrix": lambda: logger.add_matrix("m", array),
        "raster": lambda: logger.add_raster("r", spikes),
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:.*are clipped")
def test_no_array_is_copied(layout: str, tmp_path: Path) -> None:
    """The memory that a call takes beyond the array does not depend on its size."""
    array = LAYOUTS[layout](tmp_path)
    assert array.nbytes == 64 * 2**20
    with Logger(tmp_path, "run") as logger:
        taken = {name: memory(call) for name, call in each(logger, array).items()}
    assert {name for name, size in taken.items() if size > MOST} == set()
    counted = points(tmp_path / "run", "h")[0].array[:, 2].sum()
    assert counted == array.size


def test_no_mask_is_copied(logger: Logger) -> None:
    """A histogram leaves out masked values without a copy of the others."""
    array = large("f4")
    masked = np.ma.masked_array(array, array > 100)
    with pytest.warns(UserWarning, match="masked"):
        assert memory(lambda: logger.add_histogram("h", [masked])) < MOST
    counted = points(logger.run_dir, "h")[0].array[:, 2].sum()
    assert counted == np.count_nonzero(array <= 100)


def test_spikes_are_not_copied(logger: Logger) -> None:
    """Nor their times, to draw them."""
    times = np.tile(np.arange(1000.0), 8000)
    ranks = np.repeat(np.arange(1000), 8000)
    assert memory(lambda: logger.add_raster("r", (times, ranks))) < MOST
