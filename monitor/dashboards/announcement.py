"""What a logger of one's own says at its start: where its run is, and where to look at it."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.render.escaping import escape_control_chars
from monitor.sinks.base import DashboardSink

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from monitor.runs.run import Run
    from monitor.sinks.base import Sink

BETWEEN = " · "


def say_where_to_look(run: Run, sinks: Iterable[Sink]) -> None:
    """Print `where_to_look` on stderr, if that is a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(where_to_look(run, sinks), file=sys.stderr)


def where_to_look(run: Run, sinks: Iterable[Sink]) -> str:
    """Return one line: the run's path, and for each dashboard its address if it is up, or the command that shows it.

    A server on this machine is asked whether it is there, which takes no time; others are taken to be.
    """
    parts = [f"Run: {run.label}"]
    for sink in sinks:
        if isinstance(sink, DashboardSink):
            parts.append(f"{sink.title}: {sink.page_url(run) if _is_up(sink.url) else f'monitor serve {sink.name}'}")
        elif sink.writes_event_files:
            parts.append(f"TensorBoard: {_board(run.path)}")
    return escape_control_chars(BETWEEN.join(dict.fromkeys(parts)))


def _is_up(url: str) -> bool:
    """Tell whether a server is there, as far as that is known without waiting for a network."""
    from monitor.network import is_loopback, listens

    address = urlsplit(url)
    host = address.hostname or ""
    return not is_loopback(host) or listens(host, address.port or 80)


def _board(path: Path) -> str:
    """Return the address of a TensorBoard that a run started over a folder above `path`, or the command for one."""
    from monitor.dashboards.leases import served_urls

    for folder in path.resolve().parents:
        for url in served_urls("TensorBoard", logdir=str(folder)):
            return url
    return f"monitor serve tensorboard --logdir {shlex.quote(str(path.parent))}"
