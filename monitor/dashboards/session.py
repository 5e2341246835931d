"""The servers behind a command's sinks: found or started at its begin, ended with it, kept up while somebody looks."""

from __future__ import annotations

import logging
import os
import sys
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from monitor.dashboards import launcher
from monitor.dashboards.launcher import DashboardServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from monitor.sinks.base import Sink
    from monitor.sinks.visdom.sink import VisdomSink

log = logging.getLogger("monitor")


def start_dashboards(
    sinks: list[Sink],
    folder: Path,
    page_of: Callable[[VisdomSink], str],
    cleanup: ExitStack,
    *,
    logdir: Path | None = None,
    open_browser: bool = False,
) -> list[DashboardServer]:
    """Find or start the servers behind the sinks, and print their addresses; a Visdom sink without one is taken out.

    A Visdom server keeps its envs in `folder`; with a `logdir`, a TensorBoard over it is there too. Blocks for some
    seconds; `cleanup` ends what was started.
    """
    starting: list[tuple[DashboardServer, VisdomSink | None]] = []
    for sink in sinks:
        if sink.name == "visdom":
            starting.append((_visdom(cast("VisdomSink", sink), folder), cast("VisdomSink", sink)))
            cleanup.callback(starting[-1][0].stop)
    if logdir is not None:
        starting.append((launcher.tensorboard(logdir), None))
        cleanup.callback(starting[-1][0].stop)
    pages: list[str] = []
    boards: list[DashboardServer] = []
    for board, shown in starting:  # all of them are on their way by now
        if not board.wait(log.warning):
            if shown is not None:
                sinks.remove(shown)
            continue
        if shown is not None and board.process is not None:
            shown.connect_to(board.url)
        boards.append(board)
        pages.append(board.url if shown is None else page_of(shown))
        echo(f"{board.name}: {pages[-1]}")
    if open_browser and pages:
        webbrowser.open(pages[0])
    return boards


def keep_dashboards_up(
    boards: list[DashboardServer], events: Path | None, windows: Path | None, done: str = "Training finished"
) -> None:
    """On a terminal, keep the dashboards up until Ctrl-C; elsewhere, say how to look at what was written."""
    if any(board.process for board in boards) and sys.stdout.isatty():
        echo(f"{done}; dashboards stay up until Ctrl-C")
        _wait_for_ctrl_c()
        return
    ways = [f"monitor serve tensorboard --logdir {events}"] * (events is not None)
    ways += [f"monitor serve visdom --env-dir {windows}"] * (windows is not None)
    for number, way in enumerate(ways):
        echo(("            or: " if number else "Look at it with: ") + way)


def echo(line: str, err: bool = False) -> None:
    """Print a line, as long as somebody reads it: a closed pipe or terminal must not end a training."""
    try:
        click.echo(line, err=err)
    except OSError:
        setattr(sys, "stderr" if err else "stdout", Path(os.devnull).open("w"))  # noqa: SIM115 - for the rest of it


def _visdom(sink: VisdomSink, folder: Path) -> DashboardServer:
    """Find the sink's server, or start one where the sink's address is on this machine and nobody listens there."""
    url = f"http://{sink.host}:{sink.port}"
    if sink.given and (launcher.listens(sink.host, sink.port) or not launcher.is_local(sink.host)):
        return DashboardServer("Visdom", url)  # the user named it; the sink copes with what it does
    if not sink.given and launcher.answers_as_visdom(url):
        return DashboardServer("Visdom", url)
    from monitor.dashboards import assets

    assets.ensure(log.warning, log.info)
    port = 0 if launcher.listens(sink.host, sink.port) else sink.port
    return launcher.visdom(sink.host, port, folder)


def _wait_for_ctrl_c() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        echo("")
