"""What waits for a sink that is behind: bounded in memory, read back from the event file, and not drawn in vain."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import BadRecord, ConfusionMatrix, Curve, Logger, MemorySink, ScalarBlock, SlowDown
from monitor.delivery.workers import queue, worker
from monitor.delivery.workers.queue import WorkQueue, thin_block
from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import Record


class Gated(MemorySink):
    """A sink that hangs in its first write until the gate opens."""

    name = "gated"

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.is_inside = threading.Event()

    def write(self, records: Sequence[Record]) -> None:
        self.is_inside.set()
        self.gate.wait()
        super().write(records)


@pytest.fixture
def gated() -> Iterator[Gated]:
    sink = Gated()
    yield sink
    sink.gate.set()


def test_what_the_event_file_holds_leaves_memory_and_is_read_back(
    tmp_path: Path, gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_SCALAR_BYTES", 100_000)
    with Logger(tmp_path / "run", ["tensorboard", gated]) as log:
        assert gated.is_inside.wait(60)
        for step in range(60_000):
            log.scalars({"a": step / 7, "b": -1.0}, step)
            if step == 30_000:
                log.text("note", "halfway", step)
                log.flush(0.5)
        log.flush(1.0)
        waiting = log._pipeline.workers[1]._queue  # noqa: SLF001 - memory has no public face
        log.scalar("c", 1.0, 0)  # what comes next makes room
        wait_until(lambda: waiting.scalar_bytes < 200_000, what="blocks that left memory")
        assert waiting.count > 100_000
        assert log.stats().sinks["gated"].pending > 120_000
        gated.gate.set()
        assert log.flush(30)
    values = np.array([value for _, value in gated.series("a")])
    assert np.array_equal(values.astype(np.float32), (np.arange(60_000) / 7).astype(np.float32))
    assert [step for step, _ in gated.series("b")] == list(range(60_000))
    assert log.stats().sinks["gated"].missing == 0
    place = [type(record).__name__ for record in gated.records].index("Text")
    assert gated.records[place - 1].step == 30_000  # type: ignore[union-attr]


def test_an_event_file_that_is_gone_is_told_and_counted(
    tmp_path: Path, gated: Gated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue, "MAX_SCALAR_BYTES", 1)
    with Logger(tmp_path / "run", ["tensorboard", gated]) as log:
        assert gated.is_inside.wait(60)
        for step in range(1000):
            log.scalar("a", 1.0, step)
        log.flush(1.0)
        log.scalar("a", 1.0, 1000)
        slots = log._pipeline.workers[1]._queue  # noqa: SLF001
        wait_until(lambda: any(slot.stored for slot in slots), what="a block that left memory")
        for file in (tmp_path / "run").glob("events*"):
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(bytes(content))
        gated.gate.set()
        log.flush(30)
        stats = log.stats().sinks["gated"]
    assert stats.dropped > 0
    assert stats.logged == stats.delivered + stats.dropped
    assert [m for m in caplog.messages if "could not be read back" in m]


def test_without_an_event_file_scalars_are_thinned_and_extrema_stay(
    tmp_path: Path, gated: Gated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue, "MAX_UNSTORED_BYTES", 500_000)
    rng = np.random.default_rng(0)
    values = rng.normal(size=100_000)
    values[[777, 55_555]] = 100.0, -100.0
    with caplog.at_level(logging.WARNING, "monitor"), Logger(tmp_path / "run", [gated]) as log:
        assert gated.is_inside.wait(60)
        for step, value in enumerate(values.tolist()):
            log.scalar("a", value, step)
        wait_until(lambda: log.stats().sinks["gated"].dropped, what="points that are gone")
        gated.gate.set()
    stats = log.stats().sinks["gated"]
    assert stats.logged == 100_001 == stats.delivered + stats.dropped
    kept = dict(gated.series("a"))
    assert kept[777] == 100.0
    assert kept[55_555] == -100.0
    assert list(kept) == sorted(kept)
    assert len([m for m in caplog.messages if m.startswith("gated: too many scalars wait in memory")]) == 1


class Slow(MemorySink):
    """A sink that takes columns, and its time."""

    name = "slow"
    interval = 0.01

    def write_scalars(self, block: ScalarBlock) -> None:
        time.sleep(0.02)
        super().write_scalars(block)


def test_a_loop_at_full_speed_waits_for_a_sink_that_takes_what_it_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "SLOWING_SCALAR_BYTES", 400_000)
    monkeypatch.setattr(queue, "MAX_UNSTORED_BYTES", 4_000_000)
    slow = Slow()
    with Logger(tmp_path / "run", [slow]) as log:
        for step in range(600_000):  # 30 bytes each, with its block
            log.scalar("a", 1.0, step)
    assert log.stats().sinks["slow"].dropped == 0
    assert len(slow.series("a")) == 600_000


def test_thinning_keeps_the_ends_and_the_extremes_of_each_curve() -> None:
    steps = np.arange(1000)
    values: np.ndarray[Any, np.dtype[np.float64]] = np.where(steps % 2 == 0, np.nan, np.sin(steps))
    group = np.zeros(1000, np.int32)
    columns = np.array([values, steps], np.float64).T.ravel()
    block = ScalarBlock([("a", "b")], group, steps, steps.astype(np.float64), columns)
    thinned = {tag: (s.tolist(), v.tolist()) for tag, s, v, _ in thin_block(block).series()}
    assert len(thinned["a"][0]) <= 64
    assert {0, 999} <= set(thinned["a"][0])
    assert np.nanmax(thinned["a"][1]) == np.nanmax(values)
    assert np.nanmin(thinned["a"][1]) == np.nanmin(values)
    assert thinned["b"][0] == thinned["b"][1] == sorted(thinned["b"][0])


class SlowlyDrawn(MemorySink):
    """A sink whose pictures take a while."""

    name = "slow"
    scalars_first = True

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.is_drawing = threading.Event()

    def prepare(self, record: Record) -> Any:
        self.is_drawing.set()
        self.gate.wait()
        return record


def test_what_a_newer_record_replaces_is_not_drawn_when_closing_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SUPERSEDE_AFTER_S", 0.0)
    sink = SlowlyDrawn()
    log = Logger(tmp_path / "run", [sink])
    line = np.arange(3.0)
    for step in range(50):
        log.curve("c", line, line, step)
        log.confusion_matrix("m", np.eye(2, dtype=int), step)
        log.images("i", np.zeros((1, 1, 8, 8), np.uint8), step)
    assert sink.is_drawing.wait(60)  # the first batch
    log.scalar("a", 1.0, 0)
    assert not log.flush(1.0)
    assert sink.series("a") == [(0, 1.0)]  # scalars do not wait for pictures
    closing = threading.Thread(target=log.close)
    closing.start()
    wait_until(lambda: log._pipeline.workers[0]._closing_since is not None)  # noqa: SLF001
    sink.gate.set()
    closing.join()
    stats = log.stats().sinks["slow"]
    assert (stats.logged, stats.pending, stats.failed, stats.missing) == (152, 0, 0, 0)
    assert stats.superseded == 152 - stats.delivered > 50
    assert [record.step for record in sink.of(Curve)][-1] == 49
    assert [record.step for record in sink.of(ConfusionMatrix)][-1] == 49
    assert len(sink.records) == stats.delivered
    assert not log.run.incomplete
    assert f"{stats.superseded} superseded" in str(log.stats())


def test_nothing_is_superseded_across_a_checkpoint() -> None:
    from monitor import Checkpoint
    from monitor.capture.pending import PendingRecord

    def curve(step: int) -> PendingRecord:
        return PendingRecord(Curve, "c", 1, lambda: Curve("c", np.zeros(1), np.zeros(1), step, 0.0))

    waiting = WorkQueue()
    waiting.put([curve(0), curve(1), Checkpoint("c", 1, 0.0), curve(2), curve(3)])
    assert waiting.drop_superseded() == 2
    assert [slot.item.resolve().step for slot in waiting if isinstance(slot.item, PendingRecord)] == [1, 3]  # type: ignore[union-attr]


class Troubled(MemorySink):
    """A sink that raises what the test says, once each."""

    name = "troubled"

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    def write(self, records: Sequence[Record]) -> None:
        super().write(records)
        if self.errors and isinstance(self.errors[0], BadRecord):
            self.records.pop()
            raise self.errors.pop(0)

    def flush(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


def test_a_sink_that_asks_to_slow_down_is_left_alone_so_long(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Troubled(SlowDown("too many requests", 0.6))
    with caplog.at_level(logging.INFO, "monitor"), Logger(tmp_path / "run", [sink]) as log:
        log.scalar("a", 1.0, 0)
        assert not log.flush(0.3)  # asking does not make it sooner
        assert log.flush(10)
        stats = log.stats().sinks["troubled"]
    assert (stats.slowdowns, stats.retries, stats.failed, stats.delivered) == (1, 0, 0, 2)
    assert "troubled: SlowDown: too many requests; the next attempt is in 0.6 s, nothing is lost" in caplog.messages
    assert "troubled: back, nothing was lost" in caplog.messages


def test_a_bad_record_that_the_sink_found_costs_one(tmp_path: Path) -> None:
    sink = Troubled(BadRecord("the last of these"))
    with Logger(tmp_path / "run", [sink]) as log:
        for step in range(10):
            log.scalar("a", 1.0, step)
    stats = log.stats().sinks["troubled"]
    assert (stats.logged, stats.delivered, stats.failed) == (11, 10, 1)
    assert len(sink.records) == 10
