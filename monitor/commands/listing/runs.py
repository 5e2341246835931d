"""`monitor runs`: list runs, with their status and metrics."""

from __future__ import annotations

import gc
import os
import re
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from monitor.commands.base import MonitorCommand
from monitor.commands.completion import complete_metrics, complete_names
from monitor.commands.option_values import PlaceToRead
from monitor.metrics import sort_key
from monitor.remote.mirror import refresh_list
from monitor.remote.store import StoreError
from monitor.remote.urls import display_path
from monitor.render.text.escaping import escape_control_chars
from monitor.runs.filter import Filter
from monitor.runs.listing import COLUMNS, RunInfo, sort_runs
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.stored_fields import LISTED_PARTS, PARTS, to_json
from monitor.runs.status import RunStatus
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REFRESH_INTERVAL_S = 2.0
REST_FACTOR = 20  # after the first, looking takes at most a twentieth of a processor's time
DEFAULT_WIDTH = 80
SURROGATES = re.compile("[\ud800-\udfff]")  # that stand for bytes of a name that are not UTF-8
QUICK = ("", "name", "status", "start", "duration", "age", "error", "path")  # known of each run without its contents


@click.command(cls=MonitorCommand)
@click.argument("folder", metavar="[LOGDIR]", type=PlaceToRead(path_type=Path), required=False)
@click.option("--logdir", type=PlaceToRead(path_type=Path), help="LOGDIR, as other commands take it.  [default: runs]")
@click.option("--sort", "order", metavar="NAME", shell_complete=complete_names,
              help="A column, setting, or metric; -NAME for descending order; best:METRIC for its best.  "
              "[default: start; with --watch, running ones first, then the newest]")  # fmt: skip
@click.option(
    "--filter", "expression", metavar="EXPRESSION", help="Show only matching runs, as in 'lr<0.1 and status==finished'."
)
@click.option("--metric", "metrics", multiple=True, metavar="TAG", shell_complete=complete_metrics,
              help="Show this metric. Repeatable.")  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Only the newest N, or the first N in the order of --sort."
)
@click.option("--all", "show_all", is_flag=True, help="All, also on a terminal, which else shows a page.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, one run per line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print settings and metrics as CSV.")
@click.option(
    "--watch", is_flag=True, help="Update the table until Ctrl-C; as many runs as fit, those of a sweep together."
)
def runs(
    folder: Path | None,
    logdir: Path | None,
    order: str | None,
    expression: str | None,
    metrics: tuple[str, ...],
    limit: int | None,
    show_all: bool,
    as_json: bool,
    as_csv: bool,
    watch: bool,
) -> None:
    """List the runs in LOGDIR, with their status and the last and best values of their main metrics.

    A terminal shows the newest runs, as many as fit; a file or a pipe gets all. Event files that another program wrote
    are runs too; their status is foreign. LOGDIR may be an address such as s3://bucket/runs.
    """
    if as_json + as_csv + watch > 1:
        raise click.UsageError("--json, --csv, and --watch exclude each other.")
    if show_all and (limit is not None or watch):
        raise click.UsageError("--all excludes --limit and --watch.")
    if folder is not None and logdir is not None:
        raise click.UsageError("LOGDIR and --logdir are the same; give one of them.")
    logdir = folder or logdir or Path("runs")
    refresh_list(logdir)
    if not logdir.is_dir():
        raise click.BadParameter(f"{str(logdir)!r} is not a folder.", param_hint="'LOGDIR'")
    run_filter = Filter(expression) if expression is not None else None
    selection = Selection(order, run_filter, metrics, limit)
    found = FoundRuns(logdir)
    if watch:
        watch_runs(logdir, found, selection, none_found(logdir, expression))
        return
    is_page = sys.stdout.isatty() and not (as_json or as_csv or show_all)
    with garbage_kept():
        infos, left_out = selection.of(
            found(PARTS if as_json else 0 if is_page and selection.is_quick else LISTED_PARTS)
        )
        if as_json:
            click.echo("[\n" * bool(infos) + ",\n".join(map(as_json_line, infos)) + "\n]" * bool(infos) or "[]")
        elif as_csv:
            text = as_csv_text(infos)
            click.echo("\n".join(map(escape_control_chars, text.split("\n"))) if sys.stdout.isatty() else text)
        elif not infos:
            click.echo(none_found(logdir, expression))
        else:
            print_table(infos, metrics, left_out, is_page=is_page, newest_last=order is None)
        sys.stdout.flush()
        found.save()


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Do not search for cycles in many small objects that have none: it takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()  # otherwise, the next object has all of them searched
            gc.enable()


class Selection(NamedTuple):
    """Which runs are listed, in which order."""

    order: str | None
    run_filter: Filter | None
    metrics: Sequence[str]
    limit: int | None

    @property
    def is_quick(self) -> bool:
        """Whether what it asks of every run is known without its contents."""
        names = [(self.order or "").removeprefix("-"), *(self.run_filter.names if self.run_filter else [])]
        return not self.metrics and all(name in QUICK for name in names)

    def of(self, infos: list[RunInfo], default_order: str = "start") -> tuple[list[RunInfo], int]:
        """Return the runs to list, and how many more there are. Raises `click.BadParameter` for an unknown name."""
        chosen = select(infos, self.order or default_order, self.run_filter, self.metrics)
        if self.limit is None or len(chosen) <= self.limit:
            return chosen, 0
        is_newest_last = self.order is None and default_order == "start"
        return chosen[-self.limit :] if is_newest_last else chosen[: self.limit], len(chosen) - self.limit


