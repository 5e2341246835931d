"""TensorBoard's event files, as they are on the disk: framed events, perhaps still being written, perhaps torn."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tensorboard.compat.proto.event_pb2 import Event

HEADER = struct.Struct("<QI")  # length of the event, and its checksum
CHECKSUM = struct.Struct("<I")
READ_CHUNK_BYTES = 2**20  # bytes read at once
MAX_EVENT_BYTES = 2**30  # bytes of an event; a length above is none


class FrameReader:
    """Read one file's events, from where the last reading ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0  # of the first byte that is not read yet
        self.damaged = 0  # events that cannot be read
        self.unreadable = False  # the rest of the file; nobody knows where its next event begins

    def frames(self) -> Iterator[bytes]:
        """Yield the bytes of each event that is there as a whole; an end that is torn is left for the next time."""
        from crc32c import crc32c

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
        """Bytes at the end that are no whole event."""
        try:
            return 0 if self.unreadable else max(0, self.path.stat().st_size - self.offset)
        except OSError:
            return 0

    def events(self) -> Iterator[Event]:
        """Yield the events; what is none is counted as damaged."""
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event

        for data in self.frames():
            try:
                yield Event.FromString(data)
            except DecodeError:
                self.damaged += 1


def event_files(run: Path) -> list[Path]:
    """Return the event files of one run in their order; `run` may be such a file itself."""
    if run.is_file():
        return [run]
    try:
        return sorted(entry for entry in run.iterdir() if "tfevents" in entry.name and entry.is_file())
    except OSError:
        return []


def runs_under(path: Path) -> dict[str, Path]:
    """Return the runs under `path`, by the names that TensorBoard gives them: folders that hold event files."""
    if path.is_file():
        return {path.parent.name or path.name: path}
    found = {}
    for folder, below, files in os.walk(path):
        below.sort()
        if any("tfevents" in name for name in files):
            at = Path(folder)
            found[path.resolve().name if at == path else str(at.relative_to(path))] = at
    return found


def masked_crc(crc: int) -> int:
    """Return a checksum as the format has it, so that one of data with checksums in it is no trap."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
