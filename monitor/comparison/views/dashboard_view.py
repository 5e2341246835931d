"""A comparison on a dashboard such as Visdom: one window per metric, kept up to date while the runs go on."""

from __future__ import annotations

import math
import time
from itertools import chain
from typing import TYPE_CHECKING

from monitor.comparison import charts
from monitor.comparison.compare import load_run
from monitor.comparison.event_data import find_index
from monitor.comparison.groups import group_runs
from monitor.events.reading.reader import EventReader
from monitor.records import Figure, Restart, Scalar
from monitor.render.charts.curves.chart import MAX_LEGEND_ABOVE, curve_chart
from monitor.render.charts.curves.curve import ChartCurve, curve_of
from monitor.render.charts.style import color
from monitor.render.charts.x_axes import Clock
from monitor.render.plotly_json import encode_figure
from monitor.render.reduction.downsampling import MAX_BUCKETS, DownsampledSeries
from monitor.render.text.names import distinct_names
from monitor.runs.listing import load
from monitor.runs.listing.series_folders import folders_of_series, series_reader, with_series_tags
from monitor.runs.run import Run
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from monitor.comparison.compare import ComparedRun
    from monitor.comparison.event_data import OnError
    from monitor.records import Record
    from monitor.render.charts.style import Figure as Chart
    from monitor.sinks.base import DashboardSink

PARALLEL_TAG = "settings"  # names the window of the parallel coordinates
WIDE_SIZE_PX = {"width": 560, "height": 320}  # with a legend beside the chart
HEIGHT_PX, LEGEND_LINE_PX = 300, 28  # of a window, with room for two lines of a legend above the chart
LEGEND_WIDTH_PX, SWATCH_PX, CHAR_PX = 340, 40, 6.5
MAX_SMOOTHED = 8  # runs; the curves of more are not seen apart with the raw ones behind
PARALLEL_SIZE_PX = {"width": 830, "height": 320}


