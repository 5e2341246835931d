"""Count values in bins of equal width, for any finite floats: huge, tiny, or all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bin_counts(values: NDArray[np.float64], max_bins: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count finite values in bins of equal width.

    Args:
        values: a flat array; it may be empty.
        max_bins: the highest number of bins; fewer are used for few values.

    Returns:
        The counts of K bins and their K + 1 edges; two empty arrays if there are no values.
    """
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0)
    lowest, highest = float(values.min()), float(values.max())
    scale = 4.0 if not np.isfinite(highest - lowest) else 1.0  # a range that overflows float64 is scaled down
    try:
        counts, edges = np.histogram(values / scale, bins=min(max_bins, max(10, int(len(values) ** 0.5))))
    except ValueError:  # the range is too narrow for any bins
        return np.array([len(values)]), np.array([lowest, np.nextafter(highest, np.inf)])
    return counts, edges * scale
