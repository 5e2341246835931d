"""An event file that is whole at any moment, whatever the disk does.

Records are framed by tensorboardX's own writer, in memory; `flush` then appends them to the file and knows how far it
came. A record that is torn would hide all that follows it, so after an error the file is cut back to its last whole
record, or, where that is refused, left alone and followed by a new one.
"""

from __future__ import annotations

import io
import os
import re
import socket
import time
from typing import TYPE_CHECKING

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

if TYPE_CHECKING:
    from pathlib import Path

TIMESTAMP = re.compile(r"tfevents\.(\d{1,12})(?:\D|$)")


class _Frames(RecordWriter):  # type: ignore[misc]
    """tensorboardX's record framing, into memory."""

    def __init__(self) -> None:
        self._writer = io.BytesIO()

    def take(self) -> bytes:
        framed = self._writer.getvalue()
        self._writer = io.BytesIO()
        return framed


class EventFileWriter:
    """Append events to a file in `directory` that TensorBoard reads; a new name for each."""

    def __init__(self, directory: Path, suffix: str = "") -> None:
        self._directory, self._suffix = directory, suffix
        self._frames = _Frames()
        self._pending: list[bytes] = []  # framed, not yet on disk; each starts and ends with whole records
        self._file: io.FileIO | None = None
        self._size = 0  # bytes of the file that are known to be whole
        self._number = 0
        self.path: Path | None = None

    def add(self, event: Event) -> None:
        """Encode `event`; it is on disk after the next `flush`."""
        self._frames.write(event.SerializeToString())

    def add_bytes(self, event: bytes) -> None:
        """Add an event that is encoded already."""
        self._frames.write(event)

    def flush(self) -> None:
        """Write what was added to the file. Raises `OSError`, and keeps what is not written."""
        framed = self._frames.take()
        if framed:
            self._pending.append(framed)
        if self._file is not None and self._pending and not self._is_there():
            self._recover()
        while self._pending:
            if self._file is None:
                self._open()
            self._append(self._pending[0])
            del self._pending[0]

    def close(self) -> None:
        """Close the file; what is not flushed is lost."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        """Start a new file with its version record."""
        first = _Frames()
        first.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        self._directory.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads a run's files in the order of their names, so a later one has a later time in it.
        stamp = max([int(time.time()), *(found + 1 for found in map(_stamp, self._directory.iterdir()))])
        name = f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{self._number}{self._suffix}"
        self._number += 1
        self.path = self._directory / name
        self._file = io.FileIO(self.path, "x+")
        self._size = 0
        self._append(first.take())

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:]) or 0
            os.fsync(self._file.fileno())
        except OSError:
            self._cut_back()
            raise
        self._size += len(data)

    def _cut_back(self) -> None:
        assert self._file is not None
        try:
            self._file.truncate(self._size)
            self._file.seek(self._size)
        except OSError:
            self.close()
        else:
            if self._size == 0:  # not even the version record is there
                self.close()
                assert self.path is not None
                self.path.unlink(missing_ok=True)

    def _is_there(self) -> bool:
        """Tell whether the open file still has its name; a file that was removed takes writes without a word."""
        assert self._file is not None
        assert self.path is not None
        try:
            there, ours = self.path.stat(), os.fstat(self._file.fileno())
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _recover(self) -> None:
        """Save what a removed file held: it can still be read while it is open."""
        assert self._file is not None
        self._file.seek(0)
        held = self._file.read(self._size) or b""
        self.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        assert self.path is not None
        self._file = io.FileIO(self.path, "x+")
        self._size = 0
        self._append(held)


def _stamp(path: Path) -> int:
    """Return the time in the name of an event file, 0 for any other file."""
    found = TIMESTAMP.search(path.name)
    return int(found[1]) if found else 0
