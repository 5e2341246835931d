"""How to train, and where a training is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runners.training.distributed import DistributedContext

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TrainConfig:
    """How to train: sizes in samples, `log_every` and `test_every` in steps; None tests at the end of each epoch.

    `patience` is the number of tests without a lower `val/loss` after which the training stops; None goes on.
    `batch_size` is that of all processes together.
    """

    epochs: int
    batch_size: int
    device: torch.device
    seed: int = 0
    log_every: int = 1
    test_every: int | None = None
    patience: int | None = None
    log_accuracy: bool = False  # of the training batches
    log_gradients: bool = False  # as histograms
    may_stop: bool = False  # where an alert says so
    processes: DistributedContext = field(default_factory=DistributedContext)


@dataclass
class TrainState:
    """Where a training is: in `epoch`, which began at the step `first`, after `step` updates.

    `tested` is the step of the last test, `newest` what it and those before it found; `best` is the lowest `val/loss`,
    and `waited` the number of tests since.
    """

    epoch: int = 1
    first: int = 0
    step: int = 0
    tested: int = -1
    best: float = math.inf
    waited: int = 0
    newest: dict[str, float] = field(default_factory=dict)
