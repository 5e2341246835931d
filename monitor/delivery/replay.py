"""From event files to sinks: each run through a pipeline of its own, as if it were logged now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from monitor.delivery.pipeline import Pipeline
from monitor.events.reader import EventReader
from monitor.records import Images
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.runs.run import Run
    from monitor.sinks.base import Sink

LISTS_PER_FLUSH = 5  # lists of records between two flushes: what waits in memory stays small
FLUSH_TIMEOUT_S = 10.0  # seconds of one attempt to flush; there is no last one
CLOSE_TIMEOUT_S = 10.0  # seconds

RECORD_NAMES = {"Images": "picture", "Text": "text", "Scalar": "scalar", "Histogram": "histogram", "Config": "config"}


class Replay:
    """One run's event files on their way to sinks of their own."""

    def __init__(self, name: str, path: Path, sinks: Sequence[Sink], run: Run) -> None:
        self.name, self.run, self.sinks = name, run, sinks
        self.counts: Counter[str] = Counter()
        self._reader = EventReader(path)
        self._pipeline = Pipeline(sinks, run, lambda: None)

    def forward(self) -> None:
        """Send on what is new in the files; blocks until the sinks have it, also where they come back only later."""
        waiting = 0
        for records in self._reader.records():
            self.counts.update(RECORD_NAMES.get(type(r).__name__, "") for r in records)
            self._pipeline.inbox.extend(records)
            waiting += 1
            if waiting >= LISTS_PER_FLUSH or any(isinstance(r, Images) for r in records):
                self._settle()
                waiting = 0
        if waiting:
            self._settle()

    def close(self) -> list[str]:
        """Deliver the rest and close the sinks; say what was not delivered, a line a sink."""
        self.run.status = RunStatus.FINISHED
        self._pipeline.close(CLOSE_TIMEOUT_S)
        stats = self._pipeline.stats()
        self.run.finish("finished", logged={name: s._asdict() for name, s in stats.items()})
        return [
            f"{self.name}: {name}: {s.logged - s.delivered} of {s.logged} records not delivered"
            for name, s in stats.items()
            if s.logged != s.delivered
        ]

    def summary(self) -> str:
        """Say what was there, and what of it was not sent."""
        there = [f"{count:,} {name}{'s' * (count != 1)}" for name, count in self.counts.most_common() if name]
        reader = self._reader
        left = [f"{count:,} × {kind}" for kind, count in reader.skipped.most_common()]
        left += [f"{reader.damaged:,} × damaged"] * (reader.damaged > 0)
        left += [f"{reader.torn:,} bytes at a torn end"] * (reader.torn > 0)
        return f"{self.name}: {', '.join(there) or 'nothing'}" + (f"; skipped: {', '.join(left)}" if left else "")

    def _settle(self) -> None:
        while self._pipeline.flush(FLUSH_TIMEOUT_S):
            pass
