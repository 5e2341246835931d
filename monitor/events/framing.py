"""The framing of TensorBoard's event files (TFRecord): length, checksum, event, checksum.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import os
import struct
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from crc32c import crc32c

from monitor.events.wire import fits_in_memory
from monitor.machine.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event

LENGTH = struct.Struct("<Q")
HEADER = struct.Struct("<QI")  # length of the event, and its checksum
CHECKSUM = struct.Struct("<I")
READ_CHUNK_BYTES = 2**20
MAX_EVENT_BYTES = 2**26  # larger events are not read into memory
MAX_OVERHEAD_BYTES = 2**25  # of a parsed event, beside the bytes that it holds
ALWAYS_PARSED_BYTES = 2**18  # an event of this size cannot take much memory, whatever it holds
MAX_LENGTH = 2**40  # bytes; a larger one is not a length, whatever its checksum


def frame(event: bytes) -> bytes:
    """Return an encoded event as the bytes that go into the file."""
    length = LENGTH.pack(len(event))
    return b"".join(
        (length, CHECKSUM.pack(masked_crc(crc32c(length))), event, CHECKSUM.pack(masked_crc(crc32c(event))))
    )


class _Buffer:
    """What was read ahead from a file; each byte is copied a bounded number of times."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._data, self._position = file, b"", 0

    def fill(self, count: int) -> bool:
        """Read ahead until `count` bytes are there; tell whether they are."""
        available = len(self._data) - self._position
        if available < count:
            more = self._file.read(max(count - available, READ_CHUNK_BYTES))
            self._data, self._position = self._data[self._position :] + more, 0
        return len(self._data) - self._position >= count

    def peek(self, count: int) -> bytes:
        """Return the next bytes."""
        return self._data[self._position : self._position + count]

    def take(self, count: int) -> bytes:
        """Return the next bytes and go on behind them."""
        self._position += count
        return self._data[self._position - count : self._position]


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
        with open_regular(self.path) as file:
            file.seek(self.offset)
            buffer = _Buffer(file)
            while buffer.fill(HEADER.size):
                length, checksum = HEADER.unpack(buffer.peek(HEADER.size))
                if length > MAX_LENGTH or masked_crc(crc32c(buffer.peek(LENGTH.size))) != checksum:
                    self.damaged += 1
                    self.unreadable = True
                    return
                size = HEADER.size + length + CHECKSUM.size
                if size <= READ_CHUNK_BYTES:
                    if not buffer.fill(size):
                        return
                    framed = buffer.take(size)
                    data, checksum_bytes = framed[HEADER.size : -CHECKSUM.size], framed[-CHECKSUM.size :]
                else:
                    if os.fstat(file.fileno()).st_size < self.offset + size:
                        return
                    data, checksum_bytes = read_large(file, self.offset + HEADER.size, length)
                    file.seek(self.offset + size)
                    buffer = _Buffer(file)
                self.offset += size
                if CHECKSUM.pack(masked_crc(crc32c(data))) != checksum_bytes:
                    self.damaged += 1
                    continue
                only = [data]
                del data  # a large event is in memory once: while it is used, there is no reference to it here
                yield only.pop()

    @property
    def torn(self) -> int:
        """Bytes at the end that are not a complete event."""
        try:
            return 0 if self.unreadable else max(0, self.path.stat().st_size - self.offset)
        except OSError:
            return 0

    def events(self) -> Iterator[Event]:
        """Yield the events; bytes that do not decode, or only to very much, are counted as damaged."""
        for data in self.frames():
            event = parse_event(data)
            del data
            if event is None:
                self.damaged += 1
            else:
                yield event
                del event


def parse_event(data: bytes) -> Event | None:
    """Return the event that `data` encodes; None if it does not decode, or would take far more memory than `data`."""
    parse, decode_error = _parser()
    if len(data) > ALWAYS_PARSED_BYTES and not fits_in_memory(data, MAX_EVENT_BYTES + MAX_OVERHEAD_BYTES):
        return None
    try:
        return parse(data)
    except decode_error:
        return None


@cache
def _parser() -> tuple[Callable[[bytes], Event], type[Exception]]:
    """Import the parser of events, which takes a while, and return it with the exception that it raises."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    return Event.FromString, DecodeError


def read_large(file: BinaryIO, offset: int, length: int) -> tuple[bytes, bytes]:
    """Return an event and its checksum as bytes; nothing for one that is too large."""
    if length > MAX_EVENT_BYTES:
        return b"", b""
    file.seek(offset)
    return file.read(length), file.read(CHECKSUM.size)


def masked_crc(crc: int) -> int:
    """Mask a checksum as the format does, because the CRC of data that contains CRCs is weak."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
