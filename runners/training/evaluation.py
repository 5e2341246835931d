"""Evaluate a model: loss and accuracy on a split, the confusion matrix, example predictions, the gradients' norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor import Logger
    from runners.data.dataset import Split
    from runners.training.distributed import DistributedContext
    from runners.training.losses import Loss

MAX_PREDICTION_IMAGES = 64
EVAL_BATCH_SIZE = 1000  # images


class Evaluation(NamedTuple):
    """The result on a split: `loss` and `accuracy` over all of it, and the predictions for this process's share."""

    loss: float
    accuracy: float
    share: Split
    predicted: Tensor  # one class for each sample of `share`


def predict(outputs: Tensor, threshold: float = 0.0, *, is_inclusive: bool = False) -> Tensor:
    """Return N predicted classes: of N×1 outputs 1 above the threshold, of N×K the index of the highest.

    0 is the threshold of logits, and so 0.5 that of their probabilities. `is_inclusive` calls the threshold itself 1.
    """
    if outputs.shape[1] > 1:
        return outputs.argmax(1)
    return (outputs[:, 0] >= threshold if is_inclusive else outputs[:, 0] > threshold).long()


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: Split,
    loss_fn: Loss,
    distributed: DistributedContext,
    predict: Callable[[Tensor], Tensor] = predict,
) -> Evaluation:
    """Evaluate `model` on all of `split`; each process takes a share, and every sample counts once.

    `loss_fn` is a mean over its samples; `predict` turns outputs into classes, by default as
    `predict` does. The model is in evaluation mode meanwhile. Waits for the other processes, and
    for a GPU.
    """
    count = len(split.y)
    if distributed.world_size > 1:
        split = split.select(torch.arange(count).tensor_split(distributed.world_size)[distributed.rank])
    batch_size = max(1, len(split.y)) if split.images is None else EVAL_BATCH_SIZE
    was_training = model.training
    model.eval()
    loss_sum = torch.zeros((), device=split.y.device)
    predictions = [split.y[:0]]
    for x, y in zip(torch.split(split.x, batch_size), torch.split(split.y, batch_size)):
        if len(y):
            logits = model(x)
            loss_sum += loss_fn(logits, y) * len(y)
            predictions.append(predict(logits))
    model.train(was_training)
    predicted = torch.cat(predictions)
    sums = distributed.sum(torch.stack([loss_sum, (predicted == split.y).sum()]))
    return Evaluation((sums[0] / count).item(), (sums[1] / count).item(), split, predicted)


def log_metrics(log: Logger, name: str, evaluation: Evaluation, step: int) -> dict[str, float]:
    """Log and return the loss and the accuracy of the split `name`, by tag; without classes there is no accuracy."""
    metrics = {f"{name}/loss": evaluation.loss}
    if not evaluation.share.y.is_floating_point():
        metrics[f"{name}/accuracy"] = evaluation.accuracy
    log.scalars(metrics, step)
    return metrics


def log_predictions(
    log: Logger, evaluation: Evaluation, classes: tuple[str, ...], step: int, distributed: DistributedContext
) -> None:
    """Log the confusion matrix of all samples, and the predictions of the first images. Waits for all processes."""
    _, true, images = evaluation.share
    predicted = evaluation.predicted
    pairs = torch.bincount(true * len(classes) + predicted, minlength=len(classes) ** 2)
    counts = distributed.sum(pairs).reshape(len(classes), len(classes))
    log.confusion_matrix("confusion", counts, step, classes)
    if images is not None and len(predicted):
        first = slice(0, min(len(predicted), MAX_PREDICTION_IMAGES))
        log.predictions("predictions", images[first], predicted[first], true[first], step, classes)


def gradient_norm(model: nn.Module) -> Tensor:
    """Return the Euclidean norm of all gradients together, a 0-d tensor."""
    norms = [weight.grad.norm() for weight in model.parameters() if weight.grad is not None]
    norm: Tensor = torch.stack(norms).norm()
    return norm
