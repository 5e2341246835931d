"""Delivery counters per sink, and what logging cost."""

from __future__ import annotations

from typing import NamedTuple

SHOWN_IF_NONZERO = ("pending", "dropped", "failed", "retries")


class SinkStats(NamedTuple):
    """Delivery counters of one sink; at any moment, logged = delivered + pending + dropped + failed.

    Attributes:
        logged: records accepted for this sink.
        delivered: written and flushed.
        pending: waiting in memory.
        dropped: removed to bound the memory.
        failed: refused by the sink for good.
        retries: attempts that ended in an `OSError`.
        last_error: the last error as one line.
    """

    logged: int
    delivered: int
    pending: int
    dropped: int
    failed: int
    retries: int
    last_error: str | None

    @property
    def missing(self) -> int:
        """Records that were logged and are not delivered."""
        return self.logged - self.delivered


class Stats(NamedTuple):
    """Delivery counters per sink, and what logging cost the training thread.

    Attributes:
        sinks: the counters by sink name.
        calls: number of log calls.
        seconds: time spent in log calls. The cheapest calls are sampled, because timing one costs more than the call.
        share: `seconds` divided by the wall time since the logger was made.
    """

    sinks: dict[str, SinkStats]
    calls: int
    seconds: float
    share: float

    def undelivered(self) -> list[str]:
        """Return one line for each sink that is missing records."""
        return [
            f"{name}: {stats.missing} of {stats.logged} records not delivered"
            + (f" ({stats.last_error})" if stats.last_error else "")
            for name, stats in self.sinks.items()
            if stats.missing
        ]

    def __str__(self) -> str:
        parts = [
            f"{name}: {stats.logged} logged, {stats.delivered} delivered"
            + "".join(
                f", {count} {what}" for what, count in stats._asdict().items() if what in SHOWN_IF_NONZERO and count
            )
            for name, stats in self.sinks.items()
        ]
        parts.append(f"{self.calls} log calls took {self.seconds:.3f} s, {self.share:.2%} of the run")
        return "; ".join(parts)
