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
    # Those of torch.optim that train dense layers: SparseAdam needs sparse gradients, Muon takes only matrices.
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

SCHEDULERS: dict[str, Callable[[Optimizer, int], Scheduler]] = {
    # divides the learning rate by ten after each third of the training
    "step": lambda optimizer, epochs: lr_scheduler.StepLR(optimizer, max(1, -(-epochs // 3)), 0.1),
    "cosine": lambda optimizer, epochs: lr_scheduler.CosineAnnealingLR(optimizer, epochs),
}


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.0, weight_decay: float = 0.0
) -> Optimizer:
    """Return an optimizer; raise `click.BadParameter` for a setting that it does not have."""
    optimizer_class = OPTIMIZERS[name]
    settings: dict[str, Any] = {"momentum": momentum, "weight_decay": weight_decay}
    for setting, value in settings.items():
        if value and not has_setting(optimizer_class, setting):
            others = ", ".join(other for other, cls in OPTIMIZERS.items() if has_setting(cls, setting))
            hint = f"'--{setting.replace('_', '-')}'"
            raise click.BadParameter(f"{name} does not have it; these do: {others}.", param_hint=hint)
    return optimizer_class(parameters, lr=lr, **{k: v for k, v in settings.items() if v})  # type: ignore[call-arg]


def make_scheduler(name: str, optimizer: Optimizer, epochs: int) -> Scheduler | None:
    """Return a learning rate schedule over so many epochs; `none` gives None."""
    return None if name == "none" else SCHEDULERS[name](optimizer, epochs)


def fit_scheduler(name: str, optimizer: Optimizer, scheduler: Scheduler, epochs: int) -> None:
    """Give a schedule another number of epochs: it and the learning rates are as if it had had it from the start."""
    parameters = [torch.zeros(1, requires_grad=True) for _ in optimizer.param_groups]
    groups = zip(parameters, optimizer.param_groups)
    stand_in = torch.optim.SGD([{"params": [parameter], "lr": group["initial_lr"]} for parameter, group in groups])
    fitted = SCHEDULERS[name](stand_in, epochs)
    for _ in range(scheduler.last_epoch):
        stand_in.step()
        fitted.step()
    scheduler.load_state_dict(fitted.state_dict())
    for group, fitted_group in zip(optimizer.param_groups, stand_in.param_groups):
        group["lr"] = fitted_group["lr"]


def has_setting(optimizer_class: type[Optimizer], setting: str) -> bool:
    """Tell whether an optimizer's constructor has a parameter of this name."""
    return setting in inspect.signature(optimizer_class).parameters
