"""`monitor compare A B …`: what differs, which run is best, and their curves: in the terminal, Visdom or a page."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.commands.base import MonitorCommand, fail
from monitor.commands.completion import complete_metrics, complete_runs, complete_sinks
from monitor.commands.option_values import GivenPath, PlaceToRead
from monitor.comparison.compare import find_runs, find_sweep, load_run
from monitor.runs.processes.process import signals_as_exit
from monitor.suggestions import hint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.comparison.comparison import Comparison
    from monitor.comparison.event_data import OnError
    from monitor.sinks.base import DashboardSink, Sink

POLL_INTERVAL_S = 1.0  # between two looks at the event files
SPREADS = ("std", "sem", "minmax", "quantiles")
Command = TypeVar("Command", bound="Callable[..., Any]")


def group_options(command: Command) -> Command:
    """Add the options that draw runs with the same settings as one curve."""
    options = (
        click.option("--group-by", multiple=True, metavar="SETTING",
                     help="One curve with a band for runs with the same SETTING; config: all of them."),
        click.option("--ignore", multiple=True, metavar="SETTING",
                     help="With --group-by config, a setting that may differ, such as seed. Repeatable."),
        click.option("--band", "spread", type=click.Choice(SPREADS), default="std", show_default=True,
                     help="With --group-by, what the band shows."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=MonitorCommand)
@click.argument("names", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option("--logdir", type=PlaceToRead(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
              help="Where to look for runs; also an address such as s3://bucket/runs.")  # fmt: skip
@click.option("--metric", "wanted", multiple=True, metavar="TAG", shell_complete=complete_metrics,
              help="Compare by this metric; the first is plotted. Repeatable.")  # fmt: skip
@group_options
@click.option("--sink", "spec", metavar="SPEC", shell_complete=complete_sinks,
              help="Also on a dashboard: visdom, or visdom://host:port/env.")  # fmt: skip
@click.option("--follow", is_flag=True, help="With --sink, keep it up to date until Ctrl-C.")
@click.option("--html", "page", type=GivenPath(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write one page that needs no network.")  # fmt: skip
@click.option("--events", type=GivenPath(file_okay=False, path_type=Path), metavar="DIR",
              help="With --group-by, also write means and bands as event files, for TensorBoard.")  # fmt: skip
@click.option(
    "--step", type=click.IntRange(min=0), help="With --html, show the pictures of this step.  [default: the last]"
)
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser.")
@click.option("--wait", is_flag=True, help="Keep the dashboards up at the end, until Ctrl-C.")
def compare(
    names: tuple[str, ...],
    logdir: Path,
    wanted: tuple[str, ...],
    group_by: tuple[str, ...],
    ignore: tuple[str, ...],
    spread: str,
    spec: str | None,
    follow: bool,
    page: Path | None,
    events: Path | None,
    step: int | None,
    open_browser: bool,
    wait: bool,
) -> None:
    """Compare runs: names, paths, or patterns such as 'mlp-*'."""
    if follow and spec is None:
        raise click.UsageError("--follow needs --sink visdom.")
    if step is not None and page is None:
        raise click.UsageError("--step needs --html FILE.")
    if not group_by and (ignore or events is not None):
        raise click.UsageError(f"{'--ignore' if ignore else '--events'} needs --group-by config, or a setting.")
    from monitor.commands.comparing.compare_text import show
    from monitor.comparison.comparison import Comparison
    from monitor.comparison.event_data import LeftOut

    left_out = LeftOut()
    runs = [load_run(name, path, left_out) for name, path in find_runs(names, logdir).items()]
    known = sorted({tag for run in runs for tag in run.metrics})
    for tag in wanted:
        if tag not in known:
            raise click.BadParameter(f"no run has {tag!r}{hint(tag, known)}", param_hint="'--metric'")
    grouping: dict[str, Any] = {"group_by": group_by, "ignore": ignore, "spread": spread}
    comparison = Comparison(runs, wanted, on_error=left_out, **grouping)
    show(comparison)
    if page is not None:
        write_page(page, comparison.to_html(step=step))
    if events is not None:
        _write_events(events, comparison)
    if spec is not None:
        options: dict[str, Any] = {"follow": follow, "open_browser": open_browser, "wait": wait}
        _show_on_dashboard(spec, names, logdir, comparison.metrics, left_out, grouping, **options)


def write_page(file: Path, page: str) -> None:
    """Write a page and say so; if that fails, exit with status 2 and one line."""
    from monitor.machine.files import atomic_write

    try:
        atomic_write(file, page)
    except OSError as error:
        fail(f"{str(file)!r} cannot be written: {error.strerror or error}", 2)
    click.echo(f"Page: {file}")


def _write_events(folder: Path, comparison: Comparison) -> None:
    from monitor.comparison.views.margin_events import write_margin_events

    try:
        for written in write_margin_events(folder, comparison):
            click.echo(f"Events: {written}")
    except OSError as error:
        fail(f"{str(folder)!r} cannot be written: {error.strerror or error}", 2)


def _show_on_dashboard(
    spec: str,
    names: Sequence[str],
    logdir: Path,
    tags: Sequence[str],
    on_error: OnError,
    grouping: dict[str, Any],
    *,
    follow: bool,
    open_browser: bool,
    wait: bool,
) -> None:
    """Put the comparison on a dashboard; with `follow`, keep it current until Ctrl-C."""
    from monitor.comparison.views.dashboard_view import ComparisonView
    from monitor.dashboards.session import echo, keep_dashboards_up, start_dashboards
    from monitor.runs.run import Run
    from monitor.sinks import base, registry

    sink = registry.make(spec)
    if not isinstance(sink, base.DashboardSink):
        raise click.BadParameter(
            f"{spec!r} cannot show a comparison; accepted: visdom://host:port/env.", param_hint="'--sink'"
        )
    place = logdir if os.access(logdir, os.W_OK) else None  # the runs may be elsewhere
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        cleanup.callback(sink.close)
        sinks: list[Sink] = [sink]
        sweep = None if grouping["group_by"] else find_sweep(names, logdir)
        shown_as = Run("comparison" if sweep is None else sweep.stem, is_written=False)
        servers = start_dashboards(
            sinks,
            lambda shown: shown.open_page(shown_as),
            cleanup,
            logdir=place,
            open_browser=open_browser,
            otherwise="",
        )
        if not sinks:
            fail(f"there is no {sink.title} server", 1)
        view: Any = (
            ComparisonView(sink, tags, on_error=on_error, **grouping) if sweep is None else _SweepView(sink, sweep)
        )
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
        _save(sink, place)
        if not follow:
            keep_dashboards_up(servers, [], "The comparison is there", wait=wait)


class _SweepView:
    """The page of a sweep, where a comparison of runs would be."""

    def __init__(self, sink: DashboardSink, sweep: Path) -> None:
        from monitor.sweeps.page.sweep_page import SweepPage

        self._page = SweepPage(sweep.stem, sweep.parent, [sink])

    def update(self, _runs: Mapping[str, Path]) -> None:
        """Show what is new, unless it was just shown; raise `OSError` if the server does not answer."""
        if self._page.update() and self._page.problem:
            raise OSError(self._page.problem)


def _save(sink: DashboardSink, logdir: Path | None) -> None:
    """Save the page where the server of the log directory finds it."""
    from monitor.dashboards.launcher import default_data_folder
    from monitor.dashboards.session import echo

    try:
        sink.save(default_data_folder(sink.name, logdir))
    except OSError as error:
        echo(f"{sink.name}: the page is not saved: {error}", err=True)
