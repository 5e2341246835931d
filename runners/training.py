"""The one training loop, read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn

from monitor import Logger
from runners.data import Data, Split
from runners.losses import Loss
from runners.optimizers import Scheduler

SHOWN = 64  # samples of a test whose predictions are shown
TOGETHER = 1000  # images that are tried at once
OFTEN = 20  # logged steps from one gradient norm to the next
FEW = 8  # values that make no histogram
LINES = 20  # of progress, in a run of very many epochs


@dataclass(frozen=True)
class Plan:
    """How to train: sizes in samples, `log_every` and `test_every` in steps; None tests at the end of each epoch.

    `patience` is the number of tests without a lower `val/loss` after which the training stops; None goes on.
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


def train(
    model: nn.Module,
    data: Data,
    optimizer: torch.optim.Optimizer,
    loss_of: Loss,
    log: Logger,
    plan: Plan,
    scheduler: Scheduler | None = None,
    show: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Train `model` on `data`, and log as it goes; return the newest value of each scalar of a test.

    `loss_of(logits, classes)` is a mean over its samples. Step n is the state after n updates: `train/loss` at step n
    is that of the batch with which update n + 1 is made. `show` is called with the step at each test.
    """
    model.to(plan.device)
    train_set, held_out = data.train.to(plan.device), data.held_out(plan.device)
    generator = torch.Generator().manual_seed(plan.seed)
    per_epoch = math.ceil(len(train_set.y) / plan.batch_size)
    steps = plan.epochs * per_epoch
    pause = max(1, plan.epochs // LINES) if per_epoch == 1 or plan.epochs > 100 else 1
    newest: dict[str, float] = {}
    best, waited = math.inf, 0
    step, tested = 0, -1
    outputs = torch.empty(0)
    log.progress(0, plan.epochs, 0, steps)
    if data.test is not None and data.test.images is not None:
        log.images("samples", data.test.images[: plan.batch_size], step)

    def closure() -> Tensor:
        nonlocal outputs
        optimizer.zero_grad()
        outputs = model(batch[0])
        loss = loss_of(outputs, batch[1])
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def test() -> None:
        nonlocal best, waited, tested
        tested = step
        for part, split in held_out.items():
            newest.update(evaluate(model, split, loss_of, log, step, part, data.classes))
        for name, weight in model.named_parameters():
            if weight.numel() < FEW:
                continue
            log.histogram(f"weights/{name}", weight, step)
            if plan.log_gradients and weight.grad is not None:
                log.histogram(f"gradients/{name}", weight.grad, step)
        if show is not None:
            show(step)
        if "val/loss" in newest:
            better = newest["val/loss"] < best
            best, waited = min(best, newest["val/loss"]), 0 if better else waited + 1

    def enough() -> bool:
        return plan.patience is not None and waited >= plan.patience

    for epoch in range(1, plan.epochs + 1):
        began, first = perf_counter(), step
        model.train()
        for batch in batches(train_set, plan.batch_size, generator):
            loss = optimizer.step(closure)  # type: ignore[arg-type]  # LBFGS evaluates it more than once
            if step % plan.log_every == 0:
                log.scalar("train/loss", loss, step)
                if plan.log_accuracy:
                    log.scalar("train/accuracy", (predict(outputs) == batch[1]).float().mean(), step)
                if step // plan.log_every % OFTEN == 0:
                    log.scalar("gradient_norm", gradient_norm(model), step)
            step += 1
            if plan.test_every and step % plan.test_every == 0:
                test()
                model.train()
                if enough():
                    break
            if log.should_stop:
                return newest
        if epoch % pause == 0 or epoch == plan.epochs:
            speed = (step - first) / per_epoch * len(train_set.y) / (perf_counter() - began)
            log.scalars({"lr": float(optimizer.param_groups[0]["lr"]), "samples_per_second": speed}, step)
        if scheduler is not None:
            scheduler.step()
        if not plan.test_every:
            test()
        if per_epoch == 1 and epoch == plan.epochs:  # full batch: the cost that the last update led to
            newest.update(evaluate(model, train_set, loss_of, log, step, "train", ()))
        if epoch % pause == 0 or epoch == plan.epochs:
            log.progress(epoch, plan.epochs, step, steps)
        if enough():
            log.text("early stopping", f"no lower val/loss than {best:.6g} in {waited} tests; stopped", step)
            break
    if tested != step:
        test()
    return newest


def batches(split: Split, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the samples once, shuffled, `size` at a time; the last batch may be smaller."""
    if size >= len(split.y):
        yield split.x, split.y
        return
    order = torch.randperm(len(split.y), generator=generator).to(split.y.device)
    for chosen in torch.split(order, size):
        yield split.x.index_select(0, chosen), split.y.index_select(0, chosen)


@torch.no_grad()
def evaluate(
    model: nn.Module, split: Split, loss_of: Loss, log: Logger, step: int, part: str, classes: tuple[str, ...]
) -> dict[str, float]:
    """Log `part`'s loss, the mean per sample over all of it, and its accuracy; of a test, also what was predicted."""
    model.eval()
    total = torch.zeros((), device=split.y.device)
    said = []
    size = len(split.y) if split.images is None else TOGETHER
    for x, y in zip(torch.split(split.x, size), torch.split(split.y, size)):
        logits = model(x)
        total += loss_of(logits, y) * len(y)
        said.append(predict(logits))
    predicted = torch.cat(said)
    accuracy = (predicted == split.y).float().mean()
    found = {f"{part}/loss": (total / len(split.y)).item(), f"{part}/accuracy": accuracy.item()}
    log.scalars(found, step)
    if part == "test":
        pairs = split.y * len(classes) + predicted
        counts = torch.bincount(pairs, minlength=len(classes) ** 2).reshape(len(classes), len(classes))
        log.confusion_matrix("confusion", counts, step, classes)
        if split.images is not None:
            shown = slice(0, min(len(predicted), SHOWN))
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
