"""Losses for classification, by name: each takes N×K float logits and N int64 classes, and returns a mean over N.

The first twelve are from table 1 in K. Janocha and W. M. Czarnecki, *On Loss Functions for Deep Neural Networks in
Classification*, arXiv:1702.05659. There, o is the network's output, y the true class as a one-hot vector, ŷ the same
with −1 for 0, and σ(o) the probability estimate, here the softmax. The paper gives the loss of one sample.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from runners.training.torch_losses import TORCH_LOSSES, one_hot, signs

Loss = Callable[[Tensor, Tensor], Tensor]


def l1(logits: Tensor, classes: Tensor) -> Tensor:
    """‖y − o‖₁."""
    return (one_hot(logits, classes) - logits).abs().sum(1).mean()


def l2(logits: Tensor, classes: Tensor) -> Tensor:
    """‖y − o‖₂²."""
    return (one_hot(logits, classes) - logits).square().sum(1).mean()


def expectation(logits: Tensor, classes: Tensor) -> Tensor:
    """L1∘σ: ‖y − σ(o)‖₁, twice the expected error rate when classes are drawn with probability σ(o)."""
    return (one_hot(logits, classes) - logits.softmax(1)).abs().sum(1).mean()


def regularized_expectation(logits: Tensor, classes: Tensor) -> Tensor:
    """L2∘σ: ‖y − σ(o)‖₂²."""
    return (one_hot(logits, classes) - logits.softmax(1)).square().sum(1).mean()


def chebyshev(logits: Tensor, classes: Tensor) -> Tensor:
    """L∞∘σ: max_j |σ(o)_j − y_j|."""
    return (one_hot(logits, classes) - logits.softmax(1)).abs().amax(1).mean()


def hinge(logits: Tensor, classes: Tensor) -> Tensor:
    """Σ_j max(0, ½ − ŷ_j o_j): one margin per class."""
    return _margins(logits, classes).sum(1).mean()


def hinge2(logits: Tensor, classes: Tensor) -> Tensor:
    """Σ_j max(0, ½ − ŷ_j o_j)²."""
    return _margins(logits, classes).pow(2).sum(1).mean()


def hinge3(logits: Tensor, classes: Tensor) -> Tensor:
    """Σ_j max(0, ½ − ŷ_j o_j)³."""
    return _margins(logits, classes).pow(3).sum(1).mean()


def hinge_margin_1(logits: Tensor, classes: Tensor) -> Tensor:
    """Σ_j max(0, 1 − ŷ_j o_j): the hinge loss of the textbooks, with margin 1 where the paper has ½."""
    return _margins(logits, classes, 1.0).sum(1).mean()


def log(logits: Tensor, classes: Tensor) -> Tensor:
    """−Σ_j y_j log σ(o)_j, the cross entropy."""
    return functional.cross_entropy(logits, classes)


def log2(logits: Tensor, classes: Tensor) -> Tensor:
    """Σ_j (y_j log σ(o)_j)². The paper has a minus sign before it, which would leave it without a lower bound."""
    return functional.cross_entropy(logits, classes, reduction="none").square().mean()


def tanimoto(logits: Tensor, classes: Tensor) -> Tensor:
    """−Σ_j σ(o)_j y_j / (‖σ(o)‖₂² + ‖y‖₂² − Σ_j σ(o)_j y_j); from −1, the best, to 0."""
    p = logits.softmax(1)
    p_true = _of_class(p, classes)
    return -(p_true / (p.square().sum(1) + 1 - p_true)).mean()


def cauchy_schwarz(logits: Tensor, classes: Tensor) -> Tensor:
    """−log(Σ_j σ(o)_j y_j / (‖σ(o)‖₂ ‖y‖₂)), computed in logarithms, so that no σ(o)_j underflows to 0."""
    log_p = logits.log_softmax(1)
    return (torch.logsumexp(2 * log_p, 1) / 2 - _of_class(log_p, classes)).mean()


def mse(logits: Tensor, classes: Tensor) -> Tensor:
    """(1/K) Σ_j (σ(o)_j − y_j)², the mean squared error of the probabilities."""
    return functional.mse_loss(logits.softmax(1), one_hot(logits, classes))


def one_vs_rest(logits: Tensor, classes: Tensor) -> Tensor:
    """−Σ_j [y_j log s(o_j) + (1 − y_j) log(1 − s(o_j))], the binary cross entropies of K classifiers, one per class.

    s is the logistic sigmoid.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, one_hot(logits, classes), reduction="none")
    return losses.sum(1).mean()


def binary(logits: Tensor, classes: Tensor, reduction: str = "mean") -> Tensor:
    """Binary cross entropy, −[y log s(o) + (1 − y) log(1 − s(o))], of N×1 logits: the mean over samples, or the `sum`.

    s is the logistic sigmoid. It takes logits, as a sigmoid rounded to 0 or 1 has no usable logarithm.
    """
    return functional.binary_cross_entropy_with_logits(logits.squeeze(1), classes.to(logits.dtype), reduction=reduction)


def binary_of_probabilities(probabilities: Tensor, classes: Tensor, reduction: str = "mean") -> Tensor:
    """Binary cross entropy, −[y log p + (1 − y) log(1 − p)], of N×1 probabilities, as the output of an activation.

    What is outside [0, 1], where the loss is not defined, is clipped to it; such an output has no gradient.
    """
    p = probabilities.squeeze(1).clamp(0, 1)
    return functional.binary_cross_entropy(p, classes.to(p.dtype), reduction=reduction)


def binary_mse(logits: Tensor, classes: Tensor, reduction: str = "mean") -> Tensor:
    """(s(o) − y)², the squared error of the probability, of N×1 logits; s is the logistic sigmoid."""
    p = logits.squeeze(1).sigmoid()
    return functional.mse_loss(p, classes.to(p.dtype), reduction=reduction)


def regression(outputs: Tensor, values: Tensor) -> Tensor:
    """(o − y)², the mean squared error of N×1 outputs and N float values."""
    return functional.mse_loss(outputs.squeeze(1), values)


LOSSES: dict[str, Loss] = {
    "log": log,
    "l1": l1,
    "l2": l2,
    "expectation": expectation,
    "regularized-expectation": regularized_expectation,
    "chebyshev": chebyshev,
    "hinge": hinge,
    "hinge2": hinge2,
    "hinge3": hinge3,
    "log2": log2,
    "tanimoto": tanimoto,
    "cauchy-schwarz": cauchy_schwarz,
    "mse": mse,
    "hinge-margin-1": hinge_margin_1,
    **TORCH_LOSSES,
}


def _of_class(values: Tensor, classes: Tensor) -> Tensor:
    """Return the N values of the true classes, of N×K values."""
    return values.gather(1, classes.unsqueeze(1)).squeeze(1)


def _margins(logits: Tensor, classes: Tensor, margin: float = 0.5) -> Tensor:
    """Return max(0, margin − ŷ_j o_j), N×K."""
    return (margin - signs(logits, classes) * logits).clamp(min=0)
