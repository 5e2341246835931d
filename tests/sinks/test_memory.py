"""The memory sink against the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.sinks.memory import MemorySink
from monitor.testing import check_sink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor import Run
    from monitor import records as r


def test_memory_keeps_every_record(run: Run) -> None:
    sink = MemorySink()
    check_sink(lambda: sink, run, lambda records: compare(sink.records, records))
    assert sink.closed
    assert sink.series("train/loss") == [(0, 2.5), (1, 1.5)]


def compare(found: Sequence[r.Record], wanted: Sequence[r.Record]) -> None:
    assert [type(record) for record in found] == [type(record) for record in wanted]
    assert found == list(wanted)
