"""Checkpoints of a training, from which it can resume as if it had never stopped.

A checkpoint is one file in `RUN/checkpoints`, with the step and its own checksum in its name. It gets that name only
once all that was logged before it is on disk. So whenever the process is killed, the newest checkpoint and the event
files agree.
"""

from __future__ import annotations

import copy
import io
import logging
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from monitor.errors import DataError
from monitor.remote.urls import display_path
from monitor.runs.jsonable import to_jsonable
from runners.choices import RENAMED_LOSSES
from runners.training.checkpointing.checkpoint_file import CHECKPOINT_FORMAT, digest, read_checkpoint
from runners.training.checkpointing.random_state import random_state, set_random_state
from runners.training.checkpointing.state import TrainState
from runners.training.distributed import DistributedContext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor import Logger
    from runners.data.dataset import Dataset
    from runners.training.optimizers import Scheduler

log = logging.getLogger("monitor")

CHECKPOINT_FOLDER = "checkpoints"
MAX_CHECKPOINTS = 2  # older ones are removed
STATE_KEYS = {  # the keys of a `TrainState` in the file
    "epoch": "epoch",
    "epoch_start_step": "first",
    "step": "step",
    "last_test_step": "tested",
    "best_val_loss": "best",
    "tests_without_improvement": "waited",
    "metrics": "newest",
    "best_step": "best_step",
    "best_test": "best_test",
}


