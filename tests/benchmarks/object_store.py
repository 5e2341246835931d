"""How many bytes a run of a million points sends to an S3 server while it runs, counted before the server."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from monitor import Logger
from monitor.events.files import event_bytes
from tests.benchmarks.measure import Row
from tests.support.stores import BUCKET, Proxy, S3Server, use_store

STEPS, TAGS = 250_000, ("train/loss", "train/accuracy", "test/loss", "test/accuracy")
SECONDS = 60.0  # that the steps are spread over, so that the run has many segments and many versions of `run.json`
MAX_SENT = 1.1  # times the data


def rows() -> list[Row]:
    """Log a million points to an address and the same to a directory, in turns of a tenth of a second."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        server = S3Server()
        proxy = Proxy(server.port)
        use_store(patch, proxy.url, Path(name))
        try:
            seconds: dict[str, float] = {}
            to_store = Logger(f"s3://{BUCKET}/runs/a", ["tensorboard"], record="none")
            to_disk = Logger(Path(name) / "runs" / "a", ["tensorboard"], record="none")
            _log({"store": to_store, "disk": to_disk}, seconds)
            for where, log in (("disk", to_disk), ("store", to_store)):
                began = time.perf_counter()
                log.close()
                seconds[f"close {where}"] = time.perf_counter() - began
            data = event_bytes(to_store.run.path)
            objects = server.objects("runs/a")
        finally:
            proxy.stop()
            server.kill()
    segments = sum("tfevents" in path for path in objects)
    return [
        Row(
            f"{STEPS * len(TAGS):,} points over {SECONDS:.0f} s to `s3://`, the bytes of all requests versus the data",
            f"≤ {MAX_SENT} × the data",
            f"{proxy.sent / data:.3f} × ({proxy.sent / 1e6:.2f} MB for {data / 1e6:.2f} MB, in {segments} segments); a "
            f"log call takes {_ratio(seconds, 'store', 'disk')} of one to a directory; closing takes "
            f"{seconds['close store']:.2f} s versus {seconds['close disk']:.2f} s",
            proxy.sent <= MAX_SENT * data,
        )
    ]


def _log(loggers: dict[str, Logger], seconds: dict[str, float]) -> None:
    began = time.perf_counter()
    parts = int(SECONDS * 10)
    for part in range(parts):
        for where, log in list(loggers.items())[:: 1 if part % 2 else -1]:
            start = time.perf_counter()
            for step in range(part * STEPS // parts, (part + 1) * STEPS // parts):
                log.scalars(dict.fromkeys(TAGS, 1 / (step + 1)), step)
            seconds[where] = seconds.get(where, 0.0) + time.perf_counter() - start
        time.sleep(max(0.0, began + (part + 1) * SECONDS / parts - time.perf_counter()))


def _ratio(seconds: dict[str, float], one: str, other: str) -> str:
    return f"{seconds[one] / seconds[other]:.2f} × the time"
