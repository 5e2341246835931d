"""What became of the records, and what logging cost."""

from __future__ import annotations

from typing import NamedTuple

SHOWN_IF_NONZERO = ("pending", "dropped", "failed", "retries")


class SinkStats(NamedTuple):
    """What became of the records of one sink: logged = delivered + pending + dropped + failed, at any moment."""

    logged: int
    delivered: int
    pending: int
    dropped: int
    failed: int
    retries: int
    last_error: str | None


class Stats(NamedTuple):
    """What became of the records, per sink, and what logging cost the training thread."""

    sinks: dict[str, SinkStats]
    calls: int  # log calls
    seconds: (
        float  # spent in log calls; measured on a sample of the cheapest ones, as measuring costs more than they do
    )
    share: float  # of the wall time since the logger was made

    def undelivered(self) -> list[str]:
        """Return a line for each sink that has not got everything."""
        return [
            f"{name}: {s.logged - s.delivered} of {s.logged} records not delivered"
            + (f" ({s.last_error})" if s.last_error else "")
            for name, s in self.sinks.items()
            if s.logged != s.delivered
        ]

    def __str__(self) -> str:
        parts = [
            f"{name}: {s.logged} logged, {s.delivered} delivered"
            + "".join(f", {count} {what}" for what, count in s._asdict().items() if what in SHOWN_IF_NONZERO and count)
            for name, s in self.sinks.items()
        ]
        parts.append(f"{self.calls} log calls took {self.seconds:.3f} s, {self.share:.2%} of the run")
        return "; ".join(parts)
