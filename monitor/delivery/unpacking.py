"""What a `Summary` holds, for sinks that take records of those types but no `Summary`.

A summary is one record for the counters, however many records are in it: it is delivered with all of them, or fails as
a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.records import (
    Audio,
    Config,
    Histogram,
    Images,
    Mesh,
    PRCurve,
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

CONTENT = frozenset({Audio, Config, Histogram, Images, Mesh, PRCurve, Scalar, Table, Text, Video})


class Unpacked(NamedTuple):
    """A summary, as a part of a batch.

    Attributes:
        summary: the record that was logged.
        records: what the sink gets in its place, in order: records, or what `Sink.prepare` returned for them.
    """

    summary: Summary
    records: list[Any]


class Unpacker:
    """Replace each `Summary` by what it holds of the types that a sink takes. TensorBoard is loaded for the first one.

    Attributes:
        accepts: the types of record that the sink gets, and `Summary` if it gets the content of summaries.
    """

    def __init__(self, accepts: frozenset[type]) -> None:
        """Unpack for a sink that takes these types; one that takes `Summary` gets summaries as they are."""
        self._kinds = frozenset() if Summary in accepts else accepts & CONTENT
        self.accepts = accepts | {Summary} if self._kinds else accepts
        self._decoder: EventDecoder | None = None

    def unpack(self, record: Record) -> Record | Unpacked:
        """Return the record, or what a summary holds. Raises `ValueError` for an event that cannot be decoded."""
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


def flat(records: Iterable[Any]) -> list[Any]:
    """Return records with the content of summaries in their places."""
    found: list[Any] = []
    for record in records:
        if type(record) is Unpacked:
            found += record.records
        else:
            found.append(record)
    return found
