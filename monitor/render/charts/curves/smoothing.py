"""A smoothed curve over a noisy one: where it helps, and what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.render.reduction.downsampling import Columns, DownsampledSeries

MIN_POINTS = 50  # with fewer, a smoothed curve hides more than it shows
MIN_TURNS = 0.3  # the share of points at which a noisy curve turns; that of pure noise is two thirds
MIN_NOISE = 0.01  # the mean difference of neighbors, as a share of the range
SPAN = 0.03  # the standard deviation of the kernel, as a share of the curve
REACH = 3  # standard deviations of the kernel to either side


def is_noisy(values: NDArray[np.float64]) -> bool:
    """Tell whether a curve goes up and down so much that a smoothed one shows more. NaN is left out."""
    finite = values[np.isfinite(values)]
    if len(finite) < MIN_POINTS:
        return False
    largest = float(np.abs(finite).max())
    if largest == 0:
        return False
    finite = finite / largest  # so that nothing overflows
    changes = np.diff(finite)
    low, high = np.quantile(finite, (0.02, 0.98))  # a spike is no range
    turns = np.count_nonzero(changes[1:] * changes[:-1] < 0)
    noise = float(np.median(np.abs(changes)))
    return bool(turns >= MIN_TURNS * (len(changes) - 1) and noise >= MIN_NOISE * (high - low) > 0)


def smoothed(series: DownsampledSeries) -> Columns:
    """Return the mean of the values around each bucket, weighted by a Gaussian over a few percent of the curve.

    It is computed from the means of the buckets, so it does not depend on which points are stored. Unlike an
    exponential average, it is not behind the curve.
    """
    columns, counts = series.means()
    sigma = max(1.0, SPAN * len(counts))
    offsets = np.arange(-int(REACH * sigma), int(REACH * sigma) + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    values = np.where(np.isfinite(columns.values), columns.values, 0.0)
    middle = slice(len(offsets) // 2, len(offsets) // 2 + len(counts))
    weights = np.convolve(counts, kernel)[middle]
    with np.errstate(over="ignore", invalid="ignore"):  # of the largest floats
        sums = np.convolve(counts * values, kernel)[middle]
        return columns._replace(values=sums / np.maximum(weights, 1e-300))
