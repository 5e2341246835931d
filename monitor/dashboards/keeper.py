"""Keep the dashboards of a run up while it goes on: a server that was killed is started again."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.dashboards.server_process import DashboardServer

log = logging.getLogger("monitor")

CHECK_INTERVAL_S = 1.0
MAX_RETRY_S = 60.0  # between two attempts to start a server that does not start


class DashboardKeeper:
    """Check the servers once a second, on a thread of its own, from the start to `stop`.

    The first failure to start one is reported in one line. The sinks send their windows again by themselves when a
    server is back.
    """

    def __init__(self, servers: Sequence[DashboardServer], report: Callable[[str], None]) -> None:
        self._servers, self._report = servers, report
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main, name="monitor-dashboards", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the checks, so that the servers can be stopped. Blocks until a start that is under way is broken off."""
        self._stopping.set()
        for server in self._servers:
            server.cancel()
        self._thread.join()

    def _main(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGQUIT))  # they are for the main thread
        delays = dict.fromkeys(self._servers, CHECK_INTERVAL_S)
        due = dict.fromkeys(self._servers, 0.0)  # on the monotonic clock
        while not self._stopping.wait(CHECK_INTERVAL_S):
            for server in self._servers:
                if time.monotonic() < due[server] or self._stopping.is_set():
                    continue
                report = self._report if delays[server] == CHECK_INTERVAL_S else log.debug
                try:
                    is_up = server.restart_if_gone(report)
                except OSError as error:
                    report(f"{server.name} could not be started again: {error}")
                    is_up = False
                delays[server] = CHECK_INTERVAL_S if is_up else min(MAX_RETRY_S, delays[server] * 2)
                due[server] = 0.0 if is_up else time.monotonic() + delays[server]
