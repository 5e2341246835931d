"""One thread and one queue for one sink: batch, retry, drain, count.

The thread takes what is queued twice a second, writes and flushes it, and sleeps. No lock is held while the sink is
called, so neither a log call nor `stats` ever waits for I/O. Deadlines are on the monotonic clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from monitor.capture.snapshot import DeviceScalar, PendingRecord, resolve_device_scalars
from monitor.records import Images, Predictions, Record
from monitor.sinks.base import Sink
from monitor.stats import SinkStats

if TYPE_CHECKING:
    from monitor.runs.run import Run

log = logging.getLogger("monitor")

History = Callable[[], Iterable[Sequence[Record]]]
Item = Record | PendingRecord | DeviceScalar
_PENDING_TYPES: set[type] = {PendingRecord, DeviceScalar}
MAX_PENDING_BYTES = 256 * 2**20  # of arrays that wait for one sink
MIN_RETRY_S, MAX_RETRY_S = 0.25, 2.0  # seconds
CLOSING_RETRY_S = 0.1  # seconds
FAILING_SINK_CLOSE_S = (
    0.2  # seconds that `close` gives a sink that was failing before: the end of a run must not wait for it
)
MAX_BUSY_SHARE = 0.01  # of the time that a worker may be at work


def record_type(item: Item) -> type:
    """Return the record kind of an item, resolved or not."""
    return item.kind if isinstance(item, PendingRecord | DeviceScalar) else type(item)


class SinkWorker:
    """Deliver records to one sink, on one thread named `monitor-NAME`."""

    def __init__(
        self, name: str, sink: Sink, run: Run, feed: Callable[[], None], history: History | None = None
    ) -> None:
        """Start the thread; `feed` is called before each batch and fills the queue through `put`.

        `history` returns what an earlier process of the run delivered, for a sink that wants to recall it.
        """
        self.name, self.sink, self.run = name, sink, run
        self._history = history if type(sink).recall is not Sink.recall else None
        self._feed = feed
        self._wake = threading.Event()
        self._changed = threading.Condition()  # guards all below; never held during I/O
        self._queue: deque[Item] = deque()
        self._batch: list[Item] = []  # taken, not yet written
        self._written = 0  # written, not yet flushed
        self._pending_bytes = 0
        self._logged = self._delivered = self._dropped = self._failed = self._retries = 0
        self._last_error: str | None = None
        self._reported: set[str] = set()
        self._opened = False
        self._retry_delay = 0.0  # seconds to wait before the next attempt; 0 while all is well
        self._closing = False
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._main, name=f"monitor-{name}", daemon=True)
        self._thread.start()

    # Called by other threads

    def put(self, items: Sequence[Item]) -> None:
        """Queue those of the items that the sink accepts. Never blocks on I/O."""
        accepts, kinds = self.sink.accepts, set(map(type, items))
        # Most batches are scalars alone; looking at each of them would be most of the work.
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
        """Let the thread deliver now rather than at its next tick."""
        self._wake.set()

    def wait(self, deadline: float) -> bool:
        """Wait until all that is queued by now is settled, or `deadline`; tell whether it is."""
        with self._changed:
            target = self._logged
            self._wake.set()
            self._changed.wait_for(lambda: self._settled_count() >= target, max(0.0, deadline - time.monotonic()))
            return self._settled_count() >= target

    def begin_close(self, deadline: float) -> None:
        """Ask the thread to deliver the rest, close the sink and end."""
        with self._changed:
            self._closing = True
            self._deadline = min(deadline, time.monotonic() + FAILING_SINK_CLOSE_S) if self._retry_delay else deadline
        self._wake.set()

    def join(self) -> bool:
        """Wait for the thread until its deadline; tell whether it ended."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        return not self._thread.is_alive()

    def stats(self) -> SinkStats:
        """Return the counts, consistent with each other."""
        with self._changed:
            pending = len(self._queue) + len(self._batch) + self._written
            return SinkStats(
                self._logged, self._delivered, pending, self._dropped, self._failed, self._retries, self._last_error
            )

    # The thread

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
            spent = time.perf_counter() - started  # of the server too: on a small machine the training wants its time
            delay = self._retry_delay or min(self.sink.max_interval, max(self.sink.interval, spent / MAX_BUSY_SHARE))
            if closing:
                if not self._retry_delay or time.monotonic() + CLOSING_RETRY_S >= self._deadline:
                    break
                delay = CLOSING_RETRY_S
        self._attempt(self.sink.close)

    def _deliver(self) -> None:
        """Take, write and flush what there is; on trouble keep it, or count it as failed."""
        if not self._opened:
            outcome = self._attempt(lambda: self.sink.open(self.run))
            if outcome is None:
                return
            self._opened = True  # one that cannot open at all still gets its records, and fails them one by one
            if self._history is not None:
                self._attempt(self._replay_history)
        with self._changed:
            if not self._batch:
                self._batch = list(self._queue)
                self._queue.clear()
                self._pending_bytes = 0
        if self._batch:
            records = self._resolve(self._batch)
            outcome = self._attempt(lambda: self.sink.write(records)) if records else True
            if outcome is None:
                return
            with self._changed:
                if outcome:
                    self._written += len(records)
                else:
                    self._failed += len(records)
                self._batch = []
                self._changed.notify_all()
        outcome = self._attempt(self.sink.flush)
        if outcome is None:
            return
        with self._changed:
            if outcome:
                self._delivered += self._written
            else:
                self._failed += self._written
            self._written = 0
            self._changed.notify_all()
        if self._retry_delay:
            self._retry_delay = 0.0
            self._reported = {cause for cause in self._reported if not cause.startswith("OSError")}
            log.info("%s: back, nothing was lost", self.name)

    def _replay_history(self) -> None:
        assert self._history is not None
        for records in self._history():
            self.sink.recall(records)

    def _resolve(self, items: list[Item]) -> list[Record]:
        """Build the records that are not built yet; one that cannot be built fails alone."""
        if not _PENDING_TYPES & set(map(type, items)):
            return cast("list[Record]", items)
        records: list[Record] = []
        resolved: list[Item] = []
        try:
            resolve_device_scalars(items)
        except Exception as error:
            self._report_failure(error, "a device scalar could not be read")
        for item in items:
            try:
                if isinstance(item, DeviceScalar):
                    if item.record is None:
                        raise RuntimeError("a device scalar could not be read")
                    records.append(item.record)
                else:
                    records.append(item.resolve() if isinstance(item, PendingRecord) else item)
                resolved.append(item)
            except Exception as error:
                self._report_failure(error, f"a {record_type(item).__name__} record could not be read")
        with self._changed:
            self._failed += len(items) - len(resolved)
            self._batch = resolved
        return records

    def _attempt(self, call: Callable[[], None]) -> bool | None:
        """Call the sink: True if it worked, False if it failed for good, None if it is to be tried again."""
        try:
            call()
        except OSError as error:
            self._retry_delay = min(MAX_RETRY_S, self._retry_delay * 2) if self._retry_delay else MIN_RETRY_S
            with self._changed:
                self._retries += 1
                self._last_error = _one_line(error)
            self._report_once(
                logging.WARNING,
                "OSError",
                f"{_one_line(error)}; training goes on, what is logged is kept and sent when it works again",
            )
            return None
        except BaseException as error:  # a SystemExit out of a sink must not end the thread either
            self._report_failure(error, "the batch is lost")
            return False
        return True

    def _report_failure(self, error: BaseException, what: str) -> None:
        with self._changed:
            self._last_error = _one_line(error)
        self._report_once(logging.ERROR, type(error).__name__, f"{what}: {_one_line(error)}", error)

    def _report_once(self, level: int, cause: str, message: str, error: BaseException | None = None) -> None:
        """Say it once a cause."""
        if cause not in self._reported:
            self._reported.add(cause)
            log.log(level, "%s: %s", self.name, message)
            if error is not None:
                log.debug("%s: traceback", self.name, exc_info=error)

    def _settled_count(self) -> int:
        return self._delivered + self._dropped + self._failed

    def _drop_arrays(self) -> str:
        """Make room by dropping arrays, pictures first, oldest first; called with the lock held."""
        dropped = 0
        for images_only in (True, False):
            remaining: deque[Item] = deque()
            for item in self._queue:
                is_over = self._pending_bytes > MAX_PENDING_BYTES
                if (
                    is_over
                    and isinstance(item, PendingRecord)
                    and (not images_only or item.kind in (Images, Predictions))
                ):
                    self._pending_bytes -= item.nbytes
                    dropped += 1
                else:
                    remaining.append(item)
            self._queue = remaining
        self._dropped += dropped
        self._changed.notify_all()
        return f"{MAX_PENDING_BYTES >> 20} MiB of pictures wait for this sink; the oldest are dropped, scalars are kept"


def _one_line(error: BaseException) -> str:
    """Return an error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
