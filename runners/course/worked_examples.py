"""The course's examples that are worked out by hand: no training, only a table and a few curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor import Logger

# In float32, exp overflows beyond 88 and underflows below −104.
LOGITS = (1, 10, 50, 80, 88, 89, 100, 103, 104, 200, 500, 1000)
DISTRIBUTIONS = ((0.25,) * 4, (0.1, 0.1, 0.1, 0.7), (0.5, 0.5, 0, 0), (1, 0, 0, 0))


def bce_by_hand(log: Logger) -> str:
    """Binary cross entropy of one sample, −[y ln ŷ + (1 − y) ln(1 − ŷ)], natural logarithm, and the mean of four."""
    samples = ((1, 0.2), (1, 0.8), (0, 0.3), (0, 0.7))  # y and ŷ
    losses = [-(y * math.log(p) + (1 - y) * math.log(1 - p)) for y, p in samples]
    mean = sum(losses) / len(losses)
    for number, loss in enumerate(losses, start=1):
        log.scalar("bce", loss, number)
    rows = [f"{y}  {p:.1f}  {loss:.4f}" for (y, p), loss in zip(samples, losses)]
    return "\n".join(["y  ŷ    loss", *rows, f"mean    {mean:.4f}"])


def entropy(log: Logger) -> str:
    """Entropy in bits, −Σ p log₂ p: the average number of yes-or-no questions to find out what was drawn."""
    rows = ["probabilities         bits"]
    for number, distribution in enumerate(DISTRIBUTIONS, start=1):
        bits = -sum(p * math.log2(p) for p in distribution if p)
        log.scalar("entropy", bits, number)
        rows.append(f"{', '.join(f'{p:g}' for p in distribution):<20}  {abs(bits):.4f}")
    return "\n".join(rows)


def numerical_stability(log: Logger) -> str:
    """The loss of class 0 for logits (0, z), computed in three ways in float32: ln(1 + exp z), for large z just z."""
    rows = [f"{'z':>5}  {'exp / sum exp':>14}  {'log(softmax)':>13}  {'cross entropy':>13}"]
    for z in LOGITS:
        logits = torch.tensor([[0.0, float(z)]])
        losses = {name: float(formula(logits)) for name, formula in LOSS_FORMULAS.items()}
        log.scalars({f"loss/{name}": loss for name, loss in losses.items()}, z)
        by_hand, log_of_softmax, cross_entropy = losses.values()
        rows.append(f"{z:>5}  {by_hand:>14.6g}  {log_of_softmax:>13.6g}  {cross_entropy:>13.6g}")
    return "\n".join(rows)


def _by_hand(logits: Tensor) -> Tensor:
    powers = logits.exp()
    return -(powers / powers.sum(1, keepdim=True))[0, 0].log()


LOSS_FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "by_hand": _by_hand,
    "log_of_softmax": lambda logits: -logits.softmax(1)[0, 0].log(),
    "cross_entropy": lambda logits: functional.cross_entropy(logits, torch.tensor([0])),
}

WORKED_EXAMPLES: dict[str, Callable[[Logger], str]] = {
    "bce-by-hand": bce_by_hand,
    "entropy": entropy,
    "numerical-stability": numerical_stability,
}
