"""A logger that watches a small model while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from monitor import Logger
from monitor import records as r
from monitor.sinks.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = ("0.weight", "0.bias", "2.weight", "2.bias")  # of `net`


class Watched:
    """A logger that writes to memory, and a training to watch."""

    def __init__(self, folder: Path) -> None:
        """Log to `folder/run`."""
        self.sink = MemorySink()
        self.log = Logger(folder / "run", [self.sink])

    def train(self, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, device: str = "cpu") -> None:
        """Make steps of an optimizer."""
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.rand(8, 4, device=device)).square().mean().backward()
            optimizer.step()

    def tags(self, kind: Any = r.Scalar) -> set[str]:
        """Return the tags of all records of a kind so far."""
        assert self.log.flush(20)
        return {record.tag for record in self.sink.of(kind)}

    def steps(self, tag: str) -> list[int]:
        """Return the steps of a curve."""
        assert self.log.flush(20)
        return [step for step, _ in self.sink.series(tag)]

    def last(self, tag: str) -> float:
        """Return the last value of a curve."""
        assert self.log.flush(20)
        return self.sink.series(tag)[-1][1]


def gradients(model: nn.Module) -> list[torch.Tensor]:
    """Return the gradients that are there."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def norm(tensors: list[torch.Tensor]) -> float:
    """Return the L2 norm of all tensors together."""
    return float(torch.cat([tensor.flatten() for tensor in tensors]).norm())


def net() -> nn.Sequential:
    """Return a model whose parameters are `PARAMETERS`."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    """Return an optimizer of all parameters."""
    return torch.optim.SGD(model.parameters(), lr=0.1)
