"""The range of y values that shows what curves do, even if some of them have spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.render.charts.style import array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

QUANTILES = (0.02, 0.98)  # of a curve: its core, which is always shown
MARGIN_SPANS = 1.5  # spans of the core beyond it that are shown, where there are values
START_SPANS = 20  # for the first values of a curve, which are often high without being a spike
START_RATIO = 3  # of at least four curves: how far the first values of one go, compared with those of most
FEW = 0.02  # the share of a curve's first points that count as its start, at least one
CUT_FROM = 3.0  # the full range is at least this many times the shown one; otherwise nothing is cut
MIN_POINTS = 20  # of all curves together
PADDING = 0.06  # of the range, above and below


def robust_range(curves: Sequence[Sequence[float | None]]) -> tuple[float, float] | None:
    """Return the range of y that shows the curves, or None if nothing needs to be cut.

    A few values far from the others, or one curve of at least four that is far from them, are outside of it.
    """
    arrays = [values[np.isfinite(values)] for values in map(array, curves)]
    arrays = [values for values in arrays if len(values)]
    if sum(map(len, arrays)) < MIN_POINTS:
        return None
    cores = np.array([np.quantile(values, QUANTILES) for values in arrays])
    cores = cores[_is_near(cores)]
    low, high = float(cores[:, 0].min()), float(cores[:, 1].max())
    span = high - low
    if not span > 0:
        return None
    shown_low, shown_high = low, high
    starts = [values[: max(1, int(len(values) * FEW))] for values in arrays]
    rooms = ((low - MARGIN_SPANS * span, high + MARGIN_SPANS * span), _room_for_starts(starts, low, high))
    for parts in zip(arrays, starts):
        for part, (lowest, highest) in zip(parts, rooms):
            near = part[(part >= lowest) & (part <= highest)]
            if len(near):
                shown_low, shown_high = min(shown_low, float(near.min())), max(shown_high, float(near.max()))
    full = max(float(values.max()) for values in arrays) - min(float(values.min()) for values in arrays)
    if not full > CUT_FROM * (shown_high - shown_low):
        return None
    padding = PADDING * (shown_high - shown_low)
    return shown_low - padding, shown_high + padding


def _room_for_starts(starts: Sequence[NDArray[np.float64]], low: float, high: float) -> tuple[float, float]:
    """Return how far the first values of curves are shown whose cores are between `low` and `high`."""
    room = START_SPANS * (high - low)
    lowest, highest = low - room, high + room
    if len(starts) >= 4:
        lowest = max(lowest, high - START_RATIO * (high - float(np.median([start.min() for start in starts]))))
        highest = min(highest, low + START_RATIO * (float(np.median([start.max() for start in starts])) - low))
    return lowest, highest


def _is_near(cores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell for each curve's core whether it is near those of most curves."""
    if len(cores) < 4:
        return np.ones(len(cores), np.bool_)
    span = float(np.median(cores[:, 1] - cores[:, 0]))
    low, high = float(np.median(cores[:, 0])), float(np.median(cores[:, 1]))
    room = 5 * max(span, high - low)
    near: NDArray[np.bool_] = (cores[:, 1] <= high + room) & (cores[:, 0] >= low - room)
    return near if near.any() and room > 0 else np.ones(len(cores), np.bool_)
