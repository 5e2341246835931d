"""The contract between the pipeline and a sink.

The pipeline knows *when*, a sink knows *where*. Only the sink's own worker thread calls it, so it needs no locks.
An `OSError` (hence `ConnectionError` and `TimeoutError`) out of any method means: nothing is lost, try again later.
Anything else means: this batch is bad; it is counted as failed, told once, and the worker goes on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from monitor.errors import SpecError
from monitor.records import RECORD_TYPES, Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

    from monitor.runs.run import Run


class Sink(ABC):
    """A place where records go. The constructor touches neither network nor disk."""

    name: ClassVar[str] = ""
    accepts: frozenset[type] = RECORD_TYPES  # record kinds; others are filtered out before `write`
    interval: float = 0.5  # seconds from one flush to the next
    durable: bool = False  # whether what was flushed is there after a crash of this process, for a resumed run
    max_interval: float = 0.5  # seconds; a sink whose flushes are costly is called less often, down to this

    @classmethod
    def from_spec(cls, spec: SplitResult) -> Sink:
        """Make the sink that a URL-like spec names; raise `SpecError` on parts that it does not take."""
        if spec.netloc or spec.path not in ("", cls.name) or spec.query or spec.fragment:
            raise SpecError(f"sink {spec.geturl()!r}: {cls.name} takes no address; accepted: {cls.name!r}")
        return cls()

    @abstractmethod
    def open(self, run: Run) -> None:
        """Get ready to write; called again later after an `OSError`."""

    def recall(self, records: Sequence[Record]) -> None:  # noqa: B027 - most sinks have nothing to do
        """Take in what an earlier process of this run delivered; for sinks whose state is the whole run.

        Called after `open`, before the first `write`, where a run is resumed.
        """

    @abstractmethod
    def write(self, records: Sequence[Record]) -> None:
        """Take the records in; local and quick. After an `OSError` the same records come again."""

    @abstractmethod
    def flush(self) -> None:
        """Make all that was written visible. After an `OSError` it is called again, with nothing written twice."""

    @abstractmethod
    def close(self) -> None:
        """Release what the sink holds; never delete data."""
