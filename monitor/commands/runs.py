"""`monitor runs`: list runs, with their status and metrics."""

from __future__ import annotations

import csv
import io
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.base import MonitorCommand, as_text
from monitor.metrics import sort_key
from monitor.runs.filter import Filter
from monitor.runs.listing import RunInfo, scan, sort_runs
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

REFRESH_INTERVAL_S = 2.0
MAX_METRIC_COLUMNS = 4  # unless the user names more
METRIC_COLUMN_CHARS, OTHER_COLUMNS_CHARS = 11, 58
STATUS_COLORS = {
    "running": "green", "finished": "default", "failed": "red", "interrupted": "yellow", "killed": "red",
    "stopped": "yellow", "lost": "magenta", "damaged": "red",
}  # fmt: skip


@click.command(cls=MonitorCommand)
@click.argument("logdir", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--sort", "order", default="start", show_default=True, metavar="NAME",
              help="A column, setting, or metric; -NAME for descending order; best:METRIC for its best.")  # fmt: skip
@click.option(
    "--filter", "expression", metavar="EXPRESSION", help="Show only matching runs, as in 'lr<0.1 and status==finished'."
)
@click.option("--metric", "metrics", multiple=True, metavar="TAG", help="Show this metric. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print settings and metrics as CSV.")
@click.option("--watch", is_flag=True, help="Update the table until Ctrl-C.")
def runs(
    logdir: Path, order: str, expression: str | None, metrics: tuple[str, ...], as_json: bool, as_csv: bool, watch: bool
) -> None:
    """List the runs in LOGDIR, with their status and the last and best values of their main metrics."""
    if as_json + as_csv + watch > 1:
        raise click.UsageError("--json, --csv, and --watch exclude each other.")
    if not logdir.is_dir():
        raise click.BadParameter(f"{str(logdir)!r} is not a folder.", param_hint="'LOGDIR'")
    run_filter = Filter(expression) if expression is not None else None
    infos = select(logdir, order, run_filter, metrics)
    if as_json:
        click.echo(json.dumps([to_fields(run) for run in infos], indent=2, ensure_ascii=False))
    elif as_csv:
        write_csv(infos)
    elif not infos and not watch:
        click.echo(f"no runs in {logdir}" + (f" match {expression!r}" if expression else ""))
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console()
        if not watch:
            console.print(runs_table(infos, metrics, console.width))
            return
        with (
            suppress(KeyboardInterrupt),
            Live(console=console, screen=console.is_terminal, auto_refresh=False) as live,
        ):
            while True:
                live.update(runs_table(select(logdir, order, run_filter, ()), metrics, console.width), refresh=True)
                time.sleep(REFRESH_INTERVAL_S)


def select(logdir: Path, order: str, run_filter: Filter | None, metrics: Sequence[str]) -> list[RunInfo]:
    """Return the matching runs in order. Raises `click.BadParameter` for a name that no run has."""
    infos = list(scan(logdir))
    known = {name for run in infos for name in run.names()}
    for option, names in (
        ("--filter", run_filter.names if run_filter else []),
        ("--sort", [order.removeprefix("-")]),
        ("--metric", metrics),
    ):
        for name in names:
            if infos and name not in known:
                suggestions = sorted(n for n in known if ":" not in n)
                raise click.BadParameter(
                    f"no run has {name!r}; known: {', '.join(suggestions)}.", param_hint=f"'{option}'"
                )
    return sort_runs([run for run in infos if run_filter is None or run_filter(run.look_up)], order)


def to_fields(run: RunInfo) -> dict[str, Any]:
    """Return everything about a run, for JSON."""
    computed = {"name": run.name, "path": str(run.path), "status": run.status, "error": run.error}
    return {**run.fields, **computed, "duration": run.duration, "age": run.age}


def write_csv(infos: Sequence[RunInfo]) -> None:
    """Print one line per run: the columns of the table, then all metrics, then all settings."""
    tags = list(dict.fromkeys(tag for run in infos for tag in run.metrics))
    settings = list(dict.fromkeys(key for run in infos for key in run.config))
    columns = ("name", "status", "epoch", "epochs", "step", "steps", "duration", "age", "start", "error")
    header = [*columns]
    for tag in tags:
        header += [tag, f"best:{tag}", f"best_step:{tag}"]
    click.echo(csv_line([*header, *(f"config:{key}" for key in settings)]))
    for run in infos:
        row = [run.look_up(name) for name in columns]
        for tag in tags:
            row += [run.metrics.get(tag, {}).get(key) for key in ("last", "best", "best_step")]
        click.echo(csv_line([*row, *(run.config.get(key) for key in settings)]))


def csv_line(values: Sequence[Any]) -> str:
    """Return a row of CSV, without its end."""
    line = io.StringIO()
    end = "\r\n"  # so that a value with either of them is quoted
    csv.writer(line, lineterminator=end).writerow(values)
    return line.getvalue().removesuffix(end)


def runs_table(infos: Sequence[RunInfo], metrics: Sequence[str], width: int) -> RenderableType:
    """Return a table of runs with the last and best value of each metric, and what is wrong with a run."""
    from rich.console import Group
    from rich.table import Table

    tags = (
        list(metrics)
        or main_metrics(infos)[: max(1, min(MAX_METRIC_COLUMNS, (width - OTHER_COLUMNS_CHARS) // METRIC_COLUMN_CHARS))]
    )
    grid = Table("run", "status", box=None, pad_edge=False, header_style="bold")
    for name in ("epoch", "step", *tags, "time", "age"):
        grid.add_column(as_text(name.replace("/", "/\n")), justify="right", no_wrap=True)
    for run in infos:
        cells = [format_progress(run, "epoch"), format_progress(run, "step")]
        cells += [format_metric(run.metrics.get(tag, {})) for tag in tags]
        status = as_text(run.status_text, STATUS_COLORS.get(run.status, "default"))
        grid.add_row(as_text(run.name), status, *cells, format_duration(run.duration), format_duration(run.age))
    problems = [as_text(f"{run.name}: {run.problem}", "dim") for run in infos if run.problem]
    return Group(grid, *problems)


def main_metrics(infos: Sequence[RunInfo]) -> list[str]:
    """Return the metrics that runs are compared by: those with a goal, held-out data first."""
    counts: dict[str, int] = {}
    for run in infos:
        for tag, entry in run.metrics.items():
            if "goal" in entry:
                counts[tag] = counts.get(tag, 0) + 1
    return sorted(counts, key=sort_key)[:MAX_METRIC_COLUMNS]


def format_progress(run: RunInfo, unit: str) -> str:
    """Return how far a run is, such as `3/10`; `unit` is `epoch` or `step`."""
    current, total = run.progress.get(unit), run.progress.get(f"{unit}s")
    return "" if current is None else f"{current}/{total}" if total else str(current)


def format_metric(entry: dict[str, Any]) -> str:
    """Return the last value of a metric and, on a second line in parentheses, the best."""
    last, best = parse_number(entry.get("last")), parse_number(entry.get("best"))
    text = "" if last is None else f"{last:.4g}" if isinstance(last, int | float) else str(last)
    return text + (f"\n({best:.4g})" if isinstance(best, int | float) else "")


def format_duration(seconds: float | None) -> str:
    """Return a time in its two largest units, such as `3h 5m`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, small_size, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small_size}{small_unit}"
    return f"{whole}s"
