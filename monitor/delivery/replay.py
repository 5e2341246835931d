"""Send logs of other programs to sinks: each run through a pipeline of its own, as if it were logged now."""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.delivery.pipeline import Pipeline
from monitor.events.reading.reader import read_history
from monitor.metrics import MetricSummary
from monitor.records import Audio, Config, Embedding, Figure, Images, Mesh, Restart, Scalar, Video
from monitor.runs.jsonable import to_jsonable
from monitor.runs.run_file import timestamp
from monitor.runs.settings.convert import read_settings
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from monitor.imports.sources import Source
    from monitor.records import Record
    from monitor.runs.run import Run
    from monitor.sinks.base import Sink

LISTS_PER_FLUSH = 5  # lists of records between two flushes; bounds what waits in memory
FLUSH_TIMEOUT_S = 10.0  # of one attempt; there is no last one
CLOSE_TIMEOUT_S = 10.0
UPDATE_INTERVAL_S = 2.0  # between two writes of `run.json`
MAX_TIME_S = 2**37  # since the epoch; later times are no dates

# Delivered before more is read.
FLUSHED_TYPES = (Images, Audio, Video, Figure, Mesh, Embedding, Restart)
RECORD_NAMES = {
    "Images": "picture",
    "ConfusionMatrix": "confusion matrix",
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
        self._summary = MetricSummary()
        self._is_superseded = False  # whether a resumed run logged some of it again
        self._times = (math.inf, -math.inf)  # the first and the last of the log
        self._last_update = time.monotonic()
        self._pipeline = Pipeline(sinks, run, _no_tick)

    def forward(self) -> None:
        """Send what is new in the log. Blocks until the sinks have it, even if a server only comes back later."""
        waiting = 0
        for records in self.source.records():
            self.counts.update(RECORD_NAMES.get(type(record).__name__, "") for record in records)
            if any(isinstance(record, Config) for record in records):
                records = self._keep_settings(records)
            self._summarize(records)
            self._pipeline.inbox.extend(records)
            waiting += 1
            is_large = any(isinstance(record, FLUSHED_TYPES) for record in records)
            del records  # they are not kept while the next ones are decoded
            if waiting >= LISTS_PER_FLUSH or is_large:
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
        logged = {name: counts._asdict() for name, counts in stats.items()}
        if self._is_superseded and self.run.is_written:
            self._summary = self._final_summary()
        fields = self._fields()
        ended = {"end": timestamp(self._times[1])} if "start" in fields else {}
        self.run.finish(status, error, logged=logged, **fields, **ended)
        return [
            f"{self.name}: {name}: {counts.logged - counts.delivered} of {counts.logged} records not delivered"
            for name, counts in stats.items()
            if counts.logged != counts.delivered
        ]

    @property
    def is_unreadable(self) -> bool:
        """Whether nothing of the log could be read."""
        return not self.counts and bool(self.source.unreadable or self.source.reader.damaged)

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

    def _summarize(self, records: Sequence[Record]) -> None:
        """Take in the metrics and the times, for `run.json`."""
        for record in records:
            if isinstance(record, Restart):
                self._is_superseded = record.step > 0
                if record.step <= 0:  # the log started over
                    self._summary, self._times = MetricSummary(), (math.inf, -math.inf)
                continue
            if isinstance(record, Scalar):
                self._summary.add(record.tag, record.value, record.step)
            if 0 < record.time < MAX_TIME_S:  # some programs write none
                first, last = self._times
                self._times = min(first, record.time), max(last, record.time)

    def _final_summary(self) -> MetricSummary:
        """Return the metrics without what a resumed run logged again. Blocks while it reads the event files anew."""
        summary = MetricSummary()
        for records in read_history(self.source.path, on_error=_ignore_error, kinds=frozenset({Scalar})):
            for record in records:
                if isinstance(record, Scalar):
                    summary.add(record.tag, record.value, record.step)
        return summary

    def _fields(self) -> dict[str, Any]:
        """Return the fields for `run.json` that the log tells."""
        fields: dict[str, Any] = {"progress": {"step": self._summary.step}}
        fields["metrics"] = to_jsonable(self._summary.summary())
        return fields | ({"start": timestamp(self._times[0])} if math.isfinite(self._times[0]) else {})

    def _flush(self) -> None:
        while self._pipeline.flush(FLUSH_TIMEOUT_S):
            pass
        now = time.monotonic()
        if now - self._last_update >= UPDATE_INTERVAL_S:
            self._last_update = now
            with suppress(OSError):
                self.run.update(**self._fields())


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("sh") else f"{name}s"


def ending(exit_code: int | None) -> tuple[RunStatus, str | None]:
    """Return the status of a run whose program ended with this code, None if its log has no end, and the reason."""
    if exit_code is None:
        return RunStatus.LOST, "the log has no end"
    if exit_code == 0:
        return RunStatus.FINISHED, None
    return EXIT_CODES.get(exit_code, (RunStatus.FAILED, f"exit code {exit_code}"))


def _ignore_error(_path: Path, _error: OSError) -> None:
    """Do nothing: the reader of the source has noted it."""


def _no_tick() -> None:
    """Do nothing when the inbox is emptied: there are no log calls to sample."""
