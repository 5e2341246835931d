"""A trial of a population: it goes on from another's checkpoint with its own options, and waits between rounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from monitor.dashboards.session import echo
from monitor.errors import DataError
from monitor.integrations.common import add_config
from monitor.runs.run_file import read_run_file, timestamp
from monitor.runs.settings.convert import read_settings, to_settings
from monitor.runs.trials.population import EXPLOITS_FIELD, Gate, describe_exploit, wait_at_gate
from monitor.runs.trials.trial import current_population, current_trial
from monitor.steering.settings import Setting
from runners.training.checkpointing.checkpoints import CHECKPOINT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor import Logger
    from runners.launch.options import TrainOptions
    from runners.launch.resume_options import ResumePoint
    from runners.training.checkpointing.state import TrainState
    from runners.training.optimizers import Scheduler
    from runners.training.run import TrainingRun

SAVE_TRIES = 6  # each waits for ten seconds until what was logged is on disk
OPTIMIZER_OPTIONS = ("lr", "momentum", "weight_decay")
TEXT_TAG = "population"


def change_optimizer(
    point: ResumePoint, options: TrainOptions, optimizer: torch.optim.Optimizer, scheduler: Scheduler | None
) -> None:
    """Give an optimizer, which has the state of the checkpoint, the options of this trial.

    A learning rate with a schedule is scaled, and so is the rest of the schedule. Raises `DataError` if that cannot be.
    """
    for name in OPTIMIZER_OPTIONS:
        before, value = point.saved_options.get(name), getattr(options, name)
        if name not in point.free_options or before == value:
            continue
        is_scheduled = name == "lr" and scheduler is not None
        setting = Setting(name, scheduler if is_scheduled else optimizer)
        try:
            wanted = setting.value * value / before if is_scheduled else value
            setting.check(wanted)
        except (ValueError, ZeroDivisionError, TypeError) as error:
            raise DataError(f"{name} cannot change from {before} to {value} at step {point.step}: {error}") from error
        setting.change(wanted)
        if name == "momentum" and value and isinstance(optimizer, torch.optim.RMSprop):  # it makes them at its start
            for parameter, state in optimizer.state.items():
                state.setdefault("momentum_buffer", torch.zeros_like(parameter))


def note_exploit(log: Logger, point: ResumePoint, config: Mapping[str, Any], state: TrainState) -> None:
    """Record in a run of a population which trial's weights it goes on with, and which settings change, if they do.

    The metrics of a test of these weights, which the other trial made, are logged again.
    """
    if point.population is None:
        return
    fields, settings = read_run_file(log.run.path), to_settings(config)
    known, saved = read_settings(fields.get("config") or {}), point.config
    earlier = fields.get(EXPLOITS_FIELD) or []
    if point.donor is not None and earlier and earlier[-1].get("checkpoint") == point.checkpoint_name:
        known |= earlier[-1].get("before") or {}  # its process was killed before it had a checkpoint of its own
        earlier = earlier[:-1]
    names = [name for name, value in settings.items() if known.get(name) != value and name != "device"]
    if point.donor is None and not set(names) & set(point.free_options):
        return
    exploit = {
        "step": point.step,
        "trial": point.donor,
        "checkpoint": point.checkpoint_name,
        "before": {name: known.get(name) for name in names},
        "donor": {name: saved.get(name) for name in names},
        "values": {name: settings[name] for name in names},
        "time": timestamp(time.time()),
    }
    log.run.update(**{EXPLOITS_FIELD: [*earlier, exploit]})
    add_config(log, exploit["values"])
    line = describe_exploit(exploit)
    echo(f"Population: from step {point.step}, {line}")
    log.text(TEXT_TAG, line, point.step)
    if point.donor is not None and state.last_test_step == state.step:
        log.scalars({tag: value for tag, value in state.metrics.items() if not tag.startswith("train/")}, state.step)


def gate_between_rounds(run: TrainingRun) -> Callable[[], None] | None:
    """Return a function that blocks between rounds, to be called before each epoch; None outside a population."""
    trial, population = current_trial(), current_population()
    if trial is None or population is None:
        return None
    first, rounds = run.state.epoch, population.epochs

    def wait() -> None:
        epochs, step = run.state.epoch - 1, run.state.step
        if run.state.epoch > first and epochs % rounds == 0:
            _save(run, step)
            wait_at_gate(trial, Gate(epochs, step))

    return wait


def _save(run: TrainingRun, step: int) -> None:
    """Save the checkpoint that other trials may take, though sinks may just be opening on a busy machine."""
    for _ in range(SAVE_TRIES):
        run.save_checkpoint()
        if any((run.log.run.path / CHECKPOINT_FOLDER).glob(f"step-{step:012d}-*.pt")):
            return


def wait_for_delivery(run: TrainingRun) -> None:
    """Block until what a trial of a population has logged is on disk: its last part may be shorter than sinks need."""
    if run.gate is not None:
        run.log.checkpoint("", run.state.step, timeout=10.0 * SAVE_TRIES)
