"""Counts of values in equal buckets, for any finite floats: huge, tiny, or all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bin_counts(values: NDArray[np.float64], max_bins: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the counts of finite `values` and the edges between their buckets, one more; none for no values."""
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0)
    lowest, highest = float(values.min()), float(values.max())
    scale = 4.0 if not np.isfinite(highest - lowest) else 1.0  # a range beyond the floats is counted at a quarter
    try:
        counts, edges = np.histogram(values / scale, bins=min(max_bins, max(10, int(len(values) ** 0.5))))
    except ValueError:  # so narrow a range that there are no floats between
        return np.array([len(values)]), np.array([lowest, np.nextafter(highest, np.inf)])
    return counts, edges * scale
