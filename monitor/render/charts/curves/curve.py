"""One curve of a chart: its points, its look, and what maps them to other x axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monitor.render.charts.curves.smoothing import is_noisy, smoothed
from monitor.render.charts.x_axes import Clock, local_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.render.charts.curves.changes import ChangeMark
    from monitor.render.reduction.downsampling import DownsampledSeries

THIN, MEDIUM, THICK = 1.2, 1.8, 2.6  # widths of lines, in pixels
SINGLE_PRECISION = 1e-3  # values that differ by this share of the largest are told apart in float32


class Band(NamedTuple):
    """What surrounds a curve that stands for several runs, by point.

    Attributes:
        lower: the lower end.
        upper: the upper end.
        counts: how many runs have a value.
    """

    lower: list[float | None]
    upper: list[float | None]
    counts: list[int]


class Smooth(NamedTuple):
    """A smoothed curve.

    Attributes:
        x: the steps.
        y: the values.
        times: milliseconds of the local time, or None.
    """

    x: Any
    y: Any
    times: Any


class ChartCurve(NamedTuple):
    """One curve of a chart.

    Attributes:
        name: what the legend calls it.
        x: the steps, a list or an array.
        y: the values, a list or an array; None or NaN is a gap.
        color: such as `#1f77b4`.
        number: the number of the run, by which a page shows and hides it.
        band: what surrounds it, if it stands for several runs.
        first_non_finite: step and value of the first NaN or infinity.
        times: milliseconds of the local time of each point, int64; None if they are not known.
        width: of the line, in pixels.
        smooth: a smoothed curve that is drawn over this one.
        clock: what maps the points to other x axes.
        changes: what was changed in this run while it was trained.
    """

    name: str
    x: Any
    y: Any
    color: str
    number: int = 0
    band: Band | None = None
    first_non_finite: tuple[int, float] | None = None
    times: NDArray[np.int64] | None = None
    width: float = MEDIUM
    smooth: Smooth | None = None
    clock: Clock = Clock()
    changes: Sequence[ChangeMark] = ()


def curve_of(
    name: str,
    series: DownsampledSeries,
    color: str,
    clock: Clock,
    *,
    number: int = 0,
    width: float = MEDIUM,
    is_smoothed: bool = True,
) -> ChartCurve:
    """Return the curve of a series, as arrays, with its times, and with a smoothed one if it is noisy."""
    steps, values, seconds = series.columns()
    has_times = clock.start is not None and len(seconds) > 0 and bool(seconds.min() > 0)
    smooth = None
    if is_smoothed and is_noisy(values):
        x, y, middle = smoothed(series)
        smooth = Smooth(np.round(x, 1), _short(y), local_ms(middle) if has_times else None)
    times = local_ms(seconds) if has_times else None
    return ChartCurve(
        name, steps, _short(values), color, number, None, series.first_non_finite, times, width, smooth, clock
    )


def _short(values: NDArray[np.float64]) -> NDArray[Any]:
    """Return values in single precision, whose digits are half as many, unless that would hide how they differ."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return values
    largest = float(np.abs(finite).max())
    is_told_apart = float(finite.max()) - float(finite.min()) >= SINGLE_PRECISION * largest
    return values.astype(np.float32) if is_told_apart and 1e-30 < largest < 1e30 else values
