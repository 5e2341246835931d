"""Runs, or groups of runs, side by side: what is compared, and the figures that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.comparison import charts
from monitor.comparison.compare import (
    ComparedRun,
    all_metrics,
    differing_settings,
    main_metrics,
)
from monitor.comparison.event_data import find_tags, read_curves
from monitor.comparison.groups import SPREADS, RunGroup, aggregate_metrics, group_runs, spread_note
from monitor.errors import DataError
from monitor.metrics import SYSTEM_PREFIX
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.comparison.event_data import OnError, RunCurves
    from monitor.render.charts.curves.curve import ChartCurve
    from monitor.render.charts.style import Figure

MAX_CHARTS = 36  # of a page; the metrics that most runs share come first


class SideBySide:
    """Runs side by side.

    Attributes:
        runs: the runs.
        metrics: the metrics to compare by; the first is the main one.
        groups: the groups of runs, if they were grouped.
        rows: what is compared: the runs, or for each group its common settings and mean metrics.
        spread: what the bands of groups show.
        on_error: called for an event file that cannot be read, which is then left out.
    """

    def __init__(
        self,
        runs: Sequence[ComparedRun],
        metrics: Sequence[str] = (),
        *,
        group_by: Sequence[str] = (),
        ignore: Sequence[str] = (),
        spread: str = "std",
        on_error: OnError = None,
    ) -> None:
        """Group the runs; no event file is read yet.

        Raises `DataError` for a metric or a setting that no run has, or an unknown `spread`.
        """
        if spread not in SPREADS:
            raise DataError(f"spread is {', '.join(SPREADS)}; not {spread!r}")
        self.runs, self.on_error, self.spread = list(runs), on_error, spread
        known = sorted({tag for run in runs for tag in run.metrics})
        for tag in metrics:
            if tag not in known:
                raise DataError(f"no run has {tag!r}{hint(tag, known)}")
        self.metrics = list(metrics) or main_metrics(runs)
        self._is_chosen = bool(metrics)
        self.groups: list[RunGroup] = group_runs(runs, group_by, ignore) if group_by else []
        self.rows = [_row_of_group(group) for group in self.groups] or self.runs
        self._read: list[RunCurves] | None = None
        self._curves: dict[str, list[ChartCurve]] = {}

    def curves(self, tags: Sequence[str]) -> dict[str, list[ChartCurve]]:
        """Return the curves of each metric, one per row. Blocks while it reads what was not read yet."""
        missing = [tag for tag in tags if tag not in self._curves]
        if self.groups:
            if missing:
                self._curves |= charts.group_curves(self.groups, missing, self.spread, self.on_error)
        elif missing or self._read is None:
            found, read = charts.run_curves(self.runs, missing, self.on_error)
            self._curves |= found
            self._read = self._read or read
        return {tag: self._curves[tag] for tag in tags}

    def figures(self, *, with_system: bool = False) -> dict[str, Figure]:
        """Return a figure of Plotly for each metric, as a dictionary with `data` and `layout`.

        Blocks while it reads the event files; raises `OSError` if one cannot be read. `plotly.graph_objects.Figure`
        takes each of them.
        """
        tags = self.metrics if self._is_chosen else [*self.metrics, *all_metrics(self.runs)]
        tags = list(dict.fromkeys(tags))[:MAX_CHARTS] + (self._system_metrics() if with_system else [])
        return charts.charts(self.curves(tags))

    def _system_metrics(self) -> list[str]:
        """Return the metrics of the machine, which only the event files name. Blocks while it reads them."""
        tags = {tag for run in self.runs for tag in find_tags(run.path, SYSTEM_PREFIX, self.on_error)}
        return sorted(tags)[:MAX_CHARTS]

    def parallel(self) -> Figure | None:
        """Return the parallel coordinates of the settings that differ, or None if none differ."""
        return charts.parallel(self.rows, self.metrics)

    def row_of_run(self) -> list[int]:
        """Return for each run the number of its row."""
        if not self.groups:
            return list(range(len(self.runs)))
        rows = {run.name: number for number, group in enumerate(self.groups) for run in group.runs}
        return [rows[run.name] for run in self.runs]

    def clocks(self) -> list[tuple[ComparedRun, RunCurves]]:
        """Return for each row a run and what maps its steps to times: the run itself, or the first of the group."""
        if self.groups:
            runs = [group.runs[0] for group in self.groups]
            return [(run, read_curves(run.path, self.metrics[:1], self.on_error)) for run in runs]
        self.curves(self.metrics)
        return list(zip(self.runs, self._read or []))

    def subtitle(self) -> str:
        """Return what is compared, in a few words."""
        settings = len(differing_settings(self.rows))
        parts = [f"{len(self.runs)} run{'s' if len(self.runs) != 1 else ''}"]
        parts += [f"{len(self.groups)} groups"] if self.groups else []
        parts += [f"{settings} setting{'s' if settings != 1 else ''} differ{'s' if settings == 1 else ''}"]
        return " · ".join(parts if len(self.rows) > 1 else parts[:1])

    def note(self) -> str:
        """Return what the bands show, or nothing."""
        return f"Bands: {spread_note(self.spread)} over the runs of a group." if self.groups else ""


def _row_of_group(group: RunGroup) -> ComparedRun:
    """Return a group as if it were a run: the settings that its runs share, and its mean metrics."""
    count = len(group.runs)
    status = f"{count} run{'s' if count != 1 else ''}"
    return ComparedRun(group.name, group.runs[0].path, status, group.config, aggregate_metrics(group.runs))
