"""Distribute records from one inbox to the queues of all sinks.

A log call only appends to the inbox, a deque: without a lock, however many sinks there are. Before a worker takes its
batch, it moves the inbox into all queues. The threads of the program never do: a signal handler may interrupt them
anywhere, and must not find anything half moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.delivery.clock import CLOCK, Clock
from monitor.delivery.inbox import Inbox
from monitor.delivery.log_lines import safe_log
from monitor.delivery.workers.worker import SinkWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from monitor.delivery.recall import History
    from monitor.runs.run import Run
    from monitor.sinks.base import Sink
    from monitor.stats import SinkStats

log = safe_log()

CLOSE_REPORT_S = 2.0  # after this time, `close` says what is left
INBOX_ENTRIES = 20_000  # beyond, a log call waits until the inbox was moved
MAX_WAIT_S = 0.1  # of one log call
INBOX_ARRAY_BYTES = 64 * 2**20  # of arrays; beyond, the inbox is moved at once
MAX_HANG_S = 5.0  # that a log call waits for an event file


class Pipeline:
    """Deliver what is put into `inbox` to all sinks, with one worker per sink.

    Attributes:
        inbox: entries in the order in which they were logged; see `Inbox`.
        workers: one per sink.
        is_sealed: whether nothing more is accepted.
    """

    def __init__(
        self,
        sinks: Iterable[Sink],
        run: Run,
        tick: Callable[[], None],
        *,
        watch: Sink | None = None,
        history: History | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        """Start the workers.

        Args:
            sinks: where the records go.
            run: the run that is logged.
            tick: called each time the inbox is emptied.
            watch: a sink that gets the records too, and that no counter includes.
            history: returns what an earlier process of the run logged, for sinks that override `recall`.
            clock: time, threads, locks, and waiting.
        """
        self._clock, self._tick = clock, tick
        self._inbox = Inbox(run.steps, run.goals, run.timelines)
        self.inbox = self._inbox.entries
        self.is_sealed = False
        self._feeding = clock.lock()
        self._moves = 0  # odd while the inbox is being moved
        self._is_final = False  # nothing is moved anymore
        self._mover = clock.mailbox()
        self._is_closed = False
        self._new_array_bytes = 0
        self._hung: Any = None  # the effort of workers that hung
        self.workers: list[SinkWorker] = []
        name_counts: dict[str, int] = {}
        with self._feeding:  # a worker that is early waits until all of them have a queue
            for sink in sinks:
                name = sink.name or type(sink).__name__
                name_counts[name] = name_counts.get(name, 0) + 1
                unique = name if name_counts[name] == 1 else f"{name}-{name_counts[name]}"
                self.workers.append(SinkWorker(unique, sink, run, self._feed, history, clock))
            self._watch = SinkWorker("watch", watch, run, self._feed, history, clock) if watch is not None else None
            self._all_workers = [*self.workers, *([self._watch] if self._watch else [])]
        clock.start("monitor-inbox", self._move_on_demand)

    @property
    def tuples(self) -> int:
        """How many entries were tuples so far."""
        return self._inbox.tuples + sum(type(entry) is tuple for entry in self.inbox.copy())

    def hold(self, entry: Any) -> None:
        """Take care of an inbox that is long, or sealed, after a log call appended `entry` to it.

        A long one is moved now, and the call waits for that, and for sinks that are far behind, for at most 0.1 s: a
        loop that logs faster than one core can take in is slowed down to that pace. Without this wait, the loop would
        hold the interpreter's lock, and a worker would get it for a moment every 5 ms. Raises `RuntimeError` if the
        inbox was sealed before the entry came.
        """
        if self.is_sealed:
            try:
                self.inbox.remove(entry)
            except ValueError:
                return  # it was moved, so it is delivered
            raise RuntimeError("this logger is closed; nothing more can be logged")
        self._mover.put()
        deadline = self._clock.now() + MAX_WAIT_S
        behind = [worker for worker in self._all_workers if worker.wake_if_behind()]
        while len(self.inbox) > INBOX_ENTRIES // 2 or any(worker.is_behind() for worker in behind):
            if self._clock.now() >= deadline or self.is_sealed:
                break
            self._clock.sleep(0.0005)

    def receive(self, entry: Any) -> None:
        """Take an entry of another process; waits as a log call does if the inbox is long."""
        self.inbox.append(entry)
        if len(self.inbox) > INBOX_ENTRIES and not self.is_sealed:
            self.hold(entry)

    def note_array(self, nbytes: int) -> None:
        """Take note of an array in the inbox; if that makes too many, move them, and wait for the event file.

        The wait slows a loop down that logs arrays faster than they can be written, so that none is dropped. A file
        that fails, or hangs for five seconds, is not waited for until it goes on.
        """
        self._new_array_bytes += nbytes
        if self._new_array_bytes > INBOX_ARRAY_BYTES:
            self._new_array_bytes = 0
            moved = self._moves + 2 + self._moves % 2  # when the move is over that begins next
            self._mover.put()
            self._wait_while(lambda: self._moves < moved, self.workers)
            behind = [worker for worker in self.workers if worker.sink.durable and worker.wake_if_behind()]
            self._wait_while(lambda: any(worker.is_behind() for worker in behind), behind)

    def _wait_while(self, condition: Callable[[], bool], workers: list[SinkWorker]) -> None:
        """Block while the condition holds, unless the workers hang, or hang since an earlier call."""
        changed = self._clock.now()
        effort = None
        while condition() and not self.is_sealed:
            if effort != (effort := [worker.effort() for worker in workers]):
                changed = self._clock.now()
            if self._hung == effort or self._clock.now() - changed > MAX_HANG_S:
                self._hung = effort
                return
            self._clock.sleep(0.0005)

    def alert(self, record: Any) -> None:
        """Deliver a record that no log call made, unless the pipeline is closed."""
        if not self._is_final:
            self.inbox.append(record)

    def stats(self) -> dict[str, SinkStats]:
        """Return the delivery counters per sink, including everything logged before the call. Takes no lock."""
        for _ in range(1000):  # usually once, and again if the inbox is being moved
            moves = self._moves
            waiting = self._inbox.counts()
            stats = {worker.name: worker.counters.stats for worker in self.workers}
            if moves == self._moves and moves % 2 == 0:
                break
            self._clock.sleep(0.001)
        for worker in self.workers:
            count = sum(count for kind, count in waiting.items() if kind in worker.accepts)
            found = stats[worker.name]
            stats[worker.name] = found._replace(logged=found.logged + count, pending=found.pending + count)
        return stats

    def flush(self, timeout: float, *, durable: bool = False) -> list[str]:
        """Block until everything logged so far is visible in every sink, or until the timeout.

        Args:
            timeout: seconds, for all sinks together.
            durable: whether to wait only for sinks that keep records through a crash.

        Returns:
            The names of the sinks that are behind.
        """
        deadline = self._clock.now() + timeout
        asked = [(worker, worker.requests.ask()) for worker in self.workers if worker.sink.durable or not durable]
        return [worker.name for worker, request in asked if not request.wait(deadline)]

    def settle(self, timeout: float) -> None:
        """Block until `watch` has got everything logged so far, for at most `timeout` seconds."""
        if self._watch is not None:
            self._watch.requests.ask().wait(self._clock.now() + timeout)

    def seal(self) -> None:
        """Accept nothing more: an entry that comes later is refused or delivered, never lost."""
        self.is_sealed = True

    def close(self, timeout: float) -> list[str]:
        """Deliver the rest and end the workers; name those that did not end.

        Blocks as long as every sink makes progress, however much is left; a sink that makes none for `timeout` seconds
        is given up. After two seconds it says what is left.
        """
        self.seal()
        for worker in self._all_workers:
            worker.begin_close(timeout)
        now = self._clock.now
        started, before = now(), {worker: worker.counters.stats.pending for worker in self._all_workers}
        unfinished: list[str] = []
        reported = False
        for worker in self._all_workers:
            while (ended := worker.join(CLOSE_REPORT_S)) is None:
                if not reported and now() - started >= CLOSE_REPORT_S:
                    reported = True
                    left = worker.counters.stats.pending
                    pace = max(0, before[worker] - left) / (now() - started)
                    message = "%s: %s records left, %s per second; Ctrl-C twice gives up"
                    log.info(message, worker.name, f"{left:,}", f"{pace:,.0f}")
            if not ended:
                unfinished.append(worker.name)
        self._is_closed = True
        self._mover.put()
        return unfinished

    # Called by the threads of the pipeline

    def _feed(self, is_last: bool) -> None:
        """Move the inbox into the queues of all workers, in order. Does not wait for I/O."""
        with self._feeding:
            if self._is_final:
                return
            self._moves += 1
            try:
                items = self._inbox.take()
                if items:
                    for worker in self.workers:
                        worker.put(items)
                    if self._watch is not None:
                        self._watch.put(items)
                self._is_final = is_last
            finally:
                self._moves += 1
        self._tick()

    def _move_on_demand(self) -> None:
        while not self._is_closed:
            self._mover.wait(float("inf"))
            self._feed(False)
