"""What a record leads to besides itself: what a `Summary` holds, for sinks that take none, and counts of predictions.

It is one record for the counters, however many come of it: it is delivered with all of them, or fails as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.records import (
    Audio,
    Config,
    ConfusionMatrix,
    Histogram,
    Images,
    Mesh,
    PRCurve,
    Predictions,
    Record,
    Scalar,
    Summary,
    Table,
    Text,
    Video,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.events.event_decoder import EventDecoder
    from monitor.prediction_timeline import PredictionTimeline

CONTENT = frozenset({Audio, Config, ConfusionMatrix, Histogram, Images, Mesh, PRCurve, Scalar, Table, Text, Video})


class Unpacked(NamedTuple):
    """A record that became several, as a part of a batch.

    Attributes:
        logged: the record that was logged.
        records: what the sink gets in its place, in order: records, or what `Sink.prepare` returned for them.
    """

    logged: Record
    records: list[Any]


class Unpacker:
    """Replace each `Summary` by what it holds of the types that a sink takes, and add the counts of predictions.

    TensorBoard is loaded for the first summary.

    Attributes:
        accepts: the types of record that the sink gets, and `Summary` if it gets the content of summaries.
    """

    def __init__(self, accepts: frozenset[type]) -> None:
        """Unpack for a sink that takes these types; one that takes `Summary` gets summaries as they are."""
        self._kinds = frozenset() if Summary in accepts else accepts & CONTENT
        self.accepts = accepts | {Summary} if self._kinds else accepts
        self._takes_scalars = Scalar in accepts
        self._decoder: EventDecoder | None = None

    def unpack(self, record: Record) -> Record | Unpacked:
        """Return the record, or what comes of it. Raises `ValueError` for an event that cannot be decoded."""
        if isinstance(record, Predictions) and record.timeline is not None and self._takes_scalars:
            return Unpacked(record, [record, *_counts(record, record.timeline)])
        if type(record) is not Summary or not self._kinds:
            return record
        from monitor.events.event_decoder import EventDecoder
        from monitor.events.framing import parse_event

        self._decoder = self._decoder or EventDecoder(self._kinds)
        event = parse_event(record.event)
        if event is None:
            raise ValueError(f"the event of {record.tag!r} cannot be decoded")
        found: list[Record] = []
        self._decoder.decode(event, found)
        return Unpacked(record, found)


def _counts(record: Predictions, timeline: PredictionTimeline) -> list[Scalar]:
    """Return the curves of a timeline at its newest test."""
    from monitor.prediction_timeline import CURVES, timeline_tag

    tag, counts = timeline_tag(record.tag), timeline.counts()
    return [Scalar(f"{tag}/{name}", float(counts[name]), record.step, record.time) for name in CURVES]


def flat(records: Iterable[Any]) -> list[Any]:
    """Return records with what became of some in their places."""
    found: list[Any] = []
    for record in records:
        if type(record) is Unpacked:
            found += record.records
        else:
            found.append(record)
    return found
