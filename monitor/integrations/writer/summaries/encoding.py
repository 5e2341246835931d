"""Wrap the summaries of either package as serialized events. The bytes are the same for both."""

from __future__ import annotations

from typing import Any

from monitor.records import Summary


def summary_event(summary: bytes, step: int, time: float) -> bytes:
    """Return the event of a serialized `Summary`; `time` is in seconds since the epoch."""
    from tensorboard.compat.proto.event_pb2 import Event

    from monitor.events.scalars.layout import SUMMARY_KEY, varint

    head: bytes = Event(step=step, wall_time=time).SerializeToString()
    return head + SUMMARY_KEY + varint(len(summary)) + summary


def summary_record(tag: str, summary: Any, step: int, time: float) -> Summary:
    """Return the record of a `Summary` message."""
    return Summary(tag, summary_event(summary.SerializeToString(), step, time), step, time)
