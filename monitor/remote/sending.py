"""What a training holds of the process that uploads its run: it starts it, says what it reports, and waits for it."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from monitor.remote.urls import url_of

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("monitor")

VARIABLE = "MONITOR_UPLOADED"  # the run directory that a process above this one uploads
SLACK_S = 3.0  # for the process to end by itself
SILENCE_S = 35.0  # longer than a request to a server that never answers takes
_uploaded: set[str] = set()  # by this process


def start_upload(folder: Path, rank: int, *, is_own: bool) -> Uploading | None:
    """Start the upload of a process's own run, or of what another rank than 0 adds to it; None for rank 0 there.

    Raises `OSError` if no process can be started.
    """
    if is_own:
        return Uploading(folder)
    return Uploading(folder, f".rank{rank}") if rank else None


class Uploading:
    """The upload of one run, beside this process.

    A folder outside the spool has none, and no second one where it is uploaded already.

    Attributes:
        url: where the run goes; None if it goes nowhere.
    """

    def __init__(self, folder: Path, rank: str = "") -> None:
        """Start it. Raises `OSError` if no process can be started."""
        self._folder, self._key = folder, f"{folder}{rank}"
        self._process: subprocess.Popen[str] | None = None
        self._pid = os.getpid()
        url = url_of(folder)
        if url is None or self._key in _uploaded or (os.environ.get(VARIABLE) == str(folder) and not rank):
            self.url = None
            return
        self.url = url
        self._ended: dict[str, Any] = {}
        self._is_down, self._last_heard = False, time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "monitor.remote.uploader", str(folder), url, rank, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the training
            text=True,
        )
        _uploaded.add(self._key)
        self._thread = threading.Thread(
            target=self._listen, args=(self._process.stdout,), name="monitor-upload", daemon=True
        )
        self._thread.start()

    def close(self, timeout: float) -> bool:
        """Wait until all of the run is in the store; tell whether it is.

        Blocks as long as the upload makes progress. A store that is down, or stops answering, is given up after
        `timeout` seconds without any, or after a request that takes 30. A line says where the run is then, and which
        command uploads it. Idempotent.
        """
        process, self._process = self._process, None
        if process is None or self._pid != os.getpid():
            return True
        try:
            self._finish(process, timeout)
        finally:
            process.kill()
            process.wait()
            self._thread.join()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            _uploaded.discard(self._key)
            if not self._ended.get("done"):
                self._say_what_is_left()
        return bool(self._ended.get("done"))

    def _finish(self, process: subprocess.Popen[str], timeout: float) -> None:
        assert process.stdin is not None
        self._last_heard = time.monotonic()
        with suppress(OSError):
            process.stdin.write(f"finish {timeout}\n")
            process.stdin.flush()
        while self._thread.is_alive():
            self._thread.join(0.2)
            silent = time.monotonic() - self._last_heard
            if silent > timeout + (SLACK_S if self._is_down else SILENCE_S):
                return

    def _listen(self, lines: IO[str]) -> None:
        with suppress(OSError, ValueError):
            for line in lines:
                message = json.loads(line)
                self._last_heard = time.monotonic()
                if "done" in message:
                    self._ended = message
                elif message.get("state") == "down":
                    self._is_down = True
                    log.warning("%s; training goes on, and the run is kept in %s", message["error"], self._folder)
                elif message.get("state") == "up":
                    self._is_down = False
                    log.info("%s: back, and the upload goes on", self.url)
        if not self._ended and self._process is not None:
            log.warning("%s: the upload has ended without a word; the run is kept in %s", self.url, self._folder)

    def _say_what_is_left(self) -> None:
        left, error = self._ended.get("left"), self._ended.get("error")
        log.warning(
            "%s is not complete%s: %s is in %s; upload it with: %s",
            self.url,
            f" ({error})" if error else "",
            f"the rest, {left:,} bytes," if left else "the rest",
            self._folder,
            shlex.join(["monitor", "upload", str(self.url)]),
        )
