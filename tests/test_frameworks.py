"""Frameworks with a callback for TensorBoard, on the SummaryWriter of this package.

They need torch, and are installed in an environment of their own: ``make frameworks``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load, scalars

from annarchy_tb import Logger, Run, SummaryWriter

torch: Any = pytest.importorskip("torch", reason="needs torch; make frameworks has it")

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # theirs
    pytest.mark.timeout(600),  # they are slow to import
]


def data() -> Any:
    """Return eight batches of two samples."""
    samples = torch.utils.data.TensorDataset(torch.randn(16, 2))
    return torch.utils.data.DataLoader(samples, batch_size=2)


def fit(tmp_path: Path, writer: SummaryWriter | None = None) -> Path:
    """Train with Lightning for two epochs; return the directory of its logs."""
    lightning: Any = pytest.importorskip("lightning.pytorch")
    from lightning.pytorch.loggers import TensorBoardLogger
    from lightning.pytorch.loggers.logger import rank_zero_experiment

    class SafeLogger(TensorBoardLogger):  # as in docs/guide/summary_writer.rst
        @property
        @rank_zero_experiment
        def experiment(self) -> SummaryWriter:
            if self._experiment is None:
                self._experiment = writer or SummaryWriter(self.log_dir)
            return self._experiment

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self, lr: float = 0.1, depth: int = 3, rule: str = "sgd") -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(2, 1)
            self.example_input_array = torch.zeros(1, 2)

        def forward(self, batch: Any) -> Any:
            return self.layer(batch)

        def training_step(self, batch: Any) -> Any:
            loss = (self(batch[0]) ** 2).mean()
            self.log("loss", loss)
            weights = self.layer.weight.to(torch.bfloat16)
            self.logger.experiment.add_histogram("weights", weights, self.global_step)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

    logger = SafeLogger(tmp_path, name="net", log_graph=True)
    trainer = lightning.Trainer(
        max_epochs=2,
        logger=logger,
        accelerator="cpu",
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), data())
    logger.log_hyperparams({"lr": 0.1, "depth": 3, "rule": "sgd"}, {"final": 0.5})
    logger.save()
    logger.finalize("success")
    return Path(logger.log_dir)


def test_lightning_logs_parameters_and_metrics(tmp_path: Path) -> None:
    """Its parameters are those of the run, and its graph and histograms are there."""
    run = fit(tmp_path)
    assert Run(run).params == {"lr": 0.1, "depth": 3, "rule": "sgd"}
    assert [step for step, _ in scalars(run, "loss")] == [*range(16)]
    assert scalars(run, "final") == [(0, 0.5)]
    assert len(Run(run).histograms("weights").steps) == 16


def test_lightning_logs_into_a_logger(logdir: Path, tmp_path: Path) -> None:
    """Through logger.writer, its parameters are those of the Logger."""
    with Logger(logdir, "run") as logger:
        fit(tmp_path, logger.writer)
    run = Run(logdir / "run")
    assert (run.params, run.status) == (
        {"lr": 0.1, "depth": 3, "rule": "sgd"},
        "finished",
    )
    assert len(run.scalars("loss").steps) == 16


def test_stable_baselines3_logs_all_its_types(tmp_path: Path) -> None:
    """Scalars, parameters, images, figures, videos and histograms."""
    sb3: Any = pytest.importorskip("stable_baselines3")
    from matplotlib.figure import Figure as Drawing
    from stable_baselines3.common import logger as theirs

    class Everything(sb3.common.callbacks.BaseCallback):  # type: ignore[misc]
        def _on_training_start(self) -> None:
            hidden = ("stdout", "log", "json", "csv")
            metrics = {"train/value_loss": 0.0}
            video = torch.zeros(1, 3, 3, 8, 8, dtype=torch.uint8)
            for name, value in {
                "parameters": theirs.HParam({"lr": 0.5, "name": "A2C"}, metrics),
                "figure": theirs.Figure(Drawing((1, 1)), close=True),
                "image": theirs.Image(torch.zeros(3, 8, 8), "CHW"),
                "video": theirs.Video(video, 4),
                "weights": np.arange(5.0),
            }.items():
                self.logger.record(name, value, exclude=hidden)

        def _on_step(self) -> bool:
            return True

    run = tmp_path / "run"
    output = theirs.TensorBoardOutputFormat(str(tmp_path / "theirs"))
    output.close()
    output.writer, output._is_closed = SummaryWriter(run), False
    model = sb3.A2C("MlpPolicy", "CartPole-v1", device="cpu")
    model.set_logger(theirs.Logger(str(tmp_path), [output]))
    model.learn(600, callback=Everything(), log_interval=50)
    model.logger.close()

    assert Run(run).params == {"lr": 0.5, "name": "A2C"}
    kinds = Run(run).tags()
    assert kinds["figure"] == kinds["image"] == kinds["video"] == "image"
    assert kinds["weights"] == "histogram"
    assert len(scalars(run, "train/value_loss")) == 2


def test_transformers_logs_through_its_callback(tmp_path: Path) -> None:
    """The callback takes a writer; every step of the training is there."""
    transformers: Any = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from transformers.integrations import TensorBoardCallback

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            return {"loss": ((self.layer(x) - labels) ** 2).mean()}

    samples = [{"x": torch.randn(2), "labels": torch.zeros(1)} for _ in range(16)]
    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"),
        num_train_epochs=2,
        per_device_train_batch_size=4,
        logging_steps=1,
        report_to="none",
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    callback = TensorBoardCallback(SummaryWriter(tmp_path / "run"))
    trainer = transformers.Trainer(
        Net(), arguments, train_dataset=samples, callbacks=[callback]
    )
    trainer.train()
    assert [s for s, _ in scalars(tmp_path / "run", "train/loss")] == [*range(1, 9)]


def test_tensors_of_torch_are_taken_by_all_methods(tmp_path: Path) -> None:
    """Also those with a gradient, and those of bfloat16, which NumPy does not have."""
    for number, dtype in enumerate((torch.float32, torch.bfloat16)):
        run = tmp_path / f"run{number}"
        values = torch.linspace(0, 1, 75, requires_grad=True).to(dtype)
        image = values.reshape(3, 5, 5)
        with SummaryWriter(run) as writer:
            writer.add_scalar("scalar", values.sum(), 1)
            writer.add_scalar("double", values.sum(), 1, double_precision=True)
            writer.add_scalars("scalars", {"a": values[1]}, 1)
            writer.add_hparams({"a": values[1]}, {"metric": values[2]})
            writer.add_histogram("histogram", values, 1)
            writer.add_image("image", image, 1)
            writer.add_images("images", [image, image], 1, dataformats="CHW")
            writer.add_video("video", image.reshape(1, 1, 3, 5, 5), 1)
            writer.add_audio("audio", values.reshape(1, 75), 1)
            writer.add_tensor("tensor", values, 1)
            writer.add_mesh("mesh", values.reshape(1, 25, 3), global_step=1)
            writer.add_pr_curve("curve", (values > 0.5).int(), values, 1)
            writer.add_embedding(image[0], global_step=1)
        wanted = {"scalar", "double", "histogram", "image", "images", "video", "audio"}
        wanted |= {"tensor", "mesh_1", "curve", "metric"}
        assert wanted <= {point.tag for point in load(run)}
        assert Run(run).audio("audio").sounds[0].shape == (75, 1)
