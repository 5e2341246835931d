"""Find the dashboard server that a run can use, or start one, which other runs may then use."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.dashboards.leases import Lease, ServerEndingError, served_urls
from monitor.dashboards.server_process import DashboardServer, wait_until_gone
from monitor.network import fetch_json, free_port, is_loopback, listens, tensorboard_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.sinks.base import DashboardSink


def serve_sink(sink: DashboardSink, folder: Path) -> DashboardServer:
    """Find the sink's server, or start one if its address is on this machine and free.

    A started server keeps its data in `folder`. If something else holds the port, the next free one is used, unless the
    user named the address.
    """
    address = urlsplit(sink.url)
    host, port = address.hostname or "", address.port or 80

    def command_for(port: int) -> Sequence[str] | None:
        return sink.server_command(port, folder)

    occupied = listens(host, port)
    if sink.has_address and not is_loopback(host):
        return DashboardServer(sink.title, sink.url)  # the sink copes with whatever answers there
    if occupied and (sink.has_address or sink.is_served()):
        try:
            return DashboardServer(
                sink.title, sink.url, lease=Lease.join(sink.title, sink.url), command_for=command_for
            )
        except ServerEndingError:
            occupied = not wait_until_gone(sink.url)
            if occupied and sink.has_address:
                return DashboardServer(sink.title, sink.url)
    if occupied and not sink.has_address:
        for url in served_urls(sink.title):  # a run has started one elsewhere, as this one would
            with suppress(ServerEndingError):
                if lease := Lease.join(sink.title, url):
                    sink.connect_to(url)
                    return DashboardServer(sink.title, url, lease=lease, command_for=command_for)
    command = command_for(free_port(host, port) if occupied else port)
    return DashboardServer(sink.title, sink.url, command or (), command_for=command_for)


def serve_tensorboard(logdir: Path) -> DashboardServer:
    """Find a TensorBoard over `logdir`, or start one."""

    def command_for(port: int) -> Sequence[str]:
        command = [sys.executable, "-m", "monitor", "serve", "tensorboard", "--port", str(port)]
        return [*command, "--logdir", str(logdir), "--parent", str(os.getpid())]

    port, resolved = tensorboard_port(), logdir.resolve()
    for url in (f"http://127.0.0.1:{port}", *served_urls("TensorBoard", logdir=str(resolved))):
        answer = fetch_json(f"{url}/data/environment")
        location = answer.get("data_location") if isinstance(answer, dict) else None
        if location and Path(str(location)).resolve() == resolved:
            with suppress(ServerEndingError):
                return DashboardServer(
                    "TensorBoard", url, lease=Lease.join("TensorBoard", url), command_for=command_for
                )
            wait_until_gone(url)
    return DashboardServer("TensorBoard", command=command_for(port), command_for=command_for)
