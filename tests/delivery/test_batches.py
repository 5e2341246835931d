"""Batches are bounded, scalars overtake pictures but no checkpoint, and one bad record costs one record."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from monitor import Checkpoint, Images, Logger, MemorySink, Record, Scalar
from monitor.capture.pending import PendingRecord
from monitor.delivery.workers import queue
from monitor.delivery.workers.queue import WorkQueue
from monitor.events.reading.reader import EventReader
from monitor.sinks.tensorboard import TensorBoardSink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.delivery.inbox import Item


def scalar(step: int) -> Scalar:
    return Scalar("a", float(step), step, 0.0)


def picture(step: int, size: int = 1) -> PendingRecord:
    return PendingRecord(Images, "p", size, lambda: Images("p", np.zeros((1, 1, 8, 8), np.uint8), step, 0.0))


def take_all(items: Sequence[Item], *, scalars_first: bool) -> list[list[Item]]:
    waiting, batches = WorkQueue(), []
    waiting.put(items)
    while waiting:
        slots = waiting.take_batch(scalars=10, scalars_first=scalars_first)
        slots = slots or waiting.take_batch(scalars=10, scalars_first=False)
        batches.append([slot.item for slot in slots if slot.item is not None])
        assert batches[-1]
    assert (waiting.count, waiting.scalar_bytes, waiting.array_bytes) == (0, 0, 0)
    return batches


def test_batches_are_bounded_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BATCH_RECORDS", 10)
    items: list[Item] = [picture(n) if n % 3 == 0 else scalar(n) for n in range(100)]
    for scalars_first in (False, True):
        batches = take_all(items, scalars_first=scalars_first)
        assert all(len(one) <= 10 for one in batches)
        assert all(sum(isinstance(item, PendingRecord) for item in one) <= queue.BATCH_ARRAYS for one in batches)
        taken = [item for one in batches for item in one]
        assert set(map(id, taken)) == set(map(id, items))
        if not scalars_first:
            assert taken == items


def test_a_batch_of_large_arrays_is_short() -> None:
    sizes = [[item.nbytes for item in one if isinstance(item, PendingRecord)] for one in take_all(
        [picture(n, queue.BATCH_BYTES * (n == 2) + 10 * 2**20) for n in range(5)], scalars_first=False
    )]  # fmt: skip
    assert [len(one) for one in sizes] == [1, 1, 1, 1, 1]


def test_scalars_overtake_pictures_but_no_checkpoint() -> None:
    mark = Checkpoint("c", 3, 0.0)
    before: list[Item] = [picture(0), scalar(1), picture(2), scalar(3)]
    after: list[Item] = [scalar(4), picture(5), scalar(6)]
    batches = take_all([*before, mark, *after], scalars_first=True)
    assert batches == [[before[1], before[3]], [before[0], before[2], mark, after[0], after[1], after[2]]]
    assert take_all([*before, *after], scalars_first=True)[0] == [before[1], before[3], after[0], after[2]]


def test_scalars_behind_pictures_are_in_the_file_before_them(tmp_path: Path) -> None:
    pictures = np.zeros((64, 3, 64, 64), np.uint8)
    with Logger(tmp_path / "run", ["tensorboard"]) as log:
        for step in range(20):
            log.images("samples", pictures, step)
        for step in range(100):
            log.scalar("a", float(step), step)
        assert log.checkpoint("c", 100)
        log.scalar("a", 100.0, 100)
    order = [type(record).__name__ for records in EventReader(log.run.path).records() for record in records]
    mark = order.index("Checkpoint")
    assert order[:mark].count("Scalar") == 100
    assert order[:mark].count("Images") == 20
    assert order[mark + 1 :] == ["Scalar"]


class Picky(MemorySink):
    """Refuse batches that hold a record with the tag `bad`."""

    bad: ClassVar[frozenset[str]] = frozenset({"bad"})

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Scalar) and record.tag in self.bad:
                raise ValueError("no such tag here")
        super().write(records)


@pytest.mark.parametrize("place", [0, 1, 499, 500, 1000])
def test_one_bad_record_costs_one_record(tmp_path: Path, place: int, caplog: pytest.LogCaptureFixture) -> None:
    sink = Picky()
    with caplog.at_level(logging.ERROR, "monitor"), Logger(tmp_path / "run", [sink]) as log:
        for step in range(1001):
            log.scalar("bad" if step == place else "a", float(step), step)
    counts = log.stats().sinks["memory"]
    assert (counts.logged, counts.delivered, counts.failed, counts.pending) == (1002, 1001, 1, 0)
    assert sink.series("a") == [(step, float(step)) for step in range(1001) if step != place]
    assert [record.message for record in caplog.records] == [
        f"memory: the record Scalar 'bad' at step {place} is lost: ValueError: no such tag here"
    ]


def test_a_sink_that_refuses_everything_is_asked_once_per_record(tmp_path: Path) -> None:
    calls = 0

    class Refusing(MemorySink):
        def write(self, records: Sequence[Record]) -> None:
            nonlocal calls
            calls += 1
            raise ValueError(f"never, and not these {len(records)}")

    with Logger(tmp_path / "run", [Refusing()]) as log:
        for step in range(1000):
            log.scalar("a", float(step), step)
        log.flush()
    counts = log.stats().sinks["memory"]
    assert (counts.logged, counts.failed, counts.pending) == (1001, 1001, 0)
    assert calls < 1001 + 100


@pytest.mark.slow
def test_closing_drains_a_sink_that_makes_progress(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches take twice the timeout together: all are delivered, and what is left is told."""
    monkeypatch.setattr(queue, "BATCH_SCALARS", 10_000)

    class Slow(TensorBoardSink):
        def flush(self) -> None:
            time.sleep(0.5)  # a slow disk
            super().flush()

    log = Logger(tmp_path / "run", [Slow()])
    for step in range(50_000):
        log.scalars({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, step)
    with caplog.at_level(logging.INFO, "monitor"):
        assert log.close(timeout=1.5)
    counts = log.stats().sinks["tensorboard"]
    assert (counts.logged, counts.delivered) == (200_001, 200_001)
    points = sum(isinstance(r, Scalar) for records in EventReader(log.run.path).records() for r in records)
    assert points == 200_000
    told = [record.message for record in caplog.records if "records left" in record.message]
    assert len(told) == 1
    assert told[0].startswith("tensorboard: ")
