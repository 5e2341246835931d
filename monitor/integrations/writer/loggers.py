"""The loggers behind a writer: what it needs of them beside their public methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.capture.null_logger import NullLogger
from monitor.logger import Logger
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FLUSH_TIMEOUT_S = 30.0


class WriterLogger(Logger):
    """A `Logger` that takes entries of other kinds than its own log calls make."""

    def put(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Log the entries that `call` returns for these arguments, all or nothing; it raises what `call` raises."""
        self._measure(call, *arguments)

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

    def flush_files(self) -> None:
        """Do nothing."""
