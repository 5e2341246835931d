"""The process that uploads one run: `python -m monitor.remote.uploader FOLDER URL RANK PARENT`.

It is a process of its own, so that neither connections nor checksums take anything from the training, and so that it
outlives a training that is killed: then it uploads the rest. It takes one command on stdin, `finish SECONDS`, and
writes a line of JSON for each change: `{"state": "down", "error": …}`, `{"state": "up"}`, `{"progress": true}`,
`{"done": true}`, and `{"done": false, "left": bytes, "error": …}`.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import MonitorError
from monitor.machine.priority import lower_priority
from monitor.remote.store import Store
from monitor.remote.upload import RunUpload

if TYPE_CHECKING:
    from io import TextIOWrapper

LOCK = ".upload{rank}.lock"
INTERVAL_S = 1.0  # between two looks at the run directory
FIRST_DELAY_S, MAX_DELAY_S = 1.0, 30.0  # between two attempts, while the store is down
ORPHAN_TIMEOUT_S = 60.0  # without progress, after the training was killed
PROGRESS_INTERVAL_S = 0.5
NICE = 10  # with the lowest priority, a training on all processors would keep the heartbeat from the store


class Uploader:
    """Uploads a run until it is told to finish, or until its parent process is gone."""

    def __init__(self, folder: Path, url: str, rank: str, parent: int) -> None:
        self._parent = parent  # which may be gone by now
        self._commands: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._deadline_s: float | None = None  # without progress, until it is given up
        self._last_progress = self._last_told = time.monotonic()
        self._error: str | None = None
        self._folder, self._rank = folder, rank
        self._store = Store(url)
        self._upload: RunUpload | None = None

    def run(self) -> bool:
        """Upload until the end; tell whether all of it is there."""
        threading.Thread(target=self._read_commands, daemon=True).start()
        lock = open_lock(self._folder, self._rank)
        while not take_lock(lock):  # an earlier uploader of the same run is at its end
            if self._is_given_up():
                return False
            self._wait(INTERVAL_S)
        self._upload = upload = RunUpload(self._folder, self._store, self._rank, self._progressed)
        delay = FIRST_DELAY_S
        while True:
            is_final = self._deadline_s is not None  # asked before the pass, so that the last one sees everything
            try:
                upload.step(is_final=is_final)
            except (OSError, MonitorError) as error:
                upload.disconnected()
                self._is_down(error)
                if self._is_given_up():
                    return False
                self._wait(delay if self._deadline_s is None else FIRST_DELAY_S)
                delay = min(2 * delay, MAX_DELAY_S)
                continue
            self._is_up()
            delay = FIRST_DELAY_S
            if is_final:
                return True
            self._wait(INTERVAL_S)

    def report_end(self, *, is_done: bool) -> None:
        """Say how it ended."""
        left = 0
        with suppress(OSError):
            left = 0 if self._upload is None else self._upload.left()
        tell({"done": True} if is_done else {"done": False, "left": left, "error": self._error})

    def _wait(self, seconds: float) -> None:
        """Wait for a command, for at most so long; notice that the parent is gone."""
        deadline = time.monotonic() + seconds
        while self._deadline_s is None or self._error is not None:
            if self._deadline_s is None and os.getppid() != self._parent:
                self._begin_to_finish(ORPHAN_TIMEOUT_S)
                return
            left = deadline - time.monotonic()
            if left <= 0 or self._is_given_up():
                return
            with suppress(queue.Empty):
                command = self._commands.get(timeout=min(left, INTERVAL_S))
                self._begin_to_finish(float(command.split()[1]))
                return

    def _begin_to_finish(self, timeout: float) -> None:
        self._deadline_s, self._last_progress = timeout, time.monotonic()

    def _is_given_up(self) -> bool:
        return self._deadline_s is not None and time.monotonic() - self._last_progress > self._deadline_s

    def _progressed(self) -> None:
        self._last_progress = time.monotonic()
        if self._last_progress - self._last_told > PROGRESS_INTERVAL_S:
            self._last_told = self._last_progress
            tell({"progress": True})

    def _is_down(self, error: Exception) -> None:
        if self._error is None:
            tell({"state": "down", "error": str(error)})
        self._error = str(error)

    def _is_up(self) -> None:
        if self._error is not None:
            self._error = None
            tell({"state": "up"})

    def _read_commands(self) -> None:
        for line in sys.stdin:
            if line.startswith("finish "):
                self._commands.put(line)


def open_lock(folder: Path, rank: str = "") -> TextIOWrapper:
    """Open the file that the process holds a lock on that uploads a run. Raises `OSError`."""
    return (folder / LOCK.format(rank=rank)).open("a")


def take_lock(lock: TextIOWrapper) -> bool:
    """Take the lock, which the kernel releases with the process; tell whether it is free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def tell(message: dict[str, Any]) -> None:
    """Write a message for the process that started this one, which may be gone."""
    with suppress(OSError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Upload one run, and leave nothing behind that could keep the process from ending."""
    folder, url, rank, parent = sys.argv[1:]
    is_done = False
    try:
        uploader = Uploader(Path(folder), url, rank, int(parent))
        lower_priority(os.getpid(), NICE)  # not earlier: the imports would take a minute on a busy machine
        is_done = uploader.run()
        uploader.report_end(is_done=is_done)
    except Exception as error:  # nobody sees a traceback
        tell({"done": False, "left": 0, "error": f"{type(error).__name__}: {error}"})
    os._exit(0 if is_done else 1)


if __name__ == "__main__":
    main()
