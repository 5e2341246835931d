"""Processes beside the training get the processor only when it leaves it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

LOWEST = 19
# For `Popen`: Ctrl-C is for the training, and the whole group can be ended. Linux may give each session its share of
# the processor, whatever the priority in it, so the child stays in that of the training where Python can do that.
OWN_GROUP: dict[str, Any] = {"process_group": 0} if sys.version_info >= (3, 11) else {"start_new_session": True}


def give_lowest_priority(pid: int) -> None:
    """Give a child process, and those that it starts then, the lowest priority. Does nothing where that is not allowed.

    On Linux, that is the policy `SCHED_IDLE`: such a process makes way at once. The threads of a training wait for each
    other at the end of each operation, so one that has to wait for its turn delays all of them.
    """
    lower_priority(pid, LOWEST)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def lower_priority(pid: int, nice: int) -> None:
    """Give a child process, and those that it starts then, a lower priority, where that is allowed."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):
        if os.getsid(pid) == pid:  # never the session of the training
            Path(f"/proc/{pid}/autogroup").write_text(str(nice), "utf-8")
