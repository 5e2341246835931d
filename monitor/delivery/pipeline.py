"""From one inbox to every sink's queue.

A log call appends to the inbox, a deque, and is done: no lock, whatever the number of sinks. Each worker, before it
takes its batch, moves the inbox into all queues. That is the only place where the two sides meet.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from monitor.delivery.worker import History, Item, SinkWorker
from monitor.records import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from monitor.runs.run import Run
    from monitor.sinks.base import Sink
    from monitor.stats import SinkStats

log = logging.getLogger("monitor")


class Pipeline:
    """Fan what is put into `inbox` out to one worker a sink.

    An inbox entry is `(tag, value, step, time)`; with None for the tag, the value is a dict of tags to values; anything
    else is a record, or one that is still to be resolved.
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
        """Start the workers; `tick` is called each time the inbox is emptied.

        `watch` gets all records too and appears in no count; a sink's `recall` gets `history`, what the run logged in
        an earlier process.
        """
        self.inbox: deque[Any] = deque()
        self._tick = tick
        self._feeding = threading.Lock()
        self.tuples = 0  # entries that came as plain tuples
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
        """Move the inbox into the workers' queues, in order."""
        with self._feeding:
            inbox = self.inbox
            items: list[Item] = []
            for _ in range(len(inbox)):  # what comes in meanwhile waits for the next time
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
        """Return the counts of every sink, with all that was logged before the call counted in."""
        self.feed()
        return {worker.name: worker.stats() for worker in self.workers}

    def flush(self, timeout: float, *, durable: bool = False) -> list[str]:
        """Wait until all that was logged is visible in every sink, `timeout` seconds in all; name the sinks behind.

        With `durable`, wait for those sinks alone that keep it through a crash.
        """
        deadline = time.monotonic() + timeout
        self.feed()
        workers = [worker for worker in self.workers if worker.sink.durable or not durable]
        for worker in workers:
            worker.wake()
        return [worker.name for worker in workers if not worker.wait(deadline)]

    def settle(self, timeout: float) -> None:
        """Wait until the watch has seen all that was logged, at most `timeout` seconds."""
        self.feed()
        if self._watch is not None:
            self._watch.wait(time.monotonic() + timeout)

    def close(self, timeout: float) -> list[str]:
        """Deliver the rest and end the workers, `timeout` seconds in all; name those that did not end."""
        deadline = time.monotonic() + timeout
        self.feed()
        for worker in self._all_workers:
            worker.begin_close(deadline)
        return [worker.name for worker in self._all_workers if not worker.join()]