@dataclass(kw_only=True)
class Checkpoints:
    """Saves a training every so many steps, or at the end of each epoch with `every="epoch"`; None saves on demand.

    `metadata` is what the file holds besides: the run's config and options, and the data's fingerprint. `rank_logger`
    is this process's own log, if there is one.
    """

    every: str | int | None
    metadata: Mapping[str, Any]
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Scheduler | None
    logger: Logger
    rank_logger: Logger | None = None
    distributed: DistributedContext = field(default_factory=DistributedContext)

    def save_if_due(self, state: TrainState, *, end_of_epoch: bool) -> None:
        """Save a checkpoint if one is due; call it after each step and each epoch."""
        if self.every is None or end_of_epoch != (self.every == "epoch"):
            return
        if end_of_epoch or state.step % int(self.every) == 0:
            self.save(state)

    def save(self, state: TrainState) -> None:
        """Save a checkpoint; block until it, and what was logged before, is on disk. Errors are logged, not raised."""
        random_states = self.distributed.gather(random_state())
        is_main = self.distributed.rank == 0
        name, temporary = self._write(state, random_states) if is_main else ("", None)
        if self.rank_logger is not None:  # what the other processes logged has to be on disk too
            name = self.distributed.broadcast(name)
            are_logs_on_disk = self.distributed.gather(bool(name) and self.rank_logger.checkpoint(name, state.step))
        else:
            are_logs_on_disk = [temporary is not None and self.logger.checkpoint(name, state.step)]
        if temporary is None:
            return
        try:
            if not all(are_logs_on_disk):
                raise OSError("what was logged before it is not on disk yet")
            path = temporary.replace(temporary.with_name(name))
            for other in set(path.parent.glob(f"step-{state.step:012d}-*.pt")) - {path}:
                other.unlink()  # of the same step, before a dashboard changed something
            _remove_old(temporary.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            _warn(state, error)

    def _write(self, state: TrainState, random_states: list[Any]) -> tuple[str, Path | None]:
        """Write a checkpoint under a temporary name; return its final name and its path, None if that failed."""
        buffer = io.BytesIO()
        contents = {
            **self.metadata,
            "format": CHECKPOINT_FORMAT,
            "at": {key: getattr(state, attribute) for attribute, key in STATE_KEYS.items()},
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "random": random_states,
        }
        if self.logger.controls.made:  # from a dashboard
            contents["changes"] = self.logger.controls.made
        torch.save(contents, buffer)
        data = buffer.getbuffer()
        name = f"step-{state.step:012d}-{digest(data)}.pt"
        path = self.logger.run.path / CHECKPOINT_FOLDER / f".{name}.part"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            _warn(state, error)
            return "", None
        return name, path


def _remove_old(folder: Path) -> None:
    """Remove all checkpoints but the newest, and the temporary files of killed processes."""
    for path in (*list_checkpoints(folder)[:-MAX_CHECKPOINTS], *folder.glob(".step-*.part")):
        path.unlink()


def _warn(state: TrainState, error: OSError) -> None:
    log.warning("checkpoint at step %d is not saved: %s; training goes on", state.step, error)


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the newest last."""
    return sorted(folder.glob("step-*.pt"))


def load(run: Path) -> tuple[str, dict[str, Any]]:
    """Return the name and the contents of a run's newest checkpoint.

    It is read as tensors and plain values; no code in it runs. Raises `DataError` where there is none, or the newest is
    damaged.
    """
    folder = run / CHECKPOINT_FOLDER
    if folder.is_symlink():  # older checkpoints are removed from it
        raise DataError(f"{str(folder)!r} is a symbolic link; a run is resumed from its own checkpoints only")
    files = list_checkpoints(folder)
    if not files:
        raise DataError(f"{display_path(run)!r} has no checkpoint; runs save them with --checkpoint-every epoch")
    file = files[-1]
    remedy = f"; remove it to resume from {files[-2].name}" if len(files) > 1 else ""
    try:
        contents = read_checkpoint(file)
    except Exception as error:  # whatever unpickling bytes of unknown origin raises
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the checkpoint {str(file)!r} is damaged: {reason}{remedy}") from error
    for part in (contents["config"], contents["options"]):
        if isinstance(part.get("loss"), str):
            part["loss"] = RENAMED_LOSSES.get(part["loss"], part["loss"])
    return file.name, contents


def restore(
    contents: Mapping[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler | None,
    rank: int,
) -> TrainState:
    """Load a checkpoint's contents into the training's parts and the random generators; return the state.

    Raises `DataError` if they do not fit. The parts may have changed by then.
    """
    try:
        _check_like(contents["optimizer"].get("param_groups"), optimizer.state_dict()["param_groups"], "optimizer")
        model.load_state_dict(contents["model"])
        optimizer.load_state_dict(contents["optimizer"])
        _try_step(model, optimizer)
        if scheduler is not None:
            _check_like(contents["scheduler"], scheduler.state_dict(), "scheduler")
            scheduler.load_state_dict(contents["scheduler"])
        restore_random_state(contents, rank)
    except Exception as error:  # whatever loading contents of unknown origin raises
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the checkpoint does not fit its own config: {reason}") from error
    saved = contents["at"]  # checkpoints of older releases lack the best step
    return TrainState(**{attribute: saved[key] for attribute, key in STATE_KEYS.items() if key in saved})


def restore_random_state(contents: Mapping[str, Any], rank: int) -> None:
    """Set the random generators to the state in a checkpoint, where it has one of this process."""
    if rank < len(contents["random"]):
        set_random_state(contents["random"][rank])


def _check_like(saved: Any, fresh: Any, name: str) -> None:
    """Raise `ValueError` if a saved state has other keys, lengths, or types than a fresh one."""
    is_number = isinstance(fresh, int | float) and not isinstance(fresh, bool)
    if is_number and isinstance(saved, int | float) and not isinstance(saved, bool):
        return
    if isinstance(fresh, dict) and isinstance(saved, dict) and saved.keys() <= fresh.keys():
        for key, value in saved.items():
            _check_like(value, fresh[key], f"{name} {key}")
        return
    if isinstance(fresh, list | tuple) and isinstance(saved, list | tuple) and len(saved) == len(fresh):
        for index, value in enumerate(saved):
            _check_like(value, fresh[index], name)
        return
    if type(saved) is not type(fresh) or isinstance(fresh, dict | list | tuple):
        raise ValueError(f"the {name} is not what it should be")


def _try_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Make an update of copies, with gradients of zero, to see that the optimizer's state fits the model."""
    model_copy, optimizer_copy = copy.deepcopy((model, optimizer))
    for parameter in model_copy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer_copy.step(lambda: 0.0)


def fingerprint(data: Dataset) -> list[Any]:
    """Return what tells two data sets of one name apart: name, number of classes, and each split's shape and CRC-32."""
    parts: list[Any] = [data.name, len(data.classes)]
    for split in (data.train, data.val, data.test):
        if split is None:
            parts.append(None)
            continue
        checksum = 0
        for tensor in (split.x, split.y):
            array: Any = tensor.contiguous().numpy()
            checksum = zlib.crc32(array, checksum)
        parts.append([*split.x.shape, checksum])
    return parts


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the settings that differ, with both values."""
    before, now = to_jsonable(before), to_jsonable(now)
    keys = dict.fromkeys([*before, *now])
    return ", ".join(f"{k} was {before.get(k)!r}, now {now.get(k)!r}" for k in keys if before.get(k) != now.get(k))
