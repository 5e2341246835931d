"""Pass on to a sink of a resumed run what earlier processes logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from monitor.delivery.workers.counters import RETRY
from monitor.events.files import event_files
from monitor.records import Record
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from monitor.delivery.clock import Clock
    from monitor.delivery.workers.counters import Attempts
    from monitor.runs.run import Run

History = Callable[[], Iterable[Sequence[Record]]]
RECALL_TIMEOUT_S = 60.0


class Recall:
    """Calls `Sink.recall` with all that was logged earlier, each list once. Only the worker's thread uses it."""

    def __init__(self, sink: Sink, history: History | None, attempts: Attempts, clock: Clock) -> None:
        """Prepare; `history` returns the lists, the same ones at each call, and is None for a new run."""
        self._sink, self._attempts, self._clock = sink, attempts, clock
        self._history = history if type(sink).recall is not Sink.recall else None
        self._count = 0  # lists that the sink has
        self._deadline = 0.0  # when to go on without the rest; 0 unless it could not be read

    def is_done(self) -> bool:
        """Pass on what is left; False if it cannot be read now, as while a file system is away.

        After a minute of that, it is left out with a warning.
        """
        if self._history is None:
            return True
        if self._attempts.call(self._pass_on) == RETRY:
            now = self._clock.now()
            self._deadline = self._deadline or now + RECALL_TIMEOUT_S
            if now < self._deadline:
                return False
            self._attempts.warn_once("what the run logged earlier cannot be read, and is left out", "recall")
        self._history = None
        return True

    def _pass_on(self) -> None:
        assert self._history is not None
        for records in islice(self._history(), self._count, None):
            self._sink.recall(records)
            self._count += 1


def history_of(run: Run) -> History | None:
    """Return a function that reads what a resumed run logged before; None for a new run."""
    if not run.is_resumed:
        return None

    files = event_files(run.path)  # before a sink adds one

    def read() -> Iterable[Sequence[Record]]:
        from monitor.events.reading.reader import read_history

        return read_history(run.path, files=files)

    return read
