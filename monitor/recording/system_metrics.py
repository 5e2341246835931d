"""Read what the machine and this process use, and how fast. Each reading stands for the time since the one before."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from monitor.metrics import SYSTEM_PREFIX
from monitor.recording.gpu_metrics import GpuMetrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("monitor")

GIB, MIB = 2**30, 2**20


class SystemMetrics:
    """The values of all system metrics. What cannot be read here is left out, and a failure is reported once."""

    def __init__(self, path: Path) -> None:
        """Take the first reading of what becomes a rate; `path` is on the disk to watch."""
        self._path = path
        self._sources: dict[str, Callable[[], dict[str, float]]] = {
            "CPU": CpuUse().read,
            "processes": ProcessTree().read,
            "memory": _memory,
            "disk space": self._disk_space,
            "disk": Rates("disk_mib_per_s", _disk_bytes).read,
            "network": Rates("network_mib_per_s", _network_bytes).read,
        }
        self._gpus = GpuMetrics()
        if self._gpus.count:
            self._sources["GPU"] = self._gpus.read
        self._reported: set[str] = set()
        self.read()

    def read(self) -> dict[str, float]:
        """Return the values by tag. Blocks for some milliseconds."""
        values: dict[str, float] = {}
        for name, source in self._sources.items():
            try:
                values |= source()
            except Exception as error:  # of the system, a driver, a container
                if name not in self._reported:
                    self._reported.add(name)
                    log.warning("system metrics: %s cannot be read: %s", name, " ".join(str(error).split()))
        return {f"{SYSTEM_PREFIX}{name}": value for name, value in values.items()}

    def close(self) -> None:
        """Release the driver."""
        self._gpus.close()

    def _disk_space(self) -> dict[str, float]:
        return {"disk_percent/used": psutil.disk_usage(str(self._path)).percent}


class CpuUse:
    """The share of the machine's CPU time that was not idle."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def read(self) -> dict[str, float]:
        """Return the percentage of all cores."""
        times = psutil.cpu_times()
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # part of the others
        now = total, times.idle + getattr(times, "iowait", 0.0)
        before, self._before = self._before, now
        if before is None or now[0] <= before[0]:
            return {}
        busy = 1 - (now[1] - before[1]) / (now[0] - before[0])
        return {"cpu_percent/machine": 100 * min(1.0, max(0.0, busy))}


class ProcessTree:
    """CPU time and memory of this process and of all below it, such as the workers of a `DataLoader`."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, float], float] = {}  # CPU seconds by process number and creation time
        self._read_at: float | None = None
        self._process = psutil.Process()

    def read(self) -> dict[str, float]:
        """Return the percentage of all cores, and the resident memory, in which shared pages count several times."""
        now, seconds, memory = time.monotonic(), {}, 0
        for pid in _tree(self._process.pid):
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    used = process.cpu_times()
                    seconds[process.pid, process.create_time()] = used.user + used.system
                    memory += process.memory_info().rss
            except psutil.Error:  # it has just ended
                continue
        before, read_at = self._before, self._read_at
        self._before, self._read_at = seconds, now
        values = {"memory_gib/process": memory / GIB}
        if read_at is not None and now > read_at:
            spent = sum(count - before.get(process, 0.0) for process, count in seconds.items())
            values["cpu_percent/process"] = 100 * spent / (now - read_at) / (os.cpu_count() or 1)
        return values


def _tree(root: int) -> list[int]:
    """Return the numbers of a process and of all below it. Costs nothing for the other processes of the machine."""
    pids = [root]
    for pid in pids:  # grows meanwhile
        try:
            threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
        except OSError:
            continue  # it has just ended
        for thread in threads:
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                pids += map(int, file.read().split())
    return pids


class Rates:
    """How fast counters of bytes grow."""

    def __init__(self, name: str, count: Callable[[], dict[str, int]]) -> None:
        """Name the chart, and the function that returns the counters by name."""
        self._name, self._count = name, count
        self._before: tuple[float, dict[str, int]] | None = None

    def read(self) -> dict[str, float]:
        """Return MiB per second since the reading before."""
        now = time.monotonic(), self._count()
        before, self._before = self._before, now
        if before is None or now[0] <= before[0]:
            return {}
        scale = 1 / MIB / (now[0] - before[0])
        grown = {name: count - before[1].get(name, count) for name, count in now[1].items()}
        return {f"{self._name}/{name}": max(0, count) * scale for name, count in grown.items()}


def _memory() -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {"memory_gib/machine": (memory.total - memory.available) / GIB}


def _disk_bytes() -> dict[str, int]:
    counters = psutil.disk_io_counters(nowrap=False)  # None in some containers
    return {} if counters is None else {"read": counters.read_bytes, "write": counters.write_bytes}


def _network_bytes() -> dict[str, int]:
    cards = psutil.net_io_counters(pernic=True, nowrap=False)
    outside = [card for name, card in cards.items() if name != "lo"]
    return {"received": sum(card.bytes_recv for card in outside), "sent": sum(card.bytes_sent for card in outside)}
