"""A sink that takes no summaries gets what they hold, and counts them as they were logged."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as Values

from monitor import Logger, MemorySink, Run
from monitor.capture.pending import PendingRecord
from monitor.delivery.pipeline import Pipeline
from monitor.delivery.workers.unpacking import CONTENT
from monitor.errors import BadRecord
from monitor.events import framing
from monitor.events.decoding import TYPES_BY_KIND, TYPES_BY_PLUGIN
from monitor.records import Histogram, Images, Record, Scalar, Summary, Text
from monitor.runs.listing import load
from tests.support import foreign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.sinks.base import Sink
    from monitor.stats import SinkStats


class Pictures(MemorySink):
    """What a third party might write: it knows nothing of summaries."""

    name = "pictures"
    accepts = frozenset({Scalar, Images, Histogram})


class Drawing(Pictures):
    """It draws on a thread of its own."""

    scalars_first = True

    def prepare(self, record: Record) -> Any:
        assert isinstance(record, Images)
        return record._replace(tag=f"drawn {record.tag}")


def event(step: int, *values: Any, tag: str = "s", time: float = 1000.5) -> Summary:
    data = Event(wall_time=time, step=step, summary=Values(value=list(values))).SerializeToString()
    return Summary(tag, data, step, time)


def picture(tag: str) -> Any:
    return foreign.images(tag, np.zeros((4, 4, 3), np.uint8))


def deliver(sink: Sink, folder: Path, *entries: Any) -> SinkStats:
    pipeline = Pipeline([sink], Run(folder / "run"), lambda: None)
    pipeline.inbox.extend(entries)
    waiting = pipeline.stats()[sink.name]
    assert waiting.logged == len(entries)
    assert pipeline.close(30) == []
    return pipeline.stats()[sink.name]


def test_a_sink_gets_the_records_that_it_takes_in_their_places(tmp_path: Path) -> None:
    sink = Pictures()
    stats = deliver(
        sink,
        tmp_path,
        ("a", 1.0, 1, 1000.0),
        event(2, foreign.simple("a", 2.0), picture("i"), foreign.text("note", "x"), foreign.simple("b", 3.0)),
        ("a", 4.0, 3, 1001.0),
    )
    found = [(type(r), r.tag, r.step, r.time) for r in sink.records if not isinstance(r, Summary)]  # type: ignore[union-attr]
    assert found == [
        (Scalar, "a", 1, 1000.0),
        (Scalar, "a", 2, 1000.5),
        (Images, "i", 2, 1000.5),
        (Scalar, "b", 2, 1000.5),
        (Scalar, "a", 3, 1001.0),
    ]
    assert stats[:5] == (3, 3, 0, 0, 0)  # a summary is one record, whatever it holds


def test_a_sink_that_takes_summaries_gets_them_as_they_are(tmp_path: Path) -> None:
    sink, summary = MemorySink(), event(2, foreign.simple("a", 2.0))
    deliver(sink, tmp_path, summary)
    assert sink.records == [summary]


def test_a_sink_with_nothing_to_gain_gets_none(tmp_path: Path) -> None:
    from monitor import Checkpoint

    class Marks(MemorySink):
        accepts = frozenset({Checkpoint})

    sink = Marks()
    pipeline = Pipeline([sink], Run(tmp_path / "run"), lambda: None)
    pipeline.inbox.append(event(2, foreign.simple("a", 2.0)))
    assert pipeline.close(30) == []
    assert pipeline.stats()["memory"].logged == 0


def test_one_that_cannot_be_read_fails_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Pictures()
    stats = deliver(sink, tmp_path, event(1, picture("i")), Summary("bad", b"\xff\xff", 2, 0.0), ("a", 1.0, 3, 0.0))
    assert (stats.logged, stats.delivered, stats.failed) == (3, 2, 1)
    assert [r.tag for r in sink.records] == ["i", "a"]  # type: ignore[union-attr]
    assert (
        "pictures: a Summary record could not be read: ValueError: the event of 'bad' cannot be decoded" in caplog.text
    )


class Choosy(Pictures):
    """It refuses a tag, either way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, records: Sequence[Record]) -> None:
        good = [record for record in records if record.tag != "refused"]  # type: ignore[union-attr]
        if len(good) < len(records) and not isinstance(self.error, BadRecord):
            raise self.error
        self.records += good
        if len(good) < len(records):
            raise self.error


