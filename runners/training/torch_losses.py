"""The losses of torch.nn as losses for classification: each takes N×K float logits and N int64 classes, mean over N.

A loss that torch defines on vectors compares the output o with the true class as a one-hot vector y, or ŷ, the same
with −1 for 0. One on probabilities gets the softmax σ(o). One on pairs or triples gets the true class and the one that
the model confuses it with, the highest of the others. CTCLoss is for sequences, and GaussianNLLLoss needs a variance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable


def nll(logits: Tensor, classes: Tensor) -> Tensor:
    """−log σ(o)_y, NLLLoss after a log-softmax: the cross entropy again."""
    return functional.nll_loss(logits.log_softmax(1), classes)


def bce(logits: Tensor, classes: Tensor) -> Tensor:
    """BCEWithLogitsLoss: the binary cross entropy of each class against the rest, the mean over classes."""
    return functional.binary_cross_entropy_with_logits(logits, one_hot(logits, classes))


def kl_div(logits: Tensor, classes: Tensor) -> Tensor:
    """Σ y (log y − log σ(o)), KLDivLoss: the cross entropy, as a one-hot vector has an entropy of 0."""
    return functional.kl_div(logits.log_softmax(1), one_hot(logits, classes), reduction="batchmean")


def poisson_nll(logits: Tensor, classes: Tensor) -> Tensor:
    """exp(o) − y o, PoissonNLLLoss, the mean over classes."""
    return functional.poisson_nll_loss(logits, one_hot(logits, classes))


def smooth_l1(logits: Tensor, classes: Tensor) -> Tensor:
    """SmoothL1Loss of o − y: squared below 1, absolute beyond, the mean over classes."""
    return functional.smooth_l1_loss(logits, one_hot(logits, classes))


def huber(logits: Tensor, classes: Tensor) -> Tensor:
    """HuberLoss of o − y with δ = ½: squared below δ, absolute beyond, the mean over classes."""
    return functional.huber_loss(logits, one_hot(logits, classes), delta=0.5)


def soft_margin(logits: Tensor, classes: Tensor) -> Tensor:
    """log(1 + exp(−ŷ o)), SoftMarginLoss, the mean over classes: equal to `bce`. torch's own overflows beyond 88."""
    return functional.softplus(-signs(logits, classes) * logits).mean()


def multi_margin(logits: Tensor, classes: Tensor) -> Tensor:
    """(1/K) Σ_{j≠y} max(0, 1 − o_y + o_j), MultiMarginLoss: a hinge with margin 1 between classes."""
    return functional.multi_margin_loss(logits, classes)


def multilabel_margin(logits: Tensor, classes: Tensor) -> Tensor:
    """MultiLabelMarginLoss with one label: equal to `multi_margin`."""
    labels = torch.full(logits.shape, -1, dtype=torch.long, device=logits.device)
    labels[:, 0] = classes
    return functional.multilabel_margin_loss(logits, labels)


def multilabel_soft_margin(logits: Tensor, classes: Tensor) -> Tensor:
    """MultiLabelSoftMarginLoss: equal to `bce`."""
    return functional.multilabel_soft_margin_loss(logits, one_hot(logits, classes))


def hinge_embedding(logits: Tensor, classes: Tensor) -> Tensor:
    """HingeEmbeddingLoss of the distances 1 − σ(o): 1 − σ(o)_y for the true class, σ(o)_j for the others; mean."""
    return functional.hinge_embedding_loss(1 - logits.softmax(1), signs(logits, classes))


def cosine_embedding(logits: Tensor, classes: Tensor) -> Tensor:
    """1 − cos(o, y), CosineEmbeddingLoss for pairs that belong together."""
    return functional.cosine_embedding_loss(logits, one_hot(logits, classes), torch.ones_like(logits[:, 0]))


def margin_ranking(logits: Tensor, classes: Tensor) -> Tensor:
    """max(0, 1 − o_y + max_{j≠y} o_j), MarginRankingLoss with margin 1: the true class ranks before the best other."""
    true = logits.gather(1, classes.unsqueeze(1)).squeeze(1)
    confused = logits.masked_fill(one_hot(logits, classes).bool(), -torch.inf).amax(1)
    return functional.margin_ranking_loss(true, confused, torch.ones_like(true), margin=1.0)


def triplet_margin(logits: Tensor, classes: Tensor) -> Tensor:
    """max(0, 1 + ‖o − y‖₂ − ‖o − y′‖₂), TripletMarginLoss; y′ is the one-hot vector of the best other class."""
    truth = one_hot(logits, classes)
    confused = logits.detach().masked_fill(truth.bool(), -torch.inf).argmax(1)
    return functional.triplet_margin_loss(logits, truth, one_hot(logits, confused))


def one_hot(logits: Tensor, classes: Tensor) -> Tensor:
    """Return N×K one-hot vectors, of the logits' dtype."""
    return functional.one_hot(classes, logits.shape[1]).to(logits.dtype)


def signs(logits: Tensor, classes: Tensor) -> Tensor:
    """Return N×K values, 1 for the true class and −1 for the others."""
    return 2 * one_hot(logits, classes) - 1


TORCH_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nll": nll,
    "bce": bce,
    "kl-div": kl_div,
    "poisson-nll": poisson_nll,
    "smooth-l1": smooth_l1,
    "huber": huber,
    "soft-margin": soft_margin,
    "multi-margin": multi_margin,
    "multilabel-margin": multilabel_margin,
    "multilabel-soft-margin": multilabel_soft_margin,
    "hinge-embedding": hinge_embedding,
    "cosine-embedding": cosine_embedding,
    "margin-ranking": margin_ranking,
    "triplet-margin": triplet_margin,
}
