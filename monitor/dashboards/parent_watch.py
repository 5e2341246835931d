"""How a dashboard behaves beside a training: it yields the processor to it, and ends with it, however that ends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

POLL_INTERVAL_S = 0.25
EXIT_TIMEOUT_S = 5.0
NICE_INCREMENT = 10


def yield_to_training() -> None:
    """Let the training on this machine have the processor first."""
    with contextlib.suppress(OSError):
        os.nice(NICE_INCREMENT)


def exit_with_parent(parent: int) -> None:
    """End this process, as SIGTERM does, as soon as `parent` is no longer its parent, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_INTERVAL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(EXIT_TIMEOUT_S)
        os._exit(1)

    threading.Thread(target=watch, name="monitor-parent", daemon=True).start()
