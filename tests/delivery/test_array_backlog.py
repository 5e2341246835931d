"""A loop that logs arrays faster than they are written waits for an event file that works, and for nothing else."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from monitor import Logger, MemorySink, SummaryWriter
from monitor.delivery import pipeline
from monitor.delivery.workers import queue
from monitor.testing import wait_until
from tests.integrations.writer_calls import contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import Record

STEPS = 300


class File(MemorySink):
    """A sink that keeps records through a crash, takes its time, hangs while the gate is closed, or fails."""

    name = "file"
    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.is_inside = threading.Event()
        self.error: OSError | None = None

    def write(self, records: Sequence[Record]) -> None:
        self.is_inside.set()
        self.gate.wait()
        if self.error is not None:
            raise self.error
        time.sleep(0.002)
        super().write(records)


@pytest.fixture
def file() -> Iterator[File]:
    sink = File()
    yield sink
    sink.gate.set()


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "INBOX_ARRAY_BYTES", 100_000)
    monkeypatch.setattr(queue, "SLOWING_ARRAY_BYTES", 200_000)
    monkeypatch.setattr(queue, "MAX_ARRAY_BYTES", 400_000)


def log_pictures(log: Logger, steps: range) -> None:
    """Log pictures of 30,000 bytes as fast as the loop can."""
    for step in steps:
        log.images("i", np.full((3, 100, 100), step % 256, np.uint8), step)


def test_nothing_is_dropped_while_the_file_is_written(tmp_path: Path, file: File) -> None:
    with Logger(tmp_path / "run", [file]) as log:
        log_pictures(log, range(STEPS))
    stats = log.stats().sinks["file"]
    assert (stats.delivered, stats.missing) == (STEPS + 1, 0)
    assert [getattr(record, "step", None) for record in file.records[1:]] == list(range(STEPS))


def test_a_writer_loses_no_histogram_either(tmp_path: Path) -> None:
    values = torch.linspace(0, 1, 10_000)
    with SummaryWriter(tmp_path) as writer:
        for step in range(STEPS):
            writer.add_histogram("h", values, step)
    assert [step for step, _ in contents(tmp_path)[":h"]] == list(range(STEPS))


def test_a_file_that_hangs_is_waited_for_once(tmp_path: Path, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_HANG_S", 0.2)
    log = Logger(tmp_path / "run", [file])
    file.gate.clear()
    file.is_inside.clear()
    log_pictures(log, range(1))
    assert file.is_inside.wait(60)
    started = time.perf_counter()
    log_pictures(log, range(1, STEPS))  # some 90 waits, if each call waited
    assert 0.2 < time.perf_counter() - started < 5
    wait_until(lambda: log.stats().sinks["file"].dropped, what="pictures that are gone")
    file.gate.set()
    log.close(30)
    stats = log.stats().sinks["file"]
    assert stats.logged == stats.delivered + stats.dropped
    assert getattr(file.records[-1], "step", None) == STEPS - 1


def test_a_file_that_fails_is_not_waited_for(tmp_path: Path, file: File) -> None:
    log = Logger(tmp_path / "run", [file])
    file.error = OSError("disk full")
    log.scalar("a", 1.0, 0)
    wait_until(lambda: log.stats().sinks["file"].retries)
    started = time.perf_counter()
    log_pictures(log, range(STEPS))
    assert time.perf_counter() - started < pipeline.MAX_HANG_S
    file.error = None
    log.close(30)
    stats = log.stats().sinks["file"]
    assert stats.logged == stats.delivered + stats.dropped


def test_another_sink_that_hangs_is_not_waited_for(tmp_path: Path, file: File) -> None:
    class Page(File):
        name = "page"
        durable = False

    page = Page()
    page.gate.clear()
    with Logger(tmp_path / "run", [file, page]) as log:
        assert page.is_inside.wait(60)
        log_pictures(log, range(STEPS))
        assert log.flush(1.0) is False
        assert log.stats().sinks["file"].delivered == STEPS + 1
        page.gate.set()
    assert log.stats().sinks["page"].dropped


def test_a_single_array_may_be_larger_than_the_bound(tmp_path: Path, file: File) -> None:
    with Logger(tmp_path / "run", [file]) as log:
        for step in range(4):
            log.histogram("h", np.zeros(500_000), step)
    assert log.stats().sinks["file"].missing == 0


def test_what_was_built_for_one_sink_takes_less_for_another(tmp_path: Path) -> None:
    """Summaries of arrays are small, so a page that is behind keeps those that the event file has got."""

    class Page(File):
        name = "page"
        durable = False

    page = Page()
    page.gate.clear()
    values = torch.linspace(0, 1, 10_000)
    with SummaryWriter(tmp_path, sinks=["tensorboard", page]) as writer:
        writer.add_scalar("a", 1.0, 0)
        assert page.is_inside.wait(60)
        for step in range(20):
            writer.add_histogram("h", values, step)  # twice what may wait
            writer.flush()
        page.gate.set()
    assert [getattr(record, "step", None) for record in page.records if getattr(record, "tag", "") == "h"] == [
        *range(20)
    ]
