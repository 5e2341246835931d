"""What the training loop logs besides the results of tests: progress, loss, accuracy, gradient norm, speed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runners.training.evaluation import gradient_norm

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from runners.data.dataset import Dataset
    from runners.training.batches import Batch
    from runners.training.checkpointing.state import TrainConfig, TrainState
    from runners.training.run import TrainingRun

GRADIENT_NORM_INTERVAL = 10  # steps from one gradient norm to the next, at least
MAX_REPORTED_EPOCHS = 20  # of a run with very many epochs
MANY_EPOCHS = 100  # a run with more epochs does not report each of them


def log_start(data: Dataset, steps_per_epoch: int, config: TrainConfig, run: TrainingRun) -> None:
    """Log the progress so far, and at the very start some images."""
    run.log.progress(run.state.epoch - 1, config.epochs, run.state.step, config.epochs * steps_per_epoch)
    if data.test is not None and data.test.images is not None and run.state.step == 0:
        run.log.images("samples", data.test.images[: config.batch_size], 0)


def log_step(
    model: nn.Module, batch: Batch, loss: Tensor, logits: Tensor, config: TrainConfig, run: TrainingRun
) -> bool:
    """Log loss, accuracy and gradient norm if they are due; return whether the log stops the training."""
    step, log, distributed = run.state.step, run.log, run.distributed
    if step % config.log_every:
        _log_due_progress(run)
        return False
    mean_loss, must_stop = distributed.mean(loss, log.should_stop if config.may_stop else None)
    log.scalar("train/loss", mean_loss, step)
    if run.rank_logger is not None and batch.weight:
        run.rank_logger.scalar(f"rank{distributed.rank}/train/loss", loss / batch.weight, step)
    if config.log_accuracy:
        correct = distributed.sum((config.predict(logits) == batch.y).float().sum())
        log.scalar("train/accuracy", correct / batch.total_size, step)
    if step % (math.ceil(GRADIENT_NORM_INTERVAL / config.log_every) * config.log_every) == 0:
        log.scalar("gradient_norm", gradient_norm(model), step)
    _log_due_progress(run)
    return must_stop


def log_speed(
    optimizer: Optimizer, samples_per_second: float, steps_per_epoch: int, config: TrainConfig, run: TrainingRun
) -> None:
    """Log the learning rate and the speed, of all processes and of this one, if the epoch is reported."""
    step, distributed = run.state.step, run.distributed
    if not is_reported(steps_per_epoch, config, run.state):
        return
    lr = float(optimizer.param_groups[0]["lr"])
    run.log.scalars({"lr": lr, "samples_per_second": samples_per_second}, step)
    if run.rank_logger is not None:
        own_speed = samples_per_second / distributed.world_size
        run.rank_logger.scalar(f"rank{distributed.rank}/samples_per_second", own_speed, step)


def log_epoch(steps_per_epoch: int, config: TrainConfig, run: TrainingRun) -> None:
    """Log the progress if the epoch is reported, and early stopping if it ends the training.

    The loss of the step after the last update is known when the next batch is; so is the progress logged then, and a
    line of the console has the values of its own step.
    """
    state = run.state
    is_last = state.epoch == config.epochs or state.is_out_of_patience(config)
    if is_reported(steps_per_epoch, config, state):
        run.due_progress = (state.epoch, config.epochs, state.step, config.epochs * steps_per_epoch)
        if is_last:
            _log_due_progress(run)
    if state.is_out_of_patience(config):
        count, best = state.tests_without_improvement, state.best_val_loss
        text = f"no lower val/loss than {best:.6g} (step {state.best_step}) in {count} tests; stopped"
        if state.best_test:
            results = ", ".join(f"{tag} {value:.4f}" for tag, value in state.best_test.items())
            text += f"; at step {state.best_step}: {results}"
        run.log.text("early stopping", text, state.step)


def is_reported(steps_per_epoch: int, config: TrainConfig, state: TrainState) -> bool:
    """Tell whether the epoch's speed and progress are logged; of many epochs, only every few are."""
    has_many = steps_per_epoch == 1 or config.epochs > MANY_EPOCHS
    interval = max(1, config.epochs // MAX_REPORTED_EPOCHS) if has_many else 1
    if steps_per_epoch == 1:  # then an epoch is a step, and the reported ones are among those that are logged
        interval = math.ceil(interval / config.log_every) * config.log_every
    return state.epoch % interval == 0 or state.epoch == config.epochs


def _log_due_progress(run: TrainingRun) -> None:
    if run.due_progress is not None:
        run.log.progress(*run.due_progress)
        run.due_progress = None
