"""The logger and the dashboards of a run, or of a group of runs, from their start to the closing message."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from monitor import DashboardSink, Logger, Run, Sink
from monitor.dashboards.session import (
    echo,
    keep_dashboards_up,
    recover_dashboards,
    save_pages,
    start_dashboards,
    view_commands,
)
from monitor.remote.sending import Uploading
from monitor.remote.store import StoreError
from monitor.remote.urls import display_path
from monitor.runs.output.capture import OUTPUT_FILE, captured_output
from monitor.runs.processes.process import signals_as_exit, signals_put_off
from monitor.runs.processes.rank import is_under_torchrun
from monitor.sinks import registry
from monitor.sinks.console import ConsoleSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from monitor.dashboards.server_process import DashboardServer
    from monitor.steering.controls import Controls
    from runners.launch.options import RunOptions, SinkOptions

UPLOAD_TIMEOUT_S = 10.0  # without progress, at the end
RECOVERY_TIMEOUT_S = 30.0  # for the windows of a server that was killed just before the end


@contextmanager
def open_logger(
    runner: str,
    config: Mapping[str, Any],
    options: RunOptions,
    reopen: Callable[[], Run | None] = lambda: None,
    rank: int = 0,
    *,
    are_sinks_from_user: bool = True,
    controls: Controls | None = None,
) -> Iterator[Logger]:
    """Open the logger of a run and the dashboards that it streams to; at the end, print where the run is.

    `reopen` returns the run to resume, None for a new one. Ctrl-C and SIGTERM close the run properly. On a terminal,
    the dashboards stay up after the training while somebody looks at them. A process whose rank is not 0 gets a logger
    that writes nothing. Unless `are_sinks_from_user`, no login from the environment goes to another machine.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        if rank > 0:
            yield cleanup.enter_context(Logger(Run(options.logdir / runner, is_written=False), controls=controls))
            return
        let_signals_in = cleanup.enter_context(signals_put_off())
        run = reopen() or _new_run(runner, config, options)
        try:
            let_signals_in()  # from now on, an end is written into `run.json`
            if run.is_resumed:
                echo(f"Resumed: {display_path(run.path)}")
            upload = Uploading(run.path)
            cleanup.push(partial(_finish_upload, upload))  # after the end of the output
            cleanup.enter_context(captured_output(run.path / OUTPUT_FILE, is_wanted=options.output))
            sinks = _make_sinks(options, are_sinks_from_user=are_sinks_from_user)
            servers = _start_dashboards(sinks, lambda sink: sink.open_page(run), options, cleanup)
        except BaseException as error:
            is_interrupt = isinstance(error, KeyboardInterrupt | SystemExit)
            status = "interrupted" if is_interrupt else "failed"
            run.finish(status, f"{type(error).__name__} while the dashboards started")
            raise
        try:
            stops = options.stop_on_alert
            logger = Logger(
                run,
                sinks,
                alerts=options.alerts,
                stop_on_alert=stops,
                prune=options.prune,
                record=options.record,
                charts=options.charts or None,
                controls=controls,
            )
            with logger, _recovered_at_end(logger, servers):
                yield logger
        except KeyboardInterrupt:
            if run.status not in ("stopped", "pruned"):
                echo(f"Interrupted. The run so far is in {display_path(run.path)}", err=True)
                sys.exit(130)
        finally:
            saved = save_pages(sinks, run.path)
        _say_who_ended_it(logger)
        echo(f"Run: {display_path(run.path)}")
        if run.incomplete:
            echo(f"Records are missing in: {', '.join(run.incomplete)}", err=True)
            sys.exit(1)
        if not options.in_group:
            shown = [sink for sink in sinks if sink in saved or not isinstance(sink, DashboardSink)]
            keep_dashboards_up(servers, view_commands(shown, options.logdir, run.path), wait=options.wait)


def _finish_upload(upload: Uploading, kind: type[BaseException] | None, *_: object) -> None:
    """Upload what is left; exit with status 1 if the store then lacks some of a run that ended well."""
    if not upload.close(UPLOAD_TIMEOUT_S) and kind is None:
        sys.exit(1)


@contextmanager
def _recovered_at_end(logger: Logger, servers: list[DashboardServer]) -> Iterator[None]:
    """Start servers that were killed again before the logger closes: a sink that is failing then is soon given up."""
    try:
        yield
    finally:
        if recover_dashboards(servers):
            logger.flush(RECOVERY_TIMEOUT_S)


