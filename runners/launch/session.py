"""A runner's run, from its dashboards' start to the line that says how to look at it."""

from __future__ import annotations

import logging
import shutil
import sys
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import click

from monitor import DashboardSink, Logger, Run, Sink
from monitor.dashboards.session import echo, keep_dashboards_up, save_pages, start_dashboards, view_commands
from monitor.runs.process import signals_as_exit
from monitor.sinks import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from monitor.dashboards.launcher import DashboardServer

log = logging.getLogger("monitor")


@contextmanager
def start(
    runner: str,
    config: Mapping[str, Any],
    given: Mapping[str, Any],
    reopen: Callable[[], Run | None] = lambda: None,
    rank: int = 0,
) -> Iterator[Logger]:
    """Open the logger of a run, and the dashboards it streams to; say at the end where it is.

    `reopen` returns the run to go on with, or None for a new one. Ctrl-C and SIGTERM end it in good order. On a
    terminal the dashboards stay up after the training, until Ctrl-C. A process that is not rank 0 gets a silent logger.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        if rank > 0:
            yield cleanup.enter_context(Logger(Run(given["logdir"] / runner, is_written=False)))
            return
        run = reopen() or _run(runner, config, given)
        if run.is_resumed:
            echo(f"Resumed: {run.path}")
        try:
            sinks = [registry.make(spec) for spec in given["sinks"]]
            boards = _attend(sinks, run.path, lambda sink: sink.page_url(run), given, cleanup)
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
            run.finish(
                "interrupted" if interrupted else "failed", f"{type(error).__name__} while the dashboards started"
            )
            raise
        try:
            alerts, stop = given.get("alerts", ()), given.get("stop_on_alert", False)
            with Logger(run, sinks, alerts=alerts, stop_on_alert=stop) as logger:
                yield logger
        except KeyboardInterrupt:
            if run.status == "stopped":
                _leave_stopped(run)
            echo(f"Interrupted. The run so far is in {run.path}", err=True)
            sys.exit(130)
        finally:
            saved = save_pages(sinks, run.path)
        if run.status == "stopped":
            _leave_stopped(run)
        echo(f"Run: {run.path}")
        if not given.get("in_group"):
            shown = [sink for sink in sinks if sink in saved or not isinstance(sink, DashboardSink)]
            keep_dashboards_up(boards, view_commands(shown, given["logdir"], run.path))


@contextmanager
def group(folder: Path, given: Mapping[str, Any]) -> Iterator[GroupDashboards]:
    """Start the dashboards for several runs under `folder`; Ctrl-C and SIGTERM end them."""
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        folder.mkdir(parents=True, exist_ok=True)
        made = {spec: registry.make(spec) for spec in given["sinks"]}
        sinks = list(made.values())
        boards = _attend(sinks, folder, lambda sink: _page(sink, f"{folder.name}_comparison"), given, cleanup)
        yield GroupDashboards(boards, {spec: sink for spec, sink in made.items() if sink in sinks})


class GroupDashboards:
    """The dashboards and the sinks of several runs."""

    def __init__(self, boards: list[DashboardServer], sinks: dict[str, Sink]) -> None:
        self.boards = boards
        self._sinks = sinks

    def specs(self, page: str) -> list[str]:
        """Return the sinks of a run, as the command line takes them."""
        return [
            sink.spec_of_page(page) if isinstance(sink, DashboardSink) else spec for spec, sink in self._sinks.items()
        ]

    def dashboard(self, page: str) -> DashboardSink | None:
        """Return a sink that shows a page of its own, if there is a dashboard."""
        for sink in self._sinks.values():
            if isinstance(sink, DashboardSink):
                made = registry.make(sink.spec_of_page(page))
                assert isinstance(made, DashboardSink)
                return made
        return None

    @property
    def writes_event_files(self) -> bool:
        """Whether the runs leave event files."""
        return any(sink.writes_event_files for sink in self._sinks.values())

    def gather_pages(self, folder: Path) -> None:
        """Copy the pages saved with each run below `folder` into one place, so that one server shows them all."""
        for sink in self._sinks.values():
            if isinstance(sink, DashboardSink):
                together = folder / sink.name
                together.mkdir(exist_ok=True)
                for page in folder.glob(f"*/{sink.name}/*"):
                    shutil.copy(page, together / page.name)

    def view_commands(self, logdir: Path) -> list[str]:
        """Return the commands that show the runs again."""
        return view_commands(self._sinks.values(), logdir, logdir)


def _page(sink: DashboardSink, name: str) -> str:
    made = registry.make(sink.spec_of_page(name))
    assert isinstance(made, DashboardSink)
    return made.page_url(Run(name, is_written=False))


def _leave_stopped(run: Run) -> NoReturn:
    echo(f"Stopped by an alert. The run so far is in {run.path}", err=True)
    sys.exit(1)


def _attend(
    sinks: list[Sink],
    folder: Path,
    page_of: Callable[[DashboardSink], str],
    given: Mapping[str, Any],
    cleanup: ExitStack,
) -> list[DashboardServer]:
    logdir = given["logdir"] if given["all_dashboards"] else None
    return start_dashboards(sinks, folder, page_of, cleanup, logdir=logdir, open_browser=given["open_browser"])


def _run(runner: str, config: Mapping[str, Any], given: Mapping[str, Any]) -> Run:
    name = given["name"] or f"{runner}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        return Run(given["logdir"] / name, config)
    except OSError as error:
        raise click.BadParameter(
            f"{str(given['logdir'])!r} cannot be written: {error.strerror or error}", param_hint="'--logdir'"
        ) from error
