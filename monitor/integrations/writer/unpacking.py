"""Read the values of `Summary` records, for sinks that show scalars, images, and texts, but no protocol buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.events.event_decoder import EventDecoder
from monitor.events.framing import parse_event
from monitor.records import Record, Summary

if TYPE_CHECKING:
    from collections.abc import Sequence


class Unpacker:
    """Replace `Summary` records by what they hold; what has no record of its own is left out."""

    def __init__(self, kinds: frozenset[type]) -> None:
        """Return only records of these types."""
        self._decoder = EventDecoder(kinds - {Summary})

    def unpack(self, records: Sequence[Record]) -> list[Record]:
        """Return the records without `Summary` records, and with what these hold in their places."""
        found: list[Record] = []
        for record in records:
            event = parse_event(record.event) if isinstance(record, Summary) else None
            if event is not None:
                self._decoder.decode(event, found)
            elif not isinstance(record, Summary):
                found.append(record)
        return found
