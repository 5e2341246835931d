"""The losses: against values worked out by hand, their gradients, and numbers at the edge."""

from __future__ import annotations

from functools import partial
from math import exp, log, sqrt

import pytest
import torch

from runners.data import images
from runners.training import models
from runners.training.batches import batches
from runners.training.checkpointing.state import TrainConfig
from runners.training.distributed import DistributedContext
from runners.training.losses import LOSSES, Loss, binary, one_vs_rest

O = (2.0, -1.0, 0.5)  # noqa: E741 - the paper's name; the true class is the first
P = [exp(o) / sum(map(exp, O)) for o in O]  # σ(o)
Y = (1, 0, 0)


def softplus(z: float) -> float:
    return log(1 + exp(z))


BY_HAND = {
    "log": -log(P[0]),
    "l1": abs(1 - 2) + abs(0 + 1) + abs(0 - 0.5),
    "l2": 1 + 1 + 0.25,
    "expectation": (1 - P[0]) + P[1] + P[2],
    "regularized-expectation": (1 - P[0]) ** 2 + P[1] ** 2 + P[2] ** 2,
    "chebyshev": max(1 - P[0], P[1], P[2]),
    "hinge": 0 + 0 + (0.5 + 0.5),  # ½ − 2 < 0, ½ − 1 < 0, ½ + ½
    "hinge2": 1.0,
    "hinge3": 1.0,
    "log2": log(P[0]) ** 2,
    "tanimoto": -P[0] / (sum(p * p for p in P) + 1 - P[0]),
    "cauchy-schwarz": -log(P[0] / sqrt(sum(p * p for p in P))),
    "mse": ((1 - P[0]) ** 2 + P[1] ** 2 + P[2] ** 2) / 3,
    "hinge-margin-1": 0 + 0 + (1 + 0.5),
    "nll": -log(P[0]),
    "bce": (softplus(-2) + softplus(-1) + softplus(0.5)) / 3,
    "kl-div": -log(P[0]),
    "poisson-nll": (exp(2) - 2 + exp(-1) + exp(0.5)) / 3,
    "smooth-l1": (0.5 + 0.5 + 0.125) / 3,  # |d| of 1, 1, and ½
    "huber": (0.5 * 0.75 + 0.5 * 0.75 + 0.125) / 3,
    "soft-margin": (softplus(-2) + softplus(-1) + softplus(0.5)) / 3,
    "multi-margin": 0.0,  # 2 is more than 1 above both others
    "multilabel-margin": 0.0,
    "multilabel-soft-margin": (softplus(-2) + softplus(-1) + softplus(0.5)) / 3,
    "hinge-embedding": ((1 - P[0]) + P[1] + P[2]) / 3,
    "cosine-embedding": 1 - 2 / sqrt(4 + 1 + 0.25),
    "margin-ranking": 0.0,
    "triplet-margin": max(0.0, 1 + sqrt(1 + 1 + 0.25) - sqrt(4 + 1 + 0.25)),
}
# The second sample: equal outputs of 1, so σ is a third each; the true class is the last.
SECOND = {
    "log": log(3),
    "l1": 1 + 1 + 0.0,
    "l2": 2.0,
    "expectation": 4 / 3,
    "regularized-expectation": 2 / 3,
    "chebyshev": 2 / 3,
    "hinge": 1.5 + 1.5,
    "hinge2": 2 * 1.5**2,
    "hinge3": 2 * 1.5**3,
    "log2": log(3) ** 2,
    "tanimoto": -(1 / 3) / (1 / 3 + 1 - 1 / 3),
    "cauchy-schwarz": -log(1 / sqrt(3)),
    "mse": 2 / 9,
    "hinge-margin-1": 2.0 + 2.0,
    "nll": log(3),
    "bce": (2 * softplus(1) + softplus(-1)) / 3,
    "kl-div": log(3),
    "poisson-nll": (3 * exp(1) - 1) / 3,
    "smooth-l1": (0.5 + 0.5) / 3,
    "huber": (0.5 * 0.75 + 0.5 * 0.75) / 3,
    "soft-margin": (2 * softplus(1) + softplus(-1)) / 3,
    "multi-margin": 2 / 3,
    "multilabel-margin": 2 / 3,
    "multilabel-soft-margin": (2 * softplus(1) + softplus(-1)) / 3,
    "hinge-embedding": 4 / 9,
    "cosine-embedding": 1 - 1 / sqrt(3),
    "margin-ranking": 1.0,
    "triplet-margin": 1.0,  # both distances are √2
}
ALL: dict[str, Loss] = {**LOSSES, "one-vs-rest": one_vs_rest}


