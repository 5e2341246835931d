"""A comparison in the terminal: two tables, and a plot of the main metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.commands.comparing.fitted_table import TextColumn, fits, fitted_table
from monitor.comparison.compare import ComparedRun, best_runs, differing_settings
from monitor.render.text.escaping import escape_control_chars
from monitor.render.text.names import distinct_names
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from monitor.comparison.side_by_side import SideBySide
    from monitor.render.charts.curves.curve import ChartCurve

PLOT_LINES = 16
MAX_PLOT_COLUMNS = 110
MAX_TEXT_CHARS = 200  # of a name or a setting
MAX_LEGEND_CHARS = 40  # of a name in the plot
MAX_SETTINGS = 30  # columns of the table
MAX_VALUE_CHARS = 40  # of a setting
MARKERS = "•x+o*#%@"  # one per run, where there are no colors


def show(comparison: SideBySide) -> None:
    """Print the settings that differ, the metrics, and a plot of the first metric."""
    from rich.console import Console

    console = Console()
    rows = comparison.rows
    settings = differing_settings(rows)
    is_grouped = bool(comparison.groups)
    if len(rows) > 1 and not settings:
        console.print(f"The settings are the same in all {'groups' if is_grouped else 'runs'}.", highlight=False)
    elif settings:
        console.print("settings that differ", style="table.title", highlight=False)
        table, count = settings_table(rows, settings[:MAX_SETTINGS], console.width, are_words=is_grouped)
        console.print(table)
        if len(settings) > count:
            more = len(settings) - count
            differ = "setting differs" if more == 1 else "settings differ"
            console.print(f"{more:,} more {differ}; --html shows all.", highlight=False)
    if not comparison.metrics:
        console.print("No scalars were logged.", highlight=False)
        return
    title = "means ± standard deviations, the best with a *" if is_grouped else "metrics, the best with a *"
    console.print()
    console.print(title, style="table.title", highlight=False)  # a table would break it inside words to its width
    console.print(metrics_table(rows, comparison.metrics, console.width, is_grouped=is_grouped))
    console.print()
    tag = comparison.metrics[0]
    width = min(console.width, MAX_PLOT_COLUMNS)
    console.file.write(plot(tag, comparison.curves([tag])[tag], width, colors=console.is_terminal))
    if comparison.note():
        console.print(comparison.note(), highlight=False)


def settings_table(
    runs: Sequence[ComparedRun], settings: Sequence[str], width: int, *, are_words: bool = False
) -> tuple[Table, int]:
    """Return a table of as many settings that differ as fit, one row per run, and how many these are."""
    names = TextColumn("run", [_line(run.name) for run in runs], is_name=True, are_words=are_words)
    columns = [names]
    for name in settings:
        values = distinct_names([_line(run.config.get(name)) for run in runs], MAX_VALUE_CHARS)
        (heading,) = distinct_names([_line(name)], MAX_TEXT_CHARS)
        column = TextColumn(heading, values)
        if len(columns) > 1 and not fits([*columns, column], width):
            break
        columns.append(column)
    return fitted_table(columns, width), len(columns) - 1


def metrics_table(runs: Sequence[ComparedRun], tags: Sequence[str], width: int, *, is_grouped: bool = False) -> Table:
    """Return a table of last and best values with their steps, one row per metric and run; stars mark the best.

    For groups, they are the means, with the standard deviations. Where the names do not fit beside those of the
    metrics, these have lines of their own; where that is not enough, the table has no status and no steps.
    """
    kinds = ("last", "best") if is_grouped else ("last", "at step", "best", "at step")
    cells: list[list[str]] = [[] for _ in kinds]
    for tag in tags:
        best = {which: best_runs(runs, tag, which) for which in ("last", "best")}
        for run in runs:
            row = _values(run, tag, best, with_steps=not is_grouped)
            for column, cell in zip(cells, row):
                column.append(cell)
    labels = [_line(tag) if number == 0 else "" for tag in tags for number in range(len(runs))]
    names = [_line(run.name) for _ in tags for run in runs]
    metric = TextColumn("metric", labels, splits=True)
    name = TextColumn("group" if is_grouped else "run", names, is_name=True, are_words=is_grouped)
    numbers = [
        TextColumn(kind, column, is_number=True, rank=2 if kind == "at step" else 0)
        for kind, column in zip(kinds, cells)
    ]
    status = TextColumn("runs" if is_grouped else "status", [run.status for _ in tags for run in runs], rank=1)
    return fitted_table([metric, name, *numbers, status], width, sections=len(runs))


def _values(run: ComparedRun, tag: str, best: Mapping[str, Sequence[str]], *, with_steps: bool) -> list[str]:
    """Return the cells of a metric of a run: the last and the best value, each with its step."""
    entry = run.metrics.get(tag, {})
    cells = []
    for which, step in (("last", "step"), ("best", "best_step")):
        star = "*" if run.name in best[which] else " "
        value, spread = parse_number(entry.get(which)), entry.get(f"{which}_std")
        cells.append("" if value is None else f"{value:.5g}{'' if spread is None else f' ± {spread:.2g}'}{star}")
        cells += [str(entry.get(step, ""))] if with_steps else []
    return cells


def plot(tag: str, curves: Sequence[ChartCurve], width: int, *, colors: bool = False) -> str:
    """Return a plot of one metric of all runs, drawn with characters, as the charts of the page show it."""
    import plotext

    from monitor.render.charts.curves.chart import identical
    from monitor.render.charts.curves.ranges import robust_range

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
