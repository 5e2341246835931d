"""The loggers behind a writer: what it needs of them beside their public methods."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from monitor.capture.calls.null_logger import NullLogger
from monitor.logger import Logger
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.capture.pending import PendingRecord

FLUSH_TIMEOUT_S = 30.0
MAX_STEP = 2**63
NOTED_BYTES = 4096  # the number of entries in the inbox bounds what is smaller


class WriterLogger(Logger):
    """A `Logger` that takes entries of other kinds than its own log calls make."""

    def put(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Log the entries that `call` returns for these arguments, all or nothing; it raises what `call` raises."""
        self._measure(call, *arguments)

    def put_record(self, record: PendingRecord) -> bool:
        """Log a record that a worker builds; tell whether it was logged, or the logger was closed meanwhile.

        This is `_measure` for one record, written out: it takes half the time.
        """
        started = perf_counter()
        try:
            self._put(record)
            if len(self._inbox) > self._limit:
                self._hold(record)
        except RuntimeError:
            if not self.is_over:
                raise
            return False
        if record.nbytes > NOTED_BYTES:
            self._note_array(record.nbytes)
        self._slow_seconds += perf_counter() - started
        self._slow_calls += 1
        return True

    def scalar_at(self, name: str, value: Any, step: int, walltime: Any) -> bool:
        """Log a scalar the quick way, at a time or now; tell whether it was logged."""
        try:
            if walltime is None:
                self.scalar(name, value, step)
                return True
            if type(walltime) is float and type(value) is float and -MAX_STEP <= step < MAX_STEP:
                self._measure(_one, (name, value, step, walltime))
                return True
        except RuntimeError:
            if not self.is_over:
                raise
        return False  # it was closed meanwhile, or this needs more than the quick way

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be logged."""
        return self._pipeline.is_sealed

    def flush_files(self) -> None:
        """Block until everything logged so far is on disk, for at most 30 s. Other sinks are not waited for."""
        if not self._closed:
            self._pipeline.flush(FLUSH_TIMEOUT_S, durable=True)

    def remember(self, metrics: Mapping[str, Any]) -> None:
        """Go on with the last and best values of metrics, in the form that `run.json` holds them."""
        summary = self._status_sink.summary
        for tag, entry in metrics.items():
            if "best" in entry:
                summary.add(tag, parse_number(entry["best"]), entry["best_step"])
            summary.add(tag, parse_number(entry["last"]), entry["step"])


class SilentLogger(NullLogger):
    """Check every call and log nothing, for a writer that does not write."""

    is_over = False

    def __init__(self, directory: str) -> None:
        super().__init__(directory, {}, is_silent=True)

    def put(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Check a call."""
        self._measure(call, *arguments)

    def put_record(self, record: PendingRecord) -> bool:
        """Check a call; return True."""
        self._measure(_one, record)
        return True

    def scalar_at(self, name: str, value: Any, step: int, _walltime: Any) -> bool:
        """Check a scalar; return True."""
        self.scalar(name, value, step)
        return True

    def flush_files(self) -> None:
        """Do nothing."""


def _one(_known_tags: set[str], entry: Any) -> tuple[Any, ...]:
    return (entry,)
