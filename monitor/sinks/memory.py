"""A sink that keeps the records in memory, for tests and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from monitor.records import Record, Scalar
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.runs.run import Run

R = TypeVar("R")


class MemorySink(Sink):
    """Keep every record in memory, which grows with the run.

    Attributes:
        records: the records in the order in which they were logged.
        run: the run, once the sink is open.
        closed: whether the sink was closed.
    """

    name = "memory"
    interval = 0.05

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.run: Run | None = None
        self.closed = False

    def open(self, run: Run) -> None:
        """Set `run`."""
        self.run = run

    def write(self, records: Sequence[Record]) -> None:
        """Append to `records`."""
        self.records.extend(records)

    def flush(self) -> None:
        """Do nothing: what is written is visible."""

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True

    def of(self, kind: type[R]) -> list[R]:
        """Return the records of one type, such as `Scalar`."""
        return [record for record in self.records if isinstance(record, kind)]

    def series(self, tag: str) -> list[tuple[int, float]]:
        """Return the (step, value) points of the scalar `tag`."""
        return [(record.step, record.value) for record in self.of(Scalar) if record.tag == tag]
