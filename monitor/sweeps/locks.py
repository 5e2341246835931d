"""Locks of a sweep, which the kernel releases when the processes that hold them are gone."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from monitor.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class SweepLock:
    """The lock of a whole sweep: one driver at a time, on whichever machine. The driver that has it may take it again.

    It has the methods of a lock of Optuna's journal, which it also is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._depth = 0

    def acquire(self) -> bool:
        """Wait for the lock. Raises `DataError` on a disk without locks, and `OSError`."""
        if self._depth == 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            lock(self._descriptor, self._path, waits=True)
        self._depth += 1
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._depth -= 1
        if self._depth == 0:
            os.close(self._descriptor)

    def __enter__(self) -> SweepLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def lock(descriptor: int, path: Path, *, waits: bool = False) -> bool:
    """Lock an open file; return false if somebody else has it, unless this `waits`.

    The lock is that of the open file: a forked process shares it, and it ends with the last of them. Raises
    `DataError` on a disk without locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise DataError(f"{str(path)!r} cannot be locked; a sweep needs a disk with file locks (flock)") from error
        raise
    return True
