"""Decode the pieces of event files: scalars as columns, everything else as records, in the order of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from crc32c import crc32c

from monitor.events.event_decoder import MAX_TIME_S
from monitor.events.framing import CHECKSUM, HEADER, masked_crc, parse_event
from monitor.events.scalars.columns import DAMAGED, OTHER, ColumnDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.events.event_decoder import EventDecoder
    from monitor.events.reading.pieces import Piece, PieceReader
    from monitor.events.scalars.columns import Columns
    from monitor.records import Record
    from monitor.scalar_block import ScalarBlock

MIN_CHECKED_BYTES = 2**14  # frames below this size have no tags that are too long


class BatchDecoder:
    """Decode the events of one run; `decoder` says what is wanted, and takes the events that are not plain scalars."""

    def __init__(self, decoder: EventDecoder) -> None:
        self._decoder, self._columns = decoder, ColumnDecoder()

    def batches(self, reader: PieceReader, stop: int | None = None) -> Iterator[ScalarBlock | list[Record]]:
        """Yield what is new in a file, up to about byte `stop`: blocks of scalars, and the records of other events.

        Blocks while it reads; raises `OSError`. Takes memory for one piece of the file, or for one event.
        """
        for found in reader.pieces(stop):
            if isinstance(found, bytes):
                only = [found]
                del found
                yield from self._large(reader, only)
            else:
                piece = found
                del found
                yield from _PieceDecoder(piece, self._columns.decode(piece), self._decoder, reader).batches()
                del piece

    def _large(self, reader: PieceReader, only: list[bytes]) -> Iterator[list[Record]]:
        records: list[Record] = []
        if not self._decoder.may_hold_record(only[0]):
            return
        event = parse_event(only.pop())
        if event is None:
            reader.damaged += 1
            return
        self._decoder.decode(event, records)
        del event
        if records:
            found = [records]
            del records
            yield found.pop()


class _PieceDecoder:
    """Decode one piece."""

    def __init__(self, piece: Piece, columns: Columns, decoder: EventDecoder, reader: PieceReader) -> None:
        self._piece, self._columns, self._decoder, self._reader = piece, columns, decoder, reader
        times = columns.times
        self._times = np.where((times >= 0) & (times < MAX_TIME_S), times, 0.0)  # NaN is neither
        self._build(0)

    def batches(self) -> Iterator[ScalarBlock | list[Record]]:
        """Yield the blocks and records in order."""
        columns, decoder = self._columns, self._decoder
        self._reader.damaged += int((columns.which == DAMAGED).sum())
        firsts = self._first_tensors()
        others = np.flatnonzero(columns.which == OTHER).tolist()
        todo = sorted({*others, *firsts})
        emitted = done = 0  # events
        while done < len(todo):
            event = todo[done]
            done += 1
            for number in firsts.get(event, ()):
                pattern = columns.patterns[number]
                if not decoder.are_scalars(pattern.tags, pattern.plugins):
                    yield from self._emit(emitted, event)
                    emitted = event
                    same = np.flatnonzero(columns.which == number)
                    columns.which[same] = OTHER
                    self._build(event)
                    todo[done:] = sorted({*todo[done:], *same[same > event].tolist()})
            if columns.which[event] != OTHER:
                continue
            had_settings, records = decoder.has_settings, self._decode(event)
            if records or decoder.has_settings != had_settings:
                yield from self._emit(emitted, event)
                emitted = event + 1
                if decoder.has_settings != had_settings:
                    self._build(emitted)
            if records:
                only = [records]
                del records
                yield only.pop()
        yield from self._emit(emitted, len(columns.which))

    def _first_tensors(self) -> dict[int, list[int]]:
        """Return by event the patterns with tensors, or with long tags, that appear there first."""
        found: dict[int, list[int]] = {}
        for number, pattern in enumerate(self._columns.patterns):
            if any(plugin is not None for plugin in pattern.plugins) or pattern.slots.size > MIN_CHECKED_BYTES:
                same = self._columns.which == number
                if same.any():
                    found.setdefault(int(same.argmax()), []).append(number)
        return found

    def _decode(self, event: int) -> list[Record]:
        """Return the records of one event; count it if it is damaged."""
        start, end = int(self._piece.offsets[event]), int(self._piece.offsets[event + 1])
        data = self._piece.data[start + HEADER.size : end - CHECKSUM.size]
        if not self._decoder.may_hold_record(data):
            return []
        (checksum,) = CHECKSUM.unpack_from(self._piece.data, end - CHECKSUM.size)
        parsed = parse_event(data) if masked_crc(crc32c(data)) == checksum else None
        records: list[Record] = []
        if parsed is None:
            self._reader.damaged += 1
        else:
            self._decoder.decode(parsed, records)
        return records

    def _emit(self, start: int, stop: int) -> Iterator[ScalarBlock]:
        """Yield the scalars of the events from `start` to `stop`."""
        if start < stop and len(self._block):
            first, last = np.searchsorted(self._events, (start, stop)).tolist()
            if last > first:
                yield self._block if last - first == self._block.calls else self._block.part(first, last)

    def _build(self, start: int) -> None:
        """Make a block of the scalars from event `start` on that are wanted as things are."""
        chosen = {
            number: self._decoder.wanted_scalars(pattern.tags, pattern.plugins)
            for number, pattern in enumerate(self._columns.patterns)
        }
        self._block, self._events = self._columns.block(start, chosen, self._times)
