"""Single checks of a sink, and its whole life as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from monitor.errors import SpecError
from monitor.records import RECORD_TYPES, Record, Scalar
from monitor.runs.status import RunStatus
from monitor.scalar_block import ScalarBlock
from monitor.sinks.base import Sink
from monitor.testing.samples import sample_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monitor.runs.run import Run


def check_sink(make: Callable[[], Sink], run: Run, read_back: Callable[[Sequence[Record]], None] | None = None) -> None:
    """Take one sink through its whole life, for tests outside of a class; `SinkContract` checks more, rule by rule.

    Args:
        make: returns a new sink.
        run: passed to `Sink.open`.
        read_back: called with the records that were delivered, after `flush` and again after `close`. It should look
            them up where the sink wrote them, and raise an exception if they are not there.

    Raises:
        AssertionError: if the sink does not fulfill the contract; the message says why.
    """
    before = files_of(run)
    sink = make()
    assert isinstance(sink, Sink), f"{sink!r} is not a monitor.Sink"
    assert files_of(run) == before, "the constructor must not touch the disk"
    check_accepts(sink)
    check_intervals(sink)
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
    check_spec(sink)


def check_accepts(sink: Sink) -> None:
    """Check that `accepts` contains record types and nothing else."""
    assert sink.accepts, "accepts contains no record type"
    assert sink.accepts <= RECORD_TYPES, (
        f"accepts contains types that are not record types: {sink.accepts - RECORD_TYPES}"
    )


def check_intervals(sink: Sink) -> None:
    """Check `interval` and `max_interval`."""
    assert 0 < sink.interval <= sink.max_interval, "0 < interval <= max_interval must hold, in seconds"


def check_spec(sink: Sink) -> None:
    """Check `from_spec`, if the sink has a name."""
    if not sink.name:
        return
    made = type(sink).from_spec(urlsplit(sink.name))
    assert isinstance(made, type(sink)), f"from_spec({sink.name!r}) makes {made!r}"
    odd = f"{sink.name}://nowhere/x?unknown=1#y"
    message = ""
    try:
        made = type(sink).from_spec(urlsplit(odd))
    except SpecError as error:
        message = str(error)
    assert isinstance(made, type(sink)), f"from_spec({odd!r}) makes {made!r}"
    assert "\n" not in message, f"the SpecError for {odd!r} has more than one line"


def succeeds(call: Callable[[], None]) -> bool:
    """Tell whether a call raises no `OSError`; any other exception is passed on."""
    try:
        call()
    except OSError:
        return False
    return True


def has_array(record: Record) -> bool:
    """Tell whether a record holds an array, and so goes through `Sink.prepare`."""
    return any(isinstance(field, np.ndarray) for field in record)


def block_of(scalars: Sequence[Scalar]) -> ScalarBlock:
    """Return scalars as if those of one step had been logged by two calls: all but the last one, and that one."""
    steps = sorted({scalar.step for scalar in scalars})
    by_step = [[scalar for scalar in scalars if scalar.step == step] for step in steps]
    calls = [part for step in by_step for part in (step[:-1], step[-1:])]
    groups = [tuple(scalar.tag for scalar in part) for part in calls[:2]]

    def column(values: list[Any], dtype: type) -> NDArray[Any]:
        return np.array(values, dtype)

    return ScalarBlock(
        groups,
        column([number % 2 for number in range(len(calls))], np.int32),
        column([part[0].step for part in calls], np.int64),
        column([part[0].time for part in calls], np.float64),
        column([scalar.value for scalar in scalars], np.float64),
    )


def files_of(run: Run) -> set[str]:
    """Return the paths of everything in the run directory."""
    return {str(path) for path in run.path.rglob("*")}
