"""What a training holds of the process that uploads its run: it starts it, says what it reports, and waits for it."""

from __future__ import annotations

import json
import logging
import os
import queue
import shlex
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.remote.urls import url_of

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("monitor")

VARIABLE = "MONITOR_UPLOADED"  # the run directory that a process above this one uploads
SLACK_S = 3.0  # for the process to end by itself
SILENCE_S = 35.0  # longer than a request to a server that never answers takes
RESTART_DELAY_S, MAX_RESTART_DELAY_S = 0.5, 30.0  # after a process that ended without a word
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
        self._folder, self._rank, self._key = folder, rank, f"{folder}{rank}"
        self._process: subprocess.Popen[str] | None = None
        self._pid = os.getpid()
        url = url_of(folder)
        if url is None or self._key in _uploaded or (os.environ.get(VARIABLE) == str(folder) and not rank):
            self.url = None
            return
        self.url = url
        self._ended: dict[str, Any] = {}
        self._finish_command: str | None = None  # set once it is to finish
        self._is_over = False  # nothing is started anymore
        self._is_down, self._last_heard = False, time.monotonic()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._process = self._start()
        _uploaded.add(self._key)
        self._thread = threading.Thread(target=self._attend, name="monitor-upload", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> bool:
        """Wait until all of the run is in the store; tell whether it is.

        Blocks as long as the upload makes progress. A store that is down, or stops answering, is given up after
        `timeout` seconds without any, or after a request that takes 30. A line says where the run is then, and which
        command uploads it. Idempotent.
        """
        if self._process is None or self._pid != os.getpid() or self._finish_command is not None:
            return True
        self._finish_command = f"finish {timeout}\n"
        try:
            self._finish(timeout)
        finally:
            self._is_over = True
            while self._thread.is_alive():
                self._process.kill()
                self._wake.put(None)
                self._thread.join(0.1)
            _uploaded.discard(self._key)
            if not self._ended.get("done"):
                self._say_what_is_left()
        return bool(self._ended.get("done"))

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "monitor.remote.uploader", str(self._folder), str(self.url), self._rank,
             str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,  # Ctrl-C is for the training
        )  # fmt: skip

    def _finish(self, timeout: float) -> None:
        self._last_heard = time.monotonic()
        self._tell_to_finish()
        self._wake.put(None)
        while self._thread.is_alive():
            self._thread.join(0.2)
            silent = time.monotonic() - self._last_heard
            if silent > timeout + (SLACK_S if self._is_down else SILENCE_S):
                return

    def _tell_to_finish(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it has ended
            self._process.stdin.write(str(self._finish_command))
            self._process.stdin.flush()

    def _attend(self) -> None:
        """Listen to the process, and start another one if it ends before it was told to."""
        delay = RESTART_DELAY_S
        while True:
            was_told = self._finish_command is not None  # when this process was started
            if was_told:
                self._tell_to_finish()
            started = time.monotonic()
            self._listen()
            if self._ended or self._is_over or was_told:
                return
            log.warning("%s: the process that uploads has ended without a word, and starts again", self.url)
            delay = RESTART_DELAY_S if time.monotonic() - started > MAX_RESTART_DELAY_S else delay
            if not self._start_again(delay):
                return
            delay = min(2 * delay, MAX_RESTART_DELAY_S)

    def _start_again(self, delay: float) -> bool:
        """Wait, unless the run ends, and start another process; False if it is too late."""
        while True:
            with suppress(queue.Empty):
                self._wake.get(timeout=delay if self._finish_command is None else RESTART_DELAY_S)
            if self._is_over:
                return False
            try:
                self._process = self._start()
            except OSError as error:
                log.debug("%s: %s", self.url, error)
                continue
            self._last_heard = time.monotonic()
            return True

    def _listen(self) -> None:
        """Take in what the process says, until its end."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        with suppress(OSError, ValueError):
            for line in process.stdout:
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
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

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
