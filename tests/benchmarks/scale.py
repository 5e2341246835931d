"""What grows with the run, and what must not."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from monitor import Logger
from tests.benchmarks.measure import Row, cpu, interleaved, visdom_server

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = """
import math, sys, tempfile
from pathlib import Path
from monitor import Logger
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
values = {f"group{n // 5}/tag{n}": 0.0 for n in range(20)}
with tempfile.TemporaryDirectory() as folder, Logger(f"{folder}/run", ["tensorboard", sys.argv[1]]) as log:
    for step in range(250_000):
        for tag in values:
            values[tag] = math.sin(step / 1000)
        log.scalars(values, step)
        if step % 500 == 499:  # 10,000 scalars at a time: as fast as they are taken
            assert log.flush(60)
        if step + 1 in (25_000, 250_000):
            print(resident())
"""


def rows() -> Iterator[Row]:
    """Measure what depends on the length of the run."""
    with visdom_server() as server:
        yield growth(server.port, server.process.pid)
        yield memory(server.port)
    yield backlog()


def growth(port: int, pid: int) -> Row:
    """Measure the CPU time of client and server for 5,000 points that are flushed in fifty pieces."""
    with tempfile.TemporaryDirectory() as folder:
        logs = {size: Logger(f"{folder}/r{size}", [f"visdom://127.0.0.1:{port}"]) for size in (1_000, 100_000)}
        step = dict.fromkeys(logs, 0)

        def add(size: int, count: int) -> None:
            for _ in range(count):
                logs[size].scalar("train/loss", math.sin(step[size] / 50), step[size])
                step[size] += 1
            assert logs[size].flush(60)

        def way(size: int) -> float:
            began = cpu(os.getpid()) + cpu(pid)
            for _ in range(50):
                add(size, 100)
            return (cpu(os.getpid()) + cpu(pid) - began) / 5

        for size in logs:
            add(size, size)
        found = interleaved({str(size): partial(way, size) for size in logs}, 7)
        for log in logs.values():
            log.close()
    ratio = found["100000"] / found["1000"]
    return Row(
        "Visdom, CPU of client and server per 1,000 points, at 100,000 points in the series versus at 1,000",
        "≤ 1.2 ×",
        f"{ratio:.2f} × ({found['100000'] * 1e3:.0f} ms versus {found['1000'] * 1e3:.0f} ms)",
        ratio <= 1.2,
    )


BACKLOG = """
import sys, tempfile, threading, time
from pathlib import Path
from monitor import Logger
from tests.support.servers import FaultyServer, Served

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def watch():
    while not over.wait(0.02):
        peak[0] = max(peak[0], resident())

def wait(sink, count):
    began = time.monotonic()
    while log.stats().sinks[sink].delivered < count:
        assert time.monotonic() < began + 120, log.stats()
        time.sleep(0.01)
    return time.monotonic() - began

steps, over = int(sys.argv[1]) // 4, threading.Event()
values = {"train/loss": 0.1, "train/accuracy": 0.2, "test/loss": 0.3, "test/accuracy": 0.4}
server = FaultyServer("hang")
with tempfile.TemporaryDirectory() as folder:
    log = Logger(f"{folder}/run", ["tensorboard", f"visdom://127.0.0.1:{server.port}/backlog"])
    log.scalars(values, 0)
    wait("tensorboard", 4)
    before = resident()
    peak = [before]
    threading.Thread(target=watch, daemon=True).start()
    began = time.perf_counter()
    for step in range(1, steps):
        log.scalars(values, step)
    loop = time.perf_counter() - began
    written = wait("tensorboard", 4 * steps)
    server.stop()
    visdom = Served("visdom", "--port", str(server.port), "--env-dir", folder)
    whole = wait("visdom", 4 * steps)
    over.set()
    log.close()
    visdom.stop()
    assert all(sink.delivered == sink.logged for sink in log.stats().sinks.values()), log.stats()
print((peak[0] - before) / 2**20, loop, written, whole)
"""


def backlog() -> Row:
    """Log at full speed beside a Visdom server that hangs, and let it return."""
    count = 20_000_000
    command = [sys.executable, "-c", BACKLOG, str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[2])
    more, loop, written, whole = map(float, done.stdout.split()[-4:])
    return Row(
        f"{count:,} scalars as fast as a loop logs them, TensorBoard and a Visdom server that hangs and returns: "
        "memory; everything in Visdom after its return",
        "≤ +150 MB; ≤ 5 s",
        f"{more:+.0f} MB; {whole:.1f} s (the loop: {count / loop / 1e6:.1f} million scalars a second; everything in "
        f"the event file {written:.1f} s after it)",
        more <= 150 and whole <= 5,
    )


def memory(port: int) -> Row:
    """Measure how memory grows with the run."""
    command = [sys.executable, "-c", MEMORY, f"visdom://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    early, late = (int(line) / 2**20 for line in done.stdout.split())
    return Row(
        "resident memory after 5,000,000 scalars in 20 series, both sinks on, versus after 500,000",
        "≤ +30 MB",
        f"{late - early:+.1f} MB ({early:.0f} MB, then {late:.0f} MB)",
        late - early <= 30,
    )


def import_rows() -> list[Row]:
    """Measure the CPU time of imports."""

    def child(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    found = interleaved(
        {
            "bare": lambda: child("-c", "pass"),
            "import": lambda: child("-c", "import monitor"),
            "help": lambda: child("-m", "monitor", "--help"),
        },
        11,
    )
    beyond = (found["import"] - found["bare"]) * 1e3
    return [
        Row(
            "`import monitor` on top of a bare interpreter; `monitor --help`, in CPU time",
            "≤ 60 ms; ≤ 250 ms",
            f"{beyond:.0f} ms; {found['help'] * 1e3:.0f} ms",
            beyond <= 60 and found["help"] <= 0.25,
        )
    ]