class ComparisonView:
    """A page on a dashboard that shows each metric in one chart, with one curve per run, or per group of runs.

    The buttons of a chart are those of a run's own: steps, epochs, or time, smoothing, and a logarithmic axis.
    A dashboard that takes no figures gets the scalars of each run, under `METRIC/RUN`.
    """

    def __init__(
        self,
        sink: DashboardSink,
        tags: Iterable[str],
        title: str = "comparison",
        on_error: OnError = None,
        *,
        group_by: Sequence[str] = (),
        ignore: Sequence[str] = (),
        spread: str = "std",
    ) -> None:
        self._sink, self._tags, self._on_error = sink, list(dict.fromkeys(tags)), on_error
        self._draws = Figure in sink.accepts
        self._group_by, self._ignore, self._spread = group_by, ignore, spread
        self._readers: dict[str, EventReader] = {}
        self._below: dict[tuple[str, str], EventReader] = {}  # by run and folder
        self._series: dict[str, dict[str, DownsampledSeries]] = {}  # by run and tag
        self._starts: dict[str, float] = {}  # by run: the time of its first point
        self._shown: dict[str, str] = {}  # the figures that the sink has, by tag
        sink.open(Run(title, is_written=False))

    def update(self, runs: Mapping[str, Path]) -> None:
        """Show what is new in the runs' event files. Blocks; raises `OSError` if the server does not answer."""
        has_news = [self._read(name, path) for name, path in runs.items()]
        if self._draws and (any(has_news) or not self._shown):
            compared = [load_run(name, path, self._on_error) for name, path in runs.items()]
            if self._group_by:
                groups = group_runs(compared, self._group_by, self._ignore)
                curves = charts.group_curves(groups, self._tags, self._spread, self._on_error)
            else:
                clocks = [Clock(self._starts.get(name), _epochs(path)) for name, path in runs.items()]
                curves = {tag: self._curves(compared, clocks, tag) for tag in self._tags}
            for tag, own in curves.items():
                if own:
                    chart = curve_chart(tag, own)
                    chart["layout"] |= _size([curve.name for curve in own])
                    self._show(tag, chart)
            figure = None if self._group_by else charts.parallel(compared, self._tags)
            if figure is not None:
                figure["layout"] |= PARALLEL_SIZE_PX
                self._show(PARALLEL_TAG, figure)
        self._sink.flush()

    def _read(self, name: str, path: Path) -> bool:
        """Take in the new points of a run; tell whether there were any."""
        reader, has_news = self._readers.get(name), False
        self._series.setdefault(name, {})
        if reader is None:
            kinds = frozenset({Scalar, Restart})
            reader = EventReader(path, set(self._tags).__contains__, on_error=self._on_error, kinds=kinds)
            self._readers[name] = reader
            has_news = self._draws and self._take_index(name, path, reader)
        for batch in chain(reader.batches(), self._read_below(name, path)):
            has_news = True
            if not self._draws:
                for record in batch.records() if isinstance(batch, ScalarBlock) else batch:
                    self._pass_on(name.replace("/", "_"), record)  # the last part of a tag names its curve
            elif isinstance(batch, ScalarBlock):
                self._take_block(name, batch)
            else:
                self._take(name, batch)
        return has_news

    def _read_below(self, name: str, path: Path) -> Iterator[ScalarBlock]:
        """Yield what is new in the curves of `add_scalars`."""
        for folder, place in folders_of_series(path).items():
            if (name, folder) not in self._below:
                self._below[name, folder] = series_reader(folder, place, set(self._tags).__contains__, self._on_error)
            for batch in self._below[name, folder].batches():
                block = with_series_tags(folder, batch)
                if block is not None:
                    yield block

    def _take_block(self, name: str, block: ScalarBlock) -> None:
        for tag, steps, values, times in block.series():
            if tag in self._tags:
                self._series[name].setdefault(tag, DownsampledSeries()).extend(steps, values, times)
                self._note_start(name, float(times.min()))

    def _take(self, name: str, records: Iterable[Record]) -> None:
        for record in records:
            if isinstance(record, Restart):
                for curve in self._series[name].values():
                    curve.restart(record.step)
            elif isinstance(record, Scalar):
                series = self._series[name].setdefault(record.tag, DownsampledSeries())
                series.add(record.step, record.value, record.time)
                self._note_start(name, record.time)

    def _take_index(self, name: str, path: Path, reader: EventReader) -> bool:
        """Take the curves of a run from its index, and let the reader go on behind it; tell whether there is one."""
        index = find_index(path, set(self._tags))
        if index is None or index.max_buckets < MAX_BUCKETS:
            return False
        self._series[name] |= {tag: index.timed_series(tag) for tag in self._tags if tag in index.last}
        reader.skip(index.offsets, index.tensor_tags)
        clock = index.clock.series.columns().values
        if len(clock):
            self._note_start(name, float(clock[0]))
        return True

    def _note_start(self, name: str, time: float) -> None:
        self._starts[name] = min(time, self._starts.get(name, time))

    def _pass_on(self, curve: str, record: Record) -> None:
        if isinstance(record, Restart):
            self._sink.forget(curve, record.step)
        elif isinstance(record, Scalar):
            self._sink.write([record._replace(tag=f"{record.tag}/{curve}")])

    def _curves(self, runs: Sequence[ComparedRun], clocks: Sequence[Clock], tag: str) -> list[ChartCurve]:
        is_smoothed = len(runs) <= MAX_SMOOTHED
        curves = []
        for number, (run, clock) in enumerate(zip(runs, clocks)):
            series = self._series[run.name].get(tag)
            if series is not None:
                curve = curve_of(run.name, series, color(number), clock, number=number, is_smoothed=is_smoothed)
                changes = charts.change_marks(run.changes, int(curve.x[-1])) if len(curve.x) else ()
                curves.append(curve._replace(changes=changes))
        return curves

    def _show(self, tag: str, figure: Chart) -> None:
        content = encode_figure(figure)
        if self._shown.get(tag) != content:
            self._sink.write([Figure(tag, b"", 0, time.time(), content)])
            self._shown[tag] = content


def _size(names: Sequence[str]) -> dict[str, int]:
    """Return the size of a window in which the legend leaves the chart its height; nothing for the usual one."""
    if len(names) > MAX_LEGEND_ABOVE:
        return WIDE_SIZE_PX
    longest = max(map(len, distinct_names(names)))
    lines = math.ceil(len(names) / max(1, int(LEGEND_WIDTH_PX / (SWATCH_PX + CHAR_PX * longest))))
    return {"height": HEIGHT_PX + (lines - 2) * LEGEND_LINE_PX} if lines > 2 else {}


def _epochs(run: Path) -> tuple[list[float], list[float]] | None:
    """Return the steps and epochs of a run, if its program said how many it has."""
    progress = load(run).progress
    steps, epochs = progress.get("steps"), progress.get("epochs")
    return ([0.0, float(steps)], [0.0, float(epochs)]) if steps and epochs else None
