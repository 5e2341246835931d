"""Sinks that fail in every way that the contract allows, and check what they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from monitor import BadRecord, Checkpoint, Scalar, SlowDown, Text
from monitor.capture.pending import PendingRecord
from monitor.events.scalars.encoding import encode_scalars
from monitor.machine.files import FileRange
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

    from monitor import Run
    from monitor.records import Record
    from monitor.scalar_block import ScalarBlock
    from tests.simulation.schedule import Schedule

POISON = -1.0  # a value that no sink takes


class Faults(NamedTuple):
    """How often each kind of fault happens, from 0 to 1."""

    later: float
    slow_down: float
    bad_flush: float
    hang: float
    raising: float


class FaultySink(Sink):
    """Take records in, fail as a seed says, and keep what was flushed.

    Attributes:
        visible: what was flushed, in order: the tag and the value of a scalar, the tag and the step of others.
        lost: how many records a flush said that it cannot show.
    """

    interval = max_interval = 0.5

    def __init__(self, name: str, schedule: Schedule, random: random.Random, faults: Faults) -> None:
        self.name = name  # type: ignore[misc]
        self._schedule, self._random, self._faults = schedule, random, faults
        self._written: list[tuple[str, float]] = []
        self.visible: list[tuple[str, float]] = []
        self.lost: list[tuple[str, float]] = []
        self.is_healthy = False
        self.is_closed = False
        self._is_inside = False
        self._left_alone_until = 0.0

    def open(self, _run: Run) -> None:
        """Get ready, or fail."""
        self._trouble()

    def write(self, records: Sequence[Record]) -> None:
        """Take all records, none, or all but the poison."""
        self._trouble()
        taken = [_key(record) for record in records]
        if any(value == POISON for _, value in taken):
            if self._random.random() < 0.5:
                raise ValueError("poison")
            self._written += [key for key in taken if key[1] != POISON]
            raise BadRecord("poison", count=sum(value == POISON for _, value in taken))
        self._written += taken

    def flush(self) -> None:
        """Make what was written visible, all or all but one."""
        self._trouble()
        written, self._written = self._written, []
        if written and not self.is_healthy and self._random.random() < self._faults.bad_flush:
            self.lost.append(written.pop())
            self.visible += written
            raise BadRecord("cannot be drawn")
        self.visible += written

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def _trouble(self) -> None:
        """Let others run, and fail perhaps."""
        if self._is_inside or self.is_closed:
            self._schedule.fail(f"{self.name} is called by two threads, or after close")
        if self._schedule.time < self._left_alone_until:
            self._schedule.fail(f"{self.name} is called too soon")
        self._is_inside = True
        try:
            self._schedule.pause()
            if self.is_healthy:
                return
            faults, draw = self._faults, self._random.random
            if draw() < faults.hang:
                self._schedule.sleep(self._random.choice([0.01, 0.7, 7.0, 60.0]))
            if draw() < faults.later:
                raise ConnectionError("not now")
            if draw() < faults.slow_down:
                delay = self._random.choice([0.5, 5.0, 30.0])
                self._left_alone_until = self._schedule.time + delay
                raise SlowDown("not so fast", delay)
        finally:
            self._is_inside = False


class BlockSink(FaultySink):
    """A sink that takes scalars as columns."""

    def write_scalars(self, block: ScalarBlock) -> None:
        """Take all scalars, or none."""
        self._trouble()
        taken = [_key(record) for record in block.records()]
        if any(value == POISON for _, value in taken):
            raise ValueError("poison")
        self._written += taken


class EventFileSink(BlockSink):
    """A sink that keeps scalars in a file from which others read them back, and draws on another thread."""

    durable = True
    scalars_first = True

    def __init__(self, path: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._path = path
        self._blocks: list[ScalarBlock] = []

    def prepare(self, record: Record) -> Any:
        """Return the record, or fail."""
        self._schedule.pause()
        if not self.is_healthy and self._random.random() < self._faults.raising:
            raise KeyError("cannot be drawn")
        return record

    def write_scalars(self, block: ScalarBlock) -> None:
        """Take all scalars, or none."""
        super().write_scalars(block)
        self._blocks.append(block)

    def flush(self) -> None:
        """Make what was written visible, all or all but one."""
        super().flush()
        blocks, self._blocks = self._blocks, []
        for block in blocks:
            data = encode_scalars(block)
            with self._path.open("ab") as file:
                offset = file.tell()
                file.write(data)
            block.stored = FileRange(self._path, offset, len(data))


def _key(record: Any) -> tuple[str, float]:
    if isinstance(record, Scalar):
        return record.tag, record.value
    if isinstance(record, Text | Checkpoint):
        return "text" if isinstance(record, Text) else "checkpoint", float(record.step)
    return record.tag, float(record.step)


def picture(kind: type, tag: str, step: int, build: Any) -> PendingRecord:
    """Return an array that a worker builds."""
    return PendingRecord(kind, tag, 100, lambda: build(step))
