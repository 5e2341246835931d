"""Write an event file that is whole at any moment, whatever the disk does.

Events are framed in memory; `flush` then appends them to the file and knows how far it got. A torn event would hide
everything after it, so after an error the file is cut back to its last complete event. Where even that fails, the file
is left alone and a new one is started.
"""

from __future__ import annotations

import io
import os
import re
import socket
import time
from typing import TYPE_CHECKING

from monitor.events.framing import frame
from monitor.files import FileRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event

    OnWritten = Callable[[FileRange], None]

TIMESTAMP = re.compile(r"tfevents\.(\d{1,12})(?:\D|$)")


class EventFileWriter:
    """Append events to a file in `directory` that TensorBoard reads. Each writer makes a file with a new name."""

    def __init__(self, directory: Path, suffix: str = "") -> None:
        self._directory, self._suffix = directory, suffix
        self._frames: list[bytes] = []  # added since the last flush
        # Blocks of complete frames that are not on disk yet, and what to call with their place when they are.
        self._pending: list[tuple[bytes, OnWritten | None]] = []
        self._file: io.FileIO | None = None
        self._size = 0  # bytes of the file that are known to be whole
        self._number = 0
        self.path: Path | None = None

    def add(self, event: Event) -> None:
        """Encode `event` now; it is on disk after the next `flush`."""
        self._frames.append(frame(event.SerializeToString()))

    def add_bytes(self, event: bytes) -> None:
        """Add an event that is already encoded."""
        self._frames.append(frame(event))

    def add_framed(self, frames: bytes, on_written: OnWritten | None = None) -> None:
        """Add events that are already framed; `on_written` is called with their place in a file once they are there."""
        self._join_frames()
        self._pending.append((frames, on_written))

    def flush(self) -> None:
        """Write and fsync what was added. Blocks; raises `OSError`, and keeps what could not be written."""
        self._join_frames()
        if self._file is not None and self._pending and not self._is_in_place():
            self._rewrite_removed_file()
        while self._pending:
            if self._file is None:
                self._open()
            frames, on_written = self._pending[0]
            self._append(frames)
            del self._pending[0]
            if on_written is not None:
                assert self.path is not None
                on_written(FileRange(self.path, self._size - len(frames), len(frames)))

    def close(self) -> None:
        """Close the file. Call `flush` first: what was not flushed is dropped."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _join_frames(self) -> None:
        if self._frames:
            self._pending.append((b"".join(self._frames), None))
            self._frames = []

    def _open(self) -> None:
        """Start a new file with its version event."""
        from tensorboard.compat.proto.event_pb2 import Event

        version = Event(wall_time=time.time(), file_version="brain.Event:2")
        self._directory.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads a run's files in name order, so a later file needs a later time in its name.
        stamp = max([int(time.time()), *(earlier + 1 for earlier in map(_timestamp, self._directory.iterdir()))])
        name = f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{self._number}{self._suffix}"
        self._number += 1
        self.path = self._directory / name
        self._file = io.FileIO(self.path, "x+")
        self._size = 0
        self._append(frame(version.SerializeToString()))

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
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
            if self._size == 0:  # not even the version event was written
                self.close()
                assert self.path is not None
                self.path.unlink(missing_ok=True)

    def _is_in_place(self) -> bool:
        """Tell whether the open file still has its name; writes to a removed file succeed silently."""
        assert self._file is not None
        assert self.path is not None
        try:
            named, opened = self.path.stat(), os.fstat(self._file.fileno())
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    def _rewrite_removed_file(self) -> None:
        """Write a removed file again: its content can be read as long as it is open."""
        assert self._file is not None
        self._file.seek(0)
        content = self._file.read(self._size) or b""
        self.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        assert self.path is not None
        self._file = io.FileIO(self.path, "x+")
        self._size = 0
        self._append(content)


def _timestamp(path: Path) -> int:
    """Return the time in the name of an event file, 0 for any other file."""
    match = TIMESTAMP.search(path.name)
    return int(match[1]) if match else 0
