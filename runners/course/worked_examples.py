"""The course's examples that are worked out by hand: no training, only a table and a few curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from runners.course.numerical_stability import numerical_stability
from runners.text_table import align

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor import Logger

SAMPLES = ((1, 0.2), (1, 0.8), (0, 0.3), (0, 0.7))  # y and ŷ
DISTRIBUTIONS = ((0.25,) * 4, (0.1, 0.1, 0.1, 0.7), (0.001, 0.001, 0.001, 0.999), (0.5, 0.5, 0, 0), (1, 0, 0, 0))
CONFIDENCES = (0.4, 0.98)  # of the true class
TOLERANCE = 1e-6  # of a sum of probabilities
# Two classifiers of three samples: the probabilities of three classes, and which one is true.
CLASSIFIERS = {
    "barely right": (((0.3, 0.3, 0.4), 2), ((0.3, 0.4, 0.3), 1), ((0.1, 0.2, 0.7), 0)),
    "clearly right": (((0.1, 0.2, 0.7), 2), ((0.1, 0.7, 0.2), 1), ((0.3, 0.4, 0.3), 0)),
}


class Worked(NamedTuple):
    """A worked example: its table, and the sentence that the numbers in it were checked for."""

    text: str
    finding: str
    holds: bool


def bce_by_hand(log: Logger, values: Sequence[tuple[int, float]]) -> Worked:
    """Binary cross entropy of one sample, −[y ln ŷ + (1 − y) ln(1 − ŷ)], natural logarithm, and the mean."""
    samples = values or SAMPLES
    losses = [binary_cross_entropy(y, p) for y, p in samples]
    for number, loss in enumerate(losses, start=1):
        log.scalar("bce", loss, number)
    rows = [(y, f"{p:g}", f"{loss:.4f}") for (y, p), loss in zip(samples, losses)]
    mean = sum(losses) / len(losses)
    (most, (y, p)), (least, (best_y, best_p)) = max(zip(losses, samples)), min(zip(losses, samples))
    costs = f"predicting {p:g} for label {y} costs {most:.4f}"
    if len(samples) > 1:
        costs = f"predicting {p:g} for label {y} costs the most, {most:.4f}; {best_p:g} for label {best_y} the least, "
        costs += f"{least:.4f}"
    # The loss is −ln of the probability of the truth, so the order of the one is the reverse of the order of the other.
    truths = [p if y else 1 - p for y, p in samples]
    holds = all(
        (a <= b) == (loss_a >= loss_b) for a, loss_a in zip(truths, losses) for b, loss_b in zip(truths, losses)
    )
    return Worked(align([("y", "ŷ", "loss"), *rows, ("", "mean", f"{mean:.4f}")]), costs, holds)


def entropy(log: Logger, values: Sequence[Sequence[float]]) -> Worked:
    """Entropy in bits, −Σ p log₂ p: the average number of yes-or-no questions to find out what was drawn.

    Without values of the user's, also cross entropies in nats, −ln p of the true class.
    """
    distributions = values or DISTRIBUTIONS
    rows: list[tuple[str, ...]] = [("probabilities", "bits", "")]
    bits = []
    for number, distribution in enumerate(distributions, start=1):
        bits.append(entropy_in_bits(distribution))
        log.scalar("entropy", bits[-1], number)
        total = sum(distribution)
        note = ""
        if abs(total - 1) > TOLERANCE:
            scaled = entropy_in_bits([p / total for p in distribution])
            note = f"they sum to {total:.6g}, so this is not an entropy; divided by their sum: {scaled:.4f}"
        rows.append((", ".join(f"{p:g}" for p in distribution), f"{bits[-1]:.4f}", note))
    text = align(rows)
    if not values:
        nats = [(f"{p:g}", f"{-math.log(p):.4f}") for p in CONFIDENCES]
        text += "\n\n" + align([("probability of the true class", "cross entropy"), *nats])
    whole = [(b, len(d)) for b, d in zip(bits, distributions) if abs(sum(d) - 1) <= TOLERANCE]
    holds = all(-1e-9 <= b <= math.log2(count) + 1e-9 for b, count in whole)
    if not whole:
        return Worked(text, "none of these sums to 1", holds=False)
    least, most = min(whole)[0], max(whole)[0]
    span = f"{least:.4f} to {most:.4f}" if len(whole) > 1 else f"{least:.4f}"
    finding = f"what sums to 1 has {span} bits, never more than log₂ of the number of outcomes"
    return Worked(text, finding, holds)


def why_not_mse(log: Logger) -> Worked:
    """Two classifiers with the same accuracy: the squared error, and the cross entropy, which tells them apart more."""
    parts, means = [], {}
    for name, samples in CLASSIFIERS.items():
        rows: list[tuple[str, ...]] = [("computed", "true", "right", "squared error", "cross entropy")]
        squared, cross = [], []
        for probabilities, true in samples:
            squared.append(sum((p - (k == true)) ** 2 for k, p in enumerate(probabilities)))
            cross.append(-math.log(probabilities[true]))
            is_right = max(range(len(probabilities)), key=probabilities.__getitem__) == true
            computed = " ".join(f"{p:g}" for p in probabilities)
            rows.append((computed, str(true), "yes" if is_right else "no", f"{squared[-1]:.3f}", f"{cross[-1]:.3f}"))
        means[name] = sum(squared) / len(samples), sum(cross) / len(samples)
        rows.append(("mean", "", "", f"{means[name][0]:.3f}", f"{means[name][1]:.3f}"))
        parts.append(f"{name}\n{align(rows)}")
        log.scalars({"squared error": means[name][0], "cross entropy": means[name][1]}, len(parts))
    (mse_a, cross_a), (mse_b, cross_b) = means.values()
    note = f"The slide's 0.54 for the first classifier is the loss of one row; the mean is {mse_a:.3f}."
    finding = f"both are right two times out of three; the mean squared errors are {mse_a:.3f} and {mse_b:.3f}, "
    finding += f"the cross entropies {cross_a:.3f} and {cross_b:.3f}"
    return Worked("\n\n".join([*parts, note]), finding, mse_a > mse_b and cross_a > cross_b)


def binary_cross_entropy(y: int, p: float) -> float:
    """Return −ln of the probability that a prediction `p` of label 1 gives to the label `y`."""
    truth = p if y else 1 - p
    return -math.log(truth) + 0.0 if truth else math.inf


def entropy_in_bits(distribution: Sequence[float]) -> float:
    """Return −Σ p log₂ p; outcomes that never occur add nothing."""
    return -sum(p * math.log2(p) for p in distribution if p) + 0.0


def _sample(value: str) -> tuple[int, float]:
    """Parse a label and a prediction, such as `1:0.2`."""
    label, _, prediction = value.partition(":")
    p = _probability(prediction)
    if label not in ("0", "1") or p is None:
        raise click.BadParameter(f"{value!r} is not a label and a probability, such as 1:0.2.", param_hint="'VALUES'")
    return int(label), p


def _distribution(value: str) -> list[float]:
    """Parse probabilities, such as `0.1,0.2,0.7`."""
    numbers = [_probability(part) for part in value.split(",")]
    probabilities = [p for p in numbers if p is not None]
    if len(probabilities) < len(numbers) or not any(probabilities):
        message = f"{value!r} is not a list of probabilities, such as 0.1,0.2,0.7."
        raise click.BadParameter(message, param_hint="'VALUES'")
    return probabilities


def _probability(text: str) -> float | None:
    try:
        p = float(text) if "_" not in text else math.nan
    except ValueError:
        return None
    return p if 0 <= p <= 1 else None


def parse_values(name: str, values: Sequence[str]) -> list[Any]:
    """Return the values of the user for a worked example; raise `click.BadParameter` for one that it does not take."""
    parse: Callable[[str], Any] = _sample if name == "bce-by-hand" else _distribution
    return [parse(value) for value in values]


WORKED_EXAMPLES: dict[str, Callable[[Logger, Sequence[Any]], Worked]] = {
    "bce-by-hand": bce_by_hand,
    "entropy": entropy,
    "why-not-mse": lambda log, _: why_not_mse(log),
    "numerical-stability": lambda log, _: Worked(*numerical_stability(log)),
}
