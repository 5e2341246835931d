"""The logger and the dashboards of a run, or of a group of runs, from their start to the closing message."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import quote

import click

from monitor import Logger, Run, Sink
from monitor.dashboards.session import echo, keep_dashboards_up, start_dashboards
from monitor.runs.process import signals_as_exit
from monitor.sinks import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from monitor.dashboards.launcher import DashboardServer
    from monitor.sinks.visdom.sink import VisdomSink
    from runners.launch.options import RunOptions, SinkOptions

log = logging.getLogger("monitor")

VISDOM_FOLDER = "visdom"  # in a run or a group: the saved Visdom windows


@contextmanager
def open_logger(
    runner: str,
    config: Mapping[str, Any],
    options: RunOptions,
    reopen: Callable[[], Run | None] = lambda: None,
    rank: int = 0,
) -> Iterator[Logger]:
    """Open the logger of a run and the dashboards that it streams to; at the end, print where the run is.

    `reopen` returns the run to resume, None for a new one. Ctrl-C and SIGTERM close the run properly. On a terminal the
    dashboards stay up after the training until Ctrl-C. A process whose rank is not 0 gets a logger that writes nothing.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        if rank > 0:
            yield cleanup.enter_context(Logger(Run.unwritten(options.logdir / runner)))
            return
        run = reopen() or _new_run(runner, config, options)
        if run.is_resumed:
            echo(f"Resumed: {run.path}")
        try:
            sinks = [registry.make(spec) for spec in options.sinks]
            boards = _start_dashboards(sinks, run.path / VISDOM_FOLDER, lambda sink: sink.url_of(run), options, cleanup)
        except BaseException as error:
            is_interrupt = isinstance(error, KeyboardInterrupt | SystemExit)
            status = "interrupted" if is_interrupt else "failed"
            run.finish(status, f"{type(error).__name__} while the dashboards started")
            raise
        try:
            with Logger(run, sinks, alerts=options.alerts, stop_on_alert=options.stop_on_alert) as logger:
                yield logger
        except KeyboardInterrupt:
            if run.status == "stopped":
                _exit_stopped(run)
            echo(f"Interrupted. The run so far is in {run.path}", err=True)
            sys.exit(130)
        finally:
            has_windows = _save_windows(run, sinks)
        if run.status == "stopped":
            _exit_stopped(run)
        echo(f"Run: {run.path}")
        if not options.in_group:
            event_folder = options.logdir if any(sink.name == "tensorboard" for sink in sinks) else None
            keep_dashboards_up(boards, event_folder, run.path / VISDOM_FOLDER if has_windows else None)


@contextmanager
def open_group_dashboards(folder: Path, options: SinkOptions) -> Iterator[GroupDashboards]:
    """Start the dashboards for several runs under `folder`; Ctrl-C and SIGTERM close them properly."""
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        sink_by_spec = {spec: registry.make(spec) for spec in options.sinks}
        sinks = list(sink_by_spec.values())
        page = f"/env/{folder.name}_comparison"
        boards = _start_dashboards(sinks, folder / VISDOM_FOLDER, lambda sink: sink.url + page, options, cleanup)
        yield GroupDashboards(boards, {spec: sink for spec, sink in sink_by_spec.items() if sink in sinks})


class GroupDashboards:
    """The dashboards and the sinks of several runs."""

    def __init__(self, boards: list[DashboardServer], sinks: dict[str, Sink]) -> None:
        self.boards = boards
        self._sinks = sinks

    def specs(self, env: str) -> list[str]:
        """Return the sinks of one of the runs, as the command line takes them; `env` is its Visdom env."""
        return [self._visdom_spec(sink, env) if sink.name == "visdom" else spec for spec, sink in self._sinks.items()]

    def visdom_sink(self, env: str) -> VisdomSink | None:
        """Return a new sink for a Visdom env, None if there is no Visdom server."""
        for sink in self._sinks.values():
            if sink.name == "visdom":
                return cast("VisdomSink", registry.make(self._visdom_spec(sink, env)))
        return None

    def has_sink(self, name: str) -> bool:
        """Tell whether one of the sinks has this name."""
        return any(sink.name == name for sink in self._sinks.values())

    def _visdom_spec(self, sink: Sink, env: str) -> str:
        return f"visdom://{cast('VisdomSink', sink).url.partition('://')[2]}/{quote(env)}"


def refuse_logdir(logdir: Path, error: OSError) -> NoReturn:
    """Raise `click.BadParameter` for a log directory that cannot be written."""
    reason = error.strerror or error
    raise click.BadParameter(f"{str(logdir)!r} cannot be written: {reason}", param_hint="'--logdir'") from error


def _exit_stopped(run: Run) -> NoReturn:
    echo(f"Stopped by an alert. The run so far is in {run.path}", err=True)
    sys.exit(1)


def _start_dashboards(
    sinks: list[Sink],
    folder: Path,
    page_of: Callable[[VisdomSink], str],
    options: SinkOptions,
    cleanup: ExitStack,
) -> list[DashboardServer]:
    logdir = options.logdir if options.all_dashboards else None
    return start_dashboards(sinks, folder, page_of, cleanup, logdir=logdir, open_browser=options.open_browser)


def _new_run(runner: str, config: Mapping[str, Any], options: RunOptions) -> Run:
    name = options.name or f"{runner}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        return Run(options.logdir / name, config)
    except OSError as error:
        refuse_logdir(options.logdir, error)


def _save_windows(run: Run, sinks: list[Sink]) -> bool:
    """Save Visdom's windows in the run, as its server forgets them when it ends; tell whether there are any."""
    has_windows = False
    for sink in sinks:
        if sink.name == "visdom":
            try:
                cast("VisdomSink", sink).save(run.path / VISDOM_FOLDER)
                has_windows = True
            except OSError as error:
                log.warning("visdom: the windows are not saved with the run: %s", error)
    return has_windows
