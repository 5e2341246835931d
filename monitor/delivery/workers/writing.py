"""Write the parts of a batch to a sink, so that one bad record costs one record."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from monitor.delivery.workers.batch import Part, cut, describe_piece, halve
from monitor.delivery.workers.counters import RETRY
from monitor.delivery.workers.unpacking import flat
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.delivery.workers.counters import Attempts, Counters
    from monitor.sinks.base import Sink


class BatchWriter:
    """Write and flush what is in `parts`.

    Attributes:
        parts: blocks of scalars, and lists of records or of prepared results, that are still to be written.
    """

    def __init__(self, sink: Sink, attempts: Attempts, counters: Counters, on_progress: Callable[[], None]) -> None:
        self._sink, self._attempts, self._counters, self._on_progress = sink, attempts, counters, on_progress
        self.parts: deque[Part] = deque()
        self._written = 0  # records that are written and not flushed yet

    def write(self) -> bool:
        """Write the parts, in smaller pieces where a record is bad; False if the sink asks for a retry."""
        size: int | None = None  # of the next piece; None: the whole part
        while self.parts:
            piece, rest = cut(self.parts[0], size)
            count = len(piece)
            lost = self._attempts.call(partial(self._write_piece, piece), describe_piece(piece))
            if lost == RETRY:
                return False
            if lost < 0 and count > 1:  # one of them is bad: halve until it is found, and it alone fails
                self.parts[0], size = halve(self.parts[0], piece)
                continue
            self.parts.popleft()
            if rest is not None:
                self.parts.appendleft(rest)
            size = None if rest is None or size is None else size * 2 if not lost else 1
            bad = count if lost < 0 else min(lost, count)
            self._written += count - bad
            if bad:
                self._counters.add(failed=bad)
            self._on_progress()
        return True

    def flush(self) -> bool:
        """Flush what was written; False if the sink asks for a retry."""
        lost = self._attempts.call(self._sink.flush)
        if lost == RETRY:
            return False
        if self._written:
            bad = self._written if lost < 0 else min(lost, self._written)
            self._counters.add(delivered=self._written - bad, failed=bad)
            self._written = 0
            self._on_progress()
        return True

    def _write_piece(self, piece: Part) -> None:
        if isinstance(piece, ScalarBlock):
            self._sink.write_scalars(piece)
        else:
            self._sink.write(flat(piece))
