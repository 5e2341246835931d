"""One dashboard server that a run uses: a child process, or one that another run started."""

from __future__ import annotations

import logging
import math
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from monitor.dashboards.child_output import read_line
from monitor.dashboards.ownership.leases import LEASE_VARIABLE, Lease, ServerEndingError, start_lock

log = logging.getLogger("monitor")

CommandFor = Callable[[int], Sequence[str] | None]  # returns the command line of a server on a port
IDLE_TIMEOUT_S = 10.0  # for a server that stands still while it starts
START_TIMEOUT_S = 120.0  # for one that gets on, however slowly
PREPARE_TIMEOUT_S = 150.0  # for either, once it has said what it is doing
STOP_TIMEOUT_S = 5.0
EXIT_WAIT_S = 1.0
CONNECT_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.05
LEVELS = {"INFO": logging.INFO, "WARNING": logging.WARNING}
_handed_over: list[subprocess.Popen[bytes]] = []  # servers that other runs use; `Popen` warns if it is forgotten


class DashboardServer:
    """A server that was already there, at `url`, or a child process that is starting; `wait` makes it ready.

    It goes on after `stop` as long as other runs hold leases on it.

    Attributes:
        name: the dashboard's title.
        url: its address; known after `wait`.
        process: the child, or None if this process did not start the server.
        is_shared: whether other runs may use it and start it again.
        stays: whether it goes on after `stop` as long as somebody looks at it, if it is one that runs share.
        last_restart: when it was last seen to be back after it was gone, on the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        url: str = "",
        command: Sequence[str] = (),
        *,
        lease: Lease | None = None,
        command_for: CommandFor | None = None,
    ) -> None:
        """Start a child if `command` is given. Does not wait for it.

        Args:
            name: the dashboard's title.
            url: the address of a server that is there.
            command: the command line of one that is to be started.
            lease: the lease on the server that is there.
            command_for: returns the command line with which a server can be started again on a port.
        """
        self.name, self.url = name, url
        self.process: subprocess.Popen[bytes] | None = None
        self._lease, self._command_for = lease, command_for
        self.is_shared = lease is not None or bool(command)
        self.stays = False
        self.last_restart = -math.inf
        self._restarting = threading.Lock()
        self._cancelled, self._is_restarting = threading.Event(), False
        if command:
            self._launch(command)

    def wait(self, report: Callable[[str], None]) -> bool:
        """Wait until the server answers; tell whether it does, and if not, `report` why in one line.

        Blocks for as long as the server gets on: at most 10 s if it uses no processor time, 120 s if it does, and 150 s
        if it says that it is preparing something.
        """
        if self.process is None:
            return True
        started = time.monotonic()
        timeouts = (IDLE_TIMEOUT_S, START_TIMEOUT_S)
        while line := read_line(self.process, *timeouts):
            if line.startswith(f"{self.name}: http"):
                self.url = line.partition(": ")[2]
                return True
            level, _, message = line.partition(": ")
            log.log(LEVELS.get(level, logging.INFO), "%s", message if level in LEVELS else line)
            timeouts = (PREPARE_TIMEOUT_S, PREPARE_TIMEOUT_S)
            started = time.monotonic()
        with suppress(subprocess.TimeoutExpired):  # one that fails closes its output a moment before it is gone
            self.process.wait(EXIT_WAIT_S)
        ended = self.process.poll() is not None
        self._stderr.seek(0)
        errors = self._stderr.read().decode(errors="replace").strip().splitlines()
        self._discard_process()
        reason = errors[-1] if ended and errors else f"it did not answer within {time.monotonic() - started:.0f} s"
        report(f"{self.name} could not be started: {reason}")
        return False

    def restart_if_gone(self, report: Callable[[str], None]) -> bool:
        """Start a shared server again on its port if it is gone, or follow another run that did; False if that failed.

        Blocks for some milliseconds if the server is there, or else as long as `wait`.
        """
        with self._restarting:
            return self._restart_if_gone(report)

    def _restart_if_gone(self, report: Callable[[str], None]) -> bool:
        if self._command_for is None or not self.is_shared:
            return True
        if not _is_gone(self.url):
            self._follow()
            return True
        with start_lock(self._cancelled.is_set):
            if self._cancelled.is_set() or not _is_gone(self.url):  # another run was quicker
                self.last_restart = time.monotonic()
                return True
            url = self.url
            command = self._command_for(urlsplit(url).port or 80)
            if not command:
                return True
            self._discard_process()
            self._is_restarting = True
            self._launch(command)
            if self._cancelled.is_set():
                self.cancel()
            is_up = self.wait(lambda line: None if self._cancelled.is_set() else report(line))
            self._is_restarting = False
            if not is_up:
                self.url = url
                return False
        self.last_restart = time.monotonic()
        log.info("%s: the server was gone and has been started again: %s", self.name, self.url)
        return True

    @property
    def can_stay(self) -> bool:
        """Whether the server is one that runs share, and so can go on without this process."""
        return self._lease is not None and self._lease.is_of(self.name, self.url)

    def cancel(self) -> None:
        """Make a `restart_if_gone` on another thread return soon; the server is about to be stopped."""
        self._cancelled.set()
        process = self.process
        if self._is_restarting and process is not None:
            process.terminate()

    def stop(self) -> None:
        """Give the server up, and end it if nobody else uses it. Blocks for at most 5 s."""
        if self.can_stay and self.stays:
            assert self._lease is not None
            self._lease.stay()
        lease, self._lease = self._lease, None
        is_last = lease is None or (not lease.stays and lease.claim())
        if self.process is not None and not is_last:
            _handed_over.append(self.process)
            self._close_streams()
        elif self.process is not None:
            self._discard_process()
        elif lease is not None and is_last and lease.end_server():  # started by a run that has ended
            wait_until_gone(self.url)
        if lease is not None:
            if is_last:
                lease.remove()
            lease.close()

    def _discard_process(self) -> None:
        """End the child, if there is one and it still runs, and wait for it."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self._close_streams()

    def _close_streams(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()
        self.process = None

    def _launch(self, command: Sequence[str]) -> None:
        """Start a child, with a lease file that it takes if it knows about them."""
        _handed_over[:] = [process for process in _handed_over if process.poll() is None]
        if self._lease is None or not self._lease.is_of(self.name, self.url):
            if self._lease is not None:
                self._lease.close()
            self._lease = Lease.create()
        environment = None
        if self._lease is not None:
            environment = {**os.environ, LEASE_VARIABLE: str(self._lease.path_for_server(self.name, self.url))}
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - read if it does not start
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the training, which then stops its dashboards
        )

    def _follow(self) -> None:
        """Take a lease on the server that another run started in place of ours."""
        if self.process is not None and self.process.poll() is None:
            return
        if self._lease is None or not self._lease.is_of(self.name, self.url):
            with suppress(ServerEndingError):
                lease = Lease.join(self.name, self.url)
                if lease is not None:
                    self._discard_process()
                    if self._lease is not None:
                        self._lease.close()
                    self._lease = lease
                    self.last_restart = time.monotonic()


def wait_until_gone(url: str) -> bool:
    """Wait until nothing accepts connections there, for at most 5 s; tell whether it is so."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while not _is_gone(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def _is_gone(url: str) -> bool:
    """Tell whether connections to `url` are refused; a server that hangs is not gone. Blocks for at most 2 s."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or 80), CONNECT_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
