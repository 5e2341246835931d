"""The framing of TensorBoard's event files (TFRecord): length, checksum, event, checksum.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import os
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
READ_CHUNK_BYTES = 2**20
MAX_EVENT_BYTES = 2**26  # larger events are not read into memory
MAX_LENGTH = 2**40  # bytes; a larger one is not a length, whatever its checksum


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
        """Yield the bytes of each complete event; a torn end is left for the next pass. Raises `OSError`.

        Takes time in proportion to the bytes read, and memory for one event. An event that claims more than 64 MiB is
        skipped and counted as damaged.
        """
        if self.unreadable:
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            buffer, position = b"", 0  # what was read ahead, and how much of it is used
            while True:
                if len(buffer) - position < HEADER.size:
                    buffer, position = buffer[position:] + file.read(READ_CHUNK_BYTES), 0
                    if len(buffer) < HEADER.size:
                        return
                length, checksum = HEADER.unpack_from(buffer, position)
                if length > MAX_LENGTH or masked_crc(crc32c(buffer[position : position + LENGTH.size])) != checksum:
                    self.damaged += 1
                    self.unreadable = True
                    return
                end = HEADER.size + length + CHECKSUM.size
                if length > MAX_EVENT_BYTES:
                    if os.fstat(file.fileno()).st_size < self.offset + end:
                        return
                    self.damaged += 1
                    file.seek(self.offset + end)
                    buffer, position = b"", 0
                    self.offset += end
                    continue
                if len(buffer) - position < end:
                    missing = max(end - (len(buffer) - position), READ_CHUNK_BYTES)
                    buffer, position = buffer[position:] + file.read(missing), 0
                    if len(buffer) < end:
                        return
                data = buffer[position + HEADER.size : position + HEADER.size + length]
                (checksum,) = CHECKSUM.unpack_from(buffer, position + HEADER.size + length)
                position += end
                self.offset += end
                if masked_crc(crc32c(data)) == checksum:
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
