"""How to train, and how far a training has come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runners.training.evaluation import predict

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train: `log_every` and `test_every` in steps; without `test_every`, test at the end of each epoch."""

    epochs: int
    batch_size: int  # samples, of all processes together
    device: torch.device
    seed: int = 0
    log_every: int = 1
    test_every: int | None = None
    patience: int | None = None  # stop after so many tests without a lower val/loss
    log_accuracy: bool = False  # of the training batches
    log_gradients: bool = False  # as histograms
    may_stop: bool = False  # whether the loop asks the log if it should
    predict: Callable[[Tensor], Tensor] = predict  # from outputs to classes


@dataclass
class TrainState:
    """How far a training has come: all of the loop's own state, as a checkpoint keeps it."""

    epoch: int = 1  # the current one, from 1
    epoch_start_step: int = 0
    step: int = 0  # updates made
    last_test_step: int = -1
    best_val_loss: float = math.inf
    best_step: int = 0  # of the lowest val/loss
    best_test: dict[str, float] = field(default_factory=dict)  # the test's metrics at that step
    tests_without_improvement: int = 0
    metrics: dict[str, float] = field(default_factory=dict)  # the newest value of each, by tag

    def update_best(self, val_loss: float) -> None:
        """Take in a new validation loss, of the current step; `metrics` has the test's of the same."""
        improved = val_loss < self.best_val_loss
        if improved:
            self.best_step = self.step
            self.best_test = {tag: value for tag, value in self.metrics.items() if tag.startswith("test/")}
        self.best_val_loss = min(self.best_val_loss, val_loss)
        self.tests_without_improvement = 0 if improved else self.tests_without_improvement + 1

    def is_out_of_patience(self, config: TrainConfig) -> bool:
        """Tell whether early stopping is due."""
        return config.patience is not None and self.tests_without_improvement >= config.patience
