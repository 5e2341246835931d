"""The dashboards of one command: found or started before its runs, saved and ended after them."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
import time
import webbrowser
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from monitor.dashboards.keeper import DashboardKeeper
from monitor.dashboards.launcher import serve_sink, serve_tensorboard
from monitor.dashboards.ownership.leases import start_lock
from monitor.dashboards.ownership.parent_watch import idle_minutes
from monitor.machine.network import is_loopback
from monitor.remote.urls import display_path
from monitor.render.text.escaping import escape_control_chars
from monitor.runs.processes.rank import is_on_several_machines
from monitor.sinks.base import DashboardSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import ExitStack

    from monitor.dashboards.server_process import DashboardServer
    from monitor.sinks.base import Sink

log = logging.getLogger("monitor")

RECENT_S = 30.0  # a busy machine may need as long to send everything again


def start_dashboards(
    sinks: list[Sink],
    open_page: Callable[[DashboardSink], str],
    cleanup: ExitStack,
    *,
    logdir: Path | None = None,
    has_board: bool = False,
    open_browser: bool = False,
    err: bool = False,
    otherwise: str = "training goes on without it",
) -> list[DashboardServer]:
    """Find or start the servers of the sinks, and print the addresses of their pages, on stderr with `err`.

    `open_page` makes the page of a sink and returns its address. A started server shows the runs of the `logdir`, and
    keeps its data there; without one, in the user's data. A dashboard sink whose server cannot be started is removed
    from `sinks`; the warning ends with `otherwise`, if that is not empty. With `has_board`, TensorBoard is served over
    the `logdir` too. Until `cleanup`, servers that were started for a run are started again if they are gone; `cleanup`
    ends those that no other run uses. Blocks for some seconds.
    """
    starting: list[tuple[DashboardServer, DashboardSink | None]] = []
    pages: list[str] = []
    servers: list[DashboardServer] = []
    report = partial(_warn, otherwise)
    has_dashboards = has_board or any(isinstance(sink, DashboardSink) for sink in sinks)
    with (
        start_lock() if has_dashboards else nullcontext()
    ):  # of several runs that start at once, one starts the servers and the others find them
        for sink in sinks:
            if isinstance(sink, DashboardSink):
                starting.append((serve_sink(sink, logdir), sink))
                cleanup.callback(starting[-1][0].stop)
        if logdir is not None and has_board:
            starting.append((serve_tensorboard(logdir), None))
            cleanup.callback(starting[-1][0].stop)
        for server, shown in starting:  # by now all of them are starting, at the same time
            if not server.wait(report):
                if shown is not None:
                    sinks.remove(shown)
                continue
            if shown is not None:
                _settle(shown, server)
            servers.append(server)
            pages.append(server.url if shown is None else _made_page(shown, open_page))
            echo(f"{server.name}: {pages[-1]}{where(pages[-1])}", err=err)
    if servers:
        cleanup.callback(DashboardKeeper(servers, report).stop)
    if open_browser and pages:
        webbrowser.open(pages[0])
    return servers


def _settle(sink: DashboardSink, server: DashboardServer) -> None:
    """Let a sink stay at its server."""
    if server.process is not None:
        sink.connect_to(server.url)
    sink.has_address = True


def where(page: str) -> str:
    """Return on which machine an address of the machine itself is, where a training has several."""
    is_local = is_on_several_machines() and is_loopback(urlsplit(page).hostname or "")
    return f" (on {socket.gethostname()})" if is_local else ""


def _made_page(sink: DashboardSink, open_page: Callable[[DashboardSink], str]) -> str:
    """Make the page of a sink, and return its address; without the page if the server does not take it now."""
    try:
        return open_page(sink)
    except OSError as error:
        log.warning("%s: the page comes later: %s", sink.name, error)
        return sink.url


def _warn(otherwise: str, problem: str) -> None:
    log.warning("%s", f"{problem}; {otherwise}" if otherwise else problem)


def recover_dashboards(servers: Sequence[DashboardServer]) -> bool:
    """Before a run closes, start its servers again that are gone right now.

    Blocks for some seconds if one is gone. Returns whether the sink of one may still be behind: it was away during the
    last seconds, or other runs use it too, one of which may have started it again unnoticed.
    """
    for server in servers:
        server.restart_if_gone(log.debug)
    return any(server.is_shared or time.monotonic() - server.last_restart < RECENT_S for server in servers)


def save_pages(sinks: Iterable[Sink], folder: Path) -> list[DashboardSink]:
    """Save what each dashboard shows into `folder/SINK`, because a server forgets it; return the sinks saved."""
    saved = []
    for sink in sinks:
        if isinstance(sink, DashboardSink):
            try:
                sink.save(folder / sink.name)
                saved.append(sink)
            except OSError as error:
                log.warning("%s: the page is not saved: %s", sink.name, error)
    return saved


def view_commands(sinks: Iterable[Sink], logdir: Path | None, folder: Path | None) -> list[str]:
    """Return the commands that show what the sinks wrote: event files in `logdir`, saved pages in `folder/SINK`."""
    commands = []
    for sink in sinks:
        if sink.writes_event_files and logdir is not None:
            commands.append(f"monitor serve tensorboard --logdir {shlex.quote(display_path(logdir))}")
        if isinstance(sink, DashboardSink) and folder is not None:
            commands.append(sink.view_command(folder / sink.name) or "")
    return [command for command in dict.fromkeys(commands) if command]


def keep_dashboards_up(
    servers: list[DashboardServer],
    commands: list[str],
    done: str = "Training finished",
    *,
    wait: bool = False,
    err: bool = False,
) -> None:
    """On a terminal, let the dashboards go on while somebody looks; print the commands that show the results again.

    With `wait`, block until Ctrl-C, on a terminal or not.
    """
    if wait and servers:
        try:
            echo(f"{done}; dashboards stay up until Ctrl-C", err=err)
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            echo("")
        print_commands(commands, err=err)
        return
    staying = [server for server in servers if server.can_stay] if sys.stdout.isatty() else []
    for server in staying:
        server.stays = True
    if staying:
        names = " and ".join(server.name for server in staying)
        verb, them = ("stays", "it") if len(staying) == 1 else ("stay", "them")
        until = f"until no page has been open for {idle_minutes():g} minutes"
        echo(f"{names} {verb} up {until}; end {them} now with: monitor serve --stop", err=err)
    print_commands(commands, "Later, look at it with: " if staying else "Look at it with: ", err=err)


def print_commands(commands: Sequence[str], introduction: str = "Look at it with: ", *, err: bool = False) -> None:
    """Print the commands that show the results."""
    for number, command in enumerate(commands):
        echo(("or: ".rjust(len(introduction)) if number else introduction) + command, err=err)


def echo(line: str, err: bool = False) -> None:
    """Print a line, as long as somebody reads it: a closed pipe or terminal must not end a training."""
    try:
        click.echo(escape_control_chars(line), err=err)
    except OSError:
        setattr(sys, "stderr" if err else "stdout", Path(os.devnull).open("w"))  # noqa: SIM115 - until the end
