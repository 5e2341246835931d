"""The notebook sink: the curves of a run in the output of one cell, kept up to date while the run goes on."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from monitor.metrics import is_system, sort_key
from monitor.records import Progress, Record, Scalar
from monitor.render.charts.curves.chart import curve_chart
from monitor.render.charts.curves.curve import ChartCurve
from monitor.render.charts.grid import chart_grid
from monitor.render.charts.grouping import place_of
from monitor.render.charts.style import color
from monitor.render.plotly_json import encode_figure
from monitor.render.reduction.downsampling import DownsampledSeries
from monitor.render.text.escaping import escape_control_chars
from monitor.render.text.live_table import live_table
from monitor.sinks.base import Sink
from monitor.sinks.registry import default_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.runs.run import Run
    from monitor.scalar_block import ScalarBlock

log = logging.getLogger("monitor")

MAX_CHARTS = 9
MAX_CURVES = 16  # of a chart
MAX_BUCKETS = 96  # of a curve: a chart of the output is some 300 pixels wide
MAX_TAGS = 1000
PLOTLY_TYPE = "application/vnd.plotly.v1+json"


class NotebookSink(Sink):
    """Show the curves of the run below the cell that makes the sink: in Jupyter, VS Code, Colab, and the like.

    Those of the machine, such as `system/cpu_percent`, are left to the dashboards. Elsewhere than in a notebook, it
    shows nothing, and says so once.
    """

    name = "notebook"
    accepts = frozenset({Scalar, Progress})
    interval = 1.0
    max_interval = 10.0

    def __init__(self, show: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Take the place in the output of the current cell.

        `show` is called with the output as a MIME bundle, whenever it changes; by default, it is the notebook's.
        """
        self._show = _notebook_output() if show is None else show
        self._series: dict[str, DownsampledSeries] = {}
        self._title, self._progress, self._changed = "", "", False

    def open(self, run: Run) -> None:
        """Take the title from the run."""
        self._title = run.name

    def recall(self, records: Sequence[Record]) -> None:
        """Take in the earlier curves."""
        self.write([record for record in records if isinstance(record, Scalar)])

    def write(self, records: Sequence[Record]) -> None:
        """Take in the records. Nothing is drawn yet."""
        for record in records:
            if isinstance(record, Scalar):
                series = self._series_of(record.tag)
                if series is not None:
                    series.add(record.step, record.value)
            elif isinstance(record, Progress):
                self._progress = f"epoch {record.epoch} of {record.epochs} · step {record.step:,} of {record.steps:,}"
        self._changed = True

    def write_scalars(self, block: ScalarBlock) -> None:
        """Take in the scalars. Nothing is drawn yet."""
        for tag, steps, values, _ in block.series():
            series = self._series_of(tag)
            if series is not None:
                series.extend(steps, values)
        self._changed = True

    def flush(self) -> None:
        """Draw what changed."""
        if self._changed and self._show is not None:
            self._show(self._bundle())
        self._changed = False

    def close(self) -> None:
        """Do nothing: the output stays."""

    def _series_of(self, tag: str) -> DownsampledSeries | None:
        series = self._series.get(tag)
        if series is None and len(self._series) < MAX_TAGS and not is_system(tag):
            series = self._series[tag] = DownsampledSeries(MAX_BUCKETS)
        return series

    def _bundle(self) -> dict[str, Any]:
        """Return the output: a figure, and a table for where figures of Plotly are not shown."""
        title = f"{self._title} · {self._progress}" if self._progress else self._title
        tags = sorted(self._series, key=sort_key)
        points = {tag: self._series[tag].points() for tag in tags[: 2 * MAX_CHARTS]}
        places = {tag: place_of(tag, self.charts) for tag in tags}
        by_chart: dict[str, list[str]] = {}
        for tag, place in places.items():
            by_chart.setdefault(place.chart, []).append(tag)
        charts = {}
        for name, own in list(by_chart.items())[:MAX_CHARTS]:
            shown = own[:MAX_CURVES]
            named = [places[tag].curve for tag in shown]
            curves = [
                ChartCurve(
                    curve if named.count(curve) == 1 else tag,
                    *self._series[tag].points(),
                    color(number),
                    first_non_finite=self._series[tag].first_non_finite,
                )
                for number, (tag, curve) in enumerate(zip(shown, named))
            ]
            charts[own[0] if len(own) == 1 else name] = curve_chart(name, curves)
        bundle: dict[str, Any] = {
            "text/plain": escape_control_chars(title), "text/html": live_table(title, points),
        }  # fmt: skip
        if charts:
            bundle[PLOTLY_TYPE] = json.loads(encode_figure(chart_grid(charts)))
        return bundle


def _notebook_output() -> Callable[[dict[str, Any]], None] | None:
    """Make an output in the current cell, and return what replaces it; None outside of a notebook."""
    if "notebook" not in default_specs():
        log.warning("notebook: this process is no notebook's, so nothing is shown")
        return None
    from IPython.display import display

    handle = display({"text/plain": "waiting for the first values"}, raw=True, display_id=True)

    def show(bundle: dict[str, Any]) -> None:
        handle.update(bundle, raw=True)

    return show
