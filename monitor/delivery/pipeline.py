"""Distribute records from one inbox to the queues of all sinks.

A log call only appends to the inbox, a deque: without a lock, however many sinks there are. Before a worker takes its
batch, it moves the inbox into all queues.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from monitor.delivery.worker import History, SinkWorker
from monitor.records import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from monitor.delivery.batch import Item
    from monitor.runs.run import Run
    from monitor.sinks.base import Sink
    from monitor.stats import SinkStats

log = logging.getLogger("monitor")

CLOSE_REPORT_S = 2.0  # after this time, `close` says what is left


class Pipeline:
    """Deliver what is put into `inbox` to all sinks, with one worker per sink.

    Attributes:
        inbox: entries in the order in which they were logged: `(tag, value, step, time)`, where the tag may be None and
            the value a dict of values by tag; or a record; or a record that is still to be built.
        tuples: how many entries were tuples so far.
        workers: one per sink.
    """

    def __init__(
        self,
        sinks: Iterable[Sink],
        run: Run,
        tick: Callable[[], None],
        *,
        watch: Sink | None = None,
        history: History | None = None,
    ) -> None:
        """Start the workers.

        Args:
            sinks: where the records go.
            run: the run that is logged.
            tick: called each time the inbox is emptied.
            watch: a sink that gets the records too, and that no counter includes.
            history: returns what an earlier process of the run logged, for sinks that override `recall`.
        """
        self.inbox: deque[Any] = deque()
        self._tick = tick
        self._feeding = threading.Lock()
        self.tuples = 0
        self.workers: list[SinkWorker] = []
        name_counts: dict[str, int] = {}
        for sink in sinks:
            name = sink.name or type(sink).__name__
            name_counts[name] = name_counts.get(name, 0) + 1
            unique = name if name_counts[name] == 1 else f"{name}-{name_counts[name]}"
            self.workers.append(SinkWorker(unique, sink, run, self.feed, history))
        self._watch = SinkWorker("watch", watch, run, self.feed, history) if watch is not None else None
        self._all_workers = [*self.workers, *([self._watch] if self._watch else [])]

    def feed(self) -> None:
        """Move the inbox into the queues of all workers, in order. Does not wait for I/O."""
        with self._feeding:
            inbox = self.inbox
            items: list[Item] = []
            for _ in range(len(inbox)):  # what is logged meanwhile waits for the next call
                entry = inbox.popleft()
                if type(entry) is not tuple:
                    items.append(entry)
                    continue
                self.tuples += 1
                if entry[0] is not None:
                    items.append(Scalar._make(entry))
                else:
                    _, values, step, wall_time = entry
                    items += [Scalar(tag, value, step, wall_time) for tag, value in values.items()]
            if items:
                for worker in self._all_workers:
                    worker.put(items)
            self._tick()

    def stats(self) -> dict[str, SinkStats]:
        """Return the delivery counters per sink, including everything logged before the call."""
        self.feed()
        return {worker.name: worker.stats() for worker in self.workers}

    def flush(self, timeout: float, *, durable: bool = False) -> list[str]:
        """Block until everything logged so far is visible in every sink, or until the timeout.

        Args:
            timeout: seconds, for all sinks together.
            durable: whether to wait only for sinks that keep records through a crash.

        Returns:
            The names of the sinks that are behind.
        """
        deadline = time.monotonic() + timeout
        self.feed()
        workers = [worker for worker in self.workers if worker.sink.durable or not durable]
        for worker in workers:
            worker.wake()
        return [worker.name for worker in workers if not worker.wait(deadline)]

    def settle(self, timeout: float) -> None:
        """Block until `watch` has got everything logged so far, for at most `timeout` seconds."""
        self.feed()
        if self._watch is not None:
            self._watch.wait(time.monotonic() + timeout)

    def close(self, timeout: float) -> list[str]:
        """Deliver the rest and end the workers; name those that did not end.

        Blocks as long as every sink makes progress, however much is left; a sink that makes none for `timeout` seconds
        is given up. After two seconds it says what is left.
        """
        self.feed()
        for worker in self._all_workers:
            worker.begin_close(timeout)
        started, before = time.monotonic(), {worker: worker.backlog() for worker in self._all_workers}
        unfinished: list[str] = []
        reported = False
        for worker in self._all_workers:
            while (ended := worker.join(CLOSE_REPORT_S)) is None:
                if not reported and time.monotonic() - started >= CLOSE_REPORT_S:
                    reported = True
                    left = worker.backlog()
                    pace = (before[worker] - left) / (time.monotonic() - started)
                    message = "%s: %s records left, %s per second; Ctrl-C twice gives up"
                    log.info(message, worker.name, f"{left:,}", f"{pace:,.0f}")
            if not ended:
                unfinished.append(worker.name)
        return unfinished
