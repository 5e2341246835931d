"""The material's examples that are worked out by hand: no training, a table and a few curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor import Logger

LOGITS = (
    1,
    10,
    50,
    80,
    88,
    89,
    100,
    103,
    104,
    200,
    500,
    1000,
)  # exp overflows float32 beyond 88, underflows below −104


def bce_by_hand(log: Logger) -> str:
    """Binary cross entropy of one sample, −[y ln ŷ + (1 − y) ln(1 − ŷ)], natural logarithm, and the mean of four."""
    samples = ((1, 0.2), (1, 0.8), (0, 0.3), (0, 0.7))
    losses = [-(y * math.log(said) + (1 - y) * math.log(1 - said)) for y, said in samples]
    mean = sum(losses) / len(losses)
    for number, loss in enumerate(losses, start=1):
        log.scalar("bce", loss, number)
    rows = [f"{y}  {said:.1f}  {loss:.4f}" for (y, said), loss in zip(samples, losses)]
    return "\n".join(["y  ŷ    loss", *rows, f"mean    {mean:.4f}"])


def entropy(log: Logger) -> str:
    """Entropy in bits, −Σ p log₂ p: how many yes-or-no questions a draw is worth."""
    rows = ["probabilities         bits"]
    for number, given in enumerate(((0.25,) * 4, (0.1, 0.1, 0.1, 0.7), (0.5, 0.5, 0, 0), (1, 0, 0, 0)), start=1):
        bits = -sum(p * math.log2(p) for p in given if p)
        log.scalar("entropy", bits, number)
        rows.append(f"{', '.join(f'{p:g}' for p in given):<20}  {abs(bits):.4f}")
    return "\n".join(rows)


def numerical_stability(log: Logger) -> str:
    """The loss of class 0 for logits (0, z), three ways in float32; it is ln(1 + exp z), for large z simply z."""
    rows = [f"{'z':>5}  {'exp / sum exp':>14}  {'log(softmax)':>13}  {'cross entropy':>13}"]
    for z in LOGITS:
        found = {name: float(way(torch.tensor([[0.0, float(z)]]))) for name, way in LOSS_FORMULAS.items()}
        log.scalars({f"loss/{name}": value for name, value in found.items()}, z)
        by_hand, softmax, whole = found.values()
        rows.append(f"{z:>5}  {by_hand:>14.6g}  {softmax:>13.6g}  {whole:>13.6g}")
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
