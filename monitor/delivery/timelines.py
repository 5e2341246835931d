"""Attach to predictions the timeline of their tag, where the same samples are logged at each test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from monitor.capture.pending import PendingRecord
from monitor.records import Predictions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.prediction_timeline import PredictionTimeline

MAX_TAGS = 100  # predictions under further tags get no timeline


class Timelines:
    """The timelines of one run, by tag.

    A timeline is extended where a record is built: once, by the first worker that needs the record, so all sinks get
    the same one, and it is delivered, or repeated after a resume, together with the predictions that it ends with.
    """

    def __init__(self, previous: Mapping[str, PredictionTimeline] | None = None) -> None:
        """Continue the timelines of an earlier process."""
        self._by_tag = dict(previous or {})
        self._lock = threading.Lock()

    def follow(self, item: PendingRecord | Predictions) -> PendingRecord:
        """Return predictions to which the timeline is attached when they are built. Does no more than that."""
        if isinstance(item, PendingRecord):
            item.complete = self._attach
            return item
        nbytes = item.images.nbytes + item.predicted.nbytes + item.target.nbytes
        pending = PendingRecord(Predictions, item.tag, nbytes, lambda: item, item.step)
        pending.complete = self._attach
        return pending

    def _attach(self, record: Any) -> Predictions:
        """Return the record with its timeline, if it is at least the second test of the same samples."""
        from monitor.prediction_timeline import first_test, identity

        samples = identity(record.images, record.target)
        with self._lock:
            before = self._by_tag.get(record.tag)
            if before is None and len(self._by_tag) >= MAX_TAGS:
                return record  # type: ignore[no-any-return]
            if before is not None and record.step <= before.step:
                return record  # type: ignore[no-any-return]
            if before is None or before.samples != samples:
                first = first_test(samples, record.step, record.predicted, record.target, record.names)
                self._by_tag[record.tag] = first
                return record._replace(first_test=first)  # type: ignore[no-any-return]
            timeline = self._by_tag[record.tag] = before.with_test(record.step, record.predicted, record.names)
        return record._replace(timeline=timeline)  # type: ignore[no-any-return]
