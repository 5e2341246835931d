"""One thread and one queue per sink: batch, retry, drain, count.

The thread wakes twice a second, takes what is queued, writes and flushes it, and sleeps. No lock is held while it calls
the sink, so neither a log call nor `stats` waits for I/O. Deadlines are on the monotonic clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from monitor.capture.snapshot import PendingRecord
from monitor.delivery.batch import Item, build_records, describe, record_type, take_batch
from monitor.records import Images, Predictions, Record
from monitor.sinks.base import Sink
from monitor.stats import SinkStats

if TYPE_CHECKING:
    from monitor.runs.run import Run

log = logging.getLogger("monitor")

History = Callable[[], Iterable[Sequence[Record]]]
MAX_PENDING_BYTES = 256 * 2**20  # of arrays that wait for one sink
MIN_RETRY_S, MAX_RETRY_S = 0.25, 2.0
CLOSING_RETRY_S = 0.1
FAILING_SINK_CLOSE_S = 0.2  # `close` waits this long for a sink that is failing, so that the program can end
MAX_BUSY_SHARE = 0.01  # of the time that a worker may work, so that the training keeps its cores


class SinkWorker:
    """Deliver records to one sink, on one thread named `monitor-NAME`.

    Attributes:
        name: how messages and counters call the sink.
        sink: the sink; only the worker's thread calls it.
        run: the run that is logged.
    """

    def __init__(
        self, name: str, sink: Sink, run: Run, feed: Callable[[], None], history: History | None = None
    ) -> None:
        """Start the thread.

        Args:
            name: how messages and counters call the sink.
            sink: the sink.
            run: passed to `sink.open`.
            feed: called on the thread before each batch; it fills the queue through `put`.
            history: returns what an earlier process of the run logged, for a sink that overrides `recall`.
        """
        self.name, self.sink, self.run = name, sink, run
        self._history = history if type(sink).recall is not Sink.recall else None
        self._feed = feed
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._changed = threading.Condition()  # guards all attributes below; never held during I/O
        self._queue: deque[Item] = deque()
        self._batch: list[Item] = []  # not written yet
        self._written = 0  # records that are written and not flushed yet
        self._pending_bytes = 0
        self._logged = self._delivered = self._dropped = self._failed = self._retries = 0
        self._last_error: str | None = None
        self._reported: set[str] = set()  # causes of errors
        self._opened = False
        self._retry_delay = 0.0  # seconds until the next attempt; 0 unless the sink is failing
        self._closing = False
        self._patience = float("inf")  # seconds without progress after which `close` gives up
        self._last_progress = time.monotonic()
        threading.Thread(target=self._main, name=f"monitor-{name}", daemon=True).start()

    # Called by other threads

    def put(self, items: Sequence[Item]) -> None:
        """Queue the items that the sink accepts. Does not wait for I/O."""
        accepts, kinds = self.sink.accepts, set(map(type, items))
        # Most batches contain only scalars, and checking each of them would take most of the time.
        wanted = items if kinds <= accepts else [item for item in items if record_type(item) in accepts]
        if not wanted:
            return
        size = sum(item.nbytes for item in wanted if isinstance(item, PendingRecord)) if PendingRecord in kinds else 0
        warning = None
        with self._changed:
            self._logged += len(wanted)
            self._queue.extend(wanted)
            self._pending_bytes += size
            if self._pending_bytes > MAX_PENDING_BYTES:
                warning = self._drop_arrays()
        if warning:
            self._report_once(logging.WARNING, "dropped", warning)

    def wake(self) -> None:
        """Let the thread deliver now instead of at its next tick."""
        self._wake.set()

    def wait(self, deadline: float) -> bool:
        """Block until everything queued so far is delivered, dropped, or failed; tell whether it is by `deadline`."""
        with self._changed:
            target = self._logged
            self._wake.set()
            self._changed.wait_for(lambda: self._settled_count() >= target, max(0.0, deadline - time.monotonic()))
            return self._settled_count() >= target

    def begin_close(self, patience: float) -> None:
        """Ask the thread to deliver the rest, close the sink, and end. Does not block.

        It may go on as long as it makes progress; after `patience` seconds without any, it gives up.
        """
        with self._changed:
            self._closing = True
            self._patience = min(patience, FAILING_SINK_CLOSE_S) if self._retry_delay else patience
            self._last_progress = time.monotonic()
        self._wake.set()

    def join(self, timeout: float) -> bool | None:
        """Block for at most `timeout` seconds; True if the thread ended, False if it was given up, None otherwise."""
        # Not Thread.join: Python 3.11 takes a thread for ended if Ctrl-C interrupts the waiting.
        if self._ended.wait(max(0.0, min(timeout, self._give_up_time() - time.monotonic()))):
            return True
        return None if time.monotonic() < self._give_up_time() else False

    def backlog(self) -> int:
        """Return the number of records that are not settled."""
        with self._changed:
            return self._logged - self._settled_count()

    def stats(self) -> SinkStats:
        """Return the counters, consistent with each other."""
        with self._changed:
            pending = len(self._queue) + len(self._batch) + self._written
            counts = self._logged, self._delivered, pending, self._dropped, self._failed
            return SinkStats(*counts, 0, self._retries, 0, self._last_error)

    # Called by the thread

    def _main(self) -> None:
        delay = self.sink.interval
        while True:
            self._wake.wait(delay)
            self._wake.clear()
            with self._changed:
                closing = self._closing
            started = time.perf_counter()
            self._feed()
            self._deliver()
            elapsed = time.perf_counter() - started  # includes the work of a local server, which also takes a core
            delay = self._retry_delay or min(self.sink.max_interval, max(self.sink.interval, elapsed / MAX_BUSY_SHARE))
            if closing:
                if not self._retry_delay or time.monotonic() + CLOSING_RETRY_S >= self._give_up_time():
                    break
                delay = CLOSING_RETRY_S
        self._attempt(self.sink.close)
        self._ended.set()

    def _deliver(self) -> None:
        """Open the sink if necessary; then write and flush batch after batch, unless the sink asks for a retry."""
        if not self._open():
            return
        while self._write() and self._flush():
            if self._retry_delay:
                self._retry_delay = 0.0
                self._reported = {cause for cause in self._reported if not cause.startswith("OSError")}
                log.info("%s: back, nothing was lost", self.name)
            if not self._queue:
                return

    def _open(self) -> bool:
        """Open the sink once; tell whether to go on."""
        if not self._opened:
            if self._attempt(lambda: self.sink.open(self.run)) is None:
                return False
            self._opened = True  # even if it failed for good: then each batch is counted as failed
            if self._history is not None:
                self._attempt(self._replay_history)
        return True

    def _write(self) -> bool:
        """Write the batch that failed before, or else the next one; tell whether to go on."""
        with self._changed:
            if not self._batch:
                self._batch = take_batch(self._queue, scalars_first=self.sink.scalars_first)
                self._pending_bytes -= sum(i.nbytes for i in self._batch if isinstance(i, PendingRecord))
        records, built = build_records(self._batch, self._report_failure)
        with self._changed:
            self._failed += len(self._batch) - len(built)
            self._batch = built
        size = len(records)
        while records:
            part = records[:size]
            is_single = len(part) == 1
            written = self._attempt(partial(self.sink.write, part), is_single and describe(part[0]))
            if written is None:
                return False
            if not written and not is_single:  # one of them is bad: halve until it is found, and it alone fails
                size = len(part) // 2
                continue
            records = records[len(part) :]
            size = size * 2 if written else 1
            with self._changed:
                self._batch = self._batch[len(part) :]
                self._written += len(part) if written else 0
                self._failed += 0 if written else 1
                self._note_progress()
        return True

    def _flush(self) -> bool:
        """Flush what was written; tell whether to go on."""
        flushed = self._attempt(self.sink.flush)
        if flushed is None:
            return False
        with self._changed:
            if flushed:
                self._delivered += self._written
            else:
                self._failed += self._written
            if self._written:
                self._note_progress()
            self._written = 0
        return True

    def _note_progress(self) -> None:
        """Note that records were written or settled. The caller holds the lock."""
        self._last_progress = time.monotonic()
        self._changed.notify_all()

    def _give_up_time(self) -> float:
        return self._last_progress + self._patience

    def _replay_history(self) -> None:
        assert self._history is not None
        for records in self._history():
            self.sink.recall(records)

    def _attempt(self, call: Callable[[], None], report: str | bool = "what was written") -> bool | None:
        """Call the sink: True if it succeeded, False if it failed for good (`report` says what is lost), None: retry."""
        try:
            call()
        except OSError as error:
            self._retry_delay = min(MAX_RETRY_S, self._retry_delay * 2) if self._retry_delay else MIN_RETRY_S
            with self._changed:
                self._retries += 1
                self._last_error = _one_line(error)
            message = f"{_one_line(error)}; training goes on, and what is logged is kept and sent later"
            self._report_once(logging.WARNING, "OSError", message)
            return None
        except BaseException as error:  # not even a SystemExit in a sink ends the thread
            if report:
                self._report_failure(error, f"{report} is lost")
            return False
        return True

    def _report_failure(self, error: BaseException, problem: str) -> None:
        with self._changed:
            self._last_error = _one_line(error)
        self._report_once(logging.ERROR, type(error).__name__, f"{problem}: {_one_line(error)}", error)

    def _report_once(self, level: int, cause: str, message: str, error: BaseException | None = None) -> None:
        """Log a message, once per cause."""
        if cause not in self._reported:
            self._reported.add(cause)
            log.log(level, "%s: %s", self.name, message)
            if error is not None:
                log.debug("%s: traceback", self.name, exc_info=error)

    def _settled_count(self) -> int:
        return self._delivered + self._dropped + self._failed

    def _drop_arrays(self) -> str:
        """Drop queued arrays until the rest fits, images first, oldest first. The caller holds the lock."""
        dropped = 0
        for kinds in ((Images, Predictions), None):
            remaining: deque[Item] = deque()
            for item in self._queue:
                is_over = self._pending_bytes > MAX_PENDING_BYTES
                if is_over and isinstance(item, PendingRecord) and (kinds is None or item.kind in kinds):
                    self._pending_bytes -= item.nbytes
                    dropped += 1
                else:
                    remaining.append(item)
            self._queue = remaining
        self._dropped += dropped
        self._changed.notify_all()
        return f"{MAX_PENDING_BYTES >> 20} MiB of images wait for this sink; the oldest are dropped, scalars are kept"


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