@contextmanager
def open_group_dashboards(folder: Path, options: SinkOptions) -> Iterator[GroupDashboards]:
    """Start the dashboards for several runs under `folder`; Ctrl-C and SIGTERM close them properly."""
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        sink_by_spec = {spec: registry.make(spec) for spec in options.sinks}
        sinks = list(sink_by_spec.values())
        run = Run(f"{folder.name}_comparison", is_written=False)
        servers = _start_dashboards(sinks, lambda sink: _sink_of_page(sink, run.name).open_page(run), options, cleanup)
        yield GroupDashboards(servers, {spec: sink for spec, sink in sink_by_spec.items() if sink in sinks})


class GroupDashboards:
    """The dashboards and the sinks of several runs."""

    def __init__(self, servers: list[DashboardServer], sinks: dict[str, Sink]) -> None:
        self.servers = servers
        self._sinks = sinks

    @property
    def writes_event_files(self) -> bool:
        """Whether the runs leave event files."""
        return any(sink.writes_event_files for sink in self._sinks.values())

    def specs(self, page: str) -> list[str]:
        """Return the sinks of one of the runs, as the command line takes them; `page` names its page."""
        return [
            sink.spec_of_page(page) if isinstance(sink, DashboardSink) else spec for spec, sink in self._sinks.items()
        ]

    def dashboard_sink(self, page: str) -> DashboardSink | None:
        """Return a new sink for a page of this name, or None if there is no dashboard."""
        dashboards = [sink for sink in self._sinks.values() if isinstance(sink, DashboardSink)]
        return _sink_of_page(dashboards[0], page) if dashboards else None

    def collect_pages(self, folder: Path) -> None:
        """Copy the saved pages of all runs below `folder` into it, so that one server can show the whole group."""
        for sink in self._sinks.values():
            if isinstance(sink, DashboardSink):
                (folder / sink.name).mkdir(exist_ok=True)
                for path in folder.glob(f"*/{sink.name}/*"):
                    shutil.copy(path, folder / sink.name / path.name)

    def view_commands(self, folder: Path) -> list[str]:
        """Return the commands that show the runs below `folder` again."""
        return view_commands(self._sinks.values(), folder, folder)


def _sink_of_page(sink: DashboardSink, page: str) -> DashboardSink:
    made = registry.make(sink.spec_of_page(page))
    assert isinstance(made, DashboardSink)
    return made


def refuse_logdir(logdir: Path, error: OSError) -> NoReturn:
    """Raise `click.BadParameter` for a log directory that cannot be written."""
    reason = error.strerror or error
    raise click.BadParameter(f"{str(logdir)!r} cannot be written: {reason}", param_hint="'--logdir'") from error


def _make_sinks(options: RunOptions, *, are_sinks_from_user: bool) -> list[Sink]:
    """Make the sinks of a run; keep the user's login from servers that the user did not name."""
    sinks = [registry.make(spec) for spec in options.sinks]
    for sink in sinks:
        if isinstance(sink, ConsoleSink):
            sink.show = options.show
        if isinstance(sink, DashboardSink) and not are_sinks_from_user:
            sink.withhold_login()
    return sinks


def _say_who_ended_it(logger: Logger) -> None:
    """Say that the run was pruned, which is no failure, or exit with status 1 if it was stopped."""
    if logger.run.status == "pruned":
        echo(f"Pruned: {logger.run.end_reason}")
    if logger.run.status != "stopped":
        return
    by = "by an alert" if logger.controls.stop_reason is None else "from the dashboard"
    echo(f"Stopped {by}. The run so far is in {display_path(logger.run.path)}", err=True)
    sys.exit(0 if is_under_torchrun() else 1)  # torchrun would take it for a failure, and start the run again


def _start_dashboards(
    sinks: list[Sink],
    open_page: Callable[[DashboardSink], str],
    options: SinkOptions,
    cleanup: ExitStack,
) -> list[DashboardServer]:
    return start_dashboards(
        sinks,
        open_page,
        cleanup,
        logdir=options.logdir,
        has_board=options.all_dashboards,
        open_browser=options.open_browser,
    )


def _new_run(runner: str, config: Mapping[str, Any], options: RunOptions) -> Run:
    name = options.name or f"{runner}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        return Run(options.logdir / name, config)
    except StoreError:
        raise
    except OSError as error:
        refuse_logdir(options.logdir, error)
