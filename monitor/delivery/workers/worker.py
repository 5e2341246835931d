"""One thread and one queue per sink: batch, retry, drain, count.

The thread wakes twice a second, takes what is queued, writes and flushes it, and sleeps. No lock is held while it calls
the sink. Other threads only read what the worker publishes and put letters into its mailbox, so that every public
method may be called from a signal handler.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from monitor.delivery.clock import CLOCK, Clock
from monitor.delivery.inbox import record_type
from monitor.delivery.recall import Recall
from monitor.delivery.workers import queue
from monitor.delivery.workers.batch import build_parts, describe
from monitor.delivery.workers.counters import RETRY, Attempts, Counters
from monitor.delivery.workers.drawing import Drawer
from monitor.delivery.workers.patience import WORK_S, Patience
from monitor.delivery.workers.queue import WorkQueue
from monitor.delivery.workers.requests import Requests
from monitor.delivery.workers.unpacking import Unpacker
from monitor.delivery.workers.writing import BatchWriter
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.delivery.inbox import Item
    from monitor.delivery.recall import History
    from monitor.delivery.workers.queue import Slot
    from monitor.runs.run import Run

log = logging.getLogger("monitor")

CLOSING_RETRY_S = 0.1
FAILING_SINK_CLOSE_S = 0.2  # `close` waits this long for a sink that is failing, so that the program can end
SUPERSEDE_AFTER_S = 2.0  # of closing: from then on, what a newer record of its tag replaces is not drawn
MAX_BUSY_SHARE = 0.005  # of the time that a worker may work, so that the training keeps its cores


class SinkWorker:
    """Deliver records to one sink, on one thread named `monitor-NAME`.

    Attributes:
        name: how messages and counters call the sink.
        sink: the sink; only the worker's thread calls it.
        accepts: the types of record that are queued for it.
        run: the run that is logged.
        counters: what happened to the records. They do not include what still waits in the inbox.
        requests: how other threads ask for a delivery and wait for it.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        run: Run,
        feed: Callable[[bool], None],
        history: History | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        """Start the thread.

        Args:
            name: how messages and counters call the sink.
            sink: the sink.
            run: passed to `sink.open`.
            feed: called on the thread before each batch; it fills the queue through `put`. True says that it is the
                last time.
            history: returns what an earlier process of the run logged, for a sink that overrides `recall`.
            clock: time, threads, locks, and waiting.
        """
        self.name, self.sink, self.run = name, sink, run
        self._feed, self._clock = feed, clock
        self._unpacker = Unpacker(sink.accepts)
        self.accepts = self._unpacker.accepts
        self._mailbox = clock.mailbox()
        self.counters = Counters(clock)
        self._attempts = Attempts(name, self.counters, clock)
        self._recall = Recall(sink, history, self._attempts, clock)
        self.requests = Requests(clock, self._mailbox, self.counters)
        self._closing_since: float | None = None
        self._worked: Callable[[], float] = float  # seconds of a processor that the thread has used
        self._lock = clock.lock()  # guards the queue; never held during I/O
        self._queue = WorkQueue()
        # Only the thread uses these.
        self._slots: list[Slot] = []  # of the batch, until they are built
        self._patience = Patience(clock, self._work)
        self._writer = BatchWriter(sink, self._attempts, self.counters, self._patience.note_progress)
        self._is_opened = self._has_superseded = False
        self._in_blocks = type(sink).write_scalars is not Sink.write_scalars
        self._batch_scalars = queue.BATCH_SCALARS if self._in_blocks else queue.BATCH_RECORDS
        draws = sink.scalars_first and type(sink).prepare is not Sink.prepare
        self._drawer = Drawer(f"monitor-{name}-drawing", sink, clock, self._mailbox) if draws else None
        clock.start(f"monitor-{name}", self._main)

    # Called by the thread that feeds

    def put(self, items: Sequence[Item]) -> None:
        """Queue the items that the sink accepts. Does not wait for I/O."""
        wanted = [item for item in items if record_type(item) in self.accepts]
        if not wanted:
            return
        with self._lock:
            before = self._queue.count
            self._queue.put(wanted)
            logged = self._queue.count - before
            self._queue.store()
            thinned = self._queue.thin(queue.MAX_UNSTORED_BYTES * (4 if self.sink.durable else 1))
            dropped = self._queue.drop_arrays()
        self.counters.add(logged=logged, dropped=dropped + thinned)
        if dropped:
            size = queue.MAX_ARRAY_BYTES >> 20
            message = f"{size} MiB of images wait for this sink; the oldest are dropped, scalars are kept"
            self._attempts.warn_once(message, "dropped")
        if thinned:
            message = "too many scalars wait in memory; of the oldest, only the highest and lowest points are kept"
            self._attempts.warn_once(message, "thinned")

    # Called by any thread at any moment

    def begin_close(self, patience: float) -> None:
        """Ask the thread to deliver the rest, close the sink, and end. Does not block.

        It may go on as long as it makes progress; after `patience` seconds without any, it gives up.
        """
        self._patience.begin(patience, FAILING_SINK_CLOSE_S if self._attempts.delay else None)
        if self._closing_since is None:
            self._closing_since = self._clock.now()
        self._mailbox.put()

    def wake_if_behind(self) -> bool:
        """Tell whether too much waits in memory although the sink takes it, and deliver now if so."""
        if not self.is_behind():
            return False
        self._mailbox.put()
        return True

    def is_behind(self) -> bool:
        """Tell whether too much waits in memory although the sink takes it: scalars, or arrays for an event file."""
        has_arrays = self.sink.durable and self._queue.array_bytes > queue.SLOWING_ARRAY_BYTES
        return (has_arrays or self._queue.scalar_bytes > queue.SLOWING_SCALAR_BYTES) and not self._attempts.delay

    def effort(self) -> tuple[int, int]:
        """Return what changes while the thread works, and stays while it hangs."""
        return self.counters.settled, int(self._work() / WORK_S)

    def join(self, timeout: float) -> bool | None:
        """Block for at most `timeout` seconds; True if the thread ended, False if it was given up, None otherwise."""
        if self.requests.wait_for_end(min(self._clock.now() + timeout, self._patience.end())):
            return True
        if not self._attempts.delay:
            self._patience.note_work()
        return None if self._clock.now() < self._patience.end() else False

    # Called by the thread

    def _main(self) -> None:
        self._worked = self._clock.work_meter()
        delay: float | None = self.sink.interval
        while delay is not None:
            self._mailbox.wait(delay)
            delay = self._turn()
        self._attempts.call(self.sink.close)
        if self._drawer is not None:
            self._drawer.close()
        self.requests.end()

    def _turn(self) -> float | None:
        """Deliver what there is; return the seconds until the next turn, None if there is none."""
        is_closing = self._closing_since is not None
        started = self._clock.now()
        self._take_requests(is_closing=is_closing)
        self._deliver()
        self.requests.answer()
        elapsed = self._clock.now() - started  # includes the work of a local server, which also takes a core
        retry_delay = self._attempts.remaining()
        if is_closing:
            gives_up = self._clock.now() + CLOSING_RETRY_S >= self._patience.end()
            return CLOSING_RETRY_S if (retry_delay or self._is_drawing()) and not gives_up else None
        return retry_delay or min(self.sink.max_interval, max(self.sink.interval, elapsed / MAX_BUSY_SHARE))

    def _take_requests(self, *, is_closing: bool) -> None:
        """Take in new requests, and all that was logged before them."""
        requests = self.requests.take()
        self._feed(is_closing)
        for request in requests:
            request.target = self.counters.stats.logged

    def _deliver(self) -> None:
        """Open the sink if necessary; then write and flush batch after batch, unless the sink asks for a retry."""
        if self._attempts.is_asked_to_wait() or not self._open():
            return
        is_first = True  # a sink is flushed at each turn, even if there is nothing new
        while self._take_batch() and (is_first or self._writer.parts) and self._writer.write() and self._writer.flush():
            is_first = False
            self._attempts.recover()
            self.requests.answer()
            if self.requests:
                self._take_requests(is_closing=False)

    def _open(self) -> bool:
        """Open the sink once; tell whether to go on."""
        if not self._is_opened:
            if self._attempts.call(lambda: self.sink.open(self.run)) == RETRY:
                return False
            self._is_opened = True  # even if it failed for good: then each batch is counted as failed
            self._patience.note_progress()
        return self._recall.is_done()

    def _take_batch(self) -> bool:
        """Take the next batch, unless one is left from before; tell whether to go on."""
        self._take_drawn()
        if not self._writer.parts and not self._slots:
            self._supersede()
            take = partial(self._queue.take_batch, scalars=self._batch_scalars)
            first = self.sink.scalars_first
            with self._lock:
                arrays = self._queue.take_arrays() if self._drawer is not None and not self._is_drawing() else []
                self._slots = take(scalars_first=first, stops_at_mark=bool(arrays) or self._is_drawing())
                if not self._slots and first and self._drawer is None:
                    self._slots = take(scalars_first=False)
            if self._drawer is not None and arrays:
                self._drawer.submit(arrays)
        return not self._slots or self._attempts.call(self._build) != RETRY

    def _build(self) -> None:
        """Build the records of the batch. Raises `OSError` if scalars cannot be read back now."""
        parts, failed, unread = build_parts(
            self._slots, self._attempts.report, self._unpacker, in_blocks=self._in_blocks
        )
        self._slots = []
        self._writer.parts += parts
        self.counters.add(failed=failed, dropped=unread)

    def _take_drawn(self) -> None:
        """Take over what was drawn."""
        drawn = self._drawer.take() if self._drawer is not None else []
        for slot, result, error in drawn:
            if error is None:
                self._writer.parts.append([result])
            else:
                self._attempts.report(error, f"{describe(slot.item)} is lost")
                self.counters.add(failed=1)

    def _is_drawing(self) -> bool:
        return self._drawer is not None and self._drawer.count > 0

    def _supersede(self) -> None:
        """Once closing takes long, skip what would be drawn and then replaced."""
        since = self._closing_since
        if since is not None and not self._has_superseded and self._clock.now() - since >= SUPERSEDE_AFTER_S:
            self._has_superseded = True
            with self._lock:
                dropped = self._queue.drop_superseded()
            self.counters.add(superseded=dropped)

    def _work(self) -> float:
        return self._worked() + (self._drawer.worked() if self._drawer is not None else 0.0)