@pytest.mark.parametrize("name", LOSSES)
def test_values_worked_out_by_hand(name: str) -> None:
    logits = torch.tensor([O, (1.0, 1.0, 1.0)], dtype=torch.float64)
    both = LOSSES[name](logits, torch.tensor([0, 2]))
    # torch adds 1e-6 to the distances of triplets, and 1e-8 to the norms of cosines
    rel = 1e-5 if name in ("triplet-margin", "cosine-embedding") else 1e-12
    assert both.item() == pytest.approx((BY_HAND[name] + SECOND[name]) / 2, rel=rel)
    assert LOSSES[name](logits[:1], torch.tensor([0])).item() == pytest.approx(BY_HAND[name], rel=rel)


def test_one_against_the_rest_by_hand() -> None:
    sigmoids = [1 / (1 + exp(-o)) for o in O]
    wanted = -log(sigmoids[0]) - log(1 - sigmoids[1]) - log(1 - sigmoids[2])
    assert one_vs_rest(torch.tensor([O], dtype=torch.float64), torch.tensor([0])).item() == pytest.approx(wanted)


def test_the_binary_loss_by_hand() -> None:
    """The material's table: what is said of four samples, two of either kind."""
    said, true = torch.tensor([0.2, 0.8, 0.3, 0.7], dtype=torch.float64), torch.tensor([1, 1, 0, 0])
    logits = (said / (1 - said)).log().unsqueeze(1)
    each = [binary(logits[n : n + 1], true[n : n + 1]).item() for n in range(4)]
    assert [f"{loss:.4f}" for loss in each] == ["1.6094", "0.2231", "0.3567", "1.2040"]
    assert f"{binary(logits, true).item():.4f}" == "0.8483"
    assert binary(logits, true, reduction="sum").item() == pytest.approx(sum(each))


@pytest.mark.parametrize("name", ALL)
def test_gradients(name: str) -> None:
    torch.manual_seed(1)
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda o: ALL[name](o, torch.tensor([0, 1, 2, 3, 1])), logits)


def test_the_binary_losss_gradient() -> None:
    logits = torch.randn(5, 1, dtype=torch.float64, requires_grad=True)
    for reduction in ("mean", "sum"):
        loss = partial(binary, reduction=reduction)
        assert torch.autograd.gradcheck(lambda o, loss=loss: loss(o, torch.tensor([0, 1, 1, 0, 1])), logits)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("hinge3", "poisson-nll")])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_large_logits_stay_finite(name: str, size: float) -> None:
    logits = torch.tensor([[size, 0.0, -size]], requires_grad=True)
    loss = ALL[name](logits, torch.tensor([0]))
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ALL)
def test_each_teaches_the_digits(name: str) -> None:
    torch.manual_seed(0)
    digits = images.digits()
    assert digits.test is not None
    model = models.MLP(784, [64], 10, "tanh")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    config = TrainConfig(epochs=20, batch_size=100, device=torch.device("cpu"))
    for epoch in range(20):
        for batch in batches(digits.train, config, DistributedContext(), epoch):
            optimizer.zero_grad()
            torch.autograd.backward(ALL[name](model(batch.x), batch.y))
            optimizer.step()
    right = (model(digits.test.x).argmax(1) == digits.test.y).float().mean()
    # The median of a one-hot vector is zero, so l1 learns one class after the other.
    assert right > (0.4 if name == "l1" else 0.9)
