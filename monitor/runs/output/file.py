"""The file `output.log` of a run: bounded, and current while the last lines still change."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2**24
MAX_LINE_BYTES = 2**16  # more than a line of a transcript has


class OutputFile:
    """Final lines, followed by lines that may still change, which each `write` replaces.

    When the file exceeds `max_bytes`, its middle is left out: the first quarter and the newest quarter stay, with a
    line between them that says how much is missing.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        """Open the file, to append to what is there. Raises `OSError`, also for a symbolic link."""
        self.path, self._max_bytes = path, max_bytes
        self._file = _open(path)
        self._end = self._file.seek(0, os.SEEK_END)  # of the final lines
        self._head: int | None = None  # bytes before the line about what is left out
        self._left_out = self._note_bytes = 0

    def write(self, final: str, pending: str) -> None:
        """Append final lines, and replace those that may still change. Raises `OSError`; then nothing has changed."""
        data = final.encode()
        self._file.seek(self._end)
        _write_all(self._file, data + pending.encode())
        self._file.truncate()
        self._end += len(data)
        if self._end > self._max_bytes:
            self._leave_out_middle()

    def move(self, path: Path) -> None:
        """Append the content to the file at `path`, go on there, and remove the old file.

        Raises `OSError`; then the file stays where it is.
        """
        moved = OutputFile(path, self._max_bytes)
        self._file.seek(0)
        try:
            shutil.copyfileobj(self._file, moved._file)
        except OSError:
            moved.close()
            raise
        moved._end += self._end
        self.close()
        with suppress(OSError):
            self.path.unlink()
        self.__dict__.update(moved.__dict__)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _leave_out_middle(self) -> None:
        quarter = self._max_bytes // 4
        if self._head is None:
            self._head = self._next_line(quarter)
        tail = self._next_line(self._end - quarter)
        self._left_out += tail - self._head - self._note_bytes
        note = f"[{self._left_out:,} bytes are left out here]\n".encode()
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        with _open(part) as shorter:
            self._file.seek(0)
            _write_all(shorter, self._file.read(self._head) + note)
            self._file.seek(tail)
            shutil.copyfileobj(self._file, shorter)
        part.replace(self.path)
        self._file.close()
        self._file = _open(self.path)
        self._end, self._note_bytes = self._end - tail + self._head + len(note), len(note)

    def _next_line(self, offset: int) -> int:
        """Return where the first line at `offset` or behind it begins."""
        self._file.seek(offset)
        return offset + self._file.read(MAX_LINE_BYTES).find(b"\n") + 1


def _write_all(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _open(path: Path) -> FileIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    return FileIO(os.open(path, flags, 0o666), "r+")
