"""Upload a growing event file as segments, each of which is an event file by itself, so that no byte goes up twice.

A segment that does not begin the file starts with a version event of its own. The time in its name orders it behind
those before, because TensorBoard and our reader take the files of a run in the order of their names.
"""

from __future__ import annotations

import re
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from crc32c import crc32c

from monitor.events.framing import frame
from monitor.machine.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SEGMENT_BYTES = 2**24  # unless one event is larger
TAIL_BYTES = 4096  # at a segment's end, whose checksum tells whether the file still is the one that was uploaded
NAME = re.compile(r"(.*tfevents\.)(\d{1,12})(\D.*)?", re.DOTALL)
VERSION_EVENT = b"\x09%b\x1a\x0dbrain.Event:2"  # an encoded Event with its wall_time and its file_version


@dataclass(frozen=True)
class Segment:
    """Bytes of an event file, as one object of the store.

    Attributes:
        name: of the object.
        start: where they begin in the file.
        end: where they end.
        checksum: CRC-32C of the last ones.
        is_torn: whether they end inside an event, as at the end of a killed process's file.
    """

    name: str
    start: int
    end: int
    checksum: int
    is_torn: bool = False

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Segment:
        """Return what `to_json` made. Raises `TypeError` or `ValueError` for anything else."""
        segment = cls(**fields)
        if not (isinstance(segment.name, str) and 0 <= int(segment.start) <= int(segment.end)):
            raise ValueError(f"{fields!r} is no segment")
        return segment

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    def content(self, path: Path, now: float) -> bytes:
        """Return the object's bytes, from the file. Raises `OSError`."""
        with open_regular(path) as file:
            file.seek(self.start)
            data = file.read(self.end - self.start)
        if len(data) < self.end - self.start:
            raise OSError(f"{path} became shorter while it was read")
        return frame(VERSION_EVENT % struct.pack("<d", now)) + data if self.start else data


def uploaded_part(path: Path, segments: list[Segment]) -> list[Segment]:
    """Return the first of these segments, up to where the file no longer is what was uploaded. Raises `OSError`.

    A file that was cut back, as for a restart, is uploaded again from the segment on that changed; so is one whose
    torn end was uploaded, when it grows.
    """
    kept, size = list(segments), path.stat().st_size
    while kept:
        last = kept[-1]
        if last.end <= size and not (last.is_torn and last.end < size) and _checksum(path, last.end) == last.checksum:
            break
        kept.pop()
    return kept


def next_segments(path: Path, start: int, minimum: int, *, to_the_end: bool) -> Iterator[tuple[int, int, bool]]:
    """Yield where the segments behind `start` begin and end, and whether they are torn. Raises `OSError`.

    Each holds whole events, and all but the last are of 16 MiB. The last has at least `minimum` bytes. With
    `to_the_end`, bytes that are no whole event go up too, as they are.
    """
    from monitor.events.reading.pieces import PieceReader

    while True:
        reader = PieceReader(path)
        reader.offset = start
        for _ in reader.pieces(start + SEGMENT_BYTES):
            pass
        end = reader.offset
        if end - start < max(1, minimum):
            break
        yield start, end, False
        start = end
    size = path.stat().st_size
    while to_the_end and start < size:
        end = min(size, start + SEGMENT_BYTES)
        yield start, end, True
        start = end


def segment_name(file: str, stamp: int) -> str:
    """Return the name of a segment of an event file, with `stamp` as its time in seconds."""
    folder, slash, name = file.rpartition("/")
    match = NAME.fullmatch(name)
    named = f"{match[1]}{stamp:010d}{match[3] or ''}" if match else f"events.out.tfevents.{stamp:010d}.{name}"
    return f"{folder}{slash}{named}"


def stamp_of(file: str) -> int:
    """Return the time in the name of an event file, 0 where there is none."""
    match = NAME.fullmatch(file.rpartition("/")[2])
    return int(match[2]) if match else 0


def whole(path: Path, name: str) -> Segment:
    """Return the segment that stands for a whole file. Raises `OSError`."""
    size = path.stat().st_size
    return Segment(name, 0, size, _checksum(path, size))


def with_checksum(path: Path, name: str, place: tuple[int, int, bool]) -> Segment:
    """Return a segment of a file. Raises `OSError`."""
    start, end, is_torn = place
    return Segment(name, start, end, _checksum(path, end), is_torn)


def _checksum(path: Path, end: int) -> int:
    with open_regular(path) as file:
        file.seek(max(0, end - TAIL_BYTES))
        return int(crc32c(file.read(min(end, TAIL_BYTES))))
