"""The bytes of framed events that hold scalars, and their checksums for thousands of events at once.

Events with the same tags differ only in their time, step, values, and checksum. Their frames are therefore rows of a
byte matrix, in which everything else is a constant. All fields are in the order of their numbers, as protocol buffers
write them. Source of the encoding: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from crc32c import crc32c

from monitor.events.framing import CHECKSUM, HEADER, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.scalar_block import TagGroup

    Bytes = NDArray[np.uint8]

TIME = struct.Struct("<d")
FLOAT = struct.Struct("<f")
TIME_KEY, STEP_KEY, SUMMARY_KEY = b"\x09", b"\x10", b"\x2a"  # fields 1, 2 and 5 of Event
ABSENT_TIME = TIME_KEY + bytes(TIME.size)
VALUE_KEY, TAG_KEY, FLOAT_KEY = b"\x0a", b"\x0a", b"\x15"  # field 1 of Summary; fields 1 and 2 of Summary.Value
MAX_TABLES = 1024  # checksums of longer events are computed one by one, which then costs little per scalar
MAX_CACHED_LAYOUTS = 256
MAX_CACHED_TAGS = 4096


def varint(number: int) -> bytes:
    """Encode an integer; a negative one takes ten bytes, as the format has it."""
    number &= 2**64 - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


@lru_cache(MAX_CACHED_TAGS)
def value_prefix(tag: str) -> bytes:
    """Return what precedes the float of a value. Raises `UnicodeEncodeError` if the tag is not valid Unicode."""
    name = tag.encode()
    field = TAG_KEY + varint(len(name)) + name if name else b""
    return VALUE_KEY + varint(len(field) + len(FLOAT_KEY) + FLOAT.size) + field + FLOAT_KEY


def frame_event(prefixes: Sequence[bytes], floats: bytes, step: int, wall_time: float) -> bytes:
    """Return the frame of one event; zeros are absent on the wire, except for values.

    Args:
        prefixes: what `value_prefix` returns for each of N tags.
        floats: the N values as little-endian float32.
        step: an int64.
        wall_time: seconds since the epoch.
    """
    size = FLOAT.size
    parts = [b""] * (2 * len(prefixes))
    parts[::2] = prefixes
    parts[1::2] = [floats[at : at + size] for at in range(0, len(floats), size)]
    values = b"".join(parts)
    time_field = TIME_KEY + TIME.pack(wall_time)
    if time_field == ABSENT_TIME:
        time_field = b""
    step_field = STEP_KEY + varint(step) if step else b""
    return frame(b"".join((time_field, step_field, SUMMARY_KEY, varint(len(values)), values)))


class Layout:
    """The frames of all events with the same tags, in the same order, and steps of the same width.

    Attributes:
        tags: the N tags.
        size: bytes of a frame.
        template: a frame whose variable bytes are 0.
        time_at: where the time begins in the frame, or None if it is absent.
        step_at: where the step begins.
        width: bytes of the step; 0 if it is absent.
        value_at: where each of the N values begins.
        fixed_bits: for each byte, the bits that are the same in all frames: also those that tell the width of the step.
        frame_of_fixed_bits: a frame whose other bits are 0.
    """

    def __init__(self, tags: TagGroup, width: int, *, has_time: bool) -> None:
        self.tags, self.width = tags, width
        prefixes = [value_prefix(tag) for tag in tags]
        step = 0 if width == 0 else -1 if width == 10 else 1 << 7 * (width - 1)
        whole = frame_event(prefixes, bytes(FLOAT.size * len(tags)), step, float(has_time))
        self.size = len(whole)
        self.time_at = HEADER.size + len(TIME_KEY) if has_time else None
        self.step_at = HEADER.size + (len(TIME_KEY) + TIME.size if has_time else 0) + len(STEP_KEY)
        values = self.size - CHECKSUM.size - sum(len(prefix) + FLOAT.size for prefix in prefixes)
        ends = values + np.cumsum([len(prefix) + FLOAT.size for prefix in prefixes])
        self.value_at: list[int] = (ends - FLOAT.size).tolist()
        starts = [(self.step_at, width), *((at, FLOAT.size) for at in self.value_at)]
        if self.time_at is not None:
            starts.insert(0, (self.time_at, TIME.size))
        self._variable = np.array([at + i for at, count in starts for i in range(count)], np.intp)
        self.template = np.frombuffer(whole, np.uint8).copy()
        self.template[self._variable] = 0
        self.template[-CHECKSUM.size :] = 0
        self.fixed_bits = np.full(self.size, 0xFF, np.uint8)
        self.fixed_bits[self._variable] = 0
        self.fixed_bits[-CHECKSUM.size :] = 0
        self.fixed_bits[self.step_at : self.step_at + width] = 0x80
        self.frame_of_fixed_bits = self.template.copy()
        self.frame_of_fixed_bits[self.step_at : self.step_at + width - 1] = 0x80
        self._has_tables = self.size <= MAX_TABLES
        self._crc_of_template = crc32c(self.template[HEADER.size : -CHECKSUM.size].tobytes())

    def checksums(self, rows: Bytes) -> NDArray[np.uint32]:
        """Return the masked checksums of frames, a contiguous R×`size` matrix; those that they contain do not matter.

        A CRC is linear over GF(2), apart from a constant: it is the template's, XOR what each other byte contributes.
        """
        if self._has_tables:
            tables, last = crc_tables(), self.size - CHECKSUM.size - 1
            crcs = np.full(len(rows), self._crc_of_template, np.uint32)
            for at in self._variable.tolist():
                crcs ^= tables[last - at].take(rows[:, at], mode="wrap")
        else:
            data, size = rows.tobytes(), self.size
            ends = range(size - CHECKSUM.size, len(data), size)
            crcs = np.array([crc32c(data[end + CHECKSUM.size + HEADER.size - size : end]) for end in ends], np.uint32)
        masked: NDArray[np.uint32] = (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(0xA282EAD8)
        return masked

    def times(self, rows: Bytes) -> NDArray[np.float64]:
        """Return the times in frames as a view to read or write; only if there is a `time_at`."""
        assert self.time_at is not None
        return self._column(rows, self.time_at, "<f8")

    def values(self, rows: Bytes, position: int) -> NDArray[np.float32]:
        """Return the values of one tag as a view to read or write."""
        return self._column(rows, self.value_at[position], "<f4")

    def stored_checksums(self, rows: Bytes) -> NDArray[np.uint32]:
        """Return the checksums in frames as a view to read or write."""
        return self._column(rows, self.size - CHECKSUM.size, "<u4")

    def _column(self, rows: Bytes, at: int, dtype: str) -> NDArray[Any]:
        column: NDArray[Any] = np.ndarray((len(rows),), dtype, rows, at, (self.size,))
        return column


@lru_cache(MAX_CACHED_LAYOUTS)
def layout(tags: TagGroup, width: int, *, has_time: bool) -> Layout:
    """Return the layout of these events; it is made once."""
    return Layout(tags, width, has_time=has_time)


@lru_cache(1)
def crc_tables() -> NDArray[np.uint32]:
    """Return what byte B contributes to the CRC if D bytes follow it, at [D, B]: 1 MiB."""
    tables = np.zeros((MAX_TABLES, 256), np.uint32)
    zero = crc32c(b"\0")
    tables[0] = [crc32c(bytes([byte])) ^ zero for byte in range(256)]
    for distance in range(1, MAX_TABLES):  # one more zero byte goes through the CRC's register
        before = tables[distance - 1]
        tables[distance] = before >> np.uint32(8) ^ tables[0].take(before & np.uint32(0xFF))
    return tables
