"""Send event files to sinks: each run through a pipeline of its own, as if it were logged now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from monitor.delivery.pipeline import Pipeline
from monitor.events.reader import EventReader
from monitor.records import Audio, Embedding, Figure, Images, Mesh, Video
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.runs.run import Run
    from monitor.sinks.base import Sink

LISTS_PER_FLUSH = 5  # lists of records between two flushes; bounds what waits in memory
FLUSH_TIMEOUT_S = 10.0  # of one attempt; there is no last one
CLOSE_TIMEOUT_S = 10.0

LARGE_TYPES = (Images, Audio, Video, Figure, Mesh, Embedding)  # delivered before more is read
RECORD_NAMES = {
    "Images": "picture",
    "Text": "text",
    "Scalar": "scalar",
    "Histogram": "histogram",
    "Config": "config",
    "Audio": "sound",
    "Video": "film",
    "PRCurve": "PR curve",
    "Mesh": "mesh",
    "Embedding": "embedding",
    "Table": "table",
    "Summary": "graph",
}


class Replay:
    """One run's event files on their way to sinks of their own.

    Attributes:
        name: the run's name.
        run: the run that the sinks show.
        sinks: where the records go.
        counts: records sent so far, by kind.
    """

    def __init__(self, name: str, path: Path, sinks: Sequence[Sink], run: Run) -> None:
        self.name, self.run, self.sinks = name, run, sinks
        self.counts: Counter[str] = Counter()
        self._unreadable: dict[Path, str] = {}
        self._reader = EventReader(path, on_error=self._leave_out)
        self._pipeline = Pipeline(sinks, run, _no_tick)

    def forward(self) -> None:
        """Send what is new in the files. Blocks until the sinks have it, even if a server only comes back later."""
        waiting = 0
        for records in self._reader.records():
            self.counts.update(RECORD_NAMES.get(type(record).__name__, "") for record in records)
            self._pipeline.inbox.extend(records)
            waiting += 1
            if waiting >= LISTS_PER_FLUSH or any(isinstance(record, LARGE_TYPES) for record in records):
                self._flush()
                waiting = 0
        if waiting:
            self._flush()

    def close(self) -> list[str]:
        """Deliver the rest and close the sinks; return one line for each sink that is missing records."""
        self.run.status = RunStatus.FINISHED
        self._pipeline.close(CLOSE_TIMEOUT_S)
        stats = self._pipeline.stats()
        self.run.finish(RunStatus.FINISHED, logged={name: counts._asdict() for name, counts in stats.items()})
        return [
            f"{self.name}: {name}: {counts.logged - counts.delivered} of {counts.logged} records not delivered"
            for name, counts in stats.items()
            if counts.logged != counts.delivered
        ]

    def summary(self) -> str:
        """Say what the files contained, and what of it was not sent."""
        sent = [
            f"{count:,} {name if count == 1 else _plural(name)}" for name, count in self.counts.most_common() if name
        ]
        reader = self._reader
        skipped = [f"{count:,} × {kind}" for kind, count in reader.skipped.most_common()]
        skipped += [f"{reader.damaged:,} × damaged"] * (reader.damaged > 0)
        skipped += [f"{reader.torn:,} bytes at a torn end"] * (reader.torn > 0)
        skipped += [f"{path.name} ({reason})" for path, reason in self._unreadable.items()]
        return f"{self.name}: {', '.join(sent) or 'nothing'}" + (f"; skipped: {', '.join(skipped)}" if skipped else "")

    def _leave_out(self, path: Path, error: OSError) -> None:
        self._unreadable[path] = error.strerror or str(error)

    def _flush(self) -> None:
        while self._pipeline.flush(FLUSH_TIMEOUT_S):
            pass


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("sh") else f"{name}s"


def _no_tick() -> None:
    """Do nothing when the inbox is emptied: there are no log calls to sample."""
