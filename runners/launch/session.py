"""A runner's run, from its dashboards' start to the line that says how to look at it."""

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
            boards = _attend(sinks, run.path / "visdom", lambda sink: sink.url_of(run), given, cleanup)
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
            kept = _save(run, sinks)
        if run.status == "stopped":
            _leave_stopped(run)
        echo(f"Run: {run.path}")
        if not given.get("in_group"):
            events = given["logdir"] if any(sink.name == "tensorboard" for sink in sinks) else None
            keep_dashboards_up(boards, events, run.path / "visdom" if kept else None)


@contextmanager
def group(folder: Path, given: Mapping[str, Any]) -> Iterator[GroupDashboards]:
    """Start the dashboards for several runs under `folder`; Ctrl-C and SIGTERM end them."""
    with ExitStack() as cleanup:
        cleanup.enter_context(signals_as_exit())
        folder.mkdir(parents=True, exist_ok=True)
        made = {spec: registry.make(spec) for spec in given["sinks"]}
        sinks = list(made.values())
        page = f"/env/{folder.name}_comparison"
        boards = _attend(sinks, folder / "visdom", lambda sink: sink.url + page, given, cleanup)
        yield GroupDashboards(boards, {spec: sink for spec, sink in made.items() if sink in sinks})


class GroupDashboards:
    """The dashboards and the sinks of several runs."""

    def __init__(self, boards: list[DashboardServer], sinks: dict[str, Sink]) -> None:
        self.boards = boards
        self._sinks = sinks

    def specs(self, env: str) -> list[str]:
        """Return the sinks of a run, as the command line takes them."""
        return [self._visdom_spec(sink, env) if sink.name == "visdom" else spec for spec, sink in self._sinks.items()]

    def visdom(self, env: str) -> VisdomSink | None:
        """Return a sink that shows an env of its own, where there is a Visdom server."""
        for sink in self._sinks.values():
            if sink.name == "visdom":
                return cast("VisdomSink", registry.make(self._visdom_spec(sink, env)))
        return None

    def wrote(self, name: str) -> bool:
        """Tell whether a sink of this name is among them."""
        return any(sink.name == name for sink in self._sinks.values())

    def _visdom_spec(self, sink: Sink, env: str) -> str:
        return f"visdom://{cast('VisdomSink', sink).url.partition('://')[2]}/{quote(env)}"


def _leave_stopped(run: Run) -> NoReturn:
    echo(f"Stopped by an alert. The run so far is in {run.path}", err=True)
    sys.exit(1)


def _attend(
    sinks: list[Sink],
    folder: Path,
    page_of: Callable[[VisdomSink], str],
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


def _save(run: Run, sinks: list[Sink]) -> bool:
    """Keep Visdom's windows with the run, as its server forgets them when it ends; tell whether there are any."""
    kept = False
    for sink in sinks:
        if sink.name == "visdom":
            try:
                cast("VisdomSink", sink).save(run.path / "visdom")
                kept = True
            except OSError as error:
                log.warning("visdom: the windows are not saved with the run: %s", error)
    return kept
