"""What the frames of scalars have in common: all of their bytes but numbers, whoever wrote them.

Of an event that holds nothing but scalars, the time, the step, and the values vary from one event to the next. Where
they are is found once, in one event that the protocol buffers' own parser takes, for all whose other bytes are equal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from crc32c import crc32c

from monitor.events.framing import CHECKSUM, HEADER, parse_event
from monitor.events.scalars.layout import MAX_TABLES, crc_tables
from monitor.events.wire import read_varint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

FLOAT_BYTES, DOUBLE_BYTES = 4, 8
NEGATIVE_WIDTH = 10  # bytes of a negative step
# Keys: the number of the field, and how it is encoded.
TIME, STEP, SUMMARY = 0x09, 0x10, 0x2A  # of an event
VALUE = 0x0A  # of a summary
TAG, SIMPLE_VALUE, TENSOR, METADATA = 0x0A, 0x15, 0x42, 0x4A  # of a value
DTYPE, SHAPE = 0x08, 0x12  # of a tensor
CONTENT, FLOATS, FLOAT, DOUBLES, DOUBLE = 0x22, 0x2A, 0x2D, 0x32, 0x31
DT_FLOAT, DT_DOUBLE = 1, 2
ITEM_BYTES = {DT_FLOAT: FLOAT_BYTES, DT_DOUBLE: DOUBLE_BYTES}
ITEM_KEYS = {DT_FLOAT: (CONTENT, FLOATS, FLOAT), DT_DOUBLE: (CONTENT, DOUBLES, DOUBLE)}


class Slots(NamedTuple):
    """Where the numbers are in a frame.

    Attributes:
        size: bytes of the frame.
        time_at: where the time begins; 0 if there is none.
        step_at: where the step begins.
        width: bytes of the step; 0 if there is none.
        values: where each value begins, and its bytes: 4 of a float32, or 8 of a float64.
    """

    size: int
    time_at: int
    step_at: int
    width: int
    values: tuple[tuple[int, int], ...]


class Pattern(NamedTuple):
    """Frames that differ in their numbers alone.

    Attributes:
        slots: where the numbers are.
        tags: the tags of the values.
        plugins: for each value, None if it is a plain number, and for a tensor the plugin that it names, or "".
        checksum: the CRC of the event if all bytes of numbers were zero.
    """

    slots: Slots
    tags: tuple[str, ...]
    plugins: tuple[str | None, ...]
    checksum: int


@lru_cache(1024)
def fixed_bits(slots: Slots) -> Bytes:
    """Return the bits that are the same in all frames of a pattern, also those that tell the width of the step."""
    bits = np.full(slots.size, 0xFF, np.uint8)
    bits[_variable(slots)] = 0
    bits[-CHECKSUM.size :] = 0
    bits[slots.step_at : slots.step_at + slots.width] = 0x80
    if slots.width == NEGATIVE_WIDTH:
        bits[slots.step_at + slots.width - 1] = 0xFF
    return bits


@lru_cache(1024)
def _variable(slots: Slots) -> NDArray[np.intp]:
    """Return the places of the bytes of numbers."""
    ranges = [(slots.step_at, slots.width), *slots.values, *([(slots.time_at, 8)] if slots.time_at else [])]
    return np.array(sorted(at + i for at, count in ranges for i in range(count)), np.intp)


def checksums(rows: Bytes, slots: Slots, without_numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the masked checksums that R frames, R×`size`, should have.

    A CRC is linear over GF(2), apart from a constant: it is that of the event without its numbers, XOR what each byte
    of a number contributes.

    Args:
        rows: the frames.
        slots: where their numbers are.
        without_numbers: for each frame, `Pattern.checksum`.
    """
    if slots.size <= MAX_TABLES:
        crcs, tables, last = without_numbers.copy(), crc_tables(), slots.size - CHECKSUM.size - 1
        for at in _variable(slots).tolist():
            crcs ^= tables[last - at].take(rows[:, at])
    else:
        events = np.ascontiguousarray(rows[:, HEADER.size : -CHECKSUM.size])
        crcs = np.array([crc32c(event) for event in events], np.uint32)
    masked: NDArray[np.uint32] = (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(0xA282EAD8)
    return masked


def read_pattern(frame: bytes) -> Pattern | None:
    """Return the pattern of a frame; None if its event is not one of nothing but scalars, each field once."""
    slots = _find_slots(frame)
    event = None if slots is None else parse_event(frame[HEADER.size : -CHECKSUM.size])
    if slots is None or event is None or len(event.summary.value) != len(slots.values):
        return None
    values = event.summary.value
    kinds = [value.WhichOneof("value") for value in values]
    if not set(kinds) <= {"simple_value", "tensor"}:
        return None
    plugins = [
        None if kind == "simple_value" else value.metadata.plugin_data.plugin_name for kind, value in zip(kinds, values)
    ]
    bare = np.frombuffer(frame, np.uint8).copy()
    bare[_variable(slots)] = 0
    checksum = crc32c(bare[HEADER.size : -CHECKSUM.size])
    return Pattern(slots, tuple(value.tag for value in values), tuple(plugins), checksum)


def _find_slots(frame: bytes) -> Slots | None:
    time_at, step_at, width, values = 0, 0, 0, None
    at, end = HEADER.size, len(frame) - CHECKSUM.size
    try:
        while at < end:
            key = frame[at]
            at += 1
            if key == TIME and not time_at:
                time_at, at = at, at + 8
            elif key == STEP and not width:
                step_at, (_, at) = at, read_varint(frame, at)
                width = at - step_at
            elif key == SUMMARY and values is None:
                length, at = read_varint(frame, at)
                values, at = _find_values(frame, at, at + length), at + length
            else:
                return None
    except (IndexError, ValueError):
        return None
    if at != end or not values:
        return None
    return Slots(len(frame), time_at, step_at, width, tuple(values))


def _find_values(frame: bytes, at: int, end: int) -> list[tuple[int, int]]:
    """Return where the values of a summary are. Raises `ValueError` if one is not a scalar."""
    found = []
    while at < end:
        if frame[at] != VALUE:
            raise ValueError
        length, at = read_varint(frame, at + 1)
        found.append(_find_value(frame, at, at + length))
        at += length
    if at != end:
        raise ValueError
    return found


def _find_value(frame: bytes, at: int, end: int) -> tuple[int, int]:
    seen: set[int] = set()
    slot: tuple[int, int] | None = None
    while at < end:
        key = frame[at]
        at += 1
        if key in seen or key not in (TAG, SIMPLE_VALUE, TENSOR, METADATA):
            raise ValueError
        seen.add(key)
        length, at = (FLOAT_BYTES, at) if key == SIMPLE_VALUE else read_varint(frame, at)
        if key in (SIMPLE_VALUE, TENSOR):
            if slot is not None:
                raise ValueError
            slot = (at, FLOAT_BYTES) if key == SIMPLE_VALUE else _find_number(frame, at, at + length)
        at += length
    if at != end or slot is None:
        raise ValueError
    return slot


def _find_number(frame: bytes, at: int, end: int) -> tuple[int, int]:
    """Return where the one number of a tensor without dimensions is. Raises `ValueError` if it is not like that."""
    dtype, key_of_slot, slot = 0, 0, (0, 0)
    has_shape = False
    while at < end:
        key = frame[at]
        at += 1
        if key == DTYPE and not dtype:
            dtype, at = read_varint(frame, at)
        elif key == SHAPE and not has_shape and frame[at] == 0:
            has_shape, at = True, at + 1
        elif key in (CONTENT, FLOATS, FLOAT, DOUBLES, DOUBLE) and not key_of_slot:
            length = FLOAT_BYTES if key == FLOAT else DOUBLE_BYTES
            if key not in (FLOAT, DOUBLE):
                length, at = read_varint(frame, at)
            key_of_slot, slot, at = key, (at, length), at + length
        else:
            raise ValueError
    if at != end or slot[1] != ITEM_BYTES.get(dtype) or key_of_slot not in ITEM_KEYS[dtype]:
        raise ValueError
    return slot
