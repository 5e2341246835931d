"""Where the logarithm of a softmax breaks in float32, and the cross entropy on logits does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from runners.text_table import align

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor import Logger

# In float32, exp overflows beyond 88 and underflows below −104.
LOGITS = (1, 10, 50, 80, 88, 89, 100, 103, 104, 200, 500, 1000)
FEATURES, CLASSES, DRAWS, CHUNK = 784, 10, 20_000, 1000


def numerical_stability(log: Logger) -> tuple[str, str, bool]:
    """The loss of class 0 for logits (0, z), computed in three ways in float32: ln(1 + exp z), for large z just z.

    Then random inputs and weights, as of an untrained layer with `randn` weights: how often log(softmax) is infinite.
    Returns the text, what it shows, and whether it does.
    """
    rows: list[tuple[str, ...]] = [("z", "exp / sum exp", "log(softmax)", "cross entropy")]
    exact = []
    for z in LOGITS:
        logits = torch.tensor([[0.0, float(z)]])
        losses = {name: float(formula(logits)) for name, formula in LOSS_FORMULAS.items()}
        log.scalars({f"loss/{name}": loss for name, loss in losses.items()}, z)
        rows.append((str(z), *(f"{loss:.6g}" for loss in losses.values())))
        exact.append(losses["cross_entropy"])
    broken = infinite_fraction()
    log.scalar("infinite/log_of_softmax", broken["log_of_softmax"], DRAWS)
    log.scalar("infinite/cross_entropy", broken["cross_entropy"], DRAWS)
    text = (
        align(rows) + f"\n\n{DRAWS:,} draws of x and W from randn, {FEATURES} → {CLASSES}: log(softmax) is infinite in "
    )
    text += f"{broken['log_of_softmax']:.1%}, cross entropy in {broken['cross_entropy']:.1%}"
    finding = (
        f"log(softmax) is infinite in {broken['log_of_softmax']:.1%} of the draws, cross entropy never, up to z = 1000"
    )
    holds = broken["log_of_softmax"] > 0 and broken["cross_entropy"] == 0 and exact[-1] == LOGITS[-1]
    return text, finding, holds


def infinite_fraction() -> dict[str, float]:
    """Return how often each loss of a true class, the first, is infinite for x and W from a normal distribution.

    W x for independent x and W has the same distribution as ‖x‖ times CLASSES normal numbers, which is what is drawn.
    """
    generator = torch.Generator().manual_seed(0)
    infinite = {"log_of_softmax": 0, "cross_entropy": 0}
    for _ in range(DRAWS // CHUNK):
        x = torch.randn(CHUNK, FEATURES, generator=generator)
        logits = x.norm(dim=1, keepdim=True) * torch.randn(CHUNK, CLASSES, generator=generator)
        classes = torch.zeros(CHUNK, dtype=torch.long)
        losses = {
            "log_of_softmax": -logits.softmax(1)[:, 0].log(),
            "cross_entropy": functional.cross_entropy(logits, classes, reduction="none"),
        }
        for name, loss in losses.items():
            infinite[name] += int(loss.isinf().sum())
    return {name: count / DRAWS for name, count in infinite.items()}


def _by_hand(logits: Tensor) -> Tensor:
    powers = logits.exp()
    return -(powers / powers.sum(1, keepdim=True))[0, 0].log()


LOSS_FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "by_hand": _by_hand,
    "log_of_softmax": lambda logits: -logits.softmax(1)[0, 0].log(),
    "cross_entropy": lambda logits: functional.cross_entropy(logits, torch.tensor([0])),
}