def print_table(
    infos: Sequence[RunInfo], metrics: Sequence[str], left_out: int, *, is_page: bool, newest_last: bool
) -> None:
    """Print a table: as text alone into a pipe, where rich is not needed."""
    from monitor.commands.listing.runs_table import runs_table

    if not sys.stdout.isatty() and "FORCE_COLOR" not in os.environ:
        table = runs_table(infos, metrics, pipe_width(), None, left_out, newest_last=newest_last)
        click.echo(str(table))
        return
    from rich.console import Console

    console = Console()
    height = console.height - 1 if is_page else None  # a line is for the prompt
    table = runs_table(infos, metrics, console.width, height, left_out, newest_last=newest_last)
    console.print(table, soft_wrap=True)


def watch_runs(logdir: Path, found: FoundRuns, selection: Selection, nothing: str) -> None:
    """Show a table and keep it current, until Ctrl-C. With very many runs, it looks less often."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from monitor.commands.listing.sweep_groups import watched_runs

    console = Console()
    with suppress(KeyboardInterrupt), Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        cost: float | None = None  # of a look, in seconds of a processor
        while True:
            began = time.process_time()
            infos, left_out = selection.of(found(LISTED_PARTS), "-start")
            if selection.order is None:
                infos.sort(key=lambda run: run.status is not RunStatus.RUNNING)
            size = console.width, console.height - 1
            table = watched_runs(infos, selection.metrics, *size, left_out, is_sorted=selection.order is not None)
            live.update(table if infos else Text(nothing), refresh=True)
            found.save()
            is_first, cost = cost is None, time.process_time() - began
            time.sleep(REFRESH_INTERVAL_S if is_first else max(REFRESH_INTERVAL_S, cost * REST_FACTOR))
            with suppress(StoreError):  # what was downloaded is shown
                refresh_list(logdir)


def pipe_width() -> int:
    """Return the width of the terminal that the command runs in, though its output goes elsewhere; 80 without one."""
    with suppress(ValueError):
        return max(1, int(os.environ.get("COLUMNS", "")))
    for descriptor in range(3):
        with suppress(OSError):
            return os.get_terminal_size(descriptor).columns or DEFAULT_WIDTH
    return DEFAULT_WIDTH


def none_found(logdir: Path, expression: str | None) -> str:
    """Say that there are no runs, or none that match."""
    return f"no runs in {display_path(logdir)}" + (f" match {expression!r}" if expression else "")


def select(infos: list[RunInfo], order: str, run_filter: Filter | None, metrics: Sequence[str]) -> list[RunInfo]:
    """Return the matching runs in order. Raises `click.BadParameter` for a name that no run has."""
    for option, names in (
        ("--filter", run_filter.names if run_filter else []),
        ("--sort", [order.removeprefix("-")]),
        ("--metric", metrics),
    ):
        for name in names:
            if infos and not any(run.has_name(name) for run in infos):
                known = {name for run in infos for name in run.names() if ":" not in name}
                names_to_show = sorted(known, key=lambda n: n not in COLUMNS)
                raise click.BadParameter(f"no run has {name!r}{hint(name, names_to_show)}", param_hint=f"'{option}'")
    return sort_runs([run for run in infos if run_filter is None or run_filter(run.look_up)], order)


def as_json_line(run: RunInfo) -> str:
    """Return everything about a run."""
    computed = {"name": run.name, "path": run.folder.removeprefix("./"), "status": run.status, "error": run.error}
    text = to_json(run.fields, {**computed, "duration": run.duration, "age": run.age})
    return text if run.folder.isascii() else SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_csv_text(infos: Sequence[RunInfo]) -> str:
    """Return one line per run: the columns of the table, then all metrics, then all settings."""
    tags = sorted({tag for tags in {tuple(run.unsorted_metrics) for run in infos} for tag in tags}, key=sort_key)
    settings = list(dict.fromkeys(key for keys in dict.fromkeys(tuple(run.config) for run in infos) for key in keys))
    counts = ("epoch", "epochs", "step", "steps")
    header = ["name", "status", *counts, "duration", "age", "start", "error"]
    for tag in tags:
        header += [tag, f"best:{tag}", f"best_step:{tag}"]

    def row_of(run: RunInfo) -> list[Any]:
        row = [run.name, str(run.status), *map(run.progress.get, counts)]
        row += (run.duration, run.age, run.fields.get("start"), run.error)
        metrics = run.unsorted_metrics
        for tag in tags:
            entry = metrics.get(tag)
            row += (entry.get("last"), entry.get("best"), entry.get("best_step")) if entry else (None, None, None)
        row += map(run.config.get, settings)
        return row

    import csv

    lines: list[str] = []
    end = "\r\n"  # so that a value with either of them is quoted
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator=end)
    writer.writerow(header + [f"config:{key}" for key in settings])
    writer.writerows(map(row_of, infos))
    return "\n".join(line.removesuffix(end) for line in lines)
