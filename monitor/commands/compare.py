"""`monitor compare A B …`: what differs, which run is best, and their curves, in the terminal, Visdom or a page."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.comparison.compare import ComparedRun, ComparisonView, differing, find, main_metrics, read, winners
from monitor.runs.process import signals_as_exit
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from monitor.sinks.base import Sink
    from monitor.sinks.visdom.sink import VisdomSink

POLL_INTERVAL_S = 1.0  # seconds
PLOT_LINES = 16  # lines of a plot
MAX_PLOT_COLUMNS = 110  # characters of a plot
MARKERS = "•x+o*#%@"  # of runs, where there are no colours


@click.command(cls=MonitorCommand)
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@click.option("--logdir", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where runs are looked for.")  # fmt: skip
@click.option("--metric", "wanted", multiple=True, metavar="TAG",
              help="Compare by this, and plot the first; repeatable.")  # fmt: skip
@click.option("--sink", "spec", metavar="SPEC", help="Also in Visdom: visdom, or visdom://host:port/env.")
@click.option("--follow", is_flag=True, help="With --sink, keep it current until Ctrl-C.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also as one page that needs no network.")  # fmt: skip
@click.option(
    "--step", type=click.IntRange(min=0), help="With --html, show pictures of this step.  [default: the last]"
)
@click.option("--open", "open_browser", is_flag=True, help="Open Visdom's page in a browser.")
def compare(
    names: tuple[str, ...],
    logdir: Path,
    wanted: tuple[str, ...],
    spec: str | None,
    follow: bool,
    page: Path | None,
    step: int | None,
    open_browser: bool,
) -> None:
    """Compare runs: names, paths, or patterns such as 'mlp-*'."""
    if follow and spec is None:
        raise click.UsageError("--follow goes with --sink visdom.")
    if step is not None and page is None:
        raise click.UsageError("--step goes with --html FILE.")
    paths = find(names, logdir)
    runs = [read(name, path) for name, path in paths.items()]
    known = sorted({tag for run in runs for tag in run.metrics})
    for tag in wanted:
        if tag not in known:
            raise click.BadParameter(f"no run has {tag!r}; known: {', '.join(known)}.", param_hint="'--metric'")
    tags = list(wanted) or main_metrics(runs)
    show(runs, tags)
    if page is not None:
        from monitor.comparison.html_report import write

        try:
            write(page, runs, tags, step)
        except OSError as error:
            fail(f"{str(page)!r} cannot be written: {error.strerror or error}", 2)
        click.echo(f"Page: {page}")
    if spec is not None:
        _in_visdom(spec, names, logdir, tags, follow, open_browser)


def show(runs: Sequence[ComparedRun], tags: Sequence[str]) -> None:
    """Print what differs, the metrics, and a plot of the first of them."""
    from rich.console import Console

    console = Console()
    settings = differing(runs)
    if len(runs) > 1 and not settings:
        console.print("The settings are the same in all runs.", highlight=False)
    elif settings:
        console.print(settings_table(runs, settings))
    if not tags:
        console.print("No scalars were logged.", highlight=False)
        return
    console.print(metrics_table(runs, tags))
    console.print()
    console.file.write(plot(runs, tags[0], min(console.width, MAX_PLOT_COLUMNS), colours=console.is_terminal))


def settings_table(runs: Sequence[ComparedRun], settings: Sequence[str]) -> Table:
    """Lay out the settings that differ, a row a run."""
    from rich.table import Table
    from rich.text import Text

    laid = Table("run", *settings, title="settings that differ", title_justify="left", box=None, pad_edge=False)
    for run in runs:
        laid.add_row(Text(run.name), *(Text(_setting(run.config.get(name))) for name in settings))
    return laid


def metrics_table(runs: Sequence[ComparedRun], tags: Sequence[str]) -> Table:
    """Lay out each metric's last and best value with their steps, a row a run and metric; the best has a star."""
    from rich.table import Table
    from rich.text import Text

    laid = Table("metric", "run", title="\nmetrics, the best with a *", title_justify="left", box=None, pad_edge=False)
    for name in ("last", "at step", "best", "at step"):
        laid.add_column(name, justify="right")
    laid.add_column("status")
    for tag in tags:
        for place, run in enumerate(runs):
            entry = run.metrics.get(tag, {})
            cells = []
            for what, at in (("last", "step"), ("best", "best_step")):
                star = "*" if run.name in winners(runs, tag, what) else " "
                value = parse_number(entry.get(what))
                cells += ["" if value is None else f"{value:.5g}{star}", str(entry.get(at, ""))]
            label = Text(tag if place == 0 else "")
            laid.add_row(label, Text(run.name), *cells, Text(run.status), end_section=place == len(runs) - 1)
    return laid


def plot(runs: Sequence[ComparedRun], tag: str, width: int, *, colours: bool) -> str:
    """Draw a metric of all runs in characters."""
    import plotext

    from monitor.events.reader import read_scalars

    plotext.clear_figure()
    plotext.plotsize(width, PLOT_LINES)
    plotext.title(tag)
    drawn = False
    for place, run in enumerate(runs):
        points = [(step, value) for step, value in read_scalars(run.path, [tag])[tag] if abs(value) < float("inf")]
        if points:
            drawn = True
            marker = "hd" if colours else MARKERS[place % len(MARKERS)]
            plotext.plot(*zip(*points), label=run.name, marker=marker)
    if not drawn:
        return f"{tag}: there is no finite value to plot\n"
    drawing = str(plotext.build())
    return (drawing if colours else plotext.uncolorize(drawing)).rstrip() + "\n"


def _setting(value: Any) -> str:
    return "" if value is None else str(value)


def _in_visdom(
    spec: str, names: Sequence[str], logdir: Path, tags: Sequence[str], follow: bool, open_browser: bool
) -> None:
    """Put the comparison up in Visdom; with `follow`, keep it current until Ctrl-C."""
    from platformdirs import user_data_path

    from monitor.dashboards.session import echo, keep_dashboards_up, start_dashboards
    from monitor.sinks import registry

    made = registry.make(spec)
    if made.name != "visdom":
        raise click.BadParameter(
            f"{spec!r} shows no comparison; accepted: visdom://host:port/env.", param_hint="'--sink'"
        )
    sink = cast("VisdomSink", made)
    kept = user_data_path("training-monitor") / "visdom"
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        cleanup.callback(sink.close)
        sinks: list[Sink] = [sink]
        boards = start_dashboards(
            sinks, kept, lambda shown: shown.page("comparison"), cleanup, open_browser=open_browser
        )
        if not sinks:
            fail("there is no Visdom server", 1)
        overlay = ComparisonView(sink, tags)
        try:
            while True:
                try:
                    overlay.update(find(names, logdir))
                except OSError as error:
                    if not follow:
                        fail(str(error), 1)
                    echo(f"visdom: {error}", err=True)
                if not follow:
                    break
                time.sleep(POLL_INTERVAL_S)
        except (KeyboardInterrupt, SystemExit):
            if not follow:
                raise
        sink.save(kept)
        if not follow:
            keep_dashboards_up(boards, None, None, "The comparison is there")
