"""Project points of many dimensions into three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DIMENSIONS = 2048  # of which the covariances are computed; further ones are left out


def project(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return N×D points as N×3, along the directions in which they differ most (PCA); N×1 to N×3 stay as they are.

    Points of one dimension become N×2, with their number as the other coordinate. NaN and infinity count as 0.
    """
    points = np.nan_to_num(vectors[:, :MAX_DIMENSIONS].astype(np.float64), nan=0, posinf=0, neginf=0)
    if points.shape[1] == 1:
        return np.column_stack([np.arange(len(points)), points])
    if points.shape[1] <= 3:
        return points
    points = points - points.mean(axis=0)
    points /= max(float(np.abs(points).max()), np.finfo(np.float64).tiny)  # squares of huge numbers overflow
    _, directions = np.linalg.eigh(points.T @ points)  # in the order of rising variance
    projected: NDArray[np.float64] = points @ directions[:, :-4:-1]
    return projected
