"""`monitor runs`: what is running, what ended how, and how good it is."""

from __future__ import annotations

import csv
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.base import MonitorCommand
from monitor.metrics import sort_key
from monitor.runs.filter import Filter
from monitor.runs.listing import RunInfo, scan, sort_runs
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

REFRESH_INTERVAL_S = 2.0  # seconds
MAX_METRIC_COLUMNS = 4  # of metrics, unless they are named
OTHER_COLUMNS_CHARS = 58  # characters that the other columns take
STATUS_COLORS = {
    "running": "green", "finished": "default", "failed": "red", "interrupted": "yellow", "killed": "red",
    "stopped": "yellow", "lost": "magenta", "damaged": "red",
}  # fmt: skip


@click.command(cls=MonitorCommand)
@click.argument("logdir", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--sort", "order", default="start", show_default=True, metavar="NAME",
              help="A column, a setting or a metric; -NAME for downwards; best:METRIC for its best.")  # fmt: skip
@click.option("--filter", "expression", metavar="EXPRESSION", help="Such as 'lr<0.1 and status==finished'.")
@click.option("--metric", "metrics", multiple=True, metavar="TAG", help="Show this metric; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print all that is known, as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print settings and metrics, as CSV.")
@click.option("--watch", is_flag=True, help="Keep the table current, until Ctrl-C.")
def runs(
    logdir: Path, order: str, expression: str | None, metrics: tuple[str, ...], as_json: bool, as_csv: bool, watch: bool
) -> None:
    """List the runs of LOGDIR, with status, last and best of the main metrics."""
    if as_json + as_csv + watch > 1:
        raise click.UsageError("--json, --csv and --watch exclude each other.")
    if not logdir.is_dir():
        raise click.BadParameter(f"{str(logdir)!r} is no folder.", param_hint="'LOGDIR'")
    run_filter = Filter(expression) if expression is not None else None
    found = select(logdir, order, run_filter, metrics)
    if as_json:
        click.echo(json.dumps([to_fields(run) for run in found], indent=2, ensure_ascii=False))
    elif as_csv:
        write_csv(found)
    elif not found and not watch:
        click.echo(f"no runs in {logdir}" + (f" pass {expression!r}" if expression else ""))
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console()
        if not watch:
            console.print(runs_table(found, metrics, console.width))
            return
        with (
            suppress(KeyboardInterrupt),
            Live(console=console, screen=console.is_terminal, auto_refresh=False) as live,
        ):
            while True:
                live.update(runs_table(select(logdir, order, run_filter, ()), metrics, console.width), refresh=True)
                time.sleep(REFRESH_INTERVAL_S)


def select(logdir: Path, order: str, run_filter: Filter | None, metrics: Sequence[str]) -> list[RunInfo]:
    """Return the runs that pass, in order; refuse names that no run knows."""
    found = list(scan(logdir))
    known = {name for run in found for name in run.names()}
    for option, names in (
        ("--filter", run_filter.names if run_filter else []),
        ("--sort", [order.removeprefix("-")]),
        ("--metric", metrics),
    ):
        for name in names:
            if found and name not in known:
                suggestions = sorted(n for n in known if ":" not in n)
                raise click.BadParameter(
                    f"no run has {name!r}; known: {', '.join(suggestions)}.", param_hint=f"'{option}'"
                )
    return sort_runs([run for run in found if run_filter is None or run_filter(run.look_up)], order)


def to_fields(run: RunInfo) -> dict[str, Any]:
    """Return all that is known of a run, for JSON."""
    seen = {"name": run.name, "path": str(run.path), "status": run.status, "error": run.error}
    return {**run.fields, **seen, "duration": run.duration, "age": run.age}


def write_csv(found: Sequence[RunInfo]) -> None:
    """Print a line a run: what the table has, then every metric, then every setting."""
    tags = list(dict.fromkeys(tag for run in found for tag in run.metrics))
    settings = list(dict.fromkeys(key for run in found for key in run.config))
    columns = ("name", "status", "epoch", "epochs", "step", "steps", "duration", "age", "start", "error")
    header = [*columns]
    for tag in tags:
        header += [tag, f"best:{tag}", f"best_step:{tag}"]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([*header, *(f"config:{key}" for key in settings)])
    for run in found:
        row = [run.look_up(name) for name in columns]
        for tag in tags:
            row += [run.metrics.get(tag, {}).get(key) for key in ("last", "best", "best_step")]
        out.writerow([*row, *(run.config.get(key) for key in settings)])


def runs_table(found: Sequence[RunInfo], metrics: Sequence[str], width: int) -> RenderableType:
    """Lay the runs out, each metric as its last value and, under it, its best; then why those that failed did."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    tags = list(metrics) or main_metrics(found)[: max(1, min(MAX_METRIC_COLUMNS, (width - OTHER_COLUMNS_CHARS) // 11))]
    grid = Table("run", "status", box=None, pad_edge=False, header_style="bold")
    for name in ("epoch", "step", *tags, "time", "age"):
        grid.add_column(name.replace("/", "/\n"), justify="right", no_wrap=True)
    for run in found:
        cells = [format_progress(run, "epoch"), format_progress(run, "step")]
        cells += [format_metric(run.metrics.get(tag, {})) for tag in tags]
        status = Text(run.status, style=STATUS_COLORS.get(run.status, "default"))
        grid.add_row(Text(run.name), status, *cells, format_duration(run.duration), format_duration(run.age))
    errors = [Text(f"{run.name}: {run.error}", "dim") for run in found if run.error and run.status != "finished"]
    return Group(grid, *errors)


def main_metrics(found: Sequence[RunInfo]) -> list[str]:
    """Return the metrics that most is said by: those with a goal, of held-out data first."""
    counts: dict[str, int] = {}
    for run in found:
        for tag, entry in run.metrics.items():
            if "goal" in entry:
                counts[tag] = counts.get(tag, 0) + 1
    return sorted(counts, key=sort_key)[:MAX_METRIC_COLUMNS]


def format_progress(run: RunInfo, what: str) -> str:
    """Write how far a run is, as `3/10`."""
    current, total = run.progress.get(what), run.progress.get(f"{what}s")
    return "" if current is None else f"{current}/{total}" if total else str(current)


def format_metric(entry: dict[str, Any]) -> str:
    """Write a metric's last value and, in brackets under it, its best."""
    last, best = parse_number(entry.get("last")), parse_number(entry.get("best"))
    text = "" if last is None else f"{last:.4g}" if isinstance(last, int | float) else str(last)
    return text + (f"\n({best:.4g})" if isinstance(best, int | float) else "")


def format_duration(seconds: float | None) -> str:
    """Write a time as its two largest units."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, small, less in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // small}{less}"
    return f"{whole}s"
