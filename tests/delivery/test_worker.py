"""A sink in trouble: nothing is lost, nobody else notices, and it is told once."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor import Logger, Run
from monitor import records as r
from monitor.capture.pending import PendingRecord
from monitor.delivery.pipeline import Pipeline
from monitor.delivery.workers import queue
from monitor.sinks.memory import MemorySink
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import Record


class Gated(MemorySink):
    """A sink that fails, or hangs, for as long as the test says."""

    name = "gated"

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.flushed = 0

    def write(self, records: Sequence[Record]) -> None:
        self.entered.set()
        self.gate.wait()
        if self.error is not None:
            raise self.error
        super().write(records)

    def flush(self) -> None:
        if isinstance(self.error, OSError):
            raise self.error
        self.flushed = len(self.records)


@pytest.fixture
def gated() -> Iterator[Gated]:
    sink = Gated()
    yield sink
    sink.gate.set()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_oserror_loses_nothing_and_is_told_once(
    tmp_path: Path, gated: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor")
    other = MemorySink()
    with Logger(tmp_path / "run", [gated, other]) as log:
        gated.error = ConnectionError("no server")
        log.scalar("a", 1.0, 0)
        wait_until(lambda: log.stats().sinks["gated"].retries >= 2)
        log.scalar("a", 2.0, 1)
        wait_until(lambda: other.series("a") == [(0, 1.0), (1, 2.0)])
        assert len(warnings(caplog)) == 1
        assert "gated: ConnectionError: no server" in warnings(caplog)[0]
        gated.error = None
        assert log.flush()
        assert log.stats().sinks["gated"].pending == 0
    assert gated.series("a") == [(0, 1.0), (1, 2.0)]
    assert "gated: back, nothing was lost" in caplog.messages
    assert len(warnings(caplog)) == 1


def test_a_batch_that_is_bad_is_counted_told_once_and_left(
    tmp_path: Path, gated: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    with Logger(tmp_path / "run", [gated]) as log:
        log.flush()
        gated.error = KeyError("bad")
        for step in range(3):
            log.scalar("a", 1.0, step)
            log.flush()
        gated.error = None
        log.scalar("a", 9.0, 9)
        log.flush()
        stats = log.stats().sinks["gated"]
        assert (stats.failed, stats.delivered, stats.last_error) == (3, 2, "KeyError: 'bad'")
    assert gated.series("a") == [(9, 9.0)]
    lost = [line for line in warnings(caplog) if "is lost" in line]
    assert lost == ["gated: the record Scalar 'a' at step 0 is lost: KeyError: 'bad'"]


def test_a_sink_that_hangs_stops_neither_the_others_nor_the_end(
    tmp_path: Path, gated: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    other = MemorySink()
    gated.gate.clear()
    log = Logger(tmp_path / "run", [gated, other])
    assert gated.entered.wait(60)
    log.scalar("a", 1.0, 0)
    started = time.monotonic()
    assert not log.flush(timeout=0.2)
    assert not log.close(timeout=0.3)
    assert time.monotonic() - started < 5
    assert other.series("a") == [(0, 1.0)]
    assert other.closed
    assert any("gated: 2 of 2 records not delivered" in line for line in warnings(caplog))
    gated.gate.set()


class Starting(MemorySink):
    """A sink whose opening takes much of a processor's time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def open(self, run: Run) -> None:
        began = time.thread_time()
        while time.thread_time() < began + self.seconds:
            sum(range(1000))
        super().open(run)


def test_a_sink_that_works_longer_than_the_timeout_is_not_given_up(tmp_path: Path) -> None:
    """On a busy machine, the parts of a sink may take seconds to import, and a resumed run to be read."""
    sink = Starting(seconds=0.6)
    log = Logger(tmp_path / "run", [sink])
    log.scalar("a", 1.0, 0)
    assert log.close(timeout=0.5)
    assert sink.series("a") == [(0, 1.0)]


def test_a_sink_that_works_without_an_end_is_given_up(tmp_path: Path) -> None:
    sink = Starting(seconds=30.0)
    log = Logger(tmp_path / "run", [sink])
    log.scalar("a", 1.0, 0)
    assert not log.close(timeout=0.1)
    sink.seconds = 0  # now it ends
    assert sink.series("a") == []


def test_one_that_was_failing_gets_a_short_grace_at_the_end(tmp_path: Path, gated: Gated) -> None:
    gated.error = TimeoutError("slow")
    log = Logger(tmp_path / "run", [gated])
    wait_until(lambda: log.stats().sinks["gated"].retries)
    started = time.monotonic()
    assert not log.close(timeout=60)
    assert time.monotonic() - started < 30


def test_where_too_much_waits_pictures_go_first_and_are_counted(
    tmp_path: Path, gated: Gated, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_ARRAY_BYTES", 100_000)
    gated.gate.clear()
    log = Logger(tmp_path / "run", [gated])
    assert gated.entered.wait(60)
    for step in range(20):
        log.images("i", np.full((1, 1, 100, 100), step, np.uint8), step)
        log.histogram("h", np.ones(10), step)
        log.scalar("a", float(step), step)
    wait_until(lambda: log.stats().sinks["gated"].dropped >= 10)
    stats = log.stats().sinks["gated"]
    assert 10 <= stats.dropped <= 12
    assert stats.logged == stats.pending + stats.dropped
    gated.gate.set()
    assert not log.close()
    assert gated.series("a") == [(step, float(step)) for step in range(20)]
    assert len(gated.of(r.Histogram)) == 20
    kept = [record.step for record in gated.of(r.Images)]
    assert kept == list(range(20 - len(kept), 20)), "the oldest go first"
    assert any("images wait for this sink" in line for line in warnings(caplog))


def test_a_record_that_cannot_be_built_fails_alone(tmp_path: Path, gated: Gated) -> None:
    def build() -> r.Record:
        raise ValueError("no record")

    pipeline = Pipeline([gated], Run(tmp_path / "run"), lambda: None)
    pipeline.inbox.extend([("a", 1.0, 0, 0.0), PendingRecord(r.Images, "i", 1, build), ("a", 2.0, 1, 0.0)])
    assert pipeline.close(10) == []
    assert gated.series("a") == [(0, 1.0), (1, 2.0)]
    assert pipeline.stats()["gated"].failed == 1


def test_an_open_that_fails_for_a_while_is_tried_again(tmp_path: Path) -> None:
    class Late(Gated):
        tries = 0

        def open(self, run: Run) -> None:
            self.tries += 1
            if self.tries < 3:
                raise ConnectionRefusedError("not yet")
            super().open(run)

    sink = Late()
    with Logger(tmp_path / "run", [sink]) as log:
        log.scalar("a", 1.0, 0)
        wait_until(lambda: sink.series("a"))
    assert sink.tries == 3


def test_a_systemexit_in_a_sink_ends_nothing(tmp_path: Path, gated: Gated) -> None:
    with Logger(tmp_path / "run", [gated]) as log:
        log.flush()
        gated.error = SystemExit(3)  # type: ignore[assignment]
        log.scalar("a", 1.0, 0)
        log.flush()
        gated.error = None
        log.scalar("a", 2.0, 1)
    assert gated.series("a") == [(1, 2.0)]
