"""The threads that record what nobody logs; they end with the run, and a forked child has none of them."""

from __future__ import annotations

import logging
import math
import os
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.delivery.clock import CLOCK
from monitor.recording.options import NOTHING, check_environment
from monitor.records import Scalar
from monitor.runs.processes.environment import code_folders

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.recording.options import RecordOptions
    from monitor.runs.run import Run

log = logging.getLogger("monitor")

PATIENT_PART = 0.2  # of the time for the end, during which a process that makes way for others goes on
FIRST_SAMPLE_S = 1.0  # after the start; rates need an earlier reading
_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def record_of_a_writer() -> str:
    """Return what a logger records that stands behind a `SummaryWriter`, of which a script may open hundreds.

    That is what `MONITOR_RECORD` says, which `monitor run` sets, for one writer or logger at a time; nothing without
    it, so that a directory holds what the stock writers leave there. Raises `SpecError` if it cannot be read.
    """
    is_recording = any(recorder.pid == os.getpid() and not recorder.is_closed for recorder in list(_recorders))
    return "none" if is_recording else check_environment() or "none"


class Recorder:
    """Record on threads of its own: files of the run directory at the start, system metrics all the time.

    Whatever goes wrong there is a line in the log at most.

    Attributes:
        pid: the process whose threads record.
        is_closed: whether the run has ended, after which nothing is recorded.
    """

    def __init__(self, run: Run, options: RecordOptions, put: Callable[[Scalar], None]) -> None:
        """Start the threads that `options` ask for. `put` gets the scalars of the system metrics."""
        self.pid, self.is_closed = os.getpid(), False
        self._run, self._put = run, put
        self._path = Path(os.path.abspath(run.path))  # noqa: PTH100 - keeps links as they are
        self._started = time.monotonic()
        self._urgent_from = math.inf
        self._wake_up, self._done = CLOCK.mailbox(), CLOCK.mailbox()
        self._samples = self._is_sampling = options.system is not None
        self._is_writing = options.git or options.packages
        if options == NOTHING:
            return
        _recorders.add(self)
        if self._is_writing:
            folders = code_folders()  # the program may change its working directory while the thread starts
            CLOCK.start("monitor-recorder", lambda: self._record_files(options, folders))
        if options.system is not None:
            interval = options.system
            CLOCK.start("monitor-system", lambda: self._record_system(interval))

    def close(self, timeout: float) -> None:
        """End the threads; wait until they have ended, for at most `timeout` seconds."""
        self.stop_sampling()
        deadline = time.monotonic() + timeout
        self._urgent_from = deadline - timeout * (1 - PATIENT_PART)
        while self._is_at_work() and (left := deadline - time.monotonic()) > 0:
            self._done.wait(left)
        self.is_closed = True

    def stop_sampling(self) -> None:
        """Log no more system metrics. Does not block."""
        self._samples = False
        self._wake_up.put()

    def _is_at_work(self) -> bool:
        return self.pid == os.getpid() and (self._is_writing or self._is_sampling)

    # Called by the threads

    def _record_files(self, options: RecordOptions, folders: list[str]) -> None:
        recorded: dict[str, Any] = {}
        try:
            from monitor.recording.file_process import record_files

            recorded = record_files(
                self._path, folders, options, lambda: self.is_closed, lambda: time.monotonic() > self._urgent_from
            )
            if recorded and not self.is_closed:
                self._run.update(recorded=recorded)
        except Exception as error:  # the disk may be full, or the directory gone
            log.warning("%s: git and packages are not recorded: %s", self._path, " ".join(str(error).split()))
        finally:
            self._is_writing = False
            self._done.put()

    def _record_system(self, interval: float) -> None:
        try:
            self._sample(interval)
        finally:
            self._is_sampling = False
            self._done.put()

    def _sample(self, interval: float) -> None:
        from monitor.recording.system_metrics import SystemMetrics

        metrics = SystemMetrics(self._path)
        self._wake_up.wait(min(FIRST_SAMPLE_S, interval))
        while self._samples:
            values, now = metrics.read(), time.time()
            step = int(self._run.spent + time.monotonic() - self._started)
            for tag, value in values.items():
                self._put(Scalar(tag, value, step, now))
            self._wake_up.wait(interval)
        metrics.close()