@pytest.mark.parametrize("error", [ValueError("no"), BadRecord("no", 2)], ids=["all of it", "those alone"])
def test_what_a_sink_refuses_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    sink = Choosy(error)
    bad = event(1, picture("with it"), picture("refused"), picture("refused"))
    stats = deliver(sink, tmp_path, bad)
    assert (stats.logged, stats.delivered, stats.failed) == (1, 0, 1)
    caplog.clear()
    sink = Choosy(ValueError("no"))
    stats = deliver(sink, tmp_path, event(1, picture("x")), bad, *[event(n, picture(f"{n}")) for n in range(5)])
    assert (stats.logged, stats.delivered, stats.failed) == (7, 6, 1)
    assert [r.tag for r in sink.records] == ["x", "0", "1", "2", "3", "4"]  # type: ignore[union-attr]
    assert "the record Summary 's' at step 1 is lost" in caplog.text


def test_an_oserror_brings_the_same_records_again(tmp_path: Path) -> None:
    class Late(Pictures):
        attempts = 0

        def write(self, records: Sequence[Record]) -> None:
            if records:
                self.attempts += 1
                if self.attempts < 3:
                    raise ConnectionError("away")
            super().write(records)

    sink = Late()
    pipeline = Pipeline([sink], Run(tmp_path / "run"), lambda: None)
    pipeline.inbox.append(event(1, picture("i"), foreign.simple("a", 1.0)))
    assert pipeline.flush(30) == []
    pipeline.close(5)
    assert [type(record) for record in sink.records] == [Images, Scalar]
    assert pipeline.stats()["pictures"][:5] == (1, 1, 0, 0, 0)


def test_a_sink_that_draws_prepares_what_is_inside(tmp_path: Path) -> None:
    sink = Drawing()
    summary = event(1, picture("i"), foreign.simple("a", 1.0))
    stats = deliver(sink, tmp_path, PendingRecord(Summary, "s", 100, lambda: summary))
    assert [r.tag for r in sink.records] == ["drawn i", "a"]  # type: ignore[union-attr]
    assert stats[:5] == (1, 1, 0, 0, 0)


def test_the_rank_of_a_plugin_is_remembered(tmp_path: Path) -> None:
    """Writers name the plugin of a tag in its first value only."""
    first, second = foreign.text("note", "x"), foreign.text("note", "y")
    second.ClearField("metadata")

    class Texts(MemorySink):
        accepts = frozenset({Text})

    sink = Texts()
    deliver(sink, tmp_path, event(1, first), event(2, second))
    assert [record.text for record in sink.of(Text)] == ["x", "y"]


def test_alerts_and_the_status_know_the_scalars_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Logger(tmp_path / "run", [MemorySink()], alerts=["a > 1"]) as log:
        log._put(event(3, foreign.simple("a", 2.0)))  # noqa: SLF001 - as the integrations do
    assert load(tmp_path / "run").metrics["a"]["last"] == 2.0
    assert "alert: a > 1: 2 at step 3" in caplog.text


def test_every_type_that_an_event_may_hold_is_passed_on() -> None:
    assert frozenset().union(*TYPES_BY_KIND.values(), *TYPES_BY_PLUGIN.values()) == CONTENT


def test_tensorboard_is_not_loaded_before_the_first_summary(tmp_path: Path) -> None:
    code = """
import sys
from monitor import Logger, MemorySink, Images, Scalar
class Pictures(MemorySink):
    accepts = frozenset({Scalar, Images})
with Logger(sys.argv[1], [Pictures()]) as log:
    log.scalar("a", 1.0, 0)
assert not any(name.startswith(("tensorboard", "google.protobuf")) for name in sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=True, timeout=60)


def test_it_is_the_sinks_worker_that_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, parse = [], framing.parse_event

    def watched(data: bytes) -> Any:
        threads.append(threading.current_thread().name)
        return parse(data)

    monkeypatch.setattr(framing, "parse_event", watched)
    deliver(Pictures(), tmp_path, event(1, picture("i")))
    assert threads == ["monitor-pictures"]
