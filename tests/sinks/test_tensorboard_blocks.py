"""What the TensorBoard sink makes of blocks of scalars, of prepared records, and of bad ones."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import DataError, Run, Scalar, ScalarBlock, Text
from monitor import records as r
from monitor.events.reading.reader import EventReader
from monitor.events.scalars.decoding import decode_scalars
from monitor.sinks.tensorboard import TensorBoardSink
from monitor.testing import sample_records
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path


def tensorboard(run: Run) -> TensorBoardSink:
    sink = TensorBoardSink()
    sink.open(run)
    return sink


def test_a_block_is_found_where_it_is_stored(run: Run) -> None:
    sink = tensorboard(run)
    tags = [("train/loss", "test/loss"), ("test/loss",)]
    first, second = (
        ScalarBlock(
            tags, np.array([0, 1] * 100, np.int32), np.arange(200) + start, np.arange(200.0), np.arange(300.0, 0, -1)
        )
        for start in (0, 1000)
    )
    sink.write([Text("note", "before", 0, 1.0)])
    sink.write_scalars(first)
    sink.write_scalars(second)
    assert first.stored is None
    sink.flush()
    for block in (first, second):
        assert block.stored is not None
        path, offset, length = block.stored
        data = path.read_bytes()[offset : offset + length]
        assert decode_scalars(data).records() == block.records()
        with pytest.raises(DataError):
            decode_scalars(data[:-1])
    sink.close()
    assert event_reader.series(run.path, "test/loss") == [
        (record.step, record.value)
        for block in (first, second)
        for record in block.records()
        if record.tag == "test/loss"
    ]


def test_the_best_values_follow_the_scalars(run: Run) -> None:
    sink = tensorboard(run)
    losses = [3.0, math.nan, 2.0, 2.5, 2.0, -math.inf, 1.0]
    for start in (0, 10):
        group = np.zeros(len(losses), np.int32)
        points = np.stack([losses, losses, losses]).T.ravel() - start
        block = ScalarBlock(
            [("train/loss", "test/loss", "test/x")], group, np.arange(len(losses)) + start, np.arange(7.0), points
        )
        sink.write_scalars(block)
    sink.write([Scalar("test/loss", -10.0, 20, 20.0), Scalar("test/loss", 0.0, 21, 21.0)])
    sink.flush()
    sink.close()
    assert event_reader.series(run.path, "test/loss/best") == [
        (0, 3.0), (2, 2.0), (6, 1.0), (10, -7.0), (12, -8.0), (16, -9.0), (20, -10.0),
    ]  # fmt: skip
    assert {tag for tag in event_reader.read(run.path).Tags()["scalars"] if tag.endswith("/best")} == {"test/loss/best"}
    assert "custom_scalars__config__" in event_reader.read(run.path).Tags()["tensors"]


def test_what_is_read_back_is_what_was_written(run: Run) -> None:
    """With one path for records and blocks, and records of other kinds between them."""
    sink = tensorboard(run)
    records: list[r.Record] = [Scalar("a", 1.0, 0, 1.0), Scalar("b", 2.0, 0, 1.0), Text("note", "x", 0, 1.0)]
    records += [Scalar("a", 3.0, step, step) for step in range(1, 100)]
    sink.write(records)
    block = ScalarBlock.of([Scalar("a", 4.0, 200, 200.0)])
    sink.write_scalars(block)
    sink.write_scalars(ScalarBlock.of([]))
    sink.flush()
    sink.close()
    found = [record for part in EventReader(run.path).records() for record in part]
    assert found[: len(records) + 1] == [*records, *block.records()]


def test_a_batch_with_a_bad_record_is_not_taken(run: Run) -> None:
    sink = tensorboard(run)
    good: list[r.Record] = [Scalar("a", 1.0, 0, 1.0), Text("note", "good", 0, 1.0)]
    for bad in (Scalar("\ud800", 1.0, 1, 1.0), Text("\ud800", "bad", 1, 1.0)):
        with pytest.raises(ValueError, match="surrogates"):
            sink.write([*good, bad])
    with pytest.raises(ValueError, match="surrogates"):
        sink.write_scalars(ScalarBlock.of([Scalar("a", 1.0, 0, 1.0), Scalar("\ud800", 1.0, 1, 1.0)]))
    sink.write(good)
    sink.flush()
    sink.close()
    assert event_reader.series(run.path, "a") == [(0, 1.0)]
    assert event_reader.text(run.path, "note") == ["good"]


def test_records_are_prepared_on_other_threads(tmp_path: Path) -> None:
    """Prepared or not, the same bytes are written; preparing touches neither the sink nor the disk."""
    records = [record for record in sample_records() if not isinstance(record, Scalar | r.Progress)]
    written = []
    for prepare in (True, False):
        sink = tensorboard(Run(tmp_path / str(prepare)))
        items: list[Any] = list(records)
        if prepare:
            before = repr(vars(sink))

            def work(number: int, items: list[Any] = items, sink: TensorBoardSink = sink) -> None:
                items[number] = sink.prepare(records[number])

            threads = [threading.Thread(target=work, args=(number,)) for number in range(len(records))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert repr(vars(sink)) == before
            assert not any(item is record for item, record in zip(items, records))
        sink.write(items)
        sink.flush()
        (path,) = (tmp_path / str(prepare)).glob("*tfevents*")
        written.append(path.read_bytes())
        sink.close()
    assert written[0][100:] == written[1][100:]  # after the version event
    assert len(written[0]) > 10_000
