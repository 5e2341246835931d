"""Find the run that a job of torchrun had begun before torchrun restarted its processes, on whichever machine.

A run names the torchrun processes of its machines. One that is still there knows the job, even if rank 0 is on another
machine now, or if the machine of the old one is gone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError
from monitor.runs.processes import process
from monitor.runs.processes.rank import is_under_torchrun
from monitor.runs.run_file import RUN_FILE, read_run_file
from monitor.runs.status import RunStatus
from runners.training.distributed import restart_count

if TYPE_CHECKING:
    from pathlib import Path

    from runners.training.distributed import DistributedContext

CLOCK_TOLERANCE_S = 3600.0  # by which the clocks of machines and file servers may differ


def find_launchers(distributed: DistributedContext) -> list[dict[str, Any]]:
    """Return the identity of torchrun on each machine, none without it; waits for all processes."""
    gathered = distributed.gather(process.parent_identity() if is_under_torchrun() else None)
    return [launcher for number, launcher in enumerate(gathered) if launcher and launcher not in gathered[:number]]


def restarted_run(logdir: Path, launchers: list[dict[str, Any]]) -> Path | None:
    """Return the newest run under `logdir` that one of the launchers began before; None if there is none.

    Where this machine has seen no failure, the processes may have been restarted all the same, but a run that finished
    is not theirs: a program may train more than once.
    """
    for _, path in sorted(_written_since(logdir, launchers), reverse=True):
        with suppress(DataError):  # it is being made, or damaged
            fields = read_run_file(path)
            is_own = any(launcher in launchers for launcher in fields.get("launchers") or [])
            if is_own and fields.get("process") != process.identity():
                return path if restart_count() or fields["status"] != RunStatus.FINISHED else None
    return None


def _written_since(logdir: Path, launchers: list[dict[str, Any]]) -> list[tuple[float, Path]]:
    """Return the runs that were written since this machine's launcher started, each with the time."""
    import psutil

    if not launchers:
        return []
    try:
        start = psutil.Process(os.getppid()).create_time() - CLOCK_TOLERANCE_S
    except psutil.Error:
        start = 0.0
    found = []
    for file in logdir.glob(f"*/{RUN_FILE}"):
        with suppress(OSError):
            if (time := file.stat().st_mtime) >= start:
                found.append((time, file.parent))
    return found
