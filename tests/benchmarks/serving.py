"""What `monitor serve tensorboard` costs beside TensorBoard's own command."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

import psutil

from monitor import Logger
from monitor.machine.network import local_opener
from tests.benchmarks.measure import Row
from tests.support.servers import free_port

REPEATS = 5
BOUND = 1.3


def rows() -> list[Row]:
    """Measure the time until the run is served, and the memory then, of both in turns."""
    with tempfile.TemporaryDirectory() as folder:
        with Logger(f"{folder}/run", ["tensorboard"]) as log:
            for step in range(1000):
                log.scalar("train/loss", 1.0 / (step + 1), step)
        commands = {
            "plain": [str(Path(sys.executable).with_name("tensorboard")), "--logdir", folder, "--host", "127.0.0.1"],
            "ours": [sys.executable, "-m", "monitor", "serve", "tensorboard", "--logdir", folder],
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(REPEATS):
            for name, command in commands.items():
                found[name].append(serve(command))
    seconds = {name: median(pair[0] for pair in pairs) for name, pairs in found.items()}
    mebibytes = {name: median(pair[1] for pair in pairs) for name, pairs in found.items()}
    slower, larger = seconds["ours"] / seconds["plain"], mebibytes["ours"] / mebibytes["plain"]
    return [
        Row(
            "`monitor serve tensorboard` versus `tensorboard`: time until a run is served; memory then",
            f"≤ {BOUND} ×; ≤ {BOUND} ×",
            f"{slower:.2f} × ({seconds['ours']:.2f} s versus {seconds['plain']:.2f} s); "
            f"{larger:.2f} × ({mebibytes['ours']:.0f} MB versus {mebibytes['plain']:.0f} MB)",
            slower <= BOUND and larger <= BOUND,
        )
    ]


def serve(command: list[str]) -> tuple[float, float]:
    """Return the seconds until the run is served, and the resident memory of the server's processes in MB."""
    port = free_port()
    started = time.monotonic()
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not is_served(port):
            assert time.monotonic() - started < 60, "the server does not answer"
            time.sleep(0.02)
        seconds = time.monotonic() - started
        server = psutil.Process(process.pid)
        memory = sum(one.memory_info().rss for one in (server, *server.children(recursive=True)))
        return seconds, memory / 2**20
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def is_served(port: int) -> bool:
    """Tell whether the server knows the run."""
    try:
        with local_opener().open(urllib.request.Request(f"http://127.0.0.1:{port}/data/runs"), timeout=5) as answer:
            return b"run" in answer.read()
    except OSError:
        return False
