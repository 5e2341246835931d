"""Write files so that no reader ever sees half of one, read none but regular files, and name a part of one."""

from __future__ import annotations

import errno
import io
import itertools
import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = TypeVar("T")
_writes = itertools.count()


class FileRange(NamedTuple):
    """Bytes of a file.

    Attributes:
        path: the file.
        offset: where they begin.
        length: how many they are.
    """

    path: Path
    offset: int
    length: int


def atomic_write(path: Path, content: bytes | str, mode: int | None = None) -> None:
    """Put `content` at `path` in one step: readers find the old file or the new one, never a part.

    Text is encoded as UTF-8. `mode` sets the permissions; by default the umask does. Blocks; does not fsync. Raises
    `OSError` and leaves an old file as it is.
    """
    data = content.encode() if isinstance(content, str) else content
    # The count tells a signal handler that writes the same file from the write that it interrupted.
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.{next(_writes)}.part")
    try:
        part.write_bytes(data)
        if mode is not None:
            part.chmod(mode)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to beside `path`; what is there replaces `path` when the block ends without an error.

    Blocks; does not fsync. Raises `OSError` and leaves an old file as it is.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.{next(_writes)}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


class _NeverWaiting(io.FileIO):
    """A file whose reads raise `BlockingIOError` where those of others return None."""

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return the number of bytes."""
        count: int | None = super().readinto(buffer)
        return self._checked(count)

    def readall(self) -> bytes:
        """Read to the end."""
        return self._checked(super().readall())

    @staticmethod
    def _checked(result: T | None) -> T:
        if result is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return result


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file, or a link to one, to read bytes.

    A FIFO or a device in its place, which may block forever or have no end, is refused. What seems to be a file and has
    nothing to read yet, such as the kernel's log, raises an `OSError` when it is read. Raises `OSError`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return io.BufferedReader(_NeverWaiting(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
