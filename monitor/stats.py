"""Delivery counters per sink, and what logging cost."""

from __future__ import annotations

import html
from typing import NamedTuple

SHOWN_IF_NONZERO = ("pending", "dropped", "failed", "superseded", "retries", "slowdowns")


class SinkStats(NamedTuple):
    """Delivery counters of one sink; at any moment, logged = delivered + pending + dropped + failed + superseded.

    Attributes:
        logged: records accepted for this sink.
        delivered: written and flushed.
        pending: waiting in memory.
        dropped: removed to bound the memory.
        failed: refused by the sink for good.
        superseded: curves, confusion matrices, and histograms that `close` did not draw, because a newer one of the
            same tag followed.
        retries: attempts that ended in an `OSError`.
        slowdowns: attempts that ended in a `SlowDown`.
        last_error: the last error as one line.
    """

    logged: int
    delivered: int
    pending: int
    dropped: int
    failed: int
    superseded: int
    retries: int
    slowdowns: int
    last_error: str | None

    @property
    def missing(self) -> int:
        """Records that were logged, are not delivered, and were not superseded."""
        return self.logged - self.delivered - self.superseded


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

    @property
    def cost(self) -> str:
        """What logging cost the training thread, in words."""
        return f"{self.calls:,} log calls took {self.seconds:.3f} s, {self.share:.2%} of the run"

    @property
    def brief(self) -> str:
        """What the line at the end of a run says: the counters of sinks that are missing records, and the cost."""
        return "; ".join([*(_counters(name, stats) for name, stats in self.sinks.items() if stats.missing), self.cost])

    def _repr_html_(self) -> str:
        """Return a table of the counters, for a notebook."""
        rows = [(name, *map(str, stats[:-1]), stats.last_error or "") for name, stats in self.sinks.items()]
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in ("sink", *SinkStats._fields))
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{self.cost}</p>"

    def __str__(self) -> str:
        return "; ".join([*(_counters(name, stats) for name, stats in self.sinks.items()), self.cost])


def _counters(name: str, stats: SinkStats) -> str:
    others = [f", {count} {what}" for what, count in stats._asdict().items() if what in SHOWN_IF_NONZERO and count]
    return f"{name}: {stats.logged} logged, {stats.delivered} delivered" + "".join(others)
