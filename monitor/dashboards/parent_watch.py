"""How a dashboard behaves beside trainings: it yields the processor to them, and ends with the last one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.dashboards.leases import Lease

POLL_INTERVAL_S = 0.25
EXIT_TIMEOUT_S = 5.0
NICE_INCREMENT = 10


def yield_to_training() -> None:
    """Let the training on this machine have the processor first."""
    with contextlib.suppress(OSError):
        os.nice(NICE_INCREMENT)


def exit_with_parent(parent: int) -> None:
    """End this process, as SIGTERM does, as soon as `parent` is no longer its parent, even if that was killed."""
    _exit_when(lambda: os.getppid() != parent)


def exit_with_last_lease(lease: Lease) -> None:
    """End this process, as SIGTERM does, as soon as nobody holds a lease on it, whoever started it."""
    _exit_when(lease.claim)


def _exit_when(is_over: Callable[[], bool]) -> None:
    def watch() -> None:
        while not is_over():
            time.sleep(POLL_INTERVAL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(EXIT_TIMEOUT_S)
        os._exit(1)

    threading.Thread(target=watch, name="monitor-parent", daemon=True).start()
