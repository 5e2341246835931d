"""Read what a server says while it starts, for as long as it gets on."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

CHECK_INTERVAL_S = 1.0
MIN_CPU_SHARE = (
    0.005  # of one core: a server that imports its packages beside 100 others gets more, one that hangs less
)


def read_line(process: subprocess.Popen[bytes], idle_timeout: float, timeout: float) -> str:
    """Return the next line that a process prints, without its end; empty if none comes.

    Blocks until the process closes its output, has used no processor time for `idle_timeout` seconds, or has printed
    nothing for `timeout` seconds.
    """
    assert process.stdout is not None
    now = time.monotonic()
    line, deadline, idle_since, used = b"", now + timeout, now, _cpu_seconds(process.pid)
    while not line.endswith(b"\n"):
        if select.select([process.stdout], [], [], min(CHECK_INTERVAL_S, idle_timeout))[0]:
            byte = os.read(process.stdout.fileno(), 1)
            if not byte:
                return ""
            line += byte
            continue
        now, using = time.monotonic(), _cpu_seconds(process.pid)
        if using - used >= MIN_CPU_SHARE * (now - idle_since):
            idle_since, used = now, using
        if now > deadline or now - idle_since >= idle_timeout:
            return ""
    return line.decode(errors="replace").strip()


def _cpu_seconds(pid: int) -> float:
    import psutil

    try:
        return float(sum(psutil.Process(pid).cpu_times()[:4]))  # of the process, and of its children that have ended
    except psutil.Error:
        return 0.0
