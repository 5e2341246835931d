"""The training loop, top to bottom: data, model, update, log, test."""

from __future__ import annotations

import math
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from runners.training.batches import batches
from runners.training.evaluation import evaluate, log_metrics, log_predictions
from runners.training.reports import log_epoch, log_speed, log_start, log_step

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from runners.data.dataset import Dataset, Split
    from runners.training.batches import Batch
    from runners.training.checkpointing.state import TrainConfig
    from runners.training.losses import Loss
    from runners.training.optimizers import Scheduler
    from runners.training.run import TrainingRun

MIN_HISTOGRAM_VALUES = 8  # a parameter with fewer gets no histogram


def train(
    model: nn.Module,
    data: Dataset,
    loss_fn: Loss,
    optimizer: Optimizer,
    scheduler: Scheduler | None,
    config: TrainConfig,
    run: TrainingRun,
) -> dict[str, float]:
    """Train `model` on `data` from where `run.state` is; return the newest value of each metric of a test.

    `loss_fn(logits, classes)` is a mean over its samples. Step n is the state after n updates: `train/loss` at step n
    is the loss of the batch that update n + 1 is made with.
    """
    log, state, distributed = run.log, run.state, run.distributed
    train_split, held_out = data.train.to(config.device), data.held_out(config.device)
    steps_per_epoch = math.ceil(len(train_split.y) / config.batch_size)

    model.to(config.device)
    parallel_model = distributed.parallel(model)
    parallel_model.train()
    test = partial(test_model, model, held_out, data.classes, loss_fn, config, run)
    log.controls.add("test", partial(look, model, held_out, data.classes, loss_fn, config, run))
    log_start(data, steps_per_epoch, config, run)

    while state.epoch <= config.epochs and not state.is_out_of_patience(config):
        run.wait_at_gate()
        epoch_start_s, epoch_first_step = perf_counter() - log.controls.paused_s, state.step
        steps_done = state.step - state.epoch_start_step  # more than 0 after a resume within an epoch
        for batch in batches(train_split, config, distributed, state.epoch, skip=steps_done):
            if run.steer():
                return state.metrics
            loss, logits = update(parallel_model, batch, loss_fn, optimizer)
            must_stop = log_step(model, batch, loss, logits, config, run)
            state.step += 1
            if config.test_every and state.step % config.test_every == 0:
                test()
                if state.is_out_of_patience(config):
                    break
            if must_stop:
                return state.metrics
            run.save_checkpoint_if_due(end_of_epoch=False)

        epoch_fraction = (state.step - epoch_first_step) / steps_per_epoch
        epoch_s = perf_counter() - log.controls.paused_s - epoch_start_s
        samples_per_second = epoch_fraction * len(train_split.y) / epoch_s
        log_speed(optimizer, samples_per_second, steps_per_epoch, config, run)
        if scheduler is not None:
            scheduler.step()
        if not config.test_every:
            test()
        log_last_cost(model, train_split, loss_fn, config, run)
        log_epoch(steps_per_epoch, config, run)
        state.epoch, state.epoch_start_step = state.epoch + 1, state.step
        run.save_checkpoint_if_due(end_of_epoch=True)

    if state.last_test_step != state.step:
        test()
    return state.metrics


def update(model: nn.Module, batch: Batch, loss_fn: Loss, optimizer: Optimizer) -> tuple[Tensor, Tensor]:
    """Make one update; return the loss before it, times the batch's weight, and the logits."""
    outputs: list[Tensor] = []

    def closure() -> Tensor:  # LBFGS calls it many times, the other optimizers once
        optimizer.zero_grad()
        outputs[:] = [model(batch.x)]
        loss = loss_fn(outputs[0], batch.y) if batch.weight else outputs[0].sum()  # of an empty share
        loss = loss if batch.weight == 1 else loss * batch.weight
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    loss: Tensor = optimizer.step(closure)  # type: ignore[arg-type, assignment]
    return loss, outputs[0]


def log_last_cost(model: nn.Module, train: Split, loss_fn: Loss, config: TrainConfig, run: TrainingRun) -> None:
    """Log the cost after the last update of a training with full batches."""
    state = run.state
    if state.epoch == config.epochs and config.batch_size >= len(train.y):
        evaluation = evaluate(model, train, loss_fn, run.distributed, config.predict)
        state.metrics |= log_metrics(run.log, "train", evaluation, state.step)


def look(
    model: nn.Module,
    held_out: dict[str, Split],
    classes: tuple[str, ...],
    loss_fn: Loss,
    config: TrainConfig,
    run: TrainingRun,
    _step: int,
) -> None:
    """Test because a dashboard asks for it, unless this step was tested already. Early stopping does not count it."""
    state = run.state
    if state.last_test_step == state.step:
        return
    before = state.best_val_loss, state.best_step, state.best_test, state.tests_without_improvement
    test_model(model, held_out, classes, loss_fn, config, run)
    state.best_val_loss, state.best_step, state.best_test, state.tests_without_improvement = before


def test_model(
    model: nn.Module,
    held_out: dict[str, Split],
    classes: tuple[str, ...],
    loss_fn: Loss,
    config: TrainConfig,
    run: TrainingRun,
) -> None:
    """Evaluate on the validation and the test set, as far as there are any; log the results and the weights."""
    log, state = run.log, run.state
    state.last_test_step = state.step
    for name, split in held_out.items():
        evaluation = evaluate(model, split, loss_fn, run.distributed, config.predict)
        state.metrics |= log_metrics(log, name, evaluation, state.step)
        if name == "test":
            log_predictions(log, evaluation, classes, state.step, run.distributed)
    for name, weight in model.named_parameters():
        if weight.numel() >= MIN_HISTOGRAM_VALUES:
            log.histogram(f"weights/{name}", weight, state.step)
            if config.log_gradients and weight.grad is not None:
                log.histogram(f"gradients/{name}", weight.grad, state.step)
    if run.on_test is not None:
        run.on_test(state.step)
    if "val/loss" in state.metrics:
        state.update_best(state.metrics["val/loss"])
