"""A server that was started for a training run ends with it, however the run dies."""

from __future__ import annotations

import contextlib
import os
import threading
import time

INTERVAL = 0.25  # seconds
NICE = 10  # the dashboard gives way to the training


def leave_with(parent: int) -> None:
    """End this process as soon as `parent` is no longer its parent, also where that one was killed."""
    with contextlib.suppress(OSError):
        os.nice(NICE)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(INTERVAL)
        os._exit(0)

    threading.Thread(target=watch, name="monitor-parent", daemon=True).start()
