"""Where in the event files which steps are, so that a range of steps can be read alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.events.clock import metric_calls

if TYPE_CHECKING:
    from monitor.events.reading.reader import EventReader
    from monitor.scalar_block import ScalarBlock

MAX_MARKS = 256
Mark = list[Any]  # a file's name, the first byte, the end, the lowest step, and the highest one


def add_mark(marks: list[Mark], file: str, end: int, block: ScalarBlock) -> None:
    """Note that a block, of which system metrics do not count, is in a file before byte `end`, behind the last mark."""
    steps = metric_calls(block).steps
    if not len(steps):
        return
    low, high = int(steps.min()), int(steps.max())
    last = marks[-1] if marks else None
    if last is not None and last[0] == file and last[2] == end:
        last[3:] = [min(last[3], low), max(last[4], high)]
        return
    marks.append([file, last[2] if last is not None and last[0] == file else 0, end, low, high])
    if len(marks) > MAX_MARKS:
        marks[:] = _merged(marks)


class OtherParts:
    """Where events are that are no scalars, while a reader reads.

    Attributes:
        parts: parts of the files, [file, start, end], in order.
    """

    def __init__(self, reader: EventReader, parts: list[Mark]) -> None:
        self.parts, self._reader, self._others = parts, reader, reader.others
        self._spans = {path: (offset, offset) for path, offset in reader.offsets.items()}

    def note(self) -> None:
        """Take notice of what was read since the last call, which may lie in the same piece of a file as this."""
        moved = []
        for path, offset in self._reader.offsets.items():
            end = self._spans.get(path, (0, 0))[1]
            if offset > end:
                self._spans[path] = end, offset
                moved.append(path)
        if self._reader.others != self._others:
            self._others = self._reader.others
            for path in moved or [path for path, offset in self._reader.offsets.items() if offset][-1:]:
                self._add(path.name, *self._spans[path])

    def _add(self, file: str, start: int, end: int) -> None:
        last = self.parts[-1] if self.parts else None
        if last is not None and last[0] == file and last[2] >= start:
            last[2] = max(last[2], end)
            return
        self.parts.append([file, start, end])
        if len(self.parts) > MAX_MARKS:
            merged: list[Mark] = []
            for number, part in enumerate(self.parts):
                if number % 2 and merged[-1][0] == part[0]:
                    merged[-1][2] = part[2]
                else:
                    merged.append(part)
            self.parts[:] = merged


def ranges(marks: list[Mark], first: int, last: int) -> dict[str, list[tuple[int, int]]]:
    """Return for each file the parts that may hold steps from `first` to `last`."""
    found: dict[str, list[tuple[int, int]]] = {}
    for file, start, end, low, high in marks:
        if low <= last and high >= first:
            parts = found.setdefault(file, [])
            if parts and parts[-1][1] == start:
                parts[-1] = parts[-1][0], end
            else:
                parts.append((start, end))
    return found


def _merged(marks: list[Mark]) -> list[Mark]:
    """Join neighbors of the same file in pairs."""
    merged: list[Mark] = []
    joins = False
    for mark in marks:
        if joins and merged[-1][0] == mark[0]:
            before = merged[-1]
            before[2:] = [mark[2], min(before[3], mark[3]), max(before[4], mark[4])]
            joins = False
        else:
            merged.append(list(mark))
            joins = True
    return merged
