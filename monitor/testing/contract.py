"""The contract test of sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.records import RECORD_TYPES, Record
from monitor.runs.status import RunStatus
from monitor.sinks.base import Sink
from monitor.testing.samples import sample_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.runs.run import Run


def check_sink(make: Callable[[], Sink], run: Run, read_back: Callable[[Sequence[Record]], None] | None = None) -> None:
    """Check that a sink fulfills the contract of `Sink`, from its constructor to `close`. Blocks while the sink writes.

    Args:
        make: returns a new sink.
        run: passed to `Sink.open`.
        read_back: called with the records that were delivered, after `flush` and again after `close`. It should look
            them up where the sink wrote them, and raise an exception if they are not there.

    Raises:
        AssertionError: if the sink does not fulfill the contract; the message says why.
    """
    before = _files(run)
    sink = make()
    assert isinstance(sink, Sink), f"{sink!r} is not a monitor.Sink"
    assert _files(run) == before, "the constructor must not touch the disk"
    assert sink.accepts, "accepts contains no record type"
    assert sink.accepts <= RECORD_TYPES, (
        f"accepts contains types that are not record types: {sink.accepts - RECORD_TYPES}"
    )
    assert 0 < sink.interval <= sink.max_interval, "0 < interval <= max_interval must hold, in seconds"
    records = [record for record in sample_records() if type(record) in sink.accepts]
    sink.open(run)
    sink.write(records[:1])
    sink.write([])
    sink.write(records[1:])
    sink.flush()
    if read_back is not None:
        read_back(records)
    sink.flush()  # again, with nothing new
    run.status = RunStatus.FINISHED
    sink.close()
    sink.close()  # closing twice is harmless
    if read_back is not None:
        read_back(records)
    if sink.name:
        made = type(sink).from_spec(urlsplit(sink.name))
        assert isinstance(made, type(sink)), f"from_spec({sink.name!r}) makes {made!r}"


def _files(run: Run) -> set[str]:
    return {str(path) for path in run.path.rglob("*")}
