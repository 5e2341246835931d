"""The framing of TensorBoard's event files (TFRecord): length, checksum, event, checksum.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from crc32c import crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event

LENGTH = struct.Struct("<Q")
HEADER = struct.Struct("<QI")  # length of the event, and its checksum
CHECKSUM = struct.Struct("<I")
READ_CHUNK_BYTES = 2**20  # bytes read at once
MAX_EVENT_BYTES = 2**30  # bytes of an event; a length above is none


def frame(event: bytes) -> bytes:
    """Return an encoded event as the bytes that go into the file."""
    length = LENGTH.pack(len(event))
    return b"".join(
        (length, CHECKSUM.pack(masked_crc(crc32c(length))), event, CHECKSUM.pack(masked_crc(crc32c(event))))
    )


class FrameReader:
    """Read one file's events; each pass goes on where the last one stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0  # of the first unread byte
        self.damaged = 0  # events that cannot be read
        self.unreadable = False  # a damaged length hides where the next event begins

    def frames(self) -> Iterator[bytes]:
        """Yield the bytes of each complete event; a torn end is left for the next pass. Raises `OSError`."""
        if self.unreadable:
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            held, at = b"", 0
            while more := file.read(READ_CHUNK_BYTES):
                held, at = held[at:] + more, 0
                while len(held) - at >= HEADER.size:
                    length, check = HEADER.unpack_from(held, at)
                    if length > MAX_EVENT_BYTES or masked_crc(crc32c(held[at : at + 8])) != check:
                        self.damaged += 1
                        self.unreadable = True
                        return
                    end = at + HEADER.size + length
                    if len(held) < end + CHECKSUM.size:
                        break
                    data = held[at + HEADER.size : end]
                    self.offset += end + CHECKSUM.size - at
                    (check,) = CHECKSUM.unpack_from(held, end)
                    at = end + CHECKSUM.size
                    if masked_crc(crc32c(data)) == check:
                        yield data
                    else:
                        self.damaged += 1

    @property
    def torn(self) -> int:
        """Bytes at the end that are not a complete event."""
        try:
            return 0 if self.unreadable else max(0, self.path.stat().st_size - self.offset)
        except OSError:
            return 0

    def events(self) -> Iterator[Event]:
        """Yield the events; bytes that do not decode are counted as damaged."""
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event

        for data in self.frames():
            try:
                yield Event.FromString(data)
            except DecodeError:
                self.damaged += 1


def masked_crc(crc: int) -> int:
    """Mask a checksum as the format does, because the CRC of data that contains CRCs is weak."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
