"""Find the dashboard server that a run can use, or start one, which other runs may then use."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from monitor.dashboards.ownership.lease_files import BY_USER, is_same_server, logdir_of, served, served_urls
from monitor.dashboards.ownership.leases import Lease, ServerEndingError
from monitor.dashboards.server_process import DashboardServer, wait_until_gone
from monitor.machine.network import fetch_json, free_port, is_loopback, listener_user, listens, tensorboard_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.dashboards.server_process import CommandFor
    from monitor.sinks.base import DashboardSink


def serve_sink(sink: DashboardSink, logdir: Path | None = None) -> DashboardServer:
    """Find a server for the sink's page, or start one if its address is on this machine and free.

    A server that a run starts belongs to its log directory, in which no two runs have the same name. It is shared by
    the runs of that directory, and those of others use the next free port, as they do if something else holds the port.
    A server that the user started at the default port is for all runs. Without a `logdir`, any server will do. So will
    whatever answers where the user named the address.
    """
    logdir = None if logdir is None else logdir.resolve()  # wherever a program that restarts the server is by then
    if sink.has_address:
        return _serve_at_address(sink, logdir)
    for facts in served(sink.title):
        if logdir is not None and facts.get("logdir") == str(logdir) and (found := _use(sink, facts)):
            return found
    host, port = _address(sink)
    if listens(host, port) and _is_ours(host, port) and sink.is_served():
        at_port = _facts_of(sink)
        if at_port is None or at_port.get("by") == BY_USER:
            return DashboardServer(sink.title, sink.url)
    for facts in served(sink.title) if logdir is None else ():
        if found := _use(sink, facts):
            return found
    return _start(sink, logdir, free_port(host, port) if listens(host, port) else port)


def _serve_at_address(sink: DashboardSink, logdir: Path | None) -> DashboardServer:
    """Find a server where the user said, or start one there. The sink copes with whatever answers."""
    host, port = _address(sink)
    if is_loopback(host):
        facts = _facts_of(sink)
        if facts is not None and (found := _use(sink, facts)):
            return found
        if not listens(host, port):
            return _start(sink, logdir, port)
    return DashboardServer(sink.title, sink.url)


def _address(sink: DashboardSink) -> tuple[str, int]:
    address = urlsplit(sink.url)
    return address.hostname or "", address.port or 80


def _start(sink: DashboardSink, logdir: Path | None, port: int) -> DashboardServer:
    command_for = _commands(sink, logdir)
    sink.logdir = logdir
    return DashboardServer(sink.title, sink.url, command_for(port) or (), command_for=command_for)


def _facts_of(sink: DashboardSink) -> dict[str, Any] | None:
    """Return what the server at the sink's address says about itself; None if it is not one of ours."""
    return next((facts for facts in served(sink.title) if is_same_server(facts["url"], sink.url)), None)


def _use(sink: DashboardSink, facts: dict[str, Any]) -> DashboardServer | None:
    """Let the sink use a server that is there; None if that is about to end, after it has. Blocks for at most 5 s."""
    try:
        lease = Lease.join(sink.title, facts["url"])
    except ServerEndingError:
        wait_until_gone(facts["url"])
        return None
    if lease is None and facts.get("by") != BY_USER:
        return None
    if not sink.has_address:
        sink.connect_to(facts["url"])
    sink.logdir = logdir_of(facts)
    return DashboardServer(sink.title, facts["url"], lease=lease, command_for=_commands(sink, sink.logdir))


def _commands(sink: DashboardSink, logdir: Path | None) -> CommandFor:
    """Return what makes the command line of the sink's server over a log directory, on a port."""
    folder = default_data_folder(sink.name, logdir)
    return lambda port: sink.server_command(port, folder, logdir)


def _is_ours(host: str, port: int) -> bool:
    """Tell whether a server may be used unasked: not if it is another user's, who could read along, and may end it."""
    return listener_user(host, port) in (None, os.getuid(), 0)


def default_data_folder(name: str, logdir: Path | None) -> Path:
    """Return where a server keeps what its pages save: in its log directory, or else in the user's data."""
    from platformdirs import user_data_path

    return user_data_path("training-monitor") / name if logdir is None else logdir / f".{name}"


def serve_tensorboard(logdir: Path) -> DashboardServer:
    """Find a TensorBoard over `logdir`, or start one."""
    port, resolved = tensorboard_port(), logdir.resolve()

    def command_for(port: int) -> Sequence[str]:
        command = [sys.executable, "-m", "monitor", "serve", "tensorboard", "--port", str(port)]
        return [*command, "--logdir", str(resolved), "--parent", str(os.getpid())]

    for url in dict.fromkeys((f"http://127.0.0.1:{port}", *served_urls("TensorBoard", logdir=str(resolved)))):
        answer = fetch_json(f"{url}/data/environment")
        location = answer.get("data_location") if isinstance(answer, dict) else None
        if location and Path(str(location)).resolve() == resolved:
            with suppress(ServerEndingError):
                return DashboardServer(
                    "TensorBoard", url, lease=Lease.join("TensorBoard", url), command_for=command_for
                )
            wait_until_gone(url)
    return DashboardServer("TensorBoard", command=command_for(port), command_for=command_for)
