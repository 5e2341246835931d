"""What is measured of a model: loss and accuracy of a part of the data, predictions, the norm of the gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from monitor import Logger
    from runners.data.dataset import Split
    from runners.training.distributed import DistributedContext
    from runners.training.losses import Loss

MAX_SHOWN = 64  # samples of a test whose predictions are shown
EVAL_BATCH_SIZE = 1000  # images that are tried at once


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: Split,
    loss_of: Loss,
    log: Logger,
    step: int,
    part: str,
    classes: tuple[str, ...],
    processes: DistributedContext,
) -> dict[str, float]:
    """Log `part`'s loss, the mean per sample over all of it, and its accuracy; of a test, also what was predicted.

    Each process tries a share of its own; every sample counts once.
    """
    model.eval()
    count = len(split.y)
    if processes.world_size > 1:
        split = split.select(torch.arange(count).tensor_split(processes.world_size)[processes.rank])
    total = torch.zeros((), device=split.y.device)
    said = [split.y[:0]]
    size = max(1, len(split.y)) if split.images is None else EVAL_BATCH_SIZE
    for x, y in zip(torch.split(split.x, size), torch.split(split.y, size)):
        if len(y):
            logits = model(x)
            total += loss_of(logits, y) * len(y)
            said.append(predict(logits))
    predicted = torch.cat(said)
    sums = processes.sum(torch.stack([total, (predicted == split.y).sum()]))
    found = {f"{part}/loss": (sums[0] / count).item(), f"{part}/accuracy": (sums[1] / count).item()}
    log.scalars(found, step)
    if part == "test":
        pairs = split.y * len(classes) + predicted
        counts = processes.sum(torch.bincount(pairs, minlength=len(classes) ** 2))
        log.confusion_matrix("confusion", counts.reshape(len(classes), len(classes)), step, classes)
        if split.images is not None and len(predicted):
            shown = slice(0, min(len(predicted), MAX_SHOWN))
            log.predictions("predictions", split.images[shown], predicted[shown], split.y[shown], step, classes)
    return found


def predict(logits: Tensor) -> Tensor:
    """Return N classes: of N×1 logits whether they are positive, of N×K the place of the highest."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)


def gradient_norm(model: nn.Module) -> Tensor:
    """Return the Euclidean norm of all gradients together."""
    norms = [weight.grad.norm() for weight in model.parameters() if weight.grad is not None]
    total: Tensor = torch.stack(norms).norm()
    return total
