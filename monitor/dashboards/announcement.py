"""What a logger of one's own does at its start: it joins the servers that are there, and says where to look."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from monitor.errors import MonitorError
from monitor.render.text.escaping import escape_control_chars
from monitor.sinks.base import DashboardSink

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from monitor.dashboards.ownership.leases import Lease
    from monitor.runs.run import Run
    from monitor.sinks.base import Sink

BETWEEN = " · "


def join_servers(run: Run, sinks: Iterable[Sink]) -> list[Lease]:
    """Let sinks without an address use the servers of the run's log directory; return leases, which keep them up.

    Blocks for at most 0.3 s for each server.
    """
    dashboards = [sink for sink in sinks if isinstance(sink, DashboardSink)]
    if not dashboards:
        return []
    from monitor.dashboards.ownership.lease_files import is_same_server, logdir_of, served
    from monitor.dashboards.ownership.leases import Lease, ServerEndingError

    folders = run.path.resolve().parents
    leases = []
    for sink in dashboards:
        for facts in served(sink.title):
            if sink.has_address:
                if sink.logdir is None and is_same_server(facts["url"], sink.url):
                    sink.logdir = logdir_of(facts)
            elif logdir_of(facts) in folders:
                with suppress(ServerEndingError):
                    lease = Lease.join(sink.title, facts["url"])
                    leases += [] if lease is None else [lease]
                    sink.connect_to(facts["url"])
                    sink.logdir = logdir_of(facts)
                    break
    return leases


def say_where_to_look(run: Run, sinks: Iterable[Sink]) -> None:
    """Print `where_to_look` on stderr, if that is a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(where_to_look(run, sinks), file=sys.stderr)


def where_to_look(run: Run, sinks: Iterable[Sink]) -> str:
    """Return one line: the run's path, and for each dashboard its address if it is up, or the command that shows it.

    A server on this machine is asked whether it is there, and makes the page, which takes no time; others are taken to
    be.
    """
    parts = [f"Run: {run.label}"]
    for sink in sinks:
        if isinstance(sink, DashboardSink):
            parts.append(f"{sink.title}: {_page(sink, run) if _is_up(sink.url) else f'monitor serve {sink.name}'}")
        elif sink.writes_event_files:
            parts.append(f"TensorBoard: {_board(run.path)}")
    return escape_control_chars(BETWEEN.join(dict.fromkeys(parts)))


def _is_up(url: str) -> bool:
    """Tell whether a server is there, as far as that is known without waiting for a network."""
    from monitor.machine.network import is_loopback, listens

    address = urlsplit(url)
    host = address.hostname or ""
    return not is_loopback(host) or listens(host, address.port or 80)


def _page(sink: DashboardSink, run: Run) -> str:
    """Return the address of the run's page; on a server of this machine, the page is there then."""
    from monitor.machine.network import is_loopback
    from monitor.sinks import registry

    address = sink.page_url(run)
    if is_loopback(urlsplit(sink.url).hostname or ""):
        with suppress(OSError, MonitorError):  # the sink tells it
            made = registry.make(
                sink.spec_of_page(unquote(address.rpartition("/")[2]))
            )  # not one that another thread has
            assert isinstance(made, DashboardSink)
            made.open_page(run)
    return address


def _board(path: Path) -> str:
    """Return the address of a TensorBoard that a run started over a folder above `path`, or the command for one."""
    from monitor.dashboards.ownership.lease_files import served_urls

    for folder in path.resolve().parents:
        for url in served_urls("TensorBoard", logdir=str(folder)):
            return url
    return f"monitor serve tensorboard --logdir {shlex.quote(str(path.parent))}"
