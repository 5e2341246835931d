"""Estimate how much memory an encoded event takes once it is parsed, before anything is allocated.

In a few megabytes of protocol buffers, empty messages, empty strings, and packed small numbers can stand for gigabytes.
Source of the encoding: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from typing import Any

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
FIELD_BYTES = 100  # what a parsed field takes at most, beside its bytes, if it has no parts
VARINT_FACTOR = 8  # a packed number of one byte becomes eight
PART_FACTOR = 100  # the smallest messages have two bytes, and take about this many times as much

# By field number, the messages inside an event that can repeat a field; a number is a factor for all that is inside.
TENSOR: dict[int, Any] = {
    2: PART_FACTOR,  # the sizes of the shape
    **dict.fromkeys((7, 10, 11, 13, 16, 17), VARINT_FACTOR),
    **dict.fromkeys((14, 15), PART_FACTOR),
}
SUMMARY: dict[int, Any] = {1: {8: TENSOR}}
EVENT: dict[int, Any] = {5: SUMMARY}


class _TooLarge(ValueError):
    """The message takes more memory than there is room for, or cannot be decoded."""


def fits_in_memory(message: bytes, limit: int, parts: dict[int, Any] = EVENT) -> bool:
    """Tell whether a parsed message takes at most about `limit` bytes. Takes time in proportion to that at most.

    `parts` says what can be repeated inside the message; by default, it is an event.
    """
    try:
        _measure(message, 0, len(message), parts, limit)
    except (_TooLarge, IndexError):
        return False
    return True


def _measure(data: bytes, position: int, end: int, parts: dict[int, Any], room: int) -> int:
    """Return the room that is left after the message in `data[position:end]`."""
    while position < end:
        key, position = read_varint(data, position)
        kind, length = key & 7, 0
        if kind == VARINT:
            _, position = read_varint(data, position)
        elif kind == LENGTH_DELIMITED:
            length, position = read_varint(data, position)
        elif kind in (FIXED64, FIXED32):
            position += 8 if kind == FIXED64 else 4
        else:
            raise _TooLarge
        part = parts.get(key >> 3, 1)
        room -= FIELD_BYTES
        if position + length > end or room < 0:
            raise _TooLarge
        if isinstance(part, int):
            room -= length * part
        elif kind == LENGTH_DELIMITED:
            room = _measure(data, position, position + length, part, room)
        position += length
    if room < 0:
        raise _TooLarge
    return room


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position`, and what follows it. Raises `IndexError` or `ValueError` if there is none."""
    number, shift = 0, 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise _TooLarge
