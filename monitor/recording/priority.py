"""The processes that record get the processor only when the training leaves it."""

from __future__ import annotations

import os
from contextlib import suppress

LOWEST = 19


def give_lowest_priority(pid: int) -> None:
    """Give a child process, and those that it starts, the lowest priority. Does nothing where that is not allowed."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, LOWEST)
