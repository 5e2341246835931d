"""How a dashboard behaves beside a training: it gives way to it, and ends with it, however that dies."""

from __future__ import annotations

import contextlib
import os
import threading
import time

POLL_INTERVAL_S = 0.25  # seconds
NICE_INCREMENT = 10


def give_way() -> None:
    """Let the training on this machine have the processor first."""
    with contextlib.suppress(OSError):
        os.nice(NICE_INCREMENT)


def leave_with(parent: int) -> None:
    """End this process as soon as `parent` is no longer its parent, also where that one was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_INTERVAL_S)
        os._exit(0)

    threading.Thread(target=watch, name="monitor-parent", daemon=True).start()
