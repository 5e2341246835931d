"""Write event files that hold, at any moment, every event that counts as written, whatever happens to the disk.

Events are framed in memory; `flush` then appends them to the file and knows how far it got. A torn event would hide
everything after it, so after an error the file is cut back to its last complete event. The writer keeps its files open
and checks that they are where they belong; `file_recovery` puts back what is not.
"""

from __future__ import annotations

import math
import os
import re
import socket
import time
from typing import TYPE_CHECKING

from monitor.events.event_file import EventFile
from monitor.events.file_recovery import Move, restore
from monitor.events.framing import frame
from monitor.machine.files import FileRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tensorboard.compat.proto.event_pb2 import Event

    OnWritten = Callable[[FileRange], None]

CHECK_INTERVAL_S = 1.0  # between two checks that the files are in place, while nothing is written
MAX_BATCH_BYTES = 2**24  # that are written and fsynced at once, unless a single piece is larger
MAX_FILES = 16  # that are kept open; more than one only after faults
TIMESTAMP = re.compile(r"tfevents\.(\d{1,12})(?:\D|$)")


class EventFileWriter:
    """Append events to a file in `directory` that TensorBoard reads. Each writer makes a file with a new name."""

    def __init__(self, directory: Path, suffix: str = "") -> None:
        self._directory, self._suffix = directory, suffix
        self._frames: list[bytes] = []  # added since the last flush
        # Blocks of complete frames that are not on disk yet, and what to call with their place when they are.
        self._pending: list[tuple[bytes, OnWritten | None]] = []
        self._files: list[EventFile] = []  # in the order of their names; events go into the last one
        self._moves: list[Move] = []
        self._last_check = -math.inf  # when all files were in place, on the monotonic clock
        self._number = 0

    def add(self, event: Event) -> None:
        """Encode `event` now; it is on disk after the next `flush`."""
        self._frames.append(frame(event.SerializeToString()))

    def add_bytes(self, event: bytes) -> None:
        """Add an event that is already encoded."""
        self._frames.append(frame(event))

    def add_framed(self, frames: bytes, on_written: OnWritten | None = None) -> None:
        """Add events that are already framed; `on_written` is called with their place in a file once they are there.

        The place stays right when the file is lost and written again. Only where another program's file takes its name,
        the events move; `place_now` follows them.
        """
        self._join_frames()
        self._pending.append((frames, on_written))

    def flush(self) -> None:
        """Write and fsync what was added, and put files back that lost their place.

        Without news, the files are checked once a second at most. Blocks; raises `OSError`, and keeps what could not be
        written.
        """
        self._join_frames()
        has_news = bool(self._pending)
        if has_news or time.monotonic() - self._last_check >= CHECK_INTERVAL_S:
            self._put_in_place()
        if has_news:
            while self._pending:
                self._append_batch()
            self._put_in_place()  # a write into a file that was removed in between succeeds silently

    def close(self) -> None:
        """Check that the files are in place, and close them. Call `flush` first: what was not flushed is dropped.

        Raises `OSError` if a file is missing and cannot be written again.
        """
        try:
            self._put_in_place()
        finally:
            for file in self._files:
                file.close()
            self._files = []

    def place_now(self, place: FileRange) -> FileRange:
        """Return where the events are now that were written to `place`. May be called from any thread."""
        for move in list(self._moves):
            if place.path == move.source and place.offset >= move.start:
                place = FileRange(move.target, place.offset - move.start + move.start_in_target, place.length)
        return place

    def _join_frames(self) -> None:
        if self._frames:
            self._pending.append((b"".join(self._frames), None))
            self._frames = []

    def _put_in_place(self) -> None:
        """Restore each file that is not the one at its path. Raises `OSError`; then the next call tries again."""
        self._last_check = -math.inf
        for file in list(self._files):
            if not file.is_in_place():
                position = self._files.index(file)
                self._files[position : position + 1] = restore(file, self._moves)
        self._last_check = time.monotonic()

    def _append_batch(self) -> None:
        """Write pending pieces with one write and one fsync, and tell where they are."""
        if not self._files or self._files[-1].is_sealed:
            self._open()
        file = self._files[-1]
        count = size = 0
        while count < len(self._pending) and (not count or size + len(self._pending[count][0]) <= MAX_BATCH_BYTES):
            size += len(self._pending[count][0])
            count += 1
        batch = self._pending[:count]
        offset = file.size
        file.append(batch[0][0] if count == 1 else b"".join(frames for frames, _ in batch))
        del self._pending[:count]
        for frames, on_written in batch:
            if on_written is not None:
                on_written(FileRange(file.path, offset, len(frames)))
            offset += len(frames)

    def _open(self) -> None:
        """Start a new file with its version event."""
        from tensorboard.compat.proto.event_pb2 import Event

        version = Event(wall_time=time.time(), file_version="brain.Event:2")
        self._directory.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads a run's files in name order, so a later file needs a later time in its name.
        stamp = max([int(time.time()), *(earlier + 1 for earlier in map(_timestamp, self._directory.iterdir()))])
        name = f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{self._number}{self._suffix}"
        self._number += 1
        path = self._directory / name
        file = EventFile.create(path)
        try:
            file.append(frame(version.SerializeToString()))
        except OSError:
            file.close()
            path.unlink(missing_ok=True)
            raise
        self._files.append(file)
        if len(self._files) > MAX_FILES:
            self._files.pop(0).close()


def _timestamp(path: Path) -> int:
    """Return the time in the name of an event file, 0 for any other file."""
    match = TIMESTAMP.search(path.name)
    return int(match[1]) if match else 0
