"""What a test might leave behind: worker threads and child processes, by name and number."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path


def worker_threads() -> set[str]:
    """Return this process's `monitor-*` threads."""
    return {f"{t.name} {t.ident}" for t in threading.enumerate() if t.name.startswith("monitor-")}


def child_processes(pid: int | str = "self") -> set[str]:
    """Return the children of a process, this one by default."""
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread may end between the listing and the reading
            for child in task.read_text().split():
                with contextlib.suppress(OSError):
                    found.add(Path(f"/proc/{child}/comm").read_text().strip() + f" {child}")
    return found
