"""`monitor compare A B …`: what differs, which run is best, and their curves: in the terminal, Visdom or a page."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.base import MonitorCommand, as_text, fail
from monitor.commands.completion import complete_metrics, complete_runs, complete_sinks
from monitor.comparison.compare import (
    ComparedRun,
    ComparisonView,
    best_runs,
    differing_settings,
    find_runs,
    load_run,
    main_metrics,
)
from monitor.comparison.event_data import LeftOut
from monitor.render.escaping import escape_control_chars
from monitor.runs.process import signals_as_exit
from monitor.runs.run_file import parse_number
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from monitor.comparison.event_data import OnError
    from monitor.sinks.base import Sink

POLL_INTERVAL_S = 1.0  # between two looks at the event files
PLOT_LINES = 16
MAX_PLOT_COLUMNS = 110
MAX_TEXT_CHARS = 200  # of a name or a setting
MAX_SETTINGS = 30  # columns of the table
MARKERS = "•x+o*#%@"  # one per run, where there are no colors


@click.command(cls=MonitorCommand)
@click.argument("names", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option("--logdir", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where to look for runs.")  # fmt: skip
@click.option("--metric", "wanted", multiple=True, metavar="TAG", shell_complete=complete_metrics,
              help="Compare by this metric; the first is plotted. Repeatable.")  # fmt: skip
@click.option(
    "--sink",
    "spec",
    metavar="SPEC",
    shell_complete=complete_sinks,
    help="Also on a dashboard: visdom, or visdom://host:port/env.",
)
@click.option("--follow", is_flag=True, help="With --sink, keep it up to date until Ctrl-C.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write one page that needs no network.")  # fmt: skip
@click.option(
    "--step", type=click.IntRange(min=0), help="With --html, show the pictures of this step.  [default: the last]"
)
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
@click.option("--wait", is_flag=True, help="Keep the dashboards up at the end, until Ctrl-C.")
def compare(
    names: tuple[str, ...],
    logdir: Path,
    wanted: tuple[str, ...],
    spec: str | None,
    follow: bool,
    page: Path | None,
    step: int | None,
    open_browser: bool,
    wait: bool,
) -> None:
    """Compare runs: names, paths, or patterns such as 'mlp-*'."""
    if follow and spec is None:
        raise click.UsageError("--follow needs --sink visdom.")
    if step is not None and page is None:
        raise click.UsageError("--step needs --html FILE.")
    paths = find_runs(names, logdir)
    left_out = LeftOut()
    runs = [load_run(name, path, left_out) for name, path in paths.items()]
    known = sorted({tag for run in runs for tag in run.metrics})
    for tag in wanted:
        if tag not in known:
            raise click.BadParameter(f"no run has {tag!r}{hint(tag, known)}", param_hint="'--metric'")
    tags = list(wanted) or main_metrics(runs)
    show(runs, tags, left_out)
    if page is not None:
        from monitor.comparison.html_report import write_report

        try:
            write_report(page, runs, tags, step, left_out)
        except OSError as error:
            fail(f"{str(page)!r} cannot be written: {error.strerror or error}", 2)
        click.echo(f"Page: {page}")
    if spec is not None:
        _show_on_dashboard(spec, names, logdir, tags, left_out, follow=follow, open_browser=open_browser, wait=wait)


def show(runs: Sequence[ComparedRun], tags: Sequence[str], on_error: OnError = None) -> None:
    """Print the settings that differ, the metrics, and a plot of the first metric."""
    from rich.console import Console

    console = Console()
    settings = differing_settings(runs)
    if len(runs) > 1 and not settings:
        console.print("The settings are the same in all runs.", highlight=False)
    elif settings:
        console.print(settings_table(runs, settings[:MAX_SETTINGS]))
        if len(settings) > MAX_SETTINGS:
            console.print(f"{len(settings) - MAX_SETTINGS:,} more settings differ.", highlight=False)
    if not tags:
        console.print("No scalars were logged.", highlight=False)
        return
    console.print(metrics_table(runs, tags))
    console.print()
    console.file.write(plot(runs, tags[0], min(console.width, MAX_PLOT_COLUMNS), on_error, colors=console.is_terminal))


def settings_table(runs: Sequence[ComparedRun], settings: Sequence[str]) -> Table:
    """Return a table of the settings that differ, one row per run."""
    from rich.table import Table

    table = Table("run", title="settings that differ", title_justify="left", box=None, pad_edge=False)
    for name in settings:
        table.add_column(as_text(_short(name)))
    for run in runs:
        table.add_row(as_text(_short(run.name)), *(as_text(_short(run.config.get(name))) for name in settings))
    return table


def metrics_table(runs: Sequence[ComparedRun], tags: Sequence[str]) -> Table:
    """Return a table of last and best values with their steps, one row per metric and run; stars mark the best."""
    from rich.table import Table

    table = Table("metric", "run", title="\nmetrics, the best with a *", title_justify="left", box=None, pad_edge=False)
    for name in ("last", "at step", "best", "at step"):
        table.add_column(name, justify="right")
    table.add_column("status")
    for tag in tags:
        for index, run in enumerate(runs):
            entry = run.metrics.get(tag, {})
            cells = []
            for which, step in (("last", "step"), ("best", "best_step")):
                star = "*" if run.name in best_runs(runs, tag, which) else " "
                value = parse_number(entry.get(which))
                cells += ["" if value is None else f"{value:.5g}{star}", str(entry.get(step, ""))]
            label = as_text(_short(tag) if index == 0 else "")
            table.add_row(
                label, as_text(_short(run.name)), *cells, as_text(run.status), end_section=index == len(runs) - 1
            )
    return table


def plot(runs: Sequence[ComparedRun], tag: str, width: int, on_error: OnError = None, *, colors: bool = False) -> str:
    """Return a plot of one metric of all runs, drawn with characters."""
    import plotext

    from monitor.comparison.event_data import read_series

    plotext.clear_figure()
    plotext.plotsize(width, PLOT_LINES)
    plotext.title(escape_control_chars(_short(tag)))
    drawn = False
    for index, run in enumerate(runs):
        series = read_series(run.path, [tag], on_error)[tag]
        points = [(step, value) for step, value in zip(*series.points()) if value is not None]
        if points:
            drawn = True
            marker = "hd" if colors else MARKERS[index % len(MARKERS)]
            plotext.plot(*zip(*points), label=escape_control_chars(_short(run.name)), marker=marker)
    if not drawn:
        return f"{escape_control_chars(_short(tag))}: no finite value to plot\n"
    drawing = str(plotext.build())
    return (drawing if colors else plotext.uncolorize(drawing)).rstrip() + "\n"


def _short(value: Any) -> str:
    """Return a name or a setting on one line of bounded length."""
    text = "" if value is None else " ".join(str(value)[: 2 * MAX_TEXT_CHARS].split())
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"


def _show_on_dashboard(
    spec: str,
    names: Sequence[str],
    logdir: Path,
    tags: Sequence[str],
    on_error: OnError,
    *,
    follow: bool,
    open_browser: bool,
    wait: bool,
) -> None:
    """Put the comparison on a dashboard; with `follow`, keep it current until Ctrl-C."""
    from platformdirs import user_data_path

    from monitor.dashboards.session import echo, keep_dashboards_up, start_dashboards
    from monitor.runs.run import Run
    from monitor.sinks import registry
    from monitor.sinks.base import DashboardSink

    sink = registry.make(spec)
    if not isinstance(sink, DashboardSink):
        raise click.BadParameter(
            f"{spec!r} cannot show a comparison; accepted: visdom://host:port/env.", param_hint="'--sink'"
        )
    folder = user_data_path("training-monitor")
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        cleanup.callback(sink.close)
        sinks: list[Sink] = [sink]
        shown_as = Run("comparison", is_written=False)
        servers = start_dashboards(
            sinks, folder, lambda shown: shown.page_url(shown_as), cleanup, open_browser=open_browser, otherwise=""
        )
        if not sinks:
            fail(f"there is no {sink.title} server", 1)
        view = ComparisonView(sink, tags, on_error=on_error)
        try:
            while True:
                try:
                    view.update(find_runs(names, logdir))
                except OSError as error:
                    if not follow:
                        fail(str(error), 1)
                    echo(f"{sink.name}: {error}", err=True)
                if not follow:
                    break
                time.sleep(POLL_INTERVAL_S)
        except (KeyboardInterrupt, SystemExit):
            if not follow:
                raise
        sink.save(folder / sink.name)
        if not follow:
            keep_dashboards_up(servers, [], "The comparison is there", wait=wait)
