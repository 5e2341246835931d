"""Checkpoints of a training, and going on from one as if nothing had happened.

A checkpoint is one file in `RUN/checkpoints`, with the step and its own checksum in its name. It counts once it has
that name, which it gets after what was logged before it is on disk; so killed at whatever moment, the newest one and
the event files agree.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from monitor.errors import DataError
from monitor.runs.run import to_jsonable
from runners.training.random_state import random_state, set_random_state
from runners.training.state import TrainState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor import Logger
    from runners.data.dataset import Dataset
    from runners.training.distributed import DistributedContext
    from runners.training.optimizers import Scheduler

log = logging.getLogger("monitor")

CHECKPOINT_FOLDER = "checkpoints"
CHECKPOINT_FORMAT = 1
MAX_KEPT = 2  # the newest
DIGEST_CHARS = 16  # characters of the checksum in a name
REQUIRED_KEYS = ("format", "config", "options", "data", "at", "model", "optimizer", "scheduler", "random")


class Checkpoints:
    """Save a training `every` so many steps, or each epoch with `"epoch"`; call it after each step and epoch."""

    def __init__(
        self,
        logger: Logger,
        every: str | int,
        processes: DistributedContext,
        facts: Mapping[str, Any],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Scheduler | None,
        own: Logger | None = None,
    ) -> None:
        """Save what `model`, `optimizer` and `scheduler` are at the time, with `facts`; `own` is this process's log."""
        self._own = own
        self._log, self._every, self._processes, self._facts = logger, every, processes, facts
        self._model, self._optimizer, self._scheduler = model, optimizer, scheduler

    def __call__(self, at: TrainState, epoch_done: bool) -> None:
        if epoch_done if self._every == "epoch" else not epoch_done and at.step % int(self._every) == 0:
            self.save(at)

    def save(self, at: TrainState) -> None:
        """Write a checkpoint; blocks until it, and what was logged before, is on disk. Trouble is told, not raised."""
        states = self._processes.gather(random_state())
        name, part = self._write(at, states) if self._processes.rank == 0 else ("", None)
        if self._own is not None:  # the other processes' own logs are to be on disk too
            name = self._processes.broadcast(name)
            marked = self._processes.gather(bool(name) and self._own.checkpoint(name, at.step))
        else:
            marked = [part is not None and self._log.checkpoint(name, at.step)]
        if part is None:
            return
        try:
            if not all(marked):
                raise OSError("what was logged before it is not on disk yet")
            part.replace(part.with_name(name))
            for old in (
                *list_checkpoints(part.parent)[:-MAX_KEPT],
                *part.parent.glob(".step-*.part"),
            ):  # of a killed process too
                old.unlink()
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            _tell(at, error)

    def _write(self, at: TrainState, states: list[Any]) -> tuple[str, Path | None]:
        """Write a checkpoint that does not count yet; return its name to be and its file, none where it failed."""
        state = {
            **self._facts,
            "format": CHECKPOINT_FORMAT,
            "at": {**vars(at), "newest": dict(at.newest)},
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": None if self._scheduler is None else self._scheduler.state_dict(),
            "random": states,
        }
        held = io.BytesIO()
        torch.save(state, held)
        data = held.getbuffer()
        name = f"step-{at.step:012d}-{hashlib.sha256(data).hexdigest()[:DIGEST_CHARS]}.pt"
        part = self._log.run.path / CHECKPOINT_FOLDER / f".{name}.part"
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            _tell(at, error)
            return "", None
        return name, part


def _tell(at: TrainState, error: OSError) -> None:
    log.warning("checkpoint at step %d is not saved: %s; training goes on", at.step, error)


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the newest last."""
    return sorted(folder.glob("step-*.pt"))


def load(run: Path) -> tuple[str, dict[str, Any]]:
    """Return the newest checkpoint of a run, its name and what it holds.

    Nothing but tensors and plain values is read out of it, no code. Raises `DataError` where there is none, or the
    newest is damaged.
    """
    files = list_checkpoints(run / CHECKPOINT_FOLDER)
    if not files:
        raise DataError(f"{str(run)!r} has no checkpoint; runs save them with --checkpoint-every epoch")
    file = files[-1]
    before = f"; remove it to go on from {files[-2].name}" if len(files) > 1 else ""
    try:
        data = file.read_bytes()
        if not file.stem.endswith(hashlib.sha256(data).hexdigest()[:DIGEST_CHARS]):
            raise ValueError("its checksum is not the one in its name")
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        missing = [part for part in REQUIRED_KEYS if part not in state]
        if missing or state["format"] != CHECKPOINT_FORMAT:
            raise ValueError(f"it is of another format; {', '.join(missing) or state['format']}")
    except Exception as error:  # whatever unpickling bytes of unknown origin comes up with
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the checkpoint {str(file)!r} is damaged: {reason}{before}") from error
    return file.name, state


def restore(
    state: Mapping[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler | None,
    processes: DistributedContext,
) -> TrainState:
    """Put a training back to where it was; return the place."""
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(state["scheduler"])
    if processes.rank < len(state["random"]):
        set_random_state(state["random"][processes.rank])
    return TrainState(**state["at"])


def fingerprint(data: Dataset) -> list[Any]:
    """Return what tells one data set from another, also of one name: sizes, and a checksum of the samples."""
    facts: list[Any] = [data.name, len(data.classes)]
    for split in (data.train, data.val, data.test):
        if split is None:
            facts.append(None)
            continue
        check = 0
        for tensor in (split.x, split.y):
            array: Any = tensor.contiguous().numpy()
            check = zlib.crc32(array, check)
        facts.append([*split.x.shape, check])
    return facts


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the settings that differ, with both values."""
    saved, now = {k: to_jsonable(v) for k, v in saved.items()}, {k: to_jsonable(v) for k, v in now.items()}
    keys = dict.fromkeys([*saved, *now])
    return ", ".join(f"{k} was {saved.get(k)!r}, now {now.get(k)!r}" for k in keys if saved.get(k) != now.get(k))
