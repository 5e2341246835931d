"""`monitor.compare`: runs side by side as an object, whose figures, page, and display in a notebook are the same."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.comparison import charts
from monitor.comparison.compare import (
    SYSTEM_PREFIX,
    ComparedRun,
    all_metrics,
    differing_settings,
    find_runs,
    load_run,
    main_metrics,
)
from monitor.comparison.event_data import read_curves
from monitor.comparison.groups import SPREADS, RunGroup, aggregate_metrics, group_runs, spread_note
from monitor.errors import DataError
from monitor.files import atomic_write
from monitor.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.comparison.event_data import OnError, RunCurves
    from monitor.render.charts.curves import ChartCurve
    from monitor.render.charts.style import Figure

MAX_CHARTS = 36  # of a page; the metrics that most runs share come first
NOTEBOOK_HEIGHT_PX = 760


class Comparison:
    """Runs side by side.

    In a notebook, the value of a cell is shown as the page that `save` writes.

    Attributes:
        runs: the runs.
        metrics: the metrics to compare by; the first is the main one.
        groups: the groups of runs, if they were grouped.
        rows: what is compared: the runs, or for each group its common settings and mean metrics.
        spread: what the bands of groups show.
        system_metrics: what was measured of the machine.
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
                raise DataError(f"no run has the metric {tag!r}; known: {', '.join(known[:50]) or 'none'}")
        self.metrics = list(metrics) or main_metrics(runs)
        self._is_chosen = bool(metrics)
        self.groups: list[RunGroup] = group_runs(runs, group_by, ignore) if group_by else []
        self.rows = [_row_of_group(group) for group in self.groups] or self.runs
        self.system_metrics = [tag for tag in known if tag.startswith(SYSTEM_PREFIX)]
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
        tags = list(dict.fromkeys(tags))[:MAX_CHARTS] + (self.system_metrics[:MAX_CHARTS] if with_system else [])
        return charts.charts(self.curves(tags))

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

    def to_html(self, title: str = "", step: int | None = None, *, is_report: bool = False) -> str:
        """Return one HTML page that loads nothing from elsewhere.

        Args:
            title: its heading; by default, the name of the run, or how many there are.
            step: show the latest pictures of each run up to this step; by default, the newest, with a slider.
            is_report: whether notes, config, system metrics, alerts, and changes of the code are included.
        """
        from monitor.comparison.page_builder import build_page

        default = self.runs[0].name if len(self.runs) == 1 else f"{len(self.runs)} runs"
        return build_page(self, title or default, step, is_report=is_report)

    def save(self, file: str | os.PathLike[str], title: str = "", step: int | None = None) -> None:
        """Write the page of `to_html`; an existing file is replaced when the new one is complete. Raises `OSError`."""
        atomic_write(Path(file), self.to_html(title, step))

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(run.name for run in self.runs[:10])}{' …' if len(self.runs) > 10 else ''}>"

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, for a notebook."""
        page = html.escape(self.to_html(), quote=True)
        style = f"width:100%;height:{NOTEBOOK_HEIGHT_PX}px;border:1px solid #ddd;border-radius:6px"
        return f'<iframe sandbox="allow-scripts allow-downloads" style="{style}" srcdoc="{page}"></iframe>'


def compare(
    *runs: str | os.PathLike[str] | Run | Iterable[str | os.PathLike[str] | Run],
    metrics: Sequence[str] = (),
    group_by: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    spread: str = "std",
    logdir: str | os.PathLike[str] = "runs",
) -> Comparison:
    """Compare runs; a notebook shows the result as a page, and `save` writes it.

    Args:
        runs: `Run` objects, paths, names of runs in `logdir`, or patterns such as `"mlp-*"`, also as lists.
        metrics: the metrics to compare by; by default, those with a goal that most runs share.
        group_by: settings by which runs are grouped, shown as one curve with a band; `"config"` stands for all.
        ignore: settings that do not separate groups, such as `"seed"`.
        spread: the band: `"std"`, `"sem"`, `"minmax"`, or `"quantiles"`.
        logdir: where runs are looked up by name.

    Raises:
        DataError: if a name matches no run, or no run has a metric or setting.
    """
    names: list[str] = []
    for entry in runs:
        several = [entry] if isinstance(entry, str | os.PathLike | Run) else list(entry)
        names += [str(one.path) if isinstance(one, Run) else os.fspath(one) for one in several]
    if not names:
        raise DataError("name at least one run")
    found = [load_run(name, path) for name, path in find_runs(names, Path(logdir)).items()]
    return Comparison(found, _texts(metrics), group_by=_texts(group_by), ignore=_texts(ignore), spread=spread)


def _texts(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _row_of_group(group: RunGroup) -> ComparedRun:
    """Return a group as if it were a run: the settings that its runs share, and its mean metrics."""
    first: dict[str, Any] = dict(group.runs[0].config)
    config = {name: value for name, value in first.items() if all(run.config.get(name) == value for run in group.runs)}
    count = len(group.runs)
    status = f"{count} run{'s' if count != 1 else ''}"
    return ComparedRun(group.name, group.runs[0].path, status, config, aggregate_metrics(group.runs))
