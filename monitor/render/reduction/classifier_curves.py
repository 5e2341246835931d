"""Count what a binary classifier gets right at each threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def precision_recall(target: NDArray[np.bool_], scores: Vector, thresholds: int) -> tuple[Vector, Vector, Vector]:
    """Count at evenly spaced thresholds from 0 to 1; a sample is positive if its score is at least the threshold.

    The numbers are those of TensorBoard's own `pr_curve` summary.

    Args:
        target: the N true classes.
        scores: the N scores; those outside [0, 1] count as 0 or 1.
        thresholds: the number of thresholds, K.

    Returns:
        4×K counts of true positives, false positives, true negatives, and false negatives; K values of precision,
        which is 0 where nothing is positive; and K values of recall.
    """
    bins = np.floor(np.clip(scores, 0, 1) * (thresholds - 1)).astype(np.int64)
    true_positives, false_positives = (
        np.bincount(bins[chosen], minlength=thresholds)[::-1].cumsum()[::-1].astype(float)
        for chosen in (target, ~target)
    )
    true_negatives, false_negatives = false_positives[0] - false_positives, true_positives[0] - true_positives
    precision = true_positives / np.maximum(1, true_positives + false_positives)
    recall = true_positives / np.maximum(1, true_positives + false_negatives)
    return np.stack([true_positives, false_positives, true_negatives, false_negatives]), precision, recall


def receiver_operating_characteristic(
    target: NDArray[np.bool_], scores: Vector, max_points: int
) -> tuple[Vector, Vector, float]:
    """Return false positive rates, true positive rates, and the area below, from (0, 0) to (1, 1).

    All scores are thresholds. Of many points, `max_points` are returned, evenly spaced along the curve; the area is
    that of all of them. If a class does not occur, its rates and the area are NaN.
    """
    order = np.argsort(-scores, kind="stable")
    positives = np.concatenate([[0], np.cumsum(target[order])])
    negatives = np.arange(len(scores) + 1) - positives
    descending = scores[order]
    last_of_equal = np.concatenate([[True], descending[1:] != descending[:-1], [True]])
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (counts[last_of_equal] / counts[-1] for counts in (negatives, positives))
    area = float(((x[1:] - x[:-1]) * (y[1:] + y[:-1])).sum() / 2)
    if len(x) > max_points:
        kept = np.unique(np.searchsorted(x + y, np.linspace(0, 2, max_points)).clip(0, len(x) - 1))
        x, y = x[kept], y[kept]
    return x, y, area
