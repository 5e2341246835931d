"""The curves of one run, bounded, by the chart that shows them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitor.metrics import is_system
from monitor.render.charts.curves.chart import curve_chart
from monitor.render.charts.curves.curve import MEDIUM, THICK, THIN, ChartCurve, curve_of
from monitor.render.charts.grouping import ChartPlace, ChartRules, place_of
from monitor.render.charts.style import color
from monitor.render.charts.x_axes import Clock
from monitor.render.reduction.downsampling import MAX_BUCKETS, DownsampledSeries
from monitor.render.text.escaping import escape_control_chars
from monitor.sinks.visdom.windows import PLOT_SIZE_PX, WIDE_PLOT_SIZE_PX, Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.records import Progress
    from monitor.render.charts.curves.changes import ChangeMark

MAX_BUCKETS_OF_CHART = 1024  # of all its curves together, unless they are very many
MIN_BUCKETS = 16  # of a curve
MAX_SMOOTHED = 4  # curves of a chart; more of them with raw ones behind are not seen apart
MAX_WITH_SIDE_LEGEND = 6  # curves whose legend has room above the chart
TRAINING = ("train", "training")
SPLIT_COLORS = {"train": 0, "training": 0, "test": 1, "eval": 1, "val": 4, "valid": 4, "validation": 4}
EPOCH_TAG = "epoch"  # under which some frameworks log at which epoch a step is
MAX_EPOCH_POINTS = 64
MAX_CHANGES = 50  # that are marked, the newest


class _Trace(NamedTuple):
    """One curve: the tag, its place, and its points."""

    tag: str
    place: ChartPlace
    series: DownsampledSeries


class CurveState:
    """The charts of a run. A chart has a name, such as `loss`, and a curve per tag, such as `train`.

    Attributes:
        rules: the charts that the user names.
    """

    def __init__(self) -> None:
        self.rules: ChartRules = {}
        self._charts: dict[str, dict[str, _Trace]] = {}  # by name, by tag
        self._traces: dict[str, _Trace] = {}  # by tag
        self._changes: deque[ChangeMark] = deque(maxlen=MAX_CHANGES)
        self._start: float | None = None  # when the first point was logged, in seconds since the epoch
        self._epochs: tuple[list[float], list[float]] | None = None  # steps, and the epochs that are then done

    def add(self, tag: str, step: int, value: float, time: float) -> str:
        """Take in a point; return the name of the chart that changed."""
        trace = self._traces.get(tag) or self._add_trace(tag)
        trace.series.add(step, value, time)
        self._note_start(time)
        return trace.place.chart

    def extend(
        self, tag: str, steps: NDArray[np.int64], values: NDArray[np.float64], times: NDArray[np.float64]
    ) -> str:
        """Take in points; return the name of the chart that changed."""
        trace = self._traces.get(tag) or self._add_trace(tag)
        trace.series.extend(steps, values, times)
        if len(times):
            self._note_start(float(times[0]))
        return trace.place.chart

    def note_progress(self, progress: Progress) -> None:
        """Learn from the progress of the training how many steps an epoch has."""
        if progress.steps > 0 and progress.epochs > 0:
            self._epochs = [0.0, float(progress.steps)], [0.0, float(progress.epochs)]

    def note_change(self, change: ChangeMark) -> list[str]:
        """Mark a change of the training in all charts but those of the machine; return their names."""
        self._changes.append(change)
        return [name for name in self._charts if not self._is_of_system(name)]

    def restart(self, step: int) -> list[str]:
        """Remove the points at `step` and above; return the names of the charts that changed."""
        self._changes = deque([change for change in self._changes if change.step < step], MAX_CHANGES)
        for trace in self._traces.values():
            trace.series.restart(step)
        return list(self._charts)

    def forget(self, name: str, step: int) -> list[str]:
        """Remove the points at `step` and above of all tags that end in `/name`; return the changed charts."""
        found = [trace for tag, trace in self._traces.items() if tag.endswith(f"/{name}")]
        for trace in found:
            trace.series.restart(step)
        return list(dict.fromkeys(trace.place.chart for trace in found))

    def drop(self, name: str) -> str:
        """Remove a chart; return what it is called in messages."""
        del self._charts[name]
        self._traces = {tag: trace for tag, trace in self._traces.items() if trace.place.chart != name}
        return f"the window of the scalars {name!r}"

    def message(self, name: str) -> Message:
        """Draw a chart."""
        traces = sorted(self._charts[name].values(), key=lambda trace: trace.place.split not in TRAINING)
        is_of_system = self._is_of_system(name)
        curves = self._curves(traces)
        is_named = len(curves) != 1 or curves[0].name in name.split("/")  # by the legend, or by the title
        y_title = "" if is_named else curves[0].name
        changes = () if is_of_system else tuple(self._changes)
        figure = curve_chart(name, curves, "seconds" if is_of_system else "step", y_title, changes)
        size = WIDE_PLOT_SIZE_PX if len(traces) > MAX_WITH_SIDE_LEGEND else PLOT_SIZE_PX
        return {**figure, "opts": {"title": escape_control_chars(name), **size}}

    def _curves(self, traces: list[_Trace]) -> list[ChartCurve]:
        names = [trace.place.curve for trace in traces]
        if len(set(names)) < len(names):
            names = [trace.tag for trace in traces]
        clock = Clock(self._start, self._epochs or self._logged_epochs())
        by_split = [SPLIT_COLORS.get(trace.place.split) for trace in traces]
        is_by_split = None not in by_split and len(set(by_split)) == len(traces)
        curves = []
        for number, (trace, name) in enumerate(zip(traces, names)):
            split = trace.place.split
            width = MEDIUM if not split else THIN if split in TRAINING else THICK
            shade = color(SPLIT_COLORS[split] if is_by_split else number)
            is_smoothed = len(traces) <= MAX_SMOOTHED
            curves.append(curve_of(name, trace.series, shade, clock, width=width, is_smoothed=is_smoothed))
        return curves

    def _logged_epochs(self) -> tuple[list[float], list[float]] | None:
        """Return the epochs that the program logs itself, if it does."""
        trace = self._traces.get(EPOCH_TAG)
        if trace is None:
            return None
        columns = trace.series.columns()
        known = np.isfinite(columns.values)
        steps, at = np.unique(columns.steps[known], return_index=True)
        epochs = columns.values[known][at]
        if len(steps) < 2:
            return None
        chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MAX_EPOCH_POINTS)).astype(int))
        return steps[chosen].tolist(), epochs[chosen].tolist()

    def _is_of_system(self, name: str) -> bool:
        return all(map(is_system, self._charts[name]))

    def _note_start(self, time: float) -> None:
        if time > 0 and (self._start is None or time < self._start):
            self._start = time

    def _add_trace(self, tag: str) -> _Trace:
        """Add the curve of a tag to its chart. The more curves a chart has, the fewer points each of them gets."""
        place = place_of(tag, self.rules)
        chart = self._charts.setdefault(place.chart, {})
        trace = _Trace(tag, place, DownsampledSeries())
        chart[tag] = self._traces[tag] = trace
        most = max(MIN_BUCKETS, min(MAX_BUCKETS, MAX_BUCKETS_OF_CHART // len(chart)))
        for other in chart.values():
            other.series.limit(most)
        return trace
