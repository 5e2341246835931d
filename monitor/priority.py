"""Processes beside the training get the processor only when it leaves it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LOWEST = 19


def give_lowest_priority(pid: int) -> None:
    """Give a child process, and those that it starts, the lowest priority. Does nothing where that is not allowed."""
    lower_priority(pid, LOWEST)


def lower_priority(pid: int, nice: int) -> None:
    """Give a process with a session of its own, and those that it starts, a lower priority, where that is allowed."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):  # Linux may weigh sessions against each other first, and these have one of their own
        Path(f"/proc/{pid}/autogroup").write_text(str(nice), "utf-8")
