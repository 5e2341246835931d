"""Dashboard servers for a run: find the one that is there, or start one as a child process."""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.network import fetch_json, is_loopback, listens, tensorboard_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.sinks.base import DashboardSink

log = logging.getLogger("monitor")

START_TIMEOUT_S = 10.0  # for a server's next line
PREPARE_TIMEOUT_S = 150.0  # the same, once it has said what it is doing
STOP_TIMEOUT_S = 5.0
EXIT_WAIT_S = 1.0
LEVELS = {"INFO": logging.INFO, "WARNING": logging.WARNING}


class DashboardServer:
    """A server that was already there, at `url`, or a child process that is starting; `wait` makes it ready.

    Attributes:
        name: the dashboard's title.
        url: its address; known after `wait`.
        process: the child, or None if the server is not ours.
    """

    def __init__(self, name: str, url: str = "", command: Sequence[str] = ()) -> None:
        """Start a child if `command` is given. Does not wait for it."""
        self.name, self.url = name, url
        self.process: subprocess.Popen[bytes] | None = None
        if command:
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - read if it does not start
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,  # Ctrl-C is for the training, which then stops its dashboards
            )

    def wait(self, report: Callable[[str], None]) -> bool:
        """Wait until the server answers; tell whether it does, and if not, `report` why in one line.

        Blocks for at most 10 s, or 150 s if the server says that it is preparing something.
        """
        if self.process is None:
            return True
        timeout = START_TIMEOUT_S
        while line := _read_line(self.process, timeout):
            if line.startswith(f"{self.name}: http"):
                self.url = line.partition(": ")[2]
                return True
            level, _, message = line.partition(": ")
            log.log(LEVELS.get(level, logging.INFO), "%s", message if level in LEVELS else line)
            timeout = PREPARE_TIMEOUT_S
        with suppress(subprocess.TimeoutExpired):  # one that fails closes its output a moment before it is gone
            self.process.wait(EXIT_WAIT_S)
        ended = self.process.poll() is not None
        self._stderr.seek(0)
        errors = self._stderr.read().decode(errors="replace").strip().splitlines()
        self.stop()
        reason = errors[-1] if ended and errors else f"it did not answer within {timeout:.0f} s"
        report(f"{self.name} could not be started: {reason}; training goes on without it")
        return False

    def stop(self) -> None:
        """End the server if it is ours. Blocks for at most 5 s."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()
        self.process = None


def serve_sink(sink: DashboardSink, folder: Path) -> DashboardServer:
    """Find the sink's server, or start one if its address is on this machine and free.

    A started server keeps its data in `folder`. If something else holds the port, another port is used, unless the user
    named the address.
    """
    address = urlsplit(sink.url)
    host, port = address.hostname or "", address.port or 80
    occupied = listens(host, port)
    if sink.has_address and (occupied or not is_loopback(host)):
        return DashboardServer(sink.title, sink.url)  # the sink copes with whatever answers there
    if not sink.has_address and occupied and sink.is_served():
        return DashboardServer(sink.title, sink.url)
    command = sink.server_command(0 if occupied else port, folder)
    return DashboardServer(sink.title, sink.url, command or ())


def serve_tensorboard(logdir: Path) -> DashboardServer:
    """Find a TensorBoard over `logdir`, or start one."""
    port = tensorboard_port()
    url = f"http://127.0.0.1:{port}"
    answer = fetch_json(f"{url}/data/environment")
    location = answer.get("data_location") if isinstance(answer, dict) else None
    if location and Path(str(location)).resolve() == logdir.resolve():
        return DashboardServer("TensorBoard", url)
    command = [sys.executable, "-m", "monitor", "serve", "tensorboard", "--port", str(port), "--logdir", str(logdir)]
    return DashboardServer("TensorBoard", command=[*command, "--parent", str(os.getpid())])


def _read_line(process: subprocess.Popen[bytes], timeout: float) -> str:
    """Read a line from a process, waiting for at most `timeout` seconds; empty if none came."""
    assert process.stdout is not None
    deadline, line = time.monotonic() + timeout, b""
    while not line.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([process.stdout], [], [], remaining)[0]:
            return ""
        byte = os.read(process.stdout.fileno(), 1)
        if not byte:
            return ""
        line += byte
    return line.decode(errors="replace").strip()
