"""The charts of a comparison: one per metric, with one curve per run or per group of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.comparison.compare import ComparedRun, differing_settings
from monitor.comparison.event_data import RunCurves, read_curves, read_points
from monitor.comparison.groups import RunGroup, aggregate
from monitor.metrics import is_system
from monitor.render.charts.curves.changes import ChangeMark
from monitor.render.charts.curves.chart import curve_chart
from monitor.render.charts.curves.curve import Band, ChartCurve
from monitor.render.charts.parallel import ParallelRun, parallel_chart
from monitor.render.charts.style import color
from monitor.render.reduction.downsampling import MAX_BUCKETS, DownsampledSeries
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.comparison.event_data import OnError
    from monitor.comparison.groups import Aggregate
    from monitor.render.charts.style import Figure as Chart
    from monitor.steering.changes import Change

MAX_POINTS = 40_000  # of all charts together
POINTS_PER_BUCKET = 4
MIN_BUCKETS = 16
MAX_CHANGES = 50  # that are marked in a curve, the newest
MIN_PARALLEL_RUNS = 3  # two are seen in the table


def buckets(curves: int) -> int:
    """Return the number of buckets per curve with which so many curves fit on one page."""
    return max(MIN_BUCKETS, min(MAX_BUCKETS, MAX_POINTS // (POINTS_PER_BUCKET * max(1, curves))))


def run_curves(
    runs: Sequence[ComparedRun], tags: Sequence[str], on_error: OnError = None
) -> tuple[dict[str, list[ChartCurve]], list[RunCurves]]:
    """Return the curves of each metric, and what was read of each run. Blocks while it reads the event files."""
    size = buckets(len(runs) * len(tags))
    read = [read_curves(run.path, tags, on_error, size) for run in runs]
    curves: dict[str, list[ChartCurve]] = {tag: [] for tag in tags}
    for index, (run, found) in enumerate(zip(runs, read)):
        for tag in tags:
            if found.series[tag].count:
                curve = series_curve(run.name, index, found.series[tag])
                changes = () if is_system(tag) else change_marks(run.changes, curve.x[-1])
                curves[tag].append(curve._replace(changes=changes))
    return curves, read


def series_curve(name: str, index: int, series: DownsampledSeries) -> ChartCurve:
    """Return the curve of a run, whose number chooses the color."""
    x, y = series.points()
    return ChartCurve(name, x, y, color(index), index, first_non_finite=series.first_non_finite)


def change_marks(changes: Sequence[Change], last_step: int) -> list[ChangeMark]:
    """Return the marks of the newest changes, without those that are planned for a step behind the last one."""
    made = [change for change in changes if change.step <= last_step]
    return [ChangeMark(change.step, change.time, str(change)) for change in made[-MAX_CHANGES:]]


def group_curves(
    groups: Sequence[RunGroup], tags: Sequence[str], spread: str = "std", on_error: OnError = None
) -> dict[str, list[ChartCurve]]:
    """Return the curves of each metric, with a band around each. Blocks while it reads the event files."""
    size = buckets(len(groups) * len(tags))
    curves: dict[str, list[ChartCurve]] = {tag: [] for tag in tags}
    for index, group in enumerate(groups):
        for tag, found in group_aggregates(group, tags, spread, on_error).items():
            if len(found.steps):
                curves[tag].append(aggregate_curve(group.name, index, found, size))
    return curves


def group_aggregates(
    group: RunGroup, tags: Sequence[str], spread: str, on_error: OnError = None
) -> dict[str, Aggregate]:
    """Return center and band of each metric of a group. Blocks while it reads the event files."""
    read = [read_points(run.path, tags, on_error) for run in group.runs]
    return {tag: aggregate([points[tag] for points in read if len(points[tag][0])], spread) for tag in tags}


def aggregate_curve(name: str, index: int, found: Aggregate, max_buckets: int) -> ChartCurve:
    """Return the downsampled curve of a group, in which the extrema of center and band are kept."""
    positions = np.arange(len(found.steps))
    kept: set[int] = set()
    for values in (found.center, found.lower, found.upper):
        series = DownsampledSeries(max(1, max_buckets // 3))
        series.extend(positions, values)
        kept.update(series.points()[0])
    at = np.array(sorted(kept), np.intp)
    band = Band(_plain(found.lower[at]), _plain(found.upper[at]), found.counts[at].tolist())
    return ChartCurve(name, found.steps[at].tolist(), _plain(found.center[at]), color(index), index, band)


def charts(curves: Mapping[str, Sequence[ChartCurve]]) -> dict[str, Chart]:
    """Return a figure for each metric that has a curve."""
    return {tag: curve_chart(tag, own) for tag, own in curves.items() if own}


def parallel(runs: Sequence[ComparedRun], tags: Sequence[str]) -> Chart | None:
    """Return the parallel coordinates of the settings that differ; None if there is nothing to see."""
    settings = differing_settings(runs)
    if len(runs) < MIN_PARALLEL_RUNS or not settings or not tags:
        return None
    lines = [
        ParallelRun(run.name, run.config, best_or_last(run.metrics.get(tags[0], {})), color(index), index)
        for index, run in enumerate(runs)
    ]
    return parallel_chart(tags[0], settings, lines)


def best_or_last(entry: Mapping[str, Any]) -> float | None:
    """Return the best value of a metric, or the last one if it has no goal; None if that is not finite."""
    value = parse_number(entry.get("best", entry.get("last")))
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
