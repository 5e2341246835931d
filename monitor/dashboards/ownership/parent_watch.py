"""How a dashboard behaves beside trainings: it yields the processor to them, and ends with the last one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.dashboards.ownership.leases import Lease

POLL_INTERVAL_S = 0.25
EXIT_TIMEOUT_S = 5.0
NICE_INCREMENT = 10
IDLE_VARIABLE, IDLE_MINUTES = "MONITOR_DASHBOARD_MINUTES", 10.0


def yield_to_training() -> None:
    """Let the training on this machine have the processor first."""
    with contextlib.suppress(OSError):
        os.nice(NICE_INCREMENT)
    if os.getsid(0) == os.getpid():  # Linux may weigh sessions against each other first, and this one is the server's
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICE_INCREMENT), "utf-8")


def exit_with_parent(parent: int) -> None:
    """End this process, as SIGTERM does, as soon as `parent` is no longer its parent, even if that was killed."""
    _exit_when(lambda: os.getppid() != parent)


class Pages:
    """Knows when a page of this server was last open.

    Attributes:
        are_open: tells whether one is open now, for a server that knows.
    """

    def __init__(self) -> None:
        self.are_open: Callable[[], bool] = lambda: False
        self._last_seen = time.monotonic()

    def note(self) -> None:
        """Take notice of a page, or of a run that has the same effect."""
        self._last_seen = time.monotonic()

    def idle_time(self) -> float:
        """Return the seconds since a page was last open."""
        if self.are_open():
            self.note()
        return time.monotonic() - self._last_seen


def exit_with_last_lease(lease: Lease, pages: Pages) -> None:
    """End this process, as SIGTERM does, as soon as nobody holds a lease on it, whoever started it.

    If it is to stay, it ends when no page has been open for some minutes besides.
    """
    patience = idle_minutes() * 60

    def is_over() -> bool:
        if not lease.claim():
            pages.note()
            return False
        if not lease.stays or pages.idle_time() >= patience:
            return True
        lease.release()
        return False

    _exit_when(is_over)


def idle_minutes() -> float:
    """Return how long a dashboard stays without a page: `MONITOR_DASHBOARD_MINUTES`, or 10."""
    text = os.environ.get(IDLE_VARIABLE, "")
    try:
        minutes = float(text) if text else IDLE_MINUTES
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise SpecError(f"{IDLE_VARIABLE} is {text!r}; accepted: a number of minutes, such as {IDLE_MINUTES:g}")
    return minutes


def _exit_when(is_over: Callable[[], bool]) -> None:
    def watch() -> None:
        while not is_over():
            time.sleep(POLL_INTERVAL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(EXIT_TIMEOUT_S)
        os._exit(1)

    threading.Thread(target=watch, name="monitor-parent", daemon=True).start()
