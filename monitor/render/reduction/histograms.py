"""Counts in bins of equal width, of any finite floats: huge, tiny, or all the same; or of buckets of any widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EQUAL = 1e-3  # widths that differ by a smaller share are the same


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


def even_bins(
    counts: NDArray[np.float64], edges: NDArray[np.float64], max_bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribute the counts of unequal buckets over bins of equal width, so that heights are densities.

    A bucket's values are taken to be spread evenly over it. TensorBoard's page does the same. The buckets of most
    writers grow with the distance from 0: drawn as they are, values that are spread evenly would look like a V.

    Args:
        counts: of K buckets.
        edges: their K + 1 edges, ascending; two may be the same.
        max_bins: the number of bins.

    Returns:
        The counts of the bins, which have the same sum, and their edges; the buckets themselves if their widths are the
        same already.
    """
    widths = np.diff(edges / 4)  # a quarter, because the range of all may overflow
    if not len(widths) or np.ptp(widths) <= EQUAL * widths.max():
        return counts, edges
    even = np.linspace(edges[0] / 4, edges[-1] / 4, max_bins + 1)
    if not (np.diff(even) > 0).all():  # the range is too narrow for any bins
        return np.array([counts.sum()]), edges[[0, -1]]
    below = np.interp(even, edges / 4, np.concatenate([[0.0], np.cumsum(counts)]))
    below[0], below[-1] = 0.0, counts.sum()  # also what lies in a bucket of no width at an end
    return np.diff(below), even * 4
