"""A training with Lightning, for the tests of its logger."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer


class Regression(LightningModule):  # type: ignore[misc]
    """A model that can be told to raise in its training."""

    def __init__(self, error: BaseException | None = None, lr: float = 0.1) -> None:  # noqa: ARG002 - a hyperparameter
        """Raise `error` in the third step, if there is one."""
        super().__init__()
        self.save_hyperparameters(ignore="error")
        self.error = error
        self.layer = torch.nn.Linear(4, 1)
        self.example_input_array = torch.zeros(1, 4)

    def forward(self, x: Any) -> Any:
        """Predict."""
        return self.layer(x)

    def _step(self, name: str, batch: Any) -> Any:
        x, y = batch
        loss = torch.nn.functional.mse_loss(self(x), y)
        self.log(name, loss)
        return loss

    def training_step(self, batch: Any, _index: int) -> Any:
        """Return the loss of a batch, or raise."""
        if self.error is not None and self.global_step == 2:
            raise self.error
        return self._step("train_loss", batch)

    def validation_step(self, batch: Any, _index: int) -> Any:
        """Log the loss of a batch."""
        self._step("val_loss", batch)

    def test_step(self, batch: Any, batch_idx: int) -> Any:  # noqa: ARG002 - Lightning's name
        """Log the loss of a batch."""
        self._step("test_loss", batch)

    def configure_optimizers(self) -> Any:
        """Return plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])


def loader() -> Any:
    """Return 64 samples in four batches."""
    x = torch.randn(64, 4)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16)


def trainer_of(logger: Any, **options: Any) -> Trainer:
    """Return a quiet trainer of two epochs on the CPU."""
    return Trainer(
        logger=logger,
        **{"max_epochs": 2, "log_every_n_steps": 1, "accelerator": "cpu", "enable_progress_bar": False}
        | {"enable_model_summary": False}
        | options,
    )
