"""The curves of the trials of a sweep, read from their event files as these grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.events.reading.reader import EventReader
from monitor.records import Restart, Scalar
from monitor.render.reduction.downsampling import DownsampledSeries
from monitor.runs.status import RunStatus
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from monitor.comparison.event_data import OnError
    from monitor.records import Record
    from monitor.runs.listing import RunInfo


class TrialCurves:
    """The curves of one metric, by run.

    The files of a run that has ended are read once more, and then forgotten. What is kept of each run is bounded.
    """

    def __init__(self, metric: str, on_error: OnError = None) -> None:
        """Prepare; `on_error` is called for an event file that cannot be read, which is then left out."""
        self._metric, self._on_error = metric, on_error
        self._readers: dict[Path, EventReader] = {}
        self._series: dict[Path, DownsampledSeries] = {}
        self._ends: dict[Path, object] = {}  # of runs that were read to their end
        self._buckets: int | None = None

    def update(self, runs: Iterable[RunInfo], buckets: int) -> None:
        """Read what is new in the event files, and keep so many buckets of each curve. Blocks; raises `OSError`."""
        if self._buckets is None or buckets < self._buckets:
            self._buckets = buckets
            for series in self._series.values():
                series.limit(buckets)
        for run in runs:
            end = run.fields.get("end") if run.status is not RunStatus.RUNNING else None
            if end is None or self._ends.get(run.path) != end:
                if run.path in self._ends:  # it was resumed meanwhile
                    del self._ends[run.path], self._series[run.path]
                self._read(run.path)
            if end is not None:
                self._ends[run.path] = end
                self._readers.pop(run.path, None)

    def series(self, run: Path) -> DownsampledSeries | None:
        """Return the curve of a run, if it has points."""
        found = self._series.get(run)
        return found if found is not None and found.count else None

    def _read(self, run: Path) -> None:
        reader = self._readers.get(run)
        if reader is None:
            kinds = frozenset({Scalar, Restart})
            reader = EventReader(run, lambda tag: tag == self._metric, on_error=self._on_error, kinds=kinds)
            self._readers[run] = reader
        series = self._series.setdefault(run, DownsampledSeries(self._buckets or 1))
        for batch in reader.batches():
            if isinstance(batch, ScalarBlock):
                for tag, steps, values, times in batch.series():
                    if tag == self._metric:
                        series.extend(steps, values, times)
            else:
                self._add(series, batch)

    def _add(self, series: DownsampledSeries, records: Iterable[Record]) -> None:
        for record in records:
            if isinstance(record, Restart):
                series.restart(record.step)
            elif isinstance(record, Scalar) and record.tag == self._metric:
                series.add(record.step, record.value, record.time)
