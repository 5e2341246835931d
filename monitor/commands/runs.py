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

from monitor.commands.base import MonitorCommand
from monitor.commands.completion import complete_metrics, complete_names
from monitor.commands.option_values import PlaceToRead
from monitor.remote.mirror import refresh_list
from monitor.remote.store import StoreError
from monitor.remote.urls import display_path
from monitor.runs.filter import Filter
from monitor.runs.foreign import ForeignRuns
from monitor.runs.listing import COLUMNS, RunInfo, scan, sort_runs
from monitor.runs.status import RunStatus
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Sequence

REFRESH_INTERVAL_S = 2.0


@click.command(cls=MonitorCommand)
@click.argument("logdir", type=PlaceToRead(path_type=Path), default=Path("runs"))
@click.option("--sort", "order", metavar="NAME", shell_complete=complete_names,
              help="A column, setting, or metric; -NAME for descending order; best:METRIC for its best.  "
              "[default: start; with --watch, running ones first, then the newest]")  # fmt: skip
@click.option(
    "--filter", "expression", metavar="EXPRESSION", help="Show only matching runs, as in 'lr<0.1 and status==finished'."
)
@click.option("--metric", "metrics", multiple=True, metavar="TAG", shell_complete=complete_metrics,
              help="Show this metric. Repeatable.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print settings and metrics as CSV.")
@click.option("--watch", is_flag=True, help="Update the table until Ctrl-C; as many runs as fit.")
def runs(
    logdir: Path,
    order: str | None,
    expression: str | None,
    metrics: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    watch: bool,
) -> None:
    """List the runs in LOGDIR, with their status and the last and best values of their main metrics.

    LOGDIR may be an address such as s3://bucket/runs.
    Event files that another program wrote are runs too; their status is foreign.
    """
    if as_json + as_csv + watch > 1:
        raise click.UsageError("--json, --csv, and --watch exclude each other.")
    refresh_list(logdir)
    if not logdir.is_dir():
        raise click.BadParameter(f"{str(logdir)!r} is not a folder.", param_hint="'LOGDIR'")
    run_filter = Filter(expression) if expression is not None else None
    found = FoundRuns(logdir)
    infos = select(found(), order or "start", run_filter, metrics)
    if as_json:
        click.echo(json.dumps([to_fields(run) for run in infos], indent=2, ensure_ascii=False))
    elif as_csv:
        write_csv(infos)
    elif not infos and not watch:
        click.echo(none_found(logdir, expression))
    else:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        from monitor.commands.runs_table import runs_table

        console = Console()
        if not watch:
            console.print(runs_table(infos, metrics, console.width))
            return
        with (
            suppress(KeyboardInterrupt),
            Live(console=console, screen=console.is_terminal, auto_refresh=False) as live,
        ):
            while True:
                infos = select(found(), order or "-start", run_filter, ())
                if order is None:
                    infos.sort(key=lambda run: run.status is not RunStatus.RUNNING)
                table = runs_table(infos, metrics, console.width, console.height - 1)
                live.update(table if infos else Text(none_found(logdir, expression)), refresh=True)
                time.sleep(REFRESH_INTERVAL_S)


class FoundRuns:
    """The runs of a log directory, those of other programs too; each call looks again, and reads only what is new."""

    def __init__(self, logdir: Path) -> None:
        self._logdir, self._foreign = logdir, ForeignRuns(logdir)
        self._is_current = True  # as the command has seen to

    def __call__(self) -> list[RunInfo]:
        """Return the runs by name. Blocks while it reads."""
        if not self._is_current:
            with suppress(StoreError):  # what was downloaded is shown
                refresh_list(self._logdir)
        self._is_current = False
        own = list(scan(self._logdir))
        return sorted([*own, *self._foreign.scan(run.path for run in own)], key=lambda run: run.name)


def none_found(logdir: Path, expression: str | None) -> str:
    """Say that there are no runs, or none that match."""
    return f"no runs in {display_path(logdir)}" + (f" match {expression!r}" if expression else "")


def select(infos: list[RunInfo], order: str, run_filter: Filter | None, metrics: Sequence[str]) -> list[RunInfo]:
    """Return the matching runs in order. Raises `click.BadParameter` for a name that no run has."""
    known = {name for run in infos for name in run.names()}
    for option, names in (
        ("--filter", run_filter.names if run_filter else []),
        ("--sort", [order.removeprefix("-")]),
        ("--metric", metrics),
    ):
        for name in names:
            if infos and name not in known:
                names_to_show = sorted((n for n in known if ":" not in n), key=lambda n: n not in COLUMNS)
                raise click.BadParameter(f"no run has {name!r}{hint(name, names_to_show)}", param_hint=f"'{option}'")
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
