"""The one training loop, read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from monitor import Logger
from runners.data import Data, Split

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    # Every optimizer of torch.optim whose plain step() trains dense layers; LBFGS wants a closure, SparseAdam sparse
    # gradients, Muon weights without biases.
    name.lower(): getattr(torch.optim, name)
    for name in (
        "SGD",
        "Adam",
        "AdamW",
        "Adamax",
        "Adagrad",
        "Adadelta",
        "ASGD",
        "RMSprop",
        "Rprop",
        "NAdam",
        "RAdam",
        "Adafactor",
    )
}

Loss = Callable[[Tensor, Tensor], Tensor]
SHOWN = 64  # samples of a test whose predictions are shown


def train(
    model: nn.Module,
    data: Data,
    optimizer: torch.optim.Optimizer,
    loss_of: Loss,
    log: Logger,
    *,
    epochs: int,
    batch_size: int,
    device: torch.device,
    generator: torch.Generator,
    log_every: int = 1,
    test_every: int | None = None,
) -> None:
    """Train `model` on `data`, and log as it goes.

    `loss_of(logits, classes)` is a mean over its samples. `train/loss` is logged every `log_every` steps; the test set
    is tried every `test_every` steps, or at the end of each epoch where that is None. `generator` shuffles.
    """
    model.to(device)
    train_set, test_set = data.train.to(device), data.test.to(device)
    per_epoch = math.ceil(len(train_set.y) / batch_size)
    step = 0
    log.progress(0, epochs, 0, epochs * per_epoch)
    log.images("samples", test_set.images[:batch_size], step)
    for epoch in range(1, epochs + 1):
        model.train()
        for x, y in batches(train_set, batch_size, generator):
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if step % log_every == 0:
                log.scalar("train/loss", loss, step)
            step += 1
            if test_every and step % test_every == 0:
                test(model, test_set, loss_of, log, step, batch_size, data.classes)
                model.train()
        if not test_every:
            test(model, test_set, loss_of, log, step, batch_size, data.classes)
        for name, weight in model.named_parameters():
            log.histogram(f"weights/{name}", weight, step)
        log.progress(epoch, epochs, step, epochs * per_epoch)
    if test_every and step % test_every:
        test(model, test_set, loss_of, log, step, batch_size, data.classes)


def batches(split: Split, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the samples once, shuffled, `size` at a time; the last batch may be smaller."""
    order = torch.randperm(len(split.y), generator=generator).to(split.y.device)
    for chosen in torch.split(order, size):
        yield split.x[chosen], split.y[chosen]


@torch.no_grad()
def test(
    model: nn.Module, split: Split, loss_of: Loss, log: Logger, step: int, batch_size: int, classes: tuple[str, ...]
) -> None:
    """Log `test/loss`, the mean per sample over the whole test set, `test/accuracy`, and some predictions."""
    model.eval()
    total = torch.zeros((), device=split.y.device)
    said = []
    for x, y in zip(torch.split(split.x, 1000), torch.split(split.y, 1000)):
        logits = model(x)
        total += loss_of(logits, y) * len(y)
        said.append(logits.argmax(1))
    predicted = torch.cat(said)
    accuracy = (predicted == split.y).float().mean()
    log.scalars({"test/loss": total / len(split.y), "test/accuracy": accuracy}, step)
    shown = slice(0, min(batch_size, SHOWN))
    log.predictions("predictions", split.images[shown], predicted[shown], split.y[shown], step, classes)
