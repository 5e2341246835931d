"""One event file that a writer keeps open, so that its content can be read even after it lost its name."""

from __future__ import annotations

import errno
import io
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from crc32c import crc32c

if TYPE_CHECKING:
    from pathlib import Path

PIECE_BYTES = 2**20  # that are read, compared and copied at once
# The file system behind a descriptor is gone: a network share that was forced off, a user-space one that died.
GONE_ERRORS = {errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.EBADF}


class ContentGoneError(Exception):
    """What was written can no longer be read through the open descriptor."""


class EventFile:
    """The content that a writer put at `path`, with a descriptor of it.

    Attributes:
        path: where the content belongs.
        size: bytes that are known to be whole and on disk, from the start of the file.
        checksum: CRC-32C of these bytes.
        dirty_until: where a failed write may have left bytes behind `size`; 0 if there are none.
        is_sealed: whether nothing may be appended, because the rest of the file belongs to somebody else.
    """

    def __init__(self, path: Path, handle: io.FileIO) -> None:
        self.path = path
        self.size = self.checksum = self.dirty_until = 0
        self.is_sealed = False
        self._handle = handle
        self._identity = identity(handle)

    @classmethod
    def create(cls, path: Path) -> EventFile:
        """Make an empty file. Raises `FileExistsError` and other `OSError`s."""
        return cls(path, io.FileIO(path, "x+"))

    def append(self, data: bytes) -> None:
        """Write and fsync `data` behind what is there. On an `OSError`, the file is cut back to what was whole."""
        descriptor, view, written = self._handle.fileno(), memoryview(data), 0
        try:
            while written < len(data):
                written += os.pwrite(descriptor, view[written:], self.size + written)
            os.fsync(descriptor)
        except OSError:
            self.dirty_until = self.size + len(data)
            with suppress(OSError):  # then it is cut back when it is opened again
                os.ftruncate(descriptor, self.size)
                self.dirty_until = 0
            raise
        self.size += len(data)
        self.checksum = crc32c(data, self.checksum)

    def read(self, offset: int) -> bytes:
        """Return the next piece of the content, empty at its end. Raises `OSError` or `ContentGoneError`."""
        count = min(PIECE_BYTES, self.size - offset)
        try:
            return os.pread(self._handle.fileno(), count, offset) if count > 0 else b""
        except OSError as error:
            if error.errno in GONE_ERRORS:
                raise ContentGoneError(str(error)) from error
            raise

    def is_in_place(self) -> bool:
        """Tell whether the file at `path` is the open one, and as long as it should be. Raises `OSError`."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        is_same = (found.st_dev, found.st_ino) == self._identity  # no other file gets this number while it is open
        is_size_right = found.st_size == self.size or (self.is_sealed and found.st_size > self.size)
        return is_same and is_size_right and not self.dirty_until

    def is_same_file(self, handle: io.FileIO) -> bool:
        """Tell whether `handle` is of the open file, asking the file system, which may be gone."""
        try:
            return identity(handle) == identity(self._handle)
        except OSError:
            return False

    def uses(self, handle: io.FileIO) -> bool:
        """Tell whether the content is read through `handle`."""
        return handle is self._handle

    def continue_in(self, handle: io.FileIO) -> None:
        """Use another open file, which has the same content."""
        self._handle.close()
        self._handle, self._identity, self.dirty_until = handle, identity(handle), 0

    def close(self) -> None:
        """Close the descriptor."""
        self._handle.close()


def identity(handle: io.FileIO) -> tuple[int, int]:
    """Return the device and the number of an open file."""
    found = os.fstat(handle.fileno())
    return found.st_dev, found.st_ino
