"""What log calls leave behind, and how it becomes columns.

A log call only appends an entry to a deque, without a lock. The rest happens on other threads.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from monitor.capture.pending import DeviceScalar, PendingRecord, PendingScalars
from monitor.delivery.steps import AutomaticSteps
from monitor.delivery.timelines import Timelines
from monitor.metrics import Definition, Goals
from monitor.records import Predictions, Record, Scalar
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.prediction_timeline import PredictionTimeline
    from monitor.scalar_block import TagGroup

Item = ScalarBlock | Record | PendingRecord | DeviceScalar
BLOCK_SCALARS = 32_768  # of one block, roughly


class Inbox:
    """Entries in the order in which they were logged.

    Attributes:
        entries: `(tag, value, step, time)`, where the tag may be None and the value a dict of values by tag; or a
            record; or a record that is still to be built. A step that is None is counted when the entry is taken. A
            `Definition` becomes no item.
        tuples: how many entries were taken that were tuples.
    """

    def __init__(
        self,
        last_steps: Mapping[str, int] | None = None,
        goals: Goals | None = None,
        timelines: Mapping[str, PredictionTimeline] | None = None,
    ) -> None:
        """Count steps on from the last ones, by tag; add what is defined to `goals`; continue timelines, by tag."""
        self.entries: deque[Any] = deque()
        self.tuples = 0
        self._steps = AutomaticSteps(last_steps)
        self._goals = goals or Goals()
        self._timelines = Timelines(timelines)

    def take(self) -> list[Item]:
        """Remove the entries that are there now; return them with the scalars in blocks. One thread at a time."""
        entries = self.entries
        popleft = entries.popleft
        items: list[Item] = []
        columns = _Columns(self._steps)
        for _ in range(len(entries)):  # what is logged meanwhile waits for the next call
            try:
                entry = popleft()
            except IndexError:  # a log call that came too late took its entry back
                break
            kind = type(entry)
            if kind is tuple:
                self.tuples += 1
            elif kind is PendingScalars:
                columns.add_pending(entry, items)
                continue
            elif kind is Definition:
                self._goals.define(entry)
                continue
            elif kind is not Scalar:
                columns.move_to(items)
                item = self._steps.complete(entry)
                items.append(self._timelines.follow(item) if record_type(item) is Predictions else item)
                continue
            columns.add(*entry)
            if len(columns.values) >= BLOCK_SCALARS:
                columns.move_to(items)
        columns.move_to(items)
        return items

    def counts(self) -> dict[type, int]:
        """Count the records that wait, by type. Any thread may call it."""
        return count_records(self.entries.copy())


def count_records(entries: Iterable[Any]) -> dict[type, int]:
    """Count the records of entries or items, by type."""
    counts: dict[type, int] = {}
    for entry in entries:
        number = 1
        if type(entry) is tuple:
            kind: type = Scalar
            number = 1 if entry[0] is not None else len(entry[1])
        elif isinstance(entry, PendingScalars):
            kind, number = Scalar, len(entry.tags)
        elif isinstance(entry, ScalarBlock):
            kind, number = Scalar, len(entry)
        else:
            kind = record_type(entry)
        counts[kind] = counts.get(kind, 0) + number
    return counts


def record_type(item: Item) -> type:
    """Return the type of a record, even if it is still to be built."""
    if isinstance(item, ScalarBlock):
        return Scalar
    return item.kind if isinstance(item, PendingRecord | DeviceScalar) else type(item)


class _Columns:
    """A block in the making."""

    def __init__(self, automatic: AutomaticSteps) -> None:
        self._automatic = automatic
        self._clear()

    def _clear(self) -> None:
        self.groups: dict[Any, int] = {}  # a tag alone stands for the group of it
        self.group: list[int] = []
        self.steps: list[int] = []
        self.times: list[float] = []
        self.values: list[float] = []

    def add(self, tag: Any, value: Any, step: int | None, time: float) -> None:
        """Add one entry; without a step, it gets its automatic one."""
        if tag is not None:
            self.values.append(value)
        else:
            if not value:
                return
            tag = tuple(value)
            self.values.extend(value.values())
        if step is None:
            step = self._next_step(tag)
        elif self._automatic.is_used:
            self._note(tag, step)
        groups = self.groups
        number = groups.get(tag)
        if number is None:
            number = groups[tag] = len(groups)
        self.group.append(number)
        self.steps.append(step)
        self.times.append(time)

    def add_pending(self, scalars: PendingScalars, items: list[Item]) -> None:
        """Add the scalars of one call, of which some are on a GPU and become items of their own."""
        step = self._next_step(scalars.tags)
        self.add(None, scalars.values, step, scalars.time)
        self.move_to(items)
        for scalar in scalars.on_device:
            scalar.step = step
            items.append(scalar)

    def _next_step(self, tag: Any) -> int:
        """Return the automatic step of a scalar, or of several that were logged together."""
        if not self._automatic.is_used:  # so far, only whole blocks were noted
            self._automatic.is_used = True
            keys = list(self.groups)
            for number, step in zip(self.group, self.steps):
                self._note(keys[number], step)
        return self._automatic.next_together(tag) if type(tag) is tuple else self._automatic.next(tag)

    def _note(self, tag: Any, step: int) -> None:
        for name in tag if type(tag) is tuple else (tag,):
            self._automatic.note(name, step)

    def move_to(self, items: list[Item]) -> None:
        """Append what was added so far, as a block."""
        if not self.group:
            return
        import numpy as np

        groups: list[TagGroup] = [key if type(key) is tuple else (key,) for key in self.groups]
        group, steps = np.array(self.group, np.int32), np.array(self.steps, np.int64)
        items.append(
            ScalarBlock(groups, group, steps, np.array(self.times, np.float64), np.array(self.values, np.float64))
        )
        if not self._automatic.is_used:
            self._automatic.note_calls(groups, group, steps)
        self._clear()
