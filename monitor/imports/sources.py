"""Find what can be replayed under a folder, and read it: runs as event files, and runs of W&B."""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from monitor.events.files import event_files
from monitor.events.reading.reader import EventReader
from monitor.imports.wandb_log import WandbReader, read_run_name
from monitor.records import Restart

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from monitor.records import Record

WANDB_PREFIX, WANDB_SUFFIX = "run-", ".wandb"
EVENT_FILE_MARK = "tfevents"
UNFIT = re.compile(r"[\x00-\x1f\x7f/\\]")  # for the name of a folder
MAX_NAME_CHARS = 60  # of up to 4 bytes each: a file system takes 255 bytes


class RecordReader(Protocol):
    """Reads the log of one run as records, repeatedly while it grows."""

    @property
    def skipped(self) -> Counter[str]:
        """The number of values for which there is no record, by kind."""

    @property
    def damaged(self) -> int:
        """The number of places that could not be read."""

    @property
    def torn(self) -> int:
        """The number of bytes at the end that are not complete."""

    def records(self) -> Iterator[list[Record]]:
        """Yield the records since the last call."""


class Source(ABC):
    """A run that another program logs, or logged.

    Attributes:
        path: the folder of its event files, or one file.
        default_name: what it is called after its place.
        unreadable: why files could not be read, by path.
    """

    def __init__(self, path: Path, default_name: str) -> None:
        """Prepare to read; no file is opened yet."""
        self.path, self.default_name = path, default_name
        self.unreadable: dict[Path, str] = {}
        self._files: dict[Path, tuple[int, int]] = {}  # inode and size at the last pass

    @property
    @abstractmethod
    def reader(self) -> RecordReader:
        """What reads the log, from its start or since the log started over."""

    @property
    def exit_code(self) -> int | None:
        """How the program that logs the run ended, 0 if its log never says that; None as long as it does not."""
        return 0

    @property
    def has_ended(self) -> bool:
        """Whether the log says that nothing more comes."""
        return False

    def name(self) -> str:
        """Return what the run is called; empty as long as its log does not say it."""
        return self.default_name

    def records(self) -> Iterator[list[Record]]:
        """Yield the records since the last call, in lists of a few thousand. Blocks while it reads.

        If a file was removed, replaced, or truncated, the log started over: a `Restart` and all records come again.
        """
        if self._started_over():
            self._start_over()
            yield [Restart(0, time.time())]
        yield from self.reader.records()

    @abstractmethod
    def _log_files(self) -> list[Path]:
        """Return the files of the log that are there."""

    @abstractmethod
    def _start_over(self) -> None:
        """Make a new reader."""

    def _started_over(self) -> bool:
        """Tell whether what was read is no longer the beginning of the log."""
        found = {}
        for path in self._log_files():
            try:
                status = path.stat()
            except OSError:
                continue
            found[path] = (status.st_ino, status.st_size)
        if not found:
            return False  # removed; something else may come
        before, self._files = self._files, found
        return any(
            path not in found or found[path][0] != inode or found[path][1] < size
            for path, (inode, size) in before.items()
        )

    def _leave_out(self, path: Path, error: OSError) -> None:
        self.unreadable[path] = error.strerror or str(error)


class EventFiles(Source):
    """A run as event files."""

    def __init__(self, path: Path, default_name: str) -> None:
        super().__init__(path, default_name)
        self._start_over()

    @property
    def reader(self) -> RecordReader:
        """What reads the event files."""
        return self._reader

    def _log_files(self) -> list[Path]:
        return event_files(self.path)

    def _start_over(self) -> None:
        self._reader = EventReader(self.path, on_error=self._leave_out)


class WandbRun(Source):
    """A run of W&B; `path` is its log file."""

    def __init__(self, path: Path, default_name: str) -> None:
        super().__init__(path, default_name)
        self._start_over()

    @property
    def reader(self) -> RecordReader:
        """What reads the log file."""
        return self._reader

    @property
    def exit_code(self) -> int | None:
        """The exit code that W&B recorded; None as long as the log has no end."""
        return self._reader.exit_code

    @property
    def has_ended(self) -> bool:
        """Whether the log has an end."""
        return self._reader.exit_code is not None

    def name(self) -> str:
        """Return the name that the user gave the run, or else its ID; empty as long as the log does not say it.

        It is fit for the name of a folder.
        """
        return UNFIT.sub("-", read_run_name(self.path)).strip(" .")[:MAX_NAME_CHARS]

    def _log_files(self) -> list[Path]:
        return [self.path] if self.path.is_file() else []

    def _start_over(self) -> None:
        self._reader = WandbReader(self.path, self._leave_out)


def find_logs(path: Path) -> dict[Path, str]:
    """Return the runs under `path`, or `path` itself: the name of each by the folder or file of its log.

    Runs that are event files have the names that TensorBoard gives them. What has the name of a log but is no regular
    file, such as a FIFO, does not count. In the folder of a run of W&B, only W&B's log counts.
    """
    if path.is_file():
        return {path: path.parent.name or path.name}
    found: dict[Path, str] = {}
    for folder, below, files in os.walk(path):
        below.sort()
        at = Path(folder)
        if logs := [at / name for name in sorted(files) if _is_wandb_log(name) and (at / name).is_file()]:
            below.clear()
            found |= dict.fromkeys(logs, at.resolve().name)
        elif any(EVENT_FILE_MARK in name and (at / name).is_file() for name in files):
            found[at] = path.resolve().name if at == path else str(at.relative_to(path))
    return found


def open_source(path: Path, name: str) -> Source:
    """Return the run at `path`, as `find_logs` found it."""
    return WandbRun(path, name) if _is_wandb_log(path.name) and path.is_file() else EventFiles(path, name)


def _is_wandb_log(name: str) -> bool:
    return name.startswith(WANDB_PREFIX) and name.endswith(WANDB_SUFFIX)
