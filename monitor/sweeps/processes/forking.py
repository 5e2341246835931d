"""Fork a process per request, from one that has imported what all of them need and runs nothing of theirs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

MAX_REQUEST_BYTES = 2**20


def serve_forks(requests: socket.socket, count: int) -> tuple[dict[str, Any], list[int]]:
    """Fork a child per request until the other side closes; in a child, return its request and its descriptors.

    A request is a line of JSON and `count` file descriptors. The last of them is a pipe that gets the child's number,
    and later its return code, a line each; the others are the child's. Exits in this process at the end. Blocks.
    """
    reports: dict[int, int] = {}
    woken, waker = os.pipe()
    for descriptor in (woken, waker):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([requests.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(reports)
        if requests.fileno() not in ready:
            continue
        data, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, count)
        while data and not data.endswith(b"\n"):
            data += requests.recv(MAX_REQUEST_BYTES)
        if not data:
            sys.exit()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            requests.close()
            for descriptor in (woken, waker, descriptors[-1], *reports.values()):
                os.close(descriptor)
            return json.loads(data), descriptors[:-1]
        for descriptor in descriptors[:-1]:
            os.close(descriptor)
        reports[pid] = descriptors[-1]
        _report(descriptors[-1], pid)


def reset_signals() -> None:
    """Give a child the signal handlers of a new interpreter."""
    for changed in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(changed, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _reap(reports: dict[int, int]) -> None:
    """Report the return codes of the children that ended."""
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report = reports.pop(pid)
        _report(report, os.waitstatus_to_exitcode(status))
        os.close(report)


def _report(descriptor: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # who asked has just died
        os.write(descriptor, f"{number}\n".encode())
