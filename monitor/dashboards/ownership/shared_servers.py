"""The dashboards that are up on this machine: those that runs started and share, and those at the default ports."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from monitor.dashboards.ownership.lease_files import BY_USER, lease_folder
from monitor.dashboards.ownership.leases import Lease
from monitor.dashboards.ownership.parent_watch import idle_minutes
from monitor.dashboards.server_process import wait_until_gone
from monitor.machine.network import is_tensorboard, is_visdom, tensorboard_port, visdom_port
from monitor.runs.processes import process

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE_STARTED = "No dashboard is up that a run has started"


def describe() -> Iterator[str]:
    """Yield a line for each dashboard that is up: what it is, where, and until when."""
    urls = set()
    for lease in _leases():
        facts = lease.facts()
        urls.add(str(facts["url"]))
        if facts.get("by") == BY_USER:
            until = "started with monitor serve, and left alone"
        elif lease.claim():
            until = "ends now"
            if lease.stays:
                until = f"no run uses it; ends when no page has been open for {idle_minutes():g} minutes"
            lease.release()
        else:
            until = "used by a run"
        logdir = f" over {facts['logdir']}" if "logdir" in facts else ""
        logdir = f" over some runs of {facts['view_of']}" if "view_of" in facts else logdir
        yield f"{facts['name']}: {facts['url']}{logdir}; {until}"
    for name, port, answers in (
        ("Visdom", visdom_port(), is_visdom),
        ("TensorBoard", tensorboard_port(), is_tensorboard),
    ):
        url = f"http://127.0.0.1:{port}"
        if url not in urls and answers(url):
            urls.add(url)
            yield f"{name}: {url}; not started by a run, and left alone"
    if not urls:
        yield f"{NONE_STARTED}."


def stop() -> Iterator[str]:
    """End the dashboards that no run uses, and yield a line for each. One that does not end within 5 s is killed."""
    is_empty = True
    for lease in _leases():
        facts = lease.facts()
        if facts.get("by") == BY_USER:
            continue
        is_empty = False
        title = f"{facts['name']}: {facts['url']}"
        if not lease.claim():
            yield f"{title}; used by a run, and left alone"
        elif not _end(lease, str(facts["url"])):
            yield f"{title}; does not end, process {facts['process']['pid']}"
        else:
            lease.remove()
            yield f"{title}; ended"
    if is_empty:
        yield f"{NONE_STARTED}."


def _end(lease: Lease, url: str) -> bool:
    """End a server, one that hangs too; tell whether it is gone."""
    return (
        not lease.end_server() or wait_until_gone(url) or not lease.end_server(signal.SIGKILL) or wait_until_gone(url)
    )


def _leases() -> Iterator[Lease]:
    """Yield the files of the servers that are alive, opened and without a lock."""
    try:
        paths = sorted(lease_folder().glob("*.lease"))
    except OSError:
        return
    for path in paths:
        try:
            lease = Lease(path, os.open(path, os.O_RDWR))
        except OSError:
            continue
        facts = lease.facts()
        if {"name", "url", "process"} <= facts.keys() and process.is_alive(facts["process"]):
            yield lease
        lease.close()
