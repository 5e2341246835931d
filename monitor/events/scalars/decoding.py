"""Decode the framed events that `encode_scalars` wrote, thousands at a time."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitor.errors import DataError
from monitor.events.framing import CHECKSUM, HEADER, LENGTH
from monitor.events.scalars.layout import (
    FLOAT,
    FLOAT_KEY,
    MAX_CACHED_TAGS,
    STEP_KEY,
    SUMMARY_KEY,
    TAG_KEY,
    TIME,
    TIME_KEY,
    VALUE_KEY,
    Layout,
    frame_event,
    layout,
    value_prefix,
    varint,
)
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.scalar_block import TagGroup

ROWS_AT_ONCE = 4096  # so that they stay in the processor's cache
MIN_EVENTS = 48  # with the same tags; fewer are decoded one by one
MAX_LAYOUTS = 32  # about so many are tried on events of the same size


class _Event(NamedTuple):
    """One event: the tags, the step, the time, and the values as float32."""

    tags: TagGroup
    step: int
    time: float
    floats: bytes


class _Columns:
    """The columns of a block of E events, filled in any order."""

    def __init__(self, count: int) -> None:
        self.group = np.zeros(count, np.int32)
        self.steps = np.zeros(count, np.int64)
        self.times = np.zeros(count, np.float64)
        self._numbers: dict[TagGroup, int] = {}
        self._values: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []  # of R events, R×N
        self._single: dict[int, bytes] = {}  # values by event

    def number(self, tags: TagGroup) -> int:
        """Return the number of a group of tags."""
        return self._numbers.setdefault(tags, len(self._numbers))

    def put(self, event: int, found: _Event) -> None:
        """Fill in one event."""
        self.group[event], self.steps[event], self.times[event] = self.number(found.tags), found.step, found.time
        self._single[event] = found.floats

    def put_values(self, events: NDArray[np.intp], values: NDArray[np.float32]) -> None:
        """Fill in the values of R events, R×N."""
        self._values.append((events, values))

    def block(self) -> ScalarBlock:
        """Return the block."""
        groups = list(self._numbers)
        sizes = np.array([len(tags) for tags in groups], np.int64)[self.group]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        values = np.empty(starts[-1], np.float64)
        if self._single:
            events = np.fromiter(self._single, np.intp, len(self._single))
            floats = np.frombuffer(b"".join(self._single.values()), "<f4")
            before = np.cumsum(sizes[events]) - sizes[events]
            values[np.repeat(starts[events] - before, sizes[events]) + np.arange(len(floats))] = floats
        for events, matrix in self._values:
            first, count = starts[events[0]], matrix.shape[1]
            if starts[events[-1]] - first == (len(events) - 1) * count:
                values[first : first + matrix.size] = matrix.ravel()
            else:
                values[starts[events][:, None] + np.arange(count)] = matrix
        return ScalarBlock(groups, self.group, self.steps, self.times, values, starts)


def decode_scalars(data: bytes) -> ScalarBlock:
    """Return the scalars of framed events, one call for each event.

    Raises `DataError` if the bytes are damaged, or contain anything that `encode_scalars` does not write.
    """
    offsets = _offsets(data)
    columns = _Columns(len(offsets) - 1)
    sizes = np.diff(offsets)
    for size in np.unique(sizes).tolist():
        _decode_events(data, offsets, np.flatnonzero(sizes == size), columns)
    return columns.block()


def _offsets(data: bytes) -> NDArray[np.intp]:
    """Return where each frame begins, and where the last one ends."""
    offsets, at, end = [0], 0, len(data)
    overhead, read = HEADER.size + CHECKSUM.size, LENGTH.unpack_from
    try:
        while at < end:
            at += read(data, at)[0] + overhead
            offsets.append(at)
    except struct.error:
        at = -1
    if at != end:
        raise DataError(f"{len(data)} bytes of scalars end within an event")
    return np.array(offsets, np.intp)


def _decode_events(data: bytes, offsets: NDArray[np.intp], events: NDArray[np.intp], columns: _Columns) -> None:
    """Decode events whose frames have the same size: all that differ from the first in nothing but numbers, at once."""
    while len(events) >= MIN_EVENTS:
        first = _parse(data, int(offsets[events[0]]))
        form = layout(first.tags, len(varint(first.step)) if first.step else 0, has_time=any(TIME.pack(first.time)))
        rest = [
            _decode_rows(data, form, offsets, events[at : at + ROWS_AT_ONCE], columns)
            for at in range(0, len(events), ROWS_AT_ONCE)
        ]
        before, events = len(events), np.concatenate(rest)
        if before - len(events) < max(MIN_EVENTS, before // MAX_LAYOUTS):
            break
    for event in events.tolist():
        columns.put(event, _parse(data, int(offsets[event])))


def _decode_rows(
    data: bytes, form: Layout, offsets: NDArray[np.intp], events: NDArray[np.intp], columns: _Columns
) -> NDArray[np.intp]:
    """Decode those of some events that have a layout; return the others."""
    starts = offsets[events]
    whole = np.frombuffer(data, np.uint8)
    if starts[-1] - starts[0] == (len(starts) - 1) * form.size:
        rows = whole[starts[0] : starts[-1] + form.size].reshape(-1, form.size)
    else:
        rows = whole[starts[:, None] + np.arange(form.size)]
    others = events[:0]
    differences = (rows & form.fixed_bits) != form.frame_of_fixed_bits
    if differences.any():
        differs = differences.any(axis=1)
        others, events, rows = events[differs], events[~differs], rows[~differs]
    if not len(rows):
        return others
    if (form.checksums(rows) != form.stored_checksums(rows)).any():
        raise DataError("scalars in an event file are damaged: a checksum does not match")
    columns.group[events] = columns.number(form.tags)
    if form.time_at is not None:
        columns.times[events] = form.times(rows)
    if form.width:
        columns.steps[events] = _steps(form, rows)
    values = np.empty((len(rows), len(form.tags)), np.float32)
    for position in range(len(form.tags)):
        values[:, position] = form.values(rows, position)
    columns.put_values(events, values)
    return others


def _steps(form: Layout, rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    steps = np.zeros(len(rows), np.uint64)
    for place in range(form.width):
        steps |= (rows[:, form.step_at + place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return steps.view(np.int64)


def _parse(data: bytes, at: int) -> _Event:
    """Parse the event whose frame begins at `at`."""
    try:
        event, end = _read_event(data, at)
        if frame_event([value_prefix(tag) for tag in event.tags], event.floats, event.step, event.time) == data[at:end]:
            return event
    except (IndexError, ValueError, struct.error):
        pass
    raise DataError(f"byte {at} of scalars in an event file: the event is damaged, or contains something else")


def _read_event(data: bytes, at: int) -> tuple[_Event, int]:
    """Return an event and where its frame ends. It may read nonsense from data that is not what was written."""
    body = at + HEADER.size
    end = body + LENGTH.unpack_from(data, at)[0]
    at, wall_time, step = body, 0.0, 0
    if data[at] == TIME_KEY[0]:
        wall_time = TIME.unpack_from(data, at + 1)[0]
        at += 1 + TIME.size
    if data[at] == STEP_KEY[0]:
        step, at = _read_varint(data, at + 1)
        step -= step >> 63 << 64
    if data[at] != SUMMARY_KEY[0]:
        raise ValueError
    _, at = _read_varint(data, at + 1)
    tags: list[str] = []
    floats: list[bytes] = []
    while at < end:
        start = at
        size, at = _read_varint(data, at + 1)
        at += size
        if at > end:
            raise ValueError
        tags.append(_tag(data[start : at - FLOAT.size]))
        floats.append(data[at - FLOAT.size : at])
    return _Event(tuple(tags), step, wall_time, b"".join(floats)), end + CHECKSUM.size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an integer below 2**64 and where it ends."""
    number = 0
    for place in range(10):
        byte = data[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number & (2**64 - 1), at + place + 1
    raise ValueError


@lru_cache(MAX_CACHED_TAGS)
def _tag(prefix: bytes) -> str:
    """Return the tag for which `value_prefix` returns these bytes; nonsense for other bytes."""
    _, at = _read_varint(prefix, len(VALUE_KEY))
    if prefix[at:] == FLOAT_KEY:
        return ""
    _, at = _read_varint(prefix, at + len(TAG_KEY))
    return prefix[at : -len(FLOAT_KEY)].decode()
