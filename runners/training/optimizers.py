"""Optimizers and learning-rate schedules, by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click
import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Scheduler = lr_scheduler.LRScheduler

OPTIMIZERS: dict[str, type[Optimizer]] = {
    # Every optimizer of torch.optim that trains dense layers; SparseAdam wants sparse gradients, Muon weights alone.
    name.lower(): getattr(torch.optim, name)
    for name in (
        "SGD",
        "Adam",
        "AdamW",
        "Adamax",
        "Adagrad",
        "Adadelta",
        "ASGD",
        "LBFGS",
        "RMSprop",
        "Rprop",
        "NAdam",
        "RAdam",
        "Adafactor",
    )
}

SCHEDULERS: dict[str, Callable[[Optimizer, int], Scheduler] | None] = {
    "none": None,
    # a tenth after each third of the training
    "step": lambda optimizer, epochs: lr_scheduler.StepLR(optimizer, max(1, -(-epochs // 3)), 0.1),
    "cosine": lambda optimizer, epochs: lr_scheduler.CosineAnnealingLR(optimizer, epochs),
}


def make(
    name: str, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.0, weight_decay: float = 0.0
) -> Optimizer:
    """Return an optimizer; a setting that it has not got is a `click.BadParameter`."""
    kind = OPTIMIZERS[name]
    settings: dict[str, Any] = {"momentum": momentum, "weight_decay": weight_decay}
    for setting, value in settings.items():
        if value and not takes(kind, setting):
            able = ", ".join(other for other, cls in OPTIMIZERS.items() if takes(cls, setting))
            hint = f"'--{setting.replace('_', '-')}'"
            raise click.BadParameter(f"{name} takes none; these do: {able}.", param_hint=hint)
    return kind(parameters, lr=lr, **{k: v for k, v in settings.items() if v})  # type: ignore[call-arg]


def takes(kind: type[Optimizer], setting: str) -> bool:
    """Tell whether an optimizer's constructor has a setting of this name."""
    return setting in inspect.signature(kind).parameters
