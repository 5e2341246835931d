"""Read the values of `Summary` records, for sinks that show scalars, images, and texts, but no protocol buffers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from monitor.events.decoding import decode_value, record_type
from monitor.events.framing import parse_event
from monitor.records import Record, Scalar, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger("monitor")


class Unpacker:
    """Replace `Summary` records by what they hold; what has no record of its own is left out."""

    def __init__(self, kinds: frozenset[type]) -> None:
        """Return only records of these types."""
        self._kinds = kinds
        self._plugins: dict[str, str] = {}  # by tag; only the first value of a tag may name it

    def unpack(self, records: Sequence[Record]) -> list[Record]:
        """Return the records without `Summary` records, and with what these hold in their places."""
        found: list[Record] = []
        for record in records:
            found.extend(self._values(record) if isinstance(record, Summary) else (record,))
        return found

    def _values(self, record: Summary) -> Iterator[Record]:
        event = parse_event(record.event)
        if event is None or event.WhichOneof("what") != "summary":
            return
        for value in event.summary.value:
            plugin = value.metadata.plugin_data.plugin_name or self._plugins.get(value.tag, "")
            self._plugins[value.tag] = plugin
            if plugin == "hparams":
                continue  # the settings come as a record of their own
            try:
                if value.WhichOneof("value") == "simple_value":
                    decoded: Record | None = Scalar(value.tag, value.simple_value, record.step, record.time)
                elif record_type(value, plugin) in self._kinds:
                    decoded = decode_value(value, plugin, record.step, record.time)
                else:
                    decoded = None
            except Exception as error:  # such as a picture that cannot be decoded
                log.debug("%s at step %s: %s", value.tag[:200], record.step, error)
                continue
            if decoded is not None and type(decoded) in self._kinds:
                yield decoded
