"""Send logs of other programs to sinks: each run through a pipeline of its own, as if it were logged now."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from monitor.delivery.pipeline import Pipeline
from monitor.records import Audio, Config, Embedding, Figure, Images, Mesh, Restart, Video
from monitor.runs.settings.convert import read_settings
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.imports.sources import Source
    from monitor.records import Record
    from monitor.runs.run import Run
    from monitor.sinks.base import Sink

LISTS_PER_FLUSH = 5  # lists of records between two flushes; bounds what waits in memory
FLUSH_TIMEOUT_S = 10.0  # of one attempt; there is no last one
CLOSE_TIMEOUT_S = 10.0

# Delivered before more is read.
FLUSHED_TYPES = (Images, Audio, Video, Figure, Mesh, Embedding, Restart)
RECORD_NAMES = {
    "Images": "picture",
    "Text": "text",
    "Scalar": "scalar",
    "Histogram": "histogram",
    "Config": "config",
    "Audio": "sound",
    "Video": "film",
    "Figure": "figure",
    "PRCurve": "PR curve",
    "Mesh": "mesh",
    "Embedding": "embedding",
    "Table": "table",
    "Summary": "graph",
}
# What W&B records besides the exit code of the program.
EXIT_CODES = {
    254: (RunStatus.LOST, "its process disappeared without notice"),
    255: (RunStatus.INTERRUPTED, "Ctrl-C"),
}


class Replay:
    """One run's log on its way to sinks of its own.

    Attributes:
        name: the run's name.
        source: the log.
        run: the run that the sinks show.
        sinks: where the records go.
        counts: records sent so far, by kind.
    """

    def __init__(self, name: str, source: Source, sinks: Sequence[Sink], run: Run) -> None:
        self.name, self.source, self.run, self.sinks = name, source, run, sinks
        self.counts: Counter[str] = Counter()
        self._pipeline = Pipeline(sinks, run, _no_tick)

    def forward(self) -> None:
        """Send what is new in the log. Blocks until the sinks have it, even if a server only comes back later."""
        waiting = 0
        for records in self.source.records():
            self.counts.update(RECORD_NAMES.get(type(record).__name__, "") for record in records)
            if any(isinstance(record, Config) for record in records):
                records = self._keep_settings(records)
            self._pipeline.inbox.extend(records)
            waiting += 1
            if waiting >= LISTS_PER_FLUSH or any(isinstance(record, FLUSHED_TYPES) for record in records):
                self._flush()
                waiting = 0
        if waiting:
            self._flush()

    def close(self) -> list[str]:
        """Deliver the rest and close the sinks; return one line for each sink that is missing records."""
        status, error = ending(self.source.exit_code)
        self.run.status = status
        self._pipeline.close(CLOSE_TIMEOUT_S)
        stats = self._pipeline.stats()
        self.run.finish(status, error, logged={name: counts._asdict() for name, counts in stats.items()})
        return [
            f"{self.name}: {name}: {counts.logged - counts.delivered} of {counts.logged} records not delivered"
            for name, counts in stats.items()
            if counts.logged != counts.delivered
        ]

    def summary(self) -> str:
        """Say what the log contained, what of it was not sent, and how the run ended."""
        sent = [
            f"{count:,} {name if count == 1 else _plural(name)}" for name, count in self.counts.most_common() if name
        ]
        reader = self.source.reader
        skipped = [f"{count:,} × {kind}" for kind, count in reader.skipped.most_common()]
        skipped += [f"{reader.damaged:,} × damaged"] * (reader.damaged > 0)
        skipped += [f"{reader.torn:,} bytes at a torn end"] * (reader.torn > 0)
        skipped += [f"{path.name} ({reason})" for path, reason in self.source.unreadable.items()]
        status, error = ending(self.source.exit_code)
        ended = "" if status is RunStatus.FINISHED else f"; {status}: {error}"
        left_out = f"; skipped: {', '.join(skipped)}" if skipped else ""
        return f"{self.name}: {', '.join(sent) or 'nothing'}{left_out}{ended}"

    def _keep_settings(self, records: Sequence[Record]) -> list[Record]:
        """Return the records with secrets masked; put the last settings into `run.json`, for lists and comparisons."""
        masked = [r._replace(values=read_settings(r.values)) if isinstance(r, Config) else r for r in records]
        settings = next(record for record in reversed(masked) if isinstance(record, Config))
        with suppress(OSError, TypeError, ValueError):  # of unknown origin, so they may not fit
            self.run.update(config=settings.values)
        return masked

    def _flush(self) -> None:
        while self._pipeline.flush(FLUSH_TIMEOUT_S):
            pass


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("sh") else f"{name}s"


def ending(exit_code: int | None) -> tuple[RunStatus, str | None]:
    """Return the status of a run whose program ended with this code, None if its log has no end, and the reason."""
    if exit_code is None:
        return RunStatus.LOST, "the log has no end"
    if exit_code == 0:
        return RunStatus.FINISHED, None
    return EXIT_CODES.get(exit_code, (RunStatus.FAILED, f"exit code {exit_code}"))


def _no_tick() -> None:
    """Do nothing when the inbox is emptied: there are no log calls to sample."""
