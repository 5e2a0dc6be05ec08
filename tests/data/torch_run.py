"""Make ``tests/data/torch``: a run as torch.utils.tensorboard writes it.

    python tests/data/torch_run.py        # needs torch; the files are committed

The values are those that ``test_reader.py`` expects.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

run = Path(__file__).parent / "torch"
print("torch", torch.__version__)
with SummaryWriter(str(run)) as writer:
    for step in range(300):
        writer.add_scalar("loss", step / 8, step, walltime=1.7e9 + step)
    for step in range(20):
        writer.add_scalar("new style", -step, step, new_style=True)
        writer.add_scalar(
            "double", step / 3, step, new_style=True, double_precision=True
        )
    for step in range(30):
        writer.add_scalars("curves", {"train": step, "a/b": 2 * step}, step)
    writer.add_image(
        "image", np.arange(12, dtype=np.uint8).reshape(2, 2, 3), 7, dataformats="HWC"
    )
    writer.add_histogram(
        "histogram", np.arange(100.0), 8, bins=[0.0, 25.0, 50.0, 100.0]
    )
    writer.add_text("text", "Some *words*.", 9)
for path in run.rglob("events*"):
    path.rename(path.with_name("events.out.tfevents.1700000000.torch"))
