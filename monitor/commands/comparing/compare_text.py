"""A comparison in the terminal: two tables, and a plot of the main metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.commands.base import as_text
from monitor.comparison.compare import ComparedRun, best_runs, differing_settings
from monitor.render.escaping import escape_control_chars
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from monitor.comparison.side_by_side import SideBySide
    from monitor.render.charts.curve import ChartCurve

PLOT_LINES = 16
MAX_PLOT_COLUMNS = 110
MAX_TEXT_CHARS = 200  # of a name or a setting
MAX_LEGEND_CHARS = 40  # of a name in the plot
MAX_SETTINGS = 30  # columns of the table
MARKERS = "•x+o*#%@"  # one per run, where there are no colors


def show(comparison: SideBySide) -> None:
    """Print the settings that differ, the metrics, and a plot of the first metric."""
    from rich.console import Console

    console = Console()
    rows = comparison.rows
    settings = differing_settings(rows)
    if len(rows) > 1 and not settings:
        what = "groups" if comparison.groups else "runs"
        console.print(f"The settings are the same in all {what}.", highlight=False)
    elif settings:
        console.print("settings that differ", style="table.title", highlight=False)
        console.print(settings_table(rows, settings[:MAX_SETTINGS]))
        if len(settings) > MAX_SETTINGS:
            console.print(f"{len(settings) - MAX_SETTINGS:,} more settings differ.", highlight=False)
    if not comparison.metrics:
        console.print("No scalars were logged.", highlight=False)
        return
    title = "means ± standard deviations, the best with a *" if comparison.groups else "metrics, the best with a *"
    console.print()
    console.print(title, style="table.title", highlight=False)  # a table would break it inside words to its width
    console.print(metrics_table(rows, comparison.metrics, is_grouped=bool(comparison.groups)))
    console.print()
    tag = comparison.metrics[0]
    width = min(console.width, MAX_PLOT_COLUMNS)
    console.file.write(plot(tag, comparison.curves([tag])[tag], width, colors=console.is_terminal))
    if comparison.note():
        console.print(comparison.note(), highlight=False)


def settings_table(runs: Sequence[ComparedRun], settings: Sequence[str]) -> Table:
    """Return a table of the settings that differ, one row per run."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    for name in settings:
        table.add_column(as_text(_short(name)))
    for run in runs:
        table.add_row(as_text(_short(run.name)), *(as_text(_short(run.config.get(name))) for name in settings))
    return table


def metrics_table(runs: Sequence[ComparedRun], tags: Sequence[str], *, is_grouped: bool = False) -> Table:
    """Return a table of last and best values with their steps, one row per metric and run; stars mark the best.

    For groups, they are the means, with the standard deviations.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    table.add_column("group" if is_grouped else "run", overflow="fold")
    for name in ("last", "best") if is_grouped else ("last", "at step", "best", "at step"):
        table.add_column(name, justify="right")
    table.add_column("runs" if is_grouped else "status")
    for tag in tags:
        for index, run in enumerate(runs):
            entry = run.metrics.get(tag, {})
            cells = []
            for which, step in (("last", "step"), ("best", "best_step")):
                star = "*" if run.name in best_runs(runs, tag, which) else " "
                value, spread = parse_number(entry.get(which)), entry.get(f"{which}_std")
                cells.append(
                    "" if value is None else f"{value:.5g}{'' if spread is None else f' ± {spread:.2g}'}{star}"
                )
                cells += [] if is_grouped else [str(entry.get(step, ""))]
            label = as_text(_short(tag) if index == 0 else "")
            table.add_row(
                label, as_text(_short(run.name)), *cells, as_text(run.status), end_section=index == len(runs) - 1
            )
    return table


def plot(tag: str, curves: Sequence[ChartCurve], width: int, *, colors: bool = False) -> str:
    """Return a plot of one metric of all runs, drawn with characters, as the charts of the page show it."""
    import plotext

    from monitor.render.charts.curves import identical
    from monitor.render.charts.ranges import robust_range
    from monitor.render.charts.style import distinct_names

    plotext.clear_figure()
    plotext.plotsize(width, PLOT_LINES)
    plotext.title(escape_control_chars(_short(tag)))
    names = [escape_control_chars(name) for name in distinct_names([_line(c.name) for c in curves], MAX_LEGEND_CHARS)]
    limits = robust_range([curve.y for curve in curves])
    drawn, cut = False, 0
    for index, (curve, name) in enumerate(zip(curves, names)):
        if curve.band is not None:
            for edge in (curve.band.lower, curve.band.upper):
                points, _ = _visible(curve.x, edge, limits)
                if points:
                    plotext.plot(*zip(*points), marker="·")
        points, outside = _visible(curve.x, curve.y, limits)
        cut += outside
        if points:
            drawn = True
            plotext.plot(*zip(*points), label=name, marker="hd" if colors else MARKERS[index % len(MARKERS)])
    if not drawn:
        return f"{escape_control_chars(_short(tag))}: no finite value to plot\n"
    drawing = str(plotext.build())
    lines = [(drawing if colors else plotext.uncolorize(drawing)).rstrip()]
    if cut and limits is not None:
        lines.append(f"Cut off: values outside {limits[0]:.4g} to {limits[1]:.4g}.")
    lines += [f"Identical: {names[first]} and {names[number]}." for number, first in identical(curves).items()]
    return "\n".join(lines) + "\n"


def _visible(
    x: Sequence[int], y: Sequence[float | None], limits: tuple[float, float] | None
) -> tuple[list[tuple[int, float]], int]:
    """Return the points to draw, and how many are cut off."""
    points = [(step, value) for step, value in zip(x, y) if value is not None]
    shown = points if limits is None else [(s, v) for s, v in points if limits[0] <= v <= limits[1]]
    return shown, len(points) - len(shown)


def _line(value: Any) -> str:
    return "" if value is None else " ".join(str(value)[: 10 * MAX_TEXT_CHARS].split())


def _short(value: Any) -> str:
    """Return a name or a setting on one line of bounded length."""
    text = _line(value)
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"
