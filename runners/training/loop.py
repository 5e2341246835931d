"""The one training loop, read from top to bottom."""

from __future__ import annotations

import math
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from runners.training.evaluation import evaluate, gradient_norm, predict
from runners.training.state import TrainState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor import Logger
    from runners.data.dataset import Dataset, Split
    from runners.training.losses import Loss
    from runners.training.optimizers import Scheduler
    from runners.training.state import TrainConfig

GRADIENT_NORM_EVERY = 20  # logged steps from one gradient norm to the next
MIN_HISTOGRAM_VALUES = 8  # values that make no histogram
MAX_PROGRESS_LINES = 20  # of progress, in a run of very many epochs


def train(
    model: nn.Module,
    data: Dataset,
    optimizer: torch.optim.Optimizer,
    loss_of: Loss,
    log: Logger,
    plan: TrainConfig,
    scheduler: Scheduler | None = None,
    show: Callable[[int], None] | None = None,
    *,
    at: TrainState | None = None,
    save: Callable[[TrainState, bool], None] | None = None,
    own: Logger | None = None,
) -> dict[str, float]:
    """Train `model` on `data`, and log as it goes; return the newest value of each scalar of a test.

    `loss_of(logits, classes)` is a mean over its samples. Step n is the state after n updates: `train/loss` at step n
    is that of the batch with which update n + 1 is made. `show` is called with the step at each test. The training
    goes on from `at`, where it is given; `save` is called with the place after each step and, with True, each epoch.
    `own` takes what is this process's alone.
    """
    at = at or TrainState()
    processes = plan.processes
    model.to(plan.device)
    shared = processes.parallel(model)
    train_set, held_out = data.train.to(plan.device), data.held_out(plan.device)
    per_epoch = math.ceil(len(train_set.y) / plan.batch_size)
    steps = plan.epochs * per_epoch
    pause = max(1, plan.epochs // MAX_PROGRESS_LINES) if per_epoch == 1 or plan.epochs > 100 else 1
    outputs = torch.empty(0)
    share = 1.0  # of the batch; 1 for the mean over all processes' samples
    log.progress(at.epoch - 1, plan.epochs, at.step, steps)
    if data.test is not None and data.test.images is not None and at.step == 0:
        log.images("samples", data.test.images[: plan.batch_size], 0)

    def closure() -> Tensor:
        nonlocal outputs
        optimizer.zero_grad()
        outputs = shared(batch[0])
        loss = loss_of(outputs, batch[1]) if share else outputs.sum()  # a share may be empty
        loss = loss if share == 1 else loss * share
        loss.backward()
        return loss

    def test() -> None:
        at.tested = at.step
        for part, split in held_out.items():
            at.newest |= evaluate(model, split, loss_of, log, at.step, part, data.classes, processes)
        for name, weight in model.named_parameters():
            if weight.numel() < MIN_HISTOGRAM_VALUES:
                continue
            log.histogram(f"weights/{name}", weight, at.step)
            if plan.log_gradients and weight.grad is not None:
                log.histogram(f"gradients/{name}", weight.grad, at.step)
        if show is not None:
            show(at.step)
        if "val/loss" in at.newest:
            better = at.newest["val/loss"] < at.best
            at.best, at.waited = min(at.best, at.newest["val/loss"]), 0 if better else at.waited + 1

    def enough() -> bool:
        return plan.patience is not None and at.waited >= plan.patience

    while at.epoch <= plan.epochs and not enough():
        began, started, stop = perf_counter(), at.step, False
        shared.train()
        for batch, whole in batches(train_set, plan, at.epoch, at.step - at.first):
            share = 1.0 if processes.world_size == 1 else len(batch[1]) * processes.world_size / whole
            loss: Tensor = optimizer.step(closure)  # type: ignore[arg-type, assignment]  # LBFGS calls it repeatedly
            if at.step % plan.log_every == 0:
                mean, stop = processes.mean(loss, log.should_stop if plan.may_stop else None)
                log.scalar("train/loss", mean, at.step)
                if own is not None and share:
                    own.scalar(f"rank{processes.rank}/train/loss", loss / share, at.step)
                if plan.log_accuracy:
                    right = processes.sum((predict(outputs) == batch[1]).float().sum())
                    log.scalar("train/accuracy", right / whole, at.step)
                if at.step // plan.log_every % GRADIENT_NORM_EVERY == 0:
                    log.scalar("gradient_norm", gradient_norm(model), at.step)
            at.step += 1
            if plan.test_every and at.step % plan.test_every == 0:
                test()
                shared.train()
                if enough():
                    break
            if stop:
                return at.newest
            if save is not None:
                save(at, False)
        if at.epoch % pause == 0 or at.epoch == plan.epochs:
            speed = (at.step - started) / per_epoch * len(train_set.y) / (perf_counter() - began)
            log.scalars({"lr": float(optimizer.param_groups[0]["lr"]), "samples_per_second": speed}, at.step)
            if own is not None:
                own.scalar(f"rank{processes.rank}/samples_per_second", speed / processes.world_size, at.step)
        if scheduler is not None:
            scheduler.step()
        if not plan.test_every:
            test()
        if per_epoch == 1 and at.epoch == plan.epochs:  # full batch: the cost that the last update led to
            at.newest |= evaluate(model, train_set, loss_of, log, at.step, "train", (), processes)
        if at.epoch % pause == 0 or at.epoch == plan.epochs:
            log.progress(at.epoch, plan.epochs, at.step, steps)
        if enough():
            log.text("early stopping", f"no lower val/loss than {at.best:.6g} in {at.waited} tests; stopped", at.step)
        at.epoch, at.first = at.epoch + 1, at.step
        if save is not None:
            save(at, True)
    if at.tested != at.step:
        test()
    return at.newest


def batches(split: Split, plan: TrainConfig, epoch: int, skipped: int) -> Iterator[tuple[tuple[Tensor, Tensor], int]]:
    """Yield this process's part of each batch of an epoch but the first `skipped`, and the size of the whole batch.

    The samples come once, shuffled by seed and epoch; the last batch may be smaller. A batch of all is not shuffled.
    """
    count, processes = len(split.y), plan.processes
    if plan.batch_size >= count:
        if not skipped:
            yield (
                (split.x[processes.rank :: processes.world_size], split.y[processes.rank :: processes.world_size]),
                count,
            )
        return
    order = processes.epoch_indices(count, plan.seed, epoch).to(split.y.device)
    parts = list(torch.split(order, processes.local_batch_size(plan.batch_size)))
    parts += [order[:0]] * (math.ceil(count / plan.batch_size) - len(parts))
    for number, chosen in enumerate(parts):
        if number >= skipped:
            whole = min(plan.batch_size, count - number * plan.batch_size)
            yield (split.x.index_select(0, chosen), split.y.index_select(0, chosen)), whole
