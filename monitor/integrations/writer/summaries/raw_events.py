"""Records of the messages that stock code hands to a file writer itself."""

from __future__ import annotations

from typing import Any

from monitor.records import Restart, Summary

SESSION_START = 1  # of `SessionLog.SessionStatus`


def event_record(event: Any) -> Restart | Summary:
    """Return the record of an `Event` message of either package, as it is now."""
    if event.WhichOneof("what") == "session_log" and event.session_log.status == SESSION_START:
        return Restart(event.step, event.wall_time)  # nothing may overtake it
    kind = event.WhichOneof("what")
    tag = event.summary.value[0].tag if kind == "summary" and event.summary.value else str(kind)
    return Summary(tag, event.SerializeToString(), event.step, event.wall_time)


def graph_records(graph: Any, metadata: Any, step: int, time: float) -> list[Summary]:
    """Return the records of a `GraphDef` message and of a `RunMetadata` message, if there is one."""
    from tensorboard.compat.proto.event_pb2 import Event, TaggedRunMetadata

    events = [Event(graph_def=graph.SerializeToString(), step=step, wall_time=time)]
    if metadata is not None:
        tagged = TaggedRunMetadata(tag="step1", run_metadata=metadata.SerializeToString())
        events.append(Event(tagged_run_metadata=tagged, step=step, wall_time=time))
    return [Summary("graph", event.SerializeToString(), step, time) for event in events]
