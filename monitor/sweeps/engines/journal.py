"""Optuna's journal, so that it survives what happens to drivers: whole changes, and no half lines."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optuna.storages.journal import JournalFileBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.sweeps.locks import SweepLock


class SweepJournal(JournalFileBackend):  # type: ignore[misc]
    """A journal in a file, to which what happens in a transaction is written at once, or not at all.

    Optuna makes a trial with one line for it and one for each parameter; a driver that is killed between two of them
    would leave a trial that nobody can run.
    """

    def __init__(self, path: Path, lock: SweepLock) -> None:
        """Open the journal, and make it if there is none; `lock` is that of the sweep. Raises `OSError`."""
        super().__init__(str(path), lock_obj=lock)
        self._path, self._sweep_lock = path, lock
        self._count = 0  # of the lines read so far
        self._pending: list[bytes] | None = None  # what the transaction has written

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock of the sweep, and write all changes at the end. Raises `OSError`.

        After an error, what reads the journal has to be made anew.
        """
        with self._sweep_lock:
            self._drop_half_line()
            for _ in self.read_logs(self._count):
                pass
            self._pending = []
            try:
                yield
                self._write(b"".join(self._pending))
            finally:
                self._pending = None

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the changes from this one on, those of the transaction too."""
        read = log_number_from
        if self._pending is None or log_number_from < self._count:
            for change in super().read_logs(log_number_from):
                read += 1
                yield change
            if self._pending is None:
                self._count = max(self._count, read)
        for line in list(self._pending or [])[max(0, log_number_from - self._count) :]:
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write changes, at the end of the transaction if there is one. Raises `OSError`."""
        lines = [json.dumps(change, separators=(",", ":")).encode() + b"\n" for change in logs]
        if self._pending is not None:
            self._pending += lines
            return
        with self._sweep_lock:
            self._drop_half_line()
            self._write(b"".join(lines))

    def _drop_half_line(self) -> None:
        """Cut off the beginning of a line that a machine left when it went down: the next line would be part of it."""
        with self._path.open("r+b") as file:
            end = position = file.seek(0, os.SEEK_END)
            while position > 0:
                start = max(0, position - 4096)
                file.seek(start)
                newline = file.read(position - start).rfind(b"\n")
                if newline >= 0:
                    position = start + newline + 1
                    break
                position = start
            if position < end:
                file.truncate(position)

    def _write(self, lines: bytes) -> None:
        if not lines:
            return
        with self._path.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                if file.write(lines) != len(lines):
                    raise OSError(f"{self._path} cannot be written in one piece")
            except OSError:  # the disk is full
                file.truncate(end)
                raise
            os.fsync(file.fileno())
